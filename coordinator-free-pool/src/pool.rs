//! The set itself: admission, room, order, and what leaves after a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::codec::encode;
use chain::ledger::{
    AccountError, BringError, Departed, MarketStatementError, RecordOutlook, StatementError,
};
use chain::validate::RecordError;
use chain::{Address, BatchHash, Fault, Height, Ledger, Network, Record, RecordId, Statement, check_record};

use crate::contents::{PoolContents, expiry};
use crate::rejection::{DropReason, PoolRejection};
use crate::rooms::{Rooms, Share, last_of};

/// How much a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PoolLimits {
    pub records: usize,
    /// Bytes of all records.
    pub bytes: usize,
    /// Records of one author.
    pub per_author: usize,
    /// Bytes of all records that no batch could bring now; part of [`Self::bytes`].
    pub waiting_bytes: usize,
    /// Records of one author that no batch could bring now.
    pub waiting_per_author: usize,
    /// How far a sequence number may lie above its author's next one on chain.
    pub sequence_gap: u64,
}

impl Default for PoolLimits {
    /// Room for a hundred batches of a thousand small records; a sixteenth of it for what waits, which is some twenty
    /// thousand small ones.
    fn default() -> Self {
        Self {
            records: 100_000,
            bytes: 64 << 20,
            per_author: 1_024,
            waiting_bytes: 4 << 20,
            waiting_per_author: 512,
            sequence_gap: 1_024,
        }
    }
}

/// Ids remembered as of no use, so that they are not fetched again and again.
const UNUSABLE_IDS: usize = 20_000;

/// What a batch on this head can bring as long as its time is one of these.
#[derive(Debug)]
struct Pending {
    head: BatchHash,
    /// Milliseconds since the Unix epoch.
    times: std::ops::Range<u64>,
    records: Arc<[Record]>,
}

