//! More miners do not need more heights, and nobody's work is lost to the height it was meant for.

use miner_node::NodeEvent;
use miner_node::strategy::Strategy;
use mizan_tests::sim::{HostId, Market, MarketKind, World};

use crate::common::{hosts, keys, public, told};

const DEMANDS: usize = 48;

/// A network of so many miners has composed everything: the heights that took, from the one after the last record's, and the
/// world.
fn composed_by(miners: usize) -> (u64, World) {
    let keys = keys(3, u32::try_from(miners).unwrap());
    let kind = MarketKind::Capacitated { capacity_ppm: 4_000_000 };
    let market = Market::generated(kind, 12, u32::try_from(DEMANDS).unwrap(), &public(&keys), 3).unwrap();
    let hosts = hosts(&market, &keys, &vec![Strategy::Cells; miners]);
    let mut world = World::new(market, hosts, 3);
    world.run_for(3_000).unwrap();
    world.submit_all(50);
    let is_on_chain = |world: &World| world.node(HostId(0)).ledger().demands_seen() == DEMANDS as u64;
    assert!(world.run_until(10_000, is_on_chain).unwrap());
    let from = world.checkers().height();
    let composed = |world: &World| world.checkers().solution().compositions.iter().flatten().count();
    assert!(world.run_until(60_000, |world| composed(world) == DEMANDS).unwrap(), "{}", composed(&world));
    (world.checkers().height() - from, world)
}

#[test]
fn eight_times_as_many_miners_compose_the_market_in_no_more_heights_and_many_of_them_in_one() {
    let (few, _) = composed_by(2);
    let (many, world) = composed_by(16);
    assert!(many <= few + 2, "{many} heights with 16 miners, {few} with 2");
    let together = told(&world, |event| match event {
        NodeEvent::BatchFinal { batch, .. } => Some(batch.blocks.len()),
        _ => None,
    });
    let together = together.map(|(_, _, blocks)| blocks).max();
    assert!(together >= Some(8), "at most {together:?} blocks came together");
}
