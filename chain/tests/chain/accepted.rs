//! Batches that pass, and the figures they lead to.

use std::sync::Arc;

use chain::ledger::{
    AccountError, DemandStatus, MarketError, MarketStatementError, RecordOutlook, StatementError,
};
use chain::{Fault, RecordError, Rejection, Statement};
use scenarios::{Money, ProviderId, Slot};

use crate::market::{
    Market, ProposedBatch, demand_statement, demander, instance, micros, miner, offer, provider, provider_of,
    providers, transfer, treasurer, units,
};

#[test]
fn a_demand_puts_budget_and_fee_in_escrow() {
    let market = Market::open();
    let entry = market.ledger.demand(market.demand(0)).unwrap();
    assert_eq!((entry.since, entry.escrow), (1, micros(100_400_000)));
    assert_eq!(market.balance(&demander(0)), Money::ZERO);
    assert_eq!(market.ledger.next_sequence(demander(0).public().address()), 1);
}

#[test]
fn the_bound_of_the_market_is_three_times_the_cheapest_composition() {
    let market = Market::open();
    assert_eq!(market.ledger.market_bound(), Ok(units(57)));
    assert_eq!(market.ledger.market_cost(), i128::from(units(300).micros()));
}

#[test]
fn optimal_compositions_earn_the_whole_fee_and_pay_providers_later() {
    let mut market = Market::open();
    let report = market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    assert_eq!((report.cost, report.reduced_cost), (units(38), Money::ZERO));
    // 0.4 % of 19 $, twice.
    assert_eq!((report.reward_ppm, report.reward), (1_000_000, micros(152_000)));
    // 10 % of the fees is asked for.
    assert_eq!((report.fees, report.required), (micros(152_000), micros(15_200)));
    // The rest of the budget is back at once, and what the fee could have been more; price and fee are held.
    assert_eq!(market.balance(&demander(0)), units(81) + micros(324_000));
    let entry = market.ledger.demand(market.demand(0)).unwrap();
    assert_eq!((entry.clearing, entry.escrow), (units(19), micros(76_000)));
    assert_eq!(market.balance(&provider_of(0)), Money::ZERO);
    let open = market.ledger.open_market();
    assert_eq!(open.demands.len(), 1);
    assert_eq!(open.capacities, [Some(0), None, Some(100)]);
    assert_eq!(market.ledger.market().capacities, [Some(40), None, Some(100)]);
}

#[test]
fn a_supply_is_tabulated_once_for_all_batches_until_an_offer_changes_it() {
    let mut market = Market::open();
    let tables = market.ledger.supply().tables();
    market.compose(&[(0, providers([0, 0]))]);
    market.compose(&[(1, providers([0, 0]))]);
    assert!(Arc::ptr_eq(&tables, &market.ledger.supply().tables()));
    let changed = instance().supply.providers.remove(0);
    let record = market.record(&provider_of(0), offer(&changed));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    assert!(!Arc::ptr_eq(&tables, &market.ledger.supply().tables()));
}

#[test]
fn a_price_update_raises_the_bound_to_the_optimum_and_its_author_shares_what_is_earned_at_it() {
    let mut market = Market::open();
    let report =
        market.accept(ProposedBatch { prices: Some(vec![micros(200_000)]), ..ProposedBatch::default() });
    assert_eq!((report.bound_before, report.bound_after), (Some(units(57)), Some(units(61))));
    assert_eq!(market.ledger.market_bound(), Ok(units(61)));
    let author = miner(0).public().address();
    assert_eq!(market.ledger.price_totals().authors, [(author, units(4))].into());
    assert_eq!(market.ledger.price_totals().updates, 1);
    // At these prices the cheapest way costs 23 $: 0.4 % of that is the fee, of which 5 % are for the prices, at once.
    let report = market.accept(market.composing(1, &[(0, providers([1, 1]))]));
    assert_eq!(
        (report.fees, report.reward, report.price_share),
        (micros(92_000), micros(87_400), micros(4_600))
    );
    assert_eq!(report.reward_ppm, 1_000_000);
    assert_eq!(market.balance(&miner(0)), micros(4_600));
}

#[test]
fn at_the_right_prices_the_last_demand_has_no_reduced_cost_either() {
    let mut market = Market::open();
    let all = [(0, providers([0, 0])), (1, providers([0, 0])), (2, providers([1, 1]))];
    market.accept(ProposedBatch::default().at_right_prices());
    let report = market.compose(&all);
    assert_eq!((report.cost, report.reduced_cost, report.reward_ppm), (units(61), Money::ZERO, 1_000_000));
    assert_eq!(market.ledger.market_cost(), i128::from(units(61).micros()));
}

#[test]
fn reduced_costs_of_a_complete_market_add_up_to_its_gap() {
    let mut market = Market::open();
    market.advance_to(20);
    // Without prices, the third demand's 23 $ are 4 $ above its cheapest composition.
    let all = [(0, providers([0, 0])), (1, providers([0, 0])), (2, providers([1, 1]))];
    let report = market.compose(&all);
    let gap = market.ledger.market_cost() - i128::from(market.ledger.market_bound().unwrap().micros());
    assert_eq!((report.reduced_cost, gap), (units(4), i128::from(units(4).micros())));
}

