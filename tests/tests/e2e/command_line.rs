//! The program as a user calls it: files in, reports out, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::network::{MINER, repository_file};

/// Runs the program to its end.
pub(crate) fn miner(arguments: &[&str]) -> Output {
    Command::new(MINER).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

/// What it printed, if it succeeded.
pub(crate) fn stdout(arguments: &[&str]) -> String {
    let output = miner(arguments);
    assert!(output.status.success(), "{arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a market of 5 providers and 6 demands of 3 orders.
pub(crate) fn generate(directory: &Path, more: &[&str]) -> String {
    let path = directory.join("scenario.json").to_str().unwrap().to_owned();
    let sizes = ["--providers", "5", "--demands", "6", "--operations", "3", "--sites", "uniform"];
    stdout(&[&["scenario", "generate", "--rng-seed", "3", "--out", &path], &sizes[..], more].concat());
    path
}

#[test]
fn generating_a_checked_in_scenario_again_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("again.json");
    for name in ["problem-1", "problem-2-capacitated"] {
        let file = repository_file(&format!("scenarios/tehran/{name}.json"));
        let expected = std::fs::read_to_string(&file).unwrap();
        let again = ["scenario", "generate", "--again", file.to_str().unwrap()];
        assert!(stdout(&again) == expected, "{name} differs on stdout");
        stdout(&[&again[..], &["--out", out.to_str().unwrap()]].concat());
        assert!(std::fs::read_to_string(&out).unwrap() == expected, "{name} differs in the file");
    }
}

#[test]
fn a_scenario_is_validated_and_inspected() {
    let file = repository_file("scenarios/tehran/problem-1.json");
    let file = file.to_str().unwrap();
    let said = stdout(&["scenario", "validate", file]);
    assert_eq!(said, "tehran-problem-1: valid (30 providers, 70 demands, 1050 orders)\n");
    let text = stdout(&["scenario", "inspect", file]);
    assert!(text.contains("tehran-problem-1"), "{text}");
    let report: Value = serde_json::from_str(&stdout(&["scenario", "inspect", "--json", file])).unwrap();
    assert!(report.is_object(), "{report}");
}

#[test]
fn the_judge_finds_the_cost_that_the_solver_claims() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path(), &[]);
    let solution = directory.path().join("solution.json");
    let solution = solution.to_str().unwrap();
    let solve = ["solve", &scenario, "--solution", solution, "--evaluations", "2000", "--json"];
    let solved: Value = serde_json::from_str(&stdout(&solve)).unwrap();
    let checked: Value = serde_json::from_str(&stdout(&["check", &scenario, solution, "--json"])).unwrap();
    assert_eq!(checked["cost"], solved["cost"]);
    assert_eq!(checked["violations"], Value::Array(Vec::new()));
    assert_eq!(checked["unserved"], Value::Array(Vec::new()));
    let text = stdout(&["check", &scenario, solution]);
    assert!(text.contains("verdict      feasible"), "{text}");
}

#[test]
fn a_quick_benchmark_fills_every_table() {
    let report: Value = serde_json::from_str(&stdout(&["bench", "--quick", "--json"])).unwrap();
    let sizes = |table: &str, size: &str| -> Vec<u64> {
        report[table].as_array().unwrap().iter().map(|row| row[size].as_u64().unwrap()).collect()
    };
    assert_eq!(sizes("oracle", "providers"), [50, 100]);
    // 10 orders at any of 50 providers: 9 times 50 x 50 arcs, and one for each of 10 times 50 offers, but for orders that take
    // longer than their provider has time in all.
    let arcs = report["oracle"][0]["arcs"].as_u64().unwrap();
    assert!((20_000..=23_000).contains(&arcs), "{arcs}");
    assert!(report["oracle"][0]["demand_ms"]["portable"].as_f64().is_some(), "{report}");
    assert_eq!(sizes("solve", "orders"), [100, 200]);
    assert_eq!(sizes("verify", "problem"), [1]);
    let only: Value = serde_json::from_str(&stdout(&["bench", "oracle", "--quick", "--json"])).unwrap();
    assert!(only.get("solve").is_none(), "{only}");
}

