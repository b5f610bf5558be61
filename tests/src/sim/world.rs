//! The discrete-event loop: a virtual clock, the queue of what is to come, and everything that happens.
//! What nodes ask for is carried out in `effects`; connections are in `connections`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chain::{DemandId, Height, PublicKey, Record};
use miner_node::{Command, Input, Node, NodeEvent, NodeStatus, Now, SubmissionId, Testimony, Timer, WorkId};

use super::checkers::{Checkers, Violation};
use super::draws::Draws;
use super::faults::{Fault, Storm};
use super::host::{Behaviour, Host, HostId, HostSettings};
use super::links::{LinkQuality, Links};
use super::market::{Market, START_MS};
use super::trace::Trace;

/// After this long a connection across a cut is given up.
const IDLE_TIMEOUT_MS: u64 = 8_000;
/// The longest it takes until a peer notices a crash.
const CRASH_NOTICED_MS: u64 = 1_500;
/// How often [`World::run_until_settled`] looks.
const LOOK_MS: u64 = 200;

/// Clients here do not wait for an answer.
const NOBODY: SubmissionId = SubmissionId(0);

/// Something to come.
#[derive(Debug)]
pub(super) enum Event {
    Start(HostId),
    Bootstrap { at: HostId, life: u32 },
    Connect { from: HostId, to: HostId },
    Disconnect { at: HostId, peer: HostId, connection: u64, reason: String },
    IdleTimeout { one: HostId, other: HostId },
    Deliver { from: HostId, to: HostId, connection: u64, bytes: Arc<[u8]> },
    Timer { at: HostId, life: u32, timer: Timer, at_ms: u64 },
    Work { at: HostId, life: u32, work: WorkId },
    Command { at: HostId, command: Command },
    Fault(Fault),
}

/// What a node told people.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ObservedEvent {
    /// When, in milliseconds since the run began.
    pub at_ms: u64,
    pub host: HostId,
    pub event: NodeEvent,
}

/// A simulated network.
#[derive(Debug)]
pub struct World {
    pub(super) rng_seed: u64,
    pub(super) market: Market,
    pub(super) hosts: Vec<Host>,
    pub(super) names: BTreeMap<PublicKey, HostId>,
    pub(super) links: Links,
    pub(super) draws: Draws,
    pub(super) queue: BTreeMap<(u64, u64), Event>,
    pub(super) scheduled: u64,
    pub(super) connections: u64,
    pub(super) now_ms: u64,
    pub(super) checkers: Checkers,
    pub(super) trace: Trace,
    pub(super) told: Vec<ObservedEvent>,
    pub(super) sent: u64,
    pub(super) last_height_ms: u64,
    pub(super) longest_height_ms: u64,
}

/// How a run ended, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Report {
    pub rng_seed: u64,
    /// Virtual time at its end.
    pub at_ms: u64,
    /// Height of the head.
    pub height: u64,
    /// The highest round that decided a block.
    pub last_round: u32,
    /// The longest virtual time between two heights.
    pub longest_height_ms: u64,
    /// Messages sent.
    pub messages: u64,
    pub composed: usize,
    /// Hash of everything that happened.
    pub trace_hash: [u8; 32],
}

