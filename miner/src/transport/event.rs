//! What a transport tells its node, and the queues it tells it through.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use chain::PublicKey;
use miner_node::{Inbox, Urgency};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::transport::error::DialError;
use crate::transport::framing::Violation;
use crate::transport::limits::Lane;
use crate::transport::places::Place;

/// Messages of peers with reserved keys taken in a row before one of a stranger, if any waits: enough that no number of
/// strangers holds up a vote, few enough that strangers are heard.
const RESERVED_IN_A_ROW: u32 = 8;

/// Something that happened. For each peer, `Connected` and `Disconnected` alternate, and every message
/// comes between the two of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum TransportEvent {
    /// A peer proved its key and the connection with it stands.
    Connected {
        peer: PublicKey,
        /// Its address: where it was dialled, or where its packets come from.
        address: SocketAddr,
        /// Whether this node opened the connection.
        outbound: bool,
    },
    /// The connection with a peer is gone. Messages queued for it are lost, and so are those of it that the node has
    /// not taken.
    Disconnected { peer: PublicKey, reason: DisconnectReason },
    /// A peer sent a message.
    Message {
        peer: PublicKey,
        /// The message, within the limits, otherwise as it came.
        bytes: Bytes,
    },
    /// A dial led to no new connection.
    DialFailed { address: SocketAddr, reason: DialError },
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// This node closed it, saying this.
    #[error("closed by this node: {0}")]
    Local(String),
    /// The peer closed it, saying this (made printable).
    #[error("closed by the peer: {0}")]
    Remote(String),
    /// The peer broke a rule of the transport, and this node closed the connection.
    #[error("the peer broke a rule: {0}")]
    Violation(#[from] Violation),
    /// A newer connection with the same peer took its place; `Connected` follows at once.
    #[error("replaced by a newer connection with the same peer")]
    Replaced,
    /// All places were taken, and one was needed for a node with a reserved key.
    #[error("closed to make room for a node with a reserved key")]
    MadeRoom,
    /// The peer restarted and knows nothing of this connection.
    #[error("the peer has restarted")]
    PeerRestarted,
    /// The peer has been silent for longer than the idle timeout.
    #[error("the peer has been silent for too long")]
    TimedOut,
    /// The connection failed in some other way.
    #[error("the connection failed: {0}")]
    Failed(String),
    /// This transport is being shut down.
    #[error("this node is shutting down")]
    ShuttingDown,
}

/// An event on its way, with the place in a limit that it occupies until it is taken.
#[derive(Debug)]
pub(super) enum Queued {
    /// Anything but a message.
    Connection {
        event: TransportEvent,
        place: Option<Place>,
    },
    Message {
        peer: PublicKey,
        lane: Lane,
        message: Received,
    },
}

/// A message, and its room in the budget of its lane.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) room: OwnedSemaphorePermit,
}

/// The events of a transport: what happens to connections first, then messages, of each peer and lane oldest first. Peers
/// are served in turn, those with reserved keys before strangers, and small messages before large ones, each without
/// starving the other. Not taking them slows the peers down, each by what it sent itself.
#[derive(Debug)]
pub struct TransportEvents {
    /// Not bounded by itself: everything in it holds a place in a limit of [`super::TransportLimits`].
    arriving: mpsc::UnboundedReceiver<Queued>,
    connections: VecDeque<(TransportEvent, Option<Place>)>,
    reserved: Arc<BTreeSet<PublicKey>>,
    of_reserved: Inbox<Received>,
    of_strangers: Inbox<Received>,
    reserved_in_a_row: u32,
}

impl TransportEvents {
    /// The queue and its other end, for peers of whom these have reserved keys.
    pub(super) fn channel(reserved: Arc<BTreeSet<PublicKey>>) -> (mpsc::UnboundedSender<Queued>, Self) {
        let (sender, arriving) = mpsc::unbounded_channel();
        let events = Self {
            arriving,
            connections: VecDeque::new(),
            reserved,
            of_reserved: Inbox::default(),
            of_strangers: Inbox::default(),
            reserved_in_a_row: 0,
        };
        (sender, events)
    }

    /// The next event, as soon as there is one; `None` once the transport is shut down and everything is
    /// taken. Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<TransportEvent> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// [`TransportEvents::recv`], for whoever waits for more than that.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<TransportEvent>> {
        loop {
            if let Some(event) = self.try_recv() {
                return Poll::Ready(Some(event));
            }
            match self.arriving.poll_recv(context) {
                Poll::Ready(Some(queued)) => self.sort(queued),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next event if there is one now. Everything that has come in is sorted before anything is taken.
    pub fn try_recv(&mut self) -> Option<TransportEvent> {
        while let Ok(queued) = self.arriving.try_recv() {
            self.sort(queued);
        }
        self.next()
    }

    fn sort(&mut self, queued: Queued) {
        match queued {
            Queued::Connection { event, place } => {
                if let TransportEvent::Disconnected { peer, .. } = &event {
                    self.inbox(peer).forget(peer);
                }
                self.connections.push_back((event, place));
            }
            Queued::Message { peer, lane, message } => {
                let urgency = match lane {
                    Lane::Urgent => Urgency::Urgent,
                    Lane::Bulk => Urgency::Bulk,
                };
                self.inbox(&peer).push(peer, urgency, message);
            }
        }
    }

    fn inbox(&mut self, peer: &PublicKey) -> &mut Inbox<Received> {
        if self.reserved.contains(peer) { &mut self.of_reserved } else { &mut self.of_strangers }
    }

    fn next(&mut self) -> Option<TransportEvent> {
        if let Some((event, place)) = self.connections.pop_front() {
            drop(place);
            return Some(event);
        }
        let (peer, Received { bytes, room }) = self.next_message()?;
        drop(room);
        Some(TransportEvent::Message { peer, bytes })
    }

    fn next_message(&mut self) -> Option<(PublicKey, Received)> {
        let is_strangers_turn = self.reserved_in_a_row >= RESERVED_IN_A_ROW;
        let of_reserved = if is_strangers_turn { None } else { self.of_reserved.pop() };
        if of_reserved.is_some() {
            self.reserved_in_a_row += 1;
            return of_reserved;
        }
        self.reserved_in_a_row = 0;
        self.of_strangers.pop().or_else(|| self.of_reserved.pop())
    }
}
