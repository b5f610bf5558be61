//! A supply as flat tables, and its offers at given prices: what shortest paths are found on.

use std::sync::OnceLock;

use super::DualPrices;
use super::lanes::{GROUP, Lane, Legs};
use super::reckoning::Reckoning;
use crate::geometry::Site;
use crate::instance::{Demand, Supply};
use crate::periods::Horizon;
use crate::units::{Minutes, Money, OperationId, ProviderId};

/// Larger than any path within [`crate::limits`], small enough that a few of them can be added.
pub(super) const UNREACHABLE: i64 = <i64 as Lane>::CLOSED;

/// Legs are tabulated for markets of at most this many providers (8 bytes a pair: 8 MiB); larger markets compute
/// them as they go.
const TABULATED_PROVIDERS: usize = 1_024;

/// Rows of lanes are used where providers offer at least one operation in this many: in sparser markets, going
/// from node to node is faster.
const LEAST_FILL: usize = 4;

/// One operation's offers, in order of provider id.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) providers: Vec<ProviderId>,
    /// Processing cost and the value of its time.
    pub(super) costs: Vec<i64>,
    pub(super) minutes: Vec<Minutes>,
}

/// A supply, tabulated. Prices are not in it, and of capacities only which orders are too long for them by themselves.
#[derive(Debug)]
pub struct Tables {
    pub(super) layers: Vec<Layer>,
    sites: Vec<Site>,
    /// Geometry and rules of the supply, without its providers.
    ground: Supply,
    /// Whether no detour is shorter than the direct leg, so that dominated providers can be pruned.
    pub(super) metric: bool,
    /// Whether rows of lanes pay.
    dense: bool,
    /// `legs[from][to]`; empty for markets too large to tabulate.
    legs: Vec<i64>,
    /// Estimates of legs, where they are not tabulated and are straight lines.
    pub(super) reckoning: Option<Reckoning>,
    longest: i64,
    narrow: OnceLock<Legs<i32>>,
    wide: OnceLock<Legs<i64>>,
    /// Minutes of every layer's offers as rows of lanes, where rows of lanes pay.
    pub(super) minutes: Vec<i32>,
    /// What each slot can do in all; of a horizon of one period nothing is needed, since layers hold no offers that do not fit it.
    whole: Vec<Minutes>,
}

impl Tables {
    /// Tabulates the offers by operation and, in markets that are not too large, the legs between providers.
    pub fn new(supply: &Supply) -> Self {
        Self::with_legs_up_to(supply, TABULATED_PROVIDERS)
    }

    /// [`Tables::new`], with legs tabulated in markets of at most this many providers and computed as they are needed
    /// in larger ones. Changes no answer, only the memory and time it takes.
    pub fn with_legs_up_to(supply: &Supply, providers: usize) -> Self {
        let layers = tabulate_offers(supply);
        let sites: Vec<Site> = supply.providers.iter().map(|provider| provider.site).collect();
        let count = sites.len();
        let mut legs = Vec::new();
        if count <= providers {
            legs.reserve_exact(count * count);
            for &from in &sites {
                legs.extend(sites.iter().map(|&to| leg_micros(supply, from, to)));
            }
        }
        let offers: usize = layers.iter().map(|layer| layer.providers.len()).sum();
        let used = layers.iter().filter(|layer| !layer.providers.is_empty()).count();
        let dense = !legs.is_empty() && offers * LEAST_FILL >= count * used;
        Self {
            minutes: if dense { minutes_rows(&layers, count) } else { Vec::new() },
            dense,
            longest: legs.iter().copied().filter(|&leg| leg < UNREACHABLE).max().unwrap_or(0),
            layers,
            sites,
            reckoning: if legs.is_empty() { Reckoning::new(supply) } else { None },
            ground: Supply {
                providers: Vec::new(),
                rules: supply.rules,
                geometry: supply.geometry.clone(),
                horizon: supply.horizon,
            },
            metric: supply.geometry.is_metric(),
            legs,
            narrow: OnceLock::new(),
            wide: OnceLock::new(),
            whole: if supply.horizon.len() == 1 {
                Vec::new()
            } else {
                let capacities = supply.capacities().into_iter();
                capacities.map(|minutes| minutes.unwrap_or(Minutes::MAX)).collect()
            },
        }
    }

    /// The periods that can be planned.
    pub const fn horizon(&self) -> Horizon {
        self.ground.horizon
    }

