//! Connections between hosts: dialled, opened, closed and timed out; and what puppets say over theirs.

use std::sync::Arc;

use miner_node::{Input, Message};

use super::checkers::Violation;
use super::host::HostId;
use super::world::{Event, World};

/// How often a host dials its bootstrap nodes until it is connected.
const BOOTSTRAP_MS: u64 = 2_000;

impl World {
    /// Connects a puppet to a host.
    pub fn connect(&mut self, puppet: HostId, to: HostId) {
        self.schedule(1, Event::Connect { from: puppet, to });
    }

    /// A puppet sends bytes to a host it is connected to, over a link that loses nothing.
    pub fn say(&mut self, puppet: HostId, to: HostId, bytes: Vec<u8>) {
        if let Some(&connection) = self.hosts[puppet.index()].puppet.connections.get(&to) {
            let bytes = Arc::from(bytes);
            self.schedule(1, Event::Deliver { from: puppet, to, connection, bytes });
        }
    }

    /// [`World::say`] a message to every host it is connected to.
    pub fn say_to_all(&mut self, puppet: HostId, message: &Message) {
        let peers: Vec<HostId> = self.hosts[puppet.index()].puppet.connections.keys().copied().collect();
        for peer in peers {
            self.say(puppet, peer, message.encode());
        }
    }

    pub(super) fn dial_bootstrap(&mut self, at: HostId, life: u32) {
        if self.host(at).life != life || self.host(at).running.is_none() {
            return;
        }
        // Two bootstrap nodes, so that one may be down.
        for to in [HostId(0), HostId(1)] {
            let known = self.hosts[at.index()].connections().is_some_and(|open| open.contains_key(&to));
            if to != at && !known {
                self.dial(at, to);
            }
        }
        self.schedule(BOOTSTRAP_MS, Event::Bootstrap { at, life });
    }

    pub(super) fn dial(&mut self, from: HostId, to: HostId) {
        let in_ms = self.links.delay();
        self.schedule(in_ms, Event::Connect { from, to });
    }

    pub(super) fn open(&mut self, from: HostId, to: HostId) -> Result<(), Violation> {
        if self.links.is_cut(from, to) || to.index() >= self.hosts.len() {
            return Ok(());
        }
        let there = |world: &mut Self, one: HostId, other: HostId| {
            world.hosts[one.index()].connections().map(|open| open.get(&other).copied())
        };
        let (Some(ours), Some(theirs)) = (there(self, from, to), there(self, to, from)) else {
            return Ok(());
        };
        if ours.is_some() && ours == theirs {
            return Ok(());
        }
        // One end still holds a connection that the other has lost: the new one replaces it.
        for (one, other, old) in [(from, to, ours), (to, from, theirs)] {
            if let Some(connection) = old {
                self.close(one, other, connection, "replaced by a newer connection".to_owned())?;
            }
        }
        self.connections += 1;
        let connection = self.connections;
        for (one, other) in [(from, to), (to, from)] {
            if let Some(open) = self.hosts[one.index()].connections() {
                open.insert(other, connection);
            }
        }
        for (one, other) in [(from, to), (to, from)] {
            let peer = self.host(other).key();
            self.handle(one, Input::PeerUp { peer, address: other.address().ip() })?;
        }
        Ok(())
    }

    pub(super) fn close(
        &mut self,
        at: HostId,
        peer: HostId,
        connection: u64,
        reason: String,
    ) -> Result<(), Violation> {
        let Some(open) = self.hosts[at.index()].connections() else { return Ok(()) };
        if open.get(&peer) != Some(&connection) {
            return Ok(());
        }
        open.remove(&peer);
        let host = &mut self.hosts[at.index()];
        if host.is_puppet() {
            host.puppet.dropped.push((peer, reason));
            return Ok(());
        }
        let peer = self.host(peer).key();
        self.handle(at, Input::PeerDown { peer, reason })
    }

    pub(super) fn time_out(&mut self, one: HostId, other: HostId) -> Result<(), Violation> {
        if !self.links.is_cut(one, other) {
            return Ok(());
        }
        for (at, peer) in [(one, other), (other, one)] {
            let open = self.hosts[at.index()].connections().and_then(|open| open.get(&peer).copied());
            if let Some(connection) = open {
                self.close(at, peer, connection, "timed out".to_owned())?;
            }
        }
        Ok(())
    }
}
