//! Exact composition of one demand under capacity prices: a shortest path through a layered graph.
//!
//! One layer per order, one node per provider that offers its operation. A node costs `processing +
//! value of its minutes + price * minutes`, an edge costs the leg between two providers. Ties go to the
//! lexicographically smallest provider list, so every node of the network finds the same path.

use serde::{Deserialize, Serialize};

use crate::instance::{Demand, Supply};
use crate::limits;
use crate::units::{Minutes, Money, OperationId, ProviderId};

/// Price of one minute at each provider, in order of id, each within `0..=`[`limits::CAPACITY_PRICE`];
/// providers beyond the end cost nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CapacityPrices(pub Vec<Money>);

impl CapacityPrices {
    /// Minutes cost nothing anywhere.
    pub const fn zero() -> Self {
        Self(Vec::new())
    }

    /// The price of a minute at a provider.
    pub fn of(&self, provider: ProviderId) -> Money {
        self.0.get(provider.index()).copied().unwrap_or(Money::ZERO)
    }

    /// `price * minutes` at a provider.
    pub fn charge(&self, provider: ProviderId, minutes: Minutes) -> Money {
        Money::from_micros(self.of(provider).micros() * minutes)
    }
}

/// A composition found by the oracle, and its cost at the prices it was found under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedComposition {
    /// The provider of each order.
    pub providers: Vec<ProviderId>,
    /// Cost + price * minutes.
    pub priced_cost: Money,
}

/// Legs are cached for markets of at most this many providers (8 bytes a pair: 128 MiB); larger markets
/// compute them as they go.
const CACHED_PROVIDERS: usize = 4_096;

/// One operation's offers: who, and at what cost (processing and value of time) and minutes.
#[derive(Clone, Debug, Default)]
struct Layer {
    providers: Vec<ProviderId>,
    costs: Vec<i64>,
    minutes: Vec<Minutes>,
}

/// The shortest-path oracle of one supply.
#[derive(Clone, Debug)]
pub struct Oracle<'a> {
    supply: &'a Supply,
    layers: Vec<Layer>,
    legs: Vec<i64>,
}

impl<'a> Oracle<'a> {
    /// Tabulates the offers by operation and the legs between providers.
    pub fn new(supply: &'a Supply) -> Self {
        let mut layers: Vec<Layer> = Vec::new();
        for (id, provider) in supply.provider_ids().zip(&supply.providers) {
            for (operation, &offer) in &provider.offers {
                if layers.len() <= operation.index() {
                    layers.resize(operation.index() + 1, Layer::default());
                }
                let layer = &mut layers[operation.index()];
                layer.providers.push(id);
                layer.costs.push((offer.cost + supply.processing_time_value(offer)).micros());
                layer.minutes.push(offer.minutes);
            }
        }
        let mut legs = Vec::new();
        if supply.providers.len() <= CACHED_PROVIDERS {
            legs.reserve_exact(supply.providers.len().pow(2));
            for from in &supply.providers {
                legs.extend(supply.providers.iter().map(|to| leg_micros(supply, from.site, to.site)));
            }
        }
        Self { supply, layers, legs }
    }

