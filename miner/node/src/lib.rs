//! The node: everything a member of the network does, with no input or output of its own.
//!
//! [`Node::handle`] takes one [`Input`] and the time, and lists [`Effect`]s. It reads no clock, socket,
//! file or randomness; two drivers run the very same code, tokio with QUIC and the deterministic simulator.
//!
//! A page of nouns: a *block* is what a miner signs; the *waiting* ones no batch has brought, like the records of the
//! *pool*; a validator whose turn it is puts a *batch* together of both; a *candidate* is a batch that is valid for the
//! next height; the *head* is the last final batch; a *refusal* is a block or batch that breaks a rule, with the rule;
//! *mining* is what this node does to get blocks of its own into batches.

mod admission;
mod batch_row;
mod batches;
mod blocks;
mod budget;
mod candidates;
mod catching_up;
mod clock;
mod commitments;
mod dialling;
mod event;
mod executing;
mod fetching;
mod forgotten;
mod held_proposals;
mod host;
mod inbox;
mod io;
mod known_nodes;
mod membership;
mod message;
mod mining;
mod now;
mod opening;
mod peer_record;
mod peers;
mod places;
mod proposing;
mod records;
mod recovered;
mod refusals;
mod scores;
mod settings;
mod standing;
pub mod strategy;
mod voting;
mod work;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use chain::consensus::{Consensus, DoubleVote, Power, SafetyLog, ValidatorSet};
use chain::genesis::Network;
use chain::ledger::DemandStatus;
use chain::{BlockHash, Fault, Hash, Height, Ledger, PublicKey, SecretKey};
use coordinator_free_pool::{Exchange, Pool, PoolLimits};

pub use batch_row::BatchRow;
pub use event::NodeEvent;
pub use host::Host;
pub use inbox::{Inbox, Urgency};
pub use io::{Command, Effect, Input, NodeStatus, SubmissionId, Timer, ValidatorsSeen, Voting};
pub use message::{
    FINAL_BATCHES, FinalBatchMessage, Hello, MESSAGE_BYTES, Message, MessageError, PROTOCOL_VERSION, Status,
};
pub use now::Now;
pub use opening::{MovedAside, Opened, OpeningError, Testimony, TestimonyError, open_store};
pub use peer_record::{PeerContent, PeerRecord, PeerRecordError};
pub use recovered::{RecallError, Recovered};
pub use settings::{MiningSettings, Timing};
pub use work::{WorkId, WorkKind};

use batches::PendingBatches;
use blocks::WaitingBlocks;
use budget::Budgets;
use catching_up::CatchingUp;
use commitments::Commitments;
use dialling::Dialling;
use executing::Executing;
use known_nodes::KnownNodes;
use mining::{Action, Mining, View};
use peers::Peers;
use scores::Scores;
use standing::{Standing, Standings};

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its identity: node key, miner key and, if the genesis lists it, validator key.
    pub key: SecretKey,
    /// How it mines; `None` is a node that only relays and votes.
    pub mining: Option<MiningSettings>,
    /// How often and how long.
    pub timing: Timing,
    /// What its pool holds at most.
    pub pool: PoolLimits,
}

/// A member of the network.
#[derive(Debug)]
pub struct Node {
    key: SecretKey,
    own: PublicKey,
    network: Arc<Network>,
    validators: ValidatorSet,
    timing: Timing,
    addresses: Vec<SocketAddr>,
    ledger: Ledger,
    /// Of `ledger`, counted once per batch.
    market: MarketCounts,
    pool: Pool,
    exchange: Exchange,
    /// Who has standing at the head of `ledger`.
    standings: Standings,
    peers: Peers,
    known: KnownNodes,
    dialling: Dialling,
    scores: Scores,
    budgets: Budgets,
    /// When the input that is being handled came.
    moment: Now,
    consensus: Consensus,
    /// What was signed last, as persisted; of a later height than the head's if batches were lost. Without it this node
    /// signs no vote.
    safety: Option<SafetyLog>,
    mining: Option<Mining>,
    batches: PendingBatches,
    blocks: WaitingBlocks,
    commitments: Commitments,
    /// Of validators that voted twice, until a batch brings it.
    evidence: Vec<DoubleVote>,
    /// What this node expects of the head once everything that is committed to has taken effect, if it had to look.
    foreseen: Option<Ledger>,
    /// How often that was looked at anew, when last by the monotonic clock, and whether blocks have come since.
    outlook: u64,
    foreseen_at_ms: u64,
    is_outlook_old: bool,
    /// When the head came, by the monotonic clock.
    head_since_ms: u64,
    /// Since when this node has voted on the next height, by the monotonic clock; `None` while it is asleep.
    awake_since_ms: Option<u64>,
    state_root: Hash,
    /// The height at which a validator's other state was last told of.
    other_state_told_at: Option<Height>,
    catching_up: CatchingUp,
    executing: Executing,
}

