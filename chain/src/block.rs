//! Blocks: what a miner composed, amended and priced, behind a header that it signs. A block is no height of its own:
//! batches bring blocks ([`crate::batch`]), as many as there are.

use std::fmt;

use scenarios::{DualPrices, Minutes, Money, Slot};
use serde::{Deserialize, Serialize};

use crate::batch::{BatchHash, BatchKind};
use crate::codec::{CodecError, decode, encode};
use crate::hash::{Domain, Hash};
use crate::key::{KeyError, PublicKey, SecretKey, Signature};
use crate::merkle::merkle_root;
use crate::record::{DemandId, NetworkId};

/// The version of blocks this code reads and writes.
pub const BLOCK_VERSION: u16 = 6;

/// The hash of a header: names a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockHash(pub Hash);

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a miner commits to and signs. It says nothing of a height: whichever batch brings the block first, within
/// `anchor_window_ms` of its anchor, lets it take effect, and no other does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`BLOCK_VERSION`].
    pub version: u16,
    /// The network it belongs to.
    pub network: NetworkId,
    /// The batch it was computed on; genesis is named by the network id.
    pub anchor: BatchHash,
    /// Tells it from the miner's other blocks.
    pub nonce: u64,
    /// Who mined it and is paid.
    pub miner: PublicKey,
    /// Merkle root of the body's items.
    pub merkle_root: Hash,
    /// The number of the body's items, at least 1.
    pub item_count: u32,
}

impl Header {
    /// The block's name.
    pub fn hash(&self) -> BlockHash {
        BlockHash(Domain::BlockHeader.hash(&[&encode(self)]))
    }
}

/// A header and its miner's signature: what a batch's Merkle tree holds of a block, before the block's items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SignedHeader {
    pub header: Header,
    /// By `header.miner`, in [`Domain::BlockHeader`].
    pub signature: Signature,
}

impl SignedHeader {
    /// Checks the miner's signature.
    ///
    /// # Errors
    /// If the key is malformed or weak or the signature does not match.
    pub fn verify_signature(&self) -> Result<(), KeyError> {
        self.header.miner.verify(Domain::BlockHeader, &[&encode(&self.header)], &self.signature)
    }
}

/// One demand served: by whom and when each of its orders is done (paper A, figure 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Composition {
    pub demand: DemandId,
    /// By whom and when each of its orders is done.
    pub slots: Vec<Slot>,
    /// What it costs, as the evaluator finds.
    pub cost: Money,
    /// Processing minutes in all slots together.
    pub minutes: Minutes,
    /// When it was found, in milliseconds since the Unix epoch; not after the header's.
    pub timestamp_ms: u64,
}

/// Composed demands re-composed together, and open ones for which they make room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// Not empty, ascending by demand. They take effect as one: all that is replaced gives its minutes back
    /// before any of it takes new ones.
    pub parts: Vec<Replacement>,
}

/// One demand of an amendment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The version of the composition it replaces; 0: the demand is open and composed here for the first time.
    pub replaces: u32,
    /// What stands from now on.
    pub composition: Composition,
}

impl Replacement {
    /// Whether it composes an open demand for the first time.
    pub const fn is_first(&self) -> bool {
        self.replaces == 0
    }
}

/// New dual prices: they must raise the market's certified bound, by as much as they claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceUpdate {
    /// How many updates took effect before: the prices in force are to be replaced, no others.
    pub replaces: u64,
    /// By how much the bound is raised at least; who claims too much forfeits `price_bond`.
    pub gain: Money,
    /// Those of slots, in order; zeros left out.
    pub prices: DualPrices,
}

/// What a block brings. Each item stands or falls by itself, but in dedicated allocation and by the measures of paper A,
/// where a block takes effect whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// New prices, in force from the next batch on.
    pub price_update: Option<PriceUpdate>,
    /// Open demands served.
    pub compositions: Vec<Composition>,
    /// What is re-composed.
    pub amendments: Vec<Amendment>,
}

/// A block as it travels; nothing about it has been checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Block {
    /// What the miner signed.
    pub signed: SignedHeader,
    pub body: Body,
}

/// The first byte of an item, which says what it is.
pub(crate) mod tag {
    pub(crate) const RECORD: u8 = 0;
    pub(crate) const BLOCK: u8 = 1;
    pub(crate) const PRICE_UPDATE: u8 = 2;
    pub(crate) const COMPOSITION: u8 = 3;
    pub(crate) const AMENDMENT: u8 = 4;
    pub(crate) const COMMITMENT: u8 = 5;
    pub(crate) const EVIDENCE: u8 = 6;
}