#[test]
fn a_poor_composition_passes_once_its_demand_has_waited_and_earns_nothing() {
    let mut market = Market::open();
    let poor = [(2, providers([1, 1]))];
    // Reduced cost 4 $ of 23 $ is beyond the 10 % at which pay ends.
    let demand = market.demand(2);
    let below = |expected| {
        Rejection::Market(MarketError::RewardBelowThreshold {
            demand,
            fee: micros(76_000),
            got: Money::ZERO,
            expected,
        })
    };
    assert_eq!(market.draft(market.composing(0, &poor)).unwrap_err(), below(micros(7_600)));
    // The demand came at height 1; the floor is gone 4 + 12 seconds later.
    market.advance_to(15);
    assert_eq!(market.draft(market.composing(0, &poor)).unwrap_err(), below(micros(633)));
    market.advance_to(16);
    let report = market.compose(&poor);
    assert_eq!((report.reward, report.required), (Money::ZERO, Money::ZERO));
}

#[test]
fn a_demand_and_its_composition_may_come_in_one_batch() {
    let mut market = Market::new();
    let records = market.demand_records();
    let compositions = vec![(records[0].id(), providers([0, 0]))];
    let report = market.accept(ProposedBatch { records, compositions, ..ProposedBatch::default() });
    assert_eq!((report.records, report.compositions), (3, 1));
}

#[test]
fn an_empty_batch_passes_only_while_something_waits_for_time_or_for_its_root_to_be_said() {
    let mut market = Market::open();
    market.accept(ProposedBatch::default());
    assert!(market.ledger.is_waiting(market.next_time()));
    let mut idle = Market::new();
    assert_eq!(idle.draft(ProposedBatch::default()).unwrap_err(), Rejection::EmptyBatch);
    idle.advance_to(1);
    idle.accept(ProposedBatch::default());
    assert_eq!(idle.draft(ProposedBatch::default()).unwrap_err(), Rejection::EmptyBatch);
}

#[test]
fn prices_that_more_capacity_made_too_high_can_be_lowered_to_nothing() {
    let mut market = Market::open();
    market.accept(ProposedBatch { prices: Some(vec![micros(200_000)]), ..ProposedBatch::default() });
    let mut huge = instance().supply.providers.remove(0);
    huge.capacity = Some(scenarios::limits::CAPACITY_MINUTES.into());
    let records = vec![market.record(&provider_of(0), offer(&huge))];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    // 3 x 23 $ - 10^9 minutes at 0.2 $.
    assert_eq!(market.ledger.market_bound(), Ok(units(69 - 200_000_000)));
    let report = market.accept(ProposedBatch { prices: Some(Vec::new()), ..ProposedBatch::default() });
    assert_eq!(report.bound_after, Some(units(57)));
}

/// Provider 0 at another cost and capacity.
fn changed(cost: i64, capacity: i64) -> scenarios::Provider {
    let mut near = instance().supply.providers.remove(0);
    near.offers.values_mut().for_each(|offer| offer.cost = units(cost));
    near.capacity = Some(capacity.into());
    near
}

#[test]
fn the_bound_stays_below_what_stands_when_its_offers_are_gone_dearer_or_smaller() {
    // `[0, 0]` stands at 19 $; without provider 0 the cheapest way is `[1, 1]` at 23 $.
    let gap = |record: fn(&Market) -> chain::Record| {
        let mut market = Market::open();
        market.accept(ProposedBatch { prices: Some(vec![micros(200_000)]), ..ProposedBatch::default() });
        market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
        market.compose(&[(2, providers([1, 1]))]);
        let record = record(&market);
        market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
        let bound = i128::from(market.ledger.market_bound().unwrap().micros());
        market.ledger.market_cost() - bound
    };
    assert_eq!(gap(|market| market.record(&provider_of(0), Statement::OfferWithdrawal)), 0);
    assert_eq!(gap(|market| market.record(&provider_of(0), offer(&changed(90, 40)))), 0);
    assert_eq!(gap(|market| market.record(&provider_of(0), offer(&changed(90, 0)))), 0);
}

#[test]
fn a_smaller_offer_leaves_standing_compositions_and_nothing_for_new_ones() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0]))]);
    let smaller = provider("near", scenarios::Site::point(0, 0), &[(0, 10, 10), (1, 9, 10)], Some(10));
    let records = vec![market.record(&provider_of(0), offer(&smaller))];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert_eq!(market.ledger.open_market().capacities[0], Some(0));
    assert_eq!(market.ledger.market().capacities[0], Some(20), "what stands is a plan of the market");
    let entry = market.ledger.demand(market.demand(0)).unwrap();
    assert_eq!(entry.composition().unwrap().cost, units(19));
}

