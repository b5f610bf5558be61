//! What one batch brings stands by itself: everything is composed of the offers and valued at the prices that the batch
//! begins with, each composition alone.

use chain::ledger::MarketError;
use chain::validate::Early;
use chain::{Rejection, Statement};
use scenarios::{Money, ProviderId};

use crate::market::{
    Market, ProposedBatch, instance, micros, miner, offer, provider_of, providers, treasurer, units,
};

#[test]
fn no_good_composition_carries_a_bad_one() {
    let mut market = Market::open();
    // On average the reduced costs are 4 of 42 $, for which something would be paid; but 4 of 23 $ earn nothing.
    let both = market.composing(0, &[(0, providers([0, 0])), (2, providers([1, 1]))]);
    let demand = market.demand(2);
    let below = MarketError::RewardBelowThreshold {
        demand,
        fee: micros(76_000),
        got: Money::ZERO,
        expected: micros(7_600),
    };
    assert_eq!(market.draft(both.clone()).unwrap_err(), Rejection::Market(below.clone()));
    let admissible = market.ledger.admissible(&miner(0).public(), market.next_time(), &both.compositions);
    assert_eq!(admissible.kept, both.compositions[..1]);
    // The demand came at height 1; 4 and 12 seconds later nothing is asked for, and a millisecond before that less than a micro-unit.
    let early = Early {
        serving: both.compositions[1].clone(),
        from_ms: market.ledger.head().timestamp_ms + 15_999,
        rejection: Rejection::Market(below),
    };
    assert_eq!(admissible.early, [early]);
    assert_eq!(admissible.refused, []);
    assert_eq!(admissible.into_fitting(), both.compositions);
    market.compose(&[(0, providers([0, 0]))]);
}

#[test]
fn what_earns_too_little_now_takes_nothing_from_what_comes_after_it() {
    let market = Market::open_with(|genesis| genesis.providers[0].provider.capacity = Some(20.into()));
    let wanted = market.composing(0, &[(0, providers([0, 1])), (1, providers([0, 0]))]).compositions;
    let admissible = market.ledger.admissible(&miner(0).public(), market.next_time(), &wanted);
    // Ten minutes less would not be enough for the second.
    assert_eq!((admissible.kept, admissible.early.len()), (wanted[1..].to_vec(), 1));
}

#[test]
fn a_demand_says_from_when_on_it_asks_for_no_more() {
    let market = Market::open();
    let (demand, brought) = (market.demand(2), market.ledger.head().timestamp_ms);
    let from_ms =
        |earned| market.ledger.accepts_from(demand, micros(400_000), micros(earned)).unwrap() - brought;
    // A tenth of 0.4 $ for four seconds, then less and less for twelve.
    assert_eq!([50_000, 40_000, 39_999, 0].map(from_ms), [0, 0, 4_001, 16_000]);
    let required = |age_ms| micros(400_000).checked_ppm(market.network().parameters().required_ppm(age_ms));
    for earned in [39_000, 20_000, 1] {
        let from_ms = from_ms(earned);
        assert!(required(from_ms) <= Some(micros(earned)), "{earned}");
        assert!(required(from_ms - 1) > Some(micros(earned)), "{earned}");
    }
    assert_eq!(
        market.ledger.accepts_from(chain::RecordId(chain::Hash([9; 32])), Money::ZERO, Money::ZERO),
        None
    );
}

#[test]
fn an_offer_counts_from_the_batch_after_the_one_that_brings_it() {
    let mut market = Market::open();
    let mut cheaper = instance().supply.providers.remove(0);
    cheaper.offers.values_mut().for_each(|offer| offer.cost = units(1));
    let newcomer = market.record(&treasurer(), offer(&cheaper));
    let changed = market.record(&provider_of(0), offer(&cheaper));
    let mut proposed = market.composing(0, &[(0, providers([0, 0]))]);
    proposed.records = vec![newcomer, changed];
    let mut of_the_newcomer = proposed.clone();
    of_the_newcomer.compositions[0].1 = providers([3, 3]);
    let unknown =
        MarketError::UnknownProvider { demand: market.demand(0), order: 0, got: ProviderId(3), expected: 3 };
    assert_eq!(market.draft(of_the_newcomer).unwrap_err(), Rejection::Market(unknown));
    // 10 + 9 $, and as good as any, whatever is offered from now on.
    let report = market.accept(proposed);
    assert_eq!((report.cost, report.reduced_cost), (units(19), Money::ZERO));
    assert_eq!(market.compose(&[(1, providers([3, 3]))]).cost, units(2));
}

#[test]
fn who_withdraws_keeps_to_what_the_same_batch_composes_and_its_deposit_stays() {
    let mut market = Market::open_with(|genesis| genesis.parameters.offer_deposit = units(3));
    let dear = instance().supply.providers.remove(1);
    let record = market.record(&treasurer(), offer(&dear));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let (id, before) = (ProviderId(3), market.balance(&treasurer()));
    assert_eq!(market.ledger.deposit(id), units(6));
    let mut proposed = market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 3]))]);
    proposed.records = vec![market.record(&treasurer(), Statement::OfferWithdrawal)];
    // 10 + 5 + 11 $ are too dear for now.
    let demand = market.demand(1);
    assert!(matches!(
        market.draft(proposed.clone()).unwrap_err(),
        Rejection::Market(MarketError::RewardBelowThreshold { demand: got, .. }) if got == demand
    ));
    while market.ledger.market_ms() < market.ledger.demand(demand).unwrap().since_ms + 16_000 {
        let height = market.ledger.head().height + 1;
        market.advance_to(height);
    }
    proposed.records = vec![market.record(&treasurer(), Statement::OfferWithdrawal)];
    let spent = before - market.balance(&treasurer());
    market.accept(proposed);
    assert_eq!((market.ledger.deposit(id), before - market.balance(&treasurer())), (units(6), spent));
    let composed = market.ledger.head().height;
    market.advance_to(composed + 32);
    // What a place costs stays.
    assert_eq!(market.ledger.deposit(id), units(3));
}

#[test]
fn prices_must_raise_the_bound_of_what_the_batch_leaves() {
    let mut market = Market::open();
    // Alone they raise it from 57 to 61 $, and so they do beside a composition at 19 $, which is worth 23 $ at them.
    let both = market.composing(0, &[(0, providers([0, 0]))]).at_right_prices();
    let report = market.accept(both);
    assert_eq!((report.bound_before, report.bound_after), (Some(units(57)), Some(units(61))));
    assert_eq!((report.reduced_cost, report.reward_ppm), (Money::ZERO, 1_000_000));
    // A new offer of as much time again makes half of the price too much: the bound is that of the offers of now.
    let mut roomy = instance().supply.providers.remove(0);
    roomy.capacity = Some(400.into());
    let record = market.record(&provider_of(0), offer(&roomy));
    let prices = Some(vec![micros(100_000)]);
    let lower = ProposedBatch { records: vec![record], prices, ..ProposedBatch::default() };
    let report = market.accept(lower);
    assert_eq!((report.bound_before, report.bound_after), (Some(units(-11)), Some(units(23))));
}
