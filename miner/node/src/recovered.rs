//! What a node kept from an earlier run, read from its store. Where the store lies, and what is done about
//! one that is damaged, is the driver's business.

use std::sync::Arc;

use chain::codec::{decode, encode};
use chain::consensus::SafetyLog;
use chain::store::Write;
use chain::store::{ReplayError, replay_with};
use chain::{Batch, Block, FinalBatch, Ledger, Network, Record, Store, StoreError};

/// What a node kept from an earlier run.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The state at its last final batch, verified.
    pub ledger: Ledger,
    /// What it signed last. `None`: the store does not say, because it is new or what it knew is lost. Such a node does
    /// not vote, for it could contradict what it signed before.
    pub safety: Option<SafetyLog>,
    /// Batches above the head that it may have voted on.
    pub candidates: Vec<Batch>,
    /// The records of its pool.
    pub records: Vec<Record>,
    /// Blocks of its own that it committed to, and that may still be to be revealed.
    pub sealed: Vec<Block>,
}

/// Where own blocks are kept that are committed to.
const SEALED: &str = "sealed";
/// The most bytes of them.
const SEALED_BYTES: usize = 256 << 20;

/// Why a store cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its chain does not verify from genesis.
    #[error(transparent)]
    Chain(#[from] ReplayError),
}

impl Recovered {
    /// What a store remembers, its chain verified from genesis; of an empty one, the genesis state.
    ///
    /// # Errors
    /// If it cannot be read or its chain does not verify.
    pub fn recall(store: &Store, network: &Arc<Network>) -> Result<Self, RecallError> {
        Self::recall_with(store, network, |_| {})
    }

    /// [`Recovered::recall`], showing each batch to `observe` as it is verified.
    ///
    /// # Errors
    /// If it cannot be read or its chain does not verify.
    pub fn recall_with(
        store: &Store,
        network: &Arc<Network>,
        observe: impl FnMut(&FinalBatch),
    ) -> Result<Self, RecallError> {
        Ok(Self {
            ledger: replay_with(store, Arc::clone(network), observe)?,
            safety: store.safety_log()?,
            candidates: store.candidates()?,
            records: store.pool_records()?,
            // What cannot be read is lost, as if it had not been kept: nothing but its fee depends on it.
            sealed: store
                .meta(SEALED)?
                .and_then(|bytes| decode(&bytes, SEALED_BYTES).ok())
                .unwrap_or_default(),
        })
    }

    /// Keeps these own blocks, in place of the last ones, to be revealed after a restart.
    pub(super) fn keep_sealed(blocks: &[Block]) -> Write {
        Write::Meta(SEALED.to_owned(), encode(&blocks))
    }
}

impl RecallError {
    /// Whether the content is damaged; otherwise the medium, or the choice of store, is at fault.
    pub const fn is_damage(&self) -> bool {
        let (Self::Store(error) | Self::Chain(ReplayError::Store { error, .. })) = self else { return true };
        matches!(error, StoreError::Corrupt(_))
    }
}
