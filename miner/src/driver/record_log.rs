//! What became of records: where the chain has them, and why others never came there.
//!
//! The chain keeps no ids of records but demands, so the index of final ones is read from the store, and only
//! once somebody asks. Refusals are remembered for as long as the node runs, the latest only.

use std::collections::{BTreeMap, VecDeque};

use chain::store::StoreError;
use chain::{Height, RecordId, Store};

use super::inquiry::Refusal;
use miner_node::NodeEvent;

/// Refusals remembered.
const REFUSALS: usize = 20_000;

/// The fates of records, as far as this node knows them.
#[derive(Debug, Default)]
pub(super) struct RecordLog {
    /// The height of the block that brought a record, of blocks up to `indexed`.
    heights: BTreeMap<RecordId, Height>,
    indexed: Height,
    refusals: BTreeMap<RecordId, Refusal>,
    /// The refused ones, oldest first.
    order: VecDeque<RecordId>,
}

impl RecordLog {
    /// Takes note of a refusal.
    pub(super) fn note(&mut self, event: &NodeEvent) {
        let NodeEvent::RecordRefused { record: Some(record), rule, reason } = event else { return };
        let refusal = Refusal { record: *record, rule: rule.clone(), reason: reason.clone() };
        if self.refusals.insert(*record, refusal).is_none() {
            self.order.push_back(*record);
        }
        if self.order.len() > REFUSALS
            && let Some(oldest) = self.order.pop_front()
        {
            self.refusals.remove(&oldest);
        }
    }

    /// Why a record was refused last, if it was.
    pub(super) fn refusal(&self, record: RecordId) -> Option<&Refusal> {
        self.refusals.get(&record)
    }

    /// The height of the final block that brought a record.
    pub(super) fn height_of(
        &mut self,
        record: RecordId,
        store: &Store,
    ) -> Result<Option<Height>, StoreError> {
        while self.indexed < store.height() {
            let height = self.indexed + 1;
            let Some((block, _)) = store.block(height)? else { break };
            self.heights.extend(block.body.records.iter().map(|record| (record.id(), height)));
            self.indexed = height;
        }
        Ok(self.heights.get(&record).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::Hash;

    fn refused(number: u32) -> (RecordId, NodeEvent) {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let id = RecordId(Hash(bytes));
        let (rule, reason) = ("record-expired".to_owned(), format!("refused as number {number}"));
        (id, NodeEvent::RecordRefused { record: Some(id), rule, reason })
    }

    #[test]
    fn the_last_reason_is_remembered() {
        let mut log = RecordLog::default();
        let (id, event) = refused(1);
        log.note(&event);
        log.note(&NodeEvent::RecordRefused { record: Some(id), rule: "b".into(), reason: "c".into() });
        assert_eq!(log.refusal(id).map(|refusal| refusal.reason.as_str()), Some("c"));
        assert_eq!(log.order.len(), 1);
    }

    #[test]
    fn of_too_many_refusals_the_oldest_is_forgotten() {
        let mut log = RecordLog::default();
        for number in 0..=20_000 {
            log.note(&refused(number).1);
        }
        assert_eq!(log.refusal(refused(0).0), None);
        assert_eq!(log.refusals.len(), REFUSALS);
        assert!(log.refusal(refused(20_000).0).is_some());
    }
}
