//! The discrete-event loop: a virtual clock, the queue of what is to come, and everything that happens.
//! What nodes ask for is carried out in `effects`; connections are in `connections`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use chain::{DemandId, Height, PublicKey, Record};
use miner_node::{Command, Input, Node, NodeStatus, SubmissionId, Testimony, Timer, WorkId};

use super::checkers::{Checkers, Violation};
use super::draws::Draws;
use super::faults::{Fault, Storm};
use super::host::{Behaviour, Host, HostId, HostSettings};
use super::links::{LinkQuality, Links};
use super::market::Market;
use super::report::{Failure, ObservedEvent, Report};
use super::trace::Trace;

/// How often [`World::run_until_settled`] looks.
const LOOK_MS: u64 = 200;

/// Clients here do not wait for an answer.
pub(super) const NOBODY: SubmissionId = SubmissionId(0);

/// Something to come.
#[derive(Debug)]
pub(super) enum Event {
    Start(HostId),
    Bootstrap {
        at: HostId,
        life: u32,
    },
    Connect {
        from: HostId,
        to: HostId,
    },
    Disconnect {
        at: HostId,
        peer: HostId,
        connection: u64,
        reason: String,
    },
    IdleTimeout {
        one: HostId,
        other: HostId,
    },
    DialEnds {
        at: HostId,
        life: u32,
        address: SocketAddr,
    },
    /// Too many dials were under way already.
    DialRefused {
        at: HostId,
        life: u32,
        address: SocketAddr,
    },
    /// What waits in this direction may leave by now.
    Depart {
        from: HostId,
        to: HostId,
    },
    Deliver {
        from: HostId,
        to: HostId,
        connection: u64,
        bytes: Arc<[u8]>,
    },
    Timer {
        at: HostId,
        life: u32,
        timer: Timer,
        at_ms: u64,
    },
    Work {
        at: HostId,
        life: u32,
        work: WorkId,
    },
    /// A final batch has been executed.
    Executed {
        at: HostId,
        life: u32,
    },
    /// A node has done with an input.
    Thought {
        at: HostId,
        life: u32,
    },
    /// Final batches have been read.
    Read {
        at: HostId,
        life: u32,
    },
    /// An attacker's turn.
    Play(HostId),
    Wake {
        at: HostId,
        life: u32,
        slept_from_us: u64,
        monotonic_counts: bool,
    },
    /// The checkers look at what nodes hold.
    Look,
    Command {
        at: HostId,
        command: Command,
    },
    Fault(Fault),
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
    /// Keys that strangers have taken after their first.
    pub(super) masks: u64,
    pub(super) now_us: u64,
    /// What [`Self::use_one_queue`] says.
    pub(super) has_one_queue: bool,
    pub(super) checkers: Checkers,
    pub(super) trace: Trace,
    pub(super) told: Vec<ObservedEvent>,
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    pub(super) overflowed: u64,
    pub(super) last_height_ms: u64,
    pub(super) longest_height_ms: u64,
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
            masks: 0,
            now_us: 0,
            has_one_queue: false,
            trace: Trace::default(),
            told: Vec::new(),
            sent: 0,
            sent_bytes: 0,
            overflowed: 0,
            last_height_ms: 0,
            longest_height_ms: 0,
        };
        for (id, settings) in (0..).map(HostId).zip(hosts) {
            if matches!(settings.behaviour, Behaviour::Stranger(_)) {
                world.links.make_swift(id);
            }
            world.schedule(settings.starts_at_ms, Event::Start(id));
            world.hosts.push(Host::new(settings, rng_seed, id));
        }
        world.schedule(LOOK_MS, Event::Look);
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

    /// The links, to arrange who can reach whom.
    pub const fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }

    /// Lets all messages of a node wait in one queue in order of arrival, and the node itself read the final batches that
    /// peers ask for: a simple driver, to see what the real one is good for.
    pub const fn use_one_queue(&mut self) {
        self.has_one_queue = true;
    }

    /// Ends all faults: good links, no cut, everybody up and awake; faults still to come do not. Attacks go on.
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
        if host.is_lied_about {
            self.excuse(id);
        }
    }

    /// The checkers expect no consistency of this host's validator any more.
    pub(super) fn excuse(&mut self, id: HostId) {
        let index = self.market.network.validators().index_of(&self.host(id).key());
        if let Some(index) = index {
            self.checkers.excuse(index);
        }
    }

    /// The last height of which this host's validator said anything, as the checkers heard; 0 if it never did.
    pub fn last_signed(&self, id: HostId) -> Height {
        let index = self.market.network.validators().index_of(&self.host(id).key());
        index.map_or(0, |index| self.checkers.last_signed(index))
    }

    /// Of how many heights this host's validator said anything, as the checkers heard.
    pub fn heights_signed(&self, id: HostId) -> u64 {
        let index = self.market.network.validators().index_of(&self.host(id).key());
        index.map_or(0, |index| self.checkers.heights_signed(index))
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
        self.now_us / 1_000
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
        let honest = self.host_ids().filter(|id| self.host(*id).is_honest());
        honest.filter_map(|id| Some((id, self.host(id).node()?.status(self.local(id).wall_ms)))).collect()
    }

    /// Whether nothing is left to do: the market is served, nobody has work, and pools are empty.
    pub fn is_settled(&self) -> bool {
        let is_at_rest = |status: &NodeStatus| status.is_quiescent && status.pool_records == 0;
        self.statuses().iter().all(|(_, status)| is_at_rest(status)) && self.is_served()
    }

    /// Whether the market is served: honest nodes agree on the head, its records are on chain, and every open demand
    /// is named by somebody as one that cannot be served.
    pub fn is_served(&self) -> bool {
        let statuses = self.statuses();
        let heads: BTreeSet<_> = statuses.iter().map(|(_, status)| status.head).collect();
        let is_written = |(id, status): &(HostId, NodeStatus)| {
            self.host(*id).store().is_some_and(|store| store.height() == status.height)
        };
        let Some(node) = statuses.first().and_then(|(id, _)| self.host(*id).node()) else { return false };
        let is_used =
            |record: &Record| node.ledger().next_sequence(record.author()) > record.content.sequence;
        if heads.len() != 1 || !statuses.iter().all(is_written) || !self.market.records.iter().all(is_used) {
            return false;
        }
        let named: BTreeSet<DemandId> =
            statuses.iter().flat_map(|(_, status)| status.given_up.iter().copied()).collect();
        node.ledger().demands().all(|(id, entry)| !entry.is_open() || named.contains(&id))
    }

    // ---- the loop ----

    /// Lets everything happen that is due within so many milliseconds.
    ///
    /// # Errors
    /// At the first violation.
    pub fn run_for(&mut self, span_ms: u64) -> Result<(), Failure> {
        let until_us = self.now_us + span_ms * 1_000;
        while let Some(entry) = self.queue.first_entry() {
            let &(at_us, _) = entry.key();
            if at_us > until_us {
                break;
            }
            let event = entry.remove();
            self.now_us = at_us;
            self.happen(event).map_err(|violation| self.failure(violation))?;
        }
        self.now_us = until_us;
        Ok(())
    }

    /// Runs until `condition` holds, for `span_ms` at most; whether it did.
    ///
    /// # Errors
    /// At the first violation.
    pub fn run_until(&mut self, span_ms: u64, condition: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        let until_ms = self.now_ms() + span_ms;
        while !condition(self) {
            if self.now_ms() >= until_ms {
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
        self.run_to_the_end(span_ms, Self::is_settled)
    }

    /// [`Self::run_until_settled`] where attackers never let it come to rest: until the market itself is served.
    ///
    /// # Errors
    /// At the first violation, or if it takes longer than `span_ms`.
    pub fn run_until_served(&mut self, span_ms: u64) -> Result<Report, Failure> {
        self.run_to_the_end(span_ms, Self::is_served)
    }

    fn run_to_the_end(&mut self, span_ms: u64, is_done: impl Fn(&Self) -> bool) -> Result<Report, Failure> {
        let begin_ms = self.now_ms();
        if !self.run_until(span_ms, is_done)? {
            let after_ms = self.now_ms() - begin_ms;
            let standing = format!("{:#?}", self.statuses());
            return Err(self.failure(Violation::NotLive { after_ms, standing }));
        }
        for id in self.host_ids() {
            let host = self.host(id);
            if let Some(store) = host.store().filter(|_| host.is_honest()) {
                self.checkers.verify_chain(id, store).map_err(|violation| self.failure(violation))?;
            }
        }
        Ok(self.report())
    }

    /// How it stands now.
    pub fn report(&self) -> Report {
        let busiest = self.hosts.iter().map(Host::busy_us).max().unwrap_or(0);
        Report {
            rng_seed: self.rng_seed,
            at_ms: self.now_ms(),
            height: self.checkers.height(),
            last_round: self.checkers.last_round(),
            longest_height_ms: self.longest_height_ms,
            messages: self.sent,
            bytes: self.sent_bytes,
            overflowed: self.overflowed,
            busiest_percent: busiest * 100 / self.now_us.max(1),
            composed: self.checkers.solution().compositions.iter().flatten().count(),
            trace_hash: self.trace_hash(),
        }
    }

    pub(super) fn failure(&self, violation: Violation) -> Failure {
        let (rng_seed, at_ms) = (self.rng_seed, self.now_ms());
        Failure { rng_seed, at_ms, violation: Box::new(violation), trace: self.trace.to_string() }
    }

    pub(super) fn schedule(&mut self, in_ms: u64, event: Event) {
        self.schedule_us(in_ms.saturating_mul(1_000), event);
    }

    pub(super) fn schedule_us(&mut self, in_us: u64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((self.now_us.saturating_add(in_us), self.scheduled), event);
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Start(id) => {
                if self.host(id).behaviour().attack().is_some() {
                    self.schedule(0, Event::Play(id));
                }
                return if self.host(id).is_puppet() { Ok(()) } else { self.start(id) };
            }
            Event::Bootstrap { at, life } => self.dial_bootstrap(at, life),
            Event::Connect { from, to } => self.open(from, to),
            Event::Disconnect { at, peer, connection, reason } => self.close(at, peer, connection, reason),
            Event::IdleTimeout { one, other } => self.time_out(one, other),
            Event::DialEnds { at, life, address } => self.end_dial(at, life, address),
            Event::DialRefused { at, life, address } => self.fail_dial(at, life, address),
            Event::Depart { from, to } => self.depart(from, to),
            Event::Deliver { from, to, connection, bytes } => self.deliver(from, to, connection, bytes),
            Event::Timer { at, life, timer, at_ms } => self.run_out(at, life, timer, at_ms),
            Event::Work { at, life, work } => self.work_on(at, life, work),
            Event::Executed { at, life } => self.end_execution(at, life),
            Event::Thought { at, life } => return self.conclude(at, life),
            Event::Read { at, life } => return self.read(at, life),
            Event::Play(id) => self.play(id),
            Event::Wake { at, life, slept_from_us, monotonic_counts } => {
                self.wake(at, life, slept_from_us, monotonic_counts);
            }
            Event::Look => {
                self.schedule(LOOK_MS, Event::Look);
                return self.look();
            }
            Event::Command { at, command } => {
                // A client whose records were lost with a crash, or met nobody, hands them in again.
                if let Command::Submit { records, .. } = &command {
                    self.hosts[at.index()].submitted.extend(records.iter().cloned());
                }
                self.give(at, Input::Command(command));
            }
            Event::Fault(fault) => return self.befall(fault),
        }
        Ok(())
    }
}
