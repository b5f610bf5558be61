//! What a pool holds, apart from what it decides. A clone is made in constant time and shares everything, so
//! that readers keep looking at one state while the pool goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::{Address, Record, RecordId, Statement};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

/// Records with their sizes in bytes, by id and by author.
#[derive(Clone, Debug, Default)]
pub struct PoolContents {
    records: RedBlackTreeMapSync<RecordId, Arc<Record>>,
    /// The same by author and sequence number, with their sizes in bytes.
    authors: RedBlackTreeMapSync<Address, Arc<OfAuthor>>,
    /// The demands, by when they expire.
    expiring: RedBlackTreeSetSync<(u64, RecordId)>,
    bytes: usize,
    revision: u64,
}

/// The records of one author, by sequence number, with their sizes in bytes.
pub(crate) type OfAuthor = BTreeMap<u64, (RecordId, usize)>;

impl PoolContents {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.size()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all records together.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A number that is another one after each change: of one pool, equal numbers are equal contents.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// A record.
    pub fn get(&self, id: &RecordId) -> Option<&Record> {
        self.records.get(id).map(Arc::as_ref)
    }

    /// Whether a record is here.
    pub fn contains(&self, id: &RecordId) -> bool {
        self.records.contains_key(id)
    }

    /// All records, by id.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, &Record)> {
        self.records.iter().map(|(&id, record)| (id, record.as_ref()))
    }

    /// The records of one author, by sequence number.
    pub fn records_of(&self, author: Address) -> impl Iterator<Item = (u64, &Record)> {
        let held = self.of_author(author).into_iter().flatten();
        held.filter_map(|(&sequence, (id, _))| self.get(id).map(|record| (sequence, record)))
    }

    /// Authors with records here, ascending.
    pub(crate) fn authors(&self) -> impl Iterator<Item = Address> {
        self.authors.keys().copied()
    }

    pub(crate) fn of_author(&self, author: Address) -> Option<&OfAuthor> {
        self.authors.get(&author).map(Arc::as_ref)
    }

    /// Records that no batch brings any more at this time, first come first.
    pub(crate) fn expired_by(&self, timestamp_ms: u64) -> impl Iterator<Item = (u64, RecordId)> {
        self.expiring.iter().copied().take_while(move |&(expires_ms, _)| expires_ms <= timestamp_ms)
    }

    /// Puts a record in; what it takes the place of, by author and sequence number, comes back with its bytes.
    pub(crate) fn insert(&mut self, record: Record, id: RecordId, bytes: usize) -> Option<(RecordId, usize)> {
        self.revision = self.revision.wrapping_add(1);
        let (author, sequence) = (record.author(), record.content.sequence);
        if !self.authors.contains_key(&author) {
            self.authors.insert_mut(author, Arc::default());
        }
        let held = self.authors.get_mut(&author).map(Arc::make_mut);
        let replaced = held.and_then(|held| held.insert(sequence, (id, bytes)));
        if let Some((rival, size)) = replaced {
            self.forget(&rival);
            self.bytes = self.bytes.saturating_sub(size);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.expiring.insert_mut((expiry(&record), id));
        self.records.insert_mut(id, Arc::new(record));
        replaced
    }

    /// Takes a record out; its author, sequence number and bytes, unless it was not there.
    pub(crate) fn remove(&mut self, id: &RecordId) -> Option<((Address, u64), usize)> {
        let record = self.forget(id)?;
        self.revision = self.revision.wrapping_add(1);
        let (author, sequence) = (record.author(), record.content.sequence);
        let held = self.authors.get_mut(&author).map(Arc::make_mut)?;
        let (_, bytes) = held.remove(&sequence)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        if held.is_empty() {
            self.authors.remove_mut(&author);
        }
        Some(((author, sequence), bytes))
    }

    /// Takes a record out of those that are found by id or by expiry.
    fn forget(&mut self, id: &RecordId) -> Option<Arc<Record>> {
        let record = self.records.get(id).map(Arc::clone)?;
        self.records.remove_mut(id);
        self.expiring.remove_mut(&(expiry(&record), *id));
        Some(record)
    }
}

/// From when on no batch brings a record: it is too late for itself, or for the demand it states. Milliseconds since the
/// Unix epoch.
pub(crate) fn expiry(record: &Record) -> u64 {
    let valid_until_ms = record.content.valid_until_ms;
    match &record.content.statement {
        Statement::Demand(demand) => demand.expires_ms.min(valid_until_ms),
        Statement::Offer(_)
        | Statement::OfferWithdrawal
        | Statement::DemandCancellation { .. }
        | Statement::Transfer { .. } => valid_until_ms,
    }
}
