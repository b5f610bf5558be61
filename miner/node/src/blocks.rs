//! Blocks on their way: fetched, judged, decided, made final; and catching up with those who are ahead.

use std::sync::Arc;

use chain::consensus::{CommitCertificate, Input as Vote};
use chain::ledger::MarketError;
use chain::store::Write;
use chain::validate::draft::Admissible;
use chain::{Block, BlockHash, DemandId, FinalBlock, Height, Rejection, ValidBlock, WellFormed};
use scenarios::ProviderId;

use super::block_row::BlockRow;
use super::event::NodeEvent;
use super::io::Effect;
use super::message::{FinalBlockMessage, Message};
use super::mining::Drafted;
use super::{Blame, CatchUp, MarketCounts, Node, Now, PendingBlocks, PublicKey, Wanted, is_peers};

/// Candidates kept for one height, and of one miner; more are not fetched.
const CANDIDATES: usize = 64;
const CANDIDATES_OF_A_MINER: usize = 4;
/// Blocks being fetched.
const WANTED: usize = 64;
/// Peers asked for a block that nobody votes on, before it is given up.
const ASKS: u32 = 3;
/// Blocks kept until our clock has caught up with theirs.
const EARLY: usize = 8;

impl PendingBlocks {
    /// Whether a validator proposes this block, or it is decided: no limit on what miners send keeps it out.
    fn is_voted_on(&self, block: &BlockHash) -> bool {
        let is_decided = self.decided.as_ref().is_some_and(|certificate| certificate.block == *block);
        is_decided || self.held_proposals.iter().any(|(_, signed)| signed.proposal.block == *block)
    }
}

impl Node {
    // ---- own blocks ----

