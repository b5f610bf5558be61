//! Nodes that come late.

use crate::network::{Setup, TestNetwork, small_market};

#[tokio::test]
async fn a_node_that_joins_after_everything_is_final_fetches_and_verifies_the_whole_chain() {
    let mut network = TestNetwork::start_with_demands(Setup::new(small_market(), 4)).await;
    network.start_mining(1..=4).await;
    let before = network.settle().await;
    network.join().await;
    let after = network
        .wait_until("the latecomer has caught up", |all| all.iter().all(|node| node.head == before[0].head))
        .await;
    assert_eq!((after.len(), after[4].composed_demands, after[4].open_demands), (5, 12, 0));
    let outcome = network.finish().await;
    assert_eq!(outcome.audited.audit.chains, 5);
    assert_eq!(outcome.composed(), 12);
}