#[test]
fn an_offer_without_limit_has_no_price_any_more() {
    let mut market = Market::open();
    market.accept(ProposedBatch { prices: Some(vec![micros(200_000)]), ..ProposedBatch::default() });
    let mut unlimited = instance().supply.providers.remove(0);
    unlimited.capacity = None;
    let records = vec![market.record(&provider_of(0), offer(&unlimited))];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert_eq!(market.ledger.prices().of(Slot::single(ProviderId(0))), Money::ZERO);
    assert_eq!(market.ledger.market_bound(), Ok(units(57)));
}

#[test]
fn a_new_provider_gets_the_next_id_and_is_used() {
    let mut market = Market::open();
    let newcomer = miner(5);
    let cheap = provider("new", scenarios::Site::point(0, 0), &[(0, 1, 1), (1, 1, 1)], None);
    let records = vec![market.record(&newcomer, offer(&cheap))];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert_eq!(market.ledger.provider_id(newcomer.public().address()), Some(ProviderId(3)));
    let report = market.compose(&[(0, providers([3, 3]))]);
    assert_eq!((report.cost, report.reduced_cost), (units(2), Money::ZERO));
}

#[test]
fn a_cancelled_demand_gives_back_its_escrow() {
    let mut market = Market::open();
    let cancel = Statement::DemandCancellation { demand: market.demand(0) };
    let records = vec![market.record(&demander(0), cancel)];
    let report = market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert_eq!(market.balance(&demander(0)), micros(100_400_000));
    let [(id, entry)] = report.departed.as_slice() else { panic!("one demand leaves") };
    assert_eq!((*id, &entry.status), (market.demand(0), &DemandStatus::Cancelled { height: 2 }));
    assert_eq!(entry.escrow, Money::ZERO);
    assert_eq!(market.ledger.demand(market.demand(0)), None);
    assert_eq!(market.ledger.market().demands.len(), 2);
    assert_eq!(market.ledger.demands_seen(), 3);
}

#[test]
fn the_outlook_of_a_record_is_now_later_or_never() {
    let market = Market::open();
    let now = market.record(&treasurer(), transfer(&miner(1), units(1)));
    assert_eq!(market.ledger.check_record_now(&now), RecordOutlook::Now);

    let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
    content.sequence = 2;
    let author = treasurer().public().address();
    let gap = AccountError::SequenceGap { author, got: 2, expected: 0 }.into();
    assert_eq!(market.ledger.check_record_now(&content.sign(&treasurer())), RecordOutlook::Later(gap));

    let poor = market.record(&miner(1), Statement::Demand(demand_statement(units(10), units(1))));
    let author = miner(1).public().address();
    let (got, expected) = (Money::ZERO, units(11));
    let short = StatementError::from(MarketStatementError::InsufficientEscrow { author, got, expected });
    assert_eq!(RecordError::from(short.clone()).fault(), Fault::Transient);
    assert_eq!(market.ledger.check_record_now(&poor), RecordOutlook::Never(short));
}

#[test]
fn of_several_records_those_that_fit_together_are_kept() {
    let market = Market::open();
    let mut second = market.content(&treasurer(), transfer(&miner(1), units(600)));
    second.sequence = 1;
    let candidates =
        [market.record(&treasurer(), transfer(&miner(1), units(600))), second.sign(&treasurer())];
    let (kept, refused) = market.ledger.admissible_records(&candidates, market.next_time());
    assert_eq!(kept, candidates[..1]);
    let author = treasurer().public().address();
    let overdraft = AccountError::Overdraft { author, got: units(400), expected: units(600) }.into();
    assert_eq!(refused, [(candidates[1].id(), overdraft)]);
}

#[test]
fn of_several_compositions_those_that_still_fit_are_kept() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0]))]);
    let wanted: Vec<_> = (0..3).map(|index| (market.demand(index), providers([0, 0]))).collect();
    let admissible = market.ledger.admissible(&miner(1).public(), market.next_time(), &wanted);
    assert_eq!(admissible.kept, [wanted[1].clone()]);
    let miner = miner(0).public().address();
    let taken = Rejection::Market(MarketError::AlreadyComposed { demand: wanted[0].0, height: 2, miner });
    // 20 minutes stand, 20 are kept, 20 more would make 60.
    let full = Rejection::Market(MarketError::OverCapacity {
        demand: wanted[2].0,
        slot: Slot::single(ProviderId(0)),
        got: 60,
        expected: 40,
    });
    assert_eq!(admissible.refused, [(wanted[0].0, taken), (wanted[2].0, full)]);
}

#[test]
fn a_floor_that_drops_at_once_is_waited_for_with_empty_batches() {
    let mut market = Market::open_with(|genesis| {
        genesis.parameters.relax_after_ms = 1_000;
        genesis.parameters.relax_over_ms = 0;
    });
    // Reduced cost 7 $ of 26 $ earns nothing, so that only what comes later than a second lets it pass.
    let dear = market.composing(0, &[(0, providers([0, 1]))]);
    assert!(market.draft(dear.clone()).is_err());
    market.accept(ProposedBatch::default());
    assert_eq!(market.accept(dear).compositions, 1);
}
