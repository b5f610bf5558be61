//! Shortest paths over a market where most providers offer most operations: every order is a row of lanes,
//! one per provider, so that the inner loop runs over contiguous numbers without branches.
//!
//! Lanes hold doubles: whole micro-units below 2^53 are exact in them, and a minimum of doubles is one
//! instruction everywhere, one of 64-bit integers is not. An offer that is not there costs infinity.
//!
//! Only providers that are not dominated are gone on to: `c` is, if going on from it by way of another `b` is
//! no dearer than from `c` itself. With `reach[c]` the cheapest way to go on seen so far, that is simply
//! `reach[c] <= value[c]`; it needs the triangle inequality.

use crate::paths::Limits;
use crate::table::{Row, Table, UNREACHABLE};

/// Lanes are worked on in groups of this many.
const GROUP: usize = 8;
/// Rows of lanes are built for markets with at most this many of them (8 bytes each: 32 MiB).
const MOST_LANES: usize = 1 << 22;
/// ... and with offers on at least one lane in this many.
const LEAST_FILL: usize = 4;

/// The geometry and capacities of a market, as lanes.
#[derive(Clone, Debug)]
pub(crate) struct LaneMarket {
    lanes: usize,
    /// `legs_into[to][from]`.
    legs_into: Vec<f64>,
    /// Minutes of each offer, layer by layer.
    minutes: Vec<f64>,
}

impl LaneMarket {
    /// `None` where lanes would not pay: few offers, or a distance table that breaks the triangle inequality.
    pub(crate) fn new(table: &Table) -> Option<Self> {
        let providers = table.capacities.len();
        let lanes = providers.next_multiple_of(GROUP);
        let offers: usize = table.layers.iter().map(|layer| layer.providers.len()).sum();
        let size = lanes * table.layers.len().max(lanes);
        let pays = size <= MOST_LANES && offers * LEAST_FILL >= providers * table.layers.len();
        if lanes == 0 || !table.metric || !pays {
            return None;
        }
        let mut legs_into = vec![f64::INFINITY; lanes * lanes];
        for (to, row) in (0..).zip(legs_into.chunks_exact_mut(lanes)).take(providers) {
            for (from, leg) in (0..).zip(row).take(providers) {
                *leg = lane(table.leg(from, to));
            }
        }
        let mut minutes = vec![0.0; lanes * table.layers.len()];
        for (layer, row) in table.layers.iter().zip(minutes.chunks_exact_mut(lanes)) {
            for (&provider, &taken) in layer.providers.iter().zip(&layer.minutes) {
                row[provider as usize] = lane(taken);
            }
        }
        Some(Self { lanes, legs_into, minutes })
    }

    /// What each offer costs at these prices per minute, layer by layer.
    pub(crate) fn priced(&self, table: &Table, prices: &[i64]) -> Vec<f64> {
        let mut costs = vec![f64::INFINITY; self.lanes * table.layers.len()];
        for (layer, row) in table.layers.iter().zip(costs.chunks_exact_mut(self.lanes)) {
            for ((&provider, &cost), &minutes) in layer.providers.iter().zip(&layer.costs).zip(&layer.minutes)
            {
                row[provider as usize] = lane(cost + prices[provider as usize] * minutes);
            }
        }
        costs
    }
}

/// Finds shortest paths over lanes; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneFinder {
    /// Order by order: what each offer costs, as far as it may be used.
    costs: Vec<f64>,
    /// Order by order: the cheapest way from each provider to the end.
    values: Vec<f64>,
}

impl LaneFinder {
    /// The cheapest path of a servable demand within `limits`; its genes go to `genes`. If it is not below
    /// [`UNREACHABLE`] (infinite if there is none), there are no genes.
    pub(crate) fn solve(
        &mut self,
        table: &Table,
        market: &LaneMarket,
        priced: &[f64],
        row: &Row,
        limits: Limits<'_>,
        genes: &mut Vec<u32>,
    ) -> f64 {
        self.load(table, market, priced, row, limits);
        self.pass(market, row.layers.len());
        self.trace(table, market.lanes, row, genes)
    }

