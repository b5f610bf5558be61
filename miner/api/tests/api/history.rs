//! What the history keeps of batches, and what it refuses.

use chain::ledger::DemandStatus;
use chain::store::{Backend, Changes, Lookup, MemoryBackend, Pairs};
use chain::{BatchHash, Hash, StoreError};
use miner_api::{History, HistoryError, MinerTotals};
use scenarios::Money;

use crate::market::{Market, miner, units};

#[test]
fn records_are_found_at_the_height_that_brought_them() {
    let market = Market::settled();
    let (first, second) = (market.demand_records()[0].id(), market.batches[2].0.contents.records[0].id());
    assert_eq!(market.history.height_of(first), Ok(Some(1)));
    assert_eq!(market.history.height_of(second), Ok(Some(3)));
    assert_eq!(market.history.height_of(chain::RecordId(Hash([9; 32]))), Ok(None));
    assert_eq!(market.history.batch_at(3), Ok(market.batches[2].0.hash()));
    assert_eq!(market.history.batch_at(7), Err(HistoryError::OtherHeight { got: 6, expected: 7 }));
}

#[test]
fn demands_that_left_are_kept_as_they_left_and_others_are_not() {
    let market = Market::composed();
    assert_eq!(market.history.departed(market.demand(0)), Ok(None));
    let market = Market::settled();
    let settled = market.history.departed(market.demand(0)).unwrap().unwrap();
    let DemandStatus::Frozen { composition, height } = settled.status else { panic!("{settled:?}") };
    assert_eq!((composition.cost, height), (units(19), 6));
    let cancelled = market.history.departed(market.demand(2)).unwrap().unwrap();
    assert_eq!(cancelled.status, DemandStatus::Cancelled { height: 3 });
}

#[test]
fn what_everything_cost_and_earned_is_added_up_height_by_height() {
    let market = Market::settled();
    let before = market.history.totals_at(5).unwrap();
    assert_eq!((before.frozen, before.cancelled, before.frozen_cost_micros), (0, 1, 0));
    let after = market.history.totals_at(6).unwrap();
    assert_eq!((after.frozen, after.cancelled, after.frozen_cost_micros), (2, 1, 38_000_000));
    let done = after.miners[&miner().public().address()];
    // 2.5 % of 19 $, twice.
    let earned = Money::from_micros(950_000);
    assert_eq!(done, MinerTotals { blocks: 1, demands: 2, earned });
}

#[test]
fn a_history_made_at_once_is_the_one_made_batch_by_batch_and_is_found_again() {
    let market = Market::settled();
    let network = market.ledger.network().id();
    let mut disk = SharedDisk::default();
    let mut history = History::open(Box::new(disk.clone()), network).unwrap();
    history.apply(market.batches.iter().map(|(batch, report)| (batch, report))).unwrap();
    assert_eq!(history.totals_at(6), market.history.totals_at(6));
    assert_eq!(disk.commits(), 1);

    let found = History::open(Box::new(disk.clone()), network).unwrap();
    assert_eq!(found.head(), Some((6, market.ledger.head().hash)));
    assert_eq!(found.totals_at(6), market.history.totals_at(6));
    assert_eq!(found.departed(market.demand(1)), market.history.departed(market.demand(1)));

    let other = chain::NetworkId(Hash([1; 32]));
    let forgotten = History::open(Box::new(disk.clone()), other).unwrap();
    assert_eq!((forgotten.head(), disk.keys()), (None, 0));
}

#[test]
fn a_batch_that_does_not_continue_it_changes_nothing() {
    let mut market = Market::composed();
    let (first, report) = market.batches[0].clone();
    let again = market.history.apply([(&first, &report)]);
    assert_eq!(again, Err(HistoryError::NotNext { got: 1, expected: 3 }));
    let (mut stranger, report) = (market.batches[1].0.clone(), market.batches[1].1.clone());
    stranger.header.height = 3;
    let (got, expected) = (stranger.header.parent, market.batches[1].0.hash());
    let refused = market.history.apply([(&stranger, &report)]);
    assert_eq!(refused, Err(HistoryError::OtherChain { height: 3, got, expected }));
    assert_eq!(market.history.head(), Some((2, expected)));
    assert_ne!(got, BatchHash(Hash([0; 32])));
}

#[test]
fn a_disk_that_fails_leaves_the_history_where_it_was() {
    let market = Market::composed();
    let mut disk = SharedDisk::default();
    let mut history = History::open(Box::new(disk.clone()), market.ledger.network().id()).unwrap();
    let batch = |index: usize| (&market.batches[index].0, &market.batches[index].1);
    history.apply([batch(0)]).unwrap();
    disk.fail(true);
    assert!(matches!(history.apply([batch(1)]), Err(HistoryError::Storage { .. })));
    assert_eq!(history.height(), 1);
    disk.fail(false);
    history.apply([batch(1)]).unwrap();
    assert_eq!(history.totals_at(2), market.history.totals_at(2));
}

/// A medium that outlives the history on it, and can be made to fail.
#[derive(Clone, Debug, Default)]
#[expect(clippy::disallowed_types, reason = "a disk outlives the history that is on it")]
struct SharedDisk(std::sync::Arc<std::sync::Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    medium: MemoryBackend,
    commits: usize,
    fails: bool,
}

impl SharedDisk {
    fn fail(&mut self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    fn commits(&mut self) -> usize {
        self.0.lock().unwrap().commits
    }

    fn keys(&mut self) -> usize {
        self.0.lock().unwrap().medium.scan(&[]).unwrap().len()
    }
}

impl Backend for SharedDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.lock().unwrap().medium.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError> {
        self.0.lock().unwrap().medium.scan(prefix)
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        let mut disk = self.0.lock().unwrap();
        if disk.fails {
            return Err(StoreError::Io("no space left".into()));
        }
        disk.commits += 1;
        disk.medium.commit(changes)
    }

    fn lookup(&self) -> Option<Lookup> {
        None
    }
}
