//! Why records were refused or dropped: the latest only, and only while the node runs.

use std::collections::{BTreeMap, VecDeque};

use chain::RecordId;

use crate::views::Refusal;

/// Refusals remembered.
const REFUSALS: usize = 20_000;

/// The last refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refusals: BTreeMap<RecordId, Refusal>,
    /// The refused ones, oldest first.
    order: VecDeque<RecordId>,
}

impl Refusals {
    pub(super) fn note(&mut self, refusal: Refusal) {
        let record = refusal.record;
        if self.refusals.insert(record, refusal).is_none() {
            self.order.push_back(record);
        }
        if self.order.len() > REFUSALS
            && let Some(oldest) = self.order.pop_front()
        {
            self.refusals.remove(&oldest);
        }
    }

    pub(super) fn get(&self, record: RecordId) -> Option<&Refusal> {
        self.refusals.get(&record)
    }
}

#[cfg(test)]
mod tests {
    use chain::{Hash, RecordRule};
    use coordinator_free_pool::Rule;

    use super::*;

    fn refused(number: u32, reason: &str) -> Refusal {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Refusal {
            record: RecordId(Hash(bytes)),
            rule: Rule::Record(RecordRule::Expired),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn the_last_reason_is_remembered() {
        let mut refusals = Refusals::default();
        refusals.note(refused(1, "too late"));
        refusals.note(refused(1, "still too late"));
        let found = refusals.get(refused(1, "").record).map(|refusal| refusal.reason.as_str());
        assert_eq!((found, refusals.order.len()), (Some("still too late"), 1));
    }

    #[test]
    fn of_too_many_refusals_the_oldest_is_forgotten() {
        let mut refusals = Refusals::default();
        for number in 0..=20_000 {
            refusals.note(refused(number, ""));
        }
        assert_eq!(refusals.get(refused(0, "").record), None);
        assert_eq!(refusals.refusals.len(), REFUSALS);
        assert!(refusals.get(refused(20_000, "").record).is_some());
    }
}
