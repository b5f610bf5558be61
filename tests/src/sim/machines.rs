//! Machines: what befalls them, how they start and crash, sleep and wake.

use std::sync::Arc;

use miner_node::{Command, Input, Now, Testimony, Timer, Voting};

use super::checkers::Violation;
use super::faults::Fault;
use super::host::HostId;
use super::report::Failure;
use super::world::{Event, NOBODY, World};

/// After this long a connection across a cut, or to a machine that is suspended, is given up.
const IDLE_TIMEOUT_MS: u64 = 8_000;
/// The longest it takes until a peer notices a crash.
const CRASH_NOTICED_MS: u64 = 1_500;
/// How long a node runs until its operator sees that it does not vote.
const OPERATOR_LOOKS_MS: u64 = 5_000;
/// How long an operator takes to start a node again.
const OPERATOR_RESTARTS_MS: u64 = 3_000;

impl World {
    /// The operators of honest validators that have forgotten what they signed start them again, one after another, and
    /// say truly from where they may vote.
    ///
    /// # Errors
    /// At the first violation.
    pub fn let_all_vote(&mut self) -> Result<(), Failure> {
        self.run_for(OPERATOR_LOOKS_MS)?;
        for (id, _) in self.statuses().into_iter().filter(|(_, status)| status.voting == Voting::Forgotten) {
            self.testify(id, Testimony::VoteFrom(self.last_signed(id) + 1));
            self.crash(id);
            self.inflict(OPERATOR_RESTARTS_MS, Fault::Restart(id));
            self.run_for(OPERATOR_RESTARTS_MS)?;
        }
        Ok(())
    }

    pub(super) fn befall(&mut self, fault: Fault) -> Result<(), Violation> {
        self.trace.tell(self.now_ms(), HostId(u32::MAX), "fault", format!("{fault:?}"));
        match fault {
            Fault::Crash { host, after_effects } => {
                let host = &mut self.hosts[host.index()];
                host.crash_after = host.running.is_some().then_some(after_effects);
            }
            Fault::Disk { host, after_steps, fault } => self.host(host).disk.lay(after_steps, fault),
            Fault::Incident { host, incident } => {
                self.crash(host);
                self.host(host).disk.befall(incident);
                if self.host(host).disk.has_gone_back() {
                    self.excuse(host);
                }
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
                self.expect_timeouts();
            }
            Fault::Silence { from, to } => {
                self.links.silence(from, to);
                self.expect_timeouts();
            }
            Fault::Heal => self.links.heal(),
            Fault::Quality(quality) => self.links.set_quality(quality),
            Fault::Direction { from, to, quality } => self.links.set_direction(from, to, quality),
            Fault::SetClock { host, by_ms } => self.hosts[host.index()].clock.set(by_ms),
            Fault::Suspend { host, for_ms, monotonic_counts } => {
                self.suspend(host, for_ms, monotonic_counts);
            }
        }
        Ok(())
    }

    /// What a cut lies across will be given up.
    fn expect_timeouts(&mut self) {
        let ids: Vec<HostId> = self.host_ids().collect();
        for &one in &ids {
            for &other in ids.iter().filter(|&&other| other > one) {
                if self.links.is_cut(one, other) {
                    self.schedule(IDLE_TIMEOUT_MS, Event::IdleTimeout { one, other });
                }
            }
        }
    }

    pub(super) fn start(&mut self, id: HostId) -> Result<(), Violation> {
        let (network, now) = (Arc::clone(&self.market.network), self.local(id));
        let host = &mut self.hosts[id.index()];
        let effects = host
            .start(&network, now)
            .map_err(|error| Violation::ChainDoesNotStand { host: id, error: error.to_string() })?;
        let life = host.life;
        self.trace.tell(self.now_ms(), id, "start", format!("life {life}"));
        let Some(effects) = effects else { return Ok(()) };
        let submitted = std::mem::take(&mut self.hosts[id.index()].submitted);
        self.carry_out(id, effects)?;
        self.give(id, Input::Start { addresses: vec![id.address()] });
        self.schedule(0, Event::Bootstrap { at: id, life });
        if !submitted.is_empty() {
            let command = Command::Submit { records: submitted, reply_to: NOBODY };
            self.schedule(10, Event::Command { at: id, command });
        }
        Ok(())
    }

