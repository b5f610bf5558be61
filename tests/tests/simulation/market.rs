//! Small markets whose outcome can be worked out by hand.

use std::collections::{BTreeMap, BTreeSet};

use miner_api::views;
use miner_node::strategy::{Region, Strategy};
use miner_node::{MiningSettings, NodeEvent, WorkKind};
use mizan_tests::sim::{HostId, Market, World, demand, instance_of, provider};
use scenarios::Parameters;
use scenarios::settings::Profile;
use scenarios::{Instance, Money, ProviderId};

use crate::common::{hosts, keys, public, told};

/// A network of four validators, of which the first ones mine.
fn world(instance: Instance, settings: &Parameters, profile: Profile, strategies: &[Strategy]) -> World {
    let keys = keys(1, 4);
    let market = Market::new(instance, settings, profile, &public(&keys), 1).unwrap();
    let hosts = hosts(&market, &keys, strategies);
    World::new(market, hosts, 1)
}

#[test]
fn of_two_miners_after_the_same_demands_one_wins_and_the_other_is_told_why_not() {
    let providers = vec![provider("near", 0, 10, 30, None), provider("far", 9_000, 12, 30, None)];
    let demands = ["a", "b", "c"].map(|name| demand(name, 100, 100)).to_vec();
    let everything = [Strategy::Everything; 2];
    let mut world =
        world(instance_of(providers, demands), &Parameters::default(), Profile::Hybrid, &everything);
    world.submit_all(50);
    let report = world.run_until_settled(30_000).unwrap();
    assert_eq!(report.composed, 3);
    let final_batches = told(&world, |event| match event {
        NodeEvent::BatchFinal { batch, .. } if batch.demands > 0 => Some(batch),
        _ => None,
    });
    let final_batches: BTreeMap<_, _> =
        final_batches.map(|(_, _, batch)| (batch.height, batch.clone())).collect();
    // One batch with all three at the near provider stands ...
    let [batch] = final_batches.values().collect::<Vec<_>>()[..] else {
        panic!("one batch: {final_batches:?}")
    };
    assert_eq!((batch.demands, batch.cost), (3, Money::from_units(30)));
    // ... and every item of the loser's is dropped in it, or its block comes too late for any batch.
    let dropped: usize = batch.blocks.iter().map(|outcome| outcome.dropped.len()).sum();
    let refused: BTreeMap<_, _> = told(&world, |event| match event {
        NodeEvent::BlockRefused { block, rule, .. } => Some((*block, rule.as_str())),
        _ => None,
    })
    .map(|(_, _, refusal)| refusal)
    .collect();
    match batch.blocks.len() {
        1 => assert_eq!(refused.values().collect::<Vec<_>>(), [&"already-composed"]),
        2 => assert_eq!((dropped, refused.len()), (3, 0)),
        many => panic!("{many} blocks of two miners"),
    }
}

#[test]
fn more_demands_than_a_batch_may_compose_are_composed_batch_by_batch() {
    let providers = vec![provider("near", 0, 10, 30, None)];
    let demands = ["a", "b", "c", "d", "e"].map(|name| demand(name, 100, 100)).to_vec();
    let mut settings = Parameters::default();
    settings.limits.compositions_per_batch = 2;
    let mut world =
        world(instance_of(providers, demands), &settings, Profile::Hybrid, &[Strategy::Everything]);
    world.submit_all(50);
    let report = world.run_until_settled(120_000).unwrap();
    assert_eq!(report.composed, 5);
}

#[test]
fn a_miner_that_loses_part_of_its_demands_repairs_and_composes_the_rest() {
    // Eight demands in a row; two miners halve them, a third wants the middle four.
    let providers = (0..4).map(|n| provider(&format!("p{n}"), n * 10_000, 10 + n, 30, None)).collect();
    let demands = (0..8).map(|n| demand(&format!("d{n}"), n * 4_000, 100)).collect();
    let strategies = [Strategy::Cells, Strategy::Cells, Strategy::Roaming];
    let mut world =
        world(instance_of(providers, demands), &Parameters::default(), Profile::Hybrid, &strategies);
    world.submit_all(50);
    let report = world.run_until_settled(30_000).unwrap();
    assert_eq!(report.composed, 8);
    let repaired = told(&world, |event| match event {
        NodeEvent::BlockBrought { kept, dropped, .. } => (*kept > 0 && *dropped > 0).then_some(()),
        NodeEvent::Repaired { lost, left } => (*lost > 0 && *left > 0).then_some(()),
        _ => None,
    });
    assert!(repaired.count() > 0, "somebody keeps the part of its work that nobody took");
}

