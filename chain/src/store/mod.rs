//! What a node keeps on disk: final batches with their certificates, its own voting state, candidate batches
//! it may have to vote on again, records of the pool, and named odds and ends.
//!
//! [`Store`] knows what is kept; a [`Backend`] keeps bytes: a database on disk, which the program that runs a
//! node brings along, or [`MemoryBackend`] for tests. A [`Medium`] is where a backend lies. Nothing is written but by
//! [`Store::write`], whole or not at all, and durable when it returns. The ledger is not stored: [`replay`] recomputes it, which checks everything on the way.
//!
//! Values stay small, one per record and item: not every database reclaims large ones.

mod layout;
mod medium;
mod memory;
mod reader;
mod replay;

use std::collections::BTreeMap;
use std::fmt;

use crate::batch::{Batch, BatchHash, BatchHeader, Contents};
use crate::codec::{CodecError, decode, encode};
use crate::consensus::{CommitCertificate, SafetyLog};
use crate::hash::{Domain, Hash};
use crate::key::Signature;
use crate::proof::SignedHeader;
use crate::record::{Height, NetworkId, Record, RecordId};
use crate::validate::DecidedBatch;

pub use medium::{BytesAndCount, CountedBackend, Counter, Medium};
pub use memory::MemoryBackend;
pub use reader::{FinalBatches, Lookup};
pub use replay::{ReplayError, replay, replay_with};

use layout::StoredBatch;

/// Keys to put (`Some`) or remove (`None`), all at once.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Keys and their values, ascending.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Keeps bytes by key, in order of keys.
pub trait Backend: fmt::Debug + Send {
    /// The value of a key.
    ///
    /// # Errors
    /// If the medium fails or is corrupt.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All pairs whose key starts with `prefix`, ascending.
    ///
    /// # Errors
    /// If the medium fails or is corrupt.
    fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError>;

    /// Makes all changes or none; they are durable on return.
    ///
    /// # Errors
    /// If the medium fails or is corrupt.
    fn commit(&mut self, changes: Changes) -> Result<(), StoreError>;

    /// Looks keys up from another thread, whatever this one does; `None` if only its owner can read it.
    fn lookup(&self) -> Option<Lookup>;
}

/// Why the store cannot do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store is in use: another process has it open. Is this node running already? Stop that one first"
    )]
    InUse,
    /// The disk.
    #[error("the store cannot be read or written: {0}")]
    Io(String),
    /// Its content makes no sense: move it aside and fetch the chain again.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// It belongs to another network.
    #[error("the store belongs to network {got}, expected {expected}")]
    WrongNetwork {
        /// The network it was made for.
        got: NetworkId,
        /// The network asked for.
        expected: NetworkId,
    },
    /// A batch that does not follow the last one.
    #[error("batch of height {got} cannot be stored, the next is {expected}")]
    NotNext {
        /// The batch's height.
        got: Height,
        /// The last one's + 1.
        expected: Height,
    },
    /// A certificate that is not its batch's.
    #[error("the certificate is for batch {got}, expected {expected}")]
    WrongCertificate { got: BatchHash, expected: BatchHash },
}

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Appends a final batch. Candidates of its height and below are forgotten, its records leave the pool.
    Batch(Box<Batch>, Box<CommitCertificate>),
    /// Keeps a batch that is not final yet but may be voted on after a restart.
    Candidate(Box<Batch>),
    /// The own voting state, in place of the last.
    Safety(Box<SafetyLog>),
    /// Forgets the own voting state: from now on the store does not say what was signed.
    ForgetSafety,
    /// Keeps a record of the pool.
    PoolRecord(Box<Record>),
    /// Drops a record of the pool.
    ForgetPoolRecord(RecordId),
    /// Keeps bytes under a name, in place of the last.
    Meta(String, Vec<u8>),
}

impl From<&DecidedBatch> for Write {
    fn from(decided: &DecidedBatch) -> Self {
        Self::Batch(Box::new(decided.batch().clone()), Box::new(decided.certificate().clone()))
    }
}

/// What a node keeps.
#[derive(Debug)]
pub struct Store {
    backend: Box<dyn Backend>,
    head: Option<(Height, BatchHash)>,
}

