//! Records: signed statements of providers, demanders and owners of money. The pool holds them until a
//! batch brings them on chain.

use std::collections::BTreeMap;
use std::fmt;

use scenarios::{Calendar, Money, Offer, OperationId, Site, TimeWindow};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::hash::{Domain, Hash};
use crate::key::{Address, KeyError, PublicKey, SecretKey, Signature};

/// The number of a batch in the chain; genesis is 0.
pub type Height = u64;

/// The hash of a genesis: which network something belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkId(pub Hash);

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl NetworkId {
    /// Of a genesis with these canonical bytes.
    pub fn of_genesis(bytes: &[u8]) -> Self {
        Self(Domain::Genesis.hash(&[bytes]))
    }
}

/// The hash of a record's bytes, signature included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub Hash);

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl RecordId {
    /// No id is smaller.
    pub(crate) const MIN: Self = Self(Hash::ZERO);
}

/// A demand on chain is named by the record that brought it.
pub type DemandId = RecordId;

/// What a record says. The set is closed per protocol version; new kinds go at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Statement {
    /// The author provides these operations here. Replaces the author's earlier offer; standing
    /// compositions keep their terms.
    Offer(OfferStatement),
    /// The author provides nothing any more; standing compositions keep their terms.
    OfferWithdrawal,
    /// The author wants this made, and puts budget + solver fee in escrow.
    Demand(DemandStatement),
    /// The author no longer wants this; effective only while the demand is open.
    DemandCancellation { demand: DemandId },
    /// The author gives money away.
    Transfer {
        to: Address,
        /// How much, above 0.
        amount: Money,
    },
}

/// A provider's whole offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferStatement {
    /// For people, at most [`scenarios::limits::NAME_BYTES`].
    pub name: String,
    /// Where the work is done.
    pub site: Site,
    /// Cost and minutes per operation.
    pub offers: BTreeMap<OperationId, Offer>,
    /// Minutes it can work in each period; `None` is unlimited.
    pub capacity: Option<Calendar>,
    /// What its author locks for each operation, at least `offer_deposit`: of offers without work, those with the least give way.
    pub deposit: Money,
}

/// What a demander wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemandStatement {
    /// For people, at most [`scenarios::limits::NAME_BYTES`].
    pub name: String,
    /// Where the product goes, if the market delivers.
    pub site: Site,
    /// Operations in the order in which they must be done.
    pub orders: Vec<OperationId>,
    /// The most the demander pays for the composition.
    pub budget: Money,
    /// Paid to solvers on top, by the schedule; at least the market's share of the budget.
    pub solver_fee: Money,
    /// When its orders may be done.
    pub window: TimeWindow,
    /// When it leaves the market if it is still open then: milliseconds since the Unix epoch, by the time of batches.
    pub expires_ms: u64,
}

/// A record before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct RecordContent {
    /// The network it is meant for.
    pub network: NetworkId,
    pub author: PublicKey,
    /// 0 for the author's first record on chain, then one more each time.
    pub sequence: u64,
    /// Only a batch before this time may bring it: milliseconds since the Unix epoch.
    pub valid_until_ms: u64,
    pub statement: Statement,
}

/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Record {
    pub content: RecordContent,
    /// By `content.author`, in [`Domain::RecordSigning`].
    pub signature: Signature,
}

impl RecordContent {
    /// Signs it; `key` must be the author's.
    pub fn sign(self, key: &SecretKey) -> Record {
        let signature = key.sign(Domain::RecordSigning, &[&encode(&self)]);
        Record { content: self, signature }
    }
}

impl Record {
    /// The hash of its canonical bytes.
    pub fn id(&self) -> RecordId {
        RecordId(Domain::Record.hash(&[&encode(self)]))
    }

    /// Who says it.
    pub fn author(&self) -> Address {
        self.content.author.address()
    }

    /// Checks the author's signature.
    ///
    /// # Errors
    /// If the key is malformed or weak or the signature does not match.
    pub fn verify_signature(&self) -> Result<(), KeyError> {
        self.content.author.verify(Domain::RecordSigning, &[&encode(&self.content)], &self.signature)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Statement {
    /// The name of its kind, for people and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Offer(_) => "offer",
            Self::OfferWithdrawal => "offer withdrawal",
            Self::Demand(_) => "demand",
            Self::DemandCancellation { .. } => "demand cancellation",
            Self::Transfer { .. } => "transfer",
        }
    }

    /// Whether it only takes back what an earlier statement put into the market. That one was paid for, once: this one is free,
    /// so that whoever has everything in the market can still leave it.
    pub const fn takes_back(&self) -> bool {
        match self {
            Self::OfferWithdrawal | Self::DemandCancellation { .. } => true,
            Self::Offer(_) | Self::Demand(_) | Self::Transfer { .. } => false,
        }
    }
}
