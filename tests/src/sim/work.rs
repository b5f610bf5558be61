//! Searches on virtual time: the real solver with small settings, a few generations at a time.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use ga::Workbench;
use miner_node::WorkId;
use scenarios::work::{Adaptation, Failure, Goal, Report, Work};

/// Virtual time that one generation takes for each demand, and at least, in milliseconds.
const DEMAND_MS: u64 = 4;
const GENERATION_MS: u64 = 40;
/// Generations between two reports.
const GENERATIONS_PER_REPORT: u64 = 3;
/// Virtual time of one step of the price method, in milliseconds.
const PRICE_STEP_MS: u64 = 5;

/// The searches of one node.
#[derive(Debug)]
pub(super) struct Workshop {
    jobs: BTreeMap<WorkId, Job>,
    /// Every search breaks down.
    fails: bool,
}

#[derive(Debug)]
enum Job {
    /// So many generations or steps at a time, which take so long.
    Running(Box<Workbench>, u64, u64),
    /// Ended already; its report is still to come.
    Ended(Report),
}

impl Workshop {
    /// One without work; `fails` says that every search breaks down.
    pub(super) const fn new(fails: bool) -> Self {
        Self { jobs: BTreeMap::new(), fails }
    }

    /// Begins a piece of work; the virtual time until its first report.
    pub(super) fn start(&mut self, id: WorkId, work: Work) -> u64 {
        let all = work.termination.generations.unwrap_or(1).max(1);
        let demands = u64::try_from(work.problem.demands.len()).unwrap_or(u64::MAX);
        let generation_ms = GENERATION_MS.max(DEMAND_MS.saturating_mul(demands));
        let (slice, step_ms) = match work.goal {
            Goal::Compose { .. } => (GENERATIONS_PER_REPORT, generation_ms),
            Goal::Amend { .. } => (all, generation_ms),
            Goal::FindPrices => (all, PRICE_STEP_MS),
        };
        let job = match self.bench(work) {
            Ok(bench) => Job::Running(Box::new(bench), slice, slice * step_ms),
            Err(reason) => Job::Ended(Report::Failed { reason }),
        };
        self.jobs.insert(id, job);
        slice * step_ms
    }

    fn bench(&self, work: Work) -> Result<Workbench, Failure> {
        if self.fails { Err(Failure::Panicked("as told".into())) } else { Workbench::start(work) }
    }

    /// Gives a running search a changed problem.
    pub(super) fn adapt(&mut self, id: WorkId, adaptation: &Adaptation) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Job::Running(bench, ..) = job
            && let Err(reason) = bench.adapt(adaptation)
        {
            *job = Job::Ended(Report::Failed { reason });
        }
    }

    /// Ends a piece of work.
    pub(super) fn cancel(&mut self, id: WorkId) {
        self.jobs.remove(&id);
    }

    /// Works on: the report, and the virtual time until the next one, if it is not over.
    pub(super) fn report(&mut self, id: WorkId) -> Option<(Report, Option<u64>)> {
        let (mut bench, slice, slice_ms) = match self.jobs.remove(&id)? {
            Job::Running(bench, slice, slice_ms) => (bench, slice, slice_ms),
            Job::Ended(report) => return Some((report, None)),
        };
        let never = AtomicBool::new(false);
        for _ in 0..slice {
            if bench.ended().is_some() {
                break;
            }
            bench.step(&never);
        }
        match bench.report() {
            Some(report) if bench.ended().is_none() => {
                self.jobs.insert(id, Job::Running(bench, slice, slice_ms));
                Some((report, Some(slice_ms)))
            }
            Some(_) | None => Some((bench.conclude(), None)),
        }
    }
}
