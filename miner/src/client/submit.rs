//! Signing statements with the right sequence numbers and handing them to a node.

use std::collections::BTreeMap;
use std::time::Duration;

use chain::codec::encoded_len;
use chain::record::OfferStatement;
use chain::{Record, RecordContent, RecordId, SecretKey, Statement};
use miner_api::{AccountReport, MarketFacts, OfferReport, Refusal};
use scenarios::Money;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::track::POLL_INTERVAL;
use super::{ClientError, NodeClient};
use crate::driver::wall_ms;

/// Records handed in with one request: far below what a request may hold.
const BATCH: usize = 1_000;
/// What a record has at most beside its statement, in bytes: network, author, two numbers, signature.
const RECORD_OVERHEAD: usize = 148;
/// How often statements are signed anew because another client of the same key took their numbers.
const ATTEMPTS: usize = 5;

/// How records are signed and handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitOptions {
    /// The first sequence number; the next free one if absent.
    pub sequence: Option<u64>,
    /// For how long from now on a batch may bring the records; at least a millisecond.
    pub valid_for: Duration,
    /// How long to wait for room, if the pool holds as many records of this key as it may.
    pub patience: Duration,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self { sequence: None, valid_for: Duration::from_secs(3_600), patience: Duration::from_secs(60) }
    }
}

/// A record that was handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SubmittedRecord {
    pub record: RecordId,
    /// What kind of statement it makes.
    pub kind: String,
    pub sequence: u64,
    /// Only a batch before this time may bring it: milliseconds since the Unix epoch.
    pub valid_until_ms: u64,
    /// Why it is not in the pool, if so.
    pub refused: Option<Refusal>,
    /// For a refusal for want of money: what the author lacks.
    pub shortfall: Option<Shortfall>,
}

/// Money that a record needs and its author does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Shortfall {
    /// What the record takes, and what an account keeps.
    pub needed: Money,
    /// What an account keeps of it.
    pub kept: Money,
    /// What is in the author's account.
    pub balance: Money,
    pub missing: Money,
}

/// Signs statements, the first with this sequence number, the others with the next ones, for batches before this time.
pub fn sign_all(
    key: &SecretKey,
    facts: &MarketFacts,
    first_sequence: u64,
    valid_until_ms: u64,
    statements: impl IntoIterator<Item = Statement>,
) -> Vec<Record> {
    let (network, author) = (facts.network, key.public());
    let sign = |(sequence, statement)| {
        RecordContent { network, author, sequence, valid_until_ms, statement }.sign(key)
    };
    (first_sequence..).zip(statements).map(sign).collect()
}

/// What a statement takes from its author's account, who offers this already; `None` beyond the range of money.
pub fn money_taken(
    statement: &Statement,
    facts: &MarketFacts,
    standing: Option<&OfferReport>,
) -> Option<Money> {
    match statement {
        Statement::Demand(demand) => demand.budget.checked_add(demand.solver_fee),
        Statement::Transfer { amount, .. } => Some(*amount),
        Statement::Offer(offer) => {
            let locked = standing.map_or(Money::ZERO, |standing| standing.deposit);
            deposit(facts, offer, standing)?.checked_sub(locked).map(|missing| missing.max(Money::ZERO))
        }
        Statement::OfferWithdrawal | Statement::DemandCancellation { .. } => Some(Money::ZERO),
    }
}

/// What an offer locks in all, of somebody who offers this already; `None` beyond the range of money.
pub fn deposit(facts: &MarketFacts, offer: &OfferStatement, standing: Option<&OfferReport>) -> Option<Money> {
    let for_operations = offer.deposit.checked_mul(i64::try_from(offer.offers.len().max(1)).ok()?)?;
    let offered = offer.capacity.as_ref().map(|calendar| calendar.most_total(facts.horizon.periods));
    let minutes = match (offered, standing.map_or(Some(0), |standing| standing.vouched)) {
        (Some(capacity), Some(vouched)) => capacity.saturating_sub(vouched).max(0),
        (None, _) | (_, None) => 0,
    };
    facts.minute_deposit.checked_mul(minutes)?.checked_add(for_operations)
}

