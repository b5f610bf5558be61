//! What a block's work is worth: new prices in force, reduced costs at them, the reward of what is composed first.

use scenarios::bound::{demand_bound, reduced_cost};
use scenarios::{DualPrices, Money, Oracle};

use super::entry::Standing;
use super::error::MarketError;
use super::staging::Staged;
use super::view::{certified_bound, priced_cost};
use crate::block::PriceUpdate;
use crate::ledger::defect::Defect;
use crate::ledger::transition::Transition;
use crate::schedule::Achievement;

impl Transition<'_> {
    /// Puts new prices in force if they raise the market's bound, pays the bounty, and finds reduced costs and
    /// reward of what is staged.
    pub(crate) fn judge(&mut self, update: Option<&PriceUpdate>) -> Result<(), MarketError> {
        if self.staged.is_empty() && self.amended.is_empty() && update.is_none() {
            return Ok(());
        }
        let supply = self.state.providers.supply().clone();
        let oracle = supply.oracle();
        if let Some(update) = update {
            self.reprice(&oracle, &update.prices)?;
        }
        let judged = self.find_reduced_costs(&oracle)?;
        if self.report.compositions > 0 {
            self.find_reward(judged)?;
        }
        Ok(())
    }

    fn reprice(&mut self, oracle: &Oracle<'_>, prices: &DualPrices) -> Result<(), MarketError> {
        let state = &self.state;
        let capacities = state.market_capacities();
        let entries = || state.demands.iter().map(|(_, entry)| entry.as_ref());
        let bound = |prices: &DualPrices| certified_bound(oracle, entries(), &capacities, prices);
        let got = bound(prices)?;
        // Prices in force always suit the capacities, but an offer of more capacity may have pushed their
        // bound out of range: then any bound is better.
        let before = bound(state.providers.prices()).unwrap_or(Money::from_micros(i64::MIN));
        let expected = least_bound(before, self.network.parameters().min_bound_gain_ppm);
        if got < expected {
            return Err(MarketError::BoundNotRaised { got, expected });
        }
        let share_ppm = self.network.parameters().bounty_pay_ppm;
        let bounty = self.state.accounts.pay_bounty(self.miner, share_ppm)?;
        self.state.providers.reprice(prices);
        self.report.bound_before = Some(before);
        self.report.bound_after = Some(got);
        self.report.bounty = bounty;
        Ok(())
    }

    /// Finds the reduced cost of everything staged and what the block adds to the reduced cost of composed demands.
    /// Returns what its reward is judged on: amendments that compose no open demand are left out, so that
    /// they neither help nor hurt.
    fn find_reduced_costs(&mut self, oracle: &Oracle<'_>) -> Result<Achievement, Defect> {
        const WHAT: Defect = Defect::ReducedCost;
        let prices = self.state.providers.prices();
        let (mut total, mut judged) = (Money::ZERO, Achievement::default());
        let room_makers =
            self.amended.iter_mut().flat_map(|set| set.parts.iter_mut().map(|part| (part, set.makes_room)));
        for (staged, is_judged) in self.staged.iter_mut().map(|staged| (staged, true)).chain(room_makers) {
            let least = demand_bound(oracle, &staged.entry.demand, prices);
            staged.reduced_cost = reduced_cost(&staged.evaluation, least, prices);
            let added = staged.entry.composition().map_or(Some(staged.reduced_cost), |replaced| {
                staged.reduced_cost.checked_sub(reduced_cost_of_standing(replaced, least, prices)?)
            });
            let added = added.ok_or(WHAT)?;
            total = total.checked_add(added).ok_or(WHAT)?;
            if is_judged {
                judged.reduced_cost = judged.reduced_cost.checked_add(added).ok_or(WHAT)?;
            }
        }
        self.report.reduced_cost = total;
        judged.reduced_cost = judged.reduced_cost.max(Money::ZERO);
        let firsts = self.staged.iter().chain(self.amended.iter().flat_map(|set| &set.parts));
        let mut cost = self.report.displacement;
        for first in firsts.filter(|staged| staged.is_first()) {
            cost = cost.checked_add(first.evaluation.cost()).ok_or(WHAT)?;
        }
        judged.cost = cost;
        judged.orders = self.report.orders;
        Ok(judged)
    }

    fn find_reward(&mut self, judged: Achievement) -> Result<(), MarketError> {
        const WHAT: Defect = Defect::Reward;
        let (parameters, report) = (self.network.parameters(), &mut self.report);
        report.reward_ppm = parameters.schedule.reward_ppm(&judged);
        let amended = self.amended.iter_mut().flat_map(|set| &mut set.parts);
        for staged in self.staged.iter_mut().chain(amended).filter(|staged: &&mut Staged| staged.is_first()) {
            let fee = staged.entry.solver_fee;
            let required = parameters.required_ppm(self.at.market_ms().saturating_sub(staged.entry.since_ms));
            staged.earned = fee.checked_ppm(report.reward_ppm).ok_or(WHAT)?;
            report.reward = report.reward.checked_add(staged.earned).ok_or(WHAT)?;
            let required = fee.checked_ppm(required).ok_or(WHAT)?;
            report.required = report.required.checked_add(required).ok_or(WHAT)?;
        }
        let (got, expected) = (report.reward, report.required);
        if got < expected { Err(MarketError::RewardBelowThreshold { got, expected }) } else { Ok(()) }
    }
}

/// The reduced cost of what stands at other prices than those of its block, at the terms it was made at.
/// `None` if it leaves the range of money.
fn reduced_cost_of_standing(standing: &Standing, least: Money, prices: &DualPrices) -> Option<Money> {
    priced_cost(standing, prices)?.checked_sub(least)
}

/// The least bound that raises `before` enough: by at least `gain_ppm` of its size and one micro-unit.
fn least_bound(before: Money, gain_ppm: u64) -> Money {
    let size = i128::from(before.micros()).saturating_abs();
    let gain = size.saturating_mul(i128::from(gain_ppm)).saturating_add(999_999);
    let gain = gain.checked_div(1_000_000).unwrap_or(0).max(1);
    let least = i128::from(before.micros()).saturating_add(gain);
    Money::from_micros(i64::try_from(least).unwrap_or(i64::MAX))
}
