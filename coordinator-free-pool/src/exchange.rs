//! Keeping pools the same: announcements, requests with timeouts, reconciliation. One per node; what it
//! keeps about peers and wanted records is bounded by what it may want of each peer.

use std::collections::{BTreeMap, BTreeSet};

use chain::codec::encode;
use chain::{Ledger, PublicKey, Record, RecordId};

use crate::message::{MESSAGE_IDS, PoolMessage, RECONCILE_BYTES, RESPONSE_BYTES};
use crate::pool::Pool;
use crate::reconcile::SortedIds;
use crate::rejection::PoolRejection;

/// A request unanswered for so long goes to another peer, or to the same one again.
const REQUEST_TIMEOUT_MS: u64 = 1_000;
/// Requests for one id, before it is left to the next reconciliation.
const ATTEMPTS: u32 = 8;
/// Ids wanted at a time because one peer announced them, and ids asked of one peer at a time. Names can be invented: they
/// take the place of nothing that others announce. What has no place comes with a later reconciliation.
const IDS_OF_PEER: usize = MESSAGE_IDS;
/// A peer is told of as silent when it has left so many more ids unanswered than answered. A single id means nothing: its
/// record may have come on chain since it was announced.
const SILENT_IDS: u32 = 1_024;
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

/// What became of the passing of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// To be sent.
    pub messages: Vec<(PublicKey, PoolMessage)>,
    /// Who announces a thousand records and delivers none of them: mildly to blame.
    pub silent: Vec<PublicKey>,
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
    /// Of those, the ones nobody has been asked for.
    unasked: BTreeSet<RecordId>,
    /// Peers of whom anything was wanted.
    peers: BTreeMap<PublicKey, Account>,
    /// Comparisons begun here.
    sessions: BTreeMap<PublicKey, Session>,
    sorted_ids: SortedIds,
}

/// What is wanted of a peer, and how it answers.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Ids in its share of places.
    wanted: usize,
    /// Ids it has been asked for.
    asked: usize,
    /// Requests unanswered, less those answered: who has the least is asked first.
    unanswered: u32,
    /// Ids never answered, less those answered, since it was last told of as silent.
    untold: u32,
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
#[derive(Debug)]
struct Want {
    /// In whose share of places it is.
    place_of: PublicKey,
    announcers: Vec<PublicKey>,
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
            PoolMessage::Records(records) => self.take(pool, peer, records, ledger, &mut done),
            PoolMessage::ReconcileQuery(query) => match self.sorted_ids.answer(pool, &query) {
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
        let Ok(query) = self.sorted_ids.begin(pool) else { return Vec::new() };
        self.sessions.insert(peer, Session { rounds: ROUNDS, until_ms: timeout(now_ms) });
        vec![(peer, PoolMessage::ReconcileQuery(query))]
    }

    /// Asks again for what has not come in time; to be called a few times a second.
    pub fn tick(&mut self, now_ms: u64) -> Ticked {
        let mut silent = Vec::new();
        let late =
            self.wanted.iter().filter(|(_, want)| want.asked.is_some_and(|(_, until)| until <= now_ms));
        let late: Vec<RecordId> = late.map(|(&id, _)| id).collect();
        for id in late {
            let asked = self.take_back_request(&id);
            let account = asked.and_then(|peer| Some((peer, self.peers.get_mut(&peer)?)));
            if let Some((peer, account)) = account {
                account.unanswered = account.unanswered.saturating_add(1);
                let is_first = self.wanted.get(&id).is_some_and(|want| want.attempts == 1);
                account.untold = account.untold.saturating_add(is_first.into());
                if account.untold >= SILENT_IDS {
                    account.untold = 0;
                    silent.push(peer);
                }
            }
            if self.wanted.get(&id).is_some_and(|want| want.attempts >= ATTEMPTS) {
                self.forget(&id);
            }
        }
        Ticked { messages: self.ask(now_ms), silent }
    }

    /// Forgets a peer that is gone; what it was asked for is asked of others.
    pub fn forget_peer(&mut self, peer: &PublicKey) {
        self.sessions.remove(peer);
        let theirs = self.wanted.iter().filter(|(_, want)| want.announcers.contains(peer));
        let theirs: Vec<RecordId> = theirs.map(|(&id, _)| id).collect();
        for id in theirs {
            if self.wanted.get(&id).is_some_and(|want| want.asked.is_some_and(|(asked, _)| asked == *peer)) {
                self.take_back_request(&id);
            }
            let Some(want) = self.wanted.get_mut(&id) else { continue };
            want.announcers.retain(|announcer| announcer != peer);
            if want.place_of != *peer {
                continue;
            }
            // Whoever else announced it takes it over, or it comes with a later reconciliation.
            let peers = &mut self.peers;
            let has_place =
                |heir: &&PublicKey| peers.get(*heir).is_none_or(|account| account.wanted < IDS_OF_PEER);
            match want.announcers.iter().find(has_place).copied() {
                Some(heir) => {
                    want.place_of = heir;
                    let account = peers.entry(heir).or_default();
                    account.wanted = account.wanted.saturating_add(1);
                }
                None => {
                    self.forget(&id);
                }
            }
        }
        self.peers.remove(peer);
    }

