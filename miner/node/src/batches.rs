//! Batches on their way to becoming final: fetched, judged, kept, voted on, decided. When one is made is in `proposing`, and
//! how final ones come from peers that are ahead in `catching_up`.

use std::collections::BTreeSet;
use std::sync::Arc;

use chain::consensus::{CommitCertificate, Input as Vote};
use chain::{Authentic, Batch, BatchHash, FinalBatch, Height, Rejection, ValidBatch};

use super::batch_row::BatchRow;
use super::candidates::{Candidates, EarlyBatch};
use super::clock::ClockDoubts;
use super::event::NodeEvent;
use super::fetching::{Fetching, Overdue, Served, Surroundings};
use super::held_proposals::HeldProposals;
use super::io::Effect;
use super::message::Message;
use super::places::{Origin, Room};
use super::refusals::Refusals;
use super::{Blame, MarketCounts, Node, Now, PublicKey, is_peers};

/// Names remembered as refused. What is refused beyond that is judged again when it is sent again, which costs its
/// sender every time.
const REFUSED: usize = 1_024;

/// How long a batch may be under way before its date is not believed, in milliseconds beyond what clocks may differ by.
const STALE_MS: u64 = 10_000;

/// Batches on their way to becoming final.
#[derive(Debug, Default)]
pub(super) struct PendingBatches {
    pub(super) candidates: Candidates,
    pub(super) fetching: Fetching<BatchHash>,
    /// Authentic, and refused: not to be fetched or judged again.
    refused: BTreeSet<BatchHash>,
    /// Proposals whose batch is not here or not judged yet.
    pub(super) held_proposals: HeldProposals,
    /// A decision whose batch is not here yet.
    decided: Option<CommitCertificate>,
    pub(super) served: Served<BatchHash>,
    /// When an own batch could last not be put together, by the monotonic clock.
    pub(super) setback_ms: Option<u64>,
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

    /// The height is decided. What is known about peers and clocks stays.
    fn begin_height(&mut self) {
        let mut last = std::mem::take(self);
        last.fetching.begin_height();
        self.fetching = last.fetching;
        self.clock = last.clock;
    }
}

