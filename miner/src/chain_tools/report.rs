//! What `miner chain inspect` shows: a row per block, and one block whole.

use chain::{BlockHash, FinalBlock, PublicKey};
use scenarios::Money;
use scenarios::bound::gap_percent;
use serde::Serialize;

use super::export::ExportedBlock;

/// One block in a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockRow {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Who mined it.
    pub miner: PublicKey,
    /// Records it brings.
    pub records: u32,
    /// Open demands it composes.
    pub demands: u32,
    /// Composed demands it composes anew.
    pub replaced: u32,
    /// What that saves.
    pub saving: Money,
    /// Earlier compositions that froze with it.
    pub frozen: u32,
    /// What it adds to the cost of composed demands.
    pub cost: Money,
    /// What it adds to their reduced cost.
    pub reduced_cost: Money,
    /// What it earns for them.
    pub reward: Money,
    /// The share of its fees it earns, in parts per million.
    pub reward_ppm: u64,
    /// With a price update: the market's bound before.
    pub bound_before: Option<Money>,
    /// With a price update: the market's bound after.
    pub bound_after: Option<Money>,
    /// With a price update: what it was paid for it.
    pub bounty: Money,
    /// Validators whose precommit is in its certificate.
    pub votes: usize,
    /// The round that decided it.
    pub round: u32,
    /// The whole market after it.
    pub market: MarketRow,
}

/// The market (demands open or composed, not frozen or cancelled) at one height.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MarketRow {
    /// Its demands.
    pub demands: usize,
    /// Those that wait to be composed.
    pub open: usize,
    /// Cost of what is composed + budgets of what is open, in micro-units.
    pub cost_micros: i128,
    /// The certified lower bound of that cost; absent where it leaves the range of money.
    pub bound: Option<Money>,
    /// How far the cost is above the bound, in percent of it.
    pub gap_percent: Option<f64>,
}

/// One block whole.
#[derive(Debug, Serialize)]
pub struct BlockDetail {
    /// Its row.
    pub row: BlockRow,
    /// Everything in it.
    pub block: ExportedBlock,
}

impl BlockRow {
    /// The row of a verified block.
    pub fn new(done: &FinalBlock) -> Self {
        let (header, report) = (&done.block().header, done.report());
        Self {
            height: header.height,
            hash: header.hash(),
            timestamp_ms: header.timestamp_ms,
            miner: header.miner,
            records: report.records,
            demands: report.compositions,
            replaced: report.replaced,
            saving: report.saving,
            frozen: report.frozen,
            cost: report.cost,
            reduced_cost: report.reduced_cost,
            reward: report.reward,
            reward_ppm: report.reward_ppm,
            bound_before: report.bound_before,
            bound_after: report.bound_after,
            bounty: report.bounty,
            votes: done.certificate().signatures.len(),
            round: done.certificate().round,
            market: MarketRow::new(done),
        }
    }
}

impl MarketRow {
    fn new(done: &FinalBlock) -> Self {
        let market = done.ledger().market();
        let (cost_micros, bound) = (market.cost(), market.bound().ok());
        let cost = i64::try_from(cost_micros).ok().map(Money::from_micros);
        Self {
            demands: market.demands.len(),
            open: market.demands.iter().filter(|demand| demand.entry.is_open()).count(),
            cost_micros,
            bound,
            gap_percent: cost.zip(bound).map(|(cost, bound)| gap_percent(cost, bound)),
        }
    }
}

impl BlockDetail {
    /// A verified block with everything in it.
    pub fn new(done: &FinalBlock) -> Self {
        Self {
            row: BlockRow::new(done),
            block: ExportedBlock::new(done.block().clone(), done.certificate().clone()),
        }
    }
}
