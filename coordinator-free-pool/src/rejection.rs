//! Why the pool refuses a record.

use chain::{Address, Fault, RecordError, RecordId};

/// The rule a record breaks, in the order in which rules are checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolRejection {
    /// The pool has it.
    #[error("the record is in the pool already")]
    Known,
    /// Another record of the author has the sequence number; the first to come stays.
    #[error("sequence number {sequence} of its author is taken by record {expected}, which came first")]
    SequenceTaken {
        /// The sequence number.
        sequence: u64,
        /// The record that has it.
        expected: RecordId,
    },
    /// The author has as many records here as one author may.
    #[error(
        "its author {author} has {got} records in the pool, at most {expected} allowed: wait until some are on chain"
    )]
    AuthorQuota {
        /// The author.
        author: Address,
        /// Records it has.
        got: usize,
        /// Records it may have.
        expected: usize,
    },
    /// The author's earlier records are too far behind.
    #[error(
        "its sequence number {got} is too far ahead: its author's next on chain is {next}, at most {expected} allowed"
    )]
    TooFarAhead {
        /// The record's sequence number.
        got: u64,
        /// The author's next on chain.
        next: u64,
        /// The largest number allowed now.
        expected: u64,
    },
    /// The pool is full.
    #[error("the pool is full ({got} records or bytes, at most {expected}): try again after the next blocks")]
    Full {
        /// What it would hold.
        got: usize,
        /// What it may hold.
        expected: usize,
    },
    /// The record breaks a rule by itself, or no block can bring it any more.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl PoolRejection {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            // Honest nodes with another view, or with other records in their pools, pass these on.
            Self::Known
            | Self::SequenceTaken { .. }
            | Self::AuthorQuota { .. }
            | Self::TooFarAhead { .. }
            | Self::Full { .. } => Fault::Transient,
            Self::Record(error) => error.fault(),
        }
    }
}
