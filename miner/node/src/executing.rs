//! Between the decision on a batch and the ledger it leads to. The batch is on disk; whoever carries out effects executes it
//! beside the node, which goes on meanwhile with what does not need the new ledger, and keeps what peers say of the
//! next height: a node that takes longer than the others misses nothing and votes when it is done.

use std::collections::VecDeque;

use chain::consensus::CommitCertificate;
use chain::ledger::Defect;
use chain::store::Write;
use chain::validate::DecidedBatch;
use chain::{Batch, BatchHash, FinalBatch, Height, PublicKey, ValidBatch};

use super::event::NodeEvent;
use super::io::Effect;
use super::message::Message;
use super::{Node, Now};

/// Messages about the next height that are kept of one peer, and how many of them are batches: of the honest, a proposal,
/// two votes, and certificates for each round.
const OF_A_PEER: usize = 48;
const BATCHES_OF_A_PEER: usize = 2;

/// The batch that is being executed, and what is kept until it is.
#[derive(Debug, Default)]
pub(super) struct Executing {
    height: Option<Height>,
    /// The batch itself: who has only heard of the decision asks for it.
    batch: Option<Batch>,
    kept: VecDeque<(PublicKey, Message)>,
}

impl Executing {
    /// Whether a batch is being executed.
    pub(super) const fn is_under_way(&self) -> bool {
        self.height.is_some()
    }

    /// The batch that is being executed, if it has this name.
    pub(super) fn batch(&self, name: &BatchHash) -> Option<&Batch> {
        self.batch.as_ref().filter(|batch| batch.hash() == *name)
    }

    /// Whether a message is about the height after the one that is being executed.
    pub(super) fn is_early(&self, message: &Message) -> bool {
        let Some(next) = self.height.and_then(|height| height.checked_add(1)) else { return false };
        match message {
            Message::Consensus(message) => message.height() == next,
            Message::Batch(batch) => batch.header.height == next,
            Message::Hello(_)
            | Message::Peers(_)
            | Message::Pool(_)
            | Message::Status(_)
            | Message::AnnounceBlock(_)
            | Message::RequestBlock(_)
            | Message::Block(_)
            | Message::RequestBatch(_)
            | Message::RequestFinal { .. }
            | Message::Final(_)
            | Message::Commitment(_) => false,
        }
    }

    /// A peer is gone: keys are free, and what each may have kept is not.
    pub(super) fn forget_peer(&mut self, peer: &PublicKey) {
        self.kept.retain(|(sender, _)| sender != peer);
    }

    /// Keeps a message, unless its sender has too many here.
    pub(super) fn keep(&mut self, peer: PublicKey, message: Message) {
        let is_batch = |message: &Message| matches!(message, Message::Batch(_));
        let of_peer = self.kept.iter().filter(|(sender, _)| *sender == peer);
        let (count, batches) = of_peer.fold((0_usize, 0_usize), |(count, batches), (_, message)| {
            (count.saturating_add(1), batches.saturating_add(usize::from(is_batch(message))))
        });
        if count < OF_A_PEER && (!is_batch(&message) || batches < BATCHES_OF_A_PEER) {
            self.kept.push_back((peer, message));
        }
    }
}

impl Node {
    /// Keeps what a peer says of the next height. It has that already, so that it may be asked for what we lack; and of batches
    /// only those that may be voted on are worth their room.
    pub(super) fn keep_early(&mut self, peer: PublicKey, message: Message) {
        self.peers.note_height(&peer, self.decided_height());
        if let Message::Batch(batch) = &message
            && self.validators.index_of(&batch.header.proposer).is_none()
        {
            return;
        }
        self.executing.keep(peer, message);
    }

    /// The height of the last batch that is final here, executed or not.
    pub(super) fn decided_height(&self) -> Height {
        self.executing.height.unwrap_or(self.ledger.head().height)
    }

    /// The vote has decided on a valid batch: its certificate cannot be wrong.
    pub(super) fn decide(
        &mut self,
        valid: ValidBatch,
        certificate: CommitCertificate,
        effects: &mut Vec<Effect>,
    ) {
        if self.executing.is_under_way() {
            return; // a peer was quicker to say what was decided
        }
        match valid.decide(certificate) {
            Ok(decided) => self.begin_execution(decided, effects),
            Err(error) => {
                let detail = format!("the vote decided what is not final: {error}; please report this");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            }
        }
    }

