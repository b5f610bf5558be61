//! The centralised baseline: the same algorithm on the whole market.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ga::exact::optimum;
use ga::prices::find_prices;
use ga::{Algorithm, CentralPlan, Flags, Progress, solve_centrally};
use scenarios::settings::Profile;
use scenarios::{DualPrices, Scenario, evaluate};

use super::report::{Bound, CentralRun};
use crate::driver::search_on_threads;

/// Price steps for the bound that the table shows: more than any miner takes, so that no gap is due to it.
const BOUND_STEPS: u32 = 800;

/// The exact optimum where capacities do not bind, a certified bound otherwise.
///
/// # Errors
/// If a demand cannot be served at all, or the bound leaves the range of money.
pub fn bound(scenario: &Scenario) -> Result<Bound> {
    let instance = &scenario.instance;
    if is_uncapacitated(scenario) {
        let value = optimum(instance).context("some demand asks for an operation that nobody offers")?;
        return Ok(Bound { value, is_exact: true });
    }
    let (start, cancel) = (DualPrices::zero(), AtomicBool::new(false));
    let capacities = instance.supply.capacities();
    let found = find_prices(&instance.supply, &instance.demands, &capacities, &start, BOUND_STEPS, &cancel)?;
    Ok(Bound { value: found.bound, is_exact: false })
}

/// Whether no provider has a capacity and no budget can bind a shortest path.
pub fn is_uncapacitated(scenario: &Scenario) -> bool {
    scenario.instance.supply.providers.iter().all(|provider| provider.capacity.is_none())
}

/// Runs the centralised search, showing its progress.
///
/// # Errors
/// If the solution it returns is not what it says: the independent evaluator decides.
pub fn run(
    scenario: &Scenario,
    profile: Profile,
    rng_seed: u64,
    threads: NonZeroUsize,
    observe: &(dyn Fn(&Progress) + Sync),
) -> Result<CentralRun> {
    // The published algorithm has nothing to share out.
    let threads = if profile == Profile::Paper { NonZeroUsize::MIN } else { threads };
    let started = Instant::now();
    let (outcome, cpu_micros) = search_on_threads(threads, || search(scenario, profile, rng_seed, observe))?;
    let (solution, evaluations) = outcome?;
    let wall_seconds = started.elapsed().as_secs_f64();
    let evaluation = evaluate(&scenario.instance, &solution);
    ensure!(
        evaluation.is_feasible(),
        "the central search returned an infeasible solution: {}",
        evaluation.violations.first().map(ToString::to_string).unwrap_or_default()
    );
    Ok(CentralRun {
        cost: evaluation.cost,
        unserved: evaluation.unserved.len(),
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
) -> Result<(scenarios::Solution, u64)> {
    let settings = &scenario.search;
    // The published algorithm knows no prices.
    let price_steps = if profile == Profile::Paper { 0 } else { settings.hybrid.subgradient_steps };
    let plan = CentralPlan::of(Algorithm::of(profile, settings), rng_seed, price_steps);
    let mut observer = |search: &ga::Search| observe(&search.progress());
    let outcome = solve_centrally(&scenario.instance, &plan, &mut observer, &Flags::default())?;
    Ok((outcome.solution, outcome.progress.evaluations))
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
