//! A first solution, for searches that are ended before they have one: demands are composed one after
//! another, each the cheapest way at the dual prices that what is left of the capacities allows.

use std::collections::BTreeSet;

use scenarios::{DualPrices, Instance, Oracle, ProviderId, Solution, evaluate_composition};

/// Serves what it can in one pass; always feasible.
pub(super) fn compose_in_order(instance: &Instance, prices: &DualPrices) -> Solution {
    let oracle = Oracle::new(&instance.supply);
    let mut left = instance.supply.capacities();
    let mut solution = Solution::unserved(instance.demands.len());
    for (position, demand) in instance.demands.iter().enumerate() {
        // Orders that fit a provider one by one may not fit it together; those providers are left out then.
        let mut crowded: BTreeSet<ProviderId> = BTreeSet::new();
        for _ in 0..=instance.supply.providers.len() {
            let usable = |id: ProviderId, minutes| {
                !crowded.contains(&id) && left[id.index()].is_none_or(|left| minutes <= left)
            };
            let Some(best) = oracle.cheapest_among(demand, prices, usable) else { break };
            let composition = evaluate_composition(&instance.supply, demand, position, &best.providers);
            let Ok(composition) = composition else { break };
            let over = composition
                .minutes
                .iter()
                .filter(|&(id, &minutes)| left[id.index()].is_some_and(|left| minutes > left));
            let over: Vec<ProviderId> = over.map(|(&id, _)| id).collect();
            if over.is_empty() {
                for (id, minutes) in &composition.minutes {
                    left[id.index()] = left[id.index()].map(|left| left - minutes);
                }
                solution.compositions[position] = Some(best.providers);
                break;
            }
            crowded.extend(over);
        }
    }
    solution
}

#[cfg(test)]
mod tests {
    use scenarios::generate::{GenerateParameters, generate};
    use scenarios::{Money, evaluate};

    use super::*;

    fn instance(capacity_ppm: u64) -> Instance {
        let mut parameters = GenerateParameters::tehran(1, true).unwrap();
        parameters.capacity_ppm = Some(capacity_ppm);
        generate(&parameters).unwrap().instance
    }

    #[test]
    fn with_room_enough_everybody_is_served_by_shortest_paths() {
        let instance = instance(100_000_000);
        let evaluation = evaluate(&instance, &compose_in_order(&instance, &DualPrices::zero()));
        let oracle = Oracle::new(&instance.supply);
        let cheapest = |demand| oracle.cheapest(demand, &DualPrices::zero()).unwrap().priced_cost;
        assert!(evaluation.is_complete());
        assert_eq!(evaluation.cost, instance.demands.iter().map(cheapest).sum::<Money>());
    }

    #[test]
    fn with_too_little_room_what_fits_is_served_and_nothing_is_overused() {
        let instance = instance(300_000);
        let evaluation = evaluate(&instance, &compose_in_order(&instance, &DualPrices::zero()));
        assert!(evaluation.is_feasible());
        assert!((1..instance.demands.len()).contains(&evaluation.unserved.len()));
    }
}
