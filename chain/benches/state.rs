//! What a batch costs against the size of the state and the length of its history: drafting and validating one that composes
//! three demands, after so many demands came and were cancelled, and among so many accounts. Both must stay flat.

use std::collections::BTreeMap;
use std::sync::Arc;

use chain::record::DemandStatement;
use chain::{
    Address, DemandId, Draft, Genesis, Hash, Ledger, Network, Record, RecordContent, SecretKey, Statement,
    WellFormed,
};
use divan::{Bencher, bench};
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider, ProviderId,
    Scenario, Site, Slot, Supply, TimeWindow,
};

/// Demands that one batch brings and cancels, of the two thousand records it may have.
const CANCELLED_PER_BATCH: usize = 1_000;

fn main() {
    divan::main();
}

fn key(role: &str) -> SecretKey {
    SecretKey::for_scenario(1, role, 0)
}

/// A market of ten providers, one customer, and so many owners of money beside.
fn ledger(accounts: usize) -> Ledger {
    let operation = OperationId(0);
    let provider = |index: i64| Provider {
        name: format!("provider {index}"),
        site: Site::point(index * 1_000, 0),
        offers: BTreeMap::from([(operation, Offer { cost: Money::from_units(10 + index), minutes: 10 })]),
        capacity: None,
    };
    let rules = CostRules {
        rate_per_km: Money::from_units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 1_000,
        deliver: false,
    };
    let supply = Supply {
        providers: (0..10).map(provider).collect(),
        rules,
        geometry: Geometry::Euclidean,
        horizon: Horizon::SINGLE,
    };
    let wanted = Demand {
        name: "none".into(),
        site: Site::point(0, 0),
        orders: vec![operation],
        budget: Money::from_units(1),
        window: TimeWindow::ANY,
    };
    let instance = Instance { supply, demands: vec![wanted] };
    let scenario = Scenario::of_instance("state", instance);
    let (profile, validators) = (scenario.search.profile, vec![key("validator").public()]);
    let mut genesis = Genesis::of_scenario(&scenario, profile, 1, validators, 1, 1_000);
    genesis.balances.insert(key("customer").public().address(), Money::from_units(1_000_000));
    let owners = (0..accounts).map(|index| Address(Hash(*blake3::hash(&index.to_le_bytes()).as_bytes())));
    genesis.balances.extend(owners.map(|owner| (owner, Money::from_units(1))));
    Ledger::new(Arc::new(Network::new(genesis).expect("a valid genesis")))
}

fn record(ledger: &Ledger, sequence: u64, statement: Statement) -> Record {
    let customer = key("customer");
    let content = RecordContent {
        network: ledger.network().id(),
        author: customer.public(),
        sequence,
        valid_until_ms: u64::MAX,
        statement,
    };
    content.sign(&customer)
}

/// A record that brings a demand for one operation.
fn demand(ledger: &Ledger, sequence: u64) -> Record {
    let statement = DemandStatement {
        name: "wanted".into(),
        site: Site::point(10, 10),
        orders: vec![OperationId(0)],
        budget: Money::from_units(100),
        solver_fee: Money::from_units(1),
        expires_ms: u64::MAX,
        window: TimeWindow::ANY,
    };
    record(ledger, sequence, Statement::Demand(statement))
}

/// An hour after the head, so that no interval is too short.
fn draft(ledger: &Ledger, records: Vec<Record>, compositions: Vec<(DemandId, Vec<Slot>)>) -> Draft {
    Draft {
        miner: key("miner").public(),
        timestamp_ms: ledger.head().timestamp_ms + 3_600_000,
        records,
        prices: None,
        compositions,
        amendments: Vec::new(),
    }
}

fn mined(ledger: &Ledger, draft: Draft) -> WellFormed {
    let (batch, _) = ledger.draft(draft).expect("a draft that keeps the rules").sign(&key("miner"));
    WellFormed::new(ledger.network(), batch).expect("what was drafted is well-formed")
}

fn after(ledger: &Ledger, batch: WellFormed) -> Ledger {
    ledger
        .validate(batch)
        .expect("what was drafted is valid")
        .execute()
        .expect("a sound state")
        .into_parts()
        .1
}

/// With so many demands that came and were cancelled.
fn aged(mut ledger: Ledger, cancelled: usize) -> Ledger {
    let mut sequence = 0;
    for _ in 0..cancelled / CANCELLED_PER_BATCH {
        let mut records = Vec::new();
        for _ in 0..CANCELLED_PER_BATCH {
            let wanted = demand(&ledger, sequence);
            let regretted = Statement::DemandCancellation { demand: wanted.id() };
            records.extend([wanted, record(&ledger, sequence + 1, regretted)]);
            sequence += 2;
        }
        ledger = after(&ledger, mined(&ledger, draft(&ledger, records, Vec::new())));
    }
    ledger
}

/// With three open demands, and the draft that composes them.
fn with_work(ledger: &Ledger) -> (Ledger, Draft) {
    let first = ledger.next_sequence(key("customer").public().address());
    let records: Vec<Record> = (first..first + 3).map(|sequence| demand(ledger, sequence)).collect();
    let ids: Vec<DemandId> = records.iter().map(Record::id).collect();
    let ledger = after(ledger, mined(ledger, draft(ledger, records, Vec::new())));
    let compositions = ids.into_iter().map(|id| (id, vec![Slot::single(ProviderId(0))])).collect();
    let draft = draft(&ledger, Vec::new(), compositions);
    (ledger, draft)
}

/// Drafts and validates; form and signatures, which no state can slow down, are left out.
fn bench_batch(bencher: Bencher<'_, '_>, ledger: &Ledger) {
    let (ledger, draft) = with_work(ledger);
    let batch = mined(&ledger, draft.clone());
    let bencher = bencher.with_inputs(|| (draft.clone(), batch.clone()));
    bencher.bench_local_values(|(draft, batch)| {
        ledger.draft(draft).is_ok() && ledger.validate(batch).is_ok_and(|valid| valid.execute().is_ok())
    });
}

#[bench(args = [0, 1_000, 10_000, 100_000])]
fn a_batch_after_so_many_cancelled_demands(bencher: Bencher<'_, '_>, cancelled: usize) {
    bench_batch(bencher, &aged(ledger(0), cancelled));
}

#[bench(args = [0, 1_000, 10_000, 100_000])]
fn a_batch_among_so_many_accounts(bencher: Bencher<'_, '_>, accounts: usize) {
    bench_batch(bencher, &ledger(accounts));
}

#[bench(args = [0, 100_000])]
fn which_records_fit_after_so_many_cancelled_demands(bencher: Bencher<'_, '_>, cancelled: usize) {
    let ledger = aged(ledger(0), cancelled);
    let first = ledger.next_sequence(key("customer").public().address());
    let records: Vec<Record> = (first..first + 3).map(|sequence| demand(&ledger, sequence)).collect();
    bencher.bench_local(|| ledger.admissible_records(&records, ledger.head().timestamp_ms + 1).0.len());
}
