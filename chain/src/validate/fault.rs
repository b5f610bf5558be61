//! What follows from a refusal: whose fault it is, and the name of the rule.

use super::rejection::Rejection;
use crate::codec::CodecError;
use crate::ledger::{Defect, MarketError};

/// Whose fault it is that something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The sender's: an honest node never sends this.
    Peer,
    /// Nobody's: nodes are at different heights or their clocks differ; it may pass elsewhere or later.
    Transient,
    /// This node's own.
    Local,
}

impl Rejection {
    /// Whose fault it is. Once height and parent are right, every node judges from the same state, so
    /// whatever is wrong then is the sender's fault.
    pub const fn fault(&self) -> Fault {
        if matches!(
            self,
            Self::WrongHeight { .. } | Self::TimestampAhead { .. } | Self::TimestampBehind { .. }
        ) {
            Fault::Transient
        } else if matches!(self, Self::Internal(_) | Self::Market(MarketError::Internal(_))) {
            Fault::Local
        } else {
            Fault::Peer
        }
    }

    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Codec(CodecError::TooLarge { .. }) | Self::TooLarge { .. } => "batch-size",
            Self::Codec(_) => "encoding",
            Self::WrongVersion { .. } => "version",
            Self::WrongNetwork { .. } => "network",
            Self::TooManyRecords { .. } => "record-count",
            Self::Evidence { error, .. } => error.rule(),
            Self::TooManyCommitments { .. } => "commitment-count",
            Self::Commitment { error, .. } => error.rule(),
            Self::TooManyBlocks { .. } => "block-count",
            Self::TooManyCompositions { .. } => "composition-count",
            Self::ProposerKey { .. } => "proposer-key",
            Self::BadSignature { .. } => "signature",
            Self::WrongItemCount { .. } => "item-count",
            Self::WrongContentsRoot { .. } => "contents-root",
            Self::Block { error, .. } => error.rule(),
            Self::DuplicateBlock { .. } => "duplicate-block",
            Self::DuplicateRecord { .. } => "duplicate-record",
            Self::EmptyAmendment { .. } => "empty-amendment",
            Self::AmendmentOrder { .. } => "amendment-order",
            Self::CompositionTimestamp { .. } => "composition-timestamp",
            Self::Record { error, .. } => error.rule().name(),
            Self::WrongHeight { .. } => "height",
            Self::WrongParent { .. } => "parent",
            Self::TimestampNotAboveParent { .. } => "timestamp",
            Self::TurnAhead { .. } => "turn",
            Self::TimestampAhead { .. } | Self::TimestampBehind { .. } => "clock",
            Self::QuietBatchTooSoon { .. } => "quiet-interval",
            Self::AmendmentTooSoon { .. } => "amendment-interval",
            Self::EmptyBatch => "empty-batch",
            Self::WrongOutcomesRoot { .. } => "outcomes-root",
            Self::WrongStateRoot { .. } => "state-root",
            Self::Market(error) => error.rule(),
            Self::Internal(_) => Defect::RULE,
        }
    }
}
