//! Amendments that pass, and where every unit of the money goes.
//!
//! Of the demands, `[0, 0]` costs 19 $ and 20 minutes of provider 0's 40, `[1, 1]` 23 $, `[0, 1]` 26 $ and 10 of
//! those minutes, `[0, 2]` 41 $ and 10.

use chain::ledger::MarketError;
use chain::schedule::Measure;
use chain::{BatchKind, DemandId, Genesis, Rejection, Statement};
use scenarios::{Money, Offer, OperationId, ProviderId, Slot};

use crate::market::{
    Market, ProposedBatch, START_MS, demand_statement, demander, micros, miner, offer, provider, provider_of,
    providers, treasurer, units,
};

/// Amenders are due 1 % of what they save, and any composition is paid in full.
fn generous(genesis: &mut Genesis) {
    genesis.parameters.amender_share_ppm = 10_000;
    // The fee is 2 % of what the cheapest way costs, 2 $ at most.
    genesis.parameters.solver_fee_ppm = 20_000;
    for index in 0..3 {
        genesis.balances.insert(demander(index).public().address(), units(102));
    }
    genesis.parameters.schedule.measure =
        Measure::Certified { gap_full_ppm: 2_000_000, gap_max_ppm: 3_000_000 };
}

/// The near provider alone does something rare.
fn with_rare(genesis: &mut Genesis) {
    genesis.operations.push("rare".into());
    let rare = Offer { cost: units(9), minutes: 10 };
    genesis.providers[0].provider.offers.insert(OperationId(2), rare);
}

/// Somebody who wants that, for a budget of 100 $ and a fee of at most 0.4 $; near by it costs 19 $ and 20 minutes.
fn dora(market: &mut Market) -> DemandId {
    let mut statement = demand_statement(units(100), micros(400_000));
    statement.orders[1] = OperationId(2);
    let record = market.record(&treasurer(), Statement::Demand(statement));
    let id = record.id();
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    id
}

/// Price and clearing account of a demand, and the due of `miner(1)`.
fn account(market: &Market, index: usize) -> (Money, Money, Money) {
    account_of(market, market.demand(index))
}

fn account_of(market: &Market, demand: DemandId) -> (Money, Money, Money) {
    let entry = market.ledger.demand(demand).expect("a demand on chain");
    let standing = entry.composition().expect("it is composed");
    let due = standing.dues.get(&miner(1).public().address()).copied().unwrap_or(Money::ZERO);
    (standing.price, entry.clearing, due)
}

#[test]
fn a_cheaper_composition_replaces_a_dear_one_and_the_saving_stays_with_the_demand() {
    let mut market = Market::open();
    market.advance_to(20);
    market.compose(&[(0, providers([0, 1]))]);
    let total = market.ledger.total_money();
    let report = market.amend(1, &[&[(0, providers([0, 0]))]]);
    assert_eq!((report.amendments, report.replaced, report.compositions), (1, 1, 0));
    assert_eq!((report.saving, report.displacement), (units(7), Money::ZERO));
    // What the batch adds to cost and reduced cost: from 26 to 19 $, and from 7 $ of reduced cost to none.
    assert_eq!((report.cost, report.reduced_cost), (units(-7), units(-7)));
    assert_eq!((report.reward, report.fees), (Money::ZERO, Money::ZERO));
    let entry = market.ledger.demand(market.demand(0)).unwrap();
    let standing = entry.composition().unwrap();
    assert_eq!((standing.version, standing.since, standing.height), (2, 21, 22));
    assert_eq!(standing.amended_by, Some(miner(1).public().address()));
    assert_eq!(standing.miner, miner(0).public().address());
    assert_eq!(standing.author(), miner(1).public().address());
    assert_eq!(
        (standing.first_cost, standing.cost, standing.reduced_cost),
        (units(26), units(19), Money::ZERO)
    );
    // A tenth of 7 $ would be 0.7 $; the fee is 0.076 $, and solvers together never get more.
    assert_eq!(account(&market, 0), (units(26), units(26), micros(76_000)));
    assert_eq!(market.ledger.total_money(), total);
    assert_eq!(market.ledger.usage(Slot::single(ProviderId(0))).standing, 20);
    assert_eq!(market.ledger.usage(Slot::single(ProviderId(1))).standing, 0);
}

