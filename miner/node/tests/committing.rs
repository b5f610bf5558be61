//! What a validator does with commitments and the blocks they are to: a network of one validator that does not mine, on virtual
//! time, and miners whose keys the test holds.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of effect among many")]

mod market;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use chain::consensus::SafetyLog;
use chain::{Block, Commitment, DemandId, Draft, PublicKey, SecretKey, Signature, SignedCommitment};
use miner_node::{BatchRow, Command, Effect, Input, Message, Node, NodeEvent, Now, SubmissionId, Timer};
use scenarios::parameters::CommitReveal;
use scenarios::{Money, ProviderId};

use market::{START_MS, config, memory, network};

/// How long a validator gathers commitments.
const GATHER_MS: u64 = 200;
/// How long blocks have to come.
const REVEAL_MS: u64 = 700;
const DEMANDS: usize = 6;

/// The validator, at this time, and what it has done.
struct Solo {
    node: Node,
    now_ms: u64,
    timers: BTreeMap<Timer, u64>,
    batches: Vec<BatchRow>,
    /// Commitments that it passed on, by whom they were sent to.
    relayed: Vec<PublicKey>,
    dropped: Vec<PublicKey>,
}

/// Those from 0 to 4 have money.
fn miner(number: u64) -> SecretKey {
    SecretKey::for_scenario(1, "miner", number)
}

impl Solo {
    fn new() -> Self {
        let key = SecretKey::for_scenario(1, "host", 0);
        let (network, records) =
            network(&[(Money::from_units(5), None)], DEMANDS, vec![key.public()], |genesis| {
                genesis.parameters.commit_reveal =
                    Some(CommitReveal { reveal_ms: REVEAL_MS, ..CommitReveal::default() });
                genesis.fund_miners((0..5).map(|number| miner(number).public()));
            });
        let memory = memory(&network, SafetyLog::new(0), Vec::new());
        let (node, _) = Node::new(config(key, None), memory, Now::at(START_MS));
        let mut solo = Self {
            node,
            now_ms: START_MS,
            timers: BTreeMap::new(),
            batches: Vec::new(),
            relayed: Vec::new(),
            dropped: Vec::new(),
        };
        solo.handle(Input::Start { addresses: Vec::new() });
        solo.handle(Input::Command(Command::Submit { records, reply_to: SubmissionId(0) }));
        solo.run_for(10 * GATHER_MS);
        assert_eq!(solo.node.status(solo.now_ms).open_demands, DEMANDS);
        for number in 0..8 {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            solo.handle(Input::PeerUp { peer: miner(number).public(), address });
        }
        solo.batches.clear();
        solo
    }

    fn handle(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.node.handle(Now::at(self.now_ms), input, &mut effects);
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, at_ms } => drop(self.timers.insert(timer, at_ms)),
                Effect::Send { peer, message: Message::Commitment(_) } => self.relayed.push(peer),
                Effect::Disconnect { peer, .. } => self.dropped.push(peer),
                Effect::Event(NodeEvent::BatchFinal { batch, .. }) => self.batches.push(batch),
                Effect::Event(NodeEvent::LocalFault { detail }) => panic!("{detail}"),
                _ => {}
            }
        }
    }

    fn run_for(&mut self, span_ms: u64) {
        let end_ms = self.now_ms + span_ms;
        while let Some((timer, at_ms)) =
            self.timers.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(&timer, &at_ms)| (timer, at_ms))
            && at_ms <= end_ms
        {
            self.now_ms = at_ms.max(self.now_ms);
            self.timers.remove(&timer);
            self.handle(Input::Timer(timer));
        }
        self.now_ms = end_ms;
    }

    /// A miner's block on the head that composes one of the demands, by position.
    fn sealed(&self, by: u64, place: usize) -> (Block, SignedCommitment) {
        let ledger = self.node.ledger();
        let open: Vec<DemandId> = ledger.demands().map(|(demand, _)| demand).collect();
        let draft = Draft {
            miner: miner(by).public(),
            timestamp_ms: self.now_ms,
            records: Vec::new(),
            price_update: None,
            compositions: vec![(open[place], vec![ProviderId(0)])],
            amendments: Vec::new(),
        };
        let drafted = ledger.draft(draft).expect("a block that keeps the rules");
        let (block, commitment, _) = drafted.seal(&miner(by)).expect("it composes something");
        (block, commitment)
    }

    fn say(&mut self, by: u64, message: &Message) {
        self.handle(Input::Message { peer: miner(by).public(), bytes: message.encode() });
    }

    fn brought(&self) -> Vec<(u32, u32, u32)> {
        self.batches.iter().map(|batch| (batch.committed, batch.revealed, batch.demands)).collect()
    }
}

