//! What arrives, in which order, and how much may wait.

use super::*;

#[tokio::test]
async fn messages_arrive_both_ways_in_order() {
    let (mut a, mut b) = connected_pair().await;
    for message in [b"one".as_slice(), b"", b"three"] {
        a.send(&b, message);
        b.send(&a, message);
    }
    for message in [b"one".as_slice(), b"", b"three"] {
        assert_eq!(a.message().await, (b.key(), Bytes::from_static(message)));
        assert_eq!(b.message().await, (a.key(), Bytes::from_static(message)));
    }
    let counters = a.transport.counters();
    assert_eq!((counters.messages_queued, counters.messages_received, counters.bytes_received), (3, 3, 8));
}

#[tokio::test]
async fn the_largest_message_arrives_whole_and_a_larger_one_is_not_sent() {
    let (a, mut b) = connected_pair().await;
    let limit = TransportLimits::default().bulk.message_bytes;
    let message: Bytes = (0..=250_u8).cycle().take(limit).collect();
    a.transport.send(&b.key(), message.clone()).unwrap();
    assert_eq!(b.message().await.1, message);
    let longer = Bytes::from(vec![0; limit + 1]);
    let refused = a.transport.send(&b.key(), longer);
    assert_eq!(refused, Err(SendError::TooLong { got: limit + 1, limit }));
}

#[tokio::test]
async fn a_small_message_overtakes_the_large_ones_before_it() {
    let keys = keys();
    let mut limits = TransportLimits::default();
    limits.bulk.send_queue_bytes = 32 << 20;
    let mut a = Node::with(TransportConfig { limits, ..config(&keys[0]) });
    let mut b = Node::new(&keys[1]);
    connect(&mut a, &mut b).await;
    for _ in 0..7 {
        a.transport.send(&b.key(), Bytes::from(vec![0; 4 << 20])).unwrap();
    }
    a.send(&b, b"vote");
    let mut large_before = 0;
    while b.message().await.1.len() != 4 {
        large_before += 1;
    }
    assert!(large_before < 7, "the vote waited for every batch");
}

#[tokio::test]
async fn a_peer_that_sends_too_long_a_message_is_dropped_and_both_know_why() {
    let keys = keys();
    let mut limits = TransportLimits::default();
    limits.bulk.message_bytes = 100_000;
    for (sender, receiver) in [(0, 1), (1, 0)] {
        let mut a = Node::new(&keys[sender]);
        let mut b = Node::with(TransportConfig { limits, ..config(&keys[receiver]) });
        connect(&mut a, &mut b).await;
        a.transport.send(&b.key(), Bytes::from(vec![0; 100_001])).unwrap();
        let violation = Violation::MessageTooLong { lane: Lane::Bulk, got: 100_001, limit: 100_000 };
        assert_eq!(b.disconnected().await, (a.key(), DisconnectReason::Violation(violation)));
        let words = "a message of 100001 bytes on the bulk lane, at most 100000 allowed";
        assert_eq!(a.disconnected().await, (b.key(), DisconnectReason::Remote(words.into())));
        assert_eq!(b.transport.counters().violations, 1);
    }
}

#[tokio::test]
async fn sending_to_a_stranger_says_so() {
    let keys = keys();
    let a = Node::new(&keys[0]);
    let peer = keys[1].public();
    let refused = a.transport.send(&peer, Bytes::from_static(b"hello"));
    assert_eq!(refused, Err(SendError::NotConnected { peer }));
}

/// Queues for `to`, which reads nothing, until the urgent queue has dropped and the bulk queue has refused.
async fn flood(from: &Node, to: &Node) {
    let (small, large) = (Bytes::from(vec![1; 8 << 10]), Bytes::from(vec![2; 256 << 10]));
    loop {
        let counters = from.transport.counters();
        if counters.messages_dropped > 100 && counters.messages_refused > 100 {
            return;
        }
        for _ in 0..16 {
            let _ = from.transport.send(&to.key(), small.clone());
            let _ = from.transport.send(&to.key(), large.clone());
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_flood_fills_only_bounded_queues_and_holds_up_nobody_else() {
    let keys = keys();
    let (mut victim, mut flooder, mut honest) =
        (Node::new(&keys[1]), Node::new(&keys[0]), Node::new(&keys[2]));
    connect(&mut flooder, &mut victim).await;
    connect(&mut honest, &mut victim).await;
    timeout(PATIENCE, flood(&flooder, &victim)).await.expect("queues fill");

    let limits = TransportLimits::default();
    let sending = flooder.transport.peers()[0];
    assert!(sending.send_queue_bytes <= limits.urgent.send_queue_bytes + limits.bulk.send_queue_bytes);
    let receiving = victim.transport.peers().into_iter().find(|info| info.peer == flooder.key()).unwrap();
    let room = limits.urgent.receive_queue_bytes + limits.bulk.receive_queue_bytes;
    assert!(receiving.receive_queue_bytes <= room);
    // Not one message has been taken, so what was received is all within that room.
    let received = victim.transport.counters();
    assert!(received.bytes_received <= room as u64, "{received:?}");

    honest.send(&victim, b"hello");
    let flooded_before = loop {
        let (peer, bytes) = victim.message().await;
        if peer == honest.key() {
            assert_eq!(bytes, "hello");
            break victim.transport.counters();
        }
    };
    assert!(flooded_before.messages_received < flooder.transport.counters().messages_queued);
}

#[tokio::test]
async fn what_was_held_back_arrives_once_the_node_takes_it() {
    let (a, mut b) = connected_pair().await;
    // Three times what may wait at the receiver; as much fits the sender's queue and what is under way.
    let limits = TransportLimits::default().urgent;
    let count = 3 * (limits.receive_queue_bytes / limits.message_bytes);
    for number in 0..count {
        let mut message = number.to_be_bytes().to_vec();
        message.resize(limits.message_bytes, 0);
        a.transport.send(&b.key(), message.into()).unwrap();
    }
    assert_eq!(a.transport.counters().messages_dropped, 0);
    for number in 0..count {
        assert_eq!(b.message().await.1[..8], number.to_be_bytes());
    }
    assert_eq!(b.transport.peers()[0].receive_queue_bytes, 0);
}
