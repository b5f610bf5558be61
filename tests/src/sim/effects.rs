//! Inputs into nodes, and what nodes ask for, carried out in order: what is to be durable is on disk before
//! a later effect is begun, and a crash may come between any two of them.

use std::sync::Arc;

use chain::BlockHash;
use chain::Hash;
use chain::consensus::{ConsensusMessage, Proposal, Vote};
use chain::store::Write;
use miner_node::{Effect, Input, Message, NodeEvent, WorkId};

use super::checkers::{Checkers, Violation};
use super::host::{Behaviour, HostId};
use super::world::{Event, ObservedEvent, World};

/// A block that does not exist.
const NO_BLOCK: BlockHash = BlockHash(Hash([0xee; 32]));

impl World {
    /// Gives a running node an input and carries out what it asks for.
    pub(super) fn handle(&mut self, id: HostId, input: Input) -> Result<(), Violation> {
        let (now_ms, local) = (self.now_ms, self.local(id));
        let Some(running) = &mut self.hosts[id.index()].running else { return Ok(()) };
        if let Input::PeerUp { peer, .. } = &input {
            self.trace.note(now_ms, id, "up", peer.as_bytes());
        }
        let head = running.node.ledger().head().hash;
        let mut effects = Vec::new();
        running.node.handle(local, input, &mut effects);
        if running.node.ledger().head().hash != head {
            // Before the effects: a crash among them ends the node that made this head.
            let ledger = running.node.ledger().clone();
            self.carry_out(id, effects)?;
            return self.checkers.on_head(id, &ledger);
        }
        self.carry_out(id, effects)
    }

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
        }
        Ok(())
    }

    fn carry_out_one(&mut self, id: HostId, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Send { peer, message } => {
                if let Some(&to) = self.names.get(&peer) {
                    self.hear(id, &message)?;
                    self.send(id, to, &Arc::from(message.encode()));
                }
                Ok(())
            }
            Effect::Broadcast(message) => self.broadcast(id, &message),
            Effect::SendFinal { peer, from } => {
                self.send_final(id, self.names.get(&peer).copied(), from)?;
                self.handle(id, Input::FinalSent { peer })
            }
            Effect::Disconnect { peer, reason } => {
                self.disconnect(id, self.names.get(&peer).copied(), reason)
            }
            Effect::Dial { address, .. } => {
                self.dial(id, HostId::at(address));
                Ok(())
            }
            Effect::SetTimer { timer, at_ms } => {
                let in_ms = at_ms.saturating_sub(self.now_ms);
                let host = &mut self.hosts[id.index()];
                let life = host.life;
                if let Some(running) = &mut host.running {
                    running.timers.insert(timer, at_ms);
                    self.schedule(in_ms, Event::Timer { at: id, life, timer, at_ms });
                }
                Ok(())
            }
            Effect::Persist(write) => self.persist(id, &write),
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
                self.trace.tell(self.now_ms, id, "event", format!("{event:?}"));
                let is_expected =
                    self.host(id).settings.solver_fails && matches!(event, NodeEvent::WorkFailed { .. });
                if !is_expected {
                    Checkers::on_event(id, &event)?;
                }
                self.told.push(ObservedEvent { at_ms: self.now_ms, host: id, event });
                Ok(())
            }
        }
    }

    /// A piece of work has something to report.
    pub(super) fn work_on(&mut self, id: HostId, life: u32, work: WorkId) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let running = host.running.as_mut().filter(|_| host.life == life);
        let Some((report, next)) = running.and_then(|running| running.work.report(work)) else {
            return Ok(());
        };
        if let Some(in_ms) = next {
            self.schedule(in_ms, Event::Work { at: id, life, work });
        }
        self.handle(id, Input::Work { id: work, report })
    }

    fn persist(&mut self, id: HostId, write: &Write) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let honest = host.behaviour() == Behaviour::Honest;
        let Some(running) = &mut host.running else { return Ok(()) };
        running
            .store
            .write(std::slice::from_ref(write))
            .map_err(|error| broken(id, "write to its store", &error))?;
        if honest && self.checkers.on_write(id, write)? {
            let since = self.now_ms - std::mem::replace(&mut self.last_height_ms, self.now_ms);
            self.longest_height_ms = self.longest_height_ms.max(since);
        }
        Ok(())
    }

    // ---- messages ----

    /// The checkers hear everything that honest hosts say.
    fn hear(&mut self, id: HostId, message: &Message) -> Result<(), Violation> {
        if self.host(id).behaviour() == Behaviour::Honest { self.checkers.on_said(message) } else { Ok(()) }
    }

    pub(super) fn send(&mut self, from: HostId, to: HostId, bytes: &Arc<[u8]>) {
        let open = self.hosts[from.index()].connections().and_then(|open| open.get(&to).copied());
        let Some(connection) = open else { return };
        self.sent += 1;
        for in_ms in self.links.arrivals(from, to) {
            self.schedule(in_ms, Event::Deliver { from, to, connection, bytes: Arc::clone(bytes) });
        }
    }

    fn broadcast(&mut self, from: HostId, message: &Message) -> Result<(), Violation> {
        self.hear(from, message)?;
        let lie = self.lie(from, message);
        let truth: Arc<[u8]> = Arc::from(message.encode());
        let open = self.hosts[from.index()].connections();
        let peers: Vec<HostId> = open.into_iter().flat_map(|open| open.keys().copied()).collect();
        for to in peers {
            match &lie {
                // Half of the peers hear the lie first; with votes, everybody hears both.
                Some((lie, both)) if to.0.is_multiple_of(2) => {
                    self.send(from, to, lie);
                    if *both {
                        self.send(from, to, &truth);
                    }
                }
                Some((lie, true)) => {
                    self.send(from, to, &truth);
                    self.send(from, to, lie);
                }
                Some(_) | None => self.send(from, to, &truth),
            }
        }
        Ok(())
    }

    /// What a double voter says beside (true) or instead of (false) one of its own votes or proposals.
    fn lie(&self, id: HostId, message: &Message) -> Option<(Arc<[u8]>, bool)> {
        let host = self.host(id);
        let (Behaviour::DoubleVoter, Message::Consensus(message)) = (host.behaviour(), message) else {
            return None;
        };
        let key = &host.settings.key;
        let (lie, both) = match message {
            ConsensusMessage::Vote(signed) => {
                let block = if signed.vote.block.is_some() { None } else { Some(NO_BLOCK) };
                let vote = Vote { block, ..signed.vote };
                (ConsensusMessage::Vote(vote.sign(signed.validator, key)), true)
            }
            ConsensusMessage::Proposal(signed) => {
                let proposal = Proposal { block: NO_BLOCK, valid_round: None, ..signed.proposal };
                (ConsensusMessage::Proposal(proposal.sign(key, None)), false)
            }
            ConsensusMessage::Polka(_) | ConsensusMessage::Commit(_) => return None,
        };
        Some((Arc::from(Message::Consensus(lie).encode()), both))
    }

    pub(super) fn deliver(
        &mut self,
        from: HostId,
        to: HostId,
        connection: u64,
        bytes: &Arc<[u8]>,
    ) -> Result<(), Violation> {
        let open = self.hosts[to.index()].connections().and_then(|open| open.get(&from).copied());
        if open != Some(connection) {
            return Ok(());
        }
        self.trace.note(self.now_ms, to, "message", bytes);
        let peer = self.host(from).key();
        let host = &mut self.hosts[to.index()];
        if host.is_puppet() {
            host.puppet.heard.extend(Message::decode(bytes).ok().map(|message| (from, message)));
            return Ok(());
        }
        self.handle(to, Input::Message { peer, bytes: bytes.to_vec() })
    }

    fn send_final(&mut self, id: HostId, to: Option<HostId>, from: u64) -> Result<(), Violation> {
        let (Some(to), Some(running)) = (to, &self.host(id).running) else { return Ok(()) };
        let message = Message::final_blocks(&running.store, from)
            .map_err(|error| broken(id, "read its store", &error))?;
        self.send(id, to, &Arc::from(message.encode()));
        Ok(())
    }

    fn disconnect(&mut self, id: HostId, peer: Option<HostId>, reason: String) -> Result<(), Violation> {
        let Some(peer) = peer else { return Ok(()) };
        let both_honest = [id, peer].iter().all(|host| self.host(*host).behaviour() == Behaviour::Honest);
        if both_honest {
            return Err(Violation::HonestDropped { host: id, peer, reason });
        }
        let open = self.hosts[id.index()].connections().and_then(|open| open.remove(&peer));
        if let Some(connection) = open {
            let in_ms = self.links.delay();
            self.schedule(in_ms, Event::Disconnect { at: peer, peer: id, connection, reason });
        }
        Ok(())
    }
}

fn broken(host: HostId, what: &'static str, error: &dyn ToString) -> Violation {
    Violation::Broken { host, what, error: error.to_string() }
}
