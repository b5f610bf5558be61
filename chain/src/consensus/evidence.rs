//! Evidence that a validator voted twice: it fits a batch, and holds for whoever knows the validators.

use serde::{Deserialize, Serialize};

use super::message::{Equivocation, Vote, VoteKind};
use super::{Round, ValidatorSet};
use crate::batch::BatchHash;
use crate::key::{KeyError, Signature};
use crate::record::{Height, NetworkId};

/// Two votes of one validator of which a correct one signs one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DoubleVote {
    /// The network voted in.
    pub network: NetworkId,
    /// The height voted on.
    pub height: Height,
    /// The attempt at it.
    pub round: Round,
    /// Which of the round's two votes.
    pub kind: VoteKind,
    /// The voter's position in the validator set.
    pub validator: u16,
    /// What it voted for, the lesser first; `None` is nil.
    pub batches: [Option<BatchHash>; 2],
    /// Under each of the two votes.
    pub signatures: [Signature; 2],
}

/// Why two votes prove nothing, or nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum EvidenceError {
    /// They are of another network.
    #[error("of network {got:?}, this is {expected:?}")]
    WrongNetwork { got: NetworkId, expected: NetworkId },
    /// No validator has this position.
    #[error("against validator {got}, expected positions below {expected}")]
    UnknownValidator {
        got: u16,
        /// The number of validators.
        expected: usize,
    },
    /// They are for one batch, or not in order.
    #[error("the two votes are for the same, or not in order")]
    SameOrDisordered,
    /// One of them is not the validator's.
    #[error("a vote against validator {validator}: {reason}")]
    BadSignature { validator: u16, reason: KeyError },
    /// They are of a height that the batch with them does not come after.
    #[error("votes of height {got}, expected at most {expected}")]
    FromTheFuture {
        got: Height,
        /// The batch's.
        expected: Height,
    },
    /// An earlier batch, or an item before it, has brought evidence against this validator.
    #[error("there is evidence against validator {validator} already")]
    KnownBefore { validator: u16 },
}

impl EvidenceError {
    /// The rule's name, for logs and tables.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::WrongNetwork { .. } => "evidence-network",
            Self::UnknownValidator { .. } => "evidence-validator",
            Self::SameOrDisordered => "evidence-votes",
            Self::BadSignature { .. } => "evidence-signature",
            Self::FromTheFuture { .. } => "evidence-height",
            Self::KnownBefore { .. } => "evidence-once",
        }
    }
}

impl DoubleVote {
    /// The evidence that two votes are; `None` if a machine found two proposals.
    pub fn of(equivocation: &Equivocation) -> Option<Self> {
        let Equivocation::Votes(first, second) = equivocation else { return None };
        let (mut one, mut other) = (first, second);
        if one.vote.batch > other.vote.batch {
            (one, other) = (other, one);
        }
        let Vote { network, height, round, kind, batch } = one.vote;
        Some(Self {
            network,
            height,
            round,
            kind,
            validator: one.validator,
            batches: [batch, other.vote.batch],
            signatures: [one.signature, other.signature],
        })
    }

    /// Checks that it proves what it says.
    ///
    /// # Errors
    /// The first thing that is wrong with it, signatures last.
    pub fn verify(&self, validators: &ValidatorSet, expected: NetworkId) -> Result<(), EvidenceError> {
        let &Self { network, height, round, kind, validator, batches, signatures } = self;
        if network != expected {
            return Err(EvidenceError::WrongNetwork { got: network, expected });
        }
        let [one, other] = batches;
        if one >= other {
            return Err(EvidenceError::SameOrDisordered);
        }
        for (batch, signature) in batches.into_iter().zip(signatures) {
            let vote = Vote { network, height, round, kind, batch };
            match vote.verify(validators, validator, &signature) {
                Some(Ok(())) => {}
                Some(Err(reason)) => return Err(EvidenceError::BadSignature { validator, reason }),
                None => {
                    let expected = validators.len();
                    return Err(EvidenceError::UnknownValidator { got: validator, expected });
                }
            }
        }
        Ok(())
    }
}
