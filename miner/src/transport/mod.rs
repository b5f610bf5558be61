//! Authenticated messages between nodes: QUIC with mutual TLS 1.3, in which the node key *is* the TLS key
//! (RFC 7250 raw public keys; no certificates, no resumption, no early data).
//!
//! [`Transport::bind`] gives a handle to dial, send and disconnect, and a queue of [`TransportEvent`]s.
//! A peer is a public key; there is at most one connection with each. What the messages mean is the node's
//! affair: here they are bytes of limited length. Nothing in here knows a batch or a record.
//!
//! What a node may rely on:
//! - a [`TransportEvent::Message`] comes from the holder of its key, who runs the same protocol version in
//!   the same network, and is within the limits;
//! - for each peer, `Connected` and `Disconnected` alternate and enclose its messages;
//! - messages on one [`Lane`] keep their order; a connection that ends loses what was under way;
//! - every queue is bounded: a peer that sends faster than the node takes is held back by QUIC's flow
//!   control, alone; a peer that reads too slowly loses messages as [`Transport::send`] says, and one that reads
//!   nothing, or begins a message and does not end it, is dropped;
//! - peers are heard in turn, those with reserved keys before strangers ([`TransportEvents`]);
//! - one host holds a share of places and handshakes, however many keys it shows, and none that a reserved key needs.
//!
//! Deliberately absent: names and address books (the node's driver resolves), retries (the driver dials
//! again), more than one connection with a peer.

mod admission;
mod close;
mod endpoint;
mod error;
mod event;
mod framing;
mod handshake;
mod identity;
mod limits;
mod link;
mod peers;
mod places;
mod queue;
mod rate;
#[cfg(test)]
mod tests;
mod tls;
mod verifier;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chain::record::NetworkId;
use chain::{PublicKey, SecretKey};
use serde::Serialize;

pub use error::{DialError, SendError, TransportError};
pub use event::{DisconnectReason, TransportEvent, TransportEvents};
pub use framing::Violation;
pub use identity::IdentityError;
pub use limits::{Lane, LaneLimits, TransportLimits};
pub use peers::TransportCounters;

use handshake::Context;
use miner_node::Host;
use peers::Counters;
use places::{Applicant, NoPlace};
use queue::Pushed;

/// The version of everything two nodes say to each other. Nodes of different versions do not connect.
pub const PROTOCOL_VERSION: u32 = 1;
/// Longest wait for peers to hear that this node shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What a transport is bound with.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Where to listen; port 0 picks a free one, `[::]` serves IPv4 too where the system allows.
    pub listen: SocketAddr,
    /// The node's key, which peers know it by.
    pub key: SecretKey,
    /// The network: only nodes of the same one connect.
    pub network: NetworkId,
    /// The only keys to talk to; absent: any.
    pub allow_list: Option<BTreeSet<PublicKey>>,
    /// Keys that matter to this node: they need no share of their host's places, strangers make room for them, and
    /// their messages come before those of strangers.
    pub reserved: BTreeSet<PublicKey>,
    /// Limits on everything that peers can make grow.
    pub limits: TransportLimits,
}

/// A handle to the transport; clones share it. Dropping the last one closes every connection.
#[derive(Clone, Debug)]
pub struct Transport {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    context: Arc<Context>,
    local_address: SocketAddr,
}

/// A connected peer, as seen at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct PeerInfo {
    pub peer: PublicKey,
    /// Where it was dialled, or where its packets come from.
    pub address: SocketAddr,
    /// Whether this node opened the connection.
    pub outbound: bool,
    /// The estimated time to the peer and back.
    pub round_trip: Duration,
    /// Messages that wait to be sent to it.
    pub send_queue_messages: usize,
    /// What they are charged, in bytes: their lengths and 64 bytes each.
    pub send_queue_bytes: usize,
    /// What the node has not taken yet of what the peer sent, charged likewise, in bytes.
    pub receive_queue_bytes: usize,
}

impl Transport {
    /// Listens and starts answering dials. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be listened on or the limits contradict each other.
    pub fn bind(config: TransportConfig) -> Result<(Self, TransportEvents), TransportError> {
        let listen = config.listen;
        let (context, events) = endpoint::bind(config)?;
        let local_address = context
            .endpoint
            .local_addr()
            .map_err(|source| TransportError::Socket { address: listen, source })?;
        tokio::spawn(endpoint::answer_dials(context.clone()));
        Ok((Self { handle: Arc::new(Handle { context, local_address }) }, events))
    }

