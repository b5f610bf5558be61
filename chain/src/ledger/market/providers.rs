//! The providers of the market: their offers and what is locked for them, the minutes taken from them, who holds them,
//! and the prices of their minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, VectorSync};
use scenarios::{
    DualPrices, Horizon, Minutes, Money, Offer, OperationId, Period, Provider, ProviderId, SharedSupply, Slot,
};
use serde::{Deserialize, Serialize};

use super::entry::Standing;
use crate::codec::encode;
use crate::genesis::Genesis;
use crate::key::Address;
use crate::ledger::defect::Defect;
use crate::ledger::root::StateKey;

/// Minutes taken of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// By compositions that are not frozen yet.
    pub standing: Minutes,
    /// By frozen compositions.
    pub frozen: Minutes,
}

impl Usage {
    /// Minutes taken in all.
    pub const fn total(self) -> Minutes {
        self.standing.saturating_add(self.frozen)
    }
}

/// In dedicated allocation: the miner whose batches alone may use a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Holder {
    pub miner: Address,
    /// The miner's standing compositions that use it; it is free again at none.
    pub compositions: u32,
}

/// What the state says of a provider.
#[derive(Serialize)]
struct ProviderEntry<'a> {
    address: Address,
    provider: &'a Provider,
    /// By period; those of which nothing is taken are left out.
    usage: BTreeMap<Period, Usage>,
    holder: Option<Holder>,
    /// By period, without those that are 0.
    prices: BTreeMap<Period, Money>,
    deposit: Money,
    /// What of it its offer locks for each operation.
    per_operation: Money,
    active_ms: u64,
    unvalued_since_ms: Option<u64>,
}

/// What a provider states of its minutes and of what it locks.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Locking {
    pub(in crate::ledger) operations: usize,
    /// The most in any horizon; `None` is unlimited.
    pub(in crate::ledger) minutes: Option<Minutes>,
    pub(in crate::ledger) per_operation: Money,
}