/// Blocks come in swarms, and each changes what is foreseen: how often that is looked at anew for them at most, in milliseconds.
const FORESEE_MS: u64 = 200;

/// The demands of a market by where they stand.
#[derive(Clone, Copy, Debug, Default)]
struct MarketCounts {
    open: usize,
    /// Composed, not settled.
    composed: usize,
}

impl MarketCounts {
    fn of(ledger: &Ledger) -> Self {
        let mut counts = Self::default();
        for (_, entry) in ledger.demands() {
            counts.open += usize::from(entry.is_open());
            counts.composed += usize::from(matches!(entry.status, DemandStatus::Composed(_)));
        }
        counts
    }
}

impl Node {
    /// A node that goes on where its memory ends. The effects must be carried out like any others.
    pub fn new(config: NodeConfig, memory: Recovered, now: Now) -> (Self, Vec<Effect>) {
        let network = Arc::clone(memory.ledger.network());
        let validators = network.validators().clone();
        let own = config.key.public();
        let height = memory.ledger.head().height + 1;
        let safety = memory.safety.as_ref();
        let (consensus, outputs) =
            voting::machine_of(network.id(), height, validators.clone(), &config.key, safety);
        let mut node = Self {
            own,
            key: config.key,
            pool: Pool::new(config.pool, Arc::clone(&network)),
            exchange: Exchange::default(),
            standings: Standings::of(&memory.ledger),
            peers: Peers::default(),
            known: KnownNodes::new(network.id(), own),
            dialling: Dialling::default(),
            scores: Scores::default(),
            budgets: Budgets::default(),
            moment: now,
            mining: config.mining.map(|settings| Mining::new(settings, config.timing)),
            network,
            validators,
            timing: config.timing,
            addresses: Vec::new(),
            state_root: memory.ledger.state_root(),
            other_state_told_at: None,
            market: MarketCounts::of(&memory.ledger),
            ledger: memory.ledger,
            consensus,
            safety: memory.safety,
            batches: PendingBatches::default(),
            blocks: WaitingBlocks::default(),
            commitments: Commitments::default(),
            evidence: Vec::new(),
            foreseen: None,
            outlook: 0,
            foreseen_at_ms: now.monotonic_ms,
            is_outlook_old: false,
            head_since_ms: now.monotonic_ms,
            awake_since_ms: None,
            catching_up: CatchingUp::default(),
            executing: Executing::default(),
        };
        let mut effects = Vec::new();
        for record in memory.records {
            // What has since expired or come on chain is refused here and forgotten.
            node.restore_record(record, &mut effects);
        }
        for batch in memory.candidates {
            node.restore_candidate(batch, now, &mut effects);
        }
        node.restore_own_blocks(memory.sealed, now, &mut effects);
        node.carry_out(outputs, now, &mut effects);
        if config.mining.is_some_and(|settings| !settings.wait_for_start)
            && let Some(mining) = &mut node.mining
        {
            mining.start(now.monotonic_ms);
        }
        (node, effects)
    }

