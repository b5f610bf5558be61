//! Notice: what providers and demanders change is on chain for some time before it is so. Else whoever sees a block that
//! uses its capacity, or composes its demand, could take that back before the block takes effect; and nobody could
//! price an offer before it counts.
//!
//! There is one notice at most of each provider and of each demand: a later one takes the place of an earlier one, and waits anew.
//! Nothing that was announced takes effect before every block that was committed to by then has had its turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use serde::{Deserialize, Serialize};

use crate::codec::encode;
use crate::key::Address;
use crate::ledger::root::StateKey;
use crate::record::{DemandId, Height, OfferStatement};

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// A provider's offer.
    Offer(Address),
    /// A demand.
    Demand(DemandId),
}

/// What is to happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The provider offers this instead of what it offers now.
    Offer(OfferStatement),
    /// The provider offers nothing any more.
    Withdrawal,
    /// The demand is taken off the market, if it is still open.
    Cancellation,
}

/// Something that was stated and is not so yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The height of the batch that brought it.
    pub height: Height,
    /// The market time from which on it may take effect, in milliseconds.
    pub due_ms: u64,
    /// What will be.
    pub change: Change,
}

/// All notices. Cloning shares what is large.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices {
    by_subject: RedBlackTreeMapSync<Subject, Arc<Notice>>,
    due: RedBlackTreeSetSync<(u64, Subject)>,
    /// What changed since the state tree was last brought up to date.
    touched: BTreeSet<StateKey>,
}

impl Notices {
    pub(in crate::ledger) fn get(&self, subject: Subject) -> Option<&Notice> {
        self.by_subject.get(&subject).map(Arc::as_ref)
    }

    /// Gives notice, in place of any of the same subject.
    pub(in crate::ledger) fn give(&mut self, subject: Subject, notice: Notice) {
        self.take(subject);
        self.due.insert_mut((notice.due_ms, subject));
        self.by_subject.insert_mut(subject, Arc::new(notice));
        self.touched.insert(StateKey::Notice(subject));
    }

    /// Takes a notice out.
    pub(in crate::ledger) fn take(&mut self, subject: Subject) -> Option<Arc<Notice>> {
        let notice = self.by_subject.get(&subject).map(Arc::clone)?;
        self.by_subject.remove_mut(&subject);
        self.due.remove_mut(&(notice.due_ms, subject));
        self.touched.insert(StateKey::Notice(subject));
        Some(notice)
    }

    /// The first ones that are due at this market time, by time and subject, at most so many; but none that is not older than
    /// the commitments that wait since a height.
    pub(in crate::ledger) fn due_at(
        &self,
        market_ms: u64,
        waiting_since: Option<Height>,
        most: usize,
    ) -> Vec<Subject> {
        let is_before = |subject: &Subject| {
            let height = self.get(*subject).map_or(0, |notice| notice.height);
            waiting_since.is_none_or(|since| height < since)
        };
        let due = self.due.iter().take_while(|(due_ms, _)| *due_ms <= market_ms);
        due.map(|&(_, subject)| subject).filter(is_before).take(most).collect()
    }

    /// The market time at which the first is due.
    pub(in crate::ledger) fn first_due(&self) -> Option<u64> {
        self.due.first().map(|&(due_ms, _)| due_ms)
    }

    /// The market time at which the first is due that is so after this one.
    pub(in crate::ledger) fn next_due_after(&self, market_ms: u64) -> Option<u64> {
        self.due.iter().map(|&(due_ms, _)| due_ms).find(|due_ms| *due_ms > market_ms)
    }

    /// The value of a notice's entry of the state.
    pub(in crate::ledger) fn entry(&self, subject: Subject) -> Option<Vec<u8>> {
        self.get(subject).map(encode)
    }

    /// The keys of all its entries of the state.
    pub(in crate::ledger) fn keys(&self) -> impl Iterator<Item = StateKey> {
        self.by_subject.keys().copied().map(StateKey::Notice)
    }

    pub(in crate::ledger) fn take_touched(&mut self) -> BTreeSet<StateKey> {
        std::mem::take(&mut self.touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    fn notice(height: Height, due_ms: u64) -> Notice {
        Notice { height, due_ms, change: Change::Withdrawal }
    }

    fn subject(byte: u8) -> Subject {
        Subject::Offer(Address(Hash([byte; 32])))
    }

    #[test]
    fn a_later_notice_takes_the_place_of_an_earlier_one_and_waits_anew() {
        let mut notices = Notices::default();
        notices.give(subject(1), notice(3, 100));
        notices.give(subject(1), notice(4, 150));
        assert_eq!(notices.due_at(149, None, 9), []);
        assert_eq!(notices.due_at(150, None, 9), [subject(1)]);
        assert_eq!((notices.first_due(), notices.next_due_after(150)), (Some(150), None));
        assert_eq!(notices.take(subject(1)).map(|notice| notice.height), Some(4));
        assert_eq!(notices.first_due(), None);
    }

    #[test]
    fn what_was_announced_waits_for_what_was_committed_to_by_then() {
        let mut notices = Notices::default();
        notices.give(subject(1), notice(3, 100));
        notices.give(subject(2), notice(5, 100));
        assert_eq!(notices.due_at(100, Some(3), 9), []);
        assert_eq!(notices.due_at(100, Some(4), 9), [subject(1)]);
        assert_eq!(notices.due_at(100, Some(6), 9), [subject(1), subject(2)]);
        assert_eq!(notices.due_at(100, None, 1), [subject(1)]);
    }
}
