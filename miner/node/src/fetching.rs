//! Batches that are asked for: whom next, how long it is waited, and whose places they take. A name may be invented and
//! a body withheld, so each peer has places of its own, and who does not deliver is asked last.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chain::{BatchHash, Height, PublicKey};

use super::io::Effect;
use super::message::Message;
use super::{Blame, Node, Now};

/// Names of one peer's that nobody votes on, and batches that it is sent at a time: as many as a status tells.
const OF_A_PEER: usize = 8;
/// How often in a row a peer may announce a batch and not deliver it before it is blamed: messages get lost.
const FORGIVEN: u32 = 2;
/// Requests for one batch that are waited for together, once validators vote on it.
const TOGETHER: usize = 2;
/// Waits grow no longer than to this many times the first.
const GROWTH: u64 = 8;

/// Batches being fetched, and how peers have behaved.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    wanted: BTreeMap<BatchHash, Wanted>,
    /// Of connected peers alone.
    conduct: BTreeMap<PublicKey, Conduct>,
}

/// A batch that is not here yet.
#[derive(Debug)]
struct Wanted {
    /// In whose places it is.
    sponsor: PublicKey,
    sources: Vec<Source>,
    asks: u64,
}

/// A peer that should have a batch.
#[derive(Clone, Copy, Debug)]
struct Source {
    peer: PublicKey,
    /// It said so itself; otherwise others say so, and it is not to blame.
    announced: bool,
    asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at_ms: u64,
    is_late: bool,
}

/// How a peer has answered.
#[derive(Clone, Copy, Debug, Default)]
struct Conduct {
    /// Batches it announced and did not deliver in time, since it last delivered one.
    unanswered: u32,
    /// Batches it delivered.
    delivered: u64,
}

/// What is to be done about batches that have not come.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Overdue {
    /// Whom to ask for which.
    pub(super) ask: Vec<(BatchHash, PublicKey)>,
    /// Peers that announced batches again and again and delivered none of them.
    pub(super) blamed: Vec<PublicKey>,
}

/// What a node knows about the batches it wants and those who may have them.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) now_ms: u64,
    /// How long a fetch may take.
    pub(super) patience_ms: u64,
    /// Batches that validators vote on.
    pub(super) voted_on: &'a BTreeSet<BatchHash>,
    pub(super) is_validator: &'a dyn Fn(&PublicKey) -> bool,
    /// Whom to ask for a batch that is voted on when nobody is known to have it.
    pub(super) peers: &'a [PublicKey],
}

impl Fetching {
    /// A peer has a batch, or others say so (`announced` is false). Whether it is to be asked now.
    pub(super) fn want(
        &mut self,
        batch: BatchHash,
        peer: PublicKey,
        announced: bool,
        around: Surroundings<'_>,
    ) -> bool {
        let is_voted_on = around.voted_on.contains(&batch);
        let sponsored = self
            .wanted
            .iter()
            .filter(|(name, wanted)| wanted.sponsor == peer && !around.voted_on.contains(*name));
        let sponsored = sponsored.count();
        let conduct = self.conduct.entry(peer).or_default();
        if let Some(wanted) = self.wanted.get_mut(&batch) {
            wanted.add(peer, announced);
            return is_voted_on
                && wanted.waits_for(around.now_ms, around.patience_ms) < TOGETHER
                && wanted.ask(peer, around.now_ms);
        }
        // Who does not deliver keeps a single place.
        let places = OF_A_PEER.checked_shr(conduct.unanswered).unwrap_or(0).max(1);
        if sponsored >= places && !is_voted_on {
            return false;
        }
        let asked = Some(Asked { at_ms: around.now_ms, is_late: false });
        let sources = vec![Source { peer, announced, asked }];
        self.wanted.insert(batch, Wanted { sponsor: peer, sources, asks: 1 });
        true
    }

    /// Somebody says that a peer has a batch, which is asked of it in its turn if it is wanted.
    pub(super) fn note_source(&mut self, batch: &BatchHash, peer: PublicKey) {
        if let Some(wanted) = self.wanted.get_mut(batch) {
            wanted.add(peer, false);
        }
    }

    /// Whether a peer was asked for any batch that is still wanted.
    pub(super) fn awaits(&self, peer: &PublicKey) -> bool {
        self.wanted.values().any(|wanted| wanted.was_asked_of(peer))
    }

    /// Whether a peer was asked for this batch, which is still wanted.
    pub(super) fn awaits_batch(&self, peer: &PublicKey, batch: &BatchHash) -> bool {
        self.wanted.get(batch).is_some_and(|wanted| wanted.was_asked_of(peer))
    }

