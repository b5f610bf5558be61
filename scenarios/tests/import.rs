//! Import of numbered instances: exact numbers, what is made up, and what is refused.

use scenarios::{
    Horizon, Money, OperationId, Period, ProviderId, Scenario, Site, Slot, Solution, TimeWindow, evaluate,
};

const NUMBERED: &str = include_str!("../../tests/data/numbered.json");

fn refusal(json: &str) -> String {
    Scenario::import_numbered(json.as_bytes(), None).expect_err("refused").to_string()
}

#[test]
fn every_number_of_a_numbered_instance_is_kept() {
    let scenario = Scenario::import_numbered(NUMBERED.as_bytes(), None).unwrap().scenario;
    assert_eq!(scenario.name, "three workshops");
    assert_eq!(scenario.operations, ["operation 1", "operation 2"]);
    let supply = &scenario.instance.supply;
    assert_eq!(supply.rules.rate_per_km, Money::from_micros(500_000));
    assert!(!supply.rules.deliver);
    let capacities = supply.capacities();
    assert_eq!(capacities, [Some(100), None, Some(60)]);
    let [first, _, third] = supply.providers.as_slice() else { panic!("three providers") };
    assert_eq!((first.site, third.site), (Site::point(0, 0), Site::point(-1, 1)));
    let offer = first.offers[&OperationId(0)];
    assert_eq!((offer.cost, offer.minutes), (Money::from_micros(10_001_000), 30));
    assert_eq!(third.offers.keys().collect::<Vec<_>>(), [&OperationId(1)]);
    assert_eq!(scenario.instance.demands[1].orders, [1, 0, 1].map(OperationId));
}

#[test]
fn a_numbered_instance_may_have_periods() {
    let days = NUMBERED
        .replace("\"operations\": 2,", "\"operations\": 2, \"periods\": 2, \"period_minutes\": 480,")
        .replace("\"capacity_minutes\": 100", "\"capacity_minutes\": [100, 0]")
        .replace("\"orders\": [0, 1]", "\"release\": 1, \"due\": 1, \"orders\": [0, 1]");
    let instance = Scenario::import_numbered(days.as_bytes(), None).unwrap().scenario.instance;
    let horizon = Horizon { first: Period(0), periods: 2, period_minutes: Some(480) };
    assert_eq!(instance.supply.horizon, horizon);
    assert_eq!(instance.supply.capacities(), [Some(100), Some(0), None, None, Some(60), Some(60)]);
    let windows = instance.demands.iter().map(|demand| demand.window).collect::<Vec<_>>();
    assert_eq!(windows, [TimeWindow { release: Period(1), due: Period(1) }, TimeWindow::ANY]);
    let said = refusal(&days.replace("[100, 0]", "[100]"));
    assert!(
        said.contains("providers[0].capacity_minutes: got 1 entries, expected 2, one for each period"),
        "{said}"
    );
    let said = refusal(&days.replace(", \"period_minutes\": 480", ""));
    assert!(said.contains("period_minutes: missing, but there are `periods`"), "{said}");
}

#[test]
fn a_solution_costs_what_the_hand_adds_up() {
    let scenario = Scenario::import_numbered(NUMBERED.as_bytes(), None).unwrap().scenario;
    let ids = |ids: &[u32]| Some(ids.iter().map(|&id| Slot::single(ProviderId(id))).collect());
    let solution = Solution { compositions: vec![ids(&[0, 1]), ids(&[1, 1, 2])] };
    let evaluation = evaluate(&scenario.instance, &solution);
    // 10.001 + 15.5 $ and 5 km at 0.5 $; then 15.5 + 12 + 19 $ and ceil(sqrt(3001^2 + 3999^2)) = 5,000 m.
    assert_eq!(evaluation.cost, Money::from_micros(25_501_000 + 2_500_000 + 46_500_000 + 2_500_000));
    assert!(evaluation.is_complete());
}

#[test]
fn what_was_taken_made_up_and_left_out_is_said() {
    let notes = Scenario::import_numbered(NUMBERED.as_bytes(), None).unwrap().notes.join("\n");
    let taken = "taken: 3 providers (1 with unlimited capacity), 2 demands, 5 orders of 2 operations";
    for expected in [taken, "not taken: unknown fields surveyed", "made up: budgets"] {
        assert!(notes.contains(expected), "{notes}");
    }
}

#[test]
fn made_up_budgets_forbid_no_composition() {
    let scenario = Scenario::import_numbered(NUMBERED.as_bytes(), None).unwrap().scenario;
    // 12 + 20 $ and one leg of ceil(sqrt(3001^2 + 4000^2)) = 5,001 m: 34.5005 $, in whole tens 40 $.
    assert_eq!(scenario.instance.demands[0].budget, Money::from_units(40));
}

#[test]
fn an_imported_scenario_comes_back_from_its_file() {
    let scenario = Scenario::import_numbered(NUMBERED.as_bytes(), Some("renamed")).unwrap().scenario;
    assert_eq!(scenario.name, "renamed");
    assert_eq!(Scenario::from_json(scenario.to_json().as_bytes()).unwrap(), scenario);
}

#[test]
fn what_a_scenario_cannot_hold_is_refused_with_its_place() {
    let refused = [
        ("\"orders\": [0, 1]", "\"orders\": [0, 2]", "demands[0].orders[1]"),
        ("\"orders\": [0, 1]", "\"orders\": [0, 1.5]", "demands[0]"),
        ("[30, 40]", "[30]", "providers[0].minutes: got 1 entries, expected 2, one for each operation"),
        ("[null, 19000]", "[5, 19000]", "providers[2].minutes[0]: null, but it has a cost"),
        ("10001", "9300000000000000", "providers[0].cost_milli[0]: got 9300000000000000"),
        ("\"x_m\": 3000", "\"x_m\": 1073741824", "providers[1].site"),
        ("\"operations\": 2,", "", "missing field `operations`"),
        ("\"rate_milli_per_km\": 500", "\"rate_milli_per_km\": -1", "market.rate_per_km"),
    ];
    for (text, replacement, expected) in refused {
        let got = refusal(&NUMBERED.replacen(text, replacement, 1));
        assert!(got.contains(expected), "{replacement}: {got}");
    }
    assert!(refusal("[]").contains("invalid"), "{}", refusal("[]"));
}
