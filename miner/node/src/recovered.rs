//! What a node kept from an earlier run, read from its store. Where the store lies, and what is done about
//! one that is damaged, is the driver's business.

use std::sync::Arc;

use chain::codec::{decode, encode};
use chain::consensus::SafetyLog;
use chain::store::Write;
use chain::store::{ReplayError, replay_with};
use chain::validate::FinalityError;
use chain::{Batch, Block, Fault, FinalBatch, Ledger, Network, Record, Store, StoreError};

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
    /// Whether the content is damaged; otherwise the medium, the choice of store, or this program is at fault.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Store(error) | Self::Chain(ReplayError::Store { error, .. }) => {
                matches!(error, StoreError::Corrupt(_))
            }
            Self::Chain(ReplayError::NotFinal { error: FinalityError::Defect(_), .. }) => false,
            Self::Chain(ReplayError::NotFinal { error: FinalityError::Invalid(rejection), .. }) => {
                rejection.fault() != Fault::Local
            }
            Self::Chain(ReplayError::NotFinal { .. }) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::Rejection;
    use chain::ledger::Defect;

    use super::*;

    #[test]
    fn a_mistake_of_this_program_is_no_reason_to_put_a_store_aside() {
        let not_final = |error| RecallError::Chain(ReplayError::NotFinal { height: 7, error });
        assert!(!not_final(FinalityError::Defect(Defect::Totals)).is_damage());
        assert!(!not_final(Rejection::Internal(Defect::Totals).into()).is_damage());
        assert!(not_final(Rejection::EmptyBatch.into()).is_damage());
        assert!(RecallError::Store(StoreError::Corrupt("rotten".into())).is_damage());
        assert!(!RecallError::Store(StoreError::Io("no space left".into())).is_damage());
    }
}
