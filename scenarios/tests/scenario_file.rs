//! Scenario files: what is read, what is refused and with which words, and that no bytes make the reader panic.
#![expect(clippy::disallowed_methods, reason = "a golden file is compared, and written when asked to")]

use proptest::prelude::*;
use scenarios::Parameters;
use scenarios::generate::GenerateParameters;
use scenarios::settings::SearchSettings;
use scenarios::{Geometry, Horizon, Money, OperationId, Period, Scenario, ScenarioError, Site, TimeWindow};

const SMALL: &str = include_str!("small.json");

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::from_json(text.as_bytes())
}

/// The error of the small file after one replacement.
fn error_after(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    read(&SMALL.replace(from, to)).expect_err("the file is wrong").to_string()
}

#[test]
fn a_small_file_is_read_as_it_says() {
    let scenario = read(SMALL).unwrap();
    assert_eq!(scenario.name, "two-workshops");
    assert_eq!(scenario.operations, ["turning", "milling"]);
    assert_eq!(scenario.network, Parameters::default());
    assert_eq!(scenario.search, SearchSettings::default());
    let supply = &scenario.instance.supply;
    assert_eq!(supply.rules.rate_per_km, Money::from_micros(500_000));
    assert_eq!(supply.providers[0].site, Site::point(-38_828, 15_375));
    assert_eq!(supply.providers[0].capacity, Some(240.into()));
    assert_eq!(supply.providers[1].capacity, None);
    assert_eq!(supply.providers[0].offers[&OperationId(1)].cost, Money::from_units(14));
    assert_eq!(scenario.instance.demands[0].orders, [OperationId(0), OperationId(1)]);
    assert_eq!(scenario.instance.demands[0].budget, Money::from_units(120));
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let scenario = read(SMALL).unwrap();
    let written = scenario.to_json();
    assert_eq!(read(&written).unwrap(), scenario);
    assert_eq!(read(&written).unwrap().to_json(), written);
    assert!(written.contains("        \"turning\": {\"cost\": 23.41, \"minutes\": 55}"), "{written}");
}

/// The small file with a calendar of three days, on which the first provider works on two and once on the third.
fn with_days() -> String {
    let calendar =
        r#""calendar": {"periods": 3, "period_minutes": 480, "names": ["Saturday", "Sunday"]}, "operations""#;
    SMALL
        .replace("\"operations\"", calendar)
        .replace(": 240,", ": [240, 0], \"capacity_exceptions\": {\"1\": 60},")
        .replace("\"budget\": 120,", "\"budget\": 120, \"release\": 1, \"due\": 2,")
}

#[test]
fn a_market_with_a_calendar_is_read_and_written_back_the_same() {
    let scenario = read(&with_days()).unwrap();
    let supply = &scenario.instance.supply;
    assert_eq!(supply.horizon, Horizon { first: Period(0), periods: 3, period_minutes: Some(480) });
    let minutes = supply.capacities();
    assert_eq!(minutes, [Some(240), Some(60), Some(240), None, None, None]);
    let window = TimeWindow { release: Period(1), due: Period(2) };
    assert_eq!(scenario.instance.demands[0].window, window);
    assert_eq!(scenario.period_name(Period(3)), "period 3 (Sunday)");
    assert_eq!(read(&scenario.to_json()).unwrap(), scenario);
}

