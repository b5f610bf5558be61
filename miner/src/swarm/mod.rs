//! `miner swarm`: a network of miner processes kept running on this machine, and a look at it.
//!
//! `directory` is what it keeps on disk, `feed` what its nodes said last, `view` the picture of it all
//! as text and `screen` the terminal that shows it. The processes are those of [`crate::compare::network`].

mod directory;
mod feed;
mod screen;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use chain::genesis::scenario_demand_records;
use chain::{Record, RecordId, SecretKey};
use clap::Args;
use scenarios::Scenario;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{OutputArguments, ProfileArgument, print};
use crate::compare::audit::audit_chains;
use crate::compare::network::{self, NodeProcesses, ObservedEvent, Plan, is_settled, validators_answering};
use crate::compare::report::Audit;
use crate::driver::wall_ms;
use crate::files::load_scenario;
use directory::{SwarmDirectory, Wanted};
use feed::Feed;
use miner_api::{MarketStatus, NodeStatus, RecordStanding, ValidatorsSeen};
use miner_node::NodeEvent;
use screen::Screen;
use view::{MinerRow, View};

/// Between two looks at the nodes, and two frames on a terminal.
const REDRAW_INTERVAL: Duration = Duration::from_millis(500);

/// Arguments of `miner swarm`.
#[derive(Debug, Args)]
pub struct SwarmArguments {
    /// The scenario whose market the swarm plays (JSON).
    #[arg(value_name = "FILE")]
    scenario: PathBuf,
    /// Miners, each a process of its own [default: 4, or as kept].
    #[arg(long, value_name = "N")]
    miners: Option<usize>,
    /// How many of them vote [default: all, or as kept].
    #[arg(long, value_name = "M")]
    validators: Option<usize>,
    /// Keep keys, genesis, stores and logs in this directory, and go on with what it holds.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The algorithm [default: the scenario's own, or as kept].
    #[arg(long)]
    profile: Option<ProfileArgument>,
    /// Fixes all keys and every random choice of the searches [default: 1, or as kept].
    #[arg(long, value_name = "S")]
    rng_seed: Option<u64>,
    /// Stop, and verify every chain, once every demand is composed or known to be hopeless.
    #[arg(long)]
    until_settled: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// Runs a swarm until Ctrl-C, or until it is settled.
///
/// # Errors
/// If the scenario or the directory is wrong or a process cannot be run. A chain that does not verify is no
/// error but exit code 1.
pub fn run(arguments: &SwarmArguments) -> Result<ExitCode> {
    let scenario =
        load_scenario(&arguments.scenario).with_context(|| format!("in {}", arguments.scenario.display()))?;
    let temporary = tempfile::tempdir().context("cannot create a temporary directory")?;
    let path = arguments.keep.as_deref().unwrap_or(temporary.path());
    let wanted = Wanted {
        miners: arguments.miners,
        validators: arguments.validators,
        profile: arguments.profile.map(Into::into),
        rng_seed: arguments.rng_seed,
    };
    let directory = SwarmDirectory::open(path, &scenario, wanted)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let swarm = Swarm { scenario: &scenario, directory: &directory, arguments };
    runtime.block_on(swarm.run())
}

/// Everything that does not change while a swarm runs.
#[derive(Debug)]
struct Swarm<'a> {
    scenario: &'a Scenario,
    directory: &'a SwarmDirectory,
    arguments: &'a SwarmArguments,
}

/// Why a swarm ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Settled,
    Interrupted,
}