/// Canonical bytes behind the byte for their kind.
pub(crate) fn tagged<T: Serialize>(tag: u8, item: &T) -> Vec<u8> {
    [vec![tag], encode(item)].concat()
}

impl Body {
    /// The Merkle leaves: each item's canonical bytes behind a byte for its kind, in order of kinds.
    pub fn items(&self) -> Vec<Vec<u8>> {
        let price_update = self.price_update.iter().map(|update| tagged(tag::PRICE_UPDATE, update));
        let compositions = self.compositions.iter().map(|composition| tagged(tag::COMPOSITION, composition));
        let amendments = self.amendments.iter().map(|amendment| tagged(tag::AMENDMENT, amendment));
        price_update.chain(compositions).chain(amendments).collect()
    }

    /// The number of [`Body::items`], without writing them.
    pub fn item_count(&self) -> usize {
        let composed = self.compositions.len().saturating_add(self.amendments.len());
        composed.saturating_add(usize::from(self.price_update.is_some()))
    }

    /// Takes in the next item of [`Body::items`].
    pub(crate) fn push_item(&mut self, tag: u8, bytes: &[u8]) -> Result<(), CodecError> {
        match tag {
            tag::PRICE_UPDATE if self.price_update.is_none() && self.is_quiet() => {
                self.price_update = Some(decode(bytes, bytes.len())?);
            }
            tag::COMPOSITION if self.amendments.is_empty() => {
                self.compositions.push(decode(bytes, bytes.len())?);
            }
            tag::AMENDMENT => self.amendments.push(decode(bytes, bytes.len())?),
            _ => return Err(CodecError::Malformed(format!("item of kind {tag} where none may be"))),
        }
        Ok(())
    }

    /// How soon a batch may come that brings nothing else.
    pub fn kind(&self) -> BatchKind {
        if self.is_quiet() {
            BatchKind::Quiet
        } else if self.compositions.is_empty() && !self.replacements().any(Replacement::is_first) {
            BatchKind::Amending
        } else {
            BatchKind::Composing
        }
    }

    /// Whether it composes and re-composes no demand.
    pub const fn is_quiet(&self) -> bool {
        self.compositions.is_empty() && self.amendments.is_empty()
    }

    /// Whether it brings nothing.
    pub const fn is_empty(&self) -> bool {
        self.is_quiet() && self.price_update.is_none()
    }

    /// All parts of all its amendments, in order.
    pub fn replacements(&self) -> impl Iterator<Item = &Replacement> {
        self.amendments.iter().flat_map(|amendment| &amendment.parts)
    }

    /// Everything it composes: compositions of open demands, then the parts of amendments.
    pub fn composed(&self) -> impl Iterator<Item = &Composition> {
        self.compositions.iter().chain(self.replacements().map(|part| &part.composition))
    }
}

impl Block {
    /// The block of a body: `key` is its miner's.
    pub fn sign(network: NetworkId, anchor: BatchHash, nonce: u64, body: Body, key: &SecretKey) -> Self {
        let header = Header::of(network, anchor, nonce, &body, key.public());
        let signature = key.sign(Domain::BlockHeader, &[&encode(&header)]);
        Self { signed: SignedHeader { header, signature }, body }
    }

    /// What the miner signed.
    pub const fn header(&self) -> &Header {
        &self.signed.header
    }

    /// Who mined it and is paid.
    pub const fn miner(&self) -> PublicKey {
        self.signed.header.miner
    }

    /// The block's name.
    pub fn hash(&self) -> BlockHash {
        self.signed.header.hash()
    }

    /// When the last of its compositions was found, in milliseconds since the Unix epoch: no earlier batch can bring it. 0
    /// if it composes nothing.
    pub fn dated_ms(&self) -> u64 {
        self.body.composed().map(|composition| composition.timestamp_ms).max().unwrap_or(0)
    }
}

impl Header {
    /// The header of a body.
    pub fn of(network: NetworkId, anchor: BatchHash, nonce: u64, body: &Body, miner: PublicKey) -> Self {
        let items = body.items();
        let (merkle_root, item_count) = (merkle_root(&items), u32::try_from(items.len()).unwrap_or(u32::MAX));
        Self { version: BLOCK_VERSION, network, anchor, nonce, miner, merkle_root, item_count }
    }
}
