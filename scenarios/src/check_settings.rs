//! Checks of the settings that travel in a scenario file: ranges within which networks and searches work.

use std::collections::BTreeSet;

use crate::findings::Findings;
use crate::parameters::Parameters;
use crate::schedule::GAP_MAX_PPM;
use crate::settings::{ExperimentSettings, SearchSettings, Selection};
use crate::units::Money;
use crate::validate::check_range;

/// The largest size or count of a search.
const SEARCH_COUNT: u32 = 1_000_000;
/// The longest a search may be told to take: 30 days, in seconds.
const SECONDS: u32 = 2_592_000;

/// Every parameter that a genesis would be refused for.
pub(crate) fn check_parameters(findings: &mut Findings, parameters: &Parameters) {
    for error in parameters.broken_rules() {
        findings.say(format_args!("network.{}", error.field()), error.reason());
    }
}

impl SearchSettings {
    pub(crate) fn check(&self, findings: &mut Findings) {
        let paper = &self.paper;
        check_range(findings, "search.paper.population", paper.population, 2..=SEARCH_COUNT);
        check_range(findings, "search.paper.generations", paper.generations, 0..=SEARCH_COUNT);
        if let Selection::Tournament { size } = paper.selection {
            check_range(findings, "search.paper.selection.size", size, 1..=SEARCH_COUNT);
        }
        check_range(findings, "search.paper.crossover_probability", paper.crossover_probability, 0.0..=1.0);
        check_range(findings, "search.paper.resets_per_child", paper.resets_per_child, 0.0..=1e6);
        let others = paper.population.saturating_sub(1);
        check_range(findings, "search.paper.elites", paper.elites, 0..=others);
        let hybrid = &self.hybrid;
        check_range(findings, "search.hybrid.islands", hybrid.islands, 1..=4_096);
        check_range(findings, "search.hybrid.population", hybrid.population, 2..=SEARCH_COUNT);
        for (path, count) in [
            ("search.hybrid.moves_per_generation", hybrid.moves_per_generation),
            ("search.hybrid.removed_max", hybrid.removed_max),
            ("search.hybrid.migration_interval", hybrid.migration_interval),
        ] {
            check_range(findings, path, count, 1..=SEARCH_COUNT);
        }
        check_range(findings, "search.hybrid.generations", hybrid.generations, 0..=u32::MAX);
        check_range(findings, "search.hybrid.seconds", hybrid.seconds, 0.0..=f64::from(SECONDS));
        check_range(findings, "search.hybrid.target_gap_ppm", hybrid.target_gap_ppm, 0..=GAP_MAX_PPM);
        check_range(findings, "search.hybrid.subgradient_steps", hybrid.subgradient_steps, 0..=SEARCH_COUNT);
    }
}

impl ExperimentSettings {
    pub(crate) fn check(&self, findings: &mut Findings) {
        let mut modes = BTreeSet::new();
        for (position, result) in self.published.iter().enumerate() {
            let path = |field: &str| format!("experiment.published[{position}].{field}");
            check_range(findings, path("solvers"), result.solvers, 1..=SEARCH_COUNT);
            check_range(
                findings,
                path("cost"),
                result.cost,
                Money::ZERO..=Money::from_units(1_000_000_000_000),
            );
            check_range(findings, path("seconds"), result.seconds, 0.0..=1e9);
            if !modes.insert(result.solvers) {
                findings.add(path("solvers"), result.solvers, "each number of solvers once");
            }
        }
    }
}
