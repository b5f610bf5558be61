//! Small markets for simulated networks: an instance, its genesis, and its demands as signed records.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chain::consensus::Power;
use chain::genesis::scenario_demand_records;
use chain::{Genesis, Network, PublicKey, Record};
use scenarios::generate::{GenerateParameters, SiteParameters, generate};
use scenarios::parameters::{Allocation, CommitReveal, Parameters};
use scenarios::schedule::Measure;
use scenarios::settings::{Profile, SearchSettings};
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Minutes, Money, Offer, OperationId, Provider, Scenario,
    Schedule, Site, Supply, TimeWindow, Window,
};

/// Sooner than networks freeze by default: a run is over when everything is frozen.
const FREEZE_AFTER_MS: u64 = 5_000;

/// The virtual time at which every run begins, in milliseconds since the Unix epoch.
pub const START_MS: u64 = 1_800_000_000_000;

/// What kind of market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketKind {
    /// The paper's: no capacities, a provider belongs to one miner, pay by cost per order.
    Paper,
    /// Capacities that bind, pay by certified reduced cost.
    Capacitated {
        /// Total capacity, in ppm of the work of a random assignment.
        capacity_ppm: u64,
    },
}

/// What a network is about.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Market {
    /// The genesis all hosts share.
    pub network: Arc<Network>,
    pub instance: Instance,
    /// The demands, signed, in order.
    pub records: Vec<Record>,
    /// The rectangle that strips divide.
    pub window: Window,
    /// The algorithm that suits it.
    pub profile: Profile,
}

impl Market {
    /// A market drawn at random.
    ///
    /// # Errors
    /// If the numbers make no scenario or no genesis.
    pub fn generated(
        kind: MarketKind,
        providers: u32,
        demands: u32,
        validators: &[PublicKey],
        rng_seed: u64,
    ) -> Result<Self> {
        let orders = 3;
        let capacity_ppm = match kind {
            MarketKind::Paper => None,
            MarketKind::Capacitated { capacity_ppm } => Some(capacity_ppm),
        };
        let scenario = generate(&GenerateParameters {
            name: "simulated".into(),
            paper_problem: None,
            rng_seed,
            providers,
            demands,
            operations: orders,
            orders_per_demand: orders,
            window_km: 60,
            sites: SiteParameters::Uniform,
            cost_min: Money::from_units(5),
            cost_max: Money::from_units(40),
            minutes_min: 10,
            minutes_max: 60,
            rate_per_km: Money::from_micros(500_000),
            value_of_minute: Money::ZERO,
            deliver: false,
            capacity_ppm,
            calendar: None,
        })?;
        let parameters = match kind {
            MarketKind::Paper => paper_rules(scenario.instance.supply.providers.len()),
            MarketKind::Capacitated { .. } => {
                Parameters { freeze_after_ms: FREEZE_AFTER_MS, ..Parameters::default() }
            }
        };
        let profile = match kind {
            MarketKind::Paper => Profile::Paper,
            MarketKind::Capacitated { .. } => Profile::Hybrid,
        };
        Self::new(scenario.instance, &parameters, profile, validators, rng_seed)
    }

    /// The market of an instance.
    ///
    /// # Errors
    /// If it makes no genesis.
    pub fn new(
        instance: Instance,
        parameters: &Parameters,
        profile: Profile,
        validators: &[PublicKey],
        rng_seed: u64,
    ) -> Result<Self> {
        let mut scenario = Scenario::of_instance("simulated", instance);
        scenario.network = parameters.clone();
        scenario.search.profile = profile;
        let (miners, validators) = (validators.len(), validators.to_vec());
        let genesis = Genesis::of_scenario(&scenario, profile, miners, validators, rng_seed, START_MS - 1);
        let window = scenario.extent().context("a market without sites")?;
        Self::founded(genesis, scenario.instance, window, profile, rng_seed)
    }

