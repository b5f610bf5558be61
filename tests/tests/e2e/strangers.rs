//! Strangers with keys of their own making, who speak the protocol and mean no good. They come over real QUIC.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chain::consensus::{VoteBits, VoteSummary};
use chain::{Hash, NetworkId, PublicKey, RecordId, SecretKey};
use coordinator_free_pool::{MESSAGE_IDS, PoolMessage};
use miner::transport::{
    DialError, Transport, TransportConfig, TransportEvent, TransportEvents, TransportLimits,
};
use miner_node::{Message, NodeStatus, Status};
use tokio::task::JoinSet;

use crate::network::{Setup, TestNetwork, small_market};

/// Far beyond what a loaded machine needs; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Someone without standing.
struct Stranger {
    transport: Transport,
    events: TransportEvents,
}

impl Stranger {
    /// Number `number`, on an address of its own choice: all of 127.0.0.0/8 is this machine.
    fn new(network: NetworkId, number: u64, address: [u8; 4]) -> Self {
        let (transport, events) = Transport::bind(TransportConfig {
            listen: SocketAddr::from((address, 0)),
            key: SecretKey::for_scenario(99, "stranger", number),
            network,
            allow_list: None,
            reserved: BTreeSet::new(),
            limits: TransportLimits::default(),
        })
        .unwrap();
        Self { transport, events }
    }

    async fn event(&mut self) -> TransportEvent {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("open")
    }

    /// Dials until the node has time for it; false if the node has no place for it.
    async fn connect(&mut self, node: SocketAddr, key: PublicKey) -> bool {
        loop {
            self.transport.connect(node, Some(key)).unwrap();
            match self.event().await {
                TransportEvent::Connected { .. } => return true,
                TransportEvent::DialFailed { reason: DialError::Busy | DialError::TimedOut, .. } => {}
                TransportEvent::DialFailed { reason: DialError::Refused { .. }, .. } => return false,
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// Sends a message `per_second` times a second to `node` for as long as it is connected or can be again, and reads
    /// whatever comes.
    async fn pester(mut self, node: SocketAddr, key: PublicKey, message: Message, per_second: u64) {
        let message = message.encode();
        let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / per_second));
        loop {
            tokio::select! {
                _ = pace.tick() => drop(self.transport.send(&key, message.clone().into())),
                event = self.events.recv() => match event {
                    Some(TransportEvent::Disconnected { .. }) => {
                        let _ = self.transport.connect(node, Some(key));
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }
}

/// A network of four that lets heights pass as fast as it can.
async fn busy_network() -> TestNetwork {
    let mut scenario = small_market();
    scenario.network.quiet_batch_interval_ms = 1;
    scenario.network.freeze_after_ms = scenarios::parameters::INTERVAL_MS;
    let mut setup = Setup::new(scenario, 4);
    setup.adjust = |_, file| file.timing.heartbeat_ms = 1;
    let network = TestNetwork::start_with_demands(setup).await;
    network.start_mining(1..=4).await;
    network
}

async fn reach(network: &mut TestNetwork, height: u64) {
    let reached = |all: &[NodeStatus]| all.iter().all(|node| node.height >= height);
    network.wait_until(&format!("height {height} is reached"), reached).await;
}

/// Lets eight strangers a node say this 250 times a second each, and fifty heights pass meanwhile.
async fn heights_pass_under(message: &Message) {
    let mut network = busy_network().await;
    reach(&mut network, 200).await;
    let begun = Instant::now();
    reach(&mut network, 250).await;
    let before = begun.elapsed();

    let mut strangers = JoinSet::new();
    for node in 1..=4_u8 {
        let (address, key) = (network.address(node.into()), network.key(node.into()));
        for number in 0..8_u8 {
            let id = u64::from(node) * 100 + u64::from(number);
            let mut stranger = Stranger::new(network.id(), id, [127, 0, 1, number]);
            assert!(stranger.connect(address, key).await);
            strangers.spawn(stranger.pester(address, key, message.clone(), 250));
        }
    }
    let from = network.statuses().await[0].height;
    let begun = Instant::now();
    reach(&mut network, from + 50).await;
    eprintln!("50 heights took {before:?} before and {:?} under attack", begun.elapsed());
    strangers.abort_all();
}

#[tokio::test]
async fn heights_pass_while_strangers_ask_for_all_of_the_chain() {
    heights_pass_under(&Message::RequestFinal { from: 1 }).await;
}

#[tokio::test]
async fn heights_pass_while_strangers_say_that_they_have_nothing_of_it() {
    let (prevotes, precommits) = (VoteBits::default(), VoteBits::default());
    let votes = VoteSummary { height: 1, round: 0, proposal: false, polka: false, prevotes, precommits };
    let status = Status { height: 0, state_root: Hash([0; 32]), votes, blocks: Vec::new() };
    heights_pass_under(&Message::Status(status)).await;
}

#[tokio::test]
async fn heights_pass_while_strangers_ask_for_records_that_do_not_exist() {
    let ids = (0..MESSAGE_IDS).map(|number| RecordId(Hash(*blake3::hash(&number.to_le_bytes()).as_bytes())));
    heights_pass_under(&Message::Pool(PoolMessage::Request(ids.collect()))).await;
}

#[tokio::test]
async fn heights_pass_while_strangers_come_and_go() {
    let mut network = busy_network().await;
    reach(&mut network, 200).await;
    let mut strangers = JoinSet::new();
    for number in 0..8_u8 {
        let node = number % 4 + 1;
        let (address, key) = (network.address(node.into()), network.key(node.into()));
        let mut stranger = Stranger::new(network.id(), u64::from(number), [127, 0, 1, number]);
        strangers.spawn(async move {
            loop {
                if stranger.connect(address, key).await {
                    stranger.transport.disconnect(&key, "on second thoughts, no".into());
                    while !matches!(stranger.event().await, TransportEvent::Disconnected { .. }) {}
                }
            }
        });
    }
    let from = network.statuses().await[0].height;
    reach(&mut network, from + 50).await;
    strangers.abort_all();
}

#[tokio::test]
async fn a_hundred_connections_of_one_host_leave_room_for_others_and_for_validators() {
    let mut network = TestNetwork::start(Setup::new(small_market(), 4)).await;
    network.kill(4).await;
    let (address, key) = (network.address(1), network.key(1));
    let mut crowd = Vec::new();
    for number in 0..100 {
        let mut stranger = Stranger::new(network.id(), number, [127, 0, 0, 2]);
        if stranger.connect(address, key).await {
            crowd.push(stranger);
        }
    }
    let mut elsewhere = Stranger::new(network.id(), 100, [127, 0, 0, 3]);
    assert!(elsewhere.connect(address, key).await, "a newcomer of another host finds no place");
    network.restart(4, |_| {}).await;
    network
        .wait_until("the validators reach each other", |all| {
            all.len() == 4 && all.iter().all(|node| node.validators.reachable == 4)
        })
        .await;
    assert!(crowd.len() <= 12, "{} connections of one host", crowd.len());
}
