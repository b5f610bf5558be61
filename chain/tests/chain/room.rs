//! What a market has room for: offers of an operation, minutes that something is locked for, work to check.

use chain::ledger::{MarketStatementError, RecordOutlook, StatementError};
use chain::record::OfferStatement;
use chain::{Genesis, SecretKey, Statement};
use scenarios::{Money, OperationId, Provider, ProviderId, Site, Slot};

use crate::market::{
    Market, ProposedBatch, demand_statement, micros, miner, offer, provider, provider_of, providers,
    treasurer, units,
};

/// Two offers of operation 0 and three of operation 1 are as many as there may be; an hour without work is idle.
fn full(genesis: &mut Genesis) {
    genesis.parameters.limits.offers_per_operation = 2;
    genesis.parameters.idle_after_ms = 10_000;
    genesis.balances.insert(miner(5).public().address(), units(100));
    genesis.balances.insert(miner(6).public().address(), units(100));
}

/// An offer of operation 0 for which so much is locked.
fn with_deposit(deposit: Money) -> Statement {
    let Statement::Offer(terms) = offer(&provider("new", Site::point(0, 0), &[(0, 1, 10)], Some(20))) else {
        panic!("an offer")
    };
    Statement::Offer(OfferStatement { deposit, ..terms })
}

fn state(market: &mut Market, author: &SecretKey, statement: Statement) {
    let records = vec![market.record(author, statement)];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
}

fn refusal(market: &Market, author: &SecretKey, statement: Statement) -> Option<MarketStatementError> {
    match market.ledger.check_record_now(&market.record(author, statement)) {
        RecordOutlook::Never(StatementError::Market(error)) => Some(error),
        RecordOutlook::Never(error) => panic!("{error}"),
        RecordOutlook::Now | RecordOutlook::Later(_) => None,
    }
}

fn offers(market: &Market, id: u32) -> Vec<u16> {
    let terms: &Provider = market.ledger.supply().provider(ProviderId(id)).expect("a provider");
    terms.offers.keys().map(|operation| operation.0).collect()
}

#[test]
fn whoever_offers_what_is_offered_often_enough_takes_the_place_of_an_idle_one_for_a_larger_deposit() {
    let mut market = Market::open_with(|genesis| {
        full(genesis);
        genesis.parameters.minute_deposit = micros(10_000);
    });
    let refused = |deposit| MarketStatementError::NoRoomForOffer {
        operation: OperationId(0),
        got: 2,
        expected: 2,
        deposit,
    };
    // Everybody is busy, or might be: the network is a second old.
    assert_eq!(refusal(&market, &miner(5), with_deposit(units(9))), Some(refused(units(9))));
    market.compose(&[(0, providers([0, 0]))]);
    market.advance_to(10);
    // One works, the other has been idle for ten seconds. It is there for nothing, as everybody of genesis.
    assert_eq!(refusal(&market, &miner(5), with_deposit(Money::ZERO)), Some(refused(Money::ZERO)));
    state(&mut market, &miner(5), with_deposit(micros(1)));
    assert_eq!([offers(&market, 0), offers(&market, 1), offers(&market, 3)], [vec![0, 1], vec![1], vec![0]]);
    // Who has just come stays, and so does who works, whatever somebody locks.
    assert_eq!(refusal(&market, &miner(6), with_deposit(units(90))), Some(refused(units(90))));
    market.advance_to(22);
    // Idle since it came, and cheaper than who wants its place.
    assert_eq!(refusal(&market, &miner(6), with_deposit(micros(1))), Some(refused(micros(1))));
    state(&mut market, &miner(6), with_deposit(micros(2)));
    assert_eq!([offers(&market, 0), offers(&market, 3), offers(&market, 4)], [vec![0, 1], vec![], vec![0]]);
    // What was locked for the place that is lost is free again.
    assert_eq!(market.balance(&miner(5)), units(100));
    // A place that somebody gives up is free for all.
    state(&mut market, &miner(6), Statement::OfferWithdrawal);
    state(&mut market, &miner(5), with_deposit(Money::ZERO));
    assert_eq!(offers(&market, 3), [0]);
}

#[test]
fn whoever_takes_a_place_with_a_large_deposit_does_not_keep_it_with_a_small_one() {
    let mut market = Market::open_with(full);
    market.compose(&[(0, providers([0, 0]))]);
    market.advance_to(10);
    state(&mut market, &miner(5), with_deposit(units(9)));
    state(&mut market, &miner(5), with_deposit(micros(1)));
    assert_eq!((market.balance(&miner(5)), offers(&market, 3)), (units(100) - micros(1), vec![0]));
    // It has just come, and gives way all the same.
    state(&mut market, &miner(6), with_deposit(micros(2)));
    assert_eq!([offers(&market, 3), offers(&market, 4)], [vec![], vec![0]]);
}

#[test]
fn who_was_paid_within_the_hour_is_not_idle() {
    let mut market = Market::open_with(|genesis| {
        full(genesis);
        genesis.parameters.freeze_after_ms = 12_000;
    });
    market.compose(&[(0, providers([0, 0]))]);
    let composed = market.ledger.head().height;
    market.advance_to(composed + 13);
    assert_eq!(market.ledger.usage(Slot::single(ProviderId(0))).standing, 0);
    // The other one gives way, and then nobody.
    state(&mut market, &miner(5), with_deposit(units(1)));
    assert_eq!([offers(&market, 0), offers(&market, 1)], [vec![0, 1], vec![1]]);
    assert!(refusal(&market, &miner(6), with_deposit(units(1))).is_some());
}

