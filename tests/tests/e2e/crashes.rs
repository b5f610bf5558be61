//! Nodes killed with SIGKILL while there is work to do, and stores that are damaged.

use std::collections::BTreeMap;
use std::path::Path;

use chain::{BatchHash, Height};
use miner_node::strategy::Strategy;
use miner_node::{NodeEvent, NodeStatus, Testimony, Voting};

use crate::command_line::miner;
use crate::network::{Setup, TestNetwork, never_end_the_search, set_generations, small_market, tehran};

#[tokio::test]
async fn when_one_of_four_miners_is_killed_the_others_finish_and_it_catches_up() {
    const VICTIM: usize = 2;
    let mut setup = Setup::new(tehran(1), 4);
    setup.adjust = |number, file| {
        if number == VICTIM {
            never_end_the_search(file); // it can compose nothing before it is killed
        }
    };
    let mut network = TestNetwork::start_with_demands(setup).await;
    network.start_mining(1..=4).await;
    let orphaned = network
        .hear("the victim has chosen its cell", |node, event| match event {
            NodeEvent::CellChosen { demands, .. } if node == VICTIM => Some(*demands),
            _ => None,
        })
        .await;
    network.kill(VICTIM).await;
    assert!(orphaned > 0);

    let statuses = network.settle().await;
    assert_eq!(statuses.len(), 3);
    for status in statuses {
        assert_eq!((status.open_demands, status.composed_demands), (0, 70), "{status:?}");
    }
    network.restart(VICTIM, |file| set_generations(file, 50)).await;
    network.settle().await;
    let victim = network.key(VICTIM);
    let outcome = network.finish().await;
    assert_eq!(outcome.composed(), 70);
    assert!(outcome.composing_blocks().iter().all(|(_, outcome)| outcome.miner != victim));
}

#[tokio::test]
async fn when_two_of_four_validators_are_gone_the_others_say_that_there_is_no_quorum() {
    let mut network = TestNetwork::start(Setup::new(small_market(), 4)).await;
    let reach = |reachable| {
        move |statuses: &[NodeStatus]| statuses.iter().all(|status| status.validators.reachable == reachable)
    };
    network.wait_until("all four reach each other", reach(4)).await;
    network.kill(3).await;
    network.kill(4).await;
    let left = network.wait_until("the others miss them", reach(2)).await;
    let said = "no quorum: 2 of 4 votes reachable, 3 needed; heights stand still";
    for status in left {
        assert!(!status.validators.has_quorum());
        assert_eq!(status.validators.to_string(), said);
    }
    network.restart(3, |_| {}).await;
    let back = network.wait_until("one of them is back", reach(3)).await;
    assert!(back.iter().all(|status| status.validators.has_quorum()), "{back:?}");
}

#[tokio::test]
async fn records_that_were_acknowledged_survive_the_death_of_every_node() {
    let mut network = TestNetwork::start(Setup::new(small_market(), 2)).await;
    // One of two decides nothing: the records wait in its pool.
    network.kill(2).await;
    let records = network.records.clone();
    network.client(1).await.submit(records).await.unwrap();
    network.kill(1).await;
    for number in [1, 2] {
        network.restart(number, |_| {}).await;
    }
    let knows_all = |node: &NodeStatus| node.pool_records + node.open_demands == 12;
    network.wait_until("all records are known", |all| all.iter().all(knows_all)).await;
    network.start_mining([1, 2]).await;
    network.settle().await;
    assert_eq!(network.finish().await.composed(), 12);
}

#[tokio::test]
async fn when_all_nodes_are_killed_mid_run_they_go_on_where_they_were() {
    const SLOW: usize = 1;
    let mut setup = Setup::new(small_market(), 3);
    setup.strategy = Some(Strategy::Strips); // nobody takes over the strip of a miner that is alive
    setup.adjust = |number, file| {
        if number == SLOW {
            never_end_the_search(file);
        }
    };
    let mut network = TestNetwork::start_with_demands(setup).await;
    network.start_mining(1..=3).await;
    let open = network
        .hear("the slow miner has chosen its cell", |node, event| match event {
            NodeEvent::CellChosen { demands, .. } if node == SLOW => Some(*demands),
            _ => None,
        })
        .await;
    assert!((1..12).contains(&open), "no demands, or all, are in the slow miner's strip");
    network
        .hear("all demands but the slow miner's are composed", |_, event| match event {
            NodeEvent::BatchFinal { batch, open_demands, .. } => {
                (batch.demands > 0 && *open_demands == open).then_some(())
            }
            _ => None,
        })
        .await;
    for number in 1..=3 {
        network.kill(number).await;
    }
    let told = network.count_events();
    for number in 1..=3 {
        network.restart(number, |file| set_generations(file, 50)).await;
    }
    let stand = |node: &NodeStatus| (node.open_demands, node.composed_demands);
    network
        .wait_until("all agree again", |all| all.iter().all(|node| stand(node) == (open, 12 - open)))
        .await;
    network.start_mining(1..=3).await;
    network.settle().await;
    let outcome = network.finish().await;

    assert_eq!(outcome.composed(), 12);
    let chain: BTreeMap<Height, BatchHash> =
        outcome.chain.iter().map(|(batch, _)| (batch.header.height, batch.hash())).collect();
    for (node, event) in &outcome.events[..told] {
        if let NodeEvent::BatchFinal { batch, .. } = event {
            assert_eq!(chain.get(&batch.height), Some(&batch.batch), "node {node} told this batch final");
        }
    }
}

