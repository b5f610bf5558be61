//! Composing and freezing: where the money goes.
//!
//! When a demand is composed its price moves to its clearing account and the rest of the budget goes back
//! at once; the fee stays in escrow. Amendments move money between clearing accounts only (`amending`). At the
//! freeze the clearing account pays providers and carrier and returns what is left (the value of time, which
//! nobody is paid for, and the demand's shares of what amendments saved); the fee is split between first
//! composer, bounty account, amenders and demander.
//!
//! **Nobody gains by composing badly and amending that under another key.** Whatever amenders are due, the
//! first composer loses first, up to all it earned, and beyond that it comes from the part of the fee that the
//! first composition did not earn: all solvers of a demand together get at most its fee, and more than the
//! first composition earned only as far as the amenders' dues exceed that. The whole fee is what composing well
//! earns, at once and safe from others, who may announce the improvement first. And a first composition that
//! turns out dearer than it had to be is paid as if its excess had been known: its share vests by the schedule
//! at that reduced cost.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use scenarios::{Minutes, Money, ProviderId};

use crate::genesis::{Network, Parameters};
use crate::key::Address;
use crate::ledger::state::{DemandEntry, DemandStatus, Holder, Standing, State};
use crate::record::{DemandId, Height};
use crate::schedule::{Achievement, Measure};
use crate::validate::Rejection;

impl State {
    /// Records a first composition whose rules have all been checked and whose minutes are taken.
    pub(in crate::ledger) fn compose(
        &mut self,
        id: DemandId,
        composition: Standing,
        clearing: Money,
    ) -> Result<(), Rejection> {
        let entry = self.demand_mut(id)?;
        let rest = entry.demand.budget.checked_sub(composition.price);
        let rest = rest.filter(|rest| *rest >= Money::ZERO).ok_or(Rejection::Arithmetic("a budget"))?;
        entry.clearing = clearing;
        entry.escrow = entry.solver_fee;
        entry.status = DemandStatus::Composed(composition);
        let author = entry.author;
        self.credit(author, rest)
    }

    /// Records a composition that replaces another; the demander neither pays nor is paid.
    pub(in crate::ledger) fn recompose(
        &mut self,
        id: DemandId,
        composition: Standing,
        clearing: Money,
    ) -> Result<(), Rejection> {
        // Invariant: what is owed is covered, by the surplus of before if nothing else.
        if clearing < composition.cost {
            return Err(Rejection::Arithmetic("a clearing account"));
        }
        let entry = self.demand_mut(id)?;
        entry.clearing = clearing;
        entry.status = DemandStatus::Composed(composition);
        Ok(())
    }

