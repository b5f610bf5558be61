//! A network of node processes under test: started, fed, watched, killed and audited.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chain::consensus::SafetyLog;
use chain::genesis::scenario_demand_records;
use chain::store::replay_with;
use chain::{Batch, BatchReport, BlockOutcome, DemandId, Genesis, Height, Network, Record, SecretKey};
use miner::client::NodeClient;
use miner::compare::audit::{Audited, audit};
use miner::compare::network::{NodeProcesses, ObservedEvent, Plan, is_settled};
use miner::driver::{NodeFile, wall_ms};
use miner::files::load_scenario;
use miner_api::MarketStatus;
use miner_node::strategy::Strategy;
use miner_node::{NodeEvent, NodeStatus, Testimony};
use scenarios::generate::{GenerateParameters, SiteParameters, generate};
use scenarios::schedule::Measure;
use scenarios::settings::Profile;
use scenarios::{Scenario, Schedule};
use tempfile::TempDir;

/// The program under test.
pub(crate) const MINER: &str = env!("CARGO_BIN_EXE_miner-under-test");
/// How long anything may take before a test fails. Never reached on a sound build: two orders above what
/// these networks need on two cores.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a running network.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Lines of each node's log that a failed test shows.
const LOG_LINES: usize = 25;
/// All keys and searches of these networks derive from it.
const RNG_SEED: u64 = 7;

/// A file of the repository.
pub(crate) fn repository_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// One of the Tehran scenarios.
pub(crate) fn tehran(problem: u8) -> Scenario {
    load_scenario(&repository_file(&format!("scenarios/tehran/problem-{problem}.json"))).unwrap()
}

/// A generated market of 6 providers and 12 demands of 4 orders, composed by the published algorithm and
/// paid in full whatever it costs.
pub(crate) fn small_market() -> Scenario {
    let mut scenario = generate(&small_parameters()).unwrap();
    scenario.search.profile = Profile::Paper;
    scenario.network.schedule = Schedule::from(PAID_BELOW_THE_REFERENCE);
    scenario
}

/// What [`small_market`] is generated from.
pub(crate) fn small_parameters() -> GenerateParameters {
    GenerateParameters {
        name: "small".into(),
        paper_problem: None,
        providers: 6,
        demands: 12,
        operations: 4,
        orders_per_demand: 4,
        sites: SiteParameters::Uniform,
        ..GenerateParameters::tehran(1, false).unwrap()
    }
}

/// Paper A's measure for a market as small as this: full pay for whatever is below the reference.
const PAID_BELOW_THE_REFERENCE: Measure =
    Measure::Paper { reference_margin_ppm: 0, full_at_ppm: 1, block_orders_min: 1 };

/// Lets a node's search go on for ever.
pub(crate) fn never_end_the_search(file: &mut NodeFile) {
    set_generations(file, u32::MAX);
}

/// The generations of a node's search.
pub(crate) fn set_generations(file: &mut NodeFile, generations: u32) {
    file.mining.as_mut().unwrap().search.paper.generations = generations;
}

/// What a network is made of.
pub(crate) struct Setup {
    pub(crate) scenario: Scenario,
    /// Nodes that take cells; all nodes are validators and wait for the signal to mine.
    pub(crate) miners: usize,
    /// Further nodes, whose cell overlaps those of the first two.
    pub(crate) roaming: usize,
    /// How miners choose their cells, if not as the scenario says.
    pub(crate) strategy: Option<Strategy>,
    /// Changes to the configuration of the node with this number, from 1.
    pub(crate) adjust: fn(usize, &mut NodeFile),
}

impl Setup {
    pub(crate) fn new(scenario: Scenario, miners: usize) -> Self {
        Self { scenario, miners, roaming: 0, strategy: None, adjust: |_, _| {} }
    }
}

/// A running network.
pub(crate) struct TestNetwork {
    setup: Setup,
    directory: TempDir,
    network: Arc<Network>,
    keys: Vec<SecretKey>,
    /// The scenario's demands as records, in order.
    pub(crate) records: Vec<Record>,
    pub(crate) processes: NodeProcesses,
    /// Everything the nodes said so far.
    said: Vec<ObservedEvent>,
    down: BTreeSet<usize>,
}

/// What stands after a network has been stopped.
pub(crate) struct Outcome {
    /// The verdict on every node's store.
    pub(crate) audited: Audited,
    /// The first node's chain.
    pub(crate) chain: Vec<(Batch, BatchReport)>,
    pub(crate) events: Vec<(usize, NodeEvent)>,
}

