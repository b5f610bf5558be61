//! One search, whatever its profile: steps, the incumbent, and adapting to a changed problem. No clock is
//! read here; `run` decides when to stop.

use std::sync::atomic::AtomicBool;

use scenarios::work::Algorithm;
use scenarios::{Money, Solution};

use crate::hybrid::HybridGa;
use crate::individual::Individual;
use crate::paper::PaperGa;
use crate::paths::problem_bound;
use crate::problem::Problem;
use crate::table::Table;

/// Where a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Generations completed since the search began or last adapted.
    pub generation: u64,
    /// Solutions whose cost was computed since the search began (in full, or as a change of another).
    pub evaluations: u64,
    /// The incumbent's objective: its cost (priced, if the problem says so) and the budgets of the demands
    /// it leaves unserved.
    pub cost: Money,
    /// Demands the incumbent leaves unserved.
    pub unserved: usize,
    /// No solution of this problem has a smaller objective than this.
    pub bound: Option<Money>,
}

impl Progress {
    /// `(cost - bound) / bound` in parts per million, rounded up; `None` without a positive bound.
    pub fn gap_ppm(&self) -> Option<u64> {
        let bound = self.bound.filter(|&bound| bound > Money::ZERO)?;
        let excess = i128::from(self.cost.micros() - bound.micros()).max(0) * 1_000_000;
        let bound = i128::from(bound.micros());
        u64::try_from((excess + bound - 1) / bound).ok()
    }
}

/// A search for a cheap solution of a [`Problem`]. The same problem, profile, seed and calls give the same
/// answer on any number of threads.
#[derive(Clone, Debug)]
pub struct Search {
    problem: Problem,
    table: Table,
    engine: Engine,
    bound: Option<Money>,
    incumbent: Solution,
    cost: Money,
    generation: u64,
}

#[derive(Clone, Debug)]
enum Engine {
    Paper(Box<PaperGa>),
    Hybrid(HybridGa),
}

impl Search {
    /// A search that has not stepped yet. Its incumbent is what can be kept of `warm_start` (a solution of
    /// this problem's instance; compositions that are malformed, over budget or over capacity are dropped),
    /// or serves nothing.
    pub fn new(problem: Problem, profile: Algorithm, rng_seed: u64, warm_start: Option<&Solution>) -> Self {
        let table = Table::new(&problem);
        let engine = match profile {
            Algorithm::Paper(settings) => {
                Engine::Paper(Box::new(PaperGa::new(&table, settings, rng_seed, warm_start)))
            }
            Algorithm::Hybrid(settings) => {
                Engine::Hybrid(HybridGa::new(&table, settings, rng_seed, warm_start))
            }
        };
        let (incumbent, cost) = table.nothing_served();
        let bound = problem_bound(&table, &problem);
        let mut search = Self { problem, table, engine, bound, incumbent, cost, generation: 0 };
        if let Some(solution) = warm_start {
            search.offer(&Individual::repaired(&search.table, solution));
        }
        search
    }

    /// One generation (of every island), or as much of it as passes before `cancel` is set; a search may be
    /// stepped on after a cancelled step, but from then on it depends on when that happened.
    pub fn step(&mut self, cancel: &AtomicBool) -> Progress {
        let completed = match &mut self.engine {
            Engine::Paper(paper) => paper.step(&self.table, cancel),
            Engine::Hybrid(hybrid) => hybrid.step(&self.table, cancel),
        };
        self.generation += u64::from(completed);
        self.note_best();
        self.progress()
    }

    /// Where the search stands.
    pub fn progress(&self) -> Progress {
        Progress {
            generation: self.generation,
            evaluations: match &self.engine {
                Engine::Paper(paper) => paper.evaluations(),
                Engine::Hybrid(hybrid) => hybrid.evaluations(),
            },
            cost: self.cost,
            unserved: self.standing().1,
            bound: self.bound,
        }
    }

    /// The best solution found, always feasible, and its objective.
    pub fn incumbent(&self) -> (&Solution, Money) {
        (&self.incumbent, self.cost)
    }

    /// The problem as it stands.
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Goes on with a changed problem: demands gone or new (known by their keys), capacities, prices or
    /// offers other than before. The population is repaired, not started anew: what still fits stays.
    pub fn adapt(&mut self, problem: Problem) {
        let table = Table::new(&problem);
        let incumbent = problem.translate(&self.problem, &self.incumbent);
        let translate = |solution: &Solution| problem.translate(&self.problem, solution);
        match &mut self.engine {
            Engine::Paper(paper) => paper.adapt(&self.table, &table, translate),
            Engine::Hybrid(hybrid) => hybrid.adapt(&self.table, &table, translate),
        }
        (self.incumbent, self.cost) = table.nothing_served();
        self.bound = problem_bound(&table, &problem);
        (self.problem, self.table, self.generation) = (problem, table, 0);
        self.offer(&Individual::repaired(&self.table, &incumbent));
        self.note_best();
    }

    /// Takes over the engine's best if it beats the incumbent.
    fn note_best(&mut self) {
        let best = match &self.engine {
            Engine::Paper(paper) => Some(paper.best(&self.table)),
            Engine::Hybrid(hybrid) => hybrid.best().filter(|best| best.standing() < self.standing()).cloned(),
        };
        if let Some(best) = best {
            self.offer(&best);
        }
        if let Engine::Hybrid(hybrid) = &self.engine
            && hybrid.is_solved()
        {
            self.bound = Some(self.cost);
        }
    }

    /// The incumbent's objective, and how many demands it leaves unserved.
    fn standing(&self) -> (i64, usize) {
        let unserved = self.incumbent.compositions.iter().filter(|composition| composition.is_none());
        (self.cost.micros(), unserved.count())
    }

    fn offer(&mut self, individual: &Individual) {
        if individual.standing() < self.standing() {
            self.incumbent = individual.solution(&self.table);
            self.cost = Money::from_micros(individual.cost());
        }
    }
}
