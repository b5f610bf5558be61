//! The carried path: the best composition of what is left, as far as everybody can afford to look (docs/protocol.md
//! section 9). A yardstick, not a search: it must be the same for all, cost about the same for every demand, and never ask
//! for more than can be had.
//!
//! A plain shortest path looks at each order by itself, and may give one cheap provider more orders than it has time
//! for. So each node keeps a few paths, each of which knows how many minutes it takes where, and none is longer than what
//! is left. Few of them may all run into the same full provider; then the path over those providers that have
//! room for everything is what is left to compare with.

use super::tables::{Layer, UNREACHABLE, priced_layer};
use super::{DualPrices, Oracle, PricedComposition};
use crate::evaluate::evaluate_composition;
use crate::instance::Demand;
use crate::units::{Minutes, Money, ProviderId};

/// Paths that a node keeps.
const LABELS: usize = 4;

/// How many shortest paths a carried path is counted as: one for each label of a node, and that over roomy providers.
pub const CARRIED_PATH_WORK: u64 = 5;

/// A path from a node to the end.
#[derive(Clone, Copy, Debug)]
struct Label {
    provider: ProviderId,
    /// Minutes the node takes there.
    minutes: Minutes,
    /// Of the path, minutes priced in, in micro-units.
    cost: i64,
    /// The rest of the path, among the labels of the next order; of the last order there is none.
    next: usize,
}

/// One demand and what is left for it.
struct Carrier<'a> {
    layers: Vec<&'a Layer>,
    /// Minutes left, by provider.
    spare: Vec<Minutes>,
    /// Whether what is left holds all orders of the demand together that a provider offers.
    is_roomy: Vec<bool>,
    /// By order; those of one order in lexicographic order of their paths' providers.
    labels: Vec<Vec<Label>>,
}

impl Oracle<'_> {
    /// The cheaper, minutes priced in, of the cheapest path of four labels per node and of the cheapest path over
    /// providers with room for all they offer of this demand. Both take no more than `left` of anybody's minutes (in
    /// order of id; `None`, and providers beyond the end, are unlimited; below 0 counts as 0) and keep to the budget.
    /// `None` if neither is there, which does not mean that no composition fits.
    pub fn carried(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        left: &[Option<Minutes>],
    ) -> Option<PricedComposition> {
        let mut carrier = self.carrier(demand, left)?;
        let labelled = self.labelled(demand, prices, &mut carrier);
        let roomy = self.cheapest_among(demand, prices, |id, _| carrier.is_roomy[id.index()]);
        let is_kept = |found: &PricedComposition| {
            evaluate_composition(self.supply, demand, 0, &found.providers).is_ok()
        };
        let found = labelled.into_iter().chain(roomy).filter(is_kept);
        found.min_by(|one, other| {
            (one.priced_cost, &one.providers).cmp(&(other.priced_cost, &other.providers))
        })
    }

    /// `None` if some order is offered by nobody.
    fn carrier(&self, demand: &Demand, left: &[Option<Minutes>]) -> Option<Carrier<'_>> {
        let layers = demand.orders.iter().map(|&operation| self.tables.layer(operation));
        let layers: Vec<&Layer> = layers.collect::<Option<_>>()?;
        let mut wanted: Vec<Minutes> = vec![0; self.supply.providers.len()];
        for layer in &layers {
            for (provider, minutes) in layer.providers.iter().zip(&layer.minutes) {
                wanted[provider.index()] += minutes;
            }
        }
        let spare_of = |index: usize| {
            let left: Option<Minutes> = left.get(index).copied().flatten();
            left.map_or(Minutes::MAX, |minutes| minutes.max(0))
        };
        let spare: Vec<Minutes> = (0..wanted.len()).map(spare_of).collect();
        let is_roomy = wanted.iter().zip(&spare).map(|(wanted, spare)| wanted <= spare).collect();
        let labels = vec![Vec::new(); layers.len()];
        Some(Carrier { layers, spare, is_roomy, labels })
    }

    fn labelled(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        carrier: &mut Carrier<'_>,
    ) -> Option<PricedComposition> {
        let delivery = self.tables.task(demand).delivery;
        let prices: Vec<i64> = (0..self.supply.providers.len())
            .map(|index| prices.of(ProviderId::from_index(index)).micros())
            .collect();
        for order in (0..carrier.layers.len()).rev() {
            let layer = carrier.layers[order];
            let mut labels = Vec::new();
            for (position, (provider, cost)) in priced_layer(layer, &prices).enumerate() {
                let minutes = layer.minutes[position];
                if minutes > carrier.spare[provider.index()] {
                    continue;
                }
                let node = Label { provider, minutes, cost, next: 0 };
                if order + 1 < carrier.layers.len() {
                    labels.extend(self.extended(carrier, order + 1, node));
                } else {
                    let leg = delivery.get(position).copied().unwrap_or(0);
                    labels.extend((leg < UNREACHABLE).then_some(Label { cost: cost + leg, ..node }));
                }
            }
            carrier.labels[order] = labels;
        }
        let first = carrier.labels.first()?.iter().enumerate();
        let (index, best) = first.min_by_key(|(index, label)| (label.cost, *index))?;
        let providers = carrier.path(0, index).map(|label| label.provider).collect();
        Some(PricedComposition { providers, priced_cost: Money::from_micros(best.cost) })
    }

    /// The best paths that begin with a node and go on with a label of `order`, in lexicographic order.
    fn extended(&self, carrier: &Carrier<'_>, order: usize, node: Label) -> Vec<Label> {
        let mut best: Vec<(i64, usize)> = Vec::with_capacity(LABELS + 1);
        let (mut leg, mut at) = (0, None);
        for (index, label) in carrier.labels[order].iter().enumerate() {
            if at != Some(label.provider) {
                (leg, at) = (self.tables.leg(node.provider, label.provider), Some(label.provider));
            }
            let found = (node.cost.saturating_add(leg).saturating_add(label.cost), index);
            let is_better = best.len() < LABELS || best.last().is_some_and(|worst| found < *worst);
            if leg < UNREACHABLE && is_better && carrier.carries(order, index, &node) {
                best.insert(best.partition_point(|kept| *kept < found), found);
                best.truncate(LABELS);
            }
        }
        best.sort_unstable_by_key(|&(_, index)| index);
        best.into_iter().map(|(cost, next)| Label { cost, next, ..node }).collect()
    }
}

