//! What a validator puts into batches, and when: a network of one validator that does not mine, on virtual time, and miners
//! whose keys the test holds.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of effect among many")]

mod market;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use chain::consensus::SafetyLog;
use chain::{Block, BlockOutcome, DemandId, Draft, Record, SecretKey};
use miner_node::{BatchRow, Command, Effect, Input, Message, Node, NodeEvent, Now, SubmissionId, Timer};
use scenarios::{Money, ProviderId};

use market::{START_MS, config, memory, network};

/// How long a validator gathers blocks after a batch.
const GATHER_MS: u64 = 200;

/// The validator, at this time, and the batches that it has made.
struct Solo {
    node: Node,
    now_ms: u64,
    timers: BTreeMap<Timer, u64>,
    batches: Vec<BatchRow>,
    refused: Vec<String>,
    faults: Vec<String>,
}

fn miner(number: u64) -> SecretKey {
    SecretKey::for_scenario(1, "miner", number)
}

impl Solo {
    /// With so many demands on chain, and the gathering after the batch that brought them over. Provider 0 has time for
    /// `served` of them.
    fn new(demands: usize, served: i64) -> Self {
        let key = SecretKey::for_scenario(1, "host", 0);
        let providers = [(Money::from_units(5), Some(10 * served)), (Money::from_micros(5_050_000), None)];
        let (network, records) = network(&providers, demands, vec![key.public()], |_| {});
        let memory = memory(&network, SafetyLog::new(0), Vec::new());
        let (node, _) = Node::new(config(key, None), memory, Now::at(START_MS));
        let mut solo = Self {
            node,
            now_ms: START_MS,
            timers: BTreeMap::new(),
            batches: Vec::new(),
            refused: Vec::new(),
            faults: Vec::new(),
        };
        solo.handle(Input::Start { addresses: Vec::new() });
        solo.submit(records);
        solo.run_for(10 * GATHER_MS);
        assert_eq!(solo.node.status(solo.now_ms).open_demands, demands);
        for number in 0..8 {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            solo.handle(Input::PeerUp { peer: miner(number).public(), address });
        }
        solo.batches.clear();
        solo
    }

    fn submit(&mut self, records: Vec<Record>) {
        self.handle(Input::Command(Command::Submit { records, reply_to: SubmissionId(0) }));
    }

    fn handle(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.node.handle(Now::at(self.now_ms), input, &mut effects);
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, at_ms } => drop(self.timers.insert(timer, at_ms)),
                Effect::Event(NodeEvent::BatchFinal { batch, .. }) => self.batches.push(batch),
                Effect::Event(NodeEvent::BlockRefused { rule, .. }) => self.refused.push(rule),
                Effect::Event(NodeEvent::LocalFault { detail }) => self.faults.push(detail),
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
        assert_eq!(self.faults, [""; 0]);
    }

    /// A miner's block on the head that has a provider serve one of the demands, by position.
    fn block(&self, by: u64, serving: &[(usize, u32)], later_ms: u64) -> Block {
        let ledger = self.node.ledger();
        let open: Vec<DemandId> = ledger.demands().map(|(demand, _)| demand).collect();
        let serving = serving.iter().map(|&(place, provider)| (open[place], vec![ProviderId(provider)]));
        let draft = Draft {
            miner: miner(by).public(),
            timestamp_ms: self.now_ms + later_ms,
            records: Vec::new(),
            price_update: None,
            compositions: serving.collect(),
            amendments: Vec::new(),
        };
        let drafted = ledger.draft(draft).expect("a block that keeps the rules");
        drafted.sign_block(&miner(by)).expect("it composes something").0
    }

    fn say(&mut self, block: Block) {
        let peer = block.miner();
        self.handle(Input::Message { peer, bytes: Message::Block(Box::new(block)).encode() });
    }
}

fn compositions(batch: &BatchRow) -> Vec<u32> {
    batch.blocks.iter().map(|outcome| outcome.compositions).collect()
}

