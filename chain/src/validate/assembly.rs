//! Making batches: a validator puts waiting records and blocks together, as many as there is room for.

use std::collections::BTreeSet;

use super::draft::Drafted;
use super::effect::{Turn, take_effect};
use super::form::WellFormedBlock;
use super::rejection::{BlockError, Rejection};
use super::stateful::{accuse, bring, bring_records};
use crate::batch::{BatchKind, Contents, OVERHEAD_BYTES};
use crate::block::{Block, BlockHash, Replacement};
use crate::codec::encoded_len;
use crate::commitment::SignedCommitment;
use crate::consensus::DoubleVote;
use crate::key::PublicKey;
use crate::ledger::transition::{BatchReport, Transition};
use crate::ledger::{Ledger, MarketError};
use crate::record::{Height, Record};

/// What is to be put together into the next batch.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Assembly {
    /// Who puts it together.
    pub proposer: PublicKey,
    /// Milliseconds since the Unix epoch, above the head's.
    pub timestamp_ms: u64,
    /// The newest commitments, by height, whose blocks the proposer has had time to gather; 0 for none.
    pub turn: Height,
    /// Evidence, right by itself ([`DoubleVote::verify`]); what is new of it.
    pub evidence: Vec<DoubleVote>,
    /// Records, right by themselves ([`crate::validate::check_record`]), which take effect all together.
    pub records: Vec<Record>,
    /// Commitments, right by themselves ([`crate::validate::verify_commitment`]); those that may come, as far as there is
    /// room.
    pub commitments: Vec<SignedCommitment>,
    /// Blocks, right by themselves ([`WellFormedBlock`]); if there is not room for all, for the first ones.
    pub blocks: Vec<Block>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The batch, or the first rule that it would break: often that nothing is left that may come now.
    pub drafted: Result<Drafted, Rejection>,
    /// Blocks of which nothing would take effect in it, and why. Those that are neither here nor in the batch had no room.
    pub refused: Vec<(BlockHash, Rejection)>,
}

impl Ledger {
    /// Works out the next batch with these records and, of these blocks, those that have an effect.
    pub fn assemble(&self, assembly: Assembly) -> Assembled {
        let mut refused = Vec::new();
        let drafted = self.assemble_into(assembly, &mut refused);
        Assembled { drafted, refused }
    }

    fn assemble_into(
        &self,
        assembly: Assembly,
        refused: &mut Vec<(BlockHash, Rejection)>,
    ) -> Result<Drafted, Rejection> {
        let Assembly { proposer, timestamp_ms, turn: gathered, evidence, records, commitments, blocks } =
            assembly;
        let (got, expected) = (timestamp_ms, self.head().timestamp_ms);
        if got <= expected {
            return Err(Rejection::TimestampNotAboveParent { got, expected });
        }
        let parent = self.head().hash;
        if self.network().parameters().commit_reveal.is_some() {
            let blocks = self.those_revealable(blocks, refused);
            let blocks = self.those_with_room(&[], blocks, timestamp_ms);
            let mut contents = Contents { blocks, ..Contents::default() };
            self.add_records_and_commitments(&mut contents, records, commitments, timestamp_ms)?;
            self.add_evidence(&mut contents, evidence);
            let mut transition = Transition::begin(self, timestamp_ms)?;
            bring(&mut transition, (&proposer, gathered), &contents, parent)?;
            self.validate_interval(timestamp_ms, self.kind_of_contents(&contents), contents.is_empty())?;
            return self.drafted(transition, (proposer, gathered), contents, None);
        }
        let blocks = self.those_with_room(&records, blocks, timestamp_ms);
        let mut contents = Contents { records, blocks, ..Contents::default() };
        self.add_evidence(&mut contents, evidence);
        let Contents { evidence, records, mut blocks, .. } = contents;
        loop {
            let mut transition = Transition::begin(self, timestamp_ms)?;
            accuse(&mut transition, &evidence)?;
            bring_records(&mut transition, &records)?;
            let turn = Turn::InClear { blocks: &blocks, parent };
            let fates = take_effect(&mut transition, &turn)?;
            let useless: Vec<Option<Rejection>> = fates.iter().map(|fate| fate.refusal().cloned()).collect();
            if useless.iter().all(Option::is_none) {
                let contents = Contents { evidence, records, blocks, ..Contents::default() };
                self.validate_interval(timestamp_ms, contents.kind(), contents.is_empty())?;
                return self.drafted(transition, (proposer, 0), contents, None);
            }
            // What has no effect takes nothing from the others but time.
            let mut left = Vec::with_capacity(blocks.len());
            for (block, why) in blocks.into_iter().zip(useless) {
                match why {
                    None => left.push(block),
                    // There is too little time in this batch, and so no room.
                    Some(Rejection::Market(MarketError::TooMuchWork { .. })) => {}
                    Some(why) => refused.push((block.hash(), why)),
                }
            }
            blocks = left;
        }
    }

