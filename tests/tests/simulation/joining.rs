//! Nodes that come late, or come back.

use chain::SecretKey;
use miner_node::NodeEvent;
use miner_node::strategy::Strategy;
use mizan_tests::sim::{
    Fault, HostId, HostSettings, Market, MarketKind, World, demand, instance_of, provider,
};
use scenarios::Parameters;
use scenarios::settings::Profile;

use crate::common::{PATIENCE_MS, hosts, keys, public, told};

#[test]
fn a_late_joiner_fetches_more_than_one_message_of_batches_and_verifies_them_all() {
    // Demands that come one at a time make a long chain of small batches.
    let providers = vec![provider("p", 0, 10, 30, None)];
    let demands: Vec<_> = (0..40).map(|n| demand(&format!("d{n}"), n, 100)).collect();
    let validators = keys(2, 4);
    let instance = instance_of(providers, demands);
    let market =
        Market::new(instance, &Parameters::default(), Profile::Hybrid, &public(&validators), 2).unwrap();
    let mut settings = hosts(&market, &validators, &[Strategy::Everything]);
    let joiner = SecretKey::for_scenario(2, "late joiner", 0);
    settings.push(HostSettings { starts_at_ms: 60_000, ..HostSettings::voter(joiner) });
    let records = market.records.clone();
    let mut world = World::new(market, settings, 2);
    for (place, record) in (1..).zip(records) {
        world.submit(place * 1_000, HostId(1), vec![record]);
    }
    world.run_for(60_000).unwrap();
    let begun = world.node(HostId(0)).ledger().head().height;
    assert!(begun > 64, "the chain of {begun} batches must not fit one message");
    // The fifth host has nothing yet; soon it has everything, each height verified and told.
    assert_eq!(world.node(HostId(4)).ledger().head().height, 0);
    world.run_for(3_000).unwrap();
    world.run_until_settled(PATIENCE_MS).unwrap();
    let verified = told(&world, |event| match event {
        NodeEvent::BatchFinal { batch, .. } => Some(batch.height),
        _ => None,
    });
    let verified: Vec<u64> =
        verified.filter(|(_, host, _)| *host == HostId(4)).map(|(_, _, height)| height).collect();
    let (late, founder) = (world.node(HostId(4)).ledger(), world.node(HostId(0)).ledger());
    assert_eq!(verified, (1..=founder.head().height).collect::<Vec<_>>());
    assert_eq!(late.state_root(), founder.state_root());
}

#[test]
fn a_validator_that_was_away_while_the_others_went_on_catches_up_and_votes_again() {
    let keys = keys(3, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), 3).unwrap();
    let settings = hosts(&market, &keys, &[Strategy::Cells; 4]);
    let mut world = World::new(market, settings, 3);
    world.submit_all(100);
    world.run_for(1_000).unwrap();
    world.inflict(0, Fault::Crash { host: HostId(2), after_effects: 3 });
    let crashed = world.run_until(5_000, |world| world.host(HostId(2)).node().is_none()).unwrap();
    assert!(crashed);
    // Three of four go on without it.
    let gone_on = |world: &World| world.node(HostId(0)).ledger().head().height >= 3;
    assert!(world.run_until(PATIENCE_MS, gone_on).unwrap());
    world.inflict(0, Fault::Restart(HostId(2)));
    // Now another one is away: every further height needs the vote of the one that came back.
    world.inflict(10, Fault::Crash { host: HostId(3), after_effects: 0 });
    let report = world.run_until_settled(PATIENCE_MS).unwrap();
    assert_eq!(report.composed, 10);
}

#[test]
fn without_a_quorum_the_chain_waits_and_with_one_it_goes_on() {
    let keys = keys(4, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), 4).unwrap();
    let settings = hosts(&market, &keys, &[Strategy::Everything; 4]);
    let mut world = World::new(market, settings, 4);
    world.inflict(0, Fault::Cut([HostId(0), HostId(1)].into()));
    world.submit_all(100);
    world.run_for(20_000).unwrap();
    assert_eq!(world.checkers().height(), 0, "two of four decide nothing");
    world.calm().unwrap();
    let report = world.run_until_settled(PATIENCE_MS).unwrap();
    assert_eq!(report.composed, 10);
}
