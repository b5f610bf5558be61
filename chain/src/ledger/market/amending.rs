//! Amendments against what is left: which re-compositions are allowed, and whose money pays for what
//! (docs/design.md section 7).
//!
//! The amounts, for an amendment whose composed demands cost `before` and will cost `after`:
//!
//! - Each replaced demand's clearing account changes by the change of its cost, so that it goes on covering
//!   what is owed.
//! - A *saving*, `before - after`, is shared among the parts that become cheaper in proportion to what each falls by;
//!   each share stays in its demand's clearing account. Who changes nothing gets nothing, or amenders would bring their own
//!   demands along. A set with a saving moves no money in or out of the
//!   clearing accounts but what its first compositions pay in for themselves.
//! - A *displacement*, `after - before`, is charged to the first compositions for which room is made, so far
//!   as their budgets reach: they pay in what the others become dearer by.
//! - A part may become dearer only if what stands for it has no room beside the others, and every part that changes is
//!   near the best of what is left beside them: nothing moves to a crony because others save.
//! - A set that saves too little makes room only for a demand that has no other way.
//! - Of each demand's share of a saving, a part becomes the amender's due, unless what all its amenders are due
//!   would exceed its solver fee.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::parameters::Allocation;
use scenarios::{CompositionEvaluation, DualPrices, Minutes, Money, Slot};

use super::entry::{DemandEntry, Standing};
use super::error::MarketError;
use super::judging::{Award, Value};
use super::staging::{Claim, Staged, Terms};
use crate::block::Replacement;
use crate::genesis::Parameters;
use crate::ledger::defect::Defect;
use crate::ledger::transition::{By, Transition};
use crate::record::DemandId;
use crate::schedule::{Achievement, PPM};

/// A part of an amendment, nothing about it checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProposedPart<'p> {
    pub(crate) replaces: u32,
    pub(crate) demand: DemandId,
    pub(crate) slots: &'p [Slot],
    pub(crate) timestamp_ms: u64,
    /// What it is said to be, if anything is said.
    pub(crate) claim: Option<Claim>,
}

impl<'p> From<&'p Replacement> for ProposedPart<'p> {
    fn from(part: &'p Replacement) -> Self {
        let composition = &part.composition;
        let (demand, slots) = (composition.demand, composition.slots.as_slice());
        let (replaces, claim) = (part.replaces, Some(Claim::from(composition)));
        Self { replaces, demand, slots, timestamp_ms: composition.timestamp_ms, claim }
    }
}

/// An amendment that fits, its minutes exchanged.
#[derive(Clone, Debug)]
pub(crate) struct StagedAmendment {
    pub(crate) by: By,
    /// As proposed, in order.
    pub(crate) parts: Vec<Staged>,
    /// What the demands that it replaces become dearer by, together.
    pub(in crate::ledger) displacement: Money,
}

/// What an amendment does to the cost of the demands it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Balance {
    saving: Money,
    displacement: Money,
    /// What a set must save that makes no room.
    least: Money,
}

/// A part whose demand and composition are fine, and what of it the money depends on.
struct Part {
    entry: Arc<DemandEntry>,
    evaluation: CompositionEvaluation,
}

impl Part {
    fn replaced(&self) -> Option<&Standing> {
        self.entry.composition()
    }

    /// The cost it adds to that of composed demands; for a replacement, the change.
    fn change(&self) -> Option<Money> {
        let before = self.replaced().map_or(Money::ZERO, |standing| standing.cost);
        self.evaluation.cost().checked_sub(before)
    }

    /// What it costs less than the composition it replaces; nothing, if it does not.
    fn fall(&self) -> Option<Money> {
        let Some(_) = self.replaced() else { return Some(Money::ZERO) };
        Money::ZERO.checked_sub(self.change()?.min(Money::ZERO))
    }

    /// Whether it makes its demand's composition another one.
    fn changes(&self, proposed: &ProposedPart<'_>) -> bool {
        self.replaced().is_none_or(|standing| {
            standing.slots != proposed.slots || standing.cost != self.evaluation.cost()
        })
    }