    /// Of this evidence the first that is new against each validator, as far as there is room beside everything else.
    fn add_evidence(&self, contents: &mut Contents, evidence: Vec<DoubleVote>) {
        let limit = usize::try_from(self.network().parameters().limits.batch_bytes).unwrap_or(usize::MAX);
        let used = encoded_len(contents).saturating_add(OVERHEAD_BYTES.into());
        let mut left = limit.saturating_sub(used);
        let mut validators = BTreeSet::new();
        for one in evidence {
            let is_new = self.validate_evidence(&one).is_ok() && !validators.contains(&one.validator);
            if let Some(fewer) = left.checked_sub(encoded_len(&one)).filter(|_| is_new) {
                left = fewer;
                validators.insert(one.validator);
                contents.evidence.push(one);
            }
        }
    }

    /// Of these blocks, those that may be revealed.
    fn those_revealable(&self, blocks: Vec<Block>, refused: &mut Vec<(BlockHash, Rejection)>) -> Vec<Block> {
        let mut revealable = Vec::with_capacity(blocks.len());
        for block in blocks {
            let name = block.hash();
            match self.validate_reveal(&block) {
                Ok(()) => revealable.push(block),
                Err(why) => {
                    refused.push((name, Rejection::Block { block: name, error: Box::new(why.into()) }));
                }
            }
        }
        revealable
    }

    /// What there is room for beside the blocks: records, half of that at most if there are commitments, and of these those
    /// that may come, one of each miner.
    fn add_records_and_commitments(
        &self,
        contents: &mut Contents,
        records: Vec<Record>,
        commitments: Vec<SignedCommitment>,
        timestamp_ms: u64,
    ) -> Result<(), Rejection> {
        let limits = &self.network().parameters().limits;
        let as_size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let used = encoded_len(contents).saturating_add(OVERHEAD_BYTES.into());
        let left = as_size(limits.batch_bytes).saturating_sub(used);
        let mut bytes = if commitments.is_empty() { left } else { left / 2 };
        for record in records {
            // Of one author each builds on the one before: after one without room none may come.
            let Some(fewer) = bytes.checked_sub(encoded_len(&record)) else { break };
            bytes = fewer;
            contents.records.push(record);
        }
        let mut bytes = left.saturating_sub(contents.records.iter().map(encoded_len).sum());
        let mut trial = Transition::begin(self, timestamp_ms)?;
        bring_records(&mut trial, &contents.records)?;
        let mut miners = BTreeSet::new();
        for signed in commitments {
            let Some(fewer) = bytes.checked_sub(encoded_len(&signed)) else { break };
            let has_room = miners.len() < as_size(limits.compositions_per_batch);
            let is_first = !miners.contains(&signed.commitment.miner);
            if has_room && is_first && trial.commit(&signed)?.is_ok() {
                bytes = fewer;
                miners.insert(signed.commitment.miner);
                contents.commitments.push(signed);
            }
        }
        Ok(())
    }

