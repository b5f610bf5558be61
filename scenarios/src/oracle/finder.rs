//! Finds cheapest compositions, over lanes or node by node as suits the market; keeps its buffers.

use super::kernel::{Kernel, solve};
use super::lanes::{Graph, Rows};
use super::nodes::NodeFinder;
use super::tables::{PricedOffers, Tables, Task, minutes_lane};
use crate::units::Minutes;

/// Which offers a path may use; by default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits<'a> {
    /// Minutes left of each slot, in order: an offer must fit by itself.
    pub spare: Option<&'a [Minutes]>,
    /// Positions of orders, and the number of the slot in which each may not be done.
    pub closed: &'a [(usize, u32)],
}

/// Finds cheapest compositions of one market after another; one per thread.
#[derive(Clone, Debug)]
pub struct PathFinder {
    kernel: Kernel,
    narrow: Rows<i32>,
    wide: Rows<i64>,
    nodes: NodeFinder,
    spare: Vec<i32>,
    path: Vec<u32>,
}

impl Default for PathFinder {
    fn default() -> Self {
        Self::new(Kernel::detect())
    }
}

impl PathFinder {
    /// One that uses these instructions, if the processor has them. All give the same answers.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            narrow: Rows::default(),
            wide: Rows::default(),
            nodes: NodeFinder::default(),
            spare: Vec::new(),
            path: Vec::new(),
        }
    }

    /// The cost in micro-units of the cheapest composition of a demand, minutes priced in, within `limits`; its
    /// slots, the lexicographically smallest at equal cost, are then in [`PathFinder::path`]. `None`: there
    /// is none. `offers` and `task` must be of these `tables`.
    pub fn cheapest(
        &mut self,
        tables: &Tables,
        offers: &PricedOffers,
        task: &Task,
        limits: Limits<'_>,
    ) -> Option<i64> {
        self.solve(tables, offers, task, limits, true)
    }

    /// [`PathFinder::cheapest`] without the path.
    pub fn least_cost(&mut self, tables: &Tables, offers: &PricedOffers, task: &Task) -> Option<i64> {
        self.solve(tables, offers, task, Limits::default(), false)
    }

    /// The number of each order's slot (its place among all slots in order), in the last composition that [`PathFinder::cheapest`] found.
    pub fn path(&self) -> &[u32] {
        &self.path
    }

    fn solve(
        &mut self,
        tables: &Tables,
        offers: &PricedOffers,
        task: &Task,
        limits: Limits<'_>,
        traced: bool,
    ) -> Option<i64> {
        if task.orders.is_empty() {
            self.path.clear();
            return Some(0);
        }
        if !task.servable {
            return None;
        }
        let path = traced.then_some(&mut self.path);
        if !offers.dense {
            return self.nodes.solve(tables, offers, task, limits, path);
        }
        let fits = limits.spare.map(|spare| {
            let (lanes, periods) =
                (tables.providers().next_multiple_of(super::lanes::GROUP), tables.horizon().len());
            self.spare.resize(lanes * periods, 0);
            for (provider, minutes) in spare.chunks_exact(periods).enumerate() {
                for (period, &minutes) in minutes.iter().enumerate() {
                    self.spare[period * lanes + provider] = minutes_lane(minutes);
                }
            }
            (&tables.minutes[..], &self.spare[..])
        });
        let offering = task.orders.last().and_then(|&last| tables.layer(last));
        let delivery = (offering.map_or(&[][..], |layer| &layer.providers), &task.delivery[..]);
        let (orders, closed, prune) = (&task.orders[..], limits.closed, tables.metric);
        let (horizon, periods) = (tables.horizon().len(), task.periods);
        if tables.is_narrow(offers, task) {
            let offers = &offers.narrow[..];
            let graph = Graph { orders, horizon, periods, offers, fits, closed, delivery, prune };
            solve(self.kernel, tables.narrow_legs(), &graph, &mut self.narrow, path)
        } else {
            let offers = tables.wide_rows(offers);
            let graph = Graph { orders, horizon, periods, offers, fits, closed, delivery, prune };
            solve(self.kernel, tables.wide_legs(), &graph, &mut self.wide, path)
        }
    }
}
