//! A network from a scenario: offers become genesis facts, demands become signed records, and all keys
//! derive from the scenario's seed. For test networks only: anyone can compute those keys.

use std::collections::BTreeMap;

use scenarios::settings::NetworkSettings;
use scenarios::{Demand, Instance, Money, Scenario};

use super::{GENESIS_VERSION, Genesis, GenesisProvider, Parameters};
use crate::key::{Address, PublicKey, SecretKey};
use crate::record::{DemandStatement, Height, NetworkId, Record, RecordContent, Statement};

/// The key of a scenario's demander number `index`.
pub fn demander_key(rng_seed: u64, index: u64) -> SecretKey {
    SecretKey::for_scenario(rng_seed, "demander", index)
}

/// The key of a scenario's provider number `index`.
pub fn provider_key(rng_seed: u64, index: u64) -> SecretKey {
    SecretKey::for_scenario(rng_seed, "provider", index)
}

/// The least solver fee a network asks for a budget: the share floored to a micro-unit.
pub fn least_solver_fee(budget: Money, solver_fee_ppm: u64) -> Money {
    budget.checked_ppm(solver_fee_ppm).unwrap_or(Money::ZERO)
}

impl Genesis {
    /// The network of a scenario file, its operations under their names. See [`Genesis::from_instance`].
    pub fn from_scenario(
        scenario: &Scenario,
        rng_seed: u64,
        validators: Vec<PublicKey>,
        timestamp_ms: u64,
    ) -> Self {
        let (name, instance) = (scenario.name.as_str(), &scenario.instance);
        let mut genesis =
            Self::from_instance(name, instance, &scenario.network, rng_seed, validators, timestamp_ms);
        let unnamed = genesis.operations.split_off(scenario.operations.len().min(genesis.operations.len()));
        genesis.operations = scenario.operations.iter().cloned().chain(unnamed).collect();
        genesis
    }

    /// The network of a scenario: each demander owns exactly budget + least solver fee, the bounty account
    /// a twentieth of all fees, and as many miners are expected as there are validators. Operations are
    /// named by number; set [`Genesis::operations`] where the scenario knows better.
    pub fn from_instance(
        name: &str,
        instance: &Instance,
        settings: &NetworkSettings,
        rng_seed: u64,
        mut validators: Vec<PublicKey>,
        timestamp_ms: u64,
    ) -> Self {
        validators.sort_unstable();
        validators.dedup();
        let supply = &instance.supply;
        let providers = (0..).zip(&supply.providers).map(|(index, provider)| GenesisProvider {
            address: provider_key(rng_seed, index).public().address(),
            provider: provider.clone(),
        });
        let mut balances: BTreeMap<Address, Money> = BTreeMap::new();
        let mut fees = Money::ZERO;
        for (index, demand) in (0..).zip(&instance.demands) {
            let fee = least_solver_fee(demand.budget, settings.solver_fee_ppm);
            let escrow = demand.budget.checked_add(fee).unwrap_or(demand.budget);
            balances.insert(demander_key(rng_seed, index).public().address(), escrow);
            fees = fees.checked_add(fee).unwrap_or(fees);
        }
        Self {
            version: GENESIS_VERSION,
            name: name.to_owned(),
            timestamp_ms,
            parameters: Parameters::from_settings(settings),
            rules: supply.rules,
            geometry: supply.geometry.clone(),
            operations: (0..operation_count(instance)).map(|number| format!("operation {number}")).collect(),
            providers: providers.collect(),
            balances,
            bounty: fees.checked_ppm(50_000).unwrap_or(Money::ZERO),
            miners: u32::try_from(validators.len()).unwrap_or(u32::MAX).max(1),
            validators,
        }
    }
}

/// One above the largest operation number that is offered or ordered.
fn operation_count(instance: &Instance) -> u32 {
    let offered = instance.supply.providers.iter().flat_map(|provider| provider.offers.keys());
    let ordered = instance.demands.iter().flat_map(|demand| &demand.orders);
    offered.chain(ordered).map(|operation| u32::from(operation.0).saturating_add(1)).max().unwrap_or(1)
}

/// The signed record that brings one demand of a scenario, valid from the first block on.
pub fn scenario_demand_record(
    demand: &Demand,
    index: u64,
    network: NetworkId,
    rng_seed: u64,
    solver_fee_ppm: u64,
) -> Record {
    let key = demander_key(rng_seed, index);
    let statement = Statement::Demand(DemandStatement {
        name: demand.name.clone(),
        site: demand.site,
        orders: demand.orders.clone(),
        budget: demand.budget,
        solver_fee: least_solver_fee(demand.budget, solver_fee_ppm),
    });
    let content = RecordContent {
        network,
        author: key.public(),
        sequence: 0,
        valid_from: 1,
        valid_until: Height::MAX,
        statement,
    };
    content.sign(&key)
}

/// A scenario's demands as signed records, in order, one author each, with the least fee.
pub fn scenario_demand_records(
    instance: &Instance,
    network: NetworkId,
    rng_seed: u64,
    solver_fee_ppm: u64,
) -> Vec<Record> {
    let demands = (0..).zip(&instance.demands);
    demands
        .map(|(index, demand)| scenario_demand_record(demand, index, network, rng_seed, solver_fee_ppm))
        .collect()
}
