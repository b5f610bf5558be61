//! The peers this node is connected to: how far each says it is, and the score of its misbehaviour. Nodes that are only
//! known are in `known_nodes`.

use std::collections::BTreeMap;

use chain::{Height, PublicKey};

/// A peer is dropped when its faults add up to this.
const DROP_SCORE: u32 = 100;

/// A connected peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// The height of its head, as far as it told.
    pub(super) height: Height,
    /// Faults so far.
    score: u32,
}

/// Connected peers in order of key.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: BTreeMap<PublicKey, Peer>,
    rotation: usize,
}

impl Peers {
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

    /// A connected peer that said it is above `height`, the highest first.
    pub(super) fn ahead_of(&self, height: Height) -> Option<PublicKey> {
        let ahead = self.connected.iter().filter(|(_, peer)| peer.height > height);
        ahead.max_by_key(|(_, peer)| peer.height).map(|(key, _)| *key)
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
}

#[cfg(test)]
mod tests {
    use chain::SecretKey;

    use super::*;

    fn key(number: u64) -> PublicKey {
        SecretKey::for_scenario(1, "peer", number).public()
    }

    #[test]
    fn a_peer_is_dropped_once_its_faults_add_up() {
        let mut peers = Peers::default();
        let peer = key(1);
        peers.connect(peer);
        assert!(!peers.blame(&peer, 60));
        assert!(peers.blame(&peer, 60));
    }

    #[test]
    fn the_rotation_visits_every_peer() {
        let mut peers = Peers::default();
        assert_eq!(peers.next_in_rotation(), None);
        for number in 1..4 {
            peers.connect(key(number));
        }
        let visited: Vec<PublicKey> = (0..3).filter_map(|_| peers.next_in_rotation()).collect();
        assert_eq!(visited, peers.keys().collect::<Vec<_>>());
    }
}
