//! Many demands at once.

use serde_json::{Value, json};

use crate::network::{Setup, TestNetwork};

#[test]
fn a_burst_of_a_thousand_demands_is_served() {
    const DEMANDS: usize = 1_000;
    let network = TestNetwork::start(Setup::default());
    for (name, x_m) in [("West", -5_000), ("East", 5_000)] {
        let offers =
            json!({ "turning": { "cost": 10, "minutes": 5 }, "milling": { "cost": 10, "minutes": 5 } });
        network.publish(&network.new_owner(name), name, x_m, &offers);
    }
    let site = |number: usize| json!({ "x_m": number % 50 * 200, "y_m": number / 50 * 500 });
    let demand = |number| json!({ "name": format!("part {number}"), "site": site(number), "orders": ["turning", "milling"], "budget": 50 });
    let demands: Vec<Value> = (0..DEMANDS).map(demand).collect();
    let file = network.path("demands.json");
    std::fs::write(&file, Value::from(demands).to_string()).unwrap();

    let burst = ["demand", "submit", "--wait", "composed", "--file", file.to_str().unwrap()];
    let (code, report) = network.submit_as(&network.treasury(), &burst);
    let records = report["records"].as_array().unwrap();
    let composed = records.iter().filter(|record| record["demand"]["standing"]["standing"] == "composed");
    assert_eq!((code, composed.count()), (0, DEMANDS), "{}", network.logs());
    // Both operations are cheapest at one place: no transport.
    assert!(records.iter().all(|record| record["demand"]["standing"]["cost"] == 20));
    let heights = records.iter().map(|record| record["standing"]["height"].as_u64().unwrap());
    assert!(heights.clone().max().unwrap() - heights.min().unwrap() <= 3, "one batch has room for 2,000");
}
