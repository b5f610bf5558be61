//! What nodes say to each other, and how much of it a node listens to.

use chain::codec::{self, CodecError};
use chain::consensus::{CommitCertificate, ConsensusMessage, VoteSummary};
use chain::{Block, BlockHash, Hash, Height, NetworkId, Store, StoreError};
use coordinator_free_pool::PoolMessage;
use serde::{Deserialize, Serialize};

use super::peer_record::PeerRecord;

/// The version of this message set; peers of another version are refused.
pub const PROTOCOL_VERSION: u16 = 1;
/// The largest message, in bytes: the largest block of [`chain::genesis::Limits`] and room around it.
pub const MESSAGE_BYTES: usize = 5 << 20;
/// The most peer records in one message.
pub(super) const PEER_RECORDS: usize = 64;
/// The most candidate blocks a status announces.
pub(super) const STATUS_CANDIDATES: usize = 8;
/// The most final blocks in one message.
pub const FINAL_BLOCKS: usize = 64;

/// Everything that travels between two nodes. New kinds go at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Message {
    /// The first message of each side.
    Hello(Hello),
    /// Where nodes can be reached; at most `PEER_RECORDS`.
    Peers(Vec<PeerRecord>),
    /// Records that no block holds yet.
    Pool(PoolMessage),
    /// Where I am; sent in turn to each peer, which answers with the votes I lack, or with its own if it is ahead.
    Status(Status),
    /// I have a block that is valid for this height.
    AnnounceBlock {
        /// Its height.
        height: Height,
        block: BlockHash,
    },
    /// Send me this block.
    RequestBlock(BlockHash),
    /// A block, not final.
    Block(Box<Block>),
    /// A proposal, a vote or a certificate.
    Consensus(ConsensusMessage),
    /// Send me final blocks from this height on.
    RequestFinal {
        /// The first height wanted.
        from: Height,
    },
    /// Final blocks in order of height, at most [`FINAL_BLOCKS`] and as many as fit a message; none if
    /// the sender has none from the height asked for.
    Final(Vec<FinalBlockMessage>),
}

/// What a message is about, as its first bytes tell before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Proposals, votes and certificates.
    Vote,
    /// A block, not final.
    Block,
    /// Final blocks.
    Final,
    /// Records of the pool.
    Records,
    /// An answer to a round of reconciliation.
    ReconcileReply,
    /// All else, and what is no message.
    Other,
}

impl Topic {
    /// Of the bytes of a message: a kind is one byte, and so is a kind of pool message after it.
    pub(super) const fn of(bytes: &[u8]) -> Self {
        match bytes {
            [2, 2, ..] => Self::Records,
            [2, 4, ..] => Self::ReconcileReply,
            [6, ..] => Self::Block,
            [7, ..] => Self::Vote,
            [9, ..] => Self::Final,
            _ => Self::Other,
        }
    }
}

/// Who is speaking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub version: u16,
    /// The network the sender is on.
    pub network: NetworkId,
    /// The height of its head.
    pub height: Height,
}

/// Where a node is in the chain and in the vote on the next height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The height of its head.
    pub height: Height,
    /// State root at its head: two nodes that differ here have a bug.
    pub state_root: Hash,
    /// The votes it holds for the next height.
    pub votes: VoteSummary,
    /// Valid blocks it holds for the next height, at most `STATUS_CANDIDATES`.
    pub candidates: Vec<BlockHash>,
}

/// A block and the votes that made it final.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct FinalBlockMessage {
    pub block: Block,
    /// More than two thirds of the validators' precommits for it.
    pub certificate: CommitCertificate,
}

/// Why a message is refused before its content is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum MessageError {
    /// The bytes are not a message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A list in it is too long.
    #[error("{list}: {got} entries, at most {expected} allowed")]
    TooMany { list: &'static str, got: usize, expected: usize },
}

impl Message {
    /// As many final blocks from a height on as one message holds.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn final_blocks(store: &Store, from: Height) -> Result<Self, StoreError> {
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for found in store.blocks_from(from).take(FINAL_BLOCKS) {
            let (block, certificate) = found?;
            let block = FinalBlockMessage { block, certificate };
            bytes += codec::encode(&block).len() + 8;
            if bytes > MESSAGE_BYTES - 1_024 {
                break;
            }
            blocks.push(block);
        }
        Ok(Self::Final(blocks))
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The number of its canonical bytes.
    pub(super) fn encoded_len(&self) -> usize {
        codec::encoded_len(self)
    }

    /// The message whose canonical bytes these are.
    ///
    /// # Errors
    /// If the bytes are too many, malformed or not canonical, or a list is longer than allowed.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let message: Self = codec::decode(bytes, MESSAGE_BYTES)?;
        let list = match &message {
            Self::Peers(records) => ("peer records", records.len(), PEER_RECORDS),
            Self::Status(status) => ("candidate blocks", status.candidates.len(), STATUS_CANDIDATES),
            Self::Final(blocks) => ("final blocks", blocks.len(), FINAL_BLOCKS),
            Self::Hello(_)
            | Self::Pool(_)
            | Self::AnnounceBlock { .. }
            | Self::RequestBlock(_)
            | Self::Block(_)
            | Self::Consensus(_)
            | Self::RequestFinal { .. } => return Ok(message),
        };
        let (list, got, expected) = list;
        if got > expected { Err(MessageError::TooMany { list, got, expected }) } else { Ok(message) }
    }

    /// The name of its kind, for logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Peers(_) => "peers",
            Self::Pool(_) => "pool",
            Self::Status(_) => "status",
            Self::AnnounceBlock { .. } => "block announcement",
            Self::RequestBlock(_) => "block request",
            Self::Block(_) => "block",
            Self::Consensus(_) => "vote",
            Self::RequestFinal { .. } => "final block request",
            Self::Final(_) => "final blocks",
        }
    }
}
