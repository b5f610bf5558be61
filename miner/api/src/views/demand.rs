//! Demands and where they stand: those in the market by the ledger, those that left it by history.

use chain::ledger::{DemandEntry, DemandStatus, Standing, Subject};
use chain::record::DemandStatement;
use chain::{Address, BatchHash, DemandId, Height, Ledger, Statement};
use scenarios::{Money, Period, ProviderId, Site, TimeWindow};
use serde::{Deserialize, Serialize};

use super::unserved::reasons_of;
use super::{RecordStanding, Refusal, operation_name, record};
use crate::{History, HistoryError, Snapshot};

/// A demand and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct DemandReport {
    pub demand: DemandId,
    /// What is wanted, if this node has seen it.
    pub wanted: Option<WantedReport>,
    pub standing: DemandStanding,
}

/// What a demander wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct WantedReport {
    pub name: String,
    /// Who wants it and pays.
    pub author: Address,
    /// Where the product goes, if the market delivers.
    pub site: Site,
    /// Names of the operations in order.
    pub orders: Vec<String>,
    /// The most the demander pays for the composition.
    pub budget: Money,
    /// Paid to solvers on top, by the schedule.
    pub solver_fee: Money,
    /// When it leaves the market if it is still open: milliseconds since the Unix epoch, by the time of batches.
    pub expires_ms: u64,
    /// When its orders may be done, if it says so.
    #[serde(default)]
    pub window: Option<TimeWindow>,
}

/// Where a demand stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum DemandStanding {
    /// No batch has brought it yet.
    InPool {
        /// Why the next batch cannot bring it, if so.
        waits_for: Option<String>,
    },
    /// On chain, not composed.
    Open {
        /// The height that brought it.
        since: Height,
        /// Why this node's miner cannot compose it, if it found no way.
        unserved: Option<String>,
        /// If its author takes it back: in how many milliseconds of market time at the earliest, unless it is composed by then.
        #[serde(default)]
        cancelled_in_ms: Option<u64>,
    },
    /// Composed, not settled.
    Composed(Box<CompositionReport>),
    /// Composed and settled.
    Frozen {
        /// The height of the settlement.
        height: Height,
        composition: Box<CompositionReport>,
    },
    /// Taken back while open.
    Cancelled {
        /// The height that cancelled it.
        height: Height,
    },
    /// Still open when its time had come.
    Expired {
        /// The height that took it off the market.
        height: Height,
    },
    /// Refused or dropped since this node started.
    Refused(Refusal),
    /// This node knows nothing of it.
    Unknown,
}

/// Who composed a demand, how, and at what cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct CompositionReport {
    /// The height of its batch.
    pub height: Height,
    pub batch: BatchHash,
    pub miner: Address,
    /// 1 for the first composition; one more with each amendment.
    pub version: u32,
    /// By whom and when each order is done.
    pub steps: Vec<OrderReport>,
    /// Processing + transport + value of time.
    pub cost: Money,
    /// Transport alone.
    pub transport: Money,
    /// The most the demander pays: the cost of the first composition, and the room it was charged for.
    pub price: Money,
    /// What this choice adds to the market's gap.
    pub reduced_cost: Money,
}

/// One order of a composition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct OrderReport {
    pub operation: String,
    pub provider: ProviderId,
    pub name: String,
    /// When, if the market has a calendar.
    #[serde(default)]
    pub period: Option<Period>,
}

/// Where a demand stands at a snapshot.
///
/// # Errors
/// If the history fails.
pub fn demand(snapshot: &Snapshot, history: &History, id: DemandId) -> Result<DemandReport, HistoryError> {
    let mut found = unexplained(snapshot, history, id)?;
    explain(&snapshot.ledger, std::slice::from_mut(&mut found));
    Ok(found)
}

/// All but why an open demand is unserved.
fn unexplained(snapshot: &Snapshot, history: &History, id: DemandId) -> Result<DemandReport, HistoryError> {
    let ledger = &snapshot.ledger;
    if let Some(entry) = ledger.demand(id) {
        return on_chain(snapshot, history, id, entry);
    }
    if let Some(entry) = history.departed(id)? {
        return on_chain(snapshot, history, id, &entry);
    }
    let wanted = snapshot.pool.get(&id).and_then(|record| match &record.content.statement {
        Statement::Demand(demand) => Some(wanted_by_statement(ledger, record.author(), demand)),
        Statement::Offer(_)
        | Statement::OfferWithdrawal
        | Statement::DemandCancellation { .. }
        | Statement::Transfer { .. } => None,
    });
    let standing = match record(snapshot, history, id)? {
        RecordStanding::Pending { waits_for } if wanted.is_some() => DemandStanding::InPool { waits_for },
        RecordStanding::Refused(refusal) => DemandStanding::Refused(refusal),
        // A record that is no demand, or nothing at all.
        RecordStanding::Pending { .. } | RecordStanding::Final { .. } | RecordStanding::Unknown => {
            DemandStanding::Unknown
        }
    };
    Ok(DemandReport { demand: id, wanted, standing })
}

