//! `miner solve`: composes a scenario centrally, with live progress.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use ga::prices::find_prices;
use ga::{Objective, Problem, Search, Termination};
use scenarios::bound::gap_percent;
use scenarios::{CapacityPrices, Money, Scenario, Solution, evaluate};
use serde::Serialize;

use super::output::{Progress, print, print_json};
use super::{OutputArguments, ScenarioArgument};

/// An algorithm, as named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileArgument {
    /// The published genetic algorithm.
    Paper,
    /// The island-parallel hybrid.
    Hybrid,
}

impl From<ProfileArgument> for scenarios::settings::Profile {
    fn from(argument: ProfileArgument) -> Self {
        match argument {
            ProfileArgument::Paper => Self::Paper,
            ProfileArgument::Hybrid => Self::Hybrid,
        }
    }
}

/// Arguments of `miner solve`.
#[derive(Debug, Args)]
pub(super) struct SolveArguments {
    #[command(flatten)]
    scenario: ScenarioArgument,
    /// The algorithm; the scenario's own if absent.
    #[arg(long)]
    profile: Option<ProfileArgument>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    time: Option<f64>,
    /// Stop after this many evaluations.
    #[arg(long)]
    evaluations: Option<u64>,
    /// Stop when the incumbent is certified this close to the bound, in percent.
    #[arg(long, value_name = "PERCENT")]
    gap: Option<f64>,
    /// Threads; all cores if absent.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Fixes every random choice.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// Write the solution to this file.
    #[arg(long, value_name = "FILE")]
    solution: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    scenario: String,
    profile: scenarios::settings::Profile,
    cost: Money,
    penalised_cost: Money,
    bound: Money,
    gap_percent: f64,
    unserved: Vec<String>,
    evaluations: u64,
    seconds: f64,
    stopped_by: String,
}

pub(super) fn run(arguments: &SolveArguments) -> Result<ExitCode> {
    let scenario = Scenario::load(&arguments.scenario.scenario)?;
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("no threads to search on")?;
    let cancel = Arc::new(AtomicBool::new(false));
    listen_for_interrupts(Arc::clone(&cancel))?;
    let progress = Progress::start(&scenario.name);
    let (solution, report) = pool.install(|| solve(&scenario, arguments, &cancel, &progress))?;
    drop(progress);
    if let Some(path) = &arguments.solution {
        std::fs::write(path, scenario.solution_to_json(&solution))
            .with_context(|| format!("cannot write the solution to {}", path.display()))?;
    }
    if arguments.output.json {
        print_json(&report)?;
    } else {
        print(&text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// SIGINT ends the search with the best found so far; a second one ends the program.
fn listen_for_interrupts(cancel: Arc<AtomicBool>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if cancel.swap(true, Ordering::Relaxed) {
                    #[expect(clippy::exit, reason = "the second interrupt says: at once")]
                    std::process::exit(130);
                }
            }
        });
    });
    Ok(())
}

fn solve(
    scenario: &Scenario,
    arguments: &SolveArguments,
    cancel: &AtomicBool,
    progress: &Progress,
) -> Result<(Solution, Report)> {
    let instance = &scenario.instance;
    let profile = arguments.profile.map_or(scenario.search.profile, Into::into);
    progress.now("finding capacity prices".into());
    let (start, steps) = (CapacityPrices::zero(), scenario.search.hybrid.subgradient_steps);
    let limited = instance.supply.providers.iter().any(|provider| provider.capacity.is_some());
    let capacities = instance.supply.capacities();
    let steps = if limited { steps } else { 1 };
    let priced = find_prices(&instance.supply, &instance.demands, &capacities, &start, steps, cancel)?;
    let problem = Problem::whole(instance.clone()).with_prices(priced.prices, Objective::Cost)?;
    let (ga_profile, mut termination) = match profile {
        scenarios::settings::Profile::Paper => {
            let settings = scenario.search.paper;
            (ga::Profile::Paper(settings), Termination::paper(&settings))
        }
        scenarios::settings::Profile::Hybrid => {
            let settings = scenario.search.hybrid;
            (ga::Profile::Hybrid(settings), Termination::hybrid(&settings))
        }
    };
    limit(&mut termination, arguments)?;
    let mut search = Search::new(problem, ga_profile, arguments.rng_seed, None);
    let mut observer = |now: &ga::Progress| {
        let gap = gap_percent(now.cost, priced.bound);
        progress.now(format!(
            "generation {}, cost {:.0} $, bound {:.0} $, gap {gap:.3} %, {} evaluations",
            now.generation, now.cost, priced.bound, now.evaluations
        ));
        ControlFlow::Continue(())
    };
    let outcome = ga::run(&mut search, &termination, &mut observer, cancel);
    let solution = search.incumbent().0.clone();
    let evaluation = evaluate(instance, &solution);
    anyhow::ensure!(evaluation.is_feasible(), "the judge refuses the solution: {:?}", evaluation.violations);
    let penalised_cost = evaluation.penalised_cost(instance);
    let report = Report {
        scenario: scenario.name.clone(),
        profile,
        cost: evaluation.cost,
        penalised_cost,
        bound: priced.bound,
        gap_percent: gap_percent(penalised_cost, priced.bound),
        unserved: evaluation.unserved.iter().map(|&at| instance.demands[at].name.clone()).collect(),
        evaluations: outcome.progress.evaluations,
        seconds: outcome.elapsed.as_secs_f64(),
        stopped_by: format!("{:?}", outcome.reason).to_lowercase(),
    };
    Ok((solution, report))
}

/// Limits on the command line replace those of the scenario: the first one reached ends the search.
fn limit(termination: &mut Termination, arguments: &SolveArguments) -> Result<()> {
    let SolveArguments { time, evaluations, gap, .. } = arguments;
    if time.is_some() || evaluations.is_some() {
        (termination.time, termination.generations, termination.evaluations) = (None, None, *evaluations);
    }
    if let Some(seconds) = time {
        let limit = Duration::try_from_secs_f64(*seconds).ok();
        termination.time = Some(limit.context("--time takes seconds, 0 or more")?);
    }
    if let Some(percent) = gap {
        anyhow::ensure!((0.0..=100.0).contains(percent), "--gap takes a percentage, 0 to 100");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000")]
        let ppm = (percent * 1e4).round() as u64;
        termination.target_gap_ppm = Some(ppm);
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let Report { scenario, cost, bound, gap_percent, unserved, evaluations, seconds, .. } = report;
    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    let rate = *evaluations as f64 / seconds.max(1e-9);
    let mut lines = vec![
        format!("scenario     {scenario}, profile {:?}", report.profile).to_lowercase(),
        format!("cost         {cost:.2} $"),
        format!("bound        {bound:.2} $ (certified)"),
        format!("gap          {gap_percent:.3} %"),
        format!(
            "evaluations  {evaluations} in {seconds:.2} s ({rate:.0}/s), stopped by {}",
            report.stopped_by
        ),
    ];
    if !unserved.is_empty() {
        lines.push(format!("unserved     {}", unserved.join(", ")));
    }
    lines.join("\n")
}
