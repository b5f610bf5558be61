//! The socket's side of a transport: binding it, and answering dials no faster than the limits allow.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use quinn::Endpoint;
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::sync::Semaphore;

use crate::transport::error::TransportError;
use crate::transport::event::TransportEvents;
use crate::transport::handshake::{self, Context, RunId};
use crate::transport::peers::{Counters, Peers};
use crate::transport::rate::RateLimit;
use crate::transport::{TransportConfig, identity, tls};

/// Binds the socket and prepares what all connections share. Nothing is answered yet.
pub(super) fn bind(config: TransportConfig) -> Result<(Arc<Context>, TransportEvents), TransportError> {
    let TransportConfig { listen, key, network, allow_list, limits } = config;
    limits.validate()?;
    let runtime = quinn::default_runtime().ok_or(TransportError::NoRuntime)?;
    let identity = identity::certified_key(&key)?;
    let protocol = tls::application_protocol(&network);
    let quic = tls::transport_config(&limits)?;
    let server = tls::server_config(identity.clone(), protocol.clone(), quic.clone())?;
    let mut run = RunId([0; 16]);
    SysRng.try_fill_bytes(&mut run.0).map_err(|error| TransportError::Randomness(error.to_string()))?;

    let bound = |error| TransportError::from_bind(listen, error);
    let socket = UdpSocket::bind(listen).map_err(bound)?;
    let endpoint =
        Endpoint::new(identity::endpoint_config(&key), Some(server), socket, runtime).map_err(bound)?;

    let (events, receiver) = TransportEvents::channel();
    let own = key.public();
    let context = Context {
        own,
        run,
        identity,
        protocol,
        allow_list: allow_list.map(Arc::new),
        limits,
        quic,
        endpoint,
        peers: Arc::new(Peers::new(own, events)),
        inbound_slots: Arc::new(Semaphore::new(limits.inbound_connections)),
        outbound_slots: Arc::new(Semaphore::new(limits.outbound_connections)),
    };
    Ok((Arc::new(context), receiver))
}

/// Answers dials until the endpoint is closed.
pub(super) async fn answer_dials(context: Arc<Context>) {
    let limits = &context.limits;
    let in_progress = Arc::new(Semaphore::new(limits.handshakes_at_once));
    let mut rate = RateLimit::new(limits.handshakes_per_second, Instant::now());
    while let Some(incoming) = context.endpoint.accept().await {
        let busy = in_progress.available_permits() <= limits.handshakes_at_once / 2;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // Under load a caller proves its address first: forged packets then cost us nothing more. This
            // fails only where a retry has been made already.
            let _ = incoming.retry();
            continue;
        }
        match in_progress.clone().try_acquire_owned() {
            Ok(handshake) if rate.admit(Instant::now()) => {
                tokio::spawn(handshake::answer(context.clone(), incoming, handshake));
            }
            Ok(_) | Err(_) => {
                Counters::add(&context.peers.counters.handshakes_refused, 1);
                incoming.refuse();
            }
        }
    }
}
