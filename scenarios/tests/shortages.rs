//! Shortages of capacity: found where a hand finds them, checked by addition, and never claimed falsely.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{all_feasible, tiny_instance};
use proptest::prelude::*;
use scenarios::shortage::{OrderGroup, Shortage, ShortageError, find_shortages};
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Minutes, Money, Offer, OperationId, Period, Provider,
    ProviderId, Scenario, Site, Slot, Supply, TimeWindow,
};

/// Operations and minutes.
type Offers<'o> = &'o [(u16, Minutes)];

/// Providers by their offers `(operation, minutes)` and capacity, demands by their orders; everything at one
/// place and free.
fn instance(providers: &[(Offers<'_>, Option<Minutes>)], demands: &[&[u16]]) -> Instance {
    let offer = |&(operation, minutes): &(u16, Minutes)| {
        (OperationId(operation), Offer { cost: Money::ZERO, minutes })
    };
    let providers = providers.iter().map(|&(offers, capacity)| {
        let offers: BTreeMap<_, _> = offers.iter().map(offer).collect();
        Provider {
            name: "provider".into(),
            site: Site::point(0, 0),
            offers,
            capacity: capacity.map(Into::into),
        }
    });
    let demands = demands.iter().map(|orders| Demand {
        name: "demand".into(),
        site: Site::point(0, 0),
        orders: orders.iter().map(|&operation| OperationId(operation)).collect(),
        budget: Money::from_units(1),
        window: TimeWindow::ANY,
    });
    let rules = CostRules {
        rate_per_km: Money::ZERO,
        value_of_minute: Money::ZERO,
        metres_per_minute: 1,
        deliver: false,
    };
    let supply = Supply {
        providers: providers.collect(),
        rules,
        geometry: Geometry::Euclidean,
        horizon: Horizon::SINGLE,
    };
    Instance { supply, demands: demands.collect() }
}

fn shortage(operations: &[u16], needed: Minutes, providers: &[u32], capacity: Minutes) -> Shortage {
    let window = TimeWindow { release: Period(0), due: Period(0) };
    let group = |&operation: &u16| OrderGroup { operation: OperationId(operation), window };
    Shortage {
        orders: operations.iter().map(group).collect(),
        needed,
        slots: providers.iter().map(|&provider| Slot::single(ProviderId(provider))).collect(),
        capacity,
    }
}

#[test]
fn an_operation_is_short_when_its_orders_take_longer_than_its_providers_have() {
    // Three orders of 10 minutes at best; 15 + 12 minutes at those who offer it.
    let market = instance(&[(&[(0, 10)], Some(15)), (&[(0, 11)], Some(12))], &[&[0], &[0, 0]]);
    let found = find_shortages(&market);
    assert_eq!(found, [shortage(&[0], 30, &[0, 1], 27)]);
    assert_eq!(found[0].missing(), 3);
    assert_eq!(found[0].verify(&market), Ok(()));
}

#[test]
fn operations_that_share_a_provider_are_short_together_though_neither_is_alone() {
    let both: &[(u16, Minutes)] = &[(0, 10), (1, 10)];
    let market = instance(&[(both, Some(15)), (&[(2, 10)], Some(100))], &[&[0, 1, 2]]);
    let found = find_shortages(&market);
    assert_eq!(found, [shortage(&[0, 1], 20, &[0], 15)]);
    assert_eq!(found[0].verify(&market), Ok(()));
    let alone = shortage(&[0], 10, &[0], 15);
    assert_eq!(alone.verify(&market), Err(ShortageError::NotShort { needed: 10, capacity: 15 }));
}

#[test]
fn shortages_that_have_nothing_to_do_with_each_other_are_told_apart() {
    let market = instance(&[(&[(0, 10)], Some(5)), (&[(1, 10)], Some(15))], &[&[0, 1], &[1]]);
    // The first provider cannot do even one order of operation 0.
    assert_eq!(find_shortages(&market), [shortage(&[0], 10, &[], 0), shortage(&[1], 20, &[1], 15)]);
}

#[test]
fn an_unlimited_provider_ends_a_shortage() {
    let market = instance(&[(&[(0, 10)], Some(5)), (&[(0, 90)], None)], &[&[0], &[0]]);
    assert_eq!(find_shortages(&market), []);
    let claimed = shortage(&[0], 180, &[1], 0);
    assert_eq!(claimed.verify(&market), Err(ShortageError::Unlimited { got: ProviderId(1) }));
}

#[test]
fn a_provider_helps_out_where_it_is_needed_most() {
    // 20 + 10 minutes of work; the second provider can do either and the first only operation 0.
    let market = instance(&[(&[(0, 10)], Some(20)), (&[(0, 10), (1, 10)], Some(10))], &[&[0, 1], &[0]]);
    assert_eq!(find_shortages(&market), []);
}

#[test]
fn a_certificate_that_says_anything_else_is_refused() {
    let market = instance(&[(&[(0, 10)], Some(15)), (&[(1, 1)], Some(9))], &[&[0], &[0]]);
    let right = shortage(&[0], 20, &[0], 15);
    assert_eq!(right.verify(&market), Ok(()));
    let (unsorted, unordered) = (shortage(&[0, 0], 40, &[0], 15), shortage(&[1], 1, &[1], 9));
    assert_eq!(unsorted.verify(&market), Err(ShortageError::Orders));
    assert_eq!(shortage(&[], 0, &[], 0).verify(&market), Err(ShortageError::Orders));
    assert_eq!(unordered.verify(&market), Err(ShortageError::NotOffered { got: unordered.orders[0] }));
    let more = Shortage { needed: 21, ..right.clone() };
    assert_eq!(more.verify(&market), Err(ShortageError::Needed { got: 21, expected: 20 }));
    let fewer = Shortage { slots: vec![], capacity: 0, ..right };
    let expected = ShortageError::Capacity { got: 0, got_slots: 0, expected: 15, expected_slots: 1 };
    assert_eq!(fewer.verify(&market), Err(expected));
}

/// The largest number of minutes that any set of orders misses, by trying every set of operations in windows.
fn most_missing(market: &Instance) -> Minutes {
    let (supply, horizon) = (&market.supply, market.supply.horizon);
    let mut orders: BTreeMap<(OperationId, TimeWindow), Minutes> = BTreeMap::new();
    for demand in &market.demands {
        let Some((from, count)) = horizon.within(demand.window) else { continue };
        let release = horizon.first.plus(u32::try_from(from).expect("small"));
        let window = TimeWindow { release, due: release.plus(u32::try_from(count - 1).expect("small")) };
        for &operation in &demand.orders {
            *orders.entry((operation, window)).or_default() += 1;
        }
    }
    let groups: Vec<(OperationId, TimeWindow, Minutes)> =
        orders.into_iter().map(|((operation, window), count)| (operation, window, count)).collect();
    let missing = (1..1_u32 << groups.len()).map(|set| {
        let (mut needed, mut sharing) = (0, BTreeSet::new());
        for &(operation, window, count) in
            groups.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, group)| group)
        {
            let slots = (0..supply.slot_count()).map(|position| horizon.slot(position));
            let offered = slots.filter(|slot| window.contains(slot.period)).filter_map(|slot| {
                let minutes = supply.providers[slot.provider.index()].offers.get(&operation)?.minutes;
                Some((slot, minutes, supply.capacity_of(slot).is_none_or(|capacity| minutes <= capacity)))
            });
            let offered: Vec<(Slot, Minutes, bool)> = offered.collect();
            let any = offered.iter().any(|&(_, _, fits)| fits);
            let fastest = offered.iter().filter(|&&(_, _, fits)| !any || fits).map(|offer| offer.1).min();
            needed += fastest.unwrap_or(0) * count;
            sharing.extend(offered.iter().filter(|offer| offer.2).map(|offer| offer.0));
        }
        let capacity: Option<Minutes> = sharing.iter().map(|&slot| supply.capacity_of(slot)).sum();
        capacity.map_or(0, |capacity| needed - capacity)
    });
    missing.max().unwrap_or(0).max(0)
}

