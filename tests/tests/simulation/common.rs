//! Keys and hosts of simulated networks told by hand.

use chain::{Block, Draft, Ledger, SecretKey};
use miner_node::NodeEvent;
use miner_node::strategy::Strategy;
use mizan_tests::sim::{HostId, HostSettings, Market, START_MS, World, a_miner};

/// How long the network may take once it is good: peer records of nodes that were gone must expire (30 s),
/// and miners wait in turn to search for prices (up to 5 s each).
pub(crate) const PATIENCE_MS: u64 = 180_000;

pub(crate) fn keys(rng_seed: u64, count: u32) -> Vec<SecretKey> {
    let mut keys: Vec<SecretKey> =
        (0..count).map(|index| SecretKey::for_scenario(rng_seed, "host", index.into())).collect();
    keys.sort_by_key(SecretKey::public);
    keys
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
            Some(&strategy) => HostSettings::miner(key.clone(), a_miner(market, strategy, number * 1_000)),
            None => HostSettings::voter(key.clone()),
        }
    };
    (0..).zip(keys).map(host).collect()
}

pub(crate) fn public(keys: &[SecretKey]) -> Vec<chain::PublicKey> {
    keys.iter().map(SecretKey::public).collect()
}

/// A block of whoever has this key that composes one of the open demands, chosen by `number`, at its cheapest; `None` if
/// none is open or there is no time for it.
pub(crate) fn block_of(key: &SecretKey, ledger: &Ledger, world: &World, number: usize) -> Option<Block> {
    let open: Vec<_> = ledger.demands().filter(|(_, entry)| entry.is_open()).collect();
    let (demand, entry) = open.get(number.checked_rem(open.len())?)?;
    let cheapest = ledger.supply().oracle().cheapest(&entry.demand, ledger.prices())?;
    let draft = Draft {
        miner: key.public(),
        timestamp_ms: (ledger.head().timestamp_ms + 1).max(START_MS + world.now_ms()),
        records: Vec::new(),
        prices: None,
        compositions: vec![(*demand, cheapest.slots)],
        amendments: Vec::new(),
    };
    ledger.draft(draft).ok()?.sign_block(key).map(|(block, _)| block)
}
