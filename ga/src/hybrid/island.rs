//! One island: a population bred by itself, with its own stream of draws.

use scenarios::settings::HybridGaSettings;

use super::Context;
use super::annealing::Annealing;
use super::crossover::cross;
use super::local_search::LocalSearch;
use super::population::Population;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;

/// A child is bred from two parents with this probability, else it is a copy of one.
const CROSSOVER: f64 = 0.5;

/// Moves of the first annealings, which give answers soon.
const FIRST_MOVES: u64 = 60;

/// What an annealing takes of all moves made until then: the longer a search lasts, the more slowly it cools.
const EVALUATIONS_PER_MOVE: u64 = 50;

#[derive(Clone, Debug)]
pub(crate) struct Island {
    draws: Draws,
    population: Population,
    /// The child that is being annealed.
    annealing: Option<Annealing>,
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
            annealing: None,
            router: Router::default(),
            local_search: LocalSearch::default(),
            arrivals: Vec::new(),
            to_found: settings.population.max(2),
            evaluations: 0,
        }
    }

    /// Its best individual, arrivals and the child being annealed included.
    pub(crate) fn best(&self) -> Option<&Individual> {
        self.population
            .best()
            .into_iter()
            .chain(&self.arrivals)
            .chain(self.annealing.as_ref().map(Annealing::best))
            .min_by_key(|individual| individual.standing())
    }

    /// An individual from outside: a warm start or a migrant. It is completed in the next generation.
    pub(crate) fn welcome(&mut self, individual: Individual) {
        self.arrivals.push(individual);
    }

    /// Carries every individual over to another problem; they are completed in the next generation.
    pub(crate) fn adapt(&mut self, carry: impl Fn(&Individual) -> Individual) {
        let annealing = self.annealing.take();
        let bred = self.population.members().iter().chain(annealing.as_ref().map(Annealing::best));
        self.arrivals = self.arrivals.iter().chain(bred).map(carry).collect();
        self.population.replace([]);
    }

    /// One generation: so many moves on children of the population, or while it is young, founders. Cut short if
    /// cancelled.
    pub(crate) fn generation(&mut self, context: Context<'_>) {
        while !context.cancelled()
            && let Some(mut individual) = self.arrivals.pop()
        {
            self.complete(context, &mut individual, 0);
            self.population.offer(individual);
        }
        let mut moves_left = u64::from(context.settings.moves_per_generation.max(1));
        while moves_left > 0 && !context.cancelled() {
            if self.to_found > 0 || self.population.best().is_none() {
                self.to_found = self.to_found.saturating_sub(1);
                let founder = self.found(context);
                self.population.offer(founder);
                // A founder counts as the shortest annealing, so that a generation founds a few.
                moves_left = moves_left.saturating_sub(FIRST_MOVES);
                continue;
            }
            let annealing = self.annealing.take().unwrap_or_else(|| self.breed(context));
            self.anneal(context, annealing, &mut moves_left);
        }
    }

    /// Goes on with a child while it and the generation have moves left; a finished one joins the population.
    fn anneal(&mut self, context: Context<'_>, mut annealing: Annealing, moves_left: &mut u64) {
        while *moves_left > 0 && !annealing.is_over() && !context.cancelled() {
            *moves_left -= 1;
            self.evaluations += 1;
            annealing.advance(context, (&mut self.local_search, &mut self.router), &mut self.draws);
        }
        if annealing.is_over() {
            self.population.offer(annealing.into_best());
        } else {
            self.annealing = Some(annealing);
        }
    }

    /// A new individual, built from nothing.
    fn found(&mut self, context: Context<'_>) -> Individual {
        let level = context.guides.draw(&mut self.draws);
        let mut individual = Individual::empty(context.table);
        self.complete(context, &mut individual, level);
        individual
    }

    /// A child of the population, before its first move.
    fn breed(&mut self, context: Context<'_>) -> Annealing {
        let mut child = if self.draws.chance(CROSSOVER) {
            let first = self.population.select(&mut self.draws);
            let second = self.population.select(&mut self.draws);
            cross(context, &mut self.router, &mut self.draws, (first, second))
        } else {
            self.population.select(&mut self.draws).clone()
        };
        self.complete(context, &mut child, 0);
        let moves = (self.evaluations / EVALUATIONS_PER_MOVE).max(FIRST_MOVES);
        Annealing::new(context, child, moves)
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
