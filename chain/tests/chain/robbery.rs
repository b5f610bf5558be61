//! People who would gain by what the rules do not say: each story was told on real blocks of an early version, and paid.

use chain::ledger::{DemandStatus, MarketError, Subject};
use chain::{Genesis, Rejection, SecretKey, Statement};
use scenarios::{Money, ProviderId, Site, Slot};

use crate::market::{
    Market, ProposedBatch, demand_statement, demander, micros, miner, offer, provider, provider_of,
    providers, treasurer, units,
};

/// Two per cent, as networks have it.
fn near(genesis: &mut Genesis) {
    genesis.parameters.near_best_ppm = 20_000;
}

fn rule_of(market: &Market, compositions: &[(usize, Vec<Slot>)]) -> &'static str {
    market.draft(market.composing(0, compositions)).map_or_else(|why| why.rule(), |_| "accepted")
}

/// A newcomer's offer comes on chain: its number.
fn publish(market: &mut Market, owner: &SecretKey, offers: &[(u16, i64, i64)], capacity: i64) -> u32 {
    let record =
        market.record(owner, offer(&provider("newcomer", Site::point(0, 0), offers, Some(capacity))));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    market.ledger.provider_id(owner.public().address()).expect("it is there").0
}

#[test]
fn whoever_waits_cannot_compose_with_a_crony_at_any_price() {
    let mut market = Market::open_with(near);
    // 4 + 12 s: the floor is gone.
    market.advance_to(20);
    let dear = [(0, providers([0, 2]))];
    let demand = market.demand(0);
    let (got, expected, best) = (units(41), micros(19_380_000), providers([0, 0]));
    let refused = MarketError::NotNearBest { demand, got, expected, best };
    assert_eq!(market.draft(market.composing(0, &dear)).unwrap_err(), Rejection::Market(refused));
    // What it says names people, and what would do.
    let said = market.ledger.explain(&market.draft(market.composing(0, &dear)).unwrap_err());
    let expected = "what is left serves it better by provider #0, provider #0 (the demand is \"alice\", provider #0 is \"near\"); \
                    compose it that way";
    assert!(said.contains(expected), "{said}");
    // Whoever asks what may be sent instead is told.
    let serving = vec![(demand, providers([0, 2]))];
    let admissible = market.ledger.admissible(&miner(0).public(), market.next_time(), &serving);
    assert_eq!(admissible.kept, [(demand, providers([0, 0]))]);
}

#[test]
fn names_in_a_refusal_move_no_cursor_and_end_no_line() {
    let mut market = Market::open_with(near);
    let terms = provider("\u{1b}[2Jrobber\nok", Site::point(0, 0), &[(0, 1, 10)], Some(5));
    let record = market.record(&treasurer(), offer(&terms));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let refused = market.draft(market.composing(0, &[(0, providers([3, 0]))])).unwrap_err();
    let said = market.ledger.explain(&refused);
    assert_eq!(refused.rule(), "capacity");
    assert!(said.contains("robber") && !said.chars().any(char::is_control), "{said:?}");
}

#[test]
fn what_is_left_decides_what_is_near() {
    let mut market = Market::open_with(near);
    market.advance_to(20);
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    // Near by nothing is left: 23 $ are the best there is, though the cheapest way costs 19 $.
    assert_eq!(rule_of(&market, &[(2, providers([1, 2]))]), "near-best");
    assert_eq!(rule_of(&market, &[(2, providers([1, 1]))]), "accepted");
}

#[test]
fn a_cheap_provider_with_room_for_one_order_makes_no_honest_composition_dear() {
    let mut market = Market::open_with(|genesis| {
        near(genesis);
        genesis.providers[0].provider.capacity = Some(10.into());
    });
    market.advance_to(20);
    // Both orders near by would cost 19 $, but there is room for one: with the way there and back that is 26 $.
    assert_eq!(rule_of(&market, &[(0, providers([1, 1]))]), "accepted");
    assert_eq!(rule_of(&market, &[(0, providers([0, 1]))]), "near-best");
}

