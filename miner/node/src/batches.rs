//! Batches on their way to becoming final: judged, kept, voted on, decided. How they are fetched is in `fetching`, whose
//! places they take in `candidates`, what is told of those that lose in `refusals`, and how final ones come from peers
//! that are ahead in `catching_up`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::consensus::{CommitCertificate, Input as Vote};
use chain::store::Write;
use chain::{Authentic, Batch, BatchHash, Drafted, FinalBatch, Height, Rejection, ValidBatch};

use super::batch_row::BatchRow;
use super::candidates::{Candidates, EarlyBatch, Origin, Room};
use super::clock::ClockDoubts;
use super::event::NodeEvent;
use super::fetching::Fetching;
use super::held_proposals::HeldProposals;
use super::io::Effect;
use super::message::Message;
use super::mining::changes_market;
use super::refusals::{LateBatches, explain, explain_losers, refusal};
use super::standing::Standing;
use super::{Blame, MarketCounts, Node, Now, PublicKey, is_peers};

/// Names remembered as refused. What is refused beyond that is judged again when it is sent again, which costs its
/// sender every time.
const REFUSED: usize = 1_024;

/// Batches on their way to becoming final.
#[derive(Debug, Default)]
pub(super) struct PendingBatches {
    pub(super) candidates: Candidates,
    pub(super) fetching: Fetching,
    /// Authentic, and refused: not to be fetched or judged again.
    refused: BTreeSet<BatchHash>,
    /// Proposals whose batch is not here or not judged yet.
    pub(super) held_proposals: HeldProposals,
    /// A decision whose batch is not here yet.
    decided: Option<CommitCertificate>,
    /// Batches that peers were sent lately, and when, by the monotonic clock.
    pub(super) served_ms: BTreeMap<(PublicKey, BatchHash), u64>,
    late: LateBatches,
    pub(super) clock: ClockDoubts,
}

impl PendingBatches {
    /// Whether a validator proposes this batch, or it is decided: no limit on what miners send keeps it out.
    pub(super) fn is_voted_on(&self, batch: &BatchHash) -> bool {
        self.is_decided(batch) || self.held_proposals.names(batch)
    }

    /// All batches of which that is true.
    pub(super) fn voted_on(&self) -> BTreeSet<BatchHash> {
        let decided = self.decided.iter().map(|certificate| certificate.batch);
        decided.chain(self.held_proposals.batches()).collect()
    }

    fn is_decided(&self, batch: &BatchHash) -> bool {
        self.decided.as_ref().is_some_and(|certificate| certificate.batch == *batch)
    }

    /// Whether it is an authentic batch that breaks a rule.
    pub(super) fn is_refused(&self, batch: &BatchHash) -> bool {
        self.refused.contains(batch)
    }

    /// Whether nothing is gained by having this batch sent.
    pub(super) fn is_known(&self, batch: &BatchHash) -> bool {
        self.candidates.holds(batch) || self.is_refused(batch)
    }

    /// The height is decided. What is left of its batches is given back; what is known about peers and clocks stays.
    fn begin_height(&mut self) -> Candidates {
        let mut last = std::mem::take(self);
        last.fetching.begin_height();
        self.fetching = last.fetching;
        self.clock = last.clock;
        last.candidates
    }
}

impl Node {
    // ---- own batches ----

    pub(super) fn announce_own_batch(&mut self, drafted: Drafted, now: Now, effects: &mut Vec<Effect>) {
        let (batch, report) = drafted.sign(&self.key);
        // Whatever our clock says: it may have been set back since the head was dated, which it must follow.
        let judged = Authentic::new(batch.clone()).and_then(|batch| self.judge(batch, None));
        let valid = match judged {
            Ok(valid) => valid,
            Err(rejection) => {
                let detail = format!("an own batch breaks a rule: {rejection}; it was not sent");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                return;
            }
        };
        if let Some(mining) = &mut self.mining {
            mining.on_announced(&batch);
        }
        effects.push(Effect::Event(NodeEvent::BatchAnnounced(BatchRow::new(&batch, &report))));
        effects.push(Effect::Broadcast(Message::Batch(Box::new(batch))));
        let origin = Origin { room: Room::Guaranteed, miner: self.own, sender: self.own };
        self.add_candidate(origin, valid, now, effects);
    }

    /// A batch that this node voted for in an earlier run. It was on time then, whatever our clock says by now.
    pub(super) fn restore_candidate(&mut self, batch: Batch, now: Now, effects: &mut Vec<Effect>) {
        let miner = batch.header.proposer;
        let judged = Authentic::new(batch).and_then(|batch| self.judge(batch, None));
        if let Ok(valid) = judged {
            let hash = valid.batch().hash();
            let origin = Origin { room: Room::Guaranteed, miner, sender: self.own };
            self.batches.candidates.restore(origin, valid);
            self.vote(Vote::Candidate(hash), now, effects);
        }
    }

    // ---- others' batches ----

