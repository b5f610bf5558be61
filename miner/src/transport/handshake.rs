//! From a QUIC handshake to a connection that both ends agree on.
//!
//! After TLS each end opens its urgent lane and sends a **preface** on it: 16 random bytes that name this
//! run of its program. The higher key of the pair sends its preface at once; the lower key, which decides
//! (see [`super::peers`]), reads it, and sends its own only if it admits the connection. So the lower key's
//! preface is its consent, and the higher key counts a connection from then on. A restarted peer is known
//! by its new run.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use chain::PublicKey;
use quinn::{Connection, ConnectionError, Endpoint, Incoming, RecvStream, SendStream, TransportConfig};
use rustls::sign::CertifiedKey;
use tokio::time::timeout;

use crate::transport::admission::InProgress;
use crate::transport::error::DialError;
use crate::transport::event::TransportEvent;
use crate::transport::limits::TransportLimits;
use crate::transport::link::{self, Endpoints, Link};
use crate::transport::peers::Peers;
use crate::transport::places::{Applicant, NoPlace, Place, Places};
use crate::transport::verifier::ListenerVerifier;
use crate::transport::{close, identity, tls};
use miner_node::Host;

/// Names one run of a node's program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RunId(pub(super) [u8; 16]);

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({})", hex::encode(self.0))
    }
}

/// The streams of a connection. The peer's bulk lane comes with its first large message.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) urgent_out: SendStream,
    pub(super) bulk_out: SendStream,
    pub(super) urgent_in: RecvStream,
    /// The preface that this node, as the arbiter, still owes the peer.
    pub(super) consent: Option<RunId>,
}

/// What all connections of a transport share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) own: PublicKey,
    pub(super) run: RunId,
    pub(super) identity: Arc<CertifiedKey>,
    pub(super) protocol: Vec<u8>,
    pub(super) allow_list: Option<Arc<BTreeSet<PublicKey>>>,
    /// Keys that need no share of their host's, and for whom strangers make room.
    pub(super) reserved: Arc<BTreeSet<PublicKey>>,
    pub(super) limits: TransportLimits,
    pub(super) quic: Arc<TransportConfig>,
    pub(super) endpoint: Endpoint,
    pub(super) peers: Arc<Peers>,
    pub(super) inbound: Arc<Places>,
    pub(super) outbound: Arc<Places>,
}

/// Answers one dial, to the end of the connection that comes of it.
pub(super) async fn answer(context: Arc<Context>, incoming: Incoming, in_progress: InProgress) {
    let address = incoming.remote_address();
    let established = timeout(context.limits.handshake_timeout, async {
        let connection = incoming.accept().map_err(close::dial_error)?.await.map_err(close::dial_error)?;
        let peer = judge(&context, &connection).map_err(|reason| refuse(&connection, reason))?;
        let place = place_for(&context, peer, &connection).map_err(|reason| refuse(&connection, reason))?;
        establish(&context, connection, peer, None, &mut Some(place)).await
    });
    let outcome = established.await.unwrap_or(Err(DialError::TimedOut));
    drop(in_progress);
    match outcome {
        Ok((link, lanes)) => link::carry(&context.peers, &link, lanes).await,
        Err(reason) => tracing::debug!(%address, %reason, "incoming connection refused"),
    }
}

/// A place for a peer that has proved its key.
fn place_for(context: &Context, peer: PublicKey, connection: &Connection) -> Result<Place, DialError> {
    let host = Host::of(connection.remote_address().ip());
    let applicant = Applicant { host, key: Some(peer), is_reserved: context.reserved.contains(&peer) };
    context.inbound.take(applicant).map_err(|none| {
        let reason = match none {
            NoPlace::Full => "this node has as many connections as it takes: try another",
            NoPlace::HostFull => "this node has as many connections with your host as it takes: try another",
            NoPlace::KeyFull => "this node has a connection with you, and another that is being opened",
        };
        DialError::Refused { reason: reason.into() }
    })
}

/// Makes one dial, to the end of the connection that comes of it.
pub(super) async fn dial(
    context: Arc<Context>,
    address: SocketAddr,
    expected: Option<PublicKey>,
    place: Place,
) {
    let leave = place.leave();
    // The place goes to the connection or, if none comes of the dial, to the event that says so.
    let mut place = Some(place);
    let established = timeout(context.limits.handshake_timeout, async {
        let connection = connect(&context, address, expected).await?;
        let peer = judge(&context, &connection).map_err(|reason| refuse(&connection, reason))?;
        establish(&context, connection, peer, Some(address), &mut place).await
    });
    let outcome = tokio::select! {
        outcome = established => outcome.unwrap_or(Err(DialError::TimedOut)),
        () = leave.notified() => {
            Err(DialError::TooManyConnections { limit: context.limits.outbound_connections })
        }
    };
    match outcome {
        Ok((link, lanes)) => link::carry(&context.peers, &link, lanes).await,
        Err(reason) => {
            tracing::debug!(%address, %reason, "dial failed");
            context.peers.dial_failed(TransportEvent::DialFailed { address, reason }, place);
        }
    }
}