/// The records that no batch holds yet, as one node has them.
#[derive(Debug)]
pub struct Pool {
    limits: PoolLimits,
    network: Arc<Network>,
    contents: PoolContents,
    rooms: Rooms,
    /// The time as it was last told, milliseconds since the Unix epoch; what no batch brings then is not kept.
    time_ms: u64,
    /// Ids that need not be fetched while the head is at most this height.
    unusable: BTreeMap<RecordId, Height>,
    /// Replaced, or gave way, since the last [`Self::take_dropped`] or [`Self::prune`].
    dropped: Vec<(RecordId, DropReason)>,
    /// The last answer of [`Self::pending`]; emptied by every change.
    pending: Option<Pending>,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: PoolLimits, network: Arc<Network>) -> Self {
        Self {
            limits,
            network,
            contents: PoolContents::default(),
            rooms: Rooms::default(),
            time_ms: 0,
            unusable: BTreeMap::new(),
            dropped: Vec::new(),
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

    /// Takes a record in. What it takes the place of (with the same author and sequence number) and what gives way to
    /// it is named by the next [`Self::take_dropped`] or [`Self::prune`].
    ///
    /// # Errors
    /// The first rule that keeps it out, cheapest first, the signature last.
    pub fn insert(&mut self, record: Record, ledger: &Ledger) -> Result<RecordId, PoolRejection> {
        let id = record.id();
        if self.contains(&id) {
            return Err(PoolRejection::Duplicate(id));
        }
        match self.validate(&record, id, ledger) {
            Ok(admission) => {
                self.add(record, id, admission, ledger);
                Ok(id)
            }
            Err(rejection) => {
                self.note_unusable(id, &rejection, ledger.head().height);
                Err(rejection)
            }
        }
    }

    /// What was taken out by what came in, since this or [`Self::prune`] was last asked: to be forgotten on disk, too.
    pub fn take_dropped(&mut self) -> Vec<(RecordId, DropReason)> {
        std::mem::take(&mut self.dropped)
    }

    /// It is this time by the node's clock: what no batch brings any more leaves, and is named by the next
    /// [`Self::take_dropped`]. While the head rests, the rules would let the next batch be dated before; but nobody will
    /// date it so, and they would keep the room of a full pool for as long as no batch comes.
    pub fn pass_time(&mut self, timestamp_ms: u64, ledger: &Ledger) {
        self.time_ms = timestamp_ms;
        let expired: Vec<(u64, RecordId)> = self.contents.expired_by(timestamp_ms).collect();
        if expired.is_empty() {
            return;
        }
        for (_, id) in expired {
            let reason = self.get(&id).map(|record| DropReason::Record(expired_by(record, timestamp_ms)));
            self.remove(&id);
            remember(&mut self.unusable, id, ledger.head().height);
            self.dropped.extend(reason.map(|reason| (id, reason)));
        }
        // What came after them waits again.
        for id in self.trim_waiting() {
            remember(&mut self.unusable, id, ledger.head().height);
            self.dropped.push((id, DropReason::GaveWay));
        }
    }

    /// All rules.
    fn validate(&self, record: &Record, id: RecordId, ledger: &Ledger) -> Result<Admission, PoolRejection> {
        let bytes = encode(record).len();
        self.validate_size(bytes)?;
        // What its author owns is among the first that is looked at.
        if let RecordOutlook::Never(error) = ledger.check_record_now(record) {
            return Err(RecordError::from(error).into());
        }
        if expiry(record) <= self.time_ms {
            return Err(expired_by(record, self.time_ms).into());
        }
        let rival = self.validate_place(record, id, ledger)?;
        let gives_way = self.validate_room(record, bytes, rival, ledger)?;
        check_record(&self.network, record)?;
        Ok(Admission { bytes, gives_way })
    }

    fn validate_size(&self, got: usize) -> Result<(), PoolRejection> {
        let expected = usize::try_from(self.network.parameters().limits.record_bytes).unwrap_or(usize::MAX);
        if got > expected { Err(RecordError::TooLarge { got, expected }.into()) } else { Ok(()) }
    }

    /// Sequence number and rival; the rival's bytes, if there is one that it replaces.
    fn validate_place(
        &self,
        record: &Record,
        id: RecordId,
        ledger: &Ledger,
    ) -> Result<Option<usize>, PoolRejection> {
        let (author, got) = (record.author(), record.content.sequence);
        let expected = ledger.next_sequence(author).saturating_add(self.limits.sequence_gap);
        if got > expected {
            return Err(PoolRejection::GapTooWide { author, got, expected });
        }
        match self.contents.of_author(author).and_then(|held| held.get(&got)) {
            Some(&(kept, _)) if kept < id => {
                Err(PoolRejection::SequenceTaken { author, sequence: got, kept })
            }
            rival => Ok(rival.map(|&(_, bytes)| bytes)),
        }
    }

    /// Quotas and room; a rival's room is free once it is replaced. What has to give way, whoever holds most first.
    fn validate_room(
        &self,
        record: &Record,
        bytes: usize,
        rival: Option<usize>,
        ledger: &Ledger,
    ) -> Result<Vec<RecordId>, PoolRejection> {
        let (author, sequence) = (record.author(), record.content.sequence);
        let front = self.rooms.front(author, ledger.next_sequence(author));
        let is_ready = sequence <= front && ledger.is_within_reach(record);
        let (limits, is_new) = (&self.limits, rival.is_none());
        let (got, expected) = (self.contents.of_author(author).map_or(0, BTreeMap::len), limits.per_author);
        if is_new && got >= expected {
            return Err(PoolRejection::AuthorQuota { author, got, expected });
        }
        let (got, expected) = (self.rooms.waiting.of(author).records, limits.waiting_per_author);
        if is_new && !is_ready && got >= expected {
            return Err(PoolRejection::WaitingQuota { author, got, expected });
        }
        let others = |held: usize| held.saturating_sub(rival.unwrap_or(0)).saturating_add(bytes);
        let over = Share {
            records: self.len().saturating_add(usize::from(is_new)).saturating_sub(limits.records),
            bytes: others(self.bytes()).saturating_sub(limits.bytes),
        };
        if is_ready {
            return self.gives_way_to_ready(author, bytes, over).ok_or_else(|| self.full(over, others));
        }
        // A rival that was ready leaves no room among what waits.
        let waiting = self.rooms.waiting.held().bytes;
        let got = if sequence < front { waiting.saturating_add(bytes) } else { others(waiting) };
        let over_waiting = got.saturating_sub(limits.waiting_bytes);
        let wanted = Share { bytes: over.bytes.max(over_waiting), ..over };
        self.gives_way_to_waiting(author, bytes, wanted).ok_or_else(|| {
            let expected = limits.waiting_bytes;
            if over_waiting > 0 {
                PoolRejection::TooMuchWaiting { got, expected }
            } else {
                self.full(over, others)
            }
        })
    }

    fn full(&self, over: Share, others: impl Fn(usize) -> usize) -> PoolRejection {
        if over.records > 0 {
            PoolRejection::TooManyRecords { got: self.len(), expected: self.limits.records }
        } else {
            PoolRejection::TooManyBytes { got: others(self.bytes()), expected: self.limits.bytes }
        }
    }

    /// What gives way to a record that is ready: what waits, then the last of what the author holds who holds most of
    /// what is ready, if that leaves it no less than the newcomer's author then holds. `None` if there is no room.
    fn gives_way_to_ready(&self, author: Address, bytes: usize, wanted: Share) -> Option<Vec<RecordId>> {
        let (mut ids, mut freed) = (Vec::new(), Share::default());
        let left = |freed: Share| Share {
            records: wanted.records.saturating_sub(freed.records),
            bytes: wanted.bytes.saturating_sub(freed.bytes),
        };
        for other in self.rooms.waiting.largest_first() {
            if left(freed) == Share::default() {
                break;
            }
            let (some, of_other) = self.last_waiting_of(other, left(freed));
            ids.extend(some);
            freed = Share { records: freed.records + of_other.records, bytes: freed.bytes + of_other.bytes };
        }
        if left(freed) == Share::default() {
            return Some(ids);
        }
        let largest = self.rooms.ready.largest().filter(|&largest| largest != author)?;
        let ready = ..self.rooms.front(largest, 0);
        let (some, of_largest) = last_of(self.contents.of_author(largest)?, ready, left(freed));
        let kept = self.rooms.ready.of(largest).bytes.checked_sub(of_largest.bytes)?;
        let is_enough = of_largest.records >= left(freed).records
            && of_largest.bytes >= left(freed).bytes
            && kept >= self.rooms.ready.of(author).bytes.saturating_add(bytes);
        ids.extend(some);
        is_enough.then_some(ids)
    }

    /// What gives way to a record that waits: the last of what the author has waiting who has most, if that leaves it
    /// no less than the newcomer's author then has. `None` if there is no room.
    fn gives_way_to_waiting(&self, author: Address, bytes: usize, wanted: Share) -> Option<Vec<RecordId>> {
        if wanted == Share::default() {
            return Some(Vec::new());
        }
        let largest = self.rooms.waiting.largest().filter(|&largest| largest != author)?;
        let (ids, freed) = self.last_waiting_of(largest, wanted);
        let kept = self.rooms.waiting.of(largest).bytes.checked_sub(freed.bytes)?;
        let is_enough = freed.records >= wanted.records
            && freed.bytes >= wanted.bytes
            && kept >= self.rooms.waiting.of(author).bytes.saturating_add(bytes);
        is_enough.then_some(ids)
    }

    fn last_waiting_of(&self, author: Address, wanted: Share) -> (Vec<RecordId>, Share) {
        let held = self.contents.of_author(author);
        held.map_or_else(Default::default, |held| last_of(held, self.rooms.front(author, 0).., wanted))
    }

    fn add(&mut self, record: Record, id: RecordId, admission: Admission, ledger: &Ledger) {
        let height = ledger.head().height;
        for other in admission.gives_way {
            self.remove(&other);
            remember(&mut self.unusable, other, height);
            self.dropped.push((other, DropReason::GaveWay));
        }
        let place @ (author, _) = (record.author(), record.content.sequence);
        let replaced = self.contents.insert(record, id, admission.bytes);
        if let Some((rival, _)) = replaced {
            // Its place may become free again only on chain, so it is never wanted back.
            remember(&mut self.unusable, rival, Height::MAX);
            self.dropped.push((rival, DropReason::Replaced(id)));
        }
        let (next, bytes) = (ledger.next_sequence(author), replaced.map(|(_, bytes)| bytes));
        self.rooms.put(&self.contents, place, bytes, next, |record| ledger.is_within_reach(record));
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

    /// After a batch, with the demands that left the market in it: takes out what is on chain (`None`) and what no
    /// batch can bring any more or what there is no more room for, with the reason, and names what was dropped before;
    /// in order of id.
    pub fn prune(&mut self, ledger: &Ledger, departed: &[Departed]) -> Vec<(RecordId, Option<DropReason>)> {
        let height = ledger.head().height;
        self.unusable.retain(|_, until| *until >= height);
        let mut gone = BTreeMap::new();
        gone.extend(self.take_dropped().into_iter().map(|(id, reason)| (id, Some(reason))));
        for (id, record) in self.contents.iter() {
            let RecordOutlook::Never(error) = ledger.check_record_now(record) else { continue };
            // Of what else may be wrong, the state may turn in the record's favour again.
            let used = matches!(error, StatementError::Account(AccountError::SequenceUsed { .. }));
            let is_expired = matches!(
                error,
                StatementError::Expired { .. }
                    | StatementError::Market(MarketStatementError::DemandExpired { .. })
            );
            let is_over = used || is_expired;
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
            self.contents.remove(id);
        }
        self.pending = None;
        // Numbers were used: what is ready is found anew.
        let next = |author| ledger.next_sequence(author);
        self.rooms = Rooms::of(&self.contents, next, |record| ledger.is_within_reach(record));
        for id in self.trim_waiting() {
            remember(&mut self.unusable, id, height);
            gone.insert(id, Some(DropReason::GaveWay));
        }
        gone.into_iter().collect()
    }

    /// Takes out what waits beyond the quotas: what was ready may wait again, for want of one before it.
    fn trim_waiting(&mut self) -> Vec<RecordId> {
        let limits = self.limits;
        let mut gone = Vec::new();
        let authors: Vec<Address> = self.rooms.waiting.authors().collect();
        for author in authors {
            let records = self.rooms.waiting.of(author).records.saturating_sub(limits.waiting_per_author);
            gone.extend(self.take_last_waiting(author, Share { records, bytes: 0 }));
        }
        let over = |pool: &Self| pool.rooms.waiting.held().bytes.saturating_sub(limits.waiting_bytes);
        while over(self) > 0
            && let Some(largest) = self.rooms.waiting.largest()
        {
            gone.extend(self.take_last_waiting(largest, Share { records: 1, bytes: 0 }));
        }
        gone
    }

    fn take_last_waiting(&mut self, author: Address, wanted: Share) -> Vec<RecordId> {
        let (ids, _) = self.last_waiting_of(author, wanted);
        for id in &ids {
            self.remove(id);
        }
        ids
    }

    fn remove(&mut self, id: &RecordId) {
        if let Some((place, bytes)) = self.contents.remove(id) {
            self.rooms.remove(&self.contents, place, bytes);
            self.pending = None;
        }
    }

    /// What the next batch can bring all together at this time, in the order in which it should: each author's records
    /// by sequence number, otherwise the smallest id first; within the network's limits of a batch.
    pub fn pending(&mut self, ledger: &Ledger, timestamp_ms: u64) -> Arc<[Record]> {
        let head = ledger.head().hash;
        let is_asked = |last: &&Pending| last.head == head && last.times.contains(&timestamp_ms);
        if let Some(last) = self.pending.as_ref().filter(is_asked) {
            return Arc::clone(&last.records);
        }
        let Selection { records, until } = self.select(ledger, timestamp_ms);
        let records: Arc<[Record]> = records.into();
        self.pending = Some(Pending { head, times: timestamp_ms..until, records: Arc::clone(&records) });
        records
    }

    /// Only what the batch can bring takes its room: what is refused, and what its author has after it, would keep
    /// others' records out for nothing.
    fn select(&self, ledger: &Ledger, timestamp_ms: u64) -> Selection {
        let limits = &self.network.parameters().limits;
        let most = usize::try_from(limits.records_per_batch).unwrap_or(usize::MAX);
        // Half of a batch's bytes: the other half is for compositions and prices.
        let mut room = usize::try_from(limits.batch_bytes).unwrap_or(usize::MAX) / 2;
        let until = ledger.next_departure_after(timestamp_ms).unwrap_or(u64::MAX);
        let mut selection = Selection { records: Vec::new(), until };
        let Ok(mut trial) = ledger.try_records(timestamp_ms) else { return selection };
        let mut fronts: BTreeSet<(RecordId, Address, u64)> = BTreeSet::new();
        for author in self.contents.authors() {
            fronts.extend(self.front(author, ledger.next_sequence(author)));
        }
        while selection.records.len() < most
            && let Some((id, author, sequence)) = fronts.pop_first()
        {
            let Some(record) = self.contents.get(&id) else { continue };
            selection.until = next_change(record, ledger, timestamp_ms).fold(selection.until, u64::min);
            let held = self.contents.of_author(author).and_then(|held| held.get(&sequence));
            let size = held.map_or(0, |&(_, size)| size);
            // What does not fit any more waits for the next batch; smaller ones may.
            let Some(left) = room.checked_sub(size) else { continue };
            match trial.bring(record, id) {
                Ok(()) => {
                    room = left;
                    selection.records.push(record.clone());
                    fronts.extend(self.front(author, sequence.saturating_add(1)));
                }
                Err(BringError::Refused(_)) => {}
                Err(BringError::Internal(_)) => break,
            }
        }
        selection
    }

    /// The record of this author with this sequence number.
    fn front(&self, author: Address, sequence: u64) -> Option<(RecordId, Address, u64)> {
        let &(id, _) = self.contents.of_author(author)?.get(&sequence)?;
        Some((id, author, sequence))
    }
}

/// What taking a record in comes to.
struct Admission {
    bytes: usize,
    /// What leaves to make room.
    gives_way: Vec<RecordId>,
}

/// What the next batch can bring.
struct Selection {
    records: Vec<Record>,
    /// From when on it may be something else, milliseconds since the Unix epoch.
    until: u64,
}

/// Why no batch of this time can bring a record that is too late.
fn expired_by(record: &Record, timestamp_ms: u64) -> RecordError {
    match &record.content.statement {
        Statement::Demand(demand) if demand.expires_ms <= timestamp_ms => {
            let (got, expected) = (demand.expires_ms, timestamp_ms);
            StatementError::from(MarketStatementError::DemandExpired { got, expected }).into()
        }
        Statement::Demand(_)
        | Statement::Offer(_)
        | Statement::OfferWithdrawal
        | Statement::DemandCancellation { .. }
        | Statement::Transfer { .. } => {
            let (got, expected) = (timestamp_ms, record.content.valid_until_ms);
            StatementError::Expired { got, expected }.into()
        }
    }
}

/// When the passing of time alone changes whether a batch can bring this record: it is too late, or a demand comes within
/// reach of its longest lifetime.
fn next_change(record: &Record, ledger: &Ledger, timestamp_ms: u64) -> impl Iterator<Item = u64> {
    let lifetime_ms = ledger.network().parameters().demand_lifetime_max_ms;
    let reach = match &record.content.statement {
        Statement::Demand(demand) => Some(demand.expires_ms.saturating_sub(lifetime_ms)),
        Statement::Offer(_)
        | Statement::OfferWithdrawal
        | Statement::DemandCancellation { .. }
        | Statement::Transfer { .. } => None,
    };
    [expiry(record)].into_iter().chain(reach).filter(move |&change| change > timestamp_ms)
}

/// Keeps the memory bounded; which id is forgotten does not matter, it would only be fetched once more.
fn remember(unusable: &mut BTreeMap<RecordId, Height>, id: RecordId, until: Height) {
    unusable.insert(id, until);
    if unusable.len() > UNUSABLE_IDS {
        unusable.pop_first();
    }
}
