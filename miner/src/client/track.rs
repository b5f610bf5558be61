//! Following records until they are final or refused, and demands until they are composed.

use std::collections::BTreeMap;
use std::time::Duration;

use chain::{DemandId, RecordId};
use miner_api::{DemandReport, DemandStanding, RecordStanding};
use tokio::time::Instant;

use super::{ClientError, NodeClient};

/// Between two questions.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Whether nothing more will become of a record.
pub const fn is_settled(standing: &RecordStanding) -> bool {
    matches!(standing, RecordStanding::Final { .. } | RecordStanding::Refused(_))
}

/// Whether a demand is composed, or never will be.
pub const fn is_decided(standing: &DemandStanding) -> bool {
    match standing {
        DemandStanding::Composed(_)
        | DemandStanding::Frozen { .. }
        | DemandStanding::Cancelled { .. }
        | DemandStanding::Expired { .. }
        | DemandStanding::Refused(_) => true,
        DemandStanding::InPool { .. } | DemandStanding::Open { .. } | DemandStanding::Unknown => false,
    }
}

impl NodeClient {
    /// Waits until every record is final or refused, or time is up; `progress` is told how many are. Where
    /// each stands then, in the order given.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn track_records(
        &mut self,
        ids: &[RecordId],
        deadline: Instant,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<RecordStanding>, ClientError> {
        let mut settled: BTreeMap<RecordId, RecordStanding> = BTreeMap::new();
        loop {
            let left: Vec<RecordId> = ids.iter().filter(|id| !settled.contains_key(id)).copied().collect();
            let standings = self.records(&left).await?;
            let is_late = Instant::now() >= deadline;
            let news = left.into_iter().zip(standings);
            settled.extend(news.filter(|(_, standing)| is_late || is_settled(standing)));
            progress(settled.len());
            if ids.iter().all(|id| settled.contains_key(id)) {
                let unknown = || RecordStanding::Unknown;
                return Ok(ids.iter().map(|id| settled.get(id).cloned().unwrap_or_else(unknown)).collect());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until every demand is composed or never will be, or time is up; `progress` is told how many
    /// are. Where each stands then, in the order of ids.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn track_demands(
        &mut self,
        ids: &[DemandId],
        deadline: Instant,
        mut progress: impl FnMut(usize),
    ) -> Result<BTreeMap<DemandId, DemandReport>, ClientError> {
        let mut decided: BTreeMap<DemandId, DemandReport> = BTreeMap::new();
        loop {
            let left: Vec<DemandId> = ids.iter().filter(|id| !decided.contains_key(id)).copied().collect();
            let demands = self.demands(&left).await?;
            let is_late = Instant::now() >= deadline;
            let news = demands.into_iter().filter(|demand| is_late || is_decided(&demand.standing));
            decided.extend(news.map(|demand| (demand.demand, demand)));
            progress(decided.len());
            if ids.iter().all(|id| decided.contains_key(id)) {
                return Ok(decided);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
