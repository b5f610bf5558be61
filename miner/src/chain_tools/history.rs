//! What became of the demands of a chain: those that left the market are not part of the state, only of the reports
//! of the batches with which they left.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::ledger::{DemandEntry, Departed};
use chain::{DemandId, Ledger};

/// The demands that left the market, as they left.
#[derive(Clone, Debug, Default)]
pub struct DemandHistory {
    departed: BTreeMap<DemandId, Arc<DemandEntry>>,
}

impl DemandHistory {
    /// Takes in what a batch's report says left with it.
    pub fn note(&mut self, departed: &[Departed]) {
        self.departed.extend(departed.iter().cloned());
    }

    /// A demand that is or was on the chain with this ledger at its head.
    pub fn demand<'h>(&'h self, ledger: &'h Ledger, id: DemandId) -> Option<&'h DemandEntry> {
        ledger.demand(id).or_else(|| self.departed.get(&id).map(Arc::as_ref))
    }

    /// All demands that ever came on the chain with this ledger at its head: those of the market, then those that
    /// left it, each by id.
    pub fn demands<'h>(&'h self, ledger: &'h Ledger) -> impl Iterator<Item = (DemandId, &'h DemandEntry)> {
        ledger.demands().chain(self.departed.iter().map(|(&id, entry)| (id, entry.as_ref())))
    }
}
