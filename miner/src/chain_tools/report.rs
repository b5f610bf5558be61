//! What `miner chain inspect` shows: a row per block, and one block whole.

use chain::FinalBlock;
use chain::consensus::Power;
use miner_api::BlockRow;
use scenarios::Money;
use scenarios::bound::gap_percent;
use serde::Serialize;

use super::export::ExportedBlock;

/// One block in a table, and the market it leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct InspectedRow {
    #[serde(flatten)]
    pub block: BlockRow,
    /// The votes in its certificate.
    pub votes: Power,
    /// The round that decided it.
    pub round: u32,
    /// The whole market after it.
    pub market: MarketRow,
}

/// The market (demands open or composed, not frozen or cancelled) at one height.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct MarketRow {
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
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct BlockDetail {
    pub row: InspectedRow,
    /// Everything in it.
    pub block: ExportedBlock,
}

impl InspectedRow {
    /// The row of a verified block.
    pub fn new(done: &FinalBlock) -> Self {
        Self {
            block: BlockRow::new(done.block(), done.report()),
            votes: done.certificate().votes(done.ledger().network().validators()),
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
            row: InspectedRow::new(done),
            block: ExportedBlock::new(done.block().clone(), done.certificate().clone()),
        }
    }
}
