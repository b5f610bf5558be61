//! Who may connect with whom, and that one connection is left.

use rustls::sign::CertifiedKey;

use super::*;
use crate::transport::identity;

#[tokio::test]
async fn both_ends_learn_the_other_ends_key_and_who_dialled() {
    let keys = keys();
    let (mut a, mut b) = (Node::new(&keys[0]), Node::new(&keys[1]));
    a.transport.connect(b.address(), None).unwrap();
    let expected = TransportEvent::Connected { peer: b.key(), address: b.address(), outbound: true };
    assert_eq!(a.event().await, expected);
    let expected = TransportEvent::Connected { peer: a.key(), address: a.address(), outbound: false };
    assert_eq!(b.event().await, expected);
    assert_eq!(a.transport.peers().iter().map(|info| info.peer).collect::<Vec<_>>(), [b.key()]);
}

#[tokio::test]
async fn the_higher_key_may_dial_too() {
    let keys = keys();
    let (mut a, mut b) = (Node::new(&keys[0]), Node::new(&keys[1]));
    connect(&mut b, &mut a).await;
}

#[tokio::test]
async fn ipv6_works_and_a_socket_for_both_families_shows_ipv4_as_such() {
    let keys = keys();
    let listen = |text: &str, key| TransportConfig { listen: text.parse().unwrap(), ..config(key) };
    let Ok((transport, events)) = Transport::bind(listen("[::]:0", &keys[0])) else {
        return; // this machine has no IPv6
    };
    let mut both = Node { transport, events };
    let port = both.address().port();
    let (mut v6, mut v4) = (Node::with(listen("[::1]:0", &keys[1])), Node::new(&keys[2]));
    v6.transport.connect(SocketAddr::new("::1".parse().unwrap(), port), None).unwrap();
    assert_eq!(v6.connected().await, both.key());
    assert_eq!(both.connected().await, v6.key());
    v4.transport.connect(SocketAddr::new("127.0.0.1".parse().unwrap(), port), None).unwrap();
    assert_eq!(v4.connected().await, both.key());
    let expected = TransportEvent::Connected { peer: v4.key(), address: v4.address(), outbound: false };
    assert_eq!(both.event().await, expected);
    v4.transport.connect(v6.address(), None).unwrap();
    assert_eq!(v4.dial_failed().await, DialError::BadAddress { address: v6.address() });
}

#[tokio::test]
async fn a_node_with_another_key_than_expected_is_refused() {
    let keys = keys();
    let (mut a, b) = (Node::new(&keys[0]), Node::new(&keys[1]));
    let expected = keys[2].public();
    a.transport.connect(b.address(), Some(expected)).unwrap();
    assert_eq!(a.dial_failed().await, DialError::WrongKey { expected, got: b.key() });
    assert_eq!(b.transport.peers(), []);
}

#[tokio::test]
async fn a_node_of_another_network_is_refused() {
    let keys = keys();
    let mut a = Node::new(&keys[0]);
    let b = Node::with(TransportConfig { network: NetworkId(Hash([2; 32])), ..config(&keys[1]) });
    a.transport.connect(b.address(), Some(b.key())).unwrap();
    assert_eq!(a.dial_failed().await, DialError::OtherNetwork);
    assert_eq!(b.transport.peers(), []);
}

#[tokio::test]
async fn a_dialler_that_is_not_on_the_allow_list_hears_so() {
    let keys = keys();
    for (dialler, listener) in [(0, 1), (1, 0)] {
        let mut a = Node::new(&keys[dialler]);
        let b = Node::with(TransportConfig { allow_list: only(&keys[2]), ..config(&keys[listener]) });
        a.dial(&b);
        let reason = a.dial_failed().await.to_string();
        let expected = format!("the node {} is not on the allow-list of this private network", a.key());
        assert_eq!(reason, format!("the peer refuses: {expected}"));
        assert_eq!(b.transport.peers(), []);
    }
}

#[tokio::test]
async fn a_listener_that_is_not_on_the_allow_list_is_not_shown_our_key() {
    let keys = keys();
    let mut a = Node::with(TransportConfig { allow_list: only(&keys[2]), ..config(&keys[0]) });
    let b = Node::new(&keys[1]);
    a.transport.connect(b.address(), None).unwrap();
    assert_eq!(a.dial_failed().await, DialError::NotAllowed { key: b.key() });
}

