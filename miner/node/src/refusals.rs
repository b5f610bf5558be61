//! What people are told about blocks that lost: which rule they would break by now. Whoever can make a node write can
//! fill its log, so of strangers' blocks only few are explained.

use std::collections::BTreeSet;

use chain::ledger::MarketError;
use chain::validate::draft::Admissible;
use chain::{Block, BlockHash, DemandId, Ledger, Rejection};
use scenarios::ProviderId;

use super::candidates::{Candidate, Room};
use super::event::NodeEvent;

/// Blocks explained that came after their height was decided, per height.
const LATE: usize = 8;
/// Blocks of strangers explained that lost a height, per height.
const OF_STRANGERS: usize = 4;

/// The late blocks of the last height that were explained, for each is explained once.
#[derive(Debug, Default)]
pub(super) struct LateBlocks(BTreeSet<BlockHash>);

impl LateBlocks {
    /// Whether one more may be explained.
    pub(super) fn has_room_for(&self, block: &BlockHash) -> bool {
        self.0.len() < LATE && !self.0.contains(block)
    }

    /// An authentic late block is explained.
    pub(super) fn note(&mut self, block: BlockHash) {
        self.0.insert(block);
    }
}

/// Why these blocks, in order of name, do not go on the new head; blocks that compose nothing need no word.
pub(super) fn explain_losers(ledger: &Ledger, losers: impl Iterator<Item = Candidate>) -> Vec<NodeEvent> {
    let (mut events, mut strangers) = (Vec::new(), 0);
    for Candidate { origin, valid, .. } in losers {
        let is_stranger = origin.room == Room::Stranger;
        if valid.block().body.is_quiet() || (is_stranger && strangers >= OF_STRANGERS) {
            continue;
        }
        strangers += usize::from(is_stranger);
        events.push(explain(ledger, valid.block()));
    }
    events
}

/// Why a block that lost its height does not simply go on the new head.
pub(super) fn explain(ledger: &Ledger, block: &Block) -> NodeEvent {
    let proposals: Vec<(DemandId, Vec<ProviderId>)> =
        block.body.compositions.iter().map(|c| (c.demand, c.providers.clone())).collect();
    let Admissible { refused, early, .. } =
        ledger.admissible(&block.header.miner, block.header.timestamp_ms, &proposals);
    let stale = block.body.replacements().find_map(|part| {
        let demand = part.composition.demand;
        let Some(entry) = ledger.demand(demand) else {
            return Some(MarketError::UnknownDemand { demand }.into());
        };
        let (got, expected) = (part.replaces, entry.version());
        (got != expected).then(|| MarketError::StaleAmendment { demand, got, expected }.into())
    });
    let early = early.first().map(|early| &early.rejection);
    if let Some(rejection) = refused.first().map(|(_, rejection)| rejection).or(early).or(stale.as_ref()) {
        return refusal(block, rejection);
    }
    let reason = format!(
        "another block was voted onto height {}; nothing in this one conflicts with it, so its miner can send it \
         again on the new head",
        block.header.height
    );
    refusal_by_rule(block, "superseded", reason)
}

/// An authentic block breaks a rule.
pub(super) fn refusal(block: &Block, rejection: &Rejection) -> NodeEvent {
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
