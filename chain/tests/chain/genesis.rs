//! Genesis: each rule has its error, and a scenario's network is one that stands.

use chain::consensus::ValidatorSetError;
use chain::genesis::GenesisError;
use chain::schedule::ScheduleError;
use chain::validate::OfferError;
use chain::{Genesis, Network};
use scenarios::Money;

use crate::market::{genesis, micros, miner};

fn refused(change: impl FnOnce(&mut Genesis)) -> GenesisError {
    let mut genesis = genesis();
    change(&mut genesis);
    Network::new(genesis).map(|_| "accepted").expect_err("a refusal")
}

fn out_of_range(what: &'static str, got: i128, lowest: i128, highest: i128) -> GenesisError {
    GenesisError::Range { what, got, lowest, highest }
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
    let got = refused(|genesis| genesis.parameters.bounty_share_ppm = 1_000_001);
    assert_eq!(got, out_of_range("bounty_share_ppm", 1_000_001, 0, 1_000_000));
    let got = refused(|genesis| genesis.parameters.freeze_after_heights = 0);
    assert_eq!(got, out_of_range("freeze_after_heights", 0, 1, 1 << 40));
    let got = refused(|genesis| genesis.miners = 0);
    assert_eq!(got, out_of_range("the number of miners", 0, 1, i128::from(u32::MAX)));
    let got = refused(|genesis| genesis.operations.clear());
    assert_eq!(got, out_of_range("the number of operations", 0, 1, 4_096));
    let got = refused(|genesis| genesis.rules.metres_per_minute = 0);
    assert_eq!(got, out_of_range("metres_per_minute", 0, 1, 1 << 31));
    let got = refused(|genesis| genesis.bounty = micros(-1));
    assert_eq!(got, out_of_range("the bounty account (micro-units)", -1, 0, 1 << 61));
}

#[test]
fn money_that_is_negative_or_too_much() {
    let address = miner(0).public().address();
    let got = refused(|genesis| genesis.balances.extend([(address, micros(-1))]));
    assert_eq!(got, GenesisError::NegativeBalance { address, got: micros(-1) });
    let most = Money::from_micros(1 << 61);
    let got = refused(|genesis| {
        genesis.balances = [(address, most)].into();
        genesis.bounty = micros(1);
    });
    assert_eq!(got, GenesisError::MoneyTotal { got: (1 << 61) + 1, expected: 1 << 61 });
}

#[test]
fn providers_and_validators_that_are_wrong() {
    let got = refused(|genesis| genesis.providers[1].address = genesis.providers[0].address);
    let address = genesis().providers[0].address;
    assert_eq!(got, GenesisError::ProviderTwice { index: 1, address });
    let got = refused(|genesis| genesis.providers[2].provider.offers.clear());
    let error = OfferError::NoOperation;
    assert_eq!(got, GenesisError::Provider { index: 2, name: "dear".into(), error });
    let got = refused(|genesis| genesis.validators.swap(0, 1));
    assert_eq!(got, GenesisError::ValidatorOrder { index: 1 });
    let got = refused(|genesis| genesis.validators.clear());
    assert_eq!(got, GenesisError::Validators(ValidatorSetError::Empty));
}

#[test]
fn versions_names_and_schedules_that_are_wrong() {
    let got = refused(|genesis| genesis.version = 2);
    assert_eq!(got, GenesisError::Version { got: 2, expected: 1 });
    let got = refused(|genesis| genesis.name = "x".repeat(65));
    assert_eq!(got, GenesisError::Name { what: "the network".into(), got: 65, expected: 64 });
    let got = refused(|genesis| genesis.parameters.schedule.curve.truncate(3));
    assert_eq!(got, GenesisError::Schedule(ScheduleError::PointCount { got: 3 }));
}

#[test]
fn demanders_own_budget_and_fee_and_the_bounty_account_a_twentieth_of_all_fees() {
    let instance = crate::market::instance();
    let settings = scenarios::settings::NetworkSettings::default();
    let genesis = Genesis::from_instance("n", &instance, &settings, 7, vec![miner(0).public()], 1);
    let owner = crate::market::demander(2).public().address();
    assert_eq!(genesis.balances[&owner], micros(100_400_000));
    assert_eq!(genesis.bounty, micros(60_000));
    assert_eq!(genesis.operations.len(), 2);
    assert_eq!(genesis.balances.values().copied().sum::<Money>(), micros(3 * 100_400_000));
}