/// A violation, and what led to it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {rng_seed}, at {at_ms} ms: {violation}\n{trace}seed {rng_seed}, at {at_ms} ms: {violation}")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Failure {
    /// Runs the same story again.
    pub rng_seed: u64,
    pub at_ms: u64,
    pub violation: Box<Violation>,
    /// The last things told before it.
    pub trace: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rng_seed, at_ms, height, last_round, longest_height_ms, messages, composed, .. } = self;
        write!(
            f,
            "seed {rng_seed}: {composed} composed in {height} heights and {at_ms} ms (the longest {longest_height_ms} \
             ms, rounds to {last_round}), {messages} messages"
        )
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl World {
    /// A network of these hosts on good links; each starts at its time.
    pub fn new(market: Market, hosts: Vec<HostSettings>, rng_seed: u64) -> Self {
        let validators = market.network.validators();
        let liars = hosts.iter().filter(|host| host.behaviour != Behaviour::Honest);
        let liars = liars.filter_map(|host| validators.index_of(&host.key.public())).collect();
        let names = (0..).map(HostId).zip(&hosts).map(|(id, host)| (host.key.public(), id)).collect();
        let mut world = Self {
            rng_seed,
            checkers: Checkers::new(&market, liars),
            market,
            hosts: Vec::new(),
            names,
            links: Links::new(LinkQuality::GOOD, Draws::new(rng_seed, 1)),
            draws: Draws::new(rng_seed, 2),
            queue: BTreeMap::new(),
            scheduled: 0,
            connections: 0,
            now_ms: 0,
            trace: Trace::default(),
            told: Vec::new(),
            sent: 0,
            last_height_ms: 0,
            longest_height_ms: 0,
        };
        for (id, settings) in (0..).map(HostId).zip(hosts) {
            world.schedule(settings.starts_at_ms, Event::Start(id));
            world.hosts.push(Host::new(settings));
        }
        world
    }

    // ---- what a test arranges ----

    /// Lets a fault happen so long after now.
    pub fn inflict(&mut self, in_ms: u64, fault: Fault) {
        self.schedule(in_ms, Event::Fault(fault));
    }

    /// Lets a storm happen from now on.
    pub fn storm(&mut self, storm: Storm) {
        for (in_ms, fault) in storm.faults {
            self.inflict(in_ms, fault);
        }
    }

    /// Ends all faults: good links, no cut, everybody up; faults still to come do not.
    ///
    /// # Errors
    /// If a host does not start again.
    pub fn calm(&mut self) -> Result<(), Failure> {
        self.queue.retain(|_, event| !matches!(event, Event::Fault(_)));
        self.links.set_quality(LinkQuality::GOOD);
        self.links.heal();
        for id in self.host_ids() {
            let host = &mut self.hosts[id.index()];
            host.crash_after = None;
            host.disk.mend();
            if host.running.is_none() && host.life > 0 {
                self.start(id).map_err(|violation| self.failure(violation))?;
            }
        }
        Ok(())
    }

    /// The operator of a host says this of its past when it is started next.
    pub fn testify(&mut self, id: HostId, testimony: Testimony) {
        let signed = self.last_signed(id);
        let host = &mut self.hosts[id.index()];
        host.testimony = testimony;
        host.is_lied_about = match testimony {
            Testimony::None => host.is_lied_about,
            Testimony::FirstRun => signed > 0,
            Testimony::VoteFrom(height) => signed >= height,
        };
    }

    /// The last height of which this host's validator said anything, as the checkers heard; 0 if it never did.
    pub fn last_signed(&self, id: HostId) -> Height {
        let index = self.market.network.validators().index_of(&self.host(id).key());
        index.map_or(0, |index| self.checkers.last_signed(index))
    }

    /// A client hands records to a host, now or once it has started.
    pub fn submit(&mut self, in_ms: u64, at: HostId, records: Vec<Record>) {
        self.schedule(in_ms, Event::Command { at, command: Command::Submit { records, reply_to: NOBODY } });
    }

    /// Hands all records of the market to the hosts that run nodes, in turn, at random times below `within_ms`.
    pub fn submit_all(&mut self, within_ms: u64) {
        let nodes: Vec<HostId> = self.host_ids().filter(|id| !self.hosts[id.index()].is_puppet()).collect();
        for record in self.market.records.clone() {
            let (at, in_ms) = (*self.draws.pick(&nodes), self.draws.below(within_ms.max(1)));
            self.submit(in_ms, at, vec![record]);
        }
    }

    // ---- what a test sees ----

    /// Virtual time since the run began, in milliseconds.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.index()]
    }

    /// Its node, which must be running.
    ///
    /// # Panics
    /// If it is not.
    pub fn node(&self, id: HostId) -> &Node {
        self.host(id).node().expect("the test knows that this host runs a node")
    }

    /// All hosts.
    pub fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)).map(HostId)
    }

    /// The market.
    pub const fn market(&self) -> &Market {
        &self.market
    }

    /// Everything that nodes told.
    pub fn told(&self) -> &[ObservedEvent] {
        &self.told
    }

    /// The checkers.
    pub const fn checkers(&self) -> &Checkers {
        &self.checkers
    }

    /// The hash of everything that happened.
    pub fn trace_hash(&self) -> [u8; 32] {
        self.trace.hash()
    }

    /// Where honest nodes stand, those that run.
    pub fn statuses(&self) -> Vec<(HostId, NodeStatus)> {
        let honest = self.host_ids().filter(|id| self.host(*id).behaviour() == Behaviour::Honest);
        honest.filter_map(|id| Some((id, self.host(id).node()?.status(self.local(id).wall_ms)))).collect()
    }

    /// Whether nothing is left to do: honest nodes agree on the head, nobody has work, pools are empty, and
    /// every open demand is named by somebody as one that cannot be served.
    pub fn is_settled(&self) -> bool {
        let all_on_chain = |node: &Node| {
            let is_used =
                |record: &Record| node.ledger().next_sequence(record.author()) > record.content.sequence;
            self.market.records.iter().all(is_used)
        };
        let statuses = self.statuses();
        let heads: BTreeSet<_> = statuses.iter().map(|(_, status)| status.head).collect();
        let named: BTreeSet<DemandId> =
            statuses.iter().flat_map(|(_, status)| status.given_up.iter().copied()).collect();
        let Some(node) = statuses.first().and_then(|(id, _)| self.host(*id).node()) else { return false };
        heads.len() == 1
            && statuses.iter().all(|(_, status)| status.is_quiescent && status.pool_records == 0)
            && all_on_chain(node)
            && node.ledger().demands().all(|(id, entry)| !entry.is_open() || named.contains(&id))
    }

    // ---- the loop ----

    /// Lets everything happen that is due within so many milliseconds.
    ///
    /// # Errors
    /// At the first violation.
    pub fn run_for(&mut self, span_ms: u64) -> Result<(), Failure> {
        let until_ms = self.now_ms + span_ms;
        while let Some(entry) = self.queue.first_entry() {
            let &(at_ms, _) = entry.key();
            if at_ms > until_ms {
                break;
            }
            let event = entry.remove();
            self.now_ms = at_ms;
            self.happen(event).map_err(|violation| self.failure(violation))?;
        }
        self.now_ms = until_ms;
        Ok(())
    }

    /// Runs until `condition` holds, for `span_ms` at most; whether it did.
    ///
    /// # Errors
    /// At the first violation.
    pub fn run_until(&mut self, span_ms: u64, condition: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        let until_ms = self.now_ms + span_ms;
        while !condition(self) {
            if self.now_ms >= until_ms {
                return Ok(false);
            }
            self.run_for(LOOK_MS)?;
        }
        Ok(true)
    }

    /// The liveness phase: runs until nothing is left to do, then verifies every chain from genesis.
    ///
    /// # Errors
    /// At the first violation, or if it takes longer than `span_ms`.
    pub fn run_until_settled(&mut self, span_ms: u64) -> Result<Report, Failure> {
        let begin_ms = self.now_ms;
        if !self.run_until(span_ms, Self::is_settled)? {
            let after_ms = self.now_ms - begin_ms;
            let standing = format!("{:#?}", self.statuses());
            return Err(self.failure(Violation::NotLive { after_ms, standing }));
        }
        for id in self.host_ids() {
            let honest = self.host(id).behaviour() == Behaviour::Honest;
            if let Some(store) = self.host(id).store().filter(|_| honest) {
                self.checkers.verify_chain(id, store).map_err(|violation| self.failure(violation))?;
            }
        }
        Ok(Report {
            rng_seed: self.rng_seed,
            at_ms: self.now_ms,
            height: self.checkers.height(),
            last_round: self.checkers.last_round(),
            longest_height_ms: self.longest_height_ms,
            messages: self.sent,
            composed: self.checkers.solution().compositions.iter().flatten().count(),
            trace_hash: self.trace_hash(),
        })
    }

    pub(super) fn failure(&self, violation: Violation) -> Failure {
        let (rng_seed, at_ms) = (self.rng_seed, self.now_ms);
        Failure { rng_seed, at_ms, violation: Box::new(violation), trace: self.trace.to_string() }
    }

    pub(super) fn schedule(&mut self, in_ms: u64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((self.now_ms + in_ms, self.scheduled), event);
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Start(id) if self.host(id).is_puppet() => Ok(()),
            Event::Start(id) => self.start(id),
            Event::Bootstrap { at, life } => {
                self.dial_bootstrap(at, life);
                Ok(())
            }
            Event::Connect { from, to } => self.open(from, to),
            Event::Disconnect { at, peer, connection, reason } => self.close(at, peer, connection, reason),
            Event::IdleTimeout { one, other } => self.time_out(one, other),
            Event::Deliver { from, to, connection, bytes } => self.deliver(from, to, connection, &bytes),
            Event::Timer { at, life, timer, at_ms } => {
                let host = &mut self.hosts[at.index()];
                let due = host.life == life
                    && host.running.as_mut().is_some_and(|running| {
                        let due = running.timers.get(&timer) == Some(&at_ms);
                        if due {
                            running.timers.remove(&timer);
                        }
                        due
                    });
                if due { self.handle(at, Input::Timer(timer)) } else { Ok(()) }
            }
            Event::Work { at, life, work } => self.work_on(at, life, work),
            Event::Command { at, command } => {
                // A client whose records were lost with a crash, or met nobody, hands them in again.
                if let Command::Submit { records, .. } = &command {
                    self.hosts[at.index()].submitted.extend(records.iter().cloned());
                }
                self.handle(at, Input::Command(command))
            }
            Event::Fault(fault) => self.befall(fault),
        }
    }

    fn befall(&mut self, fault: Fault) -> Result<(), Violation> {
        self.trace.tell(self.now_ms, HostId(u32::MAX), "fault", format!("{fault:?}"));
        match fault {
            Fault::Crash { host, after_effects } => {
                let host = &mut self.hosts[host.index()];
                host.crash_after = host.running.is_some().then_some(after_effects);
            }
            Fault::Disk { host, after_steps, fault } => self.host(host).disk.lay(after_steps, fault),
            Fault::Incident { host, incident } => {
                self.crash(host);
                self.host(host).disk.befall(incident);
            }
            Fault::Restart(id) => {
                let host = self.host(id);
                host.disk.mend();
                if host.running.is_none() && host.life > 0 {
                    self.start(id)?;
                }
            }
            Fault::Cut(side) => {
                self.links.cut(side);
                let ids: Vec<HostId> = self.host_ids().collect();
                for &one in &ids {
                    for &other in ids.iter().filter(|&&other| other > one) {
                        if self.links.is_cut(one, other) {
                            self.schedule(IDLE_TIMEOUT_MS, Event::IdleTimeout { one, other });
                        }
                    }
                }
            }
            Fault::Heal => self.links.heal(),
            Fault::Quality(quality) => self.links.set_quality(quality),
        }
        Ok(())
    }

    // ---- machines ----

    pub(super) fn start(&mut self, id: HostId) -> Result<(), Violation> {
        let (network, now) = (Arc::clone(&self.market.network), self.local(id));
        let host = &mut self.hosts[id.index()];
        let effects = host
            .start(&network, now)
            .map_err(|error| Violation::ChainDoesNotStand { host: id, error: error.to_string() })?;
        let life = host.life;
        self.trace.tell(self.now_ms, id, "start", format!("life {life}"));
        let Some(effects) = effects else { return Ok(()) };
        let submitted = std::mem::take(&mut self.hosts[id.index()].submitted);
        self.carry_out(id, effects)?;
        self.handle(id, Input::Start { addresses: vec![id.address()] })?;
        self.schedule(0, Event::Bootstrap { at: id, life });
        if !submitted.is_empty() {
            let command = Command::Submit { records: submitted, reply_to: NOBODY };
            self.schedule(10, Event::Command { at: id, command });
        }
        Ok(())
    }

    /// A host loses everything but its disk; its peers notice sooner or later.
    pub(super) fn crash(&mut self, id: HostId) {
        self.trace.tell(self.now_ms, id, "crash", String::new());
        for (peer, connection) in self.hosts[id.index()].crash() {
            let in_ms = self.draws.between(1, CRASH_NOTICED_MS);
            let reason = "the connection was lost".to_owned();
            self.schedule(in_ms, Event::Disconnect { at: peer, peer: id, connection, reason });
        }
    }

    /// What a host's clocks show. They count from the beginning of the run, also the one that never runs backwards.
    pub(super) fn local(&self, id: HostId) -> Now {
        Now {
            wall_ms: START_MS + self.now_ms + self.host(id).settings.clock_lead_ms,
            monotonic_ms: self.now_ms,
        }
    }

    // ---- connections ----
}