/// Where demands stand at a snapshot, in the order asked for; why open ones are unserved is left to [`explain`], which
/// takes time and no history.
///
/// # Errors
/// If the history fails.
pub fn demands(
    snapshot: &Snapshot,
    history: &History,
    ids: &[DemandId],
) -> Result<Vec<DemandReport>, HistoryError> {
    ids.iter().map(|&id| unexplained(snapshot, history, id)).collect()
}

/// Adds to reports of the same snapshot why open demands are unserved, looking once at each.
pub fn explain(ledger: &Ledger, reports: &mut [DemandReport]) {
    let is_open = |report: &&DemandReport| matches!(report.standing, DemandStanding::Open { .. });
    let open = reports.iter().filter(is_open).map(|report| report.demand).collect();
    let reasons = reasons_of(ledger, &open);
    for DemandReport { demand, standing, .. } in reports {
        if let DemandStanding::Open { unserved, .. } = standing {
            *unserved = reasons.get(demand).cloned();
        }
    }
}

/// A demand that is or was on chain.
fn on_chain(
    snapshot: &Snapshot,
    history: &History,
    id: DemandId,
    entry: &DemandEntry,
) -> Result<DemandReport, HistoryError> {
    let ledger = &snapshot.ledger;
    let composed = |standing| composition(ledger, history, entry, standing).map(Box::new);
    let standing = match &entry.status {
        DemandStatus::Open => {
            let notice = ledger.notice(Subject::Demand(id));
            let cancelled_in_ms = notice.map(|notice| notice.due_ms.saturating_sub(ledger.market_ms()));
            DemandStanding::Open { since: entry.since, unserved: None, cancelled_in_ms }
        }
        DemandStatus::Composed(standing) => DemandStanding::Composed(composed(standing)?),
        DemandStatus::Frozen { composition, height } => {
            DemandStanding::Frozen { height: *height, composition: composed(composition)? }
        }
        DemandStatus::Cancelled { height } => DemandStanding::Cancelled { height: *height },
        DemandStatus::Expired { height } => DemandStanding::Expired { height: *height },
    };
    Ok(DemandReport { demand: id, wanted: Some(wanted(ledger, entry)), standing })
}

fn composition(
    ledger: &Ledger,
    history: &History,
    entry: &DemandEntry,
    standing: &Standing,
) -> Result<CompositionReport, HistoryError> {
    let steps = entry.demand.orders.iter().zip(&standing.slots).map(|(&operation, slot)| {
        let provider = slot.provider;
        let name = ledger.supply().provider(provider).map(|provider| provider.name.clone());
        let name = name.unwrap_or_default();
        let has_calendar = ledger.supply().horizon.period_minutes.is_some();
        let period = Some(slot.period).filter(|_| has_calendar);
        OrderReport { operation: operation_name(ledger, operation), provider, name, period }
    });
    Ok(CompositionReport {
        height: standing.height,
        batch: history.batch_at(standing.height)?,
        miner: standing.author(),
        version: standing.version,
        steps: steps.collect(),
        cost: standing.cost,
        transport: standing.transport,
        price: standing.price,
        reduced_cost: standing.reduced_cost,
    })
}

fn wanted(ledger: &Ledger, entry: &DemandEntry) -> WantedReport {
    let demand = &entry.demand;
    WantedReport {
        name: demand.name.clone(),
        author: entry.author,
        site: demand.site,
        orders: demand.orders.iter().map(|&operation| operation_name(ledger, operation)).collect(),
        budget: demand.budget,
        solver_fee: entry.solver_fee,
        expires_ms: entry.expires_ms,
        window: Some(demand.window).filter(|window| *window != TimeWindow::ANY),
    }
}

fn wanted_by_statement(ledger: &Ledger, author: Address, demand: &DemandStatement) -> WantedReport {
    WantedReport {
        name: demand.name.clone(),
        author,
        site: demand.site,
        orders: demand.orders.iter().map(|&operation| operation_name(ledger, operation)).collect(),
        budget: demand.budget,
        solver_fee: demand.solver_fee,
        expires_ms: demand.expires_ms,
        window: Some(demand.window).filter(|window| *window != TimeWindow::ANY),
    }
}