/// All providers there ever were, by number. Cloning shares what is large; a change of offers copies all offers,
/// since the oracle's tables are made anew from them anyway.
#[derive(Clone, Debug)]
pub(crate) struct Providers {
    supply: SharedSupply,
    /// The offers that compositions are valued by: without those that nobody has priced yet, who changed their terms for the better since
    /// prices were last updated.
    valued: SharedSupply,
    /// Since when, in market time.
    unvalued: BTreeMap<ProviderId, u64>,
    addresses: VectorSync<Address>,
    ids: RedBlackTreeMapSync<Address, ProviderId>,
    /// Of whose minutes nothing is taken, there is no entry.
    usage: RedBlackTreeMapSync<Slot, Usage>,
    holders: RedBlackTreeMapSync<ProviderId, Holder>,
    /// What is locked; of whom nothing is, there is no entry.
    deposits: RedBlackTreeMapSync<ProviderId, Money>,
    /// What offers lock for each operation; of those of genesis there is no entry.
    per_operation: RedBlackTreeMapSync<ProviderId, Money>,
    /// Since when, in market time, an offer is there, or when something that rested on it was settled.
    active: VectorSync<u64>,
    /// How many standing compositions use a provider; of whom none does, there is no entry.
    resting: RedBlackTreeMapSync<ProviderId, u32>,
    /// For each operation offered, at least.
    offer_deposit: Money,
    /// For each minute offered beyond those of genesis.
    minute_deposit: Money,
    /// The capacities of genesis, which nothing is locked for.
    vouched: Arc<[Option<Minutes>]>,
    prices: Arc<DualPrices>,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Providers {
    pub(in crate::ledger) fn new(genesis: &Genesis) -> Self {
        let addresses = || genesis.providers.iter().map(|genesis| genesis.address);
        let ids = addresses().enumerate().map(|(index, address)| (address, ProviderId::from_index(index)));
        let supply = SharedSupply::new(genesis.supply());
        let genesis_periods = genesis.horizon.periods;
        Self {
            valued: supply.clone(),
            unvalued: BTreeMap::new(),
            supply,
            addresses: addresses().collect(),
            ids: ids.collect(),
            usage: RedBlackTreeMapSync::new_sync(),
            holders: RedBlackTreeMapSync::new_sync(),
            deposits: RedBlackTreeMapSync::new_sync(),
            per_operation: RedBlackTreeMapSync::new_sync(),
            active: addresses().map(|_| genesis.timestamp_ms).collect(),
            resting: RedBlackTreeMapSync::new_sync(),
            offer_deposit: genesis.parameters.offer_deposit,
            minute_deposit: genesis.parameters.minute_deposit,
            vouched: genesis
                .providers
                .iter()
                .map(|genesis| most_minutes(&genesis.provider, genesis_periods))
                .collect(),
            prices: Arc::new(DualPrices::zero()),
            touched: BTreeSet::new(),
        }
    }

    pub(in crate::ledger) const fn supply(&self) -> &SharedSupply {
        &self.supply
    }

    pub(in crate::ledger) const fn valued(&self) -> &SharedSupply {
        &self.valued
    }

    pub(in crate::ledger) fn prices(&self) -> &DualPrices {
        &self.prices
    }

    pub(in crate::ledger) fn shared_prices(&self) -> Arc<DualPrices> {
        Arc::clone(&self.prices)
    }

    pub(in crate::ledger) fn count(&self) -> usize {
        self.addresses.len()
    }

    pub(in crate::ledger) fn id_of(&self, address: Address) -> Option<ProviderId> {
        self.ids.get(&address).copied()
    }

    pub(in crate::ledger) fn address_of(&self, id: ProviderId) -> Option<Address> {
        self.addresses.get(id.index()).copied()
    }

    pub(in crate::ledger) fn usage(&self, slot: Slot) -> Usage {
        self.usage.get(&slot).copied().unwrap_or_default()
    }

    /// What is taken of a provider's minutes, by period.
    pub(in crate::ledger) fn usage_of(&self, id: ProviderId) -> BTreeMap<Period, Usage> {
        let slot = |period| Slot { provider: id, period };
        let taken = self.usage.range(slot(Period::ZERO)..=slot(Period::LAST));
        taken.map(|(slot, &usage)| (slot.period, usage)).collect()
    }

    pub(in crate::ledger) fn holder(&self, id: ProviderId) -> Option<&Holder> {
        self.holders.get(&id)
    }

    pub(in crate::ledger) fn holders(&self) -> impl Iterator<Item = (ProviderId, &Holder)> {
        self.holders.iter().map(|(&id, holder)| (id, holder))
    }

    /// What is left of each slot's capacity, in order, never negative, when so many minutes of it are taken.
    pub(in crate::ledger) fn capacities_left(
        &self,
        taken: impl Fn(Slot, Usage) -> Minutes,
    ) -> Vec<Option<Minutes>> {
        self.left_of(&self.supply, taken)
    }

    /// The same of the capacities of a supply.
    pub(in crate::ledger) fn left_of(
        &self,
        supply: &SharedSupply,
        taken: impl Fn(Slot, Usage) -> Minutes,
    ) -> Vec<Option<Minutes>> {
        let slots = supply.capacities().into_iter().enumerate();
        let left = |(position, capacity): (usize, Option<Minutes>)| {
            let slot = supply.horizon.slot(position);
            capacity.map(|capacity| capacity.saturating_sub(taken(slot, self.usage(slot))).max(0))
        };
        slots.map(left).collect()
    }

    /// What is locked of a provider's money.
    pub(in crate::ledger) fn deposit(&self, id: ProviderId) -> Money {
        self.deposits.get(&id).copied().unwrap_or(Money::ZERO)
    }

    /// What a provider's terms ask for; one operation's deposit of whoever offers nothing, for its place. `None` if that leaves the
    /// range of money.
    pub(in crate::ledger) fn deposit_for(&self, id: Option<ProviderId>, terms: &Locking) -> Option<Money> {
        let for_operations = match terms.operations {
            0 => self.offer_deposit,
            some => terms.per_operation.checked_mul(i64::try_from(some).ok()?)?,
        };
        let minutes = terms.minutes.map_or(0, |offered| match self.vouched(id) {
            Some(minutes) => offered.saturating_sub(minutes).max(0),
            None => 0,
        });
        self.minute_deposit.checked_mul(minutes)?.checked_add(for_operations)
    }

    /// How many minutes of a horizon a provider may offer without locking anything for them: those of genesis; `None` is unlimited.
    pub(in crate::ledger) fn vouched(&self, id: Option<ProviderId>) -> Option<Minutes> {
        let genesis = id.and_then(|id| self.vouched.get(id.index()));
        genesis.copied().unwrap_or(Some(0))
    }

    /// Whether a provider may offer unlimited capacity.
    pub(in crate::ledger) fn may_be_unlimited(&self, id: Option<ProviderId>) -> bool {
        self.minute_deposit == Money::ZERO || self.vouched(id).is_none()
    }

    /// What the terms in force are about, as far as they lock something.
    pub(in crate::ledger) fn locking(&self, id: ProviderId) -> Option<Locking> {
        let provider = self.supply.provider(id)?;
        let per_operation = self.per_operation(id);
        let minutes = most_minutes(provider, self.supply.horizon.periods);
        Some(Locking { operations: provider.offers.len(), minutes, per_operation })
    }

    fn per_operation(&self, id: ProviderId) -> Money {
        self.per_operation.get(&id).copied().unwrap_or(Money::ZERO)
    }

    /// Of these providers, those with a smaller deposit that have been idle for so long: the one with the smallest, then the one
    /// that has been so for longest, then the first.
    pub(in crate::ledger) fn first_to_give_way(
        &self,
        offering: impl Iterator<Item = ProviderId>,
        deposit: Money,
        market_ms: u64,
        idle_after_ms: u64,
    ) -> Option<ProviderId> {
        let rank = |id: ProviderId| {
            let (locked, active_ms) = (self.per_operation(id), self.active.get(id.index()).copied()?);
            let is_idle = active_ms.saturating_add(idle_after_ms) <= market_ms && !self.is_rested_on(id);
            (is_idle && locked < deposit).then_some((locked, active_ms, id))
        };
        offering.filter_map(rank).min().map(|(_, _, id)| id)
    }

    /// A provider does not offer an operation any more, because another does. Without its last one it has withdrawn.
    pub(in crate::ledger) fn give_way(
        &mut self,
        id: ProviderId,
        operation: OperationId,
    ) -> Result<(), Defect> {
        for supply in [&mut self.supply, &mut self.valued] {
            let provider = supply.make_mut().providers.get_mut(id.index()).ok_or(Defect::ProviderId)?;
            provider.offers.remove(&operation);
            if provider.offers.is_empty() {
                provider.capacity = Some(0.into());
            }
        }
        self.share_if_valued();
        self.touched.insert(StateKey::Provider(id));
        Ok(())
    }

    pub(in crate::ledger) fn set_deposit(&mut self, id: ProviderId, deposit: Money) -> Result<(), Defect> {
        if deposit < Money::ZERO {
            return Err(Defect::Deposit);
        }
        if deposit == Money::ZERO {
            self.deposits.remove_mut(&id);
        } else {
            self.deposits.insert_mut(id, deposit);
        }
        self.touched.insert(StateKey::Provider(id));
        Ok(())
    }

    /// All money locked for offers, in micro-units.
    pub(in crate::ledger) fn total_money(&self) -> i128 {
        self.deposits.values().map(|deposit| i128::from(deposit.micros())).sum()
    }

    /// Whether some standing composition uses a provider.
    pub(in crate::ledger) fn is_rested_on(&self, id: ProviderId) -> bool {
        self.resting.contains_key(&id)
    }

    /// A composition stands from now on.
    pub(in crate::ledger) fn rest(&mut self, composition: &Standing) -> Result<(), Defect> {
        for &id in composition.owed.keys() {
            let count =
                self.resting.get(&id).copied().unwrap_or(0).checked_add(1).ok_or(Defect::ProviderId)?;
            self.resting.insert_mut(id, count);
        }
        Ok(())
    }

    /// A composition stands no longer.
    pub(in crate::ledger) fn unrest(&mut self, composition: &Standing) -> Result<(), Defect> {
        for &id in composition.owed.keys() {
            let count =
                self.resting.get(&id).and_then(|count| count.checked_sub(1)).ok_or(Defect::ProviderId)?;
            if count == 0 {
                self.resting.remove_mut(&id);
            } else {
                self.resting.insert_mut(id, count);
            }
        }
        Ok(())
    }

    /// Enters an offer, of a provider that is there or of a new one; its number.
    pub(in crate::ledger) fn offer(
        &mut self,
        author: Address,
        provider: Provider,
        per_operation: Money,
        market_ms: u64,
    ) -> Result<ProviderId, Defect> {
        let known = self.id_of(author);
        self.value(known, &provider, market_ms)?;
        let offers_something = !provider.offers.is_empty();
        let supply = self.supply.make_mut();
        let id = if let Some(id) = known {
            // Unlimited capacity has no price.
            if provider.capacity.is_none() && self.prices.of_provider(id).next().is_some() {
                Arc::make_mut(&mut self.prices).retain(|slot| slot.provider != id);
            }
            let place = supply.providers.get_mut(id.index()).ok_or(Defect::ProviderId)?;
            let offered_nothing = place.offers.is_empty();
            *place = provider;
            if offered_nothing && offers_something {
                self.active.set_mut(id.index(), market_ms);
            } else if per_operation < self.per_operation.get(&id).copied().unwrap_or(Money::ZERO) {
                // Or a place would be taken with a large deposit, and kept with a small one.
                self.active.set_mut(id.index(), 0);
            }
            id
        } else {
            let id = ProviderId::from_index(supply.providers.len());
            self.ids.insert_mut(author, id);
            supply.providers.push(provider);
            self.addresses.push_back_mut(author);
            self.active.push_back_mut(market_ms);
            id
        };
        self.per_operation.insert_mut(id, per_operation);
        self.share_if_valued();
        self.touched.insert(StateKey::Provider(id));
        Ok(id)
    }

    /// Where compositions are valued by all offers there is one table of them, not two.
    fn share_if_valued(&mut self) {
        if self.unvalued.is_empty() {
            self.valued = self.supply.clone();
        }
    }

    /// Compositions are valued by these terms, of a provider that is there or of a new one, if they are nowhere better than those they
    /// were valued by, or if their capacity is unlimited; otherwise by none of it, until prices are updated again or nobody has
    /// done so for long. Else an offer that hardly anybody can have would make all others look dear.
    fn value(&mut self, known: Option<ProviderId>, terms: &Provider, market_ms: u64) -> Result<(), Defect> {
        let none = Provider { offers: BTreeMap::new(), capacity: Some(0.into()), ..terms.clone() };
        let Some(id) = known else {
            let id = ProviderId::from_index(self.valued.providers.len());
            let is_valued = terms.capacity.is_none();
            self.valued.make_mut().providers.push(if is_valued { terms.clone() } else { none });
            if !is_valued {
                self.unvalued.insert(id, market_ms);
            }
            return Ok(());
        };
        let place = self.valued.make_mut().providers.get_mut(id.index()).ok_or(Defect::ProviderId)?;
        let is_known = !self.unvalued.contains_key(&id);
        let is_valued = terms.capacity.is_none() || is_known && is_nowhere_better(terms, place);
        *place = if is_valued { terms.clone() } else { none };
        if is_valued {
            self.unvalued.remove(&id);
        } else {
            self.unvalued.insert(id, market_ms);
        }
        Ok(())
    }

    /// Compositions are valued by offers that nobody priced for so long, in milliseconds.
    pub(in crate::ledger) fn value_aged(&mut self, market_ms: u64, patience_ms: u64) -> Result<(), Defect> {
        let is_aged = |since_ms: &u64| market_ms.saturating_sub(*since_ms) >= patience_ms;
        let aged: Vec<ProviderId> =
            self.unvalued.iter().filter(|(_, since_ms)| is_aged(since_ms)).map(|(&id, _)| id).collect();
        for id in aged {
            let terms = self.supply.provider(id).ok_or(Defect::ProviderId)?.clone();
            let place = self.valued.make_mut().providers.get_mut(id.index());
            *place.ok_or(Defect::ProviderId)? = terms;
            self.unvalued.remove(&id);
            self.touched.insert(StateKey::Provider(id));
            self.share_if_valued();
        }
        Ok(())
    }

    /// The providers whose offers compositions are not valued by.
    pub(in crate::ledger) fn unvalued(&self) -> impl Iterator<Item = ProviderId> {
        self.unvalued.keys().copied()
    }

    /// Offers nothing and has nothing left, but keeps its id: standing compositions keep their terms.
    pub(in crate::ledger) fn withdraw(&mut self, id: ProviderId) -> Result<(), Defect> {
        for supply in [&mut self.supply, &mut self.valued] {
            let provider = supply.make_mut().providers.get_mut(id.index()).ok_or(Defect::ProviderId)?;
            provider.offers.clear();
            provider.capacity = Some(0.into());
        }
        self.share_if_valued();
        self.touched.insert(StateKey::Provider(id));
        Ok(())
    }

    /// Takes a composition's minutes and, in dedicated allocation, its providers for `holder`.
    pub(in crate::ledger) fn reserve(
        &mut self,
        minutes: &BTreeMap<Slot, Minutes>,
        holder: Option<Address>,
    ) -> Result<(), Defect> {
        self.exchange(minutes)?;
        if let Some(miner) = holder {
            for provider in providers_of(minutes) {
                let mut holder =
                    self.holders.get(&provider).copied().unwrap_or(Holder { miner, compositions: 0 });
                holder.compositions = holder.compositions.saturating_add(1);
                self.holders.insert_mut(provider, holder);
            }
        }
        Ok(())
    }

    /// Takes minutes of slots, and gives back where they are negative.
    pub(in crate::ledger) fn exchange(&mut self, minutes: &BTreeMap<Slot, Minutes>) -> Result<(), Defect> {
        for (&slot, &minutes) in minutes {
            let mut usage = self.usage(slot);
            usage.standing = usage.standing.checked_add(minutes).ok_or(Defect::Minutes)?;
            self.set_usage(slot, usage);
        }
        Ok(())
    }

    /// Turns a composition's minutes from standing to frozen and lets go of its providers.
    pub(in crate::ledger) fn release(
        &mut self,
        composition: &Standing,
        market_ms: u64,
    ) -> Result<(), Defect> {
        for (&slot, &minutes) in &composition.minutes {
            if !self.supply.horizon.contains(slot.period) {
                continue; // over, and forgotten
            }
            let mut usage = self.usage(slot);
            usage.standing = usage.standing.checked_sub(minutes).ok_or(Defect::Minutes)?;
            usage.frozen = usage.frozen.checked_add(minutes).ok_or(Defect::Minutes)?;
            self.set_usage(slot, usage);
        }
        for provider in providers_of(&composition.minutes) {
            self.active.set_mut(provider.index(), market_ms);
            let Some(mut holder) = self.holders.get(&provider).copied() else { continue };
            holder.compositions = holder.compositions.saturating_sub(1);
            if holder.compositions == 0 {
                self.holders.remove_mut(&provider);
            } else {
                self.holders.insert_mut(provider, holder);
            }
        }
        Ok(())
    }

    fn set_usage(&mut self, slot: Slot, usage: Usage) {
        self.touched.insert(StateKey::Provider(slot.provider));
        if usage == Usage::default() {
            self.usage.remove_mut(&slot);
        } else {
            self.usage.insert_mut(slot, usage);
        }
    }

    /// Periods before this one are over, and as many others can be planned after the last: their minutes cost what those of the same
    /// place in their provider's pattern cost. What was taken of periods that are over is forgotten.
    pub(in crate::ledger) fn move_on(&mut self, first: Period) {
        let before = self.supply.horizon;
        if first <= before.first {
            return;
        }
        let now = Horizon { first, ..before };
        let mut prices = DualPrices::clone(&self.prices);
        for (id, provider) in self.supply.provider_ids().zip(&self.supply.providers) {
            let Some(calendar) = &provider.capacity else { continue };
            for period in now.iter().filter(|period| *period > before.last()) {
                let like = planned_like(period, before, calendar.pattern().len());
                let price = self.prices.of(Slot { provider: id, period: like });
                prices.set(Slot { provider: id, period }, price);
            }
        }
        prices.retain(|slot| slot.period >= first);
        let over = |slot: &&Slot| slot.period < first;
        let forgotten: Vec<Slot> = self.usage.keys().filter(over).copied().collect();
        for slot in forgotten {
            self.usage.remove_mut(&slot);
        }
        for supply in [&mut self.supply, &mut self.valued] {
            let supply = supply.make_mut();
            supply.horizon = now;
            for calendar in supply.providers.iter_mut().filter_map(|provider| provider.capacity.as_mut()) {
                calendar.forget_before(first);
            }
        }
        self.share_if_valued();
        self.touched.extend(self.supply.provider_ids().map(StateKey::Provider));
        self.prices = Arc::new(prices);
    }

    /// Puts prices in force: compositions are valued by all offers of now.
    pub(in crate::ledger) fn reprice(&mut self, prices: &DualPrices) {
        let slots = self.prices.iter().chain(prices.iter()).map(|(slot, _)| slot);
        let changed = slots.filter(|&slot| self.prices.of(slot) != prices.of(slot));
        let changed: BTreeSet<ProviderId> = changed.map(|slot| slot.provider).collect();
        let valued = std::mem::take(&mut self.unvalued);
        self.touched.extend(changed.into_iter().chain(valued.into_keys()).map(StateKey::Provider));
        self.valued = self.supply.clone();
        self.prices = Arc::new(prices.clone());
    }

    /// The value of a provider's entry of the state.
    pub(in crate::ledger) fn entry(&self, id: ProviderId) -> Option<Vec<u8>> {
        Some(encode(&ProviderEntry {
            address: self.address_of(id)?,
            provider: self.supply.provider(id)?,
            usage: self.usage_of(id),
            holder: self.holder(id).copied(),
            prices: self.prices.of_provider(id).collect(),
            deposit: self.deposit(id),
            per_operation: self.per_operation(id),
            active_ms: self.active.get(id.index()).copied()?,
            unvalued_since_ms: self.unvalued.get(&id).copied(),
        }))
    }

    /// The keys of all its entries of the state.
    pub(in crate::ledger) fn keys(&self) -> impl Iterator<Item = StateKey> {
        self.supply.provider_ids().map(StateKey::Provider)
    }

    pub(in crate::ledger) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }
}

