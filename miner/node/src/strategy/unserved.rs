//! Why a demand stays unserved: the question a customer asks first.

use scenarios::{Demand, DualPrices, Minutes, Money, OperationId, Oracle, ProviderId};
use serde::Serialize;

/// The first reason that applies, strongest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum UnservedReason {
    /// Nobody offers one of its operations.
    NotOffered {
        /// The operation.
        operation: OperationId,
    },
    /// Even the cheapest composition over all offers costs more than its budget.
    BudgetTooLow {
        /// The cheapest possible cost.
        cheapest: Money,
        /// The demand's budget.
        budget: Money,
    },
    /// No provider has enough time left for one of its operations.
    NoCapacity {
        /// The operation.
        operation: OperationId,
        /// The most minutes any provider of it has left.
        most_left: Minutes,
    },
    /// What is left of the capacities can serve it only above its budget.
    LeftoverTooDear {
        /// The cheapest composition on what is left.
        cheapest: Money,
        /// The demand's budget.
        budget: Money,
    },
    /// Each order fits somewhere, but no way was found to fit them all at once.
    NoRoomTogether,
}

/// Explains why `demand` cannot be (or was not) composed with `remaining` minutes at each provider.
pub fn why_unserved(oracle: &Oracle<'_>, demand: &Demand, remaining: &[Option<Minutes>]) -> UnservedReason {
    if let Some(&operation) = demand.orders.iter().find(|&&operation| oracle.offering(operation).is_empty()) {
        return UnservedReason::NotOffered { operation };
    }
    let free = DualPrices::zero();
    let budget = demand.budget;
    match oracle.cheapest(demand, &free) {
        Some(best) if best.priced_cost > budget => {
            return UnservedReason::BudgetTooLow { cheapest: best.priced_cost, budget };
        }
        Some(_) | None => {}
    }
    let left =
        |provider: ProviderId| remaining.get(provider.index()).copied().flatten().unwrap_or(Minutes::MAX);
    let minutes = |provider: ProviderId, operation: OperationId| {
        let offer = oracle.supply().provider(provider).and_then(|provider| provider.offers.get(&operation));
        offer.map_or(Minutes::MAX, |offer| offer.minutes)
    };
    for &operation in &demand.orders {
        let offering = oracle.offering(operation);
        if !offering.iter().any(|&provider| minutes(provider, operation) <= left(provider)) {
            let most_left = offering.iter().map(|&provider| left(provider)).max().unwrap_or(0);
            return UnservedReason::NoCapacity { operation, most_left };
        }
    }
    match oracle.cheapest_among(demand, &free, |provider, minutes| minutes <= left(provider)) {
        Some(best) if best.priced_cost > budget => {
            UnservedReason::LeftoverTooDear { cheapest: best.priced_cost, budget }
        }
        Some(_) | None => UnservedReason::NoRoomTogether,
    }
}

impl UnservedReason {
    /// In words; `operations` are the market's names of operations, in order of id.
    pub fn describe(&self, operations: &[String]) -> String {
        let name = |id: OperationId| operations.get(id.index()).cloned().unwrap_or_else(|| id.to_string());
        match self {
            Self::NotOffered { operation } => format!("nobody offers {}", name(*operation)),
            Self::BudgetTooLow { cheapest, budget } => {
                format!("its budget of {budget:.2} $ is below the cheapest possible cost, {cheapest:.2} $")
            }
            Self::NoCapacity { operation, most_left } => format!(
                "no provider has time left for {} (the most any has is {most_left} minutes)",
                name(*operation)
            ),
            Self::LeftoverTooDear { cheapest, budget } => format!(
                "on the capacity left it costs at least {cheapest:.2} $, above its budget of {budget:.2} $"
            ),
            Self::NoRoomTogether => {
                "each order fits somewhere, but not all of them together on the capacity left".into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scenarios::{CostRules, Geometry, Offer, Provider, Site, Supply};

    use super::*;

    /// Two providers at the same place; the first does operations 0 and 1, the second only 0.
    fn supply() -> Supply {
        let offer = |dollars, minutes| Offer { cost: Money::from_units(dollars), minutes };
        let provider = |name: &str, offers: BTreeMap<OperationId, Offer>| Provider {
            name: name.into(),
            site: Site::point(0, 0),
            offers,
            capacity: Some(100),
        };
        let rules = CostRules {
            rate_per_km: Money::ZERO,
            value_of_minute: Money::ZERO,
            metres_per_minute: 1,
            deliver: false,
        };
        let first =
            provider("first", [(OperationId(0), offer(10, 30)), (OperationId(1), offer(20, 40))].into());
        let second = provider("second", [(OperationId(0), offer(15, 20))].into());
        Supply { providers: vec![first, second], rules, geometry: Geometry::Euclidean }
    }

    fn reason(orders: &[u16], budget: i64, remaining: [Minutes; 2]) -> UnservedReason {
        let demand = Demand {
            name: "customer".into(),
            site: Site::point(0, 0),
            orders: orders.iter().map(|&operation| OperationId(operation)).collect(),
            budget: Money::from_units(budget),
        };
        why_unserved(&Oracle::new(&supply()), &demand, &remaining.map(Some))
    }

    #[test]
    fn an_operation_that_nobody_offers_is_named() {
        assert_eq!(
            reason(&[0, 7], 100, [100, 100]),
            UnservedReason::NotOffered { operation: OperationId(7) }
        );
    }

    #[test]
    fn a_budget_below_any_possible_cost_is_named() {
        let expected =
            UnservedReason::BudgetTooLow { cheapest: Money::from_units(30), budget: Money::from_units(29) };
        assert_eq!(reason(&[0, 1], 29, [100, 100]), expected);
    }

    #[test]
    fn the_operation_short_of_capacity_is_named() {
        let expected = UnservedReason::NoCapacity { operation: OperationId(1), most_left: 39 };
        assert_eq!(reason(&[0, 1], 100, [39, 100]), expected);
    }

    #[test]
    fn what_is_left_can_be_too_dear() {
        let expected = UnservedReason::LeftoverTooDear {
            cheapest: Money::from_units(15),
            budget: Money::from_units(12),
        };
        assert_eq!(reason(&[0], 12, [29, 20]), expected);
    }

    #[test]
    fn orders_can_fit_one_by_one_but_not_together() {
        assert_eq!(reason(&[1, 1], 100, [40, 0]), UnservedReason::NoRoomTogether);
    }

    #[test]
    fn people_read_the_names_of_operations() {
        let reason = UnservedReason::NotOffered { operation: OperationId(1) };
        assert_eq!(reason.describe(&["turning".into(), "milling".into()]), "nobody offers milling");
    }
}