    /// The same market where the validators, in order of their keys, have these votes; `rng_seed` is that of before.
    ///
    /// # Errors
    /// If that makes no genesis.
    pub fn with_powers(self, powers: impl IntoIterator<Item = Power>, rng_seed: u64) -> Result<Self> {
        let mut genesis = self.network.genesis().clone();
        for (votes, power) in genesis.validators.values_mut().zip(powers) {
            *votes = power;
        }
        Self::founded(genesis, self.instance, self.window, self.profile, rng_seed)
    }

    /// The same market where somebody more has this much money; `rng_seed` is that of before.
    ///
    /// # Errors
    /// If that makes no genesis.
    pub fn with_money(self, owner: PublicKey, money: Money, rng_seed: u64) -> Result<Self> {
        let mut genesis = self.network.genesis().clone();
        genesis.balances.insert(owner.address(), money);
        Self::founded(genesis, self.instance, self.window, self.profile, rng_seed)
    }

    /// The same market where miners commit to blocks before they show them; `rng_seed` is that of before.
    ///
    /// # Errors
    /// If that makes no genesis.
    pub fn with_commitments(self, rules: CommitReveal, rng_seed: u64) -> Result<Self> {
        let mut genesis = self.network.genesis().clone();
        genesis.parameters.commit_reveal = Some(rules);
        let validators: Vec<PublicKey> = genesis.validators.keys().copied().collect();
        genesis.fund_miners(validators);
        Self::founded(genesis, self.instance, self.window, self.profile, rng_seed)
    }

    fn founded(
        genesis: Genesis,
        instance: Instance,
        window: Window,
        profile: Profile,
        rng_seed: u64,
    ) -> Result<Self> {
        let network = Arc::new(Network::new(genesis).context("the simulated genesis")?);
        let records = scenario_demand_records(
            &instance,
            network.id(),
            rng_seed,
            network.parameters().solver_fee_ppm,
            network.genesis().first_expiry_ms(),
        );
        Ok(Self { network, instance, records, window, profile })
    }

    /// Search settings small enough for many runs.
    pub fn search_settings(&self) -> SearchSettings {
        let mut settings = SearchSettings { profile: self.profile, ..SearchSettings::default() };
        settings.paper.population = 12;
        settings.paper.generations = 12;
        settings.hybrid.islands = 1;
        settings.hybrid.population = 4;
        settings.hybrid.moves_per_generation = 12;
        settings.hybrid.removed_max = 3;
        settings.hybrid.generations = 12;
        settings.hybrid.subgradient_steps = 30;
        settings
    }
}

/// Paper A's rules with a schedule that suits a market as small as this: full pay for whatever is below the reference.
fn paper_rules(providers: usize) -> Parameters {
    Parameters {
        allocation: Allocation::Dedicated,
        held_providers_max: u32::try_from(providers).ok(),
        schedule: Schedule::from(Measure::Paper {
            reference_margin_ppm: 0,
            full_at_ppm: 1,
            block_orders_min: 1,
        }),
        freeze_after_ms: FREEZE_AFTER_MS,
        ..Parameters::default()
    }
}

/// A provider of operation 0, for markets made by hand.
pub fn provider(name: &str, x_m: i64, cost: i64, minutes: Minutes, capacity: Option<Minutes>) -> Provider {
    let offer = Offer { cost: Money::from_units(cost), minutes };
    Provider {
        name: name.into(),
        site: Site::point(x_m, 0),
        offers: BTreeMap::from([(OperationId(0), offer)]),
        capacity: capacity.map(Into::into),
    }
}

/// A demand of one order of operation 0, for markets made by hand.
pub fn demand(name: &str, x_m: i64, budget: i64) -> Demand {
    let budget = Money::from_units(budget);
    Demand {
        name: name.into(),
        site: Site::point(x_m, 0),
        orders: vec![OperationId(0)],
        budget,
        window: TimeWindow::ANY,
    }
}

/// An instance in which transport is free.
pub fn instance_of(providers: Vec<Provider>, demands: Vec<Demand>) -> Instance {
    let rules = CostRules {
        rate_per_km: Money::ZERO,
        value_of_minute: Money::ZERO,
        metres_per_minute: 500,
        deliver: false,
    };
    Instance {
        supply: Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE },
        demands,
    }
}
