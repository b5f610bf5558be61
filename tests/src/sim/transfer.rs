//! Messages on their way from node to node; what liars make of them; and what puppets say.

use std::sync::Arc;

use miner_node::{Message, Urgency};

use super::checkers::Violation;
use super::desk::Letter;
use super::host::{Behaviour, HostId};
use super::world::{Event, World};

impl World {
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

    /// A node says something to one peer.
    pub(super) fn say_to(&mut self, from: HostId, to: HostId, message: &Message) -> Result<(), Violation> {
        self.hear(from, message)?;
        if let Behaviour::Liar(lie) = self.host(from).behaviour() {
            for said in lie.answer(to, message) {
                self.send(from, to, Arc::from(said.encode()));
            }
        } else {
            self.send(from, to, Arc::from(message.encode()));
        }
        Ok(())
    }

    /// A node says something to all peers.
    pub(super) fn broadcast(&mut self, from: HostId, message: &Message) -> Result<(), Violation> {
        self.hear(from, message)?;
        let truth: Arc<[u8]> = Arc::from(message.encode());
        let open = self.hosts[from.index()].connections();
        let peers: Vec<HostId> = open.into_iter().flat_map(|open| open.keys().copied()).collect();
        for to in peers {
            if let Behaviour::Liar(lie) = self.host(from).behaviour() {
                for said in lie.call(&self.host(from).settings.key, to, message) {
                    self.send(from, to, Arc::from(said.encode()));
                }
            } else {
                self.send(from, to, Arc::clone(&truth));
            }
        }
        Ok(())
    }

    /// The checkers hear everything that honest hosts say.
    fn hear(&mut self, id: HostId, message: &Message) -> Result<(), Violation> {
        if self.host(id).is_honest() { self.checkers.on_said(message) } else { Ok(()) }
    }

    /// Bytes wait to be sent over a connection, if there is one.
    pub(super) fn send(&mut self, from: HostId, to: HostId, bytes: Arc<[u8]>) {
        let open = self.hosts[from.index()].connections().and_then(|open| open.get(&to).copied());
        let Some(connection) = open else { return };
        if self.host(from).is_honest() {
            self.sent += 1;
            self.sent_bytes += u64::try_from(bytes.len()).unwrap_or(0);
        }
        self.overflowed += self.links.push(from, to, connection, bytes);
        self.pump(from, to);
    }

    /// Lets leave what can leave now, and plans to look again at the rest.
    pub(super) fn pump(&mut self, from: HostId, to: HostId) {
        while let Some(departure) = self.links.depart(from, to, self.now_us) {
            for in_us in departure.arrivals_us {
                let (connection, bytes) = (departure.connection, Arc::clone(&departure.bytes));
                self.schedule_us(in_us, Event::Deliver { from, to, connection, bytes });
            }
        }
        if let Some(at_us) = self.links.next_departure_us(from, to, self.now_us) {
            if let Some(pipe) = self.links.pipes.get_mut(&(from, to)) {
                pipe.is_planned = true;
            }
            self.schedule_us(at_us - self.now_us, Event::Depart { from, to });
        }
    }

    /// A planned look at what waits.
    pub(super) fn depart(&mut self, from: HostId, to: HostId) {
        if let Some(pipe) = self.links.pipes.get_mut(&(from, to)) {
            pipe.is_planned = false;
        }
        self.pump(from, to);
    }

    /// A message arrives, if its connection still stands.
    pub(super) fn deliver(&mut self, from: HostId, to: HostId, connection: u64, bytes: Arc<[u8]>) {
        let open = self.hosts[to.index()].connections().and_then(|open| open.get(&from).copied());
        if open != Some(connection) {
            return;
        }
        let peer = self.host(from).key_shown_to(to);
        let host = &mut self.hosts[to.index()];
        if host.hears_itself(&bytes) {
            self.links.taken(from, to, connection, bytes.len());
            return;
        }
        let is_puppet = host.is_puppet();
        let mut is_withheld = false;
        if (is_puppet || host.playing.is_some())
            && let Ok(message) = Message::decode(&bytes)
        {
            match &mut host.playing {
                Some(playing) => {
                    is_withheld = playing.withholds(&message);
                    playing.hear(from, message);
                }
                None => host.puppet.heard.push((from, message)),
            }
        }
        if is_puppet || is_withheld {
            self.links.taken(from, to, connection, bytes.len());
            self.pump(from, to);
        } else if let Some(running) = &mut host.running {
            let letter = Letter { peer, from, connection, bytes };
            if self.has_one_queue {
                running.desk.inbox.push(running.node.key(), Urgency::Urgent, letter);
            } else {
                running.desk.inbox.push(peer, letter.urgency(), letter);
            }
            self.take_turn(to);
        }
    }
}
