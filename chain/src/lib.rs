//! What the network agrees on: records, blocks, the rules by which blocks are accepted, the ledger they
//! lead to, the votes that make them final, and the store that keeps them.
//!
//! Nothing here searches, reads a clock or talks to a peer. Everything a peer can influence is checked
//! arithmetic on integers.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod block;
pub mod codec;
pub mod consensus;
pub mod hash;
pub mod key;
pub mod record;

pub use block::{Block, BlockHash, Body, Composition, Header, PriceUpdate};
pub use hash::{Domain, Hash};
pub use key::{Address, KeyError, PublicKey, SecretKey, Signature};
pub use record::{DemandId, Height, NetworkId, Record, RecordContent, RecordId, Statement};
