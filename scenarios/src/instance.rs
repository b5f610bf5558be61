//! The data that is solved: who offers what where, and who wants what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::geometry::{Geometry, Site};
use crate::periods::{Calendar, Horizon, Slot, TimeWindow};
use crate::units::{Minutes, Money, OperationId, ProviderId};

/// What a provider asks for one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Processing cost of one order.
    pub cost: Money,
    /// Processing time of one order, taken from the provider's capacity.
    pub minutes: Minutes,
}

/// Somebody who can make things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// For people; ids are positions.
    pub name: String,
    /// Where the work is done.
    pub site: Site,
    /// The operations it can do.
    pub offers: BTreeMap<OperationId, Offer>,
    /// Minutes it can work in each period; `None` is unlimited.
    pub capacity: Option<Calendar>,
}

impl Provider {
    /// Minutes it can work in all periods that can be planned; `None` is unlimited.
    pub fn total_capacity(&self, horizon: &Horizon) -> Option<Minutes> {
        self.capacity.as_ref().map(|calendar| calendar.total_in(horizon))
    }

    /// The offers of which its whole capacity in some period has time for at least one order: no plan can use the others.
    pub fn usable_offers(&self, horizon: &Horizon) -> impl Iterator<Item = (OperationId, Offer)> {
        let most = self.capacity.as_ref().map(|calendar| calendar.most_in(horizon));
        let fits = move |offer: &Offer| most.is_none_or(|capacity| offer.minutes <= capacity);
        self.offers
            .iter()
            .filter(move |(_, offer)| fits(offer))
            .map(|(&operation, &offer)| (operation, offer))
    }
}

/// Somebody who wants things made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// For people; ids are positions.
    pub name: String,
    /// Where the finished product goes, if the market delivers.
    pub site: Site,
    /// The operations, in the order in which they must be done.
    pub orders: Vec<OperationId>,
    /// The most the demander pays; also the penalty for leaving the demand unserved in a bound.
    pub budget: Money,
    /// When its orders may be done.
    pub window: TimeWindow,
}

/// How transport and time are charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRules {
    /// Transport per kilometre.
    pub rate_per_km: Money,
    /// What a minute of processing or travel is worth; 0 leaves time out of the objective.
    pub value_of_minute: Money,
    /// Travel speed, at least 1; matters only where time has a value.
    pub metres_per_minute: i64,
    /// Whether the leg from the last provider to the demander is travelled and paid.
    pub deliver: bool,
}

/// The supply side of a market: providers, and the rules by which travel between them is charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Providers; a [`ProviderId`] is a position here.
    pub providers: Vec<Provider>,
    /// Transport and time.
    pub rules: CostRules,
    /// Distances.
    pub geometry: Geometry,
    /// The periods that can be planned.
    pub horizon: Horizon,
}

impl Supply {
    /// The provider with this id, `None` if there is none.
    pub fn provider(&self, id: ProviderId) -> Option<&Provider> {
        self.providers.get(id.index())
    }

    /// Ids of all providers, ascending.
    pub fn provider_ids(&self) -> impl Iterator<Item = ProviderId> + use<> {
        (0..self.providers.len()).map(ProviderId::from_index)
    }

    /// Transport from one site to another, the value of its travel time not included:
    /// `ceil(rate_per_km * metres / 1000)`. `None` if a site is not of the market's geometry.
    pub fn transport(&self, from: Site, to: Site) -> Option<Money> {
        let metres = self.geometry.distance(from, to)?;
        Some(Money::from_micros(ceil_div(self.rules.rate_per_km.micros() * metres, 1000)))
    }

    /// How long it takes from one site to another: `ceil(metres / metres_per_minute)`.
    pub fn travel_minutes(&self, from: Site, to: Site) -> Option<Minutes> {
        Some(ceil_div(self.geometry.distance(from, to)?, self.rules.metres_per_minute.max(1)))
    }