    /// An authentic batch came from this peer.
    pub(super) fn delivered(&mut self, batch: &BatchHash, peer: PublicKey) {
        if let Some(wanted) = self.wanted.remove(batch)
            && wanted.was_asked_of(&peer)
        {
            self.keeps_its_word(peer);
        }
    }

    /// A peer delivered what another one had delivered before.
    pub(super) fn keeps_its_word(&mut self, peer: PublicKey) {
        let conduct = self.conduct.entry(peer).or_default();
        conduct.delivered = conduct.delivered.saturating_add(1);
        conduct.unanswered = 0;
    }

    /// Looks at what has not come: whom to ask in turn, whom to blame. A batch that nobody votes on and that nobody is
    /// left to ask for is given up; whoever has it announces it again.
    pub(super) fn overdue(&mut self, around: Surroundings<'_>) -> Overdue {
        let mut overdue = Overdue::default();
        for wanted in self.wanted.values_mut() {
            for source in &mut wanted.sources {
                let Some(asked) = &mut source.asked else { continue };
                if asked.is_late || around.now_ms.saturating_sub(asked.at_ms) <= around.patience_ms {
                    continue;
                }
                asked.is_late = true;
                if source.announced {
                    let conduct = self.conduct.entry(source.peer).or_default();
                    conduct.unanswered = conduct.unanswered.saturating_add(1);
                    if conduct.unanswered > FORGIVEN {
                        overdue.blamed.push(source.peer);
                    }
                }
            }
        }
        let conduct = &self.conduct;
        self.wanted.retain(|batch, wanted| {
            let is_voted_on = around.voted_on.contains(batch);
            let first_ms = if is_voted_on { around.patience_ms / 2 } else { around.patience_ms };
            let wait_ms = first_ms.saturating_mul(wanted.asks.clamp(1, GROWTH));
            let last_ms = wanted.sources.iter().filter_map(|source| source.asked).map(|asked| asked.at_ms);
            if last_ms.max().is_some_and(|last_ms| around.now_ms.saturating_sub(last_ms) <= wait_ms) {
                return true;
            }
            if is_voted_on {
                wanted.add_all(around.peers);
            }
            let next = wanted.next(conduct, around.is_validator);
            if let Some(peer) = next
                && wanted.ask(peer, around.now_ms)
            {
                overdue.ask.push((*batch, peer));
            }
            next.is_some() || is_voted_on
        });
        overdue
    }

    /// A peer is gone: others are asked at the next look.
    pub(super) fn forget_peer(&mut self, peer: &PublicKey) {
        self.conduct.remove(peer);
        for wanted in self.wanted.values_mut() {
            wanted.sources.retain(|source| source.peer != *peer);
            if wanted.sources.iter().all(|source| source.asked.is_none()) {
                wanted.asks = 0;
            }
        }
    }

    /// A height is decided: nothing is wanted yet for the next one.
    pub(super) fn begin_height(&mut self) {
        self.wanted.clear();
    }
}

impl Wanted {
    fn was_asked_of(&self, peer: &PublicKey) -> bool {
        self.sources.iter().any(|source| source.peer == *peer && source.asked.is_some())
    }

    /// Notes that a peer is asked; false if it was asked already.
    fn ask(&mut self, peer: PublicKey, now_ms: u64) -> bool {
        let source = self.sources.iter_mut().find(|source| source.peer == peer && source.asked.is_none());
        let is_new = source.is_some();
        if let Some(source) = source {
            source.asked = Some(Asked { at_ms: now_ms, is_late: false });
            self.asks = self.asks.saturating_add(1);
        }
        is_new
    }

    fn add(&mut self, peer: PublicKey, announced: bool) {
        if self.sources.iter().all(|source| source.peer != peer) {
            self.sources.push(Source { peer, announced, asked: None });
        }
    }

    /// Requests that may still be answered in time.
    fn waits_for(&self, now_ms: u64, patience_ms: u64) -> usize {
        let asked = self.sources.iter().filter_map(|source| source.asked);
        asked.filter(|asked| now_ms.saturating_sub(asked.at_ms) <= patience_ms).count()
    }

    /// Everybody may have it. Once all have been asked, all are asked again.
    fn add_all(&mut self, peers: &[PublicKey]) {
        for &peer in peers {
            self.add(peer, false);
        }
        if self.sources.iter().all(|source| source.asked.is_some()) {
            for source in &mut self.sources {
                source.asked = None;
            }
        }
    }

