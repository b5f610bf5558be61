//! How long peers take to check a batch that composes every demand of a Tehran problem: its form (encoding, Merkle
//! root, signatures), and everything that depends on the state (feasibility, reduced costs, reward, state root).
//! What depends on the state needs a shortest path for every demand, and is measured on every set of vector
//! instructions; a set that this processor lacks is measured as the portable one.
#![expect(clippy::disallowed_methods, reason = "a benchmark of a scenario file")]

use std::sync::Arc;

use chain::genesis::scenario::scenario_demand_records;
use chain::{Batch, Draft, Genesis, Ledger, Network, SecretKey, WellFormed};
use divan::{Bencher, bench};
use scenarios::{DualPrices, Kernel, Oracle, Scenario};

fn main() {
    divan::main();
}

/// A ledger in which a problem's demands are open, and a batch that composes them all.
struct Case {
    network: Arc<Network>,
    ledger: Ledger,
    batch: Batch,
}

fn case(problem: u8) -> Case {
    let path = format!("{}/../scenarios/tehran/problem-{problem}.json", env!("CARGO_MANIFEST_DIR"));
    let scenario = Scenario::from_json(&std::fs::read(path).expect("a checked-in file")).expect("a scenario");
    let miner = SecretKey::for_scenario(1, "miner", 0);
    let genesis = Genesis::of_scenario(&scenario, scenario.search.profile, 1, vec![miner.public()], 1, 1_000);
    let network = Arc::new(Network::new(genesis).expect("a valid genesis"));
    let ledger = Ledger::new(network.clone());
    let fee = network.parameters().solver_fee_ppm;
    let records = scenario_demand_records(
        &scenario.instance,
        network.id(),
        1,
        fee,
        network.genesis().first_expiry_ms(),
    );
    let oracle = Oracle::new(&scenario.instance.supply);
    let compositions = scenario.instance.demands.iter().zip(&records).map(|(demand, record)| {
        let best = oracle.cheapest(demand, &DualPrices::zero()).expect("everybody offers everything");
        (record.id(), best.slots)
    });
    let compositions = compositions.collect();
    let draft = |records, compositions, timestamp_ms| Draft {
        miner: miner.public(),
        timestamp_ms,
        records,
        prices: None,
        compositions,
        amendments: Vec::new(),
    };
    let drafted = |ledger: &Ledger, draft| ledger.draft(draft).expect("a valid batch").sign(&miner).0;
    let opening = drafted(&ledger, draft(records, Vec::new(), 2_000));
    let opening = WellFormed::new(&network, opening).expect("well-formed");
    let ledger = ledger.validate(opening).expect("valid").execute().expect("a sound state").next().clone();
    let batch = drafted(&ledger, draft(Vec::new(), compositions, 3_000));
    Case { network, ledger, batch }
}

#[bench(args = [2, 4])]
fn the_form_of_a_batch(bencher: Bencher<'_, '_>, problem: u8) {
    let Case { network, batch, .. } = case(problem);
    let bencher = bencher.with_inputs(|| batch.clone());
    bencher.bench_local_values(|batch| WellFormed::new(&network, batch).is_ok());
}

#[bench(args = [2, 4].into_iter().flat_map(|problem| Kernel::ALL.map(|kernel| (problem, kernel))))]
fn a_batch_against_the_state(bencher: Bencher<'_, '_>, (problem, kernel): (u8, Kernel)) {
    Kernel::use_at_most(kernel);
    let Case { network, ledger, batch } = case(problem);
    let bencher = bencher.with_inputs(|| WellFormed::new(&network, batch.clone()).expect("well-formed"));
    bencher.bench_local_values(|batch| ledger.validate(batch).is_ok_and(|valid| valid.execute().is_ok()));
}
