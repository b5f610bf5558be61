//! Liars: hosts that run the node core and tell their peers something else than it would.

use chain::consensus::{ConsensusMessage, Proposal, Vote};
use chain::{Block, BlockHash, Hash, SecretKey, Signature};
use miner_node::Message;

use super::host::HostId;

/// A block that does not exist.
const NO_BLOCK: BlockHash = BlockHash(Hash([0xee; 32]));

/// What a liar changes of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// Beside each vote of its own it signs and sends a contrary one; to every second peer it proposes a block that
    /// does not exist.
    VotesTwice,
    /// It announces and proposes its blocks, and gives their contents to nobody.
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
                let block = if signed.vote.block.is_some() { None } else { Some(NO_BLOCK) };
                let vote = Vote { block, ..signed.vote };
                let lie = Message::Consensus(ConsensusMessage::Vote(vote.sign(signed.validator, key)));
                // Everybody hears both, every second peer the lie first.
                if is_even(to) { vec![lie, truth.clone()] } else { vec![truth.clone(), lie] }
            }
            (Self::VotesTwice, Message::Consensus(ConsensusMessage::Proposal(signed))) if is_even(to) => {
                let proposal = Proposal { block: NO_BLOCK, valid_round: None, ..signed.proposal };
                vec![Message::Consensus(ConsensusMessage::Proposal(proposal.sign(key, None)))]
            }
            (Self::KeepsBodies, Message::Block(block)) => vec![announced(block)],
            (Self::KeepsSomeBodies, Message::Block(block)) if is_even(to) => vec![announced(block)],
            (Self::ForgesBodies, Message::Block(block)) => vec![forged(block, to)],
            _ => vec![truth.clone()],
        }
    }

    /// What it says to this peer instead of something meant for it alone.
    pub(super) fn answer(self, to: HostId, truth: &Message) -> Vec<Message> {
        match (self, truth) {
            (Self::KeepsBodies, Message::Block(_)) => Vec::new(),
            (Self::KeepsSomeBodies, Message::Block(_)) if is_even(to) => Vec::new(),
            (Self::ForgesBodies, Message::Block(block)) => vec![forged(block, to)],
            _ => vec![truth.clone()],
        }
    }
}

const fn is_even(host: HostId) -> bool {
    host.0.is_multiple_of(2)
}

fn announced(block: &Block) -> Message {
    Message::AnnounceBlock { height: block.header.height, block: block.hash() }
}

/// A block's name covers its header only: what else it carries can be exchanged on the way.
fn forged(block: &Block, to: HostId) -> Message {
    Message::Block(Box::new(match to.0 % 3 {
        0 => without_body(block),
        1 => with_another_signature(block),
        _ => block.clone(),
    }))
}

/// The same header over nothing.
pub(super) fn without_body(block: &Block) -> Block {
    Block { body: chain::block::Body::default(), ..block.clone() }
}

/// The same block, signed by nobody.
pub(super) fn with_another_signature(block: &Block) -> Block {
    Block { signature: Signature([7; 64]), ..block.clone() }
}
