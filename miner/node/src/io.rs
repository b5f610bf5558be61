//! The node's whole interface to the world: what may happen to it, and what it may ask for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use chain::consensus::{Power, Round, Step};
use chain::ledger::Defect;
use chain::store::Write;
use chain::validate::DecidedBatch;
use chain::{Batch, BatchHash, BatchReport, DemandId, FinalBatch, Height, PublicKey, Record, RecordId};
use coordinator_free_pool::PoolRejection;
use scenarios::work::{Adaptation, Report, Work};

use super::event::NodeEvent;
use super::message::Message;
use super::work::WorkId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Input {
    /// The driver is ready: the first input.
    Start {
        /// Where others can reach this node.
        addresses: Vec<SocketAddr>,
    },
    /// A connection to an authenticated peer stands.
    PeerUp {
        /// Its key, proven by the transport.
        peer: PublicKey,
        /// Where its packets come from.
        address: IpAddr,
    },
    /// A connection ended.
    PeerDown { peer: PublicKey, reason: String },
    /// A message arrived.
    Message {
        peer: PublicKey,
        /// Its bytes, not looked at yet.
        bytes: Vec<u8>,
    },
    /// What was asked for by [`Effect::SendFinal`] has been read and queued for the peer, or could not be.
    FinalSent { peer: PublicKey },
    /// A dial came to nothing: nobody is there, or somebody else.
    DialFailed { address: SocketAddr },
    /// A timer that was set has run out.
    Timer(Timer),
    /// What was asked for by [`Effect::Execute`] is done.
    Executed(Box<Result<FinalBatch, Defect>>),
    /// Work reports an incumbent or its end.
    Work {
        id: WorkId,
        /// What came of it.
        report: Report,
    },
    /// The operator, or a client through the operator's socket, wants something.
    Command(Command),
}

/// What an operator can ask of a running node.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Command {
    /// Put records into the pool; answered by [`Effect::Submitted`].
    Submit { records: Vec<Record>, reply_to: SubmissionId },
    /// Start to mine, if the node was told to wait.
    StartMining,
    /// Mine no more until told to start again: what is searched is given up, what was sent stands.
    PauseMining,
    /// Finish: cancel work, say goodbye.
    Stop,
}

/// Names a submission, so that its answer is found. Of no meaning to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubmissionId(pub u64);

/// Something to wait for. Setting a timer again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Timer {
    /// Anti-entropy: tell the next peer in turn where we are.
    Gossip,
    /// Renew our peer record, forget dead nodes, dial known ones.
    Membership,
    /// Reconsider what to mine, and whether there is something to bring.
    Mining,
    /// There is something to bring.
    Batch,
    /// A round of voting has waited long enough in this step.
    Consensus {
        /// The height voted on.
        height: Height,
        /// The round.
        round: Round,
        step: Step,
    },
}

/// Something the node asks for. A driver carries effects out in order: what is to be persisted is durable
/// before a later effect is begun.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Effect {
    /// Send a message to one peer.
    Send { peer: PublicKey, message: Message },
    /// Send a message to every connected peer.
    Broadcast(Message),
    /// Answer a peer with final batches from the store, as [`Message::Final`].
    SendFinal {
        peer: PublicKey,
        /// The first height it wants.
        from: Height,
    },
    /// End a connection.
    Disconnect {
        peer: PublicKey,
        /// Why; the peer is told.
        reason: String,
    },
    /// Open a connection to a node.
    Dial {
        address: SocketAddr,
        /// Who is expected there.
        expected: PublicKey,
    },
    /// Wake me at this monotonic time, in milliseconds.
    SetTimer { timer: Timer, at_ms: u64 },
    /// Make something durable.
    Persist(Write),
    /// Execute a final batch, durable by an earlier effect, beside the node; answered by [`Input::Executed`]. One at a time.
    Execute(Box<DecidedBatch>),
    /// Begin a piece of work. Whatever becomes of it, also that it cannot be begun, is reported.
    StartWork { id: WorkId, work: Box<Work> },
    /// The problem of a running search changed: repair its population and go on.
    AdaptWork { id: WorkId, adaptation: Box<Adaptation> },
    /// Nobody wants this work any more; nothing it still reports will be listened to.
    CancelWork(WorkId),
    /// Answer [`Command::Submit`]. What was accepted has been made durable by an earlier effect.
    Submitted {
        reply_to: SubmissionId,
        /// What became of its records, in order.
        outcomes: Vec<Result<RecordId, PoolRejection>>,
    },
    /// Let whoever keeps history know: this batch is final, and durable by an earlier effect.
    Final {
        batch: Arc<Batch>,
        /// What it brought and earned, and which demands left the market with it.
        report: Box<BatchReport>,
    },
    /// Tell people.
    Event(NodeEvent),
}

/// Where a node stands, for its operator.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct NodeStatus {
    pub node: PublicKey,
    /// The height of its head.
    pub height: Height,
    pub head: BatchHash,
    /// The time since its head was made, by its proposer's clock and ours, in milliseconds.
    pub head_age_ms: u64,
    /// Connected peers.
    pub peers: usize,
    /// Those who vote, as far as this node sees them.
    pub validators: ValidatorsSeen,
    /// Whether it votes itself.
    pub voting: Voting,
    /// Records in the pool.
    pub pool_records: usize,
    /// Open demands on chain.
    pub open_demands: usize,
    /// Composed demands on chain that are not settled yet.
    pub composed_demands: usize,
    /// Open demands that this node's miner found no way to compose, and searches for no more until there may be one.
    pub given_up: BTreeSet<DemandId>,
    /// Nothing is being searched, announced or voted on here, and the pool is empty.
    pub is_quiescent: bool,
    /// Whether mining has started.
    pub is_mining: bool,
}

/// Whether a node votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "votes", rename_all = "snake_case")]
pub enum Voting {
    /// The genesis does not list its key.
    NoValidator,
    /// On every height.
    Always,
    /// It may have voted on heights below this one, whose batches it has yet to fetch.
    From {
        /// The first height it votes on.
        height: Height,
    },
    /// Its store does not say what it signed before.
    Forgotten,
}

impl fmt::Display for Voting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValidator => f.write_str("does not vote: the genesis does not list its key"),
            Self::Always => f.write_str("votes"),
            Self::From { height } => write!(f, "does not vote on heights below {height}, which it may have voted on"),
            Self::Forgotten => f.write_str(
                "does not vote: its store does not say what it signed before. If this node has never run, start it \
                 with --first-run; if its store was lost, with --vote-from-height H, above every height it may have \
                 voted on",
            ),
        }
    }
}

/// The votes of the validators of the next height as one node sees them. Without a quorum no batch becomes final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ValidatorsSeen {
    /// How many votes there are.
    pub total: Power,
    /// How many it takes for a batch to become final: more than two thirds.
    pub quorum: Power,
    /// How many are those of validators whom this node is connected to, its own counted if it votes.
    pub reachable: Power,
}

impl ValidatorsSeen {
    /// Whether enough are in reach for batches to become final, as far as this node sees.
    pub const fn has_quorum(self) -> bool {
        self.reachable >= self.quorum
    }
}

impl fmt::Display for ValidatorsSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, quorum, reachable } = self;
        if self.has_quorum() {
            write!(f, "{reachable} of {total} votes reachable, {quorum} needed")
        } else {
            write!(
                f,
                "no quorum: {reachable} of {total} votes reachable, {quorum} needed; heights stand still"
            )
        }
    }
}
