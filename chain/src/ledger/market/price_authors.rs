//! Whose the dual prices are: who raised the certified bound by how much. What compositions earn at these prices is shared
//! with their authors, so that good prices are worth finding, and finding them in many small steps is worth no more than
//! in one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use scenarios::Money;
use serde::{Deserialize, Serialize};

use crate::key::Address;

/// Authors remembered at most.
const AUTHORS: usize = 16;

/// The most that one author's part can be.
const PART_MAX: i64 = 1 << 62;

/// The prices' history, as far as anybody is paid for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceTotals {
    /// How many price updates took effect.
    pub updates: u64,
    /// Up to which market time parts were halved, in milliseconds.
    pub since_ms: u64,
    /// What each author added to the bound.
    pub authors: BTreeMap<Address, Money>,
}

/// The room of the prices' authors.
#[derive(Clone, Debug, Default)]
pub(crate) struct PriceAuthors {
    totals: PriceTotals,
    is_touched: bool,
}

impl PriceAuthors {
    pub(in crate::ledger) const fn totals(&self) -> &PriceTotals {
        &self.totals
    }

    /// Somebody's prices are in force from now on, which raise the bound by so much. What was added longer ago counts half
    /// for each `half_life_ms` of market time.
    pub(in crate::ledger) fn update(
        &mut self,
        author: Address,
        gain: i128,
        market_ms: u64,
        half_life_ms: u64,
    ) {
        let totals = &mut self.totals;
        let halvings = market_ms.saturating_sub(totals.since_ms).checked_div(half_life_ms).unwrap_or(0);
        if halvings > 0 {
            let shift = u32::try_from(halvings).unwrap_or(u32::MAX).min(63);
            for part in totals.authors.values_mut() {
                *part = Money::from_micros(part.micros().checked_shr(shift).unwrap_or(0));
            }
            totals.authors.retain(|_, part| *part > Money::ZERO);
            totals.since_ms = totals.since_ms.saturating_add(halvings.saturating_mul(half_life_ms));
        }
        totals.updates = totals.updates.saturating_add(1);
        let part = totals.authors.entry(author).or_insert(Money::ZERO);
        let gain = i64::try_from(gain).unwrap_or(PART_MAX).min(PART_MAX);
        *part = Money::from_micros(part.micros().saturating_add(gain).min(PART_MAX));
        if totals.authors.len() > AUTHORS {
            let least =
                totals.authors.iter().max_by_key(|&(&address, &part)| (Reverse(part), Reverse(address)));
            let least = least.map(|(&address, _)| address);
            least.and_then(|address| totals.authors.remove(&address));
        }
        self.is_touched = true;
    }

    /// An amount by parts, floored; what is left over goes to the first by address. Nothing if there is no author.
    pub(in crate::ledger) fn split(&self, amount: Money) -> Vec<(Address, Money)> {
        let whole: i128 = self.totals.authors.values().map(|part| i128::from(part.micros())).sum();
        let share = |part: &Money| {
            let share = i128::from(amount.micros()).saturating_mul(i128::from(part.micros()));
            i64::try_from(share.checked_div(whole).unwrap_or(0)).unwrap_or(0)
        };
        let mut shares: Vec<(Address, i64)> =
            self.totals.authors.iter().map(|(&address, part)| (address, share(part))).collect();
        let given: i64 = shares.iter().fold(0, |sum, (_, share)| sum.saturating_add(*share));
        if let Some((_, first)) = shares.first_mut() {
            *first = first.saturating_add(amount.micros().saturating_sub(given));
        }
        shares.into_iter().map(|(address, share)| (address, Money::from_micros(share))).collect()
    }

    pub(in crate::ledger) fn take_touched(&mut self) -> bool {
        std::mem::take(&mut self.is_touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    fn address(byte: u8) -> Address {
        Address(Hash([byte; 32]))
    }

    fn parts(authors: &PriceAuthors) -> Vec<i64> {
        authors.totals().authors.values().map(|part| part.micros()).collect()
    }

    #[test]
    fn many_small_steps_are_worth_as_much_as_one_large_one() {
        let mut authors = PriceAuthors::default();
        authors.update(address(1), 1_000, 5, 60_000);
        for _ in 0..100 {
            authors.update(address(2), 10, 6, 60_000);
        }
        assert_eq!((parts(&authors), authors.totals().updates), (vec![1_000, 1_000], 101));
        let shares = authors.split(Money::from_micros(7));
        assert_eq!(shares, [(address(1), Money::from_micros(4)), (address(2), Money::from_micros(3))]);
    }

    #[test]
    fn what_was_added_long_ago_counts_half_as_much_again_and_again_and_then_nothing() {
        let mut authors = PriceAuthors::default();
        authors.update(address(1), 1_001, 500, 1_000);
        authors.update(address(2), 8, 2_400, 1_000);
        assert_eq!((parts(&authors), authors.totals().since_ms), (vec![250, 8], 2_000));
        authors.update(address(3), 1, 1_000_000, 1_000);
        assert_eq!(parts(&authors), [1]);
    }

    #[test]
    fn of_too_many_authors_the_one_who_added_least_is_forgotten() {
        let mut authors = PriceAuthors::default();
        for byte in 0..=16 {
            authors.update(address(byte), i128::from(100 - byte), 5, 60_000);
        }
        assert_eq!(authors.totals().authors.len(), AUTHORS);
        assert!(!authors.totals().authors.contains_key(&address(16)));
        assert!(
            authors.split(Money::from_micros(1_000)).iter().map(|(_, share)| share.micros()).sum::<i64>()
                == 1_000
        );
    }

    #[test]
    fn where_nobody_made_the_prices_nobody_shares() {
        assert_eq!(PriceAuthors::default().split(Money::from_units(1)), []);
    }
}
