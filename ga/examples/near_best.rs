//! Prints how many compositions of good plans a market refuses that asks each to be near the best of what is left for its
//! demand, by how near: what the parameter `near_best_ppm` is chosen by.
//!
//! `cargo run --release -p ga --example near_best -- [--seconds 5] FILE ...`
//!
//! Each file's plan and prices are the centralised search's. Its compositions take effect one after another in the order of
//! a batch, the least reduced cost for its cost first. Whatever a row says is refused, somebody else could compose
//! for less at once; whoever composes with a friend's help can take at most that share of what a demand costs.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program with files")]

use std::time::Duration;

use anyhow::Context;
use ga::{Algorithm, CentralPlan, Flags, Termination, solve_centrally};
use scenarios::bound::demand_bound;
use scenarios::{CompositionEvaluation, DualPrices, Money, Oracle, Scenario, evaluate};

/// Shares of the cost, in per cent.
const SHARES: [f64; 6] = [0.5, 1.0, 2.0, 3.0, 5.0, 10.0];

fn main() -> anyhow::Result<()> {
    let (mut seconds, mut files) = (5.0, Vec::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = words.next().context("--seconds needs a value")?.parse()?,
            _ => files.push(word),
        }
    }
    print!("{:<34} {:>7} {:>9}", "file", "demands", "dearest %");
    for share in SHARES {
        print!(" {:>7}", format!("> {share}%"));
    }
    println!("   (refused at that share)");
    for path in files {
        let scenario = Scenario::from_json(&std::fs::read(&path)?)?;
        let beyond = beyond_the_best(&scenario, Duration::try_from_secs_f64(seconds)?)?;
        let dearest = beyond.iter().copied().fold(0.0, f64::max);
        print!("{:<34} {:>7} {dearest:>9.2}", scenario.name, beyond.len());
        for share in SHARES {
            print!(" {:>7}", beyond.iter().filter(|&&beyond| beyond > share).count());
        }
        println!();
    }
    Ok(())
}

/// How much dearer than the best of what is left each composition of a good plan is, in per cent.
fn beyond_the_best(scenario: &Scenario, time: Duration) -> anyhow::Result<Vec<f64>> {
    let (instance, settings) = (&scenario.instance, scenario.search.hybrid);
    let plan = CentralPlan {
        termination: Termination::default(),
        time: Some(time),
        ..CentralPlan::of(Algorithm::Hybrid(settings), 1, settings.subgradient_steps)
    };
    let outcome = solve_centrally(instance, &plan, &mut |_| {}, &Flags::default())?;
    let (oracle, prices) = (Oracle::new(&instance.supply), &outcome.prices);
    let evaluation = evaluate(instance, &outcome.solution);
    let mut order: Vec<(i64, usize, &CompositionEvaluation)> = Vec::new();
    for (position, composition) in evaluation.compositions.iter().enumerate() {
        let Some(composition) = composition else { continue };
        let least = demand_bound(&oracle, &instance.demands[position], prices);
        let loss = (priced(composition, prices) - least).micros() * 1_000_000;
        order.push((loss / composition.cost().micros().max(1), position, composition));
    }
    order.sort_by_key(|&(loss, position, _)| (loss, position));
    let mut left = instance.supply.capacities();
    let mut beyond = Vec::new();
    for (_, position, composition) in order {
        let demand = &instance.demands[position];
        let best = oracle
            .carried(demand, prices, &left)
            .map(|found| (found.priced_cost, priced(composition, prices)));
        let best = best.or_else(|| {
            let found = oracle.carried(demand, &DualPrices::zero(), &left)?;
            Some((found.priced_cost, composition.cost()))
        });
        if let Some((best, got)) = best {
            beyond.push((got.as_f64() / best.as_f64() - 1.0) * 100.0);
        }
        for (slot, minutes) in &composition.minutes {
            let place = oracle
                .supply()
                .horizon
                .position(*slot)
                .expect("a feasible composition is within the horizon");
            left[place] = left[place].map(|left| left - minutes);
        }
    }
    Ok(beyond)
}

fn priced(composition: &CompositionEvaluation, prices: &DualPrices) -> Money {
    let charges = composition.minutes.iter().map(|(&slot, &minutes)| prices.charge(slot, minutes));
    composition.cost() + charges.sum::<Money>()
}
