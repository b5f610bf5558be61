//! Records on their way into the pool: from peers, from this node's own clients, from an earlier run.

use chain::ledger::Departed;
use chain::store::Write;
use chain::{Fault, Record, RecordId};
use coordinator_free_pool::{Exchanged, MESSAGE_IDS, PoolMessage, Rule, Ticked};

use super::event::NodeEvent;
use super::io::{Effect, SubmissionId};
use super::message::Message;
use super::{Blame, Node, Now, PublicKey};

impl Node {
    /// Clients of this node hand in records: kept, answered for, then announced all together.
    pub(super) fn submit(&mut self, records: Vec<Record>, reply_to: SubmissionId, effects: &mut Vec<Effect>) {
        let mut outcomes = Vec::with_capacity(records.len());
        for record in records {
            let outcome = self.pool.insert(record.clone(), &self.ledger);
            match &outcome {
                Ok(_) => effects.push(Effect::Persist(Write::PoolRecord(Box::new(record)))),
                Err(rejection) => effects.push(refused(record.id(), rejection.rule(), rejection)),
            }
            outcomes.push(outcome);
        }
        self.forget_dropped(effects);
        let accepted: Vec<RecordId> = outcomes.iter().flatten().copied().collect();
        effects.push(Effect::Submitted { reply_to, outcomes });
        let announcements = accepted.chunks(MESSAGE_IDS).map(|ids| PoolMessage::Announce(ids.to_vec()));
        effects.extend(announcements.map(|message| Effect::Broadcast(Message::Pool(message))));
    }

    /// A record of an earlier run; what no batch can bring any more is forgotten.
    pub(super) fn restore_record(&mut self, record: Record, effects: &mut Vec<Effect>) {
        let id = record.id();
        if self.pool.insert(record, &self.ledger).is_err() {
            effects.push(Effect::Persist(Write::ForgetPoolRecord(id)));
        }
        self.forget_dropped(effects);
    }

    pub(super) fn on_pool_message(
        &mut self,
        peer: PublicKey,
        message: PoolMessage,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Exchanged { messages, accepted, rejected, fault } =
            self.exchange.handle(&mut self.pool, peer, message, &self.ledger, now.monotonic_ms);
        send_all(messages, effects);
        let ids: Vec<_> = accepted.iter().map(Record::id).collect();
        for record in accepted {
            effects.push(Effect::Persist(Write::PoolRecord(Box::new(record))));
        }
        self.forget_dropped(effects);
        if !ids.is_empty() {
            let announcement = Message::Pool(PoolMessage::Announce(ids));
            let others = self.peers.keys().filter(|&other| other != peer);
            effects.extend(others.map(|peer| Effect::Send { peer, message: announcement.clone() }));
        }
        for (id, rejection) in rejected {
            if rejection.fault() == Fault::Peer {
                effects.push(refused(id, rejection.rule(), &rejection));
                self.blame(peer, Blame::INVALID, &rejection, effects);
            }
        }
        if let Some(fault) = fault {
            self.blame(peer, Blame::BROKEN, &fault, effects);
        }
    }

    /// Compares the pool with a peer's.
    pub(super) fn reconcile_pool_with(&mut self, peer: PublicKey, now: Now, effects: &mut Vec<Effect>) {
        send_all(self.exchange.reconcile_with(&self.pool, peer, now.monotonic_ms), effects);
    }

    /// Asks again for what has not come, and forgets what has expired.
    pub(super) fn tick_pool(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.pool.pass_time(now.wall_ms, &self.ledger);
        self.forget_dropped(effects);
        let Ticked { messages, silent } = self.exchange.tick(now.monotonic_ms);
        send_all(messages, effects);
        for peer in silent {
            let reason = "it announces records by the thousand and delivers none of them";
            self.blame(peer, Blame::NUISANCE, &reason, effects);
        }
    }

    /// What had to make room for what came in.
    fn forget_dropped(&mut self, effects: &mut Vec<Effect>) {
        for (id, reason) in self.pool.take_dropped() {
            effects.push(Effect::Persist(Write::ForgetPoolRecord(id)));
            effects.push(refused(id, reason.rule(), &reason));
        }
    }

    /// After a batch: the pool drops what is on chain or can no longer come there.
    pub(super) fn prune_pool(&mut self, departed: &[Departed], effects: &mut Vec<Effect>) {
        for (id, reason) in self.pool.prune(&self.ledger, departed) {
            effects.push(Effect::Persist(Write::ForgetPoolRecord(id)));
            if let Some(reason) = reason {
                effects.push(refused(id, reason.rule(), &reason));
            }
        }
    }
}

fn refused(id: RecordId, rule: Rule, reason: &dyn ToString) -> Effect {
    Effect::Event(NodeEvent::RecordRefused { record: Some(id), rule, reason: reason.to_string() })
}

fn send_all(messages: impl IntoIterator<Item = (PublicKey, PoolMessage)>, effects: &mut Vec<Effect>) {
    let messages = messages.into_iter();
    effects.extend(messages.map(|(peer, message)| Effect::Send { peer, message: Message::Pool(message) }));
}