#[test]
fn a_place_is_taken_when_the_notice_is_over_if_somebody_still_gives_way() {
    let mut market = Market::open_with(|genesis| {
        full(genesis);
        genesis.parameters.notice_ms = 2_000;
    });
    market.advance_to(10);
    state(&mut market, &miner(5), with_deposit(units(7)));
    assert_eq!(market.balance(&miner(5)), units(93));
    // Before it counts, one of those whose place it could take has work.
    market.compose(&[(0, providers([0, 0]))]);
    market.advance_to(14);
    assert_eq!([offers(&market, 0), offers(&market, 1), offers(&market, 3)], [vec![0, 1], vec![1], vec![0]]);
}

#[test]
fn nobody_loses_its_place_to_a_notice_while_it_has_work() {
    let mut market = Market::open_with(|genesis| {
        full(genesis);
        genesis.parameters.notice_ms = 3_000;
        genesis.parameters.minute_deposit = micros(10_000);
    });
    // So late that whatever is feasible may be composed.
    market.advance_to(20);
    state(&mut market, &miner(5), with_deposit(units(7)));
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    market.compose(&[(2, providers([1, 1]))]);
    market.advance_to(26);
    assert_eq!(
        [offers(&market, 0), offers(&market, 1), offers(&market, 3)],
        [vec![0, 1], vec![0, 1], vec![]]
    );
    // There was no room for what it offers, and nothing is locked for it or its minutes.
    assert_eq!(market.balance(&miner(5)), units(100));
}

#[test]
fn each_minute_beyond_those_of_genesis_is_locked_for() {
    let mut market = Market::open_with(|genesis| {
        genesis.parameters.minute_deposit = micros(10_000);
        genesis.balances.insert(miner(5).public().address(), units(100));
        genesis.balances.insert(provider_of(0).public().address(), units(1));
    });
    let near = |capacity| offer(&provider("near", Site::point(0, 0), &[(0, 1, 10)], capacity));
    // 5,000 minutes for nothing are not to be had for nothing.
    state(&mut market, &miner(5), near(Some(5_000)));
    assert_eq!((market.balance(&miner(5)), market.ledger.deposit(ProviderId(3))), (units(50), units(50)));
    let author = miner(5).public().address();
    let expected =
        MarketStatementError::InsufficientDeposit { author, got: units(50), expected: micros(50_010_000) };
    assert_eq!(refusal(&market, &miner(5), near(Some(10_001))), Some(expected));
    let unlimited = MarketStatementError::UnlimitedCapacity { author };
    assert_eq!(refusal(&market, &miner(5), near(None)), Some(unlimited));
    state(&mut market, &miner(5), near(Some(100)));
    assert_eq!((market.balance(&miner(5)), market.ledger.deposit(ProviderId(3))), (units(99), units(1)));
    // Genesis vouches for 40 minutes of the first, and for any number of the second.
    state(&mut market, &provider_of(0), near(Some(40)));
    assert_eq!(market.balance(&provider_of(0)), units(1));
    state(&mut market, &provider_of(0), near(Some(60)));
    assert_eq!(market.balance(&provider_of(0)), micros(800_000));
    state(&mut market, &provider_of(1), near(None));
    assert_eq!(market.balance(&provider_of(1)), Money::ZERO);
}

#[test]
fn there_is_always_time_for_a_pass_over_the_market() {
    // Two offers of operation 0, three of operation 1: 2 + 3 + 2 x 3 = 11 steps a demand, 33 for those that are there.
    let mut market = Market::open_with(|genesis| {
        genesis.parameters.limits.market_work = 44;
        genesis.parameters.idle_after_ms = 1_000;
        genesis.balances.insert(miner(5).public().address(), units(100));
    });
    let dust = || Statement::Demand(demand_statement(units(1), micros(4_000)));
    // One more offer of operation 0 adds 1 + 3 to each of three, one of operation 1 then 1 + 3.
    let both = offer(&provider("new", Site::point(0, 0), &[(0, 1, 10), (1, 1, 10)], Some(20)));
    assert!(matches!(refusal(&market, &miner(5), both), Some(MarketStatementError::NoRoomForOffer { .. })));
    state(&mut market, &treasurer(), dust());
    assert_eq!(
        refusal(&market, &treasurer(), dust()),
        Some(MarketStatementError::TooMuchWork { got: 55, expected: 44 })
    );
    // Who leaves makes room.
    let demand = market.demand(2);
    let cancelled = market.record(&crate::market::demander(2), Statement::DemandCancellation { demand });
    market.accept(ProposedBatch { records: vec![cancelled], ..ProposedBatch::default() });
    assert_eq!(refusal(&market, &treasurer(), dust()), None);
    // A place for a larger deposit takes no more time than the one it takes.
    state(&mut market, &treasurer(), dust());
    state(&mut market, &miner(5), with_deposit(units(1)));
    assert_eq!(offers(&market, 3), [0]);
    let offering = |one: &&Provider| one.offers.contains_key(&OperationId(0));
    assert_eq!(market.ledger.supply().providers.iter().filter(offering).count(), 2);
}
