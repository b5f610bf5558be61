//! What the market's participants may state, and what it does: offers, withdrawals, demands, cancellations. What is wrong
//! with them whatever the state is checked before ([`crate::validate::record`]).

use std::collections::{BTreeMap, BTreeSet};

use scenarios::{Demand, Money, OperationId, Period, Provider, ProviderId, limits};

use super::demands::Departed;
use super::entry::{DemandEntry, DemandStatus};
use super::notices::{Change, Notice, Subject};
use super::room::Room;
use crate::genesis::Network;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::state::{Moment, State};
use crate::record::{DemandId, DemandStatement, OfferStatement};
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
    /// Nothing of the demand's window can be planned any more.
    #[error(
        "the demand is due in {got}, expected {expected} or later: what comes before cannot be planned any more"
    )]
    WindowPast {
        got: Period,
        /// The first period that the batch can plan.
        expected: Period,
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
        /// The offer's deposit for each operation and `minute_deposit` for each minute, less what is locked already.
        expected: Money,
    },
    /// Minutes are locked for, and there is no limit to them.
    #[error("the offer of {} names no capacity, expected one: for each of its minutes something is locked", .author.short())]
    UnlimitedCapacity { author: Address },
    /// An operation is offered as often as it may be, or as there is time for to check.
    #[error(
        "{operation} is offered by {got} (at most {expected} may, or fewer where the market has too many orders), and by none with a \
         deposit below {deposit} that has been idle for long: lock more, or wait"
    )]
    NoRoomForOffer {
        operation: OperationId,
        /// Offers of it.
        got: u64,
        /// `offers_per_operation`.
        expected: u32,
        /// What the offer locks for each operation.
        deposit: Money,
    },
    /// The market has as much work as there may be.
    #[error(
        "with the demand a pass over the market takes {got} steps, expected at most {expected}: wait until others have left"
    )]
    TooMuchWork { got: u64, expected: u64 },
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
            Self::WindowPast { .. } => RecordRule::DemandWindow,
            Self::LivesTooLong { .. } => RecordRule::DemandLifetime,
            Self::InsufficientEscrow { .. } => RecordRule::InsufficientEscrow,
            Self::InsufficientDeposit { .. } => RecordRule::InsufficientDeposit,
            Self::UnlimitedCapacity { .. } => RecordRule::UnlimitedCapacity,
            Self::NoRoomForOffer { .. } => RecordRule::OffersMax,
            Self::TooMuchWork { .. } => RecordRule::MarketWork,
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
    /// There is room for another provider, or the author is one, and for what it offers anew, and it can lock the deposit.
    pub(in crate::ledger) fn validate_offer(
        &self,
        network: &Network,
        at: Moment,
        author: Address,
        offer: &OfferStatement,
    ) -> Result<(), MarketStatementError> {
        let (got, expected) = (self.providers.count(), limits::PROVIDERS);
        let id = self.providers.id_of(author);
        if got >= expected && id.is_none() {
            return Err(MarketStatementError::TooManyProviders { got, expected });
        }
        let before = id.and_then(|id| self.providers.supply().provider(id));
        self.validate_room(network, at, before, offer.offers.keys().copied(), offer.deposit)?;
        self.validate_deposit(author, offer)
    }

    /// It offers something, or will.
    pub(in crate::ledger) fn validate_withdrawal(&self, author: Address) -> Result<(), MarketStatementError> {
        let provider = self.providers.id_of(author).and_then(|id| self.providers.supply().provider(id));
        let offers = match self.notices.get(Subject::Offer(author)).map(|notice| &notice.change) {
            Some(Change::Offer(_)) => true,
            Some(Change::Withdrawal | Change::Cancellation) => false,
            None => provider.is_some_and(|provider| !provider.offers.is_empty()),
        };
        if offers { Ok(()) } else { Err(MarketStatementError::NothingOffered { author }) }
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
        let (got, expected) = (network.plannable_until(demand.window.due), at.timestamp_ms);
        if got <= expected {
            let first = network.first_plannable(expected);
            return Err(MarketStatementError::WindowPast { got: demand.window.due, expected: first });
        }
        self.validate_work(network, &demand.orders, demand.window)?;
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
        if self.notices.get(Subject::Demand(demand)).is_some() {
            return Err(MarketStatementError::DemandNotOpen { demand, got: "about to be cancelled" });
        }
        Ok(())
    }

    /// The author's offer is this one, from when its notice is over. Until then a new provider offers nothing, but has its place.
    /// Whose offers are others now.
    pub(in crate::ledger) fn apply_offer(
        &mut self,
        network: &Network,
        at: Moment,
        author: Address,
        offer: &OfferStatement,
    ) -> Result<BTreeSet<ProviderId>, Defect> {
        let Some(due_ms) = notice_over(network, at) else {
            let changed = self.set_terms(network, at, author, offer)?;
            self.lock_deposit(self.providers.id_of(author).ok_or(Defect::ProviderId)?)?;
            return Ok(changed);
        };
        let id = match self.providers.id_of(author) {
            Some(id) => id,
            None => self.providers.offer(author, offering_nothing(offer), Money::ZERO, at.market_ms())?,
        };
        let notice = Notice { height: at.height, due_ms, change: Change::Offer(offer.clone()) };
        self.notices.give(Subject::Offer(author), notice);
        self.lock_deposit(id)?;
        Ok(BTreeSet::from([id]))
    }

    /// The author's terms are these from now on, but for new operations for which there is no room. Whose offers are others now:
    /// the author's, and those of whoever gives way to it.
    fn set_terms(
        &mut self,
        network: &Network,
        at: Moment,
        author: Address,
        offer: &OfferStatement,
    ) -> Result<BTreeSet<ProviderId>, Defect> {
        let (mut terms, mut changed) = (provider_of(offer), BTreeSet::new());
        let known = self.providers.id_of(author);
        let own = known.unwrap_or_else(|| ProviderId::from_index(self.providers.count()));
        let before = known.and_then(|id| self.providers.supply().provider(id));
        let before: BTreeSet<OperationId> =
            before.into_iter().flat_map(|terms| terms.offers.keys().copied()).collect();
        for operation in before.iter().filter(|operation| !terms.offers.contains_key(operation)) {
            self.work.withdraw(*operation, own);
        }
        for operation in offer.offers.keys().filter(|operation| !before.contains(operation)) {
            match self.room_for(network, at, *operation, offer.deposit) {
                Room::Free => self.work.offer(*operation, own),
                Room::InPlaceOf(id) => {
                    self.providers.give_way(id, *operation)?;
                    self.work.withdraw(*operation, id);
                    self.work.offer(*operation, own);
                    changed.insert(id);
                }
                Room::Full => {
                    terms.offers.remove(operation);
                }
            }
        }
        if terms.offers.is_empty() {
            terms.capacity = Some(0.into());
        }
        changed.insert(self.providers.offer(author, terms, offer.deposit, at.market_ms())?);
        Ok(changed)
    }

    /// A provider offers nothing any more.
    fn end_offer(&mut self, id: ProviderId) -> Result<(), Defect> {
        let provider = self.providers.supply().provider(id).ok_or(Defect::ProviderId)?;
        let operations: Vec<OperationId> = provider.offers.keys().copied().collect();
        for operation in operations {
            self.work.withdraw(operation, id);
        }
        self.providers.withdraw(id)
    }

    /// The author offers nothing any more, from when its notice is over; its deposit returns at the end of a batch after
    /// which nothing standing rests on it, that one or a later one.
    pub(in crate::ledger) fn apply_withdrawal(
        &mut self,
        network: &Network,
        at: Moment,
        author: Address,
    ) -> Result<(), Defect> {
        let id = self.providers.id_of(author).ok_or(Defect::ProviderId)?;
        let Some(due_ms) = notice_over(network, at) else { return self.end_offer(id) };
        let notice = Notice { height: at.height, due_ms, change: Change::Withdrawal };
        self.notices.give(Subject::Offer(author), notice);
        Ok(())
    }

    /// What was announced is so.
    pub(super) fn come_true(
        &mut self,
        network: &Network,
        subject: Subject,
        at: Moment,
    ) -> Result<Option<ComeTrue>, Defect> {
        let height = at.height;
        let Some(notice) = self.notices.take(subject) else { return Ok(None) };
        match (subject, &notice.change) {
            (Subject::Offer(author), Change::Offer(offer)) => {
                Ok(Some(ComeTrue::Changed(self.set_terms(network, at, author, offer)?)))
            }
            (Subject::Offer(author), Change::Withdrawal) => {
                let id = self.providers.id_of(author).ok_or(Defect::ProviderId)?;
                self.end_offer(id)?;
                Ok(Some(ComeTrue::Changed(BTreeSet::from([id]))))
            }
            (Subject::Demand(id), Change::Cancellation) => {
                let is_open = self.demands.get(id).is_some_and(|entry| entry.is_open());
                let cancelled = DemandStatus::Cancelled { height };
                is_open
                    .then(|| self.give_back(id, cancelled))
                    .transpose()
                    .map(|left| left.map(ComeTrue::Left))
            }
            (Subject::Offer(_), Change::Cancellation)
            | (Subject::Demand(_), Change::Offer(_) | Change::Withdrawal) => Err(Defect::Demand),
        }
    }

    pub(in crate::ledger) fn apply_demand(
        &mut self,
        network: &Network,
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
            window: statement.window,
        };
        let entry = DemandEntry {
            author,
            demand,
            solver_fee: statement.solver_fee,
            since: at.height,
            since_ms: at.market_ms(),
            // Once nothing of its window can be planned any more, its time has come.
            expires_ms: network.plannable_until(statement.window.due).min(statement.expires_ms),
            escrow,
            clearing: Money::ZERO,
            status: DemandStatus::Open,
        };
        let periods = self.providers.supply().horizon.periods;
        self.work.come(&entry.demand, periods);
        self.demands.bring(id, entry)
    }

    /// Gives the escrow back and takes the demand off the market, once its notice is over, if it is open then; it, as it left.
    pub(in crate::ledger) fn apply_cancellation(
        &mut self,
        network: &Network,
        at: Moment,
        id: DemandId,
    ) -> Result<Option<Departed>, Defect> {
        let height = at.height;
        let Some(due_ms) = notice_over(network, at) else {
            return self.give_back(id, DemandStatus::Cancelled { height }).map(Some);
        };
        let notice = Notice { height, due_ms, change: Change::Cancellation };
        self.notices.give(Subject::Demand(id), notice);
        Ok(None)
    }
}

/// What a notice does.
pub(super) enum ComeTrue {
    /// A demand left the market.
    Left(Departed),
    /// These providers' offers are others.
    Changed(BTreeSet<ProviderId>),
}

/// The market time at which a notice of now is over; `None` where none need be given.
fn notice_over(network: &Network, at: Moment) -> Option<u64> {
    let notice_ms = network.parameters().notice_ms;
    (notice_ms > 0).then(|| at.market_ms().saturating_add(notice_ms))
}

fn provider_of(offer: &OfferStatement) -> Provider {
    let OfferStatement { name, site, offers, capacity, deposit: _ } = offer.clone();
    Provider { name, site, offers, capacity }
}

fn offering_nothing(offer: &OfferStatement) -> Provider {
    Provider { offers: BTreeMap::new(), capacity: Some(0.into()), ..provider_of(offer) }
}

/// Budget + solver fee.
fn escrow(demand: &DemandStatement) -> Option<Money> {
    demand.budget.checked_add(demand.solver_fee)
}
