//! What an experiment with arrivals finds, as data and as a table.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use scenarios::Money;
use scenarios::settings::Profile;
use serde::Serialize;

use super::stream::{Customer, Fate, Habits};
use crate::compare::report::{Audit, Bound};

/// One scenario's customers, served by several systems.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ArrivalsReport {
    pub scenario: String,
    /// The algorithm, the same for the central search and every miner.
    pub profile: Profile,
    /// Customers.
    pub customers: usize,
    /// Customers a second.
    pub arrival_rate: f64,
    /// Their mean patience, seconds.
    pub patience_seconds: f64,
    /// When the last of them arrived, seconds.
    pub last_arrival_seconds: f64,
    /// The systems, on the same customers.
    pub systems: Vec<SystemReport>,
    /// What the comparison means.
    pub notes: Vec<String>,
}

/// How one system served them.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct SystemReport {
    pub system: System,
    /// Customers that arrived.
    pub arrived: usize,
    /// Those whose demand was composed.
    pub served: usize,
    /// Those that left before.
    pub left: usize,
    /// Those of whom neither is true when it ended.
    pub waiting: usize,
    /// Served, in percent of those that arrived.
    pub served_percent: f64,
    /// Served customers that would have left by then, but whose cancellation came too late to count.
    pub cancelled_too_late: usize,
    /// Mean time from arrival to composition of the served, seconds.
    pub wait_mean_seconds: f64,
    /// The time that 95 % of them waited at most, seconds.
    pub wait_p95_seconds: f64,
    /// Cost of the compositions, as the independent evaluator finds.
    pub cost: Money,
    /// The same per order.
    pub cost_per_order: Option<f64>,
    /// The same with the budgets of the customers it did not serve.
    pub penalised_cost: Money,
    /// A bound on that, had all customers been known beforehand and waited for ever: the same for every system.
    pub bound: Bound,
    /// How far the cost with budgets lies above it, in percent.
    pub gap_percent: f64,
    /// A bound on serving exactly the customers it served, all known beforehand.
    pub served_bound: Option<Bound>,
    /// How far the cost lies above that, in percent.
    pub served_gap_percent: Option<f64>,
    /// Solves of the centre, or batches with compositions.
    pub rounds: usize,
    /// CPU time of the centre's longest solve, or of all searches of the miner that searched longest, seconds.
    pub cpu_seconds: f64,
    /// What was verified after a network's run.
    pub audit: Option<Audit>,
}

/// A way to serve customers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum System {
    /// A centre that composes whoever waits, once every period.
    Central {
        /// The period, seconds.
        period_seconds: f64,
    },
    /// A network of miner processes.
    Network {
        /// Miners.
        miners: usize,
    },
}

/// How a system served its customers, before it is put into words.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) system: System,
    /// One per customer.
    pub(super) fates: Vec<Fate>,
    pub(super) cost: Money,
    /// The same with the budgets of the others.
    pub(super) penalised_cost: Money,
    /// Orders of the served.
    pub(super) orders: usize,
    pub(super) bound: Bound,
    pub(super) served_bound: Option<Bound>,
    pub(super) rounds: usize,
    pub(super) cpu_seconds: f64,
    pub(super) audit: Option<Audit>,
}

impl SystemReport {
    /// The statistics of a service; `fates` are those of `customers`, in order.
    pub(super) fn new(service: Service, customers: &[Customer]) -> Self {
        let Service { system, fates, cost, penalised_cost, orders, bound, served_bound, .. } = service;
        let mut waits = Vec::new();
        let (mut left, mut waiting, mut cancelled_too_late) = (0, 0, 0);
        for (customer, fate) in customers.iter().zip(&fates) {
            match *fate {
                Fate::Served { at_ms } => {
                    waits.push(at_ms.saturating_sub(customer.arrives_ms));
                    cancelled_too_late += usize::from(at_ms > customer.leaves_ms);
                }
                Fate::Left => left += 1,
                Fate::Waiting => waiting += 1,
            }
        }
        waits.sort_unstable();
        let (arrived, served) = (fates.len(), waits.len());
        Self {
            system,
            arrived,
            served,
            left,
            waiting,
            served_percent: ratio(served, arrived).unwrap_or(1.0) * 100.0,
            cancelled_too_late,
            wait_mean_seconds: mean_seconds(&waits),
            wait_p95_seconds: percentile_seconds(&waits, 95),
            cost,
            cost_per_order: ratio(1, orders).map(|share| cost.as_f64() * share),
            penalised_cost,
            bound,
            gap_percent: bound.gap_percent(penalised_cost),
            served_bound,
            served_gap_percent: served_bound.filter(|_| served > 0).map(|bound| bound.gap_percent(cost)),
            rounds: service.rounds,
            cpu_seconds: service.cpu_seconds,
            audit: service.audit,
        }
    }

