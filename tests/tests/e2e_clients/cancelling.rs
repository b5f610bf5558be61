//! Customers who change their minds.

use miner::client::NodeClient;
use serde_json::json;

use crate::network::{Setup, TestNetwork};

#[test]
fn a_demand_cancelled_in_time_is_not_composed_and_one_cancelled_too_late_says_so() {
    let network = TestNetwork::start(Setup { waits_for_start: true, ..Setup::default() });
    // Nobody mines yet, so that only the treasury owns anything.
    let (ada, customer) = (network.treasury(), network.treasury());
    let file = network.write_offer("Ada", 0, &json!({ "turning": { "cost": 10, "minutes": 5 } }));
    network.submit(&ada, &["offer", "publish", "--file", file.to_str().unwrap()]);
    let order = ["demand", "submit", "--orders", "turning", "--budget", "50"];
    let regretted = network.submit(&customer, &order)["record"].as_str().unwrap().to_owned();
    let cancelled = network.submit(&customer, &["demand", "cancel", "--demand", &regretted]);
    assert_eq!(cancelled["sequence"], 2, "it follows the demand, which no batch has brought yet");
    assert_eq!(network.demand(&regretted)["standing"]["standing"], "in_pool");
    let wanted = network.submit(&customer, &order)["record"].as_str().unwrap().to_owned();

    start_mining(&network);
    network.wait_until("the other demand is composed", |network| {
        network.demand(&wanted)["standing"]["standing"] == "composed"
    });
    assert_eq!(network.demand(&regretted)["standing"]["standing"], "cancelled");
    let status = network.show(1).unwrap();
    assert_eq!(
        (&status["node"]["composed_demands"], &status["node"]["open_demands"]),
        (&json!(1), &json!(0))
    );

    let (code, late) = network.submit_as(&customer, &["demand", "cancel", "--wait", "--demand", &wanted]);
    assert_eq!(code, 1);
    assert_eq!(late["records"][0]["refused"]["rule"], "cancellation-too-late");
    let reason = late["records"][0]["refused"]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot be cancelled: it is composed"), "{reason}");

    let stranger = network.new_owner("stranger");
    let (code, foreign) = network.submit_as(&stranger, &["demand", "cancel", "--demand", &wanted]);
    assert_eq!((code, &foreign["records"][0]["refused"]["rule"]), (1, &json!("cancellation-author")));
}

fn start_mining(network: &TestNetwork) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for number in [1, 2] {
        let node = network.node_directory(number);
        runtime.block_on(async { NodeClient::connect(&node).await.unwrap().start_mining().await.unwrap() });
    }
}