    /// The first of these blocks that a batch of these records has room for, but for those that are dated later.
    fn those_with_room(&self, records: &[Record], blocks: Vec<Block>, timestamp_ms: u64) -> Vec<Block> {
        let limits = &self.network().parameters().limits;
        let as_size = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let most = as_size(limits.compositions_per_batch);
        let mut compositions = most;
        let mut bytes = as_size(limits.batch_bytes).saturating_sub(OVERHEAD_BYTES.into());
        for record in records {
            bytes = bytes.saturating_sub(encoded_len(record));
        }
        let mut taken = Vec::new();
        let is_hidden = self.network().parameters().commit_reveal.is_some();
        for block in blocks.into_iter().filter(|block| is_hidden || block.dated_ms() <= timestamp_ms) {
            let left = bytes.checked_sub(encoded_len(&block));
            let left = left.zip(compositions.checked_sub(block.body.composed().count()));
            if let Some((fewer_bytes, fewer)) = left.filter(|_| taken.len() < most) {
                (bytes, compositions) = (fewer_bytes, fewer);
                taken.push(block);
            }
        }
        taken
    }

    /// What a block would do as the only one of the next batch.
    ///
    /// # Errors
    /// Why its first item would not take effect, if none does.
    pub fn try_block(&self, block: &WellFormedBlock, timestamp_ms: u64) -> Result<BatchReport, Rejection> {
        let mut transition = Transition::begin(self, timestamp_ms)?;
        let turn = Turn::InClear { blocks: std::slice::from_ref(block.block()), parent: self.head().hash };
        let fates = take_effect(&mut transition, &turn)?;
        match fates.iter().find_map(|fate| fate.refusal()) {
            Some(why) => Err(why.clone()),
            None => Ok(transition.into_parts().1),
        }
    }

    /// Whether a waiting block may have its turn in the next batch: a glance, which checks no path.
    ///
    /// # Errors
    /// Why not: its anchor, that it has had its turn, or why its first item does not stand any more, if none does.
    pub fn validate_waiting(&self, block: &Block) -> Result<(), Rejection> {
        let name = block.hash();
        let refuse = |error| Rejection::Block { block: name, error: Box::new(error) };
        if self.network().parameters().commit_reveal.is_some() {
            return self.validate_reveal(block).map_err(|error| refuse(error.into()));
        }
        let got = block.header().anchor;
        if !self.is_anchor(got) {
            let window_ms = self.network().parameters().anchor_window_ms;
            return Err(refuse(BlockError::NoAnchor { got, window_ms }));
        }
        if self.was_brought(name) {
            return Err(refuse(BlockError::BroughtBefore));
        }
        if block.body.price_update.is_some() {
            return Ok(());
        }
        let mut first = None;
        let compositions = block.body.compositions.iter();
        let compositions = compositions.map(|composition| self.validate_open(composition.demand));
        let amendments = block.body.amendments.iter();
        let amendments = amendments
            .map(|amendment| amendment.parts.iter().try_for_each(|part| self.validate_version(part)));
        for stands in compositions.chain(amendments) {
            match stands {
                Ok(()) => return Ok(()),
                Err(why) => first = first.or(Some(why)),
            }
        }
        first.map_or(Ok(()), |why| Err(why.into()))
    }

    /// Whether what a part of an amendment replaces is what stands.
    fn validate_version(&self, part: &Replacement) -> Result<(), MarketError> {
        let demand = part.composition.demand;
        let entry = self.demand(demand).ok_or(MarketError::UnknownDemand { demand })?;
        let (got, expected) = (part.replaces, entry.version());
        if got == expected { Ok(()) } else { Err(MarketError::StaleAmendment { demand, got, expected }) }
    }

    /// From when on a batch may come that brings this block and nothing more urgent: milliseconds since the Unix epoch.
    pub fn brings_from_ms(&self, block: &Block) -> u64 {
        let is_hidden = self.network().parameters().commit_reveal.is_some();
        self.soonest_ms(if is_hidden { BatchKind::Composing } else { block.body.kind() })
            .max(block.dated_ms())
    }

    /// From when on a batch of this kind may follow the head: milliseconds since the Unix epoch.
    pub fn soonest_ms(&self, kind: BatchKind) -> u64 {
        let parameters = self.network().parameters();
        let interval_ms = match kind {
            BatchKind::Composing => 1,
            BatchKind::Amending => parameters.amendment_interval_ms,
            BatchKind::Quiet => parameters.quiet_batch_interval_ms,
        };
        self.head().timestamp_ms.saturating_add(interval_ms.max(1))
    }
}
