//! Cheapest compositions over a [`Table`]: the solver's own, fast twin of `scenarios::Oracle`.
//!
//! The same layered graph, the same costs and the same paths, ties included; but buffers are reused, offers can
//! be closed, and providers that no cheapest path goes on to are pruned. Dense markets are solved as lanes
//! ([`crate::lanes`]), all others node by node here.

use rayon::prelude::*;
use scenarios::{Minutes, Money};

use crate::lanes::{LaneFinder, LaneMarket};
use crate::problem::{Objective, Problem};
use crate::table::{Row, Table, UNREACHABLE};

/// The offers of a table at some prices per minute.
#[derive(Clone, Debug)]
pub(crate) struct PricedOffers {
    prices: Vec<i64>,
    /// The same as lanes; empty where the market is not solved so.
    lanes: Vec<f64>,
}

impl PricedOffers {
    pub(crate) fn new(table: &Table, prices: Vec<i64>) -> Self {
        let lanes = table.lanes.as_ref().map_or_else(Vec::new, |lanes| lanes.priced(table, &prices));
        Self { prices, lanes }
    }
}

/// Which offers a path may use; by default all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits<'a> {
    /// Minutes left at each provider: an offer must fit by itself.
    pub(crate) spare: Option<&'a [Minutes]>,
    /// Orders and genes that are closed.
    pub(crate) avoided: &'a [(usize, u32)],
}

/// Finds shortest paths; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathFinder {
    lanes: LaneFinder,
    nodes: NodeFinder,
    genes: Vec<u32>,
}

impl PathFinder {
    /// The cheapest composition of a demand at these prices; its genes are then in [`PathFinder::genes`].
    /// `None`: none below [`UNREACHABLE`].
    pub(crate) fn cheapest(
        &mut self,
        table: &Table,
        offers: &PricedOffers,
        row: &Row,
        limits: Limits<'_>,
    ) -> Option<i64> {
        if !row.servable {
            return None;
        }
        let cost = match &table.lanes {
            Some(market) => self.over_lanes(table, market, offers, row, limits),
            None => self.nodes.solve(table, &offers.prices, row, limits, &mut self.genes),
        };
        Some(cost).filter(|&cost| cost < UNREACHABLE)
    }

    /// The genes of the last path found, one per order.
    pub(crate) fn genes(&self) -> &[u32] {
        &self.genes
    }

    #[expect(clippy::cast_possible_truncation, reason = "a whole number, or infinity, which saturates")]
    fn over_lanes(
        &mut self,
        table: &Table,
        market: &LaneMarket,
        offers: &PricedOffers,
        row: &Row,
        limits: Limits<'_>,
    ) -> i64 {
        self.lanes.solve(table, market, &offers.lanes, row, limits, &mut self.genes) as i64
    }
}

/// An offer that may do an order, and what it adds to a path.
#[derive(Clone, Copy, Debug)]
struct Node {
    gene: u32,
    provider: u32,
    cost: i64,
}

/// A node that a path may go on to, and what it costs from there.
#[derive(Clone, Copy, Debug)]
struct Open {
    value: i64,
    provider: u32,
}

/// Shortest paths node by node, for markets where few providers offer each operation.
#[derive(Clone, Debug, Default)]
struct NodeFinder {
    nodes: Vec<Node>,
    /// Where each order's nodes begin; one more entry than orders.
    starts: Vec<usize>,
    /// Per node: the cost from its order to the end.
    values: Vec<i64>,
    open: Vec<Open>,
}

impl NodeFinder {
    fn solve(
        &mut self,
        table: &Table,
        prices: &[i64],
        row: &Row,
        limits: Limits<'_>,
        genes: &mut Vec<u32>,
    ) -> i64 {
        self.load(table, prices, row, limits);
        self.values.clear();
        self.values.extend(self.nodes.iter().map(|node| node.cost));
        for order in (0..row.layers.len() - 1).rev() {
            self.open_undominated(table, order + 1);
            for position in self.starts[order]..self.starts[order + 1] {
                let onward = self.cheapest_onward(table, self.nodes[position].provider);
                self.values[position] = (self.values[position] + onward).min(UNREACHABLE);
            }
        }
        self.trace(table, genes)
    }

