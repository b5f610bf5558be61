//! What guides re-routing: the market's offers at some level of the dual prices, and every demand's
//! shortest path there, whatever the capacities.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use scenarios::oracle::{Limits, PricedOffers};

use crate::paths::{PathFinder, priced_offers};
use crate::rng::Draws;
use crate::table::{Row, Table};

/// How often a draw of guides gives the one at the full prices.
const FULL_PRICES: f64 = 2.0 / 3.0;

/// A demand's shortest path at a guide's prices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ideal {
    /// Its cost; 0 for a demand that cannot be served.
    pub(crate) cost: i64,
    /// Its genes; none for a demand that cannot be served.
    pub(crate) genes: Vec<u32>,
}

/// The guide of a problem at one level of its prices.
#[derive(Clone, Debug)]
pub(crate) struct Guide {
    pub(crate) offers: PricedOffers,
    ideals: Vec<Ideal>,
}

impl Guide {
    /// Tabulates one level, in halves of the prices; `None` if cancelled.
    fn new(table: &Table, halves: i64, cancel: &AtomicBool) -> Option<Self> {
        let prices: Vec<i64> = table.prices.iter().map(|price| price * halves / 2).collect();
        let offers = priced_offers(table, &prices);
        let ideal = |finder: &mut PathFinder, row: &Row| {
            let Some(cost) = finder.cheapest(table, &offers, row, Limits::default()) else {
                return Ideal::default();
            };
            Ideal { cost, genes: finder.genes().to_vec() }
        };
        let ideals = table.rows.par_iter().map_init(PathFinder::default, |finder, row| {
            (!cancel.load(Ordering::Relaxed)).then(|| ideal(finder, row))
        });
        let ideals: Vec<Ideal> = ideals.collect::<Option<_>>()?;
        Some(Self { offers, ideals })
    }

    /// A demand's shortest path.
    pub(crate) fn ideal(&self, demand: usize) -> &Ideal {
        &self.ideals[demand]
    }
}

/// The guides of a problem, from its full prices down to none (from 3/2 down to the full prices where the
/// objective includes them); one alone where prices change nothing.
#[derive(Clone, Debug)]
pub(crate) struct Guides {
    levels: Vec<Guide>,
    /// The level at the full prices.
    full: usize,
}

impl Guides {
    /// Tabulates all levels; `None` if cancelled.
    pub(crate) fn new(table: &Table, cancel: &AtomicBool) -> Option<Self> {
        let (halves, full): (&[i64], usize) = if table.prices.iter().all(|&price| price == 0) {
            (&[0], 0)
        } else if table.priced {
            (&[3, 2], 1)
        } else {
            (&[2, 1, 0], 0)
        };
        let levels = halves.iter().map(|&halves| Guide::new(table, halves, cancel));
        Some(Self { levels: levels.collect::<Option<_>>()?, full })
    }

    /// The guide of one level; 0 is the dearest.
    pub(crate) fn at(&self, level: usize) -> &Guide {
        &self.levels[level]
    }

    /// The cheapest level.
    pub(crate) fn last(&self) -> usize {
        self.levels.len() - 1
    }

    /// A level drawn at random, most often that of the full prices.
    pub(crate) fn draw(&self, draws: &mut Draws) -> usize {
        if draws.chance(FULL_PRICES) { self.full } else { draws.below(self.levels.len()) }
    }
}
