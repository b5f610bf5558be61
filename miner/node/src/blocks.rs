//! Blocks on their way: judged, decided, made final. How they are fetched is in `fetching`.

use std::collections::BTreeSet;
use std::sync::Arc;

use chain::consensus::{CommitCertificate, Input as Vote};
use chain::ledger::MarketError;
use chain::store::Write;
use chain::validate::draft::Admissible;
use chain::{Authentic, Block, BlockHash, DemandId, FinalBlock, Height, Rejection, ValidBlock};
use scenarios::ProviderId;

use super::block_row::BlockRow;
use super::event::NodeEvent;
use super::io::Effect;
use super::message::Message;
use super::mining::Drafted;
use super::{Blame, MarketCounts, Node, Now, PendingBlocks, PublicKey, is_peers};

/// Candidates kept for one height, and of one miner; more are not fetched.
const CANDIDATES: usize = 64;
const CANDIDATES_OF_A_MINER: usize = 4;
/// Blocks kept until our clock has caught up with theirs.
const EARLY: usize = 8;

impl PendingBlocks {
    /// Whether a validator proposes this block, or it is decided: no limit on what miners send keeps it out.
    pub(super) fn is_voted_on(&self, block: &BlockHash) -> bool {
        let is_decided = self.decided.as_ref().is_some_and(|certificate| certificate.block == *block);
        is_decided || self.held_proposals.names(block)
    }

    /// All blocks of which that is true.
    pub(super) fn voted_on(&self) -> BTreeSet<BlockHash> {
        let decided = self.decided.iter().map(|certificate| certificate.block);
        decided.chain(self.held_proposals.blocks()).collect()
    }

    /// Whether nothing is gained by having this block sent.
    pub(super) fn is_known(&self, block: &BlockHash) -> bool {
        self.candidates.contains_key(block)
            || self.judged.contains(block)
            || self.early.iter().any(|early| early.hash() == *block)
    }
}

impl Node {
    // ---- own blocks ----

    pub(super) fn announce_own_block(&mut self, drafted: Drafted, now: Now, effects: &mut Vec<Effect>) {
        let Drafted { header, body, report } = drafted;
        let block = Block::sign(header, body, &self.key);
        let judged = Authentic::new(block.clone()).and_then(|block| self.judge(block, now));
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
        self.add_candidate(valid, [Effect::Broadcast(Message::Block(Box::new(block)))], now, effects);
    }

    // ---- judging ----

    pub(super) fn on_block(&mut self, peer: PublicKey, block: Block, now: Now, effects: &mut Vec<Effect>) {
        let hash = block.hash();
        if self.blocks.candidates.contains_key(&hash) || self.blocks.judged.contains(&hash) {
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
        self.blocks.fetching.delivered(&hash, peer);
        let block = authentic.block();
        if height < next {
            self.refuse_late(block, effects);
            return;
        }
        let miner = block.header.miner;
        let of_miner = self.blocks.candidates.values().filter(|other| other.block().header.miner == miner);
        let is_full = of_miner.count() >= CANDIDATES_OF_A_MINER || self.blocks.candidates.len() >= CANDIDATES;
        // A miner could show each node other blocks; what is proposed to all of them, all must judge.
        if is_full && !self.blocks.is_voted_on(&hash) {
            return;
        }
        match self.judge(authentic.clone(), now) {
            Ok(valid) => {
                let others: Vec<PublicKey> = self.peers.keys().filter(|&other| other != peer).collect();
                let message = Message::AnnounceBlock { height, block: hash };
                let relay = others.into_iter().map(|peer| Effect::Send { peer, message: message.clone() });
                self.add_candidate(valid, relay, now, effects);
            }
            Err(rejection) if matches!(rejection.fault(), chain::Fault::Transient) => {
                if self.blocks.early.len() < EARLY {
                    self.blocks.early.push(authentic.into_block());
                }
            }
            Err(rejection) => {
                self.blocks.judged.insert(hash);
                effects.push(Effect::Event(refusal(block, &rejection)));
                self.release_proposals(hash, false, now, effects);
                if is_peers(rejection.fault()) {
                    self.blame(peer, Blame::INVALID, &rejection, effects);
                }
            }
        }
    }

    fn judge(&self, block: Authentic, now: Now) -> Result<ValidBlock, Rejection> {
        self.ledger.validate(block.well_formed(&self.network)?, Some(now.wall_ms))
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
        let voters: Vec<u16> = certificate.signatures.iter().map(|&(validator, _)| validator).collect();
        self.blocks.decided = Some(certificate);
        self.want_from_validators(block, voters, now, effects);
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
        losers.fetching.begin_height();
        self.blocks =
            PendingBlocks { early: losers.early, fetching: losers.fetching, ..PendingBlocks::default() };
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