#[test]
fn a_miner_whose_solver_breaks_down_on_everything_tells_so_and_others_compose_its_cell() {
    let providers = (0..4).map(|n| provider(&format!("p{n}"), n * 10_000, 10 + n, 30, Some(120))).collect();
    let demands = (0..8).map(|n| demand(&format!("d{n}"), n * 4_000, 100)).collect();
    let keys = keys(1, 4);
    let settings = Parameters::default();
    let market =
        Market::new(instance_of(providers, demands), &settings, Profile::Hybrid, &public(&keys), 1).unwrap();
    let mut hosts = hosts(&market, &keys, &[Strategy::Cells, Strategy::Cells]);
    hosts[0].solver_fails = true;
    let mut world = World::new(market, hosts, 1);
    world.submit_all(50);
    let report = world.run_until_settled(120_000).unwrap();
    assert_eq!(report.composed, 8);
    let failed: BTreeSet<_> = told(&world, |event| match event {
        NodeEvent::WorkFailed { kind, .. } => Some(*kind),
        _ => None,
    })
    .map(|(_, host, kind)| (host, kind))
    .collect();
    // Whatever it tried, and it tried more than once.
    assert!(failed.contains(&(HostId(0), WorkKind::Prices)), "{failed:?}");
    assert!(failed.contains(&(HostId(0), WorkKind::Compose)), "{failed:?}");
    assert!(failed.iter().all(|(host, _)| *host == HostId(0)), "{failed:?}");
}

#[test]
fn what_earns_too_little_is_refused_at_first_and_accepted_when_it_has_waited() {
    // The cheap provider has time for one demand; the other costs 50 where the bound says 10. Without prices
    // its reduced cost is 40 of 50, far beyond what the schedule pays for.
    let providers = vec![provider("cheap", 0, 10, 60, Some(60)), provider("dear", 0, 50, 60, None)];
    let demands = vec![demand("a", 0, 100), demand("b", 0, 100)];
    let settings = Parameters {
        relax_after_ms: 2_000,
        relax_over_ms: 3_000,
        min_bound_gain_ppm: 1_000_000, // no prices are ever good enough
        ..Parameters::default()
    };
    let mut world =
        world(instance_of(providers, demands), &settings, Profile::Hybrid, &[Strategy::Everything]);
    let records = world.market().records.clone();
    world.submit(0, HostId(0), records);
    let report = world.run_until_settled(30_000).unwrap();
    assert_eq!(report.composed, 2);
    let held: Vec<_> = told(&world, |event| match event {
        NodeEvent::HeldBack { demands, reason } => Some((*demands, reason.clone())),
        _ => None,
    })
    .collect();
    assert!(held.iter().any(|(_, _, (demands, _))| *demands == 1), "{held:?}");
    let ledger = world.node(HostId(3)).ledger();
    let waited_ms = ledger.demands().map(|(_, entry)| {
        let standing = entry.composition().unwrap();
        (standing.slots[0].provider, standing.since_ms - entry.since_ms)
    });
    let waited_ms: BTreeMap<ProviderId, u64> = waited_ms.collect();
    // The cheap one in the first batch it could be in; the dear one when it had waited 2 + 3 seconds.
    assert!(waited_ms[&ProviderId(0)] < 2_000, "{waited_ms:?}");
    assert!((5_000..6_500).contains(&waited_ms[&ProviderId(1)]), "{waited_ms:?}");
    let earned: Vec<Money> = ledger.demands().map(|(_, entry)| entry.composition().unwrap().earned).collect();
    assert!(earned.contains(&Money::ZERO), "acceptance relaxes, pay does not");
}

/// Milliseconds from handing in until every demand of this market is composed, by four miners in cells.
fn composed_after_ms(instance: Instance) -> u64 {
    let strategies = [Strategy::Cells; 4];
    let mut world = world(instance, &Parameters::default(), Profile::Hybrid, &strategies);
    world.run_for(2_000).unwrap();
    let (begin_ms, demands) = (world.now_ms(), world.market().records.len());
    world.submit_all(50);
    let composed = |world: &World| {
        let ledger = world.node(HostId(0)).ledger();
        ledger.demands().filter(|(_, entry)| entry.composition().is_some()).count() == demands
    };
    while !composed(&world) {
        assert!(world.now_ms() < begin_ms + 60_000, "not composed in a minute");
        world.run_for(10).unwrap();
    }
    world.now_ms() - begin_ms
}

#[test]
fn a_lone_demand_is_composed_within_a_second_whatever_miner_it_falls_to() {
    for place in 0..4 {
        let providers = (0..4).map(|n| provider(&format!("p{n}"), n * 10_000, 10, 30, Some(60))).collect();
        let demands = vec![demand("alone", place * 10_000, 100)];
        let took_ms = composed_after_ms(instance_of(providers, demands));
        assert!(took_ms < 1_000, "at place {place} it took {took_ms} ms");
    }
}

