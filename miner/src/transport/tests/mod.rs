//! Transports on real sockets of this machine. Nothing sleeps: every wait is for an event.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the event it expects; any other fails it")]

mod connecting;
mod ending;
mod messages;
mod strangers;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use chain::record::NetworkId;
use chain::{Hash, PublicKey, SecretKey};
use rustls::sign::CertifiedKey;
use tokio::time::timeout;

use super::verifier::ListenerVerifier;
use super::*;

/// Far beyond anything a loaded machine needs; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A transport and its events.
struct Node {
    transport: Transport,
    events: TransportEvents,
}

/// Secret keys in the order of their public keys: the first is the arbiter of any pair.
fn keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (1..=4).map(|byte| SecretKey::from_bytes(&[byte; 32])).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

fn config(key: &SecretKey) -> TransportConfig {
    TransportConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        key: key.clone(),
        network: NetworkId(Hash([1; 32])),
        allow_list: None,
        reserved: BTreeSet::new(),
        limits: TransportLimits::default(),
    }
}

impl Node {
    fn new(key: &SecretKey) -> Self {
        Self::with(config(key))
    }

    fn with(config: TransportConfig) -> Self {
        let (transport, events) = Transport::bind(config).unwrap();
        Self { transport, events }
    }

    fn key(&self) -> PublicKey {
        self.transport.public_key()
    }

    fn address(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    fn dial(&self, other: &Self) {
        self.transport.connect(other.address(), Some(other.key())).unwrap();
    }

    fn send(&self, other: &Self, message: &'static [u8]) {
        self.transport.send(&other.key(), Bytes::from_static(message)).unwrap();
    }

    /// Waits until as many messages have come in, taken or not.
    async fn has_received(&self, messages: u64) {
        let arrived = async {
            while self.transport.counters().messages_received < messages {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, arrived).await.expect("messages in time");
    }

    async fn event(&mut self) -> TransportEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("an open queue")
    }

    async fn message(&mut self) -> (PublicKey, Bytes) {
        match self.event().await {
            TransportEvent::Message { peer, bytes } => (peer, bytes),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    async fn connected(&mut self) -> PublicKey {
        match self.event().await {
            TransportEvent::Connected { peer, .. } => peer,
            other => panic!("expected a connection, got {other:?}"),
        }
    }

    async fn disconnected(&mut self) -> (PublicKey, DisconnectReason) {
        match self.event().await {
            TransportEvent::Disconnected { peer, reason } => (peer, reason),
            other => panic!("expected a disconnection, got {other:?}"),
        }
    }

    async fn dial_failed(&mut self) -> DialError {
        match self.event().await {
            TransportEvent::DialFailed { reason, .. } => reason,
            other => panic!("expected a failed dial, got {other:?}"),
        }
    }
}

/// Two nodes, the first having dialled the second.
async fn connect(dialler: &mut Node, listener: &mut Node) {
    dialler.dial(listener);
    assert_eq!(dialler.connected().await, listener.key());
    assert_eq!(listener.connected().await, dialler.key());
}

async fn connected_pair() -> (Node, Node) {
    let keys = keys();
    let (mut a, mut b) = (Node::new(&keys[0]), Node::new(&keys[1]));
    connect(&mut a, &mut b).await;
    (a, b)
}

/// A dial that keeps to the protocol as far as TLS goes; what follows is up to the test.
fn connecting_by_hand(identity: Arc<CertifiedKey>, listener: &Node) -> quinn::Connecting {
    let verifier = ListenerVerifier {
        own: PublicKey::from_bytes([0; 32]),
        expected: None,
        allow_list: None,
        refusal: Arc::new(OnceLock::new()),
    };
    let protocol = tls::application_protocol(&NetworkId(Hash([1; 32])));
    let quic = tls::transport_config(&TransportLimits::default()).unwrap();
    let client = tls::client_config(identity, protocol, quic, verifier).unwrap();
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.connect_with(client, listener.address(), tls::SERVER_NAME).unwrap()
}

/// An allow-list of one.
fn only(key: &SecretKey) -> Option<BTreeSet<PublicKey>> {
    BTreeSet::from([key.public()]).into()
}
