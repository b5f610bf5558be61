//! Where records stand.

use chain::{BatchHash, Height, RecordId};
use coordinator_free_pool::{PoolRejection, Rule};
use serde::{Deserialize, Serialize};

use super::waits_for;
use crate::{History, HistoryError, Snapshot};

/// A record that did not enter the pool, or left it without coming on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Refusal {
    pub record: RecordId,
    pub rule: Rule,
    /// The rule, got and expected, in words.
    pub reason: String,
}

impl Refusal {
    /// Of a record that the pool did not take.
    pub fn new(record: RecordId, rejection: &PoolRejection) -> Self {
        Self { record, rule: rejection.rule(), reason: rejection.to_string() }
    }
}

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum RecordStanding {
    /// In the pool.
    Pending {
        /// Why the next batch cannot bring it, if so.
        waits_for: Option<String>,
    },
    /// In a final batch.
    Final {
        /// The batch's height.
        height: Height,
        batch: BatchHash,
    },
    /// Refused or dropped since this node started.
    Refused(Refusal),
    /// This node knows nothing of it.
    Unknown,
}

/// Where a record stands at a snapshot.
///
/// # Errors
/// If the history fails.
pub fn record(snapshot: &Snapshot, history: &History, id: RecordId) -> Result<RecordStanding, HistoryError> {
    if let Some(record) = snapshot.pool.get(&id) {
        return Ok(RecordStanding::Pending { waits_for: waits_for(&snapshot.ledger, record) });
    }
    if let Some(height) = history.height_of(id)? {
        // What the snapshot has not come to is on its way: whoever is told of a height may ask about it.
        return Ok(if height <= snapshot.height() {
            RecordStanding::Final { height, batch: history.batch_at(height)? }
        } else {
            RecordStanding::Pending { waits_for: None }
        });
    }
    let refusal = history.refusal(id).cloned();
    Ok(refusal.map_or(RecordStanding::Unknown, RecordStanding::Refused))
}

/// Where records stand at a snapshot, in the order asked for.
///
/// # Errors
/// If the history fails.
pub fn records(
    snapshot: &Snapshot,
    history: &History,
    ids: &[RecordId],
) -> Result<Vec<RecordStanding>, HistoryError> {
    ids.iter().map(|&id| record(snapshot, history, id)).collect()
}
