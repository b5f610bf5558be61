//! What keeps strangers from filling the pool: money they must own, and room that whoever holds most gives up.

use chain::ledger::{AccountError, MarketStatementError};
use chain::record::DemandStatement;
use chain::validate::RecordError;
use chain::{Fault, Genesis, Ledger, Record, RecordId, Statement};
use coordinator_free_pool::{DropReason, Pool, PoolLimits, PoolRejection};
use scenarios::{Money, OperationId, Site, TimeWindow};

use crate::market::*;

/// As many keys as it took, with 1,024 records each, to fill a pool of 100,000 records.
const KEYS: u64 = 98;

/// The first `count` authors own 100 $ each.
fn ledger_of(count: u64) -> Ledger {
    ledger_with(|genesis| {
        for index in 0..count {
            genesis.balances.insert(author(index).public().address(), Money::from_units(100));
        }
    })
}

fn size(record: &Record) -> usize {
    chain::codec::encode(record).len()
}

/// Fills a pool with records that leave a gap behind the chain, so many of each of these authors.
fn filled_with_gaps(ledger: &Ledger, authors: std::ops::Range<u64>, each: u64) -> Pool {
    let mut pool = pool(ledger);
    for index in authors {
        for sequence in 1..=each {
            let _ = pool.insert(transfer(ledger, index, sequence, 5), ledger);
        }
    }
    pool
}

#[test]
fn keys_that_own_nothing_fill_no_pool() {
    let ledger = ledger();
    let pool = filled_with_gaps(&ledger, 100..100 + KEYS, 1_024);
    assert_eq!((pool.len(), pool.bytes()), (0, 0));
}

#[test]
fn a_record_of_somebody_who_owns_too_little_is_refused_and_looked_at_again_at_the_next_head() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let early = transfer(&ledger, 9, 0, 5);
    let refused = pool.insert(early.clone(), &ledger).unwrap_err();
    let (author, got, expected) = (early.author(), Money::ZERO, Money::from_units(1));
    let below = AccountError::BelowMinimum { author, got, expected };
    assert_eq!(refused, PoolRejection::Record(RecordError::State(below.into())));
    assert_eq!((refused.fault(), refused.rule().name()), (Fault::Transient, "account-min"));
    assert!(refused.rule().is_about_money() && !pool.wants(&early.id(), &ledger));

    let gift = Statement::Transfer { to: author, amount: Money::from_units(7) };
    let gift = content(&ledger, 1, 0, gift).sign(&crate::market::author(1));
    let richer = after(&ledger, &[gift]);
    assert!(pool.wants(&early.id(), &richer));
    assert_eq!(pool.insert(early.clone(), &richer), Ok(early.id()));
}

#[test]
fn gaps_of_rich_strangers_take_a_small_part_of_the_pool_and_keep_nobody_out() {
    let ledger = ledger_of(2 + KEYS);
    // 5 MB of them.
    let mut pool = filled_with_gaps(&ledger, 2..2 + KEYS, 300);
    let limits = *pool.limits();
    assert!(pool.bytes() <= limits.waiting_bytes && limits.waiting_bytes == limits.bytes / 16);
    assert!(pool.pending(&ledger, soon(&ledger)).is_empty());
    let held = |index| pool.records_of(author(index).public().address()).count();
    let fewest = (2..2 + KEYS).map(held).min().unwrap();
    assert!((2..2 + KEYS).all(|index| held(index).abs_diff(fewest) <= 2), "whoever holds most gives way");
    // Somebody else's records, whether the one before them is here or not.
    let [second, first] = [1, 0].map(|sequence| transfer(&ledger, 1, sequence, 5));
    pool.insert(second.clone(), &ledger).unwrap();
    pool.insert(first.clone(), &ledger).unwrap();
    assert_eq!(
        pool.pending(&ledger, soon(&ledger)).iter().map(Record::id).collect::<Vec<_>>(),
        [first.id(), second.id()]
    );
    assert!(pool.bytes() <= limits.waiting_bytes + size(&first) + size(&second));
}

