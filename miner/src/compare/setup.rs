//! The genesis of a network that plays a scenario on this machine.

use anyhow::Result;
use chain::{Genesis, Network, PublicKey};
use ga::exact::Group;
use scenarios::settings::Profile;
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
    let now_ms = crate::driver::wall_ms();
    Ok(Network::new(Genesis::of_scenario(scenario, profile, miners, validators, rng_seed, now_ms))?)
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
