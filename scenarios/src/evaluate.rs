//! The independent evaluator: what a solution costs and everything that is wrong with it.
//!
//! This is the only judge of cost and feasibility in the project; the solver never judges itself. It
//! shares no arithmetic with the search and caches nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::instance::{Demand, Instance, Solution, Supply};
use crate::periods::{Period, Slot, TimeWindow};
use crate::units::{Minutes, Money, OperationId, ProviderId};

/// What one composition costs and uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompositionEvaluation {
    /// Processing costs of its orders.
    pub processing: Money,
    /// Transport between the providers of consecutive orders (and to the demander, where delivered).
    pub transport: Money,
    /// Value of all its minutes, processing and travel; zero unless the market values time.
    pub time_value: Money,
    /// Minutes of travel, on the legs that transport is paid for.
    pub travel: Minutes,
    /// Minutes taken from the capacity of each slot it uses.
    pub minutes: BTreeMap<Slot, Minutes>,
    /// Processing cost owed to each provider it uses.
    pub owed: BTreeMap<ProviderId, Money>,
    /// How many periods its last order is done after the demand's release.
    pub lead_periods: u32,
}

impl CompositionEvaluation {
    /// The objective: processing + transport + value of time.
    pub fn cost(&self) -> Money {
        self.processing + self.transport + self.time_value
    }

    /// Processing minutes in all slots together.
    pub fn total_minutes(&self) -> Minutes {
        self.minutes.values().sum()
    }

    /// How long it takes from the beginning of the first order to the end of the last leg, if nobody has to wait: minutes of processing
    /// and travel.
    pub fn lead_minutes(&self) -> Minutes {
        self.total_minutes() + self.travel
    }
}

/// How long the compositions of a solution take: [`CompositionEvaluation::lead_minutes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadTime {
    /// In minutes, rounded up.
    pub mean: Minutes,
    /// In minutes.
    pub longest: Minutes,
}

impl fmt::Display for LeadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = |minutes: Minutes| format!("{}:{:02} h", minutes / 60, minutes % 60);
        write!(f, "{} on average, {} at most", hours(self.mean), hours(self.longest))
    }
}

/// How many periods after the release of their demands the compositions of a solution are done: [`CompositionEvaluation::lead_periods`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct LeadPeriods {
    pub mean: f64,
    pub longest: u32,
}

impl fmt::Display for LeadPeriods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} periods after release on average, {} at most", self.mean, self.longest)
    }
}

/// One thing that is wrong with a solution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Violation {
    /// The solution has more or fewer entries than the instance has demands.
    #[error("the solution has entries for {got} demands, expected {expected}")]
    DemandCount {
        /// Entries of the solution.
        got: usize,
        /// Demands of the instance.
        expected: usize,
    },
    /// A composition has more or fewer slots than the demand has orders.
    #[error("demand {demand}: {got} slots for its orders, expected {expected}")]
    OrderCount {
        /// The demand's position.
        demand: usize,
        got: usize,
        /// Orders of the demand.
        expected: usize,
    },
    /// A provider does not exist.
    #[error("demand {demand}, order {order}: {provider} does not exist, expected one below {expected}")]
    UnknownProvider {
        /// The demand's position.
        demand: usize,
        /// The order's position in the demand.
        order: usize,
        provider: ProviderId,
        /// The number of providers.
        expected: usize,
    },
    /// A provider does not offer the operation that the order asks for.
    #[error("demand {demand}, order {order}: {provider} does not offer {expected}")]
    NotOffered {
        /// The demand's position.
        demand: usize,
        /// The order's position in the demand.
        order: usize,
        provider: ProviderId,
        /// The operation the order asks for.
        expected: OperationId,
    },
    /// An order is done when it may not be, or when nothing can be planned.
    #[error("demand {demand}, order {order}: done in {got}, expected {expected}")]
    OutsideWindow {
        /// The demand's position.
        demand: usize,
        /// The order's position in the demand.
        order: usize,
        got: Period,
        /// What of the demand's window can be planned.
        expected: TimeWindow,
    },
    /// An order is done before the one that comes before it.
    #[error(
        "demand {demand}, order {order}: done in {got}, expected {expected} or later, like the order before it"
    )]
    PeriodsDecrease {
        /// The demand's position.
        demand: usize,
        /// The order's position in the demand.
        order: usize,
        got: Period,
        expected: Period,
    },
    /// A demand takes more of a period than that has.
    #[error("demand {demand}: {got} minutes of processing and travel in {period}, which has {expected}")]
    PeriodTooShort {
        /// The demand's position.
        demand: usize,
        period: Period,
        /// Minutes of its orders, and of the legs that begin in the period.
        got: Minutes,
        expected: Minutes,
    },
    /// A leg cannot be travelled because a site is not of the market's geometry.
    #[error("demand {demand}, order {order}: no distance between its site and the next")]
    NoDistance {
        /// The demand's position.
        demand: usize,
        /// The order's position in the demand.
        order: usize,
    },
    /// A composition costs more than the demand's budget.
    #[error("demand {demand}: costs {got}, budget is {expected}")]
    OverBudget {
        /// The demand's position.
        demand: usize,
        got: Money,
        expected: Money,
    },
    /// A slot is used for longer than its capacity.
    #[error("{slot}: {got} minutes used, capacity is {expected}")]
    OverCapacity {
        slot: Slot,
        /// Minutes used.
        got: Minutes,
        expected: Minutes,
    },
}

