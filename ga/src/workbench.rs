//! Carries out one piece of [`Work`], step by step: what a node's threads, a simulator's virtual time and a central
//! solve have in common. No clock is here; `run` works on a bench for some time, and whoever carries work out on
//! behalf of a market keeps its deadline.

use std::sync::atomic::AtomicBool;

use scenarios::work::{
    Adaptation, Algorithm, Failure, Goal, Incumbent, Objective, Report, SubProblem, Termination, Work,
};
use scenarios::{Demand, PriceError, Solution};

use crate::prices::{PriceSearch, PricedBound};
use crate::problem::Problem;
use crate::run::StopReason;
use crate::search::{Progress, Search};

/// A piece of work under way.
#[derive(Clone, Debug)]
pub struct Workbench {
    termination: Termination,
    job: Job,
}

#[derive(Clone, Debug)]
enum Job {
    Search(Box<Composing>),
    Prices { search: Box<PriceSearch>, steps: u64 },
}

/// A search, and what its positions mean to whoever gave the work.
#[derive(Clone, Debug)]
struct Composing {
    search: Search,
    objective: Objective,
    /// Of the work as it was started.
    demands: Vec<Demand>,
    /// Positions among them of the demands still searched for, in the order of the search's own.
    left: Vec<usize>,
    is_amendment: bool,
}

impl Workbench {
    /// Lays a piece of work out; nothing is searched yet.
    ///
    /// # Errors
    /// If the work contradicts itself ([`Work::validate`]).
    pub fn start(work: Work) -> Result<Self, Failure> {
        work.validate()?;
        let Work { goal, problem, termination, rng_seed } = work;
        let job = match goal {
            Goal::Compose { algorithm, objective } => {
                Job::search(problem, algorithm, objective, rng_seed, false)
            }
            Goal::Amend { settings } => {
                Job::search(problem, Algorithm::Hybrid(settings), Objective::Cost, rng_seed, true)
            }
            Goal::FindPrices => Job::Prices { search: Box::new(PriceSearch::of(&problem)), steps: 0 },
        };
        Ok(Self { termination, job })
    }

    /// Goes on with a changed problem: the population is repaired, and the limits begin anew.
    ///
    /// # Errors
    /// If the work does not compose, or the adaptation contradicts itself or the work; it then stands as it was.
    pub fn adapt(&mut self, adaptation: &Adaptation) -> Result<(), Failure> {
        let Job::Search(composing) = &mut self.job else { return Err(Failure::CannotAdapt) };
        if composing.is_amendment {
            return Err(Failure::CannotAdapt);
        }
        adaptation.resources.validate()?;
        let expected = composing.demands.len();
        if let Some(&got) = adaptation.left.last().filter(|&&last| last >= expected) {
            return Err(Failure::UnknownDemand { got, expected });
        }
        composing.left = adaptation.left.iter().copied().collect();
        let problem = Problem::at_positions(
            &composing.demands,
            &composing.left,
            &adaptation.resources,
            composing.objective,
        );
        composing.search.adapt(problem);
        Ok(())
    }

    /// One generation of the search or one step of the price method, or as much of it as passes before `cancel` is
    /// set.
    pub fn step(&mut self, cancel: &AtomicBool) {
        match &mut self.job {
            Job::Search(composing) => {
                composing.search.step(cancel);
            }
            Job::Prices { search, steps } => *steps += u64::from(search.step(cancel)),
        }
    }

    /// The limit that has been reached, the clock left aside.
    pub fn ended(&self) -> Option<StopReason> {
        match &self.job {
            Job::Search(composing) => reached(&self.termination, &composing.search.progress()),
            Job::Prices { steps, .. } => {
                self.termination.generations.filter(|limit| steps >= limit).map(|_| StopReason::Generations)
            }
        }
    }

    /// The search on it; `None` if it looks for prices.
    pub fn search(&self) -> Option<&Search> {
        match &self.job {
            Job::Search(composing) => Some(&composing.search),
            Job::Prices { .. } => None,
        }
    }

    /// The best prices on it and their bound; `None` if it searches for compositions, or before the first step.
    pub fn prices(&self) -> Option<PricedBound> {
        match &self.job {
            Job::Search(_) => None,
            Job::Prices { search, .. } => search.best(),
        }
    }

    /// What there is to say while the work goes on: [`Report::Searching`], or nothing where only the end is of
    /// interest.
    pub fn report(&self) -> Option<Report> {
        match &self.job {
            Job::Search(composing) if !composing.is_amendment => {
                Some(Report::Searching(composing.incumbent()))
            }
            Job::Search(_) | Job::Prices { .. } => None,
        }
    }

    /// The last report, wherever the work stands.
    pub fn conclude(&self) -> Report {
        match &self.job {
            Job::Search(composing) => Report::Finished(composing.incumbent()),
            Job::Prices { search, .. } => match search.best() {
                Some(best) => Report::Prices { prices: best.prices, bound: best.bound, cpu_micros: 0 },
                None => Report::Failed { reason: Failure::Prices(PriceError::BoundOverflow) },
            },
        }
    }
}

impl Job {
    fn search(
        problem: SubProblem,
        algorithm: Algorithm,
        objective: Objective,
        rng_seed: u64,
        is_amendment: bool,
    ) -> Self {
        let SubProblem { demands, resources, incumbent } = problem;
        let left: Vec<usize> = (0..demands.len()).collect();
        let whole = Problem::at_positions(&demands, &left, &resources, objective);
        // An empty solution is no individual: a search from nothing draws all of its own.
        let is_warm = incumbent.compositions.iter().any(Option::is_some);
        let search = Search::new(whole, algorithm, rng_seed, is_warm.then_some(&incumbent));
        Self::Search(Box::new(Composing { search, objective, demands, left, is_amendment }))
    }
}

impl Composing {
    fn incumbent(&self) -> Incumbent {
        let (found, cost) = self.search.incumbent();
        let mut solution = Solution::unserved(self.demands.len());
        for (&position, composition) in self.left.iter().zip(&found.compositions) {
            solution.compositions[position].clone_from(composition);
        }
        let Progress { generation, evaluations, bound, .. } = self.search.progress();
        Incumbent { solution, cost, bound, generation, evaluations, cpu_micros: 0 }
    }
}

/// The limit that this progress has reached, the clock left aside.
fn reached(termination: &Termination, progress: &Progress) -> Option<StopReason> {
    let within = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value >= limit);
    if within(termination.generations, progress.generation) {
        return Some(StopReason::Generations);
    }
    if within(termination.evaluations, progress.evaluations) {
        return Some(StopReason::Evaluations);
    }
    let gap = progress.gap_ppm()?;
    termination.target_gap_ppm.filter(|&target| gap <= target).map(|_| StopReason::TargetGap)
}