/// The QUIC and TLS handshake of a dial.
async fn connect(
    context: &Context,
    address: SocketAddr,
    expected: Option<PublicKey>,
) -> Result<Connection, DialError> {
    let refusal = Arc::new(OnceLock::new());
    let verifier = ListenerVerifier {
        own: context.own,
        expected,
        allow_list: context.allow_list.clone(),
        refusal: refusal.clone(),
    };
    let config = tls::client_config(
        context.identity.clone(),
        context.protocol.clone(),
        context.quic.clone(),
        verifier,
    )
    .map_err(|error| DialError::Failed(error.to_string()))?;
    let connecting =
        context.endpoint.connect_with(config, address, tls::SERVER_NAME).map_err(|error| match error {
            quinn::ConnectError::InvalidRemoteAddress(_) => DialError::BadAddress { address },
            quinn::ConnectError::EndpointStopping => DialError::ShuttingDown,
            error @ (quinn::ConnectError::CidsExhausted
            | quinn::ConnectError::InvalidServerName(_)
            | quinn::ConnectError::NoDefaultClientConfig
            | quinn::ConnectError::UnsupportedVersion) => DialError::Failed(error.to_string()),
        })?;
    connecting.await.map_err(|error| refusal.get().cloned().unwrap_or_else(|| close::dial_error(error)))
}

/// Exchanges prefaces and enters the connection among the peers, which takes `place`. Once it is entered
/// nothing is waited for, so that a timeout cannot strike between that and the tasks that carry it.
async fn establish(
    context: &Context,
    connection: Connection,
    peer: PublicKey,
    dialled: Option<SocketAddr>,
    place: &mut Option<Place>,
) -> Result<(Arc<Link>, Lanes), DialError> {
    let gone = |error| {
        if was_duplicate(&error) { DialError::AlreadyConnected { peer } } else { close::dial_error(error) }
    };
    let mut urgent_out = connection.open_uni().await.map_err(gone)?;
    let bulk_out = connection.open_uni().await.map_err(gone)?;
    // Fails only on a stream that is closed, which shows at the first write.
    let _ = urgent_out.set_priority(1);

    let arbitrates = context.peers.arbitrates(&peer);
    if !arbitrates {
        // If this fails the connection is gone, which shows below with its reason.
        let _ = urgent_out.write_all(&context.run.0).await;
    }
    let mut urgent_in = connection.accept_uni().await.map_err(gone)?;
    let mut run = RunId([0; 16]);
    if urgent_in.read_exact(&mut run.0).await.is_err() {
        refuse(&connection, DialError::Refused { reason: "the preface is incomplete".into() });
        return Err(gone(connection.closed().await));
    }
    let address = dialled.unwrap_or_else(|| canonical(connection.remote_address()));
    let ends = Endpoints { peer, address, outbound: dialled.is_some(), run };
    let link = Arc::new(Link::new(ends, connection.clone(), &context.limits, place.take()));
    if let Err(reason) = context.peers.admit(&link) {
        *place = link.take_place();
        return Err(refuse(&connection, reason));
    }
    let consent = arbitrates.then_some(context.run);
    Ok((link, Lanes { urgent_out, bulk_out, urgent_in, consent }))
}

/// Whether this node wants to talk to whoever proved its key.
fn judge(context: &Context, connection: &Connection) -> Result<PublicKey, DialError> {
    let peer = identity::peer_key(connection)?;
    if peer == context.own {
        return Err(DialError::Myself);
    }
    match &context.allow_list {
        Some(allowed) if !allowed.contains(&peer) => Err(DialError::NotAllowed { key: peer }),
        Some(_) | None => Ok(peer),
    }
}

/// Closes a connection that is not to be and tells the peer why.
fn refuse(connection: &Connection, reason: DialError) -> DialError {
    let (code, words) = match &reason {
        DialError::AlreadyConnected { .. } => (close::DUPLICATE, "already connected".into()),
        DialError::NotAllowed { key } => {
            (close::BY_NODE, format!("the node {key} is not on the allow-list of this private network"))
        }
        DialError::Refused { reason } => (close::BY_NODE, reason.clone()),
        DialError::ShuttingDown => (close::SHUTDOWN, "the node is shutting down".into()),
        other @ (DialError::Myself
        | DialError::TooManyConnections { .. }
        | DialError::TooManyToHost { .. }
        | DialError::BeingDialled { .. }
        | DialError::BadAddress { .. }
        | DialError::WrongKey { .. }
        | DialError::BadIdentity(_)
        | DialError::OtherNetwork
        | DialError::Busy
        | DialError::TimedOut
        | DialError::Failed(_)) => (close::BY_NODE, other.to_string()),
    };
    connection.close(code, close::printable(words.as_bytes()).as_bytes());
    reason
}

/// Whether the peer closed because it keeps another connection with this node.
fn was_duplicate(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code == close::DUPLICATE)
}

/// An IPv4 address is shown as such, also where a socket for both families carries it inside IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
