//! Everything that left the market, added up.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::{DemandEntry, DemandStatus};
use chain::{Address, BatchReport};
use scenarios::Money;
use serde::{Deserialize, Serialize};

/// Sums over all batches up to a height.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Demands composed and settled.
    pub frozen: u64,
    /// Demands taken back by their authors.
    pub cancelled: u64,
    /// Demands that were still open when their time had come.
    pub expired: u64,
    /// What the settled compositions cost, in micro-units.
    pub frozen_cost_micros: i128,
    /// By miner; kept apart from the rest on disk.
    #[serde(skip)]
    pub miners: BTreeMap<Address, MinerTotals>,
}

/// What one miner did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinerTotals {
    /// Blocks of its with first compositions that took effect.
    pub blocks: u64,
    /// Demands it was the first to compose.
    pub demands: u64,
    /// What it was paid at settlements, for first compositions and amendments.
    pub earned: Money,
}

impl Totals {
    /// Adds a batch up; the miners whose totals changed come back.
    pub(super) fn add(&mut self, report: &BatchReport) -> BTreeSet<Address> {
        let mut touched = BTreeSet::new();
        for outcome in report.blocks.iter().filter(|outcome| outcome.compositions > 0) {
            let miner = outcome.miner.address();
            let totals = self.miners.entry(miner).or_default();
            totals.blocks = totals.blocks.saturating_add(1);
            totals.demands = totals.demands.saturating_add(u64::from(outcome.compositions));
            touched.insert(miner);
        }
        for (_, entry) in &report.departed {
            self.add_departed(entry, &mut touched);
        }
        touched
    }

    fn add_departed(&mut self, entry: &DemandEntry, touched: &mut BTreeSet<Address>) {
        match &entry.status {
            DemandStatus::Frozen { composition, .. } => {
                self.frozen = self.frozen.saturating_add(1);
                let cost = i128::from(composition.cost.micros());
                self.frozen_cost_micros = self.frozen_cost_micros.saturating_add(cost);
                let paid = composition.dues.iter().map(|(&amender, &due)| (amender, due));
                for (miner, amount) in paid.chain([(composition.miner, composition.earned)]) {
                    let totals = self.miners.entry(miner).or_default();
                    // Money is conserved: no miner is ever paid more than there is.
                    totals.earned = totals.earned.checked_add(amount).unwrap_or(totals.earned);
                    touched.insert(miner);
                }
            }
            DemandStatus::Cancelled { .. } => self.cancelled = self.cancelled.saturating_add(1),
            DemandStatus::Expired { .. } => self.expired = self.expired.saturating_add(1),
            // In the market still; a report does not name these.
            DemandStatus::Open | DemandStatus::Composed(_) => {}
        }
    }
}
