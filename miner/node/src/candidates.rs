//! The batches that may become the next one: our own, those that validators propose, and those that they have sent ahead
//! of their proposals.

use std::collections::{BTreeMap, BTreeSet};

use chain::consensus::SafetyLog;
use chain::{Authentic, Batch, BatchHash, ValidBatch};

use super::places::{Full, Origin};

/// A valid batch that may become the next one.
#[derive(Debug)]
struct Candidate {
    origin: Origin,
    valid: ValidBatch,
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

    /// The date of a batch that waits for our clock, milliseconds since the Unix epoch.
    pub(super) fn early_date_ms(&self, batch: &BatchHash) -> Option<u64> {
        self.early.get(batch).map(|early| early.batch.batch().header.timestamp_ms)
    }

    /// Whether a batch is here, valid or early.
    pub(super) fn holds(&self, batch: &BatchHash) -> bool {
        self.valid.contains_key(batch) || self.early.contains_key(batch)
    }

    /// Whether a batch from there finds a place.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn validate_place(&self, origin: &Origin) -> Result<(), Full> {
        let valid = self.valid.values().map(|candidate| &candidate.origin);
        origin.validate_place(valid.chain(self.early.values().map(|early| &early.origin)))
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
}
