//! What compositions are worth, and new prices. A composition is valued by itself, at the offers and prices its batch
//! begins with: its reduced cost, the share of its fee that this earns, and whether that is enough. Nothing is averaged
//! over a batch, so that no good composition carries a bad one. The measure of paper A alone judges a block as a whole.

use scenarios::bound::{demand_bound, reduced_cost};
use scenarios::reference::{Area, References};
use scenarios::{CompositionEvaluation, DualPrices, Money, Oracle, ProviderId};

use super::entry::{DemandEntry, Standing};
use super::error::MarketError;
use super::staging::Staged;
use super::view::{certified_bound, priced_cost};
use crate::block::PriceUpdate;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::transition::Transition;
use crate::record::DemandId;
use crate::schedule::{Achievement, Measure};

/// What a composition does to the market's gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Value {
    pub(in crate::ledger) reduced_cost: Money,
    /// The same, less that of the composition it replaces.
    pub(in crate::ledger) added: Money,
}

/// What a first composition earns, and the least that its demand asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct Award {
    pub(in crate::ledger) earned: Money,
    pub(in crate::ledger) required: Money,
}

impl Transition<'_> {
    /// The value of a composition at the offers and prices the batch begins with.
    pub(in crate::ledger) fn value(
        &self,
        entry: &DemandEntry,
        evaluation: &CompositionEvaluation,
    ) -> Result<Value, Defect> {
        let prices = self.prices;
        let least = demand_bound(self.oracle(), &entry.demand, prices);
        let reduced_cost = reduced_cost(evaluation, least, prices);
        let added = entry.composition().map_or(Some(reduced_cost), |replaced| {
            reduced_cost.checked_sub(reduced_cost_of_standing(replaced, least, prices)?)
        });
        Ok(Value { reduced_cost, added: added.ok_or(Defect::ReducedCost)? })
    }

    /// What the first composition of a demand earns for this achievement, which is enough. Where blocks are judged as a
    /// whole it is nothing yet: see [`Transition::judge_whole`].
    pub(in crate::ledger) fn award(
        &self,
        demand: DemandId,
        entry: &DemandEntry,
        achievement: &Achievement,
    ) -> Result<Award, MarketError> {
        let schedule = &self.network.parameters().schedule;
        if let Measure::Paper { .. } = schedule.measure {
            return Ok(Award::default());
        }
        let award = self.award_of(entry, schedule.reward_ppm(achievement))?;
        let Award { earned: got, required: expected } = award;
        if got < expected {
            return Err(MarketError::RewardBelowThreshold { demand, got, expected });
        }
        Ok(award)
    }

    fn award_of(&self, entry: &DemandEntry, share_ppm: u64) -> Result<Award, Defect> {
        let (parameters, fee) = (self.network.parameters(), entry.solver_fee);
        let required_ppm = parameters.required_ppm(self.at.market_ms().saturating_sub(entry.since_ms));
        let earned = fee.checked_ppm(share_ppm).ok_or(Defect::Reward)?;
        Ok(Award { earned, required: fee.checked_ppm(required_ppm).ok_or(Defect::Reward)? })
    }

    /// By the measure of paper A, finds the reward of everything that is staged of a block as one: all of it lies in one area,
    /// and costs so much less than random assignments there that it earns enough, or next to no more than the best there is.
    pub(crate) fn judge_whole(&mut self, block: usize) -> Result<(), MarketError> {
        const WHAT: Defect = Defect::Reward;
        let Some(references) = self.network.references() else { return Ok(()) };
        let mut achievement = self.achievement_of_block(block, references)?;
        let Achievement { cost, orders, reference, .. } = achievement;
        if orders == 0 {
            return Ok(());
        }
        let parameters = self.network.parameters();
        let (mut got, expected) = (parameters.schedule.reward_ppm(&achievement), parameters.required_ppm(0));
        if got < expected {
            // Where there is little to choose from, not even the best lies far below the reference.
            let least = self.least_of_block(block, references)?;
            achievement.reduced_cost = cost.checked_sub(least).ok_or(WHAT)?;
            got = got.max(parameters.schedule.reward_near_optimum_ppm(&achievement));
            if got < expected {
                return Err(MarketError::AboveReference { cost, orders, reference, least, got, expected });
            }
        }
        let report = &mut self.report;
        let parts = self.amended.iter_mut().flat_map(|set| &mut set.parts);
        let staged = self.staged.iter_mut().chain(parts).filter(|staged| staged.by.block == block);
        for staged in staged.filter(|staged| staged.is_first()) {
            let share = |ppm| staged.entry.solver_fee.checked_ppm(ppm).ok_or(WHAT);
            staged.award = Award { earned: share(got)?, required: share(expected)? };
            report.reward = report.reward.checked_add(staged.award.earned).ok_or(WHAT)?;
            report.required = report.required.checked_add(staged.award.required).ok_or(WHAT)?;
        }
        Ok(())
    }

    /// What the first compositions of a block cost, with all that its amendments displace, beside their references.
    fn achievement_of_block(
        &self,
        block: usize,
        references: &References,
    ) -> Result<Achievement, MarketError> {
        const WHAT: Defect = Defect::Reward;
        let sets = || self.amended.iter().filter(|set| set.by.block == block);
        let staged = self.staged.iter().filter(|staged| staged.by.block == block);
        let (mut achievement, mut means) = (Achievement::default(), references.means());
        let mut area_of_block = None;
        for staged in staged.chain(sets().flat_map(|set| &set.parts)) {
            let area = self.validate_area(references, staged, area_of_block)?;
            area_of_block = Some(area);
            if !staged.is_first() {
                continue;
            }
            let reference = means.cost(area, &staged.entry.demand).ok_or(WHAT)?;
            let orders = u64::try_from(staged.providers.len()).or(Err(WHAT))?;
            achievement.cost = achievement.cost.checked_add(staged.evaluation.cost()).ok_or(WHAT)?;
            achievement.reference = achievement.reference.checked_add(reference).ok_or(WHAT)?;
            achievement.orders = achievement.orders.saturating_add(orders);
        }
        for set in sets() {
            achievement.cost = achievement.cost.checked_add(set.displacement).ok_or(WHAT)?;
        }
        Ok(achievement)
    }

    /// What the first compositions of a block would cost at least, at what is offered in their area as the batch begins.
    fn least_of_block(&self, block: usize, references: &References) -> Result<Money, Defect> {
        const WHAT: Defect = Defect::Reward;
        let staged = self.staged.iter().chain(self.amended.iter().flat_map(|set| &set.parts));
        let mut least = Money::ZERO;
        for staged in staged.filter(|staged| staged.by.block == block && staged.is_first()) {
            let demand = &staged.entry.demand;
            let area = references.area_of(demand).ok_or(WHAT)?;
            let site = |id: ProviderId| self.supply.provider(id).map(|provider| provider.site);
            let is_within = |id, _| site(id).is_some_and(|site| references.is_within(area, site));
            let cheapest =
                self.oracle().cheapest_among(demand, &DualPrices::zero(), is_within).ok_or(WHAT)?;
            least = least.checked_add(cheapest.priced_cost).ok_or(WHAT)?;
        }
        Ok(least)
    }

    /// The area of a demand, which is that of its block if this has one, and holds those who serve it.
    fn validate_area(
        &self,
        references: &References,
        staged: &Staged,
        area_of_block: Option<Area>,
    ) -> Result<Area, MarketError> {
        let demand = staged.demand;
        let area = references.area_of(&staged.entry.demand).ok_or(MarketError::NoReference { demand })?;
        if let Some(expected) = area_of_block.filter(|&expected| expected != area) {
            return Err(MarketError::OtherArea { demand, got: area, expected });
        }
        let site = |id: ProviderId| self.supply.provider(id).map(|provider| provider.site);
        let is_outside = |id: &ProviderId| !site(*id).is_some_and(|site| references.is_within(area, site));
        match staged.providers.iter().copied().find(is_outside) {
            Some(got) => Err(MarketError::ProviderOutside { demand, got, expected: area }),
            None => Ok(area),
        }
    }

    /// Puts new prices in force if they raise the bound of the market as everything entered leaves it, and pays the
    /// bounty.
    pub(crate) fn reprice(&mut self, miner: Address, update: &PriceUpdate) -> Result<(), MarketError> {
        let (prices, supply) = (&update.prices, self.state.providers.supply().clone());
        let oracle = supply.oracle();
        let (got, before) = self.bounds(&oracle, prices)?;
        let expected = least_bound(before, self.network.parameters().min_bound_gain_ppm);
        if got < expected {
            return Err(MarketError::BoundNotRaised { got, expected });
        }
        let share_ppm = self.network.parameters().bounty_pay_ppm;
        let bounty = self.state.accounts.pay_bounty(miner, share_ppm)?;
        self.state.providers.reprice(prices);
        self.report.bound_before = Some(before);
        self.report.bound_after = Some(got);
        self.report.bounty = bounty;
        Ok(())
    }

    /// The market's bound at these prices, and at those in force.
    fn bounds(&self, oracle: &Oracle<'_>, prices: &DualPrices) -> Result<(Money, Money), MarketError> {
        let state = &self.state;
        let capacities = state.market_capacities();
        let entries = || state.demands.iter().map(|(_, entry)| entry.as_ref());
        let bound = |prices: &DualPrices| certified_bound(oracle, entries(), &capacities, prices);
        let got = bound(prices)?;
        // Prices in force always suit the capacities, but an offer of more capacity may have pushed their
        // bound out of range: then any bound is better.
        let before = bound(state.providers.prices()).unwrap_or(Money::from_micros(i64::MIN));
        Ok((got, before))
    }
}

/// The reduced cost of what stands at other prices than those of its batch, at the terms it was made at.
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
