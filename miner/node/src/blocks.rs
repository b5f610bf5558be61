//! Blocks that wait for a batch, and how they come here. A block is judged when it comes and after each batch that did not
//! bring it, as if it were alone in the next one: all who hold it agree on whether it is worth a batch, for whoever is alone
//! awake for one waits in vain.

use std::collections::{BTreeMap, BTreeSet};

use chain::ledger::RevealError;
use chain::validate::BlockError;
use chain::{
    Batch, BatchReport, Block, BlockHash, DemandId, Domain, Hash, PublicKey, Rejection, WellFormedBlock,
};

use super::event::NodeEvent;
use super::fetching::{Fetching, Overdue, Served, Surroundings};
use super::io::Effect;
use super::message::Message;
use super::places::{Full, Origin, Room};
use super::refusals::Refusals;
use super::standing::Standing;
use super::{Blame, Node, Now, is_peers};

/// Names remembered as having found no place or as refused, so that they are not fetched again and again.
const REMEMBERED: usize = 1_024;
/// How many peers something is passed on to.
const RELAYS: usize = 4;
/// How many times the patience for a fetch a block waits for the batch that it is anchored on.
const ANCHOR_PATIENCE: u64 = 5;

/// Blocks that wait for a batch, in order of name.
#[derive(Debug, Default)]
pub(super) struct WaitingBlocks {
    waiting: BTreeMap<BlockHash, Waiting>,
    arrivals: u64,
    /// Refused at this head: not to be fetched or judged again.
    refused: BTreeSet<BlockHash>,
    /// Well-formed blocks without a place: whoever sends them (`None`), or if this peer does.
    turned_away: BTreeSet<(BlockHash, Option<PublicKey>)>,
    pub(super) fetching: Fetching<BlockHash>,
    pub(super) served: Served<BlockHash>,
}

/// A block that waits.
#[derive(Debug)]
struct Waiting {
    origin: Origin,
    block: WellFormedBlock,
    /// The blocks that came before it.
    arrival: u64,
    since_ms: u64,
    state: State,
}

/// What is known of a waiting block.
#[derive(Debug)]
enum State {
    /// Its anchor, or its commitment, has not come: it cannot be judged.
    Unanchored,
    /// It had an effect as the only one of a batch.
    OfUse,
    /// With others that wait it has none on the present head.
    Useless(Rejection),
}

impl WaitingBlocks {
    /// Whether none waits, whatever for.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A block that waits.
    pub(super) fn get(&self, block: &BlockHash) -> Option<&Block> {
        self.waiting.get(block).map(|waiting| waiting.block.block())
    }

    /// Whether nothing is gained by having this peer send this block.
    fn is_known(&self, block: BlockHash, peer: PublicKey) -> bool {
        let is_turned_away = [None, Some(peer)].iter().any(|&from| self.turned_away.contains(&(block, from)));
        is_turned_away || self.waiting.contains_key(&block) || self.refused.contains(&block)
    }

    fn validate_place(&self, origin: &Origin) -> Result<(), Full> {
        origin.validate_place(self.waiting.values().map(|waiting| &waiting.origin))
    }

    fn turn_away(&mut self, block: BlockHash, sender: PublicKey, full: Full) {
        if self.turned_away.len() < REMEMBERED {
            self.turned_away.insert((block, (full == Full::ForSender).then_some(sender)));
        }
    }

    fn refuse(&mut self, block: BlockHash) {
        if self.refused.len() < REMEMBERED {
            self.refused.insert(block);
        }
    }

    fn insert(&mut self, origin: Origin, block: WellFormedBlock, state: State, now: Now) {
        self.arrivals = self.arrivals.saturating_add(1);
        let (name, arrival, since_ms) = (block.block().hash(), self.arrivals, now.monotonic_ms);
        self.waiting.insert(name, Waiting { origin, block, arrival, since_ms, state });
    }

    fn of_use(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values().filter(|waiting| matches!(waiting.state, State::OfUse))
    }

