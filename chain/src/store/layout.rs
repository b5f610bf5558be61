//! The keys of the store: a byte for the kind, then what is named; numbers big-endian, so that keys sort
//! like them.

use serde::{Deserialize, Serialize};

use crate::batch::{BatchHash, BatchHeader};
use crate::hash::Hash;
use crate::key::Signature;
use crate::record::{Height, RecordId};

pub(super) const NETWORK: &[u8] = b"n";
pub(super) const HEAD: &[u8] = b"h";
pub(super) const SAFETY: &[u8] = b"s";
pub(super) const POOL: &[u8] = b"p";
pub(super) const CANDIDATES: &[u8] = b"c";

/// A batch without its items.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredBatch {
    pub(super) header: BatchHeader,
    pub(super) signature: Signature,
    /// Hashes of a final batch's items, in order; none for a candidate, whose items follow its key.
    pub(super) items: Vec<Hash>,
}

pub(super) fn batch(height: Height) -> Vec<u8> {
    [b"b", height.to_be_bytes().as_slice()].concat()
}

pub(super) fn certificate(height: Height) -> Vec<u8> {
    [b"f", height.to_be_bytes().as_slice()].concat()
}

pub(super) fn height_of(hash: BatchHash) -> Vec<u8> {
    [b"x", hash.0.0.as_slice()].concat()
}

pub(super) fn item(hash: Hash) -> Vec<u8> {
    [b"i", hash.0.as_slice()].concat()
}

pub(super) fn pool(id: RecordId) -> Vec<u8> {
    [POOL, id.0.0.as_slice()].concat()
}

pub(super) fn meta(name: &str) -> Vec<u8> {
    [b"m", name.as_bytes()].concat()
}

/// Part 0 of a candidate is its header, the others are its items.
pub(super) fn candidate(height: Height, hash: BatchHash, part: u32) -> Vec<u8> {
    [CANDIDATES, &height.to_be_bytes(), &hash.0.0, &part.to_be_bytes()].concat()
}

/// The key of a candidate's part without the part's number.
pub(super) fn candidate_name(key: &[u8]) -> Vec<u8> {
    key.get(..41).unwrap_or(key).to_vec()
}

pub(super) fn candidate_height(key: &[u8]) -> Option<Height> {
    Some(Height::from_be_bytes(key.get(1..9)?.try_into().ok()?))
}
