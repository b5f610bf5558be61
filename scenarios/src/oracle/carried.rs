//! The carried path: the best composition of what is left, as far as everybody can afford to look (docs/protocol.md
//! section 9). A yardstick, not a search: it must be the same for all, cost about the same for every demand, and never ask
//! for more than can be had.
//!
//! A plain shortest path looks at each order by itself, and may give one cheap slot more orders than it has time
//! for. So each node keeps a few paths, each of which knows how many minutes it takes where, and none is longer than what
//! is left. Few of them may all run into the same full slot; then the path over those slots that have
//! room for everything is what is left to compare with. A node goes on with the best few paths of each provider from its
//! period on.

use super::tables::{Layer, UNREACHABLE};
use super::{DualPrices, Oracle, PricedComposition};
use crate::evaluate::evaluate_composition;
use crate::instance::Demand;
use crate::periods::Slot;
use crate::units::{Minutes, Money, ProviderId};

/// Paths that a node keeps.
const LABELS: usize = 4;

/// How many shortest paths a carried path is counted as: one for each label of a node, and that over roomy slots.
pub const CARRIED_PATH_WORK: u64 = 5;

/// A path from a node to the end.
#[derive(Clone, Copy, Debug)]
struct Label {
    provider: ProviderId,
    /// A place of the horizon.
    period: usize,
    /// Minutes the node takes there.
    minutes: Minutes,
    /// Minutes the path takes of its first period, legs included.
    within: Minutes,
    /// Of the path, minutes priced in, in micro-units.
    cost: i64,
    /// The rest of the path, among the labels of the next order; of the last order there is none.
    next: usize,
}

/// One demand and what is left for it.
struct Carrier<'a> {
    layers: Vec<&'a Layer>,
    /// Of the horizon.
    periods: usize,
    /// Minutes left, by slot.
    spare: Vec<Minutes>,
    /// Whether what is left of a slot holds all orders of the demand together that its provider offers.
    is_roomy: Vec<bool>,
    /// By order; those of one order by provider, by period, and then in lexicographic order of their paths.
    labels: Vec<Vec<Label>>,
}

