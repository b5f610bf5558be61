//! Why a demand stays unserved: the question a customer asks first. The answer follows from the offers and from
//! what is left of the capacities alone, not from what some search tried, so whoever asks is told the same.
//!
//! A reason that calls something impossible is proved; where the proof would take too long, it says so.

use std::ops::Range;

use serde::Serialize;

use crate::evaluate::Evaluation;
use crate::instance::{Demand, Supply};
use crate::oracle::{DualPrices, Fitting, Oracle};
use crate::periods::{Horizon, Period, TimeWindow};
use crate::scenario::Scenario;
use crate::units::{Minutes, Money, OperationId, ProviderId};

/// Reasons are looked for as long as no more demands are unserved than this.
const EXPLAINED: usize = 200;

/// The first reason that applies, strongest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum UnservedReason {
    /// Nobody offers one of its operations.
    NotOffered { operation: OperationId },
    /// None of the periods in which it wants to be served can be planned: they are over, or too far ahead.
    NotPlannable {
        window: TimeWindow,
        /// The first and the last period that can be.
        plannable: TimeWindow,
    },
    /// Each operation is offered, but no road leads from one provider to the next.
    NoRoad,
    /// Even the cheapest composition over all offers, with all the time there is, costs more than its budget.
    BudgetTooLow {
        /// The cheapest possible cost.
        cheapest: Money,
        budget: Money,
    },
    /// No provider has enough time left for one of its operations when the demand wants it.
    NoCapacity {
        operation: OperationId,
        /// The most minutes that any provider of it has left in any period of the demand's.
        most_left: Minutes,
    },
    /// What is left of the capacities can serve it only above its budget.
    LeftoverTooDear {
        /// What it costs there at least.
        cheapest: Money,
        /// Whether a composition at that cost exists: then it is the budget that would do.
        is_attained: bool,
        budget: Money,
    },
    /// Each order fits somewhere, but no composition fits all of them at once, at any cost.
    NoRoomTogether,
    /// No composition was found that fits all orders at once, and none was ruled out.
    NoneFound,
    /// Nothing stands in its way; nobody has composed it.
    Possible {
        /// What it costs on the capacities left, within its budget.
        cost: Money,
    },
}

/// A demand that a solution leaves unserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Unserved {
    pub demand: String,
    /// Why, in words; `None` where there are too many to ask for each.
    pub why: Option<String>,
}

/// The demands that a solution of this scenario leaves unserved, each with the reason on the capacities it leaves.
pub fn explain(scenario: &Scenario, evaluation: &Evaluation) -> Vec<Unserved> {
    let instance = &scenario.instance;
    let is_explained = evaluation.unserved.len() <= EXPLAINED;
    let (oracle, left) = (Oracle::new(&instance.supply), evaluation.capacities_left(&instance.supply));
    let demands = evaluation.unserved.iter().map(|&position| &instance.demands[position]);
    let why = |demand: &Demand| {
        let reason = why_unserved(&oracle, demand, &left);
        let period_name = |period| scenario.period_name(period);
        in_words(&reason, &oracle, demand, &left, &scenario.operations, period_name)
    };
    let explain =
        |demand: &Demand| Unserved { demand: demand.name.clone(), why: is_explained.then(|| why(demand)) };
    demands.map(explain).collect()
}

