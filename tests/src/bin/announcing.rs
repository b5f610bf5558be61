//! Announce now, or search on? Paper A's trade-off with its own algorithm and reward: three miners with the same searches on the strips of a
//! scenario, beside rivals who take the demands of a search at a random moment. One announces as soon as it would be accepted, one when its search
//! has ended, one by the policy that nodes follow. `announcing scenarios/tehran/problem-2.json`
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds of searches, and shares to be printed"
)]

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use ga::{Workbench, run};
use miner::files::load_scenario;
use miner_node::strategy::{AnnouncePolicy, Decision, SearchTrace};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use scenarios::reference::{Area, References};
use scenarios::schedule::Achievement;
use scenarios::work::{Algorithm, Goal, Objective, Resources, SubProblem, Termination, Work};
use scenarios::{Demand, DualPrices, Money, Oracle, Scenario, Schedule, SharedSupply};

/// Plays the three miners against rivals of several speeds, and prints what each earns of what there is to earn.
#[derive(Debug, Parser)]
#[command(name = "announcing")]
struct Arguments {
    /// A scenario file without capacities.
    scenario: PathBuf,
    /// Into how many strips it is divided.
    #[arg(long, default_value_t = 2)]
    strips: usize,
    /// Searches of each strip, each from a seed of its own.
    #[arg(long, default_value_t = 10)]
    searches: u64,
    /// How long a whole search takes, in seconds: paper A says 68 for its problem 2.
    #[arg(long, default_value_t = 68.0)]
    seconds: f64,
    /// How often each search is run against a rival.
    #[arg(long, default_value_t = 200)]
    rounds: u64,
    /// Rivals: how often they come, a second.
    #[arg(long, value_delimiter = ',', default_value = "0.002,0.01,0.03,0.1,0.3")]
    hazards: Vec<f64>,
}

