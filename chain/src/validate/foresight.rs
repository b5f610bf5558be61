//! The market as it will be: what is committed to and known has taken effect. A miner composes on it while it waits.

use super::effect::{Turn, take_effect};
use crate::block::{Block, BlockHash};
use crate::hash::Hash;
use crate::ledger::transition::Transition;
use crate::ledger::{Defect, Ledger};

impl Ledger {
    /// What becomes of this ledger once the cohorts that wait have taken effect, the oldest first, with the blocks that are
    /// revealed and those of `known` that they commit to; then the rest of `known`, one after the other. All of it at the
    /// present head, and as if at this time (milliseconds since the Unix epoch, above the head's).
    #[must_use]
    pub fn foresee(&self, known: &[Block], timestamp_ms: u64) -> Self {
        let name_of = |block: &Block| (block.hash(), block.clone());
        let mut known: Vec<(BlockHash, Block)> = known.iter().map(name_of).collect();
        let mut foreseen = self.clone();
        // What a batch has time to check is foreseen, and no more: this is looked at after every batch.
        let mut work = self.network().parameters().limits.verification_work;
        for (_, cohort) in self.cohorts() {
            let mut blocks: Vec<Block> = cohort.revealed().map(|block| Block::clone(block)).collect();
            for commitment in cohort.unrevealed() {
                if let Some(at) = known.iter().position(|(name, _)| *name == commitment.block) {
                    blocks.push(known.remove(at).1);
                }
            }
            known.retain(|(name, _)| cohort.revealed().all(|block| block.hash() != *name));
            foreseen = foreseen.after(&blocks, timestamp_ms, &mut work).unwrap_or(foreseen);
        }
        for (_, block) in known {
            foreseen = foreseen.after(&[block], timestamp_ms, &mut work).unwrap_or(foreseen);
        }
        foreseen
    }

    /// The ledger in which these blocks have taken effect, at the same head.
    fn after(&self, blocks: &[Block], timestamp_ms: u64, work: &mut u64) -> Result<Self, Defect> {
        if blocks.is_empty() || *work == 0 {
            return Ok(self.clone());
        }
        let mut transition = Transition::begin(self, timestamp_ms)?;
        let turn = Turn::Foreseen { blocks, seed: Hash::ZERO };
        take_effect(&mut transition, &turn)?;
        let (mut state, report) = transition.into_parts();
        *work = work.saturating_sub(report.work);
        state.halted_ms = self.state.halted_ms;
        Ok(Self { network: self.network.clone(), head: self.head, state })
    }
}
