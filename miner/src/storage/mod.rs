//! A node's store on disk: opening it, and mending what can be mended. What is kept in it is in
//! [`chain::store`]; [`SledBackend`] keeps the bytes.

mod sled;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::{Context as _, Result};
use chain::consensus::SafetyLog;
use chain::store::{Store, StoreError, Write};
use chain::{Height, NetworkId};
use miner_node::{RecallError, Recovered};

pub use self::sled::{SledBackend, move_aside};

/// Opens the store of `network` in `directory`, making it if there is none. It stays locked until the store is
/// dropped.
///
/// # Errors
/// If it is in use, damaged, another network's, or the disk fails.
pub fn open(directory: &Path, network: NetworkId) -> Result<Store, StoreError> {
    Store::open(Box::new(SledBackend::open(directory)?), network)
}

/// Opens a node's store and has `recall` verify its whole chain, as [`Recovered::recall`] does. A store that is
/// damaged is moved aside (nothing is deleted) and a new one begun; the node then fetches the chain from its peers,
/// and does not vote until its operator says from which height on it cannot contradict what it signed before.
///
/// # Errors
/// If the directory cannot be used, or the store belongs to another network.
pub fn open_or_mend(
    directory: &Path,
    network: NetworkId,
    mut recall: impl FnMut(&Store) -> Result<Recovered, RecallError>,
) -> Result<(Store, Recovered)> {
    let place = || format!("the store in {}", directory.display());
    let mut open_and_recall = || {
        let store = open(directory, network)?;
        let memory = recall(&store)?;
        Ok::<_, RecallError>((store, memory))
    };
    let error = match open_and_recall() {
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
    let (mut store, mut memory) = open_and_recall().with_context(place)?;
    memory.safety = SafetyLog::new(Height::MAX);
    store.write(&[Write::Safety(Box::new(memory.safety.clone()))]).with_context(place)?;
    Ok((store, memory))
}
