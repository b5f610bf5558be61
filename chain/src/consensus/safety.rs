//! What a validator must remember across a crash so that it never contradicts itself.

use serde::{Deserialize, Serialize};

use super::certificate::PolkaCertificate;
use super::message::{Proposal, Vote, VoteKind};
use super::{MESSAGE_BYTES, Round};
use crate::batch::BatchHash;
use crate::codec::{CodecError, decode, encode};
use crate::record::Height;

/// The durable part of the state of one height: what was signed last, and the lock. It must be on disk
/// before anything it covers is sent. Without the lock a restarted validator could help a second batch
/// to two thirds although it never votes twice in a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SafetyLog {
    /// The height last voted on.
    pub height: Height,
    /// `round_p`: nothing of an earlier round will be signed.
    pub round: Round,
    /// The own proposal of this round.
    pub proposal: Option<Proposal>,
    /// The own prevote of this round.
    pub prevote: Option<Vote>,
    /// The own precommit of this round.
    pub precommit: Option<Vote>,
    /// `lockedRound_p` and `lockedValue_p`.
    pub locked: Option<(Round, BatchHash)>,
    /// `validRound_p` and `validValue_p`, with their proof.
    pub valid: Option<PolkaCertificate>,
}

/// Why something will not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetyError {
    /// It is of another height or round than the current one.
    #[error("for height {got_height} round {got_round}, signing height {height} round {round} only")]
    ElsewhereInTime {
        /// The height asked for.
        got_height: Height,
        /// The round asked for.
        got_round: Round,
        /// The log's height.
        height: Height,
        /// The log's round.
        round: Round,
    },
    /// Something else was signed in its place already.
    #[error("height {height} round {round}: something else was signed already")]
    Conflict {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
    },
}

impl SafetyLog {
    /// The log of a height that nothing has been signed for.
    pub fn new(height: Height) -> Self {
        Self { height, ..Self::default() }
    }

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The log these bytes are.
    ///
    /// # Errors
    /// If there are more than [`MESSAGE_BYTES`], they are malformed, or they are not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MESSAGE_BYTES)
    }

    /// Moves on to a later round; what was signed in the one left behind is settled.
    pub(super) fn enter_round(&mut self, round: Round) {
        (self.round, self.proposal, self.prevote, self.precommit) = (round, None, None, None);
    }

    /// Notes a vote that is about to be signed; signing the very same one again is fine.
    ///
    /// # Errors
    /// If it is not of the current height and round, or another one of its kind was signed there.
    pub fn permit_vote(&mut self, vote: Vote) -> Result<(), SafetyError> {
        self.check_place(vote.height, vote.round)?;
        let slot = match vote.kind {
            VoteKind::Prevote => &mut self.prevote,
            VoteKind::Precommit => &mut self.precommit,
        };
        if *slot.get_or_insert(vote) == vote { Ok(()) } else { Err(self.conflict()) }
    }

    /// Notes a proposal that is about to be signed; signing the very same one again is fine.
    ///
    /// # Errors
    /// If it is not of the current height and round, or another one was signed there.
    pub fn permit_proposal(&mut self, proposal: Proposal) -> Result<(), SafetyError> {
        self.check_place(proposal.height, proposal.round)?;
        if *self.proposal.get_or_insert(proposal) == proposal { Ok(()) } else { Err(self.conflict()) }
    }

    const fn check_place(&self, got_height: Height, got_round: Round) -> Result<(), SafetyError> {
        if got_height == self.height && got_round == self.round {
            return Ok(());
        }
        let (height, round) = (self.height, self.round);
        Err(SafetyError::ElsewhereInTime { got_height, got_round, height, round })
    }

    const fn conflict(&self) -> SafetyError {
        SafetyError::Conflict { height: self.height, round: self.round }
    }
}
