//! Who is out there: connected peers, signed statements of where nodes can be reached, and the score of
//! each peer's misbehaviour.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chain::codec::encode;
use chain::{Domain, Height, KeyError, NetworkId, PublicKey, SecretKey, Signature};
use serde::{Deserialize, Serialize};

/// A node's signed statement of where it can be reached and whether it mines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PeerRecord {
    pub content: PeerContent,
    /// By `content.node`, in [`Domain::PeerRecord`].
    pub signature: Signature,
}

/// A peer record before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PeerContent {
    /// The network it is meant for.
    pub network: NetworkId,
    pub node: PublicKey,
    /// Where it listens; at most `PEER_ADDRESSES`.
    pub addresses: Vec<SocketAddr>,
    /// Whether it takes a cell of its own when the market is split.
    pub takes_cell: bool,
    /// When it was issued, milliseconds since the Unix epoch; a later statement replaces an earlier one.
    pub issued_ms: u64,
}

/// The most addresses a peer record may name.
pub(super) const PEER_ADDRESSES: usize = 8;
/// How long a peer record counts after it was issued.
pub(super) const PEER_RECORD_LIFETIME_MS: u64 = 12_000;
/// How far ahead of the local clock a peer record may have been issued.
const CLOCK_TOLERANCE_MS: u64 = 10_000;
/// The most nodes whose records are kept.
const KNOWN_NODES: usize = 1_024;
/// A peer is dropped when its faults add up to this.
const DROP_SCORE: u32 = 100;

/// Why a peer record is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum PeerRecordError {
    /// It is meant for another network.
    #[error("the peer record is of network {got}, expected {expected}")]
    WrongNetwork {
        got: NetworkId,
        /// Ours.
        expected: NetworkId,
    },
    /// It names too many addresses.
    #[error("the peer record names {got} addresses, at most {PEER_ADDRESSES} allowed")]
    TooManyAddresses {
        /// Addresses named.
        got: usize,
    },
    /// It was issued too far in the future.
    #[error("the peer record was issued {ahead_ms} ms ahead of the local clock")]
    FromTheFuture {
        /// How far ahead, in milliseconds.
        ahead_ms: u64,
    },
    /// Its signature does not verify.
    #[error(transparent)]
    Signature(#[from] KeyError),
}

impl PeerContent {
    /// Signs it; `key` must be the node's.
    pub fn sign(self, key: &SecretKey) -> PeerRecord {
        let signature = key.sign(Domain::PeerRecord, &[&encode(&self)]);
        PeerRecord { content: self, signature }
    }
}

/// A connected peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// The height of its head, as far as it told.
    pub(super) height: Height,
    /// Faults so far.
    score: u32,
}

/// Connected peers and known nodes, both in order of key.
#[derive(Debug)]
pub(super) struct Peers {
    network: NetworkId,
    own: PublicKey,
    connected: BTreeMap<PublicKey, Peer>,
    known: BTreeMap<PublicKey, PeerRecord>,
    rotation: usize,
}

impl Peers {
    /// Nobody yet.
    pub(super) const fn new(network: NetworkId, own: PublicKey) -> Self {
        Self { network, own, connected: BTreeMap::new(), known: BTreeMap::new(), rotation: 0 }
    }

    /// A peer is connected; false if it already was.
    pub(super) fn connect(&mut self, peer: PublicKey) -> bool {
        self.connected.insert(peer, Peer::default()).is_none()
    }

    /// A peer is gone; false if it was not there.
    pub(super) fn disconnect(&mut self, peer: &PublicKey) -> bool {
        self.connected.remove(peer).is_some()
    }

    /// Whether it is connected.
    pub(super) fn is_connected(&self, peer: &PublicKey) -> bool {
        self.connected.contains_key(peer)
    }

    /// Keys of connected peers, ascending.
    pub(super) fn keys(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.connected.keys().copied()
    }

    /// How many are connected.
    pub(super) fn count(&self) -> usize {
        self.connected.len()
    }

