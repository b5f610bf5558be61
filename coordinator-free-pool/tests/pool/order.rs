//! What a batch takes, in which order, and what leaves after it.

use chain::ledger::{AccountError, StatementError};
use chain::record::DemandStatement;
use chain::{Record, RecordId, Statement};
use coordinator_free_pool::DropReason;
use scenarios::{Money, OperationId, Site, TimeWindow};

use crate::market::*;

fn ids(records: &[Record]) -> Vec<RecordId> {
    records.iter().map(Record::id).collect()
}

#[test]
fn each_author_goes_by_sequence_and_among_authors_the_smallest_id_goes_first() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let of_one: Vec<_> = (0..3).map(|sequence| transfer(&ledger, 1, sequence, 5)).collect();
    let of_two: Vec<_> = (0..2).map(|sequence| transfer(&ledger, 2, sequence, 5)).collect();
    // Any order of arrival.
    for record in of_one.iter().rev().chain(&of_two) {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    let (mut one, mut two) = (of_one.iter().peekable(), of_two.iter().peekable());
    let mut expected = Vec::new();
    loop {
        let one_first = match (one.peek(), two.peek()) {
            (Some(one), Some(two)) => one.id() < two.id(),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        expected.extend(if one_first { one.next() } else { two.next() }.map(Record::id));
    }
    assert_eq!(ids(&pool.pending(&ledger, soon(&ledger))), expected);
}

#[test]
fn what_waits_for_a_predecessor_or_lives_too_long_is_not_pending() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let gapped = transfer(&ledger, 1, 1, 5);
    let wanted = Statement::Demand(DemandStatement {
        name: "far off".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(50),
        solver_fee: Money::from_units(2),
        expires_ms: soon(&ledger) + 1 + ledger.network().parameters().demand_lifetime_max_ms,
        window: TimeWindow::ANY,
    });
    let early = content(&ledger, 2, 0, wanted).sign(&author(2));
    for record in [&gapped, &early, &transfer(&ledger, 2, 1, 5)] {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    assert!(pool.pending(&ledger, soon(&ledger)).is_empty());
    let first = transfer(&ledger, 1, 0, 5);
    pool.insert(first.clone(), &ledger).unwrap();
    assert_eq!(ids(&pool.pending(&ledger, soon(&ledger))), ids(&[first.clone(), gapped]));
    // By the time of the next batch it no longer does.
    let next = after(&ledger, &[first]);
    assert_eq!(pool.pending(&next, soon(&next)).len(), 3);
}

#[test]
fn only_what_fits_together_is_pending() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let (first, second) = (transfer(&ledger, 1, 0, 60), transfer(&ledger, 1, 1, 60));
    for record in [&second, &first] {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    assert_eq!(ids(&pool.pending(&ledger, soon(&ledger))), [first.id()]);
    let _ = after(&ledger, &pool.pending(&ledger, soon(&ledger)));
}

#[test]
fn a_batch_takes_at_most_what_the_network_allows() {
    let ledger = ledger_with(|genesis| genesis.parameters.limits.records_per_batch = 2);
    let mut pool = pool(&ledger);
    for index in 1..6 {
        pool.insert(transfer(&ledger, index, 0, 5), &ledger).unwrap();
    }
    let smallest: Vec<_> = pool.ids().take(2).collect();
    assert_eq!(ids(&pool.pending(&ledger, soon(&ledger))), smallest);
}

#[test]
fn a_demand_that_came_and_was_cancelled_in_one_batch_was_on_chain() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let wanted = Statement::Demand(DemandStatement {
        name: "regretted".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(50),
        solver_fee: Money::from_units(2),
        expires_ms: ledger.network().genesis().first_expiry_ms(),
        window: TimeWindow::ANY,
    });
    let demand = content(&ledger, 1, 0, wanted).sign(&author(1));
    let regret = Statement::DemandCancellation { demand: demand.id() };
    let regret = content(&ledger, 1, 1, regret).sign(&author(1));
    pool.insert(demand.clone(), &ledger).unwrap();
    let (_, next, report) = batch_of(&ledger, &[demand.clone(), regret]).into_parts();
    assert_eq!(next.demand(demand.id()), None);
    assert_eq!(pool.prune(&next, &report.departed), [(demand.id(), None)]);
}

#[test]
fn after_a_batch_the_pool_names_what_left_and_why() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let brought = transfer(&ledger, 1, 0, 90);
    let expiring = transfer_until(&ledger, 2, 0, 5, soon(&ledger));
    let unaffordable = transfer(&ledger, 1, 1, 20);
    let staying = transfer(&ledger, 3, 0, 5);
    for record in [&brought, &expiring, &unaffordable, &staying] {
        pool.insert(record.clone(), &ledger).unwrap();
    }
    let next = after(&ledger, std::slice::from_ref(&brought));
    let mut expected = [
        (brought.id(), None),
        (expiring.id(), Some(StatementError::Expired { got: soon(&ledger) + 1, expected: soon(&ledger) })),
        (
            unaffordable.id(),
            Some(StatementError::Account(AccountError::Overdraft {
                author: unaffordable.author(),
                got: Money::from_units(9),
                expected: Money::from_units(20),
            })),
        ),
    ];
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(
        pool.prune(&next, &[]),
        expected.map(|(id, reason)| (id, reason.map(|error| DropReason::Record(error.into()))))
    );
    assert_eq!(pool.ids().collect::<Vec<_>>(), [staying.id()]);
    assert_eq!(pool.bytes(), chain::codec::encode(&staying).len());
    assert_eq!(pool.prune(&next, &[]), []);

    // What is settled is never fetched again, what may turn out well is looked at again a batch later.
    assert!(!pool.wants(&brought.id(), &next) && !pool.wants(&unaffordable.id(), &next));
    let later = after(&next, &[staying]);
    assert!(!pool.wants(&brought.id(), &later) && !pool.wants(&expiring.id(), &later));
    assert!(pool.wants(&unaffordable.id(), &later));
}

#[test]
fn what_a_batch_can_bring_changes_as_time_passes_over_an_old_head() {
    let ledger = ledger_with(|genesis| genesis.parameters.demand_lifetime_max_ms = 60_000);
    let mut pool = pool(&ledger);
    // As somebody says an hour after the last batch who wants it for fifty seconds.
    let now = ledger.head().timestamp_ms + 3_600_000;
    let wanted = Statement::Demand(DemandStatement {
        name: "late".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(50),
        solver_fee: Money::from_units(2),
        expires_ms: now + 50_000,
        window: TimeWindow::ANY,
    });
    let demand = content(&ledger, 1, 0, wanted).sign(&author(1));
    pool.insert(demand.clone(), &ledger).unwrap();
    for (timestamp_ms, expected) in
        [(now - 10_001, 0), (now - 10_000, 1), (now, 1), (now + 49_999, 1), (now + 50_000, 0), (now, 1)]
    {
        assert_eq!(pool.pending(&ledger, timestamp_ms).len(), expected, "{} ms", timestamp_ms - now);
    }
}
