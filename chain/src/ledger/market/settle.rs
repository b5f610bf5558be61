//! Composing and freezing: where the money goes.
//!
//! When a demand is composed its price moves to its clearing account, and the rest of the budget and of the most that its fee could have been
//! goes back at once. Of what the composition earns, the authors of the prices get their share at once; the rest of the fee stays in escrow. Amendments move money between clearing accounts only (`amending`). At the
//! freeze the clearing account pays providers and carrier and returns what is left (the value of time, which
//! nobody is paid for, and the demand's shares of what amendments saved); the fee is split between first
//! composer, amenders and demander.
//!
//! **Nobody gains by composing badly and amending that under another key.** Whatever amenders are due, the
//! first composer loses first, up to all it earned, and beyond that it comes from the part of the fee that the
//! first composition did not earn: all solvers of a demand together get at most its fee, and more than the
//! first composition earned only as far as the amenders' dues exceed that. The whole fee is what composing well
//! earns, at once and safe from others, who may announce the improvement first. And a first composition that
//! turns out dearer than it had to be is paid as if its excess had been known: its share vests by the schedule
//! at that reduced cost.

use std::collections::BTreeSet;
use std::sync::Arc;

use scenarios::{Money, ProviderId};

use super::demands::Departed;
use super::entry::{DemandStatus, Standing};
use super::judging::Award;
use super::statements::ComeTrue;
use crate::genesis::{Network, Parameters};
use crate::ledger::defect::Defect;
use crate::ledger::state::{Moment, State};
use crate::record::DemandId;
use crate::schedule::{Achievement, Measure};

impl State {
    /// Records a first composition whose rules have all been checked and whose minutes are taken.
    pub(in crate::ledger) fn compose(
        &mut self,
        id: DemandId,
        composition: Standing,
        clearing: Money,
        award: Award,
    ) -> Result<(), Defect> {
        let entry = self.demands.get(id).ok_or(Defect::Demand)?;
        let positive = |rest: &Money| *rest >= Money::ZERO;
        let rest =
            entry.demand.budget.checked_sub(composition.price).filter(positive).ok_or(Defect::Budget)?;
        let spared = entry.solver_fee.checked_sub(award.fee).filter(positive).ok_or(Defect::Reward)?;
        let (author, fee) = (entry.author, award.left().ok_or(Defect::Reward)?);
        self.providers.rest(&composition)?;
        self.demands.compose(id, composition, fee, clearing)?;
        self.accounts.credit(author, rest)?;
        self.accounts.credit(author, spared)
    }

    /// Pays whoever made the prices that compositions were judged at; what is paid has left escrow.
    pub(in crate::ledger) fn pay_for_prices(&mut self, amount: Money) -> Result<(), Defect> {
        for (author, share) in self.price_authors.split(amount) {
            self.accounts.credit(author, share)?;
        }
        Ok(())
    }

    /// Records a composition that replaces another; the demander neither pays nor is paid. What the providers of the
    /// other have locked is looked at once everything of the batch is entered.
    pub(in crate::ledger) fn recompose(
        &mut self,
        id: DemandId,
        composition: Standing,
        clearing: Money,
    ) -> Result<(), Defect> {
        // Invariant: what is owed is covered, by the surplus of before if nothing else.
        if clearing < composition.cost {
            return Err(Defect::Clearing);
        }
        let entry = Arc::clone(self.demands.get(id).ok_or(Defect::Demand)?);
        self.providers.unrest(entry.composition().ok_or(Defect::Demand)?)?;
        self.providers.rest(&composition)?;
        let escrow = entry.escrow;
        drop(entry);
        self.demands.compose(id, composition, escrow, clearing)
    }

    /// Moves on through the calendar to the first period that a batch of this moment can plan.
    pub(in crate::ledger) fn move_on(&mut self, network: &Network, at: Moment) {
        self.providers.move_on(network.first_plannable(at.timestamp_ms));
    }

    /// Lets time pass: freezes compositions that are due, by time and id, then takes open demands whose time has come off
    /// the market, by expiry and id; they, as they left. So that no batch takes long, at most as many freeze, and at most
    /// as many expire, as a batch may have records; the rest does so with the next one, and nothing composes or
    /// re-composes them meanwhile. Then what was announced comes true, as many of that, too.
    pub(in crate::ledger) fn leave_due(&mut self, network: &Network, at: Moment) -> Result<Passed, Defect> {
        self.halted_ms = at.halted_ms;
        let parameters = network.parameters();
        let most = usize::try_from(parameters.limits.records_per_batch).unwrap_or(usize::MAX);
        let mut passed = Passed::default();
        for id in self.demands.due_at(self.demands.freezing_clock(at), most) {
            passed.departed.push(self.freeze(parameters, id, at)?);
        }
        for id in self.demands.overdue_at(at.timestamp_ms, most) {
            passed.departed.push(self.give_back(id, DemandStatus::Expired { height: at.height })?);
        }
        self.providers.value_aged(at.market_ms(), parameters.freeze_after_ms)?;
        let waiting_since = self.cohorts.iter().next().map(|(height, _)| height);
        for subject in self.notices.due_at(at.market_ms(), waiting_since, most) {
            match self.come_true(network, subject, at)? {
                Some(ComeTrue::Left(departed)) => passed.departed.push(departed),
                Some(ComeTrue::Changed(providers)) => passed.changed.extend(providers),
                None => {}
            }
        }
        Ok(passed)
    }

