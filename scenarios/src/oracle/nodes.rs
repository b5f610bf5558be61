//! Shortest paths from node to node, for markets where few providers offer each operation, or that have too many
//! providers for a table of legs.

use super::finder::Limits;
use super::tables::{PricedOffers, Tables, Task, UNREACHABLE};
use crate::units::ProviderId;

/// An offer that may do an order.
#[derive(Clone, Copy, Debug)]
struct Node {
    provider: ProviderId,
}

/// A node that a path may go on to, and what it costs from there.
#[derive(Clone, Copy, Debug)]
struct Open {
    value: i64,
    provider: ProviderId,
}

/// Finds paths; keeps its buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeFinder {
    nodes: Vec<Node>,
    /// Where each order's nodes begin; one more entry than orders.
    starts: Vec<usize>,
    /// Periods of each order.
    periods: usize,
    /// Per node and period: what it adds to a path.
    costs: Vec<i64>,
    /// Per node and period: the cost from its order to the end, from this period on.
    values: Vec<i64>,
    open: Vec<Open>,
    /// Per node of an order: what going on takes, from some period on.
    onward: Vec<i64>,
}

impl NodeFinder {
    /// The cost of the cheapest path, if there is one, and the path itself if asked for.
    pub(super) fn solve(
        &mut self,
        tables: &Tables,
        offers: &PricedOffers,
        task: &Task,
        limits: Limits<'_>,
        path: Option<&mut Vec<u32>>,
    ) -> Option<i64> {
        self.load(tables, offers, task, limits);
        self.values.clear();
        self.values.resize(self.costs.len(), UNREACHABLE);
        let orders = task.orders.len();
        for order in (0..orders).rev() {
            let is_last = order + 1 == orders;
            let nodes = self.starts[order]..self.starts[order + 1];
            self.onward.clear();
            self.onward.resize(nodes.len(), if is_last { 0 } else { UNREACHABLE });
            for period in (0..self.periods).rev() {
                if !is_last {
                    self.open_fallen(tables, order + 1, period);
                }
                for (place, position) in nodes.clone().enumerate() {
                    if !is_last {
                        let provider = self.nodes[position].provider;
                        self.onward[place] = self.cheapest_onward(tables, provider, self.onward[place]);
                    }
                    let value = self.costs[self.at(position, period)].saturating_add(self.onward[place]);
                    let later = self.value(position, period + 1);
                    let at = self.at(position, period);
                    self.values[at] = value.min(later).min(UNREACHABLE);
                }
            }
        }
        let first = (self.starts[0]..self.starts[1]).map(|position| self.value(position, 0));
        let cheapest = first.min().filter(|&cheapest| cheapest < UNREACHABLE)?;
        if let Some(path) = path {
            self.trace(tables, task, cheapest, path);
        }
        Some(cheapest)
    }

    fn at(&self, position: usize, period: usize) -> usize {
        position * self.periods + period
    }

    /// What it costs from a node to the end, from a period on.
    fn value(&self, position: usize, period: usize) -> i64 {
        if period < self.periods { self.values[self.at(position, period)] } else { UNREACHABLE }
    }

    fn load(&mut self, tables: &Tables, offers: &PricedOffers, task: &Task, limits: Limits<'_>) {
        let (horizon, (first, periods)) = (tables.horizon().len(), task.periods);
        self.nodes.clear();
        self.starts.clear();
        self.costs.clear();
        self.periods = periods;
        for (order, &operation) in task.orders.iter().enumerate() {
            self.starts.push(self.nodes.len());
            let Some(layer) = tables.layer(operation) else { continue };
            let last = order + 1 == task.orders.len();
            let mut push = |position: usize| {
                let (provider, minutes) = (layer.providers[position], layer.minutes[position]);
                let delivery = task.delivery.get(position).copied().filter(|_| last).unwrap_or(0);
                let slots = provider.index() * horizon + first..provider.index() * horizon + first + periods;
                let before = self.costs.len();
                self.costs.extend(slots.map(|slot| {
                    let fits = limits.spare.is_none_or(|spare| minutes <= spare[slot]);
                    let closed = |&(closed_order, closed): &(usize, u32)| {
                        closed_order == order && closed as usize == slot
                    };
                    if !fits || !tables.is_open(slot, minutes) || limits.closed.iter().any(closed) {
                        return UNREACHABLE;
                    }
                    let cost = layer.costs[position] + offers.prices[slot] * minutes;
                    cost.saturating_add(delivery).min(UNREACHABLE)
                }));
                if self.costs[before..].iter().all(|&cost| cost >= UNREACHABLE) {
                    self.costs.truncate(before);
                } else {
                    self.nodes.push(Node { provider });
                }
            };
            // Which offers are dominated is known for when all are open.
            let all_open = limits.spare.is_none() && limits.closed.is_empty();
            match tables.undominated(offers, operation).filter(|_| all_open) {
                Some(positions) => positions.iter().for_each(|&position| push(position as usize)),
                None => (0..layer.providers.len()).for_each(push),
            }
        }
        self.starts.push(self.nodes.len());
    }

