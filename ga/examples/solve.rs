//! The shortest way from a scenario file to a solution that somebody else can check: a piece of work is written down,
//! laid on a workbench and worked on for two seconds.
//!
//! `cargo run --release -p ga --example solve -- scenarios/tehran/problem-2-capacitated.json /tmp/solution.json`
#![expect(clippy::print_stdout, reason = "a program that prints a result")]
#![expect(clippy::disallowed_methods, reason = "a program reads its arguments and files")]

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use ga::{Workbench, run};
use scenarios::bound::gap_percent;
use scenarios::work::{Algorithm, Goal, Objective, Resources, SubProblem, Termination, Work};
use scenarios::{DualPrices, Scenario, SharedSupply, evaluate};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("which scenario file?")?;
    let scenario = Scenario::from_json(&std::fs::read(path)?)?;
    let (instance, settings) = (&scenario.instance, &scenario.search);
    let supply = SharedSupply::new(instance.supply.clone());
    let (capacities, prices) = (supply.capacities(), DualPrices::zero());
    let resources = Resources { supply, capacities, prices, allowed: None };
    let mut work = Work {
        goal: Goal::FindPrices,
        problem: SubProblem::new(instance.demands.clone(), resources),
        termination: Termination { generations: Some(200), ..Termination::default() },
        rng_seed: 1,
    };

    // First the dual prices: what a minute of each scarce provider is worth, and what nobody can undercut.
    let found = worked_on(&work, Duration::from_secs_f64(0.4))?.prices().context("a first step")?;
    work.problem.resources.prices = found.prices;

    // Then the search that they guide.
    let algorithm = Algorithm::of(settings.profile, settings);
    work.goal = Goal::Compose { algorithm, objective: Objective::Cost };
    work.termination = Termination { target_gap_ppm: Some(0), ..Termination::default() };
    let bench = worked_on(&work, Duration::from_secs_f64(1.6))?;
    let (solution, _) = bench.search().context("composing is a search")?.incumbent();

    // The search says what it found; what that costs, the evaluator says.
    let cost = evaluate(instance, solution).penalised_cost(instance);
    let (bound, gap) = (found.bound, gap_percent(cost, found.bound));
    println!("cost {cost:.2} $, no plan is cheaper than {bound:.2} $: gap {gap:.3} %");
    if let Some(path) = std::env::args().nth(2) {
        std::fs::write(path, scenario.solution_to_json(solution))?; // for `miner check`
    }
    Ok(())
}

/// A bench on which this work was done for so long, or to its end.
fn worked_on(work: &Work, time: Duration) -> anyhow::Result<Workbench> {
    let mut bench = Workbench::start(work.clone())?;
    run(&mut bench, Some(time), &mut |_| ControlFlow::Continue(()), &AtomicBool::new(false));
    Ok(bench)
}
