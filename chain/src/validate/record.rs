//! What is right or wrong with a record by itself, whatever the state; the signature last. What depends on
//! the state is in [`crate::ledger`], and its errors, wrapped here.

use std::collections::BTreeMap;

use scenarios::parameters::DEPOSIT;
use scenarios::{Calendar, Minutes, Money, Offer, OperationId, Period, Site, TimeWindow, limits};

use super::fault::Fault;
use crate::codec::encode;
use crate::genesis::scenario::least_solver_fee;
use crate::genesis::{Genesis, Network};
use crate::key::{Address, KeyError};
use crate::ledger::StatementError;
use crate::record::{DemandStatement, NetworkId, Record, Statement};
use crate::record_rule::RecordRule;

/// What is wrong with the terms of an offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum OfferError {
    /// The name is too long.
    #[error("its name has {got} bytes, expected at most {expected}")]
    Name {
        /// Bytes of the name.
        got: usize,
        expected: usize,
    },
    /// The site is not of the market's geometry, or outside its range.
    #[error("its site {got:?} is not one of this market")]
    Site { got: Site },
    /// Nothing is offered.
    #[error("it offers no operation, expected at least one (withdraw the offer to offer nothing)")]
    NoOperation,
    /// An operation does not exist.
    #[error("it offers {got}, but the market has {expected} operations")]
    UnknownOperation {
        got: OperationId,
        /// Operations of the market.
        expected: usize,
    },
    /// A processing cost is out of range.
    #[error("{operation} costs {got}, expected 0 to {expected}")]
    Cost { operation: OperationId, got: Money, expected: Money },
    /// A processing time is out of range.
    #[error("{operation} takes {got} minutes, expected 0 to {expected}")]
    Minutes {
        operation: OperationId,
        /// Its minutes.
        got: Minutes,
        expected: Minutes,
    },
    /// The deposit is out of range.
    #[error("its deposit is {got} for each operation, expected {lowest} to {highest}")]
    Deposit {
        got: Money,
        /// `offer_deposit`.
        lowest: Money,
        highest: Money,
    },
    /// The capacity is out of range.
    #[error("its capacity is {got} minutes, expected 0 to {expected}")]
    Capacity { got: Minutes, expected: Minutes },
    /// Its calendar is too long.
    #[error("its calendar has {got} entries, expected at most {expected}")]
    CalendarEntries { got: usize, expected: usize },
    /// Its calendar speaks of a time beyond all calendars.
    #[error("its calendar speaks of {got}, expected {expected} at most")]
    Period { got: Period, expected: Period },
    /// It has a calendar in a market without periods.
    #[error(
        "its capacity differs between periods, and this market has a single one: expected one number of minutes"
    )]
    NoPeriods,
}

