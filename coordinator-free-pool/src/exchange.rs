//! Keeping pools the same: announcements, requests with timeouts, reconciliation. One per node; what it
//! keeps about peers and wanted records is bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chain::codec::encode;
use chain::{Ledger, PublicKey, Record, RecordId};

use crate::message::{MESSAGE_IDS, PoolMessage, RECONCILE_BYTES, RESPONSE_BYTES};
use crate::pool::Pool;
use crate::reconcile;
use crate::rejection::PoolRejection;

/// A request unanswered for so long goes to another peer, or to the same one again.
const REQUEST_TIMEOUT_MS: u64 = 1_000;
/// Requests for one id, before it is left to the next reconciliation.
const ATTEMPTS: u32 = 8;
/// Ids wanted at a time.
const WANTED_IDS: usize = 16_384;
/// Ids asked of one peer at a time.
const ASKED_OF_PEER: usize = MESSAGE_IDS;
/// Peers remembered for having announced an id.
const ANNOUNCERS: usize = 4;
/// Rounds of one reconciliation.
const ROUNDS: u32 = 64;
/// Messages of records that answer one request: the rest is asked for again.
const RESPONSES: usize = 4;

/// What a message led to.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// To be sent.
    pub messages: Vec<(PublicKey, PoolMessage)>,
    /// New in the pool: to be stored, and announced to the other peers.
    pub accepted: Vec<Record>,
    /// Refused by the pool, with the reason; the sender is to blame for some.
    pub rejected: Vec<(RecordId, PoolRejection)>,
    /// The message itself broke a limit or made no sense: the sender is to blame.
    pub fault: Option<ExchangeFault>,
}

/// What a peer did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeFault {
    /// More ids or records than a message may have.
    #[error("a pool message with {got} items, expected at most {expected}")]
    TooManyItems {
        /// Items received.
        got: usize,
        /// [`MESSAGE_IDS`].
        expected: usize,
    },
    /// A larger reconciliation message than allowed.
    #[error("a reconciliation message of {got} bytes, expected at most {expected}")]
    ReconcileTooLarge {
        /// Bytes received.
        got: usize,
        /// [`RECONCILE_BYTES`].
        expected: usize,
    },
    /// A malformed reconciliation message.
    #[error("reconciliation: {0}")]
    Reconcile(String),
}

/// The state of a node's exchange with all its peers.
#[derive(Debug, Default)]
pub struct Exchange {
    wanted: BTreeMap<RecordId, Want>,
    /// Comparisons begun here.
    sessions: BTreeMap<PublicKey, Session>,
}

/// A comparison that waits for a peer's reply.
#[derive(Clone, Copy, Debug)]
struct Session {
    /// Rounds left.
    rounds: u32,
    /// Until when to wait.
    until_ms: u64,
}

/// A record announced and not yet here.
#[derive(Debug, Default)]
struct Want {
    announcers: VecDeque<PublicKey>,
    /// Who has been asked, and until when to wait.
    asked: Option<(PublicKey, u64)>,
    attempts: u32,
}

impl Exchange {
    /// Takes a peer's message at `now_ms`, any clock that does not go back.
    pub fn handle(
        &mut self,
        pool: &mut Pool,
        peer: PublicKey,
        message: PoolMessage,
        ledger: &Ledger,
        now_ms: u64,
    ) -> Exchanged {
        let mut done = Exchanged::default();
        if let Err(fault) = validate(&message) {
            done.fault = Some(fault);
            return done;
        }
        match message {
            PoolMessage::Announce(ids) => self.want(pool, peer, ids, ledger),
            PoolMessage::Request(ids) => done.messages = respond(pool, peer, &ids),
            PoolMessage::Records(records) => self.take(pool, records, ledger, &mut done),
            PoolMessage::ReconcileQuery(query) => match reconcile::answer(pool, &query) {
                Ok(reply) => done.messages.push((peer, PoolMessage::ReconcileReply(reply))),
                Err(error) => done.fault = Some(ExchangeFault::Reconcile(error.to_string())),
            },
            PoolMessage::ReconcileReply(reply) => self.compare(pool, peer, &reply, ledger, now_ms, &mut done),
        }
        done.messages.extend(self.ask(now_ms));
        done
    }

    /// Begins to compare the pool with a peer's, unless a comparison with it is going on.
    pub fn reconcile_with(
        &mut self,
        pool: &Pool,
        peer: PublicKey,
        now_ms: u64,
    ) -> Vec<(PublicKey, PoolMessage)> {
        if self.sessions.get(&peer).is_some_and(|session| session.until_ms > now_ms) {
            return Vec::new();
        }
        // Beginning fails for misused storage only, which `reconcile` does not.
        let Ok(query) = reconcile::begin(pool) else { return Vec::new() };
        self.sessions.insert(peer, Session { rounds: ROUNDS, until_ms: timeout(now_ms) });
        vec![(peer, PoolMessage::ReconcileQuery(query))]
    }

    /// Asks again for what has not come in time; to be called a few times a second.
    pub fn tick(&mut self, now_ms: u64) -> Vec<(PublicKey, PoolMessage)> {
        for want in self.wanted.values_mut() {
            if want.asked.is_some_and(|(_, until)| until <= now_ms) {
                want.asked = None;
                // Whoever did not answer is asked again last.
                want.announcers.rotate_left(1.min(want.announcers.len()));
            }
        }
        self.wanted.retain(|_, want| want.asked.is_some() || want.attempts < ATTEMPTS);
        self.ask(now_ms)
    }

