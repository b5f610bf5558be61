//! Liars: hosts that run the node core and tell their peers something else than it would.

use chain::consensus::{ConsensusMessage, Proposal, Vote};
use chain::{Batch, BatchHash, Hash, SecretKey, Signature};
use miner_node::Message;

use super::host::HostId;

/// A batch that does not exist.
const NO_BATCH: BatchHash = BatchHash(Hash([0xee; 32]));

/// What a liar changes of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// Beside each vote of its own it signs and sends a contrary one; to every second peer it proposes a batch that
    /// does not exist.
    VotesTwice,
    /// It announces and proposes its batches, and gives their contents to nobody.
    KeepsBodies,
    /// It gives them to every second peer only.
    KeepsSomeBodies,
    /// To every third peer it sends another body under the same name, to another third another signature.
    ForgesBodies,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::VotesTwice, Self::KeepsBodies, Self::KeepsSomeBodies, Self::ForgesBodies];

    /// What it says to this peer instead of something meant for all.
    pub(super) fn call(self, key: &SecretKey, to: HostId, truth: &Message) -> Vec<Message> {
        match (self, truth) {
            (Self::VotesTwice, Message::Consensus(ConsensusMessage::Vote(signed))) => {
                let batch = if signed.vote.batch.is_some() { None } else { Some(NO_BATCH) };
                let vote = Vote { batch, ..signed.vote };
                let lie = Message::Consensus(ConsensusMessage::Vote(vote.sign(signed.validator, key)));
                // Everybody hears both, every second peer the lie first.
                if is_even(to) { vec![lie, truth.clone()] } else { vec![truth.clone(), lie] }
            }
            (Self::VotesTwice, Message::Consensus(ConsensusMessage::Proposal(signed))) if is_even(to) => {
                let proposal = Proposal { batch: NO_BATCH, valid_round: None, ..signed.proposal };
                vec![Message::Consensus(ConsensusMessage::Proposal(proposal.sign(key, None)))]
            }
            (Self::KeepsBodies, Message::Batch(batch)) => vec![announced(batch)],
            (Self::KeepsSomeBodies, Message::Batch(batch)) if is_even(to) => vec![announced(batch)],
            (Self::ForgesBodies, Message::Batch(batch)) => vec![forged(batch, to)],
            _ => vec![truth.clone()],
        }
    }

    /// What it says to this peer instead of something meant for it alone.
    pub(super) fn answer(self, to: HostId, truth: &Message) -> Vec<Message> {
        match (self, truth) {
            (Self::KeepsBodies, Message::Batch(_)) => Vec::new(),
            (Self::KeepsSomeBodies, Message::Batch(_)) if is_even(to) => Vec::new(),
            (Self::ForgesBodies, Message::Batch(batch)) => vec![forged(batch, to)],
            _ => vec![truth.clone()],
        }
    }
}

const fn is_even(host: HostId) -> bool {
    host.0.is_multiple_of(2)
}

fn announced(batch: &Batch) -> Message {
    Message::AnnounceBatch { height: batch.header.height, batch: batch.hash() }
}

/// A batch's name covers its header only: what else it carries can be exchanged on the way.
fn forged(batch: &Batch, to: HostId) -> Message {
    Message::Batch(Box::new(match to.0 % 3 {
        0 => without_body(batch),
        1 => with_another_signature(batch),
        _ => batch.clone(),
    }))
}

/// The same header over nothing.
pub(super) fn without_body(batch: &Batch) -> Batch {
    Batch { contents: chain::Contents::default(), ..batch.clone() }
}

/// The same batch, signed by nobody.
pub(super) fn with_another_signature(batch: &Batch) -> Batch {
    Batch { signature: Signature([7; 64]), ..batch.clone() }
}