#[test]
fn an_author_has_only_so_many_records_that_no_batch_could_bring() {
    let ledger = ledger();
    let mut pool = pool_with(&ledger, PoolLimits { waiting_per_author: 2, ..PoolLimits::default() });
    for sequence in [1, 2] {
        pool.insert(transfer(&ledger, 1, sequence, 5), &ledger).unwrap();
    }
    let third = transfer(&ledger, 1, 3, 5);
    let quota = PoolRejection::WaitingQuota { author: third.author(), got: 2, expected: 2 };
    assert_eq!(pool.insert(third.clone(), &ledger), Err(quota));
    // With the first one here, none of them waits.
    pool.insert(transfer(&ledger, 1, 0, 5), &ledger).unwrap();
    assert_eq!(pool.insert(third.clone(), &ledger), Ok(third.id()));
}

#[test]
fn what_a_batch_could_bring_has_precedence_over_what_waits() {
    let ledger = ledger();
    let bytes = size(&transfer(&ledger, 1, 0, 5));
    let mut pool = pool_with(&ledger, PoolLimits { bytes: 3 * bytes, ..PoolLimits::default() });
    let [near, far] = [1, 7].map(|sequence| transfer(&ledger, 1, sequence, 5));
    let alone = transfer(&ledger, 2, 1, 5);
    for record in [&near, &far, &alone] {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    // Author 1 has most that waits, and its last number goes first; then each has one, and the larger address gives
    // way.
    let now = [transfer(&ledger, 3, 0, 5), transfer(&ledger, 4, 0, 5)];
    pool.insert(now[0].clone(), &ledger).unwrap();
    assert_eq!(pool.take_dropped(), [(far.id(), DropReason::GaveWay)]);
    pool.insert(now[1].clone(), &ledger).unwrap();
    let larger = if near.author() > alone.author() { &near } else { &alone };
    assert_eq!(pool.take_dropped(), [(larger.id(), DropReason::GaveWay)]);
    // What waits pushes nothing out that does not.
    pool.insert(transfer(&ledger, 5, 0, 5), &ledger).unwrap();
    let full = PoolRejection::TooManyBytes { got: 4 * bytes, expected: 3 * bytes };
    assert_eq!(pool.insert(far, &ledger), Err(full));
}

#[test]
fn whoever_holds_most_of_a_full_pool_gives_way_to_whoever_holds_less() {
    let ledger = ledger();
    let bytes = size(&transfer(&ledger, 1, 0, 5));
    for limits in [
        PoolLimits { records: 4, ..PoolLimits::default() },
        PoolLimits { bytes: 4 * bytes, ..PoolLimits::default() },
    ] {
        let mut pool = pool_with(&ledger, limits);
        let greedy: Vec<_> = (0..4).map(|sequence| transfer(&ledger, 1, sequence, 5)).collect();
        for record in &greedy {
            pool.insert(record.clone(), &ledger).unwrap();
        }
        let others = [transfer(&ledger, 2, 0, 5), transfer(&ledger, 2, 1, 5)];
        for (other, last) in others.iter().zip([3, 2]) {
            pool.insert(other.clone(), &ledger).unwrap();
            assert_eq!(pool.take_dropped(), [(greedy[last].id(), DropReason::GaveWay)]);
        }
        // Two each: neither gives way to the other, and both to a third.
        assert!(pool.insert(transfer(&ledger, 2, 2, 5), &ledger).is_err());
        assert_eq!(pool.len(), 4);
        pool.insert(transfer(&ledger, 3, 0, 5), &ledger).unwrap();
        assert_eq!(pool.take_dropped().len(), 1);
        assert_eq!((pool.len(), pool.pending(&ledger, soon(&ledger)).len()), (4, 4));
    }
}

#[test]
fn what_waits_again_after_a_batch_keeps_to_the_quota() {
    let ledger = ledger();
    let limits = PoolLimits { waiting_per_author: 2, ..PoolLimits::default() };
    let mut pool = pool_with(&ledger, limits);
    // The first one is too late for all but a batch that comes sooner.
    let first = transfer_until(&ledger, 1, 0, 5, soon(&ledger));
    let rest: Vec<_> = (1..5).map(|sequence| transfer(&ledger, 1, sequence, 5)).collect();
    for record in [&first].into_iter().chain(&rest) {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    let next = after(&ledger, &[transfer(&ledger, 2, 0, 5)]);
    let gone = pool.prune(&next, &[]);
    let gave_way = |id: &RecordId| gone.contains(&(*id, Some(DropReason::GaveWay)));
    assert_eq!(gone.len(), 3);
    assert!(rest[2..].iter().all(|record| gave_way(&record.id())));
    assert!(pool.contains(&rest[0].id()) && pool.contains(&rest[1].id()));
}

/// A demand that no batch brings which comes a second after the head, or later.
fn short_lived(ledger: &Ledger, index: u64, sequence: u64) -> Record {
    let wanted = Statement::Demand(DemandStatement {
        name: "short-lived".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(1),
        solver_fee: Money::from_units(1),
        expires_ms: ledger.head().timestamp_ms + 1_000,
        window: TimeWindow::ANY,
    });
    content(ledger, index, sequence, wanted).sign(&author(index))
}

#[test]
fn what_a_batch_cannot_bring_takes_none_of_its_room() {
    let stuck = |ledger: &Ledger| {
        let mut records = vec![short_lived(ledger, 1, 0)];
        records.extend((1..4).map(|sequence| transfer(ledger, 1, sequence, 5)));
        records
    };
    let room = stuck(&ledger()).iter().map(size).sum::<usize>();
    for bound in [
        |genesis: &mut Genesis, _| genesis.parameters.limits.records_per_batch = 4,
        |genesis: &mut Genesis, room: usize| {
            // Half of a batch is for records.
            genesis.parameters.limits.batch_bytes = u32::try_from(2 * room).unwrap();
            genesis.parameters.limits.record_bytes = 512;
        },
    ] {
        let ledger = ledger_with(|genesis| bound(genesis, room));
        let stuck = stuck(&ledger);
        let last = stuck.iter().map(Record::id).max().unwrap();
        // Ids are for the author to choose: it signs until they come before everybody else's.
        let mut others = (0..u64::MAX).map(|earlier| transfer_until(&ledger, 2, 0, 5, u64::MAX - earlier));
        let other = others.find(|record| record.id() > last).unwrap();
        let mut pool = pool(&ledger);
        for record in stuck.iter().chain([&other]) {
            pool.insert(record.clone(), &ledger).unwrap();
        }
        let pending = pool.pending(&ledger, soon(&ledger));
        assert_eq!(pending.iter().map(Record::id).collect::<Vec<_>>(), [other.id()]);
    }
}

#[test]
fn demands_whose_time_has_passed_make_room_though_no_batch_comes() {
    let ledger = ledger();
    let first = short_lived(&ledger, 1, 0);
    let mut pool = pool_with(&ledger, PoolLimits { records: 2, ..PoolLimits::default() });
    for record in [&first, &short_lived(&ledger, 2, 0)] {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    let (other, expires_ms) = (transfer(&ledger, 3, 0, 5), ledger.head().timestamp_ms + 1_000);
    pool.pass_time(expires_ms - 1, &ledger);
    let full = PoolRejection::TooManyRecords { got: 2, expected: 2 };
    assert_eq!(pool.insert(other.clone(), &ledger), Err(full));
    pool.pass_time(expires_ms, &ledger);
    let expired = MarketStatementError::DemandExpired { got: expires_ms, expected: expires_ms };
    let expired = RecordError::State(expired.into());
    let dropped = pool.take_dropped();
    assert_eq!((dropped.len(), pool.len(), pool.bytes()), (2, 0, 0));
    assert!(dropped.contains(&(first.id(), DropReason::Record(expired.clone()))));
    // Nor do they come back, asked for or not.
    assert!(!pool.wants(&first.id(), &ledger));
    assert_eq!(pool.insert(first, &ledger), Err(PoolRejection::Record(expired)));
    assert_eq!(pool.insert(other.clone(), &ledger), Ok(other.id()));
}

#[test]
fn what_follows_an_expired_demand_waits_and_keeps_to_the_quota() {
    let ledger = ledger();
    let mut pool = pool_with(&ledger, PoolLimits { waiting_per_author: 2, ..PoolLimits::default() });
    pool.insert(short_lived(&ledger, 1, 0), &ledger).unwrap();
    for sequence in 1..6 {
        pool.insert(transfer(&ledger, 1, sequence, 5), &ledger).unwrap();
    }
    pool.pass_time(ledger.head().timestamp_ms + 1_000, &ledger);
    let held: Vec<u64> =
        pool.records_of(author(1).public().address()).map(|(sequence, _)| sequence).collect();
    assert_eq!((held, pool.take_dropped().len()), (vec![1, 2], 4));
}