    /// Whether a slot, by number, has time for so many minutes at all.
    pub(super) fn is_open(&self, slot: usize, minutes: Minutes) -> bool {
        self.whole.get(slot).is_none_or(|&whole| minutes <= whole)
    }

    /// The number of providers.
    pub fn providers(&self) -> usize {
        self.sites.len()
    }

    /// The leg between two providers in micro-units, the value of its travel time included; more than any path
    /// within [`crate::limits`] costs if there is none.
    #[inline]
    pub fn leg(&self, from: ProviderId, to: ProviderId) -> i64 {
        match self.legs.get(from.index() * self.sites.len() + to.index()) {
            Some(&leg) => leg,
            None => leg_micros(&self.ground, self.sites[from.index()], self.sites[to.index()]),
        }
    }

    /// An operation's offers.
    pub(super) fn layer(&self, operation: OperationId) -> Option<&Layer> {
        self.layers.get(operation.index()).filter(|layer| !layer.providers.is_empty())
    }

    pub(super) fn narrow_legs(&self) -> &Legs<i32> {
        self.narrow.get_or_init(|| Legs::new(self.sites.len(), &self.legs))
    }

    pub(super) fn wide_legs(&self) -> &Legs<i64> {
        self.wide.get_or_init(|| Legs::new(self.sites.len(), &self.legs))
    }

    /// The offers at these prices.
    pub fn priced(&self, prices: &DualPrices) -> PricedOffers {
        let prices = prices.micros(self.horizon(), self.sites.len() * self.horizon().len());
        let mut offers = PricedOffers {
            prices,
            dearest: 0,
            dense: self.dense,
            narrow: Vec::new(),
            wide: OnceLock::new(),
            undominated: OnceLock::new(),
        };
        if self.dense {
            let periods = 0..self.horizon().len();
            let prices = &offers.prices;
            let dearest = periods.flat_map(|period| {
                self.layers.iter().flat_map(move |layer| self.priced_layer(layer, prices, period))
            });
            offers.dearest = dearest.map(|(_, cost)| cost).max().unwrap_or(0);
            if i32::holds(offers.dearest, self.longest) {
                offers.narrow = self.rows(&offers.prices);
            }
        }
        offers
    }

    /// Every layer as rows of lanes, one for each period.
    fn rows<L: Lane>(&self, prices: &[i64]) -> Vec<L> {
        let (lanes, periods) = (self.sites.len().next_multiple_of(GROUP), self.horizon().len());
        let mut rows = vec![L::CLOSED; lanes * periods * self.layers.len()];
        let of_periods = self.layers.iter().flat_map(|layer| (0..periods).map(move |period| (layer, period)));
        for ((layer, period), row) in of_periods.zip(rows.chunks_exact_mut(lanes.max(1))) {
            for (provider, cost) in self.priced_layer(layer, prices, period) {
                row[provider.index()] = L::of(cost);
            }
        }
        rows
    }

    /// Who does an operation in a period at what cost, minutes priced in.
    pub(super) fn priced_layer<'a>(
        &'a self,
        layer: &'a Layer,
        prices: &'a [i64],
        period: usize,
    ) -> impl Iterator<Item = (ProviderId, i64)> + 'a {
        let periods = self.horizon().len();
        let offers = layer.providers.iter().zip(&layer.costs).zip(&layer.minutes);
        offers.filter_map(move |((&provider, &cost), &minutes)| {
            let slot = provider.index() * periods + period;
            self.is_open(slot, minutes).then(|| (provider, cost + prices[slot] * minutes))
        })
    }

    /// A demand, made ready for [`super::PathFinder`].
    pub fn task(&self, demand: &Demand) -> Task {
        let within = self.horizon().within(demand.window);
        let servable =
            within.is_some() && demand.orders.iter().all(|&operation| self.layer(operation).is_some());
        let mut delivery = Vec::new();
        if let (true, true, Some(&last)) = (self.ground.rules.deliver, servable, demand.orders.last()) {
            let offering = self.layer(last).map_or(&[][..], |layer| &layer.providers);
            let legs =
                offering.iter().map(|id| leg_micros(&self.ground, self.sites[id.index()], demand.site));
            delivery.extend(legs);
        }
        let longest = delivery.iter().copied().filter(|&leg| leg < UNREACHABLE).max().unwrap_or(0);
        let orders = demand.orders.clone();
        Task { orders, servable, periods: within.unwrap_or((0, 1)), delivery, longest_delivery: longest }
    }

    /// Whether this demand is exact in 32-bit lanes.
    pub(super) fn is_narrow(&self, offers: &PricedOffers, task: &Task) -> bool {
        let dearest = offers.dearest.saturating_add(task.longest_delivery);
        !offers.narrow.is_empty() && i32::holds(dearest, self.longest)
    }

    /// The offers of an operation, by position, that a cheapest path at these prices may use if all are open; `None`
    /// where that is not known, as wherever there are several periods.
    pub(super) fn undominated<'o>(
        &self,
        offers: &'o PricedOffers,
        operation: OperationId,
    ) -> Option<&'o [u32]> {
        let reckoning = self.reckoning.as_ref().filter(|_| self.horizon().len() == 1)?;
        let layers = offers.undominated.get_or_init(|| {
            let layers =
                self.layers.iter().map(|layer| self.priced_layer(layer, &offers.prices, 0).collect());
            layers.map(|layer: Vec<_>| reckoning.undominated(&layer)).collect()
        });
        layers.get(operation.index()).map(Vec::as_slice)
    }

    /// Every layer at these prices as rows of 64-bit lanes.
    pub(super) fn wide_rows<'o>(&self, offers: &'o PricedOffers) -> &'o [i64] {
        offers.wide.get_or_init(|| self.rows(&offers.prices))
    }
}