    pub(super) fn announce_own_block(&mut self, drafted: Drafted, now: Now, effects: &mut Vec<Effect>) {
        let Drafted { header, body, report } = drafted;
        let block = Block::sign(header, body, &self.key);
        let valid = match self.judge(block.clone(), now) {
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
        self.add_candidate(valid, [Effect::Broadcast(Message::Block(Box::new(block)))], now, effects);
    }

    // ---- fetching ----

    pub(super) fn on_block_announced(
        &mut self,
        peer: PublicKey,
        height: Height,
        block: BlockHash,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let next = self.ledger.head().height + 1;
        if height > next {
            self.peers.note_height(&peer, height - 1);
            self.catch_up(now, effects);
        } else if height == next && self.blocks.candidates.len() < CANDIDATES {
            self.want_block(block, peer, now, effects);
        }
    }

    pub(super) fn want_block(
        &mut self,
        block: BlockHash,
        from: PublicKey,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let desk = &mut self.blocks;
        let is_known = desk.candidates.contains_key(&block)
            || desk.judged.contains(&block)
            || desk.early.iter().any(|early| early.hash() == block);
        let is_full = desk.wanted.len() >= WANTED && !desk.is_voted_on(&block);
        if is_known || desk.wanted.contains_key(&block) || is_full {
            return;
        }
        desk.wanted.insert(block, Wanted { from, asked_ms: now.monotonic_ms, asks: 1 });
        effects.push(Effect::Send { peer: from, message: Message::RequestBlock(block) });
    }

    pub(super) fn on_block_requested(&self, peer: PublicKey, hash: BlockHash, effects: &mut Vec<Effect>) {
        if let Some(valid) = self.blocks.candidates.get(&hash) {
            let block = Box::new(valid.block().clone());
            effects.push(Effect::Send { peer, message: Message::Block(block) });
        }
    }

    /// Asks somebody else for what has not come in time.
    pub(super) fn retry_fetches(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let patience_ms = self.timing.fetch_ms;
        if self.catching_up.is_some_and(|request| now.since_ms(request.asked_ms) > patience_ms) {
            if let Some(request) = self.catching_up.take() {
                self.peers.forget_height(&request.from);
                let reason = "it promised final blocks again and again and did not deliver them";
                self.blame(request.from, Blame::NUISANCE, &reason, effects);
            }
            self.catch_up(now, effects);
        }
        let late =
            self.blocks.wanted.iter().filter(|(_, wanted)| now.since_ms(wanted.asked_ms) > patience_ms);
        let late: Vec<(BlockHash, Wanted)> = late.map(|(&block, &wanted)| (block, wanted)).collect();
        for (block, Wanted { from: asked, asks, .. }) in late {
            let others: Vec<PublicKey> = self.peers.keys().filter(|&peer| peer != asked).collect();
            let turn = usize::try_from(now.monotonic_ms / patience_ms.max(1)).unwrap_or(0);
            let next = turn.checked_rem(others.len()).and_then(|turn| others.get(turn));
            // A mere name may be invented, and would take the place of real ones for good.
            let is_given_up = asks >= ASKS && !self.blocks.is_voted_on(&block);
            let Some(&from) = next.filter(|_| !is_given_up) else {
                self.blocks.wanted.remove(&block); // whoever has it will announce it again
                continue;
            };
            self.blocks
                .wanted
                .insert(block, Wanted { from, asked_ms: now.monotonic_ms, asks: asks.saturating_add(1) });
            effects.push(Effect::Send { peer: from, message: Message::RequestBlock(block) });
        }
    }

    pub(super) fn forget_requests_to(&mut self, peer: PublicKey) {
        self.blocks.wanted.retain(|_, wanted| wanted.from != peer);
        self.catching_up = self.catching_up.filter(|request| request.from != peer);
    }

    // ---- judging ----

    pub(super) fn on_block(&mut self, peer: PublicKey, block: Block, now: Now, effects: &mut Vec<Effect>) {
        let hash = block.hash();
        self.blocks.wanted.remove(&hash);
        if self.blocks.candidates.contains_key(&hash) || self.blocks.judged.contains(&hash) {
            return;
        }
        let (height, next) = (block.header.height, self.ledger.head().height + 1);
        if height > next {
            self.peers.note_height(&peer, height - 1);
            self.catch_up(now, effects);
            return;
        }
        if height < next {
            self.refuse_late(&block, effects);
            return;
        }
        let miner = block.header.miner;
        let of_miner = self.blocks.candidates.values().filter(|other| other.block().header.miner == miner);
        let is_full = of_miner.count() >= CANDIDATES_OF_A_MINER || self.blocks.candidates.len() >= CANDIDATES;
        // A miner could show each node other blocks; what is proposed to all of them, all must judge.
        if is_full && !self.blocks.is_voted_on(&hash) {
            return;
        }
        match self.judge(block.clone(), now) {
            Ok(valid) => {
                let others: Vec<PublicKey> = self.peers.keys().filter(|&other| other != peer).collect();
                let message = Message::AnnounceBlock { height, block: hash };
                let relay = others.into_iter().map(|peer| Effect::Send { peer, message: message.clone() });
                self.add_candidate(valid, relay, now, effects);
            }
            Err(rejection) if matches!(rejection.fault(), chain::Fault::Transient) => {
                if self.blocks.early.len() < EARLY {
                    self.blocks.early.push(block);
                }
            }
            Err(rejection) => {
                self.blocks.judged.insert(hash);
                effects.push(Effect::Event(refusal(&block, &rejection)));
                self.release_proposals(hash, false, now, effects);
                if is_peers(rejection.fault()) {
                    self.blame(peer, Blame::INVALID, &rejection, effects);
                }
            }
        }
    }

    fn judge(&self, block: Block, now: Now) -> Result<ValidBlock, Rejection> {
        self.ledger.validate(WellFormed::new(&self.network, block)?, Some(now.wall_ms))
    }

    /// A valid block for the next height: kept, passed on by `relay`, then voted on.
    fn add_candidate(
        &mut self,
        valid: ValidBlock,
        relay: impl IntoIterator<Item = Effect>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let hash = valid.block().hash();
        effects.push(Effect::Persist(Write::Candidate(Box::new(valid.block().clone()))));
        effects.extend(relay);
        if let Some(certificate) = self.blocks.decided.take_if(|certificate| certificate.block == hash) {
            self.finalise(valid, certificate, now, effects);
            return;
        }
        self.blocks.candidates.insert(hash, valid);
        self.vote(Vote::Candidate(hash), now, effects);
        self.release_proposals(hash, true, now, effects);
    }

    /// A block for a height that is decided already: say what it breaks by now.
    fn refuse_late(&mut self, block: &Block, effects: &mut Vec<Effect>) {
        let hash = block.hash();
        if block.body.is_quiet() || hash == self.ledger.head().hash || !self.blocks.judged.insert(hash) {
            return;
        }
        effects.push(Effect::Event(self.explain_refusal(block)));
    }

    /// Why a block that lost its height does not simply go on the new head.
    fn explain_refusal(&self, block: &Block) -> NodeEvent {
        let proposals: Vec<(DemandId, Vec<ProviderId>)> =
            block.body.compositions.iter().map(|c| (c.demand, c.providers.clone())).collect();
        let Admissible { refused, .. } = self.ledger.admissible(&block.header.miner, &proposals);
        let stale = block.body.replacements().find_map(|part| {
            let demand = part.composition.demand;
            let Some(entry) = self.ledger.demand(demand) else {
                return Some(MarketError::UnknownDemand { demand }.into());
            };
            let (got, expected) = (part.replaces, entry.version());
            (got != expected).then(|| MarketError::StaleAmendment { demand, got, expected }.into())
        });
        if let Some(rejection) = refused.first().map(|(_, rejection)| rejection).or(stale.as_ref()) {
            return refusal(block, rejection);
        }
        let reason = format!(
            "another block was voted onto height {}; nothing in this one conflicts with it, so its miner can send it \
             again on the new head",
            block.header.height
        );
        refusal_by_rule(block, "superseded", reason)
    }

    /// Judges again what was ahead of our clock.
    pub(super) fn retry_early_blocks(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let own = self.own;
        for block in std::mem::take(&mut self.blocks.early) {
            self.on_block(own, block, now, effects);
        }
    }

    // ---- finality ----

    pub(super) fn on_decided(&mut self, certificate: CommitCertificate, now: Now, effects: &mut Vec<Effect>) {
        if let Some(valid) = self.blocks.candidates.remove(&certificate.block) {
            self.finalise(valid, certificate, now, effects);
            return;
        }
        let block = certificate.block;
        self.blocks.decided = Some(certificate);
        if let Some(peer) = self.peers.next_in_rotation() {
            self.want_block(block, peer, now, effects);
        }
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
    fn make_final(&mut self, done: FinalBlock, now: Now, effects: &mut Vec<Effect>) {
        let write = Write::from(&done);
        let (block, certificate, ledger, report) = done.into_parts();
        self.ledger = ledger;
        self.market = MarketCounts::of(&self.ledger);
        self.renew_standings();
        let event = NodeEvent::BlockFinal {
            block: BlockRow::new(&block, &report),
            votes: certificate.signatures.len(),
            round: certificate.round,
            state_root: block.header.state_root,
            open_demands: self.market.open,
        };
        let (block, departed) = (Arc::new(block), report.departed.clone());
        effects.push(Effect::Persist(write));
        effects.push(Effect::Final { block: Arc::clone(&block), report: Box::new(report) });
        effects.push(Effect::Event(event));
        self.state_root = block.header.state_root;
        let mut losers = std::mem::take(&mut self.blocks);
        self.blocks = PendingBlocks { early: losers.early, ..PendingBlocks::default() };
        losers.candidates.remove(&block.hash()); // still there if it came as a final block of a peer
        for (_, loser) in losers.candidates {
            if !loser.block().body.is_quiet() {
                effects.push(Effect::Event(self.explain_refusal(loser.block())));
            }
        }
        self.prune_pool(&departed, effects);
        self.begin_height(now, effects);
        self.with_mining(now, effects, |mining, view, actions| {
            mining.on_final(&block, view, actions);
        });
    }

    // ---- catching up ----

    /// Asks the peer that is furthest ahead for the blocks we lack, one request at a time.
    pub(super) fn catch_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.catching_up.is_some() {
            return;
        }
        let height = self.ledger.head().height;
        if let Some(peer) = self.peers.ahead_of(height) {
            self.catching_up = Some(CatchUp { from: peer, asked_ms: now.monotonic_ms });
            effects.push(Effect::Send { peer, message: Message::RequestFinal { from: height + 1 } });
        }
    }

    pub(super) fn on_final_blocks(
        &mut self,
        peer: PublicKey,
        blocks: Vec<FinalBlockMessage>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.catching_up = self.catching_up.filter(|request| request.from != peer);
        if blocks.is_empty() {
            self.peers.forget_height(&peer);
        }
        for FinalBlockMessage { block, certificate } in blocks {
            let next = self.ledger.head().height + 1;
            if block.header.height != next {
                continue; // known already, or of no use yet
            }
            match self.ledger.validate_final(block, certificate) {
                Ok(done) => self.make_final(done, now, effects),
                Err(reason) => {
                    self.peers.forget_height(&peer);
                    self.blame(peer, Blame::BROKEN, &reason, effects);
                    break;
                }
            }
        }
        self.catch_up(now, effects);
    }
}

fn refusal(block: &Block, rejection: &Rejection) -> NodeEvent {
    refusal_by_rule(block, rejection.rule(), rejection.to_string())
}

fn refusal_by_rule(block: &Block, rule: &str, reason: String) -> NodeEvent {
    NodeEvent::BlockRefused {
        block: block.hash(),
        height: block.header.height,
        miner: block.header.miner,
        demands: block.body.compositions.len(),
        amended: block.body.replacements().count(),
        rule: rule.to_owned(),
        reason,
    }
}