    fn load(&mut self, table: &Table, prices: &[i64], row: &Row, limits: Limits<'_>) {
        self.nodes.clear();
        self.starts.clear();
        for order in 0..row.layers.len() {
            self.starts.push(self.nodes.len());
            let last = order + 1 == row.layers.len();
            let layer = table.layer(row, order);
            let offers = layer.providers.iter().zip(&layer.costs).zip(&layer.minutes).zip(0..);
            for (((&provider, &cost), &minutes), gene) in offers {
                let fits = limits.spare.is_none_or(|spare| minutes <= spare[provider as usize]);
                if fits && !limits.avoided.contains(&(order, gene)) {
                    let delivery = if last { Table::delivery(row, gene) } else { 0 };
                    let cost = cost + prices[provider as usize] * minutes + delivery;
                    self.nodes.push(Node { gene, provider, cost });
                }
            }
        }
        self.starts.push(self.nodes.len());
    }

    fn cheapest_onward(&self, table: &Table, from: u32) -> i64 {
        let mut best = UNREACHABLE;
        for open in &self.open {
            if open.value >= best {
                break; // values ascend and legs are not negative
            }
            best = best.min(table.leg(from, open.provider) + open.value);
        }
        best
    }

    /// Opens the nodes of an order in ascending value, without those that are dominated: `c` is, if some `b`
    /// has `leg(c, b) + value(b) <= value(c)`, for then going on to `b` straight away is no dearer.
    fn open_undominated(&mut self, table: &Table, order: usize) {
        self.open.clear();
        let range = self.starts[order]..self.starts[order + 1];
        let nodes = self.nodes[range.clone()].iter().zip(&self.values[range]);
        self.open.extend(nodes.map(|(node, &value)| Open { value, provider: node.provider }));
        self.open.sort_unstable_by_key(|open| (open.value, open.provider));
        if !table.metric {
            return;
        }
        let mut kept = 0;
        for candidate in 0..self.open.len() {
            let open = self.open[candidate];
            let by_way = |best: &Open| table.leg(open.provider, best.provider) + best.value;
            if self.open[..kept].iter().all(|best| by_way(best) > open.value) {
                self.open[kept] = open;
                kept += 1;
            }
        }
        self.open.truncate(kept);
    }

    /// Follows the cheapest path forward, to the smallest provider at every tie (as the shared oracle does).
    fn trace(&self, table: &Table, genes: &mut Vec<u32>) -> i64 {
        genes.clear();
        let first = &self.values[self.starts[0]..self.starts[1]];
        let cheapest = first.iter().copied().min().unwrap_or(UNREACHABLE);
        if cheapest >= UNREACHABLE {
            return UNREACHABLE;
        }
        let mut remaining = cheapest;
        let mut from: Option<u32> = None;
        for range in self.starts.windows(2) {
            let nodes = self.nodes[range[0]..range[1]].iter().zip(&self.values[range[0]..range[1]]);
            let (node, leg) = nodes
                .map(|(node, &value)| (node, value, from.map_or(0, |from| table.leg(from, node.provider))))
                .find(|&(_, value, leg)| leg + value == remaining)
                .map(|(node, _, leg)| (node, leg))
                .expect("a cheapest path has a node in every layer");
            remaining -= leg + node.cost;
            genes.push(node.gene);
            from = Some(node.provider);
        }
        cheapest
    }
}

