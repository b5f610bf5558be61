//! A batch in a table row: the same row in events, reports and inspections, which add columns of their own.

use chain::{Batch, BatchHash, BatchReport, BlockHash, BlockOutcome, Hash, Height, PublicKey};
use scenarios::Money;
use serde::{Deserialize, Serialize};

/// What a batch is and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct BatchRow {
    pub batch: BatchHash,
    /// Its height.
    pub height: Height,
    /// Milliseconds since the Unix epoch, by its proposer's clock.
    pub timestamp_ms: u64,
    /// Who put it together.
    pub proposer: PublicKey,
    pub records: u32,
    /// Open demands it composes.
    pub demands: u32,
    /// Composed demands it composes anew.
    pub amended: u32,
    pub saving: Money,
    /// Earlier compositions that are settled with it.
    pub frozen: u32,
    /// Open demands whose time has come with it.
    pub expired: u32,
    /// What it adds to the cost of composed demands.
    pub cost: Money,
    /// What it adds to their reduced cost.
    pub reduced_cost: Money,
    /// What its miners earn when they freeze.
    pub reward: Money,
    /// The share of its fees that is, in parts per million.
    pub reward_ppm: u64,
    /// All their fees.
    pub fees: Money,
    /// The market's certified bound before and after, if it updates the prices.
    pub bounds: Option<(Money, Money)>,
    /// What the authors of the prices get of the fees of what it composes.
    pub price_share: Money,
    /// Merkle root of the contents.
    pub contents_root: Hash,
    /// The blocks that take effect with it, in order, and what became of each.
    pub blocks: Vec<BlockOutcome>,
    /// Validators, by position, whom it shows to have voted twice.
    #[serde(default)]
    pub accused: Vec<u16>,
    /// Commitments to blocks that it brings.
    #[serde(default)]
    pub committed: u32,
    /// Blocks that it reveals.
    #[serde(default)]
    pub revealed: u32,
    /// Blocks that nobody has revealed in time.
    #[serde(default)]
    pub unrevealed: Vec<BlockHash>,
}

impl BatchRow {
    /// The row of a batch that has been checked, with what the check found.
    pub fn new(batch: &Batch, report: &BatchReport) -> Self {
        let header = &batch.header;
        Self {
            batch: batch.hash(),
            height: header.height,
            timestamp_ms: header.timestamp_ms,
            proposer: header.proposer,
            records: report.records,
            demands: report.compositions,
            amended: report.replaced,
            saving: report.saving,
            frozen: report.frozen,
            expired: report.expired,
            cost: report.cost,
            reduced_cost: report.reduced_cost,
            reward: report.reward,
            reward_ppm: report.reward_ppm,
            fees: report.fees,
            bounds: report.bound_before.zip(report.bound_after),
            price_share: report.price_share,
            contents_root: header.contents_root,
            blocks: report.blocks.clone(),
            accused: report.accused.clone(),
            committed: report.committed,
            revealed: report.revealed,
            unrevealed: report.unrevealed.clone(),
        }
    }

    /// Whether it does more than let time pass.
    pub const fn brings_anything(&self) -> bool {
        !self.accused.is_empty()
            || self.records > 0
            || self.committed > 0
            || self.revealed > 0
            || !self.blocks.is_empty()
            || self.frozen > 0
            || self.expired > 0
    }
}
