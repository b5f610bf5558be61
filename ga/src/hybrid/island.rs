//! One island: a population bred by itself, with its own stream of draws.

use scenarios::settings::HybridGaSettings;

use super::Context;
use super::crossover::cross;
use super::local_search::LocalSearch;
use super::population::Population;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;

/// A child is bred from two parents with this probability, else it is a copy of one.
const CROSSOVER: f64 = 0.5;

#[derive(Clone, Debug)]
pub(crate) struct Island {
    draws: Draws,
    population: Population,
    router: Router,
    local_search: LocalSearch,
    /// Individuals that came from outside, not yet completed and taken in.
    arrivals: Vec<Individual>,
    /// Individuals still to be built from nothing.
    to_found: u32,
    pub(crate) evaluations: u64,
}

impl Island {
    pub(crate) fn new(settings: &HybridGaSettings, rng_seed: u64, stream: u64) -> Self {
        Self {
            draws: Draws::new(rng_seed, stream),
            population: Population::new(settings.population.max(2) as usize),
            router: Router::default(),
            local_search: LocalSearch::default(),
            arrivals: Vec::new(),
            to_found: settings.population.max(2),
            evaluations: 0,
        }
    }

    /// Its best individual, arrivals included.
    pub(crate) fn best(&self) -> Option<&Individual> {
        self.population
            .best()
            .into_iter()
            .chain(&self.arrivals)
            .min_by_key(|individual| individual.standing())
    }

    /// An individual from outside: a warm start or a migrant. It is completed in the next generation.
    pub(crate) fn welcome(&mut self, individual: Individual) {
        self.arrivals.push(individual);
    }

    /// Carries every individual over to another problem; they are completed in the next generation.
    pub(crate) fn adapt(&mut self, carry: impl Fn(&Individual) -> Individual) {
        let arrivals: Vec<Individual> =
            self.arrivals.iter().chain(self.population.members()).map(carry).collect();
        self.arrivals = arrivals;
        self.population.replace([]);
    }

    /// One generation: children of the population, or while it is young, founders. Cut short if cancelled.
    pub(crate) fn generation(&mut self, context: Context<'_>) {
        while !context.cancelled()
            && let Some(mut individual) = self.arrivals.pop()
        {
            self.complete(context, &mut individual, 0);
            self.population.offer(individual);
        }
        for _ in 0..context.settings.children.max(1) {
            if context.cancelled() {
                return;
            }
            let child = if self.to_found == 0 && self.population.best().is_some() {
                self.breed(context)
            } else {
                self.to_found = self.to_found.saturating_sub(1);
                self.found(context)
            };
            self.population.offer(child);
        }
    }

    /// A new individual, built from nothing.
    fn found(&mut self, context: Context<'_>) -> Individual {
        let level = context.draw_guide(&mut self.draws);
        let mut individual = Individual::empty(context.table);
        self.complete(context, &mut individual, level);
        individual
    }

    fn breed(&mut self, context: Context<'_>) -> Individual {
        let mut child = if self.draws.chance(CROSSOVER) {
            let first = self.population.select(&mut self.draws);
            let second = self.population.select(&mut self.draws);
            cross(context, &mut self.router, &mut self.draws, (first, second))
        } else {
            self.population.select(&mut self.draws).clone()
        };
        self.complete(context, &mut child, 0);
        for _ in 0..context.settings.moves_per_child {
            if context.cancelled() {
                break;
            }
            self.evaluations += 1;
            self.local_search.improve(context, &mut self.router, &mut self.draws, &mut child);
        }
        child
    }

    /// Serves, in random order, what is unserved and can be served.
    fn complete(&mut self, context: Context<'_>, individual: &mut Individual, level: usize) {
        self.evaluations += 1;
        let mut pending: Vec<usize> = individual.unserved(context.table).collect();
        self.draws.shuffle(&mut pending);
        for demand in pending {
            if context.cancelled() {
                return;
            }
            self.router.insert(context, level, individual, demand);
        }
    }
}
