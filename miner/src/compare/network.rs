//! A network of separate processes on loopback, started, fed, watched and stopped by this program.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use chain::{Network, PublicKey, Record, SecretKey};
use scenarios::settings::{Profile, Split};
use scenarios::{Scenario, Window};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::client::NodeClient;
use crate::control::ControlError;
use crate::driver::{BootstrapPeer, NodeFile, write_key};
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{MiningSettings, NodeEvent, NodeStatus, Testimony, Timing, ValidatorsSeen};

/// How long a node may take to start, a network to connect, or a pool to converge.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks at the nodes.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a node may take to stop by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What a network of processes is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Plan<'a> {
    pub scenario: &'a Scenario,
    /// The algorithm of every miner.
    pub profile: Profile,
    /// The genesis all nodes share.
    pub network: &'a Network,
    /// One key per node; the first `miners` take cells, the others roam.
    pub keys: &'a [SecretKey],
    /// Miners that take cells.
    pub miners: usize,
    /// Where keys, configurations, stores and logs go.
    pub directory: &'a Path,
    /// Fixes every random choice of the searches.
    pub rng_seed: u64,
    /// How miners that take cells choose them, if not as the scenario says.
    pub strategy: Option<Strategy>,
    /// The program whose `run` command is a node.
    pub program: &'a Path,
    /// Changes to the configuration of the node with this number, before it starts.
    pub adjust: fn(usize, &mut NodeFile),
}

/// A node process and what it said.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct NodeProcess {
    /// Its number, from 1.
    pub number: usize,
    pub file: NodeFile,
    directory: PathBuf,
    child: Child,
    /// Held open: the node stops when it closes.
    _stdin: ChildStdin,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What a node said and when.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ObservedEvent {
    /// The node's number, from 1.
    pub node: usize,
    /// When this program read it.
    pub at: Instant,
    pub event: NodeEvent,
}

/// A running network.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct NodeProcesses {
    pub nodes: Vec<NodeProcess>,
    program: PathBuf,
    events: UnboundedReceiver<ObservedEvent>,
    sender: UnboundedSender<ObservedEvent>,
}

/// The first line a node prints.
#[derive(Debug, Deserialize)]
struct Listening {
    address: SocketAddr,
}

impl NodeProcesses {
    /// Starts every node of the plan: the first alone, the others with its address as their bootstrap node.
    /// Nodes that the directory holds already go on where they were, as their configurations say.
    ///
    /// # Errors
    /// If the directory holds another network, a file cannot be written, or a node does not start.
    pub async fn start(plan: &Plan<'_>) -> Result<Self> {
        std::fs::create_dir_all(plan.directory)
            .with_context(|| format!("cannot create the directory {}", plan.directory.display()))?;
        provide_genesis(plan)?;
        let (sender, events) = unbounded_channel();
        let mut network = Self { nodes: Vec::new(), program: plan.program.to_path_buf(), events, sender };
        for key in plan.keys {
            network.join(plan, key).await?;
        }
        Ok(network)
    }

    /// Starts one more node, with the address of the first as its bootstrap node.
    ///
    /// # Errors
    /// If a file cannot be written or the node does not start.
    pub async fn join(&mut self, plan: &Plan<'_>, key: &SecretKey) -> Result<()> {
        let number = self.nodes.len() + 1;
        let directory = plan.directory.join(format!("node-{number}"));
        std::fs::create_dir_all(&directory)?;
        let key_file = directory.join("node.key");
        // Who has had its key before may have voted with it, whatever its directory holds now.
        let (mut file, testimony) = if key_file.exists() {
            (read_configuration(&directory)?, Testimony::None)
        } else {
            write_key(&key_file, key)?;
            (node_file(plan, number, Vec::new()), Testimony::FirstRun)
        };
        file.bootstrap_peers = self.bootstrap(plan);
        (plan.adjust)(number, &mut file);
        write_configuration(&directory, &file)?;
        let sender = self.sender.clone();
        let node = NodeProcess::spawn(&self.program, number, directory, testimony, sender).await?;
        self.nodes.push(node);
        Ok(())
    }

    /// The first node, whose key is the plan's first.
    fn bootstrap(&self, plan: &Plan<'_>) -> Vec<BootstrapPeer> {
        let first = self.nodes.first().zip(plan.keys.first());
        first
            .map(|(node, key)| BootstrapPeer { address: node.address, key: Some(key.public()) })
            .into_iter()
            .collect()
    }

    /// What the nodes have said since the last call.
    pub fn drain_events(&mut self) -> Vec<ObservedEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Kills a node's process with SIGKILL.
    ///
    /// # Errors
    /// If the process cannot be killed.
    pub async fn kill(&mut self, number: usize) -> Result<()> {
        let node = self.nodes.iter_mut().find(|node| node.number == number).context("no such node")?;
        node.child.kill().await?;
        Ok(())
    }

