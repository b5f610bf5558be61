//! The independent evaluator: what a solution costs and everything that is wrong with it.
//!
//! This is the only judge of cost and feasibility in the project; the solver never judges itself. It
//! shares no arithmetic with the search and caches nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::instance::{Demand, Instance, Solution, Supply};
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
    /// Minutes taken from the capacity of each provider it uses.
    pub minutes: BTreeMap<ProviderId, Minutes>,
    /// Processing cost owed to each provider it uses.
    pub owed: BTreeMap<ProviderId, Money>,
}

impl CompositionEvaluation {
    /// The objective: processing + transport + value of time.
    pub fn cost(&self) -> Money {
        self.processing + self.transport + self.time_value
    }

    /// Processing minutes at all providers together.
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
    /// A composition has more or fewer providers than the demand has orders.
    #[error("demand {demand}: {got} providers for its orders, expected {expected}")]
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
    /// A provider is used for longer than its capacity.
    #[error("{provider}: {got} minutes used, capacity is {expected}")]
    OverCapacity {
        provider: ProviderId,
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
    /// Minutes used at each provider.
    pub minutes: BTreeMap<ProviderId, Minutes>,
    /// Everything that is wrong, in order of demand, then provider.
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

    /// Minutes it leaves of each provider's capacity, in order of id; `None` is unlimited.
    pub fn capacities_left(&self, supply: &Supply) -> Vec<Option<Minutes>> {
        let used = |id| self.minutes.get(&id).copied().unwrap_or(0);
        let providers = supply.provider_ids().zip(&supply.providers);
        providers.map(|(id, provider)| provider.capacity.map(|capacity| capacity - used(id))).collect()
    }
}

/// Judges one composition by itself; `demand_position` only labels violations. Capacity is not looked at.
///
/// # Errors
/// All violations of form and budget.
pub fn evaluate_composition(
    supply: &Supply,
    demand: &Demand,
    demand_position: usize,
    providers: &[ProviderId],
) -> Result<CompositionEvaluation, Vec<Violation>> {
    if providers.len() != demand.orders.len() {
        let (got, expected) = (providers.len(), demand.orders.len());
        return Err(vec![Violation::OrderCount { demand: demand_position, got, expected }]);
    }
    let mut evaluation = CompositionEvaluation::default();
    let mut violations = Vec::new();
    for (order, (&id, &operation)) in providers.iter().zip(&demand.orders).enumerate() {
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
        *evaluation.minutes.entry(id).or_default() += offer.minutes;
        *evaluation.owed.entry(id).or_default() += offer.cost;
        let next = match providers.get(order + 1) {
            Some(&next) => supply.provider(next).map(|next| next.site),
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
            }
            _ => violations.push(Violation::NoDistance { demand: demand_position, order }),
        }
    }
    if violations.is_empty() && evaluation.cost() > demand.budget {
        let (got, expected) = (evaluation.cost(), demand.budget);
        violations.push(Violation::OverBudget { demand: demand_position, got, expected });
    }
    if violations.is_empty() { Ok(evaluation) } else { Err(violations) }
}

/// Judges a solution: its cost, and *all* its violations.
pub fn evaluate(instance: &Instance, solution: &Solution) -> Evaluation {
    let mut evaluation = Evaluation::default();
    if solution.compositions.len() != instance.demands.len() {
        let (got, expected) = (solution.compositions.len(), instance.demands.len());
        evaluation.violations.push(Violation::DemandCount { got, expected });
    }
    for (position, demand) in instance.demands.iter().enumerate() {
        let Some(providers) = solution.compositions.get(position).and_then(Option::as_ref) else {
            evaluation.unserved.push(position);
            evaluation.compositions.push(None);
            continue;
        };
        match evaluate_composition(&instance.supply, demand, position, providers) {
            Ok(composition) => {
                evaluation.cost += composition.cost();
                for (&provider, &minutes) in &composition.minutes {
                    *evaluation.minutes.entry(provider).or_default() += minutes;
                }
                evaluation.compositions.push(Some(composition));
            }
            Err(mut violations) => {
                evaluation.violations.append(&mut violations);
                evaluation.compositions.push(None);
            }
        }
    }
    for (&provider, &got) in &evaluation.minutes {
        if let Some(expected) = instance.supply.provider(provider).and_then(|provider| provider.capacity)
            && got > expected
        {
            evaluation.violations.push(Violation::OverCapacity { provider, got, expected });
        }
    }
    evaluation
}
