//! One simulated machine: what it is, the node it runs while it is up, and the disk that outlives it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chain::consensus::ConsensusMessage;
use chain::ledger::Defect;
use chain::store::Store;
use chain::{FinalBatch, Network, PublicKey, Record, SecretKey};
use coordinator_free_pool::PoolLimits;
use miner_node::{
    Effect, Message, MiningSettings, Node, NodeConfig, Now, Opened, OpeningError, Recovered, Testimony,
    TestimonyError, Timer, Timing, open_store,
};

use super::attack::{Attack, Playing};
use super::clock::Clock;
use super::desk::Desk;
use super::disk::Disk;
use super::lie::Lie;
use super::work::Workshop;

/// A machine that does not exist.
const NOBODY: HostId = HostId(u32::MAX);
/// Where all nodes listen.
const PORT: u16 = 4_433;

/// A machine of the world, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub u32);

/// How a host behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It runs the node core and nothing else.
    Honest,
    /// It runs the node core, and tells its peers something else than the core would.
    Liar(Lie),
    /// It runs the node core, and attacks beside: a validator that plays foul.
    Insider(Attack),
    /// It runs no node and attacks, from a new key whenever somebody hangs up on it.
    Stranger(Attack),
    /// It runs nothing: a test writes what it says.
    Puppet,
}

/// What a host is made of.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct HostSettings {
    pub key: SecretKey,
    /// How it mines; `None` is a node that relays and, if the genesis lists it, votes.
    pub mining: Option<MiningSettings>,
    /// How often and how long.
    pub timing: Timing,
    pub behaviour: Behaviour,
    /// How far its wall clock is ahead of true time, in milliseconds; behind if negative.
    pub clock_lead_ms: i64,
    /// How much faster than true time its clocks run, in millionths; slower if negative.
    pub clock_drift_ppm: i32,
    /// How many times slower it is than the machine whose costs were measured.
    pub slowness: u32,
    /// When it is started, in milliseconds since the run began.
    pub starts_at_ms: u64,
    /// Its solver breaks down on all work it is given.
    pub solver_fails: bool,
    /// How much longer it takes to execute each batch, in milliseconds.
    pub execution_ms: u64,
}

/// A machine.
#[derive(Debug)]
pub struct Host {
    pub(super) settings: HostSettings,
    pub(super) running: Option<Running>,
    /// What outlives it.
    pub(super) disk: Disk,
    /// What its operator says of its past when it is started next.
    pub(super) testimony: Testimony,
    /// What its operator said of its past was not so.
    pub(super) is_lied_about: bool,
    /// Starts so far: timers and work of an earlier life come to nothing.
    pub(super) life: u32,
    /// It crashes when it has carried out this many more effects.
    pub(super) crash_after: Option<u32>,
    /// Records its clients handed in, to be handed in again after a crash.
    pub(super) submitted: Vec<Record>,
    pub(super) clock: Clock,
    pub(super) is_suspended: bool,
    /// Dials under way.
    pub(super) dials: u32,
    /// Of what runs no node: open connections, what it was told, and who hung up why.
    pub(super) puppet: Puppet,
    /// What its attack remembers.
    pub(super) playing: Option<Playing>,
}

/// What a puppet sees.
#[derive(Debug, Default)]
pub(super) struct Puppet {
    pub(super) connections: BTreeMap<HostId, u64>,
    pub(super) heard: Vec<(HostId, Message)>,
    pub(super) dropped: Vec<(HostId, String)>,
    /// The key it shows to a peer, if not its own.
    pub(super) masks: BTreeMap<HostId, SecretKey>,
}

/// A node at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) node: Node,
    pub(super) store: Store,
    pub(super) timers: BTreeMap<Timer, u64>,
    pub(super) connections: BTreeMap<HostId, u64>,
    pub(super) work: Workshop,
    pub(super) desk: Desk,
    /// What came of the batch that is being executed, known once it is time.
    pub(super) executed: Option<Box<Result<FinalBatch, Defect>>>,
}

impl HostId {
    /// Where its node listens: every machine has an address of its own.
    pub(super) fn address(self) -> SocketAddr {
        let [_, high, middle, low] = self.0.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, high, middle, low), PORT))
    }

    /// The host that listens there, which may not exist.
    pub(super) fn at(address: SocketAddr) -> Self {
        match address.ip() {
            IpAddr::V4(ip) => Self(u32::from(ip) & 0x00ff_ffff),
            IpAddr::V6(_) => NOBODY,
        }
    }

    /// Its position.
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", self.0)
    }
}

impl Behaviour {
    /// What it attacks with.
    pub(super) const fn attack(self) -> Option<Attack> {
        match self {
            Self::Insider(attack) | Self::Stranger(attack) => Some(attack),
            Self::Honest | Self::Liar(_) | Self::Puppet => None,
        }
    }
}

impl HostSettings {
    /// An honest node that relays and votes.
    pub fn voter(key: SecretKey) -> Self {
        Self {
            key,
            mining: None,
            timing: Timing::default(),
            behaviour: Behaviour::Honest,
            clock_lead_ms: 0,
            clock_drift_ppm: 0,
            slowness: 1,
            starts_at_ms: 0,
            solver_fails: false,
            execution_ms: 0,
        }
    }

