//! The node's whole interface to the world: what may happen to it, and what it may ask for.

use std::fmt;
use std::net::SocketAddr;

use chain::consensus::{Round, Step};
use chain::store::Write;
use chain::{BlockHash, Height, PublicKey, Record};
use scenarios::work::{Adaptation, Report, Work};

use super::event::NodeEvent;
use super::message::Message;
use super::work::WorkId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
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
    },
    /// A connection ended.
    PeerDown {
        /// Its key.
        peer: PublicKey,
        /// Why.
        reason: String,
    },
    /// A message arrived.
    Message {
        /// From whom.
        peer: PublicKey,
        /// Its bytes, not looked at yet.
        bytes: Vec<u8>,
    },
    /// A timer that was set has run out.
    Timer(Timer),
    /// Work reports an incumbent or its end.
    Work {
        /// Which work.
        id: WorkId,
        /// What came of it.
        report: Report,
    },
    /// The operator, or a client through the operator's socket, wants something.
    Command(Command),
}

/// What an operator can ask of a running node.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Put records into the pool.
    Submit(Vec<Record>),
    /// Start to mine, if the node was told to wait.
    StartMining,
    /// Mine no more until told to start again: what is searched is given up, what was sent stands.
    PauseMining,
    /// Finish: cancel work, say goodbye.
    Stop,
}

/// Something to wait for. Setting a timer again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Anti-entropy: tell the next peer in turn where we are.
    Gossip,
    /// Renew our peer record, forget dead nodes, dial known ones.
    Membership,
    /// Reconsider what to mine.
    Mining,
    /// A round of voting has waited long enough in this step.
    Consensus {
        /// The height voted on.
        height: Height,
        /// The round.
        round: Round,
        /// The step.
        step: Step,
    },
}

/// Something the node asks for. A driver carries effects out in order: what is to be persisted is durable
/// before a later effect is begun.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send a message to one peer.
    Send {
        /// To whom.
        peer: PublicKey,
        /// What.
        message: Message,
    },
    /// Send a message to every connected peer.
    Broadcast(Message),
    /// Answer a peer with final blocks from the store, as [`Message::Final`].
    SendFinal {
        /// To whom.
        peer: PublicKey,
        /// The first height it wants.
        from: Height,
    },
    /// End a connection.
    Disconnect {
        /// Whose.
        peer: PublicKey,
        /// Why; the peer is told.
        reason: String,
    },
    /// Open a connection to a node.
    Dial {
        /// Where.
        address: SocketAddr,
        /// Who is expected there.
        expected: PublicKey,
    },
    /// Wake me at this time (milliseconds since the Unix epoch).
    SetTimer {
        /// What for.
        timer: Timer,
        /// When.
        at_ms: u64,
    },
    /// Make something durable.
    Persist(Write),
    /// Begin a piece of work. Whatever becomes of it, also that it cannot be begun, is reported.
    StartWork {
        /// Its name.
        id: WorkId,
        /// What to do.
        work: Box<Work>,
    },
    /// The problem of a running search changed: repair its population and go on.
    AdaptWork {
        /// Its name.
        id: WorkId,
        /// What changed.
        adaptation: Box<Adaptation>,
    },
    /// Nobody wants this work any more; nothing it still reports will be listened to.
    CancelWork(WorkId),
    /// Tell people.
    Event(NodeEvent),
}

/// Where a node stands, for its operator.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NodeStatus {
    /// Its key.
    pub node: PublicKey,
    /// The height of its head.
    pub height: Height,
    /// Its head.
    pub head: BlockHash,
    /// Connected peers.
    pub peers: usize,
    /// Who votes, and how many of them this node reaches.
    pub validators: ValidatorStatus,
    /// Records in the pool.
    pub pool_records: usize,
    /// Open demands on chain.
    pub open_demands: usize,
    /// Composed demands on chain, frozen ones included.
    pub composed_demands: usize,
    /// Open demands that nobody can compose as things stand, as far as that can be shown quickly, and those that this
    /// node's miner found no way to compose. The reasons are those of the state at the head.
    pub unserved: Vec<UnservedDemand>,
    /// Nothing is being searched, announced or voted on here, and the pool is empty.
    pub is_quiescent: bool,
    /// Whether mining has started.
    pub is_mining: bool,
}

/// How many of a network's validators can be reached. Without a quorum no block becomes final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ValidatorStatus {
    /// Validators of the genesis.
    pub total: usize,
    /// How many of them must vote for a block: more than two thirds.
    pub quorum: usize,
    /// How many are there to vote: those that are connected, and the node itself if it is one.
    pub reachable: usize,
}

impl ValidatorStatus {
    /// Fewer than a quorum can be reached: heights stand still until more come back.
    pub const fn is_quorum_lost(&self) -> bool {
        self.reachable < self.quorum
    }
}

impl fmt::Display for ValidatorStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, quorum, reachable } = self;
        if self.is_quorum_lost() {
            write!(
                f,
                "no quorum: {reachable} of {total} validators reachable, {quorum} needed; heights stand still"
            )
        } else {
            write!(f, "{reachable} of {total} reachable, {quorum} needed")
        }
    }
}

/// A demand nobody could compose, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UnservedDemand {
    /// Its record.
    pub demand: chain::DemandId,
    /// Its name.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}