/// What a search would earn after each of its generations.
struct Curve {
    rewards: Vec<Money>,
    full: Money,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Miner {
    Greedy,
    Patient,
    Policy,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    ensure!(arguments.seconds > 0.0, "--seconds takes more than 0");
    let scenario = load_scenario(&arguments.scenario)?;
    let mut curves = Vec::new();
    let window = scenario.extent().context("the scenario's sites have no positions")?;
    let references = References::new(scenario.instance.supply.clone(), window, arguments.strips.max(1));
    for strip in 0..arguments.strips.max(1) {
        for rng_seed in 1..=arguments.searches {
            curves.extend(curve(&scenario, &references, Area::Strip(strip), rng_seed));
        }
    }
    ensure!(!curves.is_empty(), "no strip of this scenario has demands of its own");
    let mut out = io::stdout().lock();
    let generations = curves.first().map_or(0, |curve| curve.rewards.len());
    writeln!(
        out,
        "{}: {} searches of {generations} generations in {} s",
        scenario.name,
        curves.len(),
        arguments.seconds
    )?;
    writeln!(out, "% of all fees       greedy  patient   policy")?;
    for &hazard in &arguments.hazards {
        let earned = [Miner::Greedy, Miner::Patient, Miner::Policy]
            .map(|miner| play(miner, &curves, hazard, &arguments));
        writeln!(
            out,
            "a rival in {:>6.0} s {:>7.1} {:>8.1} {:>8.1}",
            1.0 / hazard,
            earned[0],
            earned[1],
            earned[2]
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A search of a strip with the published algorithm; `None` if the strip has no demands.
fn curve(scenario: &Scenario, references: &References, area: Area, rng_seed: u64) -> Option<Curve> {
    let supply = &scenario.instance.supply;
    let own: Vec<&Demand> =
        scenario.instance.demands.iter().filter(|demand| references.area_of(demand) == Some(area)).collect();
    let mut means = references.means();
    let reference: Money = own.iter().filter_map(|demand| means.cost(area, demand)).sum();
    let orders = own.iter().map(|demand| demand.orders.len() as u64).sum();
    let within: std::collections::BTreeSet<_> = supply
        .provider_ids()
        .zip(&supply.providers)
        .filter(|(_, provider)| references.is_within(area, provider.site))
        .map(|(id, _)| id)
        .collect();
    let oracle = Oracle::new(supply);
    let free = DualPrices::zero();
    let least: Money = own
        .iter()
        .filter_map(|demand| {
            Some(oracle.cheapest_among(demand, &free, |slot, _| within.contains(&slot.provider))?.priced_cost)
        })
        .sum();
    let ppm = scenario.network.solver_fee_ppm;
    let full: Money = own.iter().filter_map(|demand| demand.budget.checked_ppm(ppm)).sum();
    let algorithm = Algorithm::Paper(scenario.search.paper);
    let shared = SharedSupply::new(supply.clone());
    let (capacities, prices) = (vec![None; shared.providers.len()], DualPrices::zero());
    let demands: Vec<Demand> = own.into_iter().cloned().collect();
    if demands.is_empty() {
        return None;
    }
    let resources = Resources { supply: shared, capacities, prices, allowed: Some(within) };
    let mut bench = Workbench::start(Work {
        goal: Goal::Compose { algorithm, objective: Objective::Cost },
        problem: SubProblem::new(demands, resources),
        termination: Termination::of(&algorithm),
        rng_seed,
    })
    .ok()?;
    let schedule = Schedule::paper();
    let floor = scenario.network.min_reward_ppm.max(1);
    let mut rewards = Vec::new();
    let mut observe = |bench: &Workbench| {
        if let Some(search) = bench.search() {
            let cost = search.incumbent().1;
            let achievement = Achievement { cost, reduced_cost: cost - least, orders, reference };
            let share = schedule.reward_ppm(&achievement).max(schedule.reward_near_optimum_ppm(&achievement));
            let accepted = if share >= floor { share } else { 0 };
            rewards.push(full.checked_ppm(accepted).unwrap_or(Money::ZERO));
        }
        ControlFlow::Continue(())
    };
    run(&mut bench, None, &mut observe, &AtomicBool::new(false));
    Some(Curve { rewards, full })
}

/// What a miner earns of all fees, in percent, where rivals come so often a second.
fn play(miner: Miner, curves: &[Curve], hazard: f64, arguments: &Arguments) -> f64 {
    let (policy, mut overtaken, mut mining_ms) = (AnnouncePolicy::default(), 0_u32, 0_u64);
    // The same rivals for all miners.
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut earned, mut all) = (0.0, 0.0);
    for _ in 0..arguments.rounds {
        for curve in curves {
            let rival_ms = 1e3 * -uniform(&mut rng).ln() / hazard;
            let step_ms = 1e3 * arguments.seconds / curve.rewards.len() as f64;
            let mut trace = SearchTrace::default();
            let last = curve.rewards.len() - 1;
            let mut at_ms = 0.0;
            let mut announced = None;
            for (generation, &reward) in curve.rewards.iter().enumerate() {
                at_ms = step_ms * (generation + 1) as f64;
                trace.observe(at_ms as u64, reward);
                let known = policy.hazard(overtaken, mining_ms + at_ms as u64);
                let is_time = reward > Money::ZERO
                    && match miner {
                        Miner::Greedy => true,
                        Miner::Patient => false,
                        Miner::Policy => {
                            policy.decide(&trace, reward, curve.full, known) == Decision::Announce
                        }
                    };
                if is_time || generation == last {
                    announced = Some(reward);
                    break;
                }
            }
            let is_overtaken = rival_ms <= at_ms;
            mining_ms += at_ms.min(rival_ms) as u64;
            overtaken += u32::from(is_overtaken);
            all += curve.full.as_f64();
            if let Some(reward) = announced.filter(|_| !is_overtaken) {
                earned += reward.as_f64();
            }
        }
    }
    100.0 * earned / all
}

/// Between 0, without it, and 1.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    ((rng.next_u64() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
}
