//! One step of the exchange at a time.

use chain::{PublicKey, Record, RecordId, Signature};
use coordinator_free_pool::{
    Exchange, ExchangeFault, Exchanged, MESSAGE_IDS, Pool, PoolMessage, RECONCILE_BYTES, RESPONSE_BYTES,
    Ticked,
};
use proptest::prelude::*;

use crate::market::*;

fn peer(index: u64) -> PublicKey {
    author(100 + index).public()
}

fn filled(ledger: &chain::Ledger, records: &[Record]) -> Pool {
    let mut pool = pool(ledger);
    for record in records {
        pool.insert(record.clone(), ledger).expect("a valid record");
    }
    pool
}

#[test]
fn what_is_announced_is_requested_once_and_taken() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    let record = transfer(&ledger, 1, 0, 5);
    let announce = PoolMessage::Announce(vec![record.id()]);
    let done = exchange.handle(&mut pool, peer(0), announce.clone(), &ledger, 0);
    assert_eq!(done.messages, [(peer(0), PoolMessage::Request(vec![record.id()]))]);
    let done = exchange.handle(&mut pool, peer(1), announce.clone(), &ledger, 1);
    assert_eq!(done.messages, [], "peer 0 has been asked");

    let mut other = filled(&ledger, std::slice::from_ref(&record));
    let request = PoolMessage::Request(vec![record.id()]);
    let answer = Exchange::default().handle(&mut other, peer(9), request, &ledger, 2);
    assert_eq!(answer.messages, [(peer(9), PoolMessage::Records(vec![record.clone()]))]);

    let records = PoolMessage::Records(vec![record.clone()]);
    let done = exchange.handle(&mut pool, peer(0), records.clone(), &ledger, 3);
    assert_eq!(done.accepted, [record]);
    assert_eq!(exchange.wanted(), 0);
    let Exchanged { messages, accepted, rejected, fault } =
        exchange.handle(&mut pool, peer(1), records, &ledger, 4);
    assert!(messages.is_empty() && accepted.is_empty() && rejected.is_empty() && fault.is_none());
    assert_eq!(exchange.handle(&mut pool, peer(1), announce, &ledger, 5).messages, []);
}

#[test]
fn an_unanswered_request_goes_to_another_announcer_and_in_the_end_is_given_up() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    let ids = vec![transfer(&ledger, 1, 0, 5).id()];
    for index in [0, 1] {
        exchange.handle(&mut pool, peer(index), PoolMessage::Announce(ids.clone()), &ledger, 0);
    }
    assert_eq!(exchange.tick(999), Ticked::default());
    let asked = |exchange: &mut Exchange, now_ms| {
        exchange.tick(now_ms).messages.into_iter().map(|(peer, _)| peer).collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut exchange, 1_000), [peer(1)]);
    assert_eq!(asked(&mut exchange, 2_000), [peer(0)]);
    for attempt in 3..8 {
        assert_eq!(asked(&mut exchange, attempt * 1_000).len(), 1);
    }
    assert_eq!(asked(&mut exchange, 8_000), []);
    assert_eq!(exchange.wanted(), 0);
}

#[test]
fn what_a_lost_peer_was_asked_for_is_asked_of_another() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    let ids = vec![transfer(&ledger, 1, 0, 5).id()];
    for index in [0, 1] {
        exchange.handle(&mut pool, peer(index), PoolMessage::Announce(ids.clone()), &ledger, 0);
    }
    exchange.forget_peer(&peer(0));
    assert_eq!(exchange.tick(1).messages, [(peer(1), PoolMessage::Request(ids))]);
    exchange.forget_peer(&peer(1));
    assert_eq!(exchange.wanted(), 0);
}

/// Ids of records that do not exist.
fn invented(first: u32, count: u32) -> Vec<RecordId> {
    let id = |number: u32| RecordId(chain::Domain::Record.hash(&[&number.to_le_bytes()]));
    (first..first + count).map(id).collect()
}

#[test]
fn invented_ids_take_no_place_of_what_others_announce() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    for liar in 0..20 {
        for first in 0..16 {
            let ids = invented(liar * 100_000 + first * 1_024, 1_024);
            exchange.handle(&mut pool, peer(liar.into()), PoolMessage::Announce(ids), &ledger, 0);
        }
    }
    assert_eq!(exchange.wanted(), 20 * 1_024);
    let record = transfer(&ledger, 1, 0, 5);
    let announce = PoolMessage::Announce(vec![record.id()]);
    let done = exchange.handle(&mut pool, peer(50), announce, &ledger, 0);
    assert_eq!(done.messages, [(peer(50), PoolMessage::Request(vec![record.id()]))]);
}

