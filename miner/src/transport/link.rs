//! One established connection: its two lanes, its queues, and how it ends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chain::PublicKey;
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::transport::close;
use crate::transport::event::DisconnectReason;
use crate::transport::framing::{self, ReadFailure, Violation};
use crate::transport::handshake::{Lanes, RunId};
use crate::transport::limits::{Lane, LaneLimits, TransportLimits, charge};
use crate::transport::locked;
use crate::transport::peers::{Counters, Peers};
use crate::transport::places::Place;
use crate::transport::queue::SendQueue;

/// A connection with a peer, from the moment both ends agree on it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: PublicKey,
    pub(super) address: SocketAddr,
    pub(super) outbound: bool,
    /// Which run of the peer's program this is.
    pub(super) run: RunId,
    connection: Connection,
    urgent: LaneEnd,
    bulk: LaneEnd,
    /// Why this node closes the connection, once it does.
    closing: Mutex<Option<DisconnectReason>>,
    message_timeout: Duration,
    stall_timeout: Duration,
    /// Its place among the allowed connections, kept until the node has heard of its end.
    place: Mutex<Option<Place>>,
    /// Told once the place is wanted for somebody else.
    leave: Arc<Notify>,
}

/// This node's end of a lane.
#[derive(Debug)]
struct LaneEnd {
    limits: LaneLimits,
    outgoing: SendQueue,
    /// What may still come in before the node takes some of it.
    budget: Arc<Semaphore>,
}

impl LaneEnd {
    fn new(lane: Lane, limits: &LaneLimits) -> Self {
        Self {
            limits: *limits,
            outgoing: SendQueue::new(lane, limits.send_queue_bytes),
            budget: Arc::new(Semaphore::new(limits.receive_queue_bytes)),
        }
    }

    fn received_bytes(&self) -> usize {
        self.limits.receive_queue_bytes.saturating_sub(self.budget.available_permits())
    }
}

/// Who a connection is with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoints {
    pub(super) peer: PublicKey,
    pub(super) address: SocketAddr,
    pub(super) outbound: bool,
    pub(super) run: RunId,
}

impl Link {
    pub(super) fn new(
        ends: Endpoints,
        connection: Connection,
        limits: &TransportLimits,
        place: Option<Place>,
    ) -> Self {
        let Endpoints { peer, address, outbound, run } = ends;
        Self {
            peer,
            address,
            outbound,
            run,
            connection,
            urgent: LaneEnd::new(Lane::Urgent, &limits.urgent),
            bulk: LaneEnd::new(Lane::Bulk, &limits.bulk),
            closing: Mutex::new(None),
            message_timeout: limits.message_timeout,
            stall_timeout: limits.stall_timeout,
            leave: place.as_ref().map(Place::leave).unwrap_or_default(),
            place: Mutex::new(place),
        }
    }

    fn lane(&self, lane: Lane) -> &LaneEnd {
        match lane {
            Lane::Urgent => &self.urgent,
            Lane::Bulk => &self.bulk,
        }
    }

    /// The queue of messages to be sent on a lane.
    pub(super) fn outgoing(&self, lane: Lane) -> &SendQueue {
        &self.lane(lane).outgoing
    }

    /// Bytes received on both lanes that the node has not taken yet, overhead included.
    pub(super) fn received_bytes(&self) -> usize {
        self.urgent.received_bytes() + self.bulk.received_bytes()
    }

    /// The current estimate of the time a packet takes to the peer and back.
    pub(super) fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }

    /// Closes the connection; the first reason given is the one that counts and that the peer hears.
    pub(super) fn close(&self, reason: DisconnectReason) {
        let (code, words) = close::spoken(&reason);
        let mut closing = locked(&self.closing);
        if closing.is_none() {
            *closing = Some(reason);
            self.connection.close(code, words.as_bytes());
        }
    }

    /// Why this node closed the connection, if it did.
    pub(super) fn closing(&self) -> Option<DisconnectReason> {
        locked(&self.closing).clone()
    }

    /// Takes the link's place among the allowed connections, so that an event can keep it a little longer.
    pub(super) fn take_place(&self) -> Option<Place> {
        locked(&self.place).take()
    }

    fn why_gone(&self, error: ConnectionError) -> DisconnectReason {
        self.closing().unwrap_or_else(|| close::heard(error))
    }
}