#[test]
fn one_demand_becomes_dearer_so_that_another_saves_more() {
    let mut market = Market::open_with(|genesis| {
        generous(genesis);
        genesis.providers[0].provider.capacity = Some(30.into());
    });
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 2]))]);
    let report = market.amend(1, &[&[(0, providers([1, 1])), (1, providers([0, 0]))]]);
    // 19 + 41 = 60 $ become 23 + 19 = 42 $. The 18 $ saved are bob's, who falls by 22 $; of them alice's 4 $ more are paid.
    assert_eq!((report.saving, report.cost, report.replaced), (units(18), units(-18), 2));
    assert_eq!(account(&market, 0), (units(19), units(23), Money::ZERO));
    assert_eq!(account(&market, 1), (units(41), units(37), micros(180_000)));
    // Alice pays what she paid in, bob 23 $. Of a fee of at most 2 $ it is 0.38 $ each.
    market.advance_to(34);
    assert_eq!(market.balance(&demander(0)), micros(81_000_000 + 1_620_000));
    assert_eq!(market.balance(&demander(1)), micros(59_000_000 + 1_620_000 + 18_000_000));
}

#[test]
fn room_is_made_for_an_open_demand_which_pays_for_it() {
    let mut market = Market::open_with(with_rare);
    let dora = dora(&mut market);
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let proposed = |market: &Market| {
        let mut proposed = market.amending(1, &[&[(0, providers([1, 1]))]]);
        proposed.amendments[0].push((dora, providers([0, 0])));
        proposed
    };
    // Without prices, moving alice from 19 to 23 $ is 4 $ of reduced cost on 23 $: too much to be paid for.
    let below = MarketError::RewardBelowThreshold {
        demand: dora,
        fee: micros(76_000),
        got: Money::ZERO,
        expected: micros(7_600),
    };
    assert_eq!(market.draft(proposed(&market)).unwrap_err(), Rejection::Market(below));
    // At the right prices, either composition is worth 23 $, and there is none.
    market.accept(ProposedBatch::default().at_right_prices());
    let report = market.accept(proposed(&market));
    assert_eq!((report.saving, report.displacement), (Money::ZERO, units(4)));
    assert_eq!((report.compositions, report.replaced, report.orders), (1, 1, 2));
    assert_eq!((report.cost, report.reduced_cost), (units(23), Money::ZERO));
    // 0.4 % of 23 $, of which 5 % are for the prices.
    assert_eq!((report.reward_ppm, report.reward), (1_000_000, micros(87_400)));
    assert_eq!(account(&market, 0), (units(19), units(23), Money::ZERO));
    assert_eq!(account_of(&market, dora), (units(23), units(19), Money::ZERO));
    // 100.4 $ were put away, 23 $ and 0.092 $ are needed.
    assert_eq!(market.balance(&treasurer()), units(1_000) - units(23) - micros(92_000));
    let composed = market.ledger.demand(dora).unwrap().composition().unwrap();
    assert_eq!((composed.version, composed.first_cost, composed.amended_by), (1, units(19), None));
    assert_eq!(composed.earned, micros(87_400));
    // At the end alice has paid 19 $ although she costs 23 $.
    market.advance_to(36);
    assert_eq!(market.balance(&demander(0)), units(81) + micros(324_000));
}

#[test]
fn making_room_may_even_save_and_the_saving_is_of_who_becomes_cheaper() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 0]))]);
    let report = market.amend(1, &[&[(0, providers([1, 1])), (2, providers([0, 0]))]]);
    // 3 $ saved on alice's 26 $ are hers: her clearing account goes on holding 26 $, and a hundredth of the saving is due.
    assert_eq!((report.saving, report.displacement, report.cost), (units(3), Money::ZERO, units(16)));
    assert_eq!(account(&market, 0), (units(26), units(26), micros(30_000)));
    assert_eq!(account(&market, 2), (units(19), units(19), Money::ZERO));
}

#[test]
fn a_later_amendment_uses_what_an_earlier_one_freed() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 1])), (2, providers([0, 1]))]);
    let before = market.ledger.state_root();
    let [bob, carol] = [1, 2].map(|index| [(index, providers([0, 0]))]);
    let alice = [(0, providers([1, 1])), (1, providers([0, 0]))];
    let both = market.draft(market.amending(0, &[&bob, &carol])).unwrap_err();
    assert_eq!(both.rule(), "capacity");
    // 19 + 26 $ become 23 + 19 $, then 26 become 19 $: only now is there room.
    let report = market.amend(0, &[&alice, &carol]);
    assert_eq!((report.amendments, report.replaced, report.saving), (2, 3, units(10)));
    assert_ne!(market.ledger.state_root(), before);
    let sets = |sets: [&[(usize, Vec<Slot>)]; 2]| market.amending(0, &sets).amendments;
    let late = market.ledger.admissible_amendments(
        &miner(0).public(),
        market.next_time(),
        &[],
        &sets([&alice, &bob]),
    );
    assert_eq!(late.kept.len(), 0);
    assert_eq!(
        late.refused.iter().map(|(at, why)| (*at, why.rule())).collect::<Vec<_>>(),
        [(0, "nothing-changed"), (1, "nothing-changed"),]
    );
}

