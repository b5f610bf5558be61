//! The genesis of a network that plays a scenario on this machine.

use anyhow::Result;
use chain::{Genesis, Network, PublicKey};
use ga::exact::Group;
use scenarios::settings::{Allocation, NetworkSettings, Profile, ScheduleSettings};
use scenarios::{ProviderId, Scenario};

/// A network in which `miners` miners share out the scenario's market under this profile.
///
/// # Errors
/// If the scenario makes no valid genesis.
pub fn network(
    scenario: &Scenario,
    profile: Profile,
    miners: usize,
    validators: Vec<PublicKey>,
    rng_seed: u64,
) -> Result<Network> {
    let mut settings = settings_for(scenario, profile);
    if settings.allocation == Allocation::Dedicated && settings.held_providers_max.is_none() {
        settings.held_providers_max = Some(largest_share(scenario, miners));
    }
    let now_ms = crate::driver::WallClock::start().now_ms();
    let (name, instance) = (&scenario.name, &scenario.instance);
    let mut genesis = Genesis::from_instance(name, instance, &settings, rng_seed, validators, now_ms);
    genesis.operations.clone_from(&scenario.operations);
    genesis.miners = u32::try_from(miners)?;
    Ok(Network::new(genesis)?)
}

/// The scenario's own rules under its own profile. Under the other one: paper A's rules for the published
/// algorithm (no certified schedule would take its blocks), certified ones for the hybrid.
fn settings_for(scenario: &Scenario, profile: Profile) -> NetworkSettings {
    if profile == scenario.search.profile {
        return scenario.network;
    }
    match profile {
        Profile::Paper => NetworkSettings {
            schedule: ScheduleSettings::paper(),
            held_providers_max: None,
            ..scenario.network
        },
        Profile::Hybrid => NetworkSettings {
            allocation: Allocation::Partial,
            schedule: ScheduleSettings::default(),
            ..scenario.network
        },
    }
}

/// Paper A's strips are not equally full: a miner may hold as many providers as the fullest strip has, and
/// never fewer than an equal share.
fn largest_share(scenario: &Scenario, miners: usize) -> u32 {
    let providers = scenario.instance.supply.providers.len();
    let fullest = strips(scenario, miners).iter().map(|group| group.providers.len()).max().unwrap_or(0);
    u32::try_from(fullest.max(providers.div_ceil(miners))).unwrap_or(u32::MAX)
}

/// Paper A's strips of the scenario's window, each with its own providers and demands; none without a map.
pub fn strips(scenario: &Scenario, miners: usize) -> Vec<Group> {
    let Some(window) = scenario.extent() else { return Vec::new() };
    let instance = &scenario.instance;
    let group = |strip: usize| {
        let providers = instance.supply.providers.iter().enumerate();
        let demands = instance.demands.iter().enumerate();
        Group {
            providers: providers
                .filter(|(_, provider)| window.strip(provider.site, miners) == strip)
                .map(|(index, _)| ProviderId::from_index(index))
                .collect(),
            demands: demands
                .filter(|(_, demand)| window.strip(demand.site, miners) == strip)
                .map(|(index, _)| index)
                .collect(),
        }
    };
    (0..miners).map(group).collect()
}
