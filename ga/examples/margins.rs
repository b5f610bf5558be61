//! Prints, for scenario files on 1 to 4 strips, how far below paper A's reference the best of 1,000 random blocks of
//! several sizes lies, and where the published algorithm and the exact optimum of each strip lie: what the margin of a
//! paper schedule is chosen by.
//!
//! `cargo run --release -p ga --example margins -- scenarios/tehran/problem-*.json`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program with files and a clock"
)]

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use ga::{Workbench, run};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scenarios::reference::{Area, References};
use scenarios::work::{Algorithm, Goal, Objective, Resources, SubProblem, Termination, Work};
use scenarios::{
    Demand, DualPrices, Money, Oracle, ProviderId, Scenario, SharedSupply, Supply, evaluate_composition,
};

const DRAWS: usize = 1_000;
/// Orders of a block.
const SIZES: [usize; 6] = [1, 50, 100, 200, 400, 800];

fn main() {
    for path in std::env::args().skip(1) {
        match load(&path) {
            Ok(scenario) => report(&scenario),
            Err(error) => println!("{path}: {error}"),
        }
    }
}

fn load(path: &str) -> anyhow::Result<Scenario> {
    Ok(Scenario::from_json(&std::fs::read(path)?)?)
}

fn report(scenario: &Scenario) {
    println!(
        "{}: % below the reference; best of {DRAWS} random blocks of so many orders, by demands drawn",
        scenario.name
    );
    println!(
        "  strips  strip  demands  providers     1    50   100   200   400   800   all   GA 10  GA 50  GA best demand  worst demand  exact  least exact"
    );
    let supply = &scenario.instance.supply;
    for strips in 1..=4 {
        let references = References::new(supply.clone(), scenario.extent().unwrap(), strips);
        let mut means = references.means();
        for strip in 0..strips {
            let area = Area::Strip(strip);
            let demands: Vec<(&Demand, i64)> = scenario
                .instance
                .demands
                .iter()
                .filter(|demand| references.area_of(demand) == Some(area))
                .map(|demand| (demand, means.cost(area, demand).unwrap().micros()))
                .collect();
            let within: Vec<ProviderId> = supply
                .provider_ids()
                .filter(|id| references.is_within(area, supply.provider(*id).unwrap().site))
                .collect();
            if demands.is_empty() {
                println!("  {strips} {strip} empty");
                continue;
            }
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            print!("  {strips:>6}{:>7}{:>9}{:>11}", strip + 1, demands.len(), within.len());
            let all: usize = demands.iter().map(|(demand, _)| demand.orders.len()).sum();
            for size in SIZES.into_iter().chain([all]) {
                if size > all {
                    print!("     -");
                    continue;
                }
                let best = (0..DRAWS)
                    .map(|_| random_block(supply, &demands, &within, size, &mut rng))
                    .fold(f64::MIN, f64::max);
                print!("{:>6.1}", 100.0 * best);
            }
            // Published algorithm.
            let reference: i64 = demands.iter().map(|(_, mean)| mean).sum();
            let mut spread = (f64::MIN, f64::MAX);
            for generations in [10, 50] {
                let costs = solve(scenario, &demands, &within, generations);
                let total: i64 = costs.iter().sum();
                print!("{:>7.1}", below(total, reference));
                spread = (f64::MIN, f64::MAX);
                for (cost, (_, mean)) in costs.iter().zip(&demands) {
                    let b = below(*cost, *mean);
                    spread = (spread.0.max(b), spread.1.min(b));
                }
            }
            print!("{:>16.1}{:>14.1}", spread.0, spread.1);
            // Exact.
            let mut part = supply.clone();
            for id in supply.provider_ids() {
                if !within.contains(&id) {
                    part.providers[id.index()].offers.clear();
                }
            }
            let oracle = Oracle::new(&part);
            let exact: Vec<i64> = demands
                .iter()
                .map(|(demand, _)| oracle.cheapest(demand, &DualPrices::zero()).unwrap().priced_cost.micros())
                .collect();
            let least = exact
                .iter()
                .zip(&demands)
                .map(|(cost, (_, mean))| below(*cost, *mean))
                .fold(f64::MAX, f64::min);
            println!("{:>7.1}{:>7.1}", below(exact.iter().sum(), reference), least);
        }
    }
}

fn below(cost: i64, reference: i64) -> f64 {
    100.0 * (1.0 - cost as f64 / reference as f64)
}

/// How far below the reference a random block of so many orders is; negative above it.
fn random_block(
    supply: &Supply,
    demands: &[(&Demand, i64)],
    within: &[ProviderId],
    size: usize,
    rng: &mut ChaCha8Rng,
) -> f64 {
    let (mut orders, mut cost, mut reference) = (0, 0, 0);
    let mut left: Vec<usize> = (0..demands.len()).collect();
    while orders < size && !left.is_empty() {
        let pick = (rng.next_u64() % left.len() as u64) as usize;
        let (demand, mean) = demands[left.swap_remove(pick)];
        orders += demand.orders.len();
        reference += mean;
        let chosen: Vec<ProviderId> = demand
            .orders
            .iter()
            .map(|order| {
                loop {
                    let id = within[(rng.next_u64() % within.len() as u64) as usize];
                    if supply.provider(id).unwrap().offers.contains_key(order) {
                        break id;
                    }
                }
            })
            .collect();
        let free = Demand { budget: Money::from_micros(i64::MAX), ..demand.clone() };
        cost += evaluate_composition(supply, &free, 0, &chosen).unwrap().cost().micros();
    }
    1.0 - cost as f64 / reference as f64
}

fn solve(
    scenario: &Scenario,
    demands: &[(&Demand, i64)],
    within: &[ProviderId],
    generations: u32,
) -> Vec<i64> {
    let mut settings = scenario.search.paper;
    settings.generations = generations as _;
    let mut supply = scenario.instance.supply.clone();
    for provider in &mut supply.providers {
        provider.capacity = None;
    }
    let supply = SharedSupply::new(supply);
    let (capacities, prices) = (supply.capacities(), DualPrices::zero());
    let allowed = Some(within.iter().copied().collect());
    let resources = Resources { supply: supply.clone(), capacities, prices, allowed };
    let algorithm = Algorithm::Paper(settings);
    let mut bench = Workbench::start(Work {
        goal: Goal::Compose { algorithm, objective: Objective::Cost },
        problem: SubProblem::new(demands.iter().map(|(demand, _)| (*demand).clone()).collect(), resources),
        termination: Termination::of(&algorithm),
        rng_seed: 1,
    })
    .expect("a scenario contradicts itself nowhere");
    run(&mut bench, None, &mut |_| ControlFlow::Continue(()), &AtomicBool::new(false));
    let solution = bench.search().expect("composing is a search").incumbent().0;
    demands
        .iter()
        .zip(&solution.compositions)
        .map(|((demand, _), chosen)| {
            evaluate_composition(&supply, demand, 0, chosen.as_ref().unwrap()).unwrap().cost().micros()
        })
        .collect()
}