/// The verdict on a solution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// One entry per demand of the instance; `None` where it is unserved or its composition is malformed.
    pub compositions: Vec<Option<CompositionEvaluation>>,
    /// Total cost of the well-formed compositions.
    pub cost: Money,
    /// Positions of the demands left unserved.
    pub unserved: Vec<usize>,
    /// Minutes used of each slot.
    pub minutes: BTreeMap<Slot, Minutes>,
    /// Everything that is wrong, in order of demand, then slot.
    pub violations: Vec<Violation>,
}

impl Evaluation {
    /// Nothing is wrong. A feasible solution may leave demands unserved.
    pub fn is_feasible(&self) -> bool {
        self.violations.is_empty()
    }

    /// Feasible, and every demand is served.
    pub fn is_complete(&self) -> bool {
        self.is_feasible() && self.unserved.is_empty()
    }

    /// Cost plus the budget of each unserved demand: what a dual bound bounds from below.
    pub fn penalised_cost(&self, instance: &Instance) -> Money {
        self.cost + self.unserved.iter().map(|&position| instance.demands[position].budget).sum::<Money>()
    }

    /// The mean and the longest lead time of what is served, in minutes, the mean rounded up; `None` if nothing is.
    pub fn lead_minutes(&self) -> Option<LeadTime> {
        let each = || self.compositions.iter().flatten().map(CompositionEvaluation::lead_minutes);
        let longest = each().max()?;
        let count = i64::try_from(each().count()).unwrap_or(i64::MAX);
        let sum: Minutes = each().sum();
        Some(LeadTime { mean: (sum + count - 1) / count, longest })
    }

    /// The mean and the longest time from release to the last order of what is served, in periods; `None` if nothing is.
    pub fn lead_periods(&self) -> Option<LeadPeriods> {
        let each = || self.compositions.iter().flatten().map(|composition| composition.lead_periods);
        let longest = each().max()?;
        let (sum, count) =
            each().fold((0.0, 0.0), |(sum, count), periods| (sum + f64::from(periods), count + 1.0));
        Some(LeadPeriods { mean: sum / count, longest })
    }

    /// Minutes it leaves of each slot's capacity, in order; `None` is unlimited.
    pub fn capacities_left(&self, supply: &Supply) -> Vec<Option<Minutes>> {
        let mut left = supply.capacities();
        for (&slot, used) in &self.minutes {
            let place = supply.horizon.position(slot).and_then(|position| left.get_mut(position));
            if let Some(Some(minutes)) = place {
                *minutes -= used;
            }
        }
        left
    }
}

