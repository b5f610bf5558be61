//! Evaluations per second of both profiles, and steps of the price search (one shortest path per demand each), on
//! the Tehran problems of two sizes.
#![expect(clippy::disallowed_methods, reason = "a benchmark of a scenario file")]

use std::sync::atomic::AtomicBool;

use divan::counter::ItemsCount;
use divan::{Bencher, bench};
use ga::prices::{PriceSearch, find_prices};
use ga::{Algorithm, Objective, Problem, Search};
use scenarios::settings::{HybridGaSettings, PaperGaSettings};
use scenarios::{DualPrices, Instance, Scenario};

static NEVER: AtomicBool = AtomicBool::new(false);

fn main() {
    divan::main();
}

fn instance(problem: &str) -> Instance {
    let path = format!("{}/../scenarios/tehran/problem-{problem}.json", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("a checked-in file");
    Scenario::from_json(&bytes).expect("a scenario").instance
}

/// A search that has stepped often enough to be in its stride.
fn warmed_up(problem: Problem, profile: Algorithm, steps: u32) -> Search {
    let mut search = Search::new(problem, profile, 1, None);
    for _ in 0..steps {
        search.step(&NEVER);
    }
    search
}

/// Evaluations that the next step of a copy of this search makes.
fn evaluations_of_a_step(search: &Search) -> ItemsCount {
    let before = search.progress().evaluations;
    ItemsCount::new(search.clone().step(&NEVER).evaluations - before)
}

#[bench(args = ["2", "4"], max_time = 2)]
fn a_generation_of_the_published_algorithm(bencher: Bencher<'_, '_>, problem: &str) {
    let profile = Algorithm::Paper(PaperGaSettings::default());
    let search = warmed_up(Problem::whole(instance(problem)), profile, 2);
    let evaluations = evaluations_of_a_step(&search);
    let bencher = bencher.counter(evaluations).with_inputs(|| search.clone());
    bencher.bench_local_values(|mut search| search.step(&NEVER));
}

#[bench(args = ["2-capacitated", "4-capacitated"], max_time = 4)]
fn a_generation_of_the_hybrid(bencher: Bencher<'_, '_>, problem: &str) {
    let instance = instance(problem);
    let (supply, demands) = (&instance.supply, &instance.demands);
    let zero = DualPrices::zero();
    let found =
        find_prices(supply, demands, &supply.capacities(), &zero, 100, &NEVER).expect("a bound within range");
    let problem =
        Problem::whole(instance.clone()).with_prices(found.prices, Objective::Cost).expect("suitable prices");
    let search = warmed_up(problem, Algorithm::Hybrid(HybridGaSettings::default()), 6);
    let evaluations = evaluations_of_a_step(&search);
    let bencher = bencher.counter(evaluations).with_inputs(|| search.clone());
    bencher.bench_local_values(|mut search| search.step(&NEVER));
}

#[bench(args = ["2-capacitated", "4-capacitated"], max_time = 2)]
fn a_step_of_the_price_search(bencher: Bencher<'_, '_>, problem: &str) {
    let instance = instance(problem);
    let (supply, demands) = (&instance.supply, &instance.demands);
    let mut search = PriceSearch::new(supply, demands, &supply.capacities(), &DualPrices::zero());
    bencher.counter(ItemsCount::new(demands.len())).bench_local(|| search.step(&NEVER));
}
