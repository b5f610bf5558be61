//! Blocks and batches that are asked for: whom next, how long it is waited, and whose places they take. A name may be
//! invented and a body withheld, so each peer has places of its own, and who does not deliver is asked last.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chain::PublicKey;

use super::Now;

/// Names of one peer's that nobody votes on, and bodies that it is sent at a time: as many as a status tells.
const OF_A_PEER: usize = 8;
/// How often in a row a peer may announce a body and not deliver it before it is blamed: messages get lost.
const FORGIVEN: u32 = 2;
/// Requests for one body that are waited for together, once validators vote on it.
const TOGETHER: usize = 2;
/// Waits grow no longer than to this many times the first.
const GROWTH: u64 = 8;

/// Blocks or batches being fetched, by name, and how peers have behaved.
#[derive(Debug)]
pub(super) struct Fetching<N> {
    wanted: BTreeMap<N, Wanted>,
    /// Of connected peers alone.
    conduct: BTreeMap<PublicKey, Conduct>,
}

/// A body that is not here yet.
#[derive(Debug)]
struct Wanted {
    /// In whose places it is.
    sponsor: PublicKey,
    sources: Vec<Source>,
    asks: u64,
}

/// A peer that should have a body.
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
    /// Bodies it delivered.
    delivered: u64,
}

/// What is to be done about bodies that have not come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overdue<N> {
    /// Whom to ask for which.
    pub(super) ask: Vec<(N, PublicKey)>,
    /// Peers that announced batches again and again and delivered none of them.
    pub(super) blamed: Vec<PublicKey>,
}

/// What a node knows about the bodies it wants and those who may have them.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a, N> {
    pub(super) now_ms: u64,
    /// How long a fetch may take.
    pub(super) patience_ms: u64,
    /// Those that validators vote on.
    pub(super) voted_on: &'a BTreeSet<N>,
    pub(super) is_validator: &'a dyn Fn(&PublicKey) -> bool,
    /// Whom to ask for a body that is voted on when nobody is known to have it.
    pub(super) peers: &'a [PublicKey],
}

impl<N> Default for Fetching<N> {
    fn default() -> Self {
        Self { wanted: BTreeMap::new(), conduct: BTreeMap::new() }
    }
}

impl<N: Copy + Ord> Fetching<N> {
    /// A peer has a body, or others say so (`announced` is false). Whether it is to be asked now.
    pub(super) fn want(
        &mut self,
        name: N,
        peer: PublicKey,
        announced: bool,
        around: Surroundings<'_, N>,
    ) -> bool {
        let is_voted_on = around.voted_on.contains(&name);
        let sponsored = self
            .wanted
            .iter()
            .filter(|(other, wanted)| wanted.sponsor == peer && !around.voted_on.contains(*other));
        let sponsored = sponsored.count();
        let conduct = self.conduct.entry(peer).or_default();
        if let Some(wanted) = self.wanted.get_mut(&name) {
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
        self.wanted.insert(name, Wanted { sponsor: peer, sources, asks: 1 });
        true
    }

    /// Somebody says that a peer has a body, which is asked of it in its turn if it is wanted.
    pub(super) fn note_source(&mut self, name: &N, peer: PublicKey) {
        if let Some(wanted) = self.wanted.get_mut(name) {
            wanted.add(peer, false);
        }
    }

    /// Whether a peer was asked for any body that is still wanted.
    pub(super) fn awaits(&self, peer: &PublicKey) -> bool {
        self.wanted.values().any(|wanted| wanted.was_asked_of(peer))
    }

    /// Whether a peer was asked for this body, which is still wanted.
    pub(super) fn awaits_body(&self, peer: &PublicKey, name: &N) -> bool {
        self.wanted.get(name).is_some_and(|wanted| wanted.was_asked_of(peer))
    }

    /// An authentic body came from this peer.
    pub(super) fn delivered(&mut self, name: &N, peer: PublicKey) {
        if let Some(wanted) = self.wanted.remove(name)
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

    /// Looks at what has not come: whom to ask in turn, whom to blame. A body that nobody votes on and that nobody is
    /// left to ask for is given up; whoever has it announces it again.
    pub(super) fn overdue(&mut self, around: Surroundings<'_, N>) -> Overdue<N> {
        let mut overdue = Overdue { ask: Vec::new(), blamed: Vec::new() };
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
        self.wanted.retain(|name, wanted| {
            let is_voted_on = around.voted_on.contains(name);
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
                overdue.ask.push((*name, peer));
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

/// What peers were sent of what they asked for, and when: one copy to a peer within the time that a fetch may take, and
/// few others, each up to the largest message.
#[derive(Debug)]
pub(super) struct Served<N> {
    at_ms: BTreeMap<(PublicKey, N), u64>,
}

impl<N> Default for Served<N> {
    fn default() -> Self {
        Self { at_ms: BTreeMap::new() }
    }
}

impl<N: Copy + Ord> Served<N> {
    /// Whether this is to be sent to a peer now; if so, that is noted.
    pub(super) fn may_send(&mut self, peer: PublicKey, name: N, now: Now, patience_ms: u64) -> bool {
        self.at_ms.retain(|_, at_ms| now.since_ms(*at_ms) < patience_ms);
        let of_peer = self.at_ms.keys().filter(|(to, _)| *to == peer).count();
        let may = !self.at_ms.contains_key(&(peer, name)) && of_peer < OF_A_PEER;
        if may {
            self.note(peer, name, now);
        }
        may
    }

    /// A peer is sent this unasked.
    pub(super) fn note(&mut self, peer: PublicKey, name: N, now: Now) {
        self.at_ms.insert((peer, name), now.monotonic_ms);
    }

    /// A peer is gone.
    pub(super) fn forget_peer(&mut self, peer: &PublicKey) {
        self.at_ms.retain(|(other, _), _| other != peer);
    }
}

#[cfg(test)]
mod tests {
    use chain::{BatchHash, Hash, SecretKey};

    use super::*;

    const PATIENCE_MS: u64 = 1_000;

    fn peer(number: u64) -> PublicKey {
        SecretKey::for_scenario(1, "peer", number).public()
    }

    fn name(number: u8) -> BatchHash {
        BatchHash(Hash([number; 32]))
    }

    /// At this time, with votes on name 200, and with peer 9 a validator.
    fn at<T>(now_ms: u64, peers: &[PublicKey], look: impl FnOnce(Surroundings<'_, BatchHash>) -> T) -> T {
        look(Surroundings {
            now_ms,
            patience_ms: PATIENCE_MS,
            voted_on: &BTreeSet::from([name(200)]),
            is_validator: &|key| *key == peer(9),
            peers,
        })
    }

    fn announce(fetching: &mut Fetching<BatchHash>, batch: BatchHash, from: PublicKey, now_ms: u64) -> bool {
        at(now_ms, &[], |around| fetching.want(batch, from, true, around))
    }

    fn overdue(fetching: &mut Fetching<BatchHash>, now_ms: u64, peers: &[PublicKey]) -> Overdue<BatchHash> {
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
        assert_eq!(overdue(&mut fetching, 1_000, &[]), Overdue { ask: Vec::new(), blamed: Vec::new() });
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
