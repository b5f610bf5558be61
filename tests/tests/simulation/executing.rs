//! Final batches are executed beside the node: who takes longer than the others misses nothing, votes when it is done and is
//! not blamed, and a crash before the end loses nothing.

use miner_node::strategy::Strategy;
use mizan_tests::sim::{Behaviour, Fault, HostId, Lie, Market, MarketKind, World};

use crate::common::{PATIENCE_MS, hosts, keys, public};

/// Four validators that mine, which take so much longer to execute each batch, in milliseconds.
fn world(execution_ms: [u64; 4], rng_seed: u64) -> World {
    world_with(execution_ms, Behaviour::Honest, rng_seed)
}

/// The same, the last of which behaves like this.
fn world_with(execution_ms: [u64; 4], last: Behaviour, rng_seed: u64) -> World {
    let keys = keys(rng_seed, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 3_000_000 };
    let market = Market::generated(kind, 8, 16, &public(&keys), rng_seed).unwrap();
    let mut settings = hosts(&market, &keys, &[Strategy::Cells; 4]);
    for (host, execution_ms) in settings.iter_mut().zip(execution_ms) {
        host.execution_ms = execution_ms;
    }
    settings[3].behaviour = last;
    World::new(market, settings, rng_seed)
}

/// Whether a batch is final at a host that has not been executed.
fn is_executing(world: &World, host: HostId) -> bool {
    let written = world.host(host).store().map(chain::Store::height);
    written.is_some_and(|height| height > world.node(host).ledger().head().height)
}

#[test]
fn a_validator_that_executes_more_slowly_than_the_others_votes_on_every_height_and_ends_like_them() {
    for rng_seed in 0..4 {
        let mut world = world([0, 0, 0, 60], rng_seed);
        world.submit_all(2_000);
        let report = world.run_until_settled(PATIENCE_MS).unwrap();
        assert!(report.composed > 0 && report.height >= 5, "{report}");
        // Decided without it while it was busy, a height may be that it did not sign.
        let signed = world.heights_signed(HostId(3));
        assert!(signed * 2 > report.height, "it signed {signed} of {} heights", report.height);
    }
}

#[test]
fn one_that_takes_longer_than_heights_do_catches_up_once_there_is_time() {
    for rng_seed in 0..4 {
        let mut world = world([0, 0, 0, 900], rng_seed);
        world.submit_all(2_000);
        let report = world.run_until_settled(PATIENCE_MS).unwrap();
        assert!(report.composed > 0, "{report}");
        assert_eq!(world.node(HostId(3)).ledger().head().height, report.height);
    }
}

#[test]
fn where_all_take_long_heights_take_as_long_and_come_all_the_same() {
    let mut world = world([400; 4], 1);
    world.submit_all(100);
    let report = world.run_until_settled(PATIENCE_MS).unwrap();
    assert!(report.composed > 0, "{report}");
    assert!(report.at_ms > 400 * report.height, "{report}");
}

#[test]
fn what_was_decided_and_not_executed_before_a_crash_is_executed_after_it() {
    for victim in (0..4).map(HostId) {
        let mut world = world([300; 4], 2);
        world.run_for(1_000).unwrap();
        world.submit_all(100);
        let is_reached = world.run_until(PATIENCE_MS, |world| is_executing(world, victim)).unwrap();
        assert!(is_reached);
        let height = world.node(victim).ledger().head().height;
        world.inflict(0, Fault::Crash { host: victim, after_effects: 0 });
        world.inflict(500, Fault::Restart(victim));
        world.run_for(600).unwrap();
        assert!(world.node(victim).ledger().head().height > height, "its store leads there");
        world.run_until_settled(PATIENCE_MS).unwrap();
    }
}

#[test]
fn one_that_is_slow_beside_one_that_lies_is_waited_for_and_not_blamed() {
    for lie in Lie::ALL {
        let mut world = world_with([0, 0, 80, 0], Behaviour::Liar(lie), 3);
        world.submit_all(500);
        let report = world.run_until_served(PATIENCE_MS).unwrap();
        assert!(report.composed > 0, "{lie:?}: {report}");
    }
}