    /// Whether a peer has been asked for records that have not come.
    pub fn awaits_records(&self, peer: &PublicKey) -> bool {
        self.peers.get(peer).is_some_and(|account| account.asked > 0)
    }

    /// Whether a peer has been asked for this record, and it has not come.
    pub fn awaits_record(&self, peer: &PublicKey, id: &RecordId) -> bool {
        self.wanted.get(id).is_some_and(|want| want.asked.is_some_and(|(asked, _)| asked == *peer))
    }

    /// Whether a peer has been asked for a round of a comparison and still has time to answer.
    pub fn awaits_reply(&self, peer: &PublicKey, now_ms: u64) -> bool {
        self.sessions.get(peer).is_some_and(|session| session.until_ms > now_ms)
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
            if let Some(want) = self.wanted.get_mut(&id) {
                if want.announcers.len() < ANNOUNCERS && !want.announcers.contains(&peer) {
                    want.announcers.push(peer);
                }
                continue;
            }
            let account = self.peers.entry(peer).or_default();
            if account.wanted >= IDS_OF_PEER || !pool.wants(&id, ledger) {
                continue;
            }
            account.wanted = account.wanted.saturating_add(1);
            self.wanted.insert(id, Want { place_of: peer, announcers: vec![peer], asked: None, attempts: 0 });
            self.unasked.insert(id);
        }
    }

    /// Requests for all that is wanted and not asked for, as far as the announcers' allowance goes: of each record's
    /// announcers the one that answers best.
    fn ask(&mut self, now_ms: u64) -> Vec<(PublicKey, PoolMessage)> {
        let mut requests: BTreeMap<PublicKey, Vec<RecordId>> = BTreeMap::new();
        for &id in &self.unasked {
            let Some(want) = self.wanted.get_mut(&id) else { continue };
            let account = |peer: &PublicKey| self.peers.get(peer).copied().unwrap_or_default();
            let free = want.announcers.iter().filter(|peer| account(peer).asked < IDS_OF_PEER);
            // The first of those that are equally good.
            let Some(&peer) = free.min_by_key(|peer| account(peer).unanswered) else { continue };
            let asked = &mut self.peers.entry(peer).or_default().asked;
            *asked = asked.saturating_add(1);
            want.asked = Some((peer, timeout(now_ms)));
            want.attempts = want.attempts.saturating_add(1);
            requests.entry(peer).or_default().push(id);
        }
        for id in requests.values().flatten() {
            self.unasked.remove(id);
        }
        requests.into_iter().map(|(peer, ids)| (peer, PoolMessage::Request(ids))).collect()
    }

    /// Waits no longer for whoever was asked for a record, and says who that is.
    fn take_back_request(&mut self, id: &RecordId) -> Option<PublicKey> {
        let want = self.wanted.get_mut(id)?;
        let (asked, _) = want.asked.take()?;
        self.unasked.insert(*id);
        if let Some(account) = self.peers.get_mut(&asked) {
            account.asked = account.asked.saturating_sub(1);
        }
        Some(asked)
    }

    /// A record is wanted no longer; says who had been asked for it.
    fn forget(&mut self, id: &RecordId) -> Option<PublicKey> {
        let asked = self.take_back_request(id);
        self.unasked.remove(id);
        let want = self.wanted.remove(id)?;
        if let Some(account) = self.peers.get_mut(&want.place_of) {
            account.wanted = account.wanted.saturating_sub(1);
        }
        asked
    }

    fn take(
        &mut self,
        pool: &mut Pool,
        peer: PublicKey,
        records: Vec<Record>,
        ledger: &Ledger,
        done: &mut Exchanged,
    ) {
        for record in records {
            let id = record.id();
            if self.forget(&id) == Some(peer)
                && let Some(account) = self.peers.get_mut(&peer)
            {
                account.unanswered = account.unanswered.saturating_sub(1);
                account.untold = account.untold.saturating_sub(1);
            }
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
        let difference = match self.sorted_ids.compare(pool, reply) {
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
