//! Exact composition of one demand under dual prices: a shortest path through a layered graph.
//!
//! One layer per order, one node per provider that offers its operation. A node costs `processing +
//! value of its minutes + price * minutes`, an edge costs the leg between two providers. Ties go to the
//! lexicographically smallest provider list, so every node of the network finds the same path. An order that takes longer
//! than its provider's whole capacity is on no path: no plan can use it.

mod carried;
mod finder;
mod fitting;
mod kernel;
mod lanes;
mod nodes;
mod reckoning;
mod shared;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::instance::{Demand, Supply};
use crate::limits;
use crate::units::{Minutes, Money, OperationId, ProviderId};

pub use carried::CARRIED_PATH_WORK;
pub use finder::{Limits, PathFinder};
pub use fitting::Fitting;
pub use kernel::Kernel;
pub use shared::SharedSupply;
pub use tables::{PricedOffers, Tables, Task};

/// Price of one minute at each provider, in order of id, each within `0..=`[`limits::CAPACITY_PRICE`];
/// providers beyond the end cost nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DualPrices(pub Vec<Money>);

impl DualPrices {
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

/// The shortest-path oracle of one supply. Its tables cost more than a path: keep it, or get it with
/// [`SharedSupply::oracle`] where the supply is shared.
#[derive(Clone, Debug)]
pub struct Oracle<'a> {
    supply: &'a Supply,
    tables: Arc<Tables>,
    kernel: Kernel,
    /// The offers at the prices asked about last.
    priced: Arc<Mutex<Option<Arc<PricedOffers>>>>,
}

/// The number of edge relaxations of a plain shortest path through layers of so many nodes: see [`Oracle::work`].
pub fn path_work(counts: impl IntoIterator<Item = u64>) -> u64 {
    let (mut work, mut before) = (0_u64, 0_u64);
    for count in counts {
        work = work.saturating_add(count).saturating_add(before.saturating_mul(count));
        before = count;
    }
    work
}

impl<'a> Oracle<'a> {
    /// Tabulates the offers by operation and the legs between providers.
    pub fn new(supply: &'a Supply) -> Self {
        Self::with_tables(supply, Arc::new(Tables::new(supply)))
    }

    fn with_tables(supply: &'a Supply, tables: Arc<Tables>) -> Self {
        Self { supply, tables, kernel: Kernel::detect(), priced: Arc::default() }
    }

    /// The same oracle on other vector instructions: the same answers, at another speed.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// The supply it answers for.
    pub const fn supply(&self) -> &'a Supply {
        self.supply
    }

    /// Objective share of travelling from one provider to another.
    pub fn leg(&self, from: ProviderId, to: ProviderId) -> Money {
        Money::from_micros(self.tables.leg(from, to))
    }

    /// Providers that offer an operation, ascending.
    pub fn offering(&self, operation: OperationId) -> &[ProviderId] {
        self.tables.layer(operation).map_or(&[], |layer| &layer.providers)
    }

    /// The number of edge relaxations a plain shortest path for `demand` takes: the sum over consecutive
    /// orders of the products of their offer counts. Blocks are metered by it.
    pub fn work(&self, demand: &Demand) -> u64 {
        path_work(demand.orders.iter().map(|&operation| self.offering(operation).len() as u64))
    }

    /// The cheapest composition of `demand` at these prices over all offers, its budget and capacities
    /// ignored; `None` if one of its orders is offered by nobody. No orders cost nothing.
    pub fn cheapest(&self, demand: &Demand, prices: &DualPrices) -> Option<PricedComposition> {
        self.cheapest_within(demand, prices, &[])
    }

    /// [`Oracle::cheapest`] over the providers `usable(provider, minutes)` admits, where `minutes` is what
    /// the order would take there.
    pub fn cheapest_among(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        usable: impl Fn(ProviderId, Minutes) -> bool,
    ) -> Option<PricedComposition> {
        let mut closed = Vec::new();
        for (order, &operation) in demand.orders.iter().enumerate() {
            let Some(layer) = self.tables.layer(operation) else { continue };
            let offers = layer.providers.iter().zip(&layer.minutes);
            let refused = offers.filter(|&(&provider, &minutes)| !usable(provider, minutes));
            closed.extend(refused.map(|(&provider, _)| (order, provider)));
        }
        self.cheapest_within(demand, prices, &closed)
    }

    /// The cost of [`Oracle::cheapest`] for many demands at the same prices, one by one.
    pub(crate) fn least_costs<'d>(
        &self,
        demands: impl IntoIterator<Item = &'d Demand>,
        prices: &DualPrices,
    ) -> impl Iterator<Item = (&'d Demand, Option<Money>)> {
        let offers = self.priced(prices);
        let mut finder = PathFinder::new(self.kernel);
        demands.into_iter().map(move |demand| {
            let cost = finder.least_cost(&self.tables, &offers, &self.tables.task(demand));
            (demand, cost.map(Money::from_micros))
        })
    }

    fn cheapest_within(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        closed: &[(usize, ProviderId)],
    ) -> Option<PricedComposition> {
        let offers = self.priced(prices);
        let mut finder = PathFinder::new(self.kernel);
        let limits = Limits { spare: None, closed };
        let cost = finder.cheapest(&self.tables, &offers, &self.tables.task(demand), limits)?;
        let providers = finder.path().iter().copied().map(ProviderId).collect();
        Some(PricedComposition { providers, priced_cost: Money::from_micros(cost) })
    }

    /// The offers at these prices, tabulated anew only if others were asked about last.
    fn priced(&self, prices: &DualPrices) -> Arc<PricedOffers> {
        let mut last = self.priced.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(offers) if offers.are_at(prices) => Arc::clone(offers),
            _ => Arc::clone(last.insert(Arc::new(self.tables.priced(prices)))),
        }
    }
}

/// Why dual prices are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum PriceError {
    /// A price is negative or above [`limits::CAPACITY_PRICE`].
    #[error("the price of a minute at {provider} is {got}, expected 0 to {}", limits::CAPACITY_PRICE)]
    OutOfRange { provider: ProviderId, got: Money },
    /// A provider without a capacity limit has a price.
    #[error("the price of a minute at {provider} is {got}, but its capacity is unlimited: expected 0")]
    Unlimited { provider: ProviderId, got: Money },
    /// There are more prices than providers.
    #[error("{got} prices for {expected} providers")]
    Count {
        /// Prices given.
        got: usize,
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
pub fn validate_prices(prices: &DualPrices, capacities: &[Option<Minutes>]) -> Result<(), PriceError> {
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
