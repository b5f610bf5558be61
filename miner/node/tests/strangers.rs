//! What peers can make one node do: let them in, answer them, dial for them, listen to them. The node is one of four
//! validators, alone with whoever a test connects to it, on virtual time.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of effect among many")]

mod market;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use chain::consensus::{ConsensusMessage, SafetyLog, Vote, VoteKind};
use chain::store::Write;
use chain::{Hash, Network, PublicKey, Record, SecretKey};
use coordinator_free_pool::PoolMessage;
use miner_node::{
    Command, Effect, Input, Message, Node, NodeEvent, Now, PeerContent, Status, SubmissionId, Timer,
};
use scenarios::Money;

use market::{START_MS, config, memory, network};

const DEMANDS: usize = 40;

/// A node, what it asked for since it was last looked at, and the time.
struct Alone {
    node: Node,
    network: Arc<Network>,
    records: Vec<Record>,
    now_ms: u64,
}

/// The validators in order of key, so that the first, which is the node, dials the others.
fn validator(position: usize) -> SecretKey {
    let mut keys: Vec<SecretKey> = (0..4).map(|number| SecretKey::for_scenario(1, "host", number)).collect();
    keys.sort_by_key(SecretKey::public);
    keys.swap_remove(position)
}

fn stranger(number: u64) -> SecretKey {
    SecretKey::for_scenario(1, "stranger", number)
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

impl Alone {
    fn new() -> Self {
        let validators = (0..4).map(|number| validator(number).public()).collect();
        let (network, records) = network(&[(Money::from_units(5), None)], DEMANDS, validators, |_| {});
        let memory = memory(&network, SafetyLog::new(0), Vec::new());
        let (node, _) = Node::new(config(validator(0), None), memory, Now::at(START_MS));
        Self { node, network, records, now_ms: START_MS }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.node.handle(Now::at(self.now_ms), input, &mut effects);
        effects
    }

    fn connect(&mut self, peer: &SecretKey, last: u8) -> Vec<Effect> {
        self.handle(Input::PeerUp { peer: peer.public(), address: address(last) })
    }

    fn hear(&mut self, peer: &SecretKey, message: &Message) -> Vec<Effect> {
        self.handle(Input::Message { peer: peer.public(), bytes: message.encode() })
    }

    /// A vote of the validator at a position.
    fn vote(&self, position: usize) -> Message {
        let vote =
            Vote { network: self.network.id(), height: 1, round: 0, kind: VoteKind::Prevote, batch: None };
        let key = validator(position);
        let index = self.network.validators().index_of(&key.public()).expect("it is one");
        Message::Consensus(ConsensusMessage::Vote(vote.sign(index, &key)))
    }

    fn is_awake(&self) -> bool {
        !self.node.status(self.now_ms).is_quiescent
    }
}

fn is_let_in(effects: &[Effect]) -> bool {
    let greets = |effect: &Effect| matches!(effect, Effect::Send { message: Message::Hello(_), .. });
    effects.iter().any(greets)
}

fn hang_ups(effects: &[Effect]) -> Vec<&str> {
    let mut reasons = Vec::new();
    for effect in effects {
        if let Effect::Disconnect { reason, .. } = effect {
            reasons.push(reason.as_str());
        }
    }
    reasons
}

/// Messages to a peer that a test is about.
fn sent(effects: &[Effect], to: PublicKey, wanted: impl Fn(&Message) -> bool) -> usize {
    let is_sent = |effect: &&Effect| match effect {
        Effect::Send { peer, message } => *peer == to && wanted(message),
        _ => false,
    };
    effects.iter().filter(is_sent).count()
}

fn reads(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::SendFinal { .. })).count()
}

// ---- work on request ----

#[test]
fn final_batches_are_read_for_a_peer_once_at_a_time() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    alone.connect(&peer, 1);
    let mut effects = Vec::new();
    for _ in 0..100 {
        effects.extend(alone.hear(&peer, &Message::RequestFinal { from: 0 }));
    }
    assert_eq!(reads(&effects), 1);
    alone.handle(Input::FinalSent { peer: peer.public() });
    assert_eq!(reads(&alone.hear(&peer, &Message::RequestFinal { from: 0 })), 1);
    // A connection of its own later owes nothing to the one before.
    alone.handle(Input::PeerDown { peer: peer.public(), reason: "it left".into() });
    alone.connect(&peer, 1);
    assert_eq!(reads(&alone.hear(&peer, &Message::RequestFinal { from: 0 })), 1);
}

