//! Demands whose time has come: they leave the market, and their escrow returns.

use chain::ledger::{DemandStatus, MarketError, MarketStatementError, RecordOutlook, StatementError};
use chain::record::DemandStatement;
use chain::{DemandId, Fault, Record, RecordError, Rejection, Statement, check_record};
use scenarios::limits;
use scenarios::parameters::INTERVAL_MS;

use crate::market::{
    Market, ProposedBatch, demand_statement, micros, miner, providers, transfer, treasurer, units,
};

/// A demand of the treasurer's for 100 $ and 1 $, that expires then.
fn order(market: &Market, expires_ms: u64) -> Record {
    let demand = DemandStatement { expires_ms, ..demand_statement(units(100), units(1)) };
    market.record(&treasurer(), Statement::Demand(demand))
}

/// Brings such a demand.
fn bring(market: &mut Market, expires_ms: u64) -> DemandId {
    let order = order(market, expires_ms);
    let id = order.id();
    market.accept(ProposedBatch { records: vec![order], ..ProposedBatch::default() });
    id
}

#[test]
fn a_demand_of_less_than_the_least_budget_is_its_authors_fault() {
    let market = Market::open_with(|genesis| genesis.parameters.min_budget = units(1));
    let record = |budget| market.record(&treasurer(), Statement::Demand(demand_statement(budget, units(1))));
    // Of two orders.
    let (got, lowest, highest) = (micros(1_999_999), units(2), limits::BUDGET);
    let error = RecordError::Budget { got, lowest, highest };
    assert_eq!(check_record(market.network(), &record(got)), Err(error.clone()));
    assert_eq!((error.rule().name(), error.fault()), ("demand-budget", Fault::Peer));
    assert_eq!(check_record(market.network(), &record(lowest)), Ok(()));
}

#[test]
fn a_demand_is_brought_before_it_expires_and_not_too_long_before() {
    let market = Market::open();
    let now = market.next_time();
    let longest = now + INTERVAL_MS;
    let drafted = |expires_ms| {
        let records = vec![order(&market, expires_ms)];
        market.draft(ProposedBatch { records, ..ProposedBatch::default() }).map(|_| "drafted")
    };
    let refused = |expires_ms, error: MarketStatementError| {
        let (id, error) = (order(&market, expires_ms).id(), StatementError::from(error));
        assert_eq!(
            drafted(expires_ms),
            Err(Rejection::Record { index: 0, id, error: Box::new(error.into()) })
        );
    };
    refused(0, MarketStatementError::DemandExpired { got: 0, expected: now });
    refused(now, MarketStatementError::DemandExpired { got: now, expected: now });
    refused(longest + 1, MarketStatementError::LivesTooLong { got: longest + 1, expected: longest });
    assert_eq!((drafted(now + 1), drafted(longest)), (Ok("drafted"), Ok("drafted")));
}

#[test]
fn what_has_expired_no_batch_will_bring_and_what_lives_too_long_a_later_one_may() {
    let market = Market::open();
    // The next batch comes a millisecond after the head at the earliest.
    let soonest = market.ledger.head().timestamp_ms + 1;
    let outlook = |expires_ms| market.ledger.check_record_now(&order(&market, expires_ms));
    let expired = MarketStatementError::DemandExpired { got: soonest, expected: soonest };
    assert_eq!(outlook(soonest), RecordOutlook::Never(expired.into()));
    assert_eq!(outlook(soonest + 1), RecordOutlook::Now);
    let latest = soonest + INTERVAL_MS;
    let distant = MarketStatementError::LivesTooLong { got: latest + 1, expected: latest };
    assert_eq!(outlook(latest + 1), RecordOutlook::Later(distant.into()));
    assert!(market.ledger.is_within_reach(&order(&market, latest)));
    assert!(!market.ledger.is_within_reach(&order(&market, latest + 1)));
    // By the time of a batch that comes a second later it is not too long.
    let (kept, _) = market.ledger.admissible_records(&[order(&market, latest + 1)], market.next_time());
    assert_eq!(kept.len(), 1);
}

