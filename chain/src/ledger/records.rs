//! Records against the state: whether they may take effect now, and what they do. What a statement may say is for the
//! room to judge that it is about.

use std::collections::BTreeSet;

use super::Ledger;
use super::accounts::AccountError;
use super::defect::Defect;
use super::market::{Departed, MarketStatementError};
use super::state::{Moment, State};
use crate::codec::encoded_len;
use crate::genesis::Network;
use crate::key::Address;
use crate::record::{Record, RecordContent, RecordId, Statement};
use crate::record_rule::RecordRule;
use scenarios::{Money, ProviderId};

/// Why the state refuses a record that is right by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The batch comes too late for the record.
    #[error("the record is valid until {expected} ms, expected later than the batch's {got} ms")]
    Expired {
        /// The batch's time.
        got: u64,
        /// The time that it should have been before.
        expected: u64,
    },
    /// Its author's account refuses it.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The market refuses it.
    #[error(transparent)]
    Market(#[from] MarketStatementError),
}

impl StatementError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> RecordRule {
        match self {
            Self::Expired { .. } => RecordRule::Expired,
            Self::Account(error) => error.rule(),
            Self::Market(error) => error.rule(),
        }
    }
}

/// What may become of a record that is right by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOutlook {
    /// The next batch may bring it.
    Now,
    /// A later batch may: an earlier record of its author is missing, or it expires too far ahead of a batch that would
    /// come at once.
    Later(StatementError),
    /// No batch will, unless the state turns back in its favour (say, its author is given money).
    Never(StatementError),
}

/// The earliest that the next batch may be: no halt lies between.
const fn earliest(ledger: &Ledger) -> Moment {
    Moment {
        height: ledger.head.height.saturating_add(1),
        timestamp_ms: ledger.head.timestamp_ms.saturating_add(1),
        halted_ms: ledger.state.halted_ms,
    }
}

/// Whether the earliest next batch may bring a record, as far as a demand's lifetime goes.
pub(super) fn is_within_reach(ledger: &Ledger, content: &RecordContent) -> bool {
    let latest =
        earliest(ledger).timestamp_ms.saturating_add(ledger.network.parameters().demand_lifetime_max_ms);
    match &content.statement {
        Statement::Demand(demand) => demand.expires_ms <= latest,
        Statement::Offer(_)
        | Statement::OfferWithdrawal
        | Statement::DemandCancellation { .. }
        | Statement::Transfer { .. } => true,
    }
}

pub(super) fn outlook(ledger: &Ledger, record: &Record) -> RecordOutlook {
    let (at, content) = (earliest(ledger), &record.content);
    if let Err(error) = validate_on_time(content, at) {
        return RecordOutlook::Never(error);
    }
    let author = record.author();
    // First of all: what its author cannot pay for is not to be kept, however far it is from coming on chain.
    if let Err(error) = ledger.state.accounts.validate_author(author) {
        return RecordOutlook::Never(error.into());
    }
    match ledger.state.accounts.validate_sequence(author, content.sequence) {
        Err(error @ AccountError::SequenceGap { .. }) => return RecordOutlook::Later(error.into()),
        Err(error) => return RecordOutlook::Never(error.into()),
        Ok(()) => {}
    }
    let fee = fee_of(&ledger.network, record);
    if let Err(error) = ledger.state.accounts.validate_fee(author, fee) {
        return RecordOutlook::Never(error.into());
    }
    // What the statement may take is what the fee leaves.
    let mut state = ledger.state.clone();
    if state.accounts.burn(author, fee).is_err() {
        let (got, expected) = (state.accounts.spendable(author), fee);
        return RecordOutlook::Never(AccountError::Fee { author, got, expected }.into());
    }
    match state.validate_statement(&ledger.network, at, author, &content.statement) {
        Ok(()) => RecordOutlook::Now,
        Err(error @ StatementError::Market(MarketStatementError::LivesTooLong { .. })) => {
            RecordOutlook::Later(error)
        }
        Err(error) => RecordOutlook::Never(error),
    }
}

/// Records tried one after another, each on what those before it have left: see [`Ledger::try_records`].
#[derive(Debug)]
pub struct RecordTrial<'a> {
    network: &'a Network,
    at: Moment,
    state: State,
}

impl<'a> RecordTrial<'a> {
    pub(super) fn begin(ledger: &'a Ledger, timestamp_ms: u64) -> Result<Self, Defect> {
        let at = ledger.moment(timestamp_ms.max(earliest(ledger).timestamp_ms))?;
        let mut state = ledger.state.clone();
        // What freezes or expires with this batch pays first, so its money can be spent.
        state.leave_due(&ledger.network, at)?;
        Ok(Self { network: &ledger.network, at, state })
    }

