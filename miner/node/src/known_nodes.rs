//! The nodes this one has heard of: their latest statements, who still gives signs of life, and what is passed on.
//!
//! A node lives while newer statements of it keep coming, by our monotonic clock; what its own clock shows, and ours, does
//! not matter. Strangers have few places, each peer that tells of them a share of these: they can neither push out nodes
//! with standing nor fill the table for other strangers.

use std::collections::{BTreeMap, BTreeSet};

use chain::{NetworkId, PublicKey};

use super::now::Now;
use super::peer_record::{PeerRecord, PeerRecordError};
use super::standing::Standing;

/// How long a node is taken to live after a statement of it was news, in milliseconds: six times the usual interval.
pub(super) const LIFETIME_MS: u64 = 12_000;
/// Nodes with standing that are kept. Those that are silent stay too, so that old statements of theirs are not taken for
/// news; the longest silent goes first.
const ESTABLISHED: usize = 4_096;
/// Living strangers that are kept, beside those that speak for themselves.
const STRANGERS: usize = 512;
/// Of those, the ones that any one peer told of.
const STRANGERS_OF_A_PEER: usize = 64;
/// Records passed on at a time (each tick of the gossip timer), and how many of them of strangers.
const RELAYED: usize = 64;
const RELAYED_STRANGERS: usize = 8;
/// Between two statements of one node that are passed on, in milliseconds; of those in between the last counts.
const RELAY_INTERVAL_MS: u64 = 1_000;

/// A node and what it last said of itself.
#[derive(Clone, Debug)]
pub(super) struct KnownNode {
    pub(super) record: PeerRecord,
    pub(super) standing: Standing,
    /// The connected peer that told its last news: in whose share of places it is.
    pub(super) told_by: PublicKey,
    /// When the last news of it came, by the monotonic clock.
    heard_ms: u64,
    /// When news of it was last passed on, likewise.
    relayed_ms: Option<u64>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// A sign of life.
    News,
    /// Its author has said something later, which is here.
    Stale,
    /// There is no place for another stranger.
    NoPlace,
    /// It is this node's own statement, perhaps of an earlier run.
    Own,
}

/// All nodes that are known, in order of key.
#[derive(Debug)]
pub(super) struct KnownNodes {
    network: NetworkId,
    own: PublicKey,
    nodes: BTreeMap<PublicKey, KnownNode>,
    /// Nodes of which there is news to be passed on.
    to_relay: BTreeSet<PublicKey>,
    /// The latest that this node itself ever stated, as far as it knows.
    own_issued_ms: u64,
}

impl KnownNode {
    /// A node of which this record is the first news.
    pub(super) const fn new(record: PeerRecord, standing: Standing, told_by: PublicKey, now: Now) -> Self {
        Self { record, standing, told_by, heard_ms: now.monotonic_ms, relayed_ms: None }
    }

    fn is_living(&self, now: Now) -> bool {
        now.since_ms(self.heard_ms) < LIFETIME_MS
    }
}

impl KnownNodes {
    /// Nobody yet.
    pub(super) const fn new(network: NetworkId, own: PublicKey) -> Self {
        Self { network, own, nodes: BTreeMap::new(), to_relay: BTreeSet::new(), own_issued_ms: 0 }
    }

    /// A time for this node's next statement: later than all before it, though the clock may have been set back
    /// meanwhile, even across a restart (see [`Learned::Own`]).
    pub(super) const fn issue(&mut self, now: Now) -> u64 {
        let next_ms = self.own_issued_ms.saturating_add(1);
        self.own_issued_ms = if now.wall_ms > next_ms { now.wall_ms } else { next_ms };
        self.own_issued_ms
    }