    /// Where this node listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.local_address
    }

    /// The key this node is known by.
    pub fn public_key(&self) -> PublicKey {
        self.handle.context.own
    }

    /// Starts a dial, which goes on in the background. With `expected`, only that node is accepted; without,
    /// whoever listens there, whose key the event then tells. If this returns `Ok`, exactly one event
    /// follows, `Connected` (with this address, outbound) or `DialFailed`, unless the transport is shut down.
    ///
    /// [`DialError::AlreadyConnected`] from a peer without a `Connected` may mean that the peer has not noticed
    /// yet that the former connection is gone: dial again a little later.
    ///
    /// # Errors
    /// If no dial was started: [`DialError::Myself`], [`DialError::AlreadyConnected`], [`DialError::BeingDialled`],
    /// [`DialError::TooManyConnections`], [`DialError::TooManyToHost`] or [`DialError::ShuttingDown`].
    pub fn connect(&self, address: SocketAddr, expected: Option<PublicKey>) -> Result<(), DialError> {
        let context = &self.handle.context;
        if !context.peers.is_open() {
            return Err(DialError::ShuttingDown);
        }
        if expected == Some(context.own) {
            return Err(DialError::Myself);
        }
        if let Some(peer) = expected.filter(|peer| context.peers.get(peer).is_some()) {
            return Err(DialError::AlreadyConnected { peer });
        }
        // Who is dialled at an address alone was named by the operator.
        let is_reserved = expected.is_none_or(|peer| context.reserved.contains(&peer));
        let applicant = Applicant { host: Host::of(address.ip()), key: expected, is_reserved };
        let TransportLimits { outbound_connections, outbound_connections_per_host, .. } = context.limits;
        let place = context.outbound.take(applicant).map_err(|none| match (none, expected) {
            (NoPlace::KeyFull, Some(peer)) => DialError::BeingDialled { peer },
            (NoPlace::HostFull, _) => {
                DialError::TooManyToHost { address, limit: outbound_connections_per_host }
            }
            (NoPlace::Full | NoPlace::KeyFull, _) => {
                DialError::TooManyConnections { limit: outbound_connections }
            }
        })?;
        tokio::spawn(handshake::dial(context.clone(), address, expected, place));
        Ok(())
    }

    /// Queues a message for a peer and returns at once. A message of at most
    /// [`TransportLimits::urgent`]'s length travels on the urgent lane, a longer one on the bulk lane.
    ///
    /// If the peer reads too slowly and the urgent queue is full, its *oldest* messages are dropped (counted
    /// in [`TransportCounters::messages_dropped`]); if the bulk queue is full, *this* message is refused.
    ///
    /// # Errors
    /// If the peer is not connected, the message is too long, or the bulk queue is full.
    pub fn send(&self, peer: &PublicKey, message: Bytes) -> Result<(), SendError> {
        let Context { limits, peers, .. } = &*self.handle.context;
        let got = message.len();
        let lane = limits.lane_for(got);
        let lane = lane.ok_or(SendError::TooLong { got, limit: limits.bulk.message_bytes })?;
        let link = peers.get(peer).ok_or(SendError::NotConnected { peer: *peer })?;
        match link.outgoing(lane).push(message) {
            Pushed::Queued { dropped } => {
                Counters::add(&peers.counters.messages_queued, 1);
                Counters::add(&peers.counters.messages_dropped, dropped);
                Ok(())
            }
            Pushed::Refused => {
                Counters::add(&peers.counters.messages_refused, 1);
                Err(SendError::QueueFull { peer: *peer })
            }
        }
    }

    /// Whether a message of `bytes` for a peer would be queued, had nobody else anything for it meanwhile. It would not
    /// where there is no such peer.
    pub fn has_room_for(&self, peer: &PublicKey, bytes: usize) -> bool {
        let Context { limits, peers, .. } = &*self.handle.context;
        let lane = limits.lane_for(bytes);
        lane.zip(peers.get(peer)).is_some_and(|(lane, link)| link.outgoing(lane).has_room_for(bytes))
    }

    /// Closes the connection with a peer, if there is one, and tells it why (the first 256 characters).
    /// `Disconnected` follows; what was queued for the peer is lost.
    pub fn disconnect(&self, peer: &PublicKey, reason: String) {
        if let Some(link) = self.handle.context.peers.get(peer) {
            link.close(DisconnectReason::Local(reason));
        }
    }

    /// The connected peers, by key.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let links = self.handle.context.peers.all();
        let info = |link: &Arc<link::Link>| {
            let queues = [Lane::Urgent, Lane::Bulk].map(|lane| link.outgoing(lane).len_and_bytes());
            PeerInfo {
                peer: link.peer,
                address: link.address,
                outbound: link.outbound,
                round_trip: link.round_trip(),
                send_queue_messages: queues.iter().map(|queue| queue.0).sum(),
                send_queue_bytes: queues.iter().map(|queue| queue.1).sum(),
                receive_queue_bytes: link.received_bytes(),
            }
        };
        links.iter().map(info).collect()
    }

    /// Totals since the transport was bound.
    pub fn counters(&self) -> TransportCounters {
        self.handle.context.peers.counters.snapshot()
    }

    /// Closes every connection, telling the peers, and waits until they know (two seconds at most). The
    /// event queue ends with a `Disconnected` for each.
    pub async fn shutdown(&self) {
        self.handle.close();
        let idle = self.handle.context.endpoint.wait_idle();
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, idle).await.is_err() {
            tracing::debug!("some peers did not confirm that they know of the shutdown");
        }
    }
}

impl Handle {
    fn close(&self) {
        self.context.peers.shut_down();
        self.context.endpoint.close(close::SHUTDOWN, b"the node is shutting down");
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

/// Locks what is only ever left consistent: no code under our locks can panic half-way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
