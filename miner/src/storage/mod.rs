//! A node's stores on disk. What is kept in them is in [`chain::store`], when one may be gone on from in
//! [`miner_node::open_store`]; here are the bytes.

mod sled;
#[cfg(test)]
mod tests;

use std::path::Path;

use chain::NetworkId;
use chain::store::{CountedBackend, Store, StoreError};

pub use self::sled::StoreDirectory;

/// Opens the store of `network` in `directory`, making it if there is none. It stays locked until the store is
/// dropped.
///
/// # Errors
/// If it is in use, damaged, another network's, or the disk fails.
pub fn open(directory: &Path, network: NetworkId) -> Result<Store, StoreError> {
    Store::open(Box::new(open_backend(directory)?), network)
}

/// Opens the bytes in `directory`, making it if there is none.
///
/// # Errors
/// If they are in use or damaged, or the disk fails.
pub fn open_backend(directory: &Path) -> Result<CountedBackend, StoreError> {
    CountedBackend::open(&mut StoreDirectory::new(directory))
}
