//! Records against the state: whether they may take effect now, and what they do.

use std::sync::Arc;

use scenarios::{Demand, Money, Provider, ProviderId, limits};

use super::Ledger;
use super::state::{DemandEntry, DemandStatus, State, Usage};
use crate::genesis::Network;
use crate::key::Address;
use crate::record::{
    DemandId, DemandStatement, Height, OfferStatement, Record, RecordContent, RecordId, Statement,
};
use crate::validate::Rejection;
use crate::validate::record::RecordError;

/// What may become of a record that is right by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOutlook {
    /// The next block may bring it.
    Now,
    /// A later block may: an earlier record of its author is missing, or its window has not begun.
    Later(RecordError),
    /// No block will, unless the state turns back in its favour (say, its author is given money).
    Never(RecordError),
}

pub(super) fn outlook(ledger: &Ledger, record: &Record) -> RecordOutlook {
    let height = ledger.head.height.saturating_add(1);
    let content = &record.content;
    if height > content.valid_until {
        return RecordOutlook::Never(RecordError::Expired { got: height, expected: content.valid_until });
    }
    let author = record.author();
    match validate_sequence(&ledger.state, content, author) {
        Err(error @ RecordError::SequenceGap { .. }) => return RecordOutlook::Later(error),
        Err(error) => return RecordOutlook::Never(error),
        Ok(()) => {}
    }
    if height < content.valid_from {
        return RecordOutlook::Later(RecordError::NotYetValid { got: height, expected: content.valid_from });
    }
    match validate_statement(&ledger.state, &ledger.network, author, &content.statement) {
        Ok(()) => RecordOutlook::Now,
        Err(error) => RecordOutlook::Never(error),
    }
}

pub(super) fn admissible(
    ledger: &Ledger,
    candidates: &[Record],
) -> (Vec<Record>, Vec<(RecordId, RecordError)>) {
    let mut state = ledger.state.clone();
    let height = ledger.head.height.saturating_add(1);
    // What freezes at this height pays first, so its money can be spent.
    if state.settle_due(&ledger.network, height).is_err() {
        return (Vec::new(), Vec::new());
    }
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for record in candidates {
        let id = record.id();
        match state.bring(&ledger.network, height, record, id) {
            Ok(()) => kept.push(record.clone()),
            Err(BringError::Refused(error)) => refused.push((id, error)),
            Err(BringError::Internal(_)) => break,
        }
    }
    (kept, refused)
}

/// Why a record did not take effect.
pub(super) enum BringError {
    Refused(RecordError),
    Internal(Rejection),
}

impl From<RecordError> for BringError {
    fn from(error: RecordError) -> Self {
        Self::Refused(error)
    }
}

impl From<Rejection> for BringError {
    fn from(error: Rejection) -> Self {
        Self::Internal(error)
    }
}

impl State {
    /// Checks a record against the state and lets it take effect; on an error nothing changes but what an
    /// internal one may leave half done (the caller then drops this state).
    pub(super) fn bring(
        &mut self,
        network: &Network,
        height: Height,
        record: &Record,
        id: RecordId,
    ) -> Result<(), BringError> {
        let (content, author) = (&record.content, record.author());
        validate_window(content, height)?;
        validate_sequence(self, content, author)?;
        validate_statement(self, network, author, &content.statement)?;
        let next = content.sequence.checked_add(1).ok_or(Rejection::Arithmetic("a sequence number"))?;
        self.sequences.insert(author, next);
        match &content.statement {
            Statement::Offer(offer) => self.apply_offer(author, offer)?,
            Statement::OfferWithdrawal => self.apply_withdrawal(author),
            Statement::Demand(demand) => self.apply_demand(author, demand, id, height)?,
            Statement::DemandCancellation { demand } => self.apply_cancellation(*demand, height)?,
            Statement::Transfer { to, amount } => {
                self.debit(author, *amount)?;
                self.credit(*to, *amount)?;
            }
        }
        Ok(())
    }

    fn apply_offer(&mut self, author: Address, offer: &OfferStatement) -> Result<(), Rejection> {
        let provider = Provider {
            name: offer.name.clone(),
            site: offer.site,
            offers: offer.offers.clone(),
            capacity: offer.capacity,
        };
        let supply = self.supply.make_mut();
        if let Some(&id) = self.provider_ids.get(&author) {
            let place = supply.providers.get_mut(id.index());
            *place.ok_or(Rejection::Arithmetic("a provider id"))? = provider;
            // Unlimited capacity has no price.
            if offer.capacity.is_none()
                && let Some(price) = self.prices.0.get_mut(id.index())
            {
                *price = Money::ZERO;
            }
        } else {
            self.provider_ids.insert(author, ProviderId::from_index(supply.providers.len()));
            supply.providers.push(provider);
            self.provider_addresses.push(author);
            self.usage.push(Usage::default());
        }
        Ok(())
    }

