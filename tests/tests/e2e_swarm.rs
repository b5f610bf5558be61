//! Networks that `miner swarm` and `miner compare --arrivals` run, as a user sees them: real processes, the
//! command line, what is printed and how it ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here is a failed test")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program under test.
const MINER: &str = env!("CARGO_BIN_EXE_miner-under-test");
/// How long anything may take before a test fails. Never reached on a sound build: two orders above what
/// these networks need on two cores.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the program to its end.
fn miner(arguments: &[&str]) -> Output {
    Command::new(MINER).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

/// What it printed, if it ended with success.
fn stdout(arguments: &[&str]) -> String {
    let output = miner(arguments);
    assert!(output.status.success(), "{arguments:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a market of 5 providers and 6 demands of 3 orders.
fn generate(directory: &Path) -> String {
    let path = directory.join("scenario.json").to_str().unwrap().to_owned();
    let sizes = ["--providers", "5", "--demands", "6", "--operations", "3", "--sites", "uniform"];
    stdout(&[&["scenario", "generate", "--rng-seed", "3", "--out", &path], &sizes[..]].concat());
    path
}

/// JSON lines, as printed.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

fn of<'l>(lines: &'l [Value], event: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn a_swarm_that_is_kept_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path());
    let keep = directory.path().join("kept");
    let keep = keep.to_str().unwrap();

    let first = ["swarm", &scenario, "--keep", keep, "--until-settled", "--json"];
    let first = lines(&stdout(&[&first[..], &["--miners", "3", "--validators", "2"]].concat()));
    let started = of(&first, "swarm_started")[0];
    assert_eq!((&started["resumed"], &started["validators"]), (&Value::Bool(false), &Value::from(2)));
    assert_eq!(started["nodes"].as_array().unwrap().len(), 3);
    let market = &of(&first, "market").last().unwrap()["market"];
    assert_eq!((&market["open"], &market["composed"]), (&Value::from(0), &Value::from(6)));
    let earners = market["earnings"].as_array().unwrap();
    assert_eq!(earners.iter().map(|earner| earner["demands"].as_u64().unwrap()).sum::<u64>(), 6);
    for batch in of(&first, "batch_final") {
        assert!(batch["votes"].as_u64().unwrap() == 2, "only the two validators vote: {batch}");
    }

    let again = lines(&stdout(&["swarm", &scenario, "--keep", keep, "--until-settled", "--json"]));
    let resumed = of(&again, "swarm_started")[0];
    assert_eq!(resumed["resumed"], true);
    assert_eq!((&resumed["nodes"], &resumed["network"]), (&started["nodes"], &started["network"]));
    assert_eq!(of(&again, "batch_final").len(), 0, "there was nothing left to do");
    assert_eq!(of(&again, "record_refused").len(), 0, "no demand is handed in twice");
    let ends = [&first, &again].map(|lines| of(lines, "swarm_ended")[0]["audit"].clone());
    assert_eq!(ends[0]["head"], ends[1]["head"]);
    for audit in &ends {
        assert_eq!((&audit["chains"], &audit["failures"]), (&Value::from(3), &Value::Array(Vec::new())));
    }

    let other = miner(&["swarm", &scenario, "--keep", keep, "--miners", "4"]);
    assert_eq!(other.status.code(), Some(2));
    let error = String::from_utf8(other.stderr).unwrap();
    assert!(error.contains("--miners 3, not 4"), "{error}");
}

#[test]
fn an_interrupt_stops_every_node_of_a_swarm() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path());
    let keep = directory.path().join("kept");
    let mut swarm = Command::new(MINER)
        .args(["swarm", &scenario, "--miners", "2", "--keep", keep.to_str().unwrap()])
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, said) = channel();
    let out = swarm.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        for line in std::io::BufRead::lines(std::io::BufReader::new(out)) {
            // The test may have stopped listening.
            let _ = sender.send(line.unwrap());
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let hear = |wanted: &str| loop {
        match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(wanted) => return,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                panic!("it never said {wanted:?}")
            }
        }
    };
    hear("final: batch");
    let sockets = [1, 2].map(|node| keep.join(format!("node-{node}/data/control.sock")));
    assert!(sockets.iter().all(|socket| socket.exists()));
    let interrupted = Command::new("kill").args(["-INT", &swarm.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    hear("go on with: miner swarm");
    assert!(swarm.wait().unwrap().success());
    reader.join().unwrap();
    // A node that stops cleanly takes its control socket with it.
    assert!(sockets.iter().all(|socket| !socket.exists()), "a node was killed, not stopped");
}

#[test]
fn every_customer_that_arrives_is_served_or_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path());
    let habits = ["--arrival-rate", "3", "--patience-seconds", "2", "--period-seconds", "0.5,60"];
    let network = ["compare", "--arrivals", &scenario, "--miners", "2", "--json"];
    let reports: Value = serde_json::from_str(&stdout(&[&network[..], &habits].concat())).unwrap();
    let systems = reports[0]["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 3);
    for system in systems {
        let count = |field: &str| system[field].as_u64().unwrap();
        assert_eq!(count("arrived"), 6);
        assert_eq!(count("served") + count("left") + count("waiting"), 6, "{system}");
        assert_eq!(count("waiting"), 0, "{system}");
    }
    // Nobody waits longer than four times the mean patience, let alone a minute.
    assert_eq!((&systems[1]["served"], &systems[1]["cost"]), (&Value::from(0), &Value::from(0)));
    let audit = &systems[2]["audit"];
    assert_eq!((&audit["chains"], &audit["failures"]), (&Value::from(2), &Value::Array(Vec::new())));
    assert!(systems[2]["served"].as_u64().unwrap() > 0, "{systems:?}");
}

#[test]
fn habits_that_make_no_sense_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let scenario = generate(directory.path());
    for (option, value) in [("--arrival-rate", "0"), ("--patience-seconds", "-1"), ("--period-seconds", "0")]
    {
        let argument = format!("{option}={value}");
        let output = miner(&["compare", "--arrivals", &scenario, &argument]);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(option), "{error}");
    }
}
