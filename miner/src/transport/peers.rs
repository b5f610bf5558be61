//! Who is connected: at most one connection a peer, and which of two survives.
//!
//! Both ends must agree on that, so one of them decides: the **lower key is the arbiter** of the pair. It
//! keeps the connection it has and refuses others, unless the peer has been restarted since. The higher key
//! obeys: whatever connection the arbiter admits is the one that counts (see [`super::handshake`] for how
//! it is told). Two nodes that dial each other at the same time thus end with the one connection that the
//! arbiter admitted first.
//!
//! Every event goes out under the lock of this table, which is what puts events in order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chain::PublicKey;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::transport::error::DialError;
use crate::transport::event::{DisconnectReason, Queued, Received, TransportEvent};
use crate::transport::limits::Lane;
use crate::transport::link::Link;
use crate::transport::locked;
use crate::transport::places::Place;

/// The table of connected peers.
#[derive(Debug)]
pub(super) struct Peers {
    own: PublicKey,
    table: Mutex<Table>,
    pub(super) counters: Counters,
}

#[derive(Debug)]
struct Table {
    links: BTreeMap<PublicKey, Arc<Link>>,
    /// `None` once shut down.
    events: Option<mpsc::UnboundedSender<Queued>>,
}

/// Running totals since the transport was bound.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) messages_received: AtomicU64,
    pub(super) bytes_received: AtomicU64,
    pub(super) messages_queued: AtomicU64,
    pub(super) messages_dropped: AtomicU64,
    pub(super) messages_refused: AtomicU64,
    pub(super) handshakes_refused: AtomicU64,
    pub(super) violations: AtomicU64,
}

/// Totals since the transport was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransportCounters {
    /// Messages handed to the node's event queue.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Messages accepted for sending.
    pub messages_queued: u64,
    /// Of these, urgent messages dropped since because newer ones needed their room.
    pub messages_dropped: u64,
    /// Messages not accepted because a queue of large messages was full.
    pub messages_refused: u64,
    /// Incoming handshakes turned away for their number.
    pub handshakes_refused: u64,
    /// Connections closed because the peer broke a rule.
    pub violations: u64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> TransportCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransportCounters {
            messages_received: read(&self.messages_received),
            bytes_received: read(&self.bytes_received),
            messages_queued: read(&self.messages_queued),
            messages_dropped: read(&self.messages_dropped),
            messages_refused: read(&self.messages_refused),
            handshakes_refused: read(&self.handshakes_refused),
            violations: read(&self.violations),
        }
    }
}

impl Peers {
    pub(super) fn new(own: PublicKey, events: mpsc::UnboundedSender<Queued>) -> Self {
        let table = Table { links: BTreeMap::new(), events: Some(events) };
        Self { own, table: Mutex::new(table), counters: Counters::default() }
    }

    /// Whether this node decides which connection with `peer` survives.
    pub(super) fn arbitrates(&self, peer: &PublicKey) -> bool {
        self.own < *peer
    }

    /// Makes `link` the connection with its peer, or says why not. A connection that it replaces is closed.
    pub(super) fn admit(&self, link: &Arc<Link>) -> Result<(), DialError> {
        let mut table = locked(&self.table);
        let Table { links, events } = &mut *table;
        let Some(events) = events else { return Err(DialError::ShuttingDown) };
        let peer = link.peer;
        match links.entry(peer) {
            Entry::Vacant(vacant) => {
                vacant.insert(link.clone());
            }
            Entry::Occupied(current) if self.arbitrates(&peer) && current.get().run == link.run => {
                return Err(DialError::AlreadyConnected { peer });
            }
            Entry::Occupied(mut current) => {
                let replaced = current.insert(link.clone());
                replaced.close(DisconnectReason::Replaced);
                let reason = replaced.closing().unwrap_or(DisconnectReason::Replaced);
                post(events, TransportEvent::Disconnected { peer, reason }, replaced.take_place());
            }
        }
        let event = TransportEvent::Connected { peer, address: link.address, outbound: link.outbound };
        post(events, event, None);
        Ok(())
    }

    /// Hands a message to the node, unless its connection does not count any more.
    pub(super) fn deliver(&self, link: &Arc<Link>, lane: Lane, bytes: Bytes, room: OwnedSemaphorePermit) {
        let table = locked(&self.table);
        let current = table.links.get(&link.peer).is_some_and(|current| Arc::ptr_eq(current, link));
        if let Some(events) = table.events.as_ref().filter(|_| current) {
            Counters::add(&self.counters.messages_received, 1);
            Counters::add(&self.counters.bytes_received, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            let message = Received { bytes, room };
            let _ = events.send(Queued::Message { peer: link.peer, lane, message }); // as in `post`
        }
    }

    /// Forgets a connection that is gone and says so, unless it did not count any more.
    pub(super) fn remove(&self, link: &Arc<Link>, reason: DisconnectReason) {
        let mut table = locked(&self.table);
        if let Entry::Occupied(current) = table.links.entry(link.peer)
            && Arc::ptr_eq(current.get(), link)
        {
            current.remove();
            if let Some(events) = &table.events {
                let event = TransportEvent::Disconnected { peer: link.peer, reason };
                post(events, event, link.take_place());
            }
        }
    }

    /// Tells the node that a dial failed.
    pub(super) fn dial_failed(&self, event: TransportEvent, place: Option<Place>) {
        if let Some(events) = &locked(&self.table).events {
            post(events, event, place);
        }
    }

    /// Whether the node still listens to events.
    pub(super) fn is_open(&self) -> bool {
        locked(&self.table).events.is_some()
    }

    /// The connection with a peer.
    pub(super) fn get(&self, peer: &PublicKey) -> Option<Arc<Link>> {
        locked(&self.table).links.get(peer).cloned()
    }

    /// All connections, by key.
    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        locked(&self.table).links.values().cloned().collect()
    }

    /// Says good-bye to the node: every connection is gone, no event follows.
    pub(super) fn shut_down(&self) {
        let mut table = locked(&self.table);
        let links = std::mem::take(&mut table.links);
        if let Some(events) = table.events.take() {
            for link in links.into_values() {
                link.close(DisconnectReason::ShuttingDown);
                let reason = link.closing().unwrap_or(DisconnectReason::ShuttingDown);
                post(&events, TransportEvent::Disconnected { peer: link.peer, reason }, link.take_place());
            }
        }
    }
}

/// A node that has dropped its end of the queue hears nothing more.
fn post(events: &mpsc::UnboundedSender<Queued>, event: TransportEvent, place: Option<Place>) {
    let _ = events.send(Queued::Connection { event, place });
}