#[test]
fn commitments_are_gathered_and_brought_together_and_their_blocks_when_they_had_time_to_come() {
    let mut solo = Solo::new();
    let (one, to_one) = solo.sealed(0, 0);
    let (other, to_other) = solo.sealed(1, 1);
    solo.say(0, &Message::Commitment(to_one));
    solo.run_for(GATHER_MS / 2);
    solo.say(1, &Message::Commitment(to_other));
    solo.run_for(GATHER_MS / 2 - 1);
    assert_eq!(solo.brought(), []);
    solo.run_for(1);
    assert_eq!(solo.brought(), [(2, 0, 0)]);
    solo.say(0, &Message::Block(Box::new(one)));
    solo.run_for(REVEAL_MS - 1);
    solo.say(1, &Message::Block(Box::new(other)));
    assert_eq!(solo.brought(), [(2, 0, 0)], "the blocks may not all have come");
    solo.run_for(1);
    assert_eq!(solo.brought(), [(2, 0, 0), (0, 2, 2)]);
}

#[test]
fn a_block_that_does_not_come_in_time_is_lost_and_its_commitment_forgotten() {
    let mut solo = Solo::new();
    let (block, commitment) = solo.sealed(0, 0);
    solo.say(0, &Message::Commitment(commitment));
    solo.run_for(GATHER_MS + REVEAL_MS);
    assert_eq!(solo.brought(), [(1, 0, 0), (0, 0, 0)]);
    assert_eq!(solo.batches[1].unrevealed, [block.hash()]);
    solo.say(0, &Message::Block(Box::new(block)));
    solo.say(0, &Message::Commitment(commitment));
    solo.run_for(10 * REVEAL_MS);
    assert!(solo.batches.iter().skip(2).all(|batch| batch.committed + batch.revealed == 0));
    assert_eq!(solo.dropped, []);
}

#[test]
fn a_commitment_is_passed_on_to_four_peers_and_once() {
    let mut solo = Solo::new();
    let (_, commitment) = solo.sealed(0, 0);
    solo.say(0, &Message::Commitment(commitment));
    solo.say(1, &Message::Commitment(commitment));
    assert_eq!(solo.relayed.len(), 4);
    assert!(!solo.relayed.contains(&miner(0).public()), "its sender has it");
}

#[test]
fn what_nobody_can_pay_for_and_blocks_that_nobody_committed_to_take_no_place_and_wake_nobody() {
    let mut solo = Solo::new();
    let (block, mut commitment) = solo.sealed(0, 0);
    commitment.commitment.miner = miner(6).public();
    let poor = commitment.commitment.sign(&miner(6));
    solo.say(6, &Message::Commitment(poor));
    solo.say(0, &Message::Block(Box::new(block)));
    let height = solo.node.ledger().head().height;
    solo.run_for(5 * REVEAL_MS);
    assert_eq!(
        (solo.node.ledger().head().height, &solo.relayed[..], &solo.dropped[..]),
        (height, &[][..], &[][..])
    );
}

#[test]
fn who_passes_on_what_is_no_commitment_is_dropped() {
    let mut solo = Solo::new();
    let (_, good) = solo.sealed(0, 0);
    let unsigned = SignedCommitment { signature: Signature([7; 64]), ..good };
    let sizeless = Commitment { bytes: 0, ..good.commitment }.sign(&miner(0));
    for (by, bad) in [(1, unsigned), (2, sizeless)] {
        solo.say(by, &Message::Commitment(bad));
        assert_eq!(solo.dropped.last(), Some(&miner(by).public()));
    }
    solo.say(3, &Message::Commitment(good));
    solo.run_for(GATHER_MS);
    assert_eq!(solo.brought(), [(1, 0, 0)]);
}

#[test]
fn of_a_miner_one_commitment_comes_with_a_batch_and_the_next_with_the_next() {
    let mut solo = Solo::new();
    for place in 0..3 {
        let (_, commitment) = solo.sealed(0, place);
        solo.say(0, &Message::Commitment(commitment));
    }
    solo.run_for(REVEAL_MS);
    assert_eq!(
        solo.batches.iter().map(|batch| batch.committed).filter(|&count| count > 0).collect::<Vec<_>>(),
        [1; 3]
    );
}