    /// A batch is final: durable first, then executed.
    pub(super) fn begin_execution(&mut self, decided: DecidedBatch, effects: &mut Vec<Effect>) {
        self.executing.height = Some(decided.batch().header.height);
        self.executing.batch = Some(decided.batch().clone());
        effects.push(Effect::Persist(Write::from(&decided)));
        effects.push(Effect::Execute(Box::new(decided)));
    }

    /// It has been found out what a final batch does.
    pub(super) fn on_executed(
        &mut self,
        executed: Result<FinalBatch, Defect>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(height) = self.executing.height else { return };
        let done = match executed {
            Ok(done) if done.batch().header.height == height => done,
            Ok(_) => return,
            Err(error) => {
                let detail = format!(
                    "the final batch of height {height} cannot be executed: {error}; this node stays at height {}; \
                     please report this",
                    self.ledger.head().height
                );
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                return;
            }
        };
        (self.executing.height, self.executing.batch) = (None, None);
        self.make_final(done, now, effects);
        for (peer, message) in std::mem::take(&mut self.executing.kept) {
            // One of those before it may have cost its sender the connection.
            if self.peers.is_connected(&peer) {
                self.on_message(peer, message, now, effects);
            }
        }
        if self.catching_up.is_receiving() {
            self.take_received(now, effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use chain::consensus::{ConsensusMessage, Vote, VoteKind};
    use chain::{BatchHeader, Contents, Hash, NetworkId, SecretKey};

    use super::*;

    fn key(number: u64) -> SecretKey {
        SecretKey::for_scenario(1, "validator", number)
    }

    fn vote(height: Height) -> Message {
        let network = NetworkId(Hash([1; 32]));
        let vote = Vote { network, height, round: 0, kind: VoteKind::Prevote, batch: None };
        Message::Consensus(ConsensusMessage::Vote(vote.sign(0, &key(0))))
    }

    fn batch(height: Height) -> Message {
        let header = BatchHeader {
            version: 1,
            network: NetworkId(Hash([1; 32])),
            height,
            parent: BatchHash(Hash([1; 32])),
            timestamp_ms: 0,
            proposer: key(0).public(),
            turn: 0,
            contents_root: Hash::ZERO,
            item_count: 0,
            outcomes_root: Hash::ZERO,
            state_root: Hash::ZERO,
        };
        Message::Batch(Box::new(Batch::sign(header, Contents::default(), &key(0))))
    }

    #[test]
    fn what_is_about_the_next_height_alone_is_early() {
        let mut executing = Executing::default();
        assert!(!executing.is_early(&vote(8)), "nothing is executed");
        executing.height = Some(7);
        let early = |message: &Message| executing.is_early(message);
        assert_eq!([7, 8, 9].map(|height| early(&vote(height))), [false, true, false]);
        assert_eq!([7, 8, 9].map(|height| early(&batch(height))), [false, true, false]);
        assert!(!early(&Message::RequestFinal { from: 8 }));
    }

    #[test]
    fn a_peer_that_says_too_much_takes_no_room_from_another() {
        let mut executing = Executing { height: Some(7), ..Executing::default() };
        let (flood, honest) = (key(1).public(), key(2).public());
        for _ in 0..1_000 {
            executing.keep(flood, batch(8));
            executing.keep(flood, vote(8));
        }
        assert_eq!(executing.kept.len(), OF_A_PEER);
        executing.keep(honest, batch(8));
        executing.keep(honest, vote(8));
        let of = |peer| executing.kept.iter().filter(move |(sender, _)| *sender == peer);
        assert_eq!(of(honest).count(), 2);
        let batches = of(flood).filter(|(_, message)| matches!(message, Message::Batch(_)));
        assert_eq!(batches.count(), BATCHES_OF_A_PEER);
        executing.forget_peer(&flood);
        assert_eq!(executing.kept.len(), 2);
    }
}