    /// What going on from a provider takes by way of the open nodes, if that is less than `best`; else `best`.
    fn cheapest_onward(&self, tables: &Tables, from: ProviderId, mut best: i64) -> i64 {
        for open in &self.open {
            if open.value >= best {
                break; // values ascend and legs are not negative
            }
            let better = best - open.value;
            if !certainly_at_least(tables, from, open.provider, better) {
                best = best.min(tables.leg(from, open.provider) + open.value);
            }
        }
        best
    }

    /// Opens the nodes of an order that are cheaper from this period on than from the next one on, in ascending value, without those
    /// that are dominated: `c` is, if some `b` has `leg(c, b) + value(b) <= value(c)`, for then going on to `b` straight away is no
    /// dearer.
    fn open_fallen(&mut self, tables: &Tables, order: usize, period: usize) {
        self.open.clear();
        for position in self.starts[order]..self.starts[order + 1] {
            let (value, later) = (self.value(position, period), self.value(position, period + 1));
            if value < later {
                self.open.push(Open { value, provider: self.nodes[position].provider });
            }
        }
        self.open.sort_unstable_by_key(|open| (open.value, open.provider));
        if !tables.metric {
            return;
        }
        let mut kept = 0;
        for candidate in 0..self.open.len() {
            let open = self.open[candidate];
            let dominates = |best: &Open| {
                let (to, dearer) = (best.provider, open.value - best.value);
                !certainly_at_least(tables, open.provider, to, dearer + 1)
                    && tables.leg(open.provider, to) <= dearer
            };
            if !self.open[..kept].iter().any(dominates) {
                self.open[kept] = open;
                kept += 1;
            }
        }
        self.open.truncate(kept);
    }

    /// Follows the cheapest path forward, to the smallest slot at every tie.
    fn trace(&self, tables: &Tables, task: &Task, cheapest: i64, path: &mut Vec<u32>) {
        let horizon = tables.horizon().len();
        path.clear();
        let (mut remaining, mut from, mut period) = (cheapest, None, 0);
        for order in 0..task.orders.len() {
            let leg = |to| from.map_or(0, |from| tables.leg(from, to));
            let mut nodes = self.starts[order]..self.starts[order + 1];
            let position = nodes
                .find(|&position| {
                    leg(self.nodes[position].provider) + self.value(position, period) == remaining
                })
                .expect("a cheapest path has a node in every layer");
            let provider = self.nodes[position].provider;
            let value = self.value(position, period);
            let onward = |period: usize| self.onward_from(tables, order, provider, period);
            let cost = |period| self.costs[self.at(position, period)];
            let is_it = |&period: &usize| {
                self.value(position, period + 1) > value
                    || cost(period).saturating_add(onward(period)) == value
            };
            period = (period..self.periods).find(is_it).expect("a value is reached in some period");
            remaining = value - cost(period);
            from = Some(provider);
            let slot = provider.index() * horizon + task.periods.0 + period;
            path.push(u32::try_from(slot).expect("slots are fewer than 2^32"));
        }
    }

    /// What going on from a provider takes that does an order in this period.
    fn onward_from(&self, tables: &Tables, order: usize, from: ProviderId, period: usize) -> i64 {
        let Some(&end) = self.starts.get(order + 2) else { return 0 };
        let nodes = self.starts[order + 1]..end;
        let onward = nodes.map(|position| {
            tables.leg(from, self.nodes[position].provider).saturating_add(self.value(position, period))
        });
        onward.min().unwrap_or(UNREACHABLE)
    }
}

/// Whether an estimate shows that a leg costs at least this much.
fn certainly_at_least(tables: &Tables, from: ProviderId, to: ProviderId, micros: i64) -> bool {
    tables.reckoning.as_ref().is_some_and(|reckoning| reckoning.costs_at_least(from, to, micros))
}
