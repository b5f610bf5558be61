//! Blocks on their way to becoming final: judged, kept, voted on, decided. How they are fetched is in `fetching`, whose
//! places they take in `candidates`, what is told of those that lose in `refusals`, and how final ones come from peers
//! that are ahead in `catching_up`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chain::consensus::{CommitCertificate, Input as Vote};
use chain::store::Write;
use chain::{Authentic, Block, BlockHash, FinalBlock, Height, Rejection, ValidBlock};

use super::block_row::BlockRow;
use super::candidates::{Candidates, EarlyBlock, Origin, Room};
use super::clock::ClockDoubts;
use super::event::NodeEvent;
use super::fetching::Fetching;
use super::held_proposals::HeldProposals;
use super::io::Effect;
use super::message::Message;
use super::mining::{Drafted, changes_market};
use super::refusals::{LateBlocks, explain, explain_losers, refusal};
use super::standing::Standing;
use super::{Blame, MarketCounts, Node, Now, PublicKey, is_peers};

/// Names remembered as refused. What is refused beyond that is judged again when it is sent again, which costs its
/// sender every time.
const REFUSED: usize = 1_024;

/// Blocks on their way to becoming final.
#[derive(Debug, Default)]
pub(super) struct PendingBlocks {
    pub(super) candidates: Candidates,
    pub(super) fetching: Fetching,
    /// Authentic, and refused: not to be fetched or judged again.
    refused: BTreeSet<BlockHash>,
    /// Proposals whose block is not here or not judged yet.
    pub(super) held_proposals: HeldProposals,
    /// A decision whose block is not here yet.
    decided: Option<CommitCertificate>,
    /// Blocks that peers were sent lately, and when, by the monotonic clock.
    pub(super) served_ms: BTreeMap<(PublicKey, BlockHash), u64>,
    late: LateBlocks,
    pub(super) clock: ClockDoubts,
}

impl PendingBlocks {
    /// Whether a validator proposes this block, or it is decided: no limit on what miners send keeps it out.
    pub(super) fn is_voted_on(&self, block: &BlockHash) -> bool {
        self.is_decided(block) || self.held_proposals.names(block)
    }

    /// All blocks of which that is true.
    pub(super) fn voted_on(&self) -> BTreeSet<BlockHash> {
        let decided = self.decided.iter().map(|certificate| certificate.block);
        decided.chain(self.held_proposals.blocks()).collect()
    }

    fn is_decided(&self, block: &BlockHash) -> bool {
        self.decided.as_ref().is_some_and(|certificate| certificate.block == *block)
    }

    /// Whether it is an authentic block that breaks a rule.
    pub(super) fn is_refused(&self, block: &BlockHash) -> bool {
        self.refused.contains(block)
    }

    /// Whether nothing is gained by having this block sent.
    pub(super) fn is_known(&self, block: &BlockHash) -> bool {
        self.candidates.holds(block) || self.is_refused(block)
    }

    /// The height is decided. What is left of its blocks is given back; what is known about peers and clocks stays.
    fn begin_height(&mut self) -> Candidates {
        let mut last = std::mem::take(self);
        last.fetching.begin_height();
        self.fetching = last.fetching;
        self.clock = last.clock;
        last.candidates
    }
}

impl Node {
    // ---- own blocks ----

    pub(super) fn announce_own_block(&mut self, drafted: Drafted, now: Now, effects: &mut Vec<Effect>) {
        let Drafted { header, body, report } = drafted;
        let block = Block::sign(header, body, &self.key);
        // Whatever our clock says: it may have been set back since the head was dated, which it must follow.
        let judged = Authentic::new(block.clone()).and_then(|block| self.judge(block, None));
        let valid = match judged {
            Ok(valid) => valid,
            Err(rejection) => {
                let detail = format!("an own block breaks a rule: {rejection}; it was not sent");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                return;
            }
        };
        if let Some(mining) = &mut self.mining {
            mining.on_announced(&block);
        }
        effects.push(Effect::Event(NodeEvent::BlockAnnounced(BlockRow::new(&block, &report))));
        effects.push(Effect::Broadcast(Message::Block(Box::new(block))));
        let origin = Origin { room: Room::Guaranteed, miner: self.own, sender: self.own };
        self.add_candidate(origin, valid, now, effects);
    }

    /// A block that this node voted for in an earlier run. It was on time then, whatever our clock says by now.
    pub(super) fn restore_candidate(&mut self, block: Block, now: Now, effects: &mut Vec<Effect>) {
        let miner = block.header.miner;
        let judged = Authentic::new(block).and_then(|block| self.judge(block, None));
        if let Ok(valid) = judged {
            let hash = valid.block().hash();
            let origin = Origin { room: Room::Guaranteed, miner, sender: self.own };
            self.blocks.candidates.restore(origin, valid);
            self.vote(Vote::Candidate(hash), now, effects);
        }
    }

