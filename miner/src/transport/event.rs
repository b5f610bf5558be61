//! What a transport tells its node, and the queue it tells it through.

use std::net::SocketAddr;

use bytes::Bytes;
use chain::PublicKey;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::transport::error::DialError;
use crate::transport::framing::Violation;

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
    /// The connection with a peer is gone. Messages queued for it are lost.
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
pub(super) struct QueuedEvent {
    pub(super) event: TransportEvent,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// The events of a transport, oldest first. Not taking them slows the peers down, each by what it sent
/// itself.
#[derive(Debug)]
pub struct TransportEvents {
    queue: mpsc::UnboundedReceiver<QueuedEvent>,
}

impl TransportEvents {
    /// The queue is not bounded by itself: every event in it holds a place in a limit of
    /// [`super::TransportLimits`].
    pub(super) fn channel() -> (mpsc::UnboundedSender<QueuedEvent>, Self) {
        let (sender, queue) = mpsc::unbounded_channel();
        (sender, Self { queue })
    }

    /// The next event, as soon as there is one; `None` once the transport is shut down and everything is
    /// taken. Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Option<TransportEvent> {
        self.queue.recv().await.map(take)
    }

    /// The next event if there is one now.
    pub fn try_recv(&mut self) -> Option<TransportEvent> {
        self.queue.try_recv().ok().map(take)
    }
}

/// Frees the event's place.
fn take(queued: QueuedEvent) -> TransportEvent {
    drop(queued.place);
    queued.event
}