    /// Takes one input at this time and adds what is to be done to `effects`.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        self.moment = now;
        match input {
            Input::Start { addresses } => self.on_start(addresses, now, effects),
            Input::PeerUp { peer, address } => self.on_peer_up(peer, address, now, effects),
            Input::PeerDown { peer, reason } => self.on_peer_down(peer, reason, effects),
            Input::Message { peer, bytes } => self.on_bytes(peer, &bytes, now, effects),
            Input::FinalSent { peer } => self.on_final_sent(&peer),
            Input::DialFailed { address } => self.dialling.on_failed(address, now),
            Input::Timer(timer) => self.on_timer(timer, now, effects),
            Input::Executed(executed) => self.on_executed(*executed, now, effects),
            Input::Work { id, report } => {
                self.with_mining(now, effects, |mining, view, actions| {
                    mining.on_report(id, report, view, actions);
                });
            }
            Input::Command(command) => self.on_command(command, now, effects),
        }
    }

    /// Where this node stands at this time (milliseconds since the Unix epoch).
    pub fn status(&self, wall_ms: u64) -> NodeStatus {
        let mining = self.mining.as_ref();
        let nothing_to_vote_on = self.batches.candidates.is_empty() && !self.consensus.is_awake();
        NodeStatus {
            node: self.own,
            height: self.ledger.head().height,
            head: self.ledger.head().hash,
            head_age_ms: wall_ms.saturating_sub(self.ledger.head().timestamp_ms),
            peers: self.peers.count(),
            validators: self.validators_seen(),
            voting: self.voting(),
            pool_records: self.pool.len(),
            open_demands: self.market.open,
            composed_demands: self.market.composed,
            given_up: mining.map(|mining| mining.given_up().clone()).unwrap_or_default(),
            is_quiescent: self.pool.is_empty()
                && self.blocks.is_empty()
                && self.commitments.is_empty()
                && !self.ledger.awaits_turns()
                && !self.ledger.head().awaits_seal
                && !self.executing.is_under_way()
                && nothing_to_vote_on
                && mining.is_none_or(Mining::is_idle),
            is_mining: mining.is_some_and(Mining::is_running),
        }
    }

    fn validators_seen(&self) -> ValidatorsSeen {
        let is_reachable = |key: &&PublicKey| {
            let is_own = **key == self.own;
            if is_own { self.safety.is_some() } else { self.peers.is_connected(key) }
        };
        let reachable = self.validators.keys().iter().filter(is_reachable);
        ValidatorsSeen {
            total: self.validators.total_power(),
            quorum: self.validators.quorum(),
            reachable: self.power_of(reachable),
        }
    }

    /// The votes of these keys together, each named once.
    fn power_of<'k>(&self, keys: impl Iterator<Item = &'k PublicKey>) -> Power {
        let positions = keys.filter_map(|key| self.validators.index_of(key));
        positions.map(|position| self.validators.power_of(position)).fold(0, Power::saturating_add)
    }

    /// The state at this node's head.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The records it knows that no batch holds yet.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// This node's key.
    pub const fn key(&self) -> PublicKey {
        self.own
    }

    fn on_start(&mut self, addresses: Vec<SocketAddr>, now: Now, effects: &mut Vec<Effect>) {
        self.addresses = addresses;
        for timer in [Timer::Gossip, Timer::Membership, Timer::Mining] {
            self.on_timer(timer, now, effects);
        }
    }

    fn on_timer(&mut self, timer: Timer, now: Now, effects: &mut Vec<Effect>) {
        let period_ms = match timer {
            Timer::Gossip => {
                self.gossip(now, effects);
                self.timing.gossip_ms
            }
            Timer::Membership => {
                self.renew_membership(now, effects);
                self.timing.membership_ms
            }
            Timer::Mining => {
                self.with_mining(now, effects, Mining::consider);
                self.bring(now, effects);
                self.timing.mining_ms
            }
            Timer::Batch => {
                self.bring(now, effects);
                return;
            }
            Timer::Consensus { height, round, step } => {
                self.on_consensus_timeout(height, round, step, now, effects);
                return;
            }
        };
        effects.push(Effect::SetTimer { timer, at_ms: now.in_ms(period_ms) });
    }

    fn on_command(&mut self, command: Command, now: Now, effects: &mut Vec<Effect>) {
        match command {
            Command::Submit { records, reply_to } => {
                self.submit(records, reply_to, effects);
                self.with_mining(now, effects, Mining::consider);
                self.bring(now, effects);
            }
            Command::StartMining => {
                if let Some(mining) = &mut self.mining {
                    mining.start(now.monotonic_ms);
                }
                self.with_mining(now, effects, Mining::consider);
            }
            Command::PauseMining => self.stop_mining(now, effects),
            Command::Stop => {
                self.stop_mining(now, effects);
                let reason = "the node is shutting down".to_owned();
                effects.extend(
                    self.peers.keys().map(|peer| Effect::Disconnect { peer, reason: reason.clone() }),
                );
            }
        }
    }

    fn stop_mining(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut actions = Vec::new();
        if let Some(mining) = &mut self.mining {
            mining.stop(&mut actions);
        }
        self.act(actions, now, effects);
    }

    fn on_message(&mut self, peer: PublicKey, message: Message, now: Now, effects: &mut Vec<Effect>) {
        if self.executing.is_early(&message) {
            self.keep_early(peer, message);
            return;
        }
        match message {
            Message::Hello(hello) => self.on_hello(peer, &hello, now, effects),
            Message::Peers(records) => self.on_peer_records(peer, records, now, effects),
            Message::Pool(message) => self.on_pool_message(peer, message, now, effects),
            Message::Status(status) => self.on_status(peer, &status, now, effects),
            Message::AnnounceBlock(block) => self.on_block_announced(peer, block, now, effects),
            Message::RequestBlock(block) => self.on_block_requested(peer, block, now, effects),
            Message::Block(block) => self.on_block(peer, *block, now, effects),
            Message::RequestBatch(hash) => self.on_batch_requested(peer, hash, now, effects),
            Message::Batch(batch) => self.on_batch(peer, *batch, now, effects),
            Message::Consensus(message) => self.on_consensus(peer, message, now, effects),
            Message::RequestFinal { from } => self.on_final_requested(peer, from, effects),
            Message::Final(batches) => self.on_final_batches(peer, batches, now, effects),
            Message::Commitment(signed) => self.on_commitment(peer, signed, now, effects),
        }
    }

    /// Lets the miner decide on something, and carries its decisions out.
    fn with_mining(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
        decide: impl FnOnce(&mut Mining, &View<'_>, &mut Vec<Action>),
    ) {
        let is_behind = self.is_behind();
        let has_standing = self.standing_of(&self.own) > Standing::Stranger;
        if self.mining.is_none() {
            return;
        }
        let is_hidden = self.network.parameters().commit_reveal.is_some();
        let is_old = self.is_outlook_old && now.since_ms(self.foreseen_at_ms) >= FORESEE_MS;
        if is_hidden && (self.foreseen.is_none() || is_old) {
            let time_ms = now.wall_ms.max(self.ledger.head().timestamp_ms.saturating_add(1));
            let mut known = self.commitments.own_blocks();
            known.extend(self.blocks.ready().filter(|block| block.miner() != self.own).cloned());
            self.foreseen = Some(self.ledger.foresee(&known, time_ms));
            self.outlook = self.outlook.saturating_add(1);
            (self.is_outlook_old, self.foreseen_at_ms) = (false, now.monotonic_ms);
        }
        let affordable = self.affordable();
        let is_any_hidden = self.commitments.is_any_hidden(&self.ledger, self.own, &self.blocks);
        let Some(mining) = &mut self.mining else { return };
        let pending = self.pool.pending(&self.ledger, now.wall_ms);
        // A newcomer ranks behind all of these and works beside the one whose turn that is.
        let cell_takers = self.known.cell_takers(has_standing && mining.takes_cell(), now);
        // What becomes of blocks that are committed to is foreseen; naming a demand is not composing it.
        let in_flight = if is_hidden { BTreeSet::new() } else { self.blocks.composed_by_others(self.own) };
        let waiting: BTreeSet<BlockHash> = if is_hidden {
            self.commitments.own_names()
        } else {
            mining.announced().filter(|block| self.blocks.get(block).is_some()).collect()
        };
        let may_announce = if is_hidden {
            affordable > 0 && self.commitments.may_commit()
        } else {
            mining.announced().next().is_none()
        };
        let view = View {
            now,
            ledger: self.foreseen.as_ref().unwrap_or(&self.ledger),
            pending: &pending,
            cell_takers: &cell_takers,
            own: self.own,
            in_flight: &in_flight,
            waiting: &waiting,
            may_announce,
            affordable,
            is_any_hidden,
            outlook: self.outlook,
            is_behind,
        };
        let mut actions = Vec::new();
        decide(mining, &view, &mut actions);
        self.act(actions, now, effects);
    }

    /// Validators with more votes than may lie say that they are ahead: anybody's word would let one boaster stop us.
    fn is_behind(&self) -> bool {
        let ahead = self.peers.those_ahead(self.decided_height(), self.validators.keys());
        self.power_of(ahead) > self.validators.tolerated_power()
    }

    fn act(&mut self, actions: Vec<Action>, now: Now, effects: &mut Vec<Effect>) {
        for action in actions {
            match action {
                Action::Effect(effect) => effects.push(effect),
                Action::Announce(drafted) if self.network.parameters().commit_reveal.is_some() => {
                    if let Some((block, commitment, report)) = drafted.seal(&self.key) {
                        self.commit_to_own_block(block, commitment, &report, now, effects);
                    }
                }
                Action::Announce(drafted) => {
                    if let Some((block, report)) = drafted.sign_block(&self.key) {
                        self.announce_own_block(block, &report, now, effects);
                    }
                }
            }
        }
    }

    /// A peer is gone: nothing more is to be expected of it.
    fn forget_requests_to(&mut self, peer: &PublicKey) {
        self.batches.fetching.forget_peer(peer);
        self.batches.served.forget_peer(peer);
        self.blocks.forget_peer(peer);
        self.catching_up.forget_peer(peer);
        self.executing.forget_peer(peer);
    }
}

/// How bad a fault is; a peer is dropped at 100.
#[derive(Clone, Copy, Debug)]
struct Blame(u32);

impl Blame {
    /// What no honest node does: broken bytes, bad signatures, invalid batches or certificates.
    const BROKEN: Self = Self(100);
    /// A batch that breaks a rule: three of them.
    const INVALID: Self = Self(34);
    /// What an honest node may do now and then when views differ.
    const NUISANCE: Self = Self(5);
}

/// Whether a refusal is a peer's doing.
const fn is_peers(fault: Fault) -> bool {
    matches!(fault, Fault::Peer)
}