    /// Those that a batch on this head may bring.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Block> {
        self.of_use().map(|waiting| waiting.block.block())
    }

    /// Those that a batch on this head may bring: those of who has more standing first, then as they came.
    pub(super) fn in_order(&self) -> Vec<Block> {
        let mut ready: Vec<&Waiting> = self.of_use().collect();
        ready.sort_by_key(|waiting| (waiting.origin.room, waiting.arrival));
        ready.into_iter().map(|waiting| waiting.block.block().clone()).collect()
    }

    /// Of these nothing takes effect beside the others that wait.
    pub(super) fn note_useless(&mut self, refused: Vec<(BlockHash, Rejection)>) {
        for (block, why) in refused {
            if let Some(waiting) = self.waiting.get_mut(&block) {
                waiting.state = State::Useless(why);
            }
        }
    }

    /// What blocks of others than this miner would compose.
    pub(super) fn composed_by_others(&self, own: PublicKey) -> BTreeSet<DemandId> {
        let others = self.ready().filter(|block| block.miner() != own);
        others.flat_map(|block| block.body.composed().map(|composition| composition.demand)).collect()
    }

    /// Names to tell a peer, `count` at most and others at each turn: a quarter of them strangers', if there are as
    /// many. By name alone, strangers would choose names that come first.
    pub(super) fn to_announce(&self, turn: usize, count: usize) -> Vec<BlockHash> {
        let (mut established, mut strangers) = (Vec::new(), Vec::new());
        for waiting in self.of_use() {
            let is_stranger = waiting.origin.room == Room::Stranger;
            if is_stranger { &mut strangers } else { &mut established }.push(waiting.block.block().hash());
        }
        for names in [&mut established, &mut strangers] {
            let places = turn.checked_rem(names.len()).unwrap_or(0);
            names.rotate_left(places);
        }
        let few = strangers.len().min(count / 4);
        established.truncate(count.saturating_sub(few));
        let names = established.into_iter().chain(strangers);
        names.take(count).collect()
    }

    /// A peer is gone.
    pub(super) fn forget_peer(&mut self, peer: &PublicKey) {
        self.fetching.forget_peer(peer);
        self.served.forget_peer(peer);
    }
}

impl Node {
    // ---- own blocks ----

    /// Sends a block of this node's own.
    pub(super) fn announce_own_block(
        &mut self,
        block: Block,
        report: &BatchReport,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(block) = self.own_block(block, effects) else { return };
        self.note_announced(&block, report, false, effects);
        self.send_own_block(block, now, effects);
        self.bring(now, effects);
    }

    /// A block of this node's own; `None` if it breaks a rule.
    pub(super) fn own_block(&self, block: Block, effects: &mut Vec<Effect>) -> Option<WellFormedBlock> {
        match WellFormedBlock::new(&self.network, block) {
            Ok(well_formed) => Some(well_formed),
            Err(rejection) => {
                let detail = format!("an own block breaks a rule: {rejection}; it was not sent");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                None
            }
        }
    }

    /// A block of this node's own is sent, or committed to, after which its miner goes on.
    pub(super) fn note_announced(
        &mut self,
        block: &WellFormedBlock,
        report: &BatchReport,
        goes_on: bool,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(mining) = &mut self.mining {
            mining.on_announced(block.block(), goes_on);
        }
        let outcomes = report.blocks.iter().cloned();
        effects.extend(outcomes.map(|outcome| Effect::Event(NodeEvent::BlockAnnounced(outcome))));
    }

    /// Sends a block of this node's own, which a batch may bring now.
    pub(super) fn send_own_block(&mut self, block: WellFormedBlock, now: Now, effects: &mut Vec<Effect>) {
        let origin = Origin { room: Room::Guaranteed, maker: self.own, sender: self.own };
        let message = Message::Block(Box::new(block.block().clone()));
        let name = block.block().hash();
        self.blocks.insert(origin, block, State::OfUse, now);
        // What is committed to is in a hurry: who did not get it may ask at once.
        for peer in self.peers.keys().filter(|_| self.network.parameters().commit_reveal.is_none()) {
            self.blocks.served.note(peer, name, now);
        }
        effects.push(Effect::Broadcast(message));
    }

    // ---- others' blocks ----