#[test]
fn what_is_wrong_with_a_calendar_is_said() {
    let text = with_days();
    let error = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        read(&text.replace(from, to)).expect_err("the file is wrong").to_string()
    };
    assert_eq!(
        error("\"release\": 1", "\"release\": 3"),
        "demands[0].due: got 2, expected 3 or later, its release"
    );
    assert_eq!(
        error("{\"1\": 60}", "{\"Monday\": 60}"),
        "providers[0].capacity_exceptions: got \"Monday\", expected the number of a period"
    );
    assert_eq!(
        error("[240, 0]", "[240, -1]"),
        "providers[0].capacity_minutes: got -1, expected 0 to 1000000000"
    );
    // Without the calendar nothing may speak of periods.
    let calendar = r#""calendar": {"periods": 3, "period_minutes": 480, "names": ["Saturday", "Sunday"]}, "#;
    let said = error(calendar, "");
    for expected in [
        "providers[0].capacity_minutes: of several periods, which takes a `calendar`",
        "demands[0]: with `release` or `due`, which takes a `calendar`",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_market_on_a_distance_matrix_is_read() {
    let text = SMALL
        .replace("\"deliver\": true", "\"distances_m\": [[0, 7000], [9000, 0]]")
        .replace("{\"latitude\": 35.83266, \"longitude\": 50.99155}", "{\"place\": 0}")
        .replace("{\"x_m\": 1200, \"y_m\": -9400}", "{\"place\": 1}")
        .replace("{\"x_m\": 30000, \"y_m\": 5000}", "{\"place\": 1}");
    let scenario = read(&text).unwrap();
    let Geometry::Matrix(matrix) = &scenario.instance.supply.geometry else { panic!("a matrix market") };
    assert_eq!(matrix.get(1, 0), Some(9000));
    assert_eq!(read(&scenario.to_json()).unwrap(), scenario);
    let error = read(&text.replace("{\"place\": 0}", "{\"place\": 2}")).unwrap_err();
    assert_eq!(error.to_string(), "providers[0].site: expected a place below 2");
    let error = read(&text.replace("[9000, 0]", "[9000, 1]")).unwrap_err();
    assert_eq!(error.to_string(), "market.distances_m: distance from place 1 to place 1 is 1 m, expected 0");
}

#[test]
fn an_unknown_field_is_named_with_its_path_and_those_expected() {
    let error = error_after("\"budget\": 120", "\"budgett\": 120");
    assert!(
        error.starts_with("demands[0].budgett: unknown field `budgett`, expected one of `name`, `site`"),
        "{error}"
    );
    let error = error_after("\"minutes\": 30", "\"minutes\": 30, \"colour\": 1");
    assert!(error.starts_with("providers[0].offers.milling.colour: unknown field `colour`"), "{error}");
}

#[test]
fn a_missing_or_wrong_field_is_named_with_its_path() {
    let error = error_after("\"budget\": 120, ", "");
    assert!(error.starts_with("demands[0]: missing field `budget`"), "{error}");
    let error = error_after("\"minutes\": 55", "\"minutes\": 5.5");
    assert!(
        error.starts_with("providers[0].offers.turning.minutes: invalid type: floating point `5.5`"),
        "{error}"
    );
    let error = error_after("\"cost\": 23.41", "\"cost\": 23.4100001");
    assert!(error.contains("providers[0].offers.turning.cost: invalid value: floating point `23.4100001`, expected an amount in dollars with at most six decimals"), "{error}");
    let error =
        error_after("\"minutes\": 30}", "\"minutes\": 30}, \"milling\": {\"cost\": 1, \"minutes\": 1}");
    assert!(error.contains("duplicate name `milling`"), "{error}");
}

#[test]
fn another_format_or_version_is_told_apart_from_a_broken_file() {
    let error = error_after("mizan-scenario", "mizan-solution");
    assert_eq!(error, "format: got \"mizan-solution\", expected \"mizan-scenario\"");
    let error = error_after("\"version\": 1,", "\"version\": 2, \"novelty\": true,");
    assert_eq!(error, "version: got 2, expected 1");
    assert_eq!(read("{}").unwrap_err().to_string(), "format: got null, expected \"mizan-scenario\"");
}

#[test]
fn everything_that_is_wrong_is_listed_at_once() {
    let text = SMALL
        .replace("\"budget\": 120", "\"budget\": -1")
        .replace("\"orders\": [\"turning\", \"milling\"]", "\"orders\": [\"turning\", \"honing\"]")
        .replace("Rey Tools", "Karaj Machining")
        .replace("\"cost\": 14", "\"cost\": 1000000.5")
        .replace("{\"x_m\": 1200, \"y_m\": -9400}", "{\"x_m\": 1200}")
        .replace("\"rate_per_km\": 0.5", "\"rate_per_km\": 101");
    let expected = "\
providers[1].site: expected `x_m` and `y_m`, or `latitude` and `longitude`
demands[0].orders[1]: got \"honing\", expected a name listed in `operations`
market.rate_per_km: got 101, expected 0 to 100
providers[1].name: got \"Karaj Machining\", expected a name that providers[0].name does not have
providers[0].offers.milling.cost: got 1,000,000.5, expected 0 to 1,000,000
demands[0].budget: got -1, expected more than 0, at most 1,000,000";
    assert_eq!(read(&text).unwrap_err().to_string(), expected);
}

#[test]
fn settings_out_of_range_are_refused() {
    let with = |settings: &str| error_after("\"operations\"", &format!("{settings}, \"operations\""));
    assert_eq!(
        with(r#""network": {"solver_fee_ppm": 1000001}"#),
        "network.solver_fee_ppm: got 1000001, expected 0 to 1000000"
    );
    assert_eq!(
        with(r#""search": {"paper": {"population": 10, "elites": 10}}"#),
        "search.paper.elites: got 10, expected 0 to 9"
    );
    assert_eq!(
        with(r#""window": {"west_m": 0, "south_m": 0, "east_m": 0, "north_m": 1}"#),
        "window.east_m: got 0, expected more than west_m, 0"
    );
    assert!(
        with(r#""search": {"profile": "magic"}"#)
            .starts_with("search.profile: unknown variant `magic`, expected `paper` or `hybrid`")
    );
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let bytes = [b"{\"format\": ".as_slice(), &vec![b'['; 100_000]].concat();
    let error = Scenario::from_json(&bytes).unwrap_err().to_string();
    assert!(error.contains("recursion limit exceeded"), "{error}");
}

#[test]
fn the_schemas_in_the_repository_are_current() {
    for (path, schema) in [
        ("schema/scenario-v1.json", Scenario::json_schema()),
        ("schema/solution-v1.json", Scenario::solution_json_schema()),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        // Compared as values: the order of members depends on features of `serde_json` that other crates choose.
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let stored = std::fs::read_to_string(&path).unwrap();
        let current = value(&stored) == value(&schema);
        assert!(current, "{} is stale: run the tests with UPDATE_GOLDEN=1", path.display());
    }
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Scenario::from_json(&bytes).is_err());
    }

    #[test]
    fn a_mutated_file_is_read_or_refused_without_a_panic(
        edits in prop::collection::vec((0..SMALL.len(), any::<u8>(), 0..3_u8), 1..6)
    ) {
        let mut bytes = SMALL.as_bytes().to_vec();
        for (position, byte, kind) in edits {
            let position = position.min(bytes.len() - 1);
            match kind {
                0 => bytes[position] = byte,
                1 => bytes.insert(position, byte),
                _ => drop(bytes.remove(position)),
            }
        }
        if let Ok(scenario) = Scenario::from_json(&bytes) {
            prop_assert_eq!(read(&scenario.to_json()).unwrap(), scenario);
        }
    }

    #[test]
    fn a_number_put_anywhere_is_read_or_refused_without_a_panic(
        which in 0..30_usize,
        number in prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| format!("{number:e}")),
            Just("1e400".to_owned()), Just("-0.0".to_owned()), Just("99999999999999999999".to_owned()),
        ],
    ) {
        // The which-th run of digits that stands as a value is replaced.
        let starts: Vec<usize> = SMALL.match_indices(": ").map(|(at, _)| at + 2).collect();
        let start = starts[which % starts.len()];
        let end = start + SMALL[start..].find([',', '}', '\n']).unwrap();
        let text = format!("{}{number}{}", &SMALL[..start], &SMALL[end..]);
        if let Ok(scenario) = read(&text) {
            prop_assert_eq!(read(&scenario.to_json()).unwrap(), scenario);
        }
    }
}

#[test]
fn who_founds_a_network_is_told_how_much_room_its_demands_need_and_generated_markets_have_it() {
    let mut scenario = scenarios::generate::generate(&GenerateParameters::tehran(1, true).unwrap()).unwrap();
    // 30 providers offer each of 15 operations: 15 x 30 + 14 x 900 steps for each of 70 demands.
    assert_eq!(scenario.market_work(), 70 * (15 * 30 + 14 * 900));
    assert_eq!(scenario.validate_room(), Ok(()));
    scenario.network.limits.market_work = scenario.market_work() - 1;
    assert_eq!(scenario.validate(), Ok(()));
    let said = scenario.validate_room().unwrap_err().to_string();
    assert!(
        said.contains("network.limits.market_work") && said.contains("at least the 913500 steps"),
        "{said}"
    );
    let limits = scenario.network.limits.with_room_for(200_000_000);
    assert_eq!((limits.market_work, limits.verification_work), (200_000_000, 1_600_000_000));
}
