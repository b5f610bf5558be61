//! The market by hand with a calendar: a period is 4 s, which is four batches, three can be planned at a time, and the first batch comes
//! when period 0 has three seconds to go. Of provider 0's 40 minutes, each period has as many.

use chain::ledger::{DemandStatus, MarketError, MarketStatementError, StatementError};
use chain::record::DemandStatement;
use chain::{DemandId, Record, Rejection, Statement};
use scenarios::{Calendar, Horizon, Minutes, Money, Period, ProviderId, Slot, TimeWindow};

use crate::market::{
    Market, ProposedBatch, START_MS, demand_statement, micros, provider_of, treasurer, units,
};

const PERIOD_MS: u64 = 4_000;

fn slots<const N: usize>(places: [(u32, u32); N]) -> Vec<Slot> {
    places.map(|(id, period)| Slot { provider: ProviderId(id), period: Period(period) }).to_vec()
}

fn days(release: u32, due: u32) -> TimeWindow {
    TimeWindow { release: Period(release), due: Period(due) }
}

/// With so many minutes in a period, and of provider 0 by this pattern.
fn market(period_minutes: Minutes, pattern: &[Minutes]) -> Market {
    market_of(PERIOD_MS, period_minutes, pattern)
}

fn market_of(period_ms: u64, period_minutes: Minutes, pattern: &[Minutes]) -> Market {
    Market::with(|genesis| {
        genesis.horizon = Horizon { first: Period::ZERO, periods: 3, period_minutes: Some(period_minutes) };
        genesis.calendar_start_ms = START_MS + period_ms;
        genesis.parameters.period_ms = period_ms;
        genesis.parameters.frozen_zone_ms = 0;
        genesis.providers[0].provider.capacity = Some(Calendar::new(pattern.to_vec(), [].into()));
        genesis.balances.insert(treasurer().public().address(), units(100_000));
    })
}

fn order(market: &Market, window: TimeWindow) -> Record {
    let demand = DemandStatement { window, ..demand_statement(units(100), units(1)) };
    market.record(&treasurer(), Statement::Demand(demand))
}

/// Brings a demand that wants to be served then.
fn bring(market: &mut Market, window: TimeWindow) -> DemandId {
    let order = order(market, window);
    let id = order.id();
    market.accept(ProposedBatch { records: vec![order], ..ProposedBatch::default() });
    id
}

fn compose(market: &mut Market, demand: DemandId, slots: Vec<Slot>) {
    market.accept(ProposedBatch { compositions: vec![(demand, slots)], ..ProposedBatch::default() });
}

/// Batches of nothing much until one has this time.
fn wait_until(market: &mut Market, time_ms: u64) {
    while market.ledger.head().timestamp_ms < time_ms {
        market.advance_to(market.ledger.head().height + 1);
    }
}

fn priced(id: u32, period: u32, price: Money) -> (Slot, Money) {
    (Slot { provider: ProviderId(id), period: Period(period) }, price)
}

#[test]
fn a_composition_keeps_to_its_days_their_order_and_their_length() {
    let mut market = market(34, &[40]);
    let demand = bring(&mut market, days(1, 7));
    let refused = |places| {
        let proposed =
            ProposedBatch { compositions: vec![(demand, slots(places))], ..ProposedBatch::default() };
        market.draft(proposed).map(|_| "drafted")
    };
    let expected = days(1, 2);
    let outside = |order, got| {
        Err(Rejection::Market(MarketError::OutsideWindow { demand, order, got: Period(got), expected }))
    };
    assert_eq!(refused([(0, 0), (0, 1)]), outside(0, 0));
    // The demand could wait, but so far ahead nobody plans yet.
    assert_eq!(refused([(0, 2), (0, 3)]), outside(1, 3));
    let (got, expected) = (Period(1), Period(2));
    let decreasing = MarketError::PeriodsDecrease { demand, order: 1, got, expected };
    assert_eq!(refused([(0, 2), (0, 1)]), Err(Rejection::Market(decreasing)));
    // 10 minutes, 5 to travel, 20 more.
    let (period, got, expected) = (Period(1), 35, 34);
    let too_short = MarketError::PeriodTooShort { demand, period, got, expected };
    assert_eq!(refused([(0, 1), (1, 1)]), Err(Rejection::Market(too_short.clone())));
    assert_eq!(too_short.rule(), "period-minutes");
    assert_eq!(
        refused([(0, 1), (1, 2)]).map_err(|rejection| rejection.rule()),
        Err("reward"),
        "dear, but possible"
    );
    assert_eq!(refused([(0, 1), (0, 2)]), Ok("drafted"));
}

