//! `miner compare --arrivals`: paper A expects that faster solving keeps customers whom long waits would
//! drive away. Here demands arrive over time and customers leave when they have waited too long; a centre
//! that solves once a period serves them, then a live network does.
//!
//! `stream` draws the customers, `periodic` simulates the centre, `live` runs the network, [`report`]
//! counts.

mod live;
mod periodic;
pub mod report;
mod stream;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use scenarios::settings::Profile;
use scenarios::{Scenario, Solution, evaluate};

use crate::cli::{Progress, print, print_json};
use crate::compare::central::{bound, seconds};
use crate::compare::report::Bound;
use live::{LivePlan, LiveRun};
use periodic::PeriodicRun;
use report::{ArrivalsReport, Service, System, SystemReport, describe, notes, render};
use stream::{Customer, Habits, customers};

/// Without another rate, all customers of a scenario arrive within about this many seconds.
const ARRIVAL_SECONDS: f64 = 60.0;
/// The longest an experiment's arrivals, patience or period may be, in seconds.
const SECONDS_MAX: f64 = 86_400.0;

/// Arguments of `miner compare --arrivals`.
#[derive(Clone, Debug, Args)]
pub struct ArrivalArguments {
    /// Let the demands arrive over time and leave when they wait too long: a central solve once a period
    /// against the live network.
    #[arg(long)]
    pub(super) arrivals: bool,
    /// With --arrivals: customers a second; all within about a minute if absent.
    #[arg(long, value_name = "RATE", requires = "arrivals")]
    arrival_rate: Option<f64>,
    /// With --arrivals: mean patience of a customer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, requires = "arrivals")]
    patience_seconds: f64,
    /// With --arrivals: periods of the central solve, one row each.
    #[arg(long, value_name = "T,T,...", value_delimiter = ',', default_values_t = [5.0, 15.0, 30.0], requires = "arrivals")]
    period_seconds: Vec<f64>,
}

/// An experiment: one scenario under one profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Experiment<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) profile: Profile,
    pub(super) miners: &'a [usize],
    pub(super) rng_seed: u64,
    /// Where the nodes' directories go.
    pub(super) directory: &'a Path,
    pub(super) arguments: &'a ArrivalArguments,
}

