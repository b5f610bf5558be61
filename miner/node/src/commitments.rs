//! Commitments that wait for a batch, and this node's own blocks from their commitment to what becomes of them. Nobody can
//! judge what a commitment is to, but whether its miner may make it and can pay for it.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::CommitmentError;
use chain::validate::verify_commitment;
use chain::{
    Batch, BatchReport, Block, BlockHash, Commitment, CommitmentId, Height, Ledger, PublicKey,
    SignedCommitment, WellFormedBlock,
};

use super::blocks::WaitingBlocks;
use super::event::NodeEvent;
use super::io::Effect;
use super::message::Message;
use super::places::{Origin, Room};
use super::recovered::Recovered;
use super::{Blame, Node, Now};

/// Own blocks that are on their way at one time: what a miner composes on is known as far as they go.
const OWN: usize = 8;
/// Names remembered as refused or as having found no place, so that they are not checked again and again.
const REMEMBERED: usize = 1_024;
/// How many times the patience for a fetch a commitment waits for the batch that it is anchored on.
const ANCHOR_PATIENCE: u64 = 5;
/// Commitments kept whose anchor is not known, and how many of them one peer sends.
const EARLY: usize = 256;
const EARLY_OF_A_PEER: usize = 16;
/// Commitments told to a peer in turn.
const TOLD: usize = 8;

/// Commitments that wait for a batch, in order of name, and own blocks that are committed to, in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Commitments {
    waiting: BTreeMap<CommitmentId, Waiting>,
    /// When cohorts that have not taken effect were final here, by their height and the monotonic clock.
    cohorts: BTreeMap<Height, u64>,
    arrivals: u64,
    refused: BTreeSet<CommitmentId>,
    /// On batches that have not come here, or on old ones: they take nobody's places and are not passed on.
    early: Vec<Early>,
    own: Vec<Sealed>,
    /// The height at which an own block could not be paid for: nothing more is committed to at that one.
    unpaid_at: Option<Height>,
}

/// A commitment that waits.
#[derive(Debug)]
struct Waiting {
    origin: Origin,
    signed: SignedCommitment,
    /// The commitments that came before it.
    arrival: u64,
    since_ms: u64,
    /// A batch on this head may bring it.
    is_ready: bool,
}

/// A commitment whose anchor is not known here, or not any more.
#[derive(Debug)]
struct Early {
    peer: PublicKey,
    signed: SignedCommitment,
    since_ms: u64,
}

/// An own block that is committed to.
#[derive(Debug)]
struct Sealed {
    block: WellFormedBlock,
    commitment: SignedCommitment,
    is_revealed: bool,
}