#[test]
fn an_open_demand_leaves_with_the_first_batch_that_reaches_its_time() {
    let mut market = Market::open();
    let (before, total) = (market.balance(&treasurer()), market.ledger.total_money());
    // Batches come a second apart: the second one after this.
    let expires_ms = market.next_time() + 1_500;
    let id = bring(&mut market, expires_ms);
    assert_eq!(market.balance(&treasurer()), before - units(101));
    assert_eq!(market.ledger.first_departure(), Some(expires_ms));
    assert_eq!(market.accept(ProposedBatch::default()).expired, 0);
    assert!(market.ledger.demand(id).is_some_and(|entry| entry.expires_ms == expires_ms));
    let report = market.accept(ProposedBatch::default());
    let [(departed, entry)] = report.departed.as_slice() else { panic!("one demand leaves") };
    assert_eq!((report.expired, *departed, &entry.status), (1, id, &DemandStatus::Expired { height: 4 }));
    assert_eq!((market.balance(&treasurer()), market.ledger.total_money()), (before, total));
    assert_eq!((market.ledger.demand(id), market.ledger.demand_totals().expired), (None, 1));
}

#[test]
fn whose_escrow_returned_can_spend_it_in_the_same_batch() {
    let mut market = Market::open();
    let expires_ms = market.next_time() + 500;
    bring(&mut market, expires_ms);
    let all = market.record(&treasurer(), transfer(&miner(1), units(1_000)));
    assert_eq!(market.ledger.admissible_records(std::slice::from_ref(&all), expires_ms - 1).0, []);
    assert_eq!(market.ledger.admissible_records(std::slice::from_ref(&all), expires_ms).0.len(), 1);
    market.accept(ProposedBatch { records: vec![all], ..ProposedBatch::default() });
    assert_eq!(market.balance(&miner(1)), units(1_000));
}

#[test]
fn a_composed_demand_does_not_expire() {
    let mut market = Market::open();
    let expires_ms = market.next_time() + 1_500;
    let id = bring(&mut market, expires_ms);
    market.accept(ProposedBatch { compositions: vec![(id, providers([0, 0]))], ..ProposedBatch::default() });
    market.accept(ProposedBatch::default());
    assert!(market.ledger.head().timestamp_ms > expires_ms);
    assert!(market.ledger.demand(id).is_some_and(|entry| entry.composition().is_some()));
    assert!(market.ledger.first_departure().is_none_or(|next| next > market.next_time()));
}

#[test]
fn nothing_composes_a_demand_in_the_batch_that_reaches_its_time() {
    let mut market = Market::open();
    let expires_ms = market.next_time() + 1_000;
    let demand = bring(&mut market, expires_ms);
    let compositions = vec![(demand, providers([0, 0]))];
    let refused =
        market.draft(ProposedBatch { compositions: compositions.clone(), ..ProposedBatch::default() });
    let unknown = Rejection::Market(MarketError::UnknownDemand { demand });
    assert_eq!(refused.map(|_| "drafted"), Err(unknown.clone()));
    let admissible = |timestamp_ms| market.ledger.admissible(&miner(0).public(), timestamp_ms, &compositions);
    assert_eq!(admissible(expires_ms - 1).kept, compositions);
    assert_eq!(admissible(expires_ms).refused, [(demand, unknown)]);
}

#[test]
fn at_most_as_many_expire_with_a_batch_as_it_may_have_records_and_nothing_composes_the_rest() {
    let mut market = Market::with(|genesis| genesis.parameters.limits.records_per_batch = 2);
    let expires_ms = market.next_time() + 2_500;
    let mut ids: Vec<DemandId> = (0..3).map(|_| bring(&mut market, expires_ms)).collect();
    ids.sort_unstable();
    let gone = |departed: &[(DemandId, _)]| departed.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let got = market.next_time();
    let left = market
        .draft(ProposedBatch { compositions: vec![(ids[2], providers([0, 0]))], ..ProposedBatch::default() });
    let expired = MarketError::DemandExpired { demand: ids[2], got, expected: expires_ms };
    assert_eq!(left.map(|_| "drafted"), Err(Rejection::Market(expired)));
    assert_eq!(gone(&market.accept(ProposedBatch::default()).departed), ids[..2]);
    assert_eq!(gone(&market.accept(ProposedBatch::default()).departed), ids[2..]);
}

#[test]
fn an_empty_batch_passes_if_a_demand_expires_with_it() {
    let mut market = Market::with(|genesis| {
        genesis.parameters.relax_after_ms = 0;
        genesis.parameters.relax_over_ms = 0;
    });
    let expires_ms = market.next_time() + 2_500;
    bring(&mut market, expires_ms);
    market.accept(ProposedBatch::default()); // it says what the last one led to
    // Relaxed with the next batch, it waits for none.
    assert_eq!(market.draft(ProposedBatch::default()).map(|_| "drafted"), Err(Rejection::EmptyBatch));
    market.advance_to(3);
    assert_eq!(market.accept(ProposedBatch::default()).expired, 1);
}