#[test]
fn an_offer_that_one_order_fills_costs_nobody_its_pay() {
    let mut market = Market::open_with(near);
    let thief = treasurer();
    let id = publish(&mut market, &thief, &[(0, 0, 1), (1, 0, 1)], 1);
    // The bound falls: 3 x 0 $. What is composed is measured by what was priced, 19 $ near by, whether it is the one that gets the
    // minute or one of the others.
    assert_eq!(market.ledger.market_bound(), Ok(Money::ZERO));
    // Of the former 9 $ are the most it can be said to cost.
    for (index, ids, fee) in [(0, [id, 0], 36_000), (1, [0, 0], 76_000)] {
        let report = market.compose(&[(index, providers(ids))]);
        assert_eq!((report.reduced_cost, report.reward), (Money::ZERO, micros(fee)));
    }
    // Once it is priced, or after as long as a composition takes to freeze, it counts.
    assert_eq!(market.ledger.unvalued().count(), 1);
    market.advance_to(36);
    assert_eq!(market.ledger.unvalued().count(), 0);
}

#[test]
fn whoever_gets_rid_of_the_price_of_its_minutes_is_not_what_others_are_measured_by() {
    let mut market = Market::open();
    market.accept(ProposedBatch::default().at_right_prices());
    let owner = provider_of(0);
    for capacity in [None, Some(40)] {
        let near = provider("near", Site::point(0, 0), &[(0, 10, 10), (1, 9, 10)], capacity);
        let record = market.record(&owner, offer(&near));
        market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    }
    // Its minutes cost nothing any more, so that near by 19 $ would be the least for anybody, and 23 $ far off a sixth too much.
    assert_eq!(market.ledger.prices().of(Slot::single(ProviderId(0))), Money::ZERO);
    let report = market.compose(&[(0, providers([1, 1]))]);
    assert_eq!((report.reduced_cost, report.reward_ppm), (Money::ZERO, 1_000_000));
    // At the right prices, once somebody has put them back, all is as it was.
    market.accept(ProposedBatch::default().at_right_prices());
    assert_eq!(market.ledger.unvalued().count(), 0);
}

#[test]
fn a_composition_that_becomes_cheaper_at_a_cronys_is_near_the_best_all_the_same() {
    let mut market = Market::open_with(|genesis| {
        near(genesis);
        genesis.providers[0].provider.capacity = Some(40.into());
    });
    market.advance_to(20);
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    market.compose(&[(2, providers([1, 1]))]);
    let (cheap, crony) = (provider_of(7), provider_of(8));
    for owner in [&cheap, &crony] {
        let gift = market.record(&treasurer(), crate::market::transfer(owner, units(5)));
        market.accept(ProposedBatch { records: vec![gift], ..ProposedBatch::default() });
    }
    let cheap = publish(&mut market, &cheap, &[(0, 1, 10), (1, 1, 10)], 20);
    let crony = publish(&mut market, &crony, &[(0, 10, 10), (1, 9, 10)], 20);
    let amend = |to: u32| {
        market
            .draft(market.amending(1, &[&[(2, providers([to, to]))]]))
            .map_or_else(|why| why.rule(), |_| "accepted")
    };
    // From 23 $ to 19 $ saves enough, but 2 $ are to be had.
    assert_eq!([amend(crony), amend(cheap)], ["near-best", "accepted"]);
}