impl Commitments {
    /// Whether none waits for a batch, and no own block for what becomes of it.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.own.is_empty()
    }

    /// When the first of those came that a batch may bring, by the monotonic clock.
    pub(super) fn first_since_ms(&self) -> Option<u64> {
        self.ready().map(|waiting| waiting.since_ms).min()
    }

    /// Whether another miner has committed to a block that no batch has brought, and nobody revealed here.
    pub(super) fn is_any_hidden(&self, ledger: &Ledger, own: PublicKey, blocks: &WaitingBlocks) -> bool {
        let waiting = self.ready().map(|waiting| &waiting.signed.commitment);
        let mut all = ledger.cohorts().flat_map(|(_, cohort)| cohort.unrevealed()).chain(waiting);
        all.any(|commitment| commitment.miner != own && blocks.get(&commitment.block).is_none())
    }

    fn ready(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values().filter(|waiting| waiting.is_ready)
    }

    /// Whether a commitment to this block waits.
    pub(super) fn names(&self, miner: PublicKey, block: BlockHash) -> bool {
        let mut commitments = self.waiting.values().map(|waiting| waiting.signed.commitment);
        commitments.any(|commitment| commitment.miner == miner && commitment.block == block)
    }

    /// The newest cohort whose blocks had so many milliseconds to come here; 0 if there is none.
    pub(super) fn turn(&self, reveal_ms: u64, now: Now) -> Height {
        let gathered = self.cohorts.iter().filter(|(_, since_ms)| now.since_ms(**since_ms) >= reveal_ms);
        gathered.map(|(&height, _)| height).max().unwrap_or(0)
    }

    /// In how many milliseconds that can be said of the oldest one; `None` if none waits.
    pub(super) fn turn_in_ms(&self, reveal_ms: u64, now: Now) -> Option<u64> {
        let (_, &since_ms) = self.cohorts.first_key_value()?;
        Some(reveal_ms.saturating_sub(now.since_ms(since_ms)))
    }

    /// Those that a batch may bring: those of who has more standing first, then as they came.
    pub(super) fn in_order(&self) -> Vec<SignedCommitment> {
        let mut waiting: Vec<&Waiting> = self.ready().collect();
        waiting.sort_by_key(|waiting| (waiting.origin.room, waiting.arrival));
        waiting.into_iter().map(|waiting| waiting.signed).collect()
    }

    /// Own blocks of which it is not known what became of them, in the order they were made.
    pub(super) fn own_blocks(&self) -> Vec<Block> {
        self.own.iter().map(|sealed| sealed.block.block().clone()).collect()
    }

    /// The names of these.
    pub(super) fn own_names(&self) -> BTreeSet<BlockHash> {
        self.own.iter().map(|sealed| sealed.block.block().hash()).collect()
    }

    /// Whether another own block may be committed to: the last commitment is on chain, for a batch brings one of each miner.
    pub(super) fn may_commit(&self) -> bool {
        let waits = |sealed: &Sealed| self.waiting.contains_key(&sealed.commitment.id());
        self.own.len() < OWN && !self.own.iter().any(waits)
    }

    fn is_known(&self, name: CommitmentId) -> bool {
        self.waiting.contains_key(&name) || self.refused.contains(&name)
    }

    fn keep_early(&mut self, peer: PublicKey, signed: SignedCommitment, now: Now) {
        let of_peer = self.early.iter().filter(|early| early.peer == peer).count();
        let is_known = self.early.iter().any(|early| early.signed == signed);
        if !is_known && of_peer < EARLY_OF_A_PEER && self.early.len() < EARLY {
            self.early.push(Early { peer, signed, since_ms: now.monotonic_ms });
        }
    }

    fn refuse(&mut self, name: CommitmentId) {
        if self.refused.len() < REMEMBERED {
            self.refused.insert(name);
        }
    }

    fn insert(&mut self, origin: Origin, signed: SignedCommitment, is_ready: bool, now: Now) {
        self.arrivals = self.arrivals.saturating_add(1);
        let (arrival, since_ms) = (self.arrivals, now.monotonic_ms);
        self.waiting.insert(signed.id(), Waiting { origin, signed, arrival, since_ms, is_ready });
    }

    /// Some to tell a peer, others at each turn.
    pub(super) fn to_tell(&self, turn: usize) -> Vec<SignedCommitment> {
        let mut waiting: Vec<SignedCommitment> = self.ready().map(|waiting| waiting.signed).collect();
        let places = turn.checked_rem(waiting.len()).unwrap_or(0);
        waiting.rotate_left(places);
        waiting.truncate(TOLD);
        waiting
    }
}

impl Node {
    /// Commits to a block of this node's own.
    pub(super) fn commit_to_own_block(
        &mut self,
        block: Block,
        signed: SignedCommitment,
        report: &BatchReport,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(block) = self.own_block(block, effects) else { return };
        let judged = self.ledger.validate_commitment(&signed);
        if let Err(error @ CommitmentError::Fee { .. }) = judged {
            self.commitments.unpaid_at = Some(self.ledger.head().height);
            let detail = format!("an own block cannot be paid for: {error}; give this node's account more");
            effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            return;
        }
        self.note_announced(&block, report, true, effects);
        let sealed = Sealed { block, commitment: signed, is_revealed: false };
        self.commitments.own.push(sealed);
        self.foreseen = None;
        let origin = Origin { room: Room::Guaranteed, maker: self.own, sender: self.own };
        self.commitments.insert(origin, signed, judged.is_ok(), now);
        // On disk before anybody hears of it: after a restart it can still be revealed.
        effects.push(self.keep_own_blocks());
        effects.push(Effect::Broadcast(Message::Commitment(signed)));
        self.bring(now, effects);
    }