    /// Starts a killed node again, on its own directory and at its old address, so that those who knew it
    /// find it again; `testimony` is said about its past.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self, number: usize, testimony: Testimony) -> Result<()> {
        let position = self.nodes.iter().position(|node| node.number == number).context("no such node")?;
        let NodeProcess { mut file, directory, address, .. } = self.nodes.remove(position);
        file.listen = address;
        write_configuration(&directory, &file)?;
        let sender = self.sender.clone();
        let node = NodeProcess::spawn(&self.program, number, directory, testimony, sender).await?;
        self.nodes.insert(position, node);
        Ok(())
    }

    /// Waits until every node sees every other and holds every record.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn converge(&mut self, records: usize) -> Result<()> {
        let others = self.nodes.len() - 1;
        let deadline = Instant::now() + SETUP_TIMEOUT;
        loop {
            let statuses = self.statuses().await?;
            let knows_all = |status: &NodeStatus| {
                let on_chain = status.open_demands + status.composed_demands;
                status.peers >= others && status.pool_records + on_chain >= records
            };
            if statuses.iter().all(knows_all) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the nodes did not find each other and all {records} records within {SETUP_TIMEOUT:?}: {statuses:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Hands records to the nodes in turn; gossip does the rest.
    ///
    /// # Errors
    /// If a node refuses one.
    pub async fn submit(&mut self, records: &[Record]) -> Result<()> {
        let share = records.len().div_ceil(self.nodes.len()).max(1);
        for (node, records) in self.nodes.iter().zip(records.chunks(share)) {
            let submitted = node.client().await?.submit(records.to_vec()).await?;
            if let Some(refusal) = submitted.refusals().next() {
                bail!("node {} refused record {}: {}", node.number, refusal.record, refusal.reason);
            }
        }
        Ok(())
    }

    /// Gives every node the signal to mine.
    ///
    /// # Errors
    /// If a node does not answer.
    pub async fn start_mining(&self) -> Result<()> {
        for node in &self.nodes {
            node.client().await?.start_mining().await?;
        }
        Ok(())
    }

    /// Tells every node to mine no more.
    ///
    /// # Errors
    /// If a node does not answer.
    pub async fn pause_mining(&self) -> Result<()> {
        for node in &self.nodes {
            node.client().await?.pause_mining().await?;
        }
        Ok(())
    }

    /// Where every node stands.
    ///
    /// # Errors
    /// If a node does not answer.
    pub async fn statuses(&self) -> Result<Vec<NodeStatus>> {
        let mut statuses = Vec::new();
        for node in &self.nodes {
            statuses.push(node.status().await?);
        }
        Ok(statuses)
    }

    /// Where every node stands, in order; `None` for one that does not answer.
    pub async fn answers(&self) -> Vec<Option<NodeStatus>> {
        let mut answers = Vec::new();
        for node in &self.nodes {
            answers.push(node.status().await.ok());
        }
        answers
    }

    /// Stops every node; one that does not stop by itself is killed.
    pub async fn stop(&mut self) {
        for node in &mut self.nodes {
            // A node that does not answer is stopped the hard way below.
            if let Ok(mut client) = node.client().await {
                let _ = client.stop().await;
            }
        }
        for node in &mut self.nodes {
            if tokio::time::timeout(STOP_TIMEOUT, node.child.wait()).await.is_err() {
                tracing::warn!(node = node.number, "the node did not stop by itself and was killed");
                let _ = node.child.kill().await;
            }
        }
    }
}

impl NodeProcess {
    async fn spawn(
        program: &Path,
        number: usize,
        directory: PathBuf,
        testimony: Testimony,
        events: UnboundedSender<ObservedEvent>,
    ) -> Result<Self> {
        let config = directory.join("node.toml");
        let file = NodeFile::load(&config)?;
        let log = std::fs::File::options().create(true).append(true).open(directory.join("node.log"))?;
        let mut child = Command::new(program)
            .args(["run", "--events", "--stop-with-stdin", "--config"])
            .arg(&config)
            .args(testimony_arguments(testimony))
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C on the terminal is for this program, which then stops its nodes in order.
            .process_group(0)
            .spawn()
            .context("cannot start a node process")?;
        let stdin = child.stdin.take().context("a node process has no stdin")?;
        let stdout = child.stdout.take().context("a node process has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let failed = || {
            let log = directory.join("node.log");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(5).collect();
            format!("node {number} did not start; the end of {}:\n{}", log.display(), tail.join("\n"))
        };
        let first = tokio::time::timeout(SETUP_TIMEOUT, lines.next_line()).await.with_context(failed)?;
        let line = first?.with_context(failed)?;
        let Listening { address } = serde_json::from_str(&line).with_context(failed)?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(event) => {
                        if events.send(ObservedEvent { node: number, at: Instant::now(), event }).is_err() {
                            break;
                        }
                    }
                    Err(error) => tracing::warn!(node = number, %error, line, "an event was not understood"),
                }
            }
        });
        Ok(Self { number, file, directory, child, _stdin: stdin, address })
    }

    /// A connection with the node, through its control socket.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn client(&self) -> Result<NodeClient, ControlError> {
        NodeClient::connect_to(&self.file.control_socket()).await
    }

    /// Where the node stands.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn status(&self) -> Result<NodeStatus, ControlError> {
        self.client().await?.status().await
    }
}

