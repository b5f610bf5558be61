//! The integer core against definitions and brute force: the oracle finds the cheapest and lexicographically
//! smallest composition, the bound bounds, reduced costs add up to the gap exactly.

mod common;

use common::{all_feasible, all_lists, tiny_instance};
use proptest::prelude::*;
use scenarios::bound::{demand_bound, dual_bound, priced_capacity, reduced_cost};
use scenarios::oracle::Fitting;
use scenarios::random_assignment::RandomAssignment;
use scenarios::{
    Demand, DualPrices, Horizon, Instance, Money, OperationId, Oracle, Slot, Supply, TimeWindow, evaluate,
    evaluate_composition, limits,
};

/// The cost of a composition at prices, its budget and how long periods are left aside; of none that asks more of a slot for
/// one order than it has in all.
fn priced_cost(supply: &Supply, demand: &Demand, prices: &DualPrices, slots: &[Slot]) -> Option<Money> {
    let is_usable = |(slot, operation): (&Slot, &OperationId)| {
        let offer = supply.providers[slot.provider.index()].offers.get(operation);
        let capacity = supply.capacity_of(*slot).unwrap_or(i64::MAX);
        offer.is_some_and(|offer| offer.minutes <= capacity)
    };
    let supply = &endless(supply);
    if !slots.iter().zip(&demand.orders).all(is_usable) {
        return None;
    }
    let demand = Demand { budget: Money::from_micros(i64::MAX), ..demand.clone() };
    let composition = evaluate_composition(supply, &demand, 0, slots).ok()?;
    let charges = composition.minutes.iter().map(|(&slot, &minutes)| prices.charge(slot, minutes));
    Some(composition.cost() + charges.sum())
}

/// The same supply with periods of any length.
fn endless(supply: &Supply) -> Supply {
    let horizon = Horizon { period_minutes: None, ..supply.horizon };
    Supply { horizon, ..supply.clone() }
}

/// Prices of these micro-units a minute in turn, zero where capacity is unlimited.
fn prices_for(instance: &Instance, micros: &[i64]) -> DualPrices {
    let slots = instance.supply.capacities().into_iter().zip(micros.iter().cycle());
    let price = |(capacity, &micros): (Option<i64>, &i64)| {
        capacity.map_or(Money::ZERO, |_| Money::from_micros(micros))
    };
    DualPrices::in_order(instance.supply.horizon, slots.map(price))
}

fn price_micros() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(prop_oneof![Just(0), 0..300_000_i64, Just(100_000)], 5)
}

