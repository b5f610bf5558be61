//! What people are told about batches that lost: which rule they would break by now. Whoever can make a node write can
//! fill its log, so of strangers' batches only few are explained.

use std::collections::BTreeSet;

use chain::ledger::MarketError;
use chain::validate::draft::Admissible;
use chain::{Batch, BatchHash, DemandId, Ledger, Rejection};
use scenarios::ProviderId;

use super::candidates::{Candidate, Room};
use super::event::NodeEvent;

/// Batches explained that came after their height was decided, per height.
const LATE: usize = 8;
/// Batches of strangers explained that lost a height, per height.
const OF_STRANGERS: usize = 4;

/// The late batches of the last height that were explained, for each is explained once.
#[derive(Debug, Default)]
pub(super) struct LateBatches(BTreeSet<BatchHash>);

impl LateBatches {
    /// Whether one more may be explained.
    pub(super) fn has_room_for(&self, batch: &BatchHash) -> bool {
        self.0.len() < LATE && !self.0.contains(batch)
    }

    /// An authentic late batch is explained.
    pub(super) fn note(&mut self, batch: BatchHash) {
        self.0.insert(batch);
    }
}

/// Why these batches, in order of name, do not go on the new head; batches that compose nothing need no word.
pub(super) fn explain_losers(ledger: &Ledger, losers: impl Iterator<Item = Candidate>) -> Vec<NodeEvent> {
    let (mut events, mut strangers) = (Vec::new(), 0);
    for Candidate { origin, valid, .. } in losers {
        let is_stranger = origin.room == Room::Stranger;
        if valid.batch().contents.is_quiet() || (is_stranger && strangers >= OF_STRANGERS) {
            continue;
        }
        strangers += usize::from(is_stranger);
        events.push(explain(ledger, valid.batch()));
    }
    events
}

/// Why a batch that lost its height does not simply go on the new head.
pub(super) fn explain(ledger: &Ledger, batch: &Batch) -> NodeEvent {
    let proposals: Vec<(DemandId, Vec<ProviderId>)> =
        batch.contents.compositions().map(|c| (c.demand, c.providers.clone())).collect();
    let Admissible { refused, early, .. } =
        ledger.admissible(&batch.header.proposer, batch.header.timestamp_ms, &proposals);
    let stale = batch.contents.replacements().find_map(|part| {
        let demand = part.composition.demand;
        let Some(entry) = ledger.demand(demand) else {
            return Some(MarketError::UnknownDemand { demand }.into());
        };
        let (got, expected) = (part.replaces, entry.version());
        (got != expected).then(|| MarketError::StaleAmendment { demand, got, expected }.into())
    });
    let early = early.first().map(|early| &early.rejection);
    if let Some(rejection) = refused.first().map(|(_, rejection)| rejection).or(early).or(stale.as_ref()) {
        return refusal(batch, rejection);
    }
    let reason = format!(
        "another batch was voted onto height {}; nothing in this one conflicts with it, so its miner can send it \
         again on the new head",
        batch.header.height
    );
    refusal_by_rule(batch, "superseded", reason)
}

/// An authentic batch breaks a rule.
pub(super) fn refusal(batch: &Batch, rejection: &Rejection) -> NodeEvent {
    refusal_by_rule(batch, rejection.rule(), rejection.to_string())
}

fn refusal_by_rule(batch: &Batch, rule: &str, reason: String) -> NodeEvent {
    NodeEvent::BatchRefused {
        batch: batch.hash(),
        height: batch.header.height,
        miner: batch.header.proposer,
        demands: batch.contents.compositions().count(),
        amended: batch.contents.replacements().count(),
        rule: rule.to_owned(),
        reason,
    }
}
