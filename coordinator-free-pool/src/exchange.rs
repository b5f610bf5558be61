//! The conversation between pools: announce, fetch, reconcile.

use std::collections::{BTreeMap, BTreeSet};

use chain::codec::encode;
use chain::{Hash, Ledger, PublicKey, Record, RecordId};
use negentropy::{Id, Negentropy, NegentropyStorageVector};

use crate::message::{MESSAGE_IDS, MESSAGE_RECORD_BYTES, MESSAGE_RECORDS, PoolMessage, RECONCILE_BYTES};
use crate::pool::Pool;
use crate::rejection::PoolRejection;

/// How long a peer has to send a record it announced.
const REQUEST_TIMEOUT_MS: u64 = 1_000;
/// How long a reconciliation may rest before a new one with the same peer replaces it.
const SESSION_TIMEOUT_MS: u64 = 3_000;
/// Records being fetched at a time.
const REQUESTS: usize = 10_000;
/// Peers remembered per record as having announced it.
const SOURCES: usize = 4;

/// What a pool has asked for and whom it is reconciling with.
#[derive(Debug, Default)]
pub struct Exchange {
    requests: BTreeMap<RecordId, Request>,
    sessions: BTreeMap<PublicKey, Session>,
}

/// A record on its way.
#[derive(Debug)]
struct Request {
    /// Peers that have it; the first one has been asked.
    sources: Vec<PublicKey>,
    asked_ms: u64,
}

/// A reconciliation that we began.
struct Session {
    negentropy: Negentropy<'static, NegentropyStorageVector>,
    last_ms: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("last_ms", &self.last_ms).finish_non_exhaustive()
    }
}

/// What came of a message.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// Messages to send.
    pub messages: Vec<(PublicKey, PoolMessage)>,
    /// Records that entered the pool; to be kept, and announced to the other peers.
    pub accepted: Vec<Record>,
    /// Records that did not, and why.
    pub rejected: Vec<(RecordId, PoolRejection)>,
    /// The peer broke the rules of the conversation, in these words.
    pub fault: Option<String>,
}

impl Exchange {
    /// Takes in a message of a peer.
    pub fn handle(
        &mut self,
        pool: &mut Pool,
        peer: PublicKey,
        message: PoolMessage,
        ledger: &Ledger,
        now_ms: u64,
    ) -> Exchanged {
        let mut exchanged = Exchanged::default();
        if let Some((list, got, expected)) = message.excess() {
            exchanged.fault = Some(format!("{got} {list}, at most {expected} allowed"));
            return exchanged;
        }
        match message {
            PoolMessage::Announce(ids) => self.want(pool, peer, ids, now_ms, &mut exchanged),
            PoolMessage::Request(ids) => serve(pool, peer, &ids, &mut exchanged),
            PoolMessage::Records(records) => self.take_in(pool, records, ledger, &mut exchanged),
            PoolMessage::Reconcile(bytes) => answer(pool, peer, &bytes, &mut exchanged),
            PoolMessage::ReconcileReply(bytes) => {
                self.go_on(pool, peer, &bytes, now_ms, &mut exchanged);
            }
        }
        exchanged
    }

    /// Begins to compare our records with a peer's, unless that is under way.
    pub fn reconcile_with(
        &mut self,
        pool: &Pool,
        peer: PublicKey,
        now_ms: u64,
    ) -> Option<(PublicKey, PoolMessage)> {
        let busy = |session: &Session| now_ms < session.last_ms.saturating_add(SESSION_TIMEOUT_MS);
        if self.sessions.get(&peer).is_some_and(busy) {
            return None;
        }
        let mut negentropy = snapshot(pool)?;
        let first = negentropy.initiate().ok()?;
        self.sessions.insert(peer, Session { negentropy, last_ms: now_ms });
        Some((peer, PoolMessage::Reconcile(first)))
    }

    /// Asks the next source for what has not come in time.
    pub fn tick(&mut self, now_ms: u64) -> Vec<(PublicKey, PoolMessage)> {
        let mut asks: BTreeMap<PublicKey, Vec<RecordId>> = BTreeMap::new();
        self.requests.retain(|&id, request| {
            if now_ms < request.asked_ms.saturating_add(REQUEST_TIMEOUT_MS) {
                return true;
            }
            request.sources.remove(0);
            request.asked_ms = now_ms;
            match request.sources.first() {
                Some(&next) => {
                    asks.entry(next).or_default().push(id);
                    true
                }
                None => false, // reconciliation will find somebody who has it
            }
        });
        asks.into_iter().flat_map(|(peer, ids)| in_requests(peer, &ids)).collect()
    }

    /// A peer is gone: nothing more will come from it.
    pub fn forget_peer(&mut self, peer: &PublicKey) {
        self.sessions.remove(peer);
        self.requests.retain(|_, request| {
            let asked_it = request.sources.first() == Some(peer);
            request.sources.retain(|source| source != peer);
            if asked_it {
                request.asked_ms = 0; // ask the next one at the next tick
                request.sources.insert(0, *peer);
            }
            !request.sources.is_empty()
        });
    }

