//! Markets that cannot serve everybody, or pay too little for what can be found. That peers refuse a batch
//! that is sent before acceptance has relaxed is tested on the ledger, in the `chain` crate.

use std::collections::BTreeSet;

use miner_node::NodeEvent;
use scenarios::generate::generate;
use scenarios::schedule::POINTS;
use scenarios::{Money, Schedule};

use crate::network::{Setup, TestNetwork, small_market, small_parameters};

#[tokio::test]
async fn a_market_with_too_little_capacity_ends_with_named_unserved_demands() {
    let mut parameters = small_parameters();
    parameters.capacity_ppm = Some(500_000);
    let mut scenario = generate(&parameters).unwrap();
    scenario.network.relax_after_ms = 200;
    scenario.network.relax_over_ms = 200;
    scenario.search.hybrid.seconds = 1.0;
    scenario.search.hybrid.subgradient_steps = 100;
    let names: BTreeSet<String> =
        scenario.instance.demands.iter().map(|demand| demand.name.clone()).collect();

    let mut network = TestNetwork::start_with_demands(Setup::new(scenario, 2)).await;
    network.start_mining([1, 2]).await;
    network.settle().await;
    let market = network.market_status().await;
    let unserved: BTreeSet<(String, String)> =
        market.unserved.into_iter().map(|unserved| (unserved.name, unserved.reason)).collect();
    let outcome = network.finish().await;

    let missing: BTreeSet<String> = unserved.iter().map(|(name, _)| name.clone()).collect();
    assert!(!missing.is_empty(), "half of the capacity served all demands");
    assert!(missing.is_subset(&names), "{missing:?}");
    assert!(outcome.composed() > 0);
    assert_eq!(outcome.composed() + missing.len(), 12);
    for (name, reason) in &unserved {
        let explains = ["time left", "capacity left"].iter().any(|words| reason.contains(words));
        assert!(explains, "{name} is unserved because {reason}");
    }
}

#[tokio::test]
async fn a_composition_below_the_threshold_is_held_back_and_accepted_once_acceptance_has_relaxed() {
    // Whatever is found earns nothing; the floor asks for a tenth
    // of the fee for three seconds, then for less and less, and after four more for nothing at all.
    let mut scenario = small_market();
    scenario.network.schedule = Schedule { curve: vec![0; POINTS], ..Schedule::default() };
    scenario.network.relax_after_ms = 3_000;
    scenario.network.relax_over_ms = 4_000;
    let mut network = TestNetwork::start_with_demands(Setup::new(scenario, 2)).await;
    network.start_mining([1, 2]).await;
    let reason = network
        .hear("compositions are held back", |_, event| match event {
            NodeEvent::HeldBack { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert!(reason.contains("earns 0, expected at least"), "{reason}");
    network.settle().await;
    let outcome = network.finish().await;

    assert_eq!(outcome.composed(), 12);
    let of_records: usize = outcome.chain.iter().map(|(batch, _)| batch.contents.records.len()).sum();
    assert_eq!(of_records, 12);
    let brought_ms = outcome.chain[0].0.header.timestamp_ms;
    let first = outcome.chain.iter().find(|(_, report)| report.compositions > 0);
    let waited_ms = first.unwrap().0.header.timestamp_ms - brought_ms;
    assert!(waited_ms >= 3_000 + 4_000, "accepted after {waited_ms} ms, before its floor is nothing");
    let earned = outcome.events.iter().filter_map(|(_, event)| match event {
        NodeEvent::BatchFinal { batch, .. } => Some(batch.reward),
        _ => None,
    });
    assert_eq!(earned.max(), Some(Money::ZERO), "acceptance relaxes, pay does not");
}