impl Swarm<'_> {
    async fn run(&self) -> Result<ExitCode> {
        let manifest = &self.directory.manifest;
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let plan = Plan {
            scenario: self.scenario,
            profile: manifest.profile,
            network: &self.directory.network,
            keys: &self.directory.keys,
            miners: manifest.miners,
            directory: &self.directory.path,
            rng_seed: manifest.rng_seed,
            strategy: None,
            program: &program,
            adjust: |_, _| {},
        };
        eprintln!("starting {} nodes in {}", manifest.miners, self.directory.path.display());
        let mut nodes = NodeProcesses::start(&plan).await?;
        let ended = self.live(&mut nodes).await;
        nodes.stop().await;
        let ended = ended?;
        let audit = (ended == Ended::Settled).then(|| self.audit(&nodes));
        self.report(ended, audit.as_ref())?;
        let holds = audit.is_none_or(|audit| audit.failures.is_empty());
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// From the first greeting to the end.
    async fn live(&self, nodes: &mut NodeProcesses) -> Result<Ended> {
        let mut interrupts = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        nodes.converge(0).await?;
        self.submit(nodes).await?;
        nodes.start_mining().await?;
        let mut watch = Watch::new(self)?;
        let ended = watch.follow(nodes, &mut interrupts).await;
        watch.leave()?;
        ended
    }

    /// Hands in those of the scenario's demands that the network does not know yet.
    async fn submit(&self, nodes: &mut NodeProcesses) -> Result<()> {
        let (network, seed) = (&self.directory.network, self.directory.manifest.rng_seed);
        let fee_ppm = network.parameters().solver_fee_ppm;
        let records = scenario_demand_records(
            &self.scenario.instance,
            network.id(),
            seed,
            fee_ppm,
            network.genesis().first_expiry_ms(),
        );
        let first = nodes.nodes.first().context("a swarm has a node")?;
        let ids: Vec<RecordId> = records.iter().map(Record::id).collect();
        let standings = first.client().await?.records(&ids).await?;
        let known = standings.iter().zip(records);
        let missing: Vec<Record> = known
            .filter(|(standing, _)| matches!(standing, RecordStanding::Unknown))
            .map(|(_, record)| record)
            .collect();
        nodes.submit(&missing).await?;
        nodes.converge(missing.len()).await
    }

    fn audit(&self, nodes: &NodeProcesses) -> Audit {
        let stores: Vec<PathBuf> = nodes.nodes.iter().map(|node| node.file.store_dir()).collect();
        audit_chains(&stores, &self.directory.network).0
    }

    /// What is left to say when all processes have stopped.
    fn report(&self, ended: Ended, audit: Option<&Audit>) -> Result<()> {
        if self.arguments.output.json {
            let line = serde_json::json!({ "event": "swarm_ended", "reason": ended, "audit": audit });
            return print(&line.to_string());
        }
        for failure in audit.iter().flat_map(|audit| &audit.failures) {
            eprintln!("check failed: {failure}");
        }
        if let Some(audit) = audit.filter(|audit| audit.failures.is_empty()) {
            let Audit { chains, batches, .. } = audit;
            print(&format!("settled: {chains} chains ({batches} batches) verified from genesis, all equal"))?;
        }
        if let Some(kept) = &self.arguments.keep {
            let (scenario, kept) = (self.arguments.scenario.display(), kept.display());
            print(&format!("all nodes have stopped; go on with: miner swarm {scenario} --keep {kept}"))?;
        }
        Ok(())
    }

    /// Before anybody was asked: all of them are there.
    fn all_validators(&self) -> ValidatorsSeen {
        let validators = self.directory.network.validators();
        let (total, quorum) = (validators.total_power(), validators.quorum());
        ValidatorsSeen { total, quorum, reachable: total }
    }

    fn title(&self) -> String {
        let manifest = &self.directory.manifest;
        format!(
            "mizan swarm: {}, {} miners, {} of them validators{}",
            manifest.scenario,
            manifest.miners,
            manifest.validators,
            if self.directory.is_resumed { ", resumed" } else { "" }
        )
    }

    /// How to talk to the nodes while they run.
    fn hints(&self) -> Vec<String> {
        let node = self.directory.node(1);
        vec![
            format!("nodes: {} to node-{}", node.display(), self.directory.manifest.miners),
            format!("talk to one: miner demand submit --node {} --help", node.display()),
            "stop: Ctrl-C".into(),
        ]
    }
}

/// How what happens is shown.
#[derive(Debug)]
enum Display {
    Screen(Screen),
    Lines,
    Json,
}

/// A swarm being watched.
struct Watch<'a> {
    swarm: &'a Swarm<'a>,
    started: Instant,
    display: Display,
    hints: Vec<String>,
    feed: Feed,
    market: Option<MarketStatus>,
    /// Who votes, and how many of them answered last.
    validators: ValidatorsSeen,
    /// The last picture, to leave on the screen.
    picture: Vec<String>,
}

/// A line of `--json` output: what one node said.
#[derive(Serialize)]
struct EventLine<'a> {
    node: usize,
    time_ms: u64,
    #[serde(flatten)]
    event: &'a NodeEvent,
}

impl<'a> Watch<'a> {
    fn new(swarm: &'a Swarm<'a>) -> Result<Self> {
        let hints = swarm.hints();
        let display = if swarm.arguments.output.json {
            let directory = swarm.directory;
            let keys: Vec<_> = directory.keys.iter().map(SecretKey::public).collect();
            let line = serde_json::json!({
                "event": "swarm_started",
                "directory": directory.path,
                "network": directory.network.id(),
                "resumed": directory.is_resumed,
                "nodes": keys,
                "validators": directory.manifest.validators,
            });
            print(&line.to_string())?;
            Display::Json
        } else if let Some(screen) = Screen::take() {
            Display::Screen(screen)
        } else {
            print(&swarm.title())?;
            print(&hints.join("\n"))?;
            Display::Lines
        };
        Ok(Self {
            started: Instant::now(),
            feed: Feed::new(
                swarm.directory.network.validators().total_power(),
                network::numbers(&swarm.directory.keys),
            ),
            market: None,
            validators: swarm.all_validators(),
            picture: Vec::new(),
            swarm,
            display,
            hints,
        })
    }

