//! Why a block is refused: one variant per rule, with what was got and expected.

use scenarios::{Minutes, Money, OperationId, PriceError, ProviderId};

use super::record::RecordError;
use crate::block::BlockHash;
use crate::codec::CodecError;
use crate::hash::Hash;
use crate::key::{Address, KeyError, PublicKey};
use crate::record::{DemandId, Height, NetworkId, RecordId};

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    // Form: judged without any state.
    /// The bytes are no block.
    #[error("not a block: {0}")]
    Codec(#[from] CodecError),
    /// Another version of the protocol.
    #[error("block version {got}, expected {expected}")]
    WrongVersion {
        /// The header's version.
        got: u16,
        /// The version this program reads.
        expected: u16,
    },
    /// Another network's block.
    #[error("the block is of network {got:?}, this is {expected:?}")]
    WrongNetwork {
        /// The header's network.
        got: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// The block has too many bytes.
    #[error("the block has {got} bytes, expected at most {expected}")]
    TooLarge {
        /// Its canonical bytes.
        got: usize,
        /// The most allowed.
        expected: usize,
    },
    /// Too many records.
    #[error("{got} records, expected at most {expected}")]
    TooManyRecords {
        /// Records.
        got: usize,
        /// The most allowed.
        expected: usize,
    },
    /// Too many compositions.
    #[error("{got} compositions, expected at most {expected}")]
    TooManyCompositions {
        /// Compositions.
        got: usize,
        /// The most allowed.
        expected: usize,
    },
    /// The miner's key is malformed or weak.
    #[error("the miner's key {miner:?}: {error}")]
    MinerKey {
        /// The key.
        miner: PublicKey,
        /// What is wrong.
        error: KeyError,
    },
    /// The miner did not sign this header.
    #[error("the header is not signed by its miner {miner:?}")]
    BadSignature {
        /// Who should have signed.
        miner: PublicKey,
    },
    /// The header's number of items is not the body's.
    #[error("the header counts {got} items, the body has {expected}")]
    WrongItemCount {
        /// The header's count.
        got: u32,
        /// The body's.
        expected: u32,
    },
    /// The header's Merkle root is not the body's.
    #[error("Merkle root {got}, the body's is {expected}")]
    WrongMerkleRoot {
        /// The header's root.
        got: Hash,
        /// The body's.
        expected: Hash,
    },
    /// The same record twice.
    #[error("record {record} is in the block twice")]
    DuplicateRecord {
        /// The record.
        record: RecordId,
    },
    /// A demand composed twice in the block.
    #[error("demand {demand} is composed twice in the block")]
    DuplicateComposition {
        /// The demand.
        demand: DemandId,
    },
    /// An amendment without parts.
    #[error("amendment {amendment} of the block is empty")]
    EmptyAmendment {
        /// Its position in the block.
        amendment: usize,
    },
    /// The parts of an amendment are out of order.
    #[error(
        "amendment {amendment} of the block: demand {demand:?} after a later one, expected ascending ids"
    )]
    AmendmentOrder {
        /// Its position in the block.
        amendment: usize,
        /// The demand whose id is below the one before it.
        demand: DemandId,
    },
    /// A composition claims to be found after its block was made.
    #[error("the composition of {demand:?} is dated {got} ms, after its block ({expected} ms)")]
    CompositionTimestamp {
        /// The demand.
        demand: DemandId,
        /// The composition's time.
        got: u64,
        /// The header's time.
        expected: u64,
    },
    /// A price update ends in a price of zero, which its canonical form leaves out.
    #[error("the price update ends in a price of zero, expected trailing zeros left out")]
    TrailingZeroPrice,
    /// A record is refused, by itself or against the state.
    #[error("record {id:?} (number {index} in the block): {error}")]
    Record {
        /// Its position.
        index: usize,
        /// Its id.
        id: RecordId,
        /// What is wrong.
        error: Box<RecordError>,
    },

    // Place in the chain.
    /// Not the next height.
    #[error("the block is for height {got}, the next is {expected}")]
    WrongHeight {
        /// The header's height.
        got: Height,
        /// The head's + 1.
        expected: Height,
    },
    /// Not a child of the head.
    #[error("the block's parent is {got}, the head is {expected}")]
    WrongParent {
        /// The header's parent.
        got: BlockHash,
        /// The head.
        expected: BlockHash,
    },
    /// Not later than its parent.
    #[error("the block is dated {got} ms, expected later than its parent's {expected} ms")]
    TimestampNotAboveParent {
        /// The header's time.
        got: u64,
        /// The parent's.
        expected: u64,
    },
    /// From the future.
    #[error("the block is dated {got} ms, expected at most {expected} ms by this node's clock")]
    TimestampAhead {
        /// The header's time.
        got: u64,
        /// The latest time allowed now.
        expected: u64,
    },
    /// A block that composes nothing comes too soon after its parent.
    #[error("the block composes nothing and is dated {got} ms, expected at least {expected} ms")]
    QuietBlockTooSoon {
        /// The header's time.
        got: u64,
        /// The earliest time allowed.
        expected: u64,
    },
    /// A block that only re-composes comes too soon after its parent.
    #[error("the block only re-composes and is dated {got} ms, expected at least {expected} ms")]
    AmendmentTooSoon {
        /// The header's time.
        got: u64,
        /// The earliest time allowed.
        expected: u64,
    },
    /// A block without items, though nothing waits for the height to grow.
    #[error("the block is empty, and no demand or composition waits for heights to pass")]
    EmptyBlock,

    // Work.
    /// Checking the block takes too much work.
    #[error("checking the block takes {got} shortest-path steps, expected at most {expected}")]
    TooMuchWork {
        /// The steps it takes.
        got: u64,
        /// The most allowed.
        expected: u64,
    },

    // Compositions.
    /// The composed demand is not on chain.
    #[error("demand {demand} is not on chain")]
    UnknownDemand {
        /// The demand named.
        demand: DemandId,
    },
    /// The demand was composed by an earlier block, which stands.
    #[error("demand {demand:?} was already composed at height {height} by {}", .miner.short())]
    AlreadyComposed {
        /// The demand.
        demand: DemandId,
        /// The height of the block that stands.
        height: Height,
        /// Its miner.
        miner: Address,
    },
    /// The demand was cancelled.
    #[error("demand {demand:?} was cancelled at height {height}")]
    DemandCancelled {
        /// The demand.
        demand: DemandId,
        /// When.
        height: Height,
    },
    /// A composition has more or fewer providers than its demand has orders.
    #[error("demand {demand:?}: {got} providers for its orders, expected {expected}")]
    OrderCount {
        /// The demand.
        demand: DemandId,
        /// Providers given.
        got: usize,
        /// Orders of the demand.
        expected: usize,
    },
    /// A provider does not exist.
    #[error("demand {demand:?}, order {order}: {got} does not exist, expected one below {expected}")]
    UnknownProvider {
        /// The demand.
        demand: DemandId,
        /// The order's position.
        order: usize,
        /// The provider named.
        got: ProviderId,
        /// The number of providers.
        expected: usize,
    },
    /// A provider does not do what the order asks for.
    #[error("demand {demand:?}, order {order}: {got} does not offer {expected}")]
    NotOffered {
        /// The demand.
        demand: DemandId,
        /// The order's position.
        order: usize,
        /// The provider named.
        got: ProviderId,
        /// The operation asked for.
        expected: OperationId,
    },
    /// A provider has withdrawn its offer.
    #[error("demand {demand:?}, order {order}: {got} has withdrawn its offer")]
    OfferWithdrawn {
        /// The demand.
        demand: DemandId,
        /// The order's position.
        order: usize,
        /// The provider named.
        got: ProviderId,
    },
    /// A leg cannot be travelled.
    #[error("demand {demand:?}, order {order}: no distance between its site and the next")]
    NoDistance {
        /// The demand.
        demand: DemandId,
        /// The order's position.
        order: usize,
    },
    /// A composition costs more than its demand's budget.
    #[error("demand {demand:?} costs {got}, its budget is {expected}")]
    OverBudget {
        /// The demand.
        demand: DemandId,
        /// Its cost.
        got: Money,
        /// Its budget.
        expected: Money,
    },
    /// A provider would be used for longer than its capacity, standing compositions included.
    #[error("demand {demand:?}: {provider} would be used {got} minutes, its capacity is {expected}")]
    OverCapacity {
        /// The demand whose composition is one too many.
        demand: DemandId,
        /// The provider.
        provider: ProviderId,
        /// Minutes used with it.
        got: Minutes,
        /// The capacity.
        expected: Minutes,
    },
    /// In dedicated allocation: another miner holds a provider.
    #[error("demand {demand:?}: {provider} is held by {}, not by {}", .expected.short(), .got.short())]
    ProviderHeld {
        /// The demand.
        demand: DemandId,
        /// The provider.
        provider: ProviderId,
        /// The block's miner.
        got: Address,
        /// Who holds it.
        expected: Address,
    },
    /// In dedicated allocation: the miner would hold too many providers.
    #[error("demand {demand:?}: {} would hold {got} providers, expected at most {expected}", .miner.short())]
    TooManyProvidersHeld {
        /// The demand whose composition is one too many.
        demand: DemandId,
        /// The block's miner.
        miner: Address,
        /// Providers it would hold.
        got: usize,
        /// The most allowed.
        expected: usize,
    },

    // Amendments.
    /// In dedicated allocation nothing is re-composed: providers are held for what their miner composed.
    #[error("amendments are not allowed in dedicated allocation")]
    AmendmentsOff,
    /// The demand is settled: nothing may re-compose it.
    #[error("demand {demand} is frozen since height {height}")]
    DemandFrozen {
        /// The demand.
        demand: DemandId,
        /// Since when.
        height: Height,
    },
    /// It replaces another version than the one that stands.
    #[error("demand {demand}: version {got} is to be replaced, version {expected} stands (0: none)")]
    StaleAmendment {
        /// The demand.
        demand: DemandId,
        /// The version it names; 0 for a first composition.
        got: u32,
        /// The version that stands; 0 while the demand is open.
        expected: u32,
    },
    /// An amendment of nothing but open demands.
    #[error("amendment {amendment} of the block replaces no composition")]
    NothingReplaced {
        /// Its position in the block.
        amendment: usize,
    },
    /// An amendment that leaves every composition it replaces with the providers it has.
    #[error("amendment {amendment} of the block changes no composition that it replaces")]
    NothingChanged {
        /// Its position in the block.
        amendment: usize,
    },
    /// An amendment that composes no open demand must save enough.
    #[error("amendment {amendment} of the block saves {got}, expected at least {expected}")]
    SavingTooSmall {
        /// Its position in the block.
        amendment: usize,
        /// What it saves; negative if it costs more.
        got: Money,
        /// The least that would have passed.
        expected: Money,
    },
    /// Those for whom room is made cannot pay for it.
    #[error("amendment {amendment} of the block: budgets leave {got} for the room made, it costs {expected}")]
    RoomNotPaid {
        /// Its position in the block.
        amendment: usize,
        /// What the budgets of its first compositions leave beyond their cost.
        got: Money,
        /// What its other compositions become dearer by, together.
        expected: Money,
    },

    // Claims.
    /// A composition's cost is not what it claims.
    #[error("demand {demand:?}: claims a cost of {got}, it costs {expected}")]
    WrongCost {
        /// The demand.
        demand: DemandId,
        /// The claim.
        got: Money,
        /// What the evaluator finds.
        expected: Money,
    },
    /// A composition's minutes are not what it claims.
    #[error("demand {demand:?}: claims {got} minutes, it takes {expected}")]
    WrongMinutes {
        /// The demand.
        demand: DemandId,
        /// The claim.
        got: Minutes,
        /// What the evaluator finds.
        expected: Minutes,
    },
    /// The header's cost is not what its compositions add.
    #[error("the header claims a total cost of {got}, expected {expected}")]
    WrongTotalCost {
        /// The claim.
        got: Money,
        /// The sum.
        expected: Money,
    },
    /// The header's reduced cost is not what a verifier finds.
    #[error("the header claims a total reduced cost of {got}, expected {expected}")]
    WrongReducedCost {
        /// The claim.
        got: Money,
        /// What a verifier finds.
        expected: Money,
    },
    /// The prices do not suit the market.
    #[error("the price update: {0}")]
    Price(#[from] PriceError),
    /// The price update does not raise the market's bound enough.
    #[error("the price update leads to a bound of {got}, expected at least {expected}")]
    BoundNotRaised {
        /// The bound at the new prices.
        got: Money,
        /// The least that would have passed.
        expected: Money,
    },
    /// The compositions are too far from proved optimal.
    #[error("the block earns {got}, expected at least {expected} of its fees")]
    RewardBelowThreshold {
        /// What it earns.
        got: Money,
        /// What its demands ask for at their age.
        expected: Money,
    },
    /// The state after the block is not what its header says.
    #[error("state root {got}, the state after the block has {expected}")]
    WrongStateRoot {
        /// The header's root.
        got: Hash,
        /// The state's.
        expected: Hash,
    },

    /// A sum left its range although every part was within its own: a mistake in this program.
    #[error("internal: {0} left its range")]
    Arithmetic(&'static str),
}
