//! Solution files: written by names, read back as ids, refused with every name that is wrong.

use proptest::prelude::*;
use scenarios::{ProviderId, Scenario, Slot, Solution};

fn small() -> Scenario {
    Scenario::from_json(include_bytes!("small.json")).expect("a valid file")
}

fn served() -> Solution {
    Solution { compositions: vec![Some([1, 0].map(|id| Slot::single(ProviderId(id))).to_vec())] }
}

#[test]
fn a_solution_is_written_with_names_and_read_back() {
    let written = small().solution_to_json(&served());
    assert!(written.contains("\"Pardis Pumps\": [\"Rey Tools\", \"Karaj Machining\"]"), "{written}");
    assert_eq!(small().solution_from_json(written.as_bytes()).unwrap(), served());
    let unserved = small().solution_to_json(&Solution::unserved(1));
    assert!(unserved.contains("\"Pardis Pumps\": null"), "{unserved}");
    assert_eq!(small().solution_from_json(unserved.as_bytes()).unwrap(), Solution::unserved(1));
}

#[test]
fn every_unknown_name_and_missing_demand_is_listed() {
    let text = r#"{"format": "mizan-solution", "version": 1,
        "compositions": {"Pardis Wagons": null, "Karaj Cables": ["Rey Tools"]}}"#;
    let error = small().solution_from_json(text.as_bytes()).unwrap_err().to_string();
    let expected = "\
compositions.Pardis Wagons: the scenario has no such demand
compositions.Karaj Cables: the scenario has no such demand
compositions.Pardis Pumps: missing; null leaves it unserved";
    assert_eq!(error, expected);
    let text = text.replace("Karaj Cables", "Pardis Pumps").replace("Rey Tools", "Rey Fools");
    let error = small().solution_from_json(text.as_bytes()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "compositions.Pardis Pumps[0]: got \"Rey Fools\", expected the name of a provider of the scenario"
        ),
        "{error}"
    );
}

#[test]
fn a_solution_of_another_instance_is_refused() {
    let mut other = small();
    other.instance.supply.providers[0].capacity = Some(241.into());
    let written = other.solution_to_json(&served());
    let error = small().solution_from_json(written.as_bytes()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "instance: got {}, expected {}",
            other.instance.fingerprint(),
            small().instance.fingerprint()
        )),
        "{error}"
    );
}

#[test]
fn a_scenario_is_no_solution_and_a_demand_stands_once() {
    let error = small().solution_from_json(include_bytes!("small.json")).unwrap_err().to_string();
    assert_eq!(error, "format: got \"mizan-scenario\", expected \"mizan-solution\"");
    let twice = r#"{"format": "mizan-solution", "version": 1, "compositions": {"a": null, "a": null}}"#;
    let error = small().solution_from_json(twice.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("duplicate name `a`"), "{error}");
}

proptest! {
    #[test]
    fn a_mutated_solution_is_read_or_refused_without_a_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = small().solution_to_json(&served()).into_bytes();
        for (position, byte) in edits {
            let position = position.index(bytes.len());
            bytes[position] = byte;
        }
        if let Ok(solution) = small().solution_from_json(&bytes) {
            prop_assert_eq!(solution.compositions.len(), 1);
        }
    }
}