#[test]
fn nothing_moves_to_a_crony_in_a_set_because_others_save() {
    // Near by bob has all there is; alice and carol are served far off.
    let mut market = Market::open_with(|genesis| {
        near(genesis);
        genesis.providers[0].provider.capacity = Some(20.into());
    });
    market.advance_to(20);
    market.compose(&[(1, providers([0, 0]))]);
    market.compose(&[(0, providers([1, 1]))]);
    let cheaper = provider("near", Site::point(0, 0), &[(0, 1, 10), (1, 1, 10)], Some(20));
    let record = market.record(&provider_of(0), offer(&cheaper));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let crony = publish(&mut market, &treasurer(), &[(0, 15, 10), (1, 15, 10)], 20);
    // Alice falls from 23 to 2 $ in bob's place, for whom 30 $ at the crony's would leave 10 $ of saving, and 23 $ far off 17 $.
    let amend = |bobs: [u32; 2]| {
        let set = [(0, providers([0, 0])), (1, providers(bobs))];
        market.draft(market.amending(1, &[&set])).map_or_else(|why| why.rule(), |_| "accepted")
    };
    assert_eq!([amend([crony, crony]), amend([1, 1])], ["near-best", "accepted"]);
}

#[test]
fn who_pads_a_set_with_its_own_demand_gains_nothing_for_it() {
    let mut market = Market::open();
    market.advance_to(20);
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 0]))]);
    let report = market.amend(1, &[&[(0, providers([0, 0])), (1, providers([0, 0]))]]);
    assert_eq!(report.saving, units(7));
    let clearing = |index| market.ledger.demand(market.demand(index)).unwrap().clearing;
    assert_eq!([clearing(0), clearing(1)], [units(26), units(19)]);
}

#[test]
fn a_fee_does_not_depend_on_the_budget() {
    let mut market = Market::open();
    let mut fees = Vec::new();
    for (sequence, (budget, most)) in
        [(units(20), micros(80_000)), (units(100), micros(400_000))].into_iter().enumerate()
    {
        let record = market.record(&treasurer(), Statement::Demand(demand_statement(budget, most)));
        let id = record.id();
        market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
        let compositions = vec![(id, providers([0, 0]))];
        let report = market.accept(ProposedBatch { compositions, ..ProposedBatch::default() });
        fees.push((sequence, report.fees));
    }
    assert_eq!(fees, [(0, micros(76_000)), (1, micros(76_000))]);
}

#[test]
fn whoever_takes_back_what_a_block_uses_comes_too_late() {
    let mut market = Market::open_with(|genesis| genesis.parameters.notice_ms = 3_000);
    let withdrawal = market.record(&provider_of(0), Statement::OfferWithdrawal);
    let cancellation =
        market.record(&demander(0), Statement::DemandCancellation { demand: market.demand(0) });
    let records = vec![withdrawal, cancellation];
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    assert!(market.ledger.notice(Subject::Offer(provider_of(0).public().address())).is_some());
    // What was announced at height 2 is not so at heights 3 and 4.
    market.compose(&[(0, providers([0, 0]))]);
    assert_eq!(rule_of(&market, &[(1, providers([0, 0]))]), "accepted");
    market.advance_to(5);
    assert_eq!(rule_of(&market, &[(1, providers([0, 0]))]), "offer-withdrawn");
    let entry = market.ledger.demand(market.demand(0)).expect("what was composed stays");
    assert!(matches!(entry.status, DemandStatus::Composed(_)));
    assert_eq!(market.ledger.notice(Subject::Demand(market.demand(0))), None, "it has lapsed");
}

#[test]
fn a_second_notice_takes_the_place_of_the_first_and_a_withdrawal_is_announced_once() {
    let mut market = Market::open_with(|genesis| genesis.parameters.notice_ms = 3_000);
    let withdraw = |market: &Market| market.record(&provider_of(0), Statement::OfferWithdrawal);
    let record = withdraw(&market);
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let again = market.ledger.check_record_now(&withdraw(&market));
    assert!(matches!(again, chain::ledger::RecordOutlook::Never(_)), "{again:?}");
    let offer = offer(&provider("near", Site::point(0, 0), &[(0, 8, 10), (1, 9, 10)], Some(40)));
    let record = market.record(&provider_of(0), offer);
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    // The withdrawal would have come true at height 5, the offer of height 3 does at 6.
    market.advance_to(5);
    assert_eq!(rule_of(&market, &[(0, providers([0, 0]))]), "accepted");
    market.advance_to(6);
    assert_eq!(market.compose(&[(0, providers([0, 0]))]).cost, units(17));
}
