//! A node's only CPU: what waits for it, in which order it is taken, and how long it is busy. Beside it a reader of its
//! own serves final batches, one answer after another.

use std::collections::VecDeque;
use std::sync::Arc;

use chain::{Height, Ledger, PublicKey};
use miner::transport::Lane;
use miner_node::{Effect, Inbox, Input, Message, Timer, Urgency};

use super::checkers::Violation;
use super::cost;
use super::effects::broken;
use super::host::{HostId, Running};
use super::pipes::lane_for;
use super::world::{Event, World};

/// What waits at one node, and what it is busy with.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Timers that have run out come first: each is set anew only by being taken, so that they are few.
    timers: VecDeque<Timer>,
    /// Then connections that opened or ended, reports of work, and commands.
    prompt: VecDeque<Input>,
    /// Then messages, of the peers in turn.
    pub(super) inbox: Inbox<Letter>,
    /// What it has come to, and will carry out when it is done.
    thought: Option<Thought>,
    reading: VecDeque<(PublicKey, Height)>,
    /// The last answer that was read, and for which store it holds.
    kept: Option<Kept>,
    is_reading: bool,
    /// CPU time so far.
    pub(super) busy_us: u64,
}

/// A message that has arrived.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) peer: PublicKey,
    pub(super) from: HostId,
    pub(super) connection: u64,
    pub(super) bytes: Arc<[u8]>,
}

#[derive(Debug)]
struct Thought {
    effects: Vec<Effect>,
    /// The new head, if there is one: a crash among the effects ends the node that made it.
    head: Option<Ledger>,
}

/// Final batches from a height on as a message, in a store with this head. Floods ask for the same again and again, and
/// a run should not take as long as they would.
#[derive(Debug)]
struct Kept {
    from: Height,
    head: Height,
    bytes: Arc<[u8]>,
    batches: usize,
}

/// Final batches as a message, and the time it takes to read them.
#[derive(Debug)]
struct Answer {
    bytes: Arc<[u8]>,
    cost_us: u64,
}

impl Desk {
    /// Puts an input where it belongs.
    pub(super) fn push(&mut self, input: Input) {
        if let Input::Timer(timer) = input {
            self.timers.push_back(timer);
        } else {
            self.prompt.push_back(input);
        }
    }

    /// Answers that are asked for and not sent.
    pub(super) fn answers_waiting(&self) -> usize {
        self.reading.len()
    }
}

impl Letter {
    /// How soon it should be looked at: as it travelled.
    pub(super) fn urgency(&self) -> Urgency {
        match lane_for(self.bytes.len()) {
            Some(Lane::Urgent) => Urgency::Urgent,
            Some(Lane::Bulk) | None => Urgency::Bulk,
        }
    }
}

impl World {
    /// A running node is given an input, which it takes as soon as it can.
    pub(super) fn give(&mut self, id: HostId, input: Input) {
        if let Some(running) = &mut self.hosts[id.index()].running {
            running.desk.push(input);
        }
        self.take_turn(id);
    }

    /// The node takes what comes next, unless it is busy or its machine is suspended.
    pub(super) fn take_turn(&mut self, id: HostId) {
        let (now_us, local) = (self.now_us, self.local(id));
        let host = &mut self.hosts[id.index()];
        let (life, slowness) = (host.life, host.settings.slowness);
        let Some(running) = host.running.as_mut().filter(|_| !host.is_suspended) else { return };
        if running.desk.thought.is_some() {
            return;
        }
        let mut taken = None;
        let desk = &mut running.desk;
        let input = if let Some(timer) = desk.timers.pop_front() {
            Input::Timer(timer)
        } else if let Some(input) = desk.prompt.pop_front() {
            input
        } else if let Some((_, Letter { peer, from, connection, bytes })) = desk.inbox.pop() {
            taken = Some((from, connection, bytes.len()));
            self.trace.note(now_us / 1_000, id, "message", &bytes);
            Input::Message { peer, bytes: bytes.to_vec() }
        } else {
            return;
        };
        let head = running.node.ledger().head().hash;
        let before_us = cost::of_input(&input, &running.node);
        let mut effects = Vec::new();
        running.node.handle(local, input, &mut effects);
        let is_new = running.node.ledger().head().hash != head;
        let cost_us = before_us + cost::of_effects(&effects, &running.node, running.connections.len());
        let cost_us = cost_us * u64::from(slowness);
        running.desk.busy_us += cost_us;
        let head = is_new.then(|| running.node.ledger().clone());
        running.desk.thought = Some(Thought { effects, head });
        self.schedule_us(cost_us, Event::Thought { at: id, life });
        if let Some((from, connection, bytes)) = taken {
            self.links.taken(from, id, connection, bytes);
            self.pump(from, id);
        }
    }

