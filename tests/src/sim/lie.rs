//! Liars: hosts that run the node core and tell their peers something else than it would.

#![expect(clippy::wildcard_enum_match_arm, reason = "a liar changes a few kinds of message among many")]

use chain::consensus::{ConsensusMessage, Proposal, Vote};
use chain::{Batch, BatchHash, Block, Hash, SecretKey, Signature};
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
    /// It announces its blocks and proposes its batches, and gives them to nobody.
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
            (Self::KeepsBodies, body) => kept(body),
            (Self::KeepsSomeBodies, body) if is_even(to) => kept(body),
            (Self::ForgesBodies, body) => vec![forged(body, to)],
            _ => vec![truth.clone()],
        }
    }

    /// What it says to this peer instead of something meant for it alone.
    pub(super) fn answer(self, to: HostId, truth: &Message) -> Vec<Message> {
        match (self, truth) {
            (Self::KeepsBodies, Message::Batch(_) | Message::Block(_)) => Vec::new(),
            (Self::KeepsSomeBodies, Message::Batch(_) | Message::Block(_)) if is_even(to) => Vec::new(),
            (Self::ForgesBodies, body) => vec![forged(body, to)],
            _ => vec![truth.clone()],
        }
    }
}

const fn is_even(host: HostId) -> bool {
    host.0.is_multiple_of(2)
}

/// Of a block it says that it has it, and of a batch nothing: a proposal names it.
fn kept(truth: &Message) -> Vec<Message> {
    match truth {
        Message::Block(block) => vec![Message::AnnounceBlock(block.hash())],
        Message::Batch(_) => Vec::new(),
        _ => vec![truth.clone()],
    }
}

/// The name of a block or batch covers its header only: what else it carries can be exchanged on the way.
fn forged(truth: &Message, to: HostId) -> Message {
    match truth {
        Message::Batch(batch) if to.0.is_multiple_of(3) => without_body(batch),
        Message::Batch(batch) if to.0 % 3 == 1 => another_signature(batch),
        Message::Block(block) if to.0 % 3 < 2 => Message::Block(Box::new(forged_block(block, to.0 % 3))),
        _ => truth.clone(),
    }
}

/// The same header over nothing.
pub(super) fn without_body(batch: &Batch) -> Message {
    Message::Batch(Box::new(Batch { contents: chain::Contents::default(), ..batch.clone() }))
}

/// The same batch, signed by nobody.
pub(super) fn another_signature(batch: &Batch) -> Message {
    Message::Batch(Box::new(Batch { signature: Signature([7; 64]), ..batch.clone() }))
}

/// The same header over nothing, or signed by nobody.
pub(super) fn forged_block(block: &Block, kind: u32) -> Block {
    let mut forged = block.clone();
    if kind == 0 {
        forged.body = chain::Body::default();
    } else {
        forged.signed.signature = Signature([7; 64]);
    }
    forged
}
