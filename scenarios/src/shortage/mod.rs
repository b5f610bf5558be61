//! Capacity that is too small to serve every demand, with a proof that anybody can check.
//!
//! An order takes at least the minutes of its operation's fastest offer. If the orders for some operations
//! together take more minutes than all the providers who offer any of them have, not all demands can be
//! served, whoever composes them (Hall's condition on the relaxation that lets orders be divided). A
//! [`Shortage`] names such a set of operations; [`Shortage::verify`] recomputes it by addition alone.
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

use crate::instance::Instance;
use crate::units::{Minutes, OperationId, ProviderId};
use flow::{Network, UNLIMITED};

/// Operations whose orders take more minutes than there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The operations, ascending.
    pub operations: Vec<OperationId>,
    /// Minutes that the orders for them take in all, each at the fastest offer that fits a provider.
    pub needed: Minutes,
    /// Everybody with an offer for one of them that fits into their own capacity, ascending.
    pub providers: Vec<ProviderId>,
    /// Minutes of these providers together.
    pub capacity: Minutes,
}

/// Why something is not a shortage of an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ShortageError {
    /// No operations, or not in strictly ascending order.
    #[error("the operations must be in strictly ascending order, and at least one")]
    Operations,
    /// An operation is ordered by nobody or offered by nobody.
    #[error("{got} is ordered by nobody or offered by nobody")]
    NotOffered { got: OperationId },
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
    /// The providers are others, or have other capacities.
    #[error("{got} minutes at {got_providers} providers, expected {expected} at {expected_providers}")]
    Capacity {
        /// Minutes the shortage says there are.
        got: Minutes,
        /// How many providers it names.
        got_providers: usize,
        /// What their capacities add up to.
        expected: Minutes,
        /// How many there are.
        expected_providers: usize,
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
        let actual = measure(&self.operations, &work_by_operation(instance), instance)?;
        if self.needed != actual.needed {
            return Err(ShortageError::Needed { got: self.needed, expected: actual.needed });
        }
        if (self.capacity, &self.providers) != (actual.capacity, &actual.providers) {
            return Err(ShortageError::Capacity {
                got: self.capacity,
                got_providers: self.providers.len(),
                expected: actual.capacity,
                expected_providers: actual.providers.len(),
            });
        }
        let Self { needed, capacity, .. } = actual;
        if needed > capacity { Ok(()) } else { Err(ShortageError::NotShort { needed, capacity }) }
    }
}

/// What the orders for one operation take and who could do them.
struct Work {
    needed: Minutes,
    /// Providers with an offer for it that fits their capacity.
    providers: Vec<ProviderId>,
}

/// The work of every operation that is both ordered and offered.
fn work_by_operation(instance: &Instance) -> BTreeMap<OperationId, Work> {
    let mut orders: BTreeMap<OperationId, Minutes> = BTreeMap::new();
    for &operation in instance.demands.iter().flat_map(|demand| &demand.orders) {
        *orders.entry(operation).or_default() += 1;
    }
    let mut work = BTreeMap::new();
    for (operation, count) in orders {
        let offers = instance.supply.provider_ids().zip(&instance.supply.providers);
        let offers: Vec<(ProviderId, Minutes, bool)> = offers
            .filter_map(|(id, provider)| {
                let minutes = provider.offers.get(&operation)?.minutes;
                Some((id, minutes, provider.capacity.is_none_or(|capacity| minutes <= capacity)))
            })
            .collect();
        let fitting = offers.iter().filter(|&&(_, _, fits)| fits);
        // Where no offer fits its provider, no minutes help: the fastest of all says how much is asked for.
        let fastest = fitting.clone().chain(offers.iter().filter(|_| fitting.clone().next().is_none()));
        let Some(fastest) = fastest.map(|&(_, minutes, _)| minutes).min() else { continue };
        let providers = fitting.map(|&(id, _, _)| id).collect();
        work.insert(operation, Work { needed: count * fastest, providers });
    }
    work
}

/// What these operations need and what there is for them, short or not.
fn measure(
    operations: &[OperationId],
    work: &BTreeMap<OperationId, Work>,
    instance: &Instance,
) -> Result<Shortage, ShortageError> {
    if operations.is_empty() || !operations.is_sorted_by(|one, next| one < next) {
        return Err(ShortageError::Operations);
    }
    let (mut needed, mut providers) = (0, BTreeSet::new());
    for operation in operations {
        let work = work.get(operation).ok_or(ShortageError::NotOffered { got: *operation })?;
        needed += work.needed;
        providers.extend(&work.providers);
    }
    let mut capacity = 0;
    for &id in &providers {
        let limit = instance.supply.provider(id).and_then(|provider| provider.capacity);
        capacity += limit.ok_or(ShortageError::Unlimited { got: id })?;
    }
    let (operations, providers) = (operations.to_vec(), providers.into_iter().collect());
    Ok(Shortage { operations, needed, providers, capacity })
}

/// All shortages that the relaxation shows: together they miss the most minutes that any set of operations
/// misses, and no two of them share a provider. Empty where it shows none.
pub fn find_shortages(instance: &Instance) -> Vec<Shortage> {
    let mut work = work_by_operation(instance);
    let capacities = instance.supply.capacities();
    work.retain(|_, work| work.providers.iter().all(|id| capacities[id.index()].is_some()));
    // Nodes: the source, the operations, the providers, the sink.
    let first_provider = 1 + work.len();
    let sink = first_provider + capacities.len();
    let mut network = Network::new(sink + 1);
    for (node, work) in (1..).zip(work.values()) {
        network.connect(0, node, work.needed);
        for provider in &work.providers {
            network.connect(node, first_provider + provider.index(), UNLIMITED);
        }
    }
    for (node, capacity) in (first_provider..).zip(&capacities) {
        network.connect(node, sink, capacity.unwrap_or(0));
    }
    let held_back = network.saturate(0, sink);
    let short = work.iter().zip(&held_back[1..]).filter(|&(_, &held_back)| held_back);
    let groups = group_by_providers(short.map(|((&operation, work), _)| (operation, work)));
    groups.iter().filter_map(|operations| measure(operations, &work, instance).ok()).collect()
}

/// Operations that share providers, directly or through others, stand in one group.
fn group_by_providers<'w>(short: impl Iterator<Item = (OperationId, &'w Work)>) -> Vec<Vec<OperationId>> {
    let mut groups: Vec<(BTreeSet<OperationId>, BTreeSet<ProviderId>)> = Vec::new();
    for (operation, work) in short {
        let mut merged = (BTreeSet::from([operation]), work.providers.iter().copied().collect());
        groups.retain_mut(|(operations, providers)| {
            let apart = providers.is_disjoint(&merged.1);
            if !apart {
                merged.0.append(operations);
                merged.1.append(providers);
            }
            apart
        });
        groups.push(merged);
    }
    groups.into_iter().map(|(operations, _)| operations.into_iter().collect()).collect()
}