#[test]
fn what_many_miners_sent_while_a_batch_was_young_is_brought_by_the_next_one_together() {
    let mut solo = Solo::new(5, 9);
    let mut blocks = (0_u64..5).map(|by| solo.block(by, &[(usize::try_from(by).unwrap(), 0)], 0));
    let (first, others) = (blocks.next().unwrap(), blocks.collect::<Vec<_>>());
    solo.say(first);
    assert_eq!(solo.batches.iter().map(compositions).collect::<Vec<_>>(), [[1]], "nothing to wait for");
    // Those of the others, made on the same head, come while the blocks after that batch are gathered.
    for block in others {
        solo.say(block);
    }
    solo.run_for(GATHER_MS - 1);
    assert_eq!(solo.batches.len(), 1);
    solo.run_for(1);
    assert_eq!(solo.batches.len(), 2);
    assert_eq!(compositions(&solo.batches[1]), [1; 4]);
    let miners: Vec<_> = solo.batches[1].blocks.iter().map(|outcome| outcome.miner).collect();
    assert_eq!(miners, [1, 2, 3, 4].map(|by| miner(by).public()), "as they came");
    assert_eq!(solo.refused, [""; 0]);
    assert!(solo.node.status(solo.now_ms).is_quiescent);
}

#[test]
fn of_blocks_that_want_the_same_each_item_stands_or_falls_by_itself() {
    // Provider 0 has time for three, the other is dearer.
    let mut solo = Solo::new(4, 3);
    let servings: [&[(usize, u32)]; 3] = [&[(0, 0)], &[(1, 0), (2, 0)], &[(2, 1), (3, 1)]];
    let blocks = (0..).zip(servings).map(|(by, serving)| solo.block(by, serving, 0)).collect::<Vec<_>>();
    for block in blocks {
        solo.say(block);
    }
    solo.run_for(GATHER_MS);
    let [_, batch] = &solo.batches[..] else { panic!("{} batches", solo.batches.len()) };
    let [one, other] = &batch.blocks[..] else { panic!("{:?}", batch.blocks) };
    assert_eq!((one.compositions, one.dropped.len()), (2, 0));
    // Demand 2 has the cheaper one; the other half of the block stands.
    assert_eq!((other.compositions, other.dropped.len()), (1, 1));
    assert_eq!((other.dropped[0].item, other.dropped[0].rule.as_str()), (0, "duplicate-composition"));
}

#[test]
fn a_block_of_which_nothing_is_left_is_refused_and_does_not_come_back() {
    let mut solo = Solo::new(2, 9);
    let (good, late) = (solo.block(0, &[(0, 0)], 0), solo.block(1, &[(0, 0)], 1));
    solo.say(good);
    solo.say(late.clone());
    assert_eq!(solo.refused, ["already-composed"]);
    solo.run_for(GATHER_MS);
    solo.say(late);
    solo.run_for(GATHER_MS);
    assert_eq!((solo.batches.len(), solo.refused.len()), (1, 1), "it is remembered");
}

#[test]
fn a_block_dated_ahead_of_this_clock_waits_for_its_time() {
    let mut solo = Solo::new(1, 9);
    solo.say(solo.block(0, &[(0, 0)], 1_500));
    solo.run_for(1_499);
    assert_eq!(solo.batches.len(), 0);
    solo.run_for(1);
    assert_eq!(solo.batches.iter().map(compositions).collect::<Vec<_>>(), [[1]]);
}

#[test]
fn what_was_once_brought_is_not_brought_again() {
    let mut solo = Solo::new(2, 9);
    let block = solo.block(0, &[(0, 0), (1, 0)], 0);
    solo.say(block.clone());
    let outcomes = |solo: &Solo| -> Vec<BlockOutcome> {
        solo.batches.iter().flat_map(|batch| batch.blocks.clone()).collect()
    };
    assert_eq!(outcomes(&solo).len(), 1);
    solo.say(block);
    solo.run_for(GATHER_MS);
    assert_eq!((outcomes(&solo).len(), solo.refused.len()), (1, 0), "a batch was quicker: nobody's fault");
}