/// What a node is told about its past when it is started.
fn testimony_arguments(testimony: Testimony) -> Vec<String> {
    match testimony {
        Testimony::None => Vec::new(),
        Testimony::FirstRun => vec!["--first-run".into()],
        Testimony::VoteFrom(height) => vec!["--vote-from-height".into(), height.to_string()],
    }
}

/// How many of a network's votes answer: those of validators among the nodes, of `answers` in the same order.
pub fn validators_answering(
    network: &Network,
    nodes: &[SecretKey],
    answers: &[Option<NodeStatus>],
) -> ValidatorsSeen {
    let validators = network.validators();
    let answering = nodes.iter().zip(answers).filter(|(_, answer)| answer.is_some());
    let positions = answering.filter_map(|(key, _)| validators.index_of(&key.public()));
    ValidatorsSeen {
        total: validators.total_power(),
        quorum: validators.quorum(),
        reachable: positions.map(|position| validators.power_of(position)).sum(),
    }
}

/// Whether nothing is left to do: all nodes agree on the head, nobody has work, and every open demand is
/// known to somebody as hopeless.
pub fn is_settled(statuses: &[NodeStatus]) -> bool {
    let heads: BTreeSet<_> = statuses.iter().map(|status| status.head).collect();
    heads.len() == 1 && statuses.iter().all(|status| status.is_quiescent) && is_composed(statuses)
}

/// Whether every demand is composed, or known to somebody as hopeless.
pub fn is_composed(statuses: &[NodeStatus]) -> bool {
    let hopeless: BTreeSet<_> = statuses.iter().flat_map(|status| &status.given_up).collect();
    let is_done = |status: &NodeStatus| status.height > 0 && status.open_demands <= hopeless.len();
    statuses.iter().all(is_done) && statuses.iter().all(|status| status.pool_records == 0)
}

/// Writes the plan's genesis, or makes sure that it is the one that is there.
fn provide_genesis(plan: &Plan<'_>) -> Result<()> {
    let file = plan.directory.join("genesis.bin");
    let bytes = plan.network.genesis().to_bytes();
    match std::fs::read(&file) {
        Ok(found) if found == bytes => {}
        Ok(_) => bail!(
            "{} holds another network already: name an empty directory, or delete it",
            plan.directory.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
    Ok(())
}

/// A node's configuration as it is written, its paths still relative to it.
fn read_configuration(directory: &Path) -> Result<NodeFile> {
    NodeFile::read(&directory.join("node.toml"))
}

fn write_configuration(directory: &Path, file: &NodeFile) -> Result<()> {
    let text = toml::to_string(file).context("a configuration is written as TOML")?;
    let path = directory.join("node.toml");
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn node_file(plan: &Plan<'_>, number: usize, bootstrap_peers: Vec<BootstrapPeer>) -> NodeFile {
    let Plan { scenario, profile, .. } = plan;
    let strategy = if number > plan.miners {
        Strategy::Roaming
    } else {
        plan.strategy.unwrap_or(match scenario.experiment.split {
            Split::Strips => Strategy::Strips,
            Split::Cells => Strategy::Cells,
        })
    };
    let nowhere = Window { west_m: 0, south_m: 0, east_m: 1, north_m: 1 };
    NodeFile {
        key_file: "node.key".into(),
        genesis_file: "../genesis.bin".into(),
        data_dir: "data".into(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        advertise: Vec::new(),
        bootstrap_peers,
        allow_list: None,
        threads: NonZeroUsize::MIN,
        timing: Timing::default(),
        mining: Some(MiningSettings {
            strategy,
            profile: *profile,
            search: scenario.search,
            region: None,
            window: scenario.extent().unwrap_or(nowhere),
            rng_seed: plan.rng_seed.wrapping_add(number as u64 * 1_000_000),
            // What is compared is the algorithm as published.
            announce: AnnouncePolicy { published_runs_out: true, ..AnnouncePolicy::default() },
            amend: AmendPolicy::default(),
            wait_for_start: true,
        }),
    }
}

/// The numbers of nodes by their keys.
pub fn numbers(keys: &[SecretKey]) -> BTreeMap<PublicKey, usize> {
    keys.iter().map(SecretKey::public).zip(1..).collect()
}