    /// Lets a record take effect that has passed [`crate::validate::record::check_record`].
    ///
    /// # Errors
    /// Why the batch could not bring it here; then it has no effect.
    pub fn bring(&mut self, record: &Record, id: RecordId) -> Result<(), BringError> {
        self.state.bring(self.network, self.at, record, id).map(|_| ())
    }
}

pub(super) fn admissible(
    ledger: &Ledger,
    candidates: &[Record],
    timestamp_ms: u64,
) -> (Vec<Record>, Vec<(RecordId, StatementError)>) {
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    let Ok(mut trial) = RecordTrial::begin(ledger, timestamp_ms) else { return (kept, refused) };
    for record in candidates {
        let id = record.id();
        match trial.bring(record, id) {
            Ok(()) => kept.push(record.clone()),
            Err(BringError::Refused(error)) => refused.push((id, error)),
            Err(BringError::Internal(_)) => break,
        }
    }
    (kept, refused)
}

/// Why a record did not take effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BringError {
    /// The state refuses it; nothing has changed.
    #[error(transparent)]
    Refused(StatementError),
    /// The state contradicts itself, and may be left half changed.
    #[error(transparent)]
    Internal(Defect),
}

impl<E: Into<StatementError>> From<E> for BringError {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl State {
    /// Checks a record against the state and lets it take effect; on an error nothing changes but what an
    /// internal one may leave half done (the caller then drops this state).
    pub(super) fn bring(
        &mut self,
        network: &Network,
        at: Moment,
        record: &Record,
        id: RecordId,
    ) -> Result<Done, BringError> {
        let (content, author) = (&record.content, record.author());
        validate_on_time(content, at)?;
        self.accounts.validate_author(author)?;
        self.accounts.validate_sequence(author, content.sequence)?;
        let fee = fee_of(network, record);
        self.accounts.validate_fee(author, fee)?;
        // What the statement may take is what the fee leaves.
        let before = self.accounts.clone();
        self.accounts.burn(author, fee).map_err(BringError::Internal)?;
        if let Err(error) = self.validate_statement(network, at, author, &content.statement) {
            self.accounts = before;
            return Err(error.into());
        }
        self.apply(network, record, author, id, at).map_err(BringError::Internal)
    }

    fn validate_statement(
        &self,
        network: &Network,
        at: Moment,
        author: Address,
        statement: &Statement,
    ) -> Result<(), StatementError> {
        match statement {
            Statement::Offer(offer) => self.validate_offer(network, at, author, offer)?,
            Statement::OfferWithdrawal => self.validate_withdrawal(author)?,
            Statement::Demand(demand) => self.validate_demand(network, at, author, demand)?,
            Statement::DemandCancellation { demand } => self.validate_cancellation(author, *demand)?,
            Statement::Transfer { to, amount } => self.accounts.validate_transfer(author, *to, *amount)?,
        }
        Ok(())
    }

    fn apply(
        &mut self,
        network: &Network,
        record: &Record,
        author: Address,
        id: RecordId,
        at: Moment,
    ) -> Result<Done, Defect> {
        self.accounts.use_sequence(author, record.content.sequence)?;
        let mut done = Done::default();
        match &record.content.statement {
            Statement::Offer(offer) => done.changed = self.apply_offer(network, at, author, offer)?,
            Statement::OfferWithdrawal => {
                self.apply_withdrawal(network, at, author)?;
                done.changed.extend(self.providers.id_of(author));
            }
            Statement::Demand(demand) => self.apply_demand(network, author, demand, id, at)?,
            Statement::DemandCancellation { demand } => {
                done.departed = self.apply_cancellation(network, at, *demand)?;
            }
            Statement::Transfer { to, amount } => self.accounts.transfer(author, *to, *amount)?,
        }
        Ok(done)
    }
}

/// What a record did, beside its effect on accounts.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// A demand that left the market.
    pub(super) departed: Option<Departed>,
    /// Providers whose offers are others, or whose deposits.
    pub(super) changed: BTreeSet<ProviderId>,
}

/// What a record's bytes cost its author. Beyond the range of money is more than anybody has.
fn fee_of(network: &Network, record: &Record) -> Money {
    if record.content.statement.takes_back() {
        return Money::ZERO;
    }
    let bytes = i64::try_from(encoded_len(record)).unwrap_or(i64::MAX);
    network.parameters().fee_per_byte.checked_mul(bytes).unwrap_or(Money::from_micros(i64::MAX))
}

const fn validate_on_time(content: &RecordContent, at: Moment) -> Result<(), StatementError> {
    let (got, expected) = (at.timestamp_ms, content.valid_until_ms);
    if got < expected { Ok(()) } else { Err(StatementError::Expired { got, expected }) }
}
