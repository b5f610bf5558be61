//! Cheapest compositions over a [`Table`]: the solver's own, fast twin of `scenarios::Oracle`.
//!
//! The same layered graph and the same costs, but with buffers that are reused, any set of nodes per order,
//! and two exact prunings of the nodes a path may go on to: dominated ones (going on by way of another node
//! is no dearer; needs the triangle inequality) and, in order of their cost to go, those that already cost
//! more by themselves than the best way found. Ties may fall differently from the oracle's; costs do not.

use rayon::prelude::*;
use scenarios::{Minutes, Money};

use crate::problem::{Objective, Problem};
use crate::table::{Row, Table, UNREACHABLE};

/// An offer that may do an order, and what it adds to a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) gene: u32,
    pub(crate) provider: u32,
    pub(crate) cost: i64,
}

/// A node that a path may go on to, and what it costs from there.
#[derive(Clone, Copy, Debug)]
struct Open {
    value: i64,
    provider: u32,
    node: u32,
}

/// Finds shortest paths; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathFinder {
    nodes: Vec<Node>,
    /// Where each order's nodes begin; one more entry than orders.
    starts: Vec<usize>,
    /// Per node: the cost from its order to the end (or from the start, in a forward pass).
    values: Vec<i64>,
    /// Per node: the node of the next order that the path goes on to.
    next: Vec<u32>,
    open: Vec<Open>,
    /// The genes of the last path found.
    genes: Vec<u32>,
}

/// Which end of the demand the values of a pass are measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    FromStart,
    ToEnd,
}

impl PathFinder {
    /// The cheapest composition of a servable demand over all offers at `surcharge(provider, minutes)` above
    /// their cost. Its genes are in [`PathFinder::genes`]. `None`: no path below [`UNREACHABLE`].
    pub(crate) fn cheapest(
        &mut self,
        table: &Table,
        row: &Row,
        surcharge: impl Fn(u32, Minutes) -> i64,
    ) -> Option<i64> {
        if !row.servable {
            return None;
        }
        self.load_all(table, row, surcharge);
        self.solve(table)
    }

    /// Takes all offers of all orders as nodes.
    fn load_all(&mut self, table: &Table, row: &Row, surcharge: impl Fn(u32, Minutes) -> i64) {
        self.begin();
        for order in 0..row.layers.len() {
            let last = order + 1 == row.layers.len();
            let layer = table.layer(row, order);
            let offers = layer.providers.iter().zip(&layer.costs).zip(&layer.minutes).zip(0..);
            self.nodes.extend(offers.map(|(((&provider, &cost), &minutes), gene)| {
                let delivery = if last { Table::delivery(row, gene) } else { 0 };
                Node { gene, provider, cost: cost + surcharge(provider, minutes) + delivery }
            }));
            self.end_order();
        }
    }

    /// Forgets all nodes.
    pub(crate) fn begin(&mut self) {
        self.nodes.clear();
        self.starts.clear();
        self.starts.push(0);
    }

    /// Adds a node to the current order. The last order's nodes include their delivery leg.
    pub(crate) fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Ends the current order.
    pub(crate) fn end_order(&mut self) {
        self.starts.push(self.nodes.len());
    }

    /// The genes of the last path found, one per order.
    pub(crate) fn genes(&self) -> &[u32] {
        &self.genes
    }

    /// The cheapest path over the nodes loaded.
    pub(crate) fn solve(&mut self, table: &Table) -> Option<i64> {
        self.pass(table, Direction::ToEnd);
        let first = *self.starts.first()?..*self.starts.get(1)?;
        let start = first.min_by_key(|&node| self.values[node])?;
        let cheapest = self.values[start];
        if cheapest >= UNREACHABLE {
            return None;
        }
        self.genes.clear();
        let mut node = start;
        for _ in 1..self.starts.len() {
            self.genes.push(self.nodes[node].gene);
            node = self.next[node] as usize;
        }
        Some(cheapest)
    }

    /// Calls `visit(order, node, cost of the cheapest path through it)` for every offer of a servable demand,
    /// and returns the cost of the cheapest path.
    pub(crate) fn through_costs(
        &mut self,
        table: &Table,
        row: &Row,
        surcharge: impl Fn(u32, Minutes) -> i64,
        mut visit: impl FnMut(usize, Node, i64),
    ) -> i64 {
        self.load_all(table, row, surcharge);
        self.pass(table, Direction::FromStart);
        let from_start = self.values.clone();
        self.pass(table, Direction::ToEnd);
        for order in 0..row.layers.len() {
            for position in self.starts[order]..self.starts[order + 1] {
                let node = self.nodes[position];
                visit(order, node, from_start[position] + self.values[position] - node.cost);
            }
        }
        self.values[..self.starts[1]].iter().copied().min().unwrap_or(UNREACHABLE)
    }

