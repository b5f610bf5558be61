//! Markets at the edge: too small, too dear, too far, too plain. Each goes through the program as a user runs
//! it; what can be served is served, what cannot be is named, and nothing runs for ever.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command_line::{miner, stdout};
use crate::network::{MINER, repository_file};

/// A scenario of operations `a` and `b`, with transport at 0.1 $/km.
fn write(directory: &Path, providers: &Value, demands: &Value) -> String {
    let path = directory.join("market.json");
    let scenario = json!({
        "format": "mizan-scenario", "version": 1, "name": "edge", "market": {"rate_per_km": 0.1},
        "operations": ["a", "b"], "providers": providers, "demands": demands,
    });
    std::fs::write(&path, scenario.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn provider(name: &str, at: [i64; 2], capacity: Option<i64>, offers: &Value) -> Value {
    json!({"name": name, "site": site(at), "capacity_minutes": capacity, "offers": offers})
}

fn demand(name: &str, budget: i64, orders: &[&str]) -> Value {
    json!({"name": name, "site": site([0, 0]), "budget": budget, "orders": orders})
}

fn site([x_m, y_m]: [i64; 2]) -> Value {
    json!({"x_m": x_m, "y_m": y_m})
}

fn offer(cost: i64, minutes: i64) -> Value {
    json!({"cost": cost, "minutes": minutes})
}

/// What `miner solve` reports, after the judge has confirmed its cost.
fn solve(directory: &Path, scenario: &str) -> Value {
    let solution = directory.join("solution.json");
    let solution = solution.to_str().unwrap();
    let solve =
        ["solve", scenario, "--evaluations", "2000", "--time", "20", "--json", "--solution", solution];
    let solved: Value = serde_json::from_str(&stdout(&solve)).unwrap();
    let checked: Value = serde_json::from_str(&stdout(&["check", scenario, solution, "--json"])).unwrap();
    assert_eq!(checked["cost"], solved["cost"]);
    solved
}

fn refusal(scenario: &str) -> String {
    let output = miner(&["solve", scenario]);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_market_without_providers_or_without_demands_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let demands = json!([demand("D", 100, &["a"])]);
    let said = refusal(&write(directory.path(), &json!([]), &demands));
    assert!(said.contains("providers: got 0 entries, expected 1 to "), "{said}");
    let providers = json!([provider("P", [0, 0], None, &json!({"a": offer(1, 1)}))]);
    let said = refusal(&write(directory.path(), &providers, &json!([])));
    assert!(said.contains("demands: got 0 entries, expected 1 to "), "{said}");
}

#[test]
fn one_provider_and_one_order_have_one_solution() {
    let directory = tempfile::tempdir().unwrap();
    let providers = json!([provider("P", [5, 5], Some(30), &json!({"a": offer(12, 30)}))]);
    let solved =
        solve(directory.path(), &write(directory.path(), &providers, &json!([demand("D", 12, &["a"])])));
    assert_eq!((&solved["cost"], &solved["bound"]), (&json!(12), &json!(12)));
    assert_eq!((&solved["gap_percent"], &solved["stopped_by"]), (&json!(0.0), &json!("optimum")));
}

#[test]
fn where_everything_costs_the_same_the_first_solution_is_optimal() {
    let directory = tempfile::tempdir().unwrap();
    let offers = json!({"a": offer(10, 50), "b": offer(10, 50)});
    let providers: Vec<Value> =
        ["P", "Q", "R"].map(|name| provider(name, [0, 0], Some(1_000_000), &offers)).into();
    let demands: Vec<Value> = ["D", "E", "F"].map(|name| demand(name, 100, &["a", "b"])).into();
    let solved = solve(directory.path(), &write(directory.path(), &json!(providers), &json!(demands)));
    assert_eq!((&solved["cost"], &solved["gap_percent"]), (&json!(60), &json!(0.0)));
    assert_eq!(solved["stopped_by"], "optimum");
}

#[test]
fn work_that_costs_nothing_has_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let providers = json!([provider("P", [0, 0], None, &json!({"a": offer(0, 0)}))]);
    let solved =
        solve(directory.path(), &write(directory.path(), &providers, &json!([demand("D", 1, &["a"])])));
    assert_eq!((&solved["cost"], &solved["gap_percent"]), (&json!(0), &json!(0.0)));
}

#[test]
fn the_longest_way_there_is_is_paid_exactly() {
    let directory = tempfile::tempdir().unwrap();
    let far = (1 << 30) - 1;
    let providers = json!([
        provider("west", [-far, -far], None, &json!({"a": offer(1, 1)})),
        provider("east", [far, far], None, &json!({"b": offer(1, 1)})),
    ]);
    let demands = json!([demand("D", 1_000_000, &["a", "b"])]);
    // sqrt(2) * (2^31 - 2) m, rounded up, is 3,037,000,498 m; at 0.1 $/km 303,700.0498 $.
    let solved = solve(directory.path(), &write(directory.path(), &providers, &demands));
    assert_eq!(solved["cost"], json!(303_702.049_8));
}

#[test]
fn of_two_orders_of_a_million_minutes_one_fits_a_million_minutes() {
    let directory = tempfile::tempdir().unwrap();
    let providers = json!([provider("P", [0, 0], Some(1_000_000), &json!({"a": offer(7, 1_000_000)}))]);
    let demands = json!([demand("D", 100, &["a"]), demand("E", 90, &["a"])]);
    let scenario = write(directory.path(), &providers, &demands);
    let solved = solve(directory.path(), &scenario);
    // The larger budget is served: 7 $, and 90 $ for the other.
    assert_eq!((&solved["cost"], &solved["penalised_cost"]), (&json!(7), &json!(97)));
    assert_eq!(solved["unserved"][0]["demand"], "E");
    assert_eq!(
        solved["unserved"][0]["why"],
        "no provider has time left for a (the most any has is 0 minutes)"
    );
    assert_eq!(solved["shortages"][0]["missing_minutes"], 1_000_000);
    let said = "edge: valid (1 providers, 2 demands, 2 orders)\ncapacity for a is short by at least 1000000 \
                minutes: the orders take 2000000 even at the fastest offers, and P can give 1000000\n";
    assert_eq!(stdout(&["scenario", "validate", &scenario]), said);
}

#[test]
fn where_nobody_has_a_minute_nobody_is_served_and_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let providers = json!([provider("P", [0, 0], Some(0), &json!({"a": offer(1, 1)}))]);
    let solved =
        solve(directory.path(), &write(directory.path(), &providers, &json!([demand("D", 50, &["a"])])));
    assert_eq!((&solved["cost"], &solved["penalised_cost"]), (&json!(0), &json!(50)));
    assert_eq!(solved["shortages"][0]["providers"], json!([]));
}

