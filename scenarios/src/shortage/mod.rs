//! Capacity that is too small to serve every demand, with a proof that anybody can check.
//!
//! An order takes at least the minutes of its operation's fastest offer. If the orders for some operations within some windows
//! together take more minutes than all the slots have in which any of them can be done, not all demands can be
//! served, whoever composes them (Hall's condition on the relaxation that lets orders be divided and done in any order). A
//! [`Shortage`] names such a set of orders; [`Shortage::verify`] recomputes it by addition alone.
//!
//! The converse does not hold: where no shortage is found, orders may still not fit as wholes, or only by
//! offers that are slower than the fastest. Operations that nobody offers are no shortage but unservable
//! ([`crate::inspect::Concerns`]).

mod flow;
mod named;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use named::NamedShortage;
pub(crate) use named::list;

use crate::instance::{Instance, Supply};
use crate::periods::{Slot, TimeWindow};
use crate::units::{Minutes, OperationId, ProviderId};
use flow::{Network, UNLIMITED};

/// All orders for an operation of the demands with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct OrderGroup {
    pub operation: OperationId,
    /// What of the demands' windows can be planned.
    pub window: TimeWindow,
}

/// Orders that take more minutes than there are for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The orders, ascending.
    pub orders: Vec<OrderGroup>,
    /// Minutes that they take in all, each at the fastest offer that fits a slot.
    pub needed: Minutes,
    /// All slots in which one of them fits, ascending.
    pub slots: Vec<Slot>,
    /// Minutes of these slots together.
    pub capacity: Minutes,
}

/// Why something is not a shortage of an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ShortageError {
    /// No orders, or not in strictly ascending order.
    #[error("the orders must be in strictly ascending order, and at least one group of them")]
    Orders,
    /// Nobody has such orders, or nobody offers their operation.
    #[error("{} {} is ordered by nobody or offered by nobody", got.operation, got.window)]
    NotOffered { got: OrderGroup },
    /// A provider of one of the operations has no limit.
    #[error("{got} offers one of the operations and its capacity is unlimited")]
    Unlimited { got: ProviderId },
    /// The minutes needed are others.
    #[error("{got} minutes needed, expected {expected}")]
    Needed {
        /// What the shortage says.
        got: Minutes,
        /// What the orders add up to.
        expected: Minutes,
    },
    /// The slots are others, or have other capacities.
    #[error("{got} minutes in {got_slots} slots, expected {expected} in {expected_slots}")]
    Capacity {
        /// Minutes the shortage says there are.
        got: Minutes,
        /// How many slots it names.
        got_slots: usize,
        /// What their capacities add up to.
        expected: Minutes,
        /// How many there are.
        expected_slots: usize,
    },
    /// There are minutes enough.
    #[error("{needed} minutes needed, and there are {capacity}: nothing is short")]
    NotShort {
        /// Minutes needed.
        needed: Minutes,
        /// Minutes there are.
        capacity: Minutes,
    },
}

impl Shortage {
    /// How many minutes are missing at least.
    pub const fn missing(&self) -> Minutes {
        self.needed - self.capacity
    }

    /// Recomputes everything from the instance: a few sums over its offers and orders.
    ///
    /// # Errors
    /// The first thing that is not as the shortage says.
    pub fn verify(&self, instance: &Instance) -> Result<(), ShortageError> {
        let actual = measure(&self.orders, &work_by_group(instance), &instance.supply)?;
        if self.needed != actual.needed {
            return Err(ShortageError::Needed { got: self.needed, expected: actual.needed });
        }
        if (self.capacity, &self.slots) != (actual.capacity, &actual.slots) {
            return Err(ShortageError::Capacity {
                got: self.capacity,
                got_slots: self.slots.len(),
                expected: actual.capacity,
                expected_slots: actual.slots.len(),
            });
        }
        let Self { needed, capacity, .. } = actual;
        if needed > capacity { Ok(()) } else { Err(ShortageError::NotShort { needed, capacity }) }
    }
}

/// What the orders of a group take and where they can be done.
struct Work {
    needed: Minutes,
    /// Slots in which one of them fits.
    slots: Vec<Slot>,
}

/// The work of every group that is both ordered and offered.
fn work_by_group(instance: &Instance) -> BTreeMap<OrderGroup, Work> {
    let horizon = instance.supply.horizon;
    let mut orders: BTreeMap<OrderGroup, Minutes> = BTreeMap::new();
    for demand in &instance.demands {
        let (release, due) =
            (demand.window.release.max(horizon.first), demand.window.due.min(horizon.last()));
        for &operation in demand.orders.iter().filter(|_| release <= due) {
            *orders.entry(OrderGroup { operation, window: TimeWindow { release, due } }).or_default() += 1;
        }
    }
    orders
        .into_iter()
        .filter_map(|(group, count)| Some((group, work(&instance.supply, group, count)?)))
        .collect()
}

