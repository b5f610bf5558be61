//! What the network agrees on: records, batches, the rules by which batches are accepted, the ledger they
//! lead to, the votes that make them final, the store that keeps them, and proofs for those who keep nothing.
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

pub mod batch;
pub mod block;
pub mod codec;
pub mod commitment;
pub mod consensus;
pub mod genesis;
pub mod hash;
pub mod key;
pub mod ledger;
pub mod merkle;
pub mod proof;
pub mod record;
mod record_rule;
pub mod state_tree;
pub mod store;
pub mod validate;

pub use batch::{Batch, BatchHash, BatchHeader, BatchKind, Contents};
pub use block::{Amendment, Block, BlockHash, Body, Composition, PriceUpdate, Replacement};
pub use commitment::{Commitment, CommitmentId, SignedCommitment};
pub use genesis::{Genesis, GenesisProvider, Network, Parameters};
pub use hash::{Domain, Hash};
pub use key::{Address, KeyError, PublicKey, SecretKey, Signature};
pub use ledger::{BatchReport, BlockOutcome, Head, Ledger, Market, MarketDemand};
pub use merkle::{MerkleProof, merkle_root};
pub use proof::{CompositionProof, ProofError, Proven};
pub use record::{DemandId, Height, NetworkId, Record, RecordContent, RecordId, Statement};
pub use record_rule::RecordRule;
pub use scenarios::schedule::{self, Schedule};
pub use store::{Store, StoreError, Write};
pub use validate::{
    Assembly, Authentic, DecidedBatch, Draft, Drafted, ExecutedBatch, Fault, FinalBatch, RecordError,
    Rejection, ValidBatch, WellFormed, WellFormedBlock, check_record,
};
