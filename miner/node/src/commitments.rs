//! Commitments that wait for a batch, and this node's own blocks from their commitment to what becomes of them. Nobody can
//! judge what a commitment is to, but whether its miner may make it and can pay for it.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::CommitmentError;
use chain::validate::verify_commitment;
use chain::{
    Batch, BatchReport, Block, BlockHash, CommitmentId, Ledger, PublicKey, SignedCommitment, WellFormedBlock,
};

use super::blocks::WaitingBlocks;
use super::event::NodeEvent;
use super::io::Effect;
use super::message::Message;
use super::places::{Origin, Room};
use super::{Blame, Node, Now};

/// Own blocks that are on their way at one time: what a miner composes on is known as far as they go.
const OWN: usize = 8;
/// Names remembered as refused or as having found no place, so that they are not checked again and again.
const REMEMBERED: usize = 1_024;
/// How many times the patience for a fetch a commitment waits for the batch that it is anchored on.
const ANCHOR_PATIENCE: u64 = 5;
/// Bytes of a block and its commitment, to see whether it is worth while to compose one.
const USUAL_BYTES: i64 = 4_096;
/// Commitments told to a peer in turn.
const TOLD: usize = 8;

/// Commitments that wait for a batch, in order of name, and own blocks that are committed to, in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Commitments {
    waiting: BTreeMap<CommitmentId, Waiting>,
    arrivals: u64,
    refused: BTreeSet<CommitmentId>,
    own: Vec<Sealed>,
}

/// A commitment that waits.
#[derive(Debug)]
struct Waiting {
    origin: Origin,
    signed: SignedCommitment,
    /// The commitments that came before it.
    arrival: u64,
    since_ms: u64,
}

/// An own block that is committed to.
#[derive(Debug)]
struct Sealed {
    block: WellFormedBlock,
    commitment: CommitmentId,
    is_revealed: bool,
}

impl Commitments {
    /// Whether none waits for a batch, and no own block for what becomes of it.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.own.is_empty()
    }

    /// When the first of those came that wait for a batch, by the monotonic clock.
    pub(super) fn first_since_ms(&self) -> Option<u64> {
        self.waiting.values().map(|waiting| waiting.since_ms).min()
    }

    /// Whether another miner has committed to a block that no batch has brought, and nobody revealed here.
    pub(super) fn is_any_hidden(&self, ledger: &Ledger, own: PublicKey, blocks: &WaitingBlocks) -> bool {
        let waiting = self.waiting.values().map(|waiting| &waiting.signed.commitment);
        let mut all = ledger.cohorts().flat_map(|(_, cohort)| cohort.unrevealed()).chain(waiting);
        all.any(|commitment| commitment.miner != own && blocks.get(&commitment.block).is_none())
    }

    /// Those that a batch may bring: those of who has more standing first, then as they came.
    pub(super) fn in_order(&self) -> Vec<SignedCommitment> {
        let mut waiting: Vec<&Waiting> = self.waiting.values().collect();
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
        let waits = |sealed: &Sealed| self.waiting.contains_key(&sealed.commitment);
        self.own.len() < OWN && !self.own.iter().any(waits)
    }

    fn is_known(&self, name: CommitmentId) -> bool {
        self.waiting.contains_key(&name) || self.refused.contains(&name)
    }

    fn refuse(&mut self, name: CommitmentId) {
        if self.refused.len() < REMEMBERED {
            self.refused.insert(name);
        }
    }

    fn insert(&mut self, origin: Origin, signed: SignedCommitment, now: Now) {
        self.arrivals = self.arrivals.saturating_add(1);
        let (arrival, since_ms) = (self.arrivals, now.monotonic_ms);
        self.waiting.insert(signed.id(), Waiting { origin, signed, arrival, since_ms });
    }

    /// Some to tell a peer, others at each turn.
    pub(super) fn to_tell(&self, turn: usize) -> Vec<SignedCommitment> {
        let mut waiting: Vec<SignedCommitment> =
            self.waiting.values().map(|waiting| waiting.signed).collect();
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
        let well_formed = match WellFormedBlock::new(&self.network, block.clone()) {
            Ok(well_formed) => well_formed,
            Err(rejection) => {
                let detail = format!("an own block breaks a rule: {rejection}; it was not committed to");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                return;
            }
        };
        if let Err(error @ CommitmentError::Fee { .. }) = self.ledger.validate_commitment(&signed) {
            let detail = format!("an own block cannot be paid for: {error}; give this node's account more");
            effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            return;
        }
        if let Some(mining) = &mut self.mining {
            mining.on_announced(&block, true);
        }
        let outcomes = report.blocks.iter().cloned();
        effects.extend(outcomes.map(|outcome| Effect::Event(NodeEvent::BlockAnnounced(outcome))));
        let sealed = Sealed { block: well_formed, commitment: signed.id(), is_revealed: false };
        self.commitments.own.push(sealed);
        self.foreseen = None;
        let origin = Origin { room: Room::Guaranteed, maker: self.own, sender: self.own };
        self.commitments.insert(origin, signed, now);
        effects.push(Effect::Broadcast(Message::Commitment(signed)));
        self.bring(now, effects);
    }

    /// Whether this node's account has money to commit to a block of usual size.
    pub(super) fn can_pay(&self) -> bool {
        let Some(rules) = self.network.parameters().commit_reveal else { return true };
        let fee = rules.fee_per_byte.checked_mul(USUAL_BYTES);
        fee.is_some_and(|fee| self.ledger.spendable(self.own.address()) >= fee)
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
        let may_wait = match self.ledger.validate_commitment(&signed) {
            // Its anchor may be a batch that has not come here, and room is made by every batch.
            Ok(()) | Err(CommitmentError::NoAnchor { .. } | CommitmentError::NoRoom { .. }) => true,
            Err(_) => false,
        };
        let others = self.commitments.waiting.values().map(|waiting| &waiting.origin);
        if !may_wait || origin.validate_place(others).is_err() {
            self.commitments.refuse(name);
            return;
        }
        self.commitments.insert(origin, signed, now);
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
        let (ledger, patience_ms) = (&self.ledger, self.timing.fetch_ms.saturating_mul(ANCHOR_PATIENCE));
        self.commitments.waiting.retain(|_, waiting| match ledger.validate_commitment(&waiting.signed) {
            Ok(()) | Err(CommitmentError::NoRoom { .. }) => true,
            Err(CommitmentError::NoAnchor { .. }) => now.since_ms(waiting.since_ms) < patience_ms,
            Err(_) => false,
        });
        let committed: BTreeSet<BlockHash> = self
            .ledger
            .cohorts()
            .flat_map(|(_, cohort)| cohort.commitments().map(|commitment| commitment.block))
            .collect();
        let waiting = &self.commitments.waiting;
        let ended: BTreeSet<BlockHash> = report.blocks.iter().map(|outcome| outcome.block).collect();
        self.commitments.own.retain(|sealed| {
            let name = sealed.block.block().hash();
            let is_on_its_way = committed.contains(&name) || waiting.contains_key(&sealed.commitment);
            is_on_its_way && !ended.contains(&name)
        });
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