impl NodeClient {
    /// Signs statements of one author and hands them in, in order. A refusal is an answer, not an error.
    ///
    /// # Errors
    /// If the node does not answer, or its pool has no room for the author in time.
    pub async fn submit_statements(
        &mut self,
        key: &SecretKey,
        statements: Vec<Statement>,
        options: SubmitOptions,
    ) -> Result<Vec<SubmittedRecord>, ClientError> {
        let mut submitted = Vec::with_capacity(statements.len());
        let mut sequence = options.sequence;
        let mut left = statements.as_slice();
        while !left.is_empty() {
            let room = self.room(key, options.patience).await?;
            let (now, later) = left.split_at(left.len().min(room).min(BATCH));
            submitted.extend(self.submit_batch(key, now, sequence, options.valid_for).await?);
            sequence = sequence.map(|first| first + now.len() as u64);
            left = later;
        }
        Ok(submitted)
    }

    /// How many more records of this key the pool takes; waits until there is room for one.
    async fn room(&mut self, key: &SecretKey, patience: Duration) -> Result<usize, ClientError> {
        let deadline = Instant::now() + patience;
        let expected = self.market().await?.records_per_author;
        loop {
            let got = self.account(key.public().address()).await?.pending.len();
            if got < expected {
                return Ok(expected - got);
            }
            if Instant::now() >= deadline {
                return Err(ClientError::PoolFull { got, expected });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Hands in what one request holds; signs again what lost its number to another client of the same key.
    async fn submit_batch(
        &mut self,
        key: &SecretKey,
        statements: &[Statement],
        sequence: Option<u64>,
        valid_for: Duration,
    ) -> Result<Vec<SubmittedRecord>, ClientError> {
        let mut done: BTreeMap<usize, SubmittedRecord> = BTreeMap::new();
        for attempt in 1..=ATTEMPTS {
            let facts = self.market().await?;
            let account = self.account(key.public().address()).await?;
            let first = sequence.unwrap_or(account.next_sequence);
            let left: Vec<usize> =
                (0..statements.len()).filter(|position| !done.contains_key(position)).collect();
            let chosen = left.iter().map(|&position| statements[position].clone());
            let valid_for_ms = u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX).max(1);
            let valid_until_ms = wall_ms().saturating_add(valid_for_ms);
            let records = sign_all(key, &facts, first, valid_until_ms, chosen);
            let submitted = self.submit(records.clone()).await?;
            let may_try_again = sequence.is_none() && attempt < ATTEMPTS;
            for ((position, record), outcome) in left.into_iter().zip(&records).zip(submitted.outcomes) {
                let refused = outcome.err();
                // By another client of the same key: the next numbers are free again.
                let is_number_taken = refused.as_ref().is_some_and(|refusal| refusal.rule.is_number_taken());
                if !(may_try_again && is_number_taken) {
                    done.insert(position, report(record, refused, &facts, &account));
                }
            }
            if done.len() == statements.len() {
                break;
            }
        }
        Ok(done.into_values().collect())
    }
}

/// What the author of a statement lacks to make it, if anything.
pub fn shortfall(statement: &Statement, facts: &MarketFacts, account: &AccountReport) -> Option<Shortfall> {
    let (kept, balance) = (facts.account_min, account.balance);
    let needed = money_taken(statement, facts, account.offer.as_ref())?
        .checked_add(kept)?
        .checked_add(fee(statement, facts)?)?;
    let missing = needed.checked_sub(balance).filter(|missing| *missing > Money::ZERO)?;
    Some(Shortfall { needed, kept, balance, missing })
}

/// What its record costs, at most; `None` beyond the range of money.
fn fee(statement: &Statement, facts: &MarketFacts) -> Option<Money> {
    if statement.takes_back() {
        return Some(Money::ZERO);
    }
    let bytes = encoded_len(statement).checked_add(RECORD_OVERHEAD)?;
    facts.fee_per_byte.checked_mul(i64::try_from(bytes).ok()?)
}

fn report(
    record: &Record,
    refused: Option<Refusal>,
    facts: &MarketFacts,
    account: &AccountReport,
) -> SubmittedRecord {
    let statement = &record.content.statement;
    SubmittedRecord {
        record: record.id(),
        kind: statement.kind().to_owned(),
        sequence: record.content.sequence,
        valid_until_ms: record.content.valid_until_ms,
        shortfall: refused.as_ref().and_then(|_| shortfall(statement, facts, account)),
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::{Hash, NetworkId};
    use scenarios::{Offer, OperationId, ProviderId, Site};

    #[test]
    fn records_are_numbered_on_and_valid_until_the_time_given() {
        let (key, facts) = (SecretKey::for_scenario(1, "test", 0), facts());
        let statements = [Statement::OfferWithdrawal, Statement::OfferWithdrawal];
        let records = sign_all(&key, &facts, 5, 44, statements);
        let numbers: Vec<u64> = records.iter().map(|record| record.content.sequence).collect();
        assert_eq!(numbers, [5, 6]);
        for record in records {
            assert_eq!(record.content.valid_until_ms, 44);
            assert_eq!(record.content.network, facts.network);
            record.verify_signature().unwrap();
        }
    }

    fn facts() -> MarketFacts {
        MarketFacts {
            name: "test".into(),
            network: NetworkId(Hash([7; 32])),
            height: 41,
            operations: Vec::new(),
            providers: 0,
            solver_fee_ppm: 0,
            account_min: Money::from_units(1),
            min_budget: Money::from_units(1),
            offer_deposit: Money::from_units(2),
            minute_deposit: Money::from_micros(100_000),
            fee_per_byte: Money::from_micros(1),
            demand_lifetime_max_ms: 1_000,
            first_expiry_ms: 1_000,
            places: None,
            horizon: scenarios::Horizon::SINGLE,
            calendar: None,
            records_per_author: 10,
            validators: BTreeMap::new(),
        }
    }

    /// Of somebody who owns so much, and has so much locked for an offer.
    fn account(balance: Money, deposit: Option<Money>) -> AccountReport {
        let offer = deposit.map(|deposit| OfferReport {
            provider: ProviderId(0),
            name: "test".into(),
            site: Site::point(0, 0),
            capacity: None,
            periods: Vec::new(),
            used: 0,
            deposit,
            vouched: Some(5),
            operations: Vec::new(),
            announced: None,
        });
        AccountReport {
            address: SecretKey::for_scenario(1, "test", 0).public().address(),
            height: 41,
            balance,
            spendable: Money::ZERO,
            held: Money::ZERO,
            next_on_chain: 0,
            next_sequence: 0,
            pending: Vec::new(),
            offer,
        }
    }

    #[test]
    fn what_is_missing_is_told_to_the_micro_unit() {
        let to = SecretKey::for_scenario(1, "test", 0).public().address();
        let transfer = Statement::Transfer { to, amount: Money::from_units(3) };
        // 3 $, the 1 $ that an account keeps, and 37 and at most 148 bytes.
        let missing = |balance| {
            shortfall(&transfer, &facts(), &account(balance, None)).map(|shortfall| shortfall.missing)
        };
        assert_eq!(missing(Money::from_micros(4_000_184)), Some(Money::from_micros(1)));
        assert_eq!(missing(Money::from_micros(4_000_185)), None);
    }

    #[test]
    fn an_offer_needs_what_of_its_deposit_is_not_locked_yet_and_a_withdrawal_nothing() {
        let offer = Offer { cost: Money::from_units(1), minutes: 1 };
        let offers = [0, 1, 2].map(|operation| (OperationId(operation), offer));
        let (name, site) = ("test".into(), Site::point(0, 0));
        let (capacity, deposit) = (Some(15), Money::from_units(2));
        let offer =
            OfferStatement { name, site, offers: offers.into(), capacity: capacity.map(i64::into), deposit };
        let offer = Statement::Offer(offer);
        let needed = |statement: &Statement, locked: Option<i64>| {
            let account = account(Money::ZERO, locked.map(Money::from_units));
            let facts = MarketFacts { fee_per_byte: Money::ZERO, ..facts() };
            shortfall(statement, &facts, &account).map(|shortfall| shortfall.needed)
        };
        // 2 $ an operation, 0.1 $ a minute, the first 5 of which genesis vouches for, and the 1 $ that an account keeps.
        assert_eq!(needed(&offer, None), Some(Money::from_micros(8_500_000)));
        assert_eq!(needed(&offer, Some(4)), Some(Money::from_units(4)));
        assert_eq!(needed(&offer, Some(8)), Some(Money::from_units(1)));
        assert_eq!(needed(&Statement::OfferWithdrawal, Some(4)), Some(Money::from_units(1)));
    }
}
