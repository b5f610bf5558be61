//! One node among three validators and strangers whose keys the test holds: it says what they say and sees what the node
//! asks for. Time passes as the test likes, by two clocks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chain::consensus::{
    CommitCertificate, ConsensusMessage, Proposal, Round, SafetyLog, SignedVote, Vote, VoteKind,
};
use chain::genesis::scenario::demander_key;
use chain::validate::DecidedBatch;
use chain::{
    Batch, BatchHash, Block, BlockHash, Draft, Drafted, Hash, Height, Ledger, Network, PublicKey, Record,
    SecretKey, Write,
};
use miner_node::{Effect, Hello, Input, Message, Node, NodeEvent, Now, PROTOCOL_VERSION, Timer};
use scenarios::{Money, ProviderId, Slot};

use crate::market::{RNG_SEED, START_MS, config, memory, network};

/// How far ahead of the clock a batch may be dated, as in every genesis made of a scenario.
pub(crate) const LEAD_MS: u64 = 2_000;

/// A node and everything it has asked for.
pub(crate) struct Scene {
    pub(crate) node: Node,
    pub(crate) network: Arc<Network>,
    /// Of the four validators, by position; the node is the first, the others propose in rounds 0, 1 and 2 of height 1.
    pub(crate) validators: Vec<SecretKey>,
    records: Vec<Record>,
    now: Now,
    timers: BTreeMap<Timer, u64>,
    /// Since the test last looked.
    effects: Vec<Effect>,
    decided: Option<Box<DecidedBatch>>,
    /// What is decided is not executed before the test says so.
    pub(crate) is_slow: bool,
}

/// A key that owns nothing.
pub(crate) fn stranger(number: u64) -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "stranger", number)
}

/// A key that owns money and demands nothing.
pub(crate) fn owner() -> SecretKey {
    demander_key(RNG_SEED, 1)
}

/// A name that nobody made a batch for.
pub(crate) fn invented(number: u8) -> Hash {
    Hash([number; 32])
}

impl Scene {
    /// At genesis, connected to the other validators.
    pub(crate) fn new() -> Self {
        let mut validators: Vec<SecretKey> =
            (0..4).map(|number| SecretKey::for_scenario(RNG_SEED, "validator", number)).collect();
        validators.sort_by_key(SecretKey::public);
        let keys = validators.iter().map(SecretKey::public).collect();
        let (network, mut records) = network(&[(Money::from_units(5), Some(1_000))], 2, keys, |_| {});
        records.truncate(1);
        let now = Now { wall_ms: START_MS, monotonic_ms: 50_000 };
        let node = Node::new(
            config(validators[0].clone(), None),
            memory(&network, SafetyLog::new(0), Vec::new()),
            now,
        )
        .0;
        let (timers, effects) = (BTreeMap::new(), Vec::new());
        let (decided, is_slow) = (None, false);
        let mut scene = Self { node, network, validators, records, now, timers, effects, decided, is_slow };
        scene.handle(Input::Start { addresses: Vec::new() });
        for position in 1..4 {
            scene.connect(&scene.validators[position].clone());
        }
        scene
    }

    /// At height 1, where a demand is open.
    pub(crate) fn with_demand() -> Self {
        let mut scene = Self::new();
        let batch = scene.batch(&scene.validators[1].clone(), 0);
        scene.say_batch(&scene.validators[1].clone(), &batch);
        scene.decide(batch.hash());
        assert_eq!(scene.node.status(START_MS).open_demands, 1);
        scene.look();
        scene
    }

    /// The node starts anew from what it has persisted by these effects, with its wall clock set back by so much.
    pub(crate) fn restart(&mut self, effects: &[Effect], set_back_ms: u64) {
        let (mut safety, mut candidates) = (SafetyLog::new(0), Vec::new());
        for effect in effects {
            match effect {
                Effect::Persist(Write::Safety(log)) => safety = (**log).clone(),
                Effect::Persist(Write::Candidate(batch)) => candidates.push((**batch).clone()),
                _ => {}
            }
        }
        self.now.wall_ms -= set_back_ms;
        let memory = memory(&self.network, safety, candidates);
        (self.node, self.effects) = Node::new(config(self.validators[0].clone(), None), memory, self.now);
        self.timers.clear();
        self.handle(Input::Start { addresses: Vec::new() });
    }

    // ---- what happens ----