    /// Who has not been asked: those first who keep their word, then validators, then those that delivered most, in
    /// the order in which they were known to have it.
    fn next(
        &self,
        conduct: &BTreeMap<PublicKey, Conduct>,
        is_validator: &dyn Fn(&PublicKey) -> bool,
    ) -> Option<PublicKey> {
        let unasked = self.sources.iter().filter(|source| source.asked.is_none());
        let next = unasked.min_by_key(|source| {
            let Conduct { unanswered, delivered } = conduct.get(&source.peer).copied().unwrap_or_default();
            (unanswered, !is_validator(&source.peer), Reverse(delivered))
        });
        next.map(|source| source.peer)
    }
}

impl Node {
    pub(super) fn on_batch_announced(
        &mut self,
        peer: PublicKey,
        height: Height,
        batch: BatchHash,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let next = self.ledger.head().height + 1;
        if height > next {
            self.note_claim(peer, height - 1, now, effects);
        } else if height == next {
            self.want_batch(batch, peer, true, now, effects);
        }
    }

    /// Asks a peer for a batch, if that is any use and the peer has a place left; `announced` if it says itself that it
    /// has the batch.
    pub(super) fn want_batch(
        &mut self,
        batch: BatchHash,
        peer: PublicKey,
        announced: bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let is_voted_on = self.batches.is_voted_on(&batch);
        let is_turned_away = self.batches.candidates.is_turned_away(batch, peer) && !is_voted_on;
        if self.batches.is_known(&batch) || is_turned_away || !self.peers.is_connected(&peer) {
            return;
        }
        let validators = &self.validators;
        let around = Surroundings {
            now_ms: now.monotonic_ms,
            patience_ms: self.timing.fetch_ms,
            voted_on: &self.batches.voted_on(),
            is_validator: &|key| validators.index_of(key).is_some(),
            peers: &[],
        };
        if self.batches.fetching.want(batch, peer, announced, around) {
            effects.push(Effect::Send { peer, message: Message::RequestBatch(batch) });
        }
    }

    /// Asks validators for a batch that they proposed or voted for.
    pub(super) fn want_from_validators(
        &mut self,
        batch: BatchHash,
        validators: impl IntoIterator<Item = u16>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        for key in validators.into_iter().filter_map(|index| self.validators.key(index)).collect::<Vec<_>>() {
            self.want_batch(batch, key, false, now, effects);
        }
    }

    /// Asks somebody else for what has not come in time.
    pub(super) fn retry_fetches(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let (validators, peers) = (&self.validators, self.peers.keys().collect::<Vec<_>>());
        let around = Surroundings {
            now_ms: now.monotonic_ms,
            patience_ms: self.timing.fetch_ms,
            voted_on: &self.batches.voted_on(),
            is_validator: &|key| validators.index_of(key).is_some(),
            peers: &peers,
        };
        let Overdue { ask, blamed } = self.batches.fetching.overdue(around);
        let ask = ask.into_iter();
        effects.extend(ask.map(|(batch, peer)| Effect::Send { peer, message: Message::RequestBatch(batch) }));
        let height = self.ledger.head().height;
        for peer in blamed {
            // A peer whose head has moved on meanwhile no longer has what it announced.
            if self.peers.claimed_height(&peer) <= height {
                let reason = "it announced batches again and again and did not deliver them";
                self.blame(peer, Blame::NUISANCE, &reason, effects);
            }
        }
    }

    /// Sends a candidate: one copy to a peer within the time that a fetch may take, and few others. All batches that peers
    /// ask for, each up to the largest message, are sent here.
    pub(super) fn on_batch_requested(
        &mut self,
        peer: PublicKey,
        hash: BatchHash,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(valid) = self.batches.candidates.get(&hash) else { return };
        let served = &mut self.batches.served_ms;
        served.retain(|_, at_ms| now.since_ms(*at_ms) < self.timing.fetch_ms);
        let of_peer = served.keys().filter(|(to, _)| *to == peer).count();
        if served.contains_key(&(peer, hash)) || of_peer >= OF_A_PEER {
            return;
        }
        served.insert((peer, hash), now.monotonic_ms);
        let batch = Box::new(valid.batch().clone());
        effects.push(Effect::Send { peer, message: Message::Batch(batch) });
    }
}

#[cfg(test)]
mod tests {
    use chain::{Hash, SecretKey};

    use super::*;

    const PATIENCE_MS: u64 = 1_000;

    fn peer(number: u64) -> PublicKey {
        SecretKey::for_scenario(1, "peer", number).public()
    }

    fn name(number: u8) -> BatchHash {
        BatchHash(Hash([number; 32]))
    }

