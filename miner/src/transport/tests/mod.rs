//! Transports on real sockets of this machine. Nothing sleeps: every wait is for an event.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test names the event it expects; any other fails it")]

mod connecting;
mod ending;
mod messages;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use chain::record::NetworkId;
use chain::{Hash, PublicKey, SecretKey};
use tokio::time::timeout;

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

/// An allow-list of one.
fn only(key: &SecretKey) -> Option<BTreeSet<PublicKey>> {
    BTreeSet::from([key.public()]).into()
}
