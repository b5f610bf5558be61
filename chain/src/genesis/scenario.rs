//! A network from a scenario: offers become genesis facts, demands become signed records, and all keys
//! derive from the scenario's seed. For test networks only: anyone can compute those keys.

use std::collections::BTreeMap;

use scenarios::parameters::Allocation;
use scenarios::settings::Profile;
use scenarios::{Demand, Instance, Money, Scenario, Schedule, Supply, Window};

use super::{GENESIS_VERSION, Genesis, GenesisProvider, Parameters};
use crate::key::{Address, PublicKey, SecretKey};
use crate::record::{DemandStatement, NetworkId, Record, RecordContent, Statement};

/// What each validator owns beyond what an account must keep, where miners pay for their blocks.
const MINER_STAKE: Money = Money::from_units(100);

/// For how many bytes of records each provider and demander can pay beyond all that: some dozens.
const BYTES_PAID_FOR: i64 = 16 << 10;

/// What strips divide where no site has a position: all places of a matrix are in the first.
const NOWHERE: Window = Window { west_m: 0, south_m: 0, east_m: 1, north_m: 1 };

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
    /// The network of a scenario, for so many miners, composed under a profile: its own, or the other one with the
    /// rules that suit it. Each validator has one vote. Each demander owns exactly budget + least solver fee + what an account must keep, each provider
    /// the latter and the least deposit of an offer like its own, so that it can change it. Where miners pay for their blocks, or vouch for prices, validators own 100 $ for that. In dedicated allocation without a limit, a miner may hold as many providers as the fullest of
    /// that many strips has.
    pub fn of_scenario(
        scenario: &Scenario,
        profile: Profile,
        miners: usize,
        validators: Vec<PublicKey>,
        rng_seed: u64,
        timestamp_ms: u64,
    ) -> Self {
        let parameters = parameters(scenario, profile, miners);
        let period_ms = parameters.period_ms;
        let Supply { providers, rules, geometry, horizon } = &scenario.instance.supply;
        let providers = (0..).zip(providers).map(|(index, provider)| GenesisProvider {
            address: provider_key(rng_seed, index).public().address(),
            provider: provider.clone(),
        });
        let mut balances: BTreeMap<Address, Money> = BTreeMap::new();
        let for_bytes = parameters.fee_per_byte.checked_mul(BYTES_PAID_FOR).unwrap_or(Money::ZERO);
        let keep = parameters.account_min.checked_add(for_bytes).unwrap_or(parameters.account_min);
        for (index, provider) in (0..).zip(&scenario.instance.supply.providers) {
            let operations = i64::try_from(provider.offers.len()).unwrap_or(i64::MAX);
            let owned = parameters
                .offer_deposit
                .checked_mul(operations)
                .and_then(|deposit| deposit.checked_add(keep));
            balances.insert(provider_key(rng_seed, index).public().address(), owned.unwrap_or(keep));
        }
        for (index, demand) in (0..).zip(&scenario.instance.demands) {
            let fee = least_solver_fee(demand.budget, parameters.solver_fee_ppm);
            let escrow = demand.budget.checked_add(fee).unwrap_or(demand.budget);
            let owned = escrow.checked_add(keep).unwrap_or(escrow);
            balances.insert(demander_key(rng_seed, index).public().address(), owned);
        }
        let mut genesis = Self {
            version: GENESIS_VERSION,
            name: scenario.name.clone(),
            timestamp_ms,
            parameters,
            rules: *rules,
            geometry: geometry.clone(),
            horizon: *horizon,
            // One period to plan the first in.
            calendar_start_ms: timestamp_ms.saturating_add(period_ms),
            window: scenario.extent().unwrap_or(NOWHERE),
            operations: scenario.operations.clone(),
            providers: providers.collect(),
            balances,
            validators: validators.iter().map(|&key| (key, 1)).collect(),
            miners: u32::try_from(miners).unwrap_or(u32::MAX).max(1),
        };
        genesis.fund_miners(validators);
        genesis
    }

    /// Where miners pay for their blocks, or vouch for prices, gives each of these 100 $ beyond what an account must keep, if it has nothing.
    pub fn fund_miners(&mut self, miners: impl IntoIterator<Item = PublicKey>) {
        let pays = self.parameters.commit_reveal.is_some() && self.parameters.fee_per_byte > Money::ZERO;
        if !pays && self.parameters.price_bond == Money::ZERO {
            return;
        }
        let keep = self.parameters.account_min;
        let stake = MINER_STAKE.checked_add(keep).unwrap_or(keep);
        for miner in miners {
            self.balances.entry(miner.address()).or_insert(stake);
        }
    }
}

/// The scenario's own rules under its own profile. Under the other one: paper A's pay for the published
/// algorithm (no certified schedule would take its batches), certified pay and shared providers for the hybrid.
fn parameters(scenario: &Scenario, profile: Profile, miners: usize) -> Parameters {
    let mut parameters = scenario.network.clone();
    if profile != scenario.search.profile {
        match profile {
            Profile::Paper => {
                parameters.schedule = Schedule::paper();
                parameters.held_providers_max = None;
            }
            Profile::Hybrid => {
                parameters.schedule = Schedule::default();
                parameters.allocation = Allocation::Partial;
            }
        }
    }
    if parameters.allocation == Allocation::Dedicated && parameters.held_providers_max.is_none() {
        parameters.held_providers_max = Some(largest_share(scenario, miners.max(1)));
    }
    parameters
}

/// Paper A's strips are not equally full: a miner may hold as many providers as the fullest strip has, and
/// never fewer than an equal share.
fn largest_share(scenario: &Scenario, miners: usize) -> u32 {
    let providers = &scenario.instance.supply.providers;
    let mut strips: BTreeMap<usize, usize> = BTreeMap::new();
    if let Some(window) = scenario.extent() {
        for provider in providers {
            let count = strips.entry(window.strip(provider.site, miners)).or_default();
            *count = count.saturating_add(1);
        }
    }
    let fullest = strips.into_values().max().unwrap_or(0);
    let share = fullest.max(providers.len().div_ceil(miners)).max(1);
    u32::try_from(share).unwrap_or(u32::MAX)
}

/// The signed record that brings one demand of a scenario, valid from the first batch on.
pub fn scenario_demand_record(
    demand: &Demand,
    index: u64,
    network: NetworkId,
    rng_seed: u64,
    solver_fee_ppm: u64,
    expires_ms: u64,
) -> Record {
    let key = demander_key(rng_seed, index);
    let statement = Statement::Demand(DemandStatement {
        name: demand.name.clone(),
        site: demand.site,
        orders: demand.orders.clone(),
        budget: demand.budget,
        solver_fee: least_solver_fee(demand.budget, solver_fee_ppm),
        window: demand.window,
        expires_ms,
    });
    let content =
        RecordContent { network, author: key.public(), sequence: 0, valid_until_ms: u64::MAX, statement };
    content.sign(&key)
}

/// A scenario's demands as signed records, in order, one author each, with the least fee; they all expire at one time,
/// say [`Genesis::first_expiry_ms`].
pub fn scenario_demand_records(
    instance: &Instance,
    network: NetworkId,
    rng_seed: u64,
    solver_fee_ppm: u64,
    expires_ms: u64,
) -> Vec<Record> {
    let demands = (0..).zip(&instance.demands);
    let record = |(index, demand)| {
        scenario_demand_record(demand, index, network, rng_seed, solver_fee_ppm, expires_ms)
    };
    demands.map(record).collect()
}
