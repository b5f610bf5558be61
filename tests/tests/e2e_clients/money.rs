//! A new user's way: found a network, publish offers, get money, have something made.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use serde_json::{Value, json};

use crate::network::{Setup, TIMEOUT, TestNetwork, address, providers, run, success};

/// Whether an amount is this many dollars, less what some records' bytes cost.
fn is_about(amount: &Value, dollars: f64) -> bool {
    amount.as_f64().is_some_and(|amount| amount <= dollars && amount > dollars - 0.002)
}

/// Turning costs 10 at Ada's; milling costs 20 at Bob's, 3 km away; a kilometre costs 0.1.
fn trade(network: &TestNetwork) {
    let (ada, bob) = (network.new_owner("ada"), network.new_owner("bob"));
    let offer = network.publish(&ada, "Ada", 0, &json!({ "turning": { "cost": 10, "minutes": 5 } }));
    assert_eq!(offer["standing"]["standing"], "final");
    // Of 200, one operation locks 1, and each of 10,000 minutes 0.01.
    let account = network.balance(&ada);
    assert!(is_about(&account["balance"], 99.0) && account["offer"]["deposit"] == 101, "{account}");
    network.publish(&bob, "Bob", 3_000, &json!({ "milling": { "cost": 20, "minutes": 5 } }));

    let customer = network.new_key("customer");
    let customer_address = address(&customer);
    let gift = ["transfer", "--to", &customer_address, "--amount", "1000", "--wait"];
    network.submit(&network.treasury(), &gift);
    assert_eq!(network.balance(&customer)["balance"], 1_000);

    let made = network.compose(&customer, "turning,milling", "100");
    let demand = &made["demand"];
    assert_eq!(providers(demand), ["Ada", "Bob"]);
    assert_eq!(demand["standing"]["cost"], 30.3);
    assert_eq!(demand["standing"]["transport"], 0.3);
    // The rest of the budget came back; the price and the fee (2.5 % of 30.3) are held until the settlement.
    let account = network.balance(&customer);
    assert!(is_about(&account["balance"], 968.9425), "{account}");
    assert_eq!(account["held"], 31.0575);
    // The other node says the same.
    let key = customer.to_str().unwrap();
    network.wait_until("the second node knows", |network| {
        is_about(&network.ask_node(2, &["balance", "--key", key]).1["balance"], 968.9425)
    });
    let (_, seen) = network.ask_node(2, &["demand", "show", made["record"].as_str().unwrap()]);
    assert_eq!(seen["standing"], demand["standing"]);
    // Whoever found it is paid at the settlement, too.
    assert_eq!(network.show(1).unwrap()["node"]["composed_demands"], 1);
}

#[test]
fn two_nodes_serve_a_customer_who_was_given_money() {
    trade(&TestNetwork::start(Setup::default()));
}

#[test]
fn two_nodes_serve_a_customer_over_ipv6() {
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((address, 0)).is_err() {
        return; // this machine has no IPv6
    }
    trade(&TestNetwork::start(Setup { address, more: &["--private"], ..Setup::default() }));
}

#[test]
fn a_stranger_without_money_is_told_what_is_missing() {
    let network = TestNetwork::start(Setup { waits_for_start: true, ..Setup::default() });
    let stranger = network.new_key("stranger");
    let demand = ["demand", "submit", "--orders", "turning", "--budget", "500", "--wait"];
    let (code, report) = network.submit_as(&stranger, &demand);
    assert_eq!(code, 1);
    let record = &report["records"][0];
    assert_eq!(record["refused"]["rule"], "account-min");
    // Budget, fee, what an account keeps, and at most 183 bytes.
    let needed = 513.500_183;
    assert_eq!(record["shortfall"], json!({ "needed": needed, "kept": 1, "balance": 0, "missing": needed }));

    let to = address(&stranger);
    let (code, report) = network.submit_as(&stranger, &["transfer", "--to", &to, "--amount", "0.5"]);
    assert_eq!((code, &report["records"][0]["refused"]["rule"]), (1, &Value::from("account-min")));
    assert_eq!(report["records"][0]["shortfall"]["missing"], 1.500_184);

    // What is given away must be as much as an account keeps.
    let (code, report) =
        network.submit_as(&network.treasury(), &["transfer", "--to", &to, "--amount", "0.5"]);
    assert_eq!((code, &report["records"][0]["refused"]["rule"]), (1, &Value::from("transfer-recipient-min")));
}

#[test]
fn a_private_network_refuses_a_node_that_is_not_on_its_list_and_tells_it_so() {
    let network = TestNetwork::start(Setup { more: &["--private"], ..Setup::default() });
    let intruder = network.join("intruder");
    network.wait_until("the intruder's operator is told", |network| {
        let log = std::fs::read_to_string(network.path("intruder/node.log")).unwrap();
        log.contains("is not on the allow-list of this private network")
    });
    drop(intruder);
    assert_eq!(network.show(1).unwrap()["node"]["peers"], 1);
}

#[test]
fn a_node_that_joins_later_learns_everything_and_serves_clients() {
    let network = TestNetwork::start(Setup::default());
    let friend = network.new_key("friend");
    let gift = ["transfer", "--to", &address(&friend), "--amount", "7", "--wait"];
    network.submit(&network.treasury(), &gift);
    let joined = network.join("joined");
    let (node, key) = (network.path("joined"), friend.to_str().unwrap().to_owned());
    network.wait_until("the new node knows the balance", |_| {
        let asked = run(&["balance", "--json", "--key", &key, "--node", node.to_str().unwrap()]);
        let account = serde_json::from_slice(&asked.stdout).unwrap_or(Value::Null);
        account["balance"] == 7
    });
    let back = address(&network.treasury());
    let back = ["transfer", "--to", &back, "--amount", "3", "--wait", "--timeout", TIMEOUT, "--key", &key];
    success(&run(&[&back[..], &["--node", node.to_str().unwrap()]].concat()));
    network.wait_until("the first node knows of it", |network| {
        is_about(&network.balance(&friend)["balance"], 4.0)
    });
    drop(joined);
}

#[test]
fn days_go_by_and_each_has_its_minutes() {
    let more = &["--periods", "3", "--period-minutes", "480", "--period-seconds", "5"];
    let network = TestNetwork::start(Setup { more, ..Setup::default() });
    let (ada, customer) = (network.new_owner("ada"), network.new_owner("customer"));
    // Minutes of each of three days are locked for.
    let ada_address = address(&ada);
    network.submit(&network.treasury(), &["transfer", "--to", &ada_address, "--amount", "500", "--wait"]);
    network.publish(&ada, "Ada", 0, &json!({ "turning": { "cost": 10, "minutes": 5 } }));
    let balance = || network.balance(&ada)["balance"].as_f64().unwrap();
    let planned = || network.show(1).unwrap()["market"]["horizon"]["first"].as_u64().unwrap();
    for _ in 0..2 {
        let (before, first) = (balance(), planned());
        network.submit(&customer, &["demand", "submit", "--orders", "turning", "--budget", "50", "--wait"]);
        // Paid when the period has come in which it is made.
        network.wait_until("Ada is paid", |_| (balance() - before - 10.0).abs() < 1e-9);
        assert!(planned() > first);
    }
    let past = ["demand", "submit", "--orders", "turning", "--budget", "50", "--due", "0", "--wait"];
    let (code, report) = network.submit_as(&customer, &past);
    assert_eq!(
        (code, &report["records"][0]["refused"]["rule"]),
        (1, &Value::from("demand-window")),
        "{report}"
    );
}
