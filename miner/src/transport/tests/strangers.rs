//! What strangers can take from others: turns, places, handshakes, memory.

use super::*;

/// A node on another host than the rest: all of 127.0.0.0/8 is this machine.
fn elsewhere(key: &SecretKey) -> Node {
    Node::with(TransportConfig { listen: "127.0.0.2:0".parse().unwrap(), ..config(key) })
}

fn limited(key: &SecretKey, limits: TransportLimits) -> TransportConfig {
    TransportConfig { limits, ..config(key) }
}

#[tokio::test]
async fn a_flood_of_one_peer_does_not_stand_before_the_message_of_another() {
    let keys = keys();
    let (mut victim, mut flooder, mut honest) =
        (Node::new(&keys[0]), Node::new(&keys[1]), Node::new(&keys[2]));
    connect(&mut flooder, &mut victim).await;
    connect(&mut honest, &mut victim).await;
    for _ in 0..1_000 {
        flooder.send(&victim, b"flood");
    }
    victim.has_received(1_000).await;
    honest.send(&victim, b"vote");
    victim.has_received(1_001).await;
    let first = [victim.message().await.1, victim.message().await.1];
    assert!(first.contains(&Bytes::from_static(b"vote")), "{first:?}");
}

#[tokio::test]
async fn a_reserved_key_is_heard_before_any_number_of_strangers_and_does_not_silence_them() {
    let keys = keys();
    let reserved = BTreeSet::from([keys[3].public()]);
    let mut victim = Node::with(TransportConfig { reserved, ..config(&keys[0]) });
    let (mut one, mut other, mut validator) = (Node::new(&keys[1]), Node::new(&keys[2]), Node::new(&keys[3]));
    for node in [&mut one, &mut other, &mut validator] {
        connect(node, &mut victim).await;
    }
    for _ in 0..100 {
        one.send(&victim, b"flood");
        other.send(&victim, b"flood");
    }
    victim.has_received(200).await;
    for _ in 0..20 {
        validator.send(&victim, b"vote");
    }
    victim.has_received(220).await;
    let mut order = String::new();
    for _ in 0..23 {
        order.push(if victim.message().await.1 == "vote" { 'v' } else { '.' });
    }
    assert_eq!(order, "vvvvvvvv.vvvvvvvv.vvvv.");
}

#[tokio::test]
async fn what_a_peer_has_sent_is_dropped_with_it() {
    let (mut a, mut b) = connected_pair().await;
    for _ in 0..10 {
        a.send(&b, b"hello");
    }
    b.has_received(10).await;
    a.transport.disconnect(&b.key(), "that was all".into());
    a.disconnected().await;
    while !b.transport.peers().is_empty() {
        tokio::task::yield_now().await;
    }
    b.disconnected().await;
    assert_eq!(b.events.try_recv(), None);
}

#[tokio::test]
async fn the_keys_of_one_host_share_places_and_another_host_has_its_own() {
    let keys = keys();
    let limits = TransportLimits {
        inbound_connections: 3,
        inbound_connections_per_host: 1,
        ..TransportLimits::default()
    };
    let mut full = Node::with(limited(&keys[0], limits));
    let (mut first, mut second, mut third) = (Node::new(&keys[1]), Node::new(&keys[2]), elsewhere(&keys[3]));
    connect(&mut first, &mut full).await;
    second.dial(&full);
    let reason = second.dial_failed().await.to_string();
    assert!(reason.contains("as many connections with your host as it takes"), "{reason}");
    connect(&mut third, &mut full).await;
}

#[tokio::test]
async fn the_youngest_stranger_makes_room_for_a_reserved_key_and_hears_why() {
    let keys = keys();
    let limits = TransportLimits { inbound_connections: 2, ..TransportLimits::default() };
    let reserved = BTreeSet::from([keys[3].public()]);
    let mut full = Node::with(TransportConfig { reserved, ..limited(&keys[0], limits) });
    let (mut first, mut second, mut validator) =
        (Node::new(&keys[1]), Node::new(&keys[2]), Node::new(&keys[3]));
    connect(&mut first, &mut full).await;
    connect(&mut second, &mut full).await;
    validator.dial(&full);
    assert_eq!(validator.connected().await, full.key());
    let words = "closed to make room for a node with a reserved key";
    assert_eq!(second.disconnected().await, (full.key(), DisconnectReason::Remote(words.into())));
    let mut events = [full.event().await, full.event().await];
    events.sort_by_key(|event| matches!(event, TransportEvent::Disconnected { .. }));
    assert!(matches!(events[0], TransportEvent::Connected { peer, .. } if peer == validator.key()));
    assert_eq!(
        events[1],
        TransportEvent::Disconnected { peer: second.key(), reason: DisconnectReason::MadeRoom }
    );
    let left: BTreeSet<_> = full.transport.peers().iter().map(|info| info.peer).collect();
    assert_eq!(left, BTreeSet::from([first.key(), validator.key()]));
}

