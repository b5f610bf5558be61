//! A well-formed batch against the ledger of its parent.

use super::effect::{Turn, take_effect, take_no_effect, validate_admission};
use super::form::WellFormed;
use super::rejection::Rejection;
use crate::batch::{Batch, BatchHash, BatchHeader, BatchKind, Contents};
use crate::consensus::DoubleVote;
use crate::hash::Hash;
use crate::key::PublicKey;
use crate::ledger::records::BringError;
use crate::ledger::transition::{BatchReport, BlockOutcome, Transition};
use crate::ledger::{Defect, Head, Ledger};
use crate::merkle::merkle_root;
use crate::record::{Height, Record};

/// A batch that may follow its parent. Whether it may is a function of the parent's state and of what is in it, of nothing
/// else: what it does is found out by executing it, which can wait until it is decided.
#[derive(Clone, Debug)]
pub struct ValidBatch {
    batch: Batch,
    parent: Ledger,
}

/// A batch that has been executed: what it does, and the ledger it leads to.
#[derive(Clone, Debug)]
pub struct ExecutedBatch {
    batch: Batch,
    next: Ledger,
    report: BatchReport,
}

impl ValidBatch {
    /// A batch that was put together to follow this ledger.
    pub(super) fn of_assembled(batch: Batch, parent: &Ledger) -> Self {
        Self { batch, parent: parent.clone() }
    }

    /// The batch.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The ledger it follows.
    pub const fn parent(&self) -> &Ledger {
        &self.parent
    }

    /// Whether blocks take effect with it: executing one with which none do takes next to no time.
    pub fn composes(&self) -> bool {
        let (header, parent) = (&self.batch.header, &self.parent);
        let is_hidden = parent.network().parameters().commit_reveal.is_some();
        if is_hidden {
            parent.is_turn_due(&header.proposer, header.turn)
        } else {
            !self.batch.contents.blocks.is_empty()
        }
    }

    /// Executes it, whether or not anybody has decided on it. Of a batch with many compositions that is most of the work. Should
    /// its blocks lead to a state that contradicts itself, they have no effect.
    ///
    /// # Errors
    /// If even without them the state contradicts itself: a mistake of this program, and nothing about the batch.
    pub fn execute(self) -> Result<ExecutedBatch, Defect> {
        let Self { batch, parent } = self;
        let (header, contents) = (&batch.header, &batch.contents);
        let transition = take_effect_or_none(&parent, header, contents)?;
        let (state, report) = transition.into_parts();
        let head = Head {
            height: header.height,
            hash: header.hash(),
            timestamp_ms: header.timestamp_ms,
            outcomes_root: outcomes_root(&report),
            awaits_seal: !contents.is_empty() || !report.blocks.is_empty() || !report.departed.is_empty(),
        };
        let next = Ledger { network: parent.network.clone(), head, state };
        Ok(ExecutedBatch { batch, next, report })
    }
}

impl ExecutedBatch {
    /// The batch.
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The ledger after it.
    pub const fn next(&self) -> &Ledger {
        &self.next
    }

    /// What it brought and earned.
    pub const fn report(&self) -> &BatchReport {
        &self.report
    }

    /// Batch, ledger after it, report.
    pub fn into_parts(self) -> (Batch, Ledger, BatchReport) {
        (self.batch, self.next, self.report)
    }
}

impl Ledger {
    /// Checks whether a batch may follow this ledger, its parent's. No clock decides that: see [`Ledger::validate_clock`].
    ///
    /// # Errors
    /// The first rule broken; nothing has changed then.
    pub fn validate(&self, batch: WellFormed) -> Result<ValidBatch, Rejection> {
        let batch = batch.into_batch();
        let (header, contents) = (&batch.header, &batch.contents);
        validate_height(self, header)?;
        validate_parent(self, header)?;
        validate_timestamp(self, header)?;
        validate_turn(header)?;
        self.validate_interval(header.timestamp_ms, self.kind_of_contents(contents), contents.is_empty())?;
        verify_outcomes_root(self, header)?;
        verify_state_root(self, header)?;
        let mut transition = Transition::begin(self, header.timestamp_ms)?;
        bring(&mut transition, (&header.proposer, header.turn), contents, header.parent)?;
        Ok(ValidBatch { batch, parent: self.clone() })
    }

    /// Whether a batch is dated near enough to a validator's clock (milliseconds since the Unix epoch) for its vote: no more
    /// than `clock_lead_ms` ahead, nor that and `late_ms` behind. Of a batch that two thirds found timely, or decided on, that is
    /// not asked.
    ///
    /// # Errors
    /// [`Rejection::TimestampAhead`], until that time has come; [`Rejection::TimestampBehind`].
    pub fn validate_clock(&self, header: &BatchHeader, now_ms: u64, late_ms: u64) -> Result<(), Rejection> {
        let lead = self.network().parameters().limits.clock_lead_ms;
        let (got, expected) = (header.timestamp_ms, now_ms.saturating_add(lead));
        if got > expected {
            return Err(Rejection::TimestampAhead { got, expected });
        }
        let expected = now_ms.saturating_sub(lead).saturating_sub(late_ms);
        if got < expected { Err(Rejection::TimestampBehind { got, expected }) } else { Ok(()) }
    }

    /// What a batch with these contents is for. Nobody knows what commitments are for, and what is committed to waits for
    /// batches.
    pub(super) fn kind_of_contents(&self, contents: &Contents) -> BatchKind {
        let is_urgent = !contents.commitments.is_empty() || self.awaits_turns();
        if is_urgent { BatchKind::Composing } else { contents.kind() }
    }

