//! Why a record does not enter the pool, or leaves it.

use chain::validate::RecordError;
use chain::{Address, Fault, Height, RecordId};

/// Why a record is refused; the pool is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolRejection {
    /// It is in the pool.
    #[error("record {0:?} is in the pool already")]
    Duplicate(RecordId),
    /// It is wrong by itself, or no block can bring it as the chain stands.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// Its window begins too far ahead to hold it until then.
    #[error("valid from height {got}, expected at most {expected} for now")]
    TooFarAhead {
        /// The first height of its window.
        got: Height,
        /// The latest first height accepted now.
        expected: Height,
    },
    /// It leaves too wide a gap behind its author's records on chain.
    #[error("sequence {got} of {}, expected at most {expected} for now", .author.short())]
    GapTooWide {
        /// The author.
        author: Address,
        /// Its sequence number.
        got: u64,
        /// The largest accepted now.
        expected: u64,
    },
    /// Another record with its author and sequence number is in the pool, and has the smaller id.
    #[error("sequence {sequence} of {} is taken by record {kept:?}, which has the smaller id", .author.short())]
    SequenceTaken {
        /// The author.
        author: Address,
        /// The sequence number.
        sequence: u64,
        /// The record that stays.
        kept: RecordId,
    },
    /// Its author has as many records here as one may.
    #[error("{} has {got} records in the pool, expected fewer than {expected} for another", .author.short())]
    AuthorQuota {
        /// The author.
        author: Address,
        /// The author's records.
        got: usize,
        /// The quota.
        expected: usize,
    },
    /// The pool holds as many records as it may.
    #[error("the pool has {got} records, expected fewer than {expected} for another")]
    TooManyRecords {
        /// Records held.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// The pool holds as many bytes as it may.
    #[error("the pool would have {got} bytes, expected at most {expected}")]
    TooManyBytes {
        /// Bytes with this record.
        got: usize,
        /// The limit.
        expected: usize,
    },
}

impl PoolRejection {
    /// Whose fault it is. Quotas and sizes are this node's own limits; another may have room.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Record(error) => error.fault(),
            Self::Duplicate(_)
            | Self::TooFarAhead { .. }
            | Self::GapTooWide { .. }
            | Self::SequenceTaken { .. } => Fault::Transient,
            Self::AuthorQuota { .. } | Self::TooManyRecords { .. } | Self::TooManyBytes { .. } => {
                Fault::Local
            }
        }
    }

    /// The rule's name, for logs and for programs that act on it.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Record(error) => error.rule(),
            Self::Duplicate(_) => "pool-duplicate",
            Self::TooFarAhead { .. } => "pool-window",
            Self::GapTooWide { .. } => "pool-sequence-gap",
            Self::SequenceTaken { .. } => "pool-sequence-taken",
            Self::AuthorQuota { .. } => "pool-author-quota",
            Self::TooManyRecords { .. } => "pool-records-max",
            Self::TooManyBytes { .. } => "pool-bytes-max",
        }
    }
}

/// Why a record left the pool without coming on chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// No block can bring it any more.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// A record of the same author and sequence number with a smaller id took its place.
    #[error("replaced by record {0:?} of the same sequence number, which has the smaller id")]
    Replaced(RecordId),
}

impl DropReason {
    /// The rule's name, for logs and for programs that act on it.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Record(error) => error.rule(),
            Self::Replaced(_) => "pool-replaced",
        }
    }
}
