//! Why open demands stay open. Reasons follow from the state at the head, so every node gives the same ones; a miner's
//! own searches decide only which demands it no longer searches for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use chain::DemandId;
use chain::ledger::Ledger;
use scenarios::{UnservedReason, why_unserved};

use super::io::UnservedDemand;

/// Edge relaxations that the shortest paths of a status may take: some ten milliseconds, once a height.
const STATUS_WORK: u64 = 20_000_000;

/// The reasons at one head, found when they are first asked for.
#[derive(Debug, Default)]
pub(crate) struct Reasons(OnceLock<BTreeMap<DemandId, UnservedReason>>);

impl Reasons {
    /// Open demands that nobody can compose as things stand, and those that this node's miner has given up on.
    pub(crate) fn unserved(&self, ledger: &Ledger, given_up: &BTreeSet<DemandId>) -> Vec<UnservedDemand> {
        let reasons = self.0.get_or_init(|| ledger.open_market().reasons(STATUS_WORK));
        let proved = reasons.iter().filter(|(_, reason)| reason.is_proved()).map(|(&id, _)| id);
        let demands: BTreeSet<DemandId> = proved.chain(given_up.iter().copied()).collect();
        let operations = &ledger.network().genesis().operations;
        let describe = |demand| {
            let name = ledger.demand(demand)?.demand.name.clone();
            let reason = reasons.get(&demand).map(|reason| reason.describe(operations));
            let reason = reason.unwrap_or_else(|| "too many demands are open to say why for each".into());
            Some(UnservedDemand { demand, name, reason })
        };
        demands.into_iter().filter_map(describe).collect()
    }
}

/// Why nobody can compose an open demand on what is left, in words; `None` if nothing stands in its way.
pub(crate) fn why(ledger: &Ledger, demand: DemandId) -> Option<String> {
    let entry = ledger.demand(demand).filter(|entry| entry.is_open())?;
    let market = ledger.open_market();
    let reason = why_unserved(&market.supply.oracle(), &entry.demand, &market.capacities);
    let is_possible = matches!(reason, UnservedReason::Possible { .. });
    (!is_possible).then(|| reason.describe(&ledger.network().genesis().operations))
}
