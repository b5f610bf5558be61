//! What a node kept from an earlier run: opening its store, mending what can be mended.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chain::consensus::SafetyLog;
use chain::store::{ReplayError, SledBackend, Store, StoreError, Write, move_aside, replay_with};
use chain::{Height, Network};

use super::historian::Historian;
use miner_node::Recovered;

/// Opens a node's store and verifies its whole chain. A store that is damaged is moved aside (nothing is
/// deleted) and a new one begun; the node then fetches the chain from its peers, and does not vote until
/// its operator says from which height on it cannot contradict what it signed before.
///
/// The history learns of every block on the way that it does not know yet.
///
/// # Errors
/// If the directory cannot be used, or the store belongs to another network.
pub(super) fn open_store(
    directory: &Path,
    network: &Arc<Network>,
    historian: &mut Historian,
) -> Result<(Store, Recovered)> {
    let place = || format!("the store in {}", directory.display());
    let error = match read(directory, network, historian) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    if !error.is_damage() {
        return Err(error).with_context(place);
    }
    let moved = move_aside(directory)
        .with_context(|| format!("{} is damaged ({error}) and cannot be moved aside", place()))?;
    tracing::error!(
        reason = %error, moved_to = %moved.display(),
        "the store is damaged: starting anew, without voting (what this node signed is lost with it). Set \
         vote_from_height above every height it may have voted on to let it vote again"
    );
    let (mut store, mut memory) = read(directory, network, historian).with_context(place)?;
    memory.safety = SafetyLog::new(Height::MAX);
    store.write(&[Write::Safety(Box::new(memory.safety.clone()))]).with_context(place)?;
    Ok((store, memory))
}

/// Why a store cannot be gone on from.
#[derive(Debug, thiserror::Error)]
enum RecallError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its chain does not verify from genesis.
    #[error(transparent)]
    Chain(#[from] ReplayError),
}

impl RecallError {
    /// The content is damaged; otherwise the medium, or the operator's choice of directory, is at fault.
    fn is_damage(&self) -> bool {
        let (Self::Store(error) | Self::Chain(ReplayError::Store { error, .. })) = self else { return true };
        matches!(error, StoreError::Corrupt(_))
    }
}

fn read(
    directory: &Path,
    network: &Arc<Network>,
    historian: &mut Historian,
) -> Result<(Store, Recovered), RecallError> {
    let backend = SledBackend::open(directory)?;
    let store = Store::open(Box::new(backend), network.id())?;
    historian.begin(&store)?;
    let memory = Recovered {
        ledger: replay_with(&store, Arc::clone(network), |done| historian.catch_up(done))?,
        safety: store.safety_log()?.unwrap_or_else(|| SafetyLog::new(0)),
        candidates: store.candidates()?,
        records: store.pool_records()?,
    };
    Ok((store, memory))
}