    /// What the travel time between two sites is worth: `value_of_minute` for each of [`Self::travel_minutes`].
    pub fn travel_time_value(&self, from: Site, to: Site) -> Option<Money> {
        let minutes = self.travel_minutes(from, to)?;
        Some(Money::from_micros(self.rules.value_of_minute.micros() * minutes))
    }

    /// The objective's share of travelling from one site to another: transport and the value of its time.
    pub fn leg(&self, from: Site, to: Site) -> Option<Money> {
        Some(self.transport(from, to)? + self.travel_time_value(from, to)?)
    }

    /// What the processing time of an offer is worth.
    pub fn processing_time_value(&self, offer: Offer) -> Money {
        Money::from_micros(self.rules.value_of_minute.micros() * offer.minutes)
    }

    /// The capacities of all slots, in order: provider by provider, period by period.
    pub fn capacities(&self) -> Vec<Option<Minutes>> {
        let of = |provider: &Provider| {
            let capacity = provider.capacity.clone();
            let minutes = move |period| capacity.as_ref().map(|calendar| calendar.minutes_in(period));
            self.horizon.iter().map(minutes).collect::<Vec<_>>()
        };
        self.providers.iter().flat_map(of).collect()
    }

    /// How many slots there are.
    pub fn slot_count(&self) -> usize {
        self.providers.len() * self.horizon.len()
    }

    /// What a slot can do in all; `None` is unlimited. 0 for a slot that cannot be planned.
    pub fn capacity_of(&self, slot: Slot) -> Option<Minutes> {
        match self.provider(slot.provider) {
            Some(provider) if self.horizon.contains(slot.period) => {
                provider.capacity.as_ref().map(|calendar| calendar.minutes_in(slot.period))
            }
            Some(_) | None => Some(0),
        }
    }

    /// The same supply with these capacities of its slots, in order; less than nothing is nothing. Slots beyond the end keep theirs.
    #[must_use]
    pub fn with_capacities(mut self, capacities: &[Option<Minutes>]) -> Self {
        let periods = self.horizon.len().max(1);
        for (provider, minutes) in self.providers.iter_mut().zip(capacities.chunks_exact(periods)) {
            let minutes: Option<Vec<Minutes>> =
                minutes.iter().map(|minutes| minutes.map(|minutes| minutes.max(0))).collect();
            provider.capacity = minutes.map(|minutes| Calendar::starting(self.horizon.first, &minutes));
        }
        self
    }
}

/// `ceil(numerator / denominator)` for a non-negative numerator and a positive denominator.
const fn ceil_div(numerator: i64, denominator: i64) -> i64 {
    (numerator + denominator - 1) / denominator
}

/// What is solved: a supply and the demands to be composed on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Who can make things.
    pub supply: Supply,
    /// Who wants things made.
    pub demands: Vec<Demand>,
}

impl Instance {
    /// The number of orders of all demands.
    pub fn order_count(&self) -> usize {
        self.demands.iter().map(|demand| demand.orders.len()).sum()
    }

    /// A hash of everything in the instance, as 64 hexadecimal digits: equal for equal instances only.
    pub fn fingerprint(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("an instance holds nothing that JSON cannot");
        blake3::Hasher::new_derive_key("mizan 2026 instance fingerprint")
            .update(&bytes)
            .finalize()
            .to_string()
    }

    /// The same supply with only the demands at these positions, in this order. Panics if one does not exist.
    #[must_use]
    pub fn with_demands(&self, positions: &[usize]) -> Self {
        let demands = positions.iter().map(|&position| self.demands[position].clone()).collect();
        Self { supply: self.supply.clone(), demands }
    }
}

/// For each demand of an instance, by whom and when each of its orders is done; `None` leaves it unserved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Solution {
    /// One entry per demand of the instance.
    pub compositions: Vec<Option<Vec<Slot>>>,
}

impl Solution {
    /// A solution of `demands` demands that serves none.
    pub fn unserved(demands: usize) -> Self {
        Self { compositions: vec![None; demands] }
    }
}
