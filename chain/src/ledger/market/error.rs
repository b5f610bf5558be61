//! Why the market refuses what a batch composes, amends, prices and claims to be paid: one variant per rule.

use scenarios::reference::Area;
use scenarios::{Minutes, Money, OperationId, Period, PriceError, ProviderId, Slot, TimeWindow};

use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::record::{DemandId, Height};

/// Why a batch's work on the market is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum MarketError {
    /// A demand composed twice in the batch: the better composition takes effect.
    #[error("demand {demand} is composed by another item of the batch")]
    DuplicateComposition { demand: DemandId },
    /// Checking the batch takes too much work.
    #[error("checking the batch takes {got} shortest-path steps, expected at most {expected}")]
    TooMuchWork {
        /// The steps it takes.
        got: u64,
        expected: u64,
    },
    /// The composed demand is not on chain, or has left the market: settled, cancelled or expired.
    #[error("demand {demand} is not on chain, or has left the market")]
    UnknownDemand { demand: DemandId },
    /// The demand's time has come; it leaves the market with one of the next batches.
    #[error("demand {demand:?} expired at {expected} ms, the batch is dated {got} ms")]
    DemandExpired {
        demand: DemandId,
        /// The batch's time.
        got: u64,
        /// When it expired.
        expected: u64,
    },
    /// The composition is due to be settled; that comes with one of the next batches.
    #[error("demand {demand:?} froze at {expected} ms of market time, the batch's is {got} ms")]
    DemandFrozen {
        demand: DemandId,
        /// The batch's market time.
        got: u64,
        /// The market time at which it froze.
        expected: u64,
    },
    /// The demand was composed by an earlier batch, which stands.
    #[error("demand {demand:?} was already composed at height {height} by {}", .miner.short())]
    AlreadyComposed {
        demand: DemandId,
        /// The height of the batch that stands.
        height: Height,
        miner: Address,
    },
    /// A composition has more or fewer providers than its demand has orders.
    #[error("demand {demand:?}: {got} providers for its orders, expected {expected}")]
    OrderCount {
        demand: DemandId,
        got: usize,
        /// Orders of the demand.
        expected: usize,
    },
    /// A provider does not exist.
    #[error("demand {demand:?}, order {order}: {got} does not exist, expected one below {expected}")]
    UnknownProvider {
        demand: DemandId,
        /// The order's position.
        order: usize,
        got: ProviderId,
        /// The number of providers.
        expected: usize,
    },
    /// A provider does not do what the order asks for.
    #[error("demand {demand:?}, order {order}: {got} does not offer {expected}")]
    NotOffered {
        demand: DemandId,
        /// The order's position.
        order: usize,
        got: ProviderId,
        /// The operation asked for.
        expected: OperationId,
    },
    /// A provider has withdrawn its offer.
    #[error("demand {demand:?}, order {order}: {got} has withdrawn its offer")]
    OfferWithdrawn {
        demand: DemandId,
        /// The order's position.
        order: usize,
        got: ProviderId,
    },
    /// An order is done when the demand does not want it, or when nothing can be planned.
    #[error("demand {demand:?}, order {order}: done in {got}, expected {expected}")]
    OutsideWindow {
        demand: DemandId,
        /// The order's position.
        order: usize,
        got: Period,
        /// What of the demand's window can be planned.
        expected: TimeWindow,
    },
    /// An order is done before the one that comes before it.
    #[error(
        "demand {demand:?}, order {order}: done in {got}, expected {expected} or later, like the order before it"
    )]
    PeriodsDecrease {
        demand: DemandId,
        /// The order's position.
        order: usize,
        got: Period,
        expected: Period,
    },
    /// A composition takes more of a period than that has.
    #[error("demand {demand:?}: {got} minutes of processing and travel in {period}, which has {expected}")]
    PeriodTooShort { demand: DemandId, period: Period, got: Minutes, expected: Minutes },
    /// A leg cannot be travelled.
    #[error("demand {demand:?}, order {order}: no distance between its site and the next")]
    NoDistance {
        demand: DemandId,
        /// The order's position.
        order: usize,
    },
    /// A composition costs more than its demand's budget.
    #[error("demand {demand:?} costs {got}, its budget is {expected}")]
    OverBudget { demand: DemandId, got: Money, expected: Money },
    /// A slot would be used for longer than its capacity, standing compositions included.
    #[error("demand {demand:?}: {slot} would be used {got} minutes, its capacity is {expected}")]
    OverCapacity {
        /// The demand whose composition is one too many.
        demand: DemandId,
        slot: Slot,
        /// Minutes used with it.
        got: Minutes,
        expected: Minutes,
    },
    /// In dedicated allocation: another miner holds a provider.
    #[error("demand {demand:?}: {provider} is held by {}, not by {}", .expected.short(), .got.short())]
    ProviderHeld { demand: DemandId, provider: ProviderId, got: Address, expected: Address },
    /// In dedicated allocation: the miner would hold too many providers.
    #[error("demand {demand:?}: {} would hold {got} providers, expected at most {expected}", .miner.short())]
    TooManyProvidersHeld {
        /// The demand whose composition is one too many.
        demand: DemandId,
        miner: Address,
        /// Providers it would hold.
        got: usize,
        expected: usize,
    },
    /// In dedicated allocation nothing is re-composed: providers are held for what their miner composed.
    #[error("amendments are not allowed in dedicated allocation")]
    AmendmentsOff,
    /// It replaces another version than the one that stands.
    #[error("demand {demand}: version {got} is to be replaced, version {expected} stands (0: none)")]
    StaleAmendment {
        demand: DemandId,
        /// The version it names; 0 for a first composition.
        got: u32,
        /// The version that stands; 0 while the demand is open.
        expected: u32,
    },
    /// An amendment of nothing but open demands.
    #[error("amendment {amendment} of its block replaces no composition")]
    NothingReplaced {
        /// Its position in the block.
        amendment: usize,
    },
    /// An amendment that leaves every composition it replaces with the providers it has.
    #[error("amendment {amendment} of its block changes no composition that it replaces")]
    NothingChanged {
        /// Its position in the block.
        amendment: usize,
    },
    /// An amendment that composes no open demand must save enough.
    #[error("amendment {amendment} of its block saves {got}, expected at least {expected}")]
    SavingTooSmall {
        /// Its position in the block.
        amendment: usize,
        /// What it saves; negative if it costs more.
        got: Money,
        /// The least that would have passed.
        expected: Money,
    },
    /// Those for whom room is made cannot pay for it.
    #[error("amendment {amendment} of its block: budgets leave {got} for the room made, it costs {expected}")]
    RoomNotPaid {
        /// Its position in the block.
        amendment: usize,
        /// What the budgets of its first compositions leave beyond their cost.
        got: Money,
        /// What its other compositions become dearer by, together.
        expected: Money,
    },
    /// A composition's cost is not what it claims.
    #[error("demand {demand:?}: claims a cost of {got}, it costs {expected}")]
    WrongCost {
        demand: DemandId,
        got: Money,
        /// What the evaluator finds.
        expected: Money,
    },
    /// A composition's minutes are not what it claims.
    #[error("demand {demand:?}: claims {got} minutes, it takes {expected}")]
    WrongMinutes {
        demand: DemandId,
        got: Minutes,
        /// What the evaluator finds.
        expected: Minutes,
    },
    /// The composition is too dear for what is left.
    #[error(
        "demand {demand:?} costs {got} with its minutes, expected at most {expected}: what is left serves it better by {}",
        listed(.best)
    )]
    NotNearBest {
        demand: DemandId,
        /// Its cost, with the minutes it takes at the dual prices unless the best with them is above the budget.
        got: Money,
        /// The most that passes: the carried path and `near_best_ppm` of it.
        expected: Money,
        /// The carried path, which would pass.
        best: Vec<Slot>,
    },
    /// Nothing that is left within the budget was found to compare the composition with.
    #[error(
        "demand {demand:?} has waited {got} ms, expected {expected} where nothing left compares with its composition"
    )]
    NothingToCompare {
        demand: DemandId,
        /// Market time since it came.
        got: u64,
        /// The age from which on any feasible composition passes.
        expected: u64,
    },
    /// A part of an amendment costs more than what it replaces, which has room beside the others.
    #[error(
        "amendment {amendment} of its block makes demand {demand:?} cost {got}, though what stands, for {expected}, has room"
    )]
    DearerPart {
        /// Its position in the block.
        amendment: usize,
        demand: DemandId,
        got: Money,
        expected: Money,
    },
    /// An amendment that saves too little to be let in for that makes room for a demand that does not need it.
    #[error(
        "amendment {amendment} of its block saves {got}, expected {expected}, for demand {demand:?} can be composed without it"
    )]
    RoomNotNeeded {
        /// Its position in the block.
        amendment: usize,
        demand: DemandId,
        /// What it saves; negative if it costs more.
        got: Money,
        /// What it would have to save.
        expected: Money,
    },
    /// Another price update of the batch takes effect.
    #[error("another price update of the batch takes effect")]
    OnePriceUpdate,
    /// Prices other than those in force are to be replaced.
    #[error("the price update replaces those after {got} updates, {expected} have taken effect")]
    StalePrices { got: u64, expected: u64 },
    /// Who updates prices could not pay for a false claim.
    #[error("the price update's miner can spend {got}, the bond takes {expected}")]
    PriceBond { got: Money, expected: Money },
    /// A price update does not raise the bound by as much as it claims.
    #[error("the price update raises the bound by {got}, it claims {expected}, and forfeits {bond}")]
    FalseGain { got: Money, expected: Money, bond: Money },
    /// The prices do not suit the market.
    #[error("the price update: {0}")]
    Price(#[from] PriceError),
    /// The price update claims to raise the market's bound by too little.
    #[error("the price update raises the bound by {got}, expected at least {expected}")]
    BoundNotRaised {
        /// What it claims.
        got: Money,
        /// The least that would have passed.
        expected: Money,
    },
    /// The composition is too far from proved optimal.
    #[error("the composition of demand {demand:?} earns {got}, expected at least {expected} of its fee")]
    RewardBelowThreshold {
        demand: DemandId,
        /// What there is to earn.
        fee: Money,
        got: Money,
        /// What its demand asks for at its age.
        expected: Money,
    },
    /// By the measure of paper A: no area of genesis offers everything that the demand orders.
    #[error("demand {demand:?} has no reference: genesis does not offer everything it orders")]
    NoReference { demand: DemandId },
    /// By the measure of paper A: the block composes demands of several areas.
    #[error("demand {demand:?} lies in {got}, the block's others in {expected}")]
    OtherArea {
        demand: DemandId,
        got: Area,
        /// That of its first composition.
        expected: Area,
    },
    /// By the measure of paper A: a provider is none of the block's area.
    #[error("demand {demand:?}: {got} lies outside {expected}, the area of the block")]
    ProviderOutside { demand: DemandId, got: ProviderId, expected: Area },
    /// By the measure of paper A: the block is not far enough below its reference solution.
    #[error(
        "the block costs {cost} for {orders} orders, its reference is {reference} and the least {least}: that earns {got} ppm of its \
         fees, expected at least {expected}"
    )]
    AboveReference {
        /// Of all its first compositions.
        cost: Money,
        orders: u64,
        /// What random assignments of its demands cost on average.
        reference: Money,
        /// What the cheapest compositions of its area cost.
        least: Money,
        /// The share of its fees it earns.
        got: u64,
        /// The least share.
        expected: u64,
    },
    /// A mistake in this program.
    #[error(transparent)]
    Internal(#[from] Defect),
}

