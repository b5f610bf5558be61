//! Shortest paths from node to node, for markets where few providers offer each operation, or that have too many
//! providers for a table of legs.

use super::finder::Limits;
use super::tables::{PricedOffers, Tables, Task, UNREACHABLE};
use crate::units::ProviderId;

/// An offer that may do an order, and what it adds to a path.
#[derive(Clone, Copy, Debug)]
struct Node {
    provider: ProviderId,
    cost: i64,
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
    /// Per node: the cost from its order to the end.
    values: Vec<i64>,
    open: Vec<Open>,
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
        self.values.extend(self.nodes.iter().map(|node| node.cost));
        for order in (0..task.orders.len() - 1).rev() {
            self.open_undominated(tables, order + 1);
            for position in self.starts[order]..self.starts[order + 1] {
                let onward = self.cheapest_onward(tables, self.nodes[position].provider);
                self.values[position] = self.values[position].saturating_add(onward).min(UNREACHABLE);
            }
        }
        let first = &self.values[self.starts[0]..self.starts[1]];
        let cheapest = first.iter().copied().min().filter(|&cheapest| cheapest < UNREACHABLE)?;
        if let Some(path) = path {
            self.trace(tables, cheapest, path);
        }
        Some(cheapest)
    }

    fn load(&mut self, tables: &Tables, offers: &PricedOffers, task: &Task, limits: Limits<'_>) {
        self.nodes.clear();
        self.starts.clear();
        for (order, &operation) in task.orders.iter().enumerate() {
            self.starts.push(self.nodes.len());
            let Some(layer) = tables.layer(operation) else { continue };
            let last = order + 1 == task.orders.len();
            let mut push = |position: usize| {
                let (provider, minutes) = (layer.providers[position], layer.minutes[position]);
                let fits = limits.spare.is_none_or(|spare| minutes <= spare[provider.index()]);
                if fits && !limits.closed.contains(&(order, provider)) {
                    let delivery = task.delivery.get(position).copied().filter(|_| last).unwrap_or(0);
                    let cost = layer.costs[position] + offers.prices[provider.index()] * minutes;
                    let cost = cost.saturating_add(delivery).min(UNREACHABLE);
                    self.nodes.push(Node { provider, cost });
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

    fn cheapest_onward(&self, tables: &Tables, from: ProviderId) -> i64 {
        let mut best = UNREACHABLE;
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

    /// Opens the nodes of an order in ascending value, without those that are dominated: `c` is, if some `b`
    /// has `leg(c, b) + value(b) <= value(c)`, for then going on to `b` straight away is no dearer.
    fn open_undominated(&mut self, tables: &Tables, order: usize) {
        self.open.clear();
        let range = self.starts[order]..self.starts[order + 1];
        let nodes = self.nodes[range.clone()].iter().zip(&self.values[range]);
        self.open.extend(nodes.map(|(node, &value)| Open { value, provider: node.provider }));
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

    /// Follows the cheapest path forward, to the smallest provider at every tie.
    fn trace(&self, tables: &Tables, cheapest: i64, path: &mut Vec<u32>) {
        path.clear();
        let mut remaining = cheapest;
        let mut from: Option<ProviderId> = None;
        for range in self.starts.windows(2) {
            let nodes = self.nodes[range[0]..range[1]].iter().zip(&self.values[range[0]..range[1]]);
            let (node, leg) = nodes
                .map(|(node, &value)| (node, value, from.map_or(0, |from| tables.leg(from, node.provider))))
                .find(|&(_, value, leg)| leg + value == remaining)
                .map(|(node, _, leg)| (node, leg))
                .expect("a cheapest path has a node in every layer");
            remaining -= leg + node.cost;
            path.push(node.provider.0);
            from = Some(node.provider);
        }
    }
}

/// Whether an estimate shows that a leg costs at least this much.
fn certainly_at_least(tables: &Tables, from: ProviderId, to: ProviderId, micros: i64) -> bool {
    tables.reckoning.as_ref().is_some_and(|reckoning| reckoning.costs_at_least(from, to, micros))
}
