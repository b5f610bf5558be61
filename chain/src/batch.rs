//! Batches: what a height brings. A header over a Merkle tree of records and of miners' blocks ([`crate::block`]), signed by
//! whoever put it together. Validators vote on batches.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::block::{Amendment, Block, BlockHash, Body, Composition, PriceUpdate, Replacement, tag, tagged};
use crate::codec::{CodecError, decode, encode};
use crate::commitment::SignedCommitment;
use crate::consensus::DoubleVote;
use crate::hash::{Domain, Hash};
use crate::key::{KeyError, PublicKey, SecretKey, Signature};
use crate::record::{Height, NetworkId, Record};

/// The version of headers and contents this code reads and writes.
pub const BATCH_VERSION: u16 = 9;

/// Room in a batch for what it holds beside its contents, in bytes.
pub(crate) const OVERHEAD_BYTES: u16 = 512;

/// The hash of a header: names a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchHash(pub Hash);

impl fmt::Debug for BatchHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for BatchHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What whoever put a batch together signs, and validators vote on by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// [`BATCH_VERSION`].
    pub version: u16,
    /// The network it belongs to.
    pub network: NetworkId,
    /// One above the parent's.
    pub height: Height,
    /// The batch before it; genesis is named by the network id.
    pub parent: BatchHash,
    /// Milliseconds since the Unix epoch, above the parent's.
    pub timestamp_ms: u64,
    /// Who put it together. Nobody is paid for that.
    pub proposer: PublicKey,
    /// Where miners commit to blocks: the height of the newest commitments whose blocks its proposer has had time to gather.
    /// The batch is its turn to bring those, and all older ones. 0 if there are none.
    pub turn: Height,
    /// Merkle root of the items of its contents.
    pub contents_root: Hash,
    /// The number of the items of its contents.
    pub item_count: u32,
    /// Merkle root of what became of each block that took effect with its parent: see [`crate::ledger::BlockOutcome`].
    pub outcomes_root: Hash,
    /// State root of the ledger after its parent: nobody need have executed this batch to vote on it.
    pub state_root: Hash,
}

impl BatchHeader {
    /// The batch's name.
    pub fn hash(&self) -> BatchHash {
        BatchHash(Domain::Header.hash(&[&encode(self)]))
    }
}

/// What a batch brings. Evidence is noted. Records take effect in order, and every one must. Blocks take effect item by item: where their
/// items compete, it does not matter which block comes first. Where miners commit to blocks first, a batch's blocks are
/// those that it reveals; they take effect with all others that were committed to in the same batch, when validators with
/// more power than may lie have had a turn to bring them ([`crate::ledger::cohorts`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Validators who voted twice; at most once each, ever.
    pub evidence: Vec<DoubleVote>,
    /// Records taken from the pool.
    pub records: Vec<Record>,
    /// Commitments to blocks that later batches reveal, at most one of each miner.
    pub commitments: Vec<SignedCommitment>,
    /// Blocks of miners.
    pub blocks: Vec<Block>,
}

/// What a batch is for, which decides how soon after its parent it may come; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BatchKind {
    /// It composes an open demand: at once.
    Composing,
    /// It only improves what is composed: after the amendment interval.
    Amending,
    /// It composes nothing: after the quiet interval.
    Quiet,
}

/// A batch as it travels; nothing about it has been checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Batch {
    pub header: BatchHeader,
    /// By `header.proposer`, in [`Domain::Header`].
    pub signature: Signature,
    pub contents: Contents,
}

impl Contents {
    /// The Merkle leaves: evidence, records, commitments, then of each block its signed header and its items, each as canonical bytes behind a
    /// byte for its kind.
    pub fn items(&self) -> Vec<Vec<u8>> {
        let evidence = self.evidence.iter().map(|evidence| tagged(tag::EVIDENCE, evidence));
        let records = self.records.iter().map(|record| tagged(tag::RECORD, record));
        let commitments = self.commitments.iter().map(|commitment| tagged(tag::COMMITMENT, commitment));
        let blocks = self.blocks.iter().flat_map(|block| {
            let header = std::iter::once(tagged(tag::BLOCK, &block.signed));
            header.chain(block.body.items())
        });
        evidence.chain(records).chain(commitments).chain(blocks).collect()
    }

    /// The position among [`Contents::items`] of the signed header of a block.
    pub fn position_of(&self, block: &BlockHash) -> Option<usize> {
        let index = self.blocks.iter().position(|found| found.hash() == *block)?;
        let before = self.blocks.get(..index)?.iter();
        let items = before.map(|block| block.body.item_count().saturating_add(1));
        let first =
            self.evidence.len().saturating_add(self.records.len()).saturating_add(self.commitments.len());
        Some(items.fold(first, usize::saturating_add))
    }

    /// The contents whose [`Contents::items`] these are.
    ///
    /// # Errors
    /// If an item is malformed or of no known kind, or the items are not in order.
    pub fn from_items<I: AsRef<[u8]>>(items: &[I]) -> Result<Self, CodecError> {
        let mut contents = Self::default();
        for item in items {
            let Some((&tag, bytes)) = item.as_ref().split_first() else {
                return Err(CodecError::Malformed("an empty item".into()));
            };
            match (tag, contents.blocks.last_mut()) {
                (tag::EVIDENCE, None) if contents.records.is_empty() && contents.commitments.is_empty() => {
                    contents.evidence.push(decode(bytes, bytes.len())?);
                }
                (tag::RECORD, None) if contents.commitments.is_empty() => {
                    contents.records.push(decode(bytes, bytes.len())?);
                }
                (tag::COMMITMENT, None) => contents.commitments.push(decode(bytes, bytes.len())?),
                (tag::BLOCK, _) => {
                    let signed = decode(bytes, bytes.len())?;
                    contents.blocks.push(Block { signed, body: Body::default() });
                }
                (_, Some(block)) => block.body.push_item(tag, bytes)?,
                (_, None) => {
                    return Err(CodecError::Malformed(format!("item of kind {tag} outside of a block")));
                }
            }
        }
        Ok(contents)
    }

