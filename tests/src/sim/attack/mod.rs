//! Attacks that play by themselves: every few milliseconds an attacker looks at what it heard and at the ledger (it sees
//! what an honest node sees, sooner), and says something. Each is deterministic in the run's seed.
//!
//! [`Attack`] names them; the files beside say what each does: `floods`, `inventions`, `sybils`, `blocks`, `votes`.

#![expect(clippy::wildcard_enum_match_arm, reason = "an attacker listens for one kind of message among many")]

mod blocks;
mod floods;
mod inventions;
mod sybils;
mod votes;

use std::collections::BTreeSet;

use chain::{Block, Hash, Ledger, SecretKey};
use miner_node::{Message, Now};

use super::draws::Draws;
use super::host::HostId;
use super::market::Market;
use super::world::{Event, World};

/// Between two turns of an attacker.
const TURN_MS: u64 = 20;
/// Turns between two attempts to be connected with everybody.
const DIAL_TURNS: u64 = 25;
/// Messages an attacker remembers until its turn.
const HEARD: usize = 512;

/// What an attacker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Asks for final batches from the first height on, again and again.
    RequestFinal,
    /// Says that it is at height 0, which used to be answered with final batches.
    LowStatus,
    /// Begins comparisons of pools.
    Reconcile,
    /// Asks for the same records.
    RequestRecords,
    /// Asks for the same blocks and batches.
    RequestBodies,
    /// Announces blocks that do not exist.
    InventBlocks,
    /// Announces records that do not exist.
    InventRecords,
    /// Hands out peer records of a hundred keys that it made up, all of which want a cell, dated ahead.
    Sybils,
    /// The same with a thousand.
    ManySybils,
    /// Hands out peer records with addresses where nobody is.
    DeadAddresses,
    /// Hands out peer records dated further ahead than any honest clock, for others to relay.
    FutureRecords,
    /// Says that it is a thousand heights ahead.
    Boast,
    /// Sends records of accounts that do not exist, with gaps before them, or of money that they have not.
    EmptyRecords,
    /// Sends every block and batch on with another body, or another signature, under the same name.
    CopyNames,
    /// Shows each node other blocks of invented miners, copied from others.
    CrowdPlaces,
    /// Sends blocks that claim what is not so.
    FalseClaims,
    /// Puts the compositions of others' blocks into its own.
    StealContents,
    /// The same by a validator that leaves out of its own batches whatever others reveal.
    Censor,
    /// Votes for everything that is proposed, whatever it voted for before: as if it forgot its locks.
    VoteForAll,
}

/// What an attack remembers from turn to turn.
#[derive(Debug)]
pub(super) struct Playing {
    attack: Attack,
    draws: Draws,
    turn: u64,
    heard: Vec<(HostId, Message)>,
    /// Blocks and batches done with.
    seen: BTreeSet<Hash>,
    /// Copies that are committed to and not revealed yet.
    copies: Vec<Block>,
    /// What was last made with much work.
    made: Vec<Message>,
}

/// What an attacker sees when its turn comes.
struct Stage<'a> {
    now: Now,
    key: &'a SecretKey,
    market: &'a Market,
    /// The highest of an honest node.
    ledger: &'a Ledger,
    peers: &'a [HostId],
    /// Since its last turn.
    heard: Vec<(HostId, Message)>,
}

/// What an attacker says, to whom.
type Says = Vec<(HostId, Message)>;

impl Attack {
    /// The first so many of [`Self::OF_STRANGERS`] are floods of requests.
    pub const FLOODS: usize = 5;
    /// Those that any stranger can play.
    pub const OF_STRANGERS: [Self; 17] = [
        Self::RequestFinal,
        Self::LowStatus,
        Self::Reconcile,
        Self::RequestRecords,
        Self::RequestBodies,
        Self::InventBlocks,
        Self::InventRecords,
        Self::Sybils,
        Self::ManySybils,
        Self::DeadAddresses,
        Self::FutureRecords,
        Self::Boast,
        Self::EmptyRecords,
        Self::CopyNames,
        Self::CrowdPlaces,
        Self::FalseClaims,
        Self::StealContents,
    ];

    /// Those that want a validator.
    pub const OF_VALIDATORS: [Self; 3] = [Self::StealContents, Self::Censor, Self::VoteForAll];

