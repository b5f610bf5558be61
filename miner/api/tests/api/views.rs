//! The answers, as functions of a snapshot and the history.

use std::sync::Arc;

use chain::genesis::scenario::demander_key;
use chain::{Hash, RecordId, RecordRule, Statement};
use coordinator_free_pool::Rule;
use miner_api::views::{self, DemandStanding, Earnings, MarketStatus, RecordStanding, Refusal};
use miner_api::{Snapshot, ValidatorsSeen};
use scenarios::Money;

use crate::market::{Market, RNG_SEED, START_MS, miner, treasurer, units};

fn market_status(market: &Market) -> MarketStatus {
    let height = market.ledger.head().height;
    MarketStatus::of(&market.ledger, &market.history.totals_at(height).unwrap())
}

#[test]
fn an_empty_market_costs_nothing_and_has_no_gap() {
    let status = market_status(&Market::new());
    assert_eq!((status.open, status.cost, status.bound), (0, Some(Money::ZERO), Some(Money::ZERO)));
    assert_eq!(status.gap_percent(), Some(0.0));
}

#[test]
fn what_is_open_counts_at_its_budget() {
    let status = market_status(&Market::open());
    assert_eq!((status.open, status.composed), (3, 0));
    // The bound is three times the cheapest composition.
    assert_eq!((status.cost, status.bound), (Some(units(300)), Some(units(57))));
    assert_eq!((status.composed_cost, status.earnings), (Some(Money::ZERO), Vec::new()));
}

#[test]
fn what_was_composed_earns_its_miner_the_same_before_and_after_the_settlement() {
    // 2.5 % of 19 $, twice.
    let earned = Money::from_micros(950_000);
    let earnings = [Earnings { miner: miner().public().address(), blocks: 1, demands: 2, earned }];
    let composed = market_status(&Market::composed());
    assert_eq!((composed.open, composed.composed, composed.frozen), (1, 2, 0));
    assert_eq!((composed.cost, composed.composed_cost), (Some(units(138)), Some(units(38))));
    assert_eq!(composed.earnings, earnings);
    let settled = market_status(&Market::settled());
    assert_eq!((settled.open, settled.composed, settled.frozen, settled.cancelled), (0, 0, 2, 1));
    assert_eq!((settled.cost, settled.composed_cost), (Some(Money::ZERO), Some(units(38))));
    assert_eq!(settled.earnings, earnings);
}

#[test]
fn a_demand_is_told_of_from_the_pool_to_its_settlement() {
    let market = Market::new();
    let [alice, _, carol] = [0, 1, 2].map(|index| market.demand(index));
    let told = |market: &Market, snapshot: &Snapshot, demand| {
        views::demand(snapshot, &market.history, demand).unwrap()
    };
    let unknown = told(&market, &market.snapshot(), alice);
    assert_eq!((unknown.standing, unknown.wanted), (DemandStanding::Unknown, None));
    let pending = told(&market, &market.snapshot_with(market.demand_records()), alice);
    assert_eq!(pending.standing, DemandStanding::InPool { waits_for: None });
    assert_eq!(pending.wanted.map(|wanted| wanted.name), Some("alice".into()));

    let market = Market::open();
    let open = told(&market, &market.snapshot(), alice);
    assert_eq!(open.standing, DemandStanding::Open { since: 1, unserved: None, cancelled_in_ms: None });

    let market = Market::composed();
    let composed = told(&market, &market.snapshot(), alice);
    let DemandStanding::Composed(composition) = composed.standing else { panic!("{composed:?}") };
    assert_eq!((composition.height, composition.batch), (2, market.batches[1].0.hash()));
    assert_eq!((composition.cost, composition.miner), (units(19), miner().public().address()));
    let steps: Vec<&str> = composition.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(steps, ["near", "near"]);

    let market = Market::settled();
    let settled = told(&market, &market.snapshot(), alice);
    let DemandStanding::Frozen { height, composition: last } = settled.standing else {
        panic!("{settled:?}")
    };
    assert_eq!((height, last), (6, composition));
    let cancelled = told(&market, &market.snapshot(), carol);
    assert_eq!(cancelled.standing, DemandStanding::Cancelled { height: 3 });
    assert_eq!(
        cancelled.wanted.map(|wanted| wanted.author),
        Some(demander_key(RNG_SEED, 2).public().address())
    );
}