    /// The supply it answers for.
    pub const fn supply(&self) -> &'a Supply {
        self.supply
    }

    /// Objective share of travelling from one provider to another.
    pub fn leg(&self, from: ProviderId, to: ProviderId) -> Money {
        Money::from_micros(self.leg_between(from, to))
    }

    /// Providers that offer an operation, ascending.
    pub fn offering(&self, operation: OperationId) -> &[ProviderId] {
        self.layers.get(operation.index()).map_or(&[], |layer| &layer.providers)
    }

    /// The number of edge relaxations a shortest path for `demand` takes: the sum over consecutive orders
    /// of the products of their offer counts. Blocks are metered by it.
    pub fn work(&self, demand: &Demand) -> u64 {
        let counts: Vec<u64> =
            demand.orders.iter().map(|&operation| self.offering(operation).len() as u64).collect();
        counts.iter().sum::<u64>() + counts.windows(2).map(|pair| pair[0] * pair[1]).sum::<u64>()
    }

    /// The cheapest composition of `demand` at these prices over all offers, its budget and capacities
    /// ignored; `None` if one of its orders is offered by nobody. No orders cost nothing.
    pub fn cheapest(&self, demand: &Demand, prices: &CapacityPrices) -> Option<PricedComposition> {
        self.cheapest_among(demand, prices, |_, _| true)
    }

    /// [`Oracle::cheapest`] over the providers `usable(provider, minutes)` admits, where `minutes` is what
    /// the order would take there.
    pub fn cheapest_among(
        &self,
        demand: &Demand,
        prices: &CapacityPrices,
        usable: impl Fn(ProviderId, Minutes) -> bool,
    ) -> Option<PricedComposition> {
        // to_go[k][j]: cheapest way to do orders k.. starting at the j-th usable provider of order k.
        let nodes: Vec<Vec<(ProviderId, i64)>> =
            demand.orders.iter().map(|&operation| self.nodes(operation, prices, &usable)).collect();
        let mut to_go: Vec<Vec<i64>> = vec![Vec::new(); nodes.len()];
        let Some(last) = nodes.len().checked_sub(1) else {
            return Some(PricedComposition { providers: Vec::new(), priced_cost: Money::ZERO });
        };
        to_go[last] = nodes[last].iter().map(|&(id, cost)| cost + self.delivery(id, demand)).collect();
        for order in (0..last).rev() {
            to_go[order] = nodes[order]
                .iter()
                .map(|&(from, cost)| {
                    let onward = nodes[order + 1].iter().zip(&to_go[order + 1]);
                    let rest = onward.map(|(&(to, _), &rest)| self.leg_between(from, to) + rest).min();
                    cost + rest.unwrap_or(UNREACHABLE).min(UNREACHABLE)
                })
                .collect();
        }
        let cheapest = *to_go[0].iter().min()?;
        if cheapest >= UNREACHABLE {
            return None;
        }
        Some(PricedComposition {
            providers: self.trace(&nodes, &to_go, cheapest),
            priced_cost: Money::from_micros(cheapest),
        })
    }

    /// Follows the path of cost `remaining` forward, taking the smallest provider id at every tie: that
    /// makes the whole list lexicographically smallest.
    fn trace(
        &self,
        nodes: &[Vec<(ProviderId, i64)>],
        to_go: &[Vec<i64>],
        mut remaining: i64,
    ) -> Vec<ProviderId> {
        let mut path: Vec<ProviderId> = Vec::with_capacity(nodes.len());
        for (layer, rests) in nodes.iter().zip(to_go) {
            let from = path.last().copied();
            let (&(id, cost), _) = layer
                .iter()
                .zip(rests)
                .find(|&(&(id, _), &rest)| {
                    from.map_or(0, |from| self.leg_between(from, id)) + rest == remaining
                })
                .expect("a shortest path has a node in every layer");
            remaining -= from.map_or(0, |from| self.leg_between(from, id)) + cost;
            path.push(id);
        }
        path
    }

    fn nodes(
        &self,
        operation: OperationId,
        prices: &CapacityPrices,
        usable: &impl Fn(ProviderId, Minutes) -> bool,
    ) -> Vec<(ProviderId, i64)> {
        let Some(layer) = self.layers.get(operation.index()) else { return Vec::new() };
        let offers = layer.providers.iter().zip(&layer.costs).zip(&layer.minutes);
        offers
            .filter(|&((&id, _), &minutes)| usable(id, minutes))
            .map(|((&id, &cost), &minutes)| (id, cost + prices.charge(id, minutes).micros()))
            .collect()
    }

    fn delivery(&self, from: ProviderId, demand: &Demand) -> i64 {
        if self.supply.rules.deliver {
            leg_micros(self.supply, self.supply.providers[from.index()].site, demand.site)
        } else {
            0
        }
    }

    fn leg_between(&self, from: ProviderId, to: ProviderId) -> i64 {
        let count = self.supply.providers.len();
        if let Some(&leg) = self.legs.get(from.index() * count + to.index()) {
            return leg;
        }
        let site = |id: ProviderId| self.supply.providers[id.index()].site;
        leg_micros(self.supply, site(from), site(to))
    }
}

/// Larger than any path within [`limits`], small enough that a few of them can be added.
const UNREACHABLE: i64 = i64::MAX / 8;

/// The leg, or [`UNREACHABLE`] where a site is not of the market's geometry.
fn leg_micros(supply: &Supply, from: crate::Site, to: crate::Site) -> i64 {
    supply.leg(from, to).map_or(UNREACHABLE, Money::micros)
}

/// Why capacity prices are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// A price is negative or above [`limits::CAPACITY_PRICE`].
    #[error("the price of a minute at {provider} is {got}, expected 0 to {}", limits::CAPACITY_PRICE)]
    OutOfRange {
        /// The provider.
        provider: ProviderId,
        /// Its price.
        got: Money,
    },
    /// A provider without a capacity limit has a price.
    #[error("the price of a minute at {provider} is {got}, but its capacity is unlimited: expected 0")]
    Unlimited {
        /// The provider.
        provider: ProviderId,
        /// Its price.
        got: Money,
    },
    /// There are more prices than providers.
    #[error("{got} prices for {expected} providers")]
    Count {
        /// Prices given.
        got: usize,
        /// Providers.
        expected: usize,
    },
    /// The bound at these prices is below what `i64` micro-units hold: the prices are absurd.
    #[error("the bound at these prices does not fit 64-bit micro-units; lower the prices")]
    BoundOverflow,
}

/// Checks that prices suit these capacities.
///
/// # Errors
/// The first price that is out of range or put on unlimited capacity, or too many prices.
pub fn validate_prices(prices: &CapacityPrices, capacities: &[Option<Minutes>]) -> Result<(), PriceError> {
    if prices.0.len() > capacities.len() {
        return Err(PriceError::Count { got: prices.0.len(), expected: capacities.len() });
    }
    for (index, (&got, capacity)) in prices.0.iter().zip(capacities).enumerate() {
        let provider = ProviderId::from_index(index);
        if !(Money::ZERO..=limits::CAPACITY_PRICE).contains(&got) {
            return Err(PriceError::OutOfRange { provider, got });
        }
        if capacity.is_none() && got != Money::ZERO {
            return Err(PriceError::Unlimited { provider, got });
        }
    }
    Ok(())
}
