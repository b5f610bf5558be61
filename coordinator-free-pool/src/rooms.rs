//! The two rooms of the pool, and how much each author holds of either.
//!
//! A record is *ready* if a batch could bring it now as far as numbers and times go: its author's records before it are
//! on chain or ready, and a demand's expiry is within reach. All others *wait*. An author's ready records are those below
//! its front, the first number that is not ready, so that whether a record is ready need not be stored for each.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use chain::{Address, Record, RecordId};

use crate::contents::{OfAuthor, PoolContents};

/// How much is in a room, in all and by author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    held: Share,
    authors: BTreeMap<Address, Share>,
    /// The same authors by bytes.
    by_bytes: BTreeSet<(usize, Address)>,
}

/// What one author, or all of them, hold of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Shares {
    pub(crate) const fn held(&self) -> Share {
        self.held
    }

    pub(crate) fn of(&self, author: Address) -> Share {
        self.authors.get(&author).copied().unwrap_or_default()
    }

    /// Who holds most bytes; of equals, the largest address.
    pub(crate) fn largest(&self) -> Option<Address> {
        self.by_bytes.last().map(|&(_, author)| author)
    }

    /// Authors with something here, beginning with [`Self::largest`].
    pub(crate) fn largest_first(&self) -> impl Iterator<Item = Address> {
        self.by_bytes.iter().rev().map(|&(_, author)| author)
    }

    /// Authors with something here, ascending.
    pub(crate) fn authors(&self) -> impl Iterator<Item = Address> {
        self.authors.keys().copied()
    }

    fn add(&mut self, author: Address, bytes: usize) {
        let before = self.of(author);
        self.held = Share { records: self.held.records + 1, bytes: self.held.bytes + bytes };
        self.set(author, before, Share { records: before.records + 1, bytes: before.bytes + bytes });
    }

    fn take(&mut self, author: Address, bytes: usize) {
        let less = |share: Share| Share {
            records: share.records.saturating_sub(1),
            bytes: share.bytes.saturating_sub(bytes),
        };
        let before = self.of(author);
        self.held = less(self.held);
        self.set(author, before, less(before));
    }

    fn set(&mut self, author: Address, before: Share, after: Share) {
        self.by_bytes.remove(&(before.bytes, author));
        if after.records == 0 {
            self.authors.remove(&author);
        } else {
            self.authors.insert(author, after);
            self.by_bytes.insert((after.bytes, author));
        }
    }
}

/// What is ready and what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rooms {
    pub(crate) ready: Shares,
    pub(crate) waiting: Shares,
    /// Of each author with records in the pool: the first number that is not ready.
    fronts: BTreeMap<Address, u64>,
}

impl Rooms {
    /// The rooms of these contents; `next` is an author's next number on chain, `opens` whether it is within reach of
    /// a batch that comes now.
    pub(crate) fn of(
        contents: &PoolContents,
        next: impl Fn(Address) -> u64,
        opens: impl Fn(&Record) -> bool,
    ) -> Self {
        let mut rooms = Self::default();
        for author in contents.authors() {
            for &(_, bytes) in contents.of_author(author).into_iter().flat_map(OfAuthor::values) {
                rooms.waiting.add(author, bytes);
            }
            rooms.advance(contents, author, next(author), &opens);
        }
        rooms
    }

    /// The first number of this author that is not ready; `next` is its next number on chain.
    pub(crate) fn front(&self, author: Address, next: u64) -> u64 {
        self.fronts.get(&author).map_or(next, |&front| front.max(next))
    }

    /// Takes account of a record that was put into the contents, and of the bytes of the one whose place it took.
    pub(crate) fn put(
        &mut self,
        contents: &PoolContents,
        (author, sequence): (Address, u64),
        replaced: Option<usize>,
        next: u64,
        opens: impl Fn(&Record) -> bool,
    ) {
        let front = self.front(author, next);
        if let Some(bytes) = replaced {
            self.take((author, sequence), bytes, front);
            self.retreat(contents, author, sequence, front);
        }
        let held = contents.of_author(author).and_then(|held| held.get(&sequence));
        self.waiting.add(author, held.map_or(0, |&(_, bytes)| bytes));
        let front = if replaced.is_some() { sequence.min(front) } else { front };
        self.advance(contents, author, front, opens);
    }

