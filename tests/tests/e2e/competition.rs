//! Miners against each other. To make them race for the same height for certain, a third validator brings
//! the demands on chain and is killed: without it nothing is decided, so both miners' batches are out before
//! either can win.

use miner_node::NodeEvent;
use miner_node::strategy::Strategy;

use crate::network::{Setup, TestNetwork, never_end_the_search, set_generations, small_market, tehran};

/// The validator that brings the demands on chain; it composes nothing.
const COURIER: usize = 3;

/// Generations of a search that lasts a second or more: long against the moment in which the test hears of
/// it and acts.
const LONG: u32 = 30_000;

/// Two miners whose batches for the same height are both out, and no quorum to decide between them.
async fn race(mut setup: Setup) -> TestNetwork {
    setup.roaming = 1;
    let mut network = TestNetwork::start_with_demands(setup).await;
    network.start_mining([COURIER]).await;
    network.wait_until("all demands are on chain", |all| all.iter().all(|node| node.height == 1)).await;
    network.kill(COURIER).await;
    network.start_mining([1, 2]).await;
    for miner in [1, 2] {
        let announced = |node, event: &NodeEvent| {
            (node == miner && matches!(event, NodeEvent::BatchAnnounced(batch) if batch.height == 2))
                .then_some(())
        };
        network.hear("a miner announces a batch", announced).await;
    }
    let undecided = network.statuses().await;
    assert!(undecided.iter().all(|node| node.height == 1), "two of three validators decided: {undecided:?}");
    network
}

#[tokio::test]
async fn two_miners_on_disjoint_strips_both_get_their_batches_attached() {
    let mut setup = Setup::new(tehran(2), 2);
    setup.adjust = |number, file| {
        if number == COURIER {
            never_end_the_search(file);
        }
    };
    let mut network = race(setup).await;
    network.restart(COURIER, |_| {}).await;
    network.settle().await;
    let outcome = network.finish().await;

    let batches = outcome.composing_batches();
    assert_eq!(batches.iter().map(|batch| batch.header.height).collect::<Vec<_>>(), [2, 3]);
    let mut sizes: Vec<usize> = batches.iter().map(|batch| batch.contents.compositions().count()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [40, 50], "problem 2 has 40 demands in the western half and 50 in the eastern");
    assert_ne!(batches[0].header.proposer, batches[1].header.proposer);
    let reanchored: Vec<(usize, usize)> = outcome
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            NodeEvent::BatchReanchored { kept, dropped, .. } => Some((*kept, *dropped)),
            _ => None,
        })
        .collect();
    assert_eq!(reanchored, [(batches[1].contents.compositions().count(), 0)]);
    let claimed: scenarios::Money =
        batches.iter().flat_map(|batch| batch.contents.compositions()).map(|one| one.cost).sum();
    assert_eq!(claimed, outcome.audited.evaluation.cost);
}

#[tokio::test]
async fn of_two_miners_racing_for_the_same_cell_one_is_refused_and_nothing_is_composed_twice() {
    let mut setup = Setup::new(small_market(), 2);
    setup.strategy = Some(Strategy::Everything);
    setup.adjust = |number, file| match number {
        COURIER => never_end_the_search(file),
        // Long enough for the other miner to choose the same cell before this one announces.
        _ => set_generations(file, LONG),
    };
    let mut network = race(setup).await;
    network.restart(COURIER, |_| {}).await;
    network.settle().await;
    let (first, second) = (network.key(1), network.key(2));
    let outcome = network.finish().await;

    let batches = outcome.composing_batches();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].contents.compositions().count(), 12);
    let winner = batches[0].header.proposer;
    let loser = if winner == first { second } else { first };
    let mut refusals = 0;
    for (_, event) in &outcome.events {
        if let NodeEvent::BatchRefused { miner, demands, rule, reason, .. } = event {
            assert_eq!((*miner, *demands, rule.as_str()), (loser, 12, "already-composed"));
            assert!(reason.contains("composed"), "{reason}");
            refusals += 1;
        }
    }
    assert!(refusals >= 2, "both miners saw both batches, but only {refusals} refusals were told");
    let dropped = outcome.events.iter().find_map(|(_, event)| match event {
        NodeEvent::BatchReanchored { kept, dropped, .. } => Some((*kept, *dropped)),
        _ => None,
    });
    assert_eq!(dropped, Some((0, 12)));
}

#[tokio::test]
async fn a_miner_that_loses_part_of_its_demands_repairs_its_search_and_composes_the_rest() {
    let mut setup = Setup::new(small_market(), 2);
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
    let batches = outcome.composing_batches();
    assert_eq!((batches[0].header.proposer, batches[0].contents.compositions().count()), (quick, 6));
    assert_eq!(outcome.composed(), 12);
    assert!(batches.iter().any(|batch| batch.header.proposer == slow), "the slow miner composed nothing");
}