#[test]
fn a_record_is_told_of_from_the_pool_to_its_batch() {
    let mut market = Market::new();
    let records = market.demand_records();
    let id = records[0].id();
    let pending = market.snapshot_with(records);
    let waiting = RecordStanding::Pending { waits_for: None };
    assert_eq!(views::record(&pending, &market.history, id), Ok(waiting.clone()));
    let empty = market.snapshot();
    market = Market::open();
    let last = RecordStanding::Final { height: 1, batch: market.ledger.head().hash };
    assert_eq!(views::record(&market.snapshot(), &market.history, id), Ok(last));
    // A reader whose snapshot is older than the batch is not told of a height it cannot look at.
    assert_eq!(views::record(&empty, &market.history, id), Ok(waiting));
}

#[test]
fn a_refusal_is_told_until_the_record_is_accepted() {
    let mut market = Market::new();
    let record = market.demand_records()[0].id();
    let refusal = Refusal { record, rule: Rule::Record(RecordRule::Expired), reason: "too late".into() };
    market.history.note_refusal(refusal.clone());
    let standing = views::record(&market.snapshot(), &market.history, record);
    assert_eq!(standing, Ok(RecordStanding::Refused(refusal)));
    let unknown = views::record(&market.snapshot(), &market.history, RecordId(Hash([1; 32])));
    assert_eq!(unknown, Ok(RecordStanding::Unknown));
    let accepted = market.snapshot_with(market.demand_records());
    let standing = views::record(&accepted, &market.history, record);
    assert_eq!(standing, Ok(RecordStanding::Pending { waits_for: None }));
}

#[test]
fn an_account_shows_what_is_held_and_the_next_number() {
    let market = Market::composed();
    let alice = demander_key(RNG_SEED, 0);
    let gift = Statement::Transfer { to: treasurer().public().address(), amount: units(1) };
    let record = market.record(&alice, gift);
    let account = views::account(&market.snapshot_with(vec![record]), alice.public().address());
    // The price of 19 $ is paid in; the fee, 2.5 % of it, stays held until the settlement, and the rest is back: of 103.5 $ all but that.
    assert_eq!(
        (account.balance, account.held),
        (Money::from_micros(84_025_000), Money::from_micros(19_475_000))
    );
    assert_eq!((account.next_on_chain, account.next_sequence, account.pending.len()), (1, 2, 1));
    assert_eq!(account.offer, None);
}

#[test]
fn a_snapshot_shares_its_ledger_with_the_next_one_at_the_same_head() {
    let market = Market::open();
    let node = market.node();
    let now_ms = market.ledger.head().timestamp_ms;
    let first = Snapshot::take(&node, now_ms, None);
    let second = Snapshot::take(&node, now_ms, Some(&first));
    assert!(Arc::ptr_eq(&first.ledger, &second.ledger));
    let before = Market::new().snapshot();
    let third = Snapshot::take(&node, now_ms, Some(&before));
    assert_eq!(third.height(), 1);
}

#[test]
fn a_node_that_sees_too_few_validators_says_so() {
    let market = Market::open();
    let status = market.snapshot().status(START_MS + 31_000);
    // The only validator is the miner, and this node is not connected with it.
    assert_eq!(status.validators, ValidatorsSeen { total: 1, quorum: 1, reachable: 0 });
    assert!(!status.validators.has_quorum());
    // The head was mined a second after genesis.
    assert_eq!(status.head_age_ms, 30_000);
}
