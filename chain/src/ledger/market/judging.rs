//! What compositions are worth, and new prices. A composition is valued by itself, at the offers and prices its batch
//! begins with: its reduced cost, its fee, the share of it that this earns, and whether that is enough. Nothing is averaged
//! over a batch, so that no good composition carries a bad one. The measure of paper A alone judges a block as a whole.

use scenarios::bound::{demand_bound, reduced_cost};
use scenarios::oracle::validate_prices;
use scenarios::reference::{Area, References};
use scenarios::{CompositionEvaluation, DualPrices, Money, PriceError, ProviderId, Slot};

use super::entry::DemandEntry;
use super::error::MarketError;
use super::staging::Staged;
use super::view::{certified_bound, priced_cost};
use crate::block::PriceUpdate;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::transition::Transition;
use crate::record::DemandId;
use crate::schedule::{Achievement, Measure};

/// What of a gain a careful author claims: demands come and leave until its prices take effect.
const CLAIMED_PPM: u64 = 750_000;

/// What a composition does to the market's gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) struct Value {
    /// The least its demand can add to the cost of any plan.
    pub(in crate::ledger) least: Money,
    /// The same as far as offers are priced: what reduced cost is counted from.
    pub(in crate::ledger) valued: Money,
    /// Its cost, with the minutes it takes.
    pub(in crate::ledger) with_minutes: Money,
    pub(in crate::ledger) reduced_cost: Money,
    /// The same, less that of the composition it replaces.
    pub(in crate::ledger) added: Money,
}

impl Value {
    /// The least that the demand is known to cost, with minutes: by priced offers, or by this composition.
    pub(in crate::ledger) fn least_known(&self) -> Money {
        self.valued.min(self.with_minutes)
    }
}

/// What a first composition earns, and the least that its demand asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) struct Award {
    /// What there is to earn.
    pub(in crate::ledger) fee: Money,
    /// What of it the composition earns its miner.
    pub(in crate::ledger) earned: Money,
    /// What of it the authors of the prices get.
    pub(in crate::ledger) for_prices: Money,
    /// What `earned` and `for_prices` must come to together.
    pub(in crate::ledger) required: Money,
}

impl Award {
    /// What is paid for the composition, whoever gets it.
    fn paid(self) -> Option<Money> {
        self.earned.checked_add(self.for_prices)
    }

    /// What is left of the fee in escrow, for the solvers of the demand.
    pub(in crate::ledger) fn left(self) -> Option<Money> {
        self.fee.checked_sub(self.for_prices)
    }
}