#[test]
fn what_is_short_on_one_day_only_is_said_of_that_day() {
    let offers: &[(u16, Minutes)] = &[(0, 60)];
    let mut market = instance(&[(offers, Some(100))], &[&[0], &[0], &[0, 0]]);
    market.supply.horizon = Horizon { first: Period(2), periods: 3, period_minutes: Some(1_440) };
    let day = |day| TimeWindow { release: Period(day), due: Period(day) };
    market.demands[0].window = day(3);
    market.demands[1].window = day(3);
    market.demands[2].window = TimeWindow { release: Period(2), due: Period(4) };
    let found = find_shortages(&market);
    let slot = Slot { provider: ProviderId(0), period: Period(3) };
    let expected = Shortage {
        orders: vec![OrderGroup { operation: OperationId(0), window: day(3) }],
        needed: 120,
        slots: vec![slot],
        capacity: 100,
    };
    assert_eq!(found, [expected]);
    assert_eq!(found[0].verify(&market), Ok(()));
    let mut scenario = Scenario::of_instance("a week", market);
    scenario.period_names = ["Monday", "Tuesday"].map(str::to_owned).into();
    let said = "capacity for operation 0 in period 3 (Tuesday) is short by at least 20 minutes: the orders take 120 \
                even at the fastest offers, and provider can give 100";
    assert_eq!(found[0].named(&scenario).to_string(), said);
}

proptest! {
    #[test]
    fn every_shortage_found_verifies_and_together_they_miss_the_most(market in tiny_instance()) {
        let found = find_shortages(&market);
        for shortage in &found {
            prop_assert_eq!(shortage.verify(&market), Ok(()));
        }
        prop_assert_eq!(found.iter().map(Shortage::missing).sum::<Minutes>(), most_missing(&market));
    }

    #[test]
    fn no_market_with_a_shortage_can_serve_everybody(market in tiny_instance()) {
        if !find_shortages(&market).is_empty() {
            let served = all_feasible(&market);
            prop_assert!(served.iter().all(|solution| solution.compositions.contains(&None)));
        }
    }
}
