//! The island-parallel hybrid: a genetic algorithm over whole compositions whose children are annealed by
//! exact re-routing under dual prices and remaining capacity.
//!
//! Islands share nothing while they breed and meet only at the end of a generation, in order; so the answer
//! does not depend on the number of threads.

mod annealing;
mod crossover;
mod exhaustive;
mod guide;
mod island;
mod local_search;
mod population;
mod router;

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use scenarios::Solution;
use scenarios::settings::HybridGaSettings;

use crate::individual::Individual;
use crate::table::Table;

use self::guide::Guides;
use self::island::Island;

/// What breeding on a problem needs and never changes.
#[derive(Clone, Copy, Debug)]
struct Context<'a> {
    table: &'a Table,
    guides: &'a Guides,
    settings: &'a HybridGaSettings,
    cancel: &'a AtomicBool,
}

impl Context<'_> {
    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

/// The hybrid between two generations.
#[derive(Clone, Debug)]
pub(crate) struct HybridGa {
    settings: HybridGaSettings,
    /// Tabulated in the first generation on a problem, which can be cancelled.
    guides: Option<Guides>,
    islands: Vec<Island>,
    generation: u64,
    /// The islands hold an optimum: every way was tried.
    solved: bool,
}

impl HybridGa {
    pub(crate) fn new(
        table: &Table,
        settings: HybridGaSettings,
        rng_seed: u64,
        warm_start: Option<&Solution>,
    ) -> Self {
        let streams = 0..u64::from(settings.islands.max(1));
        let mut islands: Vec<Island> =
            streams.map(|stream| Island::new(&settings, rng_seed, stream)).collect();
        if let Some(solution) = warm_start {
            let individual = Individual::repaired(table, solution);
            for island in &mut islands {
                island.welcome(individual.clone());
            }
        }
        Self { settings, guides: None, islands, generation: 0, solved: false }
    }

    pub(crate) fn evaluations(&self) -> u64 {
        self.islands.iter().map(|island| island.evaluations).sum()
    }

    /// The best individual of all islands; the first island's where several are equally good.
    pub(crate) fn best(&self) -> Option<&Individual> {
        self.islands.iter().filter_map(Island::best).min_by_key(|individual| individual.standing())
    }

    /// One generation on every island; false if it was cancelled.
    pub(crate) fn step(&mut self, table: &Table, cancel: &AtomicBool) -> bool {
        let known = self.guides.take();
        let first = known.is_none();
        let guides = match known.or_else(|| Guides::new(table, cancel)) {
            Some(guides) => self.guides.insert(guides),
            None => return false,
        };
        if let (true, Some(optimum)) = (first, exhaustive::optimum(table, cancel)) {
            self.solved = true;
            self.islands.iter_mut().for_each(|island| island.welcome(optimum.clone()));
        }
        let context = Context { table, guides, settings: &self.settings, cancel };
        self.islands.par_iter_mut().for_each(|island| island.generation(context));
        if context.cancelled() {
            return false;
        }
        self.generation += 1;
        if self.generation.is_multiple_of(u64::from(self.settings.migration_interval.max(1))) {
            self.migrate();
        }
        true
    }

    /// Whether the best individual is known to be an optimum.
    pub(crate) const fn is_solved(&self) -> bool {
        self.solved
    }

    /// Carries all islands over to another problem.
    pub(crate) fn adapt(&mut self, old: &Table, new: &Table, translate: impl Fn(&Solution) -> Solution) {
        (self.guides, self.solved) = (None, false);
        let carry =
            |individual: &Individual| Individual::repaired(new, &translate(&individual.solution(old)));
        for island in &mut self.islands {
            island.adapt(carry);
        }
    }

    /// Every island's best visits the next one.
    fn migrate(&mut self) {
        let migrants: Vec<Option<Individual>> =
            self.islands.iter().map(|island| island.best().cloned()).collect();
        let count = self.islands.len();
        for (home, migrant) in migrants.into_iter().enumerate() {
            if let (true, Some(migrant)) = (count > 1, migrant) {
                self.islands[(home + 1) % count].welcome(migrant);
            }
        }
    }
}
