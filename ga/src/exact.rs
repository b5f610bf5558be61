//! Exact optima where capacities do not bind: what every search is read against.

use rayon::prelude::*;
use scenarios::{DualPrices, Instance, Money, Oracle, ProviderId};

/// Demands to be served by these providers alone (a strip of the map, a miner's share).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Positions of the demands.
    pub demands: Vec<usize>,
    /// The providers that may serve them.
    pub providers: Vec<ProviderId>,
}

/// The least cost of serving every demand, capacities and budgets left aside: each takes its own shortest
/// path. `None` if some demand cannot be served at all.
pub fn optimum(instance: &Instance) -> Option<Money> {
    let oracle = Oracle::new(&instance.supply);
    let zero = DualPrices::zero();
    let costs = instance.demands.par_iter().map(|demand| oracle.cheapest(demand, &zero));
    costs.map(|best| Some(best?.priced_cost)).collect::<Option<Vec<_>>>().map(|costs| costs.into_iter().sum())
}

/// The exact cost of splitting: the least cost of each group's demands served by its own providers alone,
/// added up, capacities left aside. A demand that its group cannot serve within its budget counts with that.
pub fn split_optimum(instance: &Instance, groups: &[Group]) -> Money {
    let oracle = Oracle::new(&instance.supply);
    let zero = DualPrices::zero();
    let mut total = Money::ZERO;
    for group in groups {
        let mut usable = vec![false; instance.supply.providers.len()];
        for provider in &group.providers {
            if let Some(usable) = usable.get_mut(provider.index()) {
                *usable = true;
            }
        }
        let costs =
            group.demands.par_iter().filter_map(|&demand| instance.demands.get(demand)).map(|demand| {
                let best = oracle.cheapest_among(demand, &zero, |slot, _| usable[slot.provider.index()]);
                best.map_or(demand.budget, |best| best.priced_cost.min(demand.budget))
            });
        total += costs.collect::<Vec<_>>().into_iter().sum::<Money>();
    }
    total
}