/// Explains why `demand` cannot be (or was not) composed with `left` minutes of each slot, in order;
/// `None`, and slots beyond the end, are unlimited.
pub fn why_unserved(oracle: &Oracle<'_>, demand: &Demand, left: &[Option<Minutes>]) -> UnservedReason {
    let supply = oracle.supply();
    let Some((first, count)) = supply.horizon.within(demand.window) else {
        let plannable = TimeWindow { release: supply.horizon.first, due: supply.horizon.last() };
        return UnservedReason::NotPlannable { window: demand.window, plannable };
    };
    let places = first..first + count;
    if let Some(&operation) = demand.orders.iter().find(|&&operation| oracle.offering(operation).is_empty()) {
        return none_offering(supply, operation, left, &places);
    }
    let budget = demand.budget;
    match oracle.cheapest(demand, &DualPrices::zero()) {
        None => {
            let reason = operation_without_time(oracle, demand, &supply.capacities(), &places);
            return reason.unwrap_or(UnservedReason::NoRoad);
        }
        Some(best) if best.priced_cost > budget => {
            return UnservedReason::BudgetTooLow { cheapest: best.priced_cost, budget };
        }
        Some(_) => {}
    }
    if let Some(reason) = operation_without_time(oracle, demand, left, &places) {
        return reason;
    }
    let too_dear = |cheapest, is_attained| UnservedReason::LeftoverTooDear { cheapest, is_attained, budget };
    match oracle.cheapest_fitting(demand, left) {
        Fitting::Cheapest(best) if best.priced_cost > budget => too_dear(best.priced_cost, true),
        Fitting::Cheapest(best) => UnservedReason::Possible { cost: best.priced_cost },
        Fitting::Undecided { at_least } if at_least > budget => too_dear(at_least, false),
        Fitting::Undecided { .. } => UnservedReason::NoneFound,
        Fitting::Impossible => UnservedReason::NoRoomTogether,
    }
}

/// A reason in words, and if waiting would help, until when; operations and periods by their names.
pub fn in_words(
    reason: &UnservedReason,
    oracle: &Oracle<'_>,
    demand: &Demand,
    left: &[Option<Minutes>],
    operations: &[String],
    period_name: impl Fn(Period) -> String,
) -> String {
    let later = reason.is_proved().then(|| later(oracle, demand, left)).flatten();
    let later = later.map(|later| format!("; {}", later.describe(&period_name(later.due))));
    reason.describe(operations) + &later.unwrap_or_default()
}

/// Nobody offers an operation, or nobody whose whole capacity has time for one order of it.
fn none_offering(
    supply: &Supply,
    operation: OperationId,
    left: &[Option<Minutes>],
    places: &Range<usize>,
) -> UnservedReason {
    let providers = supply.provider_ids().zip(&supply.providers);
    let short = providers.filter(|(_, provider)| provider.offers.contains_key(&operation));
    let most_left = short.map(|(id, _)| most_left(supply.horizon, id, left, places).unwrap_or(0)).max();
    most_left.map_or(UnservedReason::NotOffered { operation }, |most_left| UnservedReason::NoCapacity {
        operation,
        most_left,
    })
}

/// The most minutes that a provider has left in any of these places of the horizon; `None` is unlimited.
fn most_left(
    horizon: Horizon,
    provider: ProviderId,
    left: &[Option<Minutes>],
    places: &Range<usize>,
) -> Option<Minutes> {
    let positions = horizon.positions(provider).skip(places.start).take(places.len());
    let left: Option<Vec<Minutes>> =
        positions.map(|position| left.get(position).copied().flatten()).collect();
    left.map(|left| left.into_iter().max().unwrap_or(0))
}

/// The first operation for which no provider has time for even one order.
fn operation_without_time(
    oracle: &Oracle<'_>,
    demand: &Demand,
    left: &[Option<Minutes>],
    places: &Range<usize>,
) -> Option<UnservedReason> {
    let horizon = oracle.supply().horizon;
    let left = |id| most_left(horizon, id, left, places).unwrap_or(Minutes::MAX);
    let fits = |provider: ProviderId, operation: OperationId| {
        let offer = oracle.supply().provider(provider).and_then(|provider| provider.offers.get(&operation));
        offer.is_some_and(|offer| offer.minutes <= left(provider))
    };
    let mut orders = demand.orders.iter().map(|&operation| (operation, oracle.offering(operation)));
    let short = orders.find(|&(operation, offering)| !offering.iter().any(|&id| fits(id, operation)));
    short.map(|(operation, offering)| {
        let most_left = offering.iter().map(|&provider| left(provider)).max().unwrap_or(0);
        UnservedReason::NoCapacity { operation, most_left }
    })
}

/// When a demand that cannot be served in its days could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// Its last period then.
    pub due: Period,
    /// What it would cost, within its budget.
    pub cost: Money,
}

