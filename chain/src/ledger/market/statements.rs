//! What the market's participants may state, and what it does: offers, withdrawals, demands, cancellations. What is wrong
//! with them whatever the state is checked before ([`crate::validate::record`]).

use scenarios::{Demand, Money, Provider, limits};

use super::demands::Departed;
use super::entry::{DemandEntry, DemandStatus};
use crate::genesis::Network;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::state::{Moment, State};
use crate::record::{DemandId, DemandStatement, Height, OfferStatement};
use crate::record_rule::RecordRule;

/// Why the market refuses a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum MarketStatementError {
    /// The demand's time would have come with the batch that brings it.
    #[error("the demand expires at {got} ms, expected later than the batch's {expected} ms")]
    DemandExpired {
        got: u64,
        /// The batch's time.
        expected: u64,
    },
    /// The demand would stay open for too long.
    #[error("the demand expires at {got} ms, expected at most {expected} ms in a batch of now")]
    LivesTooLong {
        got: u64,
        /// The batch's time + `demand_lifetime_max_ms`.
        expected: u64,
    },
    /// The demander cannot pay budget and fee into escrow.
    #[error("{} can spend {got}, the escrow of budget and fee needs {expected}", .author.short())]
    InsufficientEscrow {
        author: Address,
        /// What its account has above `account_min`.
        got: Money,
        /// Budget + solver fee.
        expected: Money,
    },
    /// The provider cannot lock the deposit of its offer.
    #[error("{} can spend {got}, the deposit of the offer takes {expected}", .author.short())]
    InsufficientDeposit {
        author: Address,
        /// What its account has above `account_min`.
        got: Money,
        /// `offer_deposit` for each operation, less what is locked for the offer that it replaces.
        expected: Money,
    },
    /// The cancelled demand is not on chain, or has left the market: settled, or cancelled before.
    #[error("demand {demand} is not on chain, or has left the market")]
    UnknownDemand { demand: DemandId },
    /// Somebody else's demand is cancelled.
    #[error("demand {demand:?} belongs to {}, not to {}", .expected.short(), .got.short())]
    NotDemandAuthor {
        demand: DemandId,
        got: Address,
        /// Whose demand it is.
        expected: Address,
    },
    /// The cancelled demand is composed: too late.
    #[error("demand {demand:?} cannot be cancelled: it is {got}, expected open")]
    DemandNotOpen { demand: DemandId, got: &'static str },
    /// An author withdraws an offer who has none.
    #[error("{} offers nothing that could be withdrawn", .author.short())]
    NothingOffered { author: Address },
    /// The market has as many providers as it may.
    #[error("the market has {got} providers, expected fewer than {expected} for another")]
    TooManyProviders { got: usize, expected: usize },
    /// The market has as many demands as it may.
    #[error("the market has {got} demands, expected fewer than {expected} for another")]
    MarketFull {
        /// Demands, open or composed.
        got: usize,
        expected: usize,
    },
}

impl MarketStatementError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> RecordRule {
        match self {
            Self::DemandExpired { .. } => RecordRule::DemandExpired,
            Self::LivesTooLong { .. } => RecordRule::DemandLifetime,
            Self::InsufficientEscrow { .. } => RecordRule::InsufficientEscrow,
            Self::InsufficientDeposit { .. } => RecordRule::InsufficientDeposit,
            Self::UnknownDemand { .. } => RecordRule::CancellationUnknownDemand,
            Self::NotDemandAuthor { .. } => RecordRule::CancellationAuthor,
            Self::DemandNotOpen { .. } => RecordRule::CancellationTooLate,
            Self::NothingOffered { .. } => RecordRule::WithdrawalWithoutOffer,
            Self::TooManyProviders { .. } => RecordRule::ProvidersMax,
            Self::MarketFull { .. } => RecordRule::MarketDemandsMax,
        }
    }
}

impl State {
    /// There is room for another provider, or the author is one, and it can lock the deposit.
    pub(in crate::ledger) fn validate_offer(
        &self,
        author: Address,
        offer: &OfferStatement,
    ) -> Result<(), MarketStatementError> {
        let (got, expected) = (self.providers.count(), limits::PROVIDERS);
        if got >= expected && self.providers.id_of(author).is_none() {
            return Err(MarketStatementError::TooManyProviders { got, expected });
        }
        self.validate_deposit(author, offer.offers.len())
    }