#[test]
fn what_is_admissible_together_is_found_in_order_and_after_the_compositions() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 1]))]);
    let sets = market.amending(0, &[&[(0, providers([0, 0]))], &[(1, providers([0, 0]))]]).amendments;
    let alone = market.ledger.admissible_amendments(&miner(0).public(), market.next_time(), &[], &sets);
    assert_eq!((alone.kept.len(), alone.refused.len()), (2, 0));
    let carol = [(market.demand(2), providers([0, 2]))];
    let beside = market.ledger.admissible_amendments(&miner(0).public(), market.next_time(), &carol, &sets);
    assert_eq!(beside.kept, sets[..1]);
    assert_eq!(
        beside.refused.iter().map(|(at, why)| (*at, why.rule())).collect::<Vec<_>>(),
        [(1, "capacity")]
    );
}

#[test]
fn the_market_of_some_demands_has_what_all_others_leave() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 1]))]);
    let unknown = chain::RecordId(chain::Hash([9; 32]));
    let chosen = [market.demand(1), market.demand(2), unknown];
    let view = market.ledger.amendable_market(&chosen, market.next_time());
    let mut ids: Vec<_> = view.demands.iter().map(|demand| demand.id).collect();
    ids.sort_unstable();
    let mut expected = vec![market.demand(1), market.demand(2)];
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert_eq!(view.capacities, [Some(20), None, Some(100)]);
    assert_eq!(market.ledger.open_market().capacities[0], Some(10));
    // Composed at height 2, they freeze with what comes 32 seconds later: that can no longer amend them.
    market.advance_to(32);
    assert_eq!(market.ledger.amendable_market(&chosen, market.next_time()).demands.len(), 2);
    let entry = market.ledger.demand(market.demand(1)).unwrap();
    assert_eq!(market.ledger.freezes_at_ms(entry), Some(START_MS + 34_000));
    market.advance_to(33);
    assert_eq!(market.ledger.amendable_market(&chosen, market.next_time()).demands.len(), 1);
}

#[test]
fn batches_say_by_their_body_how_soon_they_may_come() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 1]))]);
    let kind = |proposed| market.batch(proposed).contents.kind();
    let set = [(0, providers([0, 0]))];
    let with_carol = [(0, providers([0, 0])), (2, providers([1, 1]))];
    assert_eq!(kind(market.amending(0, &[&set])), BatchKind::Amending);
    assert_eq!(kind(market.amending(0, &[&set, &with_carol[1..]][..1])), BatchKind::Amending);
    assert_eq!(kind(market.amending(0, &[&with_carol])), BatchKind::Composing);
    assert_eq!(kind(market.composing(0, &[(1, providers([0, 0]))])), BatchKind::Composing);
    assert_eq!(kind(ProposedBatch::default()), BatchKind::Quiet);
}

#[test]
fn amending_neither_helps_nor_hurts_the_reward_of_what_is_composed_beside_it() {
    let reward = |amends: bool| {
        let mut market = Market::open();
        market.advance_to(20);
        market.compose(&[(0, providers([0, 2]))]);
        let mut proposed = market.composing(0, &[(1, providers([0, 0]))]);
        if amends {
            proposed.amendments = market.amending(0, &[&[(0, providers([0, 1]))]]).amendments;
        }
        let report = market.accept(proposed);
        (report.reward_ppm, report.reward, report.required)
    };
    assert_eq!(reward(true), reward(false));
}

#[test]
fn two_amenders_are_paid_from_what_the_first_composer_loses() {
    let mut market = Market::open_with(generous);
    let total = market.ledger.total_money();
    market.compose(&[(0, providers([0, 2]))]);
    market.amend(1, &[&[(0, providers([0, 1]))]]);
    market.amend(2, &[&[(0, providers([0, 0]))]]);
    market.advance_to(33);
    assert_eq!(market.ledger.demand(market.demand(0)).unwrap().status.name(), "composed");
    // 32 heights after its first composition at height 2.
    market.advance_to(34);
    let entry = market.departed(0);
    assert_eq!(entry.status.name(), "frozen");
    assert_eq!(entry.composition().unwrap().version, 3);
    // 41 -> 26 -> 19 $: 1 % of 15 $ and of 7 $.
    assert_eq!(market.balance(&miner(1)), micros(150_000));
    assert_eq!(market.balance(&miner(2)), micros(70_000));
    // Of the whole fee it earned, 0.38 - 0.22 = 0.16 $.
    assert_eq!(entry.composition().unwrap().earned, micros(160_000));
    assert_eq!(market.balance(&miner(0)), micros(160_000));
    // 100 - 41 $ and what the fee could have been more than 0.38 $ at once, 41 - 19 $ now, nothing of the fee.
    assert_eq!(market.balance(&demander(0)), units(81) + micros(1_620_000));
    assert_eq!(market.balance(&provider_of(0)), units(19));
    assert_eq!(market.ledger.total_money(), total);
}