#[test]
fn of_those_who_announced_a_record_the_one_that_answers_best_is_asked() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    exchange.handle(&mut pool, peer(1), PoolMessage::Announce(invented(0, 5)), &ledger, 0);
    exchange.tick(1_000);
    let ids = vec![transfer(&ledger, 1, 0, 5).id()];
    for index in [0, 1, 2] {
        exchange.handle(&mut pool, peer(index), PoolMessage::Announce(ids.clone()), &ledger, 1_000);
    }
    // The first was asked at once and is silent; the second has left five unanswered before.
    let asked = exchange.tick(2_000).messages;
    assert!(asked.contains(&(peer(2), PoolMessage::Request(ids))), "{asked:?}");
}

#[test]
fn who_announces_by_the_thousand_and_delivers_nothing_is_told_of_and_who_lost_a_few_is_not() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    exchange.handle(&mut pool, peer(0), PoolMessage::Announce(invented(0, 1_024)), &ledger, 0);
    exchange.handle(&mut pool, peer(1), PoolMessage::Announce(invented(5_000, 1_000)), &ledger, 0);
    assert!(exchange.tick(999).silent.is_empty());
    assert_eq!(exchange.tick(1_000).silent, [peer(0)]);
    // The same ids are asked for again, and counted once; answers make up for others.
    for second in 2..=8 {
        assert!(exchange.tick(second * 1_000).silent.is_empty());
    }
    assert_eq!(exchange.wanted(), 0);
    for sequence in 0..500 {
        let record = transfer(&ledger, 1, sequence, 5);
        exchange.handle(&mut pool, peer(1), PoolMessage::Announce(vec![record.id()]), &ledger, 9_000);
        exchange.handle(&mut pool, peer(1), PoolMessage::Records(vec![record]), &ledger, 9_000);
    }
    exchange.handle(&mut pool, peer(0), PoolMessage::Announce(invented(10_000, 1_024)), &ledger, 9_000);
    exchange.handle(&mut pool, peer(1), PoolMessage::Announce(invented(20_000, 500)), &ledger, 9_000);
    assert_eq!(exchange.tick(10_000).silent, [peer(0)]);
    exchange.forget_peer(&peer(0));
    exchange.forget_peer(&peer(1));
    assert_eq!(exchange.wanted(), 0);
}

#[test]
fn what_was_refused_is_not_fetched_again_at_this_head() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    let unaffordable = transfer(&ledger, 1, 0, 500);
    let mut forged = transfer(&ledger, 2, 0, 5);
    forged.signature = Signature([1; 64]);
    let records = PoolMessage::Records(vec![unaffordable.clone(), forged.clone()]);
    let done = exchange.handle(&mut pool, peer(0), records, &ledger, 0);
    let rejected: Vec<_> = done.rejected.iter().map(|(id, _)| *id).collect();
    assert_eq!(rejected, [unaffordable.id(), forged.id()]);

    let announce = PoolMessage::Announce(vec![unaffordable.id(), forged.id()]);
    assert_eq!(exchange.handle(&mut pool, peer(1), announce.clone(), &ledger, 1).messages, []);
    let next = after(&ledger, &[transfer(&ledger, 3, 0, 5)]);
    pool.prune(&next, &[]);
    let done = exchange.handle(&mut pool, peer(1), announce, &next, 2);
    assert_eq!(done.messages, [(peer(1), PoolMessage::Request(vec![unaffordable.id()]))]);
}

#[test]
fn an_answer_is_ordered_and_split_by_size() {
    let ledger = ledger();
    let records: Vec<_> = (0..1_024).map(|sequence| transfer(&ledger, 1, sequence, 5)).collect();
    let mut pool = filled(&ledger, &records);
    let ids: Vec<_> = pool.ids().collect();
    let done = Exchange::default().handle(&mut pool, peer(0), PoolMessage::Request(ids), &ledger, 0);
    let sent: Vec<_> = done
        .messages
        .iter()
        .flat_map(|(_, message)| {
            let PoolMessage::Records(records) = message else { panic!("{message:?} to a request") };
            let bytes: usize = records.iter().map(|record| chain::codec::encode(record).len()).sum();
            assert!(bytes <= RESPONSE_BYTES);
            records.iter().map(|record| record.content.sequence)
        })
        .collect();
    assert_eq!(sent, (0..1_024).collect::<Vec<_>>());
}

