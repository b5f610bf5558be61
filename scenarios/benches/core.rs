//! How fast the integer core is on the Tehran problems: shortest paths and evaluations.
//!
//! `items` are passes over a whole instance (every demand once) and evaluations of a whole solution.

use divan::{Bencher, counter::ItemsCount};
use scenarios::generate::{GenerateParameters, generate};
use scenarios::{CapacityPrices, Instance, Oracle, ProviderId, Solution, evaluate};

fn main() {
    divan::main();
}

fn instance(problem: u8) -> Instance {
    let parameters = GenerateParameters::tehran(problem, true).expect("problems 1 to 4");
    generate(&parameters).expect("the parameters are valid").instance
}

#[divan::bench(args = [2, 4])]
fn shortest_path_pass(bencher: Bencher<'_, '_>, problem: u8) {
    let instance = instance(problem);
    let oracle = Oracle::new(&instance.supply);
    let prices = CapacityPrices::zero();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let best = instance.demands.iter().map(|demand| oracle.cheapest(demand, &prices));
        best.flatten().map(|best| best.priced_cost.micros()).sum::<i64>()
    });
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
    let serve =
        |orders: usize| (0..orders).map(|order| ProviderId::from_index(order * 7 % providers)).collect();
    let compositions = instance.demands.iter().map(|demand| Some(serve(demand.orders.len())));
    let solution = Solution { compositions: compositions.collect() };
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| evaluate(&instance, &solution));
}
