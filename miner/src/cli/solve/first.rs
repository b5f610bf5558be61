//! A first solution, for searches that are ended before they have one: demands are composed one after
//! another, each the cheapest way at the dual prices that what is left of the capacities allows.

use std::collections::BTreeSet;

use scenarios::{DualPrices, Instance, Oracle, Slot, Solution, evaluate_composition};

/// Serves what it can in one pass; always feasible.
pub(super) fn compose_in_order(instance: &Instance, prices: &DualPrices) -> Solution {
    let oracle = Oracle::new(&instance.supply);
    let horizon = instance.supply.horizon;
    let mut left = instance.supply.capacities();
    let mut solution = Solution::unserved(instance.demands.len());
    for (position, demand) in instance.demands.iter().enumerate() {
        // Orders that fit a slot one by one may not fit it together; those slots are left out then.
        let mut crowded: BTreeSet<Slot> = BTreeSet::new();
        for _ in 0..=instance.supply.slot_count() {
            let place = |slot| horizon.position(slot).unwrap_or(usize::MAX);
            let left_of = |slot| left.get(place(slot)).copied().unwrap_or(Some(0));
            let usable = |slot: Slot, minutes| {
                !crowded.contains(&slot) && left_of(slot).is_none_or(|left| minutes <= left)
            };
            let Some(best) = oracle.cheapest_among(demand, prices, usable) else { break };
            let composition = evaluate_composition(&instance.supply, demand, position, &best.slots);
            // What has no room in its periods is left to the search.
            let Ok(composition) = composition else { break };
            let over = composition
                .minutes
                .iter()
                .filter(|&(&slot, &minutes)| left_of(slot).is_some_and(|left| minutes > left));
            let over: Vec<Slot> = over.map(|(&slot, _)| slot).collect();
            if over.is_empty() {
                for (&slot, minutes) in &composition.minutes {
                    left[place(slot)] = left[place(slot)].map(|left| left - minutes);
                }
                solution.compositions[position] = Some(best.slots);
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
