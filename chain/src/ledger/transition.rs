//! What a batch does to a ledger, step by step: the one code path by which batches are validated, drafted
//! and explained. What is claimed is compared elsewhere ([`crate::validate`]), where it is also decided in which order
//! the items of blocks come.
//!
//! Order of effects: freezes that are due, demands whose time has come by now, evidence, records, commitments and blocks that
//! are revealed, compositions staged against what is left
//! (`staging`), amendments likewise (`amending`), all valued at the offers and prices that the batch begins with
//! (`judging`); everything entered, price update. A transition works on a state of its own; dropping it leaves no trace.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use scenarios::parameters::{Allocation, CommitReveal};
use scenarios::{DualPrices, Money, Oracle, ProviderId, SharedSupply};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::cohorts::{Cohort, CommitmentError, RevealError};
use super::defect::Defect;
use super::market::WorkMeter;
use super::market::amending::StagedAmendment;
use super::market::settle::Passed;
use super::market::staging::Staged;
use super::market::{DemandStatus, Departed, MarketError, Standing};
use super::records::BringError;
use super::state::{Moment, State};
use crate::batch::BatchHash;
use crate::block::{Block, BlockHash, Header};
use crate::codec::encode;
use crate::commitment::SignedCommitment;
use crate::consensus::{DoubleVote, EvidenceError};
use crate::genesis::Network;
use crate::key::{Address, PublicKey};
use crate::record::{DemandId, Height, Record, RecordId};
use crate::schedule::Measure;
use crate::validate::Rejection;

/// An item of a block that does not take effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Dropped {
    /// Its position among the block's items.
    pub item: u32,
    /// The rule that it breaks.
    pub rule: String,
    /// The rule, got and expected, in words.
    pub reason: String,
}

/// What became of a block that a batch brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct BlockOutcome {
    pub block: BlockHash,
    pub miner: PublicKey,
    /// How many items it has.
    pub items: u32,
    /// Those that do not take effect, in order.
    pub dropped: Vec<Dropped>,
    /// Demands that it composes for the first time, by themselves or in amendments.
    pub compositions: u32,
    /// Demands that it re-composes.
    pub replaced: u32,
    /// What it adds to the cost of composed demands; may be negative.
    pub cost: Money,
    /// What it earns, paid as its demands freeze.
    pub reward: Money,
}

impl BlockOutcome {
    /// Of a block that takes effect with all its items; what that comes to is not counted yet.
    pub(crate) fn of_whole(header: &Header) -> Self {
        Self {
            block: header.hash(),
            miner: header.miner,
            items: header.item_count,
            dropped: Vec::new(),
            compositions: 0,
            replaced: 0,
            cost: Money::ZERO,
            reward: Money::ZERO,
        }
    }

    /// What the outcomes' Merkle tree holds of it: the block's name, and position and rule of each item that was dropped.
    pub fn leaf(&self) -> Vec<u8> {
        let dropped: Vec<(u32, &str)> =
            self.dropped.iter().map(|one| (one.item, one.rule.as_str())).collect();
        encode(&(self.block, dropped))
    }
}

