//! What a client must know of the network and its market to write records.

use std::collections::BTreeMap;

use chain::consensus::Power;
use chain::{Height, NetworkId, PublicKey};
use scenarios::{Geometry, Horizon, Money};
use serde::{Deserialize, Serialize};

use crate::Snapshot;

/// What a client must know to write records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct MarketFacts {
    /// The network's name, for people.
    pub name: String,
    /// The hash of its genesis, which every record carries.
    pub network: NetworkId,
    /// The height of the node's head.
    pub height: Height,
    /// Names of the operations; an operation's number is its position.
    pub operations: Vec<String>,
    /// Providers with an offer.
    pub providers: usize,
    /// The least solver fee, as a share of the budget in parts per million.
    pub solver_fee_ppm: u64,
    /// What an account keeps: no statement takes it.
    pub account_min: Money,
    /// The least budget of a demand for each of its orders.
    pub min_budget: Money,
    /// What is locked for each operation of an offer, at least.
    pub offer_deposit: Money,
    /// What is locked for each minute of an offer's capacity, beyond what genesis gave its provider.
    pub minute_deposit: Money,
    /// What each byte of an offer, a demand or a transfer costs.
    pub fee_per_byte: Money,
    /// The longest that a demand may stay open, in milliseconds after the batch that brings it.
    pub demand_lifetime_max_ms: u64,
    /// The latest expiry, in milliseconds since the Unix epoch, that a demand may have whichever batch brings it.
    pub first_expiry_ms: u64,
    /// With a distance matrix, how many places it has; otherwise sites are points in metres.
    pub places: Option<usize>,
    /// The periods that can be planned now.
    #[serde(default)]
    pub horizon: Horizon,
    /// When periods are, if there are several.
    #[serde(default)]
    pub calendar: Option<CalendarFacts>,
    /// Records that one author may have in this node's pool.
    pub records_per_author: usize,
    /// Who votes, and how many votes each has.
    pub validators: BTreeMap<PublicKey, Power>,
}

/// When periods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarFacts {
    /// When period 0 begins, in milliseconds since the Unix epoch.
    pub start_ms: u64,
    /// How long a period lasts, in milliseconds.
    pub period_ms: u64,
    /// How long before it begins a period cannot be planned any more, in milliseconds.
    pub frozen_zone_ms: u64,
}

/// The network and its market at a snapshot.
pub fn market_facts(snapshot: &Snapshot) -> MarketFacts {
    let ledger = &snapshot.ledger;
    let network = ledger.network();
    let genesis = network.genesis();
    let offering = ledger.supply().providers.iter().filter(|provider| !provider.offers.is_empty());
    MarketFacts {
        name: genesis.name.clone(),
        network: network.id(),
        height: snapshot.height(),
        operations: genesis.operations.clone(),
        providers: offering.count(),
        solver_fee_ppm: genesis.parameters.solver_fee_ppm,
        account_min: genesis.parameters.account_min,
        min_budget: genesis.parameters.min_budget,
        offer_deposit: genesis.parameters.offer_deposit,
        minute_deposit: genesis.parameters.minute_deposit,
        fee_per_byte: genesis.parameters.fee_per_byte,
        horizon: ledger.supply().horizon,
        calendar: genesis.horizon.period_minutes.map(|_| CalendarFacts {
            start_ms: genesis.calendar_start_ms,
            period_ms: genesis.parameters.period_ms,
            frozen_zone_ms: genesis.parameters.frozen_zone_ms,
        }),
        demand_lifetime_max_ms: genesis.parameters.demand_lifetime_max_ms,
        first_expiry_ms: genesis.first_expiry_ms(),
        places: match &genesis.geometry {
            Geometry::Euclidean => None,
            Geometry::Matrix(matrix) => Some(matrix.places()),
        },
        records_per_author: snapshot.pool_limits.per_author,
        validators: genesis.validators.clone(),
    }
}