    /// The canonical bytes of the contents whose [`Contents::items`] these are, put together without looking into them:
    /// only of items that were a batch's before is the outcome one.
    ///
    /// # Errors
    /// If an item is empty, of no known kind, or out of order, or a block has two price updates.
    pub fn bytes_of_items<I: AsRef<[u8]>>(items: &[I]) -> Result<Vec<u8>, CodecError> {
        let malformed =
            || CodecError::Malformed("an item that is empty, of no known kind or out of order".into());
        let [mut evidence, mut records, mut commitments] = <[Sequence; 3]>::default();
        let mut blocks: Vec<(&[u8], [Sequence; 3])> = Vec::new();
        for item in items {
            let (&tag, bytes) = item.as_ref().split_first().ok_or_else(malformed)?;
            match (tag, blocks.last_mut()) {
                (tag::EVIDENCE, None) if records.count == 0 && commitments.count == 0 => evidence.push(bytes),
                (tag::RECORD, None) if commitments.count == 0 => records.push(bytes),
                (tag::COMMITMENT, None) => commitments.push(bytes),
                (tag::BLOCK, _) => blocks.push((bytes, <[Sequence; 3]>::default())),
                (tag, Some((_, kinds))) => {
                    let kind = usize::from(tag).checked_sub(usize::from(tag::PRICE_UPDATE));
                    kind.and_then(|kind| kinds.get_mut(kind)).ok_or_else(malformed)?.push(bytes);
                }
                (_, None) => return Err(malformed()),
            }
        }
        // A sequence is its length and its elements; an option is written as a sequence of none or one.
        let mut contents = [evidence, records, commitments].map(Sequence::into_bytes).concat();
        contents.extend(encode(&blocks.len()));
        for (signed, kinds) in blocks {
            if kinds.first().is_some_and(|price_update| price_update.count > 1) {
                return Err(CodecError::Malformed("a block with two price updates".into()));
            }
            contents.extend_from_slice(signed);
            contents.extend(kinds.into_iter().flat_map(Sequence::into_bytes));
        }
        Ok(contents)
    }

    /// Whether it brings nothing.
    pub const fn is_empty(&self) -> bool {
        self.evidence.is_empty()
            && self.records.is_empty()
            && self.commitments.is_empty()
            && self.blocks.is_empty()
    }

    /// Whether it composes and re-composes no demand.
    pub fn is_quiet(&self) -> bool {
        self.blocks.iter().all(|block| block.body.is_quiet())
    }

    /// The compositions of open demands, of all blocks.
    pub fn compositions(&self) -> impl Iterator<Item = &Composition> {
        self.blocks.iter().flat_map(|block| &block.body.compositions)
    }

    /// The amendments of all blocks.
    pub fn amendments(&self) -> impl Iterator<Item = &Amendment> {
        self.blocks.iter().flat_map(|block| &block.body.amendments)
    }

    /// The price updates of all blocks; one of them takes effect at most.
    pub fn price_updates(&self) -> impl Iterator<Item = &PriceUpdate> {
        self.blocks.iter().filter_map(|block| block.body.price_update.as_ref())
    }

    /// All parts of all amendments.
    pub fn replacements(&self) -> impl Iterator<Item = &Replacement> {
        self.blocks.iter().flat_map(|block| block.body.replacements())
    }

    /// Everything that blocks compose.
    pub fn composed(&self) -> impl Iterator<Item = &Composition> {
        self.blocks.iter().flat_map(|block| block.body.composed())
    }

    /// How soon after its parent a batch with these contents may come.
    pub fn kind(&self) -> BatchKind {
        self.blocks.iter().map(|block| block.body.kind()).min().unwrap_or(BatchKind::Quiet)
    }
}

/// How many there are, and their bytes one after the other.
#[derive(Default)]
struct Sequence {
    count: usize,
    bytes: Vec<u8>,
}

impl Sequence {
    fn push(&mut self, bytes: &[u8]) {
        self.count = self.count.saturating_add(1);
        self.bytes.extend_from_slice(bytes);
    }

    fn into_bytes(self) -> Vec<u8> {
        [encode(&self.count), self.bytes].concat()
    }
}

impl Batch {
    /// Signs a header over contents; `key` must be the header's proposer's.
    pub fn sign(header: BatchHeader, contents: Contents, key: &SecretKey) -> Self {
        let signature = key.sign(Domain::Header, &[&encode(&header)]);
        Self { header, signature, contents }
    }

    /// The batch's name.
    pub fn hash(&self) -> BatchHash {
        self.header.hash()
    }

    /// Checks the proposer's signature.
    ///
    /// # Errors
    /// If the key is malformed or weak or the signature does not match.
    pub fn verify_signature(&self) -> Result<(), KeyError> {
        self.header.proposer.verify(Domain::Header, &[&encode(&self.header)], &self.signature)
    }
}