    /// Gives an open demand's escrow back and takes it off the market; it, as it left.
    pub(in crate::ledger) fn give_back(
        &mut self,
        id: DemandId,
        left: DemandStatus,
    ) -> Result<Departed, Defect> {
        let mut entry = self.demands.remove(id).ok_or(Defect::Demand)?;
        let periods = self.providers.supply().horizon.periods;
        self.work.leave(&entry.demand, periods);
        self.accounts.credit(entry.author, entry.escrow)?;
        entry.escrow = Money::ZERO;
        entry.status = left;
        self.demands.depart(id, entry)
    }

    fn freeze(&mut self, parameters: &Parameters, id: DemandId, at: Moment) -> Result<Departed, Defect> {
        let mut entry = self.demands.remove(id).ok_or(Defect::Demand)?;
        let periods = self.providers.supply().horizon.periods;
        self.work.leave(&entry.demand, periods);
        let DemandStatus::Composed(mut composition) = entry.status else { return Err(Defect::Demand) };
        // Invariant: the clearing account covers what is owed.
        let mut rest = entry.clearing;
        for (&provider, &owed) in &composition.owed {
            let address = self.providers.address_of(provider).ok_or(Defect::ProviderId)?;
            self.accounts.credit(address, owed)?;
            rest = rest.checked_sub(owed).ok_or(Defect::Clearing)?;
        }
        self.accounts.credit_carrier(composition.transport)?;
        rest = rest.checked_sub(composition.transport).ok_or(Defect::Clearing)?;
        if rest < Money::ZERO {
            return Err(Defect::Clearing);
        }

        let fees = fees(parameters, entry.solver_fee, &composition).ok_or(Defect::Settlement)?;
        self.accounts.credit(composition.miner, fees.first)?;
        for (&amender, &due) in &composition.dues {
            self.accounts.credit(amender, due)?;
        }
        let back = rest.checked_add(fees.unearned).ok_or(Defect::Settlement)?;
        self.accounts.credit(entry.author, back)?;

        self.providers.release(&composition, at.market_ms())?;
        self.providers.unrest(&composition)?;
        self.release_deposits(&composition.owed.keys().copied().collect())?;
        composition.earned = fees.first;
        entry.escrow = Money::ZERO;
        entry.clearing = Money::ZERO;
        entry.status = DemandStatus::Frozen { composition, height: at.height };
        self.demands.depart(id, entry)
    }
}

/// What time did by itself.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Passed {
    /// Demands that left the market, as they left.
    pub(in crate::ledger) departed: Vec<Departed>,
    /// Providers whose offers are others now.
    pub(in crate::ledger) changed: BTreeSet<ProviderId>,
}

/// How a demand's fee is split at the freeze, but for what each amender is due.
struct Fees {
    /// To the first composer.
    first: Money,
    /// Back to the demander.
    unearned: Money,
}

/// `None` if a sum leaves its range.
fn fees(parameters: &Parameters, fee: Money, composition: &Standing) -> Option<Fees> {
    let dues = composition.dues.values().copied().try_fold(Money::ZERO, Money::checked_add)?;
    let earned = composition.earned;
    let unaffected = earned.checked_sub(earned.min(dues))?;
    let first = vested(parameters, fee, composition)?.min(unaffected);
    // Not negative: `first + dues` is at most the larger of `earned` and `dues`, neither above the fee.
    let unearned = fee.checked_sub(first)?.checked_sub(dues)?;
    (unearned >= Money::ZERO).then_some(Fees { first, unearned })
}

/// What the first composer's work is worth now that the demand costs what it does: the excess of the first
/// composition over that was reduced cost, whether or not the prices of its time showed it. The measure of paper A knows
/// no reduced cost, and what it earned stands.
fn vested(parameters: &Parameters, fee: Money, composition: &Standing) -> Option<Money> {
    let excess = composition.first_cost.checked_sub(composition.cost)?;
    match parameters.schedule.measure {
        Measure::Certified { .. } if excess > Money::ZERO => {
            let hindsight =
                Achievement { cost: composition.first_cost, reduced_cost: excess, ..Achievement::default() };
            let worth = fee.checked_ppm(parameters.schedule.reward_ppm(&hindsight))?;
            Some(composition.earned.min(worth))
        }
        Measure::Certified { .. } | Measure::Paper { .. } => Some(composition.earned),
    }
}