    /// The next connected peer in rotation, for anti-entropy.
    pub(super) fn next_in_rotation(&mut self) -> Option<PublicKey> {
        let count = self.connected.len();
        let peer = self.connected.keys().nth(self.rotation.checked_rem(count)?).copied();
        self.rotation = self.rotation.wrapping_add(1);
        peer
    }

    /// Notes the height a peer says it has reached.
    pub(super) fn note_height(&mut self, peer: &PublicKey, height: Height) {
        if let Some(peer) = self.connected.get_mut(peer) {
            peer.height = peer.height.max(height);
        }
    }

    /// Connected peers that said they are above `height`, in order of key.
    pub(super) fn ahead_of(&self, height: Height) -> impl Iterator<Item = PublicKey> {
        self.connected.iter().filter(move |(_, peer)| peer.height > height).map(|(key, _)| *key)
    }

    /// The height that a peer says it has reached; 0 if it said nothing or is not believed.
    pub(super) fn claimed_height(&self, peer: &PublicKey) -> Height {
        self.connected.get(peer).map_or(0, |peer| peer.height)
    }

    /// How many connected peers among `some` said that they are above `height`.
    pub(super) fn count_ahead(&self, height: Height, some: &[PublicKey]) -> usize {
        let ahead = some.iter().filter_map(|key| self.connected.get(key)).filter(|peer| peer.height > height);
        ahead.count()
    }

    /// A peer that promised a height but could not deliver is believed no longer.
    pub(super) fn forget_height(&mut self, peer: &PublicKey) {
        if let Some(peer) = self.connected.get_mut(peer) {
            peer.height = 0;
        }
    }

    /// Adds to a peer's faults; true once it is to be dropped.
    pub(super) fn blame(&mut self, peer: &PublicKey, points: u32) -> bool {
        self.connected.get_mut(peer).is_some_and(|peer| {
            peer.score = peer.score.saturating_add(points);
            peer.score >= DROP_SCORE
        })
    }

    /// Takes in a peer record; true if it is news.
    ///
    /// # Errors
    /// If it is of another network, too large, from the future, or badly signed.
    pub(super) fn learn(&mut self, record: PeerRecord, now_ms: u64) -> Result<bool, PeerRecordError> {
        let content = &record.content;
        let (got, expected) = (content.network, self.network);
        if got != expected {
            return Err(PeerRecordError::WrongNetwork { got, expected });
        }
        if content.addresses.len() > PEER_ADDRESSES {
            return Err(PeerRecordError::TooManyAddresses { got: content.addresses.len() });
        }
        let ahead_ms = content.issued_ms.saturating_sub(now_ms);
        if ahead_ms > CLOCK_TOLERANCE_MS {
            return Err(PeerRecordError::FromTheFuture { ahead_ms });
        }
        let newest = self.known.get(&content.node).map_or(0, |known| known.content.issued_ms);
        let full = self.known.len() >= KNOWN_NODES && !self.known.contains_key(&content.node);
        if content.node == self.own || content.issued_ms <= newest || full || !is_live(&record, now_ms) {
            return Ok(false);
        }
        content.node.verify(Domain::PeerRecord, &[&encode(content)], &record.signature)?;
        self.known.insert(content.node, record);
        Ok(true)
    }

    /// Forgets what has expired.
    pub(super) fn expire(&mut self, now_ms: u64) {
        self.known.retain(|_, record| is_live(record, now_ms));
    }

    /// All records that still count, in order of key.
    pub(super) fn records(&self) -> impl Iterator<Item = &PeerRecord> {
        self.known.values()
    }