impl Oracle<'_> {
    /// The cheaper, minutes priced in, of the cheapest path of four labels per node and of the cheapest path over
    /// slots with room for all that their providers offer of this demand. Both take no more than `left` of any slot's minutes (in
    /// order; `None`, and slots beyond the end, are unlimited; below 0 counts as 0), no more of a period than that has, and keep to
    /// the budget. `None` if neither is there, which does not mean that no composition fits.
    pub fn carried(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        left: &[Option<Minutes>],
    ) -> Option<PricedComposition> {
        let mut carrier = self.carrier(demand, left)?;
        let labelled = self.labelled(demand, prices, &mut carrier);
        let horizon = self.supply.horizon;
        let is_roomy = |slot| horizon.position(slot).is_some_and(|position| carrier.is_roomy[position]);
        let roomy = self.cheapest_among(demand, prices, |slot, _| is_roomy(slot));
        let is_kept =
            |found: &PricedComposition| evaluate_composition(&self.supply, demand, 0, &found.slots).is_ok();
        let found = labelled.into_iter().chain(roomy).filter(is_kept);
        found.min_by(|one, other| (one.priced_cost, &one.slots).cmp(&(other.priced_cost, &other.slots)))
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
        let periods = self.supply.horizon.len();
        let spare: Vec<Minutes> = (0..self.supply.slot_count()).map(spare_of).collect();
        let wanted = wanted.iter().flat_map(|&wanted| std::iter::repeat_n(wanted, periods));
        let is_roomy = wanted.zip(&spare).map(|(wanted, &spare)| wanted <= spare).collect();
        let labels = vec![Vec::new(); layers.len()];
        Some(Carrier { layers, periods, spare, is_roomy, labels })
    }

    fn labelled(
        &self,
        demand: &Demand,
        prices: &DualPrices,
        carrier: &mut Carrier<'_>,
    ) -> Option<PricedComposition> {
        let task = self.tables.task(demand);
        let (first, periods) = task.periods;
        if !task.servable {
            return None;
        }
        let prices = prices.micros(self.supply.horizon, self.supply.slot_count());
        for order in (0..carrier.layers.len()).rev() {
            let layer = carrier.layers[order];
            let onward = carrier.onward(order + 1, first..first + periods);
            let mut labels = Vec::new();
            for (position, (&provider, &minutes)) in layer.providers.iter().zip(&layer.minutes).enumerate() {
                for period in first..first + periods {
                    let slot = provider.index() * carrier.periods + period;
                    if minutes > carrier.spare[slot] || !self.tables.is_open(slot, minutes) {
                        continue;
                    }
                    let cost = layer.costs[position] + prices[slot] * minutes;
                    let node = Label { provider, period, minutes, within: minutes, cost, next: 0 };
                    if order + 1 < carrier.layers.len() {
                        let onward = &onward[period - first];
                        labels.extend(self.extended(carrier, order + 1, onward, node));
                    } else {
                        labels.extend(self.delivered(demand, task.delivery.get(position), node));
                    }
                }
            }
            carrier.labels[order] = labels;
        }
        let best = carrier.labels.first()?.iter().enumerate();
        let (index, best) = best.min_by_key(|(index, label)| (label.cost, *index))?;
        let first = self.supply.horizon.first;
        let slot = |label: &Label| Slot {
            provider: label.provider,
            period: first.plus(u32::try_from(label.period).unwrap_or(u32::MAX)),
        };
        let slots = carrier.path(0, index).map(slot).collect();
        Some(PricedComposition { slots, priced_cost: Money::from_micros(best.cost) })
    }

    /// The path of the last node alone, with the leg to the demander if that is travelled.
    fn delivered(&self, demand: &Demand, leg: Option<&i64>, node: Label) -> Option<Label> {
        let within = match self.supply.horizon.period_minutes {
            None => node.within,
            Some(period_minutes) => {
                let site = self.supply.provider(node.provider)?.site;
                let travel = self.supply.rules.deliver.then(|| self.supply.travel_minutes(site, demand.site));
                let within = node.within + travel.map_or(Some(0), |travel| travel)?;
                Some(within).filter(|&within| within <= period_minutes)?
            }
        };
        let leg = leg.copied().unwrap_or(0);
        (leg < UNREACHABLE).then_some(Label { cost: node.cost + leg, within, ..node })
    }

    /// The best paths that begin with a node and go on with one of the labels `onward` of `order`, in lexicographic order.
    fn extended(&self, carrier: &Carrier<'_>, order: usize, onward: &[usize], node: Label) -> Vec<Label> {
        let mut best: Vec<(i64, usize, Minutes)> = Vec::with_capacity(LABELS + 1);
        let (mut leg, mut travel, mut at) = (0, 0, None);
        for &index in onward {
            let label = &carrier.labels[order][index];
            if at != Some(label.provider) {
                leg = self.tables.leg(node.provider, label.provider);
                travel = self.travel(node.provider, label.provider);
                at = Some(label.provider);
            }
            let cost = node.cost.saturating_add(leg).saturating_add(label.cost);
            let is_better =
                best.len() < LABELS || best.last().is_some_and(|worst| (cost, index) < (worst.0, worst.1));
            if leg >= UNREACHABLE || !is_better {
                continue;
            }
            let same = if label.period == node.period { label.within } else { 0 };
            let within = node.minutes + travel + same;
            let is_short = self.supply.horizon.period_minutes.is_none_or(|most| within <= most);
            if is_short && carrier.carries(order, index, &node) {
                best.insert(
                    best.partition_point(|kept| (kept.0, kept.1) < (cost, index)),
                    (cost, index, within),
                );
                best.truncate(LABELS);
            }
        }
        best.sort_unstable_by_key(|&(_, index, _)| index);
        best.into_iter().map(|(cost, next, within)| Label { within, cost, next, ..node }).collect()
    }

    /// Minutes from one provider to another; asked only where periods have an end.
    fn travel(&self, from: ProviderId, to: ProviderId) -> Minutes {
        if self.supply.horizon.period_minutes.is_none() {
            return 0;
        }
        let site = |id| self.supply.provider(id).map(|provider| provider.site);
        let minutes = site(from).zip(site(to)).and_then(|(from, to)| self.supply.travel_minutes(from, to));
        minutes.unwrap_or(0)
    }
}

