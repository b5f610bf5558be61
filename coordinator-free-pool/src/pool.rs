//! The set of records: what may enter, what must leave, what a block may bring.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::codec::encode;
use chain::ledger::RecordOutlook;
use chain::{Address, Ledger, Network, Record, RecordError, RecordId, check_record};

use crate::rejection::PoolRejection;

/// What a pool holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Records.
    pub records: usize,
    /// Bytes of records.
    pub bytes: usize,
    /// Records of one author.
    pub per_author: usize,
    /// How far a record's sequence number may lie above its author's next on chain.
    pub sequence_lead: u64,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { records: 50_000, bytes: 64 << 20, per_author: 2_000, sequence_lead: 2_000 }
    }
}

/// A record that left the pool, and why it can never come on chain; `None` if it has.
pub type Departure = (RecordId, Option<RecordError>);

/// Records that no block holds yet, each valid by itself, in order of author and sequence number.
#[derive(Debug)]
pub struct Pool {
    network: Arc<Network>,
    limits: PoolLimits,
    records: BTreeMap<RecordId, Entry>,
    by_author: BTreeMap<Address, BTreeMap<u64, RecordId>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    author: Address,
    bytes: usize,
}

impl Pool {
    /// An empty pool of a network.
    pub const fn new(limits: PoolLimits, network: Arc<Network>) -> Self {
        Self { network, limits, records: BTreeMap::new(), by_author: BTreeMap::new(), bytes: 0 }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether it holds a record.
    pub fn contains(&self, id: &RecordId) -> bool {
        self.records.contains_key(id)
    }

    /// A record it holds.
    pub fn get(&self, id: &RecordId) -> Option<&Record> {
        self.records.get(id).map(|entry| &entry.record)
    }

    /// The ids of all records, ascending.
    pub fn ids(&self) -> impl Iterator<Item = RecordId> + '_ {
        self.records.keys().copied()
    }

    /// Takes a record in: quotas first, then the state, its signature last.
    ///
    /// # Errors
    /// The first rule broken; the pool is unchanged.
    pub fn insert(&mut self, record: Record, ledger: &Ledger) -> Result<RecordId, PoolRejection> {
        let bytes = encode(&record).len();
        let id = record.id();
        let author = record.author();
        self.validate_place(&record, id, author, ledger)?;
        self.validate_room(bytes)?;
        match ledger.check_record_now(&record) {
            RecordOutlook::Now | RecordOutlook::Later(_) => {}
            RecordOutlook::Never(error) => return Err(error.into()),
        }
        check_record(&self.network, &record)?;
        self.by_author.entry(author).or_default().insert(record.content.sequence, id);
        self.bytes += bytes;
        self.records.insert(id, Entry { record, author, bytes });
        Ok(id)
    }

    fn validate_place(
        &self,
        record: &Record,
        id: RecordId,
        author: Address,
        ledger: &Ledger,
    ) -> Result<(), PoolRejection> {
        if self.records.contains_key(&id) {
            return Err(PoolRejection::Known);
        }
        let (got, next) = (record.content.sequence, ledger.next_sequence(author));
        let expected = next.saturating_add(self.limits.sequence_lead);
        if got > expected {
            return Err(PoolRejection::TooFarAhead { got, next, expected });
        }
        let Some(of_author) = self.by_author.get(&author) else { return Ok(()) };
        if let Some(&expected) = of_author.get(&got) {
            return Err(PoolRejection::SequenceTaken { sequence: got, expected });
        }
        let (got, expected) = (of_author.len(), self.limits.per_author);
        if got >= expected { Err(PoolRejection::AuthorQuota { author, got, expected }) } else { Ok(()) }
    }

    fn validate_room(&self, bytes: usize) -> Result<(), PoolRejection> {
        let (got, expected) = (self.records.len() + 1, self.limits.records);
        if got > expected {
            return Err(PoolRejection::Full { got, expected });
        }
        let (got, expected) = (self.bytes + bytes, self.limits.bytes);
        if got > expected { Err(PoolRejection::Full { got, expected }) } else { Ok(()) }
    }

    /// After a block: drops what is on chain and what no block can bring any more.
    pub fn prune(&mut self, ledger: &Ledger) -> Vec<Departure> {
        let mut departures = Vec::new();
        for (&id, entry) in &self.records {
            match ledger.check_record_now(&entry.record) {
                RecordOutlook::Now | RecordOutlook::Later(_) => {}
                RecordOutlook::Never(error) => {
                    let is_on_chain = entry.record.content.sequence < ledger.next_sequence(entry.author);
                    departures.push((id, (!is_on_chain).then_some(error)));
                }
            }
        }
        for (id, _) in &departures {
            self.remove(id);
        }
        departures
    }

    fn remove(&mut self, id: &RecordId) {
        let Some(entry) = self.records.remove(id) else { return };
        self.bytes -= entry.bytes;
        if let Some(of_author) = self.by_author.get_mut(&entry.author) {
            of_author.remove(&entry.record.content.sequence);
            if of_author.is_empty() {
                self.by_author.remove(&entry.author);
            }
        }
    }

    /// The records that the next block can bring together, within its limits, by author and sequence
    /// number: the same on every node with the same pool and head.
    pub fn pending(&self, ledger: &Ledger) -> Vec<Record> {
        let limits = &self.network.parameters().limits;
        let most = usize::try_from(limits.records_per_block).unwrap_or(usize::MAX);
        // Half a block for records leaves room for the compositions that go with them.
        let mut room = usize::try_from(limits.block_bytes).unwrap_or(usize::MAX) / 2;
        let mut candidates = Vec::new();
        let in_order = self.by_author.values().flat_map(BTreeMap::values);
        for entry in in_order.filter_map(|id| self.records.get(id)) {
            if candidates.len() == most || entry.bytes > room {
                break;
            }
            room -= entry.bytes;
            candidates.push(entry.record.clone());
        }
        ledger.admissible_records(&candidates).0
    }
}
