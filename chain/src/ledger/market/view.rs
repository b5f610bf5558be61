//! The market as miners and bounds see it: demands, live offers, what is left of capacities, prices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scenarios::bound::{demand_bound, priced_capacity};
use scenarios::oracle::{path_work, validate_prices};
use scenarios::parameters::Allocation;
use scenarios::{
    Demand, DualPrices, Horizon, Instance, Minutes, Money, OperationId, Oracle, PriceError, Provider,
    ProviderId, SharedSupply, Slot, Supply, UnservedReason, why_unserved,
};

use super::entry::{DemandEntry, DemandStatus, Standing};
use super::providers::Usage;
use crate::genesis::Network;
use crate::key::{Address, PublicKey};
use crate::ledger::Ledger;
use crate::ledger::state::State;
use crate::record::{DemandId, Height};

/// A demand of the market.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct MarketDemand {
    pub id: DemandId,
    /// Everything the ledger knows of it.
    pub entry: Arc<DemandEntry>,
}

/// Demands, and what may still be used to serve them.
#[derive(Clone, Debug)]
pub struct Market {
    /// The height after which the market looks like this.
    pub height: Height,
    /// All live offers. Capacities are as offered, not what is left of them.
    pub supply: SharedSupply,
    /// What is left of each slot's capacity, in order, never negative; `None` is unlimited.
    pub capacities: Vec<Option<Minutes>>,
    /// The dual prices in force.
    pub prices: DualPrices,
    /// The demands, by id.
    pub demands: Vec<MarketDemand>,
}

impl Market {
    /// The market as an instance to solve: demands in order, capacities as left.
    pub fn instance(&self) -> Instance {
        let supply = Supply::clone(&self.supply).with_capacities(&self.capacities);
        Instance { supply, demands: self.demands.iter().map(|demand| demand.entry.demand.clone()).collect() }
    }

    /// Its certified bound at the prices in force.
    ///
    /// # Errors
    /// If the prices do not suit the capacities or the bound leaves the range of money.
    pub fn bound(&self) -> Result<Money, PriceError> {
        self.bound_at(&self.prices)
    }

    /// Its certified bound at other prices.
    ///
    /// # Errors
    /// If the prices do not suit the capacities or the bound leaves the range of money.
    pub fn bound_at(&self, prices: &DualPrices) -> Result<Money, PriceError> {
        let entries = self.demands.iter().map(|demand| demand.entry.as_ref());
        certified_bound(&self.supply.oracle(), entries, &self.capacities, prices)
    }

    /// Why each of its demands cannot be composed, or for how much it can: of the first ones by id, as many as shortest
    /// paths take no more than `work` edge relaxations for. Of [`Ledger::open_market`], this is why demands are
    /// unserved, and the same wherever it is asked; who holds which provider in dedicated allocation is left aside.
    pub fn reasons(&self, work: u64) -> BTreeMap<DemandId, UnservedReason> {
        let oracle = self.supply.oracle();
        let affordable = self.demands.iter().scan(work, |left, demand| {
            *left = left.checked_sub(oracle.work(&demand.entry.demand))?;
            Some(demand)
        });
        let reason = |demand: &MarketDemand| why_unserved(&oracle, &demand.entry.demand, &self.capacities);
        affordable.map(|demand| (demand.id, reason(demand))).collect()
    }

    /// What the bound bounds: cost of what is composed + budgets of what is open, in micro-units.
    pub fn cost(&self) -> i128 {
        let cost = |demand: &MarketDemand| {
            demand.entry.composition().map_or(demand.entry.demand.budget, |composition| composition.cost)
        };
        self.demands.iter().map(|demand| i128::from(cost(demand).micros())).sum()
    }
}

impl Ledger {
    /// All demands of the market, with the capacities that frozen compositions leave: what the certified
    /// bound is about.
    pub fn market(&self) -> Market {
        self.view(self.state.market_capacities(), |_, _| true)
    }

    /// The open demands, with the capacities that *all* compositions leave: what a miner searches on. In
    /// dedicated allocation, providers held by others are still listed; see [`Ledger::holder`].
    pub fn open_market(&self) -> Market {
        let capacities = self.state.providers.capacities_left(|_, usage| Usage::total(usage));
        self.view(capacities, |_, entry| entry.is_open())
    }

