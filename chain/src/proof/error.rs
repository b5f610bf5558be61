//! Why a proof proves nothing, one variant per link of the chain of reasons, and why none can be made.

use crate::batch::BatchHash;
use crate::codec::CodecError;
use crate::genesis::GenesisError;
use crate::key::KeyError;
use crate::merkle::MerkleError;
use crate::record::{DemandId, Height, NetworkId};
use crate::state_tree::TreeError;
use crate::store::StoreError;
use crate::validate::FinalityError;

/// Which of the headers of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the batch that composed the demand.
    Batch,
    /// That of the head.
    Head,
    /// That of the batch after the head, which says that the head has settled the demand.
    Settlement,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Batch => "the batch",
            Self::Head => "the head",
            Self::Settlement => "the settlement",
        })
    }
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ProofError {
    /// The genesis is that of another network than the one that is trusted.
    #[error("the proof is about network {got}, expected {expected}")]
    WrongNetwork {
        /// The hash of its genesis.
        got: NetworkId,
        expected: NetworkId,
    },
    /// The genesis breaks a rule.
    #[error("the genesis in the proof: {0}")]
    Genesis(#[from] GenesisError),
    /// A header is of another network.
    #[error("the header of {place} is of network {got}, expected {expected}")]
    HeaderNetwork { place: Place, got: NetworkId, expected: NetworkId },
    /// A proposer did not sign its header.
    #[error("the proposer's signature of {place}: {error}")]
    Proposer { place: Place, error: KeyError },
    /// A header is not final.
    #[error("{place} is not final: {error}")]
    NotFinal { place: Place, error: FinalityError },
    /// The amendment has no such part.
    #[error("the composition is no part of the amendment in the proof")]
    NotAPart,
    /// The block is not an item of the batch.
    #[error("the block is not in the batch: {0}")]
    BlockNotIncluded(MerkleError),
    /// The composition is not an item of the block.
    #[error("the composition is not in the block: {0}")]
    NotIncluded(MerkleError),
    /// The head says the root of a state before the batch.
    #[error("the head has height {got}, expected at least that after the batch's, {expected}")]
    HeadTooEarly {
        /// The head's height.
        got: Height,
        expected: Height,
    },
    /// The batch that is to have settled the demand does not follow the head.
    #[error("the batch of the settlement follows {got}, expected the head, {expected}")]
    SettlementElsewhere {
        /// Its parent.
        got: BatchHash,
        expected: BatchHash,
    },
    /// The demand is still there after the batch that is to have settled it.
    #[error("the state after the head still has the demand's entry")]
    NotSettled,
    /// The state entry is about something else.
    #[error("the state entry has the key {got}, expected that of the demand, {expected}")]
    WrongEntry { got: String, expected: String },
    /// The state does not say of the demand what the proof says it does.
    #[error("the state whose root {place} says does not say this of the demand: {error}")]
    NotInState { place: Place, error: TreeError },
    /// What the state holds under the demand's key is no demand.
    #[error("the demand's state entry: {0}")]
    Entry(CodecError),
    /// The demand has no composition at the head, or another one.
    #[error("the composition is not current: {what} is {got} in the state, {expected} in the batch")]
    NotCurrent {
        what: &'static str,
        /// In the state.
        got: String,
        /// In the batch.
        expected: String,
    },
}

/// Why no proof can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ProveError {
    /// The state knows no such demand.
    #[error("no demand on this chain has the id {0}")]
    Unknown(DemandId),
    /// There is nothing to prove.
    #[error("demand {demand} is {status}: there is no composition to prove")]
    NotComposed { demand: DemandId, status: &'static str },
    /// The store does not hold the chain that leads to the ledger.
    #[error("the store lacks {what} of height {height}")]
    Missing {
        /// What should be there.
        what: &'static str,
        /// The height at which it should be.
        height: Height,
    },
    /// The root of the state is in no header yet.
    #[error(
        "no batch of height {height} says yet what state the one before led to; it comes within seconds while the network runs"
    )]
    NotSealed { height: Height },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
