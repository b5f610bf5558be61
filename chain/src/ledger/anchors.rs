//! The batches that blocks and commitments may be anchored on, and those that have had their turn: so each comes once, in
//! any batch that comes soon enough.

use std::collections::BTreeSet;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::Head;
use super::root::StateKey;
use crate::batch::BatchHash;
use crate::hash::Hash;

/// Anchors below the head, and blocks that were brought on them. Cloning shares what is large.
#[derive(Clone, Debug)]
pub(super) struct Anchors {
    /// The time of each anchor, in milliseconds since the Unix epoch.
    times: RedBlackTreeMapSync<BatchHash, u64>,
    by_time: RedBlackTreeSetSync<(u64, BatchHash)>,
    /// The time of the anchor of each block and commitment that was brought.
    brought: RedBlackTreeMapSync<Hash, u64>,
    brought_by_time: RedBlackTreeSetSync<(u64, Hash)>,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Anchors {
    pub(super) fn new() -> Self {
        Self {
            times: RedBlackTreeMapSync::new_sync(),
            by_time: RedBlackTreeSetSync::new_sync(),
            brought: RedBlackTreeMapSync::new_sync(),
            brought_by_time: RedBlackTreeSetSync::new_sync(),
            touched: BTreeSet::new(),
        }
    }

    /// A batch follows `parent`, which becomes an anchor. What is more than `window_ms` older is one no longer, and the
    /// blocks that were brought on it need not be remembered.
    pub(super) fn follow(&mut self, parent: &Head, window_ms: u64) {
        self.times.insert_mut(parent.hash, parent.timestamp_ms);
        self.by_time.insert_mut((parent.timestamp_ms, parent.hash));
        self.touched.insert(StateKey::Anchor(parent.hash));
        let oldest_ms = parent.timestamp_ms.saturating_sub(window_ms);
        while let Some(&(time_ms, anchor)) = self.by_time.first().filter(|(time_ms, _)| *time_ms < oldest_ms)
        {
            self.by_time.remove_mut(&(time_ms, anchor));
            self.times.remove_mut(&anchor);
            self.touched.insert(StateKey::Anchor(anchor));
        }
        while let Some(&(time_ms, block)) =
            self.brought_by_time.first().filter(|(time_ms, _)| *time_ms < oldest_ms)
        {
            self.brought_by_time.remove_mut(&(time_ms, block));
            self.brought.remove_mut(&block);
            self.touched.insert(StateKey::Brought(block));
        }
    }

    /// The time of an anchor, in milliseconds since the Unix epoch; `None` if it is none, or none any more.
    pub(super) fn time_of(&self, anchor: BatchHash) -> Option<u64> {
        self.times.get(&anchor).copied()
    }

    /// The time of the anchor of a block or commitment that was brought.
    pub(super) fn brought(&self, name: Hash) -> Option<u64> {
        self.brought.get(&name).copied()
    }

    /// A block or a commitment on this anchor has its turn.
    pub(super) fn bring(&mut self, name: Hash, anchor_ms: u64) {
        self.brought.insert_mut(name, anchor_ms);
        self.brought_by_time.insert_mut((anchor_ms, name));
        self.touched.insert(StateKey::Brought(name));
    }

    pub(super) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = StateKey> {
        let anchors = self.times.keys().map(|&anchor| StateKey::Anchor(anchor));
        anchors.chain(self.brought.keys().map(|&block| StateKey::Brought(block)))
    }
}
