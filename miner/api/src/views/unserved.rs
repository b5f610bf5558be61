//! Why open demands stay open. Reasons follow from the state at the head, so every node gives the same ones; a miner's
//! own searches decide only which demands it no longer searches for.

use chain::{DemandId, Ledger};
use scenarios::UnservedReason;
use serde::{Deserialize, Serialize};

/// Edge relaxations that the shortest paths of one look at all open demands may take: some ten milliseconds.
const LOOK_WORK: u64 = 20_000_000;

/// A demand that nobody can compose as things stand, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnservedDemand {
    /// Its record.
    pub demand: DemandId,
    /// As its author calls it.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// The open demands for which no way is found on what is left of capacities, by id; of so many demands that looking at
/// all would take long, only the first.
pub fn unserved(ledger: &Ledger) -> Vec<UnservedDemand> {
    let market = ledger.open_market();
    let operations = &ledger.network().genesis().operations;
    let describe = |(demand, reason): (DemandId, UnservedReason)| {
        let is_possible = matches!(reason, UnservedReason::Possible { .. });
        let entry = ledger.demand(demand).filter(|_| !is_possible)?;
        let (name, reason) = (entry.demand.name.clone(), reason.describe(operations));
        Some(UnservedDemand { demand, name, reason })
    };
    market.reasons(LOOK_WORK).into_iter().filter_map(describe).collect()
}

/// Why nobody can compose an open demand on what is left, in words; `None` if nothing stands in its way.
pub fn why_unserved(ledger: &Ledger, demand: DemandId) -> Option<String> {
    let entry = ledger.demand(demand).filter(|entry| entry.is_open())?;
    let market = ledger.open_market();
    let reason = scenarios::why_unserved(&market.supply.oracle(), &entry.demand, &market.capacities);
    let is_possible = matches!(reason, UnservedReason::Possible { .. });
    (!is_possible).then(|| reason.describe(&ledger.network().genesis().operations))
}
