//! A shortage as people read it: with names instead of numbers.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Shortage;
use crate::periods::Period;
use crate::scenario::Scenario;
use crate::units::{Minutes, OperationId, ProviderId};

/// At most this many names of a list are shown in text; data has them all.
const SHOWN: usize = 5;

/// A [`Shortage`] with the scenario's names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedShortage {
    /// The operations that are short.
    pub operations: Vec<String>,
    /// The periods in which they are, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<String>,
    /// Minutes that their orders take at the fastest offers.
    pub needed_minutes: Minutes,
    /// Everybody who could do one of them.
    pub providers: Vec<String>,
    /// Minutes these have together.
    pub capacity_minutes: Minutes,
    /// Minutes missing at least.
    pub missing_minutes: Minutes,
}

impl Shortage {
    /// This shortage of the scenario's instance with the scenario's names.
    pub fn named(&self, scenario: &Scenario) -> NamedShortage {
        let operations: BTreeSet<OperationId> = self.orders.iter().map(|group| group.operation).collect();
        let providers: BTreeSet<ProviderId> = self.slots.iter().map(|slot| slot.provider).collect();
        let provider = |id: &ProviderId| {
            let provider = scenario.instance.supply.provider(*id);
            provider.map_or_else(|| id.to_string(), |provider| provider.name.clone())
        };
        let horizon = scenario.instance.supply.horizon;
        let is_meant = |&period: &Period| self.orders.iter().any(|group| group.window.contains(period));
        let periods = horizon.iter().filter(|period| horizon.len() > 1 && is_meant(period));
        NamedShortage {
            operations: operations.into_iter().map(|id| scenario.operation_name(id)).collect(),
            periods: periods.map(|period| scenario.period_name(period)).collect(),
            needed_minutes: self.needed,
            providers: providers.iter().map(provider).collect(),
            capacity_minutes: self.capacity,
            missing_minutes: self.missing(),
        }
    }
}

impl fmt::Display for NamedShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let periods = match &self.periods[..] {
            [] => String::new(),
            [one] => format!(" in {one}"),
            [first, .., last] => format!(" from {first} to {last}"),
        };
        let (operations, needed) = (list(&self.operations) + &periods, self.needed_minutes);
        if self.providers.is_empty() {
            return write!(
                f,
                "capacity for {operations} is short: each order takes longer than any provider of it has \
                 ({needed} minutes needed in all)"
            );
        }
        write!(
            f,
            "capacity for {operations} is short by at least {} minutes: the orders take {needed} even at the \
             fastest offers, and {} can give {}",
            self.missing_minutes,
            list(&self.providers),
            self.capacity_minutes
        )
    }
}

/// The first few names of a list and how many more there are.
pub(crate) fn list(names: &[String]) -> String {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