    fn want(
        &mut self,
        pool: &Pool,
        peer: PublicKey,
        ids: Vec<RecordId>,
        now_ms: u64,
        exchanged: &mut Exchanged,
    ) {
        let mut asks = Vec::new();
        for id in ids {
            if pool.contains(&id) {
                continue;
            }
            if let Some(request) = self.requests.get_mut(&id) {
                if request.sources.len() < SOURCES && !request.sources.contains(&peer) {
                    request.sources.push(peer);
                }
            } else if self.requests.len() < REQUESTS {
                self.requests.insert(id, Request { sources: vec![peer], asked_ms: now_ms });
                asks.push(id);
            }
        }
        exchanged.messages.extend(in_requests(peer, &asks));
    }

    fn take_in(&mut self, pool: &mut Pool, records: Vec<Record>, ledger: &Ledger, exchanged: &mut Exchanged) {
        for record in records {
            let id = record.id();
            self.requests.remove(&id);
            match pool.insert(record.clone(), ledger) {
                Ok(_) => exchanged.accepted.push(record),
                Err(PoolRejection::Known) => {}
                Err(rejection) => exchanged.rejected.push((id, rejection)),
            }
        }
    }

    /// The next step of a reconciliation that we began: ask for what we need, send what the peer needs.
    fn go_on(&mut self, pool: &Pool, peer: PublicKey, bytes: &[u8], now_ms: u64, exchanged: &mut Exchanged) {
        let Some(mut session) = self.sessions.remove(&peer) else { return };
        let (mut have, mut need) = (Vec::new(), Vec::new());
        match session.negentropy.reconcile_with_ids(bytes, &mut have, &mut need) {
            Ok(Some(next)) => {
                exchanged.messages.push((peer, PoolMessage::Reconcile(next)));
                session.last_ms = now_ms;
                self.sessions.insert(peer, session);
            }
            Ok(None) => {}
            Err(error) => {
                exchanged.fault = Some(format!("a malformed answer in set reconciliation: {error}"));
                return;
            }
        }
        // Both come out in no particular order.
        let sorted = |ids: Vec<Id>| ids.iter().map(record_id).collect::<BTreeSet<_>>();
        let (have, need) = (sorted(have), sorted(need));
        let give: Vec<RecordId> = have.into_iter().collect();
        for ids in give.chunks(MESSAGE_IDS) {
            serve(pool, peer, ids, exchanged);
        }
        self.want(pool, peer, need.into_iter().collect(), now_ms, exchanged);
    }
}

/// Answers one step of a reconciliation that the peer began; nothing is remembered.
fn answer(pool: &Pool, peer: PublicKey, bytes: &[u8], exchanged: &mut Exchanged) {
    let Some(mut negentropy) = snapshot(pool) else { return };
    match negentropy.reconcile(bytes) {
        Ok(reply) => exchanged.messages.push((peer, PoolMessage::ReconcileReply(reply))),
        Err(error) => exchanged.fault = Some(format!("a malformed step in set reconciliation: {error}")),
    }
}

/// Sends what the pool has of these, in messages within the limits.
fn serve(pool: &Pool, peer: PublicKey, ids: &[RecordId], exchanged: &mut Exchanged) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for record in ids.iter().filter_map(|id| pool.get(id)) {
        let length = encode(record).len();
        if !batch.is_empty() && (bytes + length > MESSAGE_RECORD_BYTES || batch.len() == MESSAGE_RECORDS) {
            exchanged.messages.push((peer, PoolMessage::Records(std::mem::take(&mut batch))));
            bytes = 0;
        }
        bytes += length;
        batch.push(record.clone());
    }
    if !batch.is_empty() {
        exchanged.messages.push((peer, PoolMessage::Records(batch)));
    }
}

fn in_requests(peer: PublicKey, ids: &[RecordId]) -> impl Iterator<Item = (PublicKey, PoolMessage)> + use<> {
    let messages: Vec<_> =
        ids.chunks(MESSAGE_IDS).map(|ids| (peer, PoolMessage::Request(ids.to_vec()))).collect();
    messages.into_iter()
}

/// The pool's ids as a reconciliation sees them. All carry the same timestamp: ids alone order them.
fn snapshot(pool: &Pool) -> Option<Negentropy<'static, NegentropyStorageVector>> {
    let mut storage = NegentropyStorageVector::new();
    for id in pool.ids() {
        storage.insert(0, Id::from_byte_array(id.0.0)).ok()?;
    }
    storage.seal().ok()?;
    Negentropy::owned(storage, RECONCILE_BYTES as u64).ok()
}

fn record_id(id: &Id) -> RecordId {
    RecordId(Hash(*id.as_bytes()))
}