    /// Takes in a record that `told_by` has shown; `standing` is that of its author.
    ///
    /// # Errors
    /// If it is of another network, too large or badly signed, for which `told_by` is to blame.
    pub(super) fn learn(
        &mut self,
        record: PeerRecord,
        told_by: PublicKey,
        standing: Standing,
        now: Now,
    ) -> Result<Learned, PeerRecordError> {
        record.validate_form(self.network)?;
        let (node, issued_ms) = (record.content.node, record.content.issued_ms);
        if node == self.own {
            if issued_ms > self.own_issued_ms {
                record.verify_signature()?;
                self.own_issued_ms = issued_ms;
            }
            return Ok(Learned::Own);
        }
        if self.nodes.get(&node).is_some_and(|known| known.record.content.issued_ms >= issued_ms) {
            return Ok(Learned::Stale);
        }
        if !self.nodes.contains_key(&node) && !self.has_place(node, told_by, standing) {
            return Ok(Learned::NoPlace);
        }
        record.verify_signature()?;
        let relayed_ms = self.nodes.get(&node).and_then(|known| known.relayed_ms);
        let news = KnownNode::new(record, standing, told_by, now);
        self.nodes.insert(node, KnownNode { relayed_ms, ..news });
        self.to_relay.insert(node);
        self.make_room();
        Ok(Learned::News)
    }

    /// Whether there is a place for a node that is not here yet. Who is connected always has one of its own.
    fn has_place(&self, node: PublicKey, told_by: PublicKey, standing: Standing) -> bool {
        if standing > Standing::Stranger || node == told_by {
            return true;
        }
        let strangers = self.nodes.values().filter(|known| known.standing == Standing::Stranger);
        let relayed = strangers.filter(|known| known.told_by != known.record.content.node);
        let (mut all, mut of_peer) = (0_usize, 0_usize);
        for known in relayed {
            all = all.saturating_add(1);
            of_peer = of_peer.saturating_add(usize::from(known.told_by == told_by));
        }
        all < STRANGERS && of_peer < STRANGERS_OF_A_PEER
    }

    /// Of too many nodes with standing the longest silent is forgotten, a validator last.
    fn make_room(&mut self) {
        let established = || self.nodes.iter().filter(|(_, known)| known.standing > Standing::Stranger);
        if self.nodes.len() > ESTABLISHED && established().count() > ESTABLISHED {
            let victim = established().min_by_key(|(_, known)| (known.standing, known.heard_ms));
            let victim = victim.map(|(&node, _)| node);
            self.nodes.retain(|node, _| Some(*node) != victim);
        }
    }

    /// The head is another one: `standing` says what it makes of each.
    pub(super) fn on_head(&mut self, standing: impl Fn(&PublicKey) -> Standing) {
        for (node, known) in &mut self.nodes {
            known.standing = standing(node);
        }
    }

    /// Forgets strangers that give no sign of life. Of nodes with standing the last statement is kept, so that it and
    /// older ones cannot be shown again as news.
    pub(super) fn expire(&mut self, now: Now) {
        self.nodes.retain(|_, known| known.standing > Standing::Stranger || known.is_living(now));
    }

    /// The last statement of a node, living or not.
    pub(super) fn record_of(&self, node: &PublicKey) -> Option<&PeerRecord> {
        self.nodes.get(node).map(|known| &known.record)
    }

    /// Those that live, the ones with most standing first, otherwise in order of key.
    pub(super) fn living(&self, now: Now) -> Vec<&KnownNode> {
        let mut living: Vec<&KnownNode> = self.nodes.values().filter(|known| known.is_living(now)).collect();
        living.sort_by_key(|known| std::cmp::Reverse(known.standing));
        living
    }

    /// News to be passed on now: each statement once, of each node one a second, and more of nodes with standing.
    pub(super) fn take_relays(&mut self, now: Now) -> Vec<KnownNode> {
        let is_due = |known: &&KnownNode| {
            known.relayed_ms.is_none_or(|relayed_ms| now.since_ms(relayed_ms) >= RELAY_INTERVAL_MS)
        };
        let mut due: Vec<&KnownNode> =
            self.to_relay.iter().filter_map(|node| self.nodes.get(node)).filter(is_due).collect();
        // Those that have waited longest first, so that nobody's statements keep another's back.
        due.sort_by_key(|known| (std::cmp::Reverse(known.standing), known.relayed_ms));
        let established = due.iter().take_while(|known| known.standing > Standing::Stranger).count();
        let most = RELAYED.min(established.saturating_add(RELAYED_STRANGERS));
        let relays: Vec<KnownNode> = due.into_iter().take(most).cloned().collect();
        for relay in &relays {
            let node = relay.record.content.node;
            self.to_relay.remove(&node);
            if let Some(known) = self.nodes.get_mut(&node) {
                known.relayed_ms = Some(now.monotonic_ms);
            }
        }
        let nodes = &self.nodes;
        self.to_relay.retain(|node| nodes.contains_key(node));
        relays
    }

