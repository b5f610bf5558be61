//! Miners against each other. To have both miners' blocks out before any batch brings them, for certain, a third validator
//! is killed once the demands are on chain: without it nothing is decided.

use miner_node::strategy::Strategy;
use miner_node::{NodeEvent, NodeStatus};
use scenarios::schedule::{GAP_MAX_PPM, Measure};
use scenarios::{Scenario, Schedule};

use crate::network::{Setup, TestNetwork, never_end_the_search, set_generations, small_market, tehran};

/// The validator without which nothing is decided; it composes nothing.
const THIRD: usize = 3;

/// Generations of a search that lasts a second or more: long against the moment in which the test hears of
/// it and acts.
const LONG: u32 = 30_000;

/// A market whose miners may compose what they like, and are paid whatever it costs: by paper A's measure all would keep to the
/// strips of genesis.
fn shared_market() -> Scenario {
    let mut scenario = small_market();
    let (gap_full_ppm, gap_max_ppm) = (GAP_MAX_PPM - 1, GAP_MAX_PPM);
    scenario.network.schedule = Schedule::from(Measure::Certified { gap_full_ppm, gap_max_ppm });
    scenario
}

/// Two miners whose blocks are both out, and no quorum to decide on them.
async fn race(mut setup: Setup) -> TestNetwork {
    setup.roaming = 1;
    let mut network = TestNetwork::start_with_demands(setup).await;
    let demands = network.records.len();
    let all_open = |node: &NodeStatus| node.open_demands == demands;
    let open = network.wait_until("all demands are on chain", |all| all.iter().all(all_open)).await;
    network.kill(THIRD).await;
    network.start_mining([1, 2]).await;
    for miner in [1, 2] {
        let announced = |node, event: &NodeEvent| {
            (node == miner && matches!(event, NodeEvent::BlockAnnounced(_))).then_some(())
        };
        network.hear("a miner announces a block", announced).await;
    }
    let undecided = network.statuses().await;
    assert!(undecided.iter().all(|node| node.height == open[0].height), "{undecided:?}");
    network
}

#[tokio::test]
async fn the_blocks_of_two_miners_on_disjoint_strips_both_take_effect_as_they_were_sent() {
    let mut setup = Setup::new(tehran(2), 2);
    setup.adjust = |number, file| {
        if number == THIRD {
            never_end_the_search(file);
        }
    };
    let mut network = race(setup).await;
    network.restart(THIRD, |_| {}).await;
    network.settle().await;
    let outcome = network.finish().await;

    let blocks = outcome.composing_blocks();
    // In one batch, or the one in a batch that was put together before the other came.
    let [(_, one), (_, other)] = &blocks[..] else { panic!("two blocks: {blocks:?}") };
    let mut sizes = [one.compositions, other.compositions];
    sizes.sort_unstable();
    assert_eq!(sizes, [40, 50], "problem 2 has 40 demands in the western half and 50 in the eastern");
    assert_ne!(one.miner, other.miner);
    assert_eq!((&one.dropped, &other.dropped), (&vec![], &vec![]));
    assert_eq!(one.cost + other.cost, outcome.audited.evaluation.cost);
}

#[tokio::test]
async fn of_two_miners_racing_for_the_same_cell_the_better_compositions_stand_and_none_is_paid_twice() {
    let mut setup = Setup::new(shared_market(), 2);
    setup.strategy = Some(Strategy::Everything);
    setup.adjust = |number, file| match number {
        THIRD => never_end_the_search(file),
        // Long enough for the other miner to choose the same cell before this one announces.
        _ => set_generations(file, LONG),
    };
    let mut network = race(setup).await;
    network.restart(THIRD, |_| {}).await;
    network.settle().await;
    let outcome = network.finish().await;

    let blocks = outcome.composing_blocks();
    assert_eq!(outcome.composed(), 12);
    // What is as good is drawn for by lot, demand by demand.
    let dropped: Vec<&str> = blocks
        .iter()
        .flat_map(|(_, outcome)| outcome.dropped.iter().map(|dropped| dropped.rule.as_str()))
        .collect();
    match blocks.len() {
        2 => assert_eq!(dropped, ["duplicate-composition"; 12]),
        _ => assert!(dropped.is_empty(), "the other block is left out whole: {dropped:?}"),
    }
    for (_, event) in &outcome.events {
        if let NodeEvent::BlockRefused { demands, rule, .. } = event {
            assert_eq!((blocks.len(), *demands), (1, 12));
            assert!(["duplicate-composition", "already-composed"].contains(&rule.as_str()), "{rule}");
        }
    }
    let (kept, told): (Vec<usize>, Vec<usize>) = outcome
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            NodeEvent::BlockBrought { kept, dropped, .. } => Some((*kept, *dropped)),
            _ => None,
        })
        .unzip();
    assert_eq!(kept.iter().sum::<usize>(), 12, "each miner is told what became of its block");
    assert_eq!(told.iter().sum::<usize>(), dropped.len());
}

#[tokio::test]
async fn a_miner_that_loses_part_of_its_demands_repairs_its_search_and_composes_the_rest() {
    let mut setup = Setup::new(shared_market(), 2);
    setup.adjust = |number, file| {
        if number == 2 {
            file.mining.as_mut().unwrap().strategy = Strategy::Everything;
            set_generations(file, LONG);
        }
    };
    let mut network = TestNetwork::start_with_demands(setup).await;
    network.start_mining([2]).await;
    network
        .hear("the slow miner searches for everything", |node, event| match event {
            NodeEvent::CellChosen { demands: 12, .. } if node == 2 => Some(()),
            _ => None,
        })
        .await;
    network.start_mining([1]).await;
    let (node, lost, left) = network
        .hear("a search is repaired", |node, event| match event {
            NodeEvent::Repaired { lost, left } => Some((node, *lost, *left)),
            _ => None,
        })
        .await;
    assert_eq!((node, lost, left), (2, 6, 6), "the quick miner takes half of the market");
    network.settle().await;
    let (quick, slow) = (network.key(1), network.key(2));
    let outcome = network.finish().await;
    let blocks = outcome.composing_blocks();
    assert_eq!((blocks[0].1.miner, blocks[0].1.compositions), (quick, 6));
    assert_eq!(outcome.composed(), 12);
    assert!(blocks.iter().any(|(_, outcome)| outcome.miner == slow), "the slow miner composed nothing");
}
