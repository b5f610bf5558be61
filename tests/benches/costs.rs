//! What the parts of a node's work cost on this machine: the simulator's table (`src/sim/cost.rs`) is rounded from here.
//! Each figure is for so many pieces as its argument says.

use std::sync::Arc;

use chain::codec::{decode, encode};
use chain::genesis::scenario_demand_records;
use chain::{Draft, Ledger, Record, SecretKey, WellFormed, check_record};
use coordinator_free_pool::{Exchange, Pool, PoolLimits, PoolMessage};
use divan::{Bencher, bench, black_box};
use miner_node::{MESSAGE_BYTES, Message};
use mizan_tests::sim::{Market, MarketKind};
use scenarios::{DualPrices, Oracle};

fn main() {
    divan::main();
}

fn key() -> SecretKey {
    SecretKey::for_scenario(1, "bench", 0)
}

fn market(demands: u32) -> Market {
    let kind = MarketKind::Capacitated { capacity_ppm: 100_000_000 };
    Market::generated(kind, 10, demands, &[key().public()], 1).expect("a market")
}

fn records(count: u32) -> (Market, Vec<Record>) {
    let market = market(count);
    let fee = market.network.parameters().solver_fee_ppm;
    let records = scenario_demand_records(
        &market.instance,
        market.network.id(),
        1,
        fee,
        market.network.genesis().first_expiry_ms(),
    );
    (market, records)
}

#[bench(args = [1, 100])]
fn verifying_the_signatures_of_records(bencher: Bencher<'_, '_>, count: u32) {
    let (market, records) = records(count);
    bencher.bench(|| records.iter().filter(|record| check_record(&market.network, record).is_ok()).count());
}

#[bench(args = [1, 100])]
fn decoding_a_message_of_records(bencher: Bencher<'_, '_>, count: u32) {
    let bytes = Message::Pool(PoolMessage::Records(records(count).1)).encode();
    bencher
        .counter(divan::counter::BytesCount::new(bytes.len()))
        .bench(|| Message::decode(black_box(&bytes)));
}

#[bench(args = [1, 100])]
fn encoding_a_message_of_records(bencher: Bencher<'_, '_>, count: u32) {
    let message = Message::Pool(PoolMessage::Records(records(count).1));
    bencher
        .counter(divan::counter::BytesCount::new(message.encode().len()))
        .bench(|| black_box(&message).encode());
}

#[bench(args = [1, 100, 500])]
fn answering_a_comparison_of_pools(bencher: Bencher<'_, '_>, count: u32) {
    let (market, records) = records(count);
    let ledger = Ledger::new(Arc::clone(&market.network));
    let (mut pool, mut exchange) = filled(&market, &records, &ledger);
    let empty = Pool::new(PoolLimits::default(), Arc::clone(&market.network));
    let begun = Exchange::default().reconcile_with(&empty, key().public(), 1);
    let query = begun.into_iter().next().expect("a comparison begins").1;
    bencher.bench_local(|| exchange.handle(&mut pool, key().public(), query.clone(), &ledger, 1));
}

fn filled(market: &Market, records: &[Record], ledger: &Ledger) -> (Pool, Exchange) {
    let mut pool = Pool::new(PoolLimits::default(), Arc::clone(&market.network));
    for record in records {
        pool.insert(record.clone(), ledger).expect("a record of the market");
    }
    (pool, Exchange::default())
}

/// One batch that composes all, judged as the next; its bytes read and encoded again, as for who catches up.
#[bench(args = [1, 20])]
fn judging_a_batch(bencher: Bencher<'_, '_>, count: u32) {
    let (ledger, batch) = composing(count);
    let network = Arc::clone(ledger.network());
    bencher.bench(|| {
        let batch = WellFormed::new(&network, batch.clone()).expect("well-formed");
        ledger.validate(batch).expect("valid").execute().expect("a sound state")
    });
}

#[bench(args = [1, 20])]
fn reading_a_batch_and_encoding_it_again(bencher: Bencher<'_, '_>, count: u32) {
    let bytes = encode(&composing(count).1);
    bencher.counter(divan::counter::BytesCount::new(bytes.len())).bench(|| {
        let batch: chain::Batch = decode(black_box(&bytes), MESSAGE_BYTES).expect("a batch");
        encode(&batch)
    });
}

fn composing(count: u32) -> (Ledger, chain::Batch) {
    let (market, records) = records(count);
    let ledger = Ledger::new(Arc::clone(&market.network));
    let oracle = Oracle::new(&market.instance.supply);
    let free = DualPrices::zero();
    let best = |(demand, record): (_, &Record)| Some((record.id(), oracle.cheapest(demand, &free)?.slots));
    let compositions = market.instance.demands.iter().zip(&records).filter_map(best).collect();
    let draft = |records, compositions, timestamp_ms| Draft {
        miner: key().public(),
        timestamp_ms: mizan_tests::sim::START_MS + timestamp_ms,
        records,
        prices: None,
        compositions,
        amendments: Vec::new(),
    };
    let sign = |ledger: &Ledger, draft| ledger.draft(draft).expect("a valid batch").sign(&key()).0;
    let opening = sign(&ledger, draft(records, Vec::new(), 10_000));
    let opening = WellFormed::new(&market.network, opening).expect("well-formed");
    let ledger = ledger.validate(opening).expect("valid").execute().expect("a sound state").next().clone();
    let batch = sign(&ledger, draft(Vec::new(), compositions, 20_000));
    (ledger, batch)
}
