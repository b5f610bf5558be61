//! What goes into the state machine of a height, and what comes out.

use super::Round;
use super::certificate::{CertificateError, CommitCertificate, PolkaCertificate};
use super::message::{ConsensusMessage, Equivocation, SignedProposal, SignedVote};
use super::safety::{SafetyError, SafetyLog};
use crate::batch::BatchHash;
use crate::key::KeyError;
use crate::record::{Height, NetworkId};
use crate::validate::Fault;

/// Where a validator stands in a round, and which timeout is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Waiting for the proposal.
    Propose,
    /// Waiting for two thirds of prevotes to agree.
    Prevote,
    /// Waiting for two thirds of precommits to agree.
    Precommit,
}

/// What can happen to a height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something waits to be brought by a batch of this height: whoever's turn it is makes one.
    Wake,
    /// A valid batch for this height, to be proposed when it is this node's turn: the first one in its
    /// first turn, in each later turn the next one. None is ever withdrawn: whether a batch is valid does
    /// not change, and one that nobody accepts only costs its turns.
    Candidate(BatchHash),
    /// A proposal whose batch the node has fetched and judged. Until it has, it holds the proposal back.
    Proposal {
        /// As received.
        signed: SignedProposal,
        /// Whether the batch is valid after this height's parent; never a passing judgement.
        valid: bool,
    },
    /// A vote.
    Vote(SignedVote),
    /// Prevotes of more than two thirds.
    Polka(PolkaCertificate),
    /// A decision.
    Commit(CommitCertificate),
    /// A timeout set earlier has passed; outdated ones are ignored.
    Timeout {
        /// As it was set.
        round: Round,
        /// As it was set.
        step: Step,
    },
}

/// What the node must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable before carrying out any later output; replaces the earlier one.
    Persist(SafetyLog),
    /// Send the node's own new message to all validators.
    Broadcast(ConsensusMessage),
    /// Give back [`Input::Timeout`] after a time that grows with the round.
    SetTimeout {
        /// To be given back.
        round: Round,
        /// To be given back.
        step: Step,
    },
    /// The height is decided, once and for all. The node fetches the batch if it does not have it.
    Decided(CommitCertificate),
    /// A validator lied.
    Equivocation(Equivocation),
    /// This node's own fault: it was about to sign what contradicts its [`SafetyLog`]. Nothing was signed or
    /// sent; tell the operator.
    NotSigned(SafetyError),
}

/// Why an input is refused; the state is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ConsensusError {
    /// It is signed for another network.
    #[error("for network {got}, expected {expected}")]
    WrongNetwork { got: NetworkId, expected: NetworkId },
    /// It is about another height: no lie, but not for this machine.
    #[error("for height {got}, expected {expected}")]
    WrongHeight {
        got: Height,
        /// The one being decided.
        expected: Height,
    },
    /// No validator has this position.
    #[error("from validator {got}, expected positions below {expected}")]
    UnknownValidator {
        got: u16,
        /// The number of validators.
        expected: usize,
    },
    /// The signature does not match.
    #[error("validator {validator}: {reason}")]
    BadSignature {
        /// Who is said to have signed.
        validator: u16,
        reason: KeyError,
    },
    /// A proposal's valid round is not an earlier one.
    #[error("valid round {got} of a proposal, expected one below its round {expected}")]
    ValidRoundNotEarlier {
        /// The valid round.
        got: Round,
        /// The proposal's round.
        expected: Round,
    },
    /// A proposal's polka is missing, superfluous, or of another height, round or batch.
    #[error("the polka of a proposal does not belong to its valid round {expected:?} and batch")]
    PolkaMismatch {
        /// The proposal's valid round.
        expected: Option<Round>,
    },
    /// A certificate proves nothing.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
}

impl ConsensusError {
    /// Whose fault it is: honest nodes are at different heights, but send nothing else that is refused.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::WrongHeight { .. } => Fault::Transient,
            Self::WrongNetwork { .. }
            | Self::UnknownValidator { .. }
            | Self::BadSignature { .. }
            | Self::ValidRoundNotEarlier { .. }
            | Self::PolkaMismatch { .. }
            | Self::Certificate(_) => Fault::Peer,
        }
    }
}
