//! Carries out a node's work: each search on a thread of its own, with a rayon pool of its own.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ga::prices::PriceSearch;
use ga::{Algorithm, Objective, Problem, ProblemError, Search, StopReason, Termination};
use scenarios::settings::Profile;
use scenarios::{Instance, Money, ProviderId, Solution};
use tokio::sync::mpsc::UnboundedSender;

use super::clock::thread_cpu_micros;
use miner_node::{SearchReport, SubProblem, Task, WorkId, WorkReport};

/// A running search reports its incumbent at most this often.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// The searches of one node.
#[derive(Debug)]
pub(super) struct Workers {
    threads: NonZeroUsize,
    reports: UnboundedSender<(WorkId, WorkReport)>,
    running: BTreeMap<WorkId, Handle>,
}

/// How a running search is reached.
#[derive(Clone, Debug, Default)]
struct Handle {
    interrupt: Arc<AtomicBool>,
    order: Arc<Mutex<Option<Order>>>,
}

/// Why a search was interrupted.
#[derive(Debug)]
enum Order {
    Cancel,
    Adapt(Box<Task>),
}

impl Workers {
    /// No work yet; what comes of it will go to `reports`.
    pub(super) const fn new(threads: NonZeroUsize, reports: UnboundedSender<(WorkId, WorkReport)>) -> Self {
        Self { threads, reports, running: BTreeMap::new() }
    }

    /// Begins a piece of work on a new thread.
    pub(super) fn start(&mut self, work: WorkId, task: Task) {
        self.running.retain(|_, handle| handle.is_held());
        let handle = Handle::default();
        self.running.insert(work, handle.clone());
        let (threads, reports) = (self.threads, self.reports.clone());
        let name = format!("search-{}", work.0);
        let job = move || {
            if let Err(error) = carry_out(work, task, threads, &handle, &reports) {
                tracing::error!(%error, "a search could not be carried out");
            }
        };
        if let Err(error) = std::thread::Builder::new().name(name).spawn(job) {
            tracing::error!(%error, "no thread for a search: too many threads or too little memory");
        }
    }

    /// Gives a running search a changed problem.
    pub(super) fn adapt(&self, work: WorkId, task: Task) {
        self.order(work, Order::Adapt(Box::new(task)));
    }

    /// Ends a piece of work; it reports no more.
    pub(super) fn cancel(&mut self, work: WorkId) {
        self.order(work, Order::Cancel);
        self.running.remove(&work);
    }

    /// Ends everything.
    pub(super) fn cancel_all(&mut self) {
        while let Some((&work, _)) = self.running.first_key_value() {
            self.cancel(work);
        }
    }

    fn order(&self, work: WorkId, order: Order) {
        if let Some(handle) = self.running.get(&work) {
            *handle.order.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
            handle.interrupt.store(true, Ordering::Relaxed);
        }
    }
}

