//! A network made with `miner network init`, run with `miner run`, asked and told things with the commands
//! under test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The program under test.
const MINER: &str = env!("CARGO_BIN_EXE_miner-under-test");
/// How long anything may take before a test fails; never reached on a sound build.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same for commands that wait, in seconds.
pub(crate) const TIMEOUT: &str = "120";
/// What every offer has, in minutes.
const CAPACITY: u32 = 10_000;
/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The operations of every market here.
pub(crate) const OPERATIONS: &str = "turning,milling";

/// How a network differs from the plain one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Where the nodes listen.
    pub(crate) address: IpAddr,
    /// Nodes do not mine until told to.
    pub(crate) waits_for_start: bool,
    /// More arguments of `network init`.
    pub(crate) more: &'static [&'static str],
}

impl Default for Setup {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), waits_for_start: false, more: &[] }
    }
}

/// Two running nodes, and the directory they and their customers' files are in.
#[derive(Debug)]
pub(crate) struct TestNetwork {
    nodes: Vec<NodeProcess>,
    hosts: String,
    directory: TempDir,
}

/// A node that stops when its stdin closes, or is killed if it does not.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl NodeProcess {
    fn start(directory: &Path) -> Self {
        let log = std::fs::File::create(directory.join("node.log")).unwrap();
        let mut child = Command::new(MINER)
            .args(["-v", "run", "--first-run", "--stop-with-stdin", "--config"])
            .arg(directory.join("node.toml"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// UDP ports nobody uses right now.
fn free_addresses(address: IpAddr, count: usize) -> Vec<SocketAddr> {
    // All are held until all are known, or one could be given out twice.
    let sockets: Vec<UdpSocket> = (0..count).map(|_| UdpSocket::bind((address, 0)).unwrap()).collect();
    sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
}

impl TestNetwork {
    /// Makes a network of two nodes, starts both and waits until they see each other.
    pub(crate) fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("net");
        let hosts: Vec<String> = free_addresses(setup.address, 2).iter().map(SocketAddr::to_string).collect();
        let out = out.to_str().unwrap();
        let hosts = hosts.join(",");
        let init = ["network", "init", "--out", out, "--operations", OPERATIONS, "--host", &hosts];
        success(&run(&[&init[..], setup.more].concat()));
        let mut network = Self { nodes: Vec::new(), hosts, directory };
        for number in [1, 2] {
            if setup.waits_for_start {
                network.edit_configuration(number, "#wait_for_start = false", "wait_for_start = true");
            }
            let node = NodeProcess::start(&network.node_directory(number));
            network.nodes.push(node);
        }
        network.wait_until("the nodes see each other", |network| {
            [1, 2].iter().all(|&node| network.show(node).is_some_and(|shown| shown["node"]["peers"] == 1))
        });
        network
    }

    fn edit_configuration(&self, number: usize, from: &str, to: &str) {
        let file = self.node_directory(number).join("node.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
    }

    /// Starts another node, made with `miner network join`, in a directory of this name.
    pub(crate) fn join(&self, name: &str) -> NodeProcess {
        let (out, genesis) = (self.path(name), self.path("net/genesis.bin"));
        let host = free_addresses(IpAddr::V4(Ipv4Addr::LOCALHOST), 1)[0].to_string();
        let join = ["network", "join", "--host", &host, "--bootstrap", &self.hosts];
        let files = ["--genesis", genesis.to_str().unwrap(), "--out", out.to_str().unwrap()];
        success(&run(&[&join[..], &files].concat()));
        NodeProcess::start(&out)
    }

    pub(crate) fn node_directory(&self, number: usize) -> PathBuf {
        self.path(&format!("net/node-{number}"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The key that owns all money at the start.
    pub(crate) fn treasury(&self) -> PathBuf {
        self.path("net/treasury.key")
    }

    /// A new key.
    pub(crate) fn new_key(&self, name: &str) -> PathBuf {
        let file = self.path(&format!("{name}.key"));
        success(&run(&["key", "new", "--out", file.to_str().unwrap()]));
        file
    }

    /// A new key, given money enough for an account and a few offers.
    pub(crate) fn new_owner(&self, name: &str) -> PathBuf {
        let key = self.new_key(name);
        self.submit(&self.treasury(), &["transfer", "--to", &address(&key), "--amount", "200", "--wait"]);
        key
    }

    /// Runs a client command against the first node, with `--json`; its exit code and what it printed.
    pub(crate) fn ask(&self, arguments: &[&str]) -> (i32, Value) {
        self.ask_node(1, arguments)
    }

    /// The same against any node.
    pub(crate) fn ask_node(&self, number: usize, arguments: &[&str]) -> (i32, Value) {
        let node = self.node_directory(number);
        let output = run(&[arguments, &["--json", "--node", node.to_str().unwrap()]].concat());
        let code = output.status.code().unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("{arguments:?} printed no JSON ({error}), exit code {code}: {said}\n{}", self.logs())
        });
        (code, report)
    }

    /// Runs a command that submits with this key and waits; returns the report of its only record.
    pub(crate) fn submit(&self, key: &Path, arguments: &[&str]) -> Value {
        let (code, mut report) = self.submit_as(key, arguments);
        assert_eq!(code, 0, "{arguments:?} failed: {report:#}\n{}", self.logs());
        report["records"][0].take()
    }

    /// Runs a command that submits with this key, whatever comes of it.
    pub(crate) fn submit_as(&self, key: &Path, arguments: &[&str]) -> (i32, Value) {
        self.ask(&[arguments, &["--key", key.to_str().unwrap(), "--timeout", TIMEOUT]].concat())
    }

    /// Publishes an offer of one operation at a site on the x axis, and waits until it is final.
    pub(crate) fn publish(&self, key: &Path, name: &str, x_m: i64, offers: &Value) -> Value {
        let file = self.write_offer(name, x_m, offers);
        self.submit(key, &["offer", "publish", "--wait", "--file", file.to_str().unwrap()])
    }

    /// Writes an offer file.
    pub(crate) fn write_offer(&self, name: &str, x_m: i64, offers: &Value) -> PathBuf {
        let file = self.path(&format!("{name}.json"));
        let site = json!({ "x_m": x_m, "y_m": 0 });
        let offer = json!({ "name": name, "site": site, "capacity_minutes": CAPACITY, "offers": offers });
        std::fs::write(&file, offer.to_string()).unwrap();
        file
    }

    /// Submits a demand and waits until it is composed; its report.
    pub(crate) fn compose(&self, key: &Path, orders: &str, budget: &str) -> Value {
        let demand = ["demand", "submit", "--orders", orders, "--budget", budget, "--wait", "composed"];
        self.submit(key, &demand)
    }

    pub(crate) fn balance(&self, key: &Path) -> Value {
        self.ask(&["balance", "--key", key.to_str().unwrap()]).1
    }

    pub(crate) fn demand(&self, id: &str) -> Value {
        self.ask(&["demand", "show", id]).1
    }

    /// What a node knows of its network; `None` while it does not answer.
    pub(crate) fn show(&self, number: usize) -> Option<Value> {
        let node = self.node_directory(number);
        let output = run(&["network", "show", "--json", "--node", node.to_str().unwrap()]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Looks until something holds.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not in time: {what}\n{}", self.logs());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The ends of the nodes' logs.
    pub(crate) fn logs(&self) -> String {
        let tail = |number: usize| {
            let log = std::fs::read_to_string(self.node_directory(number).join("node.log"));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(15).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            format!("-- node {number}\n{}", lines.join("\n"))
        };
        (1..=self.nodes.len()).map(tail).collect::<Vec<_>>().join("\n")
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(MINER);
    command.args(arguments).env_remove("RUST_LOG").env_remove("MIZAN_NODE");
    command.output().unwrap()
}

/// What a command printed, if it succeeded.
pub(crate) fn success(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The address of a key file.
pub(crate) fn address(key: &Path) -> String {
    let shown = success(&run(&["key", "show", "--json", key.to_str().unwrap()]));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["address"].as_str().unwrap().to_owned()
}

/// Names of the providers of a composed demand, from what `demand show` or `--wait composed` told.
pub(crate) fn providers(demand: &Value) -> Vec<&str> {
    let steps = demand["standing"]["steps"].as_array();
    let steps = steps.unwrap_or_else(|| panic!("it is not composed: {demand:#}"));
    steps.iter().map(|step| step["name"].as_str().unwrap()).collect()
}
