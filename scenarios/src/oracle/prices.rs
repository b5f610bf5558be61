//! Dual prices: what a minute of each slot is worth to the market.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::at_most;
use crate::limits;
use crate::periods::{Horizon, Period, Slot};
use crate::units::{Minutes, Money, ProviderId};

/// The most prices that are read: one for each slot there can be in a market of a few thousand providers.
const READ_MAX: usize = 1 << 20;

/// Price of one minute of each slot, each within `0..=`[`limits::CAPACITY_PRICE`]; slots without one cost nothing. Written as a list
/// of `(provider, period, price)` in order of slots, without those that are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DualPrices(BTreeMap<Slot, Money>);

impl DualPrices {
    /// Minutes cost nothing anywhere.
    pub const fn zero() -> Self {
        Self(BTreeMap::new())
    }

    /// Those of a market without a calendar, in order of provider id.
    pub fn single(prices: impl IntoIterator<Item = Money>) -> Self {
        Self::in_order(Horizon::SINGLE, prices)
    }

    /// Those of the slots of a horizon, in order.
    pub fn in_order(horizon: Horizon, prices: impl IntoIterator<Item = Money>) -> Self {
        prices.into_iter().enumerate().map(|(position, price)| (horizon.slot(position), price)).collect()
    }

    /// The price of a minute of a slot.
    pub fn of(&self, slot: Slot) -> Money {
        self.0.get(&slot).copied().unwrap_or(Money::ZERO)
    }

    /// `price * minutes` of a slot.
    pub fn charge(&self, slot: Slot, minutes: Minutes) -> Money {
        Money::from_micros(self.of(slot).micros() * minutes)
    }

    /// The slots that have a price, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, Money)> + Clone {
        self.0.iter().map(|(&slot, &price)| (slot, price))
    }

    /// Those of one provider, in order of period.
    pub fn of_provider(&self, provider: ProviderId) -> impl Iterator<Item = (Period, Money)> {
        let slot = |period| Slot { provider, period };
        let prices = self.0.range(slot(Period::ZERO)..=slot(Period::LAST));
        prices.map(|(slot, &price)| (slot.period, price))
    }

    /// Whether minutes cost nothing anywhere.
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a price.
    pub fn set(&mut self, slot: Slot, price: Money) {
        if price == Money::ZERO {
            self.0.remove(&slot);
        } else {
            self.0.insert(slot, price);
        }
    }

    /// Keeps the prices of these slots only.
    pub fn retain(&mut self, keep: impl Fn(Slot) -> bool) {
        self.0.retain(|&slot, _| keep(slot));
    }

    /// The price of each of so many slots of a horizon, in order, in micro-units.
    pub fn micros(&self, horizon: Horizon, slots: usize) -> Vec<i64> {
        let mut micros = vec![0; slots];
        for (&slot, price) in &self.0 {
            let place = horizon.position(slot).and_then(|position| micros.get_mut(position));
            if let Some(place) = place {
                *place = price.micros();
            }
        }
        micros
    }
}

impl FromIterator<(Slot, Money)> for DualPrices {
    fn from_iter<T: IntoIterator<Item = (Slot, Money)>>(prices: T) -> Self {
        Self(prices.into_iter().filter(|&(_, price)| price != Money::ZERO).collect())
    }
}

impl Serialize for DualPrices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(slot, price)| (slot.provider, slot.period, price)))
    }
}

impl<'de> Deserialize<'de> for DualPrices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read: Vec<(ProviderId, Period, Money)> = at_most(READ_MAX, deserializer)?;
        let count = read.len();
        let slot = |(provider, period, price)| (Slot { provider, period }, price);
        let prices: BTreeMap<Slot, Money> = read.into_iter().map(slot).collect();
        if prices.len() < count {
            return Err(serde::de::Error::custom("a slot has two prices, expected one"));
        }
        Ok(prices.into_iter().collect())
    }
}