    /// A batch that composes no open demand must keep its distance, and without any item it needs a reason.
    pub(super) fn validate_interval(
        &self,
        timestamp_ms: u64,
        kind: BatchKind,
        empty: bool,
    ) -> Result<(), Rejection> {
        let (got, parameters) = (timestamp_ms, self.network().parameters());
        let after = |interval: u64| self.head().timestamp_ms.saturating_add(interval);
        let (amending, quiet) =
            (after(parameters.amendment_interval_ms), after(parameters.quiet_batch_interval_ms));
        match kind {
            BatchKind::Amending if got < amending => {
                Err(Rejection::AmendmentTooSoon { got, expected: amending })
            }
            BatchKind::Quiet if got < quiet => Err(Rejection::QuietBatchTooSoon { got, expected: quiet }),
            BatchKind::Quiet if empty && !self.is_waiting(got) => Err(Rejection::EmptyBatch),
            BatchKind::Composing | BatchKind::Amending | BatchKind::Quiet => Ok(()),
        }
    }
}

/// All that a batch does after this ledger.
fn take_effect_or_none<'l>(
    parent: &'l Ledger,
    header: &BatchHeader,
    contents: &Contents,
) -> Result<Transition<'l>, Defect> {
    let begin = || {
        let mut transition = Transition::begin(parent, header.timestamp_ms)?;
        match bring(&mut transition, (&header.proposer, header.turn), contents, header.parent) {
            Ok(turn) => Ok((transition, turn)),
            Err(Rejection::Internal(defect)) => Err(defect),
            Err(_) => Err(Defect::Validity),
        }
    };
    let (mut transition, turn) = begin()?;
    let Err(defect) = take_effect(&mut transition, &turn) else { return Ok(transition) };
    let (mut transition, turn) = begin()?;
    take_no_effect(&mut transition, &turn, defect)?;
    Ok(transition)
}

fn validate_height(ledger: &Ledger, header: &BatchHeader) -> Result<(), Rejection> {
    let (got, expected) = (header.height, ledger.head().height.saturating_add(1));
    if got == expected { Ok(()) } else { Err(Rejection::WrongHeight { got, expected }) }
}

fn validate_parent(ledger: &Ledger, header: &BatchHeader) -> Result<(), Rejection> {
    let (got, expected) = (header.parent, ledger.head().hash);
    if got == expected { Ok(()) } else { Err(Rejection::WrongParent { got, expected }) }
}

fn validate_timestamp(ledger: &Ledger, header: &BatchHeader) -> Result<(), Rejection> {
    let (got, expected) = (header.timestamp_ms, ledger.head().timestamp_ms);
    if got > expected { Ok(()) } else { Err(Rejection::TimestampNotAboveParent { got, expected }) }
}

fn validate_turn(header: &BatchHeader) -> Result<(), Rejection> {
    let (got, expected) = (header.turn, header.height.saturating_sub(1));
    if got <= expected { Ok(()) } else { Err(Rejection::TurnAhead { got, expected }) }
}

/// Lets what a batch brings take effect but for blocks: evidence, records, then commitments and, where miners commit, blocks that are
/// revealed. The blocks that take effect with it.
pub(super) fn bring<'c>(
    transition: &mut Transition<'_>,
    (proposer, turn): (&PublicKey, Height),
    contents: &'c Contents,
    parent: BatchHash,
) -> Result<Turn<'c>, Rejection> {
    accuse(transition, &contents.evidence)?;
    bring_records(transition, &contents.records)?;
    if transition.commit_reveal().is_none() {
        for block in &contents.blocks {
            validate_admission(transition, block)?;
        }
        return Ok(Turn::InClear { blocks: &contents.blocks, parent });
    }
    for signed in &contents.commitments {
        transition
            .commit(signed)?
            .map_err(|error| Rejection::Commitment { commitment: signed.id(), error: Box::new(error) })?;
    }
    for block in &contents.blocks {
        transition
            .reveal(block)?
            .map_err(|error| Rejection::Block { block: block.hash(), error: Box::new(error.into()) })?;
    }
    let due = transition.take_turn(proposer, turn);
    Ok(due.map_or(Turn::Nobodys, |(height, cohort)| Turn::Cohort { height, cohort }))
}

/// Notes evidence, in order.
pub(super) fn accuse(transition: &mut Transition<'_>, evidence: &[DoubleVote]) -> Result<(), Rejection> {
    for (index, evidence) in evidence.iter().enumerate() {
        transition.accuse(evidence).map_err(|error| Rejection::Evidence { index, error })?;
    }
    Ok(())
}

/// Lets records take effect, in order.
pub(super) fn bring_records(transition: &mut Transition<'_>, records: &[Record]) -> Result<(), Rejection> {
    for (index, record) in records.iter().enumerate() {
        let id = record.id();
        transition.bring(record, id).map_err(|error| match error {
            BringError::Refused(error) => Rejection::Record { index, id, error: Box::new(error.into()) },
            BringError::Internal(defect) => defect.into(),
        })?;
    }
    Ok(())
}

/// The Merkle root of what became of the blocks that took effect with a batch.
fn outcomes_root(report: &BatchReport) -> Hash {
    merkle_root(&report.blocks.iter().map(BlockOutcome::leaf).collect::<Vec<_>>())
}

fn verify_outcomes_root(ledger: &Ledger, header: &BatchHeader) -> Result<(), Rejection> {
    let (got, expected) = (header.outcomes_root, ledger.head().outcomes_root);
    if got == expected { Ok(()) } else { Err(Rejection::WrongOutcomesRoot { got, expected }) }
}

fn verify_state_root(ledger: &Ledger, header: &BatchHeader) -> Result<(), Rejection> {
    let (got, expected) = (header.state_root, ledger.state_root());
    if got == expected { Ok(()) } else { Err(Rejection::WrongStateRoot { got, expected }) }
}
