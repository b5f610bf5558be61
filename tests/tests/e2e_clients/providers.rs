//! Providers who come, change and go while the market runs.

use serde_json::json;

use crate::network::{Setup, TestNetwork, providers};

#[test]
fn a_withdrawn_offer_is_used_by_no_later_batch_and_what_stands_stays() {
    let network = TestNetwork::start(Setup::default());
    let (cheap, dear, customer) = (network.new_owner("cheap"), network.new_owner("dear"), network.treasury());
    network.publish(&cheap, "Cheap", 0, &json!({ "turning": { "cost": 10, "minutes": 5 } }));
    network.publish(&dear, "Dear", 0, &json!({ "turning": { "cost": 30, "minutes": 5 } }));
    let first = network.compose(&customer, "turning", "50");
    assert_eq!(providers(&first["demand"]), ["Cheap"]);

    network.submit(&cheap, &["offer", "withdraw", "--wait"]);
    network.wait_until("its notice is over", |network| {
        network.balance(&cheap)["offer"]["operations"].as_array().is_some_and(Vec::is_empty)
    });
    let second = network.compose(&customer, "turning", "50");
    assert_eq!(providers(&second["demand"]), ["Dear"]);
    let standing = network.demand(first["record"].as_str().unwrap());
    assert_eq!(standing["standing"], first["demand"]["standing"]);

    let (code, again) = network.submit_as(&cheap, &["offer", "withdraw"]);
    assert_eq!((code, &again["records"][0]["refused"]["rule"]), (1, &json!("withdrawal-without-offer")));
}

#[test]
fn a_new_cheaper_provider_is_used_for_what_is_still_open() {
    let network = TestNetwork::start(Setup::default());
    let (dear, customer) = (network.new_owner("dear"), network.treasury());
    network.publish(&dear, "Dear", 0, &json!({ "turning": { "cost": 100, "minutes": 5 } }));
    let order = ["demand", "submit", "--orders", "turning", "--budget", "50", "--wait"];
    let demand = network.submit(&customer, &order)["record"].as_str().unwrap().to_owned();
    network.wait_until("a miner says why it cannot serve the demand", |network| {
        let unserved =
            |node| network.ask_node(node, &["demand", "show", &demand]).1["standing"]["unserved"].take();
        unserved(1).is_string() || unserved(2).is_string()
    });

    let cheap = network.new_owner("cheap");
    network.publish(&cheap, "Cheap", 0, &json!({ "turning": { "cost": 20, "minutes": 5 } }));
    network.wait_until("the demand is composed", |network| {
        network.demand(&demand)["standing"]["standing"] == "composed"
    });
    assert_eq!(providers(&network.demand(&demand)), ["Cheap"]);

    let file = network.write_offer("Dear", 0, &json!({ "turning": { "cost": 15, "minutes": 5 } }));
    let file = file.to_str().unwrap();
    network.submit(&dear, &["offer", "change", "--wait", "--file", file]);
    network.wait_until("its notice is over", |network| {
        network.balance(&dear)["offer"]["operations"][0]["cost"] == 15
    });
    assert_eq!(providers(&network.compose(&customer, "turning", "50")["demand"]), ["Dear"]);
}