/// What so many orders of a group take; `None` if nobody offers the operation.
fn work(supply: &Supply, group: OrderGroup, count: Minutes) -> Option<Work> {
    let (mut slots, mut fastest, mut fastest_of_all) = (Vec::new(), None, None);
    for (id, provider) in supply.provider_ids().zip(&supply.providers) {
        let Some(offer) = provider.offers.get(&group.operation) else { continue };
        let minutes = offer.minutes;
        let periods = supply.horizon.iter().filter(|&period| group.window.contains(period));
        let fits = |slot: &Slot| supply.capacity_of(*slot).is_none_or(|capacity| minutes <= capacity);
        let before = slots.len();
        slots.extend(periods.map(|period| Slot { provider: id, period }).filter(fits));
        let is_less = |than: Option<Minutes>| than.is_none_or(|than| minutes < than);
        if slots.len() > before && is_less(fastest) {
            fastest = Some(minutes);
        }
        if is_less(fastest_of_all) {
            fastest_of_all = Some(minutes);
        }
    }
    // Where no offer fits anywhere, no minutes help: the fastest of all says how much is asked for.
    Some(Work { needed: count * fastest.or(fastest_of_all)?, slots })
}

/// What these orders need and what there is for them, short or not.
fn measure(
    orders: &[OrderGroup],
    work: &BTreeMap<OrderGroup, Work>,
    supply: &Supply,
) -> Result<Shortage, ShortageError> {
    if orders.is_empty() || !orders.is_sorted_by(|one, next| one < next) {
        return Err(ShortageError::Orders);
    }
    let (mut needed, mut slots) = (0, BTreeSet::new());
    for group in orders {
        let work = work.get(group).ok_or(ShortageError::NotOffered { got: *group })?;
        needed += work.needed;
        slots.extend(&work.slots);
    }
    let mut capacity = 0;
    for &slot in &slots {
        capacity += supply.capacity_of(slot).ok_or(ShortageError::Unlimited { got: slot.provider })?;
    }
    Ok(Shortage { orders: orders.to_vec(), needed, slots: slots.into_iter().collect(), capacity })
}

/// All shortages that the relaxation shows: together they miss the most minutes that any set of orders
/// misses, and no two of them share a slot. Empty where it shows none.
pub fn find_shortages(instance: &Instance) -> Vec<Shortage> {
    let (supply, horizon) = (&instance.supply, instance.supply.horizon);
    let mut work = work_by_group(instance);
    let is_limited = |slot: &Slot| supply.capacity_of(*slot).is_some();
    work.retain(|_, work| work.slots.iter().all(is_limited));
    // Nodes: the source, the groups, for each operation and period a way to its slots, the slots, the sink.
    let mut ways: BTreeMap<(OperationId, usize), (usize, BTreeSet<usize>)> = BTreeMap::new();
    for (group, work) in &work {
        for position in work.slots.iter().filter_map(|&slot| horizon.position(slot)) {
            let next = 1 + ways.len();
            let way = ways.entry((group.operation, position % horizon.len()));
            way.or_insert_with(|| (next, BTreeSet::new())).1.insert(position);
        }
    }
    let first_way = work.len();
    let first_slot = 1 + first_way + ways.len();
    let sink = first_slot + supply.slot_count();
    let mut network = Network::new(sink + 1);
    for (node, (group, work)) in (1..).zip(&work) {
        network.connect(0, node, work.needed);
        let periods: BTreeSet<usize> = work
            .slots
            .iter()
            .filter_map(|&slot| horizon.position(slot))
            .map(|position| position % horizon.len())
            .collect();
        for period in periods {
            if let Some((way, _)) = ways.get(&(group.operation, period)) {
                network.connect(node, first_way + way, UNLIMITED);
            }
        }
    }
    for (way, positions) in ways.values() {
        for position in positions {
            network.connect(first_way + way, first_slot + position, UNLIMITED);
        }
    }
    for (node, capacity) in (first_slot..).zip(supply.capacities()) {
        network.connect(node, sink, capacity.unwrap_or(0));
    }
    let held_back = network.saturate(0, sink);
    let short = work.iter().zip(&held_back[1..]).filter(|&(_, &held_back)| held_back);
    let groups = merge_by_slots(short.map(|((&group, work), _)| (group, work)));
    groups.iter().filter_map(|orders| measure(orders, &work, supply).ok()).collect()
}

/// Orders that share slots, directly or through others, stand together.
fn merge_by_slots<'w>(short: impl Iterator<Item = (OrderGroup, &'w Work)>) -> Vec<Vec<OrderGroup>> {
    let mut together: Vec<(BTreeSet<OrderGroup>, BTreeSet<Slot>)> = Vec::new();
    for (group, work) in short {
        let mut merged = (BTreeSet::from([group]), work.slots.iter().copied().collect());
        together.retain_mut(|(orders, slots)| {
            let apart = slots.is_disjoint(&merged.1);
            if !apart {
                merged.0.append(orders);
                merged.1.append(slots);
            }
            apart
        });
        together.push(merged);
    }
    together.into_iter().map(|(orders, _)| orders.into_iter().collect()).collect()
}
