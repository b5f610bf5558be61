//! Why a batch is refused: one variant per rule, with what was got and expected. What the rules of the ledger's rooms
//! refuse is theirs to say, and wrapped here.

use scenarios::{Minutes, Money};

use super::record::RecordError;
use crate::batch::BatchHash;
use crate::codec::CodecError;
use crate::hash::Hash;
use crate::key::{KeyError, PublicKey};
use crate::ledger::{Defect, MarketError};
use crate::record::{DemandId, Height, NetworkId, RecordId};

/// Why a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Rejection {
    // Form: judged without any state.
    /// The bytes are no batch.
    #[error("not a batch: {0}")]
    Codec(#[from] CodecError),
    /// Another version of the protocol.
    #[error("batch version {got}, expected {expected}")]
    WrongVersion {
        got: u16,
        /// The version this program reads.
        expected: u16,
    },
    /// Another network's batch.
    #[error("the batch is of network {got:?}, this is {expected:?}")]
    WrongNetwork {
        got: NetworkId,
        /// This network.
        expected: NetworkId,
    },
    /// The batch has too many bytes.
    #[error("the batch has {got} bytes, expected at most {expected}")]
    TooLarge {
        /// Its canonical bytes.
        got: usize,
        expected: usize,
    },
    /// Too many records.
    #[error("{got} records, expected at most {expected}")]
    TooManyRecords { got: usize, expected: usize },
    /// Too many compositions.
    #[error("{got} compositions, expected at most {expected}")]
    TooManyCompositions {
        /// Compositions.
        got: usize,
        expected: usize,
    },
    /// The miner's key is malformed or weak.
    #[error("the miner's key {miner:?}: {error}")]
    MinerKey { miner: PublicKey, error: KeyError },
    /// The miner did not sign this header.
    #[error("the header is not signed by its miner {miner:?}")]
    BadSignature {
        /// Who should have signed.
        miner: PublicKey,
    },
    /// The header's number of items is not the body's.
    #[error("the header counts {got} items, the body has {expected}")]
    WrongItemCount { got: u32, expected: u32 },
    /// The header's Merkle root is not the body's.
    #[error("Merkle root {got}, the body's is {expected}")]
    WrongMerkleRoot { got: Hash, expected: Hash },
    /// The same record twice.
    #[error("record {record} is in the batch twice")]
    DuplicateRecord { record: RecordId },
    /// An amendment without parts.
    #[error("amendment {amendment} of the batch is empty")]
    EmptyAmendment {
        /// Its position in the batch.
        amendment: usize,
    },
    /// The parts of an amendment are out of order.
    #[error(
        "amendment {amendment} of the batch: demand {demand:?} after a later one, expected ascending ids"
    )]
    AmendmentOrder {
        /// Its position in the batch.
        amendment: usize,
        /// The demand whose id is below the one before it.
        demand: DemandId,
    },
    /// A composition claims to be found after its batch was made.
    #[error("the composition of {demand:?} is dated {got} ms, after its batch ({expected} ms)")]
    CompositionTimestamp {
        demand: DemandId,
        /// The composition's time.
        got: u64,
        expected: u64,
    },
    /// A price update ends in a price of zero, which its canonical form leaves out.
    #[error("the price update ends in a price of zero, expected trailing zeros left out")]
    TrailingZeroPrice,
    /// A record is refused, by itself or against the state.
    #[error("record {id:?} (number {index} in the batch): {error}")]
    Record {
        /// Its position.
        index: usize,
        id: RecordId,
        error: Box<RecordError>,
    },

    // Place in the chain.
    /// Not the next height.
    #[error("the batch is for height {got}, the next is {expected}")]
    WrongHeight {
        /// The header's height.
        got: Height,
        /// The head's + 1.
        expected: Height,
    },
    /// Not a child of the head.
    #[error("the batch's parent is {got}, the head is {expected}")]
    WrongParent { got: BatchHash, expected: BatchHash },
    /// Not later than its parent.
    #[error("the batch is dated {got} ms, expected later than its parent's {expected} ms")]
    TimestampNotAboveParent { got: u64, expected: u64 },
    /// From the future.
    #[error("the batch is dated {got} ms, expected at most {expected} ms by this node's clock")]
    TimestampAhead {
        got: u64,
        /// The latest time allowed now.
        expected: u64,
    },
    /// A batch that composes nothing comes too soon after its parent.
    #[error("the batch composes nothing and is dated {got} ms, expected at least {expected} ms")]
    QuietBatchTooSoon {
        got: u64,
        /// The earliest time allowed.
        expected: u64,
    },
    /// A batch that only re-composes comes too soon after its parent.
    #[error("the batch only re-composes and is dated {got} ms, expected at least {expected} ms")]
    AmendmentTooSoon {
        got: u64,
        /// The earliest time allowed.
        expected: u64,
    },
    /// A batch without items, though nothing waits for the height to grow.
    #[error("the batch is empty, no demand or composition waits for time to pass, and none expires")]
    EmptyBatch,

    // Claims.
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
    /// The header's cost is not what its compositions add.
    #[error("the header claims a total cost of {got}, expected {expected}")]
    WrongTotalCost { got: Money, expected: Money },
    /// The header's reduced cost is not what a verifier finds.
    #[error("the header claims a total reduced cost of {got}, expected {expected}")]
    WrongReducedCost {
        got: Money,
        /// What a verifier finds.
        expected: Money,
    },
    /// The state after the batch is not what its header says.
    #[error("state root {got}, the state after the batch has {expected}")]
    WrongStateRoot { got: Hash, expected: Hash },
    /// What it composes, amends or prices is refused.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// A mistake in this program.
    #[error(transparent)]
    Internal(#[from] Defect),
}
