//! The set itself: admission, order, and what leaves after a block.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::codec::encode;
use chain::ledger::{AccountError, Departed, RecordOutlook, StatementError};
use chain::validate::RecordError;
use chain::{Address, BlockHash, Fault, Height, Ledger, Network, Record, RecordId, Statement, check_record};

use crate::contents::PoolContents;
use crate::rejection::{DropReason, PoolRejection};

/// How much a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PoolLimits {
    pub records: usize,
    /// Bytes of all records.
    pub bytes: usize,
    /// Records of one author.
    pub per_author: usize,
    /// How far a sequence number may lie above its author's next one on chain.
    pub sequence_gap: u64,
    /// How many heights ahead of the next block a record's window may begin.
    pub lead_heights: Height,
}

impl Default for PoolLimits {
    /// Room for a hundred blocks of a thousand small records.
    fn default() -> Self {
        Self {
            records: 100_000,
            bytes: 64 << 20,
            per_author: 1_024,
            sequence_gap: 1_024,
            lead_heights: 1_024,
        }
    }
}

/// Ids remembered as of no use, so that they are not fetched again and again.
const UNUSABLE_IDS: usize = 20_000;

/// The records that no block holds yet, as one node has them.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    network: Arc<Network>,
    contents: PoolContents,
    /// Ids that need not be fetched while the head is at most this height.
    unusable: BTreeMap<RecordId, Height>,
    /// Replaced since the last [`Self::prune`].
    replaced: Vec<(RecordId, DropReason)>,
    /// The last answer of [`Self::pending`] and the head it was for; emptied by every change.
    pending: Option<(BlockHash, Arc<[Record]>)>,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits, network: Arc<Network>) -> Self {
        Self {
            limits,
            network,
            contents: PoolContents::default(),
            unusable: BTreeMap::new(),
            replaced: Vec::new(),
            pending: None,
        }
    }

    /// How much it holds at most.
    pub const fn limits(&self) -> &PoolLimits {
        &self.limits
    }

    /// What it holds, to be kept and read as it is now.
    pub const fn contents(&self) -> &PoolContents {
        &self.contents
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }

    /// Bytes of all records together.
    pub const fn bytes(&self) -> usize {
        self.contents.bytes()
    }

    /// A record.
    pub fn get(&self, id: &RecordId) -> Option<&Record> {
        self.contents.get(id)
    }

    /// Whether a record is here.
    pub fn contains(&self, id: &RecordId) -> bool {
        self.contents.contains(id)
    }

    /// All ids, ascending.
    pub fn ids(&self) -> impl Iterator<Item = RecordId> {
        self.contents.iter().map(|(id, _)| id)
    }

    /// The records of one author, by sequence number.
    pub fn records_of(&self, author: Address) -> impl Iterator<Item = (u64, &Record)> {
        self.contents.records_of(author)
    }

    /// Whether an id announced by a peer is worth fetching: it is not here, was not on chain or expired,
    /// and was not refused at this head.
    pub fn wants(&self, id: &RecordId, ledger: &Ledger) -> bool {
        let height = ledger.head().height;
        !self.contains(id) && self.unusable.get(id).is_none_or(|&until| until < height)
    }

    /// Takes a record in. If it takes the place of one with the same author and sequence number, the next
    /// [`Self::prune`] names that one.
    ///
    /// # Errors
    /// The first rule that keeps it out, cheapest first, the signature last of those that need no state.
    pub fn insert(&mut self, record: Record, ledger: &Ledger) -> Result<RecordId, PoolRejection> {
        let id = record.id();
        if self.contains(&id) {
            return Err(PoolRejection::Duplicate(id));
        }
        match self.validate(&record, id, ledger) {
            Ok(bytes) => {
                self.add(record, id, bytes);
                Ok(id)
            }
            Err(rejection) => {
                self.note_unusable(id, &rejection, ledger.head().height);
                Err(rejection)
            }
        }
    }

    /// All rules; returns the record's size in bytes.
    fn validate(&self, record: &Record, id: RecordId, ledger: &Ledger) -> Result<usize, PoolRejection> {
        let bytes = encode(record).len();
        self.validate_size(bytes)?;
        self.validate_window(record, ledger)?;
        self.validate_place(record, id, bytes, ledger)?;
        check_record(&self.network, record)?;
        match ledger.check_record_now(record) {
            RecordOutlook::Now | RecordOutlook::Later(_) => Ok(bytes),
            RecordOutlook::Never(error) => Err(RecordError::from(error).into()),
        }
    }

    fn validate_size(&self, got: usize) -> Result<(), PoolRejection> {
        let expected = usize::try_from(self.network.parameters().limits.record_bytes).unwrap_or(usize::MAX);
        if got > expected { Err(RecordError::TooLarge { got, expected }.into()) } else { Ok(()) }
    }

    fn validate_window(&self, record: &Record, ledger: &Ledger) -> Result<(), PoolRejection> {
        let (content, next) = (&record.content, ledger.head().height.saturating_add(1));
        if content.valid_until < next {
            let error = StatementError::Expired { got: next, expected: content.valid_until };
            return Err(RecordError::from(error).into());
        }
        let (got, expected) = (content.valid_from, next.saturating_add(self.limits.lead_heights));
        if got > expected { Err(PoolRejection::TooFarAhead { got, expected }) } else { Ok(()) }
    }

    /// Sequence number, rival, quota and room.
    fn validate_place(
        &self,
        record: &Record,
        id: RecordId,
        bytes: usize,
        ledger: &Ledger,
    ) -> Result<(), PoolRejection> {
        let (author, got) = (record.author(), record.content.sequence);
        let next = ledger.next_sequence(author);
        if got < next {
            let error = StatementError::from(AccountError::SequenceUsed { author, got, expected: next });
            return Err(RecordError::from(error).into());
        }
        let expected = next.saturating_add(self.limits.sequence_gap);
        if got > expected {
            return Err(PoolRejection::GapTooWide { author, got, expected });
        }
        let held = self.contents.of_author(author);
        // A rival's room is free once it is replaced.
        let mut others = self.contents.bytes();
        if let Some(&(kept, size)) = held.and_then(|held| held.get(&got)) {
            if kept < id {
                return Err(PoolRejection::SequenceTaken { author, sequence: got, kept });
            }
            others = others.saturating_sub(size);
        } else {
            let (got, expected) = (held.map_or(0, BTreeMap::len), self.limits.per_author);
            if got >= expected {
                return Err(PoolRejection::AuthorQuota { author, got, expected });
            }
            let (got, expected) = (self.len(), self.limits.records);
            if got >= expected {
                return Err(PoolRejection::TooManyRecords { got, expected });
            }
        }
        let (got, expected) = (others.saturating_add(bytes), self.limits.bytes);
        if got > expected { Err(PoolRejection::TooManyBytes { got, expected }) } else { Ok(()) }
    }

    fn add(&mut self, record: Record, id: RecordId, bytes: usize) {
        if let Some(rival) = self.contents.insert(record, id, bytes) {
            // Its place may become free again only on chain, so it is never wanted back.
            remember(&mut self.unusable, rival, Height::MAX);
            self.replaced.push((rival, DropReason::Replaced(id)));
        }
        self.unusable.remove(&id);
        self.pending = None;
    }

    fn note_unusable(&mut self, id: RecordId, rejection: &PoolRejection, height: Height) {
        let until = match rejection.fault() {
            Fault::Peer => Height::MAX,
            Fault::Transient | Fault::Local => height,
        };
        remember(&mut self.unusable, id, until);
    }

    /// After a block, with the demands that left the market in it: takes out what is on chain (`None`) and what no
    /// block can bring any more, with the reason, and names what was replaced; in order of id.
    pub fn prune(&mut self, ledger: &Ledger, departed: &[Departed]) -> Vec<(RecordId, Option<DropReason>)> {
        let height = ledger.head().height;
        self.unusable.retain(|_, until| *until >= height);
        let mut gone = BTreeMap::new();
        gone.extend(self.replaced.drain(..).map(|(id, reason)| (id, Some(reason))));
        for (id, record) in self.contents.iter() {
            let RecordOutlook::Never(error) = ledger.check_record_now(record) else { continue };
            // Of what else may be wrong, the state may turn in the record's favour again.
            let used = matches!(error, StatementError::Account(AccountError::SequenceUsed { .. }));
            let is_over = used || matches!(error, StatementError::Expired { .. });
            let until = if is_over { Height::MAX } else { height };
            remember(&mut self.unusable, id, until);
            let is_on_chain = match record.content.statement {
                // A demand is on chain under its own id.
                Statement::Demand(_) => {
                    ledger.demand(id).is_some() || departed.iter().any(|(departed, _)| *departed == id)
                }
                // Of other kinds the chain keeps no ids: a used sequence number means the record itself, unless
                // its author signed two for it.
                Statement::Offer(_)
                | Statement::OfferWithdrawal
                | Statement::DemandCancellation { .. }
                | Statement::Transfer { .. } => used,
            };
            gone.insert(id, (!is_on_chain).then(|| DropReason::Record(error.into())));
        }
        for id in gone.keys() {
            self.remove(id);
        }
        gone.into_iter().collect()
    }

    fn remove(&mut self, id: &RecordId) {
        if self.contents.remove(id) {
            self.pending = None;
        }
    }

    /// What the next block can bring all together, in the order in which it should: each author's records
    /// by sequence number, otherwise the smallest id first; within the network's limits of a block.
    pub fn pending(&mut self, ledger: &Ledger) -> Arc<[Record]> {
        let head = ledger.head().hash;
        if let Some((_, pending)) = self.pending.as_ref().filter(|(at, _)| *at == head) {
            return Arc::clone(pending);
        }
        let candidates = self.candidates(ledger);
        let pending: Arc<[Record]> = if candidates.is_empty() {
            Arc::new([])
        } else {
            ledger.admissible_records(&candidates).0.into()
        };
        self.pending = Some((head, Arc::clone(&pending)));
        pending
    }

    fn candidates(&self, ledger: &Ledger) -> Vec<Record> {
        let height = ledger.head().height.saturating_add(1);
        let limits = &self.network.parameters().limits;
        let most = usize::try_from(limits.records_per_block).unwrap_or(usize::MAX);
        // Half of a block's bytes: the other half is for compositions and prices.
        let room = usize::try_from(limits.block_bytes).unwrap_or(usize::MAX) / 2;
        let mut fronts: BTreeSet<(RecordId, Address, u64)> = BTreeSet::new();
        for author in self.contents.authors() {
            let next = ledger.next_sequence(author);
            fronts.extend(self.front(author, next, height));
        }
        let (mut candidates, mut bytes) = (Vec::new(), 0_usize);
        while let Some((id, author, sequence)) = fronts.pop_first() {
            let held = self.contents.of_author(author);
            let size = held.and_then(|held| held.get(&sequence)).map_or(0, |&(_, size)| size);
            bytes = bytes.saturating_add(size);
            if candidates.len() >= most || bytes > room {
                break;
            }
            candidates.extend(self.contents.get(&id).cloned());
            fronts.extend(self.front(author, sequence.saturating_add(1), height));
        }
        candidates
    }

    /// The record of this author with this sequence number, if it may be in the block of this height.
    fn front(&self, author: Address, sequence: u64, height: Height) -> Option<(RecordId, Address, u64)> {
        let &(id, _) = self.contents.of_author(author)?.get(&sequence)?;
        let content = &self.contents.get(&id)?.content;
        (content.valid_from..=content.valid_until).contains(&height).then_some((id, author, sequence))
    }
}

/// Keeps the memory bounded; which id is forgotten does not matter, it would only be fetched once more.
fn remember(unusable: &mut BTreeMap<RecordId, Height>, id: RecordId, until: Height) {
    unusable.insert(id, until);
    if unusable.len() > UNUSABLE_IDS {
        unusable.pop_first();
    }
}
