//! Clients that ask: however much, of however broken a history, the node goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chain::{Record, RecordId};
use miner::client::NodeClient;
use miner::control::ControlError;
use miner_api::{DemandStanding, RecordStanding, RequestError};

use crate::network::{Setup, TestNetwork, small_market};

/// Clients that ask all the time.
const ASKERS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_questions_while_batches_are_made_is_answered_and_keeps_no_batch_from_being_made() {
    let mut network = TestNetwork::start_with_demands(Setup::new(small_market(), 2)).await;
    let ids: Vec<RecordId> = network.records.iter().map(Record::id).collect();
    let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let askers: Vec<_> = (0..ASKERS)
        .map(|number| {
            let socket = network.control_socket(1 + number % 2);
            let (is_over, answers, ids) = (Arc::clone(&is_over), Arc::clone(&answers), ids.clone());
            tokio::spawn(async move {
                let mut node = NodeClient::connect_to(&socket).await?;
                let mut seen = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let height = node.status().await?.height;
                    assert!(height >= seen, "the head went back from {seen} to {height}");
                    let market = node.market_status().await?;
                    assert!(market.height >= height);
                    let records = node.records(&ids).await?;
                    assert!(!records.contains(&RecordStanding::Unknown), "{records:?}");
                    let demands = node.demands(&ids).await?;
                    assert_eq!(demands.len(), ids.len());
                    seen = node.market().await?.height;
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, ControlError>(())
            })
        })
        .collect();
    network.start_mining([1, 2]).await;
    network.settle().await;
    is_over.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.await.unwrap().unwrap();
    }
    assert!(answers.load(Ordering::Relaxed) >= ASKERS as u64);
    let outcome = network.finish().await;
    assert_eq!(outcome.composed(), 12);
}

#[tokio::test]
async fn a_lost_history_is_made_again_and_a_node_without_one_says_so_and_goes_on() {
    let mut network = TestNetwork::start(Setup::new(small_market(), 2)).await;
    let records = network.records.clone();
    let (first, later) = records.split_at(6);
    let ids: Vec<RecordId> = first.iter().map(Record::id).collect();
    network.submit(first).await;
    network.start_mining([1, 2]).await;
    network.settle().await;
    let before = network.client(1).await.demands(&ids).await.unwrap();
    assert!(before.iter().all(|demand| matches!(demand.standing, DemandStanding::Composed(_))), "{before:?}");

    network.kill(2).await;
    std::fs::remove_dir_all(network.history_dir(2)).unwrap();
    network.restart(2, |_| {}).await;
    assert_eq!(network.client(2).await.demands(&ids).await.unwrap(), before);

    network.kill(2).await;
    std::fs::remove_dir_all(network.history_dir(2)).unwrap();
    std::fs::write(network.history_dir(2), "in the way").unwrap();
    network.restart(2, |_| {}).await;
    let error = network.client(2).await.demands(&ids).await.unwrap_err();
    assert!(matches!(error, ControlError::Refused(RequestError::History { .. })), "{error}");
    // Both nodes vote: without the second no batch becomes final.
    network.start_mining([2]).await;
    network.processes.submit(later).await.unwrap();
    network
        .wait_until("everything is composed", |all| {
            all.iter().all(|node| node.composed_demands == 12 && node.validators.has_quorum())
        })
        .await;
    let outcome = network.finish().await;
    assert_eq!(outcome.composed(), 12);
}
