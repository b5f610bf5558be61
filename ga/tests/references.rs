//! Prices and bounds, exact optima and random costs on markets that can be checked by hand.

mod instances;

use std::sync::atomic::AtomicBool;

use ga::exact::{Group, optimum, split_optimum};
use ga::prices::{PriceSearch, PricedBound, find_prices};
use ga::random::random_cost;
use instances::{formula_market, market};
use proptest::prelude::*;
use scenarios::bound::dual_bound;
use scenarios::generate::{CalendarParameters, GenerateParameters, generate};
use scenarios::oracle::validate_prices;
use scenarios::{DualPrices, Instance, Money, Oracle, ProviderId, Site, Slot};

static NEVER: AtomicBool = AtomicBool::new(false);

/// The price of a provider's minutes.
fn price(found: &PricedBound, provider: u32) -> Money {
    found.prices.of(Slot::single(ProviderId(provider)))
}

/// Two providers at one place offer one operation, 10 minutes each: the first for 10 $, with time for one
/// order; the second for 15 $, with time for any number. Three demands of one order, budget 100 $.
fn two_shops() -> Instance {
    let mut instance = formula_market(2, 3, 1, None);
    for (provider, (dollars, capacity)) in
        instance.supply.providers.iter_mut().zip([(10, Some(10)), (15, None)])
    {
        provider.site = Site::point(0, 0);
        provider.capacity = capacity.map(i64::into);
        for offer in provider.offers.values_mut() {
            (offer.cost, offer.minutes) = (Money::from_units(dollars), 10);
        }
    }
    for demand in &mut instance.demands {
        demand.budget = Money::from_units(100);
    }
    instance
}

#[test]
fn a_scarce_shops_minute_is_worth_what_the_next_one_charges_more() {
    let instance = two_shops();
    let (supply, demands) = (&instance.supply, &instance.demands);
    let found = find_prices(supply, demands, &supply.capacities(), &DualPrices::zero(), 400, &NEVER).unwrap();
    // The best plan: one order at 10 $, two at 15 $. At 0.5 $ a minute the first shop is no cheaper than the
    // second, and 3 x 15 $ - 10 minutes x 0.5 $ = 40 $ proves it.
    let best = Money::from_units(40);
    assert!(found.bound <= best && best.micros() - found.bound.micros() < 100, "{}", found.bound);
    assert!((price(&found, 0).micros() - 500_000).abs() < 10, "{}", price(&found, 0));
    assert_eq!(price(&found, 1), Money::ZERO);
}

#[test]
fn good_prices_at_the_start_are_kept() {
    let instance = two_shops();
    let (supply, demands) = (&instance.supply, &instance.demands);
    let start = DualPrices::single(vec![Money::from_micros(500_000)]);
    let found = find_prices(supply, demands, &supply.capacities(), &start, 1, &NEVER).unwrap();
    assert_eq!(found.bound, Money::from_units(40));
    // A price on a shop that has become unlimited is dropped, not refused.
    let unlimited = find_prices(supply, demands, &[None, None], &start, 5, &NEVER).unwrap();
    assert_eq!((unlimited.bound, price(&unlimited, 0)), (Money::from_units(30), Money::ZERO));
}

#[test]
fn a_cancelled_step_changes_nothing() {
    let instance = formula_market(8, 12, 6, Some(105));
    let (supply, demands) = (&instance.supply, &instance.demands);
    let mut search = PriceSearch::new(supply, demands, &supply.capacities(), &DualPrices::zero());
    assert!(!search.step(&AtomicBool::new(true)));
    assert_eq!(search.best(), None);
    assert!(search.step(&NEVER));
    let first = search.best();
    assert!(!search.step(&AtomicBool::new(true)));
    assert_eq!(search.best(), first);
}

#[test]
fn two_weeks_of_days_are_bounded_as_well_as_one_period_of_as_many_minutes() {
    let mut parameters = GenerateParameters::tehran(1, true).expect("problems 1 to 4");
    let bound = |parameters: &GenerateParameters| {
        let Instance { supply, demands } = generate(parameters).expect("valid parameters").instance;
        find_prices(&supply, &demands, &supply.capacities(), &DualPrices::zero(), 300, &NEVER).unwrap().bound
    };
    let whole = bound(&parameters).as_f64();
    parameters.calendar = Some(CalendarParameters { days: 14, window_days: None });
    let days = bound(&parameters).as_f64();
    assert!(days > 0.999 * whole, "{days} with days, {whole} without");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_bound_is_certified_and_never_falls(instance in market(6, 6, 4)) {
        let (supply, demands) = (&instance.supply, &instance.demands);
        let capacities = supply.capacities();
        let mut search = PriceSearch::new(supply, demands, &capacities, &DualPrices::zero());
        let mut before = dual_bound(&Oracle::new(supply), demands, &capacities, &DualPrices::zero()).unwrap();
        // Of several periods, the first steps are for all of them as one.
        for _ in 0..150 {
            search.step(&NEVER);
            let found = search.best().unwrap();
            prop_assert_eq!(validate_prices(&found.prices, supply.horizon, &capacities), Ok(()));
            let certified = dual_bound(&Oracle::new(supply), demands, &capacities, &found.prices).unwrap();
            prop_assert_eq!(found.bound, certified);
            prop_assert!(found.bound >= before);
            before = found.bound;
        }
    }

    #[test]
    fn splitting_never_costs_less_than_the_optimum(instance in market(6, 6, 4), cut in 0_usize..6) {
        let half = |first: bool| Group {
            demands: (0..instance.demands.len()).filter(|demand| (demand % 2 == 0) == first).collect(),
            providers: instance.supply.provider_ids().filter(|id| (id.index() < cut) == first).collect(),
        };
        let whole = dual_bound(
            &Oracle::new(&instance.supply), &instance.demands, &instance.supply.capacities(), &DualPrices::zero(),
        );
        prop_assert!(split_optimum(&instance, &[half(true), half(false)]) >= whole.unwrap());
    }
}

#[test]
fn splitting_costs_what_the_groups_cost_alone() {
    let mut instance = two_shops();
    instance.supply.providers[0].capacity = None;
    assert_eq!(optimum(&instance), Some(Money::from_units(30)));
    let group = |demands: &[usize], provider| Group {
        demands: demands.to_vec(),
        providers: vec![ProviderId(provider)],
    };
    let split = split_optimum(&instance, &[group(&[0], 0), group(&[1, 2], 1)]);
    assert_eq!(split, Money::from_units(10 + 15 + 15));
    let nobody = Group { demands: vec![0], providers: vec![] };
    // Whom nobody serves counts with its budget.
    assert_eq!(split_optimum(&instance, &[nobody]), instance.demands[0].budget);
}

#[test]
fn random_costs_lie_between_the_cheapest_and_the_dearest_choice() {
    let cost = random_cost(&two_shops(), 400, 1).unwrap();
    // Three orders at 10 $ or 15 $ each; the mean of the draws is near 37.50 $.
    assert_eq!((cost.least, cost.most), (Money::from_units(30), Money::from_units(45)));
    assert!((37_000_000..38_000_000).contains(&cost.mean.micros()), "{}", cost.mean);
    let mut nobody = two_shops();
    nobody.supply.providers.clear();
    assert_eq!(random_cost(&nobody, 10, 1), None);
}