#[tokio::test]
async fn dials_to_one_host_share_places_but_for_reserved_keys() {
    let keys = keys();
    let limits = TransportLimits {
        outbound_connections: 2,
        outbound_connections_per_host: 1,
        ..TransportLimits::default()
    };
    let reserved = BTreeSet::from([keys[3].public()]);
    let mut a = Node::with(TransportConfig { reserved, ..limited(&keys[0], limits) });
    let (mut first, second, mut validator) = (Node::new(&keys[1]), Node::new(&keys[2]), Node::new(&keys[3]));
    connect(&mut a, &mut first).await;
    let refused = a.transport.connect(second.address(), Some(second.key()));
    assert_eq!(refused, Err(DialError::TooManyToHost { address: second.address(), limit: 1 }));
    connect(&mut a, &mut validator).await;
}

#[tokio::test]
async fn one_host_cannot_use_up_the_handshakes_of_others() {
    let keys = keys();
    let limits = TransportLimits { handshakes_per_second_per_host: 1, ..TransportLimits::default() };
    let mut busy = Node::with(limited(&keys[0], limits));
    let (mut first, mut second, mut third) = (Node::new(&keys[1]), Node::new(&keys[2]), elsewhere(&keys[3]));
    first.dial(&busy);
    second.dial(&busy);
    let outcomes = [first.event().await, second.event().await];
    let refused = outcomes
        .iter()
        .filter(|event| matches!(event, TransportEvent::DialFailed { reason: DialError::Busy, .. }));
    assert_eq!(refused.count(), 1, "{outcomes:?}");
    busy.connected().await;
    connect(&mut third, &mut busy).await;
}

#[tokio::test]
async fn a_message_that_never_ends_ends_the_connection() {
    let keys = keys();
    let limits = TransportLimits { message_timeout: Duration::from_millis(50), ..TransportLimits::default() };
    let mut victim = Node::with(limited(&keys[0], limits));
    let slow = identity::certified_key(&keys[1]).unwrap();
    let connection = timeout(PATIENCE, connecting_by_hand(slow, &victim)).await.unwrap().unwrap();
    let mut urgent = connection.open_uni().await.unwrap();
    // A preface, then a message of 1,000 bytes of which 3 are sent.
    urgent.write_all(&[7; 16]).await.unwrap();
    urgent.write_all(&[0, 0, 3, 232, 1, 2, 3]).await.unwrap();
    victim.connected().await;
    let violation = Violation::MessageTooSlow { lane: Lane::Urgent, length: 1_000, seconds: 0 };
    assert_eq!(victim.disconnected().await, (keys[1].public(), DisconnectReason::Violation(violation)));
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_dropped_and_with_it_what_waits_for_it() {
    let keys = keys();
    let limits = TransportLimits { stall_timeout: Duration::from_millis(100), ..TransportLimits::default() };
    let mut a = Node::with(limited(&keys[0], limits));
    let mut deaf = Node::new(&keys[1]);
    connect(&mut deaf, &mut a).await;
    let message = Bytes::from(vec![1; 1 << 20]);
    let violation = loop {
        let _ = a.transport.send(&deaf.key(), message.clone());
        match a.events.try_recv() {
            Some(TransportEvent::Disconnected { reason, .. }) => break reason,
            Some(other) => panic!("unexpected {other:?}"),
            None => tokio::task::yield_now().await,
        }
    };
    let expected = Violation::ReadsNothing { lane: Lane::Bulk, seconds: 0 };
    assert_eq!(violation, DisconnectReason::Violation(expected));
    assert!(!a.transport.has_room_for(&deaf.key(), 1));
}
