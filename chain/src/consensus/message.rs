//! What validators sign and send: votes and proposals. Nothing here decides what to sign.

use serde::{Deserialize, Serialize};

use super::certificate::{CommitCertificate, PolkaCertificate};
use super::{MESSAGE_BYTES, Round, ValidatorSet};
use crate::batch::BatchHash;
use crate::codec::{CodecError, decode, encode};
use crate::hash::Domain;
use crate::key::{KeyError, SecretKey, Signature};
use crate::record::{Height, NetworkId};

/// The two votes of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteKind {
    /// "This batch is acceptable to me in this round."
    Prevote,
    /// "I saw two thirds prevote it; I stand by it."
    Precommit,
}

/// What a vote says. All validators who agree sign the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The network voted in.
    pub network: NetworkId,
    /// The height voted on.
    pub height: Height,
    /// The attempt at it.
    pub round: Round,
    /// Which of the round's two votes.
    pub kind: VoteKind,
    /// The batch voted for; `None` is nil: for none in this round.
    pub batch: Option<BatchHash>,
}

/// A vote with its voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SignedVote {
    pub vote: Vote,
    /// The voter's position in the validator set.
    pub validator: u16,
    /// By that validator, in [`Domain::Vote`].
    pub signature: Signature,
}

/// What the proposer of a round says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Proposal {
    pub network: NetworkId,
    /// The height to decide.
    pub height: Height,
    /// The attempt at it; with the height, it names the proposer.
    pub round: Round,
    pub batch: BatchHash,
    /// The earlier round in which two thirds prevoted it, if it is proposed for that reason.
    pub valid_round: Option<Round>,
}

/// A proposal by the round's proposer, with what justifies it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SignedProposal {
    pub proposal: Proposal,
    /// By the proposer of its height and round, in [`Domain::Proposal`].
    pub signature: Signature,
    /// The prevotes of `valid_round`; present exactly if that is.
    pub polka: Option<PolkaCertificate>,
}

/// What nodes send each other about a height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsensusMessage {
    /// From the round's proposer, or passed on.
    Proposal(SignedProposal),
    /// A validator's vote.
    Vote(SignedVote),
    /// Two thirds of prevotes for one batch.
    Polka(PolkaCertificate),
    /// A decision.
    Commit(CommitCertificate),
}

/// Proof that a validator lied: two signed statements of which a correct one makes at most one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Equivocation {
    /// Two votes of one kind in one round, for different batches.
    Votes(Box<SignedVote>, Box<SignedVote>),
    /// Two proposals of one round.
    Proposals(Box<SignedProposal>, Box<SignedProposal>),
}

impl Vote {
    /// Signs it as the validator at this position; `key` must be that validator's.
    pub fn sign(self, validator: u16, key: &SecretKey) -> SignedVote {
        SignedVote { vote: self, validator, signature: key.sign(Domain::Vote, &[&encode(&self)]) }
    }

    /// Checks one validator's signature under it; `None` if there is no such validator.
    pub fn verify(
        &self,
        validators: &ValidatorSet,
        validator: u16,
        signature: &Signature,
    ) -> Option<Result<(), KeyError>> {
        let key = validators.key(validator)?;
        Some(key.verify(Domain::Vote, &[&encode(self)], signature))
    }
}

impl Proposal {
    /// Signs it; `key` must be the proposer's and `polka` the proof of `valid_round`.
    pub fn sign(self, key: &SecretKey, polka: Option<PolkaCertificate>) -> SignedProposal {
        SignedProposal { proposal: self, signature: key.sign(Domain::Proposal, &[&encode(&self)]), polka }
    }
}

impl SignedProposal {
    /// Checks the proposer's signature, not the polka.
    ///
    /// # Errors
    /// If the signature is not that of the round's proposer.
    pub fn verify_signature(&self, validators: &ValidatorSet) -> Result<(), KeyError> {
        let proposer = validators.proposer(self.proposal.height, self.proposal.round);
        let key = validators.key(proposer).ok_or(KeyError::BadSignature)?;
        key.verify(Domain::Proposal, &[&encode(&self.proposal)], &self.signature)
    }
}

impl ConsensusMessage {
    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The message these bytes are.
    ///
    /// # Errors
    /// If there are more than [`MESSAGE_BYTES`], they are malformed, or they are not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MESSAGE_BYTES)
    }

    /// The height it is about.
    pub const fn height(&self) -> Height {
        match self {
            Self::Proposal(signed) => signed.proposal.height,
            Self::Vote(signed) => signed.vote.height,
            Self::Polka(certificate) => certificate.height,
            Self::Commit(certificate) => certificate.height,
        }
    }
}

impl Equivocation {
    /// Whose lie it proves, if it does: the statements differ where they must not, and both are signed.
    pub fn culprit(&self, validators: &ValidatorSet) -> Option<u16> {
        match self {
            Self::Votes(first, second) => {
                let other = Vote { batch: second.vote.batch, ..first.vote };
                let conflict = first.vote != second.vote && other == second.vote;
                let signed = [first, second].iter().all(|signed| {
                    signed.vote.verify(validators, first.validator, &signed.signature) == Some(Ok(()))
                });
                (conflict && signed).then_some(first.validator)
            }
            Self::Proposals(first, second) => {
                let (one, two) = (&first.proposal, &second.proposal);
                let same_place = (one.network, one.height, one.round) == (two.network, two.height, two.round);
                let signed = [first, second].iter().all(|signed| signed.verify_signature(validators).is_ok());
                (same_place && one != two && signed).then(|| validators.proposer(one.height, one.round))
            }
        }
    }
}
