//! Compositions against what is left: what makes one feasible here and now, and what is staged of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::evaluate_composition;
use scenarios::parameters::Allocation;
use scenarios::{CompositionEvaluation, Minutes, Money, ProviderId, Slot, Violation};

use super::entry::{DemandEntry, Standing};
use super::error::MarketError;
use super::judging::{Award, Value};
use crate::block::Composition;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::state::Moment;
use crate::ledger::transition::{By, Transition};
use crate::record::DemandId;
use crate::schedule::{Achievement, PPM};

/// What a block composes of an open demand, nothing about it checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProposedComposition<'p> {
    pub(crate) by: By,
    pub(crate) demand: DemandId,
    pub(crate) slots: &'p [Slot],
    pub(crate) timestamp_ms: u64,
    /// What it is said to be, if anything is said.
    pub(crate) claim: Option<Claim>,
}

/// What a composition is said to cost and take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) cost: Money,
    pub(crate) minutes: Minutes,
}

impl From<&Composition> for Claim {
    fn from(composition: &Composition) -> Self {
        Self { cost: composition.cost, minutes: composition.minutes }
    }
}

impl Claim {
    /// Checks that a demand's composition is what it is said to be.
    pub(in crate::ledger) fn verify(
        self,
        demand: DemandId,
        evaluation: &CompositionEvaluation,
    ) -> Result<(), MarketError> {
        let (got, expected) = (self.cost, evaluation.cost());
        if got != expected {
            return Err(MarketError::WrongCost { demand, got, expected });
        }
        let (got, expected) = (self.minutes, evaluation.total_minutes());
        if got == expected { Ok(()) } else { Err(MarketError::WrongMinutes { demand, got, expected }) }
    }
}

/// A composition that is fine by itself, at the offers and prices the batch begins with. Whether there is room for it
/// is not known yet.
#[derive(Clone, Debug)]
pub(crate) struct Appraised {
    staged: Staged,
    value: Value,
    /// The share of its fee that it earns.
    share_ppm: u64,
}

/// A composition that fits, its minutes reserved.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    pub(crate) by: By,
    pub(crate) demand: DemandId,
    /// The demand before the batch composes it.
    pub(crate) entry: Arc<DemandEntry>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) evaluation: CompositionEvaluation,
    pub(crate) timestamp_ms: u64,
    pub(in crate::ledger) terms: Terms,
    pub(in crate::ledger) reduced_cost: Money,
    /// Of a first composition.
    pub(in crate::ledger) award: Award,
}

/// What a composition does to its demand's money.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Terms {
    /// What the demander pays in, now or when it was first composed.
    pub(in crate::ledger) price: Money,
    /// The clearing account from now on.
    pub(in crate::ledger) clearing: Money,
    /// What is added to the amender's due.
    pub(in crate::ledger) due: Money,
}

impl Staged {
    pub(crate) fn minutes(&self) -> Minutes {
        self.evaluation.total_minutes()
    }

    /// Whether it composes an open demand; otherwise it replaces what stands.
    pub(in crate::ledger) fn is_first(&self) -> bool {
        self.entry.is_open()
    }

    /// As it stands from this moment on, by `author`.
    pub(in crate::ledger) fn standing(&self, author: Address, at: Moment) -> Standing {
        let evaluation = &self.evaluation;
        let first = Standing {
            version: 1,
            slots: self.slots.clone(),
            miner: author,
            since: at.height,
            since_ms: at.market_ms(),
            height: at.height,
            amended_by: None,
            timestamp_ms: self.timestamp_ms,
            minutes: evaluation.minutes.clone(),
            owed: evaluation.owed.clone(),
            transport: evaluation.transport,
            time_value: evaluation.time_value,
            cost: evaluation.cost(),
            first_cost: evaluation.cost(),
            price: self.terms.price,
            reduced_cost: self.reduced_cost,
            earned: self.award.earned,
            dues: BTreeMap::new(),
        };
        let mut standing = match self.entry.composition() {
            None => first,
            Some(replaced) => Standing {
                version: replaced.version.saturating_add(1),
                miner: replaced.miner,
                since: replaced.since,
                since_ms: replaced.since_ms,
                amended_by: Some(author),
                first_cost: replaced.first_cost,
                earned: replaced.earned,
                dues: replaced.dues.clone(),
                ..first
            },
        };
        if self.terms.due > Money::ZERO {
            let due = standing.dues.entry(author).or_insert(Money::ZERO);
            // Below the fee: see `amending`.
            *due = due.checked_add(self.terms.due).unwrap_or(*due);
        }
        standing
    }
}

impl Appraised {
    /// Which of several takes effect first: the one that earns more of its fee, or else has less reduced cost for its cost,
    /// in ppm.
    pub(crate) fn rank(&self) -> (Reverse<u64>, i128) {
        let (reduced_cost, cost) =
            (self.staged.reduced_cost.micros(), self.staged.evaluation.cost().micros());
        let loss = i128::from(reduced_cost).saturating_mul(i128::from(PPM));
        (Reverse(self.share_ppm), loss.checked_div(i128::from(cost.max(1))).unwrap_or(0))
    }
}

