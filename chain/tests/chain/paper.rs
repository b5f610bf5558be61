//! Schedule `paper`: blocks are measured against the mean of random assignments in the strip they lie in, and random ones are
//! refused however long demands have waited.
#![expect(clippy::disallowed_methods, reason = "files of the repository are read")]

use std::sync::Arc;

use chain::genesis::scenario::scenario_demand_records;
use chain::ledger::MarketError;
use chain::record::DemandStatement;
use chain::validate::Serving;
use chain::{DemandId, Draft, Genesis, Ledger, Network, Record, Rejection, SecretKey, Statement, WellFormed};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scenarios::reference::Area;
use scenarios::schedule::Measure;
use scenarios::settings::Profile;
use scenarios::{DualPrices, Money, OperationId, Oracle, ProviderId, Scenario, Site, Slot, Window};

use crate::market::{Market, ProposedBatch, offer, provider, provider_of, providers, treasurer, units};

const STRIP: Area = Area::Strip(0);

/// Two strips: "far" offers both operations in the eastern one, "near" both and "dear" the second in the western one, where the
/// demands are. Random there is 10 $, 9 or 30 $, and no leg or one of 1 $: 30 $. Nothing down to 30 % below it, everything
/// from 40 % below it, for blocks of up to a hundred orders.
fn two_strips(genesis: &mut Genesis) {
    genesis.miners = 2;
    genesis.window = Window { west_m: -1_000, south_m: 0, east_m: 2_000, north_m: 1 };
    genesis.parameters.schedule.measure =
        Measure::Paper { reference_margin_ppm: 300_000, full_at_ppm: 400_000, block_orders_min: 100 };
}

fn refusal(market: &Market, compositions: &[(usize, Vec<Slot>)]) -> MarketError {
    let got = market.draft(market.composing(0, compositions));
    let Err(Rejection::Market(error)) = got else { panic!("a rule of the market is broken: {got:?}") };
    error
}

/// One of these demands at random, the other at its best.
fn half_random(market: &Market) -> MarketError {
    refusal(market, &[(0, providers([0, 2])), (1, providers([0, 0]))])
}

/// The refusal of that: as dear as two random ones.
fn above_reference() -> MarketError {
    let (cost, reference, least) = (units(60), units(60), units(38));
    MarketError::AboveReference { cost, orders: 4, reference, least, got: 0, expected: 100_000 }
}

#[test]
fn a_block_is_paid_by_how_far_it_lies_below_its_reference() {
    let mut market = Market::open_with(two_strips);
    let report = market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    // 38 $ of 60 $ are 36.67 % less: a third of the way from full pay, which earns 300,698 ppm of 0.076 $ each.
    assert_eq!((report.cost, report.reward), (units(38), Money::from_micros(2 * 22_853)));
    assert_eq!(report.required, Money::from_micros(2 * 7_600));
}

#[test]
fn a_random_block_is_refused_however_long_its_demands_have_waited() {
    let mut market = Market::open_with(two_strips);
    assert_eq!(half_random(&market), above_reference());
    market.advance_to(30);
    assert_eq!(half_random(&market), above_reference());
    // And where nothing is asked for, for what earns nothing.
    let market = Market::open_with(|genesis| {
        two_strips(genesis);
        genesis.parameters.min_reward_ppm = 0;
        genesis.parameters.solver_fee_ppm = 0;
    });
    let error = half_random(&market);
    assert!(matches!(error, MarketError::AboveReference { got: 0, expected: 1, .. }), "{error}");
    assert_eq!(error.rule(), "reference");
}

#[test]
fn what_is_offered_later_moves_no_reference() {
    let mut market = Market::open_with(two_strips);
    // "dear" asks for 300 $ instead of 30 $, and a newcomer for 1 $.
    let dearer = provider("dear", Site::point(0, 1_000), &[(1, 300, 5)], Some(100));
    let newcomer = provider("new", Site::point(0, 0), &[(0, 1, 5), (1, 1, 5)], None);
    let records =
        vec![market.record(&provider_of(2), offer(&dearer)), market.record(&treasurer(), offer(&newcomer))];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert_eq!(
        refusal(&market, &[(0, providers([0, 0])), (1, providers([3, 2]))]),
        MarketError::OverBudget { demand: market.demand(1), got: units(302), expected: units(100) }
    );
    assert_eq!(
        refusal(&market, &[(0, providers([1, 1]))]),
        MarketError::ProviderOutside { demand: market.demand(0), got: ProviderId(1), expected: STRIP }
    );
    let report = market.compose(&[(0, providers([3, 3])), (1, providers([0, 0]))]);
    assert_eq!((report.cost, report.reward), (units(2 + 19), report.fees));
}

