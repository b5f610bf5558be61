//! Honest chains stand for the independent program, and byte by byte tampered ones do not.

use serde_json::Value;

use crate::growing::{Growing, Next};
use crate::markets::{dedicated_market, demand_records, open_market, open_market_genesis, tehran};
use crate::python::verify;

/// The program finds the same chain, ledger and money as we do.
pub(crate) fn assert_stands(market: &Growing) {
    let verdict = verify(&market.export());
    assert!(verdict.stands, "{}", verdict.text);
    let head = market.ledger.head();
    let mut lines = vec![
        format!("head {} at height {}", head.hash, head.height),
        format!("state root {}", market.ledger.state_root()),
    ];
    let bound = market.ledger.market_bound().expect("a bound within range");
    lines.push(format!("certified bound of the market {bound:.6} $"));
    for line in lines {
        assert!(verdict.text.contains(&line), "{line:?} is not in\n{}", verdict.text);
    }
}

#[test]
fn an_open_market_with_records_of_every_kind_stands() {
    let market = open_market();
    let statuses = market.statuses();
    assert_eq!(statuses.get("cancelled"), Some(&1));
    assert!(statuses.get("frozen") >= Some(&4), "{statuses:?}");
    assert_eq!(market.reports.iter().filter(|report| report.bound_after.is_some()).count(), 2);
    assert!(market.reports.iter().any(|report| report.records + report.compositions == 0), "an empty batch");
    assert_stands(&market);
}

#[test]
fn a_batch_of_the_blocks_of_two_miners_who_compose_the_same_demand_stands() {
    let mut market = Growing::from(open_market_genesis().0);
    let records = demand_records(&market, &open_market_genesis().1);
    market.add_records(records);
    // Any feasible composition will do soon.
    market.wait_until(market.ledger.head().height + 2);
    let found = market.cheapest(0, 3, 1_000);
    assert_eq!(found.len(), 3);
    let block = |miner, compositions: &[_]| {
        let next = Next { miner, compositions: compositions.to_vec(), ..Next::default() };
        market.draft(next).contents.blocks.remove(0)
    };
    let blocks = vec![block(0, &found[..2]), block(1, &found[1..])];
    let report = market.add_blocks(Vec::new(), blocks).expect("each has a demand of its own");
    assert_eq!((report.blocks.len(), report.compositions), (2, 3));
    let verdict = verify(&market.export());
    assert!(verdict.stands, "{}", verdict.text);
    assert!(verdict.text.contains("checked 1 items that were dropped"), "{}", verdict.text);
    assert_stands(&market);
}

#[test]
fn a_market_of_dedicated_providers_paid_by_cost_per_order_stands() {
    let market = dedicated_market();
    assert!(market.reports.iter().any(|report| (1..1_000_000).contains(&report.reward_ppm)));
    assert!(market.statuses().get("frozen") >= Some(&2), "{:?}", market.statuses());
    assert_stands(&market);
}

#[test]
fn a_scenario_of_paper_size_with_scarce_capacity_stands() {
    let market = tehran();
    let composed: u32 = market.reports.iter().map(|report| report.compositions).sum();
    assert!(composed >= 60, "{composed}");
    assert_stands(&market);
}

#[test]
fn no_byte_of_an_export_can_be_changed() {
    let export = open_market().export();
    let places = [
        "/network",
        "/genesis/bytes",
        "/batches/0/hash",
        "/batches/0/header/bytes",
        "/batches/0/signature",
        "/batches/0/items/0/bytes",
        "/batches/1/items/0/bytes",
        "/batches/2/items/0/bytes",
        "/batches/4/certificate/bytes",
        "/batches/8/header/bytes",
    ];
    for place in places {
        let mut tampered = export.clone();
        let text = tampered.pointer_mut(place).unwrap_or_else(|| panic!("no {place}"));
        flip_digit(text);
        let verdict = verify(&tampered);
        assert!(!verdict.stands, "{place} was changed, and yet\n{}", verdict.text);
    }
}

/// Changes the digit in the middle of a hexadecimal text.
fn flip_digit(value: &mut Value) {
    let Value::String(text) = value else { panic!("{value} is no text") };
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "0" { "1" } else { "0" };
    text.replace_range(middle..=middle, other);
}

#[test]
fn readable_fields_that_differ_from_the_bytes_are_found() {
    let export = open_market().export();
    for (place, value) in [
        ("/genesis/fields/parameters/solver_fee_ppm", Value::from(3_999)),
        ("/batches/2/header/fields/item_count", Value::from(1)),
        ("/batches/2/items/1/fields/composition/slots/0/provider", Value::from(2)),
        ("/batches/2/certificate/fields/round", Value::from(7)),
    ] {
        let mut tampered = export.clone();
        *tampered.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
        let verdict = verify(&tampered);
        assert!(verdict.text.contains("the fields say something else"), "{place}: {}", verdict.text);
    }
}

#[test]
fn a_missing_batch_or_item_is_found() {
    let export = open_market().export();
    let mut shorter = export.clone();
    remove(&mut shorter, "/batches", 3);
    assert!(verify(&shorter).text.contains("MISMATCH in batch 4: the height is 5, expected 4"));
    let mut emptier = export;
    remove(&mut emptier, "/batches/0/items", 6);
    assert!(verify(&emptier).text.contains("the number of items is 7, expected 6"));
}

fn remove(value: &mut Value, place: &str, index: usize) {
    let Some(Value::Array(list)) = value.pointer_mut(place) else { panic!("no list at {place}") };
    list.remove(index);
}