impl Transition<'_> {
    /// The value of a composition at the offers and prices the batch begins with.
    pub(in crate::ledger) fn value(
        &self,
        entry: &DemandEntry,
        evaluation: &CompositionEvaluation,
    ) -> Result<Value, Defect> {
        let prices = &*self.prices;
        let valued = demand_bound(self.valued_oracle(), &entry.demand, prices);
        let least =
            if self.is_all_valued() { valued } else { demand_bound(self.oracle(), &entry.demand, prices) };
        let beyond = reduced_cost(evaluation, valued, prices);
        let with_minutes = beyond.checked_add(valued).ok_or(Defect::ReducedCost)?;
        let reduced_cost = beyond.max(Money::ZERO);
        let added = entry
            .composition()
            .map_or(Some(reduced_cost), |replaced| with_minutes.checked_sub(priced_cost(replaced, prices)?));
        let added = added.ok_or(Defect::ReducedCost)?;
        Ok(Value { least, valued, with_minutes, reduced_cost, added })
    }

    /// What the first composition of a demand of which this is the [`Value::least_known`] earns for this achievement, which is
    /// enough. Where blocks are judged as a whole nothing of the fee is earned yet: see [`Transition::judge_whole`].
    pub(in crate::ledger) fn award(
        &self,
        demand: DemandId,
        entry: &DemandEntry,
        least_known: Money,
        achievement: &Achievement,
    ) -> Result<Award, MarketError> {
        let schedule = &self.network.parameters().schedule;
        let fee = fee_of(entry, least_known).ok_or(Defect::Reward)?;
        if let Measure::Paper { .. } = schedule.measure {
            return Ok(Award { fee, ..Award::default() });
        }
        let award = self.award_of(entry, fee, schedule.reward_ppm(achievement))?;
        let (got, expected) = (award.paid().ok_or(Defect::Reward)?, award.required);
        if got < expected {
            return Err(MarketError::RewardBelowThreshold { demand, fee, got, expected });
        }
        Ok(award)
    }

    fn award_of(&self, entry: &DemandEntry, fee: Money, share_ppm: u64) -> Result<Award, Defect> {
        let parameters = self.network.parameters();
        let required_ppm = parameters.required_ppm(self.at.market_ms().saturating_sub(entry.since_ms));
        let required = fee.checked_ppm(required_ppm).ok_or(Defect::Reward)?;
        let paid = fee.checked_ppm(share_ppm).ok_or(Defect::Reward)?;
        let for_prices = paid.checked_ppm(self.price_share_ppm()).ok_or(Defect::Reward)?;
        let earned = paid.checked_sub(for_prices).ok_or(Defect::Reward)?;
        Ok(Award { fee, earned, for_prices, required })
    }

    /// What of everything that is paid goes to the authors of the prices; nothing, if there are none.
    fn price_share_ppm(&self) -> u64 {
        let has_authors = !self.state.price_authors.totals().authors.is_empty();
        if has_authors { self.network.parameters().price_share_ppm } else { 0 }
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
        let price_share_ppm = self.price_share_ppm();
        let report = &mut self.report;
        let parts = self.amended.iter_mut().flat_map(|set| &mut set.parts);
        let staged = self.staged.iter_mut().chain(parts).filter(|staged| staged.by.block == block);
        for staged in staged.filter(|staged| staged.is_first()) {
            let fee = staged.award.fee;
            let share = |ppm| fee.checked_ppm(ppm).ok_or(WHAT);
            let (paid, required) = (share(got)?, share(expected)?);
            let for_prices = paid.checked_ppm(price_share_ppm).ok_or(WHAT)?;
            let earned = paid.checked_sub(for_prices).ok_or(WHAT)?;
            staged.award = Award { fee, earned, for_prices, required };
            report.reward = report.reward.checked_add(earned).ok_or(WHAT)?;
            report.price_share = report.price_share.checked_add(for_prices).ok_or(WHAT)?;
            report.required = report.required.checked_add(required).ok_or(WHAT)?;
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
            let orders = u64::try_from(staged.slots.len()).or(Err(WHAT))?;
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
            let is_within =
                |slot: Slot, _| site(slot.provider).is_some_and(|site| references.is_within(area, site));
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
        match staged.slots.iter().map(|slot| slot.provider).find(is_outside) {
            Some(got) => Err(MarketError::ProviderOutside { demand, got, expected: area }),
            None => Ok(area),
        }
    }

    /// Puts new prices in force if they raise the bound of the market, as everything entered leaves it, by as much as they
    /// claim. Who claims too much forfeits the bond.
    pub(crate) fn reprice(&mut self, miner: Address, update: &PriceUpdate) -> Result<(), MarketError> {
        let &PriceUpdate { replaces: got, gain, ref prices } = update;
        let expected = self.state.price_authors.totals().updates;
        if got != expected {
            return Err(MarketError::StalePrices { got, expected });
        }
        validate_prices(prices, self.supply.horizon, &self.state.market_capacities())?;
        let (bond, got) = (self.network.parameters().price_bond, self.state.accounts.spendable(miner));
        if got < bond {
            return Err(MarketError::PriceBond { got, expected: bond });
        }
        let passes = if self.bound.is_some() { 1 } else { 2 };
        self.spend(self.work_of_pass().saturating_mul(passes))?;
        let before = self.bound_in_force();
        let expected = least_gain(before, self.network.parameters().min_bound_gain_ppm);
        if gain < expected {
            return Err(MarketError::BoundNotRaised { got: gain, expected });
        }
        let after = self.bound_at(prices).unwrap_or(Money::from_micros(i64::MIN));
        let raised = raised_by(before, after);
        if raised < i128::from(gain.micros()) {
            self.state.accounts.burn(miner, bond)?;
            let got = Money::from_micros(i64::try_from(raised).unwrap_or(i64::MIN));
            return Err(MarketError::FalseGain { got, expected: gain, bond });
        }
        self.state.providers.reprice(prices);
        let half_life_ms = self.network.parameters().freeze_after_ms;
        self.state.price_authors.update(miner, raised, self.at.market_ms(), half_life_ms);
        self.report.bound_before = Some(before);
        self.report.bound_after = Some(after);
        Ok(())
    }

    /// What new prices may claim in the next batch, so that it holds even if the market changes a little until then.
    pub(crate) fn claim_prices(&mut self, prices: DualPrices) -> Result<PriceUpdate, MarketError> {
        validate_prices(&prices, self.supply.horizon, &self.state.market_capacities())?;
        let before = self.bound_in_force();
        let raised = raised_by(before, self.bound_at(&prices)?);
        let least = least_gain(before, self.network.parameters().min_bound_gain_ppm);
        let got = Money::from_micros(i64::try_from(raised).unwrap_or(i64::MAX));
        if got < least {
            return Err(MarketError::BoundNotRaised { got, expected: least });
        }
        let careful = got.checked_ppm(CLAIMED_PPM).ok_or(Defect::ReducedCost)?;
        let replaces = self.state.price_authors.totals().updates;
        Ok(PriceUpdate { replaces, gain: careful.max(least), prices })
    }

    /// The market's bound at the prices in force. Those always suit the capacities, but an offer of more capacity may have
    /// pushed their bound out of range: then any bound is better.
    fn bound_in_force(&mut self) -> Money {
        if let Some(bound) = self.bound {
            return bound;
        }
        let bound = self.bound_at(self.state.providers.prices()).unwrap_or(Money::from_micros(i64::MIN));
        self.bound = Some(bound);
        bound
    }

    /// The market's bound at these prices.
    fn bound_at(&self, prices: &DualPrices) -> Result<Money, PriceError> {
        let (state, supply) = (&self.state, self.state.providers.supply());
        let entries = state.demands.iter().map(|(_, entry)| entry.as_ref());
        certified_bound(&supply.oracle(), entries, &state.market_capacities(), prices)
    }
}