/// Judges one composition by itself; `demand_position` only labels violations. Capacity is not looked at.
///
/// Periods never decrease from order to order. What a demand takes of a period is the minutes of its orders there and of the legs that
/// begin there, so that it can be done one after the other within that period, wherever the next order is.
///
/// # Errors
/// All violations of form and budget.
pub fn evaluate_composition(
    supply: &Supply,
    demand: &Demand,
    demand_position: usize,
    slots: &[Slot],
) -> Result<CompositionEvaluation, Vec<Violation>> {
    if slots.len() != demand.orders.len() {
        let (got, expected) = (slots.len(), demand.orders.len());
        return Err(vec![Violation::OrderCount { demand: demand_position, got, expected }]);
    }
    let mut evaluation = CompositionEvaluation::default();
    let mut violations = violations_of_time(supply, demand, demand_position, slots);
    let mut within: BTreeMap<Period, Minutes> = BTreeMap::new();
    for (order, (&slot, &operation)) in slots.iter().zip(&demand.orders).enumerate() {
        let id = slot.provider;
        let Some(provider) = supply.provider(id) else {
            let expected = supply.providers.len();
            violations.push(Violation::UnknownProvider {
                demand: demand_position,
                order,
                provider: id,
                expected,
            });
            continue;
        };
        let Some(&offer) = provider.offers.get(&operation) else {
            let expected = operation;
            violations.push(Violation::NotOffered { demand: demand_position, order, provider: id, expected });
            continue;
        };
        evaluation.processing += offer.cost;
        evaluation.time_value += supply.processing_time_value(offer);
        *evaluation.minutes.entry(slot).or_default() += offer.minutes;
        *within.entry(slot.period).or_default() += offer.minutes;
        *evaluation.owed.entry(id).or_default() += offer.cost;
        let next = match slots.get(order + 1) {
            Some(next) => supply.provider(next.provider).map(|next| next.site),
            None => supply.rules.deliver.then_some(demand.site),
        };
        let Some(next) = next else { continue };
        let (from, to) = (provider.site, next);
        match (
            supply.transport(from, to),
            supply.travel_time_value(from, to),
            supply.travel_minutes(from, to),
        ) {
            (Some(transport), Some(time_value), Some(travel)) => {
                evaluation.transport += transport;
                evaluation.time_value += time_value;
                evaluation.travel += travel;
                *within.entry(slot.period).or_default() += travel;
            }
            _ => violations.push(Violation::NoDistance { demand: demand_position, order }),
        }
    }
    if let Some(expected) = supply.horizon.period_minutes {
        let too_short = within.into_iter().filter(|&(_, got)| got > expected);
        violations.extend(too_short.map(|(period, got)| Violation::PeriodTooShort {
            demand: demand_position,
            period,
            got,
            expected,
        }));
    }
    evaluation.lead_periods = slots.last().map_or(0, |last| last.period.since(demand.window.release));
    if violations.is_empty() && evaluation.cost() > demand.budget {
        let (got, expected) = (evaluation.cost(), demand.budget);
        violations.push(Violation::OverBudget { demand: demand_position, got, expected });
    }
    if violations.is_empty() { Ok(evaluation) } else { Err(violations) }
}

/// Periods in which an order may not be done, or that come before that of the order before.
fn violations_of_time(supply: &Supply, demand: &Demand, position: usize, slots: &[Slot]) -> Vec<Violation> {
    let (horizon, window) = (supply.horizon, demand.window);
    let expected =
        TimeWindow { release: window.release.max(horizon.first), due: window.due.min(horizon.last()) };
    let mut violations = Vec::new();
    let mut before = Period::ZERO;
    for (order, &Slot { period: got, .. }) in slots.iter().enumerate() {
        if !expected.contains(got) {
            violations.push(Violation::OutsideWindow { demand: position, order, got, expected });
        } else if got < before {
            violations.push(Violation::PeriodsDecrease { demand: position, order, got, expected: before });
        }
        before = before.max(got);
    }
    violations
}

/// Judges a solution: its cost, and *all* its violations.
pub fn evaluate(instance: &Instance, solution: &Solution) -> Evaluation {
    let mut evaluation = Evaluation::default();
    if solution.compositions.len() != instance.demands.len() {
        let (got, expected) = (solution.compositions.len(), instance.demands.len());
        evaluation.violations.push(Violation::DemandCount { got, expected });
    }
    for (position, demand) in instance.demands.iter().enumerate() {
        let Some(slots) = solution.compositions.get(position).and_then(Option::as_ref) else {
            evaluation.unserved.push(position);
            evaluation.compositions.push(None);
            continue;
        };
        match evaluate_composition(&instance.supply, demand, position, slots) {
            Ok(composition) => {
                evaluation.cost += composition.cost();
                for (&slot, &minutes) in &composition.minutes {
                    *evaluation.minutes.entry(slot).or_default() += minutes;
                }
                evaluation.compositions.push(Some(composition));
            }
            Err(mut violations) => {
                evaluation.violations.append(&mut violations);
                evaluation.compositions.push(None);
            }
        }
    }
    for (&slot, &got) in &evaluation.minutes {
        if let Some(expected) = instance.supply.capacity_of(slot)
            && got > expected
        {
            evaluation.violations.push(Violation::OverCapacity { slot, got, expected });
        }
    }
    evaluation
}
