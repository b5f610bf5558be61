//! What nodes say to each other, and how much of it a node listens to.

use chain::codec::{self, CodecError};
use chain::consensus::{CommitCertificate, ConsensusMessage, VoteSummary};
use chain::{Batch, BatchHash, Block, BlockHash, Hash, Height, NetworkId, SignedCommitment};
use coordinator_free_pool::PoolMessage;
use serde::{Deserialize, Serialize};

use super::peer_record::PeerRecord;

/// The version of this message set; peers of another version are refused.
pub const PROTOCOL_VERSION: u16 = 4;
/// The largest message, in bytes: the largest batch of [`chain::genesis::Limits`] and room around it.
pub const MESSAGE_BYTES: usize = 5 << 20;
/// The most peer records in one message.
pub(super) const PEER_RECORDS: usize = 64;
/// The most waiting blocks a status announces.
pub(super) const STATUS_BLOCKS: usize = 8;
/// The most final batches in one message.
pub const FINAL_BATCHES: usize = 64;
/// Room for what a message of final batches holds beside them.
const FINAL_OVERHEAD_BYTES: usize = 16;

/// Everything that travels between two nodes. New kinds go at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Message {
    /// The first message of each side.
    Hello(Hello),
    /// Where nodes can be reached; at most `PEER_RECORDS`.
    Peers(Vec<PeerRecord>),
    /// Records that no batch holds yet.
    Pool(PoolMessage),
    /// Where I am; sent in turn to each peer, which answers with the votes I lack, or with its own if it is ahead.
    Status(Status),
    /// I have a block that waits for a batch.
    AnnounceBlock(BlockHash),
    /// Send me this block.
    RequestBlock(BlockHash),
    /// A block that waits for a batch.
    Block(Box<Block>),
    /// Send me this batch, which is voted on.
    RequestBatch(BatchHash),
    /// A batch, not final.
    Batch(Box<Batch>),
    /// A proposal, a vote or a certificate.
    Consensus(ConsensusMessage),
    /// Send me final batches from this height on.
    RequestFinal {
        /// The first height wanted.
        from: Height,
    },
    /// Final batches in order of height, at most [`FINAL_BATCHES`] and as many as fit a message; none if
    /// the sender has none from the height asked for.
    Final(Vec<FinalBatchMessage>),
    /// A commitment that waits for a batch.
    Commitment(SignedCommitment),
}

/// What a message is about, as its first bytes tell before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Proposals, votes and certificates.
    Vote,
    /// A block that waits.
    Block,
    /// A batch, not final.
    Batch,
    /// Final batches.
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
            [8, ..] => Self::Batch,
            [9, ..] => Self::Vote,
            [11, ..] => Self::Final,
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
    /// Blocks that wait with it, at most `STATUS_BLOCKS`.
    pub blocks: Vec<BlockHash>,
}

/// A batch and the votes that made it final.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct FinalBatchMessage {
    pub batch: Batch,
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
    /// The canonical bytes of a [`Message::Final`]: as many batches from a height on as one message holds. `read` gives
    /// the canonical bytes of the final batch of a height and of its certificate behind it, `None` beyond the last.
    ///
    /// # Errors
    /// The first one of `read`.
    pub fn encode_final<E>(
        from: Height,
        mut read: impl FnMut(Height) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Vec<u8>, E> {
        let (mut batches, mut count) = (Vec::new(), 0_usize);
        for height in (from.max(1)..).take(FINAL_BATCHES) {
            let Some(batch) = read(height)? else { break };
            if batches.len().saturating_add(batch.len()) > MESSAGE_BYTES - FINAL_OVERHEAD_BYTES {
                break;
            }
            batches.extend(batch);
            count = count.saturating_add(1);
        }
        // Without batches such a message ends with their number.
        let mut message = Self::Final(Vec::new()).encode();
        message.truncate(message.len().saturating_sub(codec::encode(&0_usize).len()));
        message.extend(codec::encode(&count));
        message.extend(batches);
        Ok(message)
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
            Self::Status(status) => ("waiting blocks", status.blocks.len(), STATUS_BLOCKS),
            Self::Final(batches) => ("final batches", batches.len(), FINAL_BATCHES),
            Self::Hello(_)
            | Self::Pool(_)
            | Self::AnnounceBlock(_)
            | Self::RequestBlock(_)
            | Self::Block(_)
            | Self::RequestBatch(_)
            | Self::Batch(_)
            | Self::Consensus(_)
            | Self::Commitment(_)
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
            Self::AnnounceBlock(_) => "block announcement",
            Self::RequestBlock(_) => "block request",
            Self::Block(_) => "block",
            Self::RequestBatch(_) => "batch request",
            Self::Batch(_) => "batch",
            Self::Consensus(_) => "vote",
            Self::RequestFinal { .. } => "final batch request",
            Self::Final(_) => "final batches",
            Self::Commitment(_) => "commitment",
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::{BatchHeader, Contents, SecretKey};

    use super::*;

    fn final_batch(height: Height) -> FinalBatchMessage {
        let key = SecretKey::for_scenario(1, "miner", 0);
        let header = BatchHeader {
            version: 1,
            network: NetworkId(Hash([1; 32])),
            height,
            parent: BatchHash(Hash([2; 32])),
            timestamp_ms: height,
            proposer: key.public(),
            turn: 0,
            contents_root: Hash([3; 32]),
            item_count: 0,
            outcomes_root: Hash([5; 32]),
            state_root: Hash([4; 32]),
        };
        let batch = Batch::sign(header, Contents::default(), &key);
        let certificate = CommitCertificate { height, round: 0, batch: batch.hash(), signatures: Vec::new() };
        FinalBatchMessage { batch, certificate }
    }

    fn stored(height: Height, head: Height) -> Option<Vec<u8>> {
        (height <= head).then(|| codec::encode(&final_batch(height)))
    }

    #[test]
    fn final_batches_that_are_passed_on_as_stored_are_the_message_that_holds_them() {
        for (from, head, heights) in [(1, 0, 1..1), (0, 2, 1..3), (3, 5, 3..6), (2, 100, 2..66)] {
            let expected = Message::Final(heights.map(final_batch).collect());
            let bytes = Message::encode_final(from, |height| Ok::<_, ()>(stored(height, head))).unwrap();
            assert_eq!(Message::decode(&bytes), Ok(expected));
        }
    }

    #[test]
    fn no_more_final_batches_are_sent_than_fit_a_message() {
        let third = vec![0; MESSAGE_BYTES / 3];
        let bytes = Message::encode_final(1, |_| Ok::<_, ()>(Some(third.clone()))).unwrap();
        assert_eq!(bytes.len(), 2 + 2 * third.len());
    }
}