#[tokio::test]
async fn a_node_that_has_run_is_not_run_for_the_first_time_again() {
    let mut network = TestNetwork::start(Setup::new(small_market(), 1)).await;
    let record = network.records[0].clone();
    network.submit(&[record]).await;
    network.start_mining([1]).await;
    let signed = network.settle().await[0].height;
    network.kill(1).await;
    let config = network.store_dir(1).join("../../node.toml");
    let output = miner(&["run", "--first-run", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!("this node has run before and knows what it signed, up to height {signed}");
    assert!(output.status.code() == Some(2) && said.contains(&expected), "{said}");
    network.restart(1, |_| {}).await;
    network.wait_until("it goes on", |all| all[0].height == signed && all[0].voting == Voting::Always).await;
    network.finish().await;
}

#[tokio::test]
async fn a_node_with_a_damaged_store_catches_up_and_votes_only_when_it_is_told_from_where() {
    recover_from(|store| {
        for entry in std::fs::read_dir(store).unwrap().map(Result::unwrap) {
            let (path, length) = (entry.path(), entry.metadata().unwrap().len());
            if path.is_file() {
                std::fs::write(path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_whose_database_opens_as_if_new_knows_that_it_is_not() {
    recover_from(|store| std::fs::write(store.join("db"), b"").unwrap()).await;
}

#[tokio::test]
async fn a_node_that_was_killed_while_it_mended_its_store_does_not_vote() {
    recover_from(|store| std::fs::rename(store, store.with_file_name("store.broken-1")).unwrap()).await;
}

#[tokio::test]
async fn a_node_whose_data_directory_was_deleted_does_not_vote() {
    recover_from(|store| std::fs::remove_dir_all(store.parent().unwrap()).unwrap()).await;
}

/// Kills one of four nodes, damages its store, and starts it again: it is to catch up and take no part in later votes,
/// until it is told from which height on it may.
async fn recover_from(damage: fn(&Path)) {
    const DAMAGED: usize = 4;
    let mut network = TestNetwork::start(Setup::new(small_market(), 4)).await;
    let records = network.records.clone();
    let (first, later) = records.split_at(10);
    network.submit(first).await;
    network.start_mining(1..=4).await;
    let height = network.settle().await[0].height;
    network.kill(DAMAGED).await;
    damage(&network.store_dir(DAMAGED));
    network.restart(DAMAGED, |_| {}).await;
    network
        .wait_until("the damaged node has caught up", |all| all.iter().all(|node| node.height == height))
        .await;
    let voting: Vec<Voting> = network.statuses().await.iter().map(|status| status.voting).collect();
    assert_eq!(voting, [Voting::Always, Voting::Always, Voting::Always, Voting::Forgotten]);

    // It mines again, and one of the others is gone: its vote is needed, and it does not give it.
    network.kill(1).await;
    network.start_mining([DAMAGED]).await;
    network.client(DAMAGED).await.submit(vec![later[0].clone()]).await.unwrap();
    network
        .wait_until("the demand waits with all three", |all| all.iter().all(|node| node.pool_records == 1))
        .await;
    network.restart(1, |_| {}).await;
    let composed = |count| move |all: &[NodeStatus]| all.iter().all(|node| node.composed_demands == count);
    network.wait_until("the others have composed one more demand", composed(11)).await;
    let height = network.settle().await[0].height;
    network.kill(DAMAGED).await;
    assert_eq!(network.signed_last(DAMAGED), None, "it signed with no memory of its votes");

    // Told from where it may vote, it does.
    network.restart_saying(DAMAGED, Testimony::VoteFrom(height + 1)).await;
    network.kill(1).await;
    network.start_mining([DAMAGED]).await;
    network.client(DAMAGED).await.submit(vec![later[1].clone()]).await.unwrap();
    network.wait_until("the last demand is composed", composed(12)).await;
    network.restart(1, |_| {}).await;
    network.settle().await;
    network.finish().await;
}