impl Carrier<'_> {
    /// For each of these periods, the labels of an order with which a path may go on from then on: of each provider the best four,
    /// in order.
    fn onward(&self, order: usize, periods: std::ops::Range<usize>) -> Vec<Vec<usize>> {
        let Some(labels) = self.labels.get(order) else { return Vec::new() };
        let all = 0..labels.len();
        if periods.len() == 1 {
            return vec![all.collect()];
        }
        let of_providers: Vec<Vec<usize>> = all
            .collect::<Vec<_>>()
            .chunk_by(|&one, &other| labels[one].provider == labels[other].provider)
            .map(<[usize]>::to_vec)
            .collect();
        let from = |period: usize| {
            let mut onward = Vec::new();
            for of_provider in &of_providers {
                let mut best: Vec<usize> =
                    of_provider.iter().copied().filter(|&index| labels[index].period >= period).collect();
                best.sort_unstable_by_key(|&index| (labels[index].cost, index));
                best.truncate(LABELS);
                best.sort_unstable();
                onward.append(&mut best);
            }
            onward
        };
        periods.map(from).collect()
    }

    /// The labels of a path from one of `order` on.
    fn path(&self, order: usize, index: usize) -> impl Iterator<Item = &Label> {
        let mut next = index;
        self.labels[order..].iter().map(move |labels| {
            let label = &labels[next];
            next = label.next;
            label
        })
    }

    /// Whether what is left of a node's slot holds the node and what a path takes there.
    fn carries(&self, order: usize, index: usize, node: &Label) -> bool {
        let slot = node.provider.index() * self.periods + node.period;
        if self.is_roomy[slot] {
            return true;
        }
        let there = |label: &&Label| label.provider == node.provider && label.period == node.period;
        let taken: Minutes = self.path(order, index).filter(there).map(|label| label.minutes).sum();
        taken + node.minutes <= self.spare[slot]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::instance::{CostRules, Offer, Provider, Supply};
    use crate::oracle::Fitting;
    use crate::{Geometry, Horizon, OperationId, Site, TimeWindow};

    /// Providers on a line, one kilometre apart, that do operation 0 at these costs (dollars) in 30 minutes.
    fn supply(costs: &[i64]) -> Supply {
        let providers = (0_i64..).zip(costs).map(|(place, &cost)| Provider {
            name: format!("{cost} $"),
            site: Site::point(1_000 * place, 0),
            offers: [(OperationId(0), Offer { cost: Money::from_units(cost), minutes: 30 })].into(),
            capacity: Some(1_000.into()),
        });
        let rules = CostRules {
            rate_per_km: Money::from_units(1),
            value_of_minute: Money::ZERO,
            metres_per_minute: 1_000,
            deliver: false,
        };
        Supply {
            providers: providers.collect(),
            rules,
            geometry: Geometry::Euclidean,
            horizon: Horizon::SINGLE,
        }
    }

    fn demand(orders: usize, budget: i64) -> Demand {
        let orders = vec![OperationId(0); orders];
        Demand {
            name: "customer".into(),
            site: Site::point(0, 0),
            orders,
            budget: Money::from_units(budget),
            window: TimeWindow::ANY,
        }
    }

    fn ids(providers: &[u32]) -> Vec<Slot> {
        providers.iter().map(|&id| Slot::single(ProviderId(id))).collect()
    }

    fn carried(supply: &Supply, demand: &Demand, left: &[Option<Minutes>]) -> Option<(Vec<Slot>, Money)> {
        let found = Oracle::new(supply).carried(demand, &DualPrices::zero(), left)?;
        Some((found.slots, found.priced_cost))
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
        let prices = DualPrices::single(vec![Money::from_micros(100_000)]);
        let found = Oracle::new(&supply).carried(&wanted, &prices, &[]).unwrap();
        // 10 $ and 30 minutes at 0.1 $ are 13 $.
        assert_eq!((found.slots, found.priced_cost), (ids(&[1]), Money::from_units(12)));
    }

    #[test]
    fn an_order_longer_than_its_providers_whole_capacity_is_nowhere_on_a_path() {
        let mut supply = supply(&[1, 20]);
        supply.providers[0].capacity = Some(29.into());
        let oracle = Oracle::new(&supply);
        let cheapest = oracle.cheapest(&demand(1, 100), &DualPrices::zero()).unwrap();
        assert_eq!(cheapest.slots, ids(&[1]));
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
                let judged = evaluate_composition(&supply, &wanted, 0, &found.slots).unwrap();
                prop_assert_eq!(judged.cost(), found.priced_cost);
                for (slot, minutes) in &judged.minutes {
                    prop_assert!(Some(*minutes) <= left[slot.provider.index()]);
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
