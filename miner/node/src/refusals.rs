//! What people are told about blocks and batches that are refused. Whoever can make a node write can fill its log, so of
//! strangers' blocks that wait in vain only few are explained.

use chain::{Batch, Block, Ledger, Rejection};

use super::event::NodeEvent;

/// Blocks of strangers explained that waited in vain, per height.
const OF_STRANGERS: usize = 4;

/// What was told at one height.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    strangers: usize,
}

impl Refusals {
    /// A block waits no longer: what to say about it, if anything.
    pub(super) fn tell(
        &mut self,
        block: &Block,
        why: &Rejection,
        ledger: &Ledger,
        is_stranger: bool,
    ) -> Option<NodeEvent> {
        if is_stranger && self.strangers >= OF_STRANGERS {
            return None;
        }
        self.strangers = self.strangers.saturating_add(usize::from(is_stranger));
        Some(Self::of_block(block, why, ledger))
    }

    /// Nothing of a block would take effect.
    pub(super) fn of_block(block: &Block, why: &Rejection, ledger: &Ledger) -> NodeEvent {
        NodeEvent::BlockRefused {
            block: block.hash(),
            miner: block.miner(),
            demands: block.body.compositions.len(),
            amended: block.body.replacements().count(),
            rule: why.rule().to_owned(),
            reason: ledger.explain(why),
        }
    }

    /// An authentic batch breaks a rule.
    pub(super) fn of_batch(batch: &Batch, why: &Rejection) -> NodeEvent {
        NodeEvent::BatchRefused {
            batch: batch.hash(),
            height: batch.header.height,
            proposer: batch.header.proposer,
            rule: why.rule().to_owned(),
            reason: why.to_string(),
        }
    }
}
