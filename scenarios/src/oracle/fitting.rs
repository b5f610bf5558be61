//! The cheapest composition of one demand within what is left of the capacities, all its orders together.
//!
//! A shortest path checks that each order fits its provider, not that all orders it gives one provider do. Where
//! they do not, one of them must go elsewhere: the search branches on which, and takes the branch with the
//! cheapest path first, so that the first path that fits is the cheapest composition that does. Exact, but it may
//! branch for long: it gives up after a share of work that depends on the demand and the offers alone, so that
//! everybody comes to the same answer.

use std::collections::BTreeMap;

use super::{DualPrices, Limits, Oracle, PathFinder, PricedComposition};
use crate::instance::Demand;
use crate::units::{Minutes, Money, ProviderId};

/// Edge relaxations spent on one demand: a few milliseconds.
const WORK: u64 = 4_000_000;
/// Paths looked at, at most, however short they are.
const PATHS: u64 = 1_000;

/// Whether a demand fits into what is left of the capacities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// The cheapest composition that does, its budget left aside.
    Cheapest(PricedComposition),
    /// None does, at any cost.
    Impossible,
    /// None was found in the paths looked at, and none was ruled out.
    Undecided {
        /// What one that fits would cost at least.
        at_least: Money,
    },
}

/// A set of compositions: those that give no order to a provider it is closed to.
struct Branch {
    closed: Vec<(usize, ProviderId)>,
    /// The cheapest of them, each order looked at by itself.
    path: Vec<ProviderId>,
}

impl Oracle<'_> {
    /// The cheapest composition of `demand`, its budget left aside, that takes no more than `left` of any provider's
    /// minutes (in order of id; `None`, and providers beyond the end, are unlimited).
    pub fn cheapest_fitting(&self, demand: &Demand, left: &[Option<Minutes>]) -> Fitting {
        let spare: Vec<Minutes> = (0..self.supply.providers.len())
            .map(|index| left.get(index).copied().flatten().unwrap_or(Minutes::MAX))
            .collect();
        let offers = self.priced(&DualPrices::zero());
        let task = self.tables.task(demand);
        let mut finder = PathFinder::new(self.kernel);
        let mut shortest = |closed: &[(usize, ProviderId)]| {
            let limits = Limits { spare: Some(&spare), closed };
            let cost = finder.cheapest(&self.tables, &offers, &task, limits)?;
            Some((cost, finder.path().iter().copied().map(ProviderId).collect()))
        };
        let mut branches: BTreeMap<(i64, u64), Branch> = BTreeMap::new();
        let paths = (WORK / self.work(demand).max(1)).clamp(1, PATHS);
        let mut looked = 1;
        branches.extend(shortest(&[]).map(|(cost, path)| ((cost, 0), Branch { closed: Vec::new(), path })));
        while let Some(((cost, _), Branch { closed, path })) = branches.pop_first() {
            let priced_cost = Money::from_micros(cost);
            let Some(crowd) = self.crowd(demand, &path, &spare) else {
                return Fitting::Cheapest(PricedComposition { providers: path, priced_cost });
            };
            if looked >= paths {
                return Fitting::Undecided { at_least: priced_cost };
            }
            // One of the crowd goes elsewhere, and those before it stay: no composition is in two branches.
            let mut kept = closed;
            for &order in &crowd {
                let closed = [&kept[..], &[(order, path[order])]].concat();
                looked += 1;
                if let Some((cost, path)) = shortest(&closed) {
                    branches.insert((cost, looked), Branch { closed, path });
                }
                let others =
                    self.offering(demand.orders[order]).iter().filter(|&&other| other != path[order]);
                kept.extend(others.map(|&other| (order, other)));
            }
        }
        Fitting::Impossible
    }

    /// Orders, as few as need be in order, that a path gives to the same provider and that do not fit it together.
    fn crowd(&self, demand: &Demand, path: &[ProviderId], spare: &[Minutes]) -> Option<Vec<usize>> {
        let mut given: BTreeMap<ProviderId, (Minutes, Vec<usize>)> = BTreeMap::new();
        for (order, (&provider, operation)) in path.iter().zip(&demand.orders).enumerate() {
            let offer = self.supply.provider(provider).and_then(|provider| provider.offers.get(operation));
            let (taken, orders) = given.entry(provider).or_default();
            *taken += offer.map_or(0, |offer| offer.minutes);
            orders.push(order);
            if *taken > spare[provider.index()] {
                return Some(std::mem::take(orders));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{CostRules, Offer, Provider, Supply};
    use crate::{Geometry, OperationId, Site};

    /// Providers at one place, each with the same minutes, that do operation 0 at these costs.
    fn supply(costs: &[i64], minutes: Minutes) -> Supply {
        let providers = costs.iter().map(|&cost| Provider {
            name: format!("{cost} $"),
            site: Site::point(0, 0),
            offers: [(OperationId(0), Offer { cost: Money::from_units(cost), minutes })].into(),
            capacity: None,
        });
        let rules = CostRules {
            rate_per_km: Money::ZERO,
            value_of_minute: Money::ZERO,
            metres_per_minute: 1,
            deliver: false,
        };
        Supply { providers: providers.collect(), rules, geometry: Geometry::Euclidean }
    }

    fn demand(orders: usize) -> Demand {
        let orders = vec![OperationId(0); orders];
        Demand { name: "customer".into(), site: Site::point(0, 0), orders, budget: Money::ZERO }
    }

    fn cost_of(fitting: &Fitting) -> Option<Money> {
        match fitting {
            Fitting::Cheapest(found) => Some(found.priced_cost),
            Fitting::Impossible | Fitting::Undecided { .. } => None,
        }
    }

    #[test]
    fn the_cheapest_provider_takes_as_many_orders_as_it_has_time_for() {
        let supply = supply(&[10, 20, 50], 30);
        let oracle = Oracle::new(&supply);
        // Two orders at 10 $, one at 20 $, one at 50 $.
        let fitting = oracle.cheapest_fitting(&demand(4), &[Some(89), Some(30), None]);
        assert_eq!(cost_of(&fitting), Some(Money::from_units(90)));
    }

    #[test]
    fn what_does_not_fit_in_any_order_is_proved_impossible() {
        let supply = supply(&[10, 20], 30);
        let oracle = Oracle::new(&supply);
        assert_eq!(oracle.cheapest_fitting(&demand(4), &[Some(60), Some(59)]), Fitting::Impossible);
        assert_eq!(
            cost_of(&oracle.cheapest_fitting(&demand(4), &[Some(60), Some(60)])),
            Some(Money::from_units(60))
        );
    }

    #[test]
    fn a_search_that_grows_too_long_says_what_it_knows() {
        // Thirty orders, and time for one less: there are very many ways to see that, all at the same cost.
        let supply = supply(&[10; 30], 30);
        let oracle = Oracle::new(&supply);
        let mut left = vec![Some(30); 30];
        left[0] = Some(29);
        let fitting = oracle.cheapest_fitting(&demand(30), &left);
        assert_eq!(fitting, Fitting::Undecided { at_least: Money::from_units(300) });
    }
}