    fn load(&mut self, table: &Table, market: &LaneMarket, priced: &[f64], row: &Row, limits: Limits<'_>) {
        let lanes = market.lanes;
        self.costs.clear();
        for &layer in &row.layers {
            let layer = usize::from(layer) * lanes..(usize::from(layer) + 1) * lanes;
            let Some(spare) = limits.spare else {
                self.costs.extend_from_slice(&priced[layer]);
                continue;
            };
            let offers = priced[layer.clone()].iter().zip(&market.minutes[layer]).zip(spare);
            let usable = offers.map(
                |((&cost, &minutes), &spare)| {
                    if minutes <= lane(spare) { cost } else { f64::INFINITY }
                },
            );
            self.costs.extend(usable);
            self.costs.resize(self.costs.len().next_multiple_of(lanes), f64::INFINITY);
        }
        for &(order, gene) in limits.avoided {
            let provider = table.layer(row, order).providers[gene as usize] as usize;
            self.costs[order * lanes + provider] = f64::INFINITY;
        }
        if let Some(last) = row.layers.len().checked_sub(1) {
            let providers = &table.layer(row, last).providers;
            for (&provider, &leg) in providers.iter().zip(&row.delivery) {
                self.costs[last * lanes + provider as usize] += lane(leg);
            }
        }
    }

    fn pass(&mut self, market: &LaneMarket, orders: usize) {
        let lanes = market.lanes;
        self.values.clear();
        self.values.extend_from_slice(&self.costs);
        for order in (0..orders.saturating_sub(1)).rev() {
            let (before, after) = self.values.split_at_mut((order + 1) * lanes);
            let (reach, next) = (&mut before[order * lanes..], &after[..lanes]);
            reach.fill(f64::INFINITY);
            // The cheapest first, for it dominates most; a better order than that costs more than it prunes.
            let cheapest = position_of_least(next);
            for to in std::iter::once(cheapest).chain(0..lanes) {
                if next[to] < reach[to] {
                    go_on(reach, &market.legs_into[to * lanes..(to + 1) * lanes], next[to]);
                }
            }
            for (value, cost) in reach.iter_mut().zip(&self.costs[order * lanes..]) {
                *value += cost;
            }
        }
    }

    /// Follows the cheapest path forward, to the smallest provider at every tie (as the shared oracle does).
    #[expect(clippy::float_cmp, reason = "whole numbers below 2^52, all exact")]
    fn trace(&self, table: &Table, lanes: usize, row: &Row, genes: &mut Vec<u32>) -> f64 {
        genes.clear();
        let cheapest = self.values[..lanes].iter().copied().fold(f64::INFINITY, f64::min);
        if cheapest >= lane(UNREACHABLE) {
            return cheapest;
        }
        let mut remaining = cheapest;
        let mut from: Option<u32> = None;
        for (order, values) in self.values.chunks_exact(lanes).enumerate() {
            let layer = table.layer(row, order);
            let (gene, provider, leg) = (0..)
                .zip(&layer.providers)
                .map(|(gene, &to)| (gene, to, from.map_or(0.0, |from| lane(table.leg(from, to)))))
                .find(|&(_, to, leg)| leg + values[to as usize] == remaining)
                .expect("a cheapest path has a node in every layer");
            remaining -= leg + self.costs[order * lanes + provider as usize];
            genes.push(gene);
            from = Some(provider);
        }
        cheapest
    }
}

/// Lowers `reach` to going on by way of a provider that costs `value` from there.
fn go_on(reach: &mut [f64], legs: &[f64], value: f64) {
    for (reach, leg) in reach.iter_mut().zip(legs) {
        let by_way = leg + value;
        *reach = if by_way < *reach { by_way } else { *reach };
    }
}

fn position_of_least(values: &[f64]) -> usize {
    let mut least = 0;
    for (position, &value) in values.iter().enumerate() {
        if value < values[least] {
            least = position;
        }
    }
    least
}

#[expect(clippy::cast_precision_loss, reason = "costs and minutes that matter are below 2^53")]
fn lane(whole: i64) -> f64 {
    whole as f64
}