    /// An honest miner.
    pub fn miner(key: SecretKey, mining: MiningSettings) -> Self {
        Self { mining: Some(mining), ..Self::voter(key) }
    }

    /// A puppet.
    pub fn puppet(key: SecretKey) -> Self {
        Self { behaviour: Behaviour::Puppet, ..Self::voter(key) }
    }
}

impl Host {
    pub(super) fn new(settings: HostSettings, rng_seed: u64, id: HostId) -> Self {
        let playing = settings.behaviour.attack().map(|attack| Playing::new(attack, rng_seed, id));
        Self {
            clock: Clock::new(settings.clock_lead_ms, settings.clock_drift_ppm),
            is_suspended: false,
            dials: 0,
            playing,
            settings,
            running: None,
            disk: Disk::default(),
            testimony: Testimony::FirstRun,
            is_lied_about: false,
            life: 0,
            crash_after: None,
            submitted: Vec::new(),
            puppet: Puppet::default(),
        }
    }

    /// Its node's key.
    pub fn key(&self) -> PublicKey {
        self.settings.key.public()
    }

    /// How it behaves.
    pub const fn behaviour(&self) -> Behaviour {
        self.settings.behaviour
    }

    /// Its node, while it runs.
    pub fn node(&self) -> Option<&Node> {
        self.running.as_ref().map(|running| &running.node)
    }

    /// Its store, while it runs.
    pub fn store(&self) -> Option<&Store> {
        self.running.as_ref().map(|running| &running.store)
    }

    /// What a puppet was told.
    pub fn heard(&self) -> &[(HostId, Message)] {
        &self.puppet.heard
    }

    /// Its disk.
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Who hung up on a puppet, and why.
    pub fn dropped(&self) -> &[(HostId, String)] {
        &self.puppet.dropped
    }

    /// The key it shows to a peer.
    pub(super) fn key_shown_to(&self, peer: HostId) -> PublicKey {
        self.puppet.masks.get(&peer).map_or_else(|| self.key(), SecretKey::public)
    }

    /// CPU time its node has used so far in this life, in microseconds.
    pub fn busy_us(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.desk.busy_us)
    }

    /// Whether it has no node.
    pub(super) const fn is_puppet(&self) -> bool {
        matches!(self.settings.behaviour, Behaviour::Puppet | Behaviour::Stranger(_))
    }

    pub(super) fn is_honest(&self) -> bool {
        self.settings.behaviour == Behaviour::Honest
    }

    /// A double voter does not listen to votes of its own: its node would notice that it has signed what it does not
    /// remember.
    pub(super) fn hears_itself(&self, bytes: &[u8]) -> bool {
        if self.settings.behaviour != Behaviour::Liar(Lie::VotesTwice) {
            return false;
        }
        let Ok(Message::Consensus(ConsensusMessage::Vote(signed))) = Message::decode(bytes) else {
            return false;
        };
        let own = self.settings.key.public();
        self.node()
            .is_some_and(|node| node.ledger().network().validators().key(signed.validator) == Some(own))
    }

    /// Its open connections by peer; nobody is connected to what does not run.
    pub(super) fn connections(&mut self) -> Option<&mut BTreeMap<HostId, u64>> {
        if self.is_puppet() {
            return Some(&mut self.puppet.connections);
        }
        self.running.as_mut().map(|running| &mut running.connections)
    }

    /// Begins a life: what the disk remembers, verified from genesis. `None` if the disk failed on the way.
    pub(super) fn start(
        &mut self,
        network: &Arc<Network>,
        now: Now,
    ) -> Result<Option<Vec<Effect>>, OpeningError> {
        self.life += 1;
        self.crash_after = None;
        self.is_suspended = false;
        self.dials = 0;
        let opened = match self.open(network) {
            // Its operator does what it is told to: starts it without a word about its past.
            Err(OpeningError::Testimony(TestimonyError::Damaged { .. })) => {
                self.testimony = Testimony::None;
                self.open(network)
            }
            opened => opened,
        };
        let Opened { store, recovered, .. } = match opened {
            Err(_) if self.disk.has_failed() => return Ok(None),
            opened => opened?,
        };
        self.testimony = Testimony::None;
        let HostSettings { key, mining, timing, solver_fails, .. } = self.settings.clone();
        let (node, effects) =
            Node::new(NodeConfig { key, mining, timing, pool: PoolLimits::default() }, recovered, now);
        let (timers, connections, work) = (BTreeMap::new(), BTreeMap::new(), Workshop::new(solver_fails));
        self.running =
            Some(Running { node, store, timers, connections, work, desk: Desk::default(), executed: None });
        Ok(Some(effects))
    }

    /// Opens the store as the driver does.
    fn open(&mut self, network: &Arc<Network>) -> Result<Opened, OpeningError> {
        let (own, testimony) = (self.key(), self.testimony);
        open_store(&mut self.disk, network, own, testimony, |store| Recovered::recall(store, network))
    }

    /// Ends a life: only what is on disk remains. Who was connected is given back.
    pub(super) fn crash(&mut self) -> BTreeMap<HostId, u64> {
        self.crash_after = None;
        self.running.take().map(|running| running.connections).unwrap_or_default()
    }
}
