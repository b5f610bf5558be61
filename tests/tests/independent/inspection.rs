//! A stopped node's chain on disk: opened by directory or configuration file, verified, looked into, and
//! the same by the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use miner::chain_tools::NodeChain;
use miner::chain_tools::report::InspectedRow;
use scenarios::Money;
use tempfile::TempDir;

use crate::growing::Growing;
use crate::markets::open_market;

/// What a stopped node leaves behind.
fn stopped_node(market: &Growing) -> TempDir {
    let directory = tempfile::tempdir().expect("a node's files are written");
    let path = directory.path();
    let text = "key_file = \"node.key\"\ngenesis_file = \"genesis.bin\"\ndata_dir = \"data\"\nlisten = \"127.0.0.1:0\"\n";
    std::fs::write(path.join("node.toml"), text).expect("a node's files are written");
    std::fs::write(path.join("genesis.bin"), market.network().genesis().to_bytes())
        .expect("a node's files are written");
    std::fs::create_dir(path.join("data")).expect("a node's files are written");
    let mut store = miner::storage::open(&path.join("data/store"), market.network().id())
        .expect("a node's files are written");
    store.write(&market.writes()).expect("a node's files are written");
    directory
}

fn refusal(path: &Path) -> String {
    format!("{:#}", NodeChain::open(path).expect_err("there is nothing to open"))
}

#[test]
fn a_stopped_nodes_chain_is_verified_from_genesis() {
    let market = open_market();
    let node = stopped_node(&market);
    for path in [node.path().to_path_buf(), node.path().join("node.toml")] {
        let chain = NodeChain::open(&path).unwrap();
        let mut heights = Vec::new();
        let verified = chain.verify(|done| heights.push(done.ledger().head().height)).unwrap();
        assert_eq!(heights, (1..=9).collect::<Vec<u64>>());
        assert_eq!((verified.height, verified.head), (9, market.ledger.head().hash));
        assert_eq!(verified.state_root, market.ledger.state_root());
        assert_eq!(verified.money_micros, market.ledger.total_money());
        assert_eq!(verified.demands.cancelled, 1);
        assert_eq!(verified.accounts.carrier, market.ledger.carrier_account());
    }
}

#[test]
fn the_store_of_a_running_node_is_in_use() {
    let market = open_market();
    let node = stopped_node(&market);
    let running = NodeChain::open(node.path()).unwrap();
    let text = refusal(node.path());
    assert!(text.contains("is in use: the node is running. Stop it first"), "{text}");
    drop(running);
    assert_eq!(NodeChain::open(node.path()).unwrap().store.height(), 9);
}

#[test]
fn a_place_without_a_chain_is_explained_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nowhere");
    assert!(refusal(&missing).contains("does not exist; name a node's directory"), "{}", refusal(&missing));
    assert!(refusal(directory.path()).contains("has no node.toml"), "{}", refusal(directory.path()));
    let node = stopped_node(&open_market());
    std::fs::remove_dir_all(node.path().join("data/store")).unwrap();
    assert!(refusal(node.path()).contains("the node has no chain yet"), "{}", refusal(node.path()));
    assert!(!node.path().join("data/store").exists());
    std::fs::create_dir(directory.path().join("run")).unwrap();
    std::fs::rename(node.path(), directory.path().join("run/node-1")).unwrap();
    let text = refusal(directory.path());
    assert!(text.contains("holds nodes; name one of them") && text.contains("run/node-1"), "{text}");
}

#[test]
fn a_chain_stops_standing_at_its_first_bad_batch() {
    let mut market = open_market();
    market.batches[3].1.signatures.pop();
    let error = market.stored().verify(|_| {}).unwrap_err().to_string();
    let expected =
        "the chain does not stand: batch 4 is not final: the certificate: 4 votes, expected at least 5";
    assert_eq!(error, expected);
}

