//! Searches on virtual time: the real solver with small settings, a few generations at a time.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use chain::DemandId;
use ga::{Algorithm, Objective, PriceSearch, Problem, ProblemError, Search, Termination};
use miner_node::{SearchReport, SubProblem, Task, WorkId, WorkReport};
use scenarios::{Instance, Money, ProviderId, Solution, Supply};

/// Virtual time that one generation takes, in milliseconds.
const GENERATION_MS: u64 = 40;
/// Generations between two reports.
const GENERATIONS_PER_REPORT: u64 = 3;
/// Virtual time of one step of the price method, in milliseconds.
const PRICE_STEP_MS: u64 = 5;

/// The searches of one node.
#[derive(Debug, Default)]
pub(super) struct Workbench(BTreeMap<WorkId, Job>);

#[derive(Debug)]
enum Job {
    Compose(Box<Composing>),
    Amend(Box<Composing>),
    Prices { market: SubProblem, steps: u32 },
}

#[derive(Debug)]
struct Composing {
    search: Search,
    problem: SubProblem,
    termination: Termination,
}

impl Workbench {
    /// Begins a piece of work; the virtual time until its first report.
    pub(super) fn start(&mut self, work: WorkId, task: Task) -> Result<u64, ProblemError> {
        let (job, delay_ms) = match task {
            Task::Compose { problem, profile, settings, rng_seed } => {
                let profile = Algorithm::of(profile, &settings);
                let termination = Termination { time: None, ..Termination::of(&profile) };
                let search =
                    Search::new(ga_problem(&problem, Objective::PricedCost)?, profile, rng_seed, None);
                (Job::Compose(Box::new(Composing { search, problem, termination })), slice_ms())
            }
            Task::Amend { problem, standing, settings, generations, rng_seed } => {
                let start = warm_start(&problem, &standing);
                let profile = Algorithm::Hybrid(settings);
                let generations = u64::from(generations);
                let termination = Termination { generations: Some(generations), ..Termination::default() };
                let search =
                    Search::new(ga_problem(&problem, Objective::Cost)?, profile, rng_seed, Some(&start));
                let job = Job::Amend(Box::new(Composing { search, problem, termination }));
                (job, GENERATION_MS * generations.max(1))
            }
            Task::Prices { market, steps } => {
                (Job::Prices { market, steps }, PRICE_STEP_MS * u64::from(steps.max(1)))
            }
        };
        self.0.insert(work, job);
        Ok(delay_ms)
    }

    /// Gives a running search a changed problem.
    pub(super) fn adapt(&mut self, work: WorkId, task: Task) -> Result<(), ProblemError> {
        if let (Some(Job::Compose(composing)), Task::Compose { problem, .. }) = (self.0.get_mut(&work), task)
        {
            composing.search.adapt(ga_problem(&problem, Objective::PricedCost)?);
            composing.problem = problem;
        }
        Ok(())
    }

    /// Ends a piece of work.
    pub(super) fn cancel(&mut self, work: WorkId) {
        self.0.remove(&work);
    }

    /// Works on: the report, and the virtual time until the next one, if it is not over.
    pub(super) fn report(&mut self, work: WorkId) -> Option<(WorkReport, Option<u64>)> {
        match self.0.get_mut(&work)? {
            Job::Compose(composing) => {
                let report = composing.work_on();
                let is_over = report.finished;
                if is_over {
                    self.0.remove(&work);
                }
                Some((WorkReport::Composed(report), (!is_over).then(slice_ms)))
            }
            Job::Amend(amending) => {
                while !amending.work_on().finished {}
                let report = amending.report(true);
                self.0.remove(&work);
                Some((WorkReport::Amended(report), None))
            }
            Job::Prices { market, steps } => {
                let report = find_prices(market, *steps);
                self.0.remove(&work);
                Some((report, None))
            }
        }
    }
}

const fn slice_ms() -> u64 {
    GENERATION_MS * GENERATIONS_PER_REPORT
}

impl Composing {
    fn work_on(&mut self) -> SearchReport {
        let never = AtomicBool::new(false);
        let mut finished = self.is_over();
        for _ in 0..GENERATIONS_PER_REPORT {
            if finished {
                break;
            }
            self.search.step(&never);
            finished = self.is_over();
        }
        self.report(finished)
    }

    fn report(&self, finished: bool) -> SearchReport {
        let (solution, cost) = self.search.incumbent();
        let progress = self.search.progress();
        let (mut compositions, mut unserved) = (Vec::new(), Vec::new());
        for ((id, _), composition) in self.problem.demands.iter().zip(&solution.compositions) {
            match composition {
                Some(providers) => compositions.push((*id, providers.clone())),
                None => unserved.push(*id),
            }
        }
        let (generation, evaluations) = (progress.generation, progress.evaluations);
        SearchReport { compositions, unserved, cost, generation, evaluations, cpu_micros: 0, finished }
    }

    fn is_over(&self) -> bool {
        let progress = self.search.progress();
        let Termination { generations, target_gap_ppm, .. } = self.termination;
        let close = progress.gap_ppm().is_some_and(|gap| target_gap_ppm.is_some_and(|target| gap <= target));
        close || generations.is_some_and(|limit| progress.generation >= limit)
    }
}

fn find_prices(market: &SubProblem, steps: u32) -> WorkReport {
    let demands: Vec<_> = market.demands.iter().map(|(_, demand)| demand.clone()).collect();
    let mut search = PriceSearch::new(&market.supply, &demands, &market.capacities, &market.prices);
    let never = AtomicBool::new(false);
    for _ in 0..steps {
        search.step(&never);
    }
    let best = search.best();
    let (prices, bound) = best.map_or((market.prices.clone(), Money::ZERO), |best| (best.prices, best.bound));
    WorkReport::Priced { prices, bound, cpu_micros: 0 }
}

/// What stands, as a solution of the problem; open demands are unserved.
fn warm_start(problem: &SubProblem, standing: &[(DemandId, Vec<ProviderId>)]) -> Solution {
    let standing: BTreeMap<_, _> = standing.iter().map(|(id, providers)| (id, providers)).collect();
    let composition = |id| standing.get(id).map(|&providers| providers.clone());
    Solution { compositions: problem.demands.iter().map(|(id, _)| composition(id)).collect() }
}

fn ga_problem(problem: &SubProblem, objective: Objective) -> Result<Problem, ProblemError> {
    let demands = problem.demands.iter().map(|(_, demand)| demand.clone()).collect();
    let instance = Instance { supply: Supply::clone(&problem.supply), demands };
    let whole = Problem::whole(instance)
        .with_capacities(&problem.capacities)?
        .with_prices(problem.prices.clone(), objective)?
        .with_keys(problem.demands.iter().map(|(id, _)| key_of(*id)).collect())?;
    Ok(match &problem.allowed {
        Some(allowed) => whole.restricted_to(|provider| allowed.contains(&provider)),
        None => whole,
    })
}

/// A search knows a demand by the first bytes of its record's hash.
fn key_of(demand: DemandId) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|place| demand.0.0[place]))
}