    /// Forgets a peer that is gone; what it was asked for is asked of others.
    pub fn forget_peer(&mut self, peer: &PublicKey) {
        self.sessions.remove(peer);
        for want in self.wanted.values_mut() {
            want.announcers.retain(|announcer| announcer != peer);
            want.asked = want.asked.filter(|(asked, _)| asked != peer);
        }
        self.wanted.retain(|_, want| !want.announcers.is_empty());
    }

    /// Ids wanted and not yet here.
    pub fn wanted(&self) -> usize {
        self.wanted.len()
    }

    fn want(
        &mut self,
        pool: &Pool,
        peer: PublicKey,
        ids: impl IntoIterator<Item = RecordId>,
        ledger: &Ledger,
    ) {
        for id in ids {
            let full = self.wanted.len() >= WANTED_IDS && !self.wanted.contains_key(&id);
            if full || !pool.wants(&id, ledger) {
                continue;
            }
            let want = self.wanted.entry(id).or_default();
            if want.announcers.len() < ANNOUNCERS && !want.announcers.contains(&peer) {
                want.announcers.push_back(peer);
            }
        }
    }

    /// Requests for all that is wanted and not asked for, as far as the announcers' allowance goes.
    fn ask(&mut self, now_ms: u64) -> Vec<(PublicKey, PoolMessage)> {
        let mut asked: BTreeMap<PublicKey, usize> = BTreeMap::new();
        for (peer, _) in self.wanted.values().filter_map(|want| want.asked) {
            *asked.entry(peer).or_default() += 1;
        }
        let mut requests: BTreeMap<PublicKey, Vec<RecordId>> = BTreeMap::new();
        for (&id, want) in self.wanted.iter_mut().filter(|(_, want)| want.asked.is_none()) {
            let free = |peer: &&PublicKey| asked.get(*peer).is_none_or(|&count| count < ASKED_OF_PEER);
            let Some(&peer) = want.announcers.iter().find(free) else { continue };
            *asked.entry(peer).or_default() += 1;
            want.asked = Some((peer, timeout(now_ms)));
            want.attempts += 1;
            requests.entry(peer).or_default().push(id);
        }
        requests.into_iter().map(|(peer, ids)| (peer, PoolMessage::Request(ids))).collect()
    }

    fn take(&mut self, pool: &mut Pool, records: Vec<Record>, ledger: &Ledger, done: &mut Exchanged) {
        for record in records {
            let id = record.id();
            self.wanted.remove(&id);
            // A second copy of what came in between is nobody's fault.
            if pool.contains(&id) {
                continue;
            }
            match pool.insert(record.clone(), ledger) {
                Ok(_) => done.accepted.push(record),
                Err(rejection) => done.rejected.push((id, rejection)),
            }
        }
    }

    fn compare(
        &mut self,
        pool: &Pool,
        peer: PublicKey,
        reply: &[u8],
        ledger: &Ledger,
        now_ms: u64,
        done: &mut Exchanged,
    ) {
        // A reply to a comparison that was given up is late, no lie.
        let Some(Session { rounds, .. }) = self.sessions.remove(&peer) else { return };
        let difference = match reconcile::compare(pool, reply) {
            Ok(difference) => difference,
            Err(error) => {
                done.fault = Some(ExchangeFault::Reconcile(error.to_string()));
                return;
            }
        };
        self.want(pool, peer, difference.needed, ledger);
        let lacking: Vec<_> = difference.lacking.into_iter().collect();
        let announcements = lacking.chunks(MESSAGE_IDS).map(|ids| PoolMessage::Announce(ids.to_vec()));
        done.messages.extend(announcements.map(|announcement| (peer, announcement)));
        if let Some(query) = difference.query.filter(|_| rounds > 1) {
            self.sessions.insert(peer, Session { rounds: rounds - 1, until_ms: timeout(now_ms) });
            done.messages.push((peer, PoolMessage::ReconcileQuery(query)));
        }
    }
}

const fn timeout(now_ms: u64) -> u64 {
    now_ms.saturating_add(REQUEST_TIMEOUT_MS)
}

fn validate(message: &PoolMessage) -> Result<(), ExchangeFault> {
    let items = |got: usize| {
        let expected = MESSAGE_IDS;
        if got > expected { Err(ExchangeFault::TooManyItems { got, expected }) } else { Ok(()) }
    };
    match message {
        PoolMessage::Announce(ids) | PoolMessage::Request(ids) => items(ids.len()),
        PoolMessage::Records(records) => items(records.len()),
        PoolMessage::ReconcileQuery(bytes) | PoolMessage::ReconcileReply(bytes) => {
            let (got, expected) = (bytes.len(), RECONCILE_BYTES);
            if got > expected { Err(ExchangeFault::ReconcileTooLarge { got, expected }) } else { Ok(()) }
        }
    }
}

/// What is held of these, each once, in order of author and sequence number so that few arrive ahead of
/// their predecessors; at most [`RESPONSES`] messages.
fn respond(pool: &Pool, peer: PublicKey, ids: &[RecordId]) -> Vec<(PublicKey, PoolMessage)> {
    let distinct: BTreeSet<_> = ids.iter().collect();
    let mut records: Vec<_> = distinct.into_iter().filter_map(|id| pool.get(id)).collect();
    records.sort_by_key(|record| (record.content.author, record.content.sequence));
    let mut responses: Vec<Vec<Record>> = Vec::new();
    let mut room = 0_usize;
    for record in records {
        let bytes = encode(record).len();
        if responses.is_empty() || bytes > room {
            if responses.len() == RESPONSES {
                break;
            }
            responses.push(Vec::new());
            room = RESPONSE_BYTES;
        }
        room = room.saturating_sub(bytes);
        if let Some(response) = responses.last_mut() {
            response.push(record.clone());
        }
    }
    responses.into_iter().map(|records| (peer, PoolMessage::Records(records))).collect()
}
