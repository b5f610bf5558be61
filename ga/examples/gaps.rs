//! Prints how close the hybrid search comes to the certified bound of scenario files, and how fast.
//!
//! `cargo run --release -p ga --example gaps -- [--seconds 5,30] [--seeds 1,2,3] [--threads 2] [--evaluations N] FILE[=COST] ...`
//!
//! `COST` is a reference to compare with. The seconds are wall time from the loaded file on, prices included; every
//! cost is the independent evaluator's. One row per file, the median over the seeds after each time; then how much of
//! the last distance from the bound is the value of capacity left unused (the rest is reduced cost). With a limit
//! on evaluations, which may end a run earlier, searches compare fairly on a machine that is not idle.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program with files and a clock"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ga::{Algorithm, CentralPlan, Flags, Search, Termination, solve_centrally};
use scenarios::bound::gap_percent;
use scenarios::{DualPrices, Evaluation, Instance, Money, Scenario, Solution, Supply, evaluate};

/// What the command line asks for.
struct Arguments {
    seconds: Vec<f64>,
    rng_seeds: Vec<u64>,
    threads: usize,
    evaluations: Option<u64>,
    files: Vec<(String, Option<f64>)>,
}

/// Where one run stood after each of the times asked for.
struct Run {
    bound: Money,
    costs: Vec<Money>,
    /// What the last solution leaves unused of each provider's capacity, at its price.
    unused: Money,
    evaluations: u64,
}

impl Run {
    /// How much of the last solution's distance from the bound is capacity left unused, in per cent.
    fn share_unused(&self) -> Option<f64> {
        let distance = self.costs.last()?.as_f64() - self.bound.as_f64();
        (distance > 0.0).then(|| self.unused.as_f64() / distance * 100.0)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = parse(std::env::args().skip(1))?;
    rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global()?;
    println!("certified bound; then the median cost, % above the bound, % above the reference (if given)");
    for (path, reference) in &arguments.files {
        let scenario = Scenario::from_json(&std::fs::read(path)?)?;
        let runs: Vec<Run> = arguments
            .rng_seeds
            .iter()
            .map(|&rng_seed| search(&scenario, &arguments, rng_seed))
            .collect::<anyhow::Result<_>>()?;
        report(&scenario.name, &arguments.seconds, &runs, *reference);
    }
    Ok(())
}

fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Arguments> {
    let mut arguments = Arguments {
        seconds: vec![5.0, 30.0],
        rng_seeds: vec![1, 2, 3],
        threads: 2,
        evaluations: None,
        files: Vec::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--seconds" => arguments.seconds = list(&value()?)?,
            "--seeds" => arguments.rng_seeds = list(&value()?)?,
            "--evaluations" => arguments.evaluations = Some(value()?.parse()?),
            "--threads" => arguments.threads = value()?.parse()?,
            file => arguments.files.push(match file.split_once('=') {
                Some((path, cost)) => (path.into(), Some(cost.parse()?)),
                None => (file.into(), None),
            }),
        }
    }
    let ascending = arguments.seconds.is_sorted() && !arguments.seconds.is_empty();
    ensure!(ascending && !arguments.rng_seeds.is_empty(), "expected ascending seconds and at least one seed");
    Ok(arguments)
}

fn list<T: std::str::FromStr>(words: &str) -> Result<Vec<T>, T::Err> {
    words.split(',').map(str::parse).collect()
}

fn search(scenario: &Scenario, arguments: &Arguments, rng_seed: u64) -> anyhow::Result<Run> {
    let begin = Instant::now();
    let marks: Vec<Duration> = arguments
        .seconds
        .iter()
        .map(|&seconds| Duration::try_from_secs_f64(seconds))
        .collect::<Result<_, _>>()?;
    let settings = scenario.search.hybrid;
    let plan = CentralPlan {
        termination: Termination { evaluations: arguments.evaluations, ..Termination::default() },
        time: marks.last().copied(),
        ..CentralPlan::of(Algorithm::Hybrid(settings), rng_seed, settings.subgradient_steps)
    };
    let mut costs = Vec::new();
    let mut observer = |search: &Search| {
        while marks.get(costs.len()).is_some_and(|&mark| begin.elapsed() >= mark) {
            costs.push(judged(&scenario.instance, search.incumbent().0).map(|judged| judged.0));
        }
    };
    let outcome = solve_centrally(&scenario.instance, &plan, &mut observer, &Flags::default())?;
    let (last, evaluation) = judged(&scenario.instance, &outcome.solution)?;
    let mut costs: Vec<Money> = costs.into_iter().collect::<anyhow::Result<_>>()?;
    costs.truncate(marks.len() - 1);
    costs.resize(marks.len(), last); // a search that ends early leaves what it found
    Ok(Run {
        bound: outcome.bound.context("prices were looked for")?,
        costs,
        unused: value_of_unused(&scenario.instance.supply, &outcome.prices, &evaluation),
        evaluations: outcome.progress.evaluations,
    })
}

/// What a solution costs, budgets of unserved demands included, by the independent evaluator.
fn judged(instance: &Instance, solution: &Solution) -> anyhow::Result<(Money, Evaluation)> {
    let evaluation = evaluate(instance, solution);
    ensure!(evaluation.is_feasible(), "the evaluator found {:?}", evaluation.violations);
    Ok((evaluation.penalised_cost(instance), evaluation))
}

/// The minutes a solution leaves unused, at the price of a minute of each slot. A solution's distance from the
/// bound is exactly this and what its compositions cost, prices included, beyond the cheapest (its reduced cost).
fn value_of_unused(supply: &Supply, prices: &DualPrices, evaluation: &Evaluation) -> Money {
    let used = |slot| evaluation.minutes.get(&slot).copied().unwrap_or(0);
    let unused = prices
        .iter()
        .filter_map(|(slot, price)| Some((supply.capacity_of(slot)? - used(slot)) * price.micros()));
    Money::from_micros(unused.sum())
}

fn report(name: &str, seconds: &[f64], runs: &[Run], reference: Option<f64>) {
    let bound = runs.iter().map(|run| run.bound).max().unwrap_or_default();
    print!("{name:<24} {bound:>12.2}");
    for (position, limit) in seconds.iter().enumerate() {
        let mut costs: Vec<Money> = runs.iter().map(|run| run.costs[position]).collect();
        costs.sort_unstable();
        let median = costs[costs.len() / 2];
        print!(" | {limit:>4} s {median:>12.2} {:>7.3}%", gap_percent(median, bound));
        if let Some(reference) = reference {
            print!(" {:>+7.3}%", (median.as_f64() / reference - 1.0) * 100.0);
        }
    }
    let last = seconds.last().copied().unwrap_or(1.0);
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    let rate = runs.iter().map(|run| run.evaluations as f64).sum::<f64>() / runs.len() as f64 / last;
    let mut shares: Vec<f64> = runs.iter().filter_map(Run::share_unused).collect();
    shares.sort_unstable_by(f64::total_cmp);
    if let Some(share) = shares.get(shares.len() / 2) {
        print!(" | {share:>3.0}% of it unused capacity");
    }
    println!(" | {rate:.0} evaluations/s");
}
