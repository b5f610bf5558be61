//! Certificates: the same vote by more than two thirds of the validators, by power. A [`CommitCertificate`] makes a
//! batch final; a [`PolkaCertificate`] justifies a proposal. Two types, so that one cannot pass as the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::message::{SignedVote, Vote, VoteKind};
use super::{Power, Round, ValidatorSet};
use crate::batch::BatchHash;
use crate::key::{KeyError, Signature};
use crate::record::{Height, NetworkId};

/// Precommits of more than two thirds for one batch: the batch is final. Stored with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct CommitCertificate {
    /// The height decided.
    pub height: Height,
    /// The round that decided it.
    pub round: Round,
    pub batch: BatchHash,
    /// Validators' positions, strictly increasing, and their signatures under the precommit.
    pub signatures: Vec<(u16, Signature)>,
}

/// Prevotes of more than two thirds for one batch: it may be proposed again in later rounds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PolkaCertificate {
    /// The height voted on.
    pub height: Height,
    /// The round of the prevotes.
    pub round: Round,
    pub batch: BatchHash,
    /// Validators' positions, strictly increasing, and their signatures under the prevote.
    pub signatures: Vec<(u16, Signature)>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum CertificateError {
    /// A validator stands twice, or the order is not that of positions.
    #[error(
        "signature of validator {got} stands after that of validator {previous}, expected increasing positions"
    )]
    NotIncreasing {
        /// The position found.
        got: u16,
        /// The position before it.
        previous: u16,
    },
    /// No validator has this position.
    #[error("signature of validator {got}, expected positions below {expected}")]
    UnknownValidator {
        /// The position found.
        got: u16,
        /// The number of validators.
        expected: usize,
    },
    /// Too few agree.
    #[error("{got} votes, expected at least {expected}")]
    NoQuorum {
        /// The power of those who signed.
        got: Power,
        expected: Power,
    },
    /// A signature is not that validator's under this vote.
    #[error("signature of validator {validator}: {reason}")]
    BadSignature {
        /// The validator's position.
        validator: u16,
        reason: KeyError,
    },
}

impl CommitCertificate {
    /// Checks that two thirds of these validators precommitted its batch. Whether height and batch are
    /// the expected ones is the caller's to compare.
    ///
    /// # Errors
    /// The first rule that does not hold; cheap ones first.
    pub fn verify(&self, validators: &ValidatorSet, network: NetworkId) -> Result<(), CertificateError> {
        verify_quorum(&self.vote(network), &self.signatures, validators)
    }

    /// The power of those of these validators who signed it, each counted once; nothing is verified.
    pub fn votes(&self, validators: &ValidatorSet) -> Power {
        let signers: BTreeSet<u16> = self.signatures.iter().map(|(validator, _)| *validator).collect();
        validators.seats().power_of_all(signers)
    }

    /// The vote that all of them signed.
    pub(super) const fn vote(&self, network: NetworkId) -> Vote {
        let kind = VoteKind::Precommit;
        Vote { network, height: self.height, round: self.round, kind, batch: Some(self.batch) }
    }
}

impl PolkaCertificate {
    /// Checks that two thirds of these validators prevoted its batch.
    ///
    /// # Errors
    /// The first rule that does not hold; cheap ones first.
    pub fn verify(&self, validators: &ValidatorSet, network: NetworkId) -> Result<(), CertificateError> {
        verify_quorum(&self.vote(network), &self.signatures, validators)
    }

    /// The vote that all of them signed.
    pub(super) const fn vote(&self, network: NetworkId) -> Vote {
        let kind = VoteKind::Prevote;
        Vote { network, height: self.height, round: self.round, kind, batch: Some(self.batch) }
    }
}

fn verify_quorum(
    vote: &Vote,
    signatures: &[(u16, Signature)],
    validators: &ValidatorSet,
) -> Result<(), CertificateError> {
    for (&(previous, _), &(got, _)) in signatures.iter().zip(signatures.iter().skip(1)) {
        if got <= previous {
            return Err(CertificateError::NotIncreasing { got, previous });
        }
    }
    if let Some(&(got, _)) = signatures.last().filter(|(last, _)| usize::from(*last) >= validators.len()) {
        return Err(CertificateError::UnknownValidator { got, expected: validators.len() });
    }
    let got = validators.seats().power_of_all(signatures.iter().map(|(validator, _)| *validator));
    let expected = validators.quorum();
    if got < expected {
        return Err(CertificateError::NoQuorum { got, expected });
    }
    for (validator, signature) in signatures {
        match vote.verify(validators, *validator, signature) {
            Some(Ok(())) => {}
            Some(Err(reason)) => {
                return Err(CertificateError::BadSignature { validator: *validator, reason });
            }
            None => {
                let expected = validators.len();
                return Err(CertificateError::UnknownValidator { got: *validator, expected });
            }
        }
    }
    Ok(())
}

/// The signatures of those of `votes` that are for `batch`, in order of position.
pub(super) fn signatures_for(votes: &BTreeMap<u16, SignedVote>, batch: BatchHash) -> Vec<(u16, Signature)> {
    let agreeing = votes.values().filter(|signed| signed.vote.batch == Some(batch));
    agreeing.map(|signed| (signed.validator, signed.signature)).collect()
}
