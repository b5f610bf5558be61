//! The state machine of one height: who may sign, and the checks that every message passes before
//! `algorithm` hears it; what peers lack is in `sync`.

use super::algorithm::Algorithm;
use super::certificate::CommitCertificate;
use super::interface::{ConsensusError, Input, Output};
use super::message::{Proposal, SignedProposal, SignedVote};
use super::safety::SafetyLog;
use super::{Round, ValidatorSet};
use crate::key::SecretKey;
use crate::record::{Height, NetworkId};

/// One height of Tendermint consensus as seen by one node, validator or not.
#[derive(Debug)]
pub struct Consensus {
    pub(super) network: NetworkId,
    pub(super) validators: ValidatorSet,
    pub(super) algorithm: Algorithm<SecretKey>,
}

impl Consensus {
    /// The machine of `height`, and what to do first. `log` is the last one persisted, or the default.
    ///
    /// A log of an earlier height is settled and ignored. With one of this height the machine resumes in
    /// its round, and repeats (signs again, identically) what it said there. With one of a *later* height
    /// the node has lost batches that it voted on: it follows this height without signing.
    pub fn new(
        network: NetworkId,
        height: Height,
        validators: ValidatorSet,
        key: Option<SecretKey>,
        log: SafetyLog,
    ) -> (Self, Vec<Output>) {
        let signer = key.and_then(|key| Some((validators.index_of(&key.public())?, key)));
        let (algorithm, outputs) = Algorithm::new(network, height, validators.seats().clone(), signer, log);
        (Self { network, validators, algorithm }, outputs)
    }

    /// The height being decided.
    pub const fn height(&self) -> Height {
        self.algorithm.log.height
    }

    /// The current round.
    pub const fn round(&self) -> Round {
        self.algorithm.log.round
    }

    /// Whether anything has happened at this height; until then there is nothing to retransmit.
    pub const fn is_awake(&self) -> bool {
        self.algorithm.awake
    }

    /// The decision, once there is one.
    pub const fn decided(&self) -> Option<&CommitCertificate> {
        self.algorithm.decided.as_ref()
    }

    /// Whether a proposal, should its batch be valid, could still be voted on: it is new and of the current
    /// round of this height or one of the [`super::FUTURE_ROUNDS`] after it. No other need be held back until
    /// its batch has come, and no batch fetched for it.
    pub fn awaits_proposal(&self, signed: &SignedProposal) -> bool {
        let Proposal { network, height, round, .. } = signed.proposal;
        let is_here = network == self.network && height == self.height() && round >= self.round();
        is_here && self.decided().is_none() && self.algorithm.awaits_proposal(signed)
    }

    /// Whether it is this node's turn to propose, and it has nothing to propose: a batch is to be made and given as
    /// [`Input::Candidate`], now or, if there is nothing to bring, later in the turn.
    pub fn awaits_candidate(&self) -> bool {
        self.algorithm.awaits_candidate()
    }

    /// Takes one input and says what to do about it.
    ///
    /// # Errors
    /// If a message is not a correct one of this height; what is merely late or known is ignored.
    pub fn step(&mut self, input: Input) -> Result<Vec<Output>, ConsensusError> {
        let of_use = self.decided().is_none() && self.check(&input)?;
        Ok(if of_use { self.algorithm.step(input) } else { Vec::new() })
    }

    // ---- What a message must be to be heard: cheapest first ----

    /// Whether an input is of use; what is of none is not verified.
    fn check(&self, input: &Input) -> Result<bool, ConsensusError> {
        match input {
            Input::Wake | Input::Candidate(_) | Input::Timeout { .. } => Ok(true),
            Input::Proposal { signed, .. } => self.check_proposal(signed),
            Input::Vote(signed) => self.check_vote(signed),
            Input::Polka(certificate) => {
                self.check_height(certificate.height)?;
                let of_use = self.algorithm.wants_polka(certificate.round);
                if of_use {
                    certificate.verify(&self.validators, self.network)?;
                }
                Ok(of_use)
            }
            Input::Commit(certificate) => {
                self.check_height(certificate.height)?;
                certificate.verify(&self.validators, self.network)?;
                Ok(true)
            }
        }
    }

    const fn check_height(&self, got: Height) -> Result<(), ConsensusError> {
        let expected = self.height();
        if got == expected { Ok(()) } else { Err(ConsensusError::WrongHeight { got, expected }) }
    }

    fn check_network(&self, got: NetworkId) -> Result<(), ConsensusError> {
        let expected = self.network;
        if got == expected { Ok(()) } else { Err(ConsensusError::WrongNetwork { got, expected }) }
    }

    fn check_vote(&self, signed: &SignedVote) -> Result<bool, ConsensusError> {
        let &SignedVote { vote, validator, signature } = signed;
        self.check_network(vote.network)?;
        self.check_height(vote.height)?;
        if !self.algorithm.wants_vote(signed) {
            return Ok(false);
        }
        match vote.verify(&self.validators, validator, &signature) {
            Some(Ok(())) => Ok(true),
            Some(Err(reason)) => Err(ConsensusError::BadSignature { validator, reason }),
            None => {
                let expected = self.validators.len();
                Err(ConsensusError::UnknownValidator { got: validator, expected })
            }
        }
    }

    fn check_proposal(&self, signed: &SignedProposal) -> Result<bool, ConsensusError> {
        self.check_network(signed.proposal.network)?;
        self.check_height(signed.proposal.height)?;
        let of_use = self.algorithm.wants_proposal(signed);
        if of_use {
            self.verify_proposal(signed)?;
        }
        Ok(of_use)
    }

    /// Everything about a proposal but its batch: also the proof of its valid round, which the proposer's signature does
    /// not cover, so that anybody could put a false one in its place.
    ///
    /// # Errors
    /// The first rule that it breaks, signatures last.
    pub fn verify_proposal(&self, signed: &SignedProposal) -> Result<(), ConsensusError> {
        let Proposal { network, height, round, batch, valid_round } = signed.proposal;
        self.check_network(network)?;
        self.check_height(height)?;
        if let Some(got) = valid_round.filter(|&valid_round| valid_round >= round) {
            return Err(ConsensusError::ValidRoundNotEarlier { got, expected: round });
        }
        let proven = signed.polka.as_ref().map(|polka| (polka.height, polka.round, polka.batch));
        if proven != valid_round.map(|valid_round| (height, valid_round, batch)) {
            return Err(ConsensusError::PolkaMismatch { expected: valid_round });
        }
        signed.verify_signature(&self.validators).map_err(|reason| {
            let validator = self.validators.proposer(height, round);
            ConsensusError::BadSignature { validator, reason }
        })?;
        if let Some(polka) = &signed.polka {
            polka.verify(&self.validators, self.network)?;
        }
        Ok(())
    }
}