/// The period of a horizon whose prices a later one has at first: the last one at the same place of a pattern of this length, or where that
/// is longer than the horizon, the last.
fn planned_like(period: Period, horizon: Horizon, length: usize) -> Period {
    let length = u32::try_from(length).unwrap_or(u32::MAX).max(1);
    let last = horizon.last();
    if length > horizon.periods {
        return last;
    }
    // So many whole patterns earlier that it is planned.
    let patterns = period.since(last).div_ceil(length);
    Period(period.0.saturating_sub(patterns.saturating_mul(length)))
}

/// The most minutes that a provider offers in so many periods, one after the other; `None` is unlimited.
pub(super) fn most_minutes(provider: &Provider, periods: u32) -> Option<Minutes> {
    provider.capacity.as_ref().map(|calendar| calendar.most_total(periods))
}

/// The providers whose slots these are.
fn providers_of(minutes: &BTreeMap<Slot, Minutes>) -> BTreeSet<ProviderId> {
    minutes.keys().map(|slot| slot.provider).collect()
}

/// Whether nobody gains by these terms over those before: the same place, nothing new, cheaper or faster, no more time.
fn is_nowhere_better(terms: &Provider, before: &Provider) -> bool {
    let is_covered = |(operation, offer): (&OperationId, &Offer)| {
        let before = before.offers.get(operation);
        before.is_some_and(|before| before.cost <= offer.cost && before.minutes <= offer.minutes)
    };
    let has_no_more_time = match (&terms.capacity, &before.capacity) {
        (None, None) => true,
        (Some(terms), Some(before)) => terms.is_within(before),
        // Minutes without a limit have no price, and one that comes is not priced yet.
        (Some(_), None) | (None, Some(_)) => false,
    };
    terms.site == before.site && has_no_more_time && terms.offers.iter().all(is_covered)
}
