//! Final batches as they are stored, for whoever passes them on: nothing is verified, and items are not even decoded.

use std::fmt;

use super::layout::{self, StoredBatch};
use super::{Store, StoreError, corrupt, stored};
use crate::batch::Contents;
use crate::codec::encode;
use crate::record::Height;

/// Looks keys up in a backend that somebody else writes to. What one commit brings is seen as a whole or not at all.
pub type Lookup = Box<dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError> + Send>;

/// Reads final batches from another thread than the one that writes the store.
pub struct FinalBatches {
    lookup: Lookup,
}

impl fmt::Debug for FinalBatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinalBatches").finish_non_exhaustive()
    }
}

impl FinalBatches {
    /// The canonical bytes of a batch and of its certificate behind it.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn encoded(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        encoded_batch(&self.lookup, height)
    }
}

impl Store {
    /// The canonical bytes of a final batch and of its certificate behind it.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn encoded(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        encoded_batch(|key| self.backend.get(key), height)
    }

    /// A reader for another thread, where the backend has such; it may see a batch before it is durable.
    pub fn final_batches(&self) -> Option<FinalBatches> {
        self.backend.lookup().map(|lookup| FinalBatches { lookup })
    }
}

fn encoded_batch(
    lookup: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    height: Height,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(bytes) = lookup(&layout::batch(height))? else { return Ok(None) };
    let batch: StoredBatch = stored(&bytes, "a batch")?;
    let missing = |what| StoreError::Corrupt(format!("{what} of batch {height} is missing"));
    let mut items = Vec::with_capacity(batch.items.len());
    for &hash in &batch.items {
        items.push(lookup(&layout::item(hash))?.ok_or_else(|| missing("an item"))?);
    }
    let contents = Contents::bytes_of_items(&items).map_err(|error| corrupt("a batch's item", &error))?;
    let certificate = lookup(&layout::certificate(height))?.ok_or_else(|| missing("the certificate"))?;
    Ok(Some([encode(&(batch.header, batch.signature)), contents, certificate].concat()))
}
