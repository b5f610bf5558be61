//! `miner compare`, the main job: random assignment, the centralised search and networks of real miner
//! processes on the same scenarios, in one table.
//!
//! [`central`] runs the baseline, [`random`] is what chance would do, [`setup`] makes a genesis, [`network`] runs the processes, [`journal`]
//! gathers what they say, [`mod@audit`] verifies their chains afterwards, [`report`] is the result as data and
//! `table` as text. [`arrivals`] asks another question: what if demands arrive over time?

pub mod arrivals;
pub mod audit;
pub mod central;
pub mod journal;
pub mod network;
pub mod random;
pub mod report;
pub mod setup;
mod table;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use chain::genesis::scenario_demand_records;
use chain::{DemandId, Network, Record, SecretKey};
use clap::{Args, ValueEnum};
use scenarios::settings::{Profile, Split};
use scenarios::unserved::explain;
use scenarios::{Money, Scenario};

use crate::cli::{OutputArguments, ProfileArgument, Progress, print, print_json};
use crate::files::load_scenario;
use arrivals::{ArrivalArguments, Experiment};
use audit::{Audited, audit};
use journal::Journal;
use miner_node::strategy::Strategy;
use network::{NodeProcesses, Plan, is_composed, is_settled, validators_answering};
use report::{Bound, CentralRun, Comparison, NetworkRun, improvement_percent};
use setup::Members;

/// What is run when no file is named.
const DEFAULT_FILES: [&str; 2] =
    ["scenarios/tehran/problem-2.json", "scenarios/tehran/problem-2-capacitated.json"];
/// Between two looks at a running network.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// Arguments of `miner compare`.
#[derive(Debug, Args)]
pub struct CompareArguments {
    /// Scenario files; problem 2 without and with capacities if none is named.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Numbers of miners, one network each [default: 2,3,4; with --arrivals: 4].
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    miners: Vec<usize>,
    /// Algorithms; each scenario's own if absent.
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME")]
    profile: Vec<ProfileArgument>,
    /// Add one miner whose cell overlaps those of two others (always so when no file is named and
    /// capacities are limited).
    #[arg(long)]
    roaming: bool,
    /// How miners share out the demands: one network each; as the scenario says if absent.
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME")]
    strategy: Vec<StrategyArgument>,
    /// Fixes every random choice of the searches.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// Search for this many seconds (profile hybrid): the centre, and each network from the start signal on,
    /// composing and then amending. As the scenario says if absent.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Option<f64>,
    /// Threads of the centralised search (profile hybrid); all cores if absent, as the miners share them too.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Give a network up after this many seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    patience: u64,
    /// Let miners send their blocks in clear, to be copied by whoever sees them, instead of committing to them first.
    #[arg(long)]
    in_clear: bool,
    /// Keep keys, configurations, stores and logs of all nodes here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    arrivals: ArrivalArguments,
    #[command(flatten)]
    output: OutputArguments,
}

impl CompareArguments {
    fn miners(&self) -> &[usize] {
        match (self.miners.as_slice(), self.arrivals.arrivals) {
            ([], true) => &[4],
            ([], false) => &[2, 3, 4],
            (given, _) => given,
        }
    }

    fn strategies(&self) -> Vec<Option<Strategy>> {
        if self.strategy.is_empty() {
            return vec![None];
        }
        self.strategy.iter().map(|&strategy| Some(strategy.into())).collect()
    }

    fn profiles(&self, scenario: &Scenario) -> Vec<Profile> {
        if self.profile.is_empty() {
            return vec![scenario.search.profile];
        }
        self.profile.iter().map(|&profile| profile.into()).collect()
    }
}

/// [`Strategy`] as the command line names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StrategyArgument {
    /// Balanced geographic cells.
    Cells,
    /// Equal strips of the map, each with its own providers (paper A).
    Strips,
    /// Equal shares by the rarest operation of each demand.
    Operations,
    /// Equal shares by the scarcest provider each demand would use.
    ScarceProviders,
    /// Everybody after everything.
    Everything,
}

