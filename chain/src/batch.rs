//! Batches: a signed header over a Merkle-rooted body of records and service compositions.

use std::fmt;

use scenarios::{DualPrices, Minutes, Money, ProviderId};
use serde::{Deserialize, Serialize};

use crate::codec::{CodecError, decode, encode};
use crate::hash::{Domain, Hash};
use crate::key::{KeyError, PublicKey, SecretKey, Signature};
use crate::record::{DemandId, Height, NetworkId, Record};

/// The version of headers and bodies this code reads and writes.
pub const BATCH_VERSION: u16 = 4;

/// The hash of a header: names a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BatchHash(pub Hash);

impl fmt::Debug for BatchHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a miner commits to and signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
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
    /// Who mined it and is paid.
    pub miner: PublicKey,
    /// Merkle root of the body's items.
    pub merkle_root: Hash,
    /// The number of the body's items.
    pub item_count: u32,
    /// State root of the ledger after this batch.
    pub state_root: Hash,
    /// What it adds to the cost of composed demands: the cost of first compositions, and the change of what
    /// is re-composed, which may be negative.
    pub cost: Money,
    /// What it adds to the reduced cost of composed demands, at the prices it begins with; may be negative.
    pub reduced_cost: Money,
}

impl Header {
    /// The batch's name.
    pub fn hash(&self) -> BatchHash {
        BatchHash(Domain::Header.hash(&[&encode(self)]))
    }
}

/// One demand served: which provider does each of its orders (paper A, figure 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Composition {
    pub demand: DemandId,
    /// The provider of each of its orders.
    pub providers: Vec<ProviderId>,
    /// What it costs, as the evaluator finds.
    pub cost: Money,
    /// Processing minutes at all providers together.
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

/// New dual prices: they must raise the market's certified bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceUpdate {
    /// A price per provider, in order of id; trailing zeros left out.
    pub prices: DualPrices,
}

/// A place kept for commitments (contracts, receipts); no kind is defined yet, so none can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Commitment {}

/// What a batch brings, in the order in which it takes effect, but for the price update, which comes last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Records taken from the pool.
    pub records: Vec<Record>,
    /// New prices, in force from the next batch on.
    pub price_update: Option<PriceUpdate>,
    /// Open demands served.
    pub compositions: Vec<Composition>,
    /// What is re-composed, each after what the one before it left.
    pub amendments: Vec<Amendment>,
    /// Reserved.
    pub commitments: Vec<Commitment>,
}

/// What a batch is for, which decides how soon after its parent it may come.
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
    /// What the miner signed.
    pub header: Header,
    /// By `header.miner`, in [`Domain::Header`].
    pub signature: Signature,
    pub body: Body,
}

impl Body {
    /// The Merkle leaves: each item's canonical bytes behind a byte for its kind, in order of kinds.
    pub fn items(&self) -> Vec<Vec<u8>> {
        let tagged = |tag: u8, bytes: Vec<u8>| [vec![tag], bytes].concat();
        let records = self.records.iter().map(|record| tagged(0, encode(record)));
        let price_update = self.price_update.iter().map(|update| tagged(1, encode(update)));
        let compositions = self.compositions.iter().map(|composition| tagged(2, encode(composition)));
        let amendments = self.amendments.iter().map(|amendment| tagged(3, encode(amendment)));
        records.chain(price_update).chain(compositions).chain(amendments).collect()
    }

    /// The body whose [`Body::items`] these are.
    ///
    /// # Errors
    /// If an item is malformed or of no known kind, or the items are not in order of kinds.
    pub fn from_items<I: AsRef<[u8]>>(items: &[I]) -> Result<Self, CodecError> {
        let mut body = Self::default();
        for item in items {
            let Some((tag, bytes)) = item.as_ref().split_first() else {
                return Err(CodecError::Malformed("an empty item".into()));
            };
            match tag {
                0 if body.price_update.is_none() && body.is_quiet() => {
                    body.records.push(decode(bytes, bytes.len())?);
                }
                1 if body.price_update.is_none() && body.is_quiet() => {
                    body.price_update = Some(decode(bytes, bytes.len())?);
                }
                2 if body.amendments.is_empty() => body.compositions.push(decode(bytes, bytes.len())?),
                3 => body.amendments.push(decode(bytes, bytes.len())?),
                _ => return Err(CodecError::Malformed(format!("item of kind {tag} where none may be"))),
            }
        }
        Ok(body)
    }

    /// The canonical bytes of the body whose [`Body::items`] these are, put together without looking into them: only of
    /// items that were a body's before is the outcome one.
    ///
    /// # Errors
    /// If an item is empty, of no known kind, or there are two price updates.
    pub fn bytes_of_items<I: AsRef<[u8]>>(items: &[I]) -> Result<Vec<u8>, CodecError> {
        let mut kinds = [(); 4].map(|()| (0_usize, Vec::new()));
        for item in items {
            let malformed = || CodecError::Malformed("an item that is empty or of no known kind".into());
            let (tag, bytes) = item.as_ref().split_first().ok_or_else(malformed)?;
            let (count, all) = kinds.get_mut(usize::from(*tag)).ok_or_else(malformed)?;
            *count = count.saturating_add(1);
            all.extend_from_slice(bytes);
        }
        let [records, price_update, compositions, amendments] = kinds;
        if price_update.0 > 1 {
            return Err(CodecError::Malformed(format!("{} price updates", price_update.0)));
        }
        // A sequence is its length and its elements; an option is written as a sequence of none or one.
        let mut body = Vec::new();
        for (count, bytes) in [records, price_update, compositions, amendments] {
            body.extend(encode(&count));
            body.extend(bytes);
        }
        body.extend(encode(&Vec::<Commitment>::new()));
        Ok(body)
    }

    /// Whether it composes and re-composes no demand.
    pub const fn is_quiet(&self) -> bool {
        self.compositions.is_empty() && self.amendments.is_empty()
    }

    /// All parts of all its amendments, in order of effect.
    pub fn replacements(&self) -> impl Iterator<Item = &Replacement> {
        self.amendments.iter().flat_map(|amendment| &amendment.parts)
    }

    /// Everything it composes, in order of effect: compositions of open demands, then the parts of amendments.
    pub fn composed(&self) -> impl Iterator<Item = &Composition> {
        self.compositions.iter().chain(self.replacements().map(|part| &part.composition))
    }

    /// How soon after its parent a batch with this body may come.
    pub fn kind(&self) -> BatchKind {
        if self.is_quiet() {
            BatchKind::Quiet
        } else if self.compositions.is_empty() && !self.replacements().any(Replacement::is_first) {
            BatchKind::Amending
        } else {
            BatchKind::Composing
        }
    }
}

impl Batch {
    /// Signs a header over a body; `key` must be the header's miner's.
    pub fn sign(header: Header, body: Body, key: &SecretKey) -> Self {
        let signature = key.sign(Domain::Header, &[&encode(&header)]);
        Self { header, signature, body }
    }

    /// The batch's name.
    pub fn hash(&self) -> BatchHash {
        self.header.hash()
    }

    /// Checks the miner's signature.
    ///
    /// # Errors
    /// If the key is malformed or weak or the signature does not match.
    pub fn verify_signature(&self) -> Result<(), KeyError> {
        self.header.miner.verify(Domain::Header, &[&encode(&self.header)], &self.signature)
    }
}

impl fmt::Display for BatchHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