#[test]
fn a_first_composition_that_proves_too_dear_loses_its_fee() {
    let mut market = Market::open_with(|genesis| genesis.parameters.amender_share_ppm = 10_000);
    market.accept(ProposedBatch::default().at_right_prices());
    // At these prices 23 $ are as good as any, and earn the fee.
    assert_eq!(market.compose(&[(0, providers([1, 1]))]).reward, micros(87_400));
    market.amend(1, &[&[(0, providers([0, 0]))]]);
    market.advance_to(35);
    // 4 of 23 $ too much is beyond the 10 % at which pay ends; of the fee of 0.092 $, the amender gets 1 % of 4 $. 5 % of it went to
    // the prices' author.
    assert_eq!(market.balance(&miner(0)), micros(4_600));
    assert_eq!(market.balance(&miner(1)), micros(40_000));
    // 77 $ and 0.308 $ at once; 4 $ saved and 0.0474 $ of the fee now.
    assert_eq!(market.balance(&demander(0)), micros(81_355_400));
}

#[test]
fn whoever_composes_badly_and_amends_that_under_another_key_gains_nothing() {
    let earned = |sybil: bool| {
        let mut market = Market::open();
        market.advance_to(20);
        if sybil {
            // 41 $ earn nothing, but 22 $ are saved then, and a tenth of that is more than five times the fee.
            market.compose(&[(0, providers([0, 2]))]);
            market.amend(1, &[&[(0, providers([0, 1]))]]);
            market.amend(1, &[&[(0, providers([0, 0]))]]);
        } else {
            market.compose(&[(0, providers([0, 0]))]);
        }
        market.advance_to(53);
        market.balance(&miner(0)) + market.balance(&miner(1))
    };
    assert_eq!((earned(true), earned(false)), (micros(76_000), micros(76_000)));
}

#[test]
fn under_the_measure_of_paper_a_what_was_earned_stands_but_for_the_dues() {
    let mut market = Market::open_with(|genesis| {
        generous(genesis);
        // One miner, one strip.
        genesis.miners = 1;
        genesis.parameters.schedule.measure =
            Measure::Paper { reference_margin_ppm: 0, full_at_ppm: 1, block_orders_min: 1 };
    });
    // 26 $; random ones cost 30.21 $ on average.
    market.compose(&[(0, providers([0, 1]))]);
    market.amend(1, &[&[(0, providers([0, 0]))]]);
    market.advance_to(34);
    let entry = market.departed(0);
    // Of 2 $ the 19 hundredths that the cheapest way is of the budget, less 1 % of 7 $.
    assert_eq!(entry.composition().unwrap().earned, micros(310_000));
}

#[test]
fn an_amendment_is_made_at_the_terms_of_the_day() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 1]))]);
    // Provider 0 raises its first operation from 10 to 12 $: 26 $ stand, [0, 0] costs 21 $ from now on.
    let site = scenarios::Site::point(0, 0);
    let dearer = provider("near", site, &[(0, 12, 10), (1, 9, 10)], Some(40));
    let record = market.record(&provider_of(0), offer(&dearer));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let report = market.amend(1, &[&[(0, providers([0, 0]))]]);
    assert_eq!(report.saving, units(5));
    let entry = market.ledger.demand(market.demand(0)).unwrap();
    assert_eq!(entry.composition().unwrap().owed[&ProviderId(0)], units(21));
}

#[test]
fn a_demand_may_come_and_be_made_room_for_in_one_batch() {
    let mut market = Market::open_with(generous);
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 0]))]);
    let dora = demand_statement(units(50), units(1));
    let record = market.record(&treasurer(), Statement::Demand(dora));
    let mut proposed = market.amending(1, &[&[(0, providers([1, 1]))]]);
    proposed.amendments[0].push((record.id(), providers([0, 0])));
    proposed.records = vec![record.clone()];
    let report = market.accept(proposed);
    assert_eq!((report.compositions, report.replaced, report.saving), (1, 1, units(3)));
    assert_eq!(market.ledger.demand(record.id()).unwrap().version(), 1);
}