impl Transition<'_> {
    /// Checks a composition of an open demand by itself, and values it.
    pub(crate) fn appraise(&self, proposed: &ProposedComposition<'_>) -> Result<Appraised, MarketError> {
        let &ProposedComposition { by, demand, slots, timestamp_ms, claim } = proposed;
        let entry = self.validate_open(demand)?;
        let evaluation = self.validate_feasible(demand, &entry, slots)?;
        if let Some(claim) = claim {
            claim.verify(demand, &evaluation)?;
        }
        let (cost, value) = (evaluation.cost(), self.value(&entry, &evaluation)?);
        let reduced_cost = value.reduced_cost;
        let orders = u64::try_from(slots.len()).or(Err(Defect::Totals))?;
        let achievement = Achievement { cost, reduced_cost, orders, reference: Money::ZERO };
        let award = self.award(demand, &entry, value.least_known(), &achievement)?;
        let share_ppm = self.network.parameters().schedule.reward_ppm(&achievement);
        let terms = Terms { price: cost, clearing: cost, due: Money::ZERO };
        let slots = slots.to_vec();
        let staged =
            Staged { by, demand, entry, slots, evaluation, timestamp_ms, terms, reduced_cost, award };
        Ok(Appraised { staged, value, share_ppm })
    }

    /// Checks that there is room for a composition after those before it, and that what is left has nothing much better,
    /// and reserves it. On an error nothing has changed but the work done.
    pub(crate) fn place(&mut self, appraised: Appraised) -> Result<&Staged, MarketError> {
        let Appraised { staged, value, share_ppm: _ } = appraised;
        let (demand, evaluation) = (staged.demand, &staged.evaluation);
        if self.staged_ids.contains(&demand) {
            return Err(MarketError::DuplicateComposition { demand });
        }
        self.validate_capacity(demand, evaluation, &BTreeMap::new())?;
        let dedicated = self.network.parameters().allocation == Allocation::Dedicated;
        let miner = staged.by.miner;
        if dedicated {
            self.validate_held(demand, evaluation, miner)?;
        }
        self.validate_near_best(demand, &staged.entry, evaluation, &value, &BTreeMap::new())?;
        self.state.providers.reserve(&evaluation.minutes, dedicated.then_some(miner))?;
        self.count(&staged, value.added)?;
        self.staged_ids.insert(demand);
        self.staged.push(staged);
        self.staged.last().ok_or(Defect::Totals.into())
    }

    /// Checks and reserves compositions in the order in which a batch that brings them alone would, but for lots; what
    /// became of each, in the order given. Where a composition is refused because what is left has something better, that
    /// takes its place if it may: its slots are what becomes of it.
    pub(crate) fn stage_ranked(
        &mut self,
        proposed: &[ProposedComposition<'_>],
    ) -> Vec<Result<Vec<Slot>, MarketError>> {
        let mut outcomes = Vec::with_capacity(proposed.len());
        let mut appraised = Vec::new();
        for (position, proposed) in proposed.iter().enumerate() {
            match self.appraise(proposed) {
                Ok(found) => {
                    appraised.push((found.rank(), position, found));
                    outcomes.push(Ok(proposed.slots.to_vec()));
                }
                Err(why) => outcomes.push(Err(why)),
            }
        }
        if !self.takes_effect_whole() {
            appraised.sort_by_key(|&(rank, position, _)| (rank, position));
        }
        for (_, position, found) in appraised {
            let (Some(outcome), Some(proposed)) = (outcomes.get_mut(position), proposed.get(position)) else {
                continue;
            };
            match self.place(found) {
                Ok(_) => {}
                Err(MarketError::NotNearBest { best, .. }) => {
                    let better = ProposedComposition { slots: &best, claim: None, ..*proposed };
                    *outcome = self.stage(&better).map(|staged| staged.slots.clone());
                }
                Err(why) => *outcome = Err(why),
            }
        }
        outcomes
    }

    /// Checks and reserves a composition.
    pub(crate) fn stage(&mut self, proposed: &ProposedComposition<'_>) -> Result<&Staged, MarketError> {
        let appraised = self.appraise(proposed)?;
        self.place(appraised)
    }

    /// Adds a first composition, and what it adds to reduced cost, to the batch's totals.
    pub(in crate::ledger) fn count(&mut self, staged: &Staged, added: Money) -> Result<(), Defect> {
        let report = &mut self.report;
        report.compositions = report.compositions.saturating_add(1);
        report.orders =
            report.orders.saturating_add(u64::try_from(staged.slots.len()).or(Err(Defect::Totals))?);
        report.cost = report.cost.checked_add(staged.evaluation.cost()).ok_or(Defect::Totals)?;
        report.add_reduced_cost(added);
        report.fees = report.fees.checked_add(staged.award.fee).ok_or(Defect::Totals)?;
        report.reward = report.reward.checked_add(staged.award.earned).ok_or(Defect::Totals)?;
        report.price_share = report.price_share.checked_add(staged.award.for_prices).ok_or(Defect::Totals)?;
        report.required = report.required.checked_add(staged.award.required).ok_or(Defect::Totals)?;
        Ok(())
    }

    fn validate_open(&self, demand: DemandId) -> Result<Arc<DemandEntry>, MarketError> {
        let entry = self.state.demands.get(demand).ok_or(MarketError::UnknownDemand { demand })?;
        self.validate_not_overdue(demand, entry)?;
        self.state.demands.open(demand).map(Arc::clone)
    }

    /// What has expired is not composed any more, even if more have than one batch takes off the market.
    pub(in crate::ledger) fn validate_not_overdue(
        &self,
        demand: DemandId,
        entry: &DemandEntry,
    ) -> Result<(), MarketError> {
        let (got, expected) = (self.at.timestamp_ms, entry.expires_ms);
        if entry.is_overdue(got) {
            return Err(MarketError::DemandExpired { demand, got, expected });
        }
        Ok(())
    }

    pub(in crate::ledger) fn validate_feasible(
        &self,
        demand: DemandId,
        entry: &DemandEntry,
        slots: &[Slot],
    ) -> Result<CompositionEvaluation, MarketError> {
        let supply = &self.supply;
        let withdrawn = |id: &ProviderId| supply.provider(*id).is_some_and(|found| found.offers.is_empty());
        evaluate_composition(supply, &entry.demand, 0, slots).map_err(|violations| {
            match violations.into_iter().next() {
                Some(Violation::NotOffered { order, provider: got, .. }) if withdrawn(&got) => {
                    MarketError::OfferWithdrawn { demand, order, got }
                }
                Some(violation) => of_violation(demand, &violation),
                None => Defect::Evaluation.into(),
            }
        })
    }

    /// That a composition fits what is left after the minutes in `moved` were taken (negative: given back).
    pub(in crate::ledger) fn validate_capacity(
        &self,
        demand: DemandId,
        evaluation: &CompositionEvaluation,
        moved: &BTreeMap<Slot, Minutes>,
    ) -> Result<(), MarketError> {
        for (&slot, &minutes) in &evaluation.minutes {
            let capacity = self.supply.capacity_of(slot);
            let used = self.state.providers.usage(slot).total();
            let used = used.saturating_add(moved.get(&slot).copied().unwrap_or(0));
            let got = used.saturating_add(minutes);
            // A slot whose provider's offer shrank below what stands is full, but an order of no minutes fits.
            if let Some(expected) = capacity
                && got > expected.max(used)
            {
                return Err(MarketError::OverCapacity { demand, slot, got, expected });
            }
        }
        Ok(())
    }

    /// Paper A's rule: no other miner holds the providers, and no miner holds too many.
    fn validate_held(
        &self,
        demand: DemandId,
        evaluation: &CompositionEvaluation,
        miner: Address,
    ) -> Result<(), MarketError> {
        let mut held = self.state.held_by(miner);
        for &provider in evaluation.owed.keys() {
            match self.state.providers.holder(provider) {
                Some(holder) if holder.miner != miner => {
                    let (got, expected) = (miner, holder.miner);
                    return Err(MarketError::ProviderHeld { demand, provider, got, expected });
                }
                Some(_) => {}
                None => held = held.saturating_add(1),
            }
        }
        let expected = self.state.held_providers_max(self.network);
        if held > expected {
            return Err(MarketError::TooManyProvidersHeld { demand, miner, got: held, expected });
        }
        Ok(())
    }
}

