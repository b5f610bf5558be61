//! What `miner chain inspect` shows: a row per batch, and one batch whole.

use chain::FinalBatch;
use chain::consensus::Power;
use chain::ledger::BlockOutcome;
use miner_api::BatchRow;
use scenarios::Money;
use scenarios::bound::gap_percent;
use serde::Serialize;

use super::export::ExportedBatch;

/// One batch in a table, and the market it leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct InspectedRow {
    #[serde(flatten)]
    pub batch: BatchRow,
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

/// One batch whole.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct BatchDetail {
    pub row: InspectedRow,
    /// Everything in it.
    pub batch: ExportedBatch,
    /// What became of its blocks.
    pub blocks: Vec<BlockOutcome>,
}

impl InspectedRow {
    /// The row of a verified batch.
    pub fn new(done: &FinalBatch) -> Self {
        Self {
            batch: BatchRow::new(done.batch(), done.report()),
            votes: done.certificate().votes(done.ledger().network().validators()),
            round: done.certificate().round,
            market: MarketRow::new(done),
        }
    }
}

impl MarketRow {
    fn new(done: &FinalBatch) -> Self {
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

impl BatchDetail {
    /// A verified batch with everything in it.
    pub fn new(done: &FinalBatch) -> Self {
        Self {
            row: InspectedRow::new(done),
            batch: ExportedBatch::new(done.batch().clone(), done.certificate().clone()),
            blocks: done.report().blocks.clone(),
        }
    }
}