    fn keep_own_blocks(&self) -> Effect {
        Effect::Persist(Recovered::keep_sealed(&self.commitments.own_blocks()))
    }

    /// What an earlier run of this node has committed to.
    pub(super) fn restore_own_blocks(&mut self, blocks: Vec<Block>, now: Now, effects: &mut Vec<Effect>) {
        for block in blocks {
            let commitment = Commitment::to_block(&block).sign(&self.key);
            if let Ok(block) = WellFormedBlock::new(&self.network, block) {
                self.commitments.own.push(Sealed { block, commitment, is_revealed: false });
            }
        }
        self.note_cohorts(now);
        self.reveal_own_blocks(&BTreeSet::new(), now, effects);
    }

    /// A peer that has just come may have missed what was shown to all.
    pub(super) fn show_own_blocks(&self, peer: PublicKey, effects: &mut Vec<Effect>) {
        for sealed in self.commitments.own.iter().filter(|sealed| sealed.is_revealed) {
            if let Some(block) = self.blocks.get(&sealed.block.block().hash()) {
                effects.push(Effect::Send { peer, message: Message::Block(Box::new(block.clone())) });
            }
        }
    }

    fn note_cohorts(&mut self, now: Now) {
        let known = std::mem::take(&mut self.commitments.cohorts);
        let since_ms = |height: Height| known.get(&height).copied().unwrap_or(now.monotonic_ms);
        let waiting = self.ledger.cohorts().map(|(height, _)| (height, since_ms(height)));
        self.commitments.cohorts = waiting.collect();
    }

    /// Forgets commitments whose anchor does not come, and those that no room is made for.
    pub(super) fn expire_commitments(&mut self, now: Now) {
        if self.executing.is_under_way() {
            return; // what they wait for may be this
        }
        let patience_ms = self.timing.fetch_ms.saturating_mul(ANCHOR_PATIENCE);
        self.commitments.early.retain(|early| now.since_ms(early.since_ms) < patience_ms);
        let is_in_time = |waiting: &Waiting| now.since_ms(waiting.since_ms) < patience_ms;
        self.commitments.waiting.retain(|_, waiting| waiting.is_ready || is_in_time(waiting));
    }

    /// How many compositions this node's account has money to commit to in one block.
    pub(super) fn affordable(&self) -> usize {
        let parameters = self.network.parameters();
        if parameters.commit_reveal.is_none() {
            return usize::MAX;
        }
        if self.commitments.unpaid_at == Some(self.ledger.head().height) {
            return 0;
        }
        let (limits, spendable) = (&parameters.limits, self.ledger.spendable(self.own.address()));
        let each = (limits.batch_bytes / limits.compositions_per_batch.max(1)).max(1);
        let each = parameters.fee_per_byte.micros().saturating_mul(each.into());
        // One more, for the bytes of the commitment itself.
        let paid_for = spendable.micros().checked_div(each).unwrap_or(i64::MAX).saturating_sub(1);
        usize::try_from(paid_for).unwrap_or(0)
    }