    /// What it is called where it must be one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestFinal => "RequestFinal",
            Self::LowStatus => "LowStatus",
            Self::Reconcile => "Reconcile",
            Self::RequestRecords => "RequestRecords",
            Self::RequestBodies => "RequestBodies",
            Self::InventBlocks => "InventBlocks",
            Self::InventRecords => "InventRecords",
            Self::Sybils => "Sybils",
            Self::ManySybils => "ManySybils",
            Self::DeadAddresses => "DeadAddresses",
            Self::FutureRecords => "FutureRecords",
            Self::Boast => "Boast",
            Self::EmptyRecords => "EmptyRecords",
            Self::CopyNames => "CopyNames",
            Self::CrowdPlaces => "CrowdPlaces",
            Self::FalseClaims => "FalseClaims",
            Self::StealContents => "StealContents",
            Self::Censor => "Censor",
            Self::VoteForAll => "VoteForAll",
        }
    }
}

impl Playing {
    pub(super) fn new(attack: Attack, rng_seed: u64, host: HostId) -> Self {
        let draws = Draws::new(rng_seed, 1_000 + u64::from(host.0));
        Self {
            attack,
            draws,
            turn: 0,
            heard: Vec::new(),
            seen: BTreeSet::new(),
            copies: Vec::new(),
            made: Vec::new(),
        }
    }

    pub(super) fn hear(&mut self, from: HostId, message: Message) {
        if self.heard.len() < HEARD {
            self.heard.push((from, message));
        }
    }

    /// Whether the attacker's own node does not get to see this: so it leaves it out of what it proposes.
    pub(super) const fn withholds(&self, message: &Message) -> bool {
        let is_block = matches!(message, Message::Block(_) | Message::AnnounceBlock(_));
        matches!(self.attack, Attack::Censor) && is_block
    }

    fn play(&mut self, stage: &Stage<'_>) -> Says {
        self.turn += 1;
        match self.attack {
            Attack::RequestFinal => floods::request_final(stage),
            Attack::LowStatus => floods::low_status(stage),
            Attack::Reconcile => floods::reconcile(stage),
            Attack::RequestRecords => floods::request_records(stage),
            Attack::RequestBodies => floods::request_bodies(self, stage),
            Attack::InventBlocks => inventions::blocks(self, stage),
            Attack::InventRecords => inventions::records(self, stage),
            Attack::Boast => inventions::boast(stage),
            Attack::EmptyRecords => inventions::empty_records(self, stage),
            Attack::Sybils => sybils::cell_takers(self, stage, 100),
            Attack::ManySybils => sybils::cell_takers(self, stage, 1_000),
            Attack::DeadAddresses => sybils::dead_addresses(self, stage),
            Attack::FutureRecords => sybils::from_the_future(self, stage),
            Attack::CopyNames => blocks::copy_names(self, stage),
            Attack::CrowdPlaces => blocks::crowd(self, stage),
            Attack::FalseClaims => blocks::false_claims(self, stage),
            Attack::StealContents | Attack::Censor => blocks::steal(self, stage),
            Attack::VoteForAll => votes::for_all(stage),
        }
    }

    /// Whether this is one of every so many turns.
    const fn is_every(&self, turns: u64) -> bool {
        self.turn % turns == 1 || turns == 1
    }
}

impl Stage<'_> {
    /// The same to everybody.
    fn to_all(&self, messages: &[Message]) -> Says {
        let pair = |&peer: &HostId| messages.iter().map(move |message| (peer, message.clone()));
        self.peers.iter().flat_map(pair).collect()
    }
}

impl World {
    /// An attacker's turn, and the next one planned.
    pub(super) fn play(&mut self, id: HostId) {
        self.schedule(TURN_MS, Event::Play(id));
        let now = self.local(id);
        let honest = self.hosts.iter().filter(|host| host.is_honest());
        let ledgers = honest.filter_map(|host| host.node().map(|node| node.ledger().clone()));
        let Some(ledger) = ledgers.max_by_key(|ledger| ledger.head().height) else { return };
        let host = &mut self.hosts[id.index()];
        let open = host.connections().map(|open| open.keys().copied().collect());
        let peers: Vec<HostId> = open.unwrap_or_default();
        let Some(playing) = &mut host.playing else { return };
        let heard = std::mem::take(&mut playing.heard);
        let stage = Stage {
            now,
            key: &host.settings.key,
            market: &self.market,
            ledger: &ledger,
            peers: &peers,
            heard,
        };
        let says = playing.play(&stage);
        let is_time_to_dial = playing.is_every(DIAL_TURNS);
        for (to, message) in says {
            self.send(id, to, std::sync::Arc::from(message.encode()));
        }
        if is_time_to_dial {
            for to in self.host_ids().filter(|to| *to != id && !peers.contains(to)).collect::<Vec<_>>() {
                self.dial(id, to.address());
            }
        }
    }
}