impl Node {
    /// A batch that this node voted for in an earlier run. It was on time then, whatever our clock says by now.
    pub(super) fn restore_candidate(&mut self, batch: Batch, now: Now, effects: &mut Vec<Effect>) {
        let maker = batch.header.proposer;
        let judged = Authentic::new(batch).and_then(|batch| self.judge(batch));
        if let Ok(valid) = judged {
            let hash = valid.batch().hash();
            let origin = Origin { room: Room::Guaranteed, maker, sender: self.own };
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
        let maker = batch.header.proposer;
        let Some(room) = self.room_of_batch(&hash, maker).filter(|_| height == next) else { return };
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
        self.batches.fetching.delivered(&hash, peer);
        let origin = Origin { room, maker, sender: peer };
        if self.batches.candidates.validate_place(&origin).is_ok() {
            self.judge_for_place(origin, authentic, now, effects);
        }
    }

    /// Whose places a batch takes; `None` is that it has none. A validator sends its batch along with the proposal, and
    /// could show each node others, more than any node keeps of it; what is voted on, all must judge.
    fn room_of_batch(&self, batch: &BatchHash, proposer: PublicKey) -> Option<Room> {
        if self.batches.is_voted_on(batch) {
            return Some(Room::Guaranteed);
        }
        let is_validator = self.validators.index_of(&proposer).is_some();
        is_validator.then(|| Room::Validator { validators: self.validators.len() })
    }

    /// A batch for which there is a place.
    fn judge_for_place(&mut self, origin: Origin, batch: Authentic, now: Now, effects: &mut Vec<Effect>) {
        let hash = batch.batch().hash();
        match self.validate_timely(batch.batch(), now).and_then(|()| self.judge(batch.clone())) {
            Ok(valid) => {
                self.add_candidate(origin, valid, now, effects);
            }
            Err(Rejection::TimestampAhead { got, expected }) => {
                let ready_ms = now.wall_ms.saturating_add(got.saturating_sub(expected));
                self.batches.candidates.keep_early(EarlyBatch { origin, batch, ready_ms });
                self.doubt_clock(&hash, got, now, effects);
            }
            // What is proposed of it we do not vote for; should two thirds, it is asked for again. Of what is not proposed nobody
            // need be told, however often it is sent.
            Err(rejection @ Rejection::TimestampBehind { .. }) => {
                if self.batches.is_voted_on(&hash) {
                    effects.push(Effect::Event(Refusals::of_batch(batch.batch(), &rejection)));
                }
                self.release_proposals(hash, false, now, effects);
            }
            Err(rejection) => self.refuse(origin.sender, batch.batch(), &rejection, now, effects),
        }
    }

    /// Whether a batch is dated near enough to our clock. It may be as old as we have been awake for one, for its proposer may
    /// have made it for an earlier round. What two thirds have decided on, or found timely, was on time.
    fn validate_timely(&self, batch: &Batch, now: Now) -> Result<(), Rejection> {
        let hash = batch.hash();
        if self.batches.is_decided(&hash) {
            return Ok(());
        }
        let mut held = self.batches.held_proposals.of(&hash);
        let late_ms = if held.any(|held| held.signed.polka.is_some()) {
            u64::MAX
        } else {
            STALE_MS.saturating_add(self.awake_ms(now))
        };
        self.ledger.validate_clock(&batch.header, now.wall_ms, late_ms)
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
        effects.push(Effect::Event(Refusals::of_batch(batch, rejection)));
        if self.batches.is_decided(&hash) {
            self.tell_undecidable(&hash, effects);
        }
        self.release_proposals(hash, false, now, effects);
        if is_peers(rejection.fault()) {
            self.blame(sender, Blame::INVALID, rejection, effects);
        }
    }

    fn judge(&self, batch: Authentic) -> Result<ValidBatch, Rejection> {
        self.ledger.validate(batch.well_formed(&self.network)?)
    }

    /// A valid batch for the next height: kept, and proposed if it is our own. It is made durable when this node votes for
    /// it.
    pub(super) fn add_candidate(
        &mut self,
        origin: Origin,
        valid: ValidBatch,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let hash = valid.batch().hash();
        if let Some(certificate) = self.batches.decided.take_if(|certificate| certificate.batch == hash) {
            self.decide(valid, certificate, effects);
            return;
        }
        self.batches.candidates.insert(origin, valid);
        if origin.sender == self.own {
            self.vote(Vote::Candidate(hash), now, effects);
        }
        self.release_proposals(hash, true, now, effects);
    }

    // ---- fetching ----

    /// Asks a peer for a batch that is voted on, if that is any use; others say that it has it.
    pub(super) fn want_batch(
        &mut self,
        batch: BatchHash,
        peer: PublicKey,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.batches.is_known(&batch) || !self.peers.is_connected(&peer) {
            return;
        }
        let validators = &self.validators;
        let around = Surroundings {
            now_ms: now.monotonic_ms,
            patience_ms: self.timing.fetch_ms,
            voted_on: &self.batches.voted_on(),
            is_validator: &|key| validators.index_of(key).is_some(),
            peers: &[],
        };
        if self.batches.fetching.want(batch, peer, false, around) {
            effects.push(Effect::Send { peer, message: Message::RequestBatch(batch) });
        }
    }

    /// Asks validators for a batch that they proposed or voted for.
    pub(super) fn want_from_validators(
        &mut self,
        batch: BatchHash,
        validators: impl IntoIterator<Item = u16>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        for key in validators.into_iter().filter_map(|index| self.validators.key(index)).collect::<Vec<_>>() {
            self.want_batch(batch, key, now, effects);
        }
    }

    /// Asks somebody else for what has not come in time.
    pub(super) fn retry_fetches(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let (validators, peers) = (&self.validators, self.peers.keys().collect::<Vec<_>>());
        let around = Surroundings {
            now_ms: now.monotonic_ms,
            patience_ms: self.timing.fetch_ms,
            voted_on: &self.batches.voted_on(),
            is_validator: &|key| validators.index_of(key).is_some(),
            peers: &peers,
        };
        let Overdue { ask, .. } = self.batches.fetching.overdue(around);
        let ask = ask.into_iter();
        effects.extend(ask.map(|(batch, peer)| Effect::Send { peer, message: Message::RequestBatch(batch) }));
    }

    /// Sends a candidate.
    pub(super) fn on_batch_requested(
        &mut self,
        peer: PublicKey,
        hash: BatchHash,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let candidate = self.batches.candidates.get(&hash).map(ValidBatch::batch);
        let Some(batch) = candidate.or_else(|| self.executing.batch(&hash)).cloned() else { return };
        if self.batches.served.may_send(peer, hash, now, self.timing.fetch_ms) {
            effects.push(Effect::Send { peer, message: Message::Batch(Box::new(batch)) });
        }
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
            self.decide(valid, certificate, effects);
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

    /// The head moves on, and with it everything that follows from it.
    pub(super) fn make_final(&mut self, done: FinalBatch, now: Now, effects: &mut Vec<Effect>) {
        let (batch, certificate, ledger, report) = done.into_parts();
        self.ledger = ledger;
        self.market = MarketCounts::of(&self.ledger);
        self.renew_standings();
        let event = NodeEvent::BatchFinal {
            batch: BatchRow::new(&batch, &report),
            votes: certificate.votes(&self.validators),
            round: certificate.round,
            state_root: self.ledger.state_root(),
            open_demands: self.market.open,
        };
        let batch = Arc::new(batch);
        effects.push(Effect::Final { batch: Arc::clone(&batch), report: Box::new(report.clone()) });
        effects.push(Effect::Event(event));
        self.state_root = self.ledger.state_root();
        self.head_since_ms = now.monotonic_ms;
        self.batches.begin_height();
        self.prune_pool(&report.departed, effects);
        self.look_for_own_signature(&certificate, effects);
        self.begin_height(now, effects);
        let ledger = &self.ledger;
        self.evidence.retain(|evidence| ledger.validate_evidence(evidence).is_ok());
        self.review_blocks(&batch, effects);
        self.review_commitments(&batch, &report, now, effects);
        self.with_mining(now, effects, |mining, view, actions| {
            mining.on_final(&batch, &report, view, actions);
        });
        self.bring(now, effects);
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
