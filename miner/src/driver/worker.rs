//! Carries out a node's work: each piece on a thread of its own, with a rayon pool of its own, by the clock. Whatever
//! happens to it, the node hears how it ended.

use std::any::Any;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ga::{StopReason, Workbench};
use scenarios::work::{Adaptation, Failure, Report, Work};
use tokio::sync::mpsc::UnboundedSender;

use super::clock::thread_cpu_micros;
use miner_node::WorkId;

/// A running search reports its incumbent at most this often.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// The searches of one node.
#[derive(Debug)]
pub(super) struct Workers {
    threads: NonZeroUsize,
    reports: UnboundedSender<(WorkId, Report)>,
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
    Adapt(Box<Adaptation>),
}

impl Workers {
    /// No work yet; what comes of it will go to `reports`.
    pub(super) const fn new(threads: NonZeroUsize, reports: UnboundedSender<(WorkId, Report)>) -> Self {
        Self { threads, reports, running: BTreeMap::new() }
    }

    /// Begins a piece of work on a new thread.
    pub(super) fn start(&mut self, id: WorkId, work: Work) {
        let threads = self.threads;
        self.begin(id, move |handle, send| carry_out(work, threads, handle, send));
    }

    /// Begins a job on a new thread. If it fails or panics, or there is no thread, that is reported.
    fn begin<J>(&mut self, id: WorkId, job: J)
    where
        J: FnOnce(&Handle, &(dyn Fn(Report) + Sync)) -> Result<(), Failure> + Send + 'static,
    {
        self.running.retain(|_, handle| handle.is_held());
        let handle = Handle::default();
        self.running.insert(id, handle.clone());
        let reports = self.reports.clone();
        let thread = std::thread::Builder::new().name(format!("search-{}", id.0)).spawn(move || {
            // A node that has gone no longer listens; the search ends at its next interrupt.
            let send = |report| drop(reports.send((id, report)));
            // What a panic leaves behind is dropped with the job; only the report gets out.
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&handle, &send)))
                .unwrap_or_else(|panic| Err(Failure::Panicked(message_of(panic.as_ref()))));
            if let Err(reason) = outcome {
                send(Report::Failed { reason });
            }
        });
        if let Err(error) = thread {
            let reason = Failure::NoThreads(error.to_string());
            // As above.
            let _ = self.reports.send((id, Report::Failed { reason }));
        }
    }

    /// Gives a running search a changed problem.
    pub(super) fn adapt(&self, id: WorkId, adaptation: Box<Adaptation>) {
        self.order(id, Order::Adapt(adaptation));
    }

    /// Ends a piece of work; it reports no more.
    pub(super) fn cancel(&mut self, id: WorkId) {
        self.order(id, Order::Cancel);
        self.running.remove(&id);
    }

    /// Ends everything.
    pub(super) fn cancel_all(&mut self) {
        while let Some((&id, _)) = self.running.first_key_value() {
            self.cancel(id);
        }
    }

    fn order(&self, id: WorkId, order: Order) {
        if let Some(handle) = self.running.get(&id) {
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

    /// The latest order, if there is one; the interrupt is then lowered. An adaptation takes the place of an earlier
    /// one: both are about the work as it was started.
    fn take_order(&self) -> Option<Order> {
        // Lowered first: an order given meanwhile raises it again and is seen at the next look.
        self.interrupt.store(false, Ordering::Relaxed);
        self.order.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Works until the work is over, keeping its deadline, and reports now and then.
fn carry_out(
    work: Work,
    threads: NonZeroUsize,
    handle: &Handle,
    send: &(dyn Fn(Report) + Sync),
) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build();
    let pool = pool.map_err(|error| Failure::NoThreads(error.to_string()))?;
    pool.install(|| {
        let limit = work.termination.time_ms.map(Duration::from_millis);
        let mut bench = Workbench::start(work)?;
        let mut started = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
            let is_last_slice = left.is_some_and(|left| left <= REPORT_INTERVAL);
            let slice = left.map_or(REPORT_INTERVAL, |left| left.min(REPORT_INTERVAL));
            let outcome =
                ga::run(&mut bench, Some(slice), &mut |_| ControlFlow::Continue(()), &handle.interrupt);
            match handle.take_order() {
                Some(Order::Cancel) => return Ok(()),
                Some(Order::Adapt(adaptation)) => {
                    bench.adapt(&adaptation)?;
                    started = Instant::now();
                    continue;
                }
                None => {}
            }
            let is_over = match outcome.reason {
                StopReason::Time => is_last_slice,
                StopReason::Cancelled | StopReason::Observer => false,
                StopReason::Generations | StopReason::Evaluations | StopReason::TargetGap => true,
            };
            if is_over {
                send(bench.conclude().with_cpu_micros(pool_cpu_micros()));
                return Ok(());
            }
            if let Some(report) = bench.report() {
                send(report.with_cpu_micros(pool_cpu_micros()));
            }
        }
    })
}

/// What a panic said.
pub(super) fn message_of(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().map(|&said| said.to_owned());
    said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

/// CPU time of all threads of the rayon pool that this is called in, in microseconds.
pub fn pool_cpu_micros() -> u64 {
    rayon::broadcast(|_| thread_cpu_micros()).iter().sum()
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

#[cfg(test)]
mod tests {
    use scenarios::generate::{GenerateParameters, generate};
    use scenarios::settings::HybridGaSettings;
    use scenarios::work::{Algorithm, Goal, Objective, Resources, SubProblem, Termination};
    use scenarios::{DualPrices, SharedSupply};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    const ID: WorkId = WorkId(7);

    fn workers() -> (Workers, UnboundedReceiver<(WorkId, Report)>) {
        let (sender, reports) = unbounded_channel();
        (Workers::new(NonZeroUsize::MIN, sender), reports)
    }

    /// Composes the smallest Tehran market, without an end.
    fn endless() -> Work {
        let instance = generate(&GenerateParameters::tehran(1, true).unwrap()).unwrap().instance;
        let (supply, prices) = (SharedSupply::new(instance.supply), DualPrices::zero());
        let capacities = supply.capacities();
        let resources = Resources { supply, capacities, prices, allowed: None };
        let algorithm = Algorithm::Hybrid(HybridGaSettings::default());
        Work {
            goal: Goal::Compose { algorithm, objective: Objective::PricedCost },
            problem: SubProblem::new(instance.demands, resources),
            termination: Termination::default(),
            rng_seed: 1,
        }
    }

    #[test]
    fn a_search_that_panics_is_reported_as_failed() {
        let (mut workers, mut reports) = workers();
        workers.begin(ID, |_, _| panic!("a bug in a solver"));
        let reason = Failure::Panicked("a bug in a solver".into());
        assert_eq!(reports.blocking_recv(), Some((ID, Report::Failed { reason })));
    }

    #[test]
    fn a_panic_on_a_thread_of_the_pool_is_reported_as_failed() {
        let (mut workers, mut reports) = workers();
        workers.begin(ID, |_, _| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            pool.install(|| rayon::join(|| (), || panic!("number {}", 2)));
            Ok(())
        });
        let reason = Failure::Panicked("number 2".into());
        assert_eq!(reports.blocking_recv(), Some((ID, Report::Failed { reason })));
    }

    #[test]
    fn work_that_contradicts_itself_is_reported_as_failed() {
        let (mut workers, mut reports) = workers();
        let mut work = endless();
        let expected = work.problem.resources.capacities.len();
        work.problem.resources.capacities.pop();
        workers.start(ID, work);
        let reason = Failure::CapacityCount { got: expected - 1, expected };
        assert_eq!(reports.blocking_recv(), Some((ID, Report::Failed { reason })));
    }

    #[test]
    fn a_search_tells_its_incumbent_until_its_deadline_and_then_finishes() {
        let (mut workers, mut reports) = workers();
        let mut work = endless();
        work.termination.time_ms = Some(600);
        workers.start(ID, work);
        assert!(matches!(reports.blocking_recv(), Some((ID, Report::Searching(_)))));
        let last = std::iter::from_fn(|| reports.blocking_recv())
            .find(|(_, report)| !matches!(report, Report::Searching(_)));
        let Some((_, Report::Finished(incumbent))) = last else { panic!("{last:?}") };
        assert!(incumbent.generation > 0 && incumbent.solution.compositions.iter().any(Option::is_some));
    }

    #[test]
    fn an_adapted_search_goes_on_with_the_demands_that_are_left_and_a_cancelled_one_is_silent() {
        let (mut workers, mut reports) = workers();
        let work = endless();
        let resources = work.problem.resources.clone();
        workers.start(ID, work);
        assert!(matches!(reports.blocking_recv(), Some((ID, Report::Searching(_)))));
        workers.adapt(ID, Box::new(Adaptation { left: [3].into(), resources: resources.clone() }));
        let composed = |report: Report| match report {
            Report::Searching(incumbent) => {
                let compositions = incumbent.solution.compositions.into_iter().enumerate();
                compositions.filter(|(_, composition)| composition.is_some()).map(|(at, _)| at).collect()
            }
            other @ (Report::Finished(_) | Report::Prices { .. } | Report::Failed { .. }) => {
                panic!("{other:?}")
            }
        };
        let left = std::iter::from_fn(|| reports.blocking_recv()).map(|(_, report)| composed(report));
        assert!(left.take(1_000).any(|left: Vec<usize>| left == [3]));
        workers.adapt(ID, Box::new(Adaptation { left: [1_000_000].into(), resources }));
        let last = std::iter::from_fn(|| reports.blocking_recv())
            .find(|(_, report)| !matches!(report, Report::Searching(_)));
        assert!(matches!(
            last,
            Some((ID, Report::Failed { reason: Failure::UnknownDemand { got: 1_000_000, .. } }))
        ));

        workers.start(ID, endless());
        workers.cancel(ID);
        drop(workers);
        // The channel closes when the search has ended.
        assert!(
            std::iter::from_fn(|| reports.blocking_recv())
                .all(|(_, report)| matches!(report, Report::Searching(_)))
        );
    }
}