    pub(super) fn on_batch(&mut self, peer: PublicKey, batch: Batch, now: Now, effects: &mut Vec<Effect>) {
        let hash = batch.hash();
        if self.batches.is_known(&hash) {
            // Not checked again, so it must be the very batch for its sender to get any credit.
            if self.batches.candidates.get(&hash).is_some_and(|valid| *valid.batch() == batch) {
                self.batches.fetching.keeps_its_word(peer);
            }
            return;
        }
        let (height, next) = (batch.header.height, self.ledger.head().height + 1);
        if height > next {
            self.note_claim(peer, height - 1, now, effects);
            return;
        }
        let is_turned_away =
            || self.batches.candidates.is_turned_away(hash, peer) && !self.batches.is_voted_on(&hash);
        if is_turned_away() || (height < next && !self.is_worth_explaining(&batch)) {
            return;
        }
        // A name covers the header alone: whoever sends another body under it must neither satisfy who asked for the
        // batch nor have anything said about it.
        let authentic = match Authentic::new(batch) {
            Ok(authentic) => authentic,
            Err(rejection) => {
                let reason = format!("sent what is not the batch that its header names: {rejection}");
                self.blame(peer, Blame::BROKEN, &reason, effects);
                return;
            }
        };
        if height < next {
            self.batches.late.note(hash);
            effects.push(Effect::Event(explain(&self.ledger, authentic.batch())));
            return;
        }
        self.batches.fetching.delivered(&hash, peer);
        let miner = authentic.batch().header.proposer;
        let origin = Origin { room: self.room_of(&hash, miner), miner, sender: peer };
        match self.batches.candidates.validate_place(&origin) {
            Ok(()) => self.judge_for_place(origin, authentic, now, effects),
            Err(full) => self.batches.candidates.turn_away(hash, peer, full),
        }
    }

    /// Whose places a batch of this miner takes. A miner could show each node other batches, more than any node keeps of
    /// it; what is voted on, all must judge.
    fn room_of(&self, batch: &BatchHash, miner: PublicKey) -> Room {
        if self.batches.is_voted_on(batch) {
            Room::Guaranteed
        } else {
            match self.standing_of(&miner) {
                Standing::Validator => Room::Validator { validators: self.validators.len() },
                Standing::Established => Room::Known,
                Standing::Stranger => Room::Stranger,
            }
        }
    }

    /// A batch for which there is a place.
    fn judge_for_place(&mut self, origin: Origin, batch: Authentic, now: Now, effects: &mut Vec<Effect>) {
        let hash = batch.batch().hash();
        // What two thirds have decided on was on time.
        let wall_ms = (!self.batches.is_decided(&hash)).then_some(now.wall_ms);
        match self.judge(batch.clone(), wall_ms) {
            Ok(valid) => {
                self.relay(origin.sender, &valid, effects);
                self.add_candidate(origin, valid, now, effects);
            }
            Err(Rejection::TimestampAhead { got, expected }) => {
                let ready_ms = now.wall_ms.saturating_add(got.saturating_sub(expected));
                self.batches.candidates.keep_early(EarlyBatch { origin, batch, ready_ms });
                self.doubt_clock(&hash, got, now, effects);
            }
            Err(rejection) => self.refuse(origin.sender, batch.batch(), &rejection, now, effects),
        }
    }

    /// An authentic batch breaks a rule: so does every batch of its name.
    fn refuse(
        &mut self,
        sender: PublicKey,
        batch: &Batch,
        rejection: &Rejection,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let hash = batch.hash();
        if self.batches.refused.len() < REFUSED || self.batches.is_voted_on(&hash) {
            self.batches.refused.insert(hash);
        }
        effects.push(Effect::Event(refusal(batch, rejection)));
        if self.batches.is_decided(&hash) {
            self.tell_undecidable(&hash, effects);
        }
        self.release_proposals(hash, false, now, effects);
        if is_peers(rejection.fault()) {
            self.blame(sender, Blame::INVALID, rejection, effects);
        }
    }

    fn judge(&self, batch: Authentic, local_time_ms: Option<u64>) -> Result<ValidBatch, Rejection> {
        self.ledger.validate(batch.well_formed(&self.network)?, local_time_ms)
    }

    /// Tells everybody else of a batch that somebody sent.
    fn relay(&self, sender: PublicKey, valid: &ValidBatch, effects: &mut Vec<Effect>) {
        let (height, batch) = (valid.batch().header.height, valid.batch().hash());
        let others = self.peers.keys().filter(|&other| other != sender);
        let message = Message::AnnounceBatch { height, batch };
        effects.extend(others.map(|peer| Effect::Send { peer, message: message.clone() }));
    }

    /// A valid batch for the next height: kept, and voted on. It is made durable when this node votes for it.
    fn add_candidate(&mut self, origin: Origin, valid: ValidBatch, now: Now, effects: &mut Vec<Effect>) {
        let hash = valid.batch().hash();
        if let Some(certificate) = self.batches.decided.take_if(|certificate| certificate.batch == hash) {
            self.finalise(valid, certificate, now, effects);
            return;
        }
        // A stranger's batch that brings nothing only spoils the work of others, height after height: this node does not
        // propose it. Who has something to lose sends such where time has to pass.
        let is_of_use = origin.room != Room::Stranger || changes_market(&valid.batch().contents);
        self.batches.candidates.insert(origin, valid);
        if is_of_use {
            self.vote(Vote::Candidate(hash), now, effects);
        }
        self.release_proposals(hash, true, now, effects);
    }

