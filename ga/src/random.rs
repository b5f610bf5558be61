//! What choosing providers at random costs: the other end every cost is read against.

use scenarios::{Instance, Money};

use crate::rng::Draws;
use crate::table::Table;

/// Costs of a sample of random assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomCost {
    /// The mean, rounded down to a micro-unit.
    pub mean: Money,
    /// The cheapest of the sample.
    pub least: Money,
    /// The dearest of the sample.
    pub most: Money,
}

/// Serves every demand `samples` times (at least once) with providers drawn uniformly among those that offer
/// the work, capacities and budgets left aside. `None` if some demand cannot be served.
pub fn random_cost(instance: &Instance, samples: u32, rng_seed: u64) -> Option<RandomCost> {
    let table = Table::of(&instance.supply, &instance.demands);
    if !table.rows.iter().all(|row| row.servable) {
        return None;
    }
    let mut draws = Draws::new(rng_seed, 0);
    let mut costs = Vec::new();
    for _ in 0..samples.max(1) {
        let mut cost = 0_i128;
        for row in &table.rows {
            let layers = row.layers.iter().map(|&layer| table.layers[usize::from(layer)].providers.len());
            let genes: Vec<u32> =
                layers.map(|offers| u32::try_from(draws.below(offers)).unwrap_or(0)).collect();
            cost += i128::from(table.composition_cost(row, &genes));
        }
        costs.push(cost);
    }
    let money = |micros: i128| i64::try_from(micros).ok().map(Money::from_micros);
    Some(RandomCost {
        mean: money(costs.iter().sum::<i128>() / i128::try_from(costs.len()).ok()?)?,
        least: money(*costs.iter().min()?)?,
        most: money(*costs.iter().max()?)?,
    })
}