#[test]
fn a_request_for_what_is_above_the_head_is_answered_without_reading() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    alone.connect(&peer, 1);
    for from in [1, 1_000, u64::MAX] {
        let effects = alone.hear(&peer, &Message::RequestFinal { from });
        assert_eq!(reads(&effects), 0);
        assert_eq!(sent(&effects, peer.public(), |message| *message == Message::Final(Vec::new())), 1);
    }
}

#[test]
fn requests_are_answered_until_the_budget_is_spent_and_again_when_time_has_refilled_it() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    let records = alone.records.clone();
    let ids: Vec<_> = records.iter().map(Record::id).collect();
    alone.handle(Input::Command(Command::Submit { records, reply_to: SubmissionId(0) }));
    alone.connect(&peer, 1);
    let request = Message::Pool(PoolMessage::Request(ids));
    let is_answer = |message: &Message| matches!(message, Message::Pool(PoolMessage::Records(_)));
    let flood = |alone: &mut Alone, times: usize| {
        let effects: Vec<Effect> = (0..times).flat_map(|_| alone.hear(&peer, &request)).collect();
        sent(&effects, peer.public(), is_answer)
    };
    let first = flood(&mut alone, 20_000);
    // A second's worth of work at some 200 us for 40 records of 200 bytes.
    assert!((1_000..15_000).contains(&first), "{first}");
    assert_eq!(flood(&mut alone, 100), 0, "muted");
    alone.now_ms += 1_000;
    let later = flood(&mut alone, 20_000);
    assert!((first / 20..first / 5).contains(&later), "a tenth of a second's worth: {later} after {first}");
}

#[test]
fn whoever_is_muted_is_not_read_but_the_votes_it_relays_are_and_so_are_validators_beside_it() {
    let (mut alone, peer, neighbour) = (Alone::new(), stranger(1), validator(1));
    alone.connect(&peer, 1);
    alone.connect(&neighbour, 1);
    let query = Message::Pool(PoolMessage::Request(vec![chain::RecordId(Hash([1; 32])); 1_000]));
    for _ in 0..20_000 {
        alone.hear(&peer, &query);
    }
    let garbage = alone.handle(Input::Message { peer: peer.public(), bytes: vec![0xff; 40] });
    assert_eq!(garbage, [], "unread");
    let is_answered = |alone: &mut Alone, peer: &SecretKey| {
        sent(&alone.hear(peer, &Message::RequestFinal { from: 9 }), peer.public(), |_| true) == 1
    };
    assert!(!is_answered(&mut alone, &peer));
    assert!(is_answered(&mut alone, &neighbour));
    assert!(!alone.is_awake());
    for position in [1, 2] {
        let vote = alone.vote(position);
        alone.hear(&peer, &vote);
    }
    assert!(alone.is_awake(), "two of four validators vote, of whom one is honest");
}

#[test]
fn a_thousand_honest_records_at_once_mute_nobody() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    let records = alone.records.clone();
    alone.connect(&peer, 1);
    for _ in 0..1_000 / DEMANDS {
        alone.hear(&peer, &Message::Pool(PoolMessage::Records(records.clone())));
    }
    assert_eq!(alone.node.pool().len(), DEMANDS);
    assert_eq!(reads(&alone.hear(&peer, &Message::RequestFinal { from: 0 })), 1);
}

// ---- scores ----

#[test]
fn a_peer_that_was_dropped_is_let_in_again_only_after_a_while() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    assert!(is_let_in(&alone.connect(&peer, 1)));
    let effects = alone.handle(Input::Message { peer: peer.public(), bytes: vec![0xff; 40] });
    assert_eq!(hang_ups(&effects).len(), 1);
    alone.now_ms += 30_000;
    let effects = alone.connect(&peer, 2);
    assert!(!is_let_in(&effects));
    assert_eq!(
        hang_ups(&effects),
        ["this key was dropped for its faults; come back in 30000 ms at the soonest"]
    );
    assert_eq!(alone.hear(&peer, &Message::RequestFinal { from: 0 }), []);
    alone.now_ms += 30_000;
    assert!(is_let_in(&alone.connect(&peer, 2)));
}

#[test]
fn an_address_of_offenders_is_closed_to_strangers_and_open_to_validators() {
    let mut alone = Alone::new();
    for number in 0..3 {
        assert!(is_let_in(&alone.connect(&stranger(number), 1)));
        alone.handle(Input::Message { peer: stranger(number).public(), bytes: vec![0xff; 40] });
    }
    assert!(!is_let_in(&alone.connect(&stranger(9), 1)));
    assert!(is_let_in(&alone.connect(&stranger(9), 2)));
    assert!(is_let_in(&alone.connect(&validator(1), 1)));
    alone.now_ms += 60_000;
    assert!(is_let_in(&alone.connect(&stranger(10), 1)));
}

