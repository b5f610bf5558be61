//! People who gain by what the rules do not say, as `miner economics` plays them.

use serde_json::Value;

use crate::command_line::stdout;
use crate::network::repository_file;

/// Attacks that a rule stops which is a parameter: without it they take something.
const STOPPED: [&str; 6] =
    ["crony after waiting", "illness", "cancellation", "pushing out", "free offers", "dust demands"];

#[test]
fn no_attack_takes_more_than_it_may_and_without_its_rule_it_would() {
    let file = repository_file("scenarios/tehran/problem-1-capacitated.json");
    let report = stdout(&["economics", "--json", "--time", "1", file.to_str().unwrap()]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["holds"], true, "{report:#}");
    let attacks = report["attacks"].as_array().unwrap();
    let amount = |value: &Value| value.as_f64().unwrap();
    for row in attacks {
        assert!(amount(&row["taken"]) <= amount(&row["limit"]), "{row:#}");
        // An attack of which nothing is done shows nothing; all of this one is refused.
        assert!(row["done"].as_u64() > Some(0) || row["attack"] == "pushing out", "{row:#}");
        let is_stopped = STOPPED.iter().any(|name| row["attack"] == *name);
        assert_eq!(row["without"].is_number(), is_stopped, "{row:#}");
        // Five dollars: what one cancelled demand of some 280 $ would have earned.
        assert!(!is_stopped || amount(&row["without"]) > 5.0, "{row:#}");
        assert!(!is_stopped || amount(&row["taken"]) == 0.0, "{row:#}");
    }
    assert!(attacks.len() > STOPPED.len());
}