    /// Whether people may want to know why a batch that came after its height was decided lost: it lost the last height,
    /// its miner is none of the many that anybody can invent, and not many were explained.
    fn is_worth_explaining(&self, batch: &Batch) -> bool {
        let (hash, head) = (batch.hash(), self.ledger.head());
        batch.header.height == head.height
            && hash != head.hash
            && !batch.contents.is_quiet()
            && self.batches.late.has_room_for(&hash)
            && self.room_of(&hash, batch.header.proposer) != Room::Stranger
    }

    // ---- batches ahead of our clock ----

    /// Judges again what is ahead of our clock no longer.
    pub(super) fn retry_early_batches(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for EarlyBatch { origin, batch, .. } in self.batches.candidates.take_ready(now.wall_ms) {
            // One of those before it may have decided the height.
            if batch.batch().header.height == self.ledger.head().height + 1 {
                self.judge_for_place(origin, batch, now, effects);
            }
        }
    }

    /// Validators propose a batch that is ahead of our clock: if there are too many of them, it is our clock.
    pub(super) fn doubt_clock(
        &mut self,
        batch: &BatchHash,
        dated_ms: u64,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let proposals: Vec<_> =
            self.batches.held_proposals.of(batch).map(|held| held.signed.proposal).collect();
        for proposal in proposals {
            let proposer = self.validators.proposer(proposal.height, proposal.round);
            if let Some(validators) = self.batches.clock.note_early(proposer, &self.validators, now) {
                let by_ms = dated_ms.saturating_sub(now.wall_ms);
                effects.push(Effect::Event(NodeEvent::ClockBehind { validators, by_ms }));
            }
        }
    }

    // ---- finality ----

    pub(super) fn on_decided(&mut self, certificate: CommitCertificate, now: Now, effects: &mut Vec<Effect>) {
        let batch = certificate.batch;
        if let Some(valid) = self.batches.candidates.remove(&batch) {
            self.finalise(valid, certificate, now, effects);
            return;
        }
        let voters: Vec<u16> = certificate.signatures.iter().map(|&(validator, _)| validator).collect();
        self.batches.decided = Some(certificate);
        if self.batches.is_refused(&batch) {
            self.tell_undecidable(&batch, effects);
        } else if let Some(EarlyBatch { origin, batch, .. }) = self.batches.candidates.take_early(&batch) {
            self.judge_for_place(origin, batch, now, effects);
        } else {
            self.want_from_validators(batch, voters, now, effects);
        }
    }

    fn tell_undecidable(&self, batch: &BatchHash, effects: &mut Vec<Effect>) {
        let detail = format!(
            "two thirds of the validators decided on batch {batch}, which breaks a rule here: this node runs other \
             software than they do or has a damaged store; it stays at height {}",
            self.ledger.head().height
        );
        effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
    }

    /// The vote's own decision about a valid batch cannot be wrong.
    fn finalise(
        &mut self,
        valid: ValidBatch,
        certificate: CommitCertificate,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        match valid.finalise(certificate) {
            Ok(done) => self.make_final(done, now, effects),
            Err(error) => {
                let detail = format!("the vote decided what is not final: {error}; please report this");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            }
        }
    }

    /// The head moves on. Durable first, then everything that follows from it.
    pub(super) fn make_final(&mut self, done: FinalBatch, now: Now, effects: &mut Vec<Effect>) {
        let write = Write::from(&done);
        let (batch, certificate, ledger, report) = done.into_parts();
        self.ledger = ledger;
        self.market = MarketCounts::of(&self.ledger);
        self.renew_standings();
        let event = NodeEvent::BatchFinal {
            batch: BatchRow::new(&batch, &report),
            votes: certificate.votes(&self.validators),
            round: certificate.round,
            state_root: batch.header.state_root,
            open_demands: self.market.open,
        };
        let (batch, departed) = (Arc::new(batch), report.departed.clone());
        effects.push(Effect::Persist(write));
        effects.push(Effect::Final { batch: Arc::clone(&batch), report: Box::new(report) });
        effects.push(Effect::Event(event));
        self.state_root = batch.header.state_root;
        let mut losers = self.batches.begin_height();
        losers.remove(&batch.hash()); // still there if it came as a final batch of a peer
        effects.extend(explain_losers(&self.ledger, losers.into_losers()).into_iter().map(Effect::Event));
        self.prune_pool(&departed, effects);
        self.look_for_own_signature(&certificate, effects);
        self.begin_height(now, effects);
        self.with_mining(now, effects, |mining, view, actions| {
            mining.on_final(&batch, view, actions);
        });
    }

    /// A peer says, or lets see, that it has reached a height.
    pub(super) fn note_claim(
        &mut self,
        peer: PublicKey,
        height: Height,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.peers.note_height(&peer, height);
        self.catch_up(now, effects);
    }
}
