//! How connections end and come back.

use super::*;

#[tokio::test]
async fn the_reason_of_a_disconnection_arrives_at_both_ends() {
    let (mut a, mut b) = connected_pair().await;
    a.transport.disconnect(&b.key(), "batch 7 is invalid: cost 5, expected 4".into());
    let words = "batch 7 is invalid: cost 5, expected 4".to_owned();
    assert_eq!(b.disconnected().await, (a.key(), DisconnectReason::Remote(words.clone())));
    assert_eq!(a.disconnected().await, (b.key(), DisconnectReason::Local(words)));
    assert_eq!((a.transport.peers(), b.transport.peers()), (vec![], vec![]));
}

#[tokio::test]
async fn disconnecting_a_stranger_does_nothing() {
    let keys = keys();
    let mut a = Node::new(&keys[0]);
    a.transport.disconnect(&keys[1].public(), "who are you".into());
    assert_eq!(a.events.try_recv(), None);
}

#[tokio::test]
async fn a_disconnected_peer_may_connect_again() {
    let (mut a, mut b) = connected_pair().await;
    for _ in 0..3 {
        b.transport.disconnect(&a.key(), "once more".into());
        b.disconnected().await;
        a.disconnected().await;
        connect(&mut b, &mut a).await;
        a.send(&b, b"again");
        assert_eq!(b.message().await.1, "again");
    }
}

#[tokio::test]
async fn a_shutdown_is_heard_and_ends_the_events() {
    let (mut a, mut b) = connected_pair().await;
    a.transport.shutdown().await;
    assert_eq!(a.disconnected().await, (b.key(), DisconnectReason::ShuttingDown));
    assert_eq!(timeout(PATIENCE, a.events.recv()).await.unwrap(), None);
    assert_eq!(a.transport.connect(b.address(), None), Err(DialError::ShuttingDown));
    let words = "the node is shutting down".into();
    assert_eq!(b.disconnected().await, (a.key(), DisconnectReason::Remote(words)));
}

#[tokio::test]
async fn dropping_the_last_handle_is_heard_too() {
    let (a, mut b) = connected_pair().await;
    let key = a.key();
    drop(a);
    assert_eq!(b.disconnected().await.0, key);
}

/// A node in a runtime of its own, so that it can die without a word.
struct Mortal {
    runtime: tokio::runtime::Runtime,
    node: Node,
}

impl Mortal {
    fn new(config: TransportConfig) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let node = {
            let _inside = runtime.enter();
            Node::with(config)
        };
        Self { runtime, node }
    }

    /// Stops the runtime first, so that no task of the node can say good-bye; returns the freed address.
    fn kill(self) -> SocketAddr {
        let address = self.node.address();
        std::thread::spawn(move || drop(self.runtime)).join().unwrap();
        drop(self.node);
        address
    }
}

fn lively(key: &SecretKey) -> TransportConfig {
    let limits = TransportLimits { keep_alive: Duration::from_millis(50), ..TransportLimits::default() };
    TransportConfig { limits, ..config(key) }
}

#[tokio::test]
async fn a_killed_node_that_dials_again_replaces_its_old_connection() {
    let keys = keys();
    for (survivor, killed) in [(0, 1), (1, 0)] {
        let mut survivor = Node::new(&keys[survivor]);
        let mut mortal = Mortal::new(config(&keys[killed]));
        connect(&mut mortal.node, &mut survivor).await;
        mortal.kill();
        // On another port, so that nothing but its key tells that it is the same node.
        let mut reborn = Node::new(&keys[killed]);
        connect_replacing(&mut reborn, &mut survivor).await;
    }
}

async fn connect_replacing(reborn: &mut Node, survivor: &mut Node) {
    reborn.dial(survivor);
    assert_eq!(reborn.connected().await, survivor.key());
    assert_eq!(survivor.disconnected().await, (reborn.key(), DisconnectReason::Replaced));
    assert_eq!(survivor.connected().await, reborn.key());
    survivor.send(reborn, b"welcome back");
    assert_eq!(reborn.message().await.1, "welcome back");
}

#[tokio::test]
async fn a_node_restarted_at_its_address_is_noticed_at_once() {
    let keys = keys();
    let mut survivor = Node::with(lively(&keys[0]));
    let mut mortal = Mortal::new(lively(&keys[1]));
    connect(&mut survivor, &mut mortal.node).await;
    let listen = mortal.kill();
    let reborn = Node::with(TransportConfig { listen, ..config(&keys[1]) });
    assert_eq!(survivor.disconnected().await, (reborn.key(), DisconnectReason::PeerRestarted));
    survivor.dial(&reborn);
    assert_eq!(survivor.connected().await, reborn.key());
}

#[tokio::test]
async fn a_node_killed_for_good_times_out() {
    let keys = keys();
    let mut short = lively(&keys[0]);
    short.limits.idle_timeout = Duration::from_millis(200);
    let mut survivor = Node::with(short);
    let mut mortal = Mortal::new(config(&keys[1]));
    connect(&mut survivor, &mut mortal.node).await;
    let key = mortal.node.key();
    mortal.kill();
    assert_eq!(survivor.disconnected().await, (key, DisconnectReason::TimedOut));
}