    /// Offers nothing and has nothing left, but keeps its id: standing compositions keep their terms.
    fn apply_withdrawal(&mut self, author: Address) {
        let id = self.provider_ids.get(&author).copied();
        let supply = self.supply.make_mut();
        if let Some(provider) = id.and_then(|id| supply.providers.get_mut(id.index())) {
            provider.offers.clear();
            provider.capacity = Some(0);
        }
    }

    fn apply_demand(
        &mut self,
        author: Address,
        statement: &DemandStatement,
        id: DemandId,
        height: Height,
    ) -> Result<(), Rejection> {
        let escrow = escrow(statement).ok_or(Rejection::Arithmetic("an escrow"))?;
        self.debit(author, escrow)?;
        let demand = Demand {
            name: statement.name.clone(),
            site: statement.site,
            orders: statement.orders.clone(),
            budget: statement.budget,
        };
        let entry = DemandEntry {
            author,
            demand,
            solver_fee: statement.solver_fee,
            since: height,
            escrow,
            clearing: Money::ZERO,
            status: DemandStatus::Open,
        };
        self.demands.insert(id, Arc::new(entry));
        self.market_size = self.market_size.saturating_add(1);
        Ok(())
    }

    fn apply_cancellation(&mut self, id: DemandId, height: Height) -> Result<(), Rejection> {
        let entry = self.demand_mut(id)?;
        let (author, escrow) = (entry.author, entry.escrow);
        entry.escrow = Money::ZERO;
        entry.status = DemandStatus::Cancelled { height };
        self.market_size = self.market_size.saturating_sub(1);
        self.credit(author, escrow)
    }
}

/// Budget + solver fee.
fn escrow(demand: &DemandStatement) -> Option<Money> {
    demand.budget.checked_add(demand.solver_fee)
}

fn validate_window(content: &RecordContent, height: Height) -> Result<(), RecordError> {
    if height < content.valid_from {
        return Err(RecordError::NotYetValid { got: height, expected: content.valid_from });
    }
    if height > content.valid_until {
        return Err(RecordError::Expired { got: height, expected: content.valid_until });
    }
    Ok(())
}

fn validate_sequence(state: &State, content: &RecordContent, author: Address) -> Result<(), RecordError> {
    let (got, expected) = (content.sequence, state.next_sequence(author));
    match got.cmp(&expected) {
        std::cmp::Ordering::Less => Err(RecordError::SequenceUsed { author, got, expected }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(RecordError::SequenceGap { author, got, expected }),
    }
}

fn validate_statement(
    state: &State,
    network: &Network,
    author: Address,
    statement: &Statement,
) -> Result<(), RecordError> {
    match statement {
        Statement::Offer(_) => validate_room_for_provider(state, author),
        Statement::OfferWithdrawal => {
            let provider = state.provider_ids.get(&author).and_then(|&id| state.supply.provider(id));
            match provider {
                Some(provider) if !provider.offers.is_empty() => Ok(()),
                _ => Err(RecordError::NothingOffered { author }),
            }
        }
        Statement::Demand(demand) => {
            let expected = usize::try_from(network.parameters().limits.market_demands).unwrap_or(usize::MAX);
            if state.market_size >= expected {
                return Err(RecordError::MarketFull { got: state.market_size, expected });
            }
            let (got, expected) = (state.balance(author), escrow(demand).unwrap_or(limits::BUDGET));
            if got < expected {
                return Err(RecordError::InsufficientEscrow { author, got, expected });
            }
            Ok(())
        }
        Statement::DemandCancellation { demand } => validate_cancellation(state, author, *demand),
        Statement::Transfer { amount, .. } => {
            let got = state.balance(author);
            if got < *amount {
                return Err(RecordError::Overdraft { author, got, expected: *amount });
            }
            Ok(())
        }
    }
}

fn validate_room_for_provider(state: &State, author: Address) -> Result<(), RecordError> {
    let got = state.provider_addresses.len();
    if got >= limits::PROVIDERS && !state.provider_ids.contains_key(&author) {
        return Err(RecordError::TooManyProviders { got, expected: limits::PROVIDERS });
    }
    Ok(())
}

fn validate_cancellation(state: &State, author: Address, demand: DemandId) -> Result<(), RecordError> {
    let Some(entry) = state.demands.get(&demand) else {
        return Err(RecordError::UnknownDemand { demand });
    };
    if entry.author != author {
        return Err(RecordError::NotDemandAuthor { demand, got: author, expected: entry.author });
    }
    if !entry.is_open() {
        return Err(RecordError::DemandNotOpen { demand, got: entry.status.name() });
    }
    Ok(())
}
