//! A chain small enough to follow by hand: authors with 100 $ each, and batches that bring records.

use std::sync::Arc;

use chain::{
    Draft, ExecutedBatch, Genesis, Ledger, Network, Record, RecordContent, SecretKey, Statement, WellFormed,
};
use coordinator_free_pool::{Pool, PoolLimits};
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider, Scenario, Site,
    Supply, TimeWindow,
};

const RNG_SEED: u64 = 3;

/// Author number `index`; the first eight have 100 $ at genesis.
pub(crate) fn author(index: u64) -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "author", index)
}

pub(crate) fn ledger() -> Ledger {
    ledger_with(|_| {})
}

pub(crate) fn ledger_with(change: impl FnOnce(&mut Genesis)) -> Ledger {
    let rules = CostRules {
        rate_per_km: Money::from_units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 1_000,
        deliver: false,
    };
    let offers = [(OperationId(0), Offer { cost: Money::from_units(10), minutes: 10 })].into();
    let provider = Provider { name: "only".into(), site: Site::point(0, 0), offers, capacity: None };
    let supply =
        Supply { providers: vec![provider], rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE };
    let demand = Demand {
        name: "none".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(1),
        window: TimeWindow::ANY,
    };
    let instance = Instance { supply, demands: vec![demand] };
    let validators = vec![SecretKey::for_scenario(RNG_SEED, "validator", 0).public()];
    let mut scenario = Scenario::of_instance("pool", instance);
    scenario.network.fee_per_byte = Money::ZERO; // amounts are round
    scenario.network.notice_ms = 0;
    let profile = scenario.search.profile;
    let mut genesis = Genesis::of_scenario(&scenario, profile, 1, validators, RNG_SEED, 1_000_000);
    for index in 0..8 {
        genesis.balances.insert(author(index).public().address(), Money::from_units(100));
    }
    change(&mut genesis);
    Ledger::new(Arc::new(Network::new(genesis).expect("a valid genesis")))
}

pub(crate) fn pool(ledger: &Ledger) -> Pool {
    Pool::new(PoolLimits::default(), Arc::clone(ledger.network()))
}

pub(crate) fn pool_with(ledger: &Ledger, limits: PoolLimits) -> Pool {
    Pool::new(limits, Arc::clone(ledger.network()))
}

/// Author `index` gives `units` dollars to author 0; different amounts make different records.
pub(crate) fn transfer(ledger: &Ledger, index: u64, sequence: u64, units: i64) -> Record {
    transfer_until(ledger, index, sequence, units, u64::MAX)
}

/// The same, for batches before this time.
pub(crate) fn transfer_until(
    ledger: &Ledger,
    index: u64,
    sequence: u64,
    units: i64,
    valid_until_ms: u64,
) -> Record {
    let statement =
        Statement::Transfer { to: author(0).public().address(), amount: Money::from_units(units) };
    let content = RecordContent { valid_until_ms, ..content(ledger, index, sequence, statement) };
    content.sign(&author(index))
}

pub(crate) fn content(ledger: &Ledger, index: u64, sequence: u64, statement: Statement) -> RecordContent {
    RecordContent {
        network: ledger.network().id(),
        author: author(index).public(),
        sequence,
        valid_until_ms: u64::MAX,
        statement,
    }
}

/// When the next batch may come.
pub(crate) fn soon(ledger: &Ledger) -> u64 {
    ledger.head().timestamp_ms + 10_000
}

/// The ledger after a batch that brings these.
pub(crate) fn after(ledger: &Ledger, records: &[Record]) -> Ledger {
    batch_of(ledger, records).into_parts().1
}

/// A batch that brings these, and the ledger after it.
pub(crate) fn batch_of(ledger: &Ledger, records: &[Record]) -> ExecutedBatch {
    let miner = SecretKey::for_scenario(RNG_SEED, "miner", 0);
    let timestamp_ms = soon(ledger);
    let drafted = ledger
        .draft(Draft {
            miner: miner.public(),
            timestamp_ms,
            records: records.to_vec(),
            prices: None,
            compositions: Vec::new(),
            amendments: Vec::new(),
        })
        .expect("records that the batch can bring");
    let (batch, _) = drafted.sign(&miner);
    let well_formed = WellFormed::new(ledger.network(), batch).expect("well formed");
    ledger.validate(well_formed).expect("what was drafted is valid").execute().expect("a sound state")
}