proptest! {
    #[test]
    fn the_oracle_finds_the_cheapest_and_of_those_the_lexicographically_smallest(
        instance in tiny_instance(), micros in price_micros(),
    ) {
        let prices = prices_for(&instance, &micros);
        let oracle = Oracle::new(&instance.supply);
        for demand in &instance.demands {
            let lists = all_lists(&instance.supply, demand.orders.len());
            let priced = lists.iter().filter_map(|list| {
                Some((priced_cost(&instance.supply, demand, &prices, list)?, list.clone()))
            });
            let best = oracle.cheapest(demand, &prices).map(|best| (best.priced_cost, best.slots));
            prop_assert_eq!(best, priced.min());
        }
    }

    #[test]
    fn the_cheapest_composition_that_fits_what_is_left_is_found_or_there_is_none(instance in tiny_instance()) {
        let oracle = Oracle::new(&instance.supply);
        let left = instance.supply.capacities();
        for demand in &instance.demands {
            let lists = all_lists(&instance.supply, demand.orders.len());
            let wealthy = Demand { budget: Money::from_micros(i64::MAX), ..demand.clone() };
            let fitting = lists.iter().filter_map(|list| {
                let composition = evaluate_composition(&instance.supply, &wealthy, 0, list).ok()?;
                let mut minutes = composition.minutes.iter();
                let left = |slot: &Slot| left[instance.supply.horizon.position(*slot).unwrap()];
                let fits = minutes.all(|(slot, &minutes)| left(slot).is_none_or(|left| minutes <= left));
                fits.then(|| composition.cost())
            });
            let found = match oracle.cheapest_fitting(demand, &left) {
                Fitting::Cheapest(best) => {
                    let list = &best.slots;
                    let composition = evaluate_composition(&instance.supply, &wealthy, 0, list).unwrap();
                    prop_assert_eq!(composition.cost(), best.priced_cost);
                    Some(best.priced_cost)
                }
                Fitting::Impossible => None,
                Fitting::Undecided { .. } => return Err(TestCaseError::fail("a few orders are always decided")),
            };
            prop_assert_eq!(found, fitting.min());
        }
    }

    #[test]
    fn the_oracle_among_some_providers_is_the_oracle_of_a_market_without_the_others(
        instance in tiny_instance(), micros in price_micros(), left_out in 0..4_u32,
    ) {
        let prices = prices_for(&instance, &micros);
        let mut without = instance.supply.clone();
        if let Some(provider) = without.providers.get_mut(left_out as usize) {
            provider.offers.clear();
        }
        let (oracle, smaller) = (Oracle::new(&instance.supply), Oracle::new(&without));
        for demand in &instance.demands {
            let among = oracle.cheapest_among(demand, &prices, |slot, _| slot.provider.0 != left_out);
            prop_assert_eq!(among, smaller.cheapest(demand, &prices));
        }
    }

    #[test]
    fn the_bound_is_below_every_plan_and_reduced_costs_and_unused_minutes_make_up_the_gap(
        instance in tiny_instance(), micros in price_micros(),
    ) {
        let prices = prices_for(&instance, &micros);
        let capacities = instance.supply.capacities();
        let oracle = Oracle::new(&instance.supply);
        let bound = dual_bound(&oracle, &instance.demands, &capacities, &prices).unwrap();
        let least: Vec<Money> =
            instance.demands.iter().map(|demand| demand_bound(&oracle, demand, &prices)).collect();
        for solution in all_feasible(&instance) {
            let evaluation = evaluate(&instance, &solution);
            let gap = evaluation.penalised_cost(&instance) - bound;
            prop_assert!(gap >= Money::ZERO);
            let mut reduced_costs = Money::ZERO;
            for (position, composition) in evaluation.compositions.iter().enumerate() {
                let reduced_cost = match composition {
                    Some(composition) => reduced_cost(composition, least[position], &prices),
                    None => instance.demands[position].budget - least[position],
                };
                prop_assert!(reduced_cost >= Money::ZERO);
                reduced_costs += reduced_cost;
            }
            let used = evaluation.minutes.iter().map(|(&id, &minutes)| prices.charge(id, minutes));
            let unused = priced_capacity(&prices, instance.supply.horizon, &capacities) - i128::from(used.sum::<Money>().micros());
            prop_assert_eq!(i128::from(gap.micros()), i128::from(reduced_costs.micros()) + unused);
        }
    }

    #[test]
    fn without_capacities_the_bound_at_zero_prices_is_the_optimum(instance in tiny_instance()) {
        let mut instance = instance;
        instance.supply.providers.iter_mut().for_each(|provider| provider.capacity = None);
        instance.supply.horizon.period_minutes = None;
        let plans = all_feasible(&instance);
        let costs = plans.iter().map(|plan| evaluate(&instance, plan).penalised_cost(&instance));
        let oracle = Oracle::new(&instance.supply);
        let capacities = instance.supply.capacities();
        let bound = dual_bound(&oracle, &instance.demands, &capacities, &DualPrices::zero());
        prop_assert_eq!(costs.min(), bound.ok());
    }

    #[test]
    fn legs_of_a_metric_market_keep_the_triangle_inequality(
        instance in tiny_instance(), rate in 0..100_000_000_i64,
    ) {
        let mut supply = instance.supply;
        supply.rules.rate_per_km = Money::from_micros(rate);
        prop_assume!(supply.geometry.is_metric());
        let oracle = Oracle::new(&supply);
        for from in supply.provider_ids() {
            for via in supply.provider_ids() {
                for to in supply.provider_ids() {
                    prop_assert!(oracle.leg(from, to) <= oracle.leg(from, via) + oracle.leg(via, to));
                }
            }
        }
    }

    #[test]
    fn legs_on_the_whole_plane_keep_the_triangle_inequality(
        points in prop::array::uniform3((-(1_i64 << 30) + 1..1 << 30, -(1_i64 << 30) + 1..1 << 30)),
        rate in 0..100_000_000_i64, metres_per_minute in 1..3_000_i64,
    ) {
        let rules = scenarios::CostRules {
            rate_per_km: Money::from_micros(rate),
            value_of_minute: limits::VALUE_OF_MINUTE,
            metres_per_minute,
            deliver: false,
        };
        let supply = Supply { providers: Vec::new(), rules, geometry: scenarios::Geometry::Euclidean, horizon: Horizon::SINGLE };
        let [from, via, to] = points.map(|(x, y)| scenarios::Site::point(x, y));
        let leg = |from, to| supply.leg(from, to).unwrap();
        prop_assert!(leg(from, to) <= leg(from, via) + leg(via, to));
    }

    #[test]
    fn a_random_assignment_costs_the_mean_of_all(mut instance in tiny_instance()) {
        instance.supply.horizon = Horizon::SINGLE;
        instance.demands.iter_mut().for_each(|demand| demand.window = TimeWindow::ANY);
        let oracle = Oracle::new(&instance.supply);
        let mut random = RandomAssignment::new(&oracle);
        for demand in &instance.demands {
            let lists = all_lists(&instance.supply, demand.orders.len());
            let zero = DualPrices::zero();
            let costs: Vec<i64> = lists
                .iter()
                .filter_map(|list| priced_cost(&instance.supply, demand, &zero, list))
                .map(Money::micros)
                .collect();
            match random.cost(demand) {
                None => prop_assert!(costs.is_empty()),
                Some(mean) => {
                    let exact = costs.iter().sum::<i64>() / i64::try_from(costs.len()).unwrap();
                    // Each of up to three orders and three legs is rounded down.
                    prop_assert!((exact - 6..=exact).contains(&mean.micros()), "{} of {}", mean.micros(), exact);
                }
            }
        }
    }
}