    /// Everything that does not hold: what the audit found, and costs below their bounds, which no plan can have.
    pub(super) fn failures(&self) -> Vec<String> {
        let name = describe(self.system);
        let whole = self.bound.contradiction(&name, self.penalised_cost);
        let served =
            self.served_bound.and_then(|bound| bound.contradiction(&(name + ", of the served,"), self.cost));
        let audit = self.audit.iter().flat_map(|audit| audit.failures.iter().cloned());
        audit.chain(whole).chain(served).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn mean_seconds(waits_ms: &[u64]) -> f64 {
    ratio(1, waits_ms.len()).map_or(0.0, |share| waits_ms.iter().sum::<u64>() as f64 * share / 1e3)
}

/// The smallest wait that at least `percent` of all do not exceed (nearest rank); `waits_ms` ascend.
#[expect(clippy::cast_precision_loss, reason = "for display")]
fn percentile_seconds(waits_ms: &[u64], percent: usize) -> f64 {
    let rank = (waits_ms.len() * percent).div_ceil(100);
    let wait = rank.checked_sub(1).and_then(|index| waits_ms.get(index));
    wait.map_or(0.0, |&wait| wait as f64 / 1e3)
}

/// What the comparison means, and what it does not.
pub(super) fn notes(habits: Habits, profile: Profile) -> Vec<String> {
    let Habits { patience_seconds, .. } = habits;
    let mut notes = vec![
        format!(
            "Customers arrive at random and each leaves after its own patience (exponential, mean {patience_seconds} s, \
             at most four times that) unless its demand is composed before; all systems see the same customers."
        ),
        "Central: once a period it composes everybody who waits, on the capacity that is left, with the same \
         algorithm as one miner. Simulated in virtual time: a solve takes the CPU time it took on one thread, and \
         whoever leaves meanwhile is lost. It has no network, signs nothing and is never overtaken."
            .into(),
        "The period is a free parameter: the shorter, the shorter the waits, and the fewer customers are composed \
         together. A centre that solves again as soon as it has finished waits hardly at all; then the network's \
         advantages are others (no party to trust, checkable bounds, no single point that fails)."
            .into(),
        "Network: real processes in real time, one after another's arrival, sharing the cores of this machine; a \
         wait ends when a composition is final (more than two thirds of the validators signed), not when it is found. \
         Whoever leaves signs a cancellation; it counts if it comes on chain before a composition does."
            .into(),
        "With budgets: whoever is not served counts with its budget, so that serving fewer is no improvement. Gap: of \
         that, over the certified bound (exact optimum without capacities) had all customers been known beforehand and \
         waited: the same bound for every system. Gap of the served: of the cost alone, over the bound of serving exactly \
         the customers that this system served; systems that serve others have other bounds."
            .into(),
    ];
    if profile == Profile::Paper {
        notes.push(
            "The published algorithm runs a fixed number of generations, which get further the fewer demands a solve \
             has: a lower cost per order of whoever solves more often is that, and no merit of a network."
                .into(),
        );
    }
    notes
}

/// The whole report as text.
pub(super) fn render(report: &ArrivalsReport) -> String {
    let heading = format!(
        "\n{} - profile {} - {} customers in {:.0} s ({:.2} a second), mean patience {} s",
        report.scenario,
        format!("{:?}", report.profile).to_lowercase(),
        report.customers,
        report.last_arrival_seconds,
        report.arrival_rate,
        report.patience_seconds
    );
    let mut parts = vec![heading, table(&report.systems).to_string(), report.notes.join("\n")];
    parts.extend(report.systems.iter().filter_map(|system| checks(system, system.audit.as_ref()?)));
    parts.join("\n")
}

fn table(systems: &[SystemReport]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "",
        "arrived",
        "served",
        "left",
        "waiting",
        "served %",
        "too late\nto leave",
        "wait s\nmean",
        "wait s\n95 %",
        "cost $",
        "cost $\nper order",
        "with\nbudgets $",
        "gap to\nbound %",
        "gap of the\nserved %",
        "solves/\nbatches",
        "CPU s",
    ]);
    let dash = || "-".to_owned();
    for system in systems {
        table.add_row([
            describe(system.system),
            system.arrived.to_string(),
            system.served.to_string(),
            system.left.to_string(),
            system.waiting.to_string(),
            format!("{:.1}", system.served_percent),
            system.cancelled_too_late.to_string(),
            format!("{:.2}", system.wait_mean_seconds),
            format!("{:.2}", system.wait_p95_seconds),
            format!("{:.0}", system.cost),
            system.cost_per_order.map_or_else(dash, |cost| format!("{cost:.2}")),
            format!("{:.0}", system.penalised_cost),
            format!("{:.2}", system.gap_percent),
            system.served_gap_percent.map_or_else(dash, |gap| format!("{gap:.2}")),
            system.rounds.to_string(),
            format!("{:.2}", system.cpu_seconds),
        ]);
    }
    table
}

