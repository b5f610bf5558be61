//! Genesis: each rule has its error, and a scenario's network is one that stands.

use chain::codec::CodecError;
use chain::consensus::ValidatorSetError;
use chain::genesis::{GENESIS_BYTES, GenesisError, scenario_demand_records};
use chain::schedule::ScheduleError;
use chain::validate::OfferError;
use chain::{Address, Domain, Genesis, Network, check_record};
use proptest::prelude::*;
use scenarios::parameters::{Allocation, CommitReveal, INTERVAL_MS, Limits, ParameterError, Parameters};
use scenarios::schedule::{GAP_MAX_PPM, MARGIN_MAX_PPM, Measure};
use scenarios::settings::Profile;
use scenarios::{Money, Scenario, Schedule};

use crate::market::{genesis, micros, miner, units};

fn refused(change: impl FnOnce(&mut Genesis)) -> GenesisError {
    let mut genesis = genesis();
    change(&mut genesis);
    Network::new(genesis).map(|_| "accepted").expect_err("a refusal")
}

fn out_of_range(what: &'static str, got: i128, lowest: i128, highest: i128) -> GenesisError {
    GenesisError::Range { what, got, lowest, highest }
}

fn parameter(field: &'static str, got: u64, lowest: u64, highest: u64) -> GenesisError {
    GenesisError::Parameters(ParameterError::Range { field, got, lowest, highest })
}

#[test]
fn the_network_id_depends_on_everything() {
    let id = genesis().network_id();
    assert_eq!(Network::new(genesis()).unwrap().id(), id);
    let mut other = genesis();
    other.parameters.min_reward_ppm += 1;
    assert_ne!(other.network_id(), id);
}

#[test]
fn numbers_out_of_range() {
    let got = refused(|genesis| genesis.parameters.price_share_ppm = 1_000_001);
    assert_eq!(got, parameter("price_share_ppm", 1_000_001, 0, 1_000_000));
    let got = refused(|genesis| genesis.parameters.freeze_after_ms = 0);
    assert_eq!(got, parameter("freeze_after_ms", 0, 1, INTERVAL_MS));
    assert_eq!(got.to_string(), "the parameter freeze_after_ms: got 0, expected 1 to 2592000000");
    let got = refused(|genesis| genesis.miners = 0);
    assert_eq!(got, out_of_range("the number of miners", 0, 1, i128::from(u32::MAX)));
    let got = refused(|genesis| genesis.operations.clear());
    assert_eq!(got, out_of_range("the number of operations", 0, 1, 4_096));
    let got = refused(|genesis| genesis.rules.metres_per_minute = 0);
    assert_eq!(got, out_of_range("metres_per_minute", 0, 1, 1 << 31));
}

#[test]
fn money_that_is_negative_or_too_much() {
    let address = miner(0).public().address();
    let got = refused(|genesis| genesis.balances.extend([(address, micros(-1))]));
    assert_eq!(got, GenesisError::NegativeBalance { address, got: micros(-1) });
    let most = Money::from_micros(1 << 61);
    let got = refused(|genesis| {
        genesis.balances = [(address, most), (miner(1).public().address(), micros(1))].into();
    });
    assert_eq!(got, GenesisError::MoneyTotal { got: (1 << 61) + 1, expected: 1 << 61 });
}

#[test]
fn more_operations_than_a_market_may_have_are_refused_while_they_are_read() {
    let of = |count| Genesis { operations: vec![String::new(); count], ..genesis() };
    let read = |count| Genesis::from_bytes(&of(count).to_bytes());
    assert_eq!(read(4_096), Ok(of(4_096)));
    assert!(matches!(read(4_097), Err(CodecError::Malformed(_))));
}

#[test]
fn a_network_that_no_file_could_found_is_refused() {
    let got = refused(|genesis| {
        let addresses = (0..2_000_000_u32).map(|number| Domain::Address.hash(&[&number.to_be_bytes()]));
        genesis.balances = addresses.map(|address| (Address(address), units(1))).collect();
    });
    assert!(matches!(got, GenesisError::TooLarge { expected: GENESIS_BYTES, .. }), "{got}");
}

#[test]
fn providers_and_validators_that_are_wrong() {
    let got = refused(|genesis| genesis.providers[1].address = genesis.providers[0].address);
    let address = genesis().providers[0].address;
    assert_eq!(got, GenesisError::ProviderTwice { index: 1, address });
    let got = refused(|genesis| genesis.providers[2].provider.offers.clear());
    let error = OfferError::NoOperation;
    assert_eq!(got, GenesisError::Provider { index: 2, name: "dear".into(), error });
    let first = *genesis().validators.keys().next().unwrap();
    let got = refused(|genesis| *genesis.validators.get_mut(&first).unwrap() = 0);
    assert_eq!(got, GenesisError::Validators(ValidatorSetError::NoPower(first)));
    let got = refused(|genesis| genesis.validators.clear());
    assert_eq!(got, GenesisError::Validators(ValidatorSetError::Empty));
}