    /// Takes a composition's minutes and, in dedicated allocation, its providers for `holder`.
    pub(in crate::ledger) fn reserve(
        &mut self,
        minutes: &BTreeMap<ProviderId, Minutes>,
        holder: Option<Address>,
    ) -> Result<(), Rejection> {
        self.exchange(minutes)?;
        if let Some(miner) = holder {
            for &provider in minutes.keys() {
                let holder = self.holders.entry(provider).or_insert(Holder { miner, compositions: 0 });
                holder.compositions = holder.compositions.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Takes minutes from providers, and gives back where they are negative.
    pub(in crate::ledger) fn exchange(
        &mut self,
        minutes: &BTreeMap<ProviderId, Minutes>,
    ) -> Result<(), Rejection> {
        for (&provider, &minutes) in minutes {
            let usage = self.usage_mut(provider)?;
            let standing = usage.standing.checked_add(minutes);
            usage.standing = standing.ok_or(Rejection::Arithmetic("a provider's minutes"))?;
        }
        Ok(())
    }

    /// Freezes every composition that is due at this height, in order of demand id; returns them as settled.
    pub(in crate::ledger) fn settle_due(
        &mut self,
        network: &Network,
        height: Height,
    ) -> Result<Vec<(DemandId, Arc<DemandEntry>)>, Rejection> {
        let due: Vec<DemandId> = self
            .demands
            .iter()
            .filter(|(_, entry)| match &entry.status {
                DemandStatus::Composed(composition) => is_due(network, composition, height),
                DemandStatus::Open | DemandStatus::Frozen { .. } | DemandStatus::Cancelled { .. } => false,
            })
            .map(|(&id, _)| id)
            .collect();
        for &id in &due {
            self.freeze(network, id, height)?;
        }
        let settled = due.into_iter().filter_map(|id| Some((id, Arc::clone(self.demands.get(&id)?))));
        Ok(settled.collect())
    }

    fn freeze(&mut self, network: &Network, id: DemandId, height: Height) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("a settlement");
        let Some(mut entry) = self.demands.get(&id).map(|entry| entry.as_ref().clone()) else {
            return Err(Rejection::UnknownDemand { demand: id });
        };
        let DemandStatus::Composed(mut composition) = entry.status else { return Ok(()) };
        // Invariant: the clearing account covers what is owed.
        let mut rest = entry.clearing;
        for (&provider, &owed) in &composition.owed {
            let address = self.provider_addresses.get(provider.index()).copied().ok_or(WHAT)?;
            self.credit(address, owed)?;
            rest = rest.checked_sub(owed).ok_or(WHAT)?;
        }
        self.carrier = self.carrier.checked_add(composition.transport).ok_or(WHAT)?;
        rest = rest.checked_sub(composition.transport).filter(|rest| *rest >= Money::ZERO).ok_or(WHAT)?;

        let fees = fees(network.parameters(), entry.solver_fee, &composition).ok_or(WHAT)?;
        self.bounty = self.bounty.checked_add(fees.bounty).ok_or(WHAT)?;
        self.credit(composition.miner, fees.first.checked_sub(fees.bounty).ok_or(WHAT)?)?;
        for (&amender, &due) in &composition.dues {
            self.credit(amender, due)?;
        }
        self.credit(entry.author, rest.checked_add(fees.unearned).ok_or(WHAT)?)?;

        self.release(&composition)?;
        composition.earned = fees.first;
        entry.escrow = Money::ZERO;
        entry.clearing = Money::ZERO;
        entry.status = DemandStatus::Frozen { composition, height };
        self.demands.insert(id, Arc::new(entry));
        self.market_size = self.market_size.saturating_sub(1);
        Ok(())
    }

    /// Turns a composition's minutes from standing to frozen and lets go of its providers.
    fn release(&mut self, composition: &Standing) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("a provider's minutes");
        for (&provider, &minutes) in &composition.minutes {
            let usage = self.usage_mut(provider)?;
            usage.standing = usage.standing.checked_sub(minutes).ok_or(WHAT)?;
            usage.frozen = usage.frozen.checked_add(minutes).ok_or(WHAT)?;
            if let Entry::Occupied(mut holder) = self.holders.entry(provider) {
                holder.get_mut().compositions = holder.get().compositions.saturating_sub(1);
                if holder.get().compositions == 0 {
                    holder.remove();
                }
            }
        }
        Ok(())
    }
}

/// How a demand's fee is split at the freeze, but for what each amender is due.
struct Fees {
    /// To the first composer, the bounty account's share included.
    first: Money,
    /// Of that, to the bounty account.
    bounty: Money,
    /// Back to the demander.
    unearned: Money,
}

/// `None` if a sum leaves its range.
fn fees(parameters: &Parameters, fee: Money, composition: &Standing) -> Option<Fees> {
    let dues = composition.dues.values().copied().try_fold(Money::ZERO, Money::checked_add)?;
    let earned = composition.earned;
    let unaffected = earned.checked_sub(earned.min(dues))?;
    let first = vested(parameters, fee, composition)?.min(unaffected);
    let bounty = first.checked_ppm(parameters.bounty_share_ppm)?;
    // Not negative: `first + dues` is at most the larger of `earned` and `dues`, neither above the fee.
    let unearned = fee.checked_sub(first)?.checked_sub(dues)?;
    (unearned >= Money::ZERO).then_some(Fees { first, bounty, unearned })
}

/// What the first composer's work is worth now that the demand costs what it does: the excess of the first
/// composition over that was reduced cost, whether or not the prices of its time showed it. The measure of paper A knows
/// no reduced cost, and what it earned stands.
fn vested(parameters: &Parameters, fee: Money, composition: &Standing) -> Option<Money> {
    let excess = composition.first_cost.checked_sub(composition.cost)?;
    match parameters.schedule.measure {
        Measure::Certified { .. } if excess > Money::ZERO => {
            let hindsight = Achievement { cost: composition.first_cost, reduced_cost: excess, orders: 0 };
            let worth = fee.checked_ppm(parameters.schedule.reward_ppm(&hindsight))?;
            Some(composition.earned.min(worth))
        }
        Measure::Certified { .. } | Measure::Paper { .. } => Some(composition.earned),
    }
}

/// Whether a composition has stood long enough by this height.
const fn is_due(network: &Network, composition: &Standing, height: Height) -> bool {
    freeze_height(network, composition) <= height
}

/// The height at which a demand freezes, counted from its first composition.
pub(in crate::ledger) const fn freeze_height(network: &Network, composition: &Standing) -> Height {
    composition.since.saturating_add(network.parameters().freeze_after_heights)
}