    /// The market of these demands alone, to re-compose them together in a batch of this time: capacities are what all
    /// *other* compositions, standing and frozen, leave. Demands that are unknown, have left the market, or will have
    /// frozen are left out.
    pub fn amendable_market(&self, demands: &[DemandId], timestamp_ms: u64) -> Market {
        let is_amendable = |entry| self.is_amendable(entry, timestamp_ms);
        let amendable = |id: &&DemandId| self.demand(**id).is_some_and(is_amendable);
        let chosen: BTreeSet<DemandId> = demands.iter().filter(amendable).copied().collect();
        let freed = minutes_of(chosen.iter().filter_map(|id| self.demand(*id)));
        let capacities = self.state.providers.capacities_left(|slot, usage| {
            usage.total().saturating_sub(freed.get(&slot).copied().unwrap_or(0))
        });
        self.view(capacities, |id, _| chosen.contains(&id))
    }

    /// When a composed demand freezes, in market time or where there is a calendar in milliseconds since the Unix epoch; `None` while
    /// it is open.
    pub fn freezes_at_ms(&self, entry: &DemandEntry) -> Option<u64> {
        match &entry.status {
            DemandStatus::Composed(standing) => Some(self.state.demands.freezes_at_ms(standing)),
            DemandStatus::Open
            | DemandStatus::Frozen { .. }
            | DemandStatus::Cancelled { .. }
            | DemandStatus::Expired { .. } => None,
        }
    }

    /// Whether an amendment in the next batch may compose the demand, first or again, if that batch has this time.
    pub fn is_amendable(&self, entry: &DemandEntry, timestamp_ms: u64) -> bool {
        let Ok(at) = self.moment(timestamp_ms) else { return false };
        let now_ms = self.state.demands.freezing_clock(at);
        entry.is_open() || self.freezes_at_ms(entry).is_some_and(|freezes_ms| freezes_ms > now_ms)
    }

    /// [`Ledger::open_market`] as one miner may use it: in dedicated allocation, without the offers of
    /// providers that others hold.
    pub fn open_market_for(&self, miner: &PublicKey) -> Market {
        let (mut market, miner) = (self.open_market(), miner.address());
        let held = self.state.providers.holders().filter(|(_, holder)| holder.miner != miner);
        let held: Vec<ProviderId> = held.map(|(id, _)| id).collect();
        if held.is_empty() {
            return market;
        }
        let supply = market.supply.make_mut();
        for id in held {
            if let Some(provider) = supply.providers.get_mut(id.index()) {
                provider.offers.clear();
            }
        }
        market
    }

    /// In dedicated allocation: how many more providers this miner may come to hold; `None` otherwise.
    pub fn providers_left(&self, miner: &PublicKey) -> Option<usize> {
        if self.network.parameters().allocation != Allocation::Dedicated {
            return None;
        }
        let held = self.state.held_by(miner.address());
        Some(self.state.held_providers_max(&self.network).saturating_sub(held))
    }

    /// The certified bound of the market at the prices in force.
    ///
    /// # Errors
    /// If the bound leaves the range of money.
    pub fn market_bound(&self) -> Result<Money, PriceError> {
        self.market().bound()
    }

    /// Cost of what is composed and not frozen + budgets of what is open, in micro-units.
    pub fn market_cost(&self) -> i128 {
        self.market().cost()
    }

    fn view(
        &self,
        capacities: Vec<Option<Minutes>>,
        belongs: impl Fn(DemandId, &DemandEntry) -> bool,
    ) -> Market {
        let entries = self.state.demands.iter().filter(|(id, entry)| belongs(*id, entry));
        Market {
            height: self.head.height,
            supply: self.supply().clone(),
            capacities,
            prices: self.prices().clone(),
            demands: entries.map(|(id, entry)| MarketDemand { id, entry: Arc::clone(entry) }).collect(),
        }
    }
}

impl State {
    /// What frozen compositions leave, and at least what standing ones take: an offer may have shrunk below
    /// that, and then what stands is still a plan of the market.
    pub(in crate::ledger) fn market_capacities(&self) -> Vec<Option<Minutes>> {
        let mut capacities = self.providers.capacities_left(|_, usage| usage.frozen);
        // Not the minutes that providers count as standing: those include what a batch has only staged.
        let standing = minutes_of(self.demands.iter().map(|(_, entry)| entry.as_ref()));
        let horizon = self.providers.supply().horizon;
        for (slot, minutes) in standing {
            let place = horizon.position(slot).and_then(|position| capacities.get_mut(position));
            if let Some(Some(capacity)) = place {
                *capacity = minutes.max(*capacity);
            }
        }
        capacities
    }