    // ---- others' blocks ----

    pub(super) fn on_block(&mut self, peer: PublicKey, block: Block, now: Now, effects: &mut Vec<Effect>) {
        let hash = block.hash();
        if self.blocks.is_known(&hash) {
            // Not checked again, so it must be the very block for its sender to get any credit.
            if self.blocks.candidates.get(&hash).is_some_and(|valid| *valid.block() == block) {
                self.blocks.fetching.keeps_its_word(peer);
            }
            return;
        }
        let (height, next) = (block.header.height, self.ledger.head().height + 1);
        if height > next {
            self.note_claim(peer, height - 1, now, effects);
            return;
        }
        let is_turned_away =
            || self.blocks.candidates.is_turned_away(hash, peer) && !self.blocks.is_voted_on(&hash);
        if is_turned_away() || (height < next && !self.is_worth_explaining(&block)) {
            return;
        }
        // A name covers the header alone: whoever sends another body under it must neither satisfy who asked for the
        // block nor have anything said about it.
        let authentic = match Authentic::new(block) {
            Ok(authentic) => authentic,
            Err(rejection) => {
                let reason = format!("sent what is not the block that its header names: {rejection}");
                self.blame(peer, Blame::BROKEN, &reason, effects);
                return;
            }
        };
        if height < next {
            self.blocks.late.note(hash);
            effects.push(Effect::Event(explain(&self.ledger, authentic.block())));
            return;
        }
        self.blocks.fetching.delivered(&hash, peer);
        let miner = authentic.block().header.miner;
        let origin = Origin { room: self.room_of(&hash, miner), miner, sender: peer };
        match self.blocks.candidates.validate_place(&origin) {
            Ok(()) => self.judge_for_place(origin, authentic, now, effects),
            Err(full) => self.blocks.candidates.turn_away(hash, peer, full),
        }
    }

    /// Whose places a block of this miner takes. A miner could show each node other blocks, more than any node keeps of
    /// it; what is voted on, all must judge.
    fn room_of(&self, block: &BlockHash, miner: PublicKey) -> Room {
        if self.blocks.is_voted_on(block) {
            Room::Guaranteed
        } else {
            match self.standing_of(&miner) {
                Standing::Validator => Room::Validator { validators: self.validators.len() },
                Standing::Established => Room::Known,
                Standing::Stranger => Room::Stranger,
            }
        }
    }

    /// A block for which there is a place.
    fn judge_for_place(&mut self, origin: Origin, block: Authentic, now: Now, effects: &mut Vec<Effect>) {
        let hash = block.block().hash();
        // What two thirds have decided on was on time.
        let wall_ms = (!self.blocks.is_decided(&hash)).then_some(now.wall_ms);
        match self.judge(block.clone(), wall_ms) {
            Ok(valid) => {
                self.relay(origin.sender, &valid, effects);
                self.add_candidate(origin, valid, now, effects);
            }
            Err(Rejection::TimestampAhead { got, expected }) => {
                let ready_ms = now.wall_ms.saturating_add(got.saturating_sub(expected));
                self.blocks.candidates.keep_early(EarlyBlock { origin, block, ready_ms });
                self.doubt_clock(&hash, got, now, effects);
            }
            Err(rejection) => self.refuse(origin.sender, block.block(), &rejection, now, effects),
        }
    }

    /// An authentic block breaks a rule: so does every block of its name.
    fn refuse(
        &mut self,
        sender: PublicKey,
        block: &Block,
        rejection: &Rejection,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let hash = block.hash();
        if self.blocks.refused.len() < REFUSED || self.blocks.is_voted_on(&hash) {
            self.blocks.refused.insert(hash);
        }
        effects.push(Effect::Event(refusal(block, rejection)));
        if self.blocks.is_decided(&hash) {
            self.tell_undecidable(&hash, effects);
        }
        self.release_proposals(hash, false, now, effects);
        if is_peers(rejection.fault()) {
            self.blame(sender, Blame::INVALID, rejection, effects);
        }
    }

    fn judge(&self, block: Authentic, local_time_ms: Option<u64>) -> Result<ValidBlock, Rejection> {
        self.ledger.validate(block.well_formed(&self.network)?, local_time_ms)
    }

    /// Tells everybody else of a block that somebody sent.
    fn relay(&self, sender: PublicKey, valid: &ValidBlock, effects: &mut Vec<Effect>) {
        let (height, block) = (valid.block().header.height, valid.block().hash());
        let others = self.peers.keys().filter(|&other| other != sender);
        let message = Message::AnnounceBlock { height, block };
        effects.extend(others.map(|peer| Effect::Send { peer, message: message.clone() }));
    }