#[test]
fn a_budget_below_any_cost_and_an_operation_nobody_offers_are_named_and_the_rest_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let providers = json!([provider("P", [0, 0], None, &json!({"a": offer(10, 1)}))]);
    let demands = json!([demand("poor", 9, &["a"]), demand("odd", 50, &["b"]), demand("fine", 10, &["a"])]);
    let scenario = write(directory.path(), &providers, &demands);
    let solved = solve(directory.path(), &scenario);
    assert_eq!(solved["cost"], json!(10));
    let expected = json!([
        {"demand": "poor", "why": "its budget of 9.00 $ is below the cheapest possible cost, 10.00 $"},
        {"demand": "odd", "why": "nobody offers b"},
    ]);
    assert_eq!(solved["unserved"], expected);
    let validated: Value =
        serde_json::from_str(&stdout(&["scenario", "validate", &scenario, "--json"])).unwrap();
    let concerns = json!({
        "unservable": ["odd"],
        "beyond_budget": [{"demand": "poor", "budget": 9, "cheapest": 10}],
        "shortages": [],
    });
    assert_eq!(validated["concerns"], concerns);
}

/// What `miner compare` finds with two miners and a short search; its checks hold, and its costs are none below
/// the bound, or it would have failed.
fn compare(scenario: &str) -> Value {
    let compare = ["compare", scenario, "--miners", "2", "--seconds", "0.3", "--patience", "60", "--json"];
    let report: Value = serde_json::from_str(&stdout(&compare)).unwrap();
    report[0].clone()
}

