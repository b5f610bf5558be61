//! One island: a population bred by itself, with its own stream of draws.

use std::sync::atomic::{AtomicBool, Ordering};

use scenarios::settings::HybridGaSettings;

use super::crossover::cross;
use super::guide::Guide;
use super::local_search::LocalSearch;
use super::population::Population;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;
use crate::table::Table;

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
            evaluations: 0,
        }
    }

    /// Its best individual, arrivals included.
    pub(crate) fn best(&self) -> Option<&Individual> {
        self.population.best().into_iter().chain(&self.arrivals).min_by_key(|individual| individual.cost())
    }

    /// An individual from outside: a warm start or a migrant. It is completed in the next generation.
    pub(crate) fn welcome(&mut self, individual: Individual) {
        self.arrivals.push(individual);
    }

    /// Carries every individual over to another problem; they are completed in the next generation.
    pub(crate) fn adapt(&mut self, carry: impl Fn(&Individual) -> Individual) {
        let arrivals: Vec<Individual> = self.arrivals.iter().chain(self.population.members()).map(carry).collect();
        self.arrivals = arrivals;
        self.population.replace([]);
    }

    /// One generation, the first after filling the population; cut short if cancelled.
    pub(crate) fn generation(
        &mut self,
        table: &Table,
        guides: &[Guide],
        settings: &HybridGaSettings,
        cancel: &AtomicBool,
    ) {
        while !cancel.load(Ordering::Relaxed)
            && let Some(mut individual) = self.arrivals.pop()
        {
            self.complete(table, guides, &mut individual, 0, cancel);
            self.population.offer(individual);
        }
        // Random orders may, on a tiny problem, all lead to the same few individuals.
        let mut attempts = 2 * settings.population.max(2);
        while !self.population.is_full() && attempts > 0 && !cancel.load(Ordering::Relaxed) {
            attempts -= 1;
            let level = self.draws.below(guides.len());
            let mut individual = Individual::empty(table);
            self.complete(table, guides, &mut individual, level, cancel);
            self.population.offer(individual);
        }
        for _ in 0..settings.children {
            if cancel.load(Ordering::Relaxed) || self.population.best().is_none() {
                return;
            }
            let child = self.breed(table, guides, settings, cancel);
            self.population.offer(child);
        }
    }

    fn breed(
        &mut self,
        table: &Table,
        guides: &[Guide],
        settings: &HybridGaSettings,
        cancel: &AtomicBool,
    ) -> Individual {
        let mut child = if self.draws.chance(CROSSOVER) {
            let first = self.population.select(&mut self.draws);
            let second = self.population.select(&mut self.draws);
            cross(table, guides, &mut self.router, &mut self.draws, (first, second))
        } else {
            self.population.select(&mut self.draws).clone()
        };
        self.complete(table, guides, &mut child, 0, cancel);
        for _ in 0..settings.moves_per_child {
            if cancel.load(Ordering::Relaxed) {
                break;
            }
            self.evaluations += 1;
            self.local_search.improve(
                table,
                guides,
                &mut self.router,
                &mut self.draws,
                &mut child,
                settings.removed_max as usize,
            );
        }
        child
    }

    /// Serves, in random order, what is unserved and can be served.
    fn complete(
        &mut self,
        table: &Table,
        guides: &[Guide],
        individual: &mut Individual,
        level: usize,
        cancel: &AtomicBool,
    ) {
        self.evaluations += 1;
        let mut pending: Vec<usize> = individual.unserved(table).collect();
        self.draws.shuffle(&mut pending);
        for demand in pending {
            if cancel.load(Ordering::Relaxed) {
                return;
            }
            self.router.insert(table, guides, level, individual, demand);
        }
    }
}
