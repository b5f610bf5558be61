//! Genesis: everything a network starts from, as unsigned facts that every node holds alike. Its hash is
//! the network's id. How a scenario becomes one is in [`scenario`].

pub mod scenario;
mod validate;

use std::collections::BTreeMap;

use scenarios::reference::References;
use scenarios::schedule::Measure;
use scenarios::{CostRules, Geometry, Horizon, Money, Period, Provider, Supply, Window, at_most, limits};
use serde::{Deserialize, Deserializer, Serialize};

use crate::batch::BatchHash;
use crate::codec::{self, CodecError, encode};
use crate::consensus::{Power, ValidatorSet};
use crate::key::{Address, PublicKey};
use crate::record::NetworkId;

pub use scenario::scenario_demand_records;
pub use scenarios::parameters::{Limits, ParameterError, Parameters};
pub use validate::GenesisError;

/// The version of genesis this code reads and writes.
pub const GENESIS_VERSION: u16 = 10;

/// The largest canonical form of a genesis, in bytes.
pub const GENESIS_BYTES: usize = 64 << 20;

/// A provider that is there from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct GenesisProvider {
    /// Who is paid and may change the offer.
    pub address: Address,
    pub provider: Provider,
}

/// What a network starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// [`GENESIS_VERSION`].
    pub version: u16,
    /// For people, at most [`scenarios::limits::NAME_BYTES`].
    pub name: String,
    /// Milliseconds since the Unix epoch; batches are later.
    pub timestamp_ms: u64,
    /// What batches must keep to.
    pub parameters: Parameters,
    /// Transport and time.
    pub rules: CostRules,
    /// Distances.
    pub geometry: Geometry,
    /// The periods that can be planned at the start, from period 0 on; as many as can be planned at any time.
    pub horizon: Horizon,
    /// When period 0 begins, in milliseconds since the Unix epoch; where there is no calendar, it means nothing.
    pub calendar_start_ms: u64,
    /// The part of the plane that the measure of paper A divides into a strip for each miner.
    pub window: Window,
    /// Names of the operations; an operation's number is its position.
    #[serde(deserialize_with = "operations")]
    pub operations: Vec<String>,
    /// Providers, whose ids are their positions.
    pub providers: Vec<GenesisProvider>,
    /// Money, all there ever is.
    pub balances: BTreeMap<Address, Money>,
    /// Who votes, and with how much power.
    pub validators: BTreeMap<PublicKey, Power>,
    /// The number of miners expected: paper A has a strip and a share of ceil(providers / miners) for each.
    pub miners: u32,
}

/// A name may take one byte and 24 of memory: no more of them than may be are read.
fn operations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    at_most(limits::OPERATIONS, deserializer)
}

impl Genesis {
    /// The hash of its canonical bytes.
    pub fn network_id(&self) -> NetworkId {
        NetworkId::of_genesis(&self.to_bytes())
    }

    /// Its canonical bytes: what a genesis file holds and the network id hashes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// From its canonical bytes; [`Network::new`] checks what they say.
    ///
    /// # Errors
    /// If they are too many, malformed or not canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, GENESIS_BYTES)
    }

    /// The latest expiry that a demand may have whichever batch brings it: the longest lifetime from the start.
    pub const fn first_expiry_ms(&self) -> u64 {
        self.timestamp_ms.saturating_add(self.parameters.demand_lifetime_max_ms)
    }

    /// The supply before the first batch.
    pub fn supply(&self) -> Supply {
        let providers = self.providers.iter().map(|genesis| genesis.provider.clone()).collect();
        Supply { providers, rules: self.rules, geometry: self.geometry.clone(), horizon: self.horizon }
    }
}

/// A genesis whose every rule holds, and its id: what batches and records are checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    id: NetworkId,
    genesis: Genesis,
    validators: ValidatorSet,
    references: Option<References>,
}

impl Network {
    /// Checks a genesis.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        genesis.validate()?;
        let validators = ValidatorSet::new(&genesis.validators)?;
        let bytes = genesis.to_bytes();
        let (got, expected) = (bytes.len(), GENESIS_BYTES);
        if got > expected {
            return Err(GenesisError::TooLarge { got, expected });
        }
        let references = match genesis.parameters.schedule.measure {
            Measure::Certified { .. } => None,
            Measure::Paper { .. } => {
                let strips = usize::try_from(genesis.miners).unwrap_or(usize::MAX);
                Some(References::new(genesis.supply(), genesis.window, strips))
            }
        };
        Ok(Self { id: NetworkId::of_genesis(&bytes), genesis, validators, references })
    }

    /// The hash of its genesis.
    pub const fn id(&self) -> NetworkId {
        self.id
    }

    /// What it starts from.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What batches must keep to.
    pub const fn parameters(&self) -> &Parameters {
        &self.genesis.parameters
    }

    /// Who votes.
    pub const fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// By the measure of paper A: the areas that the market is divided into, and what random assignments cost there at
    /// the offers of genesis. Whatever is offered later changes nothing about them.
    pub const fn references(&self) -> Option<&References> {
        self.references.as_ref()
    }

    /// The first period that can be planned at this time, in milliseconds since the Unix epoch: the first that does not begin within
    /// `frozen_zone_ms`.
    pub fn first_plannable(&self, timestamp_ms: u64) -> Period {
        let Genesis { horizon, calendar_start_ms, parameters, .. } = &self.genesis;
        let since_ms = timestamp_ms.saturating_add(parameters.frozen_zone_ms).checked_sub(*calendar_start_ms);
        match since_ms.and_then(|since_ms| since_ms.checked_div(parameters.period_ms)) {
            Some(begun) if horizon.period_minutes.is_some() => {
                Period(u32::try_from(begun).unwrap_or(limits::LATEST_PERIOD)).plus(1)
            }
            Some(_) | None => Period::ZERO,
        }
    }

    /// Until when a period can be planned, in milliseconds since the Unix epoch: for ever, where there is no calendar.
    pub fn plannable_until(&self, period: Period) -> u64 {
        let Genesis { horizon, calendar_start_ms, parameters, .. } = &self.genesis;
        if horizon.period_minutes.is_none() || period == Period::LAST {
            return u64::MAX;
        }
        let begins_ms =
            parameters.period_ms.saturating_mul(period.0.into()).saturating_add(*calendar_start_ms);
        begins_ms.saturating_sub(parameters.frozen_zone_ms)
    }

    /// What the first batch names as its parent.
    pub const fn genesis_batch(&self) -> BatchHash {
        BatchHash(self.id.0)
    }
}
