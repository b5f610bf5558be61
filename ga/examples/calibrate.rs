//! Prints, for scenario files, what the published algorithm makes of them beside paper A's table 8: centrally
//! and on 2, 3 and 4 strips of equal width, each with its own providers alone; with the random and exact ends.
//!
//! `cargo run --release -p ga --example calibrate -- scenarios/tehran/problem-2.json`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program with files and a clock"
)]

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use ga::exact::{Group, optimum, split_optimum};
use ga::random::random_cost;
use ga::{Workbench, run};
use scenarios::work::{Algorithm, Goal, Objective, Resources, SubProblem, Termination, Work};
use scenarios::{DualPrices, Money, Scenario, SharedSupply, Site, evaluate};

/// The published algorithm is run with these seeds; their mean is printed.
const RNG_SEEDS: std::ops::Range<u64> = 1..11;

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
    let instance = &scenario.instance;
    let optimum = optimum(instance).unwrap_or_default();
    let random = random_cost(instance, 200, 1).map(|cost| cost.mean).unwrap_or_default();
    println!("{}: random {random:.0}, exact optimum {optimum:.0}", scenario.name);
    println!("  strips      mean      least       most  published  off by  slowest  exact split");
    for strips in 1..=4 {
        let groups = strip_groups(scenario, strips);
        let runs: Vec<(Money, Duration)> =
            RNG_SEEDS.map(|rng_seed| solve_strips(scenario, &groups, rng_seed)).collect();
        let costs = runs.iter().map(|run| run.0);
        let count = i64::try_from(runs.len()).unwrap_or(1);
        let mean = Money::from_micros(costs.clone().sum::<Money>().micros() / count);
        let (least, most) = (costs.clone().min().unwrap_or_default(), costs.max().unwrap_or_default());
        let slowest = runs.iter().map(|run| run.1).max().unwrap_or_default();
        let solvers = u32::try_from(strips).unwrap_or(u32::MAX);
        let published = scenario.experiment.published(solvers).map_or(Money::ZERO, |result| result.cost);
        let off = (mean.as_f64() / published.as_f64() - 1.0) * 100.0;
        let split = split_optimum(instance, &groups);
        println!(
            "  {strips:>6}{mean:>10.0}{least:>11.0}{most:>11.0}{published:>11.0}{off:>7.1}%{:>8.2}s{split:>13.0}",
            slowest.as_secs_f64()
        );
    }
}

/// Who and what lies in each strip.
fn strip_groups(scenario: &Scenario, strips: usize) -> Vec<Group> {
    let instance = &scenario.instance;
    let strip = |site: Site| scenario.extent().map_or(0, |window| window.strip(site, strips));
    let group = |number: usize| Group {
        demands: (0..instance.demands.len())
            .filter(|&demand| strip(instance.demands[demand].site) == number)
            .collect(),
        providers: instance
            .supply
            .provider_ids()
            .filter(|id| strip(instance.supply.providers[id.index()].site) == number)
            .collect(),
    };
    (0..strips).map(group).collect()
}

/// The cost of all strips, each solved alone with its own providers, and the longest time one took.
fn solve_strips(scenario: &Scenario, groups: &[Group], rng_seed: u64) -> (Money, Duration) {
    let settings = scenario.search.paper;
    let mut cost = Money::ZERO;
    let mut slowest = Duration::ZERO;
    for group in groups {
        let part = scenario.instance.with_demands(&group.demands);
        let supply = SharedSupply::new(part.supply.clone());
        let (capacities, prices) = (supply.capacities(), DualPrices::zero());
        let allowed = Some(group.providers.iter().copied().collect());
        let resources = Resources { supply, capacities, prices, allowed };
        let algorithm = Algorithm::Paper(settings);
        let begin = Instant::now();
        let bench = Workbench::start(Work {
            goal: Goal::Compose { algorithm, objective: Objective::Cost },
            problem: SubProblem::new(part.demands.clone(), resources),
            termination: Termination::of(&algorithm),
            rng_seed,
        });
        let mut bench = bench.expect("a scenario contradicts itself nowhere");
        run(&mut bench, None, &mut |_| ControlFlow::Continue(()), &AtomicBool::new(false));
        slowest = slowest.max(begin.elapsed());
        let search = bench.search().expect("composing is a search");
        let evaluation = evaluate(&part, search.incumbent().0);
        assert!(evaluation.is_complete(), "capacities and budgets do not bind here");
        cost += evaluation.cost;
    }
    (cost, slowest)
}
