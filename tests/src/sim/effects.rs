//! What nodes ask for, carried out in order: what is to be durable is on disk before a later effect is begun, and a
//! crash may come between any two of them.

use chain::store::Write;
use miner_node::{Effect, Input, NodeEvent, WorkId};

use super::checkers::{Checkers, Violation};
use super::cost;
use super::host::HostId;
use super::report::ObservedEvent;
use super::world::{Event, World};

impl World {
    /// Carries out what a node asks for, unless it crashes on the way.
    pub(super) fn carry_out(&mut self, id: HostId, effects: Vec<Effect>) -> Result<(), Violation> {
        for effect in effects {
            if let Some(left) = &mut self.hosts[id.index()].crash_after {
                let Some(fewer) = left.checked_sub(1) else {
                    self.crash(id);
                    return Ok(());
                };
                *left = fewer;
            }
            self.carry_out_one(id, effect)?;
            if self.host(id).running.is_none() {
                return Ok(()); // its disk failed: what was to follow is not done
            }
        }
        Ok(())
    }

    fn carry_out_one(&mut self, id: HostId, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Send { peer, message } => {
                self.names.get(&peer).copied().map_or(Ok(()), |to| self.say_to(id, to, &message))
            }
            Effect::Broadcast(message) => self.broadcast(id, &message),
            Effect::SendFinal { peer, from } => self.serve(id, peer, from),
            Effect::Disconnect { peer, reason } => {
                self.disconnect(id, self.names.get(&peer).copied(), reason)
            }
            Effect::Dial { address, .. } => {
                self.dial(id, address);
                Ok(())
            }
            Effect::SetTimer { timer, at_ms } => {
                self.set_timer(id, timer, at_ms);
                Ok(())
            }
            Effect::Persist(write) => self.persist(id, &write),
            Effect::Execute(decided) => {
                let executed = decided.execute();
                let host = &mut self.hosts[id.index()];
                let cost_us =
                    executed.as_ref().map_or(0, cost::of_executing) * u64::from(host.settings.slowness);
                let in_us = cost_us + host.settings.execution_ms * 1_000;
                let life = host.life;
                if let Some(running) = &mut host.running {
                    running.executed = Some(Box::new(executed));
                    self.schedule_us(in_us, Event::Executed { at: id, life });
                }
                Ok(())
            }
            Effect::StartWork { id: work, work: task } => {
                let host = &mut self.hosts[id.index()];
                let life = host.life;
                let Some(running) = &mut host.running else { return Ok(()) };
                let in_ms = running.work.start(work, *task);
                self.schedule(in_ms, Event::Work { at: id, life, work });
                Ok(())
            }
            Effect::AdaptWork { id: work, adaptation } => {
                if let Some(running) = &mut self.hosts[id.index()].running {
                    running.work.adapt(work, &adaptation);
                }
                Ok(())
            }
            Effect::CancelWork(work) => {
                if let Some(running) = &mut self.hosts[id.index()].running {
                    running.work.cancel(work);
                }
                Ok(())
            }
            // Clients and keepers of history are not simulated.
            Effect::Submitted { .. } | Effect::Final { .. } => Ok(()),
            Effect::Event(event) => {
                self.trace.tell(self.now_ms(), id, "event", format!("{event:?}"));
                let host = self.host(id);
                // Who votes beside its node lets it hear votes that the node does not remember.
                let has_cause_to_forget =
                    host.disk.has_gone_back() || host.is_lied_about || !host.is_honest();
                let is_expected = (host.settings.solver_fails
                    && matches!(event, NodeEvent::WorkFailed { .. }))
                    || (has_cause_to_forget && matches!(event, NodeEvent::ForgottenVote { .. }));
                if !is_expected {
                    Checkers::on_event(id, &event)?;
                }
                self.told.push(ObservedEvent { at_ms: self.now_ms(), host: id, event });
                Ok(())
            }
        }
    }

    /// A final batch has been executed, on a processor of its own.
    pub(super) fn end_execution(&mut self, id: HostId, life: u32) {
        let host = &mut self.hosts[id.index()];
        let running = host.running.as_mut().filter(|_| host.life == life);
        if let Some(executed) = running.and_then(|running| running.executed.take()) {
            self.give(id, Input::Executed(executed));
        }
    }

    /// A piece of work has something to report.
    pub(super) fn work_on(&mut self, id: HostId, life: u32, work: WorkId) {
        let host = &mut self.hosts[id.index()];
        let running = host.running.as_mut().filter(|_| host.life == life);
        let Some((report, next)) = running.and_then(|running| running.work.report(work)) else { return };
        if let Some(in_ms) = next {
            self.schedule(in_ms, Event::Work { at: id, life, work });
        }
        self.give(id, Input::Work { id: work, report });
    }

    fn persist(&mut self, id: HostId, write: &Write) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let honest = host.is_honest();
        let Some(running) = &mut host.running else { return Ok(()) };
        if let Err(error) = running.store.write(std::slice::from_ref(write)) {
            if host.disk.has_failed() {
                self.crash(id);
                return Ok(());
            }
            return Err(broken(id, "write to its store", &error));
        }
        if honest && self.checkers.on_write(id, write)? {
            let now_ms = self.now_ms();
            let since = now_ms - std::mem::replace(&mut self.last_height_ms, now_ms);
            self.longest_height_ms = self.longest_height_ms.max(since);
        }
        Ok(())
    }

    fn disconnect(&mut self, id: HostId, peer: Option<HostId>, reason: String) -> Result<(), Violation> {
        let Some(peer) = peer else { return Ok(()) };
        let both_honest = [id, peer].iter().all(|host| self.host(*host).is_honest());
        if both_honest {
            return Err(Violation::HonestDropped { host: id, peer, reason });
        }
        let shown = self.host(peer).key_shown_to(id);
        if let Some(running) = &mut self.hosts[id.index()].running {
            running.desk.inbox.forget(&shown);
        }
        let open = self.hosts[id.index()].connections().and_then(|open| open.remove(&peer));
        if let Some(connection) = open {
            self.links.drain(id, peer, connection);
            let in_ms = self.links.delay(id, peer);
            self.schedule(in_ms, Event::Disconnect { at: peer, peer: id, connection, reason });
        }
        Ok(())
    }
}

pub(super) fn broken(host: HostId, what: &'static str, error: &dyn ToString) -> Violation {
    Violation::Broken { host, what, error: error.to_string() }
}