#[test]
fn a_block_keeps_to_one_strip() {
    let mut market = Market::open_with(two_strips);
    let error = refusal(&market, &[(0, providers([0, 0])), (1, providers([0, 1]))]);
    let (demand, got) = (market.demand(1), ProviderId(1));
    assert_eq!(error, MarketError::ProviderOutside { demand, got, expected: STRIP });
    assert_eq!(error.rule(), "provider-area");

    let east = DemandStatement {
        site: Site::point(500, 0),
        orders: vec![OperationId(0)],
        ..crate::market::demand_statement(units(100), units(1))
    };
    let record = market.record(&treasurer(), Statement::Demand(east));
    let demand = record.id();
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let both = vec![(market.demand(0), providers([0, 0])), (demand, providers([1]))];
    let Err(Rejection::Market(error)) =
        market.draft(ProposedBatch { compositions: both, ..ProposedBatch::default() })
    else {
        panic!("a rule is broken");
    };
    assert_eq!(error, MarketError::OtherArea { demand, got: Area::Strip(1), expected: STRIP });
    assert_eq!(error.rule(), "area");
}

#[test]
fn what_genesis_does_not_offer_is_composed_by_nobody() {
    let mut market = Market::open_with(|genesis| {
        two_strips(genesis);
        genesis.operations.push("late".into());
    });
    let newcomer = provider("new", Site::point(0, 0), &[(2, 1, 5)], None);
    let wanted = DemandStatement {
        orders: vec![OperationId(2)],
        ..crate::market::demand_statement(units(100), units(1))
    };
    let offered = market.record(&treasurer(), offer(&newcomer));
    market.accept(ProposedBatch { records: vec![offered], ..ProposedBatch::default() });
    let record = market.record(&treasurer(), Statement::Demand(wanted));
    let demand = record.id();
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let compositions = vec![(demand, providers([3]))];
    let got = market.draft(ProposedBatch { compositions, ..ProposedBatch::default() }).map(|_| ());
    assert_eq!(got, Err(Rejection::Market(MarketError::NoReference { demand })));
    assert_eq!(MarketError::NoReference { demand }.rule(), "no-reference");
}

#[test]
fn a_demand_whose_strip_lacks_what_it_orders_may_be_served_from_the_whole_market() {
    let mut market = Market::open_with(|genesis| {
        two_strips(genesis);
        // "near" and "dear" have the second operation in the west, "far" both in the east.
        genesis.providers[0].provider.offers.remove(&OperationId(0));
    });
    // 12 $ and 9, 11 or 30 $; from "far" to "near" 5 $, to itself nothing, to "dear" 4.243 $.
    let (cost, reference) = (Money::from_micros(46_243_000), Money::from_micros(31_747_666));
    let (least, expected) = (units(23), 100_000);
    let refused = MarketError::AboveReference { cost, orders: 2, reference, least, got: 0, expected };
    assert_eq!(refusal(&market, &[(0, providers([1, 2]))]), refused);
    // The best is 27.6 % below the reference, which is within the margin; but there is no better.
    let report = market.compose(&[(0, providers([1, 1]))]);
    assert_eq!((report.cost, report.reward), (least, report.fees));
}

#[test]
fn where_there_is_no_choice_the_only_way_is_the_best() {
    let mut market = Market::open_with(|genesis| {
        two_strips(genesis);
        genesis.providers[2]
            .provider
            .offers
            .insert(OperationId(0), scenarios::Offer { cost: units(10), minutes: 1 });
        for (position, place) in [(0, 5_000), (1, 5_000), (2, 0)] {
            genesis.providers[position].provider.site = Site::point(place, 0);
        }
    });
    // "dear" alone is left in the west.
    let report = market.compose(&[(0, providers([2, 2])), (1, providers([2, 2]))]);
    assert_eq!((report.cost, report.reward), (units(80), report.fees));
}

// ---- Tehran ----

struct Tehran {
    scenario: Scenario,
    key: SecretKey,
    ledger: Ledger,
    demands: Vec<DemandId>,
}

