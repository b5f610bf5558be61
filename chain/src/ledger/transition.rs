//! What a batch does to a ledger, step by step: the one code path by which batches are validated, drafted
//! and explained. Claims of a header are compared elsewhere ([`crate::validate`]).
//!
//! Order of effects: freezes that are due, demands whose time has come by now, records, compositions staged against what is left
//! (`staging`), amendments likewise (`amending`), all valued at the offers and prices that the batch begins with
//! (`judging`); everything entered, price update. A transition works on a state of its own; dropping it leaves no trace.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use scenarios::{DualPrices, Money, Oracle, ProviderId, SharedSupply};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::defect::Defect;
use super::market::WorkMeter;
use super::market::amending::StagedAmendment;
use super::market::staging::Staged;
use super::market::{DemandStatus, Departed, MarketError};
use super::records::BringError;
use super::state::{Moment, State};
use crate::batch::PriceUpdate;
use crate::genesis::Network;
use crate::hash::Hash;
use crate::key::{Address, PublicKey};
use crate::record::{DemandId, Height, Record, RecordId, Statement};

/// What a batch brought and earned, for logs, tables and its miner.
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
    /// What it adds to their reduced cost; may be negative.
    pub reduced_cost: Money,
    /// Fees of the demands composed for the first time.
    pub fees: Money,
    /// What of the fees it earns, in ppm; 0 if it composes no open demand.
    pub reward_ppm: u64,
    /// What it earns for them, paid as they freeze.
    pub reward: Money,
    /// The least its demands asked for.
    pub required: Money,
    /// With a price update: the market's bound before.
    pub bound_before: Option<Money>,
    /// With a price update: the market's bound after.
    pub bound_after: Option<Money>,
    /// With a price update: what the bounty account paid for it.
    pub bounty: Money,
    /// Shortest-path steps it took to check.
    pub work: u64,
    /// Demands that left the market, as they left: settled first, by id, then expired, by expiry and id, then
    /// cancelled, in order of records. What becomes of them is history, which the state does not keep.
    #[serde(skip)]
    pub departed: Vec<Departed>,
}

/// A batch in the making or under scrutiny.
pub(crate) struct Transition<'a> {
    pub(super) network: &'a Network,
    pub(super) state: State,
    pub(super) at: Moment,
    pub(super) miner: Address,
    /// The offers that the batch begins with: what is composed is composed of these.
    pub(super) supply: &'a SharedSupply,
    oracle: OnceCell<Oracle<'a>>,
    /// The prices that the batch begins with: everything is valued at these.
    pub(super) prices: &'a DualPrices,
    /// Providers whose offers its records change.
    changed: BTreeSet<ProviderId>,
    pub(super) staged: Vec<Staged>,
    pub(super) amended: Vec<StagedAmendment>,
    pub(super) staged_ids: BTreeSet<DemandId>,
    pub(super) report: BatchReport,
}

impl<'a> Transition<'a> {
    /// The next height, at this time: freezes what is due and takes off the market what has expired.
    pub(crate) fn begin(ledger: &'a Ledger, miner: &PublicKey, timestamp_ms: u64) -> Result<Self, Defect> {
        let at = ledger.moment(timestamp_ms)?;
        let mut state = ledger.state.clone();
        let departed = state.leave_due(&ledger.network, at)?;
        let count = |is: fn(&DemandStatus) -> bool| {
            let those = departed.iter().filter(|(_, entry)| is(&entry.status));
            u32::try_from(those.count()).unwrap_or(u32::MAX)
        };
        let frozen = count(|status| matches!(status, DemandStatus::Frozen { .. }));
        let expired = count(|status| matches!(status, DemandStatus::Expired { .. }));
        let report = BatchReport { frozen, expired, departed, ..BatchReport::default() };
        Ok(Self {
            network: &ledger.network,
            state,
            at,
            miner: miner.address(),
            supply: ledger.supply(),
            oracle: OnceCell::new(),
            prices: ledger.prices(),
            changed: BTreeSet::new(),
            staged: Vec::new(),
            amended: Vec::new(),
            staged_ids: BTreeSet::new(),
            report,
        })
    }

