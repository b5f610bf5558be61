//! The cheapest composition of one demand within what is left of the capacities, all its orders together.
//!
//! A shortest path checks that each order fits its slot, not that all orders it gives one slot do, nor that a period is long
//! enough for all it gives to that. Where they do not fit, one of them must go elsewhere: the search branches on which, and takes the branch with the
//! cheapest path first, so that the first path that fits is the cheapest composition that does. Exact, but it may
//! branch for long: it gives up after a share of work that depends on the demand and the offers alone, so that
//! everybody comes to the same answer.

use std::collections::BTreeMap;

use super::{DualPrices, Limits, Oracle, PathFinder, PricedComposition, slot_number};
use crate::instance::Demand;
use crate::periods::{Period, Slot};
use crate::units::{Minutes, Money};

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

/// A set of compositions: those that give no order to a slot it is closed to.
struct Branch {
    /// Orders and numbers of slots.
    closed: Vec<(usize, u32)>,
    /// The cheapest of them, each order looked at by itself.
    path: Vec<Slot>,
}

impl Oracle<'_> {
    /// The cheapest composition of `demand`, its budget left aside, that takes no more than `left` of any slot's
    /// minutes (in order; `None`, and slots beyond the end, are unlimited) and no more of a period than that has.
    pub fn cheapest_fitting(&self, demand: &Demand, left: &[Option<Minutes>]) -> Fitting {
        let spare: Vec<Minutes> = (0..self.supply.slot_count())
            .map(|index| left.get(index).copied().flatten().unwrap_or(Minutes::MAX))
            .collect();
        let offers = self.priced(&DualPrices::zero());
        let task = self.tables.task(demand);
        let mut finder = PathFinder::new(self.kernel);
        let mut shortest = |closed: &[(usize, u32)]| {
            let limits = Limits { spare: Some(&spare), closed };
            let cost = finder.cheapest(&self.tables, &offers, &task, limits)?;
            Some((cost, self.slots(finder.path())))
        };
        let mut branches: BTreeMap<(i64, u64), Branch> = BTreeMap::new();
        let paths = (WORK / self.work(demand).max(1)).clamp(1, PATHS);
        let mut looked = 1;
        branches.extend(shortest(&[]).map(|(cost, path)| ((cost, 0), Branch { closed: Vec::new(), path })));
        while let Some(((cost, _), Branch { closed, path })) = branches.pop_first() {
            let priced_cost = Money::from_micros(cost);
            let Some(crowd) = self.crowd(demand, &path, &spare) else {
                return Fitting::Cheapest(PricedComposition { slots: path, priced_cost });
            };
            if looked >= paths {
                return Fitting::Undecided { at_least: priced_cost };
            }
            // One of the crowd goes elsewhere, and those before it stay: no composition is in two branches.
            let mut kept = closed;
            for &order in &crowd {
                let number =
                    |slot| self.supply.horizon.position(slot).map(|position| (order, slot_number(position)));
                let closed = [&kept[..], &Vec::from_iter(number(path[order]))].concat();
                looked += 1;
                if let Some((cost, path)) = shortest(&closed) {
                    branches.insert((cost, looked), Branch { closed, path });
                }
                let offering = self.offering(demand.orders[order]).iter();
                let slots = offering.flat_map(|&provider| {
                    self.supply.horizon.iter().map(move |period| Slot { provider, period })
                });
                kept.extend(slots.filter(|&other| other != path[order]).filter_map(number));
            }
        }
        Fitting::Impossible
    }

    /// Orders, as few as need be in order, that a path gives to the same slot and that do not fit it together; or to the same
    /// period, with the order that comes after them, which says how long the last leg is.
    fn crowd(&self, demand: &Demand, path: &[Slot], spare: &[Minutes]) -> Option<Vec<usize>> {
        let horizon = self.supply.horizon;
        let mut given: BTreeMap<Slot, (Minutes, Vec<usize>)> = BTreeMap::new();
        let mut within: BTreeMap<Period, (Minutes, Vec<usize>)> = BTreeMap::new();
        for (order, (&slot, operation)) in path.iter().zip(&demand.orders).enumerate() {
            let offer =
                self.supply.provider(slot.provider).and_then(|provider| provider.offers.get(operation));
            let minutes = offer.map_or(0, |offer| offer.minutes);
            let (taken, orders) = given.entry(slot).or_default();
            *taken += minutes;
            orders.push(order);
            let left = horizon.position(slot).and_then(|position| spare.get(position));
            if left.is_none_or(|left| *taken > *left) {
                return Some(std::mem::take(orders));
            }
            let Some(period_minutes) = horizon.period_minutes else { continue };
            let (taken, orders) = within.entry(slot.period).or_default();
            *taken += minutes + self.travel_after(demand, path, order);
            orders.push(order);
            if *taken > period_minutes {
                orders.extend(Some(order + 1).filter(|&next| next < path.len()));
                return Some(std::mem::take(orders));
            }
        }
        None
    }

    /// Minutes of the leg after an order of a path; 0 if there is none.
    pub(super) fn travel_after(&self, demand: &Demand, path: &[Slot], order: usize) -> Minutes {
        let site = |slot: &Slot| self.supply.provider(slot.provider).map(|provider| provider.site);
        let to = match path.get(order + 1) {
            Some(next) => site(next),
            None => self.supply.rules.deliver.then_some(demand.site),
        };
        let minutes =
            path.get(order).and_then(site).zip(to).map(|(from, to)| self.supply.travel_minutes(from, to));
        minutes.flatten().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{CostRules, Offer, Provider, Supply};
    use crate::{Geometry, Horizon, OperationId, Site, TimeWindow};

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
        Supply {
            providers: providers.collect(),
            rules,
            geometry: Geometry::Euclidean,
            horizon: Horizon::SINGLE,
        }
    }

    fn demand(orders: usize) -> Demand {
        let orders = vec![OperationId(0); orders];
        Demand {
            name: "customer".into(),
            site: Site::point(0, 0),
            orders,
            budget: Money::ZERO,
            window: TimeWindow::ANY,
        }
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