impl Tehran {
    /// A file's demands on chain under a profile, among so many miners.
    fn open(name: &str, profile: Profile, miners: usize) -> Self {
        let path = format!("{}/../scenarios/tehran/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let scenario = Scenario::from_json(&std::fs::read(path).expect("a file")).expect("a scenario");
        let key = SecretKey::for_scenario(1, "miner", 0);
        let genesis = Genesis::of_scenario(&scenario, profile, miners, vec![key.public()], 1, 1_000);
        let network = Arc::new(Network::new(genesis).expect("a valid genesis"));
        let fee_ppm = network.parameters().solver_fee_ppm;
        let expires_ms = network.genesis().first_expiry_ms();
        let records = scenario_demand_records(&scenario.instance, network.id(), 1, fee_ppm, expires_ms);
        let demands = records.iter().map(Record::id).collect();
        let mut tehran = Self { scenario, key, ledger: Ledger::new(network), demands };
        tehran.add(records, Vec::new(), 2_000).expect("records alone");
        tehran
    }

    fn draft(&self, records: Vec<Record>, compositions: Vec<Serving>, timestamp_ms: u64) -> Draft {
        let (prices, amendments) = (None, Vec::new());
        let miner = self.key.public();
        Draft { miner, timestamp_ms, records, prices, compositions, amendments }
    }

    fn refusal(&self, compositions: Vec<Serving>, timestamp_ms: u64) -> MarketError {
        let draft = self.draft(Vec::new(), compositions, timestamp_ms);
        let got = self.ledger.draft(draft);
        let Err(Rejection::Market(error)) = got else { panic!("a rule of the market is broken: {got:?}") };
        error
    }

    fn add(
        &mut self,
        records: Vec<Record>,
        compositions: Vec<Serving>,
        timestamp_ms: u64,
    ) -> Result<(), Rejection> {
        let draft = self.draft(records, compositions, timestamp_ms);
        let (batch, _) = self.ledger.draft(draft)?.sign(&self.key);
        let batch = WellFormed::new(self.ledger.network(), batch).expect("as drafted");
        self.ledger = self.ledger.validate(batch)?.execute().expect("a sound state").next().clone();
        Ok(())
    }

    /// For a strip, a block of all its demands whose providers `choose` picks of those within it.
    fn block(
        &self,
        strip: usize,
        mut choose: impl FnMut(&scenarios::Demand, &[ProviderId]) -> Vec<Slot>,
    ) -> Vec<Serving> {
        let genesis = self.ledger.network().genesis();
        let own = |site: Site| genesis.window.strip(site, genesis.miners as usize) == strip;
        let supply = &self.scenario.instance.supply;
        let within = supply
            .provider_ids()
            .filter(|id| supply.provider(*id).is_some_and(|provider| own(provider.site)));
        let within: Vec<ProviderId> = within.collect();
        let demands = self.scenario.instance.demands.iter().zip(&self.demands);
        demands
            .filter(|(demand, _)| own(demand.site))
            .map(|(demand, &id)| (id, choose(demand, &within)))
            .collect()
    }
}

#[test]
fn random_compositions_are_refused_under_every_schedule_on_all_files_on_one_to_four_strips() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let names = (1..=4).flat_map(|n| [format!("problem-{n}"), format!("problem-{n}-capacitated")]);
    for name in names {
        for profile in [Profile::Paper, Profile::Hybrid] {
            for miners in 1..=4 {
                let tehran = Tehran::open(&name, profile, miners);
                for strip in 0..miners {
                    let block = tehran.block(strip, |demand, within| {
                        let one = |_| {
                            Slot::single(
                                within[usize::try_from(rng.next_u64() % within.len() as u64).unwrap()],
                            )
                        };
                        demand.orders.iter().map(one).collect()
                    });
                    // Certified, each by itself; by paper A's measure, each and all together, and later as well.
                    let is_paper = profile == Profile::Paper;
                    let whole = is_paper.then(|| block.clone());
                    let single = block.iter().map(|one| vec![one.clone()]);
                    for compositions in single.take(10).chain(whole) {
                        for timestamp_ms in if is_paper { vec![3_000, 20_000] } else { vec![3_000] } {
                            let error = tehran.refusal(compositions.clone(), timestamp_ms);
                            let rule = if is_paper { "reference" } else { "reward" };
                            // All of a strip at random may be more than there is capacity for.
                            let is_refused =
                                error.rule() == rule || compositions.len() > 1 && error.rule() == "capacity";
                            assert!(is_refused, "{name} {miners} {strip}: {error}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_composed_well_is_accepted_in_every_strip_as_a_whole_and_one_by_one() {
    for name in ["problem-1", "problem-2", "problem-3", "problem-4"] {
        for miners in 1..=4 {
            let mut tehran = Tehran::open(name, Profile::Paper, miners);
            let supply = tehran.scenario.instance.supply.clone();
            let oracle = Oracle::new(&supply);
            for strip in 0..miners {
                let mut block = tehran.block(strip, |demand, within| {
                    let usable = |slot: Slot, _| within.contains(&slot.provider);
                    oracle.cheapest_among(demand, &DualPrices::zero(), usable).unwrap().slots
                });
                let last = block.split_off(block.len() - 2);
                for compositions in [block, vec![last[0].clone()], vec![last[1].clone()]] {
                    let timestamp_ms = tehran.ledger.head().timestamp_ms + 1_000;
                    tehran.add(Vec::new(), compositions, timestamp_ms).unwrap();
                }
            }
            assert!(tehran.ledger.demands().all(|(_, entry)| !entry.is_open()));
        }
    }
}
