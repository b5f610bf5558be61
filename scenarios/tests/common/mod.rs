//! Small markets for the property tests, and a search that tries everything.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenarios::{
    Calendar, CostRules, Demand, DistanceMatrix, Geometry, Horizon, Instance, Minutes, Money, Offer,
    OperationId, Period, Provider, Site, Slot, Solution, Supply, TimeWindow, evaluate,
};

/// Amounts are small and coarse so that ties are common.
fn offers() -> impl Strategy<Value = Vec<Option<Offer>>> {
    let offer = (0..6_i64, 1..5_i64)
        .prop_map(|(cost, minutes)| Offer { cost: Money::from_units(cost), minutes: 10 * minutes });
    prop::collection::vec(prop::option::weighted(0.8, offer), 3)
}

fn rules() -> impl Strategy<Value = CostRules> {
    (0..4_i64, prop_oneof![Just(0), 1..100_000_i64], 1..1_000_i64, any::<bool>()).prop_map(
        |(rate, value_of_minute, metres_per_minute, deliver)| CostRules {
            rate_per_km: Money::from_micros(rate * 500_000),
            value_of_minute: Money::from_micros(value_of_minute),
            metres_per_minute,
            deliver,
        },
    )
}

/// Euclidean or on a matrix that need not be metric, with a site per firm.
fn geometry(sites: usize) -> impl Strategy<Value = (Geometry, Vec<Site>)> {
    let points = prop::collection::vec((-3..4_i64, -3..4_i64), sites).prop_map(|points| {
        let sites = points.into_iter().map(|(x, y)| Site::point(1_000 * x, 1_000 * y));
        (Geometry::Euclidean, sites.collect())
    });
    let rows = prop::collection::vec(prop::collection::vec(0..5_000_i64, 4), 4);
    let places = prop::collection::vec(0..4_u32, sites);
    let matrix = (rows, places).prop_map(|(mut rows, places)| {
        for (place, row) in rows.iter_mut().enumerate() {
            row[place] = 0;
        }
        let matrix = DistanceMatrix::new(&rows).expect("a square of distances");
        (Geometry::Matrix(matrix), places.into_iter().map(Site::Place).collect())
    });
    prop_oneof![points, matrix]
}

/// A market of 3 operations: without a calendar up to 4 providers and up to 3 demands of up to 3 orders, with one up to 2
/// providers and 2 demands of up to 3 orders in up to 3 periods; with or without capacities, delivery and value of time.
pub(crate) fn tiny_instance() -> impl Strategy<Value = Instance> {
    let single = (1..5_usize, 1..4_usize)
        .prop_flat_map(|(providers, demands)| tiny(providers, demands, Just(Horizon::SINGLE).boxed()));
    let horizon = (0..3_u32, 1..4_u32, prop::option::weighted(0.7, 20..120_i64)).prop_map(
        |(first, periods, period_minutes)| Horizon { first: Period(first), periods, period_minutes },
    );
    let horizon = horizon.boxed();
    let several = (1..3_usize, 1..3_usize)
        .prop_flat_map(move |(providers, demands)| tiny(providers, demands, horizon.clone()));
    prop_oneof![single, several]
}

fn tiny(
    providers: usize,
    demands: usize,
    horizon: BoxedStrategy<Horizon>,
) -> impl Strategy<Value = Instance> {
    let calendar = prop::collection::vec(0..100_i64, 1..4);
    let capacities = prop::option::weighted(0.6, calendar);
    let supply = prop::collection::vec((offers(), capacities), providers);
    let orders = prop::collection::vec(0..3_u16, 1..4);
    let window = prop_oneof![Just(None), (0..5_u32, 0..4_u32).prop_map(Some)];
    let wanted = prop::collection::vec((orders, 0..40_i64, window), demands);
    (supply, wanted, rules(), geometry(providers + demands), horizon).prop_map(
        |(supply, wanted, rules, (geometry, sites), horizon)| {
            let is_single = horizon == Horizon::SINGLE;
            let providers: Vec<Provider> = supply
                .into_iter()
                .zip(&sites)
                .map(|((offers, capacity), &site)| {
                    let calendar = |pattern: Vec<Minutes>| {
                        let pattern = if is_single { vec![pattern[0]] } else { pattern };
                        Calendar::new(pattern, BTreeMap::new())
                    };
                    provider(offers, capacity.map(calendar), site)
                })
                .collect();
            let demands = wanted.into_iter().zip(&sites[providers.len()..]);
            let demands = demands.map(|((orders, budget, window), &site)| Demand {
                name: "demand".into(),
                site,
                orders: orders.into_iter().map(OperationId).collect(),
                budget: Money::from_units(budget),
                window: match window.filter(|_| !is_single) {
                    None => TimeWindow::ANY,
                    Some((release, more)) => {
                        TimeWindow { release: Period(release), due: Period(release + more) }
                    }
                },
            });
            Instance { demands: demands.collect(), supply: Supply { providers, rules, geometry, horizon } }
        },
    )
}

fn provider(offers: Vec<Option<Offer>>, capacity: Option<Calendar>, site: Site) -> Provider {
    let offers = (0..).map(OperationId).zip(offers);
    let offers = offers.filter_map(|(operation, offer)| Some((operation, offer?))).collect();
    Provider { name: "provider".into(), site, offers, capacity }
}

/// All lists of slots of this length whose periods do not decrease, in lexicographic order.
pub(crate) fn all_lists(supply: &Supply, length: usize) -> Vec<Vec<Slot>> {
    let mut lists = vec![Vec::new()];
    let horizon = supply.horizon;
    for _ in 0..length {
        let longer = |list: &Vec<Slot>| {
            let from = list.last().map_or(horizon.first, |last| last.period);
            let list = list.clone();
            let slots = (0..supply.slot_count()).map(move |position| horizon.slot(position));
            slots.filter(move |slot| slot.period >= from).map(move |next| [list.as_slice(), &[next]].concat())
        };
        lists = lists.iter().flat_map(longer).collect();
    }
    lists
}

/// Every feasible solution, unserved demands included.
pub(crate) fn all_feasible(instance: &Instance) -> Vec<Solution> {
    let mut partial = vec![Solution::unserved(instance.demands.len())];
    for (position, demand) in instance.demands.iter().enumerate() {
        let lists = all_lists(&instance.supply, demand.orders.len());
        let mut longer = Vec::new();
        for solution in &partial {
            for choice in std::iter::once(None).chain(lists.iter().cloned().map(Some)) {
                let mut solution = solution.clone();
                solution.compositions[position] = choice;
                // What is infeasible stays so whatever is added.
                if evaluate(instance, &solution).is_feasible() {
                    longer.push(solution);
                }
            }
        }
        partial = longer;
    }
    partial
}
