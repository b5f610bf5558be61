//! The batches that may become the next one, and whose places they take. Keys are free, and so are valid batches that bring
//! nothing: what strangers send fills the strangers' places and no others.

use std::collections::{BTreeMap, BTreeSet};

use chain::consensus::SafetyLog;
use chain::{Authentic, Batch, BatchHash, PublicKey, ValidBatch};

/// Places for batches of validators; each has its share of them, [`OF_A_MINER`] at most.
const VALIDATORS: usize = 64;
/// Places for batches of other miners with standing.
const KNOWN: usize = 32;
/// Places for batches of everybody else.
const STRANGERS: usize = 16;
/// Batches of one miner, for it may sign as many as it likes.
const OF_A_MINER: usize = 4;
/// Strangers' batches that one peer sends: the other peers' share is not its to fill.
const STRANGERS_OF_A_SENDER: usize = 4;
/// Names remembered as having found no place, so that they are not fetched again and again.
const TURNED_AWAY: usize = 1_024;

/// Whose places a batch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Our own batches and those that validators vote on: no limit on what miners send keeps them out. How many are
    /// voted on is limited by the proposals held.
    Guaranteed,
    /// Batches mined by one of so many validators.
    Validator { validators: usize },
    /// Batches of another miner with standing.
    Known,
    /// Batches of any other key.
    Stranger,
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub(super) struct Origin {
    pub(super) room: Room,
    pub(super) miner: PublicKey,
    /// The peer that sent it.
    pub(super) sender: PublicKey,
}

/// Why a batch finds no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All places of its kind, or of its miner, are taken.
    ForAll,
    /// Its sender's are.
    ForSender,
}

/// A valid batch that may become the next one.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) origin: Origin,
    pub(super) valid: ValidBatch,
    /// It is on disk already.
    is_durable: bool,
}

/// A batch that is ahead of our clock, and otherwise right as far as it was judged.
#[derive(Debug)]
pub(super) struct EarlyBatch {
    pub(super) origin: Origin,
    pub(super) batch: Authentic,
    /// When it may be judged again, by our wall clock, milliseconds since the Unix epoch.
    pub(super) ready_ms: u64,
}

/// Batches for the next height, in order of name.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    valid: BTreeMap<BatchHash, Candidate>,
    /// They take places like the valid ones.
    early: BTreeMap<BatchHash, EarlyBatch>,
    /// Authentic batches without a place: whoever sends them (`None`), or if this peer does.
    turned_away: BTreeSet<(BatchHash, Option<PublicKey>)>,
}

impl Candidates {
    /// Whether a valid batch is here.
    pub(super) fn is_empty(&self) -> bool {
        self.valid.is_empty()
    }

    /// A valid batch.
    pub(super) fn get(&self, batch: &BatchHash) -> Option<&ValidBatch> {
        self.valid.get(batch).map(|candidate| &candidate.valid)
    }

    /// All valid batches.
    pub(super) fn valid(&self) -> impl Iterator<Item = &ValidBatch> {
        self.valid.values().map(|candidate| &candidate.valid)
    }

    /// The date of a batch that waits for our clock, milliseconds since the Unix epoch.
    pub(super) fn early_date_ms(&self, batch: &BatchHash) -> Option<u64> {
        self.early.get(batch).map(|early| early.batch.batch().header.timestamp_ms)
    }

    /// Whether a batch is here, valid or early.
    pub(super) fn holds(&self, batch: &BatchHash) -> bool {
        self.valid.contains_key(batch) || self.early.contains_key(batch)
    }

    /// Whether there is no use in getting this batch from this peer.
    pub(super) fn is_turned_away(&self, batch: BatchHash, peer: PublicKey) -> bool {
        [None, Some(peer)].iter().any(|&from| self.turned_away.contains(&(batch, from)))
    }