    /// Takes account of a record that was taken out of the contents.
    pub(crate) fn remove(
        &mut self,
        contents: &PoolContents,
        (author, sequence): (Address, u64),
        bytes: usize,
    ) {
        let front = self.front(author, 0);
        self.take((author, sequence), bytes, front);
        if contents.of_author(author).is_none() {
            self.fronts.remove(&author);
        } else {
            self.retreat(contents, author, sequence, front);
        }
    }

    fn take(&mut self, (author, sequence): (Address, u64), bytes: usize, front: u64) {
        let room = if sequence < front { &mut self.ready } else { &mut self.waiting };
        room.take(author, bytes);
    }

    /// What comes after `sequence`, below the front so far, is ready no longer.
    fn retreat(&mut self, contents: &PoolContents, author: Address, sequence: u64, front: u64) {
        if sequence >= front {
            return;
        }
        let held = contents.of_author(author).into_iter();
        for (_, &(_, bytes)) in held.flat_map(|held| held.range(sequence.saturating_add(1)..front)) {
            self.ready.take(author, bytes);
            self.waiting.add(author, bytes);
        }
        self.fronts.insert(author, sequence);
    }

    /// Moves an author's front from `front` on as far as there is no gap and everything is within reach.
    fn advance(
        &mut self,
        contents: &PoolContents,
        author: Address,
        mut front: u64,
        opens: impl Fn(&Record) -> bool,
    ) {
        let Some(held) = contents.of_author(author) else { return };
        while let Some(&(id, bytes)) = held.get(&front)
            && contents.get(&id).is_some_and(&opens)
        {
            self.waiting.take(author, bytes);
            self.ready.add(author, bytes);
            front = front.saturating_add(1);
        }
        self.fronts.insert(author, front);
    }
}

/// An author's last records with these numbers, as many as it takes to free so much, and how much that is.
pub(crate) fn last_of(
    held: &OfAuthor,
    numbers: impl RangeBounds<u64>,
    wanted: Share,
) -> (Vec<RecordId>, Share) {
    let (mut ids, mut freed) = (Vec::new(), Share::default());
    for &(id, bytes) in held.range(numbers).rev().map(|(_, place)| place) {
        if freed.records >= wanted.records && freed.bytes >= wanted.bytes {
            break;
        }
        ids.push(id);
        freed = Share { records: freed.records + 1, bytes: freed.bytes + bytes };
    }
    (ids, freed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::{Hash, NetworkId, RecordContent, SecretKey, Statement};
    use proptest::prelude::*;

    const NEXT: u64 = 2;
    /// Marks what no batch could bring yet.
    const EARLY: u64 = 9;

    /// A record of one of three authors.
    fn record(author: u64, sequence: u64, is_early: bool, variant: u8) -> Record {
        let key = SecretKey::for_scenario(1, "author", author);
        let content = RecordContent {
            network: NetworkId(Hash([variant; 32])),
            author: key.public(),
            sequence,
            valid_until_ms: if is_early { EARLY } else { u64::MAX },
            statement: Statement::OfferWithdrawal,
        };
        content.sign(&key)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_was_kept_account_of_step_by_step_is_what_is_found_anew(
            steps in prop::collection::vec((0..3_u64, 2..9_u64, prop::bool::weighted(0.2), 0..3_u8, 1..9_usize), 1..60),
        ) {
            let opens = |record: &Record| record.content.valid_until_ms != EARLY;
            let (mut contents, mut rooms) = (PoolContents::default(), Rooms::default());
            for (author, sequence, is_early, variant, bytes) in steps {
                let record = record(author, sequence, is_early, variant);
                let (id, place) = (record.id(), (record.author(), sequence));
                if contents.contains(&id) {
                    let (place, bytes) = contents.remove(&id).unwrap();
                    rooms.remove(&contents, place, bytes);
                } else {
                    let replaced = contents.insert(record, id, bytes).map(|(_, bytes)| bytes);
                    rooms.put(&contents, place, replaced, NEXT, opens);
                }
                prop_assert_eq!(&rooms, &Rooms::of(&contents, |_| NEXT, opens));
                prop_assert_eq!(rooms.ready.held().bytes + rooms.waiting.held().bytes, contents.bytes());
            }
        }
    }
}
