//! When a batch is due, and making one. Every validator knows when there is something to bring and is awake then; the one
//! whose turn it is puts the batch together of all that waits with it.

use chain::consensus::Input as Vote;
use chain::validate::{Assembled, Assembly};
use chain::{BatchKind, Height, ValidBatch};

use super::event::NodeEvent;
use super::io::{Effect, Timer, Voting};
use super::message::Message;
use super::places::{Origin, Room};
use super::{Node, Now};

/// How long a validator rests after a batch before one whose only use is a turn, in milliseconds.
const TURN_REST_MS: u64 = 20;
/// How long after a batch one comes whose only use is to say what that led to, in milliseconds.
const SEAL_MS: u64 = 1_000;
/// How long nothing is tried again after a batch could not be put together, in milliseconds.
const SETBACK_MS: u64 = 100;

impl Node {
    /// Looks whether there is something to bring: then this validator is awake, and proposes it if it is its turn.
    pub(super) fn bring(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.voting() != Voting::Always
            || self.executing.is_under_way()
            || (self.consensus.is_awake() && !self.consensus.awaits_candidate())
        {
            return;
        }
        match self.batch_due_in_ms(now) {
            None => {}
            Some(0) => {
                if !self.consensus.is_awake() {
                    self.vote(Vote::Wake, now, effects);
                }
                if self.consensus.awaits_candidate() {
                    self.propose_batch(now, effects);
                }
            }
            Some(wait_ms) => {
                effects.push(Effect::SetTimer { timer: Timer::Batch, at_ms: now.in_ms(wait_ms) });
            }
        }
    }

    /// In how many milliseconds there is something to bring; `None` if nothing waits.
    fn batch_due_in_ms(&mut self, now: Now) -> Option<u64> {
        let head = *self.ledger.head();
        let time_ms = now.wall_ms.max(head.timestamp_ms.saturating_add(1));
        // What comes close together is brought together; blocks that are revealed come with turns that count.
        let gathering_ms = self.timing.gather_ms.saturating_sub(now.since_ms(self.head_since_ms));
        let blocks = self.blocks.ready().map(|block| self.ledger.brings_from_ms(block)).min();
        let is_in_clear = self.network.parameters().commit_reveal.is_none();
        let blocks = blocks.filter(|_| is_in_clear);
        let blocks = blocks.map(|from_ms| from_ms.saturating_sub(time_ms).max(gathering_ms));
        let first_ms = self.commitments.first_since_ms().map(|since_ms| now.since_ms(since_ms));
        // Those of one batch are judged together, so that it is worth while to wait for the others'.
        let commitments = first_ms.map(|waited_ms| self.timing.gather_ms.saturating_sub(waited_ms));
        let quiet_ms = self.ledger.soonest_ms(BatchKind::Quiet);
        // Each validator's turn brings what is committed to nearer to taking effect.
        let turn = self.turn_in_ms(now);
        let records = !self.pool.pending(&self.ledger, now.wall_ms).is_empty() || !self.evidence.is_empty();
        let departure = self.ledger.first_departure().map(|from_ms| from_ms.max(quiet_ms));
        let beat_ms = head.timestamp_ms.saturating_add(self.timing.heartbeat_ms).max(quiet_ms);
        let beat = self.ledger.is_waiting(beat_ms).then_some(beat_ms);
        let seal_ms = head.timestamp_ms.saturating_add(SEAL_MS).max(quiet_ms);
        let seal = head.awaits_seal.then_some(seal_ms);
        let others = records.then_some(quiet_ms).into_iter().chain(departure).chain(beat).chain(seal);
        others
            .map(|from_ms| from_ms.saturating_sub(time_ms))
            .chain(blocks)
            .chain(commitments)
            .chain(turn)
            .min()
    }

    /// The newest commitments whose blocks had time to come here; of none, as long as final batches are yet to come.
    fn turn(&self, now: Now) -> Height {
        let rules = self.network.parameters().commit_reveal.filter(|_| !self.is_behind());
        rules.map_or(0, |rules| self.commitments.turn(rules.reveal_ms, now))
    }

    /// In how many milliseconds a batch is due that is a turn for what is committed to; `None` if nothing is.
    fn turn_in_ms(&self, now: Now) -> Option<u64> {
        let parameters = self.network.parameters();
        let gathered_ms = self.commitments.turn_in_ms(parameters.commit_reveal?.reveal_ms, now)?;
        let rested_ms = now.since_ms(self.head_since_ms);
        Some(gathered_ms.max(TURN_REST_MS.saturating_sub(rested_ms)))
    }

    /// Puts a batch together of what waits.
    fn propose_batch(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.batches.setback_ms.is_some_and(|at_ms| now.since_ms(at_ms) < SETBACK_MS) {
            return;
        }
        let assembly = Assembly {
            proposer: self.own,
            timestamp_ms: now.wall_ms.max(self.ledger.head().timestamp_ms.saturating_add(1)),
            turn: self.turn(now),
            evidence: self.evidence.clone(),
            records: self.pool.pending(&self.ledger, now.wall_ms).to_vec(),
            commitments: self.commitments.in_order(),
            blocks: self.blocks.in_order(),
        };
        let without_blocks = Assembly { blocks: Vec::new(), ..assembly.clone() };
        let Assembled { mut drafted, refused } = self.ledger.assemble(assembly);
        if drafted.as_ref().is_err_and(|rejection| rejection.fault() == chain::Fault::Local) {
            // Whatever is wrong with what blocks do together, the rest need not wait for it.
            drafted = self.ledger.assemble(without_blocks).drafted;
        }
        self.blocks.note_useless(refused);
        match drafted {
            Ok(drafted) => self.announce_own_batch(drafted.sign_valid(&self.ledger, &self.key), now, effects),
            Err(rejection) => {
                self.batches.setback_ms = Some(now.monotonic_ms);
                self.drop_useless_blocks(effects);
                if rejection.fault() == chain::Fault::Local {
                    let detail =
                        format!("a batch could not be put together: {rejection}; please report this");
                    effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                }
            }
        }
    }

    /// Sends an own batch and has it voted on.
    fn announce_own_batch(&mut self, valid: ValidBatch, now: Now, effects: &mut Vec<Effect>) {
        let batch = valid.batch().clone();
        for peer in self.peers.keys() {
            self.batches.served.note(peer, batch.hash(), now);
        }
        effects.push(Effect::Broadcast(Message::Batch(Box::new(batch))));
        let origin = Origin { room: Room::Guaranteed, maker: self.own, sender: self.own };
        self.add_candidate(origin, valid, now, effects);
    }
}
