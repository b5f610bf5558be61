//! Keys, miners and whole random stories for simulated networks.

use chain::SecretKey;
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{MiningSettings, NodeEvent, Timing};
use mizan_tests::sim::{
    Behaviour, Draws, Failure, HostId, HostSettings, Market, MarketKind, Report, Storm, World,
};

/// How long the network may take once it is good: peer records of nodes that were gone must expire (30 s),
/// and miners wait in turn to search for prices (up to 5 s each).
pub(crate) const PATIENCE_MS: u64 = 180_000;

pub(crate) fn keys(rng_seed: u64, count: u32) -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> =
        (0..count).map(|index| SecretKey::for_scenario(rng_seed, "host", index.into())).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// A miner of this market that starts at once.
pub(crate) fn mining(market: &Market, strategy: Strategy, rng_seed: u64) -> MiningSettings {
    MiningSettings {
        strategy,
        profile: market.profile,
        search: market.search_settings(),
        window: market.window,
        rng_seed,
        announce: AnnouncePolicy::default(),
        amend: AmendPolicy { first_size: 4, generations: 1, rest_after: 2, ..AmendPolicy::default() },
        wait_for_start: false,
    }
}

/// What a random story is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// The paper's market in strips.
    Strips,
    /// Capacities that bind, in cells, with one miner that roams.
    Cells,
    /// Everybody after everything.
    Racers,
}

/// Sets the scene of a random story: 4 to 7 miners with clocks that differ, all of them validators.
pub(crate) fn scene(rng_seed: u64, theme: Theme) -> World {
    scene_of(rng_seed, theme, Behaviour::Honest)
}

/// [`scene`], with one validator that behaves like this.
pub(crate) fn scene_of(rng_seed: u64, theme: Theme, third: Behaviour) -> World {
    let mut draws = Draws::new(rng_seed, 0);
    let count = u32::try_from(draws.between(4, 7)).unwrap();
    let keys = keys(rng_seed, count);
    let validators: Vec<_> = keys.iter().map(SecretKey::public).collect();
    let capacity_ppm = *draws.pick(&[900_000, 1_200_000, 2_000_000]);
    let kind =
        if theme == Theme::Strips { MarketKind::Paper } else { MarketKind::Capacitated { capacity_ppm } };
    let (providers, demands) = (draws.between(6, 10), draws.between(8, 16));
    let (providers, demands) = (u32::try_from(providers).unwrap(), u32::try_from(demands).unwrap());
    let market = Market::generated(kind, providers, demands, &validators, rng_seed).unwrap();
    let mut hosts = Vec::new();
    for (number, key) in (0_u64..).zip(keys) {
        let strategy = match theme {
            Theme::Strips => Strategy::Strips,
            Theme::Cells if number + 1 == u64::from(count) => Strategy::Roaming,
            Theme::Cells => Strategy::Cells,
            Theme::Racers => Strategy::Everything,
        };
        let mining = mining(&market, strategy, rng_seed.wrapping_add(number * 1_000_000));
        let mut host = HostSettings::miner(key, mining);
        host.timing = Timing { pricing_turn_ms: 1_000, ..Timing::default() };
        host.clock_lead_ms = draws.below(300);
        host.starts_at_ms = draws.below(500);
        host.behaviour = if number == 2 { third } else { Behaviour::Honest };
        hosts.push(host);
    }
    World::new(market, hosts, rng_seed)
}

/// A whole random story: a storm while demands come in, then calm until all is done.
pub(crate) fn story(rng_seed: u64, theme: Theme) -> Result<Report, Failure> {
    eprintln!("seed {rng_seed}, {theme:?}");
    let mut world = scene(rng_seed, theme);
    let mut draws = Draws::new(rng_seed, 3);
    let hosts = u32::try_from(world.host_ids().count()).unwrap();
    let length_ms = draws.between(3_000, 15_000);
    let storm = Storm::draw(&mut draws, hosts, length_ms);
    world.storm(storm);
    world.submit_all(*draws.pick(&[100, 3_000, 10_000]));
    world.run_for(length_ms)?;
    world.calm()?;
    world.run_until_settled(PATIENCE_MS)
}

/// Everybody's event of one kind, with when and whose.
pub(crate) fn told<'a, T>(
    world: &'a World,
    pick: impl Fn(&'a NodeEvent) -> Option<T> + 'a,
) -> impl Iterator<Item = (u64, HostId, T)> + 'a {
    world.told().iter().filter_map(move |told| Some((told.at_ms, told.host, pick(&told.event)?)))
}

/// One honest host per miner's settings, all of them validators; the rest of `keys` are voters.
pub(crate) fn hosts(market: &Market, keys: &[SecretKey], strategies: &[Strategy]) -> Vec<HostSettings> {
    let host = |(number, key): (u64, &SecretKey)| {
        let strategy = usize::try_from(number).ok().and_then(|number| strategies.get(number));
        match strategy {
            Some(&strategy) => HostSettings::miner(key.clone(), mining(market, strategy, number * 1_000)),
            None => HostSettings::voter(key.clone()),
        }
    };
    (0..).zip(keys).map(host).collect()
}

pub(crate) fn public(keys: &[SecretKey]) -> Vec<chain::PublicKey> {
    keys.iter().map(SecretKey::public).collect()
}
