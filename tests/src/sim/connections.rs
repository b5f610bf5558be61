//! Connections between hosts: dialled, opened, closed and timed out.

use std::net::SocketAddr;

use chain::SecretKey;
use miner_node::Input;

use super::host::{Behaviour, HostId};
use super::world::{Event, World};

/// How often a host dials its bootstrap nodes until it is connected.
const BOOTSTRAP_MS: u64 = 2_000;
/// Bootstrap nodes of a host: two, so that one may be down.
const BOOTSTRAP_NODES: usize = 2;
/// Dials that a host has under way at most, as in the transport.
const DIALS: u32 = 24;
/// How long a dial lasts that nobody answers.
const DIAL_TIMEOUT_MS: u64 = 5_000;

impl World {
    /// Connects a puppet to a host.
    pub fn connect(&mut self, puppet: HostId, to: HostId) {
        self.schedule(1, Event::Connect { from: puppet, to });
    }

    pub(super) fn dial_bootstrap(&mut self, at: HostId, life: u32) {
        if self.host(at).life != life || self.host(at).running.is_none() {
            return;
        }
        let reachable = self.host_ids().filter(|&to| to != at && self.links.are_reachable(at, to));
        let bootstrap: Vec<HostId> = reachable.take(BOOTSTRAP_NODES).collect();
        for to in bootstrap {
            let known = self.hosts[at.index()].connections().is_some_and(|open| open.contains_key(&to));
            if !known {
                self.dial(at, to.address());
            }
        }
        self.schedule(BOOTSTRAP_MS, Event::Bootstrap { at, life });
    }

    /// A host calls an address, where nobody may be. As with the transport, it is connected or told that it is not.
    pub(super) fn dial(&mut self, from: HostId, address: SocketAddr) {
        let host = &mut self.hosts[from.index()];
        let life = host.life;
        if host.dials >= DIALS {
            self.schedule(0, Event::DialRefused { at: from, life, address });
            return;
        }
        host.dials += 1;
        let to = HostId::at(address);
        let is_there = to.index() < self.hosts.len() && !self.links.is_cut(from, to);
        let in_ms = if is_there { self.links.delay(from, to) } else { DIAL_TIMEOUT_MS };
        self.schedule(in_ms, Event::DialEnds { at: from, life, address });
    }

    /// Somebody answers a dial, or nobody does.
    pub(super) fn end_dial(&mut self, at: HostId, life: u32, address: SocketAddr) {
        let host = &mut self.hosts[at.index()];
        if host.life != life {
            return;
        }
        host.dials = host.dials.saturating_sub(1);
        let to = HostId::at(address);
        if to.index() < self.hosts.len() {
            self.open(at, to);
        }
        let is_connected = self.hosts[at.index()].connections().is_some_and(|open| open.contains_key(&to));
        if !is_connected {
            self.fail_dial(at, life, address);
        }
    }

    /// A node is told that a dial came to nothing.
    pub(super) fn fail_dial(&mut self, at: HostId, life: u32, address: SocketAddr) {
        if self.host(at).life == life {
            self.give(at, Input::DialFailed { address });
        }
    }

    pub(super) fn open(&mut self, from: HostId, to: HostId) {
        if self.links.is_cut(from, to) || !self.links.are_reachable(from, to) {
            return;
        }
        if self.host(from).is_suspended || self.host(to).is_suspended {
            return;
        }
        let there = |world: &mut Self, one: HostId, other: HostId| {
            world.hosts[one.index()].connections().map(|open| open.get(&other).copied())
        };
        let (Some(ours), Some(theirs)) = (there(self, from, to), there(self, to, from)) else { return };
        if ours.is_some() && ours == theirs {
            return;
        }
        // One end still holds a connection that the other has lost: the new one replaces it.
        for (one, other, old) in [(from, to, ours), (to, from, theirs)] {
            if let Some(connection) = old {
                self.close(one, other, connection, "replaced by a newer connection".to_owned());
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
            let peer = self.host(other).key_shown_to(one);
            self.trace.note(self.now_us / 1_000, one, "up", peer.as_bytes());
            self.give(one, Input::PeerUp { peer, address: other.address().ip() });
        }
    }

    /// One end of a connection is gone.
    pub(super) fn close(&mut self, at: HostId, peer: HostId, connection: u64, reason: String) {
        let Some(open) = self.hosts[at.index()].connections() else { return };
        if open.get(&peer) != Some(&connection) {
            return;
        }
        open.remove(&peer);
        self.links.drain(at, peer, connection);
        if self.host(at).is_puppet() {
            self.hosts[at.index()].puppet.dropped.push((peer, reason));
            self.change_mask(at, peer);
            return;
        }
        let peer = self.host(peer).key_shown_to(at);
        if let Some(running) = &mut self.hosts[at.index()].running {
            running.desk.inbox.forget(&peer);
        }
        self.give(at, Input::PeerDown { peer, reason });
    }

    /// A stranger that was hung up on comes back as somebody else: keys are free.
    fn change_mask(&mut self, at: HostId, peer: HostId) {
        if !matches!(self.host(at).behaviour(), Behaviour::Stranger(_)) {
            return;
        }
        self.masks += 1;
        let mask = SecretKey::for_scenario(self.rng_seed, "mask", self.masks);
        self.names.insert(mask.public(), at);
        self.hosts[at.index()].puppet.masks.insert(peer, mask);
    }

    pub(super) fn time_out(&mut self, one: HostId, other: HostId) {
        if !self.links.is_cut(one, other) {
            return;
        }
        for (at, peer) in [(one, other), (other, one)] {
            let open = self.hosts[at.index()].connections().and_then(|open| open.get(&peer).copied());
            if let Some(connection) = open {
                self.close(at, peer, connection, "timed out".to_owned());
            }
        }
    }
}