    /// A valid block for the next height: kept, and voted on. It is made durable when this node votes for it.
    fn add_candidate(&mut self, origin: Origin, valid: ValidBlock, now: Now, effects: &mut Vec<Effect>) {
        let hash = valid.block().hash();
        if let Some(certificate) = self.blocks.decided.take_if(|certificate| certificate.block == hash) {
            self.finalise(valid, certificate, now, effects);
            return;
        }
        // A stranger's block that brings nothing only spoils the work of others, height after height: this node does not
        // propose it. Who has something to lose sends such where time has to pass.
        let is_of_use = origin.room != Room::Stranger || changes_market(&valid.block().body);
        self.blocks.candidates.insert(origin, valid);
        if is_of_use {
            self.vote(Vote::Candidate(hash), now, effects);
        }
        self.release_proposals(hash, true, now, effects);
    }

    /// Whether people may want to know why a block that came after its height was decided lost: it lost the last height,
    /// its miner is none of the many that anybody can invent, and not many were explained.
    fn is_worth_explaining(&self, block: &Block) -> bool {
        let (hash, head) = (block.hash(), self.ledger.head());
        block.header.height == head.height
            && hash != head.hash
            && !block.body.is_quiet()
            && self.blocks.late.has_room_for(&hash)
            && self.room_of(&hash, block.header.miner) != Room::Stranger
    }

    // ---- blocks ahead of our clock ----

    /// Judges again what is ahead of our clock no longer.
    pub(super) fn retry_early_blocks(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for EarlyBlock { origin, block, .. } in self.blocks.candidates.take_ready(now.wall_ms) {
            // One of those before it may have decided the height.
            if block.block().header.height == self.ledger.head().height + 1 {
                self.judge_for_place(origin, block, now, effects);
            }
        }
    }

    /// Validators propose a block that is ahead of our clock: if there are too many of them, it is our clock.
    pub(super) fn doubt_clock(
        &mut self,
        block: &BlockHash,
        dated_ms: u64,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let proposals: Vec<_> =
            self.blocks.held_proposals.of(block).map(|held| held.signed.proposal).collect();
        for proposal in proposals {
            let proposer = self.validators.proposer(proposal.height, proposal.round);
            if let Some(validators) = self.blocks.clock.note_early(proposer, &self.validators, now) {
                let by_ms = dated_ms.saturating_sub(now.wall_ms);
                effects.push(Effect::Event(NodeEvent::ClockBehind { validators, by_ms }));
            }
        }
    }

    // ---- finality ----

    pub(super) fn on_decided(&mut self, certificate: CommitCertificate, now: Now, effects: &mut Vec<Effect>) {
        let block = certificate.block;
        if let Some(valid) = self.blocks.candidates.remove(&block) {
            self.finalise(valid, certificate, now, effects);
            return;
        }
        let voters: Vec<u16> = certificate.signatures.iter().map(|&(validator, _)| validator).collect();
        self.blocks.decided = Some(certificate);
        if self.blocks.is_refused(&block) {
            self.tell_undecidable(&block, effects);
        } else if let Some(EarlyBlock { origin, block, .. }) = self.blocks.candidates.take_early(&block) {
            self.judge_for_place(origin, block, now, effects);
        } else {
            self.want_from_validators(block, voters, now, effects);
        }
    }

    fn tell_undecidable(&self, block: &BlockHash, effects: &mut Vec<Effect>) {
        let detail = format!(
            "two thirds of the validators decided on block {block}, which breaks a rule here: this node runs other \
             software than they do or has a damaged store; it stays at height {}",
            self.ledger.head().height
        );
        effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
    }

    /// The vote's own decision about a valid block cannot be wrong.
    fn finalise(
        &mut self,
        valid: ValidBlock,
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
    pub(super) fn make_final(&mut self, done: FinalBlock, now: Now, effects: &mut Vec<Effect>) {
        let write = Write::from(&done);
        let (block, certificate, ledger, report) = done.into_parts();
        self.ledger = ledger;
        self.market = MarketCounts::of(&self.ledger);
        self.renew_standings();
        let event = NodeEvent::BlockFinal {
            block: BlockRow::new(&block, &report),
            votes: certificate.votes(&self.validators),
            round: certificate.round,
            state_root: block.header.state_root,
            open_demands: self.market.open,
        };
        let (block, departed) = (Arc::new(block), report.departed.clone());
        effects.push(Effect::Persist(write));
        effects.push(Effect::Final { block: Arc::clone(&block), report: Box::new(report) });
        effects.push(Effect::Event(event));
        self.state_root = block.header.state_root;
        let mut losers = self.blocks.begin_height();
        losers.remove(&block.hash()); // still there if it came as a final block of a peer
        effects.extend(explain_losers(&self.ledger, losers.into_losers()).into_iter().map(Effect::Event));
        self.prune_pool(&departed, effects);
        self.look_for_own_signature(&certificate, effects);
        self.begin_height(now, effects);
        self.with_mining(now, effects, |mining, view, actions| {
            mining.on_final(&block, view, actions);
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
