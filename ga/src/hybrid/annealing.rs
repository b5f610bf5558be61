//! Simulated annealing of one individual, a few moves at a time: what makes a child of its parents worth keeping.

use super::Context;
use super::local_search::LocalSearch;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;

/// The temperature at the start, as a share of what a demand costs on average.
const HOTTEST: f64 = 0.01;

/// The temperature at the end, likewise.
const COLDEST: f64 = 0.000_5;

/// One annealing: hot at first, then colder with every move, geometrically.
#[derive(Clone, Debug)]
pub(crate) struct Annealing {
    current: Individual,
    best: Individual,
    temperature: f64,
    /// What the temperature is multiplied by after each move.
    cooling: f64,
    moves_left: u64,
}

impl Annealing {
    /// Begins from this individual, to end after so many moves.
    #[expect(clippy::cast_precision_loss, reason = "temperatures need no more than a double's 53 bits")]
    pub(crate) fn new(context: Context<'_>, start: Individual, moves: u64) -> Self {
        let average = start.cost() as f64 / context.table.rows.len().max(1) as f64;
        Self {
            best: start.clone(),
            current: start,
            temperature: average.max(0.0) * HOTTEST,
            cooling: (COLDEST / HOTTEST).powf(1.0 / moves.max(1) as f64),
            moves_left: moves,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.moves_left == 0
    }

    /// The best individual so far.
    pub(crate) const fn best(&self) -> &Individual {
        &self.best
    }

    /// The best individual there was.
    pub(crate) fn into_best(self) -> Individual {
        self.best
    }

    /// The next move.
    pub(crate) fn advance(
        &mut self,
        context: Context<'_>,
        (local_search, router): (&mut LocalSearch, &mut Router),
        draws: &mut Draws,
    ) {
        local_search.improve(context, router, draws, &mut self.current, self.temperature);
        if self.current.standing() < self.best.standing() {
            self.best.clone_from(&self.current);
        }
        self.temperature *= self.cooling;
        self.moves_left = self.moves_left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use scenarios::settings::HybridGaSettings;

    use super::super::guide::Guides;
    use super::*;
    use crate::instances::formula_market;
    use crate::table::Table;

    #[test]
    fn an_annealing_cools_from_the_hottest_to_the_coldest_and_keeps_the_best() {
        let instance = formula_market(8, 12, 6, Some(110));
        let table = Table::of(&instance.supply, &instance.demands);
        let (settings, cancel) = (HybridGaSettings::default(), AtomicBool::new(false));
        let guides = Guides::new(&table, &cancel).unwrap();
        let context = Context { table: &table, guides: &guides, settings: &settings, cancel: &cancel };
        let (mut local_search, mut router) = (LocalSearch::default(), Router::default());
        let mut draws = Draws::new(1, 0);
        let start = Individual::empty(&table);

        let mut annealing = Annealing::new(context, start.clone(), 300);
        let hottest = annealing.temperature;
        let (mut best, mut moves, mut rises) = (start.standing(), 0, 0);
        while !annealing.is_over() {
            let before = annealing.current.standing();
            annealing.advance(context, (&mut local_search, &mut router), &mut draws);
            let now = annealing.current.standing();
            best = best.min(now);
            assert_eq!(annealing.best().standing(), best);
            (moves, rises) = (moves + 1, rises + usize::from(now > before));
        }
        assert_eq!(moves, 300);
        assert!(rises > 0 && best < start.standing());
        assert!((annealing.temperature / hottest * HOTTEST / COLDEST - 1.0).abs() < 1e-9);
    }
}