    pub(crate) fn handle(&mut self, input: Input) {
        let begin = self.effects.len();
        self.node.handle(self.now, input, &mut self.effects);
        let mut decided = None;
        for effect in &self.effects[begin..] {
            if let Effect::SetTimer { timer, at_ms } = effect {
                self.timers.insert(*timer, *at_ms);
            } else if let Effect::Execute(batch) = effect {
                decided = Some(batch.clone());
            }
        }
        self.decided = decided.or_else(|| self.decided.take());
        if !self.is_slow {
            self.execute();
        }
    }

    /// What was decided is executed.
    pub(crate) fn execute(&mut self) {
        if let Some(decided) = self.decided.take() {
            self.handle(Input::Executed(Box::new(decided.execute())));
        }
    }

    pub(crate) fn connect(&mut self, peer: &SecretKey) {
        self.handle(Input::PeerUp { peer: peer.public(), address: IpAddr::V4(Ipv4Addr::LOCALHOST) });
    }

    pub(crate) fn disconnect(&mut self, peer: &SecretKey) {
        self.handle(Input::PeerDown { peer: peer.public(), reason: "gone".into() });
    }

    pub(crate) fn say(&mut self, peer: &SecretKey, message: &Message) {
        self.handle(Input::Message { peer: peer.public(), bytes: message.encode() });
    }

    pub(crate) fn say_block(&mut self, peer: &SecretKey, block: &Block) {
        self.say(peer, &Message::Block(Box::new(block.clone())));
    }

    /// A peer says that it stands at a height.
    pub(crate) fn boast(&mut self, peer: &SecretKey, height: Height) {
        let hello = Hello { version: PROTOCOL_VERSION, network: self.network.id(), height };
        self.say(peer, &Message::Hello(hello));
    }

    pub(crate) fn say_batch(&mut self, peer: &SecretKey, batch: &Batch) {
        self.say(peer, &Message::Batch(Box::new(batch.clone())));
    }

    /// The validator whose turn it is proposes a batch; the proposal comes from its own connection.
    pub(crate) fn propose(&mut self, round: Round, batch: BatchHash) {
        let (height, network) = (1, self.network.id());
        let proposer =
            self.validators[usize::from(self.network.validators().proposer(height, round))].clone();
        let signed = Proposal { network, height, round, batch, valid_round: None }.sign(&proposer, None);
        self.say(&proposer, &Message::Consensus(ConsensusMessage::Proposal(signed)));
    }

    /// Both clocks run on.
    pub(crate) fn run_for(&mut self, span_ms: u64) {
        let end_ms = self.now.monotonic_ms + span_ms;
        while let Some((timer, at_ms)) =
            self.timers.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(&timer, &at_ms)| (timer, at_ms))
            && at_ms <= end_ms
        {
            self.pass(at_ms);
            self.timers.remove(&timer);
            self.handle(Input::Timer(timer));
        }
        self.pass(end_ms);
    }

    fn pass(&mut self, monotonic_ms: u64) {
        self.now.wall_ms += monotonic_ms - self.now.monotonic_ms;
        self.now.monotonic_ms = monotonic_ms;
    }

    // ---- what is said ----

    /// A valid batch of height 1, dated so long after the scene began, that brings a demand and composes nothing.
    pub(crate) fn batch(&self, miner: &SecretKey, later_ms: u64) -> Batch {
        let draft = Draft {
            miner: miner.public(),
            timestamp_ms: START_MS + later_ms,
            records: self.records.clone(),
            prices: None,
            compositions: Vec::new(),
            amendments: Vec::new(),
        };
        let genesis = Ledger::new(Arc::clone(&self.network));
        genesis.draft(draft).unwrap().sign(miner).0
    }

    /// What a miner makes of the open demand so long after the scene began.
    fn composing(&self, miner: &SecretKey, later_ms: u64) -> Drafted {
        let ledger = self.node.ledger();
        let (demand, _) = ledger.demands().find(|(_, entry)| entry.is_open()).unwrap();
        let draft = Draft {
            miner: miner.public(),
            timestamp_ms: START_MS + 1 + later_ms,
            records: Vec::new(),
            prices: None,
            compositions: vec![(demand, vec![Slot::single(ProviderId(0))])],
            amendments: Vec::new(),
        };
        ledger.draft(draft).unwrap()
    }

    /// A block that composes the open demand.
    pub(crate) fn block(&self, miner: &SecretKey, later_ms: u64) -> Block {
        self.composing(miner, later_ms).sign_block(miner).unwrap().0
    }

    /// A batch of the next height that brings such a block.
    pub(crate) fn composing_batch(&self, miner: &SecretKey) -> Batch {
        self.composing(miner, 0).sign(miner).0
    }

    /// A block made on the batch before the head, by another miner, of what the head's batch brought.
    pub(crate) fn block_of_the_past(&self, miner: &SecretKey, head: &Batch) -> Block {
        let body = head.contents.blocks[0].body.clone();
        Block::sign(self.network.id(), head.header.parent, 77, body, miner)
    }

    /// The other validators' decision on a batch of the next height.
    pub(crate) fn decision(&self, batch: BatchHash) -> CommitCertificate {
        let (network, round) = (self.network.id(), 0);
        let height = self.node.ledger().head().height + 1;
        let vote = Vote { network, height, round, kind: VoteKind::Precommit, batch: Some(batch) };
        let sign = |position: u16| {
            let SignedVote { validator, signature, .. } =
                vote.sign(position, &self.validators[usize::from(position)]);
            (validator, signature)
        };
        CommitCertificate { height, round, batch, signatures: (1..4).map(sign).collect() }
    }

    pub(crate) fn decide(&mut self, batch: BatchHash) {
        let commit = ConsensusMessage::Commit(self.decision(batch));
        self.say(&self.validators[1].clone(), &Message::Consensus(commit));
    }

    // ---- what is seen ----

    /// What the node has asked for since the last look.
    pub(crate) fn look(&mut self) -> Seen {
        Seen(std::mem::take(&mut self.effects))
    }
}