    /// In dedicated allocation: how many providers a miner holds.
    pub(in crate::ledger) fn held_by(&self, miner: Address) -> usize {
        self.providers.holders().filter(|(_, holder)| holder.miner == miner).count()
    }

    /// In dedicated allocation: how many providers a miner may hold.
    pub(in crate::ledger) fn held_providers_max(&self, network: &Network) -> usize {
        let genesis = network.genesis();
        let share = || {
            let miners = usize::try_from(genesis.miners.max(1)).unwrap_or(usize::MAX);
            self.providers.count().div_ceil(miners)
        };
        let given = genesis.parameters.held_providers_max;
        given.map_or_else(share, |most| usize::try_from(most).unwrap_or(usize::MAX))
    }
}

/// The minutes that what stands for these demands takes of each slot.
fn minutes_of<'e>(entries: impl Iterator<Item = &'e DemandEntry>) -> BTreeMap<Slot, Minutes> {
    let mut taken: BTreeMap<Slot, Minutes> = BTreeMap::new();
    for standing in entries.filter_map(DemandEntry::composition) {
        for (&slot, &minutes) in &standing.minutes {
            let sum = taken.entry(slot).or_default();
            *sum = sum.saturating_add(minutes);
        }
    }
    taken
}

/// The certified bound of the market of these demands (docs/design.md section 6).
///
/// # Errors
/// If the prices do not suit the capacities or the bound leaves the range of money.
pub(in crate::ledger) fn certified_bound<'e>(
    oracle: &Oracle<'_>,
    entries: impl Iterator<Item = &'e DemandEntry>,
    capacities: &[Option<Minutes>],
    prices: &DualPrices,
) -> Result<Money, PriceError> {
    let horizon = oracle.supply().horizon;
    validate_prices(prices, horizon, capacities)?;
    let least = |entry| i128::from(least_cost(oracle, entry, prices).micros());
    let served = entries.map(least).fold(0_i128, i128::saturating_add);
    let bound = served.saturating_sub(priced_capacity(prices, horizon, capacities));
    i64::try_from(bound).map(Money::from_micros).or(Err(PriceError::BoundOverflow))
}

/// The least a demand can add to the cost of any plan of the market. What stands for it is one way more to serve
/// it, whatever has become of the offers it was made from.
fn least_cost(oracle: &Oracle<'_>, entry: &DemandEntry, prices: &DualPrices) -> Money {
    let least = demand_bound(oracle, &entry.demand, prices);
    let standing = entry.composition().and_then(|standing| priced_cost(standing, prices));
    standing.map_or(least, |standing| least.min(standing))
}

/// What a composition costs, with the minutes it takes at these prices; `None` if that leaves the range of money.
pub(in crate::ledger) fn priced_cost(standing: &Standing, prices: &DualPrices) -> Option<Money> {
    let mut charges = standing.minutes.iter().map(|(&slot, &minutes)| prices.charge(slot, minutes));
    charges.try_fold(standing.cost, Money::checked_add)
}

/// How many shortest-path edge relaxations a demand takes: [`Oracle::work`], without building an oracle.
pub(in crate::ledger) struct WorkMeter {
    /// Offers of each operation.
    counts: Vec<u64>,
    horizon: Horizon,
}

impl WorkMeter {
    pub(in crate::ledger) fn new(supply: &Supply) -> Self {
        let mut counts: Vec<u64> = Vec::new();
        let offers = |provider| Provider::usable_offers(provider, &supply.horizon);
        for (operation, _) in supply.providers.iter().flat_map(offers) {
            let place = operation.index();
            if counts.len() <= place {
                counts.resize(place.saturating_add(1), 0);
            }
            if let Some(count) = counts.get_mut(place) {
                *count = count.saturating_add(1);
            }
        }
        Self { counts, horizon: supply.horizon }
    }

    pub(in crate::ledger) fn work(&self, demand: &Demand) -> u64 {
        let count = |operation: &OperationId| self.counts.get(operation.index()).copied().unwrap_or(0);
        let periods = self.horizon.within(demand.window).map_or(0, |(_, count)| count);
        let periods = u64::try_from(periods).unwrap_or(u64::MAX);
        path_work(demand.orders.iter().map(count)).saturating_mul(periods)
    }
}
