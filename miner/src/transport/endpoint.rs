//! The socket's side of a transport: binding it, and answering dials no faster than the limits allow.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use quinn::Endpoint;
use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::transport::admission::{Admission, Verdict};
use crate::transport::error::TransportError;
use crate::transport::event::TransportEvents;
use crate::transport::handshake::{self, Context, RunId};
use crate::transport::peers::{Counters, Peers};
use crate::transport::places::Places;
use crate::transport::{TransportConfig, identity, tls};
use miner_node::Host;

/// Binds the socket and prepares what all connections share. Nothing is answered yet.
pub(super) fn bind(config: TransportConfig) -> Result<(Arc<Context>, TransportEvents), TransportError> {
    let TransportConfig { listen, key, network, allow_list, reserved, limits } = config;
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

    let reserved = Arc::new(reserved);
    let (events, receiver) = TransportEvents::channel(reserved.clone());
    let own = key.public();
    let context = Context {
        own,
        run,
        identity,
        protocol,
        allow_list: allow_list.map(Arc::new),
        reserved,
        limits,
        quic,
        endpoint,
        peers: Arc::new(Peers::new(own, events)),
        inbound: Places::new(limits.inbound_connections, limits.inbound_connections_per_host),
        outbound: Places::new(limits.outbound_connections, limits.outbound_connections_per_host),
    };
    Ok((Arc::new(context), receiver))
}

/// Answers dials until the endpoint is closed.
pub(super) async fn answer_dials(context: Arc<Context>) {
    let mut admission = Admission::new(context.limits, Instant::now());
    while let Some(incoming) = context.endpoint.accept().await {
        let host = Host::of(incoming.remote_address().ip());
        match admission.judge(host, incoming.remote_address_validated(), Instant::now()) {
            Verdict::Answer(in_progress) => {
                tokio::spawn(handshake::answer(context.clone(), incoming, in_progress));
            }
            // Fails only where a proof has been asked for already, and such a caller is not asked again.
            Verdict::ProveAddress if incoming.may_retry() => drop(incoming.retry()),
            Verdict::ProveAddress | Verdict::Refuse => {
                Counters::add(&context.peers.counters.handshakes_refused, 1);
                incoming.refuse();
            }
        }
    }
}
