//! What a peer lacks. Sending again is the node's job; this says what, so that messages lost on the way
//! still arrive: at intervals well below the timeouts a node sends its summary to peers, and answers
//! theirs with [`Consensus::missing_from`].

use serde::{Deserialize, Serialize};

use super::message::{ConsensusMessage, VoteKind};
use super::round::{RoundMessages, VoteTally};
use super::{Consensus, MAX_VALIDATORS, MESSAGE_BYTES, PolkaCertificate, Round};
use crate::codec::{CodecError, decode, encode};
use crate::record::Height;

/// A set of validators: bit `i mod 8` of byte `i / 8` for position `i`; bytes left out are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteBits(Vec<u8>);

/// What a node holds of the round it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteSummary {
    /// The height being decided.
    pub height: Height,
    /// The round it is in.
    pub round: Round,
    /// Whether it holds a proposal.
    pub proposal: bool,
    /// Whether it holds two thirds of prevotes for one batch, and the valid proposal of that batch.
    pub polka: bool,
    /// Whose prevotes it holds.
    pub prevotes: VoteBits,
    /// Whose precommits it holds.
    pub precommits: VoteBits,
}

impl VoteBits {
    fn of(tally: &VoteTally) -> Self {
        let mut bits = Self::default();
        for &validator in tally.votes.keys() {
            let (byte, bit) = Self::place(validator);
            if bits.0.len() <= byte {
                bits.0.resize(byte.saturating_add(1), 0);
            }
            if let Some(byte) = bits.0.get_mut(byte) {
                *byte |= bit;
            }
        }
        bits
    }

    /// Whether the validator at this position is in the set.
    pub fn contains(&self, validator: u16) -> bool {
        let (byte, bit) = Self::place(validator);
        self.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    fn place(validator: u16) -> (usize, u8) {
        (usize::from(validator / 8), 1 << (validator % 8))
    }
}

impl VoteSummary {
    /// The most bytes of its encoding.
    pub const BYTES: usize = 2 * (MAX_VALIDATORS / 8 + 2) + 32;

    /// Its canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The summary these bytes are.
    ///
    /// # Errors
    /// If there are more than [`Self::BYTES`], they are malformed, or they are not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        const { assert!(Self::BYTES < MESSAGE_BYTES) };
        decode(bytes, Self::BYTES)
    }
}

impl Consensus {
    /// What this node holds of its round; to be sent to peers.
    pub fn summary(&self) -> VoteSummary {
        let none = RoundMessages::default();
        let held = self.algorithm.rounds.get(&self.algorithm.log.round).unwrap_or(&none);
        VoteSummary {
            height: self.algorithm.log.height,
            round: self.algorithm.log.round,
            proposal: !held.proposals.is_empty(),
            polka: held
                .prevotes
                .quorum
                .as_ref()
                .is_some_and(|(batch, _)| held.valid_proposal(*batch).is_some()),
            prevotes: VoteBits::of(&held.prevotes),
            precommits: VoteBits::of(&held.precommits),
        }
    }

    /// What this node holds and a peer with this summary lacks: the decision alone, once there is one;
    /// otherwise messages of the peer's round, and all of this node's round if that is ahead. At most
    /// two messages per validator and two more, for each of the two rounds.
    pub fn missing_from(&self, summary: &VoteSummary) -> Vec<ConsensusMessage> {
        if summary.height != self.algorithm.log.height {
            return Vec::new();
        }
        if let Some(certificate) = &self.algorithm.decided {
            return vec![ConsensusMessage::Commit(certificate.clone())];
        }
        let mut messages = Vec::new();
        if summary.round < self.algorithm.log.round {
            let nothing =
                VoteSummary { round: self.algorithm.log.round, ..VoteSummary::empty(summary.height) };
            self.add_missing(&nothing, &mut messages);
        }
        self.add_missing(summary, &mut messages);
        messages
    }

    fn add_missing(&self, summary: &VoteSummary, messages: &mut Vec<ConsensusMessage>) {
        let Some(held) = self.algorithm.rounds.get(&summary.round) else { return };
        let (height, round) = (summary.height, summary.round);
        let mut proposal = held.proposals.first().filter(|_| !summary.proposal);
        if let Some((batch, signatures)) = held.prevotes.quorum.clone().filter(|_| !summary.polka) {
            messages.push(ConsensusMessage::Polka(PolkaCertificate { height, round, batch, signatures }));
            // Of that very batch: the round's proposer may have sent the peer another one.
            proposal = held.valid_proposal(batch).or(proposal);
        }
        messages.extend(proposal.map(|held| ConsensusMessage::Proposal(held.signed.clone())));
        for (kind, has) in
            [(VoteKind::Prevote, &summary.prevotes), (VoteKind::Precommit, &summary.precommits)]
        {
            let votes = held.tally(kind).votes.values();
            let lacking = votes.filter(|signed| !has.contains(signed.validator));
            messages.extend(lacking.map(|&signed| ConsensusMessage::Vote(signed)));
        }
    }
}

impl VoteSummary {
    /// Of a node that holds nothing.
    fn empty(height: Height) -> Self {
        let (prevotes, precommits) = (VoteBits::default(), VoteBits::default());
        Self { height, round: 0, proposal: false, polka: false, prevotes, precommits }
    }
}
