//! Three chains: an open market with records of every kind, paper A's rules on a distance matrix, and a
//! scenario of paper A's size with scarce capacity.

use chain::genesis::scenario::{demander_key, provider_key, scenario_demand_records};
use chain::record::{DemandStatement, OfferStatement};
use chain::{Genesis, Record, RecordId, SecretKey, Statement};
use miner::files::load_scenario;
use scenarios::parameters::{Allocation, Parameters};
use scenarios::schedule::{Measure, Schedule};
use scenarios::{
    CostRules, Demand, DistanceMatrix, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider,
    Scenario, Site, Supply, TimeWindow,
};

use super::growing::{Growing, Next, RNG_SEED, key, validators};

const START_MS: u64 = 1_000_000;

fn units(units: i64) -> Money {
    Money::from_units(units)
}

pub(crate) fn offers(offers: &[(u16, i64, i64)]) -> std::collections::BTreeMap<OperationId, Offer> {
    let offer = |&(operation, cost, minutes)| (OperationId(operation), Offer { cost: units(cost), minutes });
    offers.iter().map(offer).collect()
}

fn provider(name: &str, site: Site, terms: &[(u16, i64, i64)], capacity: Option<i64>) -> Provider {
    Provider { name: name.into(), site, offers: offers(terms), capacity: capacity.map(Into::into) }
}

fn offer(name: &str, site: Site, terms: &[(u16, i64, i64)], capacity: Option<i64>) -> Statement {
    let (name, offers, deposit) = (name.into(), offers(terms), Money::from_units(1));
    Statement::Offer(OfferStatement { name, site, offers, capacity: capacity.map(Into::into), deposit })
}

fn demand(name: &str, site: Site, orders: &[u16]) -> Demand {
    let orders = orders.iter().map(|&operation| OperationId(operation)).collect();
    Demand { name: name.into(), site, orders, budget: units(200), window: TimeWindow::ANY }
}

/// Somebody with money who is neither demander nor provider at genesis.
pub(crate) fn treasurer() -> SecretKey {
    key("treasurer", 0)
}

fn public_keys() -> Vec<chain::PublicKey> {
    validators().iter().map(SecretKey::public).collect()
}

/// Delivery and time are paid for; the near provider is scarce, so prices matter.
pub(crate) fn open_market_genesis() -> (Genesis, Instance) {
    let rules = CostRules {
        rate_per_km: Money::from_micros(700_001),
        value_of_minute: Money::from_micros(12_345),
        metres_per_minute: 650,
        deliver: true,
    };
    let providers = vec![
        provider("near", Site::point(0, 0), &[(0, 10, 10), (1, 9, 10), (2, 5, 8)], Some(60)),
        provider("far", Site::point(3_000, -4_001), &[(0, 12, 5), (1, 11, 20), (2, 8, 3)], None),
        provider("dear", Site::point(7, 1_000), &[(1, 30, 5), (2, 20, 0)], Some(100)),
    ];
    let kinds: [&[u16]; 3] = [&[0, 1], &[0, 1, 2], &[0, 1, 2, 1]];
    let demands = (0..7).zip(kinds.into_iter().cycle()).map(|(number, orders)| {
        let site = Site::point(137 * number, -91 * number);
        demand(&format!("demand {number}"), site, orders)
    });
    let supply = Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE };
    let instance = Instance { supply, demands: demands.collect() };
    let network = Parameters {
        // Batches come two seconds apart.
        relax_after_ms: 2_000,
        relax_over_ms: 4_000,
        freeze_after_ms: 6_000,
        quiet_batch_interval_ms: 1_500,
        near_best_ppm: 1_000_000_000,
        notice_ms: 0,
        ..Parameters::default()
    };
    let scenario = Scenario { network, ..Scenario::of_instance("open market", instance.clone()) };
    let mut genesis = genesis_of(&scenario);
    genesis.balances.insert(treasurer().public().address(), units(1_000));
    genesis.balances.insert(key("pauper", 0).public().address(), Money::ZERO);
    // Five of seven votes decide: any three validators have them.
    for (votes, power) in genesis.validators.values_mut().zip([2, 2, 2, 1]) {
        *votes = power;
    }
    (genesis, instance)
}

/// A scenario's network under its own profile; as many miners as validators are expected.
fn genesis_of(scenario: &Scenario) -> Genesis {
    let (profile, validators) = (scenario.search.profile, public_keys());
    let mut genesis =
        Genesis::of_scenario(scenario, profile, validators.len(), validators, RNG_SEED, START_MS);
    genesis.fund_miners((0..6).map(|number| key("miner", number).public()));
    genesis
}

/// The signed demands of genesis' demanders.
pub(crate) fn demand_records(market: &Growing, instance: &Instance) -> Vec<Record> {
    let fee = market.network().parameters().solver_fee_ppm;
    scenario_demand_records(
        instance,
        market.network().id(),
        RNG_SEED,
        fee,
        market.network().genesis().first_expiry_ms(),
    )
}