/// A violation the evaluator found, as the rule it breaks.
fn of_violation(demand: DemandId, violation: &Violation) -> MarketError {
    match *violation {
        Violation::OrderCount { got, expected, .. } => MarketError::OrderCount { demand, got, expected },
        Violation::UnknownProvider { order, provider: got, expected, .. } => {
            MarketError::UnknownProvider { demand, order, got, expected }
        }
        Violation::NotOffered { order, provider: got, expected, .. } => {
            MarketError::NotOffered { demand, order, got, expected }
        }
        Violation::OutsideWindow { order, got, expected, .. } => {
            MarketError::OutsideWindow { demand, order, got, expected }
        }
        Violation::PeriodsDecrease { order, got, expected, .. } => {
            MarketError::PeriodsDecrease { demand, order, got, expected }
        }
        Violation::PeriodTooShort { period, got, expected, .. } => {
            MarketError::PeriodTooShort { demand, period, got, expected }
        }
        Violation::NoDistance { order, .. } => MarketError::NoDistance { demand, order },
        Violation::OverBudget { got, expected, .. } => MarketError::OverBudget { demand, got, expected },
        Violation::OverCapacity { slot, got, expected } => {
            MarketError::OverCapacity { demand, slot, got, expected }
        }
        Violation::DemandCount { .. } => Defect::Evaluation.into(),
    }
}
