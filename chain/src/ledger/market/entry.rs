//! A demand of the market and the composition that stands for it: what the state says of them, field by field.

use std::collections::BTreeMap;

use scenarios::{Demand, Minutes, Money, ProviderId, Slot};
use serde::{Deserialize, Serialize};

use crate::key::Address;
use crate::record::Height;

/// A demand on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct DemandEntry {
    /// Who wants it and pays.
    pub author: Address,
    pub demand: Demand,
    /// What solvers may earn: the most while it is open, what its solvers share once it is composed.
    pub solver_fee: Money,
    /// The height that brought it.
    pub since: Height,
    /// When, in milliseconds of market time: acceptance relaxes with the time since.
    pub since_ms: u64,
    /// When it leaves the market if it is still open: milliseconds since the Unix epoch, by the time of batches.
    pub expires_ms: u64,
    /// Held for it: budget + fee while open, the fee while composed.
    pub escrow: Money,
    /// Its clearing account until the freeze: at least the cost of what stands. What lies above that is the
    /// demand's share of what amendments saved.
    pub clearing: Money,
    pub status: DemandStatus,
}

/// Where a demand stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum DemandStatus {
    /// Waiting to be composed.
    Open,
    /// Composed, not yet settled. Amendments replace the composition and raise its version here.
    Composed(Standing),
    /// Settled for good. It has left the market, and the state with it: only a batch's report says so.
    Frozen { composition: Standing, height: Height },
    /// Taken back by its author while open. It has left the market, and the state with it, as above.
    Cancelled { height: Height },
    /// Still open when its time had come. It has left the market, and the state with it, as above.
    Expired { height: Height },
}

/// A composition that a batch brought, with the terms it was made at: later offers do not change them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// 1 for the first composition; one more with each amendment.
    pub version: u32,
    /// By whom and when each order is done.
    pub slots: Vec<Slot>,
    /// Who composed the demand first and earns its fee.
    pub miner: Address,
    /// The height at which the demand was first composed.
    pub since: Height,
    /// When, in milliseconds of market time: the freeze is counted from here.
    pub since_ms: u64,
    /// The height of the batch that brought this version.
    pub height: Height,
    /// Whose amendment brought this version; `None` for the first.
    pub amended_by: Option<Address>,
    /// When it was found, by its miner, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Minutes it takes of each slot.
    #[serde(with = "by_slot")]
    pub minutes: BTreeMap<Slot, Minutes>,
    /// Processing cost it owes each provider.
    pub owed: BTreeMap<ProviderId, Money>,
    /// What it owes the carrier.
    pub transport: Money,
    /// What its time is worth; nobody is paid for that.
    pub time_value: Money,
    /// Processing + transport + value of time.
    pub cost: Money,
    /// What the first composition cost.
    pub first_cost: Money,
    /// What the demander paid in: the cost of the first composition and what was charged to it for room that
    /// others made. No demander ever pays more.
    pub price: Money,
    /// Its reduced cost at the prices of its batch.
    pub reduced_cost: Money,
    /// What the first composer earns of the fee: what the first batch earned, and from the freeze on what was paid.
    pub earned: Money,
    /// What amenders are paid at the freeze. Together with `earned` paid, never more than the fee.
    pub dues: BTreeMap<Address, Money>,
}

/// Minutes by slot as bytes are a map; as text, where keys are strings, a list of slots and minutes.
mod by_slot {
    use std::collections::BTreeMap;

    use scenarios::{Minutes, Slot};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        minutes: &BTreeMap<Slot, Minutes>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(minutes)
        } else {
            minutes.serialize(serializer)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Slot, Minutes>, D::Error> {
        if deserializer.is_human_readable() {
            return Vec::deserialize(deserializer).map(BTreeMap::from_iter);
        }
        BTreeMap::deserialize(deserializer)
    }
}

impl Standing {
    /// Who brought this version: its amender, or who composed it first.
    pub fn author(&self) -> Address {
        self.amended_by.unwrap_or(self.miner)
    }
}

impl DemandEntry {
    /// The composition that stands, frozen or not.
    pub const fn composition(&self) -> Option<&Standing> {
        match &self.status {
            DemandStatus::Composed(composition) | DemandStatus::Frozen { composition, .. } => {
                Some(composition)
            }
            DemandStatus::Open | DemandStatus::Cancelled { .. } | DemandStatus::Expired { .. } => None,
        }
    }

    /// The version of the composition that stands; 0 if there is none.
    pub fn version(&self) -> u32 {
        self.composition().map_or(0, |composition| composition.version)
    }

    /// Whether it waits to be composed for the first time, and may be cancelled.
    pub const fn is_open(&self) -> bool {
        matches!(self.status, DemandStatus::Open)
    }

    /// Whether it is open and its time has come: nothing composes it any more.
    pub const fn is_overdue(&self, timestamp_ms: u64) -> bool {
        self.is_open() && self.expires_ms <= timestamp_ms
    }
}

impl DemandStatus {
    /// One word for people and errors.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Composed(_) => "composed",
            Self::Frozen { .. } => "frozen",
            Self::Cancelled { .. } => "cancelled",
            Self::Expired { .. } => "expired",
        }
    }
}