/// Carries messages both ways until the connection is gone, then tells the node.
pub(super) async fn carry(peers: &Arc<Peers>, link: &Arc<Link>, lanes: Lanes) {
    let mut tasks = JoinSet::new();
    tasks.spawn(send(peers.clone(), link.clone(), Lane::Urgent, lanes.urgent_out, lanes.consent));
    tasks.spawn(send(peers.clone(), link.clone(), Lane::Bulk, lanes.bulk_out, None));
    tasks.spawn(receive(peers.clone(), link.clone(), Lane::Urgent, lanes.urgent_in));
    tasks.spawn(receive_bulk(peers.clone(), link.clone()));
    let error = tokio::select! {
        error = link.connection.closed() => error,
        () = link.leave.notified() => {
            link.close(DisconnectReason::MadeRoom);
            link.connection.closed().await
        }
    };
    tasks.abort_all();
    let reason = link.why_gone(error);
    tracing::debug!(peer = %link.peer.short(), %reason, "connection gone");
    peers.remove(link, reason);
}

/// Sends what is queued on a lane, the preface first if it is still owed. Ends with the connection, which it closes if
/// the peer reads nothing: whatever waits for such a peer takes memory for ever.
async fn send(
    peers: Arc<Peers>,
    link: Arc<Link>,
    lane: Lane,
    mut stream: SendStream,
    preface: Option<RunId>,
) {
    if let Some(RunId(preface)) = preface
        && stream.write_all(&preface).await.is_err()
    {
        return;
    }
    let patience = link.stall_timeout;
    loop {
        let message = link.outgoing(lane).pop().await;
        let Some(prefix) = framing::length_prefix(&message) else { continue };
        let mut chunks = [Bytes::copy_from_slice(&prefix), message];
        let mut unsent = chunks.as_mut_slice();
        while !unsent.is_empty() {
            match timeout(patience, stream.write_chunks(unsent)).await {
                Ok(Ok(written)) => unsent = unsent.get_mut(written.chunks..).unwrap_or_default(),
                Ok(Err(_)) => return,
                Err(_) => {
                    break_off(&peers, &link, Violation::ReadsNothing { lane, seconds: patience.as_secs() });
                    // Until the peer has heard why: a stream that is dropped is reset.
                    link.connection.closed().await;
                    return;
                }
            }
        }
    }
}

/// Closes the connection for what the peer did, if it is not closed already.
fn break_off(peers: &Peers, link: &Link, violation: Violation) {
    if link.connection.close_reason().is_none() {
        Counters::add(&peers.counters.violations, 1);
        link.close(violation.into());
    }
}

/// The peer opens its bulk lane after the urgent one, with its first large message.
async fn receive_bulk(peers: Arc<Peers>, link: Arc<Link>) {
    if let Ok(stream) = link.connection.accept_uni().await {
        receive(peers, link, Lane::Bulk, stream).await;
    }
}

/// Receives on a lane until the connection is gone or the peer breaks a rule.
async fn receive(peers: Arc<Peers>, link: Arc<Link>, lane: Lane, mut stream: RecvStream) {
    let failure = loop {
        if let Err(failure) = receive_one(&peers, &link, lane, &mut stream).await {
            break failure;
        }
    };
    if let ReadFailure::Violation(violation) = failure {
        break_off(&peers, &link, violation);
    }
    // Until the connection is known to be closed, the stream must not be dropped: that would tell the peer
    // to stop sending before it hears why.
    link.connection.closed().await;
    drop(stream);
}

async fn receive_one(
    peers: &Peers,
    link: &Arc<Link>,
    lane: Lane,
    stream: &mut RecvStream,
) -> Result<(), ReadFailure> {
    let end = link.lane(lane);
    let length = framing::read_length(stream, lane, end.limits.message_bytes).await?;
    let charged = u32::try_from(charge(length)).or(Err(ReadFailure::Lost))?;
    let room = end.budget.clone().acquire_many_owned(charged).await.or(Err(ReadFailure::Lost))?;
    let patience = link.message_timeout;
    let message = timeout(patience, framing::read_body(stream, lane, length)).await.unwrap_or_else(|_| {
        let seconds = patience.as_secs();
        Err(ReadFailure::Violation(Violation::MessageTooSlow { lane, length, seconds }))
    })?;
    peers.deliver(link, lane, message, room);
    Ok(())
}
