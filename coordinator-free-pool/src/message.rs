//! What pools say to each other, and how much of it at a time.

use chain::{Record, RecordId};
use serde::{Deserialize, Serialize};

/// The most ids of one announcement or request, and records of one answer; 32 KiB of ids.
pub const MESSAGE_IDS: usize = 1_024;

/// Records of one message add up to at most this many bytes, unless a single one is larger.
pub const RESPONSE_BYTES: usize = 1 << 20;

/// The most bytes of a reconciliation message; longer differences take more rounds.
pub const RECONCILE_BYTES: usize = 32 << 10;

/// A message from pool to pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolMessage {
    /// "I have these": at most [`MESSAGE_IDS`].
    Announce(Vec<RecordId>),
    /// "Send me these": at most [`MESSAGE_IDS`].
    Request(Vec<RecordId>),
    /// Records, asked for or not: at most [`MESSAGE_IDS`].
    Records(Vec<Record>),
    /// One round of set reconciliation, from who began it: at most [`RECONCILE_BYTES`].
    ReconcileQuery(Vec<u8>),
    /// The answer to such a round: at most [`RECONCILE_BYTES`].
    ReconcileReply(Vec<u8>),
}
