//! What stands in the way of serving every demand, found without any search.

use std::fmt;

use serde::Serialize;

use crate::oracle::{DualPrices, Oracle};
use crate::scenario::Scenario;
use crate::shortage::{NamedShortage, find_shortages, list};
use crate::units::Money;

/// A demand whose budget is below the cost of any composition of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct HopelessBudget {
    pub demand: String,
    pub budget: Money,
    /// The least that composing it costs, capacities left aside.
    pub cheapest: Money,
}

/// What stands in the way of serving every demand. Nothing here does not mean that all can be served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Concerns {
    /// Names of demands with an order that nobody offers (or that no road leads to).
    pub unservable: Vec<String>,
    /// Demands whose cheapest composition is dearer than their budget.
    pub beyond_budget: Vec<HopelessBudget>,
    /// Where capacity is short, each with a certificate behind it ([`crate::shortage`]).
    pub shortages: Vec<NamedShortage>,
}

impl Concerns {
    /// Looks for them: one shortest path per demand and one maximum flow.
    pub fn new(scenario: &Scenario) -> Self {
        Self::with_oracle(scenario, &Oracle::new(&scenario.instance.supply)).0
    }

    /// The same, and the least cost of serving all demands with budgets and capacities left aside, if they can
    /// be served.
    pub(super) fn with_oracle(scenario: &Scenario, oracle: &Oracle<'_>) -> (Self, Option<Money>) {
        let shortages = find_shortages(&scenario.instance);
        let shortages = shortages.iter().map(|shortage| shortage.named(scenario)).collect();
        let mut concerns = Self { shortages, ..Self::default() };
        let mut optimum = Some(Money::ZERO);
        for demand in &scenario.instance.demands {
            let least = oracle.cheapest(demand, &DualPrices::zero()).map(|best| best.priced_cost);
            optimum = optimum.zip(least).map(|(sum, least)| sum + least);
            let (name, budget) = (demand.name.clone(), demand.budget);
            match least {
                None => concerns.unservable.push(name),
                Some(cheapest) if cheapest > budget => {
                    concerns.beyond_budget.push(HopelessBudget { demand: name, budget, cheapest });
                }
                Some(_) => {}
            }
        }
        (concerns, optimum)
    }

    /// Nothing was found.
    pub const fn is_empty(&self) -> bool {
        self.unservable.is_empty() && self.beyond_budget.is_empty() && self.shortages.is_empty()
    }
}

/// One line for each kind of concern, and one for each shortage.
impl fmt::Display for Concerns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.unservable.is_empty() {
            writeln!(f, "nobody offers an order of {}", list(&self.unservable))?;
        }
        if !self.beyond_budget.is_empty() {
            let describe = |HopelessBudget { demand, budget, cheapest }: &HopelessBudget| {
                format!("{demand} ({budget:.2} $, at least {cheapest:.2} $)")
            };
            let demands: Vec<String> = self.beyond_budget.iter().map(describe).collect();
            writeln!(f, "the budget is below the cheapest composition of {}", list(&demands))?;
        }
        self.shortages.iter().try_for_each(|shortage| writeln!(f, "{shortage}"))
    }
}