impl From<StrategyArgument> for Strategy {
    fn from(argument: StrategyArgument) -> Self {
        match argument {
            StrategyArgument::Cells => Self::Cells,
            StrategyArgument::Strips => Self::Strips,
            StrategyArgument::Operations => Self::Operations,
            StrategyArgument::ScarceProviders => Self::ScarceProviders,
            StrategyArgument::Everything => Self::Everything,
        }
    }
}

/// Runs the comparison.
///
/// # Errors
/// If a file is wrong or a process cannot be run. A check that fails is no error but exit code 1.
pub fn run(arguments: &CompareArguments) -> Result<ExitCode> {
    let is_default = arguments.files.is_empty();
    let files = if is_default { DEFAULT_FILES.map(PathBuf::from).to_vec() } else { arguments.files.clone() };
    ensure!(
        arguments.miners().iter().all(|&miners| (1..=64).contains(&miners)),
        "--miners takes numbers from 1 to 64"
    );
    let temporary = tempfile::tempdir().context("cannot create a temporary directory")?;
    let directory = arguments.out.as_deref().unwrap_or(temporary.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if arguments.arrivals.arrivals {
        return run_arrivals(arguments, directory, &runtime);
    }
    let mut comparisons = Vec::new();
    for file in &files {
        let mut scenario = load(file, is_default)?;
        if let Some(seconds) = arguments.seconds {
            // Nothing but the time is to end the hybrid, else a small market would not use what it is given.
            (scenario.search.hybrid.seconds, scenario.search.hybrid.generations) = (seconds, u32::MAX);
        }
        for profile in arguments.profiles(&scenario) {
            let roaming = arguments.roaming || (is_default && profile == Profile::Hybrid);
            let job = Job { scenario: &scenario, profile, roaming, directory, arguments };
            let comparison = job.run(&runtime)?;
            if !arguments.output.json {
                print(&table::render(&comparison))?;
            }
            comparisons.push(comparison);
        }
    }
    if arguments.output.json {
        print_json(&comparisons)?;
    }
    let failures: Vec<String> = comparisons.iter().flat_map(Comparison::failures).collect();
    if failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for failure in failures {
        eprintln!("check failed: {failure}");
    }
    Ok(ExitCode::FAILURE)
}

/// `compare --arrivals`: the same files and networks, another question.
fn run_arrivals(
    arguments: &CompareArguments,
    directory: &Path,
    runtime: &tokio::runtime::Runtime,
) -> Result<ExitCode> {
    let is_default = arguments.files.is_empty();
    let files = if is_default { vec![PathBuf::from(DEFAULT_FILES[1])] } else { arguments.files.clone() };
    let mut reports = Vec::new();
    for file in &files {
        let scenario = load(file, is_default)?;
        for profile in arguments.profiles(&scenario) {
            let experiment = Experiment {
                scenario: &scenario,
                profile,
                miners: arguments.miners(),
                rng_seed: arguments.rng_seed,
                directory,
                arguments: &arguments.arrivals,
            };
            reports.push(experiment.run(runtime, arguments.output.json)?);
        }
    }
    arrivals::conclude(&reports, arguments.output.json)
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    let is_possible = Duration::try_from_secs_f64(seconds).is_ok_and(|time| !time.is_zero());
    if is_possible { Ok(seconds) } else { Err("expected a positive number of seconds".into()) }
}

fn load(file: &Path, is_default: bool) -> Result<Scenario> {
    if is_default && !file.exists() {
        bail!(
            "{} is not here: run this at the root of the repository, or name scenario files",
            file.display()
        );
    }
    Ok(load_scenario(file)?)
}

/// One scenario under one profile.
struct Job<'a> {
    scenario: &'a Scenario,
    profile: Profile,
    roaming: bool,
    directory: &'a Path,
    arguments: &'a CompareArguments,
}

