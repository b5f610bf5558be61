//! Waits are in market time: the time of batches, less what the network was halted.

use chain::ledger::{BatchReport, MarketError};
use chain::{Batch, Draft, Genesis, Rejection};

use crate::market::{Market, ProposedBatch, START_MS, micros, miner, providers};

/// Halted by what lies between two batches beyond ten seconds.
fn halting(genesis: &mut Genesis) {
    genesis.parameters.halt_after_ms = 10_000;
}

/// Any composition is paid, so that any change of it is worth as much.
fn generous(genesis: &mut Genesis) {
    genesis.parameters.schedule.measure =
        chain::schedule::Measure::Certified { gap_full_ppm: 2_000_000, gap_max_ppm: 3_000_000 };
}

/// A draft of the batch of this time.
fn draft_at(market: &Market, timestamp_ms: u64, proposed: ProposedBatch) -> Result<BatchReport, Rejection> {
    Ok(try_at(market, timestamp_ms, proposed)?.1)
}

fn try_at(
    market: &Market,
    timestamp_ms: u64,
    proposed: ProposedBatch,
) -> Result<(Batch, BatchReport), Rejection> {
    let drafted = market.ledger.draft(Draft {
        miner: miner(0).public(),
        timestamp_ms,
        records: proposed.records,
        prices: None,
        compositions: proposed.compositions,
        amendments: proposed.amendments,
    })?;
    Ok(drafted.sign(&miner(0)))
}

/// Adds the empty batch of this time.
fn pass(market: &mut Market, timestamp_ms: u64) -> BatchReport {
    let (batch, _) = try_at(market, timestamp_ms, ProposedBatch::default()).expect("something waits");
    let well_formed = chain::WellFormed::new(market.network(), batch).expect("well formed");
    let valid = market.ledger.validate(well_formed).expect("what was drafted is valid");
    let (_, ledger, report) = valid.execute().expect("a sound state").into_parts();
    market.ledger = ledger;
    market.departed.extend(report.departed.iter().cloned());
    report
}

#[test]
fn a_halt_makes_no_acceptance_relax() {
    let market = Market::open_with(halting);
    let poor = || market.composing(0, &[(2, providers([1, 1]))]);
    let parent = market.ledger.head().timestamp_ms;
    let required = |timestamp_ms: u64| match draft_at(&market, timestamp_ms, poor()) {
        Err(Rejection::Market(MarketError::RewardBelowThreshold { expected, .. })) => expected,
        other => panic!("{other:?}"),
    };
    // The floor of 7,600 stands for 4 s and falls over 12: ten seconds on, half of it is left, and no batch that comes
    // later finds less.
    assert_eq!(required(parent + 4_000), micros(7_600));
    assert_eq!([10_000, 10_001, 3_600_000].map(|ms| required(parent + ms)), [micros(3_800); 3]);
}

#[test]
fn a_halt_freezes_nothing_and_is_counted_in_the_state() {
    let mut market = Market::open_with(|genesis| {
        generous(genesis);
        halting(genesis);
    });
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 0])), (2, providers([1, 1]))]);
    let composed = market.ledger.market_ms();
    assert_eq!((composed, market.ledger.first_departure()), (START_MS + 2_000, None));
    let hour_later = market.ledger.head().timestamp_ms + 3_600_000;
    assert_eq!(pass(&mut market, hour_later).frozen, 0);
    assert_eq!(market.ledger.market_ms(), composed + 10_000);
    // 22 of its 32 seconds are left: within reach once it is no more than ten.
    assert_eq!(market.ledger.first_departure(), None);
    pass(&mut market, hour_later + 9_000);
    pass(&mut market, hour_later + 18_000);
    assert_eq!(market.ledger.first_departure(), Some(hour_later + 22_000));
    assert_eq!(draft_at(&market, hour_later + 21_999, ProposedBatch::default()).unwrap().frozen, 0);
    assert_eq!(pass(&mut market, hour_later + 22_000).frozen, 3);
}

#[test]
fn at_most_as_many_freeze_with_a_batch_as_it_may_have_records_and_nothing_amends_the_rest() {
    let mut market = Market::with(|genesis| {
        generous(genesis);
        genesis.parameters.limits.records_per_batch = 2;
        genesis.parameters.halt_after_ms = 1_000_000;
    });
    for records in market.demand_records().chunks(2) {
        market.accept(ProposedBatch { records: records.to_vec(), ..ProposedBatch::default() });
    }
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 1])), (2, providers([0, 1]))]);
    let due_ms = market.ledger.first_departure().expect("three are composed");
    assert_eq!(due_ms, market.ledger.head().timestamp_ms + 32_000);

    let last = (0..3).max_by_key(|&index| market.demand(index)).unwrap();
    let amending = || market.amending(0, &[&[(last, providers([0, 0]))]]);
    assert_eq!(draft_at(&market, due_ms - 1, amending()).unwrap().replaced, 1);
    let frozen = MarketError::DemandFrozen {
        demand: market.demand(last),
        got: market.ledger.market_ms() + 32_000,
        expected: market.ledger.market_ms() + 32_000,
    };
    assert_eq!(draft_at(&market, due_ms, amending()), Err(Rejection::Market(frozen)));

    let settled = |report: &BatchReport| report.departed.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let mut ids: Vec<_> = (0..3).map(|index| market.demand(index)).collect();
    ids.sort_unstable();
    assert_eq!(settled(&pass(&mut market, due_ms)), ids[..2]);
    assert_eq!(settled(&pass(&mut market, due_ms + 100)), ids[2..]);
}