impl TestNetwork {
    /// Starts all nodes and waits until they know each other. No demand is known yet.
    pub(crate) async fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys: Vec<SecretKey> = (0..setup.miners + setup.roaming)
            .map(|index| SecretKey::for_scenario(RNG_SEED, "miner", index as u64))
            .collect();
        let validators = keys.iter().map(SecretKey::public).collect();
        let (profile, now_ms) = (setup.scenario.search.profile, wall_ms());
        let genesis =
            Genesis::of_scenario(&setup.scenario, profile, setup.miners, validators, RNG_SEED, now_ms);
        let network = Arc::new(Network::new(genesis).unwrap());
        let fee_ppm = network.parameters().solver_fee_ppm;
        let records = scenario_demand_records(
            &setup.scenario.instance,
            network.id(),
            RNG_SEED,
            fee_ppm,
            network.genesis().first_expiry_ms(),
        );
        let plan = plan(&setup, &network, &keys, directory.path());
        let mut processes = NodeProcesses::start(&plan).await.unwrap();
        processes.converge(0).await.unwrap();
        Self { setup, directory, network, keys, records, processes, said: Vec::new(), down: BTreeSet::new() }
    }

    /// Starts all nodes, and hands them all demands.
    pub(crate) async fn start_with_demands(setup: Setup) -> Self {
        let mut network = Self::start(setup).await;
        let records = network.records.clone();
        network.submit(&records).await;
        network
    }

    /// Hands records to the nodes in turn, and waits until all nodes hold them.
    pub(crate) async fn submit(&mut self, records: &[Record]) {
        self.processes.submit(records).await.unwrap();
        self.processes.converge(records.len()).await.unwrap();
    }

    /// Gives these nodes the signal to mine.
    pub(crate) async fn start_mining(&self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.client(number).await.start_mining().await.unwrap();
        }
    }

    /// Kills a node with SIGKILL.
    pub(crate) async fn kill(&mut self, number: usize) {
        self.processes.kill(number).await.unwrap();
        self.down.insert(number);
    }

    /// Starts a killed node again on what it has on disk, its configuration changed. It waits for the
    /// signal to mine.
    pub(crate) async fn restart(&mut self, number: usize, adjust: impl FnOnce(&mut NodeFile)) {
        let node = self.processes.nodes.iter_mut().find(|node| node.number == number).unwrap();
        adjust(&mut node.file);
        self.restart_saying(number, Testimony::None).await;
    }

    /// The same, with something said about its past.
    pub(crate) async fn restart_saying(&mut self, number: usize, testimony: Testimony) {
        if let Err(error) = self.processes.restart(number, testimony).await {
            self.fail(&format!("node {number} did not start again: {error:#}")).await;
        }
        self.down.remove(&number);
    }

    /// Starts one more node, which is no validator.
    pub(crate) async fn join(&mut self) {
        let key = SecretKey::for_scenario(RNG_SEED, "latecomer", 0);
        let plan = plan(&self.setup, &self.network, &self.keys, self.directory.path());
        self.processes.join(&plan, &key).await.unwrap();
    }

    /// The key of a node.
    pub(crate) fn key(&self, number: usize) -> chain::PublicKey {
        self.keys[number - 1].public()
    }

    /// Where a node listens.
    pub(crate) fn address(&self, number: usize) -> std::net::SocketAddr {
        self.node(number).address
    }

    /// The network's id.
    pub(crate) fn id(&self) -> chain::NetworkId {
        self.network.id()
    }

    /// Where a node keeps its store.
    pub(crate) fn store_dir(&self, number: usize) -> PathBuf {
        self.node(number).file.store_dir()
    }

    /// What a node that is down signed last, as its store says.
    pub(crate) fn signed_last(&self, number: usize) -> Option<SafetyLog> {
        let store = miner::storage::open(&self.store_dir(number), self.network.id()).unwrap();
        store.safety_log().unwrap()
    }

    /// Where a node keeps its history.
    pub(crate) fn history_dir(&self, number: usize) -> PathBuf {
        self.node(number).file.history_dir()
    }

    /// Where a node listens for commands.
    pub(crate) fn control_socket(&self, number: usize) -> PathBuf {
        self.node(number).file.control_socket()
    }

    /// A connection with a node.
    pub(crate) async fn client(&self, number: usize) -> NodeClient {
        self.node(number).client().await.unwrap()
    }

    fn node(&self, number: usize) -> &miner::compare::network::NodeProcess {
        self.processes.nodes.iter().find(|node| node.number == number).unwrap()
    }

    /// How many events the nodes have told so far.
    pub(crate) fn count_events(&mut self) -> usize {
        self.said.extend(self.processes.drain_events());
        self.said.len()
    }

    /// Waits until some node has said something that `look` recognises.
    pub(crate) async fn hear<T>(&mut self, what: &str, look: impl Fn(usize, &NodeEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.said.extend(self.processes.drain_events());
            let heard = self.said.iter().find_map(|said| look(said.node, &said.event));
            if let Some(heard) = heard {
                return heard;
            }
            if Instant::now() > deadline {
                self.fail(&format!("nobody ever said: {what}")).await;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the nodes that are up stand as `wanted`.
    pub(crate) async fn wait_until(
        &mut self,
        what: &str,
        wanted: impl Fn(&[NodeStatus]) -> bool,
    ) -> Vec<NodeStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let statuses = self.statuses().await;
            if wanted(&statuses) {
                return statuses;
            }
            if Instant::now() > deadline {
                self.fail(&format!("it never came to this: {what}")).await;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until nothing is left to do and all nodes that are up agree on the head.
    pub(crate) async fn settle(&mut self) -> Vec<NodeStatus> {
        // Twice in a row: between two looks a batch may have been on its way.
        self.wait_until("nothing is left to do", is_settled).await;
        self.wait_until("nothing is left to do", is_settled).await
    }

    /// Where the nodes that are up stand.
    pub(crate) async fn statuses(&mut self) -> Vec<NodeStatus> {
        let mut statuses = Vec::new();
        let up = self.processes.nodes.iter().filter(|node| !self.down.contains(&node.number));
        for node in up {
            match node.status().await {
                Ok(status) => statuses.push(status),
                Err(error) => panic!("node {} does not answer: {error:#}\n{}", node.number, self.logs()),
            }
        }
        statuses
    }

    /// The market as the first node that is up sees it.
    pub(crate) async fn market_status(&mut self) -> MarketStatus {
        let mut nodes = self.processes.nodes.iter();
        let node = nodes.find(|node| !self.down.contains(&node.number)).expect("a node is up");
        node.client().await.unwrap().market_status().await.unwrap()
    }

    async fn fail(&mut self, what: &str) -> ! {
        let statuses = self.statuses().await;
        panic!("{what}\nthe nodes stand at {statuses:#?}\n{}", self.logs());
    }

    fn logs(&self) -> String {
        let tail = |number: usize| {
            let path = self.directory.path().join(format!("node-{number}/node.log"));
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
            format!("-- the end of the log of node {number}:\n{}\n", last.join("\n"))
        };
        self.processes.nodes.iter().map(|node| tail(node.number)).collect()
    }

    /// Stops all nodes, verifies every node's chain from genesis, and checks that all agree, that money is
    /// conserved and that the independent evaluator finds the same cost.
    pub(crate) async fn finish(mut self) -> Outcome {
        self.processes.stop().await;
        self.said.extend(self.processes.drain_events());
        let demands: Vec<DemandId> = self.records.iter().map(Record::id).collect();
        let stores: Vec<PathBuf> = self.processes.nodes.iter().map(|node| node.file.store_dir()).collect();
        let audited = audit(&stores, &self.network, &self.setup.scenario.instance, &demands).unwrap();
        assert_eq!(audited.audit.failures, [""; 0], "{}", self.logs());
        assert_eq!(audited.audit.chains, stores.len());
        let events: Vec<(usize, NodeEvent)> =
            self.said.into_iter().map(|said| (said.node, said.event)).collect();
        let faults = events.iter().filter(|(_, event)| {
            matches!(
                event,
                NodeEvent::LocalFault { .. } | NodeEvent::WorkFailed { .. } | NodeEvent::Equivocation { .. }
            )
        });
        assert_eq!(faults.collect::<Vec<_>>(), Vec::<&(usize, NodeEvent)>::new());
        let chain = read_chain(&stores[0], &self.network);
        Outcome { audited, chain, events }
    }
}

impl Outcome {
    /// What became of the blocks that composed something, by height.
    pub(crate) fn composing_blocks(&self) -> Vec<(Height, BlockOutcome)> {
        let blocks = self.chain.iter().flat_map(|(batch, report)| {
            report.blocks.iter().map(|outcome| (batch.header.height, outcome.clone()))
        });
        blocks.filter(|(_, outcome)| outcome.compositions > 0).collect()
    }

    /// How many demands are composed on chain.
    pub(crate) fn composed(&self) -> usize {
        self.chain.iter().map(|(_, report)| report.compositions as usize).sum()
    }
}

fn plan<'a>(setup: &'a Setup, network: &'a Network, keys: &'a [SecretKey], directory: &'a Path) -> Plan<'a> {
    Plan {
        scenario: &setup.scenario,
        profile: setup.scenario.search.profile,
        network,
        keys,
        miners: setup.miners,
        directory,
        rng_seed: RNG_SEED,
        strategy: setup.strategy,
        program: Path::new(MINER),
        adjust: setup.adjust,
    }
}

fn read_chain(directory: &Path, network: &Arc<Network>) -> Vec<(Batch, BatchReport)> {
    let store = miner::storage::open(directory, network.id()).unwrap();
    let mut chain = Vec::new();
    replay_with(&store, Arc::clone(network), |done| {
        chain.push((done.batch().clone(), done.report().clone()));
    })
    .unwrap();
    chain
}