/// What is wrong with a record, by itself or against the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum RecordError {
    /// It has too many bytes.
    #[error("the record has {got} bytes, expected at most {expected}")]
    TooLarge {
        /// Its bytes.
        got: usize,
        expected: usize,
    },
    /// It is meant for another network.
    #[error("the record is for network {got:?}, this is {expected:?}")]
    WrongNetwork {
        got: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// Its author's key is unusable or did not sign it.
    #[error("the author {}: {error}", .author.short())]
    Signature {
        /// Whose signature it should be.
        author: Address,
        error: KeyError,
    },
    /// The offer's terms are refused.
    #[error("the offer: {0}")]
    Offer(#[from] OfferError),
    /// A demand's name is too long.
    #[error("the demand's name has {got} bytes, expected at most {expected}")]
    DemandName {
        /// Bytes of the name.
        got: usize,
        expected: usize,
    },
    /// A demand's site is not of the market's geometry, or outside its range.
    #[error("the demand's site {got:?} is not one of this market")]
    DemandSite { got: Site },
    /// A demand orders nothing or too much.
    #[error("the demand has {got} orders, expected 1 to {expected}")]
    OrderCount {
        /// Its orders.
        got: usize,
        expected: usize,
    },
    /// A demand orders an operation that does not exist.
    #[error("order {order} of the demand asks for {got}, but the market has {expected} operations")]
    UnknownOperation {
        /// The order's position.
        order: usize,
        got: OperationId,
        /// Operations of the market.
        expected: usize,
    },
    /// A demand is due before it is released.
    #[error("the demand is due in {got}, expected {expected} or later, its release")]
    DueBeforeRelease { got: Period, expected: Period },
    /// A demand speaks of a time beyond all calendars.
    #[error("the demand speaks of {got}, expected {expected} at most")]
    Period { got: Period, expected: Period },
    /// A demand has a window in a market without periods.
    #[error("the demand is to be served {got}, and this market has a single period: expected no window")]
    NoPeriods { got: TimeWindow },
    /// A budget is out of range.
    #[error("the demand's budget is {got}, expected {lowest} to {highest}")]
    Budget {
        got: Money,
        /// `min_budget` for each order.
        lowest: Money,
        highest: Money,
    },
    /// The solver fee is too small.
    #[error("the solver fee is {got}, expected at least {expected} for this budget")]
    FeeTooSmall { got: Money, expected: Money },
    /// The solver fee is too large.
    #[error("the solver fee is {got}, expected at most {expected}")]
    FeeTooLarge { got: Money, expected: Money },
    /// A transfer gives nothing.
    #[error("the transfer is of {got}, expected more than 0")]
    TransferAmount { got: Money },
    /// The state refuses it as it stands.
    #[error(transparent)]
    State(#[from] StatementError),
}

impl RecordError {
    /// Whose fault it is that a record with this error was sent: views of the chain differ between honest
    /// nodes, but what is wrong by itself is wrong for everyone.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::TooLarge { .. }
            | Self::WrongNetwork { .. }
            | Self::Signature { .. }
            | Self::Offer(_)
            | Self::DemandName { .. }
            | Self::DemandSite { .. }
            | Self::OrderCount { .. }
            | Self::UnknownOperation { .. }
            | Self::DueBeforeRelease { .. }
            | Self::Period { .. }
            | Self::NoPeriods { .. }
            | Self::Budget { .. }
            | Self::FeeTooSmall { .. }
            | Self::FeeTooLarge { .. }
            | Self::TransferAmount { .. } => Fault::Peer,
            Self::State(_) => Fault::Transient,
        }
    }

    /// The rule it breaks.
    pub const fn rule(&self) -> RecordRule {
        match self {
            Self::TooLarge { .. } => RecordRule::Size,
            Self::WrongNetwork { .. } => RecordRule::Network,
            Self::Signature { error: KeyError::BadSignature, .. } => RecordRule::Signature,
            Self::Signature { .. } => RecordRule::Key,
            Self::Offer(_) => RecordRule::Offer,
            Self::DemandName { .. } => RecordRule::DemandName,
            Self::DemandSite { .. } => RecordRule::DemandSite,
            Self::OrderCount { .. } => RecordRule::DemandOrders,
            Self::UnknownOperation { .. } => RecordRule::DemandOperation,
            Self::DueBeforeRelease { .. } | Self::Period { .. } | Self::NoPeriods { .. } => {
                RecordRule::DemandWindow
            }
            Self::Budget { .. } => RecordRule::DemandBudget,
            Self::FeeTooSmall { .. } | Self::FeeTooLarge { .. } => RecordRule::DemandFee,
            Self::TransferAmount { .. } => RecordRule::TransferAmount,
            Self::State(error) => error.rule(),
        }
    }
}

/// Checks what a record says by itself, cheapest first, its signature last.
///
/// # Errors
/// The first rule broken; always the sender's fault.
pub fn check_record(network: &Network, record: &Record) -> Result<(), RecordError> {
    let content = &record.content;
    if content.network != network.id() {
        return Err(RecordError::WrongNetwork { got: content.network, expected: network.id() });
    }
    let genesis = network.genesis();
    match &content.statement {
        Statement::Offer(offer) => {
            validate_offer_terms(genesis, &offer.name, offer.site, &offer.offers, offer.capacity.as_ref())?;
            let (got, lowest, highest) = (offer.deposit, genesis.parameters.offer_deposit, DEPOSIT);
            if !(lowest..=highest).contains(&got) {
                return Err(OfferError::Deposit { got, lowest, highest }.into());
            }
        }
        Statement::Demand(demand) => validate_demand(genesis, demand)?,
        Statement::Transfer { amount, .. } if *amount <= Money::ZERO => {
            return Err(RecordError::TransferAmount { got: *amount });
        }
        Statement::Transfer { .. } | Statement::OfferWithdrawal | Statement::DemandCancellation { .. } => {}
    }
    validate_size(network, record)?;
    record.verify_signature().map_err(|error| RecordError::Signature { author: record.author(), error })
}

fn validate_size(network: &Network, record: &Record) -> Result<(), RecordError> {
    let expected = usize::try_from(network.parameters().limits.record_bytes).unwrap_or(usize::MAX);
    let got = encode(record).len();
    if got > expected { Err(RecordError::TooLarge { got, expected }) } else { Ok(()) }
}