    /// Keys of the living nodes with standing that take cells, and of this one if `own_takes_cell`, ascending: a rank is a
    /// position here.
    pub(super) fn cell_takers(&self, own_takes_cell: bool, now: Now) -> Vec<PublicKey> {
        let takers = self.nodes.iter().filter(|(_, known)| {
            known.standing > Standing::Stranger && known.record.content.takes_cell && known.is_living(now)
        });
        let mut takers: Vec<PublicKey> = takers.map(|(&node, _)| node).collect();
        takers.extend(own_takes_cell.then_some(self.own));
        takers.sort_unstable();
        takers
    }
}

#[cfg(test)]
mod tests {
    use chain::{Hash, KeyError, SecretKey};

    use super::super::peer_record::PeerContent;
    use super::Standing::{Established, Stranger};
    use super::*;

    const NETWORK: NetworkId = NetworkId(Hash([7; 32]));

    fn key(number: u64) -> SecretKey {
        SecretKey::for_scenario(1, "peer", number)
    }

    fn public(number: u64) -> PublicKey {
        key(number).public()
    }

    fn record(number: u64, issued_ms: u64) -> PeerRecord {
        let content = PeerContent {
            network: NETWORK,
            node: public(number),
            addresses: vec!["127.0.0.1:4433".parse().unwrap()],
            takes_cell: true,
            issued_ms,
        };
        content.sign(&key(number))
    }

    fn nodes() -> KnownNodes {
        KnownNodes::new(NETWORK, public(0))
    }

    /// A relayer that is none of the authors.
    fn relayer() -> PublicKey {
        public(1_000_000)
    }

    #[test]
    fn a_newer_statement_replaces_an_older_one_and_not_the_other_way_round() {
        let mut nodes = nodes();
        let mut learn = |issued_ms| {
            nodes.learn(record(1, issued_ms), relayer(), Established, Now::at(0)).expect("a good record")
        };
        assert_eq!(learn(1_000), Learned::News);
        assert_eq!(learn(1_000), Learned::Stale);
        assert_eq!(learn(1_500), Learned::News);
        assert_eq!(learn(1_200), Learned::Stale);
    }

    #[test]
    fn a_node_lives_by_our_time_whatever_its_clock_shows() {
        for issued_ms in [0, 1, 3_600_000, u64::MAX - 2] {
            let mut nodes = nodes();
            let now = |monotonic_ms| Now { wall_ms: 1_800_000_000_000, monotonic_ms };
            let takers = |nodes: &KnownNodes, monotonic_ms| nodes.cell_takers(false, now(monotonic_ms));
            assert_eq!(
                nodes.learn(record(1, issued_ms), relayer(), Established, now(5_000)),
                Ok(Learned::News)
            );
            assert_eq!(takers(&nodes, 5_000 + LIFETIME_MS - 1), [public(1)]);
            assert_eq!(takers(&nodes, 5_000 + LIFETIME_MS), []);
            assert_eq!(
                nodes.learn(record(1, issued_ms + 1), relayer(), Established, now(30_000)),
                Ok(Learned::News)
            );
            assert_eq!(takers(&nodes, 30_001), [public(1)]);
        }
    }

    #[test]
    fn old_statements_shown_again_do_not_bring_a_silent_node_back() {
        let mut nodes = nodes();
        for issued_ms in 1..=3 {
            nodes.learn(record(1, issued_ms), relayer(), Established, Now::at(0)).unwrap();
        }
        let hours_later = Now::at(10 * 3_600_000);
        nodes.expire(hours_later);
        for issued_ms in 1..=3 {
            let learned = nodes.learn(record(1, issued_ms), relayer(), Established, hours_later);
            assert_eq!(learned, Ok(Learned::Stale));
        }
        assert_eq!(nodes.cell_takers(false, hours_later), []);
    }