impl MarketError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::DuplicateComposition { .. } => "duplicate-composition",
            Self::TooMuchWork { .. } => "verification-work",
            Self::UnknownDemand { .. } => "unknown-demand",
            Self::DemandExpired { .. } => "expired-demand",
            Self::DemandFrozen { .. } => "frozen-demand",
            Self::AlreadyComposed { .. } => "already-composed",
            Self::OrderCount { .. } => "order-count",
            Self::UnknownProvider { .. } => "unknown-provider",
            Self::NotOffered { .. } => "not-offered",
            Self::OfferWithdrawn { .. } => "offer-withdrawn",
            Self::NoDistance { .. } => "no-distance",
            Self::OutsideWindow { .. } => "window",
            Self::PeriodsDecrease { .. } => "period-order",
            Self::PeriodTooShort { .. } => "period-minutes",
            Self::OverBudget { .. } => "budget",
            Self::OverCapacity { .. } => "capacity",
            Self::ProviderHeld { .. } => "provider-held",
            Self::TooManyProvidersHeld { .. } => "providers-held-max",
            Self::AmendmentsOff => "amendments-off",
            Self::StaleAmendment { .. } => "stale-amendment",
            Self::NothingReplaced { .. } => "nothing-replaced",
            Self::NothingChanged { .. } => "nothing-changed",
            Self::SavingTooSmall { .. } => "saving",
            Self::RoomNotPaid { .. } => "room",
            Self::WrongCost { .. } => "cost",
            Self::WrongMinutes { .. } => "minutes",
            Self::NotNearBest { .. } | Self::NothingToCompare { .. } => "near-best",
            Self::DearerPart { .. } => "dearer-part",
            Self::RoomNotNeeded { .. } => "room-not-needed",
            Self::OnePriceUpdate => "one-price-update",
            Self::StalePrices { .. } => "stale-prices",
            Self::PriceBond { .. } => "price-bond",
            Self::FalseGain { .. } => "false-gain",
            Self::Price(_) => "price",
            Self::BoundNotRaised { .. } => "bound-gain",
            Self::RewardBelowThreshold { .. } => "reward",
            Self::NoReference { .. } => "no-reference",
            Self::OtherArea { .. } => "area",
            Self::ProviderOutside { .. } => "provider-area",
            Self::AboveReference { .. } => "reference",
            Self::Internal(_) => Defect::RULE,
        }
    }
}

/// Slots as a list.
fn listed(slots: &[Slot]) -> String {
    slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