    pub(in crate::ledger) fn validate_withdrawal(&self, author: Address) -> Result<(), MarketStatementError> {
        match self.providers.id_of(author).and_then(|id| self.providers.supply().provider(id)) {
            Some(provider) if !provider.offers.is_empty() => Ok(()),
            _ => Err(MarketStatementError::NothingOffered { author }),
        }
    }

    /// It expires in time, the market has room for it, and its author pays budget and fee into escrow.
    pub(in crate::ledger) fn validate_demand(
        &self,
        network: &Network,
        at: Moment,
        author: Address,
        demand: &DemandStatement,
    ) -> Result<(), MarketStatementError> {
        let (got, expected) = (demand.expires_ms, at.timestamp_ms);
        if got <= expected {
            return Err(MarketStatementError::DemandExpired { got, expected });
        }
        let expected = expected.saturating_add(network.parameters().demand_lifetime_max_ms);
        if got > expected {
            return Err(MarketStatementError::LivesTooLong { got, expected });
        }
        let expected = usize::try_from(network.parameters().limits.market_demands).unwrap_or(usize::MAX);
        let got = self.demands.count();
        if got >= expected {
            return Err(MarketStatementError::MarketFull { got, expected });
        }
        let (got, expected) = (self.accounts.spendable(author), escrow(demand).unwrap_or(limits::BUDGET));
        if got < expected {
            return Err(MarketStatementError::InsufficientEscrow { author, got, expected });
        }
        Ok(())
    }

    pub(in crate::ledger) fn validate_cancellation(
        &self,
        author: Address,
        demand: DemandId,
    ) -> Result<(), MarketStatementError> {
        let entry = self.demands.get(demand).ok_or(MarketStatementError::UnknownDemand { demand })?;
        if entry.author != author {
            let expected = entry.author;
            return Err(MarketStatementError::NotDemandAuthor { demand, got: author, expected });
        }
        if !entry.is_open() {
            return Err(MarketStatementError::DemandNotOpen { demand, got: entry.status.name() });
        }
        Ok(())
    }

    pub(in crate::ledger) fn apply_offer(
        &mut self,
        author: Address,
        offer: &OfferStatement,
    ) -> Result<(), Defect> {
        let provider = Provider {
            name: offer.name.clone(),
            site: offer.site,
            offers: offer.offers.clone(),
            capacity: offer.capacity,
        };
        let id = self.providers.offer(author, provider)?;
        self.lock_deposit(id)
    }

    /// The author offers nothing any more; its deposit returns at the end of a batch after which nothing standing rests on
    /// it, this one or a later one.
    pub(in crate::ledger) fn apply_withdrawal(&mut self, author: Address) -> Result<(), Defect> {
        let id = self.providers.id_of(author).ok_or(Defect::ProviderId)?;
        self.providers.withdraw(id)
    }

    pub(in crate::ledger) fn apply_demand(
        &mut self,
        author: Address,
        statement: &DemandStatement,
        id: DemandId,
        at: Moment,
    ) -> Result<(), Defect> {
        let escrow = escrow(statement).ok_or(Defect::Escrow)?;
        self.accounts.debit(author, escrow)?;
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
            since: at.height,
            since_ms: at.market_ms(),
            expires_ms: statement.expires_ms,
            escrow,
            clearing: Money::ZERO,
            status: DemandStatus::Open,
        };
        self.demands.bring(id, entry)
    }

    /// Gives the escrow back and takes the demand off the market; it, as it left.
    pub(in crate::ledger) fn apply_cancellation(
        &mut self,
        id: DemandId,
        height: Height,
    ) -> Result<Departed, Defect> {
        self.give_back(id, DemandStatus::Cancelled { height })
    }
}

/// Budget + solver fee.
fn escrow(demand: &DemandStatement) -> Option<Money> {
    demand.budget.checked_add(demand.solver_fee)
}
