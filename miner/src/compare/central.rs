//! The centralised baseline: the same algorithm on the whole market.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Result, ensure};
use ga::prices::find_prices;
use ga::{Algorithm, CentralPlan, Flags, Progress, solve_centrally};
use scenarios::bound::dual_bound;
use scenarios::settings::Profile;
use scenarios::unserved::explain;
use scenarios::{DualPrices, Instance, Oracle, Scenario, Solution, evaluate};

use super::report::{Bound, CentralRun, Incumbent};
use crate::driver::{pool_cpu_micros, search_on_threads};

/// Price steps for the bound that the table shows: more than any miner takes, so that no gap is due to it.
const BOUND_STEPS: u32 = 800;

/// What no plan costs less than, the budgets of the demands it leaves unserved included: the exact optimum where no
/// capacity is limited, a certified bound otherwise.
///
/// # Errors
/// If the bound leaves the range of money.
pub fn bound(scenario: &Scenario) -> Result<Bound> {
    let Instance { supply, demands } = &scenario.instance;
    if is_uncapacitated(scenario) {
        let (oracle, prices) = (Oracle::new(supply), DualPrices::zero());
        let value = dual_bound(&oracle, demands, &supply.capacities(), &prices)?;
        return Ok(Bound { value, is_exact: true });
    }
    let (start, cancel) = (DualPrices::zero(), AtomicBool::new(false));
    let found = find_prices(supply, demands, &supply.capacities(), &start, BOUND_STEPS, &cancel)?;
    Ok(Bound { value: found.bound, is_exact: false })
}

/// Whether no provider has a capacity.
pub fn is_uncapacitated(scenario: &Scenario) -> bool {
    scenario.instance.supply.providers.iter().all(|provider| provider.capacity.is_none())
}

/// Runs the centralised search, showing its progress; its gap is to `bound`.
///
/// # Errors
/// If the solution it returns is not what it says: the independent evaluator decides.
pub fn run(
    scenario: &Scenario,
    profile: Profile,
    rng_seed: u64,
    threads: NonZeroUsize,
    bound: &Bound,
    observe: &(dyn Fn(&Progress) + Sync),
) -> Result<CentralRun> {
    // The published algorithm has nothing to share out.
    let threads = if profile == Profile::Paper { NonZeroUsize::MIN } else { threads };
    let started = Instant::now();
    let (outcome, cpu_micros) = search_on_threads(threads, || search(scenario, profile, rng_seed, observe))?;
    let (solution, evaluations, incumbents) = outcome?;
    let wall_seconds = started.elapsed().as_secs_f64();
    let evaluation = evaluate(&scenario.instance, &solution);
    ensure!(
        evaluation.is_feasible(),
        "the central search returned an infeasible solution: {}",
        evaluation.violations.first().map(ToString::to_string).unwrap_or_default()
    );
    let penalised_cost = evaluation.penalised_cost(&scenario.instance);
    Ok(CentralRun {
        cost: evaluation.cost,
        penalised_cost,
        gap_percent: bound.gap_percent(penalised_cost),
        unserved: explain(scenario, &evaluation),
        incumbents,
        cpu_seconds: seconds(cpu_micros),
        wall_seconds,
        evaluations,
    })
}

fn search(
    scenario: &Scenario,
    profile: Profile,
    rng_seed: u64,
    observe: &(dyn Fn(&Progress) + Sync),
) -> Result<(Solution, u64, Vec<Incumbent>)> {
    let mut trajectory = Trajectory::begin();
    let settings = &scenario.search;
    // The published algorithm knows no prices.
    let price_steps = if profile == Profile::Paper { 0 } else { settings.hybrid.subgradient_steps };
    let plan = CentralPlan::of(Algorithm::of(profile, settings), rng_seed, price_steps);
    let mut observer = |search: &ga::Search| {
        let progress = search.progress();
        observe(&progress);
        trajectory.note(&progress);
    };
    let outcome = solve_centrally(&scenario.instance, &plan, &mut observer, &Flags::default())?;
    Ok((outcome.solution, outcome.progress.evaluations, trajectory.incumbents))
}

/// The incumbents of a search, and what each took since it began.
struct Trajectory {
    begin: Instant,
    cpu_micros: u64,
    incumbents: Vec<Incumbent>,
}

impl Trajectory {
    /// Starts the clocks; to be called in the pool that searches.
    fn begin() -> Self {
        Self { begin: Instant::now(), cpu_micros: pool_cpu_micros(), incumbents: Vec::new() }
    }

    /// Takes an incumbent in if it is cheaper than the last.
    fn note(&mut self, progress: &Progress) {
        let penalised_cost = progress.cost;
        if self.incumbents.last().is_none_or(|last| penalised_cost < last.penalised_cost) {
            let (wall_seconds, cpu_micros) = (self.begin.elapsed().as_secs_f64(), pool_cpu_micros());
            let cpu_seconds = seconds(cpu_micros.saturating_sub(self.cpu_micros));
            self.incumbents.push(Incumbent { penalised_cost, wall_seconds, cpu_seconds });
        }
    }
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
