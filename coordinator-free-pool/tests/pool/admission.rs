//! What may enter, and every reason why not.

use chain::ledger::{AccountError, StatementError};
use chain::validate::RecordError;
use chain::{Fault, Hash, KeyError, NetworkId, Signature, Statement};
use coordinator_free_pool::{DropReason, PoolLimits, PoolRejection};
use scenarios::{Money, OperationId, Site, TimeWindow};

use crate::market::*;

#[test]
fn a_valid_record_enters_once() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let record = transfer(&ledger, 1, 0, 5);
    assert_eq!(pool.insert(record.clone(), &ledger), Ok(record.id()));
    assert_eq!((pool.len(), pool.bytes()), (1, chain::codec::encode(&record).len()));
    assert_eq!(pool.get(&record.id()), Some(&record));
    assert_eq!(pool.insert(record.clone(), &ledger), Err(PoolRejection::Duplicate(record.id())));
}

#[test]
fn what_a_reader_has_taken_stays_as_it_was_while_the_pool_goes_on() {
    let ledger = ledger();
    let mut pool = pool(&ledger);
    let [first, second] = [0, 1].map(|sequence| transfer(&ledger, 1, sequence, 5));
    pool.insert(first.clone(), &ledger).unwrap();
    let taken = pool.contents().clone();
    pool.insert(second.clone(), &ledger).unwrap();
    assert_eq!((taken.len(), pool.len()), (1, 2));
    assert_eq!((taken.get(&first.id()), taken.get(&second.id())), (Some(&first), None));
    let of_author: Vec<u64> = taken.records_of(first.author()).map(|(sequence, _)| sequence).collect();
    assert_eq!(of_author, [0]);
}

#[test]
fn what_is_wrong_by_itself_is_the_senders_fault() {
    let ledger = ledger_with(|genesis| genesis.parameters.limits.record_bytes = 256);
    let mut pool = pool(&ledger);
    let good = transfer(&ledger, 1, 0, 5);

    let mut forged = good.clone();
    forged.signature = Signature([1; 64]);
    let mut foreign = good.clone();
    foreign.content.network = NetworkId(Hash([9; 32]));
    let demand = chain::record::DemandStatement {
        name: "long".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0); 200],
        budget: Money::from_units(1),
        solver_fee: Money::from_units(1),
        expires_ms: ledger.network().genesis().first_expiry_ms(),
        window: TimeWindow::ANY,
    };
    let large = content(&ledger, 1, 0, Statement::Demand(demand)).sign(&author(1));
    let size = chain::codec::encode(&large).len();

    let (address, network) = (good.author(), ledger.network().id());
    let cases = [
        (forged, RecordError::Signature { author: address, error: KeyError::BadSignature }),
        (foreign, RecordError::WrongNetwork { got: NetworkId(Hash([9; 32])), expected: network }),
        (large, RecordError::TooLarge { got: size, expected: 256 }),
    ];
    for (record, error) in cases {
        let rejection = pool.insert(record, &ledger).unwrap_err();
        assert_eq!((rejection.fault(), rejection), (Fault::Peer, PoolRejection::Record(error)));
    }
    assert!(pool.is_empty());
}

#[test]
fn what_no_batch_can_bring_as_the_chain_stands_is_refused() {
    let genesis = ledger();
    let first = transfer(&genesis, 1, 0, 5);
    let ledger = after(&genesis, std::slice::from_ref(&first));
    let mut pool = pool(&ledger);
    let (author, soonest) = (first.author(), ledger.head().timestamp_ms + 1);
    let cases = [
        (first, AccountError::SequenceUsed { author, got: 0, expected: 1 }.into()),
        (
            transfer_until(&ledger, 1, 1, 5, soonest),
            StatementError::Expired { got: soonest, expected: soonest },
        ),
        (
            // Of the 95 $ left, an account keeps 1 $.
            transfer(&ledger, 1, 1, 95),
            AccountError::Overdraft { author, got: Money::from_units(94), expected: Money::from_units(95) }
                .into(),
        ),
    ];
    for (record, error) in cases {
        let rejection = pool.insert(record, &ledger).unwrap_err();
        let error = PoolRejection::Record(RecordError::from(error));
        assert_eq!((rejection.fault(), rejection), (Fault::Transient, error));
    }
}

#[test]
fn gaps_are_bounded() {
    let ledger = ledger();
    let limits = PoolLimits { sequence_gap: 3, ..PoolLimits::default() };
    let mut pool = pool_with(&ledger, limits);
    pool.insert(transfer(&ledger, 1, 3, 5), &ledger).unwrap();
    let wide = transfer(&ledger, 1, 4, 5);
    let refused = PoolRejection::GapTooWide { author: wide.author(), got: 4, expected: 3 };
    assert_eq!(pool.insert(wide, &ledger), Err(refused));
}

#[test]
fn quotas_are_this_nodes_own() {
    let ledger = ledger();
    let bytes = chain::codec::encode(&transfer(&ledger, 1, 0, 5)).len();
    let limits = PoolLimits { per_author: 1, records: 2, bytes: 2 * bytes, ..PoolLimits::default() };
    let mut pool = pool_with(&ledger, limits);
    let first = transfer(&ledger, 1, 0, 5);
    pool.insert(first.clone(), &ledger).unwrap();
    let quota = PoolRejection::AuthorQuota { author: first.author(), got: 1, expected: 1 };
    assert_eq!(pool.insert(transfer(&ledger, 1, 1, 5), &ledger), Err(quota.clone()));
    assert_eq!(quota.fault(), Fault::Local);
    pool.insert(transfer(&ledger, 2, 0, 5), &ledger).unwrap();
    assert_eq!(
        pool.insert(transfer(&ledger, 3, 0, 5), &ledger),
        Err(PoolRejection::TooManyRecords { got: 2, expected: 2 })
    );

    let mut narrow = pool_with(&ledger, PoolLimits { bytes: 2 * bytes - 1, ..PoolLimits::default() });
    narrow.insert(first, &ledger).unwrap();
    assert_eq!(
        narrow.insert(transfer(&ledger, 2, 0, 5), &ledger),
        Err(PoolRejection::TooManyBytes { got: 2 * bytes, expected: 2 * bytes - 1 })
    );
}

#[test]
fn of_two_records_with_one_sequence_number_the_smaller_id_stays_in_either_order() {
    let ledger = ledger();
    let (one, two) = (transfer(&ledger, 1, 0, 5), transfer(&ledger, 1, 0, 6));
    let (small, large) = if one.id() < two.id() { (one, two) } else { (two, one) };
    let taken = PoolRejection::SequenceTaken { author: small.author(), sequence: 0, kept: small.id() };

    let mut pool = pool(&ledger);
    pool.insert(small.clone(), &ledger).unwrap();
    assert_eq!(pool.insert(large.clone(), &ledger), Err(taken.clone()));

    // In the other order too, even where there is no room for two.
    let mut pool = pool_with(&ledger, PoolLimits { records: 1, per_author: 1, ..PoolLimits::default() });
    pool.insert(large.clone(), &ledger).unwrap();
    pool.insert(small.clone(), &ledger).unwrap();
    assert_eq!(pool.ids().collect::<Vec<_>>(), [small.id()]);
    assert_eq!(pool.bytes(), chain::codec::encode(&small).len());
    assert_eq!(pool.prune(&ledger, &[]), [(large.id(), Some(DropReason::Replaced(small.id())))]);
    assert_eq!(pool.insert(large, &ledger), Err(taken));
}