/// By how much later than it is due a demand would be served on what is `left`, as [`Oracle::carried`] finds it; `None` if it finds nothing
/// within the horizon and the budget, or if the demand can be served as it is.
pub fn later(oracle: &Oracle<'_>, demand: &Demand, left: &[Option<Minutes>]) -> Option<Later> {
    let horizon = oracle.supply().horizon;
    let due_in = |due| Demand { window: TimeWindow { due, ..demand.window }, ..demand.clone() };
    let served = |due| oracle.carried(&due_in(due), &DualPrices::zero(), left).map(|found| found.priced_cost);
    let (mut early, mut late) = (demand.window.due, horizon.last());
    if early >= late || served(early).is_some() {
        return None;
    }
    let mut cost = served(late)?;
    // More days serve it, too.
    while late.since(early) > 1 {
        let middle = early.plus(late.since(early) / 2);
        match served(middle) {
            Some(found) => (late, cost) = (middle, found),
            None => early = middle,
        }
    }
    Some(Later { due: late, cost })
}

impl Later {
    /// In words, with what the period is called.
    pub fn describe(&self, period: &str) -> String {
        format!("if it is due in {period}, {:.2} $ would serve it", self.cost)
    }
}

impl UnservedReason {
    /// Whether it is proved that nobody can compose the demand as things stand.
    pub const fn is_proved(&self) -> bool {
        !matches!(self, Self::Possible { .. } | Self::NoneFound)
    }