    pub(super) fn on_commitment(
        &mut self,
        peer: PublicKey,
        signed: SignedCommitment,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let name = signed.id();
        if self.commitments.is_known(name) {
            return;
        }
        if let Err(error) = verify_commitment(&self.network, &signed) {
            let reason = format!("sent a commitment that is none: {error}");
            self.blame(peer, Blame::BROKEN, &reason, effects);
            return;
        }
        let maker = signed.commitment.miner;
        let origin = Origin { room: self.room_of_miner(maker), maker, sender: peer };
        let judged = self.ledger.validate_commitment(&signed);
        if let Err(CommitmentError::NoAnchor { .. }) = judged {
            // Its anchor may be a batch that has not come here; or it is an old one, which anybody can have kept.
            self.commitments.keep_early(peer, signed, now);
            return;
        }
        // Room is made by every batch.
        let may_wait = matches!(judged, Ok(()) | Err(CommitmentError::NoRoom { .. }));
        let others = self.commitments.waiting.values().map(|waiting| &waiting.origin);
        if !may_wait || origin.validate_place(others).is_err() {
            self.commitments.refuse(name);
            return;
        }
        self.commitments.insert(origin, signed, judged.is_ok(), now);
        for peer in self.relays(peer, name.0) {
            effects.push(Effect::Send { peer, message: Message::Commitment(signed) });
        }
        self.bring(now, effects);
    }

    /// The head is new: what a batch brought waits no longer, nor does what none can bring any more. What this node has
    /// committed to is revealed once that is on chain, and forgotten once it is known what became of it.
    pub(super) fn review_commitments(
        &mut self,
        batch: &Batch,
        report: &BatchReport,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.foreseen = None;
        self.commitments.refused.clear();
        for signed in &batch.contents.commitments {
            self.commitments.waiting.remove(&signed.id());
        }
        let ledger = &self.ledger;
        self.commitments.waiting.retain(|_, waiting| {
            let judged = ledger.validate_commitment(&waiting.signed);
            waiting.is_ready = judged.is_ok();
            matches!(judged, Ok(()) | Err(CommitmentError::NoRoom { .. }))
        });
        self.note_cohorts(now);
        let ended: BTreeSet<BlockHash> = report.blocks.iter().map(|outcome| outcome.block).collect();
        self.reveal_own_blocks(&ended, now, effects);
        for early in std::mem::take(&mut self.commitments.early) {
            let judged = self.ledger.validate_commitment(&early.signed);
            if matches!(judged, Err(CommitmentError::NoAnchor { .. })) {
                self.commitments.early.push(early); // it waits on, for no longer than it would have
            } else if self.peers.is_connected(&early.peer) {
                self.on_commitment(early.peer, early.signed, now, effects);
            }
        }
    }

    fn reveal_own_blocks(&mut self, ended: &BTreeSet<BlockHash>, now: Now, effects: &mut Vec<Effect>) {
        let cohorts = self.ledger.cohorts();
        let committed: BTreeSet<BlockHash> =
            cohorts.flat_map(|(_, cohort)| cohort.commitments().map(|commitment| commitment.block)).collect();
        let (ledger, before) = (&self.ledger, self.commitments.own.len());
        let mut again = Vec::new();
        self.commitments.own.retain(|sealed| {
            let name = sealed.block.block().hash();
            if ended.contains(&name) || committed.contains(&name) {
                return !ended.contains(&name);
            }
            // Others may hold its commitment, and bring it, as long as its anchor lasts.
            let judged = ledger.validate_commitment(&sealed.commitment);
            again.extend(judged.is_ok().then_some(sealed.commitment));
            matches!(judged, Ok(()) | Err(CommitmentError::NoRoom { .. } | CommitmentError::Fee { .. }))
        });
        for signed in again {
            if !self.commitments.waiting.contains_key(&signed.id()) {
                let origin = Origin { room: Room::Guaranteed, maker: self.own, sender: self.own };
                self.commitments.insert(origin, signed, true, now);
            }
        }
        if self.commitments.own.len() < before {
            effects.push(self.keep_own_blocks());
        }
        let mut revealed = Vec::new();
        for sealed in self.commitments.own.iter_mut().filter(|sealed| !sealed.is_revealed) {
            if committed.contains(&sealed.block.block().hash()) {
                sealed.is_revealed = true;
                revealed.push(sealed.block.clone());
            }
        }
        for block in revealed {
            self.send_own_block(block, now, effects);
        }
    }
}