    async fn follow(
        &mut self,
        nodes: &mut NodeProcesses,
        (interrupt, terminate): &mut (Signal, Signal),
    ) -> Result<Ended> {
        let mut ticks = tokio::time::interval(REDRAW_INTERVAL);
        let mut settled = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(Ended::Interrupted),
                _ = terminate.recv() => return Ok(Ended::Interrupted),
                _ = ticks.tick() => {}
            }
            for said in nodes.drain_events() {
                self.tell(said)?;
            }
            let statuses = nodes.answers().await;
            if statuses.iter().all(Option::is_none) {
                bail!("no node answers any more: see the logs in {}", self.swarm.directory.path.display());
            }
            self.look_at_quorum(&statuses)?;
            self.look_at_market(nodes, &statuses).await?;
            self.draw(&statuses)?;
            let all: Option<Vec<NodeStatus>> = statuses.into_iter().collect();
            // Twice in a row: between two looks a batch may have been on its way.
            settled = if all.is_some_and(|all| is_settled(&all)) { settled + 1 } else { 0 };
            if self.swarm.arguments.until_settled && settled == 2 {
                return Ok(Ended::Settled);
            }
        }
    }

    fn tell(&mut self, said: ObservedEvent) -> Result<()> {
        if matches!(self.display, Display::Json) {
            let ObservedEvent { node, event, .. } = &said;
            let line = EventLine { node: *node, time_ms: wall_ms(), event };
            print(&serde_json::to_string(&line)?)?;
        }
        match self.feed.note(said) {
            Some(line) if matches!(self.display, Display::Lines) => print(&line),
            Some(_) | None => Ok(()),
        }
    }

    /// Tells when too few validators answer to make anything final, and when enough do again.
    fn look_at_quorum(&mut self, statuses: &[Option<NodeStatus>]) -> Result<()> {
        let directory = self.swarm.directory;
        let before = self.validators.has_quorum();
        self.validators = validators_answering(&directory.network, &directory.keys, statuses);
        if self.validators.has_quorum() == before {
            return Ok(());
        }
        match &self.display {
            Display::Screen(_) => Ok(()),
            Display::Lines => print(&format!("validators: {}", self.validators)),
            Display::Json => {
                let (event, time_ms) = (if before { "quorum_lost" } else { "quorum_regained" }, wall_ms());
                let line =
                    serde_json::json!({ "event": event, "time_ms": time_ms, "validators": self.validators });
                print(&line.to_string())
            }
        }
    }

    /// Asks the node with the highest head how the market stands, if that is news.
    async fn look_at_market(&mut self, nodes: &NodeProcesses, statuses: &[Option<NodeStatus>]) -> Result<()> {
        let known =
            nodes.nodes.iter().zip(statuses).filter_map(|(node, status)| Some((node, status.as_ref()?)));
        let Some((node, status)) = known.max_by_key(|(_, status)| status.height) else { return Ok(()) };
        if self.market.as_ref().is_some_and(|market| market.height >= status.height) {
            return Ok(());
        }
        // A node that has just gone away is asked again at the next look.
        let Ok(mut client) = node.client().await else { return Ok(()) };
        let Ok(market) = client.market_status().await else { return Ok(()) };
        if matches!(self.display, Display::Json) {
            let time_ms = wall_ms();
            let line = serde_json::json!({ "event": "market", "time_ms": time_ms, "market": market });
            print(&line.to_string())?;
        }
        self.market = Some(market);
        Ok(())
    }

    fn draw(&mut self, statuses: &[Option<NodeStatus>]) -> Result<()> {
        let Display::Screen(screen) = &mut self.display else { return Ok(()) };
        let rows = self.swarm.directory.keys.iter().zip(statuses).zip(1..);
        let miners = rows.map(|((key, status), number)| {
            let address = key.public().address();
            let market = self.market.as_ref();
            MinerRow {
                number,
                cell: self.feed.cell(number),
                status: status.as_ref(),
                earnings: market
                    .and_then(|market| market.earnings.iter().find(|entry| entry.miner == address)),
            }
        });
        let view = View {
            title: self.swarm.title(),
            running: self.started.elapsed(),
            validators: self.validators,
            miners: miners.collect(),
            market: self.market.as_ref(),
            last_votes: self.feed.last_votes,
            batches: self.feed.batches.iter().map(String::as_str).collect(),
            refusals: self.feed.refusals.iter().map(String::as_str).collect(),
            hints: &self.hints,
        };
        self.picture = view.lines();
        Ok(screen.draw(&self.picture)?)
    }

    /// Gives the terminal back, with the last picture on it.
    fn leave(self) -> Result<()> {
        let Display::Screen(screen) = self.display else { return Ok(()) };
        drop(screen);
        print(&self.picture.join("\n"))
    }
}