/// What a batch brought and earned, for logs and tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct BatchReport {
    pub records: u32,
    /// Demands composed for the first time, by themselves or in amendments.
    pub compositions: u32,
    /// Their orders.
    pub orders: u64,
    /// Earlier compositions frozen and settled.
    pub frozen: u32,
    /// Open demands whose time had come.
    pub expired: u32,
    /// Amendments.
    pub amendments: u32,
    /// Demands they re-composed.
    pub replaced: u32,
    pub saving: Money,
    /// What re-composed demands became dearer by to make room, charged to those composed there.
    pub displacement: Money,
    /// What it adds to the cost of composed demands; may be negative.
    pub cost: Money,
    /// What it adds to their reduced cost; may be negative. At the end of the range of money if it is beyond.
    pub reduced_cost: Money,
    /// What there is to earn for the demands composed for the first time.
    pub fees: Money,
    /// What of the fees it earns, the share of the prices' authors included, in ppm; 0 if it composes no open demand.
    pub reward_ppm: u64,
    /// What it earns for them, paid as they freeze.
    pub reward: Money,
    /// The least its demands asked for.
    pub required: Money,
    /// With a price update: the market's bound before.
    pub bound_before: Option<Money>,
    /// With a price update: the market's bound after.
    pub bound_after: Option<Money>,
    /// What the authors of the prices got of the fees.
    pub price_share: Money,
    /// Providers whose offers are others after it.
    #[serde(default)]
    pub changed_offers: u32,
    /// Periods that could be planned before it and cannot any more; as many can be now that could not.
    #[serde(default)]
    pub periods_over: u32,
    /// Shortest-path steps it took to check.
    pub work: u64,
    /// What became of each block that took effect, in order: those it brings, or those of a cohort.
    pub blocks: Vec<BlockOutcome>,
    /// Validators, by position, whom it shows to have voted twice.
    #[serde(default)]
    pub accused: Vec<u16>,
    /// Commitments that it brings.
    #[serde(default)]
    pub committed: u32,
    /// Blocks that it reveals, to take effect with their cohorts.
    #[serde(default)]
    pub revealed: u32,
    /// Blocks of the cohort that took effect which nobody has revealed: their commitments are gone.
    #[serde(default)]
    pub unrevealed: Vec<BlockHash>,
    /// Demands that left the market, as they left: settled first, by id, then expired, by expiry and id, then
    /// cancelled, in order of records. What becomes of them is history, which the state does not keep.
    #[serde(skip)]
    pub departed: Vec<Departed>,
}

impl BatchReport {
    /// Counts reduced cost. Prices are whatever somebody made them, so that the sum may leave the range of money; it is for
    /// tables only.
    pub(crate) fn add_reduced_cost(&mut self, added: Money) {
        let sum = self.reduced_cost.micros().saturating_add(added.micros());
        self.reduced_cost = Money::from_micros(sum);
    }
}

/// Whose an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct By {
    /// The position of the block in its batch.
    pub(crate) block: usize,
    /// Its miner.
    pub(crate) miner: Address,
}

/// What can be taken back of a transition: all but what is known from its beginning.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    state: State,
    staged: usize,
    amended: usize,
    staged_ids: BTreeSet<DemandId>,
    report: BatchReport,
}

/// A batch in the making or under scrutiny.
pub(crate) struct Transition<'a> {
    pub(super) network: &'a Network,
    pub(super) state: State,
    pub(super) at: Moment,
    /// The offers that the batch begins with: what is composed is composed of these.
    pub(super) supply: SharedSupply,
    oracle: OnceCell<Oracle<'static>>,
    /// Those of them that it begins to value by.
    valued: SharedSupply,
    valued_oracle: OnceCell<Oracle<'static>>,
    /// The prices that the batch begins with: everything is valued at these.
    pub(super) prices: Arc<DualPrices>,
    /// Providers whose offers its records change.
    changed: BTreeSet<ProviderId>,
    /// The market's bound at the prices in force, once a price update asked for it.
    pub(super) bound: Option<Money>,
    pub(super) staged: Vec<Staged>,
    pub(super) amended: Vec<StagedAmendment>,
    pub(super) staged_ids: BTreeSet<DemandId>,
    pub(super) report: BatchReport,
}

