//! Composing and freezing: where the money goes.
//!
//! When a demand is composed its price moves to its clearing account and the rest of the budget goes back
//! at once; the fee stays in escrow. At the freeze the clearing account pays providers and carrier and
//! returns what is left (the value of time, which nobody is paid for; later, what amendments saved); the
//! fee is split between miner, bounty account and demander.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use scenarios::Money;

use super::state::{DemandStatus, Holder, Standing, State};
use crate::genesis::Network;
use crate::record::{DemandId, Height};
use crate::validate::Rejection;

impl State {
    /// Records a composition whose rules have all been checked and whose minutes [`State::reserve`] took.
    pub(super) fn compose(&mut self, id: DemandId, composition: Standing) -> Result<(), Rejection> {
        let entry = self.demand_mut(id)?;
        let rest = entry.demand.budget.checked_sub(composition.price);
        let rest = rest.filter(|rest| *rest >= Money::ZERO).ok_or(Rejection::Arithmetic("a budget"))?;
        entry.clearing = composition.price;
        entry.escrow = entry.solver_fee;
        entry.status = DemandStatus::Composed(composition);
        let author = entry.author;
        self.credit(author, rest)
    }

    /// Takes a composition's minutes and, in dedicated allocation, its providers for its miner.
    pub(super) fn reserve(&mut self, composition: &Standing, dedicated: bool) -> Result<(), Rejection> {
        for (&provider, &minutes) in &composition.minutes {
            let usage = self.usage_mut(provider)?;
            let standing = usage.standing.checked_add(minutes);
            usage.standing = standing.ok_or(Rejection::Arithmetic("a provider's minutes"))?;
            if dedicated {
                let miner = composition.miner;
                let holder = self.holders.entry(provider).or_insert(Holder { miner, compositions: 0 });
                holder.compositions = holder.compositions.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Freezes every composition that is due at this height, in order of demand id; returns how many.
    pub(super) fn settle_due(&mut self, network: &Network, height: Height) -> Result<u32, Rejection> {
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
        Ok(u32::try_from(due.len()).unwrap_or(u32::MAX))
    }

    fn freeze(&mut self, network: &Network, id: DemandId, height: Height) -> Result<(), Rejection> {
        const WHAT: Rejection = Rejection::Arithmetic("a settlement");
        let Some(mut entry) = self.demands.get(&id).map(|entry| entry.as_ref().clone()) else {
            return Err(Rejection::UnknownDemand { demand: id });
        };
        let DemandStatus::Composed(composition) = entry.status else { return Ok(()) };
        // Invariant: the clearing account covers what is owed.
        let mut rest = entry.clearing;
        for (&provider, &owed) in &composition.owed {
            let address = self.provider_addresses.get(provider.index()).copied().ok_or(WHAT)?;
            self.credit(address, owed)?;
            rest = rest.checked_sub(owed).ok_or(WHAT)?;
        }
        self.carrier = self.carrier.checked_add(composition.transport).ok_or(WHAT)?;
        rest = rest.checked_sub(composition.transport).filter(|rest| *rest >= Money::ZERO).ok_or(WHAT)?;

        let share = network.parameters().bounty_share_ppm;
        let bounty = composition.earned.checked_ppm(share).ok_or(WHAT)?;
        self.bounty = self.bounty.checked_add(bounty).ok_or(WHAT)?;
        self.credit(composition.miner, composition.earned.checked_sub(bounty).ok_or(WHAT)?)?;
        let unearned = entry.escrow.checked_sub(composition.earned).ok_or(WHAT)?;
        self.credit(entry.author, rest.checked_add(unearned).ok_or(WHAT)?)?;

        self.release(&composition)?;
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

/// Whether a composition has stood long enough by this height.
const fn is_due(network: &Network, composition: &Standing, height: Height) -> bool {
    composition.since.saturating_add(network.parameters().freeze_after_heights) <= height
}
