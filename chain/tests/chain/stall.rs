//! No market is stalled by its rules: whatever is tight, whatever prices are in force and whoever composed before, what is
//! left serves whom it can serve.

use chain::record::DemandStatement;
use chain::{DemandId, Rejection, Statement};
use proptest::prelude::*;
use scenarios::{
    Calendar, DualPrices, Horizon, Money, OperationId, Period, Site, Slot, TimeWindow, why_unserved,
};

use crate::market::{Market, ProposedBatch, START_MS, micros, provider, provider_of, treasurer, units};

/// A provider: where it is, what its two operations cost and take, which of them it offers, how many minutes it has.
type Supplied = (i64, [i64; 2], [i64; 2], u8, i64);

fn supplied() -> impl Strategy<Value = Supplied> {
    let two = |range: std::ops::Range<i64>| [range.clone(), range];
    (0..9_000_i64, two(1..20), two(1..30), 1..4_u8, 0..90_i64)
}

/// What a demand orders, its budget, and its first and last period, where there are several.
type Wanted = (Vec<u16>, i64, u32, u32);

fn wanted() -> impl Strategy<Value = Wanted> {
    (prop::collection::vec(0..2_u16, 1..5), 5..80_i64, 0..3_u32, 0..3_u32)
}

/// A market of these providers and demands, all of them on chain, and the demands' ids. Of several periods of so many minutes each
/// provider has all its time in one, and half of it in the next.
fn market_of(supply: &[Supplied], wanted: &[Wanted], periods: u32, minutes: i64) -> (Market, Vec<DemandId>) {
    let mut market = Market::with(|genesis| {
        if periods > 1 {
            genesis.horizon = Horizon { first: Period::ZERO, periods, period_minutes: Some(minutes) };
            genesis.calendar_start_ms = START_MS + genesis.parameters.period_ms;
        }
        genesis.parameters.near_best_ppm = 20_000;
        // Both schedules of waiting are short, and nothing freezes meanwhile.
        genesis.parameters.relax_after_ms = 2_000;
        genesis.parameters.relax_over_ms = 2_000;
        genesis.parameters.freeze_after_ms = 10_000_000;
        genesis.balances.insert(treasurer().public().address(), units(1_000_000));
        genesis.providers = (0..)
            .zip(supply)
            .map(|(index, &(x_m, costs, minutes, offered, capacity))| {
                let terms: Vec<(u16, i64, i64)> = (0..2_u16)
                    .filter(|operation| offered >> operation & 1 == 1)
                    .map(|operation| {
                        (operation, costs[usize::from(operation)], minutes[usize::from(operation)])
                    })
                    .collect();
                let mut provider =
                    provider(&format!("provider {index}"), Site::point(x_m, 0), &terms, Some(capacity));
                if periods > 1 {
                    let mut pattern = vec![capacity, capacity / 2, 0];
                    pattern.rotate_right(usize::from(offered) % 3);
                    provider.capacity = Some(Calendar::new(pattern, [].into()));
                }
                chain::GenesisProvider { address: provider_of(index).public().address(), provider }
            })
            .collect();
    });
    let expires_ms = market.network().genesis().first_expiry_ms();
    let records = (0..).zip(wanted).map(|(index, (orders, budget, release, more))| {
        let window = match periods {
            1 => TimeWindow::ANY,
            _ => TimeWindow { release: Period(*release), due: Period(release + more) },
        };
        let statement = DemandStatement {
            name: format!("demand {index}"),
            site: Site::point(0, 0),
            orders: orders.iter().copied().map(OperationId).collect(),
            budget: units(*budget),
            solver_fee: units(1),
            expires_ms,
            window,
        };
        let mut content = market.content(&treasurer(), Statement::Demand(statement));
        content.sequence += index;
        content.sign(&treasurer())
    });
    let records: Vec<_> = records.collect();
    let ids = records.iter().map(chain::Record::id).collect();
    market.accept(ProposedBatch { records, ..ProposedBatch::default() });
    (market, ids)
}

/// The best of what is left for a demand, at the prices in force or at none.
fn best_left(market: &Market, id: DemandId) -> Option<Vec<Slot>> {
    let open = market.ledger.open_market();
    let (oracle, demand) = (open.supply.oracle(), &market.ledger.demand(id)?.demand);
    let zero = DualPrices::zero();
    let found = oracle.carried(demand, &open.prices, &open.capacities);
    found.or_else(|| oracle.carried(demand, &zero, &open.capacities)).map(|found| found.slots)
}

fn try_composing(market: &Market, id: DemandId, way: &[Slot]) -> Result<(), Rejection> {
    let compositions = vec![(id, way.to_vec())];
    market.draft(ProposedBatch { compositions, ..ProposedBatch::default() }).map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whoever_can_be_served_by_what_is_left_is_served(
        supply in prop::collection::vec(supplied(), 2..7),
        wanted in prop::collection::vec(wanted(), 1..8),
        prices in prop::collection::vec(0..2_000_000_i64, 0..20),
        (periods, minutes) in (1..4_u32, 20..100_i64),
    ) {
        let (mut market, ids) = market_of(&supply, &wanted, periods, minutes);
        // Prices that are good for something; not necessarily good ones.
        let prices = Some(prices.into_iter().map(micros).collect::<Vec<Money>>()).filter(|prices| {
            prices.len() <= supply.len() * periods as usize && prices.last().is_some_and(|price| *price != Money::ZERO)
        });
        let repricing = ProposedBatch { prices, ..ProposedBatch::default() };
        if repricing.prices.is_some() && market.draft(repricing.clone()).is_ok() {
            market.accept(repricing);
        }
        for id in ids {
            let Some(way) = best_left(&market, id) else { continue };
            if let Err(why) = try_composing(&market, id, &way) {
                // Too little is earned by it yet: the only rule that may want time, and not for ever.
                prop_assert_eq!(why.rule(), "reward", "{}", market.ledger.explain(&why));
                let height = market.ledger.head().height + 5;
                market.advance_to(height);
                try_composing(&market, id, &way)?;
            }
            market.accept(ProposedBatch { compositions: vec![(id, way)], ..ProposedBatch::default() });
        }
        // Of those that are left, none has a way that the search for the best finds.
        let open = market.ledger.open_market();
        for demand in &open.demands {
            let reason = why_unserved(&open.supply.oracle(), &demand.entry.demand, &open.capacities);
            prop_assert!(best_left(&market, demand.id).is_none(), "{reason:?}");
        }
    }
}
