//! A scenario of paper A's size: the exact optimum of sixty of its demands in one batch.

use std::sync::Arc;

use chain::genesis::scenario::scenario_demand_records;
use chain::{Draft, Genesis, Ledger, Network, SecretKey, WellFormed};
use scenarios::{DualPrices, Money, Oracle, Scenario};

#[test]
fn the_optimum_of_sixty_demands_of_problem_2_is_one_valid_batch() {
    let scenario = Scenario::from_json(include_bytes!("../../../scenarios/tehran/problem-2.json")).unwrap();
    let miner = SecretKey::for_scenario(1, "miner", 0);
    let genesis = Genesis::of_scenario(&scenario, scenario.search.profile, 1, vec![miner.public()], 1, 1_000);
    let network = Arc::new(Network::new(genesis).unwrap());
    let mut ledger = Ledger::new(network.clone());
    let fee = network.parameters().solver_fee_ppm;
    let records = scenario_demand_records(
        &scenario.instance,
        network.id(),
        1,
        fee,
        network.genesis().first_expiry_ms(),
    );

    let oracle = Oracle::new(&scenario.instance.supply);
    let cheapest = |demand| oracle.cheapest(demand, &DualPrices::zero()).unwrap();
    let demands = scenario.instance.demands.iter().zip(&records).take(60);
    let compositions: Vec<_> =
        demands.map(|(demand, record)| (record.id(), cheapest(demand).slots)).collect();
    let optimum: Money =
        scenario.instance.demands.iter().take(60).map(|demand| cheapest(demand).priced_cost).sum();

    let mut add = |records, compositions, timestamp_ms| {
        let draft = Draft {
            miner: miner.public(),
            timestamp_ms,
            records,
            prices: None,
            compositions,
            amendments: vec![],
        };
        let (batch, _) = ledger.draft(draft).unwrap().sign(&miner);
        let batch = WellFormed::new(&network, batch).unwrap();
        let executed = ledger.validate(batch).unwrap().execute().unwrap();
        ledger = executed.next().clone();
        executed.report().clone()
    };
    assert_eq!(add(records, Vec::new(), 2_000).records, 90);
    let report = add(Vec::new(), compositions, 3_000);
    assert_eq!((report.cost, report.reduced_cost, report.reward), (optimum, Money::ZERO, report.fees));
    assert_eq!((report.compositions, report.orders), (60, 60 * 25));
}
