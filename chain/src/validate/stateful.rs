//! A well-formed batch against the ledger of its parent.

use super::form::WellFormed;
use super::rejection::Rejection;
use crate::batch::{Amendment, Batch, BatchKind, Composition, Header};
use crate::ledger::market::amending::ProposedPart;
use crate::ledger::market::staging::Staged;
use crate::ledger::records::BringError;
use crate::ledger::transition::{BatchReport, Transition};
use crate::ledger::{Head, Ledger};
use crate::record::Record;

/// A batch that keeps every rule after its parent, and the ledger it leads to.
#[derive(Clone, Debug)]
pub struct ValidBatch {
    batch: Batch,
    next: Ledger,
    report: BatchReport,
}

impl ValidBatch {
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
    /// Checks a batch against this ledger, its parent's. `local_time_ms` is the node's clock, for batches
    /// from the future; `None` where the batch is already final and its time no longer matters.
    ///
    /// # Errors
    /// The first rule broken; nothing has changed then.
    pub fn validate(&self, batch: WellFormed, local_time_ms: Option<u64>) -> Result<ValidBatch, Rejection> {
        let batch = batch.into_batch();
        let (header, body) = (&batch.header, &batch.body);
        validate_height(self, header)?;
        validate_parent(self, header)?;
        validate_timestamp(self, header)?;
        self.validate_interval(header.timestamp_ms, body.kind(), header.item_count == 0)?;
        if let Some(now) = local_time_ms {
            validate_clock(self, header, now)?;
        }
        let mut transition = Transition::begin(self, &header.miner, header.timestamp_ms)?;
        bring(&mut transition, &body.records)?;
        let demands = body.composed().map(|composition| composition.demand);
        transition.meter(demands, body.price_update.is_some())?;
        for composition in &body.compositions {
            let staged =
                transition.stage(composition.demand, &composition.providers, composition.timestamp_ms)?;
            verify_composition(composition, staged)?;
        }
        for amendment in &body.amendments {
            stage_amendment(&mut transition, amendment)?;
        }
        verify_total_cost(header, transition.report())?;
        verify_reduced_cost(header, transition.report())?;
        transition.end(body.price_update.as_ref())?;
        verify_state_root(header, &transition)?;

        let (state, report) = transition.into_parts();
        let head = Head { height: header.height, hash: header.hash(), timestamp_ms: header.timestamp_ms };
        let next = Self { network: self.network.clone(), head, state };
        Ok(ValidBatch { batch, next, report })
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

fn validate_height(ledger: &Ledger, header: &Header) -> Result<(), Rejection> {
    let (got, expected) = (header.height, ledger.head().height.saturating_add(1));
    if got == expected { Ok(()) } else { Err(Rejection::WrongHeight { got, expected }) }
}

fn validate_parent(ledger: &Ledger, header: &Header) -> Result<(), Rejection> {
    let (got, expected) = (header.parent, ledger.head().hash);
    if got == expected { Ok(()) } else { Err(Rejection::WrongParent { got, expected }) }
}

fn validate_timestamp(ledger: &Ledger, header: &Header) -> Result<(), Rejection> {
    let (got, expected) = (header.timestamp_ms, ledger.head().timestamp_ms);
    if got > expected { Ok(()) } else { Err(Rejection::TimestampNotAboveParent { got, expected }) }
}

fn validate_clock(ledger: &Ledger, header: &Header, now_ms: u64) -> Result<(), Rejection> {
    let lead = ledger.network().parameters().limits.clock_lead_ms;
    let (got, expected) = (header.timestamp_ms, now_ms.saturating_add(lead));
    if got > expected { Err(Rejection::TimestampAhead { got, expected }) } else { Ok(()) }
}

/// Lets records take effect, in order.
pub(super) fn bring(transition: &mut Transition<'_>, records: &[Record]) -> Result<(), Rejection> {
    for (index, record) in records.iter().enumerate() {
        let id = record.id();
        transition.bring(record, id).map_err(|error| match error {
            BringError::Refused(error) => Rejection::Record { index, id, error: Box::new(error.into()) },
            BringError::Internal(defect) => defect.into(),
        })?;
    }
    Ok(())
}

fn stage_amendment(transition: &mut Transition<'_>, amendment: &Amendment) -> Result<(), Rejection> {
    let proposed: Vec<ProposedPart<'_>> = amendment.parts.iter().map(ProposedPart::from).collect();
    let staged = transition.stage_amendment(&proposed)?;
    for (claim, staged) in amendment.parts.iter().zip(&staged.parts) {
        verify_composition(&claim.composition, staged)?;
    }
    Ok(())
}

fn verify_composition(claim: &Composition, staged: &Staged) -> Result<(), Rejection> {
    let demand = claim.demand;
    let (got, expected) = (claim.cost, staged.evaluation.cost());
    if got != expected {
        return Err(Rejection::WrongCost { demand, got, expected });
    }
    let (got, expected) = (claim.minutes, staged.minutes());
    if got == expected { Ok(()) } else { Err(Rejection::WrongMinutes { demand, got, expected }) }
}

fn verify_total_cost(header: &Header, report: &BatchReport) -> Result<(), Rejection> {
    let (got, expected) = (header.cost, report.cost);
    if got == expected { Ok(()) } else { Err(Rejection::WrongTotalCost { got, expected }) }
}

fn verify_reduced_cost(header: &Header, report: &BatchReport) -> Result<(), Rejection> {
    let (got, expected) = (header.reduced_cost, report.reduced_cost);
    if got == expected { Ok(()) } else { Err(Rejection::WrongReducedCost { got, expected }) }
}

fn verify_state_root(header: &Header, transition: &Transition<'_>) -> Result<(), Rejection> {
    let (got, expected) = (header.state_root, transition.state_root());
    if got == expected { Ok(()) } else { Err(Rejection::WrongStateRoot { got, expected }) }
}