#[test]
fn more_than_a_message_may_have_is_a_fault_and_does_nothing() {
    let ledger = ledger();
    let (mut pool, mut exchange) = (pool(&ledger), Exchange::default());
    let ids = vec![RecordId(chain::Hash::ZERO); MESSAGE_IDS + 1];
    let record = transfer(&ledger, 1, 0, 5);
    let too_many = ExchangeFault::TooManyItems { got: MESSAGE_IDS + 1, expected: MESSAGE_IDS };
    let too_large = ExchangeFault::ReconcileTooLarge { got: RECONCILE_BYTES + 1, expected: RECONCILE_BYTES };
    let cases = [
        (PoolMessage::Announce(ids.clone()), too_many.clone()),
        (PoolMessage::Request(ids), too_many.clone()),
        (PoolMessage::Records(vec![record; MESSAGE_IDS + 1]), too_many),
        (PoolMessage::ReconcileQuery(vec![0; RECONCILE_BYTES + 1]), too_large.clone()),
        (PoolMessage::ReconcileReply(vec![0; RECONCILE_BYTES + 1]), too_large),
    ];
    for (message, fault) in cases {
        let done = exchange.handle(&mut pool, peer(0), message, &ledger, 0);
        assert_eq!(done.fault, Some(fault));
        assert!(done.messages.is_empty() && pool.is_empty());
    }
    let done = exchange.handle(&mut pool, peer(0), PoolMessage::ReconcileQuery(Vec::new()), &ledger, 0);
    let fault = done.fault.expect("no version is malformed").to_string();
    assert!(fault.starts_with("reconciliation: "), "{fault}");
}

#[test]
fn a_comparison_going_on_is_not_begun_again_until_it_times_out() {
    let ledger = ledger();
    let (pool, mut exchange) = (pool(&ledger), Exchange::default());
    assert_eq!(exchange.reconcile_with(&pool, peer(0), 0).len(), 1);
    assert_eq!(exchange.reconcile_with(&pool, peer(0), 999), []);
    assert_eq!(exchange.reconcile_with(&pool, peer(1), 999).len(), 1);
    assert_eq!(exchange.reconcile_with(&pool, peer(0), 1_000).len(), 1);
}

/// Reconciles `one` with `two`, nothing lost, until nothing more is said; returns (messages, bytes of
/// reconciliation).
fn reconcile(ledger: &chain::Ledger, one: &mut Pool, two: &mut Pool) -> (usize, usize) {
    let mut exchanges = [Exchange::default(), Exchange::default()];
    let mut queue: std::collections::VecDeque<_> =
        exchanges[0].reconcile_with(one, peer(1), 0).into_iter().map(|(_, message)| (1, message)).collect();
    let (mut messages, mut bytes) = (0, 0);
    while let Some((to, message)) = queue.pop_front() {
        messages += 1;
        if let PoolMessage::ReconcileQuery(content) | PoolMessage::ReconcileReply(content) = &message {
            bytes += content.len();
        }
        let pool = if to == 0 { &mut *one } else { &mut *two };
        let done = exchanges[to].handle(pool, peer(1 - to as u64), message, ledger, 0);
        assert_eq!(done.fault, None);
        queue.extend(done.messages.into_iter().map(|(_, message)| (1 - to, message)));
    }
    (messages, bytes)
}

#[test]
fn large_sets_that_differ_a_little_cost_a_little() {
    let ledger = ledger();
    let records: Vec<_> = (1..7).flat_map(|index| (0..500).map(move |sequence| (index, sequence))).collect();
    let records: Vec<_> =
        records.into_iter().map(|(index, sequence)| transfer(&ledger, index, sequence, 5)).collect();
    let (mut one, mut two) = (filled(&ledger, &records[..2_990]), filled(&ledger, &records[10..]));
    let (messages, bytes) = reconcile(&ledger, &mut one, &mut two);
    assert!(one.ids().eq(two.ids()));
    assert_eq!(one.len(), 3_000);
    assert!(messages <= 10 && bytes < 20_000, "{messages} messages, {bytes} bytes");
    // From nothing at all: every message within its limit, which `reconcile` checks by the faults.
    let mut empty = pool(&ledger);
    reconcile(&ledger, &mut empty, &mut two);
    assert!(empty.ids().eq(two.ids()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_reconciliation_bytes_do_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..200), known in any::<bool>()) {
        let ledger = ledger();
        let records: Vec<_> = (0..20).map(|sequence| transfer(&ledger, 1, sequence, 5)).collect();
        let (mut pool, mut exchange) = (filled(&ledger, &records), Exchange::default());
        if known && let Some(version) = bytes.first_mut() {
            *version = 0x61;
        }
        exchange.handle(&mut pool, peer(0), PoolMessage::ReconcileQuery(bytes.clone()), &ledger, 0);
        exchange.reconcile_with(&pool, peer(0), 0);
        exchange.handle(&mut pool, peer(0), PoolMessage::ReconcileReply(bytes), &ledger, 0);
        prop_assert_eq!(pool.len(), 20);
    }
}