    /// At this time, with votes on name 200, and with peer 9 a validator.
    fn at<T>(now_ms: u64, peers: &[PublicKey], look: impl FnOnce(Surroundings<'_>) -> T) -> T {
        look(Surroundings {
            now_ms,
            patience_ms: PATIENCE_MS,
            voted_on: &BTreeSet::from([name(200)]),
            is_validator: &|key| *key == peer(9),
            peers,
        })
    }

    fn announce(fetching: &mut Fetching, batch: BatchHash, from: PublicKey, now_ms: u64) -> bool {
        at(now_ms, &[], |around| fetching.want(batch, from, true, around))
    }

    fn overdue(fetching: &mut Fetching, now_ms: u64, peers: &[PublicKey]) -> Overdue {
        at(now_ms, peers, |around| fetching.overdue(around))
    }

    #[test]
    fn invented_names_fill_the_places_of_their_inventor_alone() {
        let mut fetching = Fetching::default();
        let asked = (0..100).filter(|&number| announce(&mut fetching, name(number), peer(1), 0));
        assert_eq!(asked.count(), 8);
        assert!(announce(&mut fetching, name(150), peer(2), 0));
        assert!(announce(&mut fetching, name(200), peer(1), 0), "what is voted on always has a place");
        // Nothing came: names that nobody votes on are given up, and their inventor has a single place left.
        assert_eq!(overdue(&mut fetching, 1_001, &[]).ask, [(name(200), peer(1))]);
        let asked = (0..100).filter(|&number| announce(&mut fetching, name(number), peer(1), 1_002));
        assert_eq!(asked.count(), 1);
    }

    #[test]
    fn who_announces_and_does_not_deliver_is_blamed_from_the_third_time_on_and_forgiven_when_it_delivers() {
        let mut fetching = Fetching::default();
        let mut look = |number: u8, now_ms| {
            announce(&mut fetching, name(number), peer(1), now_ms);
            let blamed = overdue(&mut fetching, now_ms + 1_001, &[]).blamed;
            if number == 3 {
                fetching.keeps_its_word(peer(1));
            }
            blamed.len()
        };
        assert_eq!([look(1, 0), look(2, 2_000), look(3, 4_000), look(4, 6_000)], [0, 0, 1, 0]);
    }

    #[test]
    fn a_withheld_batch_is_asked_of_the_next_who_announced_it() {
        let mut fetching = Fetching::default();
        assert!(announce(&mut fetching, name(1), peer(1), 0));
        assert!(!announce(&mut fetching, name(1), peer(2), 10), "one at a time");
        assert!(!announce(&mut fetching, name(1), peer(9), 20));
        assert_eq!(overdue(&mut fetching, 1_000, &[]), Overdue::default());
        // The validator first.
        assert_eq!(overdue(&mut fetching, 1_001, &[]).ask, [(name(1), peer(9))]);
        // The second wait is twice as long.
        assert_eq!(overdue(&mut fetching, 3_001, &[]).ask, []);
        assert_eq!(overdue(&mut fetching, 3_002, &[]).ask, [(name(1), peer(2))]);
        assert!(fetching.wanted.contains_key(&name(1)));
        fetching.delivered(&name(1), peer(2));
        assert!(!fetching.wanted.contains_key(&name(1)));
    }

    #[test]
    fn a_batch_that_is_voted_on_is_asked_of_everybody_in_turn_for_ever() {
        let mut fetching = Fetching::default();
        let everybody = [peer(1), peer(2), peer(9)];
        assert!(at(0, &everybody, |around| fetching.want(name(200), peer(1), false, around)));
        let mut asked = Vec::new();
        for look in 1..=40 {
            let Overdue { ask, blamed } = overdue(&mut fetching, look * 500, &everybody);
            assert_eq!(blamed, [], "it was voted for, not announced");
            asked.extend(ask.into_iter().map(|(_, peer)| peer));
        }
        // Half a second, then 1, 1.5, 2, 2.5 and so on: at 1, 2.5, 4.5, 7, 10, 13.5 and 17.5 s.
        assert_eq!(asked[..2], [peer(9), peer(2)], "who is known to have it, the validator, then everybody");
        assert_eq!(asked.len(), 7);
    }

    #[test]
    fn another_proposal_of_a_batch_asks_a_second_peer_at_once_and_no_third() {
        let mut fetching = Fetching::default();
        let mut proposed =
            |number, now_ms| at(now_ms, &[], |around| fetching.want(name(200), peer(number), false, around));
        assert_eq!(
            [proposed(1, 0), proposed(2, 1), proposed(2, 2), proposed(3, 3)],
            [true, true, false, false]
        );
    }

    #[test]
    fn what_was_asked_of_a_peer_that_is_gone_is_asked_of_another_at_the_next_look() {
        let mut fetching = Fetching::default();
        announce(&mut fetching, name(1), peer(1), 0);
        announce(&mut fetching, name(1), peer(2), 0);
        fetching.forget_peer(&peer(1));
        assert_eq!(overdue(&mut fetching, 250, &[]).ask, [(name(1), peer(2))]);
    }
}
