//! Founding a network: keys, one genesis, and a directory for each node that `miner run` can start from.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use chain::consensus::Power;
use chain::genesis::GenesisError;
use chain::{Address, Genesis, Network, NetworkId, PublicKey, SecretKey};
use scenarios::findings::Findings;
use scenarios::settings::{SearchSettings, Split};
use scenarios::{CostRules, Geometry, Horizon, Instance, Minutes, Money, Period, Scenario, Supply, Window};
use serde::Serialize;

use super::connection::NODE_FILE;
use super::node_toml;
use crate::driver::{BootstrapPeer, NodeFile, write_key};
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{MiningSettings, Timing};

/// The canonical genesis, in a network's directory.
pub const GENESIS_FILE: &str = "genesis.bin";
/// The same for people.
pub const GENESIS_JSON: &str = "genesis.json";
/// The key that owns all money that nobody else owns at the start.
pub const TREASURY_FILE: &str = "treasury.key";
/// The rectangle of a market that says nothing of its own; strips divide it, nothing else depends on it.
const WINDOW: Window = Window::centred(100_000);

/// What a new network is to be.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct FoundingPlan {
    /// Where each node can be reached, one per node.
    pub addresses: Vec<SocketAddr>,
    /// The votes of the first nodes, one number per validator; the others have none.
    pub powers: Vec<Power>,
    /// Whether the nodes talk to each other only.
    pub private: bool,
    /// Whether miners commit to blocks before they show them, as the defaults say; of a scenario, whatever it says itself. Each
    /// node then owns 100 $ to pay for its blocks.
    pub commit_reveal: bool,
    pub market: FoundingMarket,
    /// What the treasury key owns at the start.
    pub grant: Money,
    /// Milliseconds since the Unix epoch; batches are later.
    pub timestamp_ms: u64,
}

/// What a new network trades.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum FoundingMarket {
    /// Nothing yet: offers and demands come as records.
    Empty {
        name: String,
        /// Names of the operations.
        operations: Vec<String>,
        /// Transport and time.
        rules: CostRules,
        /// Its calendar, if it has one.
        calendar: Option<FoundingCalendar>,
    },
    /// A scenario's offers, and its demanders' balances, under keys that follow from `rng_seed`.
    Scenario {
        scenario: Box<Scenario>,
        /// What the keys follow from; anyone can compute them.
        rng_seed: u64,
    },
}

/// The periods of a new network, the first of which begins one period after its founding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundingCalendar {
    /// How many can be planned, 1 to 128.
    pub periods: u32,
    /// What a demand can take of each at most, in minutes of processing and travel.
    pub period_minutes: Minutes,
    /// How long each lasts, in milliseconds.
    pub period_ms: u64,
}

/// The files of a new network.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Founded {
    pub name: String,
    /// The hash of its genesis.
    pub network: NetworkId,
    pub directory: PathBuf,
    /// The genesis all nodes share.
    pub genesis: PathBuf,
    /// Who owns the grant.
    pub treasury: Treasury,
    pub nodes: Vec<FoundedNode>,
}

/// The key that owns the grant.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Treasury {
    pub key_file: PathBuf,
    pub address: Address,
    /// What it owns at the start.
    pub balance: Money,
}

/// A node of a new network.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct FoundedNode {
    /// Its number, from 1; 0 for one that joined.
    pub number: usize,
    pub config: PathBuf,
    pub key: PublicKey,
    /// Where it can be reached.
    pub address: SocketAddr,
    /// Whether it votes.
    pub is_validator: bool,
}

