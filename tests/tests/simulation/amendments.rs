//! Miners that take up again what was composed apart.

use std::collections::BTreeMap;

use chain::Height;
use chain::ledger::DemandStatus;
use miner_node::strategy::{AmendPolicy, Strategy};
use miner_node::{NodeEvent, Timing};
use mizan_tests::sim::{HostId, Market, MarketKind, World};
use scenarios::{Money, Parameters};

use crate::common::{PATIENCE_MS, hosts, keys, public, told};

/// Three miners share out 18 demands on scarce capacity, and amend or not.
fn settled_world(rng_seed: u64, enabled: bool) -> World {
    let keys = keys(rng_seed, 3);
    let kind = MarketKind::Capacitated { capacity_ppm: 1_100_000 };
    let market = Market::generated(kind, 6, 18, &public(&keys), rng_seed).unwrap();
    // Nothing freezes before all of it has been looked at.
    let parameters = Parameters { freeze_after_ms: 60_000, ..market.network.parameters().clone() };
    let market = Market::new(market.instance, &parameters, market.profile, &public(&keys), rng_seed).unwrap();
    let mut settings = hosts(&market, &keys, &[Strategy::Cells; 3]);
    for mining in settings.iter_mut().filter_map(|host| host.mining.as_mut()) {
        mining.amend = AmendPolicy { enabled, first_size: 6, generations: 6, rest_after: 8 };
    }
    let mut world = World::new(market, settings, rng_seed);
    world.submit_all(100);
    world.run_until_settled(PATIENCE_MS).unwrap();
    world
}

/// What the compositions on chain cost, and what their demanders paid in when they were first made.
fn cost_and_price(world: &World) -> (Money, Money) {
    let compositions =
        || world.node(HostId(0)).ledger().demands().filter_map(|(_, entry)| entry.composition());
    (compositions().map(|standing| standing.cost).sum(), compositions().map(|standing| standing.price).sum())
}

/// What each batch with amendments saved.
fn savings(world: &World) -> BTreeMap<Height, Money> {
    told(world, |event| match event {
        NodeEvent::BatchFinal { batch, .. } if batch.amended > 0 => Some((batch.height, batch.saving)),
        _ => None,
    })
    .map(|(_, _, saving)| saving)
    .collect()
}

#[test]
fn what_was_composed_apart_is_composed_anew_to_cost_less_and_nobody_pays_more() {
    let mut saved_in_all = Money::ZERO;
    for rng_seed in 5..9 {
        let world = settled_world(rng_seed, true);
        let (cost, price) = cost_and_price(&world);
        let saved: Money = savings(&world).into_values().sum();
        assert_eq!(price - cost, saved, "seed {rng_seed}");
        for (_, entry) in world.node(HostId(0)).ledger().demands() {
            let Some(standing) = entry.composition() else { continue };
            assert!(standing.price >= standing.first_cost && standing.price <= entry.demand.budget);
            assert_eq!(standing.version > 1, standing.amended_by.is_some());
        }
        saved_in_all += saved;
    }
    assert!(saved_in_all > Money::ZERO);
}

#[test]
fn who_is_told_not_to_amend_does_not() {
    let world = settled_world(5, false);
    let (cost, price) = cost_and_price(&world);
    assert_eq!(cost, price);
    assert_eq!(savings(&world), BTreeMap::new());
}

#[test]
fn an_idle_network_pays_everything_when_it_is_due_and_then_rests() {
    let mut world = settled_world(5, false);
    let is_paid = |world: &World| {
        let demands = world.node(HostId(0)).ledger().demands();
        demands.into_iter().all(|(_, entry)| !matches!(entry.status, DemandStatus::Composed(_)))
    };
    assert!(!is_paid(&world));
    let freeze_after_ms = world.market().network.parameters().freeze_after_ms;
    let timing = Timing::default();
    assert!(world.run_until(freeze_after_ms + 2_000, is_paid).unwrap());
    world.run_for(2_000).unwrap(); // a last header says what that led to
    let height = world.node(HostId(0)).ledger().head().height;
    world.run_for(4 * timing.heartbeat_ms).unwrap();
    assert_eq!(world.node(HostId(0)).ledger().head().height, height);
}