/// Checks the terms of an offer against the market's operations, geometry and limits.
///
/// # Errors
/// The first rule broken.
pub fn validate_offer_terms(
    genesis: &Genesis,
    name: &str,
    site: Site,
    offers: &BTreeMap<OperationId, Offer>,
    capacity: Option<&Calendar>,
) -> Result<(), OfferError> {
    if name.len() > limits::NAME_BYTES {
        return Err(OfferError::Name { got: name.len(), expected: limits::NAME_BYTES });
    }
    if !genesis.geometry.contains(site) {
        return Err(OfferError::Site { got: site });
    }
    if offers.is_empty() {
        return Err(OfferError::NoOperation);
    }
    for (&operation, offer) in offers {
        if operation.index() >= genesis.operations.len() {
            return Err(OfferError::UnknownOperation { got: operation, expected: genesis.operations.len() });
        }
        if !(Money::ZERO..=limits::OFFER_COST).contains(&offer.cost) {
            return Err(OfferError::Cost { operation, got: offer.cost, expected: limits::OFFER_COST });
        }
        if !(0..=limits::OFFER_MINUTES).contains(&offer.minutes) {
            let expected = limits::OFFER_MINUTES;
            return Err(OfferError::Minutes { operation, got: offer.minutes, expected });
        }
    }
    capacity.map_or(Ok(()), |calendar| validate_calendar(genesis, calendar))
}

fn validate_calendar(genesis: &Genesis, calendar: &Calendar) -> Result<(), OfferError> {
    let expected = limits::CAPACITY_MINUTES;
    if let Some(got) = calendar.all_minutes().find(|minutes| !(0..=expected).contains(minutes)) {
        return Err(OfferError::Capacity { got, expected });
    }
    let expected = limits::CALENDAR_ENTRIES;
    let got = calendar.pattern().len().max(calendar.exceptions().len());
    if got > expected {
        return Err(OfferError::CalendarEntries { got, expected });
    }
    if let Some((&got, _)) = calendar.exceptions().last_key_value()
        && got.0 > limits::LATEST_PERIOD
    {
        return Err(OfferError::Period { got, expected: Period(limits::LATEST_PERIOD) });
    }
    let has_periods = genesis.horizon.period_minutes.is_some();
    if !has_periods && *calendar != calendar.minutes_in(Period::ZERO).into() {
        return Err(OfferError::NoPeriods);
    }
    Ok(())
}

fn validate_window(genesis: &Genesis, window: TimeWindow) -> Result<(), RecordError> {
    let TimeWindow { release, due } = window;
    if due < release {
        return Err(RecordError::DueBeforeRelease { got: due, expected: release });
    }
    let expected = Period(limits::LATEST_PERIOD);
    let latest = if due == Period::LAST { release } else { due };
    if latest > expected {
        return Err(RecordError::Period { got: latest, expected });
    }
    if genesis.horizon.period_minutes.is_none() && window != TimeWindow::ANY {
        return Err(RecordError::NoPeriods { got: window });
    }
    Ok(())
}

fn validate_demand(genesis: &Genesis, demand: &DemandStatement) -> Result<(), RecordError> {
    if demand.name.len() > limits::NAME_BYTES {
        return Err(RecordError::DemandName { got: demand.name.len(), expected: limits::NAME_BYTES });
    }
    if !genesis.geometry.contains(demand.site) {
        return Err(RecordError::DemandSite { got: demand.site });
    }
    let (got, expected) = (demand.orders.len(), limits::ORDERS_PER_DEMAND);
    if !(1..=expected).contains(&got) {
        return Err(RecordError::OrderCount { got, expected });
    }
    let expected = genesis.operations.len();
    let unknown = demand.orders.iter().enumerate().find(|(_, operation)| operation.index() >= expected);
    if let Some((order, &got)) = unknown {
        return Err(RecordError::UnknownOperation { order, got, expected });
    }
    validate_window(genesis, demand.window)?;
    let orders = i64::try_from(demand.orders.len()).unwrap_or(i64::MAX);
    let lowest = genesis.parameters.min_budget.checked_mul(orders).unwrap_or(limits::BUDGET);
    let (got, highest) = (demand.budget, limits::BUDGET);
    if !(lowest..=highest).contains(&got) {
        return Err(RecordError::Budget { got, lowest, highest });
    }
    let least = least_solver_fee(demand.budget, genesis.parameters.solver_fee_ppm);
    if demand.solver_fee < least {
        return Err(RecordError::FeeTooSmall { got: demand.solver_fee, expected: least });
    }
    if demand.solver_fee > limits::BUDGET {
        return Err(RecordError::FeeTooLarge { got: demand.solver_fee, expected: limits::BUDGET });
    }
    Ok(())
}