    /// The node has come to what it wanted: it is carried out, and the next input is taken.
    pub(super) fn conclude(&mut self, id: HostId, life: u32) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let running = host.running.as_mut().filter(|_| host.life == life);
        let Some(Thought { effects, head }) = running.and_then(|running| running.desk.thought.take()) else {
            return Ok(());
        };
        self.carry_out(id, effects)?;
        if let Some(ledger) = head {
            self.checkers.on_head(id, &ledger)?;
        }
        self.take_turn(id);
        Ok(())
    }

    // ---- final batches ----

    /// Somebody is to be answered with final batches.
    pub(super) fn serve(&mut self, id: HostId, peer: PublicKey, from: Height) -> Result<(), Violation> {
        if let Some(running) = &mut self.hosts[id.index()].running {
            running.desk.reading.push_back((peer, from));
        }
        if self.has_one_queue { self.read_on_task(id) } else { self.read_next(id) }
    }

    /// As if the driver had no reader: the node does nothing else meanwhile.
    fn read_on_task(&mut self, id: HostId) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let (life, slowness) = (host.life, u64::from(host.settings.slowness));
        let Some(running) = &mut host.running else { return Ok(()) };
        let Some(Answer { cost_us, .. }) = running.read_front(id)? else { return Ok(()) };
        running.desk.busy_us += cost_us * slowness;
        // It was busy with one thing; now it is busy with this as well.
        running.desk.thought.get_or_insert(Thought { effects: Vec::new(), head: None });
        self.schedule_us(cost_us * slowness, Event::Read { at: id, life });
        Ok(())
    }

    fn read_next(&mut self, id: HostId) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let (life, slowness) = (host.life, u64::from(host.settings.slowness));
        let Some(running) = host.running.as_mut().filter(|running| !running.desk.is_reading) else {
            return Ok(());
        };
        let Some(Answer { cost_us, .. }) = running.read_front(id)? else { return Ok(()) };
        running.desk.is_reading = true;
        self.schedule_us(cost_us * slowness, Event::Read { at: id, life });
        Ok(())
    }

    /// An answer has been read: it is sent, the node is told, and the next one is begun.
    pub(super) fn read(&mut self, id: HostId, life: u32) -> Result<(), Violation> {
        let host = &mut self.hosts[id.index()];
        let Some(running) = host.running.as_mut().filter(|_| host.life == life) else { return Ok(()) };
        let Some(Answer { bytes, .. }) = running.read_front(id)? else { return Ok(()) };
        let Some((peer, _)) = running.desk.reading.pop_front() else { return Ok(()) };
        running.desk.is_reading = false;
        if let Some(&to) = self.names.get(&peer) {
            self.send(id, to, bytes);
        }
        self.give(id, Input::FinalSent { peer });
        if !self.has_one_queue {
            return self.read_next(id);
        }
        let host = &mut self.hosts[id.index()];
        if let Some(running) = &mut host.running
            && running.desk.reading.is_empty()
        {
            return self.conclude(id, life);
        }
        Ok(())
    }
}

impl Running {
    /// The answer that comes next, and what it costs to read; none if nobody is to be answered.
    fn read_front(&mut self, id: HostId) -> Result<Option<Answer>, Violation> {
        let Some(&(_, from)) = self.desk.reading.front() else { return Ok(None) };
        let head = self.store.height();
        let kept = self.desk.kept.take().filter(|kept| kept.from == from && kept.head == head);
        let kept = if let Some(kept) = kept {
            kept
        } else {
            let mut batches = 0;
            let read = |height| {
                let found = self.store.encoded(height);
                batches += usize::from(matches!(found, Ok(Some(_))));
                found
            };
            let message =
                Message::encode_final(from, read).map_err(|error| broken(id, "read its store", &error))?;
            Kept { from, head, bytes: Arc::from(message), batches }
        };
        let bytes = Arc::clone(&kept.bytes);
        let cost_us = cost::of_reading(kept.batches, bytes.len());
        self.desk.kept = Some(kept);
        Ok(Some(Answer { bytes, cost_us }))
    }
}
