//! Files that are wrong: the program says which, where, and what it expected, and ends with 2.

use std::path::Path;

use chain::{Genesis, SecretKey};
use scenarios::generate::generate;

use crate::command_line::miner;
use crate::network::{repository_file, small_parameters};

/// What the program says when it refuses these arguments.
fn refusal(arguments: &[&str]) -> String {
    let output = miner(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?} printed data");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn a_missing_scenario_is_named() {
    let said = refusal(&["solve", "no/such/scenario.json"]);
    assert!(said.contains("cannot read no/such/scenario.json"), "{said}");
}

#[test]
fn a_wrong_field_of_a_scenario_is_named_by_its_path_with_what_is_expected() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scenario.json");
    let file = path.to_str().unwrap();
    let good = std::fs::read_to_string(repository_file("scenarios/tehran/problem-1.json")).unwrap();

    std::fs::write(&path, good.replacen("\"x_m\": -30520", "\"x_m\": \"west\"", 1)).unwrap();
    let said = refusal(&["solve", file]);
    assert!(said.contains("providers[0].site"), "{said}");

    std::fs::write(&path, good.replacen("\"deliver\": false},", "\"delivered\": false},", 1)).unwrap();
    let said = refusal(&["solve", file]);
    assert!(said.contains("delivered") && said.contains("expected"), "{said}");

    std::fs::write(&path, "not JSON").unwrap();
    let said = refusal(&["scenario", "validate", file]);
    assert!(said.contains("expected"), "{said}");
}

/// A node's directory with nothing wrong in it.
fn write_node(directory: &Path) {
    let scenario = generate(&small_parameters()).unwrap();
    let key = SecretKey::for_scenario(1, "miner", 0);
    let genesis = Genesis::of_scenario(&scenario, scenario.search.profile, 1, vec![key.public()], 1, 1);
    std::fs::write(directory.join("genesis.bin"), genesis.to_bytes()).unwrap();
    miner::driver::write_key(&directory.join("node.key"), &key).unwrap();
    std::fs::write(directory.join("node.toml"), CONFIGURATION).unwrap();
}

const CONFIGURATION: &str = "key_file = \"node.key\"\n\
                             genesis_file = \"genesis.bin\"\n\
                             data_dir = \"data\"\n\
                             listen = \"127.0.0.1:0\"\n";

/// What `miner run` says in a directory of which one file was changed.
fn refused_node(file: &str, content: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    write_node(directory.path());
    std::fs::write(directory.path().join(file), content).unwrap();
    refusal(&["run", "--config", directory.path().join("node.toml").to_str().unwrap()])
}

#[test]
fn a_missing_configuration_is_named() {
    let said = refusal(&["run", "--config", "no/such/node.toml"]);
    assert!(said.contains("cannot read the configuration file no/such/node.toml"), "{said}");
}

#[test]
fn an_unknown_setting_is_named() {
    let said = refused_node("node.toml", format!("{CONFIGURATION}lsiten = 3\n").as_bytes());
    assert!(said.contains("unknown field") && said.contains("lsiten"), "{said}");
}

#[test]
fn a_permission_to_vote_that_covers_every_loss_is_refused_with_what_to_do() {
    let said = refused_node("node.toml", format!("{CONFIGURATION}vote_from_height = 9\n").as_bytes());
    assert!(said.contains("vote_from_height is no setting any more. Delete the line"), "{said}");
    assert!(said.contains("`miner run --vote-from-height H`"), "{said}");
}

#[test]
fn a_broken_key_is_named_with_what_is_expected() {
    let said = refused_node("node.key", b"not a key");
    assert!(said.contains("node.key holds no key: expected 64 hexadecimal digits"), "{said}");
}

#[test]
fn a_broken_genesis_is_named() {
    let said = refused_node("genesis.bin", b"not a genesis");
    assert!(said.contains("genesis.bin is no genesis"), "{said}");
}
