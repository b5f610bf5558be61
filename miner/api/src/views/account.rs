//! What an address has and may do, and what it offers.

use std::collections::BTreeMap;

use chain::ledger::{Change, Subject};
use chain::{Address, Height, Ledger, RecordId};
use scenarios::{Calendar, Minutes, Money, Offer, OperationId, Period, Provider, ProviderId, Site};
use serde::{Deserialize, Serialize};

use super::{operation_name, waits_for};
use crate::Snapshot;

/// What an address has and may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct AccountReport {
    pub address: Address,
    /// The height of the node's head.
    pub height: Height,
    /// What is in its account.
    pub balance: Money,
    /// What of it can be spent: all but what an account must keep.
    pub spendable: Money,
    /// What is held for the address's demands: escrow, and the price of what is composed and not settled.
    pub held: Money,
    /// The sequence number of its next record on chain.
    pub next_on_chain: u64,
    /// The smallest sequence number that neither the chain nor a record of the pool has taken: the one to
    /// sign with.
    pub next_sequence: u64,
    /// Its records in the pool, by sequence number.
    pub pending: Vec<PendingRecord>,
    /// If it is a provider: what it offers. Withdrawn offers have no operations.
    pub offer: Option<OfferReport>,
}

/// A record that waits in the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PendingRecord {
    pub record: RecordId,
    pub sequence: u64,
    /// What kind of statement it makes.
    pub kind: String,
    /// Why the next batch cannot bring it, if so.
    pub waits_for: Option<String>,
}

/// What a provider offers now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct OfferReport {
    pub provider: ProviderId,
    pub name: String,
    /// Where the work is done.
    pub site: Site,
    /// Minutes it offers in all that can be planned; `None` is unlimited.
    pub capacity: Option<Minutes>,
    /// Minutes of these that compositions take.
    pub used: Minutes,
    /// The same by period, if the market has a calendar and its capacity a limit.
    #[serde(default)]
    pub periods: Vec<OfferedPeriod>,
    /// What is locked for it.
    pub deposit: Money,
    /// Minutes that nothing is locked for, as genesis gave them; `None` is unlimited.
    #[serde(default)]
    pub vouched: Option<Minutes>,
    /// What it can do.
    pub operations: Vec<OfferedOperation>,
    /// What it announced, and is not so yet.
    #[serde(default)]
    pub announced: Option<AnnouncedOffer>,
}

/// What a provider offers in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct OfferedPeriod {
    pub period: Period,
    pub capacity: Minutes,
    /// Minutes that compositions take.
    pub used: Minutes,
}

/// What a provider will offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnouncedOffer {
    /// What it will be able to do; nothing, if it withdraws.
    pub operations: Vec<OfferedOperation>,
    /// Minutes it will offer in all that can be planned; `None` is unlimited.
    pub capacity: Option<Minutes>,
    /// In how many milliseconds of market time after the head at the earliest.
    pub in_ms: u64,
}

/// An operation a provider offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct OfferedOperation {
    pub operation: String,
    /// Cost of one order.
    pub cost: Money,
    /// Minutes of one order.
    pub minutes: Minutes,
}

/// An address at a snapshot.
pub fn account(snapshot: &Snapshot, address: Address) -> AccountReport {
    let ledger = &snapshot.ledger;
    let pending = snapshot.pool.records_of(address);
    let pending: Vec<PendingRecord> = pending
        .map(|(sequence, record)| PendingRecord {
            record: record.id(),
            sequence,
            kind: record.content.statement.kind().to_owned(),
            waits_for: waits_for(ledger, record),
        })
        .collect();
    let next_on_chain = ledger.next_sequence(address);
    let taken = pending.iter().map(|record| record.sequence);
    let own = ledger.demands().filter(|(_, entry)| entry.author == address);
    AccountReport {
        address,
        height: snapshot.height(),
        balance: ledger.balance(address),
        spendable: ledger.spendable(address),
        held: own.map(|(_, entry)| entry.escrow + entry.clearing).sum(),
        next_on_chain,
        next_sequence: first_free(next_on_chain, taken),
        pending,
        offer: offer_of(ledger, address),
    }
}

/// The smallest number from `next` on that is not among the ascending `taken`.
fn first_free(next: u64, taken: impl IntoIterator<Item = u64>) -> u64 {
    taken.into_iter().fold(next, |free, number| if number == free { free + 1 } else { free })
}

fn offer_of(ledger: &Ledger, address: Address) -> Option<OfferReport> {
    let id = ledger.provider_id(address)?;
    let provider = ledger.supply().provider(id)?;
    Some(OfferReport {
        provider: id,
        name: provider.name.clone(),
        site: provider.site,
        capacity: provider.total_capacity(&ledger.supply().horizon),
        used: ledger.usage_of(id).values().map(|usage| usage.total()).sum(),
        periods: periods_of(ledger, id, provider),
        deposit: ledger.deposit(id),
        vouched: ledger.vouched_minutes(Some(id)),
        operations: offered(ledger, &provider.offers),
        announced: announced_of(ledger, address),
    })
}

fn periods_of(ledger: &Ledger, id: ProviderId, provider: &Provider) -> Vec<OfferedPeriod> {
    let (horizon, usage) = (ledger.supply().horizon, ledger.usage_of(id));
    let calendar = provider.capacity.as_ref().filter(|_| horizon.period_minutes.is_some());
    let periods =
        calendar.into_iter().flat_map(|calendar| horizon.iter().map(move |period| (calendar, period)));
    let offered = periods.map(|(calendar, period)| OfferedPeriod {
        period,
        capacity: calendar.minutes_in(period),
        used: usage.get(&period).map_or(0, |usage| usage.total()),
    });
    offered.collect()
}

fn announced_of(ledger: &Ledger, address: Address) -> Option<AnnouncedOffer> {
    let notice = ledger.notice(Subject::Offer(address))?;
    let (operations, capacity) = match &notice.change {
        Change::Offer(offer) => {
            let total = |calendar: &Calendar| calendar.total_in(&ledger.supply().horizon);
            (offered(ledger, &offer.offers), offer.capacity.as_ref().map(total))
        }
        Change::Withdrawal | Change::Cancellation => (Vec::new(), Some(0)),
    };
    Some(AnnouncedOffer { operations, capacity, in_ms: notice.due_ms.saturating_sub(ledger.market_ms()) })
}

fn offered(ledger: &Ledger, offers: &BTreeMap<OperationId, Offer>) -> Vec<OfferedOperation> {
    let offers = offers.iter().map(|(&operation, offer)| OfferedOperation {
        operation: operation_name(ledger, operation),
        cost: offer.cost,
        minutes: offer.minutes,
    });
    offers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_number_comes_after_what_follows_on_without_a_gap() {
        assert_eq!(first_free(3, []), 3);
        assert_eq!(first_free(3, [3, 4]), 5);
        assert_eq!(first_free(3, [3, 5, 6]), 4);
        assert_eq!(first_free(3, [4, 5]), 3);
    }
}
