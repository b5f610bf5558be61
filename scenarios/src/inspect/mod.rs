//! What a scenario holds, at a glance: sizes, the ends between which every cost lies, where capacity is short,
//! and a map. Nothing is searched here: dual prices, if any, come from elsewhere.

mod concerns;
mod map;
mod text;

use serde::Serialize;

pub use concerns::{Concerns, HopelessBudget};
pub use map::DensityMap;

use crate::bound::dual_bound;
use crate::geometry::Geometry;
use crate::instance::{Instance, Supply};
use crate::oracle::{DualPrices, Oracle, PriceError};
use crate::random_assignment::RandomAssignment;
use crate::scenario::Scenario;
use crate::units::{Minutes, Money, OperationId};

/// Work asked and capacity there is to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CapacityBalance {
    /// Minutes a random assignment would take in the mean.
    pub work: Minutes,
    /// Minutes of all providers that could do it, in all periods; `None` if one of them is unlimited.
    pub capacity: Option<Minutes>,
}

/// One operation of a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct OperationBalance {
    pub name: String,
    /// Orders for it.
    pub orders: usize,
    /// Providers that offer it.
    pub offers: usize,
    /// Work for it, and capacity of the providers that offer it (which they share with their other operations).
    pub balance: CapacityBalance,
}

/// What a scenario holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Inspection {
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Whose data it holds.
    pub attribution: String,
    /// The instance's fingerprint.
    pub fingerprint: String,
    /// How many providers there are.
    pub providers: usize,
    /// How many of them have a limited capacity.
    pub limited_providers: usize,
    /// How many demands there are.
    pub demands: usize,
    /// How many orders they have together.
    pub orders: usize,
    /// Periods that can be planned.
    pub periods: usize,
    /// Places of the distance matrix, if there is one.
    pub places: Option<usize>,
    /// Whether no detour is shorter than the direct way.
    pub metric: bool,
    /// All budgets together.
    pub budgets: Money,
    /// What a random assignment costs in the mean, capacities and budgets left aside; `None` if some demand
    /// cannot be served.
    pub random_cost: Option<Money>,
    /// The least cost of serving every demand, capacities and budgets left aside; `None` if some demand cannot
    /// be served. Where capacities are unlimited and budgets suffice, it is the exact optimum.
    pub unlimited_optimum: Option<Money>,
    /// The certified lower bound of the penalised cost at the prices given.
    pub bound: Money,
    /// What stands in the way of serving every demand.
    #[serde(flatten)]
    pub concerns: Concerns,
    /// Work and capacity of the whole market.
    pub balance: CapacityBalance,
    /// Work and capacity by operation.
    pub operations: Vec<OperationBalance>,
    /// Where everybody is; `None` without points.
    pub map: Option<DensityMap>,
}

impl Inspection {
    /// Looks at a scenario; `prices` are those the bound is computed at (zero prices always do, good ones make
    /// it tighter where capacities are limited).
    ///
    /// # Errors
    /// If the prices do not suit the capacities.
    pub fn new(scenario: &Scenario, prices: &DualPrices) -> Result<Self, PriceError> {
        let instance = &scenario.instance;
        let supply = &instance.supply;
        let oracle = Oracle::new(supply);
        let bound = dual_bound(&oracle, &instance.demands, &supply.capacities(), prices)?;
        let mut random = RandomAssignment::new(&oracle);
        let random_cost = instance.demands.iter().map(|demand| random.cost(demand)).sum();
        let operations = operation_balances(scenario, &oracle, &random);
        let (concerns, unlimited_optimum) = Concerns::with_oracle(scenario, &oracle);
        Ok(Self {
            name: scenario.name.clone(),
            description: scenario.description.clone(),
            attribution: scenario.attribution.clone(),
            fingerprint: instance.fingerprint(),
            providers: supply.providers.len(),
            limited_providers: supply.providers.iter().filter(|provider| provider.capacity.is_some()).count(),
            demands: instance.demands.len(),
            orders: instance.order_count(),
            periods: supply.horizon.len(),
            places: match &supply.geometry {
                Geometry::Euclidean => None,
                Geometry::Matrix(matrix) => Some(matrix.places()),
            },
            metric: supply.geometry.is_metric(),
            budgets: instance.demands.iter().map(|demand| demand.budget).sum(),
            random_cost,
            unlimited_optimum,
            bound,
            concerns,
            balance: CapacityBalance {
                work: operations.iter().map(|operation| operation.balance.work).sum(),
                capacity: supply
                    .providers
                    .iter()
                    .map(|provider| provider.total_capacity(&supply.horizon))
                    .sum(),
            },
            operations,
            map: scenario.extent().map(|extent| DensityMap::new(extent, instance)),
        })
    }

    /// The exact optimum, where no capacity is limited and every budget suffices: each demand then takes its
    /// own shortest path.
    pub fn exact_optimum(&self) -> Option<Money> {
        self.unlimited_optimum
            .filter(|_| self.limited_providers == 0 && self.concerns.beyond_budget.is_empty())
    }
}

fn operation_balances(
    scenario: &Scenario,
    oracle: &Oracle<'_>,
    random: &RandomAssignment<'_>,
) -> Vec<OperationBalance> {
    let Instance { supply, demands } = &scenario.instance;
    let mut orders = vec![0_usize; scenario.operations.len()];
    for operation in demands.iter().flat_map(|demand| &demand.orders) {
        if let Some(count) = orders.get_mut(operation.index()) {
            *count += 1;
        }
    }
    let ids = (0..=u16::MAX).map(OperationId);
    let rows = ids.zip(&scenario.operations).zip(orders);
    rows.map(|((operation, name), orders)| OperationBalance {
        name: name.clone(),
        orders,
        offers: oracle.offering(operation).len(),
        balance: CapacityBalance {
            work: random.minutes(operation).unwrap_or(0) * i64::try_from(orders).unwrap_or(i64::MAX),
            capacity: capacity_for(supply, oracle, operation),
        },
    })
    .collect()
}

fn capacity_for(supply: &Supply, oracle: &Oracle<'_>, operation: OperationId) -> Option<Minutes> {
    oracle
        .offering(operation)
        .iter()
        .map(|id| supply.providers[id.index()].total_capacity(&supply.horizon))
        .sum()
}
