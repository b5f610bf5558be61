//! The genesis of a network that plays a scenario on this machine.

use anyhow::Result;
use chain::{Genesis, Network, PublicKey};
use ga::exact::Group;
use scenarios::settings::Profile;
use scenarios::{ProviderId, Scenario};

/// Who takes part in a network that is founded here.
#[derive(Clone, Debug)]
pub struct Members {
    /// Among so many miners the market is shared out.
    pub miners: usize,
    /// All nodes; each can pay for its blocks.
    pub nodes: Vec<PublicKey>,
    /// How many of them vote: the first ones.
    pub validators: usize,
}

/// A network in which miners share out the scenario's market under this profile. Unless the scenario says how or `in_clear` is
/// wanted, they commit to blocks before they show them.
///
/// # Errors
/// If the scenario makes no valid genesis.
pub fn network(
    scenario: &Scenario,
    profile: Profile,
    members: Members,
    in_clear: bool,
    rng_seed: u64,
) -> Result<Network> {
    let now_ms = crate::driver::wall_ms();
    let Members { miners, nodes, validators } = members;
    scenario.validate_room()?;
    let mut scenario = scenario.clone();
    if in_clear {
        scenario.network.commit_reveal = None;
    } else {
        scenario.network.commit_reveal.get_or_insert_default();
    }
    let voters = nodes.iter().take(validators).copied().collect();
    let mut genesis = Genesis::of_scenario(&scenario, profile, miners, voters, rng_seed, now_ms);
    genesis.fund_miners(nodes);
    Ok(Network::new(genesis)?)
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
