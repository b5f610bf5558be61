//! Checks of the settings that travel in a scenario file: ranges within which networks and searches work.

use std::collections::BTreeSet;

use crate::findings::Findings;
use crate::settings::{ExperimentSettings, NetworkSettings, ScheduleSettings, SearchSettings, Selection};
use crate::units::Money;
use crate::validate::check_range;

/// A whole: 100 % in parts per million.
const WHOLE_PPM: u64 = 1_000_000;
/// The largest number of heights a setting may name.
const HEIGHTS: u64 = 1_000_000_000;
/// The largest size or count of a search.
const SEARCH_COUNT: u32 = 1_000_000;
/// The longest a search or a quiet network may be told to take: 30 days, in seconds.
const SECONDS: u32 = 2_592_000;

impl NetworkSettings {
    pub(crate) fn check(&self, findings: &mut Findings) {
        for (path, share) in [
            ("network.solver_fee_ppm", self.solver_fee_ppm),
            ("network.min_reward_ppm", self.min_reward_ppm),
            ("network.min_bound_gain_ppm", self.min_bound_gain_ppm),
            ("network.bounty_share_ppm", self.bounty_share_ppm),
            ("network.bounty_pay_ppm", self.bounty_pay_ppm),
            ("network.min_saving_ppm", self.min_saving_ppm),
            ("network.amender_share_ppm", self.amender_share_ppm),
        ] {
            check_range(findings, path, share, 0..=WHOLE_PPM);
        }
        for (path, heights) in [
            ("network.relax_after_heights", self.relax_after_heights),
            ("network.relax_over_heights", self.relax_over_heights),
            ("network.freeze_after_heights", self.freeze_after_heights),
        ] {
            check_range(findings, path, heights, 0..=HEIGHTS);
        }
        let held = self.held_providers_max.unwrap_or(1);
        check_range(findings, "network.held_providers_max", held, 1..=u32::MAX);
        for (path, interval) in [
            ("network.quiet_block_interval_ms", self.quiet_block_interval_ms),
            ("network.amendment_interval_ms", self.amendment_interval_ms),
        ] {
            check_range(findings, path, interval, 0..=u64::from(SECONDS) * 1_000);
        }
        check_schedule(findings, self.schedule);
    }
}

fn check_schedule(findings: &mut Findings, schedule: ScheduleSettings) {
    match schedule {
        ScheduleSettings::Certified { gap_full_ppm, gap_max_ppm } => {
            check_range(findings, "network.schedule.gap_max_ppm", gap_max_ppm, 1..=1_000 * WHOLE_PPM);
            check_range(
                findings,
                "network.schedule.gap_full_ppm",
                gap_full_ppm,
                0..=gap_max_ppm.saturating_sub(1),
            );
        }
        ScheduleSettings::Paper { best_per_order, min_utility_per_order, sense: _ } => {
            let range = Money::ZERO..=crate::limits::BUDGET;
            check_range(findings, "network.schedule.best_per_order", best_per_order, range.clone());
            check_range(findings, "network.schedule.min_utility_per_order", min_utility_per_order, range);
            if best_per_order == min_utility_per_order {
                let expected = "another amount than best_per_order";
                findings.add("network.schedule.min_utility_per_order", min_utility_per_order, expected);
            }
        }
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
        check_range(findings, "search.hybrid.target_gap_ppm", hybrid.target_gap_ppm, 0..=1_000 * WHOLE_PPM);
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
