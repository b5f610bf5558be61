//! The demands of the market, open or composed, and what of them the passing of time is about. A demand
//! that is settled, cancelled or expired leaves; what became of it is history, not state.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use scenarios::{Money, Period};
use serde::{Deserialize, Serialize};

use super::entry::{DemandEntry, DemandStatus, Standing};
use super::error::MarketError;
use crate::genesis::{Genesis, Parameters};
use crate::ledger::defect::Defect;
use crate::ledger::root::StateKey;
use crate::ledger::state::Moment;
use crate::record::DemandId;

/// A demand that left the market, as it left.
pub type Departed = (DemandId, Arc<DemandEntry>);

/// How many demands came and left; no number ever falls. Those of the market are
/// `seen - settled - cancelled - expired`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemandTotals {
    /// Brought by records.
    pub seen: u64,
    /// Settled.
    pub settled: u64,
    /// Taken back by their authors.
    pub cancelled: u64,
    /// Still open when their time had come.
    pub expired: u64,
}

/// When compositions freeze.
#[derive(Clone, Copy, Debug)]
enum Freezing {
    /// So long after the first, in milliseconds of market time.
    After(u64),
    /// When their first period cannot be planned any more: so long before it begins, in milliseconds of batch time.
    Before { start_ms: u64, period_ms: u64, frozen_zone_ms: u64 },
}

