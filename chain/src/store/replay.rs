//! The ledger of a stored chain, recomputed from genesis with every check: forms, signatures, state rules,
//! roots, certificates. Only clocks are not consulted: what is final was on time.

use std::sync::Arc;

use super::{Store, StoreError};
use crate::genesis::Network;
use crate::ledger::Ledger;
use crate::record::Height;
use crate::validate::{FinalBatch, FinalityError};

/// Why a stored chain does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ReplayError {
    /// The store fails.
    #[error("at height {height}: {error}")]
    Store { height: Height, error: StoreError },
    /// A batch breaks a rule, or its votes do not make it final.
    #[error("batch {height} is not final: {error}")]
    NotFinal {
        /// Its height.
        height: Height,
        error: FinalityError,
    },
}

/// The ledger after the store's last batch.
///
/// # Errors
/// The first height at which the chain does not stand.
pub fn replay(store: &Store, network: Arc<Network>) -> Result<Ledger, ReplayError> {
    replay_with(store, network, |_| {})
}

/// [`replay`], showing each batch to `observe` as it is verified.
///
/// # Errors
/// The first height at which the chain does not stand.
pub fn replay_with(
    store: &Store,
    network: Arc<Network>,
    mut observe: impl FnMut(&FinalBatch),
) -> Result<Ledger, ReplayError> {
    let mut ledger = Ledger::new(network);
    for (height, found) in (1..).zip(store.batches_from(1)) {
        let (batch, certificate) = found.map_err(|error| ReplayError::Store { height, error })?;
        let decided = ledger.validate_decided(batch, certificate);
        let done = decided.and_then(|decided| Ok(decided.execute()?));
        let done = done.map_err(|error| ReplayError::NotFinal { height, error })?;
        observe(&done);
        (_, _, ledger, _) = done.into_parts();
    }
    Ok(ledger)
}
