//! Records out of order, repeated, expired.

use std::thread;

use serde_json::{Value, json};

use crate::network::{Setup, TestNetwork, address};

fn gift<'a>(to: &'a str, amount: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["transfer", "--to", to, "--amount", amount], more].concat()
}

#[test]
fn records_wait_for_earlier_ones_are_refused_a_second_time_and_dropped_when_they_expire() {
    let network = TestNetwork::start(Setup::default());
    let (rich, friend) = (network.treasury(), network.new_key("friend"));
    let to = address(&friend);

    // Out of order: the second waits for the first.
    let second = network.submit(&rich, &gift(&to, "2", &["--sequence", "1"]));
    assert_eq!(second["standing"]["standing"], "pending");
    let account = network.balance(&rich);
    assert_eq!((&account["next_on_chain"], &account["next_sequence"]), (&json!(0), &json!(0)));
    let waits_for = account["pending"][0]["waits_for"].as_str().unwrap();
    assert!(waits_for.ends_with("leaves a gap, the next is 0"), "{waits_for}");
    let first = network.submit(&rich, &gift(&to, "1", &["--wait"]));
    assert_eq!(first["sequence"], 0);
    network.wait_until("both are on chain", |network| network.balance(&friend)["balance"] == json!(3));
    assert_eq!(network.balance(&rich)["next_sequence"], 2);

    // Repeated: the number is used.
    let (code, report) = network.submit_as(&rich, &gift(&to, "1", &["--sequence", "0"]));
    assert_eq!(code, 1);
    assert_eq!(report["records"][0]["refused"]["rule"], "record-replayed");
    let reason = report["records"][0]["refused"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("sequence 0 of") && reason.ends_with("is used, the next is 2"), "{reason}");

    // Expired: it leaves a gap and may be brought by the next height only, which another record takes.
    let lonely = gift(&to, "5", &["--sequence", "7", "--valid-for", "1", "--wait"]);
    let expired: Value = thread::scope(|scope| {
        let waiting = scope.spawn(|| network.submit_as(&rich, &lonely));
        network.wait_until("it is in the pool", |network| network.balance(&rich)["pending"][0].is_object());
        network.submit(&friend, &gift(&address(&rich), "1", &["--wait"]));
        let (code, mut report) = waiting.join().unwrap();
        assert_eq!(code, 1);
        report["records"][0].take()
    });
    assert_eq!(expired["standing"]["standing"], "refused");
    assert_eq!(expired["standing"]["rule"], "record-expired");
    assert_eq!(network.balance(&rich)["pending"], json!([]));
}
