//! The peers this node is connected to: where they come from, how far each says it is, what it is being sent. Nodes that
//! are only known are in `known_nodes`, what is held against peers in `scores`, what they may cost in `budget`.

use std::collections::BTreeMap;

use chain::{Height, PublicKey};

use super::host::Host;
use super::standing::Standing;

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The height of its head, as far as it told.
    pub(super) height: Height,
    pub(super) host: Host,
    /// At our head.
    pub(super) standing: Standing,
    /// Final batches that it asked for are being read, or wait to be sent.
    pub(super) is_awaiting_final: bool,
}

/// Connected peers in order of key.
#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: BTreeMap<PublicKey, Peer>,
    rotation: usize,
}

impl Peers {
    /// A peer is connected; false if it already was.
    pub(super) fn connect(&mut self, peer: PublicKey, host: Host, standing: Standing) -> bool {
        let news = Peer { height: 0, host, standing, is_awaiting_final: false };
        self.connected.insert(peer, news).is_none()
    }

    /// A connected peer.
    pub(super) fn get(&self, peer: &PublicKey) -> Option<&Peer> {
        self.connected.get(peer)
    }

    /// A connected peer, to be changed.
    pub(super) fn get_mut(&mut self, peer: &PublicKey) -> Option<&mut Peer> {
        self.connected.get_mut(peer)
    }

    /// The head is another one: `standing` says what it makes of each.
    pub(super) fn on_head(&mut self, standing: impl Fn(&PublicKey) -> Standing) {
        for (key, peer) in &mut self.connected {
            peer.standing = standing(key);
        }
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

    /// The connected peers among `some` who said that they are above `height`.
    pub(super) fn those_ahead<'k>(
        &self,
        height: Height,
        some: &'k [PublicKey],
    ) -> impl Iterator<Item = &'k PublicKey> {
        some.iter().filter(move |key| self.connected.get(key).is_some_and(|peer| peer.height > height))
    }

    /// A peer that promised a height but could not deliver is believed no longer.
    pub(super) fn forget_height(&mut self, peer: &PublicKey) {
        if let Some(peer) = self.connected.get_mut(peer) {
            peer.height = 0;
        }
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
    fn the_rotation_visits_every_peer() {
        let mut peers = Peers::default();
        assert_eq!(peers.next_in_rotation(), None);
        for number in 1..4 {
            peers.connect(key(number), Host::of([10, 0, 0, 1].into()), Standing::Stranger);
        }
        let visited: Vec<PublicKey> = (0..3).filter_map(|_| peers.next_in_rotation()).collect();
        assert_eq!(visited, peers.keys().collect::<Vec<_>>());
    }
}