#[test]
fn a_row_tells_what_a_batch_did_to_the_whole_market() {
    let market = open_market();
    let mut rows = Vec::new();
    market.stored().walk(|done| rows.push(InspectedRow::new(done))).unwrap();
    assert_eq!((rows[0].batch.records, rows[0].batch.demands, rows[0].votes), (7, 0, 5));
    // Seven open demands with budgets of 200 $.
    assert_eq!((rows[0].market.open, rows[0].market.cost_micros), (7, 1_400_000_000));
    let (before, after) = rows[1].batch.bounds.unwrap();
    assert_eq!((Some(before), Some(after)), (rows[0].market.bound, rows[1].market.bound));
    assert!(after > before);
    assert_eq!(rows[2].batch.demands, 2);
    let rest = rows[1].market.cost_micros - rows[2].market.cost_micros;
    assert_eq!(rest, i128::from((Money::from_units(400) - rows[2].batch.cost).micros()));
    for row in &rows {
        let bound = row.market.bound.unwrap();
        assert!(row.market.cost_micros >= i128::from(bound.micros()), "height {}", row.batch.height);
    }
}

fn miner(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_miner-under-test")).args(arguments).output().expect("the program runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_command_line_verifies_inspects_exports_and_proves() {
    let market = open_market();
    let node = stopped_node(&market);
    let path = |name: &str| node.path().join(name).to_string_lossy().into_owned();
    let (directory, config) = (path(""), path("node.toml"));
    let verified = miner(&["chain", "verify", &directory]);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(said(&verified).contains(&market.ledger.state_root().to_string()));
    let rows = miner(&["chain", "inspect", "--config", &config, "--json"]);
    let rows: serde_json::Value = serde_json::from_slice(&rows.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 9);
    let batch = miner(&["chain", "inspect", &directory, "--height", "4"]);
    for expected in ["offer withdrawal", "demand cancellation", "300 $ to", "\"new and better\""] {
        assert!(said(&batch).contains(expected), "{expected:?} is not in {}", said(&batch));
    }
    let exported = miner(&["chain", "export", &directory, "--out", &path("chain.json")]);
    assert!(exported.status.success(), "{}", said(&exported));
    let text = std::fs::read_to_string(path("chain.json")).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["batches"][8]["hash"], market.ledger.head().hash.to_string());

    let proof = path("proof.json");
    let demand = market.batches[2].0.contents.blocks[0].body.compositions[0].demand.to_string();
    let proved = miner(&["chain", "prove", &directory, "--demand", &demand, "--out", &proof]);
    assert!(proved.status.success(), "{}", said(&proved));
    let network = market.network().id().to_string();
    let holds = miner(&["verify-proof", &proof, "--network", &network]);
    assert!(holds.status.success() && said(&holds).contains("The proof holds"), "{}", said(&holds));
    let by_file = miner(&["verify-proof", &proof, "--genesis", &path("genesis.bin"), "--json"]);
    let by_file: serde_json::Value = serde_json::from_slice(&by_file.stdout).unwrap();
    // Composed at height 3, settled at 6 before anything else: the state after 5 is the last that has it.
    assert_eq!((&by_file["current_after"], &by_file["settled_at"]), (&5.into(), &6.into()));
    assert_refused(&node.path().join("proof.json"), &network);
}

/// A changed proof, or one of another network, ends with 1 and the reason.
fn assert_refused(proof: &PathBuf, network: &str) {
    let name = proof.to_string_lossy();
    let elsewhere = miner(&["verify-proof", &name, "--network", &"ab".repeat(32)]);
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(said(&elsewhere).contains(&format!("is about network {network}")), "{}", said(&elsewhere));
    let text = std::fs::read_to_string(proof).expect("a proof file");
    std::fs::write(proof, text.replacen("\"minutes\": ", "\"minutes\": 1", 1)).expect("a proof file");
    let changed = miner(&["verify-proof", &name]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(said(&changed).contains("the composition is not in the block"), "{}", said(&changed));
}