impl Handle {
    /// Whether the search that it reaches still runs: its thread holds the other half.
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.interrupt) > 1
    }

    /// The latest order, if there is one; the interrupt is then lowered.
    fn take_order(&self) -> Option<Order> {
        // Lowered first: an order given meanwhile raises it again and is seen at the next look.
        self.interrupt.store(false, Ordering::Relaxed);
        self.order.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why work could not be done: a bug in the node or a machine without room, never a peer's doing.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    #[error("the node gave an impossible problem: {0}")]
    Problem(#[from] ProblemError),
    #[error("no threads for the search: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

fn carry_out(
    work: WorkId,
    task: Task,
    threads: NonZeroUsize,
    handle: &Handle,
    reports: &UnboundedSender<(WorkId, WorkReport)>,
) -> Result<(), WorkError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build()?;
    let send = |report| {
        // A node that has gone no longer listens; the search ends at its next interrupt.
        let _ = reports.send((work, report));
    };
    pool.install(|| match task {
        Task::Compose { problem, profile, settings, rng_seed } => {
            let (profile, termination) = match profile {
                Profile::Paper => (Algorithm::Paper(settings.paper), Termination::paper(&settings.paper)),
                Profile::Hybrid => {
                    (Algorithm::Hybrid(settings.hybrid), Termination::hybrid(&settings.hybrid))
                }
            };
            compose(problem, profile, &termination, rng_seed, handle, &send)
        }
        Task::Amend { problem, standing, settings, generations, rng_seed } => {
            let start = warm_start(&problem, &standing);
            let problem_of_costs = ga_problem(&problem, Objective::Cost)?;
            let profile = Algorithm::Hybrid(settings);
            let mut search = Search::new(problem_of_costs, profile, rng_seed, Some(&start));
            let end = Termination { generations: Some(u64::from(generations)), ..Termination::default() };
            let mut observer = |_: &ga::Progress| ControlFlow::Continue(());
            let outcome = ga::run(&mut search, &end, &mut observer, &handle.interrupt);
            if outcome.reason != StopReason::Cancelled {
                send(WorkReport::Amended(report(&search, &problem, true)));
            }
            Ok(())
        }
        Task::Prices { market, steps } => {
            find_prices(&market, steps, handle, &send);
            Ok(())
        }
    })
}

fn compose(
    mut problem: SubProblem,
    profile: Algorithm,
    termination: &Termination,
    rng_seed: u64,
    handle: &Handle,
    send: &impl Fn(WorkReport),
) -> Result<(), WorkError> {
    let mut search = Search::new(ga_problem(&problem, Objective::PricedCost)?, profile, rng_seed, None);
    let mut started = Instant::now();
    loop {
        // A run holds the search, so the incumbent is read between two slices of it.
        let left = termination.time.map(|limit| limit.saturating_sub(started.elapsed()));
        let is_last_slice = left.is_some_and(|left| left <= REPORT_INTERVAL);
        let time = left.map_or(REPORT_INTERVAL, |left| left.min(REPORT_INTERVAL));
        let slice = Termination { time: Some(time), ..*termination };
        let mut observer = |_: &ga::Progress| ControlFlow::Continue(());
        let outcome = ga::run(&mut search, &slice, &mut observer, &handle.interrupt);
        match handle.take_order() {
            Some(Order::Cancel) => return Ok(()),
            Some(Order::Adapt(task)) => {
                if let Task::Compose { problem: changed, .. } = *task {
                    problem = changed;
                    search.adapt(ga_problem(&problem, Objective::PricedCost)?);
                    started = Instant::now();
                }
                continue;
            }
            None => {}
        }
        let is_over = match outcome.reason {
            StopReason::Time => is_last_slice,
            StopReason::Cancelled | StopReason::Observer => false,
            StopReason::Generations | StopReason::Evaluations | StopReason::TargetGap => true,
        };
        send(WorkReport::Composed(report(&search, &problem, is_over)));
        if is_over {
            return Ok(());
        }
    }
}

fn ga_problem(problem: &SubProblem, objective: Objective) -> Result<Problem, ProblemError> {
    let demands = problem.demands.iter().map(|(_, demand)| demand.clone()).collect();
    let instance = Instance { supply: (*problem.supply).clone(), demands };
    let keys = problem.demands.iter().map(|(id, _)| key_of(*id)).collect();
    let mut whole = Problem::whole(instance)
        .with_capacities(&problem.capacities)?
        .with_prices(problem.prices.clone(), objective)?
        .with_keys(keys)?;
    if let Some(allowed) = &problem.allowed {
        whole = whole.restricted_to(|provider| allowed.contains(&provider));
    }
    Ok(whole)
}

/// A search knows a demand by the first eight bytes of its record's hash.
fn key_of(demand: chain::DemandId) -> u64 {
    let (head, _) = demand.0.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*head)
}

/// What stands, as a solution of the problem; open demands are unserved.
fn warm_start(problem: &SubProblem, standing: &[(chain::DemandId, Vec<ProviderId>)]) -> Solution {
    let standing: BTreeMap<_, _> = standing.iter().map(|(id, providers)| (id, providers)).collect();
    let composition = |id| standing.get(id).map(|&providers| providers.clone());
    Solution { compositions: problem.demands.iter().map(|(id, _)| composition(id)).collect() }
}

fn report(search: &Search, problem: &SubProblem, finished: bool) -> SearchReport {
    let (solution, cost) = search.incumbent();
    let progress = search.progress();
    let mut compositions = Vec::new();
    let mut unserved = Vec::new();
    for ((id, _), composition) in problem.demands.iter().zip(&solution.compositions) {
        match composition {
            Some(providers) => compositions.push((*id, providers.clone())),
            None => unserved.push(*id),
        }
    }
    SearchReport {
        compositions,
        unserved,
        cost,
        generation: progress.generation,
        evaluations: progress.evaluations,
        cpu_micros: pool_cpu_micros(),
        finished,
    }
}

/// CPU time of all threads of the rayon pool that this is called in, in microseconds.
pub fn pool_cpu_micros() -> u64 {
    rayon::broadcast(|_| thread_cpu_micros()).iter().sum()
}

fn find_prices(market: &SubProblem, steps: u32, handle: &Handle, send: &impl Fn(WorkReport)) {
    let demands: Vec<_> = market.demands.iter().map(|(_, demand)| demand.clone()).collect();
    let mut search = PriceSearch::new(&market.supply, &demands, &market.capacities, &market.prices);
    for _ in 0..steps {
        if !search.step(&handle.interrupt) {
            return;
        }
    }
    let best = search.best();
    let (prices, bound) = best.map_or((market.prices.clone(), Money::ZERO), |best| (best.prices, best.bound));
    send(WorkReport::Priced { prices, bound, cpu_micros: pool_cpu_micros() });
}

/// Runs `search` on a rayon pool of so many threads and gives back what it returns and the CPU time they took
/// together, in microseconds: the measure that stays comparable when many searches share few cores.
///
/// # Errors
/// If the system grants no threads.
pub fn search_on_threads<T: Send>(
    threads: NonZeroUsize,
    search: impl FnOnce() -> T + Send,
) -> Result<(T, u64), rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build()?;
    Ok(pool.install(|| {
        let before = pool_cpu_micros();
        let result = search();
        (result, pool_cpu_micros() - before)
    }))
}