impl Store {
    /// Opens a store that belongs to `network`, or makes an empty one its.
    ///
    /// # Errors
    /// If it belongs to another network, cannot be read, or is corrupt.
    pub fn open(mut backend: Box<dyn Backend>, network: NetworkId) -> Result<Self, StoreError> {
        match backend.get(layout::NETWORK)? {
            None => backend.commit([(layout::NETWORK.to_vec(), Some(encode(&network)))].into())?,
            Some(bytes) => {
                let got: NetworkId = stored(&bytes, "the network id")?;
                if got != network {
                    return Err(StoreError::WrongNetwork { got, expected: network });
                }
            }
        }
        let head = backend.get(layout::HEAD)?.map(|bytes| stored(&bytes, "the head")).transpose()?;
        Ok(Self { backend, head })
    }

    /// The backend, to be opened again.
    pub fn into_backend(self) -> Box<dyn Backend> {
        self.backend
    }

    /// Height and hash of the last batch; `None` before the first.
    pub const fn head(&self) -> Option<(Height, BatchHash)> {
        self.head
    }

    /// The last batch's height; 0 before the first.
    pub fn height(&self) -> Height {
        self.head.map_or(0, |(height, _)| height)
    }

    /// Writes everything or nothing; durable on return.
    ///
    /// # Errors
    /// If a batch does not follow the last one or its certificate is another's, or the medium fails.
    pub fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let (mut changes, mut head) = (Changes::new(), self.head);
        for write in writes {
            match write {
                Write::Batch(batch, certificate) => {
                    head = Some(self.stage_batch(&mut changes, head, batch, certificate)?);
                }
                Write::Candidate(batch) => stage_candidate(&mut changes, batch),
                Write::Safety(log) => drop(changes.insert(layout::SAFETY.to_vec(), Some(log.to_bytes()))),
                Write::ForgetSafety => drop(changes.insert(layout::SAFETY.to_vec(), None)),
                Write::PoolRecord(record) => {
                    changes.insert(layout::pool(record.id()), Some(encode(record)));
                }
                Write::ForgetPoolRecord(id) => drop(changes.insert(layout::pool(*id), None)),
                Write::Meta(name, value) => {
                    changes.insert(layout::meta(name), Some(value.clone()));
                }
            }
        }
        self.backend.commit(changes)?;
        self.head = head;
        Ok(())
    }

    fn stage_batch(
        &self,
        changes: &mut Changes,
        head: Option<(Height, BatchHash)>,
        batch: &Batch,
        certificate: &CommitCertificate,
    ) -> Result<(Height, BatchHash), StoreError> {
        let (hash, got) = (batch.hash(), batch.header.height);
        let expected = head.map_or(0, |(height, _)| height).saturating_add(1);
        if got != expected {
            return Err(StoreError::NotNext { got, expected });
        }
        if certificate.batch != hash {
            return Err(StoreError::WrongCertificate { got: certificate.batch, expected: hash });
        }
        let kept = self.backend.scan(layout::CANDIDATES)?.into_iter().map(|(key, _)| key);
        let staged = changes.keys().filter(|key| key.starts_with(layout::CANDIDATES)).cloned();
        let candidates: Vec<Vec<u8>> = kept.chain(staged).collect();
        for key in candidates {
            if layout::candidate_height(&key).is_some_and(|height| height <= got) {
                changes.insert(key, None);
            }
        }
        for record in &batch.contents.records {
            changes.insert(layout::pool(record.id()), None);
        }
        let items = batch.contents.items();
        let hashes: Vec<Hash> = items.iter().map(|item| item_hash(item)).collect();
        for (&hash, item) in hashes.iter().zip(items) {
            changes.insert(layout::item(hash), Some(item));
        }
        let stored = StoredBatch { header: batch.header.clone(), signature: batch.signature, items: hashes };
        changes.insert(layout::batch(got), Some(encode(&stored)));
        changes.insert(layout::certificate(got), Some(encode(certificate)));
        changes.insert(layout::height_of(hash), Some(encode(&got)));
        changes.insert(layout::HEAD.to_vec(), Some(encode(&(got, hash))));
        Ok((got, hash))
    }

    /// The final batch of a height and its certificate.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn batch(&self, height: Height) -> Result<Option<(Batch, CommitCertificate)>, StoreError> {
        let Some(bytes) = self.backend.get(&layout::batch(height))? else { return Ok(None) };
        let batch: StoredBatch = stored(&bytes, "a batch")?;
        let mut items = Vec::with_capacity(batch.items.len());
        for &hash in &batch.items {
            let item = self.backend.get(&layout::item(hash))?;
            items.push(
                item.ok_or_else(|| StoreError::Corrupt(format!("an item of batch {height} is missing")))?,
            );
        }
        let batch = whole_batch(batch.header, batch.signature, &items)?;
        let bytes = self.backend.get(&layout::certificate(height))?;
        let bytes = bytes.ok_or_else(|| StoreError::Corrupt(format!("batch {height} has no certificate")))?;
        Ok(Some((batch, stored(&bytes, "a certificate")?)))
    }

    /// The final batches from a height on (at least 1) with their certificates, ascending, as they were stored:
    /// nothing is verified. That one below the head is missing is an error.
    pub fn batches_from(
        &self,
        first: Height,
    ) -> impl Iterator<Item = Result<(Batch, CommitCertificate), StoreError>> + '_ {
        (first.max(1)..=self.height()).map(|height| {
            let missing = || StoreError::Corrupt(format!("batch {height} is missing"));
            self.batch(height)?.ok_or_else(missing)
        })
    }

    /// Header, proposer's signature and certificate of a height, without its contents.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn header(&self, height: Height) -> Result<Option<SignedHeader>, StoreError> {
        let Some(bytes) = self.backend.get(&layout::batch(height))? else { return Ok(None) };
        let batch: StoredBatch = stored(&bytes, "a batch")?;
        let Some(bytes) = self.backend.get(&layout::certificate(height))? else {
            return Err(StoreError::Corrupt(format!("batch {height} has no certificate")));
        };
        let certificate = stored(&bytes, "a certificate")?;
        Ok(Some(SignedHeader { header: batch.header, signature: batch.signature, certificate }))
    }

    /// The height of a final batch.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn height_of(&self, hash: BatchHash) -> Result<Option<Height>, StoreError> {
        let bytes = self.backend.get(&layout::height_of(hash))?;
        bytes.map(|bytes| stored(&bytes, "a height")).transpose()
    }

    /// The own voting state. `None` if the store does not say what was signed: nothing was ever entered, as in a store
    /// that is new, or it was forgotten.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn safety_log(&self) -> Result<Option<SafetyLog>, StoreError> {
        let bytes = self.backend.get(layout::SAFETY)?;
        bytes
            .map(|bytes| SafetyLog::from_bytes(&bytes).map_err(|error| corrupt("the voting state", &error)))
            .transpose()
    }

    /// Batches above the head that may have to be voted on again, by height and hash.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn candidates(&self) -> Result<Vec<Batch>, StoreError> {
        let mut found: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, value) in self.backend.scan(layout::CANDIDATES)? {
            found.entry(layout::candidate_name(&key)).or_default().push(value);
        }
        let mut batches = Vec::new();
        for parts in found.into_values() {
            let Some((head, items)) = parts.split_first() else { continue };
            let head: StoredBatch = stored(head, "a candidate batch")?;
            batches.push(whole_batch(head.header, head.signature, items)?);
        }
        Ok(batches)
    }

    /// The records of the pool, by id.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn pool_records(&self) -> Result<Vec<Record>, StoreError> {
        let pairs = self.backend.scan(layout::POOL)?;
        pairs.iter().map(|(_, value)| stored(value, "a record of the pool")).collect()
    }

    /// The bytes kept under a name.
    ///
    /// # Errors
    /// If the store cannot be read or is corrupt.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend.get(&layout::meta(name))
    }
}

fn stage_candidate(changes: &mut Changes, batch: &Batch) {
    let (height, hash) = (batch.header.height, batch.hash());
    let head = StoredBatch { header: batch.header.clone(), signature: batch.signature, items: Vec::new() };
    changes.insert(layout::candidate(height, hash, 0), Some(encode(&head)));
    for (index, item) in (1..).zip(batch.contents.items()) {
        changes.insert(layout::candidate(height, hash, index), Some(item));
    }
}

fn whole_batch(header: BatchHeader, signature: Signature, items: &[Vec<u8>]) -> Result<Batch, StoreError> {
    let contents = Contents::from_items(items).map_err(|error| corrupt("a batch's item", &error))?;
    Ok(Batch { header, signature, contents })
}

fn item_hash(item: &[u8]) -> Hash {
    Domain::MerkleLeaf.hash(&[item])
}

/// What we wrote ourselves must decode.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(
    bytes: &[u8],
    what: &str,
) -> Result<T, StoreError> {
    decode(bytes, bytes.len()).map_err(|error| corrupt(what, &error))
}

fn corrupt(what: &str, error: &CodecError) -> StoreError {
    StoreError::Corrupt(format!("{what}: {error}"))
}
