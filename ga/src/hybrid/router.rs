//! Serves one demand as cheaply as a guide's prices and the capacity that is left allow.

use scenarios::oracle::Limits;
use scenarios::{Minutes, ProviderId};

use super::Context;
use super::guide::Guide;
use crate::individual::Individual;
use crate::paths::PathFinder;
use crate::table::Table;

/// Finds routes; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Router {
    finder: PathFinder,
    /// Orders and the provider that may not do each: visits beyond what their provider has left.
    closed: Vec<(usize, ProviderId)>,
    /// Minutes the route takes at each provider; all zero between calls.
    taken: Vec<Minutes>,
}

impl Router {
    /// Serves an unserved demand as cheaply as it can be at the prices of guide `level`; if that breaks its budget,
    /// at that of the last guide. False if it stays unserved.
    pub(crate) fn insert(
        &mut self,
        context: Context<'_>,
        level: usize,
        individual: &mut Individual,
        demand: usize,
    ) -> bool {
        let last = context.guides.last();
        for level in [level, last] {
            if self.route(context.table, context.guides.at(level), demand, individual.spare())
                && individual.serve(context.table, demand, self.finder.genes())
            {
                return true;
            }
            if level == last {
                break;
            }
        }
        false
    }

    /// Finds the cheapest route of a demand within `spare` minutes. Exact while it visits no provider more
    /// often than that has minutes left; where it would, the visits that overdraw are closed and the whole is
    /// routed exactly again.
    fn route(&mut self, table: &Table, guide: &Guide, demand: usize, spare: &[Minutes]) -> bool {
        let row = &table.rows[demand];
        self.closed.clear();
        // Each round closes a visit at least; a demand that needs more rounds than orders is not worth them.
        for _ in 0..=row.layers.len() {
            let limits = Limits { spare: Some(spare), closed: &self.closed };
            if self.finder.cheapest(table, &guide.offers, row, limits).is_none() {
                return false;
            }
            if !self.close_overdrawing_visits(table, demand, spare) {
                return true;
            }
        }
        false
    }

    /// Closes every visit of the route found with which its provider is overdrawn; false if there is none.
    fn close_overdrawing_visits(&mut self, table: &Table, demand: usize, spare: &[Minutes]) -> bool {
        let row = &table.rows[demand];
        self.taken.resize(spare.len(), 0);
        let before = self.closed.len();
        let genes = self.finder.genes();
        for (order, (provider, minutes)) in table.uses(row, genes).enumerate() {
            let taken = &mut self.taken[provider as usize];
            if *taken + minutes > spare[provider as usize] {
                self.closed.push((order, ProviderId(provider)));
            } else {
                *taken += minutes;
            }
        }
        for (provider, _) in table.uses(row, genes) {
            self.taken[provider as usize] = 0;
        }
        self.closed.len() > before
    }
}