/// Why a network cannot be founded.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum FoundingError {
    /// Something is there already; nothing is overwritten.
    #[error("{0} is there already and not empty: name a new directory")]
    NotEmpty(PathBuf),
    /// There is nobody to run it.
    #[error("a network has at least one node and one validator, and no more validators than nodes")]
    NoNodes,
    /// Two nodes cannot be told apart.
    #[error("two nodes have the address {0}: give each its own")]
    AddressTwice(SocketAddr),
    /// The scenario's demands do not fit its network.
    #[error("the scenario's network has no room for its demands: {0}")]
    Room(#[from] Findings),
    /// The market breaks a rule.
    #[error("the genesis breaks a rule: {0}")]
    Genesis(#[from] GenesisError),
    /// No key could be drawn.
    #[error("the system gives no randomness for keys: {0}")]
    Randomness(String),
    /// The genesis could not be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key file could not be written.
    #[error("{0}")]
    Key(String),
}

/// A new key, drawn from the operating system's randomness.
///
/// # Errors
/// If the system gives none.
pub fn draw_key() -> Result<SecretKey, FoundingError> {
    use rand::TryRng as _;
    let mut bytes = [0; 32];
    let drawn = rand::rngs::SysRng.try_fill_bytes(&mut bytes);
    drawn.map_err(|error| FoundingError::Randomness(error.to_string()))?;
    Ok(SecretKey::from_bytes(&bytes))
}

/// Writes the keys, the genesis and the configurations of a new network into `directory`.
///
/// # Errors
/// If the directory holds something, the plan makes no network, or a file cannot be written.
pub fn found(plan: &FoundingPlan, directory: &Path) -> Result<Founded, FoundingError> {
    validate(plan)?;
    validate_empty(directory)?;
    let keys: Vec<SecretKey> = plan.addresses.iter().map(|_| draw_key()).collect::<Result<_, _>>()?;
    let treasury = draw_key()?;
    let network = Network::new(genesis(plan, &keys, &treasury))?;
    write_genesis(&network, directory)?;
    let treasury_file = directory.join(TREASURY_FILE);
    write_key(&treasury_file, &treasury).map_err(|error| FoundingError::Key(format!("{error:#}")))?;
    let mut nodes = Vec::new();
    for (number, key) in (1..).zip(&keys) {
        nodes.push(write_node(plan, number, key, &keys, directory)?);
    }
    let address = treasury.public().address();
    Ok(Founded {
        name: network.genesis().name.clone(),
        network: network.id(),
        directory: directory.to_owned(),
        genesis: directory.join(GENESIS_FILE),
        treasury: Treasury { key_file: treasury_file, address, balance: plan.grant },
        nodes,
    })
}

/// A node that joins a network which is there already. It mines and relays, but does not vote.
#[derive(Clone, Debug)]
pub struct JoiningPlan {
    /// The network's genesis file.
    pub genesis: PathBuf,
    /// Where the node can be reached.
    pub address: SocketAddr,
    /// Nodes to connect to first.
    pub bootstrap_peers: Vec<BootstrapPeer>,
    /// In a private network: the keys of the nodes to talk to.
    pub allow_list: Option<BTreeSet<PublicKey>>,
}

/// Writes a key, a copy of the genesis and a configuration into `directory`.
///
/// # Errors
/// If the directory holds something, the genesis cannot be read, or a file cannot be written.
pub fn join(plan: &JoiningPlan, directory: &Path) -> Result<FoundedNode, FoundingError> {
    validate_empty(directory)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FoundingError::Read { path, source }
    };
    let bytes = std::fs::read(&plan.genesis).map_err(failed(&plan.genesis))?;
    let genesis = Genesis::from_bytes(&bytes)
        .map_err(|error| failed(&plan.genesis)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    Network::new(genesis)?;
    std::fs::create_dir_all(directory)
        .map_err(|source| FoundingError::Write { path: directory.to_owned(), source })?;
    write(&directory.join(GENESIS_FILE), &bytes)?;
    let key = draw_key()?;
    let (listen, advertise) = listen_and_advertise(plan.address);
    let mut file = NodeFile {
        genesis_file: GENESIS_FILE.into(),
        listen,
        advertise,
        bootstrap_peers: plan.bootstrap_peers.clone(),
        allow_list: plan.allow_list.clone(),
        ..node_toml::defaults()
    };
    if let Some(mining) = &mut file.mining {
        let bytes = key.public();
        let number = bytes.as_bytes().iter().take(4).fold(0, |number, &byte| number << 8 | u64::from(byte));
        mining.rng_seed = number; // another one than any other node's
    }
    let config = write_key_and_config(&key, &file, directory)?;
    Ok(FoundedNode { number: 0, config, key: key.public(), address: plan.address, is_validator: false })
}

fn validate_empty(directory: &Path) -> Result<(), FoundingError> {
    let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
    if directory.exists() && !directory.read_dir().is_ok_and(is_empty) {
        return Err(FoundingError::NotEmpty(directory.to_owned()));
    }
    Ok(())
}

fn validate(plan: &FoundingPlan) -> Result<(), FoundingError> {
    if !(1..=plan.addresses.len()).contains(&plan.powers.len()) {
        return Err(FoundingError::NoNodes);
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = plan.addresses.iter().find(|address| !seen.insert(**address)) {
        return Err(FoundingError::AddressTwice(*twice));
    }
    if let FoundingMarket::Scenario { scenario, .. } = &plan.market {
        scenario.validate_room()?;
    }
    Ok(())
}

fn genesis(plan: &FoundingPlan, keys: &[SecretKey], treasury: &SecretKey) -> Genesis {
    let (scenario, rng_seed) = match &plan.market {
        FoundingMarket::Empty { name, operations, rules, calendar } => {
            (&empty_market(name, operations.clone(), *rules, *calendar), 0)
        }
        FoundingMarket::Scenario { scenario, rng_seed } => (scenario.as_ref(), *rng_seed),
    };
    let (profile, miners) = (scenario.search.profile, keys.len());
    let mut genesis =
        Genesis::of_scenario(scenario, profile, miners, Vec::new(), rng_seed, plan.timestamp_ms);
    if plan.commit_reveal {
        genesis.parameters.commit_reveal.get_or_insert_default();
    }
    genesis.fund_miners(keys.iter().map(SecretKey::public));
    genesis.validators = keys.iter().map(SecretKey::public).zip(plan.powers.iter().copied()).collect();
    if plan.grant > Money::ZERO {
        genesis.balances.insert(treasury.public().address(), plan.grant);
    }
    genesis
}

/// A market in which nobody offers or wants anything yet.
fn empty_market(
    name: &str,
    operations: Vec<String>,
    rules: CostRules,
    calendar: Option<FoundingCalendar>,
) -> Scenario {
    let horizon = calendar.map_or(Horizon::SINGLE, |calendar| Horizon {
        first: Period::ZERO,
        periods: calendar.periods,
        period_minutes: Some(calendar.period_minutes),
    });
    let supply = Supply { providers: Vec::new(), rules, geometry: Geometry::Euclidean, horizon };
    let instance = Instance { supply, demands: Vec::new() };
    let mut scenario = Scenario { operations, ..Scenario::of_instance(name, instance) };
    if let Some(FoundingCalendar { period_ms, .. }) = calendar {
        scenario.network.period_ms = period_ms;
    }
    scenario
}

fn write_genesis(network: &Network, directory: &Path) -> Result<(), FoundingError> {
    std::fs::create_dir_all(directory)
        .map_err(|source| FoundingError::Write { path: directory.to_owned(), source })?;
    write(&directory.join(GENESIS_FILE), &network.genesis().to_bytes())?;
    let readable = serde_json::json!({ "network": network.id(), "genesis": network.genesis() });
    write(&directory.join(GENESIS_JSON), format!("{readable:#}\n").as_bytes())
}

fn write_node(
    plan: &FoundingPlan,
    number: usize,
    key: &SecretKey,
    keys: &[SecretKey],
    directory: &Path,
) -> Result<FoundedNode, FoundingError> {
    let place = directory.join(format!("node-{number}"));
    std::fs::create_dir(&place).map_err(|source| FoundingError::Write { path: place.clone(), source })?;
    let config = write_key_and_config(key, &node_file(plan, number, keys), &place)?;
    let address = plan.addresses[number - 1];
    Ok(FoundedNode { number, config, key: key.public(), address, is_validator: number <= plan.powers.len() })
}

fn write_key_and_config(
    key: &SecretKey,
    file: &NodeFile,
    directory: &Path,
) -> Result<PathBuf, FoundingError> {
    let key_file = directory.join(&file.key_file);
    write_key(&key_file, key).map_err(|error| FoundingError::Key(format!("{error:#}")))?;
    let config = directory.join(NODE_FILE);
    write(&config, node_toml::render(file).as_bytes())?;
    Ok(config)
}

fn node_file(plan: &FoundingPlan, number: usize, keys: &[SecretKey]) -> NodeFile {
    let own = plan.addresses[number - 1];
    let (listen, advertise) = listen_and_advertise(own);
    let allow_list = plan.private.then(|| keys.iter().map(SecretKey::public).collect());
    let everybody = plan.addresses.iter().zip(keys);
    let others = everybody
        .map(|(&address, key)| BootstrapPeer { address, key: Some(key.public()) })
        .filter(|peer| peer.address != own);
    NodeFile {
        key_file: "node.key".into(),
        genesis_file: Path::new("..").join(GENESIS_FILE),
        data_dir: "data".into(),
        listen,
        advertise,
        bootstrap_peers: others.collect(),
        allow_list,
        threads: NonZeroUsize::MIN,
        timing: Timing::default(),
        mining: Some(mining(&plan.market, number)),
    }
}

/// A node on this machine alone listens there; any other listens on every address of its kind, because the
/// one under which others reach it may belong to a router before it.
fn listen_and_advertise(address: SocketAddr) -> (SocketAddr, Vec<SocketAddr>) {
    if address.ip().is_loopback() {
        return (address, Vec::new());
    }
    let any = match address.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    (SocketAddr::new(any, address.port()), vec![address])
}

fn mining(market: &FoundingMarket, number: usize) -> MiningSettings {
    let (search, strategy, window) = match market {
        FoundingMarket::Empty { .. } => (SearchSettings::default(), Strategy::Cells, WINDOW),
        FoundingMarket::Scenario { scenario, .. } => {
            let strategy = match scenario.experiment.split {
                Split::Strips => Strategy::Strips,
                Split::Cells => Strategy::Cells,
            };
            (scenario.search, strategy, scenario.extent().unwrap_or(WINDOW))
        }
    };
    MiningSettings {
        strategy,
        profile: search.profile,
        search,
        region: None,
        window,
        rng_seed: number as u64,
        announce: AnnouncePolicy::default(),
        amend: AmendPolicy::default(),
        wait_for_start: false,
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), FoundingError> {
    std::fs::write(path, content).map_err(|source| FoundingError::Write { path: path.to_owned(), source })
}

/// The addresses of `count` nodes on this machine, from `base_port` on.
pub fn loopback_addresses(count: usize, base_port: u16) -> Option<Vec<SocketAddr>> {
    let last = usize::from(base_port).checked_add(count)?.checked_sub(1)?;
    let last = u16::try_from(last).ok()?;
    Some((base_port..=last).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn plan(addresses: &[&str]) -> FoundingPlan {
        FoundingPlan {
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            powers: vec![1; addresses.len()],
            private: false,
            commit_reveal: false,
            market: FoundingMarket::Empty {
                name: "workshop".into(),
                operations: vec!["turning".into(), "milling".into()],
                rules: CostRules {
                    rate_per_km: Money::from_micros(100_000),
                    value_of_minute: Money::ZERO,
                    metres_per_minute: 500,
                    deliver: false,
                },
                calendar: None,
            },
            grant: Money::from_units(1_000),
            timestamp_ms: 7,
        }
    }

    #[test]
    fn where_miners_commit_to_blocks_every_node_has_money_for_them() {
        let directory = tempfile::tempdir().unwrap();
        let addresses = ["127.0.0.1:7001", "127.0.0.1:7002"];
        let plan = FoundingPlan { commit_reveal: true, powers: vec![1], ..plan(&addresses) };
        let founded = found(&plan, directory.path()).unwrap();
        let genesis = Genesis::from_bytes(&std::fs::read(&founded.genesis).unwrap()).unwrap();
        assert!(genesis.parameters.commit_reveal.is_some());
        let owned = founded.nodes.iter().map(|node| genesis.balances.get(&node.key.address()).copied());
        assert_eq!(owned.collect::<Vec<_>>(), [Some(Money::from_units(101)); 2]);
    }

    #[test]
    fn the_first_nodes_vote_with_the_power_they_are_given() {
        let directory = tempfile::tempdir().unwrap();
        let addresses = ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"];
        let weighted = FoundingPlan { powers: vec![3, 2], ..plan(&addresses) };
        let founded = found(&weighted, directory.path()).unwrap();
        let network = NodeFile::load(&founded.nodes[0].config).unwrap().network().unwrap();
        let [first, second, third] = founded.nodes.as_slice() else { panic!("three nodes") };
        assert_eq!(network.genesis().validators, [(first.key, 3), (second.key, 2)].into());
        assert_eq!((second.is_validator, third.is_validator), (true, false));
        assert_eq!(network.validators().quorum(), 4);
        let crowd = FoundingPlan { powers: vec![1; 4], ..plan(&addresses) };
        assert!(matches!(found(&crowd, &directory.path().join("crowd")), Err(FoundingError::NoNodes)));
    }

    #[test]
    fn every_node_of_a_new_network_loads_its_configuration_key_and_genesis() {
        let directory = tempfile::tempdir().unwrap();
        let founded = found(&plan(&["127.0.0.1:7001", "[::1]:7002"]), directory.path()).unwrap();
        for node in &founded.nodes {
            let file = NodeFile::load(&node.config).unwrap();
            assert_eq!(file.key().unwrap().public(), node.key);
            let network = file.network().unwrap();
            assert_eq!(network.id(), founded.network);
            assert_eq!(network.genesis().operations, ["turning", "milling"]);
            assert_eq!(network.genesis().balances[&founded.treasury.address], Money::from_units(1_000));
            assert_eq!(network.genesis().validators.len(), 2);
            assert_eq!(file.listen, node.address);
            assert_eq!(file.allow_list, None);
        }
        let first = NodeFile::load(&founded.nodes[0].config).unwrap();
        let second = &founded.nodes[1];
        assert_eq!(first.bootstrap_peers, [BootstrapPeer { address: second.address, key: Some(second.key) }]);
    }

    #[test]
    fn secret_keys_are_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let founded = found(&plan(&["127.0.0.1:7001"]), directory.path()).unwrap();
        let node_key = founded.nodes[0].config.with_file_name("node.key");
        for file in [&founded.treasury.key_file, &node_key] {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn nodes_of_a_private_network_talk_to_each_other_only() {
        let directory = tempfile::tempdir().unwrap();
        let mut plan = plan(&["127.0.0.1:7001", "127.0.0.1:7002"]);
        plan.private = true;
        let founded = found(&plan, directory.path()).unwrap();
        let file = NodeFile::load(&founded.nodes[1].config).unwrap();
        assert_eq!(file.allow_list, Some(founded.nodes.iter().map(|node| node.key).collect()));
    }

    #[test]
    fn a_node_behind_a_public_address_listens_everywhere_and_says_where_it_is() {
        let public: SocketAddr = "[2001:db8::5]:7000".parse().unwrap();
        let any: SocketAddr = "[::]:7000".parse().unwrap();
        assert_eq!(listen_and_advertise(public), (any, vec![public]));
        let local: SocketAddr = "127.0.0.1:7000".parse().unwrap();
        assert_eq!(listen_and_advertise(local), (local, Vec::new()));
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        found(&plan(&["127.0.0.1:7001"]), directory.path()).unwrap();
        let again = found(&plan(&["127.0.0.1:7001"]), directory.path()).unwrap_err();
        assert!(matches!(again, FoundingError::NotEmpty(_)), "{again}");
    }

    #[test]
    fn a_node_joins_with_a_key_of_its_own_and_the_same_genesis() {
        let directory = tempfile::tempdir().unwrap();
        let founded = found(&plan(&["127.0.0.1:7001"]), &directory.path().join("network")).unwrap();
        let plan = JoiningPlan {
            genesis: founded.genesis.clone(),
            address: "[2001:db8::6]:7002".parse().unwrap(),
            bootstrap_peers: vec![BootstrapPeer { address: founded.nodes[0].address, key: None }],
            allow_list: None,
        };
        let joined = join(&plan, &directory.path().join("joined")).unwrap();
        let file = NodeFile::load(&joined.config).unwrap();
        assert_eq!(file.key().unwrap().public(), joined.key);
        assert_eq!(file.network().unwrap().id(), founded.network);
        assert_eq!(file.advertise, [plan.address]);
        assert_eq!(file.bootstrap_peers, plan.bootstrap_peers);
        assert!(!file.network().unwrap().genesis().validators.contains_key(&joined.key));
    }

    #[test]
    fn two_nodes_do_not_share_an_address() {
        let directory = tempfile::tempdir().unwrap();
        let error = found(&plan(&["127.0.0.1:7001", "127.0.0.1:7001"]), directory.path()).unwrap_err();
        assert_eq!(error.to_string(), "two nodes have the address 127.0.0.1:7001: give each its own");
    }

    #[test]
    fn ports_count_up_from_the_first_and_end_at_the_last() {
        let ports = |count, base| {
            loopback_addresses(count, base).map(|all| all.iter().map(SocketAddr::port).collect::<Vec<_>>())
        };
        assert_eq!(ports(2, 7_400), Some(vec![7_400, 7_401]));
        assert_eq!(ports(2, 65_535), None);
    }

    #[test]
    fn a_market_without_a_scenario_may_have_a_calendar() {
        let directory = tempfile::tempdir().unwrap();
        let mut plan = plan(&["127.0.0.1:7400"]);
        let FoundingMarket::Empty { calendar, .. } = &mut plan.market else {
            panic!("a market of nothing yet")
        };
        *calendar = Some(FoundingCalendar { periods: 5, period_minutes: 480, period_ms: 60_000 });
        let founded = found(&plan, &directory.path().join("net")).unwrap();
        let genesis = Genesis::from_bytes(&std::fs::read(founded.genesis).unwrap()).unwrap();
        let horizon = Horizon { first: Period::ZERO, periods: 5, period_minutes: Some(480) };
        assert_eq!((genesis.horizon, genesis.calendar_start_ms), (horizon, 60_007));
        assert_eq!(genesis.parameters.period_ms, 60_000);
    }
}
