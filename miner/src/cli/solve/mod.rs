//! `miner solve`: composes a scenario centrally, with live progress. The search is `ga`'s, the verdict the
//! evaluator's; here are the limits on the command line, the watch over the search and the way it ends.

mod first;
mod report;
mod watch;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use ga::{Algorithm, CentralOutcome, CentralPlan, StopReason, StoppedBy, Termination, solve_centrally};
use scenarios::settings::Profile;
use scenarios::shortage::{NamedShortage, find_shortages};
use scenarios::{Scenario, Solution};

use super::output::{Progress, print, print_json};
use super::{OutputArguments, ScenarioArgument};
use crate::files::load_scenario;
use first::compose_in_order;
pub(crate) use report::End;
use report::Report;
use watch::Watch;

/// An algorithm, as named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProfileArgument {
    /// The published genetic algorithm.
    Paper,
    /// The island-parallel hybrid.
    Hybrid,
}

impl From<ProfileArgument> for Profile {
    fn from(argument: ProfileArgument) -> Self {
        match argument {
            ProfileArgument::Paper => Self::Paper,
            ProfileArgument::Hybrid => Self::Hybrid,
        }
    }
}

const ENDINGS: &str = "\
The first limit reached ends the search; without --time and --evaluations those of the scenario hold. An \
incumbent that is certified optimal always ends it.

Exit code: 0 with a feasible solution, even if it leaves demands unserved (the report says which and why) and \
also after an interrupt (SIGINT, Ctrl-C), which ends the search with the best found so far; 130 after a second \
interrupt, which ends the program at once and writes nothing; 2 on wrong usage or input.";

/// Arguments of `miner solve`.
#[derive(Debug, Args)]
#[command(after_long_help = ENDINGS, after_help = "--help tells how a search ends and what the exit code says.")]
pub(super) struct SolveArguments {
    #[command(flatten)]
    scenario: ScenarioArgument,
    /// The algorithm; the scenario's own if absent.
    #[arg(long)]
    profile: Option<ProfileArgument>,
    /// Stop after this many seconds, dual prices included.
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
    /// Show progress once a second even where stderr is no terminal, a line each time.
    #[arg(long)]
    progress: bool,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn run(arguments: &SolveArguments) -> Result<ExitCode> {
    let scenario = load_scenario(&arguments.scenario.scenario)?;
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("no threads to search on")?;
    let plan = Plan::new(&scenario, arguments)?;
    let progress = Progress::start(&scenario.name);
    let shortages: Vec<NamedShortage> =
        find_shortages(&scenario.instance).iter().map(|shortage| shortage.named(&scenario)).collect();
    for shortage in &shortages {
        progress.note(&format!("not every demand can be served: {shortage}"));
    }
    let watch = Watch::begin(&plan.central);
    watch.listen_for_interrupts()?;
    let shown = arguments.progress || progress.is_terminal();
    let show = |line| {
        if shown {
            progress.line(line);
        }
    };
    let (solution, end) = watched(&scenario, &plan, &watch, &pool, show)?;
    drop(progress);
    let report = pool.install(|| Report::new(&scenario, plan.name, &solution, &end, shortages))?;
    if let Some(path) = &arguments.solution {
        std::fs::write(path, scenario.solution_to_json(&solution))
            .with_context(|| format!("cannot write the solution to {}", path.display()))?;
    }
    if arguments.output.json {
        print_json(&report)?;
    } else {
        print(&report.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Solves for this long with the scenario's own search: what `miner bench` measures.
pub(crate) fn solve_for(
    scenario: &Scenario,
    time: Duration,
    pool: &rayon::ThreadPool,
) -> Result<(Solution, End)> {
    let mut plan = Plan::of(scenario, scenario.search.profile, 1);
    (plan.central.termination, plan.central.time) = (Termination::default(), Some(time));
    watched(scenario, &plan, &Watch::begin(&plan.central), pool, |_| {})
}

/// Searches on the pool's threads while a thread of its own watches.
fn watched(
    scenario: &Scenario,
    plan: &Plan,
    watch: &Watch,
    pool: &rayon::ThreadPool,
    show: impl Fn(String) + Send,
) -> Result<(Solution, End)> {
    std::thread::scope(|scope| {
        let ticker = scope.spawn(move || watch.tick(show));
        let _ticking = watch.until_dropped(ticker.thread());
        pool.install(|| search(scenario, plan, watch))
    })
}

/// What is run and how long.
struct Plan {
    name: Profile,
    central: CentralPlan,
}

impl Plan {
    fn new(scenario: &Scenario, arguments: &SolveArguments) -> Result<Self> {
        let name = arguments.profile.map_or(scenario.search.profile, Into::into);
        let mut plan = Self::of(scenario, name, arguments.rng_seed);
        limit(&mut plan.central, arguments)?;
        Ok(plan)
    }

    /// What the scenario itself says.
    fn of(scenario: &Scenario, name: Profile, rng_seed: u64) -> Self {
        // Where nothing is scarce, prices are zero and one step certifies the exact optimum.
        let limited = scenario.instance.supply.capacities().iter().any(Option::is_some);
        let price_steps = if limited { scenario.search.hybrid.subgradient_steps } else { 1 };
        let mut central = CentralPlan::of(Algorithm::of(name, &scenario.search), rng_seed, price_steps);
        // The time on the command line and in the scenario is that of everything, prices included.
        central.time = central.termination.time_ms.take().map(Duration::from_millis);
        Self { name, central }
    }
}

/// Limits on the command line replace those of the scenario.
fn limit(plan: &mut CentralPlan, arguments: &SolveArguments) -> Result<()> {
    let SolveArguments { time, evaluations, gap, .. } = arguments;
    if time.is_some() || evaluations.is_some() {
        plan.termination = Termination { evaluations: *evaluations, ..Termination::default() };
        plan.time = None;
    }
    if let Some(seconds) = time {
        let limit = Duration::try_from_secs_f64(*seconds).ok();
        plan.time = Some(limit.context("--time takes seconds, 0 or more")?);
    }
    if let Some(percent) = gap {
        anyhow::ensure!((0.0..=100.0).contains(percent), "--gap takes a percentage, 0 to 100");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000,000")]
        let ppm = (percent * 1e4).round() as u64;
        plan.termination.target_gap_ppm = Some(ppm);
    }
    Ok(())
}

fn search(scenario: &Scenario, plan: &Plan, watch: &Watch) -> Result<(Solution, End)> {
    let instance = &scenario.instance;
    let mut observer = |search: &ga::Search| watch.saw(&search.progress());
    let outcome = solve_centrally(instance, &plan.central, &mut observer, watch.flags())?;
    let stopped_by = match outcome.stopped_by {
        StoppedBy::Optimum => "optimum",
        StoppedBy::Stall => "stall",
        StoppedBy::Limit(reason) => match reason {
            StopReason::Generations => "generations",
            StopReason::Evaluations => "evaluations",
            StopReason::TargetGap => "gap",
            StopReason::Cancelled if watch.is_interrupted() => "interrupt",
            StopReason::Time | StopReason::Cancelled | StopReason::Observer => "time",
        },
    };
    let CentralOutcome { mut solution, prices, bound, progress, search_time, .. } = outcome;
    if solution.compositions.iter().all(Option::is_none) {
        solution = compose_in_order(instance, &prices);
    }
    let bound = bound.context("a plan with prices has a bound")?;
    let (seconds, search_seconds) = (watch.elapsed().as_secs_f64(), search_time.as_secs_f64());
    Ok((
        solution,
        End { prices, bound, evaluations: progress.evaluations, seconds, search_seconds, stopped_by },
    ))
}