/// Why dual prices are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum PriceError {
    /// A price is negative or above [`limits::CAPACITY_PRICE`].
    #[error("the price of a minute of {slot} is {got}, expected 0 to {}", limits::CAPACITY_PRICE)]
    OutOfRange { slot: Slot, got: Money },
    /// A provider without a capacity limit has a price.
    #[error("the price of a minute of {slot} is {got}, but its capacity is unlimited: expected 0")]
    Unlimited { slot: Slot, got: Money },
    /// There is no such slot: no such provider, or its period cannot be planned.
    #[error("{slot} has a price, expected one of {providers} providers in periods {} to {}", horizon.first.0, horizon.last().0)]
    UnknownSlot {
        slot: Slot,
        /// How many there are.
        providers: usize,
        /// What can be planned.
        horizon: Horizon,
    },
    /// The bound at these prices is below what `i64` micro-units hold: the prices are absurd.
    #[error("the bound at these prices does not fit 64-bit micro-units; lower the prices")]
    BoundOverflow,
}

/// Checks that prices suit the capacities of the slots of a horizon, in order.
///
/// # Errors
/// The first price that is out of range, put on unlimited capacity or on a slot that is not there.
pub fn validate_prices(
    prices: &DualPrices,
    horizon: Horizon,
    capacities: &[Option<Minutes>],
) -> Result<(), PriceError> {
    for (slot, got) in prices.iter() {
        let capacity = horizon.position(slot).and_then(|position| capacities.get(position));
        let Some(capacity) = capacity else {
            let providers = capacities.len() / horizon.len().max(1);
            return Err(PriceError::UnknownSlot { slot, providers, horizon });
        };
        if !(Money::ZERO..=limits::CAPACITY_PRICE).contains(&got) {
            return Err(PriceError::OutOfRange { slot, got });
        }
        if capacity.is_none() {
            return Err(PriceError::Unlimited { slot, got });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(provider: u32, period: u32) -> Slot {
        Slot { provider: ProviderId(provider), period: Period(period) }
    }

    #[test]
    fn prices_are_written_slot_by_slot_and_zero_is_not() {
        let prices: DualPrices = [
            (slot(2, 1), Money::from_micros(500_000)),
            (slot(0, 3), Money::ZERO),
            (slot(1, 9), Money::from_micros(700_000)),
        ]
        .into_iter()
        .collect();
        let json = serde_json::to_string(&prices).unwrap();
        assert_eq!(json, "[[1,9,0.7],[2,1,0.5]]");
        assert_eq!(serde_json::from_str::<DualPrices>(&json).unwrap(), prices);
        let twice = "[[1,9,0.7],[1,9,0.5]]";
        assert!(serde_json::from_str::<DualPrices>(twice).unwrap_err().to_string().contains("two prices"));
        assert_eq!(
            prices.of_provider(ProviderId(1)).collect::<Vec<_>>(),
            [(Period(9), Money::from_micros(700_000))]
        );
    }

    #[test]
    fn prices_are_refused_where_nothing_can_be_planned() {
        let horizon = Horizon { first: Period(3), periods: 2, period_minutes: None };
        let capacities = [Some(10), Some(10), None, None];
        let validate = |slot, micros| {
            let prices = [(slot, Money::from_micros(micros))].into_iter().collect();
            validate_prices(&prices, horizon, &capacities)
        };
        assert_eq!(validate(slot(0, 4), 1), Ok(()));
        let unknown = |slot| Err(PriceError::UnknownSlot { slot, providers: 2, horizon });
        assert_eq!(validate(slot(0, 5), 1), unknown(slot(0, 5)));
        assert_eq!(validate(slot(0, 2), 1), unknown(slot(0, 2)));
        assert_eq!(validate(slot(2, 3), 1), unknown(slot(2, 3)));
        let got = Money::from_micros(1);
        assert_eq!(validate(slot(1, 3), 1), Err(PriceError::Unlimited { slot: slot(1, 3), got }));
        let got = Money::from_micros(-1);
        assert_eq!(validate(slot(0, 3), -1), Err(PriceError::OutOfRange { slot: slot(0, 3), got }));
    }
}