/// The certified bound of a problem at its own prices: the dual bound of its market, or for the priced
/// objective the sum of what each demand costs at least. `None` if it leaves the range of money.
pub(crate) fn problem_bound(table: &Table, problem: &Problem) -> Option<Money> {
    let offers = PricedOffers::new(table, table.prices.clone());
    let least = table.rows.par_iter().map_init(PathFinder::default, |finder, row| {
        let best = finder.cheapest(table, &offers, row, Limits::default());
        best.map_or(row.budget, |cost| cost.min(row.budget))
    });
    let least: i128 = least.map(i128::from).collect::<Vec<_>>().into_iter().sum();
    let capacities = problem.instance().supply.capacities();
    let capacity_value = match problem.objective() {
        Objective::Cost => scenarios::bound::priced_capacity(problem.prices(), &capacities),
        Objective::PricedCost => 0,
    };
    i64::try_from(least - capacity_value).ok().map(Money::from_micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scenarios::{CapacityPrices, Oracle, ProviderId};

    use super::*;
    use crate::instances::{formula_market, market};

    /// The cheapest path by the finder and by the shared oracle, for every demand of a table.
    fn assert_as_the_oracle(
        table: &Table,
        instance: &scenarios::Instance,
        prices: &[i64],
        spare: &[Minutes],
    ) {
        let oracle = Oracle::new(&instance.supply);
        let offers = PricedOffers::new(table, prices.to_vec());
        let prices = CapacityPrices(prices.iter().map(|&price| Money::from_micros(price)).collect());
        let mut finder = PathFinder::default();
        for (row, demand) in table.rows.iter().zip(&instance.demands) {
            let fits = |provider: ProviderId, minutes| minutes <= spare[provider.index()];
            let expected = oracle.cheapest_among(demand, &prices, fits);
            let limits = Limits { spare: Some(spare), avoided: &[] };
            let found = finder.cheapest(table, &offers, row, limits);
            assert_eq!(found, expected.as_ref().map(|best| best.priced_cost.micros()));
            if let Some(expected) = expected {
                assert_eq!(table.composition_of(row, finder.genes()), expected.providers);
            }
        }
    }

    #[test]
    fn a_market_where_everybody_offers_everything_is_solved_as_lanes() {
        let instance = formula_market(11, 3, 4, None);
        let mut table = Table::of(&instance.supply, &instance.demands);
        assert!(table.lanes.is_some());
        assert_as_the_oracle(&table, &instance, &[0; 11], &[1_000; 11]);
        table.lanes = None;
        assert_as_the_oracle(&table, &instance, &[0; 11], &[1_000; 11]);
    }

    proptest! {
        #[test]
        fn paths_are_the_oracles_over_lanes_and_node_by_node(
            instance in market(9, 4, 6),
            prices in prop::collection::vec(0_i64..2_000_000, 9),
            spare in prop::collection::vec(0_i64..100, 9),
        ) {
            let providers = instance.supply.providers.len();
            let mut table = Table::of(&instance.supply, &instance.demands);
            assert_as_the_oracle(&table, &instance, &prices[..providers], &spare[..providers]);
            table.lanes = None;
            assert_as_the_oracle(&table, &instance, &prices[..providers], &spare[..providers]);
        }

        #[test]
        fn closed_offers_are_avoided(instance in market(6, 2, 4)) {
            let mut table = Table::of(&instance.supply, &instance.demands);
            for lanes in [true, false] {
                if !lanes {
                    table.lanes = None;
                }
                let offers = PricedOffers::new(&table, vec![0; instance.supply.providers.len()]);
                let mut finder = PathFinder::default();
                for row in &table.rows {
                    let Some(best) = finder.cheapest(&table, &offers, row, Limits::default()) else { continue };
                    let closed = [(0, finder.genes()[0])];
                    let limits = Limits { spare: None, avoided: &closed };
                    if let Some(next) = finder.cheapest(&table, &offers, row, limits) {
                        prop_assert!(next >= best && finder.genes()[0] != closed[0].1);
                        prop_assert_eq!(next, table.composition_cost(row, finder.genes()));
                    }
                }
            }
        }
    }
}