    /// A host loses everything but its disk; its peers notice sooner or later.
    pub(super) fn crash(&mut self, id: HostId) {
        self.trace.tell(self.now_ms(), id, "crash", String::new());
        for (peer, connection) in self.hosts[id.index()].crash() {
            let in_ms = self.draws.between(1, CRASH_NOTICED_MS);
            let reason = "the connection was lost".to_owned();
            self.schedule(in_ms, Event::Disconnect { at: peer, peer: id, connection, reason });
        }
    }

    /// A machine stands still. Peers whose packets it does not acknowledge give up sooner or later.
    fn suspend(&mut self, id: HostId, for_ms: u64, monotonic_counts: bool) {
        let host = &mut self.hosts[id.index()];
        if host.running.is_none() || host.is_suspended {
            return;
        }
        host.is_suspended = true;
        let (life, slept_from_us) = (host.life, self.now_us);
        self.schedule(for_ms, Event::Wake { at: id, life, slept_from_us, monotonic_counts });
        if for_ms > IDLE_TIMEOUT_MS {
            let open = self.hosts[id.index()].connections().map(|open| open.clone()).unwrap_or_default();
            for (peer, connection) in open {
                let reason = "timed out".to_owned();
                self.schedule(IDLE_TIMEOUT_MS, Event::Disconnect { at: peer, peer: id, connection, reason });
            }
        }
    }

    /// A suspended machine goes on: timers that ran out meanwhile are due, and it finds who has given it up.
    pub(super) fn wake(&mut self, id: HostId, life: u32, slept_from_us: u64, monotonic_counts: bool) {
        let (now_us, host) = (self.now_us, &mut self.hosts[id.index()]);
        if host.life != life || !host.is_suspended {
            return;
        }
        host.is_suspended = false;
        host.clock.slept(slept_from_us, now_us, monotonic_counts);
        let timers = host.running.as_ref().map(|running| running.timers.clone()).unwrap_or_default();
        for (timer, at_ms) in timers {
            self.set_timer(id, timer, at_ms);
        }
        let open = self.hosts[id.index()].connections().map(|open| open.clone()).unwrap_or_default();
        for (peer, connection) in open {
            let theirs = self.hosts[peer.index()].connections().and_then(|open| open.get(&id).copied());
            if theirs != Some(connection) {
                self.close(id, peer, connection, "timed out".to_owned());
            }
        }
        self.take_turn(id);
    }

    // ---- time ----

    /// A node wants to be woken at this time of its monotonic clock.
    pub(super) fn set_timer(&mut self, id: HostId, timer: Timer, at_ms: u64) {
        let host = &mut self.hosts[id.index()];
        let (life, due_us) = (host.life, host.clock.when_us(at_ms));
        if let Some(running) = &mut host.running {
            running.timers.insert(timer, at_ms);
            let in_us = due_us.saturating_sub(self.now_us);
            self.schedule_us(in_us, Event::Timer { at: id, life, timer, at_ms });
        }
    }

    /// A timer has run out, if it was not moved meanwhile and the machine is awake.
    pub(super) fn run_out(&mut self, id: HostId, life: u32, timer: Timer, at_ms: u64) {
        let shows_ms = self.local(id).monotonic_ms;
        let host = &mut self.hosts[id.index()];
        let Some(running) = host.running.as_mut().filter(|_| host.life == life && !host.is_suspended) else {
            return;
        };
        if running.timers.get(&timer) == Some(&at_ms) && shows_ms >= at_ms {
            running.timers.remove(&timer);
            self.give(id, Input::Timer(timer));
        }
    }

    /// What a host's clocks show.
    pub(super) fn local(&self, id: HostId) -> Now {
        self.host(id).clock.now(self.now_us)
    }
}