#[test]
fn the_judge_lists_the_violations_of_a_broken_solution() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path(), &[]);
    let path = directory.path().join("solution.json");
    let solution = path.to_str().unwrap();
    stdout(&["solve", &scenario, "--solution", solution, "--evaluations", "500"]);
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let (demand, providers) = document["compositions"].as_object_mut().unwrap().iter_mut().next().unwrap();
    let demand = demand.clone();
    providers.as_array_mut().unwrap().pop(); // its last order has no provider
    std::fs::write(&path, document.to_string()).unwrap();
    let output = miner(&["check", &scenario, solution]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("NOT feasible, 1 violation:"), "{text}");
    assert!(text.contains(&demand), "the demand {demand} is not named: {text}");
}

#[test]
fn a_comparison_on_a_tiny_market_is_parseable_and_passes_its_checks() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path(), &[]);
    let report = stdout(&["compare", &scenario, "--miners", "2", "--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    let network = &report[0]["networks"][0];
    assert_eq!(network["audit"]["failures"], Value::Array(Vec::new()));
    assert_eq!((&network["miners"], &network["audit"]["chains"]), (&Value::from(2), &Value::from(2)));
    let composed: u64 =
        network["batches"].as_array().unwrap().iter().filter_map(|b| b["demands"].as_u64()).sum();
    assert_eq!(composed, 6);
}

#[test]
fn time_is_worth_what_the_scenario_says_and_lead_time_stands_beside_cost() {
    let directory = tempfile::tempdir().unwrap();
    let solution = directory.path().join("solution.json");
    let solution = solution.to_str().unwrap();
    let judged = |more: &[&str]| -> Value {
        let scenario = generate(directory.path(), more);
        stdout(&["solve", &scenario, "--time", "0.2", "--solution", solution]);
        serde_json::from_str(&stdout(&["check", "--json", &scenario, solution])).unwrap()
    };
    let (plain, valued) = (judged(&[]), judged(&["--value-of-minute", "0.1"]));
    let minutes = |verdict: &Value| verdict["lead_minutes"]["mean"].as_i64().unwrap();
    let cost = |verdict: &Value| verdict["cost"].as_f64().unwrap();
    // Where time is worth something it is part of the cost, and less of it is taken.
    assert!(cost(&valued) > cost(&plain), "{plain} {valued}");
    assert!(minutes(&valued) <= minutes(&plain), "{plain} {valued}");
    let said = stdout(&["check", &generate(directory.path(), &["--value-of-minute", "0.1"]), solution]);
    assert!(said.contains("\nlead time    ") && said.contains(" h on average, "), "{said}");
}

#[test]
fn a_market_of_two_weeks_is_generated_solved_and_judged() {
    let directory = tempfile::tempdir().unwrap();
    let solution = directory.path().join("solution.json");
    let solution = solution.to_str().unwrap();
    let week = ["--days", "14", "--window-days", "3", "--capacity", "4"];
    let scenario = generate(directory.path(), &week);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&scenario).unwrap()).unwrap();
    assert_eq!(
        (&document["calendar"]["periods"], &document["calendar"]["names"][6]),
        (&14.into(), &"Friday".into())
    );
    let minutes = document["providers"][0]["capacity_minutes"].as_array().unwrap();
    assert_eq!((minutes.len(), &minutes[6]), (7, &Value::from(0)), "nobody works on Fridays");
    let report: Value = serde_json::from_str(&stdout(&[
        "solve",
        &scenario,
        "--time",
        "0.5",
        "--solution",
        solution,
        "--json",
    ]))
    .unwrap();
    let verdict: Value = serde_json::from_str(&stdout(&["check", "--json", &scenario, solution])).unwrap();
    assert_eq!((&verdict["violations"], &verdict["cost"]), (&Value::Array(Vec::new()), &report["cost"]));
    let (done, found) = (&verdict["lead_periods"], &report["lead_periods"]);
    assert!(done == found && done["longest"].as_u64().unwrap() <= 2, "{verdict}");
    // Moved to a Friday, no composition has room any more.
    let mut moved: Value = serde_json::from_str(&std::fs::read_to_string(solution).unwrap()).unwrap();
    for slot in moved["compositions"]
        .as_object_mut()
        .unwrap()
        .values_mut()
        .flat_map(|slots| slots.as_array_mut().unwrap())
    {
        slot["period"] = 6.into();
    }
    std::fs::write(solution, moved.to_string()).unwrap();
    let judged = miner(&["check", "--json", &scenario, solution]);
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    assert!(judged.status.code() == Some(1) && said.contains("capacity is 0"), "{said}");
}