    /// In words, with what would change it where that is known; `operations` are the market's names of operations,
    /// in order of id.
    pub fn describe(&self, operations: &[String]) -> String {
        let name = |id: OperationId| operations.get(id.index()).cloned().unwrap_or_else(|| id.to_string());
        match self {
            Self::NotOffered { operation } => format!("nobody offers {}", name(*operation)),
            Self::NotPlannable { window: TimeWindow { release, due }, plannable } => format!(
                "it wants to be served from {release} to {due}, of which nothing can be planned now ({} to {} can)",
                plannable.release, plannable.due
            ),
            Self::NoRoad => "no road leads from one of its providers to the next".into(),
            Self::BudgetTooLow { cheapest, budget } => {
                format!("its budget of {budget:.2} $ is below the cheapest possible cost, {cheapest:.2} $")
            }
            Self::NoCapacity { operation, most_left } => format!(
                "no provider has time left for {} (the most any has is {most_left} minutes)",
                name(*operation)
            ),
            Self::LeftoverTooDear { cheapest, is_attained, budget } => {
                let missing = *cheapest - *budget;
                let (least, more) = if *is_attained { ("", "") } else { ("at least ", "at least ") };
                format!(
                    "on the capacity left it costs {least}{cheapest:.2} $, above its budget of {budget:.2} $: it takes \
                     {more}{missing:.2} $ more"
                )
            }
            Self::NoRoomTogether => {
                "each order fits somewhere, but all of them together are impossible on the capacity left"
                    .into()
            }
            Self::NoneFound => {
                "no way was found to fit all its orders together on the capacity left, and none is ruled out"
                    .into()
            }
            Self::Possible { cost } => format!(
                "no offer, budget or capacity stands in its way: on the capacity left it costs {cost:.2} $; nobody has \
                 composed it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Calendar, CostRules, Geometry, Offer, Provider, Site};

    /// Two providers at the same place; the first does operations 0 and 1, the second only 0.
    fn supply() -> Supply {
        let offer = |dollars, minutes| Offer { cost: Money::from_units(dollars), minutes };
        let provider = |name: &str, offers: BTreeMap<OperationId, Offer>| Provider {
            name: name.into(),
            site: Site::point(0, 0),
            offers,
            capacity: Some(100.into()),
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
        Supply {
            providers: vec![first, second],
            rules,
            geometry: Geometry::Euclidean,
            horizon: Horizon::SINGLE,
        }
    }

    fn reason(orders: &[u16], budget: i64, left: [Minutes; 2]) -> UnservedReason {
        let demand = Demand {
            name: "customer".into(),
            site: Site::point(0, 0),
            orders: orders.iter().map(|&operation| OperationId(operation)).collect(),
            budget: Money::from_units(budget),
            window: TimeWindow::ANY,
        };
        why_unserved(&Oracle::new(&supply()), &demand, &left.map(Some))
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
    fn what_is_left_can_be_too_dear_and_what_is_missing_is_told() {
        let found = reason(&[0], 12, [29, 20]);
        let expected = UnservedReason::LeftoverTooDear {
            cheapest: Money::from_units(15),
            is_attained: true,
            budget: Money::from_units(12),
        };
        assert_eq!(found, expected);
        let said = "on the capacity left it costs 15.00 $, above its budget of 12.00 $: it takes 3.00 $ more";
        assert_eq!(found.describe(&[]), said);
    }

    #[test]
    fn where_the_cheapest_way_overfills_a_provider_the_cheapest_that_does_not_is_what_it_costs() {
        // Each order fits the first provider, but not both: one goes to the second, for 10 + 15 $.
        let expected = UnservedReason::LeftoverTooDear {
            cheapest: Money::from_units(25),
            is_attained: true,
            budget: Money::from_units(24),
        };
        assert_eq!(reason(&[0, 0], 24, [59, 20]), expected);
        let possible = UnservedReason::Possible { cost: Money::from_units(25) };
        assert_eq!(reason(&[0, 0], 25, [59, 20]), possible);
    }

    #[test]
    fn orders_can_fit_one_by_one_and_be_impossible_together() {
        let found = reason(&[1, 1], 100, [40, 0]);
        assert_eq!(found, UnservedReason::NoRoomTogether);
        assert!(found.is_proved());
    }

    /// The same providers, who work in periods 3 and 4 of those from 2 to 5, and then have so much left of each.
    fn asked(window: (u32, u32), budget: i64, left: [Minutes; 2]) -> (UnservedReason, Option<Later>) {
        let mut supply = supply();
        supply.horizon = Horizon { first: Period(2), periods: 4, period_minutes: Some(500) };
        for provider in &mut supply.providers {
            provider.capacity = Some(Calendar::starting(Period(2), &[0, 100, 100, 0]));
        }
        let demand = Demand {
            name: "customer".into(),
            site: Site::point(0, 0),
            orders: vec![OperationId(0), OperationId(1)],
            budget: Money::from_units(budget),
            window: TimeWindow { release: Period(window.0), due: Period(window.1) },
        };
        let left: Vec<_> = [0, left[0], left[1], 0].repeat(2).into_iter().map(Some).collect();
        let oracle = Oracle::new(&supply);
        (why_unserved(&oracle, &demand, &left), later(&oracle, &demand, &left))
    }

    #[test]
    fn a_demand_of_other_days_is_told_which_can_be_planned() {
        let plannable = TimeWindow { release: Period(2), due: Period(5) };
        for window in [(0, 1), (6, 9)] {
            let found = asked(window, 100, [100, 100]).0;
            let window = TimeWindow { release: Period(window.0), due: Period(window.1) };
            assert_eq!(found, UnservedReason::NotPlannable { window, plannable });
        }
    }

    #[test]
    fn a_demand_whose_days_are_full_is_told_when_it_would_be_served() {
        let none = |operation, most_left| UnservedReason::NoCapacity {
            operation: OperationId(operation),
            most_left,
        };
        let later = |due, dollars| Some(Later { due: Period(due), cost: Money::from_units(dollars) });
        // Nobody works in period 2; in period 3 there is time.
        assert_eq!(asked((0, 2), 100, [100, 100]), (none(0, 0), later(3, 30)));
        // Of period 3 too little is left, so that the first order is done by the other provider, or the second a day later.
        assert_eq!(asked((0, 3), 100, [39, 100]), (none(1, 39), later(4, 30)));
        assert_eq!(asked((0, 3), 100, [69, 0]).1, None, "it is served as it is");
        // Money does not wait.
        assert_eq!(asked((0, 2), 29, [100, 100]).1, None);
        assert_eq!(asked((5, 5), 100, [100, 100]), (none(0, 0), None));
    }

    #[test]
    fn people_read_the_names_of_operations() {
        let reason = UnservedReason::NotOffered { operation: OperationId(1) };
        assert_eq!(reason.describe(&["turning".into(), "milling".into()]), "nobody offers milling");
    }
}
