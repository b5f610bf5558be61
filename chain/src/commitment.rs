//! Commitments: a miner binds itself to a block before it shows it. Whoever sees the block then can only commit behind it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::batch::BatchHash;
use crate::block::{Block, BlockHash};
use crate::codec::{encode, encoded_len};
use crate::hash::{Domain, Hash};
use crate::key::{KeyError, PublicKey, SecretKey, Signature};
use crate::record::NetworkId;

/// The version of commitments this code reads and writes.
pub const COMMITMENT_VERSION: u16 = 1;

/// The hash of a commitment: names it, so that no two batches bring it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitmentId(pub Hash);

impl fmt::Debug for CommitmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for CommitmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a miner binds itself to. It tells nothing of the block but how large that is, as long as the block's nonce
/// cannot be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// [`COMMITMENT_VERSION`].
    pub version: u16,
    /// The network it belongs to.
    pub network: NetworkId,
    /// The anchor of the block, which is the commitment's too.
    pub anchor: BatchHash,
    /// Who mined the block, signs this and pays for both.
    pub miner: PublicKey,
    /// The block's name.
    pub block: BlockHash,
    /// The most canonical bytes that the block has.
    pub bytes: u32,
    /// The most compositions that it has, parts of amendments included.
    pub compositions: u32,
}

impl Commitment {
    /// To this block.
    pub fn to_block(block: &Block) -> Self {
        let header = block.header();
        let as_u32 = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            version: COMMITMENT_VERSION,
            network: header.network,
            anchor: header.anchor,
            miner: header.miner,
            block: header.hash(),
            bytes: as_u32(encoded_len(block)),
            compositions: as_u32(block.body.composed().count()),
        }
    }

    /// Its name.
    pub fn id(&self) -> CommitmentId {
        CommitmentId(Domain::Commitment.hash(&[&encode(self)]))
    }

    /// Signs it; `key` is its miner's.
    pub fn sign(self, key: &SecretKey) -> SignedCommitment {
        SignedCommitment { commitment: self, signature: key.sign(Domain::Commitment, &[&encode(&self)]) }
    }
}

/// A commitment and its miner's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SignedCommitment {
    pub commitment: Commitment,
    /// By `commitment.miner`, in [`Domain::Commitment`].
    pub signature: Signature,
}

impl SignedCommitment {
    /// Its name.
    pub fn id(&self) -> CommitmentId {
        self.commitment.id()
    }

    /// Checks the miner's signature.
    ///
    /// # Errors
    /// If the key is malformed or weak or the signature does not match.
    pub fn verify_signature(&self) -> Result<(), KeyError> {
        self.commitment.miner.verify(Domain::Commitment, &[&encode(&self.commitment)], &self.signature)
    }
}
