//! Work a node gives away: searches that take seconds. What work is, and what comes of it, is
//! [`scenarios::work`]'s; here is what only the node knows: the names of its works, whose demands their positions
//! are, and which kinds of work it leaves alone for a while because they failed.

use std::collections::{BTreeMap, BTreeSet};

use chain::DemandId;
use scenarios::{Slot, Solution};
use serde::{Deserialize, Serialize};

/// For how long a kind of work that failed is not begun again, unless the market changes, in milliseconds.
const REST_MS: u64 = 5_000;

/// Names one piece of work of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkId(pub u64);

/// What a piece of work is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Composing open demands.
    Compose,
    /// Composing anew what is composed.
    Amend,
    /// Finding dual prices.
    Prices,
}

/// Whose demands the positions of a piece of work are.
#[derive(Clone, Debug)]
pub(crate) struct Positions(Vec<DemandId>);

impl Positions {
    /// The demands of a piece of work, in its order.
    pub(crate) const fn new(demands: Vec<DemandId>) -> Self {
        Self(demands)
    }

    /// The positions of the demands that are in `wanted`.
    pub(crate) fn of(&self, wanted: &BTreeSet<DemandId>) -> BTreeSet<usize> {
        self.0.iter().enumerate().filter(|(_, demand)| wanted.contains(demand)).map(|(at, _)| at).collect()
    }

    /// What a solution composes of the demands in `wanted`, by demand. Entries too many mean nothing.
    pub(crate) fn compositions<'p>(
        &'p self,
        solution: &'p Solution,
        wanted: impl Fn(&DemandId) -> bool + 'p,
    ) -> impl Iterator<Item = (DemandId, Vec<Slot>)> + 'p {
        let composed = self.0.iter().zip(&solution.compositions);
        composed
            .filter(move |(demand, _)| wanted(demand))
            .filter_map(|(&demand, composition)| Some((demand, composition.clone()?)))
    }
}

/// Kinds of work that failed, and until when each rests: the same again at once would fail the same way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setbacks(BTreeMap<WorkKind, u64>);

impl Setbacks {
    /// This kind of work failed now.
    pub(crate) fn note(&mut self, kind: WorkKind, now_ms: u64) {
        self.0.insert(kind, now_ms.saturating_add(REST_MS));
    }

    /// Forgets those whose time is over.
    pub(crate) fn pass(&mut self, now_ms: u64) {
        self.0.retain(|_, until_ms| now_ms < *until_ms);
    }

    /// The market changed: everything may be tried again.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether a kind of work is left alone.
    pub(crate) fn rests(&self, kind: WorkKind) -> bool {
        self.0.contains_key(&kind)
    }

    /// Whether nothing is left alone.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
