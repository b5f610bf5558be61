//! The ledger of a stored chain, recomputed from genesis with every check: forms, signatures, state rules,
//! roots, certificates. Only clocks are not consulted: what is final was on time.

use std::sync::Arc;

use super::{Store, StoreError};
use crate::genesis::Network;
use crate::ledger::Ledger;
use crate::record::Height;
use crate::validate::{FinalBlock, FinalityError, Rejection, WellFormed};

/// Why a stored chain does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The store fails.
    #[error("at height {height}: {error}")]
    Store {
        /// Where.
        height: Height,
        /// How.
        error: StoreError,
    },
    /// A block below the head is not there.
    #[error("block {height} is missing from the store")]
    Missing {
        /// Its height.
        height: Height,
    },
    /// A block breaks a rule.
    #[error("block {height} is refused: {error}")]
    Refused {
        /// Its height.
        height: Height,
        /// The rule.
        error: Rejection,
    },
    /// A block is not final.
    #[error("block {height} is not final: {error}")]
    NotFinal {
        /// Its height.
        height: Height,
        /// Why.
        error: FinalityError,
    },
}

/// The ledger after the store's last block.
///
/// # Errors
/// The first height at which the chain does not stand.
pub fn replay(store: &Store, network: Arc<Network>) -> Result<Ledger, ReplayError> {
    replay_with(store, network, |_| {})
}

/// [`replay`], showing each block to `observe` as it is verified.
///
/// # Errors
/// The first height at which the chain does not stand.
pub fn replay_with(
    store: &Store,
    network: Arc<Network>,
    mut observe: impl FnMut(&FinalBlock),
) -> Result<Ledger, ReplayError> {
    let mut ledger = Ledger::new(network);
    for height in 1..=store.height() {
        let found = store.block(height).map_err(|error| ReplayError::Store { height, error })?;
        let (block, certificate) = found.ok_or(ReplayError::Missing { height })?;
        let valid = WellFormed::new(ledger.network(), block).and_then(|block| ledger.validate(block, None));
        let valid = valid.map_err(|error| ReplayError::Refused { height, error })?;
        let done = valid.finalise(certificate);
        let done = done.map_err(|error| ReplayError::NotFinal { height, error })?;
        observe(&done);
        ledger = done.ledger;
    }
    Ok(ledger)
}
