//! Compositions against what is left: what makes one feasible here and now, and what is staged of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use scenarios::evaluate_composition;
use scenarios::settings::Allocation;
use scenarios::{CompositionEvaluation, Minutes, Money, ProviderId, Violation};

use crate::key::Address;
use crate::ledger::state::{DemandEntry, DemandStatus, Standing};
use crate::ledger::transition::Transition;
use crate::record::{DemandId, Height};
use crate::validate::Rejection;

/// A composition that fits, its minutes reserved.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    pub(crate) demand: DemandId,
    /// The demand before the block composes it.
    pub(crate) entry: Arc<DemandEntry>,
    pub(crate) providers: Vec<ProviderId>,
    pub(crate) evaluation: CompositionEvaluation,
    pub(crate) timestamp_ms: u64,
    pub(in crate::ledger) terms: Terms,
    pub(in crate::ledger) reduced_cost: Money,
    pub(in crate::ledger) earned: Money,
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

    /// As it stands from `height` on, by `author`.
    pub(in crate::ledger) fn standing(&self, author: Address, height: Height) -> Standing {
        let evaluation = &self.evaluation;
        let first = Standing {
            version: 1,
            providers: self.providers.clone(),
            miner: author,
            since: height,
            height,
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
            earned: self.earned,
            dues: BTreeMap::new(),
        };
        let mut standing = match self.entry.composition() {
            None => first,
            Some(replaced) => Standing {
                version: replaced.version.saturating_add(1),
                miner: replaced.miner,
                since: replaced.since,
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

impl Transition<'_> {
    /// Checks that a composition is feasible for an open demand within what is left, and reserves it. On
    /// an error nothing has changed.
    pub(crate) fn stage(
        &mut self,
        demand: DemandId,
        providers: &[ProviderId],
        timestamp_ms: u64,
    ) -> Result<&Staged, Rejection> {
        if self.staged_ids.contains(&demand) {
            return Err(Rejection::DuplicateComposition { demand });
        }
        let entry = self.validate_open(demand)?;
        let evaluation = self.validate_feasible(demand, &entry, providers)?;
        self.validate_capacity(demand, &evaluation, &BTreeMap::new())?;
        let dedicated = self.network.parameters().allocation == Allocation::Dedicated;
        if dedicated {
            self.validate_held(demand, &evaluation)?;
        }
        self.state.reserve(&evaluation.minutes, dedicated.then_some(self.miner))?;
        let cost = evaluation.cost();
        let staged = Staged {
            demand,
            entry,
            providers: providers.to_vec(),
            evaluation,
            timestamp_ms,
            terms: Terms { price: cost, clearing: cost, due: Money::ZERO },
            reduced_cost: Money::ZERO,
            earned: Money::ZERO,
        };
        self.count(&staged)?;
        self.staged_ids.insert(demand);
        self.staged.push(staged);
        self.staged.last().ok_or(Rejection::Arithmetic("the staged compositions"))
    }

    /// Adds a first composition to the block's totals.
    pub(in crate::ledger) fn count(&mut self, staged: &Staged) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("a block's totals");
        let report = &mut self.report;
        report.compositions = report.compositions.saturating_add(1);
        report.orders = report.orders.saturating_add(u64::try_from(staged.providers.len()).or(Err(WHAT))?);
        report.cost = report.cost.checked_add(staged.evaluation.cost()).ok_or(WHAT)?;
        report.fees = report.fees.checked_add(staged.entry.solver_fee).ok_or(WHAT)?;
        Ok(())
    }

    fn validate_open(&self, demand: DemandId) -> Result<Arc<DemandEntry>, Rejection> {
        let entry = self.state.demands.get(&demand).ok_or(Rejection::UnknownDemand { demand })?;
        match &entry.status {
            DemandStatus::Open => Ok(Arc::clone(entry)),
            DemandStatus::Composed(standing) | DemandStatus::Frozen { composition: standing, .. } => {
                let (height, miner) = (standing.since, standing.miner);
                Err(Rejection::AlreadyComposed { demand, height, miner })
            }
            DemandStatus::Cancelled { height } => Err(Rejection::DemandCancelled { demand, height: *height }),
        }
    }

    pub(in crate::ledger) fn validate_feasible(
        &self,
        demand: DemandId,
        entry: &DemandEntry,
        providers: &[ProviderId],
    ) -> Result<CompositionEvaluation, Rejection> {
        let supply = &self.state.supply;
        let withdrawn = |id: &ProviderId| supply.provider(*id).is_some_and(|found| found.offers.is_empty());
        evaluate_composition(supply, &entry.demand, 0, providers).map_err(|violations| {
            match violations.into_iter().next() {
                Some(Violation::NotOffered { order, provider: got, .. }) if withdrawn(&got) => {
                    Rejection::OfferWithdrawn { demand, order, got }
                }
                Some(violation) => of_violation(demand, &violation),
                None => Rejection::Arithmetic("an evaluation"),
            }
        })
    }

    /// That a composition fits what is left after the minutes in `moved` were taken (negative: given back).
    pub(in crate::ledger) fn validate_capacity(
        &self,
        demand: DemandId,
        evaluation: &CompositionEvaluation,
        moved: &BTreeMap<ProviderId, Minutes>,
    ) -> Result<(), Rejection> {
        for (&provider, &minutes) in &evaluation.minutes {
            let capacity = self.state.supply.provider(provider).and_then(|found| found.capacity);
            let used = self.state.usage.get(provider.index()).copied().unwrap_or_default().total();
            let used = used.saturating_add(moved.get(&provider).copied().unwrap_or(0));
            let got = used.saturating_add(minutes);
            // A provider whose offer shrank below what stands is full, but an order of no minutes fits.
            if let Some(expected) = capacity
                && got > expected.max(used)
            {
                return Err(Rejection::OverCapacity { demand, provider, got, expected });
            }
        }
        Ok(())
    }

    /// Paper A's rule: no other miner holds the providers, and no miner holds too many.
    fn validate_held(&self, demand: DemandId, evaluation: &CompositionEvaluation) -> Result<(), Rejection> {
        let mut held = self.state.held_by(self.miner);
        for &provider in evaluation.minutes.keys() {
            match self.state.holders.get(&provider) {
                Some(holder) if holder.miner != self.miner => {
                    let (got, expected) = (self.miner, holder.miner);
                    return Err(Rejection::ProviderHeld { demand, provider, got, expected });
                }
                Some(_) => {}
                None => held = held.saturating_add(1),
            }
        }
        let expected = self.state.held_providers_max(self.network);
        if held > expected {
            return Err(Rejection::TooManyProvidersHeld { demand, miner: self.miner, got: held, expected });
        }
        Ok(())
    }
}

/// A violation the evaluator found, as the rule it breaks.
fn of_violation(demand: DemandId, violation: &Violation) -> Rejection {
    match *violation {
        Violation::OrderCount { got, expected, .. } => Rejection::OrderCount { demand, got, expected },
        Violation::UnknownProvider { order, provider: got, expected, .. } => {
            Rejection::UnknownProvider { demand, order, got, expected }
        }
        Violation::NotOffered { order, provider: got, expected, .. } => {
            Rejection::NotOffered { demand, order, got, expected }
        }
        Violation::NoDistance { order, .. } => Rejection::NoDistance { demand, order },
        Violation::OverBudget { got, expected, .. } => Rejection::OverBudget { demand, got, expected },
        Violation::OverCapacity { provider, got, expected } => {
            Rejection::OverCapacity { demand, provider, got, expected }
        }
        Violation::DemandCount { .. } => Rejection::Arithmetic("an evaluation"),
    }
}
