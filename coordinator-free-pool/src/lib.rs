//! The shared pool without a coordinator: the set of signed records that no block holds yet.
//!
//! Every node holds the whole set. New records are announced by id and fetched by those who lack them;
//! range-based set reconciliation in the background repairs whatever loss or partition left different, so
//! connected honest nodes converge. [`Pool`] is the set and its limits, [`Exchange`] its conversation with
//! peers; neither reads a clock nor sends anything.
//!
//! What a record means is the ledger's business (crate `chain`); where messages travel is the node's.

mod exchange;
mod message;
mod pool;
mod rejection;

pub use exchange::{Exchange, Exchanged};
pub use message::{MESSAGE_IDS, MESSAGE_RECORDS, PoolMessage};
pub use pool::{Departure, Pool, PoolLimits};
pub use rejection::PoolRejection;
