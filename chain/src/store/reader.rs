//! Final blocks as they are stored, for whoever passes them on: nothing is verified, and items are not even decoded.

use std::fmt;

use super::layout::{self, StoredBlock};
use super::{Store, StoreError, corrupt, stored};
use crate::block::Body;
use crate::codec::encode;
use crate::record::Height;

/// Looks keys up in a backend that somebody else writes to. What one commit brings is seen as a whole or not at all.
pub type Lookup = Box<dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError> + Send>;

/// Reads final blocks from another thread than the one that writes the store.
pub struct FinalBlocks {
    lookup: Lookup,
}

impl fmt::Debug for FinalBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinalBlocks").finish_non_exhaustive()
    }
}

impl FinalBlocks {
    /// The canonical bytes of a block and of its certificate behind it.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn encoded(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        encoded_block(&self.lookup, height)
    }
}

impl Store {
    /// The canonical bytes of a final block and of its certificate behind it.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn encoded(&self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        encoded_block(|key| self.backend.get(key), height)
    }

    /// A reader for another thread, where the backend has such; it may see a block before it is durable.
    pub fn final_blocks(&self) -> Option<FinalBlocks> {
        self.backend.lookup().map(|lookup| FinalBlocks { lookup })
    }
}

fn encoded_block(
    lookup: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    height: Height,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(bytes) = lookup(&layout::block(height))? else { return Ok(None) };
    let block: StoredBlock = stored(&bytes, "a block")?;
    let missing = |what| StoreError::Corrupt(format!("{what} of block {height} is missing"));
    let mut items = Vec::with_capacity(block.items.len());
    for &hash in &block.items {
        items.push(lookup(&layout::item(hash))?.ok_or_else(|| missing("an item"))?);
    }
    let body = Body::bytes_of_items(&items).map_err(|error| corrupt("a block's item", &error))?;
    let certificate = lookup(&layout::certificate(height))?.ok_or_else(|| missing("the certificate"))?;
    Ok(Some([encode(&(block.header, block.signature)), body, certificate].concat()))
}
