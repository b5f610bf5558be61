//! Why a batch is refused: one variant per rule, with what was got and expected. What the rules of the ledger's rooms
//! refuse is theirs to say, and wrapped here.

use super::record::RecordError;
use crate::batch::BatchHash;
use crate::block::BlockHash;
use crate::codec::CodecError;
use crate::commitment::CommitmentId;
use crate::consensus::EvidenceError;
use crate::hash::Hash;
use crate::key::{KeyError, PublicKey};
use crate::ledger::{CommitmentError, Defect, MarketError, RevealError};
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
    /// Evidence is refused, by itself or against the state.
    #[error("evidence number {index}: {error}")]
    Evidence {
        /// Its position.
        index: usize,
        error: EvidenceError,
    },
    /// Too many commitments.
    #[error("{got} commitments, expected at most {expected}")]
    TooManyCommitments { got: usize, expected: usize },
    /// A commitment is refused, by itself or against the state.
    #[error("commitment {commitment:?}: {error}")]
    Commitment { commitment: CommitmentId, error: Box<CommitmentError> },
    /// Too many blocks.
    #[error("{got} blocks, expected at most {expected}")]
    TooManyBlocks { got: usize, expected: usize },
    /// Too many compositions.
    #[error("{got} compositions, expected at most {expected}")]
    TooManyCompositions {
        /// Compositions.
        got: usize,
        expected: usize,
    },
    /// The proposer's key is malformed or weak.
    #[error("the proposer's key {proposer:?}: {error}")]
    ProposerKey { proposer: PublicKey, error: KeyError },
    /// The proposer did not sign this header.
    #[error("the header is not signed by its proposer {proposer:?}")]
    BadSignature {
        /// Who should have signed.
        proposer: PublicKey,
    },
    /// The header's number of items is not the contents'.
    #[error("the header counts {got} items, the contents have {expected}")]
    WrongItemCount { got: u32, expected: u32 },
    /// The header's root is not the contents'.
    #[error("contents root {got}, the contents' is {expected}")]
    WrongContentsRoot { got: Hash, expected: Hash },
    /// A block is not what it must be, by itself or at its place in the chain.
    #[error("block {block:?}: {error}")]
    Block { block: BlockHash, error: Box<BlockError> },
    /// The same block twice.
    #[error("block {block:?} is in the batch twice")]
    DuplicateBlock { block: BlockHash },
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
    /// It is its proposer's turn for commitments that no earlier batch brings.
    #[error("the batch is a turn for commitments of height {got}, expected at most {expected}")]
    TurnAhead {
        got: Height,
        /// The parent's height.
        expected: Height,
    },
    /// From the future.
    #[error("the batch is dated {got} ms, expected at most {expected} ms by this node's clock")]
    TimestampAhead {
        got: u64,
        /// The latest time allowed now.
        expected: u64,
    },
    /// It is dated long before it was proposed.
    #[error("timestamp {got} ms is too far behind this node's clock, expected at least {expected} ms")]
    TimestampBehind {
        got: u64,
        /// The earliest time accepted now.
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
    /// What became of the blocks is not what the header says.
    #[error("outcomes root {got}, what became of the blocks has {expected}")]
    WrongOutcomesRoot { got: Hash, expected: Hash },
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

/// Why a block is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum BlockError {
    /// Another version of the protocol.
    #[error("version {got}, expected {expected}")]
    WrongVersion {
        got: u16,
        /// The version this program reads.
        expected: u16,
    },
    /// Another network's block.
    #[error("of network {got:?}, this is {expected:?}")]
    WrongNetwork {
        got: NetworkId,
        /// This network.
        expected: NetworkId,
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
    /// It has no items.
    #[error("the block brings nothing")]
    Empty,
    /// Its anchor is no batch of the chain, or one that is too old.
    #[error(
        "anchored on batch {got}, which is none of the chain's of the last {window_ms} ms before the parent"
    )]
    NoAnchor {
        got: BatchHash,
        /// `anchor_window_ms`.
        window_ms: u64,
    },
    /// A batch has brought it before.
    #[error("an earlier batch has brought it")]
    BroughtBefore,
    /// It may not be revealed.
    #[error(transparent)]
    Reveal(#[from] RevealError),
}

impl BlockError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::WrongVersion { .. } => "block-version",
            Self::WrongNetwork { .. } => "block-network",
            Self::MinerKey { .. } => "miner-key",
            Self::BadSignature { .. } => "block-signature",
            Self::WrongItemCount { .. } => "block-item-count",
            Self::WrongMerkleRoot { .. } => "merkle-root",
            Self::Empty => "empty-block",
            Self::NoAnchor { .. } => "anchor",
            Self::BroughtBefore => "block-once",
            Self::Reveal(error) => error.rule(),
        }
    }
}
