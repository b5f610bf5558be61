//! Serves one demand as cheaply as a guide's prices and the capacity that is left allow.

use scenarios::Minutes;
use scenarios::oracle::Limits;

use super::Context;
use super::guide::Guide;
use crate::individual::Individual;
use crate::paths::PathFinder;
use crate::table::Table;

/// Finds routes; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Router {
    finder: PathFinder,
    /// Orders and the slot in which each may not be done: visits beyond what their slot or their period has left.
    closed: Vec<(usize, u32)>,
    /// Minutes the route takes of each slot; all zero between calls.
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

    /// Finds the cheapest route of a demand within `spare` minutes. Exact while it visits no slot more
    /// often than that has minutes left, and no period for longer than that is; where it would, the visits that overdraw are closed
    /// and the whole is routed exactly again: what has no time in a period is done later, or if there is no later, earlier.
    fn route(&mut self, table: &Table, guide: &Guide, demand: usize, spare: &[Minutes]) -> bool {
        let can_be_short = table.horizon.period_minutes.is_some();
        self.route_putting_off(table, guide, demand, spare, true)
            || can_be_short && self.route_putting_off(table, guide, demand, spare, false)
    }

    fn route_putting_off(
        &mut self,
        table: &Table,
        guide: &Guide,
        demand: usize,
        spare: &[Minutes],
        puts_off: bool,
    ) -> bool {
        let row = &table.rows[demand];
        self.closed.clear();
        // Each round closes a visit at least; a demand that needs more rounds than orders and periods is not worth them.
        for _ in 0..row.layers.len() + table.periods() {
            let limits = Limits { spare: Some(spare), closed: &self.closed };
            if self.finder.cheapest(table, &guide.offers, row, limits).is_none() {
                return false;
            }
            if !self.close_overdrawing_visits(table, demand, spare)
                && !self.close_period(table, demand, puts_off)
            {
                return true;
            }
        }
        false
    }

    /// Closes the first period that is too short for what the route does in it: to the last orders in it, and all that come after, so
    /// that they are put off, or else to the first orders in it, and all that come before. False if no period is too short.
    fn close_period(&mut self, table: &Table, demand: usize, puts_off: bool) -> bool {
        let (row, genes) = (&table.rows[demand], self.finder.genes());
        let Some(short) = table.first_untimely(row, genes) else { return false };
        let most = table.horizon.period_minutes.unwrap_or(Minutes::MAX);
        let period_of =
            |order: usize| table.uses(row, genes).nth(order).map(|(slot, _)| table.period_of(slot));
        let Some(period) = period_of(short) else { return false };
        let orders = if puts_off {
            short..genes.len()
        } else {
            let last = (short..genes.len()).take_while(|&order| period_of(order) == Some(period)).last();
            let mut taken = 0;
            let fits = |order: &usize| {
                let minutes = table.uses(row, genes).nth(*order).map_or(0, |(_, minutes)| minutes);
                taken += minutes + table.travel_after(row, genes, *order);
                taken <= most
            };
            let kept = (0..=last.unwrap_or(short)).rev().take_while(fits).count();
            0..last.unwrap_or(short) + 1 - kept
        };
        for order in orders {
            let slots = table.layers[usize::from(row.layers[order])].slots.iter();
            let in_period = slots.filter(|&&slot| table.period_of(slot) == period);
            self.closed.extend(in_period.map(|&slot| (order, slot)));
        }
        true
    }

    /// Closes every visit of the route found with which its slot is overdrawn; false if there is none.
    fn close_overdrawing_visits(&mut self, table: &Table, demand: usize, spare: &[Minutes]) -> bool {
        let row = &table.rows[demand];
        self.taken.resize(spare.len(), 0);
        let before = self.closed.len();
        let genes = self.finder.genes();
        for (order, (slot, minutes)) in table.uses(row, genes).enumerate() {
            let taken = &mut self.taken[slot as usize];
            if *taken + minutes > spare[slot as usize] {
                self.closed.push((order, slot));
            } else {
                *taken += minutes;
            }
        }
        for (slot, _) in table.uses(row, genes) {
            self.taken[slot as usize] = 0;
        }
        self.closed.len() > before
    }
}
