//! The pool: the set of signed records that no batch holds yet. Every node has it whole, nobody runs it.
//!
//! [`Pool`] is the set: what may enter, in which order a batch takes it, what leaves after a batch; readers keep
//! a [`PoolContents`] of it.
//! [`Exchange`] keeps the sets of connected nodes the same: new records are announced by id and fetched by
//! those who lack them, requests that time out go to another peer, and range-based set reconciliation
//! (negentropy) finds what any loss or partition left different. Neither reads a clock nor sends anything:
//! time comes in as an argument, messages come out as values.
//!
//! What a record costs its author: as long as records pay no fee, an author must own what an account must have
//! (`account_min`), or nobody keeps anything of it. What no batch could bring now (a number is missing before it, it
//! expires too far ahead) lives in a small room of its own and is the first to go. And where a room is full, whoever
//! holds most of it gives way to whoever holds less, so that it takes as many accounts to crowd others out as they are.
//!
//! Why honest nodes converge: whether a record may be in the pool depends on the record, the chain's head
//! and nothing else, short of a node's own size limits. In particular, of two records with the same author
//! and sequence number the smaller id stays, whichever came first. What a node refuses at one head it
//! looks at again at the next.
//!
//! Not here: peer records (where nodes can be reached), persistence, and connections.

mod contents;
mod exchange;
mod message;
mod pool;
mod reconcile;
mod rejection;
mod rooms;

pub use contents::PoolContents;
pub use exchange::{Exchange, ExchangeFault, Exchanged, Ticked};
pub use message::{MESSAGE_IDS, PoolMessage, RECONCILE_BYTES, RESPONSE_BYTES};
pub use pool::{Pool, PoolLimits};
pub use rejection::{DropReason, PoolRejection, PoolRule, Rule};