    /// The oracle of the offers that the batch begins with; its tables are made only if it is asked.
    pub(super) fn oracle(&self) -> &Oracle<'a> {
        self.oracle.get_or_init(|| self.supply.oracle())
    }

    /// Lets a record take effect after those before it.
    pub(crate) fn bring(&mut self, record: &Record, id: RecordId) -> Result<(), BringError> {
        let departed = self.state.bring(self.network, self.at, record, id)?;
        self.report.departed.extend(departed);
        self.changed.extend(match &record.content.statement {
            Statement::Offer(_) | Statement::OfferWithdrawal => self.state.providers.id_of(record.author()),
            Statement::Demand(_) | Statement::DemandCancellation { .. } | Statement::Transfer { .. } => None,
        });
        self.report.records = self.report.records.saturating_add(1);
        Ok(())
    }

    /// Refuses the batch if checking it takes too much work: a shortest path per composed demand, and with
    /// a price update two per demand of the market.
    pub(crate) fn meter(
        &mut self,
        composed: impl Iterator<Item = DemandId>,
        reprices: bool,
    ) -> Result<(), MarketError> {
        let meter = WorkMeter::new(self.supply);
        let entries = composed.filter_map(|id| self.state.demands.get(id));
        let mut got = entries.fold(0_u64, |sum, entry| sum.saturating_add(meter.work(&entry.demand)));
        if reprices {
            let meter = WorkMeter::new(self.state.providers.supply());
            let market = self.state.demands.iter().map(|(_, entry)| &entry.demand);
            let pass = market.fold(0_u64, |sum, demand| sum.saturating_add(meter.work(demand)));
            got = got.saturating_add(pass.saturating_mul(2));
        }
        self.report.work = got;
        let expected = self.network.parameters().limits.verification_work;
        if got > expected { Err(MarketError::TooMuchWork { got, expected }) } else { Ok(()) }
    }

    /// Enters what is staged, then returns what deposits have too much.
    fn enter(&mut self) -> Result<(), Defect> {
        let mut left = std::mem::take(&mut self.changed);
        for staged in self.staged.iter().chain(self.amended.iter().flat_map(|set| &set.parts)) {
            let standing = staged.standing(self.miner, self.at);
            let clearing = staged.terms.clearing;
            if staged.is_first() {
                self.state.compose(staged.demand, standing, clearing)?;
            } else {
                self.state.recompose(staged.demand, standing, clearing)?;
            }
            left.extend(staged.entry.composition().into_iter().flat_map(|replaced| replaced.minutes.keys()));
        }
        self.state.release_deposits(&left)
    }

    /// Ends the batch: enters what is staged, puts new prices in force, and brings the state's tree up to date.
    pub(crate) fn end(&mut self, update: Option<&PriceUpdate>) -> Result<(), MarketError> {
        self.judge_whole()?;
        self.enter()?;
        if let Some(update) = update {
            self.reprice(update)?;
        }
        self.state.commit();
        Ok(())
    }

    /// The version of a demand's composition that stands now; 0 if none does.
    pub(crate) fn standing_version(&self, demand: DemandId) -> u32 {
        self.state.demands.get(demand).map_or(0, |entry| entry.version())
    }

    pub(crate) const fn height(&self) -> Height {
        self.at.height
    }

    pub(crate) const fn report(&self) -> &BatchReport {
        &self.report
    }

    pub(crate) fn staged(&self) -> &[Staged] {
        &self.staged
    }

    pub(crate) fn amended(&self) -> &[StagedAmendment] {
        &self.amended
    }

    /// The root of the state it leads to, once everything is entered.
    pub(crate) fn state_root(&self) -> Hash {
        self.state.root()
    }

    pub(crate) fn into_parts(self) -> (State, BatchReport) {
        (self.state, self.report)
    }
}