impl<'a> Transition<'a> {
    /// The next height, at this time: moves on through the calendar, freezes what is due and takes off the market what has expired.
    pub(crate) fn begin(ledger: &'a Ledger, timestamp_ms: u64) -> Result<Self, Defect> {
        let at = ledger.moment(timestamp_ms)?;
        let mut state = ledger.state.clone();
        state.anchors.follow(&ledger.head, ledger.network.parameters().anchor_window_ms);
        state.move_on(&ledger.network, at);
        let providers = &state.providers;
        let (supply, valued) = (providers.supply().clone(), providers.valued().clone());
        let prices = providers.shared_prices();
        let Passed { departed, changed } = state.leave_due(&ledger.network, at)?;
        let count = |is: fn(&DemandStatus) -> bool| {
            let those = departed.iter().filter(|(_, entry)| is(&entry.status));
            u32::try_from(those.count()).unwrap_or(u32::MAX)
        };
        let frozen = count(|status| matches!(status, DemandStatus::Frozen { .. }));
        let expired = count(|status| matches!(status, DemandStatus::Expired { .. }));
        let periods_over = supply.horizon.first.since(ledger.supply().horizon.first);
        let report = BatchReport { frozen, expired, periods_over, departed, ..BatchReport::default() };
        Ok(Self {
            network: &ledger.network,
            state,
            at,
            supply,
            oracle: OnceCell::new(),
            valued,
            valued_oracle: OnceCell::new(),
            prices,
            changed,
            bound: None,
            staged: Vec::new(),
            amended: Vec::new(),
            staged_ids: BTreeSet::new(),
            report,
        })
    }