    /// Values of all nodes, order by order.
    fn pass(&mut self, table: &Table, direction: Direction) {
        self.values.clear();
        self.values.resize(self.nodes.len(), UNREACHABLE);
        self.next.clear();
        self.next.resize(self.nodes.len(), 0);
        let orders = self.starts.len() - 1;
        for step in 0..orders {
            let (order, previous) = match direction {
                Direction::FromStart => (step, step.wrapping_sub(1)),
                Direction::ToEnd => (orders - 1 - step, orders - step),
            };
            let range = self.starts[order]..self.starts[order + 1];
            if step == 0 {
                for node in range {
                    self.values[node] = self.nodes[node].cost;
                }
                continue;
            }
            match direction {
                Direction::FromStart => self.relax(table, previous, range, |from, to| table.leg(to, from)),
                Direction::ToEnd => self.relax(table, previous, range, |from, to| table.leg(from, to)),
            }
        }
    }

    /// Values of the nodes in `range` from those of the neighbouring order; `leg(from, to)` leads from a node
    /// of `range` to one of that order, whichever way it is travelled.
    fn relax(
        &mut self,
        table: &Table,
        neighbour: usize,
        range: std::ops::Range<usize>,
        leg: impl Fn(u32, u32) -> i64,
    ) {
        self.open_undominated(table, neighbour, &leg);
        for position in range {
            let node = self.nodes[position];
            let (mut best, mut next) = (UNREACHABLE, 0);
            for open in &self.open {
                if open.value >= best {
                    break; // values ascend and legs are not negative
                }
                let value = leg(node.provider, open.provider) + open.value;
                if value < best {
                    (best, next) = (value, open.node);
                }
            }
            self.values[position] = (node.cost + best).min(UNREACHABLE);
            self.next[position] = next;
        }
    }

    /// Opens the nodes of an order in ascending value, without those that are dominated: `c` is, if some `b`
    /// has `value(b) + leg(c, b) <= value(c)`, for then going on to `b` straight away is no dearer.
    fn open_undominated(&mut self, table: &Table, order: usize, leg: &impl Fn(u32, u32) -> i64) {
        self.open.clear();
        for position in self.starts[order]..self.starts[order + 1] {
            let (value, provider) = (self.values[position], self.nodes[position].provider);
            let node = u32::try_from(position).expect("a path has fewer nodes than u32::MAX");
            self.open.push(Open { value, provider, node });
        }
        if !table.metric {
            self.open.sort_unstable_by_key(|open| (open.value, open.node));
            return;
        }
        let mut kept = 0;
        while kept < self.open.len() {
            let mut cheapest = kept;
            for candidate in kept + 1..self.open.len() {
                if self.open[candidate].value < self.open[cheapest].value {
                    cheapest = candidate;
                }
            }
            self.open.swap(kept, cheapest);
            let best = self.open[kept];
            kept += 1;
            let mut end = kept;
            for candidate in kept..self.open.len() {
                let open = self.open[candidate];
                self.open[end] = open;
                end += usize::from(best.value + leg(open.provider, best.provider) > open.value);
            }
            self.open.truncate(end);
        }
    }
}

/// The certified bound of a problem at its own prices: the dual bound of its market, or for the priced
/// objective the sum of what each demand costs at least. `None` if it leaves the range of money.
pub(crate) fn problem_bound(table: &Table, problem: &Problem) -> Option<Money> {
    let surcharge = |provider: u32, minutes| table.prices[provider as usize] * minutes;
    let least = table.rows.par_iter().map_init(PathFinder::default, |finder, row| {
        finder.cheapest(table, row, surcharge).map_or(row.budget, |cost| cost.min(row.budget))
    });
    let least: i128 = least.map(i128::from).collect::<Vec<_>>().into_iter().sum();
    let capacities = problem.instance().supply.capacities();
    let capacity_value = match problem.objective() {
        Objective::Cost => scenarios::bound::priced_capacity(problem.prices(), &capacities),
        Objective::PricedCost => 0,
    };
    i64::try_from(least - capacity_value).ok().map(Money::from_micros)
}
