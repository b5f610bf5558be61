//! A whole market solved in one place: dual prices within a share of the time, then the search. What `miner solve`,
//! the centre that networks are compared with and every benchmark do; each says when to stop.
#![expect(clippy::disallowed_types, reason = "one of the two places that read the clock")]

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use scenarios::bound::dual_bound;
use scenarios::work::{Algorithm, Failure, Goal, Objective, Resources, SubProblem, Termination, Work};
use scenarios::{DualPrices, Instance, Money, PriceError, SharedSupply, Solution};

use crate::prices::PricedBound;
use crate::run::{StopReason, run};
use crate::search::{Progress, Search};
use crate::workbench::Workbench;

/// The share of the time that finding dual prices may take.
const PRICE_SHARE: f64 = 0.2;

/// How a market is solved.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct CentralPlan {
    pub algorithm: Algorithm,
    /// Fixes every random choice.
    pub rng_seed: u64,
    /// Ends the search; its time is that of the search alone.
    pub termination: Termination,
    /// Steps of the price method, from no prices at all. One is enough where nothing is scarce; with none there are
    /// no prices, and a search that guides itself by nothing is not stopped at the optimum.
    pub price_steps: u32,
    /// Wall time for everything; a share of it goes to the prices, of which the first step is always made.
    pub time: Option<Duration>,
    /// A search that finds nothing better for this long ends.
    pub stall: Option<Duration>,
    /// Where the search begins.
    pub warm_start: Option<Solution>,
}

impl CentralPlan {
    /// With this algorithm to the end that its own settings say.
    pub fn of(algorithm: Algorithm, rng_seed: u64, price_steps: u32) -> Self {
        Self {
            algorithm,
            rng_seed,
            termination: Termination::of(&algorithm),
            price_steps,
            time: None,
            stall: None,
            warm_start: None,
        }
    }

    /// The most that finding dual prices may take of the time.
    pub fn price_time(&self) -> Option<Duration> {
        self.time.map(|time| time.mul_f64(PRICE_SHARE))
    }
}

/// Set from another thread to end a phase at once, also in the middle of a step.
#[derive(Debug, Default)]
pub struct Flags {
    /// No more time is to be spent on prices.
    pub stop_pricing: AtomicBool,
    /// The search is to end.
    pub stop: AtomicBool,
}

/// Why a central search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedBy {
    /// A limit of the search, or of the time.
    Limit(StopReason),
    /// The incumbent costs no more than the certified bound.
    Optimum,
    /// Nothing better was found for too long.
    Stall,
}

/// What came of it.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct CentralOutcome {
    /// The best solution found; always feasible.
    pub solution: Solution,
    /// The prices that guided the search.
    pub prices: DualPrices,
    /// The bound they certify, by the judge's own oracle; `None` if no prices were looked for.
    pub bound: Option<Money>,
    /// Where the search stood at its end.
    pub progress: Progress,
    pub stopped_by: StoppedBy,
    /// Wall time of finding prices.
    pub price_time: Duration,
    /// Wall time of the search.
    pub search_time: Duration,
}

/// Solves a market; the observer sees the search before its first generation and after each.
///
/// # Errors
/// If the instance is no market: its bound leaves the range of money.
pub fn solve_centrally(
    instance: &Instance,
    plan: &CentralPlan,
    observer: &mut dyn FnMut(&Search),
    flags: &Flags,
) -> Result<CentralOutcome, Failure> {
    let begin = Instant::now();
    let supply = SharedSupply::new(instance.supply.clone());
    let capacities = supply.capacities();
    let resources = Resources { supply, capacities, prices: DualPrices::zero(), allowed: None };
    let mut problem = SubProblem::new(instance.demands.clone(), resources);
    let mut bound = None;
    if plan.price_steps > 0 {
        let found = find_prices(&problem, plan, flags)?;
        problem.resources.prices = found.prices;
        bound = Some(found.bound);
    }
    let prices = problem.resources.prices.clone();
    let price_time = begin.elapsed();
    if let Some(solution) = &plan.warm_start {
        problem.incumbent.clone_from(solution);
    }
    let goal = Goal::Compose { algorithm: plan.algorithm, objective: Objective::Cost };
    let (termination, rng_seed) = (plan.termination, plan.rng_seed);
    let mut bench = Workbench::start(Work { goal, problem, termination, rng_seed })?;
    if let Some(search) = bench.search() {
        observer(search);
    }
    let mut end = None;
    let mut stall = Stall { limit: plan.stall, best: None };
    let mut look = |bench: &Workbench| {
        let Some(search) = bench.search() else { return ControlFlow::Continue(()) };
        observer(search);
        let cost = search.incumbent().1;
        if bound.is_some_and(|bound| cost <= bound) {
            end = Some(StoppedBy::Optimum);
        } else if stall.is_over(cost) {
            end = Some(StoppedBy::Stall);
        }
        if end.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let left = plan.time.map(|time| time.saturating_sub(begin.elapsed()));
    let own = termination.time_ms.map(Duration::from_millis);
    let time = left.into_iter().chain(own).min();
    let outcome = run(&mut bench, time, &mut look, &flags.stop);
    let search = bench.search().expect("composing work is a search");
    Ok(CentralOutcome {
        solution: search.incumbent().0.clone(),
        prices,
        bound,
        progress: search.progress(),
        stopped_by: end.unwrap_or(StoppedBy::Limit(outcome.reason)),
        price_time,
        search_time: outcome.elapsed,
    })
}

/// The best prices, and their bound as everybody else will compute it.
fn find_prices(problem: &SubProblem, plan: &CentralPlan, flags: &Flags) -> Result<PricedBound, Failure> {
    let begin = Instant::now();
    let termination =
        Termination { generations: Some(u64::from(plan.price_steps)), ..Termination::default() };
    let work = Work { goal: Goal::FindPrices, problem: problem.clone(), termination, rng_seed: 0 };
    let mut bench = Workbench::start(work)?;
    bench.step(&AtomicBool::new(false));
    let time = plan.price_time().map(|time| time.saturating_sub(begin.elapsed()));
    run(&mut bench, time, &mut |_| ControlFlow::Continue(()), &flags.stop_pricing);
    let prices = bench.prices().ok_or(PriceError::BoundOverflow)?.prices;
    let Resources { supply, capacities, .. } = &problem.resources;
    let bound = dual_bound(&supply.oracle(), &problem.demands, capacities, &prices)?;
    Ok(PricedBound { prices, bound })
}

/// How long nothing better was found.
struct Stall {
    limit: Option<Duration>,
    best: Option<(Money, Instant)>,
}

impl Stall {
    fn is_over(&mut self, cost: Money) -> bool {
        let (best, since) = *self.best.get_or_insert((cost, Instant::now()));
        if cost < best {
            self.best = Some((cost, Instant::now()));
            return false;
        }
        self.limit.is_some_and(|limit| since.elapsed() >= limit)
    }
}
