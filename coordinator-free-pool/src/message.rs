//! What pools say to each other.

use chain::{Record, RecordId};
use serde::{Deserialize, Serialize};

/// The most ids in one message.
pub const MESSAGE_IDS: usize = 1_000;
/// The most records in one message.
pub const MESSAGE_RECORDS: usize = 250;
/// The most bytes of records in one message; a single larger record still travels alone.
pub(crate) const MESSAGE_RECORD_BYTES: usize = 1 << 20;
/// The most bytes of one step of a reconciliation.
pub(crate) const RECONCILE_BYTES: usize = 64 << 10;

/// A message between two pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolMessage {
    /// I have these.
    Announce(Vec<RecordId>),
    /// Send me these.
    Request(Vec<RecordId>),
    /// Here they are.
    Records(Vec<Record>),
    /// A step of set reconciliation by whoever began it.
    Reconcile(Vec<u8>),
    /// The answer to a step.
    ReconcileReply(Vec<u8>),
}

impl PoolMessage {
    /// Which list is too long, its length and its limit; `None` if all are within limits.
    pub fn excess(&self) -> Option<(&'static str, usize, usize)> {
        let (list, got, expected) = match self {
            Self::Announce(ids) => ("announced ids", ids.len(), MESSAGE_IDS),
            Self::Request(ids) => ("requested ids", ids.len(), MESSAGE_IDS),
            Self::Records(records) => ("records", records.len(), MESSAGE_RECORDS),
            Self::Reconcile(bytes) | Self::ReconcileReply(bytes) => {
                ("reconciliation bytes", bytes.len(), RECONCILE_BYTES)
            }
        };
        (got > expected).then_some((list, got, expected))
    }
}
