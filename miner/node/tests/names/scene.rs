//! One node among three validators and strangers whose keys the test holds: it says what they say and sees what the node
//! asks for. Time passes as the test likes, by two clocks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use chain::consensus::{
    CommitCertificate, ConsensusMessage, Proposal, Round, SafetyLog, SignedVote, Vote, VoteKind,
};
use chain::genesis::scenario::demander_key;
use chain::{
    Batch, BatchHash, Block, Body, Composition, Contents, DemandId, Draft, Hash, Ledger, Network, PublicKey,
    Record, SecretKey, Write, merkle_root,
};
use miner_node::{Effect, Input, Message, Node, NodeEvent, Now, Timer};
use scenarios::Money;

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
}

/// A key that owns nothing.
pub(crate) fn stranger(number: u64) -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "stranger", number)
}

/// A key that owns money.
pub(crate) fn owner() -> SecretKey {
    demander_key(RNG_SEED, 0)
}

/// A name that nobody made a batch for.
pub(crate) fn invented(number: u8) -> BatchHash {
    BatchHash(Hash([number; 32]))
}

impl Scene {
    /// At genesis, connected to the other validators.
    pub(crate) fn new() -> Self {
        let mut validators: Vec<SecretKey> =
            (0..4).map(|number| SecretKey::for_scenario(RNG_SEED, "validator", number)).collect();
        validators.sort_by_key(SecretKey::public);
        let keys = validators.iter().map(SecretKey::public).collect();
        let (network, records) = network(&[(Money::from_units(5), Some(1_000))], 1, keys);
        let now = Now { wall_ms: START_MS, monotonic_ms: 50_000 };
        let node = Node::new(
            config(validators[0].clone(), None),
            memory(&network, SafetyLog::new(0), Vec::new()),
            now,
        )
        .0;
        let (timers, effects) = (BTreeMap::new(), Vec::new());
        let mut scene = Self { node, network, validators, records, now, timers, effects };
        scene.handle(Input::Start { addresses: Vec::new() });
        for position in 1..4 {
            scene.connect(&scene.validators[position].clone());
        }
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
        for effect in &self.effects[begin..] {
            if let Effect::SetTimer { timer, at_ms } = effect {
                self.timers.insert(*timer, *at_ms);
            }
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
            price_update: None,
            compositions: Vec::new(),
            amendments: Vec::new(),
        };
        let genesis = Ledger::new(Arc::clone(&self.network));
        genesis.draft(draft).unwrap().sign(miner).0
    }

    /// An authentic batch of height 1 that claims to compose something, which it does not.
    pub(crate) fn composing(&self, miner: &SecretKey, later_ms: u64) -> Batch {
        let Batch { mut header, .. } = self.batch(miner, later_ms);
        let composition = Composition {
            demand: chain::RecordId(Hash([3; 32])) as DemandId,
            providers: Vec::new(),
            cost: Money::ZERO,
            minutes: 0,
            timestamp_ms: START_MS,
        };
        let body = Body { compositions: vec![composition], ..Body::default() };
        let blocks = vec![Block::sign(header.network, header.parent, later_ms, body, miner)];
        let contents = Contents { records: Vec::new(), blocks };
        (header.contents_root, header.item_count) = (merkle_root(&contents.items()), 2);
        Batch::sign(header, contents, miner)
    }

    /// The other validators' decision on a batch of height 1.
    pub(crate) fn decision(&self, batch: BatchHash) -> CommitCertificate {
        let (network, height, round) = (self.network.id(), 1, 0);
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

    /// Whether other peers were told of this batch: it is a candidate.
    pub(crate) fn relayed(&self, batch: BatchHash) -> bool {
        self.sent().any(|(_, message)| *message == Message::AnnounceBatch { height: 1, batch })
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
        self.told().into_iter().filter(|event| matches!(event, NodeEvent::BatchRefused { .. })).count()
    }

    /// Whether the node hung up on this peer.
    pub(crate) fn dropped(&self, peer: &SecretKey) -> bool {
        let key = peer.public();
        self.0.iter().any(|effect| matches!(effect, Effect::Disconnect { peer, .. } if *peer == key))
    }
}