#[tokio::test]
async fn those_on_the_allow_list_connect() {
    let keys = keys();
    let with = |own: usize, other: usize| {
        Node::with(TransportConfig { allow_list: only(&keys[other]), ..config(&keys[own]) })
    };
    connect(&mut with(0, 1), &mut with(1, 0)).await;
}

#[tokio::test]
async fn a_node_does_not_connect_to_itself_or_to_a_copy_of_its_key() {
    let keys = keys();
    let (mut a, mut copy) = (Node::new(&keys[0]), Node::new(&keys[0]));
    assert_eq!(a.transport.connect(a.address(), Some(a.key())), Err(DialError::Myself));
    a.transport.connect(a.address(), None).unwrap();
    assert_eq!(a.dial_failed().await, DialError::Myself);
    copy.transport.connect(a.address(), None).unwrap();
    assert_eq!(copy.dial_failed().await, DialError::Myself);
}

/// Presents one key and signs with another.
fn impostor(claimed: &SecretKey, real: &SecretKey) -> Arc<CertifiedKey> {
    let signer = identity::certified_key(real).unwrap().key.clone();
    Arc::new(CertifiedKey::new(vec![identity::spki(&claimed.public())], signer))
}

async fn dial_by_hand(identity: Arc<CertifiedKey>, listener: &Node) -> quinn::ConnectionError {
    match timeout(PATIENCE, connecting_by_hand(identity, listener)).await.unwrap() {
        // TLS 1.3 lets a client believe itself connected before the server has judged its key.
        Ok(connection) => timeout(PATIENCE, connection.closed()).await.unwrap(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_dialler_that_cannot_sign_for_the_key_it_shows_is_refused() {
    let keys = keys();
    let listener = Node::new(&keys[0]);
    let error = dial_by_hand(impostor(&keys[1], &keys[2]), &listener).await.to_string();
    assert!(error.contains("BadSignature"), "{error}");
    assert_eq!(listener.transport.peers(), []);
}

#[tokio::test]
async fn a_dialler_with_a_weak_key_is_refused() {
    let keys = keys();
    let listener = Node::new(&keys[0]);
    let mut neutral_element = [0; 32];
    neutral_element[0] = 1;
    let signer = identity::certified_key(&keys[1]).unwrap().key.clone();
    let weak = CertifiedKey::new(vec![identity::spki(&PublicKey::from_bytes(neutral_element))], signer);
    let error = dial_by_hand(Arc::new(weak), &listener).await.to_string();
    assert!(error.contains("Weak"), "{error}");
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_at_once_end_with_one_connection() {
    let keys = keys();
    for _ in 0..10 {
        let (mut a, mut b) = (Node::new(&keys[0]), Node::new(&keys[1]));
        a.transport.connect(b.address(), None).unwrap();
        b.transport.connect(a.address(), None).unwrap();
        // Each end has a connection, and one of the two hears that its own dial was one too many.
        let mut failed = Vec::new();
        for (node, other) in [(&mut a, keys[1].public()), (&mut b, keys[0].public())] {
            let mut connected = false;
            while !connected {
                match node.event().await {
                    TransportEvent::Connected { peer, .. } => connected = peer == other,
                    TransportEvent::DialFailed { reason, .. } => failed.push(reason),
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
        let (of_a, of_b) = (a.transport.peers()[0], b.transport.peers()[0]);
        assert_eq!((of_a.peer, of_b.peer), (b.key(), a.key()));
        assert_ne!(of_a.outbound, of_b.outbound, "both ends hold the same connection");
        if failed.is_empty() {
            let (loser, peer) = if of_a.outbound { (&mut b, a.key()) } else { (&mut a, b.key()) };
            assert_eq!(loser.dial_failed().await, DialError::AlreadyConnected { peer });
        }
        a.send(&b, b"still there");
        assert_eq!(b.message().await, (a.key(), Bytes::from_static(b"still there")));
    }
}

#[tokio::test]
async fn a_second_dial_leaves_the_first_connection_standing() {
    for order in [[0, 1], [1, 0]] {
        let keys = keys();
        let (mut a, mut b) = (Node::new(&keys[order[0]]), Node::new(&keys[order[1]]));
        connect(&mut a, &mut b).await;
        let already = |peer| DialError::AlreadyConnected { peer };
        assert_eq!(a.transport.connect(b.address(), Some(b.key())), Err(already(b.key())));
        a.transport.connect(b.address(), None).unwrap();
        assert_eq!(a.dial_failed().await, already(b.key()));
        b.transport.connect(a.address(), None).unwrap();
        assert_eq!(b.dial_failed().await, already(a.key()));
        a.send(&b, b"still there");
        assert_eq!(b.message().await.1, "still there");
    }
}

#[tokio::test]
async fn a_full_node_says_so_and_takes_a_peer_again_once_it_has_room() {
    let keys = keys();
    let limits = TransportLimits { inbound_connections: 1, ..TransportLimits::default() };
    let mut full = Node::with(TransportConfig { limits, ..config(&keys[0]) });
    let (mut first, mut second) = (Node::new(&keys[1]), Node::new(&keys[2]));
    connect(&mut first, &mut full).await;
    second.dial(&full);
    let reason = second.dial_failed().await.to_string();
    assert!(reason.contains("as many connections as it takes"), "{reason}");
    first.transport.disconnect(&full.key(), "making room".into());
    assert_eq!(full.disconnected().await.0, first.key());
    connect(&mut second, &mut full).await;
}

#[tokio::test]
async fn too_many_dials_are_refused_at_once() {
    let keys = keys();
    let limits = TransportLimits { outbound_connections: 1, ..TransportLimits::default() };
    let mut a = Node::with(TransportConfig { limits, ..config(&keys[0]) });
    let (b, c) = (Node::new(&keys[1]), Node::new(&keys[2]));
    a.dial(&b);
    let refused = a.transport.connect(c.address(), Some(c.key()));
    assert_eq!(refused, Err(DialError::TooManyConnections { limit: 1 }));
    assert_eq!(a.connected().await, b.key());
}

#[tokio::test]
async fn handshakes_beyond_the_rate_are_turned_away() {
    let keys = keys();
    let limits = TransportLimits { handshakes_per_second: 1, ..TransportLimits::default() };
    let mut busy = Node::with(TransportConfig { limits, ..config(&keys[0]) });
    let mut others = [Node::new(&keys[1]), Node::new(&keys[2]), Node::new(&keys[3])];
    for other in &others {
        other.dial(&busy);
    }
    busy.connected().await;
    let mut refused = 0;
    for other in &mut others {
        match other.event().await {
            TransportEvent::Connected { .. } => {}
            TransportEvent::DialFailed { reason, .. } => {
                assert_eq!(reason, DialError::Busy);
                refused += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(refused >= 1);
    assert_eq!(busy.transport.counters().handshakes_refused, refused);
}

#[tokio::test]
async fn a_caller_under_load_proves_its_address_and_connects() {
    let keys = keys();
    // Half of one is none: every caller is asked to prove its address.
    let limits = TransportLimits { handshakes_at_once: 1, ..TransportLimits::default() };
    let mut loaded = Node::with(TransportConfig { limits, ..config(&keys[0]) });
    let mut peer = Node::new(&keys[1]);
    connect(&mut peer, &mut loaded).await;
}

#[tokio::test]
async fn nobody_there_is_a_failed_dial() {
    let keys = keys();
    let limits =
        TransportLimits { handshake_timeout: Duration::from_millis(50), ..TransportLimits::default() };
    let mut a = Node::with(TransportConfig { limits, ..config(&keys[0]) });
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    a.transport.connect(silent.local_addr().unwrap(), None).unwrap();
    assert_eq!(a.dial_failed().await, DialError::TimedOut);
    let nowhere = "127.0.0.1:0".parse().unwrap();
    a.transport.connect(nowhere, None).unwrap();
    assert_eq!(a.dial_failed().await, DialError::BadAddress { address: nowhere });
}

#[tokio::test]
async fn an_address_in_use_or_of_another_machine_is_named_with_what_to_do() {
    let keys = keys();
    let a = Node::new(&keys[0]);
    let taken = Transport::bind(TransportConfig { listen: a.address(), ..config(&keys[1]) });
    let error = taken.expect_err("in use").to_string();
    assert!(error.contains("already in use") && error.contains("choose another port"), "{error}");
    let listen = "192.0.2.1:0".parse().unwrap();
    let foreign = Transport::bind(TransportConfig { listen, ..config(&keys[1]) });
    let error = foreign.expect_err("a documentation address is nobody's").to_string();
    assert!(error.contains("not an address of this machine"), "{error}");
}