/// The offers of a supply at some dual prices: see [`Tables::priced`].
#[derive(Clone, Debug)]
pub struct PricedOffers {
    /// By slot.
    pub(super) prices: Vec<i64>,
    /// The dearest offer.
    dearest: i64,
    /// Whether the market is solved as lanes at all.
    pub(super) dense: bool,
    /// Every layer as rows of 32-bit lanes; empty where they would not be exact.
    pub(super) narrow: Vec<i32>,
    /// Every layer as rows of 64-bit lanes, once that was needed.
    wide: OnceLock<Vec<i64>>,
    /// See [`Tables::undominated`].
    undominated: OnceLock<Vec<Vec<u32>>>,
}

impl PricedOffers {
    /// Whether these are the offers at `prices`.
    pub(super) fn are_at(&self, prices: &DualPrices, horizon: Horizon) -> bool {
        self.prices == prices.micros(horizon, self.prices.len())
    }
}

/// A demand as the shortest path sees it: see [`Tables::task`].
#[derive(Clone, Debug)]
pub struct Task {
    pub(super) orders: Vec<OperationId>,
    /// Each order is offered by somebody, and there is a period for it.
    pub(super) servable: bool,
    /// The first period it may be done in, as a place of the horizon, and how many there are.
    pub(super) periods: (usize, usize),
    /// The leg from each offer of the last order to the demander; empty where nothing is delivered.
    pub(super) delivery: Vec<i64>,
    longest_delivery: i64,
}

fn tabulate_offers(supply: &Supply) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (id, provider) in supply.provider_ids().zip(&supply.providers) {
        for (operation, offer) in provider.usable_offers(&supply.horizon) {
            if layers.len() <= operation.index() {
                layers.resize(operation.index() + 1, Layer::default());
            }
            let layer = &mut layers[operation.index()];
            layer.providers.push(id);
            layer.costs.push((offer.cost + supply.processing_time_value(offer)).micros());
            layer.minutes.push(offer.minutes);
        }
    }
    layers
}

/// The leg, or [`UNREACHABLE`] where a site is not of the market's geometry.
fn leg_micros(supply: &Supply, from: Site, to: Site) -> i64 {
    supply.leg(from, to).map_or(UNREACHABLE, Money::micros)
}

/// Minutes as a lane. Offers take far fewer than `i32::MAX` ([`crate::limits`]), so nothing changes where more
/// than that are left; and less than nothing is no time for any offer.
pub(super) fn minutes_lane(minutes: Minutes) -> i32 {
    i32::try_from(minutes.max(-1)).unwrap_or(i32::MAX)
}

fn minutes_rows(layers: &[Layer], providers: usize) -> Vec<i32> {
    let lanes = providers.next_multiple_of(GROUP);
    let mut rows = vec![0; lanes * layers.len()];
    for (layer, row) in layers.iter().zip(rows.chunks_exact_mut(lanes.max(1))) {
        for (provider, &minutes) in layer.providers.iter().zip(&layer.minutes) {
            row[provider.index()] = minutes_lane(minutes);
        }
    }
    rows
}
