//! The certified lower bound of a market and what each composition adds to its gap (docs/design.md section 6).
//!
//! A slot is a provider in a period. For any non-negative dual prices `l`, by weak duality of the Lagrangian relaxation of the capacity
//! constraints,
//!
//! ```text
//! LB(l) = sum over demands of min(u_d, shortest_d(l)) - sum over slots of l_s * max(0, capacity_s)
//! ```
//!
//! is at most the penalised cost (cost of the served demands + `u_d`, the budget, of each unserved one)
//! of every feasible plan. For every plan, exactly,
//!
//! ```text
//! penalised cost - LB(l) = sum of reduced costs + sum over slots of l_s * unused minutes
//! ```
//!
//! where a served demand's reduced cost is `cost + l * minutes - min(u_d, shortest_d(l))` and an unserved one's
//! is `u_d - min(u_d, shortest_d(l))`. A reduced cost is never negative. That a demand takes no more of a period than that has is left
//! aside by `shortest_d`, which leaves the bound a bound.

use crate::evaluate::CompositionEvaluation;
use crate::instance::Demand;
use crate::oracle::{DualPrices, Oracle, PriceError, validate_prices};
use crate::periods::{Horizon, Slot};
use crate::units::{Minutes, Money};

/// `min(u_d, shortest_d(l))`: the least this demand can add to the cost of any plan, capacity use priced in.
pub fn demand_bound(oracle: &Oracle<'_>, demand: &Demand, prices: &DualPrices) -> Money {
    oracle.least_costs([demand], prices).map(|(demand, cost)| at_most_the_budget(demand, cost)).sum()
}

fn at_most_the_budget(demand: &Demand, cost: Option<Money>) -> Money {
    cost.map_or(demand.budget, |cost| cost.min(demand.budget))
}

/// `sum of l_s * max(0, capacity_s)`, in micro-units; `capacities` are those of the slots of a horizon, in order.
pub fn priced_capacity(prices: &DualPrices, horizon: Horizon, capacities: &[Option<Minutes>]) -> i128 {
    let minutes =
        |slot| horizon.position(slot).and_then(|position| capacities.get(position).copied().flatten());
    let value = |(slot, price): (Slot, Money)| {
        i128::from(price.micros()) * i128::from(minutes(slot).unwrap_or(0).max(0))
    };
    prices.iter().map(value).sum()
}

/// `LB(l)` of the market of these demands, with `capacities` left for them (of each slot, in order).
///
/// # Errors
/// If the prices do not suit the capacities ([`validate_prices`]) or the bound leaves the range of money.
pub fn dual_bound<'d>(
    oracle: &Oracle<'_>,
    demands: impl IntoIterator<Item = &'d Demand>,
    capacities: &[Option<Minutes>],
    prices: &DualPrices,
) -> Result<Money, PriceError> {
    let horizon = oracle.supply().horizon;
    validate_prices(prices, horizon, capacities)?;
    let least = oracle.least_costs(demands, prices);
    let served: i128 =
        least.map(|(demand, cost)| i128::from(at_most_the_budget(demand, cost).micros())).sum();
    let bound = served - priced_capacity(prices, horizon, capacities);
    i64::try_from(bound).map(Money::from_micros).or(Err(PriceError::BoundOverflow))
}

/// What this composition adds to the market's gap; `least` is the demand's [`demand_bound`] at the same prices.
pub fn reduced_cost(composition: &CompositionEvaluation, least: Money, prices: &DualPrices) -> Money {
    let charges = composition.minutes.iter().map(|(&slot, &minutes)| prices.charge(slot, minutes));
    composition.cost() + charges.sum::<Money>() - least
}

/// `(cost - bound) / bound` in percent, for display; 0 when both are zero.
pub fn gap_percent(cost: Money, bound: Money) -> f64 {
    if cost == bound { 0.0 } else { (cost - bound).as_f64() / bound.as_f64().abs() * 100.0 }
}
