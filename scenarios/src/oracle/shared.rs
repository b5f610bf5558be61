//! Tables of the supplies asked for last, so that a ledger that validates block after block on one supply does
//! not tabulate it for each. A memo: what it holds follows from the supply alone.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::tables::Tables;
use crate::instance::Supply;

/// As many supplies as are in use at a time: a ledger's, its draft's, and those of nodes beside it in one process.
const KEPT: usize = 8;

/// The most recent last. A weak reference keeps a supply from being changed in place and its address from being
/// given to another, so that the same address means the same supply.
static RECENT: Mutex<Vec<(Weak<Supply>, Arc<Tables>)>> = Mutex::new(Vec::new());

/// The tables of this very supply (not of an equal one elsewhere).
pub(super) fn tables(supply: &Arc<Supply>) -> Arc<Tables> {
    let find = |recent: &mut Vec<(Weak<Supply>, Arc<Tables>)>| {
        recent.retain(|(known, _)| known.strong_count() > 0);
        let known = recent.iter().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(supply)));
        known.map(|(_, tables)| Arc::clone(tables))
    };
    let known = find(&mut RECENT.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some(tables) = known {
        return tables;
    }
    // Not under the lock: it may take a while.
    let tables = Arc::new(Tables::new(supply));
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    if recent.len() >= KEPT {
        recent.remove(0);
    }
    recent.push((Arc::downgrade(supply), Arc::clone(&tables)));
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CostRules, Geometry, Money};

    fn supply() -> Arc<Supply> {
        let rules = CostRules {
            rate_per_km: Money::ZERO,
            value_of_minute: Money::ZERO,
            metres_per_minute: 1,
            deliver: false,
        };
        Arc::new(Supply { providers: Vec::new(), rules, geometry: Geometry::Euclidean })
    }

    #[test]
    fn a_supply_is_tabulated_once_and_another_like_it_by_itself() {
        let (one, other) = (supply(), supply());
        let first = tables(&one);
        assert!(Arc::ptr_eq(&first, &tables(&Arc::clone(&one))));
        assert!(!Arc::ptr_eq(&first, &tables(&other)));
    }

    #[test]
    fn a_changed_supply_is_tabulated_anew() {
        let mut supply = supply();
        let before = tables(&supply);
        // Even alone with it, `make_mut` moves what somebody remembers weakly.
        Arc::make_mut(&mut supply).rules.deliver = true;
        assert!(!Arc::ptr_eq(&before, &tables(&supply)));
    }
}
