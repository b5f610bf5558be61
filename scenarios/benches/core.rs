//! How fast the integer core is on the Tehran problems: shortest paths and evaluations.
//!
//! `items` are passes over a whole instance (every demand once) and evaluations of a whole solution.
#![expect(clippy::disallowed_types, reason = "the bench macro keeps its arguments in a static")]

use divan::{Bencher, counter::ItemsCount};
use scenarios::bound::dual_bound;
use scenarios::generate::{CalendarParameters, GenerateParameters, SiteParameters, generate};
use scenarios::{DualPrices, Instance, Kernel, Money, Oracle, ProviderId, Slot, Solution, evaluate};

fn main() {
    divan::main();
}

/// Problems 2 and 4 on every kernel; one that this processor lacks is as fast as the portable one.
const CASES: [(u8, Kernel); 6] = [
    (2, Kernel::Portable),
    (2, Kernel::Avx2),
    (2, Kernel::Avx512),
    (4, Kernel::Portable),
    (4, Kernel::Avx2),
    (4, Kernel::Avx512),
];

fn instance(problem: u8) -> Instance {
    let parameters = GenerateParameters::tehran(problem, true).expect("problems 1 to 4");
    generate(&parameters).expect("the parameters are valid").instance
}

/// Every demand's shortest path once, on one kernel: its cost alone, at zero prices.
#[divan::bench(args = CASES)]
fn least_costs(bencher: Bencher<'_, '_>, (problem, kernel): (u8, Kernel)) {
    let instance = instance(problem);
    let oracle = Oracle::new(&instance.supply).with_kernel(kernel);
    let capacities = instance.supply.capacities();
    bencher.bench_local(|| dual_bound(&oracle, &instance.demands, &capacities, &DualPrices::zero()));
}

/// Every demand's shortest path once, on one kernel: composed.
#[divan::bench(args = CASES)]
fn shortest_paths(bencher: Bencher<'_, '_>, (problem, kernel): (u8, Kernel)) {
    let instance = instance(problem);
    let oracle = Oracle::new(&instance.supply).with_kernel(kernel);
    let prices = DualPrices::zero();
    bencher.bench_local(|| {
        let best = instance.demands.iter().map(|demand| oracle.cheapest(demand, &prices));
        best.flatten().map(|best| best.priced_cost.micros()).sum::<i64>()
    });
}

/// [`least_costs`] of problem 2 on a calendar of so many days, all of them in every demand's window, with prices on this share (in
/// percent) of the slots.
#[divan::bench(args = [(1, 0), (1, 100), (14, 0), (14, 10), (14, 30), (14, 100)])]
fn least_costs_on_a_calendar(bencher: Bencher<'_, '_>, (days, percent): (u32, usize)) {
    let mut parameters = GenerateParameters::tehran(2, true).expect("problems 1 to 4");
    parameters.calendar = (days > 1).then_some(CalendarParameters { days, window_days: None });
    let instance = generate(&parameters).expect("the parameters are valid").instance;
    let oracle = Oracle::new(&instance.supply);
    let capacities = instance.supply.capacities();
    // Spread over the slots, from nothing to 0.1 $ a minute.
    let price = |slot: usize| {
        if slot * 37 % 100 < percent {
            Money::from_micros(i64::try_from(slot * 7_919 % 100_000).expect("small"))
        } else {
            Money::ZERO
        }
    };
    let prices = DualPrices::in_order(instance.supply.horizon, (0..instance.supply.slot_count()).map(price));
    bencher.bench_local(|| dual_bound(&oracle, &instance.demands, &capacities, &prices));
}

/// [`least_costs`] where 64-bit lanes are needed: one offer that nobody takes costs the most there may be.
#[divan::bench(args = CASES)]
fn least_costs_in_wide_lanes(bencher: Bencher<'_, '_>, (problem, kernel): (u8, Kernel)) {
    let mut instance = instance(problem);
    let offer = instance.supply.providers[0].offers.values_mut().next().expect("everybody offers something");
    offer.cost = scenarios::limits::OFFER_COST;
    let oracle = Oracle::new(&instance.supply).with_kernel(kernel);
    let capacities = instance.supply.capacities();
    bencher.bench_local(|| dual_bound(&oracle, &instance.demands, &capacities, &DualPrices::zero()));
}

#[divan::bench(args = [2, 4])]
fn oracle_construction(bencher: Bencher<'_, '_>, problem: u8) {
    let instance = instance(problem);
    bencher.bench_local(|| Oracle::new(&instance.supply));
}

#[divan::bench(args = [2, 4])]
fn evaluation(bencher: Bencher<'_, '_>, problem: u8) {
    let instance = instance(problem);
    let providers = instance.supply.providers.len();
    let serve = |orders: usize| {
        (0..orders).map(|order| Slot::single(ProviderId::from_index(order * 7 % providers))).collect()
    };
    let compositions = instance.demands.iter().map(|demand| Some(serve(demand.orders.len())));
    let solution = Solution { compositions: compositions.collect() };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| evaluate(&instance, &solution));
}

/// One demand of 20 orders, on markets of this many providers in a window of 100 km: how a shortest path's time
/// grows. Tables and priced offers are made beforehand.
#[divan::bench(args = [100, 300, 1_000, 3_000, 10_000], max_time = 2)]
fn one_shortest_path_among_providers(bencher: Bencher<'_, '_>, providers: usize) {
    let instance = instance_of(providers);
    let oracle = Oracle::new(&instance.supply);
    let prices = DualPrices::zero();
    oracle.cheapest(&instance.demands[0], &prices);
    bencher.bench_local(|| oracle.cheapest(&instance.demands[0], &prices));
}

/// What that takes beforehand: tables, and the first answer at new prices.
#[divan::bench(args = [100, 300, 1_000, 3_000, 10_000], max_time = 2)]
fn a_first_shortest_path_among_providers(bencher: Bencher<'_, '_>, providers: usize) {
    let instance = instance_of(providers);
    let prices = DualPrices::zero();
    bencher.bench_local(|| Oracle::new(&instance.supply).cheapest(&instance.demands[0], &prices));
}

fn instance_of(providers: usize) -> Instance {
    let mut parameters = GenerateParameters::tehran(1, false).expect("problem 1");
    parameters.sites = SiteParameters::Uniform;
    parameters.providers = providers.try_into().expect("a few thousand");
    (parameters.demands, parameters.orders_per_demand, parameters.operations) = (1, 20, 20);
    generate(&parameters).expect("the parameters are valid").instance
}