    #[test]
    fn a_node_whose_clock_was_set_back_states_what_is_later_than_all_it_said_before() {
        let mut nodes = nodes();
        let at = |wall_ms| Now { wall_ms, monotonic_ms: 0 };
        assert_eq!(nodes.issue(at(5_000)), 5_000);
        assert_eq!(nodes.issue(at(1_000)), 5_001);
        // What an earlier run of it said, others tell it.
        assert_eq!(nodes.learn(record(0, 9_000), relayer(), Stranger, at(1_000)), Ok(Learned::Own));
        assert_eq!(nodes.issue(at(1_000)), 9_001);
        assert_eq!(nodes.issue(at(20_000)), 20_000);
        let mut forged = record(0, u64::MAX);
        forged.signature = record(0, 1).signature;
        let error = PeerRecordError::Signature(KeyError::BadSignature);
        assert_eq!(nodes.learn(forged, relayer(), Stranger, at(20_000)), Err(error));
        assert_eq!(nodes.issue(at(20_000)), 20_001);
    }

    #[test]
    fn strangers_take_no_cells_and_the_last_of_them_finds_no_place_for_its_relayer() {
        let mut nodes = nodes();
        let learned: Vec<Learned> = (1..=100)
            .map(|number| nodes.learn(record(number, 1), relayer(), Stranger, Now::at(0)).unwrap())
            .collect();
        assert_eq!(learned.iter().filter(|learned| **learned == Learned::News).count(), 64);
        assert_eq!(nodes.cell_takers(true, Now::at(0)), [public(0)]);
        // Another peer's share is its own, who is connected has its place, and so has who has standing.
        let other = public(1_000_001);
        assert_eq!(nodes.learn(record(101, 1), other, Stranger, Now::at(0)), Ok(Learned::News));
        assert_eq!(nodes.learn(record(102, 1), public(102), Stranger, Now::at(0)), Ok(Learned::News));
        assert_eq!(nodes.learn(record(103, 1), relayer(), Established, Now::at(0)), Ok(Learned::News));
        // When they fall silent their places are free again.
        nodes.expire(Now::at(LIFETIME_MS));
        let late = nodes.learn(record(104, 1), relayer(), Stranger, Now::at(LIFETIME_MS));
        assert_eq!(late, Ok(Learned::News));
    }

    #[test]
    fn a_statement_is_passed_on_once_and_those_of_one_node_once_a_second() {
        let mut nodes = nodes();
        let relayed = |nodes: &mut KnownNodes, now_ms| {
            let relays = nodes.take_relays(Now::at(now_ms)).into_iter();
            relays.map(|relay| relay.record.content.issued_ms).collect::<Vec<_>>()
        };
        nodes.learn(record(1, 10), relayer(), Established, Now::at(0)).unwrap();
        assert_eq!(relayed(&mut nodes, 0), [10]);
        assert!(relayed(&mut nodes, 5_000).is_empty());
        for issued_ms in 11..=13 {
            nodes.learn(record(1, issued_ms), relayer(), Established, Now::at(5_000)).unwrap();
        }
        assert_eq!(relayed(&mut nodes, 5_000), [13]);
        nodes.learn(record(1, 14), relayer(), Established, Now::at(5_001)).unwrap();
        assert!(relayed(&mut nodes, 5_999).is_empty());
        assert_eq!(relayed(&mut nodes, 6_000), [14]);
    }

    #[test]
    fn of_many_strangers_few_are_passed_on_at_a_time_and_nodes_with_standing_first() {
        let mut nodes = nodes();
        for number in 1..=20 {
            nodes.learn(record(number, 1), relayer(), Stranger, Now::at(0)).unwrap();
        }
        nodes.learn(record(30, 1), relayer(), Established, Now::at(0)).unwrap();
        let counts: Vec<usize> = (0..4).map(|_| nodes.take_relays(Now::at(0)).len()).collect();
        assert_eq!(counts, [9, 8, 4, 0]);
    }

    #[test]
    fn what_no_honest_node_passes_on_is_refused() {
        let mut forged = record(1, 1_000);
        forged.content.addresses = vec!["127.0.0.1:9".parse().unwrap()];
        let mut other = record(1, 1_000);
        other.content.network = NetworkId(Hash([8; 32]));
        let mut crowded = record(1, 1_000);
        crowded.content.addresses = vec!["127.0.0.1:9".parse().unwrap(); 9];
        let expected = [
            PeerRecordError::Signature(KeyError::BadSignature),
            PeerRecordError::WrongNetwork { got: other.content.network, expected: NETWORK },
            PeerRecordError::TooManyAddresses { got: 9 },
        ];
        for (record, expected) in [forged, other, crowded].into_iter().zip(expected) {
            assert_eq!(nodes().learn(record, relayer(), Established, Now::at(0)), Err(expected));
        }
    }
}
