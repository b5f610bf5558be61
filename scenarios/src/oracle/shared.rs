//! A supply with its tables: shared by all who look at it, tabulated once, by the first who asks. Whoever changes
//! it gets a supply without tables, so that tables never outlive what they were made from.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::tables::Tables;
use super::{Oracle, Source};
use crate::instance::Supply;

/// A supply behind an [`Arc`] that remembers its tables: a ledger that validates block after block on one supply,
/// its drafts and the searches beside it tabulate it once. Reads, compares, prints and serialises as the
/// [`Supply`] it is.
#[derive(Clone)]
pub struct SharedSupply(Arc<Tabulated>);

struct Tabulated {
    supply: Supply,
    tables: OnceLock<Arc<Tables>>,
}

/// A copy is made to be changed: it leaves the tables behind.
impl Clone for Tabulated {
    fn clone(&self) -> Self {
        Self { supply: self.supply.clone(), tables: OnceLock::new() }
    }
}

impl SharedSupply {
    /// Shares this supply; nothing is tabulated yet.
    pub fn new(supply: Supply) -> Self {
        Self(Arc::new(Tabulated { supply, tables: OnceLock::new() }))
    }

    /// The supply, to be changed. Others who share it keep theirs, and the tables are forgotten.
    pub fn make_mut(&mut self) -> &mut Supply {
        let tabulated = Arc::make_mut(&mut self.0);
        tabulated.tables = OnceLock::new();
        &mut tabulated.supply
    }

    /// Whether both are one supply, shared.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The tables of this supply, made now if nobody asked before.
    pub fn tables(&self) -> Arc<Tables> {
        Arc::clone(self.0.tables.get_or_init(|| Arc::new(Tables::new(&self.0.supply))))
    }

    /// The oracle of this supply, on its shared tables.
    pub fn oracle(&self) -> Oracle<'_> {
        Oracle::with_tables(Source::Borrowed(self), self.tables())
    }

    /// The same oracle for those who keep it.
    pub fn own_oracle(&self) -> Oracle<'static> {
        Oracle::with_tables(Source::Shared(self.clone()), self.tables())
    }
}

impl Deref for SharedSupply {
    type Target = Supply;

    fn deref(&self) -> &Supply {
        &self.0.supply
    }
}

impl From<Supply> for SharedSupply {
    fn from(supply: Supply) -> Self {
        Self::new(supply)
    }
}

impl PartialEq for SharedSupply {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.supply == other.0.supply
    }
}

impl Eq for SharedSupply {}

impl fmt::Debug for SharedSupply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.supply.fmt(f)
    }
}

impl Serialize for SharedSupply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.supply.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedSupply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Supply::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CostRules, Geometry, Horizon, Money};

    fn supply() -> Supply {
        let rules = CostRules {
            rate_per_km: Money::ZERO,
            value_of_minute: Money::ZERO,
            metres_per_minute: 1,
            deliver: false,
        };
        Supply { providers: Vec::new(), rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE }
    }

    #[test]
    fn all_who_share_a_supply_share_its_tables_and_an_equal_one_elsewhere_has_its_own() {
        let (one, other) = (SharedSupply::new(supply()), SharedSupply::new(supply()));
        let first = one.tables();
        assert!(Arc::ptr_eq(&first, &one.clone().tables()));
        assert!(!Arc::ptr_eq(&first, &other.tables()));
        assert_eq!(one, other);
    }

    #[test]
    fn whoever_changes_a_supply_forgets_its_tables_and_those_who_share_it_keep_theirs() {
        let mut changed = SharedSupply::new(supply());
        let (kept, before) = (changed.clone(), changed.tables());
        changed.make_mut().rules.deliver = true;
        assert!(!Arc::ptr_eq(&before, &changed.tables()));
        assert!(Arc::ptr_eq(&before, &kept.tables()) && !kept.rules.deliver);
        // Alone with it, too.
        let before = changed.tables();
        changed.make_mut().rules.deliver = false;
        assert!(!Arc::ptr_eq(&before, &changed.tables()));
    }

    #[test]
    fn a_shared_supply_prints_and_serialises_as_the_supply_it_is() {
        let shared = SharedSupply::new(supply());
        let json = serde_json::to_string(&shared).unwrap();
        assert_eq!(json, serde_json::to_string(&supply()).unwrap());
        assert_eq!(serde_json::from_str::<SharedSupply>(&json).unwrap(), shared);
        assert_eq!(format!("{shared:?}"), format!("{:?}", supply()));
    }
}
