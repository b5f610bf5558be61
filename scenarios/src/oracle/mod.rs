//! Exact composition of one demand under dual prices: a shortest path through a layered graph.
//!
//! One layer per order, one node per slot (provider and period) in which its operation is offered and the demand wants to be
//! served. A node costs `processing + value of its minutes + price * minutes`, an edge costs the leg between two providers and never
//! leads to an earlier period. Ties go to the lexicographically smallest list of slots, so every node of the network finds the same
//! path. An order that takes longer than its slot's whole capacity is on no path: no plan can use it.
//!
//! What it costs from an order and a period on is the least over all later periods, so that a pass goes backward through the periods,
//! too, and in each looks again only at those providers that have become cheaper to go on to.

mod carried;
mod finder;
mod fitting;
mod kernel;
mod lanes;
mod nodes;
mod prices;
mod reckoning;
mod shared;
mod tables;

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::instance::{Demand, Supply};
use crate::periods::Slot;
use crate::units::{Minutes, Money, OperationId, ProviderId};

pub use carried::CARRIED_PATH_WORK;
pub use finder::{Limits, PathFinder};
pub use fitting::Fitting;
pub use kernel::Kernel;
pub use prices::{DualPrices, PriceError, validate_prices};
pub use shared::SharedSupply;
pub use tables::{PricedOffers, Tables, Task};

/// A composition found by the oracle, and its cost at the prices it was found under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedComposition {
    /// By whom and when each order is done.
    pub slots: Vec<Slot>,
    /// Cost + price * minutes.
    pub priced_cost: Money,
}

/// The shortest-path oracle of one supply. Its tables cost more than a path: keep it, or get it with
/// [`SharedSupply::oracle`] where the supply is shared.
#[derive(Clone, Debug)]
pub struct Oracle<'a> {
    supply: Source<'a>,
    tables: Arc<Tables>,
    kernel: Kernel,
    /// The offers at the prices asked about last.
    priced: Arc<Mutex<Option<Arc<PricedOffers>>>>,
}

/// Whose offers an oracle answers for.
#[derive(Clone, Debug)]
enum Source<'a> {
    Borrowed(&'a Supply),
    Shared(SharedSupply),
}

impl Deref for Source<'_> {
    type Target = Supply;

    fn deref(&self) -> &Supply {
        match self {
            Self::Borrowed(supply) => supply,
            Self::Shared(supply) => supply,
        }
    }
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
        Self::with_tables(Source::Borrowed(supply), Arc::new(Tables::new(supply)))
    }

    fn with_tables(supply: Source<'a>, tables: Arc<Tables>) -> Self {
        Self { supply, tables, kernel: Kernel::detect(), priced: Arc::default() }
    }

    /// The same oracle on other vector instructions: the same answers, at another speed.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// The supply it answers for.
    pub fn supply(&self) -> &Supply {
        &self.supply
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
    /// orders of the products of their offer counts, in each period of its window. Blocks are metered by it.
    pub fn work(&self, demand: &Demand) -> u64 {
        let periods = self.supply.horizon.within(demand.window).map_or(0, |(_, count)| count as u64);
        let work = path_work(demand.orders.iter().map(|&operation| self.offering(operation).len() as u64));
        work.saturating_mul(periods)
    }

    /// The cheapest composition of `demand` at these prices over all offers, its budget and capacities
    /// ignored; `None` if one of its orders is offered by nobody. No orders cost nothing.
    pub fn cheapest(&self, demand: &Demand, prices: &DualPrices) -> Option<PricedComposition> {
        self.cheapest_within(demand, prices, &[])
    }

    /// [`Oracle::cheapest`] over the slots `usable(slot, minutes)` admits, where `minutes` is what
    /// the order would take there.
    pub fn cheapest_among(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        usable: impl Fn(Slot, Minutes) -> bool,
    ) -> Option<PricedComposition> {
        let mut closed = Vec::new();
        for (order, &operation) in demand.orders.iter().enumerate() {
            let Some(layer) = self.tables.layer(operation) else { continue };
            let horizon = self.supply.horizon;
            for (&provider, &minutes) in layer.providers.iter().zip(&layer.minutes) {
                let refused = horizon.positions(provider);
                let refused = refused.filter(|&position| !usable(horizon.slot(position), minutes));
                closed.extend(refused.map(|position| (order, slot_number(position))));
            }
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
        closed: &[(usize, u32)],
    ) -> Option<PricedComposition> {
        let offers = self.priced(prices);
        let mut finder = PathFinder::new(self.kernel);
        let limits = Limits { spare: None, closed };
        let cost = finder.cheapest(&self.tables, &offers, &self.tables.task(demand), limits)?;
        let slots = self.slots(finder.path());
        Some(PricedComposition { slots, priced_cost: Money::from_micros(cost) })
    }

    /// The slots that a finder's path goes through.
    fn slots(&self, path: &[u32]) -> Vec<Slot> {
        path.iter().map(|&number| self.supply.horizon.slot(number as usize)).collect()
    }

    /// The offers at these prices, tabulated anew only if others were asked about last.
    fn priced(&self, prices: &DualPrices) -> Arc<PricedOffers> {
        let mut last = self.priced.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(offers) if offers.are_at(prices, self.supply.horizon) => Arc::clone(offers),
            _ => Arc::clone(last.insert(Arc::new(self.tables.priced(prices)))),
        }
    }
}

/// The place of a slot as finders count them: there are far fewer than 2^32 ([`crate::limits`]).
fn slot_number(position: usize) -> u32 {
    u32::try_from(position).expect("slots are fewer than 2^32")
}