/// All demands of the market. Cloning shares what is large.
#[derive(Clone, Debug)]
pub(crate) struct Demands {
    entries: RedBlackTreeMapSync<DemandId, Arc<DemandEntry>>,
    /// The composed ones, by the time at which they freeze.
    due: RedBlackTreeSetSync<(u64, DemandId)>,
    /// The open ones, by the market time at which they came.
    open: RedBlackTreeSetSync<(u64, DemandId)>,
    /// The open ones, by the time at which they expire.
    expiring: RedBlackTreeSetSync<(u64, DemandId)>,
    totals: DemandTotals,
    freezing: Freezing,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Demands {
    pub(in crate::ledger) fn new(genesis: &Genesis) -> Self {
        let Parameters { freeze_after_ms, period_ms, frozen_zone_ms, .. } = genesis.parameters;
        let start_ms = genesis.calendar_start_ms;
        Self {
            entries: RedBlackTreeMapSync::new_sync(),
            due: RedBlackTreeSetSync::new_sync(),
            open: RedBlackTreeSetSync::new_sync(),
            expiring: RedBlackTreeSetSync::new_sync(),
            totals: DemandTotals::default(),
            freezing: match genesis.horizon.period_minutes {
                None => Freezing::After(freeze_after_ms),
                Some(_) => Freezing::Before { start_ms, period_ms, frozen_zone_ms },
            },
            touched: BTreeSet::new(),
        }
    }

    pub(in crate::ledger) fn get(&self, id: DemandId) -> Option<&Arc<DemandEntry>> {
        self.entries.get(&id)
    }

    /// One that is open.
    pub(in crate::ledger) fn open(&self, demand: DemandId) -> Result<&Arc<DemandEntry>, MarketError> {
        let entry = self.get(demand).ok_or(MarketError::UnknownDemand { demand })?;
        match entry.composition() {
            None => Ok(entry),
            Some(standing) => {
                let (height, miner) = (standing.since, standing.miner);
                Err(MarketError::AlreadyComposed { demand, height, miner })
            }
        }
    }

    /// All of them, by id.
    pub(in crate::ledger) fn iter(&self) -> impl Iterator<Item = (DemandId, &Arc<DemandEntry>)> {
        self.entries.iter().map(|(&id, entry)| (id, entry))
    }

    pub(in crate::ledger) fn count(&self) -> usize {
        self.entries.size()
    }

    pub(in crate::ledger) const fn totals(&self) -> DemandTotals {
        self.totals
    }

    /// When a composed demand freezes, by the clock of [`Self::freezing_clock`].
    pub(in crate::ledger) fn freezes_at_ms(&self, standing: &Standing) -> u64 {
        match self.freezing {
            Freezing::After(freeze_after_ms) => standing.since_ms.saturating_add(freeze_after_ms),
            Freezing::Before { start_ms, period_ms, frozen_zone_ms } => {
                let first = standing.slots.iter().map(|slot| slot.period).min().unwrap_or(Period::LAST);
                let begins_ms = period_ms.saturating_mul(first.0.into()).saturating_add(start_ms);
                begins_ms.saturating_sub(frozen_zone_ms)
            }
        }
    }

    /// What freezing goes by: market time, or where there is a calendar, which no halt moves, the time of batches.
    pub(in crate::ledger) const fn freezing_clock(&self, at: Moment) -> u64 {
        match self.freezing {
            Freezing::After(_) => at.market_ms(),
            Freezing::Before { .. } => at.timestamp_ms,
        }
    }

    /// Whether freezing goes by a calendar.
    pub(in crate::ledger) const fn has_calendar(&self) -> bool {
        matches!(self.freezing, Freezing::Before { .. })
    }

    /// The first composed ones that freeze by this time, by time and id, at most so many.
    pub(in crate::ledger) fn due_at(&self, time_ms: u64, most: usize) -> Vec<DemandId> {
        let due = self.due.iter().take_while(|(due_ms, _)| *due_ms <= time_ms);
        due.take(most).map(|&(_, id)| id).collect()
    }

    /// When the first composed demand freezes that does so after this time.
    pub(in crate::ledger) fn next_freeze_after(&self, time_ms: u64) -> Option<u64> {
        next_after(&self.due, time_ms)
    }

    /// When the first composed demand freezes.
    pub(in crate::ledger) fn first_freeze(&self) -> Option<u64> {
        self.due.first().map(|&(due_ms, _)| due_ms)
    }

    /// The first open ones whose time has come, by expiry and id, at most so many.
    pub(in crate::ledger) fn overdue_at(&self, timestamp_ms: u64, most: usize) -> Vec<DemandId> {
        let overdue = self.expiring.iter().take_while(|(expires_ms, _)| *expires_ms <= timestamp_ms);
        overdue.take(most).map(|&(_, id)| id).collect()
    }

    /// When the first open demand expires.
    pub(in crate::ledger) fn first_expiry(&self) -> Option<u64> {
        self.expiring.first().map(|&(expires_ms, _)| expires_ms)
    }

    pub(in crate::ledger) fn next_expiry_after(&self, timestamp_ms: u64) -> Option<u64> {
        next_after(&self.expiring, timestamp_ms)
    }

    /// Whether a composition is yet to freeze.
    pub(in crate::ledger) fn has_composed(&self) -> bool {
        !self.due.is_empty()
    }

    /// The market time at which the youngest open demand came.
    pub(in crate::ledger) fn youngest_open(&self) -> Option<u64> {
        self.open.last().map(|&(since_ms, _)| since_ms)
    }

    /// Takes in a new, open demand.
    pub(in crate::ledger) fn bring(&mut self, id: DemandId, entry: DemandEntry) -> Result<(), Defect> {
        self.totals.seen = self.totals.seen.checked_add(1).ok_or(Defect::Totals)?;
        self.touched.insert(StateKey::DemandTotals);
        self.put(id, entry);
        Ok(())
    }

    /// Enters a composition, the first or another. From now on `fee` is all that the demand's solvers share.
    pub(in crate::ledger) fn compose(
        &mut self,
        id: DemandId,
        standing: Standing,
        fee: Money,
        clearing: Money,
    ) -> Result<(), Defect> {
        let entry = self.remove(id).ok_or(Defect::Demand)?;
        let status = DemandStatus::Composed(standing);
        self.put(id, DemandEntry { solver_fee: fee, escrow: fee, clearing, status, ..entry });
        Ok(())
    }

    /// Counts a demand that was removed by what it left as.
    pub(in crate::ledger) fn depart(&mut self, id: DemandId, left: DemandEntry) -> Result<Departed, Defect> {
        let total = match &left.status {
            DemandStatus::Frozen { .. } => &mut self.totals.settled,
            DemandStatus::Cancelled { .. } => &mut self.totals.cancelled,
            DemandStatus::Expired { .. } => &mut self.totals.expired,
            DemandStatus::Open | DemandStatus::Composed(_) => return Err(Defect::Demand),
        };
        *total = total.checked_add(1).ok_or(Defect::Totals)?;
        self.touched.insert(StateKey::DemandTotals);
        Ok((id, Arc::new(left)))
    }

    fn put(&mut self, id: DemandId, entry: DemandEntry) {
        match &entry.status {
            DemandStatus::Open => {
                self.open.insert_mut((entry.since_ms, id));
                self.expiring.insert_mut((entry.expires_ms, id));
            }
            DemandStatus::Composed(standing) => self.due.insert_mut((self.freezes_at_ms(standing), id)),
            DemandStatus::Frozen { .. } | DemandStatus::Cancelled { .. } | DemandStatus::Expired { .. } => {
                return;
            }
        }
        self.entries.insert_mut(id, Arc::new(entry));
        self.touched.insert(StateKey::Demand(id));
    }

    /// Takes a demand out, as it stands. It must be put back or depart.
    pub(in crate::ledger) fn remove(&mut self, id: DemandId) -> Option<DemandEntry> {
        let entry = Arc::clone(self.entries.get(&id)?);
        match &entry.status {
            DemandStatus::Open => {
                self.expiring.remove_mut(&(entry.expires_ms, id));
                self.open.remove_mut(&(entry.since_ms, id))
            }
            DemandStatus::Composed(standing) => self.due.remove_mut(&(self.freezes_at_ms(standing), id)),
            DemandStatus::Frozen { .. } | DemandStatus::Cancelled { .. } | DemandStatus::Expired { .. } => {
                false
            }
        };
        self.entries.remove_mut(&id);
        self.touched.insert(StateKey::Demand(id));
        Some(Arc::unwrap_or_clone(entry))
    }

    /// All money held for demands, in micro-units.
    pub(in crate::ledger) fn total_money(&self) -> i128 {
        let held = self.entries.values().flat_map(|entry| [&entry.escrow, &entry.clearing]);
        held.map(|amount| i128::from(amount.micros())).sum()
    }

    /// The keys of all its entries of the state.
    pub(in crate::ledger) fn keys(&self) -> impl Iterator<Item = StateKey> {
        self.entries.keys().copied().map(StateKey::Demand).chain([StateKey::DemandTotals])
    }

    pub(in crate::ledger) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }
}

/// The first time after this one.
fn next_after(times: &RedBlackTreeSetSync<(u64, DemandId)>, time_ms: u64) -> Option<u64> {
    let later = time_ms.checked_add(1)?;
    times.range((later, DemandId::MIN)..).next().map(|&(time_ms, _)| time_ms)
}