impl Job<'_> {
    fn run(&self, runtime: &tokio::runtime::Runtime) -> Result<Comparison> {
        let Self { scenario, profile, .. } = *self;
        let instance = &scenario.instance;
        let progress = Progress::start(&format!("{} ({profile:?})", scenario.name).to_lowercase());
        progress.note(&format!("== {}, profile {profile:?}", scenario.name).to_lowercase());
        progress.now("bounding".into());
        let bound = central::bound(scenario)?;
        progress.now("centralised search".into());
        let observe = |now: &ga::Progress| {
            progress.now(format!("centralised search: generation {}, {:.0} $", now.generation, now.cost));
        };
        let threads = self.arguments.threads.map_or_else(std::thread::available_parallelism, Ok);
        let threads = threads.unwrap_or(NonZeroUsize::MIN);
        let seed = self.arguments.rng_seed;
        let central = central::run(scenario, profile, seed, threads, &bound, &observe)?;
        let unserved = match central.unserved.len() {
            0 => String::new(),
            count => format!(" with the budgets of {count} unserved"),
        };
        progress.note(&format!(
            "central: {:.0} ${unserved} in {:.2} s of CPU time, {:.2} % above the {}",
            central.penalised_cost,
            central.cpu_seconds,
            central.gap_percent,
            if bound.is_exact { "optimum" } else { "certified bound" }
        ));
        let mut networks = Vec::new();
        for &miners in self.arguments.miners() {
            for strategy in self.arguments.strategies() {
                let yardstick = (&bound, &central);
                networks.push(runtime.block_on(self.run_network(miners, strategy, yardstick, &progress))?);
            }
        }
        Ok(Comparison {
            scenario: scenario.name.clone(),
            profile,
            size: (instance.supply.providers.len(), instance.demands.len(), instance.order_count()),
            random: random::run(scenario, &bound),
            bound,
            central,
            networks,
            // Paper A has no capacities: beside a capacitated market its figures would mean nothing.
            published: if bound.is_exact { scenario.experiment.published.clone() } else { Vec::new() },
        })
    }

    async fn run_network(
        &self,
        miners: usize,
        strategy: Option<Strategy>,
        (bound, central): (&Bound, &CentralRun),
        progress: &Progress,
    ) -> Result<NetworkRun> {
        let Self { scenario, profile, .. } = *self;
        let roaming = usize::from(self.roaming);
        let keys: Vec<SecretKey> = (0..miners + roaming)
            .map(|index| SecretKey::for_scenario(self.arguments.rng_seed, "miner", index as u64))
            .collect();
        let nodes: Vec<_> = keys.iter().map(SecretKey::public).collect();
        let members = Members { miners, validators: nodes.len(), nodes };
        let (in_clear, seed) = (self.arguments.in_clear, self.arguments.rng_seed);
        let network = Arc::new(setup::network(scenario, profile, members, in_clear, seed)?);
        let records = self.records(&network);
        let demands: Vec<DemandId> = records.iter().map(Record::id).collect();
        let shared = strategy.map(|strategy| format!("-{strategy:?}")).unwrap_or_default();
        let name = format!("{}-{profile:?}-{miners}-miners{shared}", scenario.name).to_lowercase();
        let directory = self.directory.join(name);
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let plan = Plan {
            scenario,
            profile,
            network: &network,
            keys: &keys,
            miners,
            directory: &directory,
            rng_seed: self.arguments.rng_seed,
            strategy,
            program: &program,
            adjust: |_, _| {},
        };
        progress.note(&format!(
            "-- {miners} miners{shared}{}",
            if self.roaming { " and one that roams" } else { "" }
        ));
        progress.now("starting processes".into());
        let mut processes = NodeProcesses::start(&plan).await?;
        processes.submit(&records).await?;
        processes.converge(records.len()).await?;
        let mut journal = Journal::new(network.validators().total_power(), network::numbers(&keys));
        let started = Instant::now();
        processes.start_mining().await?;
        let watched = self.watch(&plan, &mut processes, &mut journal, progress, started).await;
        processes.stop().await;
        watched?;
        progress.now("verifying every chain from genesis".into());
        let stores: Vec<PathBuf> = processes.nodes.iter().map(|node| node.file.store_dir()).collect();
        let Audited { mut audit, evaluation, .. } = audit(&stores, &network, &scenario.instance, &demands)?;
        audit.failures.extend(journal.faults.iter().cloned());
        let penalised_cost = evaluation.penalised_cost(&scenario.instance);
        let improvement_percent =
            improvement_percent(penalised_cost.as_f64(), central.penalised_cost.as_f64());
        let first_penalised_cost = audit.first_penalised_cost;
        let ended = journal.last_composed.unwrap_or(started);
        Ok(NetworkRun {
            miners,
            roaming,
            strategy,
            cost: evaluation.cost,
            penalised_cost,
            gap_percent: bound.gap_percent(penalised_cost),
            improvement_percent,
            first_penalised_cost,
            first_gap_percent: bound.gap_percent(first_penalised_cost),
            centre_at_first_gap: central.reached(first_penalised_cost),
            amended: journal.batches.values().map(|row| u64::from(row.batch.amended)).sum(),
            unserved: explain(scenario, &evaluation),
            slowest_cpu_seconds: journal.slowest_cpu_seconds(),
            wall_seconds: ended.saturating_duration_since(started).as_secs_f64(),
            split_optimum: self.split_optimum(miners),
            repairs: journal.repairs,
            refusals: journal.refusals,
            refused_amendments: journal.refused_amendments,
            batches: journal.batches.into_values().collect(),
            audit,
        })
    }

    /// Follows a network until every demand is composed or named unserved and all nodes agree, and for as long
    /// as the centre searched.
    async fn watch(
        &self,
        plan: &Plan<'_>,
        processes: &mut NodeProcesses,
        journal: &mut Journal,
        progress: &Progress,
        started: Instant,
    ) -> Result<()> {
        let deadline = started + Duration::from_secs(self.arguments.patience);
        let amending = Duration::try_from_secs_f64(self.scenario.search.hybrid.seconds).unwrap_or_default();
        let (mut settled, mut is_paused) = (0, false);
        loop {
            for said in processes.drain_events() {
                if let Some(line) = journal.note(said) {
                    progress.note(&format!("   {line}"));
                }
            }
            let statuses = match processes.statuses().await {
                Ok(statuses) => statuses,
                Err(error) => {
                    let answers = processes.answers().await;
                    let validators = validators_answering(plan.network, plan.keys, &answers);
                    return Err(error.context(format!("validators: {validators}")));
                }
            };
            if let Some(status) = statuses.first() {
                progress.now(format!(
                    "height {}, {} demands open, {} composed, {} in the pool",
                    status.height, status.open_demands, status.composed_demands, status.pool_records
                ));
            }
            // Twice in a row: between two looks a batch may have been on its way.
            settled = if is_settled(&statuses) { settled + 1 } else { 0 };
            if settled == 2 {
                return Ok(());
            }
            if !is_paused && started.elapsed() >= amending && is_composed(&statuses) {
                processes.pause_mining().await?;
                is_paused = true;
            }
            ensure!(
                Instant::now() < deadline,
                "the network did not finish within {} seconds (see --patience); it stands at {statuses:?}",
                self.arguments.patience
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn records(&self, network: &Network) -> Vec<Record> {
        let fee_ppm = network.parameters().solver_fee_ppm;
        scenario_demand_records(
            &self.scenario.instance,
            network.id(),
            self.arguments.rng_seed,
            fee_ppm,
            network.genesis().first_expiry_ms(),
        )
    }

    fn split_optimum(&self, miners: usize) -> Option<Money> {
        let is_split = self.scenario.experiment.split == Split::Strips;
        let is_free = central::is_uncapacitated(self.scenario);
        (is_split && is_free)
            .then(|| ga::exact::split_optimum(&self.scenario.instance, &setup::strips(self.scenario, miners)))
    }
}
