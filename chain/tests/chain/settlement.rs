//! Freezing: who is paid what, to the micro-unit.

use chain::ledger::DemandStatus;
use scenarios::{Money, ProviderId, Slot};

use crate::market::{Market, demander, micros, miner, provider_of, providers, units};

#[test]
fn a_composition_freezes_after_its_heights_and_pays_everybody() {
    let mut market = Market::open();
    let total = market.ledger.total_money();
    market.advance_to(20);
    // [0, 1]: 10 $ to provider 0, 11 $ to provider 1, 5 $ to the carrier. Reduced cost 7 $ of 26 $ earns nothing.
    market.compose(&[(0, providers([0, 1]))]);
    market.advance_to(52);
    assert!(matches!(market.ledger.demand(market.demand(0)).unwrap().status, DemandStatus::Composed(_)));
    assert_eq!(market.ledger.carrier_account(), Money::ZERO);
    market.advance_to(53);
    assert_eq!(market.ledger.demand(market.demand(0)), None, "a settled demand is history");
    let entry = market.departed(0);
    assert_eq!(entry.status.name(), "frozen");
    assert_eq!((entry.escrow, entry.clearing), (Money::ZERO, Money::ZERO));
    assert_eq!(market.balance(&provider_of(0)), units(10));
    assert_eq!(market.balance(&provider_of(1)), units(11));
    assert_eq!(market.ledger.carrier_account(), units(5));
    assert_eq!(market.balance(&miner(0)), Money::ZERO);
    // 100.4 - 26, the unearned fee of 0.4 included.
    assert_eq!(market.balance(&demander(0)), micros(74_400_000));
    assert_eq!(market.ledger.total_money(), total);
    let usage = market.ledger.usage(Slot::single(ProviderId(0)));
    assert_eq!((usage.standing, usage.frozen), (0, 10));
    assert_eq!(market.ledger.market().capacities[0], Some(30));
}

#[test]
fn a_fee_is_of_what_the_cheapest_way_costs_and_goes_to_the_miner() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0]))]);
    assert_eq!(market.balance(&miner(0)), Money::ZERO);
    // 100 $ less 19 $, and of at most 0.4 $ all but 0.4 % of 19 $.
    assert_eq!(market.balance(&demander(0)), units(81) + micros(324_000));
    market.advance_to(34);
    assert_eq!(market.balance(&miner(0)), micros(76_000));
    assert_eq!(market.balance(&demander(0)), units(81) + micros(324_000));
}

#[test]
fn the_value_of_time_counts_but_nobody_is_paid_for_it() {
    // 0.1 $ a minute: [0, 0] costs 19 $ + 20 minutes = 21 $.
    let mut market = Market::open_with(|genesis| genesis.rules.value_of_minute = micros(100_000));
    let report = market.compose(&[(0, providers([0, 0]))]);
    assert_eq!(report.cost, units(21));
    // The fee is 0.4 % of 21 $, 0.316 $ less than it could have been.
    assert_eq!(market.balance(&demander(0)), units(79) + micros(316_000));
    market.advance_to(34);
    assert_eq!(market.balance(&provider_of(0)), units(19));
    assert_eq!(market.balance(&demander(0)), units(81) + micros(316_000));
}