    pub(super) fn on_block_announced(
        &mut self,
        peer: PublicKey,
        block: BlockHash,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.blocks.is_known(block, peer) || !self.peers.is_connected(&peer) {
            return;
        }
        if self.fetch_blocks(now, |fetching, around| fetching.want(block, peer, true, around)) {
            effects.push(Effect::Send { peer, message: Message::RequestBlock(block) });
        }
    }

    /// Nobody votes on blocks; but those that are committed to are as urgent, so that nobody who announces one and keeps it
    /// is waited for.
    fn fetch_blocks<T>(
        &mut self,
        now: Now,
        decide: impl FnOnce(&mut Fetching<BlockHash>, Surroundings<'_, BlockHash>) -> T,
    ) -> T {
        let validators = &self.validators;
        let committed = self.ledger.cohorts().flat_map(|(_, cohort)| cohort.unrevealed());
        let committed: BTreeSet<BlockHash> = committed.map(|commitment| commitment.block).collect();
        let around = Surroundings {
            now_ms: now.monotonic_ms,
            patience_ms: self.timing.fetch_ms,
            voted_on: &committed,
            is_validator: &|key| validators.index_of(key).is_some(),
            peers: &[],
        };
        decide(&mut self.blocks.fetching, around)
    }

    /// Asks somebody else for blocks that have not come in time.
    pub(super) fn retry_block_fetches(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Overdue { ask, blamed } = self.fetch_blocks(now, Fetching::overdue);
        let ask = ask.into_iter();
        effects.extend(ask.map(|(block, peer)| Effect::Send { peer, message: Message::RequestBlock(block) }));
        let height = self.ledger.head().height;
        for peer in blamed {
            // A peer whose head has moved on meanwhile no longer has what it announced.
            if self.peers.claimed_height(&peer) <= height {
                let reason = "it announced blocks again and again and did not deliver them";
                self.blame(peer, Blame::NUISANCE, &reason, effects);
            }
        }
    }

    /// Sends a block that waits here.
    pub(super) fn on_block_requested(
        &mut self,
        peer: PublicKey,
        name: BlockHash,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(block) = self.blocks.get(&name).cloned() else { return };
        if self.blocks.served.may_send(peer, name, now, self.timing.fetch_ms) {
            effects.push(Effect::Send { peer, message: Message::Block(Box::new(block)) });
        }
    }

    pub(super) fn on_block(&mut self, peer: PublicKey, block: Block, now: Now, effects: &mut Vec<Effect>) {
        let name = block.hash();
        if self.blocks.is_known(name, peer) {
            // Not checked again, so it must be the very block for its sender to get any credit.
            if self.blocks.get(&name) == Some(&block) {
                self.blocks.fetching.keeps_its_word(peer);
            }
            return;
        }
        // A name covers the header alone: whoever sends another body under it must neither satisfy who asked for the
        // block nor have anything said about it. No honest node passes on what is not well-formed.
        let block = match WellFormedBlock::new(&self.network, block) {
            Ok(block) => block,
            Err(rejection) => {
                let reason = format!("sent what is not a well-formed block: {rejection}");
                self.blame(peer, Blame::BROKEN, &reason, effects);
                return;
            }
        };
        self.blocks.fetching.delivered(&name, peer);
        let maker = block.block().miner();
        let is_committed = self.ledger.validate_reveal(block.block()).is_ok();
        let is_hidden = self.network.parameters().commit_reveal.is_some();
        if is_hidden && !is_committed && !self.commitments.names(maker, name) {
            return; // nobody has committed to it that we know of: it may be sent again
        }
        let room = if is_committed { Room::Guaranteed } else { self.room_of_miner(maker) };
        let origin = Origin { room, maker, sender: peer };
        match self.blocks.validate_place(&origin) {
            Ok(()) => self.take_in(origin, block, now, effects),
            Err(full) => self.blocks.turn_away(name, peer, full),
        }
    }

    pub(super) fn room_of_miner(&self, miner: PublicKey) -> Room {
        match self.standing_of(&miner) {
            Standing::Validator => Room::Validator { validators: self.validators.len() },
            Standing::Established => Room::Known,
            Standing::Stranger => Room::Stranger,
        }
    }

    /// A block for which there is a place.
    fn take_in(&mut self, origin: Origin, block: WellFormedBlock, now: Now, effects: &mut Vec<Effect>) {
        let window_ms = self.network.parameters().anchor_window_ms;
        if block.block().dated_ms() > now.wall_ms.saturating_add(window_ms) {
            self.blocks.refuse(block.block().hash()); // no batch will be that late while its anchor lasts
            return;
        }
        match self.try_block(&block) {
            Ok(()) => {
                let (sender, name) = (origin.sender, block.block().hash());
                self.blocks.insert(origin, block, State::OfUse, now);
                self.is_outlook_old = true;
                self.relay_block(sender, name, effects);
                self.bring(now, effects);
            }
            Err(why) if is_of(&why, is_unanchored) => {
                self.blocks.insert(origin, block, State::Unanchored, now);
            }
            // A batch was quicker.
            Err(why) if is_of(&why, is_brought) => {
                self.blocks.refuse(block.block().hash());
            }
            // Who has executed more than we have knows better: it is judged on the next head.
            Err(_) if self.executing.is_under_way() => {
                self.blocks.insert(origin, block, State::Unanchored, now);
            }
            Err(why) => {
                self.blocks.refuse(block.block().hash());
                effects.push(Effect::Event(Refusals::of_block(block.block(), &why, &self.ledger)));
                // What was composed on this very head its miner has judged as we do; when prices alone were, nobody knows.
                let is_judged_alike = block.block().header().anchor == self.ledger.head().hash
                    && !block.block().body.is_quiet();
                if is_judged_alike && is_peers(why.fault()) {
                    self.blame(origin.sender, Blame::INVALID, &why, effects);
                }
            }
        }
    }

    /// Forgets blocks whose anchor does not come.
    pub(super) fn expire_blocks(&mut self, now: Now) {
        if self.executing.is_under_way() {
            return; // what they wait for may be this
        }
        let patience_ms = self.timing.fetch_ms.saturating_mul(ANCHOR_PATIENCE);
        self.blocks.waiting.retain(|_, waiting| {
            !matches!(waiting.state, State::Unanchored) || now.since_ms(waiting.since_ms) < patience_ms
        });
    }

    /// A batch of what waits cannot be made: what has no effect in it waits no longer.
    pub(super) fn drop_useless_blocks(&mut self, effects: &mut Vec<Effect>) {
        let (blocks, ledger) = (&mut self.blocks, &self.ledger);
        let mut refused = Vec::new();
        blocks.waiting.retain(|name, Waiting { block, state, .. }| match state {
            State::Useless(why) => {
                refused.push((*name, Refusals::of_block(block.block(), why, ledger)));
                false
            }
            State::OfUse | State::Unanchored => true,
        });
        for (name, event) in refused {
            blocks.refuse(name);
            effects.push(Effect::Event(event));
        }
    }

    /// Judges a block as its miner did: as the only one of the next batch, when it was made.
    fn try_block(&self, block: &WellFormedBlock) -> Result<(), Rejection> {
        self.ledger.validate_waiting(block.block())?;
        if self.network.parameters().commit_reveal.is_some() {
            return Ok(()); // what it has an effect on is not known yet
        }
        let soonest_ms = self.ledger.head().timestamp_ms.saturating_add(1);
        self.ledger.try_block(block, soonest_ms.max(block.block().dated_ms())).map(|_| ())
    }

    /// Tells a few peers of a block; one that is committed to is in a hurry, and they get it at once.
    fn relay_block(&self, sender: PublicKey, block: BlockHash, effects: &mut Vec<Effect>) {
        let relays = self.relays(sender, block.0).into_iter();
        if self.network.parameters().commit_reveal.is_some()
            && let Some(block) = self.blocks.get(&block)
        {
            let message = || Message::Block(Box::new(block.clone()));
            effects.extend(relays.map(|peer| Effect::Send { peer, message: message() }));
            return;
        }
        effects.extend(relays.map(|peer| Effect::Send { peer, message: Message::AnnounceBlock(block) }));
    }

    /// The peers that something is passed on to, but for its sender: a few, which its name and this node's key draw. Its
    /// maker sends it to all its own peers, and statuses tell of what got lost.
    pub(super) fn relays(&self, sender: PublicKey, name: Hash) -> Vec<PublicKey> {
        let others = self.peers.keys().filter(|&other| other != sender);
        let lot =
            |peer: &PublicKey| Domain::Order.hash(&[name.0.as_slice(), self.own.as_bytes(), peer.as_bytes()]);
        let mut drawn: Vec<(Hash, PublicKey)> = others.map(|peer| (lot(&peer), peer)).collect();
        drawn.sort_unstable();
        drawn.into_iter().take(RELAYS).map(|(_, peer)| peer).collect()
    }

    /// The head is new: what a batch brought waits no longer, nor does what no batch can bring any more. As many blocks as
    /// a batch has room for are judged, of who has more standing first; a glance must do for what strangers pile up beyond.
    pub(super) fn review_blocks(&mut self, batch: &Batch, effects: &mut Vec<Effect>) {
        self.blocks.refused.clear();
        self.blocks.turned_away.clear();
        // Who announced what a batch has brought since has it no longer, and is not to blame; the rest is announced again.
        self.blocks.fetching.begin_height();
        for block in &batch.contents.blocks {
            self.blocks.waiting.remove(&block.hash());
        }
        let waiting = std::mem::take(&mut self.blocks.waiting);
        let mut waiting: Vec<(BlockHash, Waiting)> = waiting.into_iter().collect();
        waiting.sort_by_key(|(_, waiting)| (waiting.origin.room, waiting.arrival));
        let mut refusals = Refusals::default();
        let is_committed = self.network.parameters().commit_reveal.is_some();
        let mut room = usize::try_from(self.network.parameters().limits.compositions_per_batch).unwrap_or(0);
        for (name, mut waiting) in waiting {
            let block = waiting.block.block();
            // Where blocks are committed to a glance is all that it takes to judge one.
            let left =
                if is_committed { Some(room) } else { room.checked_sub(block.body.composed().count()) };
            let was_judged = !matches!(waiting.state, State::Unanchored);
            let judged = match (left, waiting.state) {
                (Some(_), _) => self.try_block(&waiting.block),
                (None, State::Unanchored) => continue, // never judged, and so never to be passed on
                (None, State::OfUse) => self.ledger.validate_waiting(block),
                (None, State::Useless(why)) => Err(why),
            };
            room = left.unwrap_or(room);
            match judged {
                Ok(()) => {
                    let sender = waiting.origin.sender;
                    waiting.state = State::OfUse;
                    if is_committed {
                        waiting.origin.room = Room::Guaranteed;
                    }
                    self.blocks.waiting.insert(name, waiting);
                    if !was_judged {
                        self.relay_block(sender, name, effects);
                    }
                }
                Err(why) if is_of(&why, is_unanchored) && !was_judged => {
                    waiting.state = State::Unanchored;
                    self.blocks.waiting.insert(name, waiting);
                }
                Err(why) if is_of(&why, is_brought) => self.blocks.refuse(name),
                Err(why) => {
                    self.blocks.refuse(name);
                    let is_stranger = waiting.origin.room == Room::Stranger;
                    effects.extend(refusals.tell(block, &why, &self.ledger, is_stranger).map(Effect::Event));
                }
            }
        }
    }
}

/// What it rests on has not come.
const fn is_unanchored(error: &BlockError) -> bool {
    matches!(error, BlockError::NoAnchor { .. } | BlockError::Reveal(RevealError::NotCommitted))
}

/// A batch has brought it.
const fn is_brought(error: &BlockError) -> bool {
    matches!(error, BlockError::BroughtBefore | BlockError::Reveal(RevealError::RevealedBefore))
}

/// Whether a block is refused as a whole, for this reason.
fn is_of(why: &Rejection, reason: impl FnOnce(&BlockError) -> bool) -> bool {
    matches!(why, Rejection::Block { error, .. } if reason(error))
}
