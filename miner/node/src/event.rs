//! What a node tells the people who run it. Events are facts for logs, reports and tables; nothing in the
//! protocol depends on them.

use chain::consensus::Power;
use chain::{BatchHash, BlockHash, BlockOutcome, DemandId, Hash, Height, PublicKey, RecordId};
use coordinator_free_pool::Rule;
use scenarios::Money;
use scenarios::settings::Profile;
use scenarios::work::Failure;
use serde::{Deserialize, Serialize};

use super::batch_row::BatchRow;
use super::work::{WorkId, WorkKind};
use crate::strategy::NeighbourhoodKind;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
#[expect(clippy::large_enum_variant, reason = "told one at a time, and kept by nobody")]
pub enum NodeEvent {
    /// A peer is connected and on our network.
    PeerUp { peer: PublicKey },
    /// A peer is gone.
    PeerDown { peer: PublicKey, reason: String },
    /// A record was refused.
    RecordRefused {
        /// The record, if it could be read.
        record: Option<RecordId>,
        /// The rule it breaks.
        rule: Rule,
        /// The rule, got and expected.
        reason: String,
    },
    /// A sub-problem was chosen.
    CellChosen {
        /// For people: "cell 2 of 4".
        cell: String,
        demands: usize,
        /// Providers that may serve them.
        providers: usize,
        /// The algorithm at work on it.
        profile: Profile,
    },
    /// A search reported.
    Searching {
        work: WorkId,
        /// Generations so far.
        generation: u64,
        /// Individuals evaluated so far.
        evaluations: u64,
        /// Cost of the incumbent, budgets of unserved demands included.
        cost: Money,
        /// CPU time of the searching thread, microseconds.
        cpu_micros: u64,
        /// Whether it has ended.
        finished: bool,
    },
    /// Prices were found; whether they are any better than those in force is another question.
    Priced {
        work: WorkId,
        /// The bound they certify.
        bound: Money,
        /// CPU time of the searching thread, microseconds.
        cpu_micros: u64,
    },
    /// A neighbourhood of composed demands was searched for an amendment.
    Amending {
        work: WorkId,
        /// How the neighbourhood was chosen.
        kind: NeighbourhoodKind,
        demands: usize,
        /// Demands that the amendment found composes anew; 0 if none was found.
        changed: usize,
        /// CPU time of the searching thread, microseconds.
        cpu_micros: u64,
    },
    /// A piece of work came to nothing. The node goes on without; it tries such work again when the market changes or
    /// some seconds have passed.
    WorkFailed {
        work: WorkId,
        /// What it was for.
        kind: WorkKind,
        reason: Failure,
    },
    /// A running search goes on with what a final batch left of its problem.
    Repaired {
        /// Demands taken by somebody else.
        lost: usize,
        /// Demands still to compose.
        left: usize,
    },
    /// An own block was sent out, and would do this alone.
    BlockAnnounced(BlockOutcome),
    /// A batch brought an own block.
    BlockBrought {
        block: BlockHash,
        /// Of the batch.
        height: Height,
        /// Items that took effect.
        kept: usize,
        /// Items that did not.
        dropped: usize,
        /// Why the first of them did not.
        reason: Option<String>,
    },
    /// A block was refused, or waits no longer, for nothing of it would take effect.
    BlockRefused {
        block: BlockHash,
        miner: PublicKey,
        /// Demands it would have composed by themselves.
        demands: usize,
        /// Demands its amendments would have composed, first or anew.
        #[serde(default)]
        amended: usize,
        /// The rule that refuses it.
        rule: String,
        /// The rule, got and expected, in words.
        reason: String,
    },
    /// A batch was refused.
    BatchRefused {
        batch: BatchHash,
        /// Its height.
        height: Height,
        proposer: PublicKey,
        /// The rule that refuses it.
        rule: String,
        /// The rule, got and expected, in words.
        reason: String,
    },
    /// An own composition was held back: the block would earn less than the market accepts now.
    HeldBack { demands: usize, reason: String },
    /// A batch is final.
    BatchFinal {
        #[serde(flatten)]
        batch: BatchRow,
        /// The votes in its commit certificate.
        votes: Power,
        /// The round in which it was decided.
        round: u32,
        /// State root after it.
        state_root: Hash,
        /// Demands still open after it.
        open_demands: usize,
    },
    /// A demand cannot be composed on what is left.
    Unserved { demand: DemandId, name: String, reason: String },
    /// More validators propose batches from the future than may lie: this machine's clock is behind. Such batches count
    /// only once the clock has reached them.
    ClockBehind {
        /// How many have done so within a minute.
        validators: usize,
        /// How far ahead of this machine's clock the last of these batches is dated, in milliseconds.
        by_ms: u64,
    },
    /// A vote of this validator that its store knows nothing of: its store has gone back in time, its operator was wrong
    /// about its past, or another node has its key. It votes no more until its operator says from which height on.
    ForgottenVote {
        height: Height,
        /// The vote's.
        round: u32,
    },
    /// A validator signed two things for one height and round.
    Equivocation { validator: PublicKey, detail: String },
    /// Something is wrong on this machine.
    LocalFault {
        /// What, and what to do.
        detail: String,
    },
}