/// `ceil(solver_fee * least_known / budget)`: a demand that allows more than it can cost does not pay for that, nor one that
/// allows little less. `None` if that leaves the range of money.
fn fee_of(entry: &DemandEntry, least_known: Money) -> Option<Money> {
    let (most, budget) = (i128::from(entry.solver_fee.micros()), i128::from(entry.demand.budget.micros()));
    let scaled = most.checked_mul(i128::from(least_known.micros().max(0)))?;
    let fee = scaled.checked_add(budget.checked_sub(1)?)?.checked_div(budget)?;
    i64::try_from(fee).ok().map(|fee| Money::from_micros(fee).min(entry.solver_fee))
}

fn raised_by(before: Money, after: Money) -> i128 {
    i128::from(after.micros()).saturating_sub(i128::from(before.micros()))
}

/// The least that a price update raises the bound `before` by: `gain_ppm` of its size, and one micro-unit.
fn least_gain(before: Money, gain_ppm: u64) -> Money {
    let size = i128::from(before.micros()).saturating_abs();
    let gain = size.saturating_mul(i128::from(gain_ppm)).saturating_add(999_999);
    let gain = gain.checked_div(1_000_000).unwrap_or(0).max(1);
    Money::from_micros(i64::try_from(gain).unwrap_or(i64::MAX))
}
