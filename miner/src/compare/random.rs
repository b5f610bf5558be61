//! Random assignment beside what was found: how much of an "improvement" is geometry.

use scenarios::random_assignment::RandomAssignment;
use scenarios::{DualPrices, Money, Oracle, Scenario};

use super::report::{Bound, RandomRun};

/// The mean cost of giving each order to one of the providers that offer it, all alike. It keeps to no budget and no
/// capacity, so it is no plan of the market; a demand that no plan can serve counts with its budget, as everywhere.
pub fn run(scenario: &Scenario, bound: &Bound) -> RandomRun {
    let oracle = Oracle::new(&scenario.instance.supply);
    let mut random = RandomAssignment::new(&oracle);
    let (mut penalised_cost, mut unservable) = (Money::ZERO, 0);
    for demand in &scenario.instance.demands {
        let cheapest = oracle.cheapest(demand, &DualPrices::zero());
        let is_servable = cheapest.is_some_and(|cheapest| cheapest.priced_cost <= demand.budget);
        if let Some(cost) = random.cost(demand).filter(|_| is_servable) {
            penalised_cost += cost;
        } else {
            penalised_cost += demand.budget;
            unservable += 1;
        }
    }
    // Where capacity leaves demands unserved, it may undercut every plan.
    let gap_percent = (penalised_cost >= bound.value).then(|| bound.gap_percent(penalised_cost));
    RandomRun { penalised_cost, unservable, gap_percent }
}