/// What a node has asked for.
pub(crate) struct Seen(pub(crate) Vec<Effect>);

impl Seen {
    /// Messages to this peer alone.
    pub(crate) fn sent_to(&self, peer: &SecretKey) -> Vec<&Message> {
        self.sent().filter(|(to, _)| *to == peer.public()).map(|(_, message)| message).collect()
    }

    fn sent(&self) -> impl Iterator<Item = (PublicKey, &Message)> {
        self.0.iter().filter_map(|effect| match effect {
            Effect::Send { peer, message } => Some((*peer, message)),
            _ => None,
        })
    }

    /// Who was asked for this block.
    pub(crate) fn asked_for_block(&self, block: BlockHash) -> Vec<PublicKey> {
        let asked = self.sent().filter(|(_, message)| **message == Message::RequestBlock(block));
        asked.map(|(peer, _)| peer).collect()
    }

    /// Who was asked for this batch.
    pub(crate) fn asked_for(&self, batch: BatchHash) -> Vec<PublicKey> {
        let asked = self.sent().filter(|(_, message)| **message == Message::RequestBatch(batch));
        asked.map(|(peer, _)| peer).collect()
    }

    /// Who was asked for final batches.
    pub(crate) fn asked_for_final(&self) -> Vec<PublicKey> {
        let asked = self.sent().filter(|(_, message)| matches!(message, Message::RequestFinal { .. }));
        asked.map(|(peer, _)| peer).collect()
    }

    /// Whether other peers were told of this block: it waits.
    pub(crate) fn relayed(&self, block: &Block) -> bool {
        let name = block.hash();
        self.sent().any(|(_, message)| *message == Message::AnnounceBlock(name))
    }

    /// What the node prevoted, nil included.
    pub(crate) fn prevotes(&self) -> Vec<Option<BatchHash>> {
        let votes = self.0.iter().filter_map(|effect| match effect {
            Effect::Broadcast(Message::Consensus(ConsensusMessage::Vote(signed))) => Some(signed.vote),
            _ => None,
        });
        votes.filter(|vote| vote.kind == VoteKind::Prevote).map(|vote| vote.batch).collect()
    }

    /// Batches that were written, and are not final.
    pub(crate) fn written(&self) -> Vec<BatchHash> {
        let written = self.0.iter().filter_map(|effect| match effect {
            Effect::Persist(Write::Candidate(batch)) => Some(batch.hash()),
            _ => None,
        });
        written.collect()
    }

    /// What people were told.
    pub(crate) fn told(&self) -> Vec<&NodeEvent> {
        let told = self.0.iter().filter_map(|effect| match effect {
            Effect::Event(event) => Some(event),
            _ => None,
        });
        told.collect()
    }

    /// How many refusals people were told of.
    pub(crate) fn refusals(&self) -> usize {
        let is_refusal = |event: &&NodeEvent| {
            matches!(event, NodeEvent::BlockRefused { .. } | NodeEvent::BatchRefused { .. })
        };
        self.told().into_iter().filter(is_refusal).count()
    }

    /// Whether the node hung up on this peer.
    pub(crate) fn dropped(&self, peer: &SecretKey) -> bool {
        let key = peer.public();
        self.0.iter().any(|effect| matches!(effect, Effect::Disconnect { peer, .. } if *peer == key))
    }
}