impl Carrier<'_> {
    /// The labels of a path from one of `order` on.
    fn path(&self, order: usize, index: usize) -> impl Iterator<Item = &Label> {
        let mut next = index;
        self.labels[order..].iter().map(move |labels| {
            let label = &labels[next];
            next = label.next;
            label
        })
    }

    /// Whether what is left of a node's provider holds the node and what a path takes there.
    fn carries(&self, order: usize, index: usize, node: &Label) -> bool {
        let provider = node.provider;
        if self.is_roomy[provider.index()] {
            return true;
        }
        let there = self.path(order, index).filter(|label| label.provider == provider);
        let taken: Minutes = there.map(|label| label.minutes).sum();
        taken + node.minutes <= self.spare[provider.index()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::instance::{CostRules, Offer, Provider, Supply};
    use crate::oracle::Fitting;
    use crate::{Geometry, OperationId, Site};

    /// Providers on a line, one kilometre apart, that do operation 0 at these costs (dollars) in 30 minutes.
    fn supply(costs: &[i64]) -> Supply {
        let providers = (0_i64..).zip(costs).map(|(place, &cost)| Provider {
            name: format!("{cost} $"),
            site: Site::point(1_000 * place, 0),
            offers: [(OperationId(0), Offer { cost: Money::from_units(cost), minutes: 30 })].into(),
            capacity: Some(1_000),
        });
        let rules = CostRules {
            rate_per_km: Money::from_units(1),
            value_of_minute: Money::ZERO,
            metres_per_minute: 1_000,
            deliver: false,
        };
        Supply { providers: providers.collect(), rules, geometry: Geometry::Euclidean }
    }

    fn demand(orders: usize, budget: i64) -> Demand {
        let orders = vec![OperationId(0); orders];
        Demand { name: "customer".into(), site: Site::point(0, 0), orders, budget: Money::from_units(budget) }
    }

    fn ids(providers: &[u32]) -> Vec<ProviderId> {
        providers.iter().copied().map(ProviderId).collect()
    }

    fn carried(
        supply: &Supply,
        demand: &Demand,
        left: &[Option<Minutes>],
    ) -> Option<(Vec<ProviderId>, Money)> {
        let found = Oracle::new(supply).carried(demand, &DualPrices::zero(), left)?;
        Some((found.providers, found.priced_cost))
    }

    #[test]
    fn a_cheap_provider_with_room_for_some_orders_gets_no_more_than_those() {
        // At 10 $ there is room for two of three orders: 10 + 10 + (1 km) + 20.
        let (supply, wanted) = (supply(&[10, 20]), demand(3, 100));
        let found = carried(&supply, &wanted, &[Some(89), None]);
        assert_eq!(found, Some((ids(&[0, 0, 1]), Money::from_units(41))));
        // With room for all of them it gets them.
        let found = carried(&supply, &wanted, &[Some(90), None]);
        assert_eq!(found, Some((ids(&[0, 0, 0]), Money::from_units(30))));
        // And with room for none, none.
        let found = carried(&supply, &wanted, &[Some(29), None]);
        assert_eq!(found, Some((ids(&[1, 1, 1]), Money::from_units(60))));
    }

    #[test]
    fn what_is_above_the_budget_does_not_count_and_nothing_left_is_nothing() {
        let supply = supply(&[10, 20]);
        assert_eq!(
            carried(&supply, &demand(3, 41), &[Some(60), None]).map(|found| found.1),
            Some(Money::from_units(41))
        );
        assert_eq!(carried(&supply, &demand(3, 40), &[Some(60), None]), None);
        assert_eq!(carried(&supply, &demand(1, 40), &[Some(0), Some(-5)]), None);
    }

    #[test]
    fn of_equally_dear_paths_the_lexicographically_least_is_meant() {
        let mut supply = supply(&[10, 10, 10]);
        supply.rules.rate_per_km = Money::ZERO;
        let found = carried(&supply, &demand(2, 100), &[Some(30), Some(30), Some(30)]);
        assert_eq!(found, Some((ids(&[0, 1]), Money::from_units(20))));
    }

    #[test]
    fn minutes_cost_what_they_are_priced_at() {
        let (supply, wanted) = (supply(&[10, 12]), demand(1, 100));
        let prices = DualPrices(vec![Money::from_micros(100_000)]);
        let found = Oracle::new(&supply).carried(&wanted, &prices, &[]).unwrap();
        // 10 $ and 30 minutes at 0.1 $ are 13 $.
        assert_eq!((found.providers, found.priced_cost), (ids(&[1]), Money::from_units(12)));
    }

    #[test]
    fn an_order_longer_than_its_providers_whole_capacity_is_nowhere_on_a_path() {
        let mut supply = supply(&[1, 20]);
        supply.providers[0].capacity = Some(29);
        let oracle = Oracle::new(&supply);
        let cheapest = oracle.cheapest(&demand(1, 100), &DualPrices::zero()).unwrap();
        assert_eq!(cheapest.providers, ids(&[1]));
        assert_eq!(oracle.work(&demand(2, 100)), 3, "one node an order, and one edge");
    }

    proptest! {
        #[test]
        fn it_fits_is_never_below_the_optimum_and_is_it_where_there_is_room(
            costs in prop::collection::vec(1_i64..40, 1..6),
            orders in 1_usize..6,
            left in prop::collection::vec(0_i64..200, 6),
        ) {
            let (supply, wanted) = (supply(&costs), demand(orders, 1_000));
            let oracle = Oracle::new(&supply);
            let left: Vec<Option<Minutes>> = left.into_iter().map(Some).collect();
            let optimum = oracle.cheapest_fitting(&wanted, &left);
            let found = oracle.carried(&wanted, &DualPrices::zero(), &left);
            if let Some(found) = found {
                let judged = evaluate_composition(&supply, &wanted, 0, &found.providers).unwrap();
                prop_assert_eq!(judged.cost(), found.priced_cost);
                for (provider, minutes) in &judged.minutes {
                    prop_assert!(Some(*minutes) <= left[provider.index()]);
                }
                if let Fitting::Cheapest(optimum) = optimum {
                    prop_assert!(found.priced_cost >= optimum.priced_cost);
                }
            } else {
                let all = Some(30 * i64::try_from(orders).unwrap());
                prop_assert!(left.iter().take(costs.len()).all(|left| *left < all));
            }
            let ample = oracle.carried(&wanted, &DualPrices::zero(), &[]);
            prop_assert_eq!(ample, oracle.cheapest(&wanted, &DualPrices::zero()));
        }
    }
}