#[test]
fn versions_names_and_schedules_that_are_wrong() {
    let got = refused(|genesis| genesis.version = 1);
    assert_eq!(got, GenesisError::Version { got: 1, expected: 10 });
    let got = refused(|genesis| genesis.name = "x".repeat(65));
    assert_eq!(got, GenesisError::Name { what: "the network".into(), got: 65, expected: 64 });
    let got = refused(|genesis| genesis.parameters.schedule.curve.truncate(3));
    let error = ParameterError::Schedule(ScheduleError::PointCount { got: 3 });
    assert_eq!(got, GenesisError::Parameters(error));
}

#[test]
fn demanders_own_budget_and_fee_providers_their_deposit_and_all_something_for_the_bytes_of_records() {
    let scenario = Scenario::of_instance("n", crate::market::instance());
    let genesis = Genesis::of_scenario(&scenario, scenario.search.profile, 1, vec![miner(0).public()], 7, 1);
    // A validator that mines has 100 $ to vouch with, and keeps 1 $.
    assert_eq!(genesis.balances[&miner(0).public().address()], units(101));
    let owner = crate::market::demander(2).public().address();
    // For 16 KiB of records.
    let bytes = micros(16_384);
    assert_eq!(genesis.balances[&owner], micros(103_500_000) + bytes);
    assert_eq!(genesis.operations.len(), 2);
    // An account keeps 1 $, and each of five operations offered locks 1 $.
    let provider = crate::market::provider_of(0).public().address();
    assert_eq!(genesis.balances[&provider], units(3) + bytes);
    let all = micros(3 * 103_500_000) + units(5 + 3) + micros(6 * 16_384) + units(101);
    assert_eq!(genesis.balances.values().copied().sum::<Money>(), all);
}

#[test]
fn under_the_other_profile_a_scenario_gets_the_rules_that_suit_it() {
    let scenario = Scenario::of_instance("n", crate::market::instance());
    let parameters =
        |profile| Genesis::of_scenario(&scenario, profile, 2, vec![miner(0).public()], 7, 1).parameters;
    assert_eq!(parameters(Profile::Hybrid), scenario.network);
    assert_eq!(
        parameters(Profile::Paper),
        Parameters { schedule: Schedule::paper(), ..scenario.network.clone() }
    );
}

#[test]
fn a_miner_of_a_dedicated_market_may_hold_as_many_providers_as_the_fullest_strip_has() {
    let mut scenario = Scenario::of_instance("n", crate::market::instance());
    scenario.network.allocation = Allocation::Dedicated;
    let held = |scenario: &Scenario, miners| {
        let (profile, validators) = (scenario.search.profile, vec![miner(0).public()]);
        Genesis::of_scenario(scenario, profile, miners, validators, 7, 1).parameters.held_providers_max
    };
    let providers = u32::try_from(scenario.instance.supply.providers.len()).unwrap();
    assert_eq!(held(&scenario, 1), Some(providers));
    scenario.network.held_providers_max = Some(1);
    assert_eq!(held(&scenario, 1), Some(1));
}

/// Values at and around the ends of ranges, and absurd ones.
fn near(lowest: u64, highest: u64) -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => lowest..=highest,
        1 => prop::sample::select(vec![
            0, lowest.saturating_sub(1), lowest, highest, highest.saturating_add(1), u64::MAX,
        ]),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let certified = (near(0, GAP_MAX_PPM), near(0, GAP_MAX_PPM))
        .prop_map(|(gap_full_ppm, gap_max_ppm)| Measure::Certified { gap_full_ppm, gap_max_ppm });
    let paper = (near(0, MARGIN_MAX_PPM), near(0, MARGIN_MAX_PPM), any::<u32>()).prop_map(
        |(reference_margin_ppm, full_at_ppm, block_orders_min)| Measure::Paper {
            reference_margin_ppm,
            full_at_ppm,
            block_orders_min,
        },
    );
    let points = prop_oneof![8 => Just(65_usize), 1 => Just(64)];
    (prop_oneof![certified, paper, Just(Schedule::default().measure)], points).prop_map(
        |(measure, points)| {
            let mut schedule = Schedule::from(measure);
            schedule.curve.truncate(points);
            schedule
        },
    )
}