#[test]
fn a_few_demands_for_scarce_time_wait_for_prices_a_moment_and_not_for_every_miner_in_turn() {
    let providers = vec![provider("cheap", 0, 10, 60, Some(60)), provider("dear", 0, 11, 60, None)];
    let demands = ["a", "b", "c", "d"].map(|name| demand(name, 0, 100)).to_vec();
    let took_ms = composed_after_ms(instance_of(providers, demands));
    assert!(took_ms < 2_500, "it took {took_ms} ms");
}

#[test]
fn every_node_gives_the_same_reason_for_a_demand_that_nobody_can_serve() {
    let providers = vec![provider("only", 0, 10, 30, Some(30))];
    let demands = vec![demand("a", 0, 100), demand("b", 0, 9)];
    let mut world = world(
        instance_of(providers, demands),
        &Parameters::default(),
        Profile::Hybrid,
        &[Strategy::Cells, Strategy::Cells],
    );
    world.submit_all(50);
    world.run_until_settled(60_000).unwrap();
    let expected = "its budget of 9.00 $ is below the cheapest possible cost, 10.00 $";
    for (host, _) in world.statuses() {
        // The last two nodes do not mine, and say the same.
        let ledger = world.node(host).ledger();
        let unserved = views::unserved(ledger);
        let [unserved] = &unserved[..] else { panic!("{host:?}: {unserved:?}") };
        assert_eq!((unserved.name.as_str(), unserved.reason.as_str()), ("b", expected));
        let asked = views::why_unserved(ledger, unserved.demand);
        assert_eq!(asked.as_deref(), Some(expected));
    }
}

#[test]
fn a_market_with_too_little_time_ends_with_the_demand_nobody_can_serve_and_why() {
    let providers = vec![provider("only", 0, 10, 30, Some(70))];
    let demands = ["a", "b", "c"].map(|name| demand(name, 0, 100)).to_vec();
    let strategies = [Strategy::Cells, Strategy::Cells];
    let mut world =
        world(instance_of(providers, demands), &Parameters::default(), Profile::Hybrid, &strategies);
    world.submit_all(50);
    let report = world.run_until_settled(60_000).unwrap();
    assert_eq!(report.composed, 2);
    let reasons: BTreeSet<String> = world
        .statuses()
        .into_iter()
        .flat_map(|(host, _)| views::unserved(world.node(host).ledger()))
        .map(|unserved| unserved.reason)
        .collect();
    let expected = "no provider has time left for operation 0 (the most any has is 10 minutes)";
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), [expected]);
}

#[test]
fn a_demand_that_nobody_can_serve_leaves_an_idle_market_when_its_time_has_come() {
    // The cheapest way costs 10 $, the budget is 5 $.
    let instance = instance_of(vec![provider("dear", 0, 10, 30, None)], vec![demand("poor", 100, 5)]);
    let settings = Parameters { demand_lifetime_max_ms: 60_000, ..Parameters::default() };
    let mut world = world(instance, &settings, Profile::Hybrid, &[Strategy::Everything; 2]);
    world.submit_all(50);
    let stands = |world: &World, expired| {
        let mut ledgers = world.host_ids().map(|host| world.node(host).ledger());
        ledgers.all(|ledger| ledger.demand_totals().seen == 1 && ledger.demand_totals().expired == expired)
    };
    world.run_for(55_000).unwrap();
    assert!(stands(&world, 0));
    // A few turns after it, and without any other reason for a batch.
    assert!(world.run_until(10_000, |world| stands(world, 1)).unwrap());
    let failed = told(&world, |event| matches!(event, NodeEvent::WorkFailed { .. }).then_some(()));
    assert_eq!(failed.count(), 0);
}

#[test]
fn a_miner_composes_the_region_it_has_chosen_before_anything_else() {
    // Eight demands in a row, 4 km apart; the last three lie within 5 km of the seventh.
    let providers = (0..4).map(|n| provider(&format!("p{n}"), n * 10_000, 10 + n, 30, None)).collect();
    let demands = (0..8).map(|n| demand(&format!("d{n}"), n * 4_000, 100)).collect();
    let keys = keys(1, 4);
    let settings = Parameters::default();
    let market =
        Market::new(instance_of(providers, demands), &settings, Profile::Hybrid, &public(&keys), 1).unwrap();
    let mut hosts = hosts(&market, &keys, &[Strategy::Cells]);
    let region = Region::Circle { x_m: 24_000, y_m: 0, radius_m: 5_000 };
    hosts[0].mining = hosts[0].mining.map(|mining| MiningSettings { region: Some(region), ..mining });
    let mut world = World::new(market, hosts, 1);
    world.submit_all(50);
    assert_eq!(world.run_until_settled(30_000).unwrap().composed, 8);
    let cells: Vec<(String, usize)> = told(&world, |event| match event {
        NodeEvent::CellChosen { cell, demands, .. } => Some((cell.clone(), *demands)),
        _ => None,
    })
    .map(|(_, _, cell)| cell)
    .collect();
    assert_eq!(cells, [("own region".to_owned(), 3), ("cell 1 of 1".to_owned(), 5)]);
}