// ---- what is told ----

#[test]
fn another_state_is_told_of_once_a_height_and_only_if_a_validator_claims_it() {
    let (mut alone, peer, judge) = (Alone::new(), stranger(1), validator(1));
    alone.connect(&peer, 1);
    alone.connect(&judge, 1);
    let honest = alone.handle(Input::Timer(Timer::Gossip));
    let status = honest.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Status(status), .. } => Some(status.clone()),
        _ => None,
    });
    let lie = Message::Status(Status { state_root: Hash([1; 32]), ..status.expect("it tells where it is") });
    let faults = |effects: &[Effect]| {
        let is_fault = |effect: &&Effect| matches!(effect, Effect::Event(NodeEvent::LocalFault { .. }));
        effects.iter().filter(is_fault).count()
    };
    assert_eq!(faults(&alone.hear(&peer, &lie)), 0);
    assert_eq!(faults(&alone.hear(&judge, &lie)), 1);
    assert_eq!(faults(&alone.hear(&judge, &lie)), 0);
}

// ---- dials and statements ----

/// A statement of a node at an address where nobody is.
fn statement(alone: &Alone, key: &SecretKey, last: u8, issued_ms: u64) -> miner_node::PeerRecord {
    let content = PeerContent {
        network: alone.network.id(),
        node: key.public(),
        addresses: vec![SocketAddr::new(address(last), 9)],
        takes_cell: true,
        issued_ms,
    };
    content.sign(key)
}

fn dials(effects: &[Effect]) -> Vec<SocketAddr> {
    let address = |effect: &Effect| match effect {
        Effect::Dial { address, .. } => Some(*address),
        _ => None,
    };
    effects.iter().filter_map(address).collect()
}

#[test]
fn invented_nodes_take_two_dials_at_a_time_and_a_validator_is_dialled_at_once() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    alone.connect(&peer, 1);
    let invented: Vec<_> =
        (100..164).map(|number| statement(&alone, &stranger(u64::from(number)), number, START_MS)).collect();
    let effects = alone.hear(&peer, &Message::Peers(invented));
    assert_eq!(dials(&effects).len(), 2);
    let validators: Vec<_> =
        (1..4).map(|position| statement(&alone, &validator(position), 200, START_MS)).collect();
    let effects = alone.hear(&peer, &Message::Peers(validators));
    assert_eq!(dials(&effects).len(), 3);
}

#[test]
fn an_address_that_failed_rests_before_it_is_dialled_again() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    alone.connect(&peer, 1);
    let record = statement(&alone, &validator(1), 7, START_MS);
    let there = SocketAddr::new(address(7), 9);
    assert_eq!(dials(&alone.hear(&peer, &Message::Peers(vec![record]))), [there]);
    alone.handle(Input::DialFailed { address: there });
    let tick = |alone: &mut Alone| dials(&alone.handle(Input::Timer(Timer::Membership)));
    assert_eq!(tick(&mut alone), []);
    alone.now_ms += 2_000;
    assert_eq!(tick(&mut alone), [there]);
    assert_eq!(tick(&mut alone), [], "it is under way");
}

#[test]
fn a_peer_that_has_forgotten_what_it_stated_is_told_and_nobody_else_is_bothered() {
    let (mut alone, peer) = (Alone::new(), stranger(1));
    alone.connect(&peer, 1);
    let latest = statement(&alone, &peer, 1, 9_000);
    alone.hear(&peer, &Message::Peers(vec![latest.clone()]));
    let older = statement(&alone, &peer, 1, 500);
    let effects = alone.hear(&peer, &Message::Peers(vec![older]));
    assert_eq!(effects, [Effect::Send { peer: peer.public(), message: Message::Peers(vec![latest]) }]);
}

#[test]
fn a_demand_that_no_batch_brought_in_time_is_forgotten_while_the_head_rests() {
    let mut alone = Alone::new();
    let record = alone.records[0].clone();
    let id = record.id();
    alone.handle(Input::Command(Command::Submit { records: vec![record], reply_to: SubmissionId(1) }));
    let is_forgotten = |effects: &[Effect]| {
        let forgets = |effect: &Effect| matches!(effect, Effect::Persist(Write::ForgetPoolRecord(forgotten)) if *forgotten == id);
        effects.iter().any(forgets)
    };
    alone.now_ms = alone.network.genesis().first_expiry_ms() - 1;
    assert!(!is_forgotten(&alone.handle(Input::Timer(Timer::Gossip))));
    alone.now_ms += 1;
    assert!(is_forgotten(&alone.handle(Input::Timer(Timer::Gossip))));
    assert!(alone.node.pool().is_empty());
}
