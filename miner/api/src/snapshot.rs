//! Everything a node knows at one moment, to be read by anybody while the node goes on.

use std::sync::Arc;

use chain::{Height, Ledger};
use coordinator_free_pool::{PoolContents, PoolLimits};
use miner_node::{Node, NodeStatus};

/// A node at one moment. What is large in it is shared with the node and with other snapshots.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The state at its head.
    pub ledger: Arc<Ledger>,
    /// The records that no batch has brought.
    pub pool: PoolContents,
    /// How much the pool holds at most.
    pub pool_limits: PoolLimits,
    /// Where the node stood: peers, validators, what it searches and cannot serve.
    status: NodeStatus,
}

impl Snapshot {
    /// The node as it is now. The ledger of `last` is used again if the head is still the same.
    pub fn take(node: &Node, wall_ms: u64, last: Option<&Self>) -> Self {
        let head = node.ledger().head().hash;
        let ledger = last.map(|last| &last.ledger).filter(|ledger| ledger.head().hash == head);
        Self {
            ledger: ledger.map_or_else(|| Arc::new(node.ledger().clone()), Arc::clone),
            pool: node.pool().contents().clone(),
            pool_limits: *node.pool().limits(),
            status: node.status(wall_ms),
        }
    }

    /// The height of its head.
    pub fn height(&self) -> Height {
        self.ledger.head().height
    }

    /// Where the node stood when the snapshot was taken, with its head's age at this time (milliseconds since the
    /// Unix epoch).
    pub fn status(&self, wall_ms: u64) -> NodeStatus {
        let head_age_ms = wall_ms.saturating_sub(self.ledger.head().timestamp_ms);
        NodeStatus { head_age_ms, ..self.status.clone() }
    }
}