#[test]
fn whom_nobody_can_serve_is_left_unserved_by_centre_and_network_for_the_same_reason() {
    let free = json!([provider("P", [0, 0], None, &json!({"a": offer(10, 1)}))]);
    let none_left = json!([provider("P", [0, 0], Some(0), &json!({"a": offer(10, 1)}))]);
    let [fine, poor, odd] =
        [demand("fine", 12, &["a"]), demand("poor", 9, &["a"]), demand("odd", 50, &["b"])];
    let poor_why = "its budget of 9.00 $ is below the cheapest possible cost, 10.00 $";
    let busy_why = "no provider has time left for a (the most any has is 0 minutes)";
    // Providers, demands, what serving costs, that with budgets, and who is unserved and why.
    let cases = [
        (&free, json!([fine, poor, odd]), 10, 69, json!([["poor", poor_why], ["odd", "nobody offers b"]])),
        (&free, json!([odd]), 0, 50, json!([["odd", "nobody offers b"]])),
        (&none_left, json!([fine]), 0, 12, json!([["fine", busy_why]])),
    ];
    for (providers, demands, cost, penalised_cost, unserved) in cases {
        let directory = tempfile::tempdir().unwrap();
        let comparison = compare(&write(directory.path(), providers, &demands));
        assert_eq!(comparison["bound"]["value"], penalised_cost);
        for run in [&comparison["central"], &comparison["networks"][0]] {
            assert_eq!((&run["cost"], &run["penalised_cost"]), (&json!(cost), &json!(penalised_cost)));
            assert_eq!(run["gap_percent"], 0.0);
            let told = run["unserved"].as_array().unwrap().iter();
            let told: Vec<Value> = told.map(|one| json!([one["demand"], one["why"]])).collect();
            assert_eq!(json!(told), unserved);
        }
    }
}

#[test]
fn serving_fewer_customers_is_no_improvement_and_no_gap_is_negative() {
    let directory = tempfile::tempdir().unwrap();
    // Time for one of the two; the bound counts the other's budget, and so do the costs beside it.
    let providers = json!([provider("P", [0, 0], Some(60), &json!({"a": offer(7, 60)}))]);
    let demands = json!([demand("D", 100, &["a"]), demand("E", 90, &["a"])]);
    let scenario = write(directory.path(), &providers, &demands);
    let comparison = compare(&scenario);
    let network = &comparison["networks"][0];
    assert_eq!((&network["cost"], network["unserved"].as_array().unwrap().len()), (&json!(7), 1));
    for run in [&comparison["central"], network] {
        let gap = run["gap_percent"].as_f64().unwrap();
        assert!((0.0..100.0).contains(&gap), "{run}");
    }
    assert!(network["improvement_percent"].as_f64().unwrap() <= 0.0, "{network}");
    assert!(!comparison["central"]["incumbents"].as_array().unwrap().is_empty());

    let solution = directory.path().join("solution.json");
    let solution = solution.to_str().unwrap();
    stdout(&["solve", &scenario, "--time", "1", "--solution", solution]);
    let said = stdout(&["check", &scenario, solution]);
    assert!(
        said.contains("cost         7.00 $\nwith budgets 97.00 $ (unserved demands at their budget)"),
        "{said}"
    );
}

#[test]
fn a_numbered_instance_is_imported_solved_and_judged() {
    let directory = tempfile::tempdir().unwrap();
    let numbered = repository_file("tests/data/numbered.json");
    let scenario = directory.path().join("imported.json");
    let scenario = scenario.to_str().unwrap();
    let output =
        miner(&["scenario", "import", numbered.to_str().unwrap(), "-o", scenario, "--name", "small"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("taken: 3 providers") && said.contains("not taken: unknown fields surveyed"),
        "{said}"
    );
    let solved = solve(directory.path(), scenario);
    assert_eq!(solved["scenario"], "small");
    // The second workshop does everything without a limit: 12 + 15.5 $ and 15.5 + 12 + 15.5 $.
    assert_eq!(solved["cost"], json!(70.5));
}

#[test]
fn an_interrupted_search_gives_the_best_it_has() {
    let scenario = repository_file("scenarios/tehran/problem-2-capacitated.json");
    let arguments = ["solve", scenario.to_str().unwrap(), "--time", "600", "--progress", "--json"];
    let solving =
        Command::new(MINER).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut solving = solving;
    let mut lines = BufReader::new(solving.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("1 s, "), "{first}");
    let interrupt = Command::new("kill").args(["-INT", &solving.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    let output = solving.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{rest:?}");
    let solved: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(solved["stopped_by"], "interrupt");
    assert_eq!(solved["unserved"], json!([]));
}