    /// Whether a batch from there finds a place.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn validate_place(&self, origin: &Origin) -> Result<(), Full> {
        let kind = std::mem::discriminant(&origin.room);
        let origins = self.valid.values().map(|candidate| &candidate.origin);
        let origins = origins.chain(self.early.values().map(|early| &early.origin));
        let same: Vec<&Origin> =
            origins.filter(|other| std::mem::discriminant(&other.room) == kind).collect();
        let (places, of_a_miner, of_a_sender) = match origin.room {
            Room::Guaranteed => return Ok(()),
            Room::Validator { validators } => {
                let share = VALIDATORS.checked_div(validators).unwrap_or(0);
                (VALIDATORS, share.clamp(1, OF_A_MINER), VALIDATORS)
            }
            Room::Known => (KNOWN, OF_A_MINER, KNOWN),
            Room::Stranger => (STRANGERS, OF_A_MINER, STRANGERS_OF_A_SENDER),
        };
        let of_miner = same.iter().filter(|other| other.miner == origin.miner).count();
        let of_sender = same.iter().filter(|other| other.sender == origin.sender).count();
        if same.len() >= places || of_miner >= of_a_miner {
            Err(Full::ForAll)
        } else if of_sender >= of_a_sender {
            Err(Full::ForSender)
        } else {
            Ok(())
        }
    }

    /// Remembers an authentic batch that found no place, as long as there is room for it.
    pub(super) fn turn_away(&mut self, batch: BatchHash, sender: PublicKey, full: Full) {
        if self.turned_away.len() < TURNED_AWAY {
            let from = (full == Full::ForSender).then_some(sender);
            self.turned_away.insert((batch, from));
        }
    }

    /// Keeps a valid batch.
    pub(super) fn insert(&mut self, origin: Origin, valid: ValidBatch) {
        self.valid.insert(valid.batch().hash(), Candidate { origin, valid, is_durable: false });
    }

    /// Keeps a batch that is on disk already.
    pub(super) fn restore(&mut self, origin: Origin, valid: ValidBatch) {
        self.valid.insert(valid.batch().hash(), Candidate { origin, valid, is_durable: true });
    }

    /// Takes a valid batch out.
    pub(super) fn remove(&mut self, batch: &BatchHash) -> Option<ValidBatch> {
        self.valid.remove(batch).map(|candidate| candidate.valid)
    }

    /// Keeps a batch that is ahead of our clock.
    pub(super) fn keep_early(&mut self, early: EarlyBatch) {
        self.early.insert(early.batch.batch().hash(), early);
    }

    /// Takes out a batch that is ahead of our clock.
    pub(super) fn take_early(&mut self, batch: &BatchHash) -> Option<EarlyBatch> {
        self.early.remove(batch)
    }

    /// Takes out the batches that are ahead of our clock no longer.
    pub(super) fn take_ready(&mut self, wall_ms: u64) -> Vec<EarlyBatch> {
        let ready = self.early.iter().filter(|(_, early)| early.ready_ms <= wall_ms);
        let ready: Vec<BatchHash> = ready.map(|(&batch, _)| batch).collect();
        ready.iter().filter_map(|batch| self.early.remove(batch)).collect()
    }

    /// The batches that this log stands for and that are not on disk yet, to be put there before the log is: whoever voted
    /// for a batch is asked for it, also after a crash.
    pub(super) fn make_durable(&mut self, log: &SafetyLog) -> Vec<Batch> {
        let votes = [log.prevote, log.precommit].into_iter().flatten().filter_map(|vote| vote.batch);
        let proposed = log.proposal.map(|proposal| proposal.batch);
        let locked = log.locked.map(|(_, batch)| batch);
        let polka = log.valid.as_ref().map(|polka| polka.batch);
        let names: BTreeSet<BatchHash> = votes.chain(proposed).chain(locked).chain(polka).collect();
        let mut batches = Vec::new();
        for name in names {
            if let Some(candidate) = self.valid.get_mut(&name).filter(|candidate| !candidate.is_durable) {
                candidate.is_durable = true;
                batches.push(candidate.valid.batch().clone());
            }
        }
        batches
    }

    /// Names to tell a peer, `count` at most and others at each turn: a quarter of them strangers', if there are as
    /// many. By name alone, strangers would choose names that come first.
    pub(super) fn to_announce(&self, turn: usize, count: usize) -> Vec<BatchHash> {
        let (mut established, mut strangers) = (Vec::new(), Vec::new());
        for (&batch, candidate) in &self.valid {
            let is_stranger = candidate.origin.room == Room::Stranger;
            if is_stranger { &mut strangers } else { &mut established }.push(batch);
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

    /// What is left when the height is decided.
    pub(super) fn into_losers(self) -> impl Iterator<Item = Candidate> {
        self.valid.into_values()
    }
}