    /// What the budget leaves beyond the cost of a first composition.
    fn room(&self) -> Option<Money> {
        self.entry.demand.budget.checked_sub(self.evaluation.cost())
    }
}

impl Transition<'_> {
    /// Checks an amendment of what stands, that of this position in its block, and exchanges its minutes. `proposed` ascends by demand. On an
    /// error nothing has changed but the work done and, after an internal one, the report.
    pub(crate) fn stage_amendment(
        &mut self,
        by: By,
        amendment: usize,
        proposed: &[ProposedPart<'_>],
    ) -> Result<&StagedAmendment, MarketError> {
        let entries = self.validate_amended(amendment, proposed)?;
        let (parts, moved) = self.validate_exchange(proposed, entries)?;
        validate_changed(amendment, proposed, &parts)?;
        self.validate_dearer(amendment, proposed, &parts, &moved)?;
        let balance = validate_balance(amendment, &parts, self.network.parameters())?;
        self.validate_room_needed(amendment, proposed, &parts, balance)?;
        let values = parts.iter().map(|part| self.value(&part.entry, &part.evaluation));
        let values = values.collect::<Result<Vec<Value>, Defect>>()?;
        for ((part, proposed), value) in parts.iter().zip(proposed).zip(&values) {
            if part.changes(proposed) {
                let others = without(&moved, &part.evaluation.minutes);
                self.validate_near_best(proposed.demand, &part.entry, &part.evaluation, value, &others)?;
            }
        }
        let terms = terms(&parts, balance, self.network.parameters()).ok_or(Defect::Amendment)?;
        let awards = self.worth(&parts, &values, balance, proposed)?;

        self.state.providers.exchange(&moved)?;
        let terms = terms.into_iter().zip(&values).zip(awards);
        let parts = proposed.iter().zip(parts).zip(terms);
        let parts = parts.map(|((proposed, part), ((terms, value), award))| Staged {
            by,
            demand: proposed.demand,
            entry: part.entry,
            slots: proposed.slots.to_vec(),
            evaluation: part.evaluation,
            timestamp_ms: proposed.timestamp_ms,
            terms,
            reduced_cost: value.reduced_cost,
            award,
        });
        let parts: Vec<Staged> = parts.collect();
        for (part, value) in parts.iter().zip(&values) {
            self.count_part(part, value.added)?;
            self.staged_ids.insert(part.demand);
        }
        let report = &mut self.report;
        report.amendments = report.amendments.saturating_add(1);
        report.saving = report.saving.checked_add(balance.saving).ok_or(Defect::Amendment)?;
        report.displacement =
            report.displacement.checked_add(balance.displacement).ok_or(Defect::Amendment)?;
        self.amended.push(StagedAmendment { by, parts, displacement: balance.displacement });
        self.amended.last().ok_or(Defect::Amendment.into())
    }

    /// A part becomes dearer only if what stands for it has no room beside the others.
    fn validate_dearer(
        &self,
        amendment: usize,
        proposed: &[ProposedPart<'_>],
        parts: &[Part],
        moved: &BTreeMap<Slot, Minutes>,
    ) -> Result<(), MarketError> {
        for (part, proposed) in parts.iter().zip(proposed) {
            let Some(standing) = part.replaced() else { continue };
            let (got, expected) = (part.evaluation.cost(), standing.cost);
            if got <= expected {
                continue;
            }
            let left = self.left(&without(moved, &part.evaluation.minutes));
            let horizon = self.supply.horizon;
            let left = |slot| horizon.position(slot).map(|position| left.get(position).copied().flatten());
            // What cannot be planned any more has no room.
            let has_room = standing.minutes.iter().all(|(&slot, &minutes)| {
                left(slot).is_some_and(|left| left.is_none_or(|left| minutes <= left))
            });
            if has_room {
                return Err(MarketError::DearerPart { amendment, demand: proposed.demand, got, expected });
            }
        }
        Ok(())
    }

    /// A set that saves too little makes room only for demands that nothing within their budgets is left for.
    fn validate_room_needed(
        &mut self,
        amendment: usize,
        proposed: &[ProposedPart<'_>],
        parts: &[Part],
        balance: Balance,
    ) -> Result<(), MarketError> {
        let Balance { saving: got, displacement, least: expected } = balance;
        if got >= expected {
            return Ok(());
        }
        let left = self.left(&BTreeMap::new());
        for (part, proposed) in parts.iter().zip(proposed).filter(|(part, _)| part.replaced().is_none()) {
            if self.carried(&part.entry, &DualPrices::zero(), &left)?.is_some() {
                let demand = proposed.demand;
                let got = got.checked_sub(displacement).ok_or(Defect::Amendment)?;
                return Err(MarketError::RoomNotNeeded { amendment, demand, got, expected });
            }
        }
        Ok(())
    }

    /// What each part earns. First compositions are awarded for what the whole set adds to cost and reduced cost, the
    /// latter not below nothing; a set without any is not judged.
    fn worth(
        &self,
        parts: &[Part],
        values: &[Value],
        balance: Balance,
        proposed: &[ProposedPart<'_>],
    ) -> Result<Vec<Award>, MarketError> {
        let mut achieved = Achievement { cost: balance.displacement, ..Achievement::default() };
        // Prices are whatever somebody made them, and many parts at the highest leave the range of money.
        let added: i128 = values.iter().map(|value| i128::from(value.added.micros())).sum();
        let added = i64::try_from(added.max(0)).unwrap_or(i64::MAX);
        achieved.reduced_cost = Money::from_micros(added);
        for part in parts {
            if part.replaced().is_none() {
                achieved.cost = achieved.cost.checked_add(part.evaluation.cost()).ok_or(Defect::Reward)?;
                let orders = u64::try_from(part.entry.demand.orders.len()).or(Err(Defect::Reward))?;
                achieved.orders = achieved.orders.saturating_add(orders);
            }
        }
        let awards = parts.iter().zip(proposed).zip(values);
        let awards = awards.map(|((part, proposed), value)| match part.replaced() {
            None => self.award(proposed.demand, &part.entry, value.least_known(), &achieved),
            Some(_) => Ok(Award::default()),
        });
        awards.collect()
    }

    fn count_part(&mut self, part: &Staged, added: Money) -> Result<(), Defect> {
        let Some(replaced) = part.entry.composition() else { return self.count(part, added) };
        self.report.add_reduced_cost(added);
        let change = part.evaluation.cost().checked_sub(replaced.cost).ok_or(Defect::Totals)?;
        self.report.cost = self.report.cost.checked_add(change).ok_or(Defect::Totals)?;
        self.report.replaced = self.report.replaced.saturating_add(1);
        Ok(())
    }

    /// Each part names a demand of the market that nothing else in the batch composes, and the version that
    /// stands; at least one stands.
    fn validate_amended(
        &self,
        amendment: usize,
        proposed: &[ProposedPart<'_>],
    ) -> Result<Vec<Arc<DemandEntry>>, MarketError> {
        if self.network.parameters().allocation == Allocation::Dedicated {
            return Err(MarketError::AmendmentsOff);
        }
        let mut entries = Vec::with_capacity(proposed.len());
        let mut before = None;
        for &ProposedPart { demand, replaces: got, .. } in proposed {
            if before == Some(demand) || self.staged_ids.contains(&demand) {
                return Err(MarketError::DuplicateComposition { demand });
            }
            before = Some(demand);
            let entry = self.state.demands.get(demand).ok_or(MarketError::UnknownDemand { demand })?;
            self.validate_not_overdue(demand, entry)?;
            self.validate_not_frozen(demand, entry)?;
            let expected = entry.version();
            if got != expected {
                return Err(MarketError::StaleAmendment { demand, got, expected });
            }
            entries.push(Arc::clone(entry));
        }
        if entries.iter().all(|entry| entry.is_open()) {
            return Err(MarketError::NothingReplaced { amendment });
        }
        Ok(entries)
    }

    /// What is due to be settled is not re-composed any more, even if more is than one batch settles.
    fn validate_not_frozen(&self, demand: DemandId, entry: &DemandEntry) -> Result<(), MarketError> {
        let freezes_ms = entry.composition().map(|standing| self.state.demands.freezes_at_ms(standing));
        let now_ms = self.state.demands.freezing_clock(self.at);
        match freezes_ms {
            Some(expected) if expected <= now_ms => {
                Err(MarketError::DemandFrozen { demand, got: now_ms, expected })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Gives back the minutes of all that is replaced, then checks each part against what is left. Returns
    /// the parts and the minutes that move.
    fn validate_exchange(
        &self,
        proposed: &[ProposedPart<'_>],
        entries: Vec<Arc<DemandEntry>>,
    ) -> Result<(Vec<Part>, BTreeMap<Slot, Minutes>), MarketError> {
        let mut moved: BTreeMap<Slot, Minutes> = BTreeMap::new();
        for standing in entries.iter().filter_map(|entry| entry.composition()) {
            for (&slot, &minutes) in &standing.minutes {
                let moved = moved.entry(slot).or_default();
                *moved = moved.saturating_sub(minutes);
            }
        }
        let mut parts = Vec::with_capacity(proposed.len());
        for (proposed, entry) in proposed.iter().zip(entries) {
            let evaluation = self.validate_feasible(proposed.demand, &entry, proposed.slots)?;
            if let Some(claim) = proposed.claim {
                claim.verify(proposed.demand, &evaluation)?;
            }
            self.validate_capacity(proposed.demand, &evaluation, &moved)?;
            for (&slot, &minutes) in &evaluation.minutes {
                let moved = moved.entry(slot).or_default();
                *moved = moved.saturating_add(minutes);
            }
            parts.push(Part { entry, evaluation });
        }
        Ok((parts, moved))
    }
}

/// Something that stands gets other slots.
fn validate_changed(
    amendment: usize,
    proposed: &[ProposedPart<'_>],
    parts: &[Part],
) -> Result<(), MarketError> {
    let changes = |(proposed, part): (&ProposedPart<'_>, &Part)| {
        part.replaced().is_some_and(|standing| standing.slots != proposed.slots)
    };
    if proposed.iter().zip(parts).any(changes) {
        Ok(())
    } else {
        Err(MarketError::NothingChanged { amendment })
    }
}

/// An amendment saves enough, or those for whom it makes room can pay for it.
fn validate_balance(
    amendment: usize,
    parts: &[Part],
    parameters: &Parameters,
) -> Result<Balance, MarketError> {
    let (mut before, mut after, mut room, mut makes_room) = (0_i128, 0_i128, 0_i128, false);
    for part in parts {
        if let Some(standing) = part.replaced() {
            before = before.saturating_add(i128::from(standing.cost.micros()));
            after = after.saturating_add(i128::from(part.evaluation.cost().micros()));
        } else {
            makes_room = true;
            room = room.saturating_add(i128::from(part.room().ok_or(Defect::Amendment)?.micros()));
        }
    }
    let money = |micros: i128| i64::try_from(micros).map(Money::from_micros).or(Err(Defect::Amendment));
    let saving = before.saturating_sub(after);
    let least = money(least_saving(before, parameters.min_saving_ppm))?;
    if makes_room {
        let displacement = saving.saturating_neg().max(0);
        if displacement > room {
            let (got, expected) = (money(room)?, money(displacement)?);
            return Err(MarketError::RoomNotPaid { amendment, got, expected });
        }
        return Ok(Balance { saving: money(saving.max(0))?, displacement: money(displacement)?, least });
    }
    let got = money(saving)?;
    if got < least {
        return Err(MarketError::SavingTooSmall { amendment, got, expected: least });
    }
    Ok(Balance { saving: got, displacement: Money::ZERO, least })
}

/// `max(1, ceil(before * min_saving_ppm / 1,000,000))`, in micro-units.
fn least_saving(before: i128, min_saving_ppm: u64) -> i128 {
    let scaled = before.saturating_mul(i128::from(min_saving_ppm)).saturating_add(999_999);
    scaled.checked_div(i128::from(PPM)).unwrap_or(0).max(1)
}

/// What each part does to its demand's money; `None` if a sum leaves its range.
fn terms(parts: &[Part], balance: Balance, parameters: &Parameters) -> Option<Vec<Terms>> {
    let mut left = balance.displacement;
    let mut prices = Vec::with_capacity(parts.len());
    for part in parts {
        prices.push(if let Some(standing) = part.replaced() {
            standing.price
        } else {
            let charge = left.min(part.room()?);
            left = left.checked_sub(charge)?;
            part.evaluation.cost().checked_add(charge)?
        });
    }
    let falls = parts.iter().map(Part::fall).collect::<Option<Vec<Money>>>()?;
    let shares = shares(balance.saving, &falls)?;
    let terms = parts.iter().zip(prices).zip(shares).map(|((part, price), share)| {
        let clearing = part.entry.clearing.checked_add(part.change()?)?.checked_add(share)?;
        let due = share.checked_ppm(parameters.amender_share_ppm)?.min(undue(&part.entry)?);
        Some(Terms { price, clearing, due })
    });
    terms.collect()
}

/// What of a demand's fee no amender is due yet. Beyond the fee nothing is: else somebody could compose a demand
/// badly and earn more, by amending it under another key, than the fee that composing it well earns.
fn undue(entry: &DemandEntry) -> Option<Money> {
    let dues = entry.composition().map(|standing| &standing.dues);
    let dues = dues.into_iter().flat_map(BTreeMap::values);
    dues.copied().try_fold(entry.solver_fee, Money::checked_sub)
}

/// Minutes that move, without these.
fn without(moved: &BTreeMap<Slot, Minutes>, minutes: &BTreeMap<Slot, Minutes>) -> BTreeMap<Slot, Minutes> {
    let mut others = moved.clone();
    for (&slot, &minutes) in minutes {
        let moved = others.entry(slot).or_default();
        *moved = moved.saturating_sub(minutes);
    }
    others
}

/// A saving in proportion to what each part falls by, floored; left-over units go to the first ones that fall, one each.
fn shares(saving: Money, falls: &[Money]) -> Option<Vec<Money>> {
    let (saving, whole) =
        (i128::from(saving.micros()), falls.iter().map(|fall| i128::from(fall.micros())).sum::<i128>());
    if whole == 0 {
        return Some(vec![Money::ZERO; falls.len()]);
    }
    let shares = falls.iter().map(|fall| saving.checked_mul(i128::from(fall.micros()))?.checked_div(whole));
    let mut shares = shares.collect::<Option<Vec<i128>>>()?;
    let mut left = saving.checked_sub(shares.iter().sum())?;
    for (share, _) in shares.iter_mut().zip(falls).filter(|(_, fall)| **fall > Money::ZERO) {
        if left == 0 {
            break;
        }
        (*share, left) = (share.checked_add(1)?, left.checked_sub(1)?);
    }
    shares.into_iter().map(|share| i64::try_from(share).ok().map(Money::from_micros)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(amounts: &[i64]) -> Vec<Money> {
        amounts.iter().copied().map(Money::from_micros).collect()
    }

    #[test]
    fn a_saving_is_shared_by_fall_and_what_is_left_over_goes_to_the_first() {
        // 10 * 3/12, 10 * 3/12, 10 * 6/12 = 2.5, 2.5, 5: one unit is left over.
        assert_eq!(shares(Money::from_micros(10), &micros(&[3, 3, 6])), Some(micros(&[3, 2, 5])));
        assert_eq!(shares(Money::from_micros(2), &micros(&[1, 1, 1])), Some(micros(&[1, 1, 0])));
    }

    #[test]
    fn whoever_does_not_become_cheaper_gets_nothing() {
        assert_eq!(shares(Money::from_micros(3), &micros(&[0, 5, 0, 5])), Some(micros(&[0, 2, 0, 1])));
        assert_eq!(shares(Money::ZERO, &micros(&[0, 0])), Some(micros(&[0, 0])));
    }

    #[test]
    fn the_least_saving_is_rounded_up_and_never_nothing() {
        assert_eq!(least_saving(10_000_000, 500), 5_000);
        assert_eq!(least_saving(10_000_001, 500), 5_001);
        assert_eq!(least_saving(0, 500), 1);
        assert_eq!(least_saving(1_000_000, 0), 1);
    }
}