    /// The oracle of the offers that the batch begins with; its tables are made only if it is asked.
    pub(super) fn oracle(&self) -> &Oracle<'static> {
        self.oracle.get_or_init(|| self.supply.own_oracle())
    }

    /// The oracle of the offers that compositions are valued by.
    pub(super) fn valued_oracle(&self) -> &Oracle<'static> {
        self.valued_oracle.get_or_init(|| self.valued.own_oracle())
    }

    /// Whether compositions are valued by all offers.
    pub(super) fn is_all_valued(&self) -> bool {
        self.supply.is_same(&self.valued)
    }

    /// Lets a record take effect after those before it.
    pub(crate) fn bring(&mut self, record: &Record, id: RecordId) -> Result<(), BringError> {
        let done = self.state.bring(self.network, self.at, record, id)?;
        self.report.departed.extend(done.departed);
        self.changed.extend(done.changed);
        self.report.records = self.report.records.saturating_add(1);
        Ok(())
    }

    /// How much work a block's compositions are to check: a shortest path each.
    pub(crate) fn work_of(&self, composed: impl Iterator<Item = DemandId>) -> u64 {
        let meter = WorkMeter::new(&self.supply);
        let entries = composed.filter_map(|id| self.state.demands.get(id));
        entries.fold(0_u64, |sum, entry| sum.saturating_add(meter.work(&entry.demand)))
    }

    /// Whether a batch that checks nothing else has time to check a block's compositions.
    pub(crate) fn has_time_for(&self, block: &Block) -> bool {
        let work = self.work_of(block.body.composed().map(|composition| composition.demand));
        work <= self.network.parameters().limits.verification_work
    }

    /// How much work it takes to find the bound of the market at some prices: a shortest path per demand.
    pub(super) fn work_of_pass(&self) -> u64 {
        let meter = WorkMeter::new(self.state.providers.supply());
        let market = self.state.demands.iter().map(|(_, entry)| &entry.demand);
        market.fold(0_u64, |sum, demand| sum.saturating_add(meter.work(demand)))
    }

    /// Takes so much work more into account.
    ///
    /// # Errors
    /// If checking the batch would then take too much; nothing has changed then.
    pub(crate) fn spend(&mut self, work: u64) -> Result<(), MarketError> {
        let got = self.report.work.saturating_add(work);
        let expected = self.network.parameters().limits.verification_work;
        if got > expected {
            return Err(MarketError::TooMuchWork { got, expected });
        }
        self.report.work = got;
        Ok(())
    }

    /// The time of an anchor of blocks, in milliseconds since the Unix epoch.
    pub(crate) fn anchor_ms(&self, anchor: BatchHash) -> Option<u64> {
        self.state.anchors.time_of(anchor)
    }

    /// Whether an earlier batch, or this one, has brought a block.
    pub(crate) fn was_brought(&self, block: BlockHash) -> bool {
        self.state.anchors.brought(block.0).is_some()
    }

    /// A block on this anchor has its turn.
    pub(crate) fn bring_block(&mut self, block: BlockHash, anchor_ms: u64) {
        self.state.anchors.bring(block.0, anchor_ms);
    }

    /// Notes evidence, right by itself.
    pub(crate) fn accuse(&mut self, evidence: &DoubleVote) -> Result<(), EvidenceError> {
        self.state.accused.validate(evidence, self.at.height)?;
        self.state.accused.accuse(evidence, self.at.height);
        self.report.accused.push(evidence.validator);
        Ok(())
    }

    /// Whether blocks are committed to before they are revealed, and how.
    pub(crate) const fn commit_reveal(&self) -> Option<CommitReveal> {
        self.network.parameters().commit_reveal
    }

    /// Lets a commitment take effect after those before it: its miner pays, and its block may be revealed.
    pub(crate) fn commit(
        &mut self,
        signed: &SignedCommitment,
    ) -> Result<Result<(), CommitmentError>, Defect> {
        let got = signed.commitment.anchor;
        let Some(anchor_ms) = self.anchor_ms(got) else {
            let window_ms = self.network.parameters().anchor_window_ms;
            return Ok(Err(CommitmentError::NoAnchor { got, window_ms }));
        };
        if let Err(error) = self.state.validate_commitment(self.network, signed) {
            return Ok(Err(error));
        }
        self.state.commit_to(self.network, self.at, signed, anchor_ms)?;
        self.report.committed = self.report.committed.saturating_add(1);
        Ok(Ok(()))
    }

    /// A block is revealed: it takes effect with its cohort.
    pub(crate) fn reveal(&mut self, block: &Block) -> Result<Result<(), RevealError>, Defect> {
        let height = match self.state.cohorts.validate_reveal(block) {
            Ok(height) => height,
            Err(error) => return Ok(Err(error)),
        };
        self.state.cohorts.reveal(height, block.clone())?;
        self.report.revealed = self.report.revealed.saturating_add(1);
        Ok(Ok(()))
    }

    /// Its proposer has had a turn to bring blocks: the cohort that takes effect now, if one does.
    pub(crate) fn take_turn(&mut self, proposer: &PublicKey, turn: Height) -> Option<(Height, Arc<Cohort>)> {
        let validators = self.network.validators();
        if let Some(validator) = validators.index_of(proposer) {
            self.state.cohorts.take_turn(validator, turn);
        }
        let due = self.state.cohorts.take_due(validators)?;
        self.report.unrevealed = due.1.unrevealed().map(|commitment| commitment.block).collect();
        Some(due)
    }

    /// What these miners revealed of a cohort takes effect with the next batch.
    pub(crate) fn put_back(&mut self, height: Height, cohort: &Cohort, miners: &[PublicKey]) {
        self.state.cohorts.put_back(height, cohort, miners);
    }

    /// Whether a block takes effect whole or not at all: in dedicated allocation, and by the measures of paper A.
    pub(crate) fn takes_effect_whole(&self) -> bool {
        let parameters = self.network.parameters();
        parameters.allocation == Allocation::Dedicated
            || matches!(parameters.schedule.measure, Measure::Paper { .. })
    }

    /// To come back to, should a block not take effect as a whole.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            state: self.state.clone(),
            staged: self.staged.len(),
            amended: self.amended.len(),
            staged_ids: self.staged_ids.clone(),
            report: self.report.clone(),
        }
    }

    /// As if nothing had happened since.
    pub(crate) fn restore(&mut self, checkpoint: Checkpoint) {
        let Checkpoint { state, staged, amended, staged_ids, report } = checkpoint;
        (self.state, self.staged_ids, self.report) = (state, staged_ids, report);
        self.staged.truncate(staged);
        self.amended.truncate(amended);
    }

    /// Enters what is staged, pays the authors of the prices, then returns what deposits have too much.
    fn enter(&mut self) -> Result<(), Defect> {
        let mut left = std::mem::take(&mut self.changed);
        self.report.changed_offers = u32::try_from(left.len()).unwrap_or(u32::MAX);
        for staged in self.staged.iter().chain(self.amended.iter().flat_map(|set| &set.parts)) {
            let standing = staged.standing(staged.by.miner, self.at);
            let clearing = staged.terms.clearing;
            if staged.is_first() {
                self.state.compose(staged.demand, standing, clearing, staged.award)?;
            } else {
                self.state.recompose(staged.demand, standing, clearing)?;
            }
            left.extend(staged.entry.composition().into_iter().flat_map(|replaced| replaced.owed.keys()));
        }
        self.state.pay_for_prices(self.report.price_share)?;
        self.state.release_deposits(&left)
    }

    /// Enters everything that is staged.
    pub(crate) fn close(&mut self) -> Result<(), Defect> {
        let paid = self.report.reward.checked_add(self.report.price_share).ok_or(Defect::Totals)?;
        self.report.reward_ppm = share_of(paid, self.report.fees);
        self.enter()
    }

    /// Ends the batch: brings the state's tree up to date, and says what became of its blocks.
    pub(crate) fn end(&mut self, mut blocks: Vec<BlockOutcome>) -> Result<(), Defect> {
        for staged in self.staged.iter().chain(self.amended.iter().flat_map(|set| &set.parts)) {
            let outcome = blocks.get_mut(staged.by.block).ok_or(Defect::Totals)?;
            let is_first = staged.is_first();
            let count = if is_first { &mut outcome.compositions } else { &mut outcome.replaced };
            *count = count.saturating_add(1);
            let before = staged.entry.composition().map_or(Money::ZERO, |replaced| replaced.cost);
            let added = staged.evaluation.cost().checked_sub(before).ok_or(Defect::Totals)?;
            outcome.cost = outcome.cost.checked_add(added).ok_or(Defect::Totals)?;
            outcome.reward = outcome.reward.checked_add(staged.award.earned).ok_or(Defect::Totals)?;
        }
        self.report.blocks = blocks;
        self.state.commit();
        Ok(())
    }

    /// The version of a demand's composition that stands now; 0 if none does.
    pub(crate) fn standing_version(&self, demand: DemandId) -> u32 {
        self.state.demands.get(demand).map_or(0, |entry| entry.version())
    }

    /// What stands of a demand.
    pub(crate) fn standing(&self, demand: DemandId) -> Option<&Standing> {
        self.state.demands.get(demand)?.composition()
    }

    /// A refusal in words, with names.
    pub(crate) fn explain(&self, why: &Rejection) -> String {
        self.state.explain_rejection(why)
    }

    pub(crate) const fn network(&self) -> &Network {
        self.network
    }

    pub(crate) const fn height(&self) -> Height {
        self.at.height
    }

    pub(crate) const fn timestamp_ms(&self) -> u64 {
        self.at.timestamp_ms
    }

    pub(crate) fn staged(&self) -> &[Staged] {
        &self.staged
    }

    pub(crate) fn amended(&self) -> &[StagedAmendment] {
        &self.amended
    }

    pub(crate) fn into_parts(self) -> (State, BatchReport) {
        (self.state, self.report)
    }
}

/// What of the fees is earned, in ppm, floored.
fn share_of(reward: Money, fees: Money) -> u64 {
    let scaled = i128::from(reward.micros()).saturating_mul(1_000_000);
    let share = scaled.checked_div(i128::from(fees.micros())).unwrap_or(0);
    u64::try_from(share).unwrap_or(0)
}