    /// Known nodes that are not connected and whom we are to dial: of two nodes the one with the smaller
    /// key dials, so that a pair has one connection.
    pub(super) fn to_dial(&self) -> impl Iterator<Item = (PublicKey, SocketAddr)> + '_ {
        let unconnected = self.known.values().filter(|record| !self.is_connected(&record.content.node));
        let ours = unconnected.filter(|record| self.own < record.content.node);
        ours.filter_map(|record| Some((record.content.node, *record.content.addresses.first()?)))
    }

    /// Keys of the nodes that take cells, this one included if it does, ascending: a rank is a position here.
    pub(super) fn cell_takers(&self, own_takes_cell: bool) -> Vec<PublicKey> {
        let mut takers: Vec<PublicKey> = self
            .known
            .values()
            .filter(|record| record.content.takes_cell)
            .map(|record| record.content.node)
            .collect();
        if own_takes_cell {
            takers.push(self.own);
        }
        takers.sort_unstable();
        takers
    }
}

fn is_live(record: &PeerRecord, now_ms: u64) -> bool {
    record.content.issued_ms.saturating_add(PEER_RECORD_LIFETIME_MS) > now_ms
}

#[cfg(test)]
mod tests {
    use chain::Hash;

    use super::*;

    const NETWORK: NetworkId = NetworkId(Hash([7; 32]));

    fn key(number: u64) -> SecretKey {
        SecretKey::for_scenario(1, "peer", number)
    }

    fn record(number: u64, issued_ms: u64) -> PeerRecord {
        let content = PeerContent {
            network: NETWORK,
            node: key(number).public(),
            addresses: vec!["127.0.0.1:4433".parse().unwrap()],
            takes_cell: true,
            issued_ms,
        };
        content.sign(&key(number))
    }

    fn peers() -> Peers {
        Peers::new(NETWORK, key(0).public())
    }

    #[test]
    fn a_newer_statement_replaces_an_older_one_and_not_the_other_way_round() {
        let mut peers = peers();
        assert_eq!(peers.learn(record(1, 1_000), 2_000), Ok(true));
        assert_eq!(peers.learn(record(1, 1_000), 2_000), Ok(false));
        assert_eq!(peers.learn(record(1, 1_500), 2_000), Ok(true));
        assert_eq!(peers.learn(record(1, 1_200), 2_000), Ok(false));
    }

    #[test]
    fn an_expired_statement_no_longer_makes_a_cell_taker() {
        let mut peers = peers();
        peers.learn(record(1, 1_000), 2_000).unwrap();
        assert_eq!(peers.cell_takers(true).len(), 2);
        peers.expire(1_000 + PEER_RECORD_LIFETIME_MS);
        assert_eq!(peers.cell_takers(true), [key(0).public()]);
    }

    #[test]
    fn a_forged_statement_is_refused() {
        let mut forged = record(1, 1_000);
        forged.content.addresses = vec!["127.0.0.1:9".parse().unwrap()];
        assert_eq!(peers().learn(forged, 1_000), Err(PeerRecordError::Signature(KeyError::BadSignature)));
    }

    #[test]
    fn statements_of_another_network_or_from_the_future_are_refused() {
        let mut other = record(1, 1_000);
        other.content.network = NetworkId(Hash([8; 32]));
        let expected = PeerRecordError::WrongNetwork { got: other.content.network, expected: NETWORK };
        assert_eq!(peers().learn(other, 1_000), Err(expected));
        let future = PeerRecordError::FromTheFuture { ahead_ms: 20_000 };
        assert_eq!(peers().learn(record(1, 21_000), 1_000), Err(future));
    }

    #[test]
    fn a_peer_is_dropped_once_its_faults_add_up() {
        let mut peers = peers();
        let peer = key(1).public();
        peers.connect(peer);
        assert!(!peers.blame(&peer, 60));
        assert!(peers.blame(&peer, 60));
    }

    #[test]
    fn the_rotation_visits_every_peer() {
        let mut peers = peers();
        assert_eq!(peers.next_in_rotation(), None);
        for number in 1..4 {
            peers.connect(key(number).public());
        }
        let visited: Vec<PublicKey> = (0..3).filter_map(|_| peers.next_in_rotation()).collect();
        assert_eq!(visited, peers.keys().collect::<Vec<_>>());
    }
}