#[test]
fn each_period_has_its_own_minutes() {
    let mut market = market(1_000, &[40, 20, 0]);
    let demands: Vec<DemandId> = (0..4).map(|_| bring(&mut market, days(1, 2))).collect();
    compose(&mut market, demands[0], slots([(0, 1), (0, 1)]));
    let full = ProposedBatch {
        compositions: vec![(demands[1], slots([(0, 1), (0, 1)]))],
        ..ProposedBatch::default()
    };
    let (slot, got, expected) = (slots([(0, 1)])[0], 40, 20);
    let over = MarketError::OverCapacity { demand: demands[1], slot, got, expected };
    assert_eq!(market.draft(full).map(|_| ()), Err(Rejection::Market(over)));
}

#[test]
fn a_composition_is_settled_when_its_first_period_begins() {
    let mut market = market(1_000, &[40]);
    let demand = bring(&mut market, TimeWindow::ANY);
    compose(&mut market, demand, slots([(0, 1), (0, 2)]));
    let begins_ms = START_MS + 2 * PERIOD_MS;
    wait_until(&mut market, begins_ms - 1_000);
    let stands = |market: &Market| {
        let entry = market.ledger.demand(demand)?;
        Some(matches!(entry.status, DemandStatus::Composed(_)))
    };
    assert_eq!((stands(&market), market.balance(&provider_of(0))), (Some(true), Money::ZERO));
    wait_until(&mut market, begins_ms);
    assert_eq!((stands(&market), market.balance(&provider_of(0))), (None, units(19)));
    // What it takes of period 2 nobody else has.
    assert_eq!(market.ledger.usage(slots([(0, 2)])[0]).total(), 10);
}

#[test]
fn a_demand_whose_days_are_over_is_refused_and_expires() {
    let mut market = market(1_000, &[40]);
    let (late, later) = (bring(&mut market, days(0, 0)), bring(&mut market, days(0, 1)));
    assert_eq!(market.ledger.demand(late).map(|entry| entry.expires_ms), Some(START_MS + PERIOD_MS));
    wait_until(&mut market, START_MS + PERIOD_MS);
    assert_eq!((market.ledger.demand(late), market.ledger.demand(later).is_some()), (None, true));
    let record = order(&market, days(0, 0));
    let past = MarketStatementError::WindowPast { got: Period(0), expected: Period(1) };
    let rejection = market.draft(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let Err(Rejection::Record { error, .. }) = rejection else { panic!("it is drafted") };
    assert_eq!(*error, StatementError::from(past).into());
}

#[test]
fn new_periods_cost_what_those_at_the_same_place_of_the_pattern_cost() {
    let (high, low) = (micros(200_000), micros(150_000));
    // The third period is like the one before, that before it, or of a longer pattern nobody knows yet.
    for (pattern, expected) in [(vec![40], low), (vec![40, 40], high), (vec![40; 4], low)] {
        let period_ms = 20_000;
        let mut market = market_of(period_ms, 1_000, &pattern);
        for _ in 0..3 {
            bring(&mut market, days(1, 1));
            bring(&mut market, days(2, 2));
        }
        let repricing = Some(vec![Money::ZERO, high, low]);
        market.accept(ProposedBatch { prices: repricing, ..ProposedBatch::default() });
        let prices = |market: &Market| market.ledger.prices().iter().collect::<Vec<_>>();
        assert_eq!(prices(&market), [priced(0, 1, high), priced(0, 2, low)]);
        wait_until(&mut market, START_MS + period_ms);
        assert_eq!(prices(&market), [priced(0, 1, high), priced(0, 2, low), priced(0, 3, expected)]);
        wait_until(&mut market, START_MS + 2 * period_ms);
        assert_eq!(prices(&market)[..2], [priced(0, 2, low), priced(0, 3, expected)]);
    }
}

#[test]
fn two_hundred_periods_later_the_market_has_what_it_had_at_first() {
    let mut market = market(1_000, &[40, 20, 0]);
    let offered =
        |market: &Market| market.ledger.supply().capacities().into_iter().flatten().sum::<Minutes>();
    let first = offered(&market);
    let mut most = 0;
    for round in 0..200_u64 {
        wait_until(&mut market, START_MS + round * PERIOD_MS);
        let horizon = market.ledger.supply().horizon;
        let demand = bring(&mut market, TimeWindow::ANY);
        let open = horizon.iter().find(|period| period.0 % 3 != 2 && *period > horizon.first);
        let period = open.expect("of three periods one is closed").0;
        compose(&mut market, demand, slots([(0, period), (0, period)]));
        assert_eq!(offered(&market), first);
        let entries = market.ledger.state_entries();
        let bytes: usize = entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        if round < 20 {
            most = most.max(bytes);
        } else {
            assert!(bytes <= most + most / 20, "{bytes} bytes in period {period}, {most} at most before");
        }
    }
}