pub(super) fn describe(system: System) -> String {
    match system {
        System::Central { period_seconds } => format!("central, every {period_seconds} s"),
        System::Network { miners } => format!("network of {miners} miners"),
    }
}

fn checks(system: &SystemReport, audit: &Audit) -> Option<String> {
    let Audit { chains, batches, failures, .. } = audit;
    failures.is_empty().then(|| {
        format!(
            "Checks passed ({}): {chains} chains ({batches} batches) verified from genesis, all equal; every cost \
             recomputed by the independent evaluator; money conserved.",
            describe(system.system)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(arrives_ms: u64, leaves_ms: u64) -> Customer {
        Customer { demand: 0, arrives_ms, leaves_ms }
    }

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let waits: Vec<u64> = (1..=20).map(|second| second * 1_000).collect();
        assert!((percentile_seconds(&waits, 95) - 19.0).abs() < 1e-9);
        assert!((percentile_seconds(&waits[..1], 95) - 1.0).abs() < 1e-9);
        assert!(percentile_seconds(&[], 95).abs() < 1e-9);
    }

    #[test]
    fn everybody_who_arrived_was_served_or_left_or_waits() {
        let customers =
            [customer(0, 5_000), customer(1_000, 2_000), customer(2_000, 9_000), customer(3_000, 4_000)];
        let service = Service {
            system: System::Network { miners: 2 },
            fates: vec![
                Fate::Served { at_ms: 4_000 },
                Fate::Left,
                Fate::Waiting,
                Fate::Served { at_ms: 5_000 }, // its cancellation came too late
            ],
            cost: Money::from_units(90),
            penalised_cost: Money::from_units(240),
            orders: 6,
            bound: Bound { value: Money::from_units(120), is_exact: false },
            served_bound: Some(Bound { value: Money::from_units(75), is_exact: false }),
            rounds: 1,
            cpu_seconds: 0.5,
            audit: None,
        };
        let report = SystemReport::new(service, &customers);
        assert_eq!((report.arrived, report.served, report.left, report.waiting), (4, 2, 1, 1));
        assert_eq!(report.cancelled_too_late, 1);
        assert!((report.served_percent - 50.0).abs() < 1e-9);
        assert!((report.wait_mean_seconds - 3.0).abs() < 1e-9); // (4 + 2) / 2
        assert!((report.wait_p95_seconds - 4.0).abs() < 1e-9);
        assert!((report.cost_per_order.unwrap() - 15.0).abs() < 1e-9);
        assert!((report.served_gap_percent.unwrap() - 20.0).abs() < 1e-9);
        // The two that were not served count with 75 $ each.
        assert!((report.gap_percent - 100.0).abs() < 1e-9);
        assert!(report.failures().is_empty());
    }
}