/// A chain with every kind of record, two price updates, an empty batch, and settlements.
pub(crate) fn open_market() -> Growing {
    let (genesis, instance) = open_market_genesis();
    let mut market = Growing::from(genesis);
    let records = demand_records(&market, &instance);
    let ids: Vec<RecordId> = records.iter().map(Record::id).collect();
    market.add_records(records);
    let prices = Some(market.better_prices());
    market.add(Next { prices, ..Next::default() });
    let compositions = market.cheapest(0, 2, 5);
    market.add(Next { compositions, ..Next::default() });

    // Whoever comes new is given money, offers something, and changes the offer at once.
    let newcomer = key("newcomer", 0);
    let gift = Statement::Transfer { to: newcomer.public().address(), amount: units(300) };
    let site = Site::point(-500, 250);
    let mut entries = ids.into_iter().filter_map(|id| Some((id, market.ledger.demand(id)?)));
    let cancelled = entries.find(|(_, entry)| entry.is_open());
    let (cancelled, entry) = cancelled.expect("five demands are open");
    let mut owners = (0..7).map(|number| demander_key(RNG_SEED, number));
    let owner = owners.find(|owner| entry.author == owner.public().address());
    let records = vec![
        market.record(&treasurer(), 0, gift),
        market.record(&newcomer, 0, offer("new", site, &[(0, 8, 12), (2, 6, 9)], Some(500))),
        market.record(
            &newcomer,
            1,
            offer("new and better", site, &[(0, 7, 11), (1, 6, 6), (2, 6, 9)], Some(90)),
        ),
        market.record(&owner.expect("a demander"), 0, Statement::DemandCancellation { demand: cancelled }),
        market.record(&provider_key(RNG_SEED, 2), 0, Statement::OfferWithdrawal),
        market.record(
            &provider_key(RNG_SEED, 1),
            0,
            offer("far", site, &[(0, 11, 5), (1, 11, 20), (2, 8, 3)], None),
        ),
    ];
    market.add_records(records);
    let order = DemandStatement {
        name: "of a newcomer".into(),
        site,
        orders: vec![OperationId(2), OperationId(0)],
        budget: units(150),
        solver_fee: units(4),
        expires_ms: market.ledger.head().timestamp_ms + 86_400_000,
        window: TimeWindow::ANY,
    };
    let record = market.record(&newcomer, 0, Statement::Demand(order));
    let (prices, compositions) = (Some(market.better_prices()), market.cheapest(1, 2, 5));
    market.add(Next { miner: 1, records: vec![record], prices, compositions, ..Next::default() });
    let compositions = market.cheapest(0, 9, 5);
    market.add(Next { compositions, ..Next::default() });
    market.wait_until(9);
    market
}

/// Paper A's market: dedicated providers, pay by cost per order, distances from a table.
pub(crate) fn dedicated_market() -> Growing {
    let rows = [
        [0, 900, 4_000, 2_500],
        [1_000, 0, 3_000, 2_000],
        [4_100, 3_000, 0, 1_500],
        [2_500, 2_000, 1_700, 0],
    ];
    let rows: Vec<Vec<i64>> = rows.iter().map(|row| row.to_vec()).collect();
    let geometry = Geometry::Matrix(DistanceMatrix::new(&rows).expect("a distance matrix"));
    let rules = CostRules {
        rate_per_km: units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 1_000,
        deliver: false,
    };
    let place = |number: u32| Site::Place(number % 4);
    let providers = (0..8).map(|number| {
        let cost = i64::from(10 + number % 5);
        provider(&format!("plant {number}"), place(number), &[(0, cost, 10), (1, cost + 3, 7)], Some(1_000))
    });
    let demands = (0..6).map(|number| demand(&format!("order {number}"), place(number), &[0, 1, 0]));
    let demands: Vec<Demand> = demands.collect();
    let supply = Supply { providers: providers.collect(), rules, geometry, horizon: Horizon::SINGLE };
    let network = Parameters {
        allocation: Allocation::Dedicated,
        schedule: Schedule::from(Measure::Paper {
            reference_margin_ppm: 10_000,
            full_at_ppm: 120_000,
            block_orders_min: 10,
        }),
        freeze_after_ms: 4_000,
        ..Parameters::default()
    };
    let instance = Instance { supply, demands };
    let scenario = Scenario { network, ..Scenario::of_instance("dedicated", instance.clone()) };
    let mut genesis = genesis_of(&scenario);
    // Two miners may hold four of the eight providers each.
    genesis.parameters.held_providers_max = None;
    genesis.miners = 2;
    let mut market = Growing::from(genesis);
    let records = demand_records(&market, &instance);
    market.add_records(records);
    for miner in [0, 1] {
        let compositions = market.cheapest(miner, 3, 1_000);
        market.add(Next { miner, compositions, ..Next::default() });
    }
    market.wait_until(5);
    market
}

/// Problem 2 with scarce capacity: prices first, then what fits.
pub(crate) fn tehran() -> Growing {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/tehran/problem-2-capacitated.json");
    let scenario = load_scenario(path.as_ref()).expect("a scenario of the repository");
    let mut market = Growing::from(genesis_of(&scenario));
    let records = demand_records(&market, &scenario.instance);
    market.add_records(records);
    let prices = Some(market.better_prices());
    market.add(Next { prices, ..Next::default() });
    for miner in [0, 1] {
        let compositions = market.cheapest(miner, 40, 5);
        market.add(Next { miner, compositions, ..Next::default() });
    }
    market
}
