//! A small market for tests of one node: everything at one place, every demand one order of one operation, transport for
//! nothing; and what a node of its network is started with.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::consensus::SafetyLog;
use chain::genesis::scenario_demand_records;
use chain::{Batch, Genesis, Ledger, Network, PublicKey, Record, SecretKey};
use coordinator_free_pool::PoolLimits;
use miner_node::{MiningSettings, NodeConfig, Recovered, Timing};
use scenarios::settings::Profile;
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Minutes, Money, Offer, OperationId, Provider, Scenario,
    Site, Supply, TimeWindow,
};

/// When tests begin, milliseconds since the Unix epoch.
pub(crate) const START_MS: u64 = 1_800_000_000_000;
/// Of the keys of providers and demanders.
pub(crate) const RNG_SEED: u64 = 1;

/// A network of these providers, each with its cost and capacity (10 minutes an order), and so many demands with budgets
/// of 100 $; and the demands as records. It was founded a second before tests begin, by a genesis
/// changed by `change`.
pub(crate) fn network(
    providers: &[(Money, Option<Minutes>)],
    demands: usize,
    validators: Vec<PublicKey>,
    change: impl FnOnce(&mut Genesis),
) -> (Arc<Network>, Vec<Record>) {
    let provider = |(number, &(cost, capacity)): (usize, &(Money, Option<Minutes>))| Provider {
        name: format!("provider {number}"),
        site: Site::point(0, 0),
        offers: BTreeMap::from([(OperationId(0), Offer { cost, minutes: 10 })]),
        capacity: capacity.map(Into::into),
    };
    let demand = |number: usize| Demand {
        name: format!("demand {number}"),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(100),
        window: TimeWindow::ANY,
    };
    let rules = CostRules {
        rate_per_km: Money::ZERO,
        value_of_minute: Money::ZERO,
        metres_per_minute: 500,
        deliver: false,
    };
    let providers = providers.iter().enumerate().map(provider).collect();
    let supply = Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE };
    let instance = Instance { supply, demands: (0..demands).map(demand).collect() };
    let scenario = Scenario::of_instance("one place", instance);
    let mut genesis =
        Genesis::of_scenario(&scenario, Profile::Hybrid, 1, validators, RNG_SEED, START_MS - 1_000);
    change(&mut genesis);
    let network = Arc::new(Network::new(genesis).expect("a genesis that keeps the rules"));
    let (fee_ppm, expires_ms) = (network.parameters().solver_fee_ppm, network.genesis().first_expiry_ms());
    let records = scenario_demand_records(&scenario.instance, network.id(), RNG_SEED, fee_ppm, expires_ms);
    (network, records)
}

/// Of a node with the usual habits.
pub(crate) fn config(key: SecretKey, mining: Option<MiningSettings>) -> NodeConfig {
    NodeConfig { key, mining, timing: Timing::default(), pool: PoolLimits::default() }
}

/// Of a validator at genesis that may have voted for these batches.
pub(crate) fn memory(network: &Arc<Network>, safety: SafetyLog, candidates: Vec<Batch>) -> Recovered {
    let ledger = Ledger::new(Arc::clone(network));
    Recovered { ledger, safety: Some(safety), candidates, records: Vec::new(), sealed: Vec::new() }
}
