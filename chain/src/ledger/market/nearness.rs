//! Near the best of what is left: no composition may be much dearer than what the market still has for its demand, however
//! long that has waited. The floor of what is earned relaxes, or it would stall markets; without this, whoever waits could then
//! compose everything with a crony at any price. The yardstick is the carried path, which everybody can afford.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::oracle::CARRIED_PATH_WORK;
use scenarios::{CompositionEvaluation, DualPrices, Minutes, Money, PricedComposition, Slot};

use super::entry::DemandEntry;
use super::error::MarketError;
use super::judging::Value;
use crate::ledger::transition::Transition;
use crate::record::DemandId;
use crate::schedule::PPM;

impl Transition<'_> {
    /// What is left of each slot's capacity, in order, after the minutes in `moved` were taken (negative: given back), as
    /// compositions are judged: of the offers that the batch begins with.
    pub(in crate::ledger) fn left(&self, moved: &BTreeMap<Slot, Minutes>) -> Vec<Option<Minutes>> {
        self.state.providers.left_of(&self.supply, |slot, usage| {
            usage.total().saturating_add(moved.get(&slot).copied().unwrap_or(0))
        })
    }

    /// The carried path of a demand (docs/protocol.md, section 9), once its work is taken into account.
    pub(in crate::ledger) fn carried(
        &mut self,
        entry: &DemandEntry,
        prices: &DualPrices,
        left: &[Option<Minutes>],
    ) -> Result<Option<PricedComposition>, MarketError> {
        let work = self.oracle().work(&entry.demand).saturating_mul(CARRIED_PATH_WORK);
        self.spend(work)?;
        Ok(self.oracle().carried(&entry.demand, prices, left))
    }

    /// Checks that a composition is near the best of what is left once the minutes in `moved` are taken.
    pub(in crate::ledger) fn validate_near_best(
        &mut self,
        demand: DemandId,
        entry: &DemandEntry,
        evaluation: &CompositionEvaluation,
        value: &Value,
        moved: &BTreeMap<Slot, Minutes>,
    ) -> Result<(), MarketError> {
        if self.takes_effect_whole() || self.most_near(value.least) >= value.with_minutes {
            return Ok(());
        }
        let (left, prices) = (self.left(moved), Arc::clone(&self.prices));
        let (found, got) = match self.carried(entry, &prices, &left)? {
            Some(found) => (Some(found), value.with_minutes),
            None => (self.carried(entry, &DualPrices::zero(), &left)?, evaluation.cost()),
        };
        if let Some(PricedComposition { slots, priced_cost }) = found {
            let expected = self.most_near(priced_cost);
            if got > expected {
                return Err(MarketError::NotNearBest { demand, got, expected, best: slots });
            }
            return Ok(());
        }
        let age_ms = self.at.market_ms().saturating_sub(entry.since_ms);
        if !self.network.parameters().is_relaxed(age_ms) {
            let expected = self.network.parameters().relaxed_from_ms();
            return Err(MarketError::NothingToCompare { demand, got: age_ms, expected });
        }
        Ok(())
    }

    /// The most that may be paid where the best costs so much: floored.
    fn most_near(&self, best: Money) -> Money {
        let whole = PPM.saturating_add(self.network.parameters().near_best_ppm);
        let most = i128::from(best.micros()).saturating_mul(i128::from(whole));
        let most = most.checked_div(i128::from(PPM)).unwrap_or(0);
        Money::from_micros(i64::try_from(most).unwrap_or(i64::MAX))
    }
}
