//! Why open demands stay open. Reasons follow from the state at the head, so every node gives the same ones; a miner's
//! own searches decide only which demands it no longer searches for.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::MarketDemand;
use chain::{DemandId, Ledger};
use scenarios::UnservedReason;
use scenarios::unserved::in_words;
use serde::{Deserialize, Serialize};

/// Edge relaxations that the shortest paths of one look at all open demands may take: some ten milliseconds.
const LOOK_WORK: u64 = 20_000_000;
/// Open demands that one such look goes into: proving that a hard one cannot be served takes milliseconds each.
const LOOKED_INTO: usize = 200;

/// A demand that nobody can compose as things stand, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct UnservedDemand {
    pub demand: DemandId,
    /// As its author calls it.
    pub name: String,
    /// Why, in words.
    pub reason: String,
}

/// The open demands for which no way is found on what is left of capacities, by id; of more than 200 open demands only
/// the first are looked into. [`why_unserved`] answers for any one.
pub fn unserved(ledger: &Ledger) -> Vec<UnservedDemand> {
    let mut market = ledger.open_market();
    market.demands.truncate(LOOKED_INTO);
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
    reasons_of(ledger, &[demand].into()).remove(&demand)
}

/// The same of several demands, by id; those in whose way nothing stands are left out.
pub(super) fn reasons_of(ledger: &Ledger, demands: &BTreeSet<DemandId>) -> BTreeMap<DemandId, String> {
    if demands.is_empty() {
        return BTreeMap::new();
    }
    let market = ledger.open_market();
    let (oracle, operations) = (market.supply.oracle(), &ledger.network().genesis().operations);
    let open = market.demands.iter().filter(|open| demands.contains(&open.id));
    let describe = |open: &MarketDemand| {
        let (demand, left) = (&open.entry.demand, &market.capacities);
        let reason = scenarios::why_unserved(&oracle, demand, left);
        let is_possible = matches!(reason, UnservedReason::Possible { .. });
        let said = || in_words(&reason, &oracle, demand, left, operations, |period| period.to_string());
        (!is_possible).then(|| (open.id, said()))
    };
    open.filter_map(describe).collect()
}