fn parameter_values() -> impl Strategy<Value = Parameters> {
    let shares = prop::array::uniform7(near(0, 1_000_000));
    let times = prop::array::uniform8(near(0, INTERVAL_MS));
    let sizes = (1_024_u32..300 << 20, 200_u32..4_096, 0_u32..3, 0_u32..3, 0_u64..90, 0_u32..3, 0_u32..3);
    let dollars =
        |lowest, highest| near(lowest, highest).prop_map(|micros| Money::from_micros(micros.cast_signed()));
    let amounts =
        (dollars(0, 1_000_000_000), dollars(1, 19_000_000), dollars(0, 1_000_000_000), near(1, INTERVAL_MS));
    let fee = (dollars(0, 1_000_000), 30_u64..90);
    let commit_reveal = near(0, INTERVAL_MS).prop_map(|reveal_ms| CommitReveal { reveal_ms });
    let ways = (prop::option::of(0_u32..3), prop::option::of(commit_reveal));
    (schedules(), shares, times, sizes, ways, (amounts, fee)).prop_map(
        |(schedule, shares, times, sizes, (held_providers_max, commit_reveal), (amounts, (fee, work)))| {
            Parameters {
                allocation: Allocation::Partial,
                held_providers_max,
                schedule,
                solver_fee_ppm: shares[0],
                min_reward_ppm: shares[1],
                min_bound_gain_ppm: shares[2],
                near_best_ppm: shares[4],
                price_share_ppm: shares[3],
                price_bond: amounts.0,
                min_saving_ppm: shares[5],
                amender_share_ppm: shares[6],
                relax_after_ms: times[3],
                relax_over_ms: times[4],
                freeze_after_ms: times[5],
                period_ms: times[6],
                frozen_zone_ms: times[1],
                halt_after_ms: times[6],
                anchor_window_ms: times[7],
                quiet_batch_interval_ms: times[0],
                amendment_interval_ms: times[1],
                account_min: amounts.0,
                min_budget: amounts.1,
                offer_deposit: amounts.2,
                minute_deposit: fee,
                idle_after_ms: times[1],
                notice_ms: times[0],
                fee_per_byte: fee,
                demand_lifetime_max_ms: amounts.3,
                commit_reveal,
                limits: Limits {
                    batch_bytes: sizes.0,
                    record_bytes: sizes.1,
                    records_per_batch: sizes.2,
                    compositions_per_batch: sizes.3,
                    verification_work: sizes.4,
                    market_work: if work < 33 { 0 } else { work },
                    market_demands: sizes.5,
                    offers_per_operation: sizes.6,
                    clock_lead_ms: times[2],
                },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_scenarios_providers_and_demands_may_be_exactly_what_a_network_takes(
        providers in prop::collection::vec((any::<bool>(), near(0, 1_000_000_000)), 1..3),
        budgets in prop::collection::vec(near(1, 1_000_000_000_000), 1..3),
    ) {
        let mut instance = crate::market::instance();
        for (provider, (offers, capacity)) in instance.supply.providers.iter_mut().zip(providers) {
            provider.offers.retain(|_, _| offers);
            provider.capacity = Some(capacity.cast_signed().into());
        }
        for (demand, budget) in instance.demands.iter_mut().zip(budgets) {
            demand.budget = Money::from_micros(budget.cast_signed());
        }
        let scenario = Scenario::of_instance("n", instance);
        let validators = vec![miner(0).public()];
        let genesis = Genesis::of_scenario(&scenario, scenario.search.profile, 1, validators, 7, 1);
        let (in_file, in_network) = (scenario.validate(), Network::new(genesis));
        let takes_all = in_network.is_ok_and(|network| {
            let fee = network.parameters().solver_fee_ppm;
            let records = scenario_demand_records(&scenario.instance, network.id(), 7, fee, network.genesis().first_expiry_ms());
            records.iter().all(|record| check_record(&network, record).is_ok())
        });
        prop_assert_eq!(in_file.is_ok(), takes_all, "{:?}", in_file);
    }

    #[test]
    fn a_scenario_may_say_exactly_what_a_genesis_may(network in parameter_values()) {
        let scenario = Scenario { network, ..Scenario::of_instance("n", crate::market::instance()) };
        let validators = vec![miner(0).public()];
        let genesis = Genesis::of_scenario(&scenario, scenario.search.profile, 1, validators, 7, 1);
        let (in_file, in_genesis) = (scenario.validate(), Network::new(genesis));
        prop_assert_eq!(in_file.is_ok(), in_genesis.is_ok(), "{:?} but {:?}", in_file, in_genesis.err());
    }
}