/// Prints the reports; exit code 1 if a chain did not verify or a cost lies below its bound.
///
/// # Errors
/// If stdout is closed.
pub(super) fn conclude(reports: &[ArrivalsReport], json: bool) -> Result<ExitCode> {
    if json {
        print_json(&reports)?;
    }
    let failures: Vec<String> =
        reports.iter().flat_map(|report| &report.systems).flat_map(SystemReport::failures).collect();
    for failure in &failures {
        eprintln!("check failed: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Experiment<'_> {
    /// Runs it, and prints its table unless JSON is wanted.
    ///
    /// # Errors
    /// If an argument is out of range, a process cannot be run, or a solution is not what it says.
    pub(super) fn run(&self, runtime: &tokio::runtime::Runtime, json: bool) -> Result<ArrivalsReport> {
        let habits = self.habits()?;
        let customers = customers(self.scenario.instance.demands.len(), habits, self.rng_seed);
        let progress = Progress::start(&self.scenario.name);
        progress.now("bounding".into());
        let bound = bound(self.scenario)?;
        let mut systems = Vec::new();
        for &period in &self.arguments.period_seconds {
            systems.push(self.central(period, &customers, bound, &progress)?);
        }
        for &miners in self.miners {
            systems.push(runtime.block_on(self.network(miners, &customers, bound, &progress))?);
        }
        drop(progress);
        let report = ArrivalsReport {
            scenario: self.scenario.name.clone(),
            profile: self.profile,
            customers: customers.len(),
            arrival_rate: habits.arrival_rate,
            patience_seconds: habits.patience_seconds,
            last_arrival_seconds: customers.last().map_or(0.0, |last| seconds(last.arrives_ms * 1_000)),
            systems,
            notes: notes(habits, self.profile),
        };
        if !json {
            print(&render(&report))?;
        }
        Ok(report)
    }

    fn habits(&self) -> Result<Habits> {
        let ArrivalArguments { arrival_rate, patience_seconds, period_seconds, .. } = self.arguments;
        #[expect(clippy::cast_precision_loss, reason = "a scenario has far fewer demands than 2^53")]
        let demands = self.scenario.instance.demands.len() as f64;
        let rate = arrival_rate.unwrap_or((demands / ARRIVAL_SECONDS).max(1.0 / ARRIVAL_SECONDS));
        ensure!(
            rate > 0.0 && rate.is_finite() && demands / rate <= SECONDS_MAX,
            "--arrival-rate is {rate}, expected a positive number of customers a second (all within a day)"
        );
        let is_span = |seconds: f64| (0.001..=SECONDS_MAX).contains(&seconds);
        ensure!(
            is_span(*patience_seconds),
            "--patience-seconds is {patience_seconds}, expected 0.001 to {SECONDS_MAX}"
        );
        for period in period_seconds {
            ensure!(is_span(*period), "--period-seconds has {period}, expected 0.001 to {SECONDS_MAX}");
        }
        Ok(Habits { arrival_rate: rate, patience_seconds: *patience_seconds })
    }

    fn central(
        &self,
        period: f64,
        customers: &[Customer],
        bound: Bound,
        progress: &Progress,
    ) -> Result<SystemReport> {
        let system = System::Central { period_seconds: period };
        let name = describe(system);
        let observe = |at_ms: u64| progress.now(format!("{name}: {} s", at_ms / 1_000));
        let period_ms = stream::milliseconds(period);
        let run = periodic::run(self.scenario, self.profile, customers, period_ms, self.rng_seed, &observe)?;
        let PeriodicRun { fates, solution, solves, longest_solve_micros } = run;
        let evaluation = evaluate(&self.scenario.instance, &solution);
        ensure!(
            evaluation.is_feasible(),
            "the centre's solves do not fit together: {}",
            evaluation.violations.first().map(ToString::to_string).unwrap_or_default()
        );
        let service = Service {
            system,
            fates,
            cost: evaluation.cost,
            penalised_cost: evaluation.penalised_cost(&self.scenario.instance),
            orders: self.orders(&solution),
            bound,
            served_bound: self.served_bound(&solution)?,
            rounds: solves,
            cpu_seconds: seconds(longest_solve_micros),
            audit: None,
        };
        let report = SystemReport::new(service, customers);
        note(progress, &report);
        Ok(report)
    }

    async fn network(
        &self,
        miners: usize,
        customers: &[Customer],
        bound: Bound,
        progress: &Progress,
    ) -> Result<SystemReport> {
        let system = System::Network { miners };
        progress.note(&format!("-- {}", describe(system)));
        let name = format!("{}-{:?}-arrivals-{miners}-miners", self.scenario.name, self.profile);
        let plan = LivePlan {
            scenario: self.scenario,
            profile: self.profile,
            miners,
            directory: &self.directory.join(name.to_lowercase()),
            rng_seed: self.rng_seed,
            customers,
        };
        let LiveRun { fates, solution, cost, penalised_cost, batches, cpu_seconds, audit } =
            live::run(plan, progress).await?;
        let service = Service {
            system,
            fates,
            cost,
            penalised_cost,
            orders: self.orders(&solution),
            bound,
            served_bound: self.served_bound(&solution)?,
            rounds: batches,
            cpu_seconds,
            audit: Some(audit),
        };
        let report = SystemReport::new(service, customers);
        note(progress, &report);
        Ok(report)
    }

    fn orders(&self, solution: &Solution) -> usize {
        served(solution).map(|demand| self.scenario.instance.demands[demand].orders.len()).sum()
    }

    /// A bound on serving exactly these demands on the whole supply.
    fn served_bound(&self, solution: &Solution) -> Result<Option<Bound>> {
        let demands: Vec<usize> = served(solution).collect();
        if demands.is_empty() {
            return Ok(None);
        }
        let instance = self.scenario.instance.with_demands(&demands);
        let found = bound(&Scenario { instance, ..self.scenario.clone() });
        found.map(Some).context("no bound on serving those who were served")
    }
}

/// Positions of the demands that a solution serves.
fn served(solution: &Solution) -> impl Iterator<Item = usize> {
    let compositions = solution.compositions.iter().enumerate();
    compositions.filter(|(_, composition)| composition.is_some()).map(|(demand, _)| demand)
}

fn note(progress: &Progress, report: &SystemReport) {
    let SystemReport { served, left, waiting, wait_mean_seconds, .. } = report;
    progress.note(&format!(
        "{}: {served} served after {wait_mean_seconds:.2} s on average, {left} left, {waiting} waiting",
        describe(report.system)
    ));
}
