//! The evaluator on markets small enough to check by hand, and at the limits of what a market may hold.

use std::collections::BTreeMap;

use scenarios::bound::{dual_bound, gap_percent, reduced_cost};
use scenarios::oracle::validate_prices;
use scenarios::{
    CostRules, Demand, DualPrices, Geometry, Horizon, Instance, Minutes, Money, Offer, OperationId, Oracle,
    Period, PriceError, Provider, ProviderId, Site, Slot, Solution, Supply, TimeWindow, Violation, evaluate,
    evaluate_composition, limits,
};

fn rules() -> CostRules {
    CostRules {
        rate_per_km: Money::from_units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 500,
        deliver: false,
    }
}

fn demand(x_m: i64, orders: &[u16]) -> Demand {
    Demand {
        name: String::new(),
        site: Site::point(x_m, 0),
        orders: orders.iter().copied().map(OperationId).collect(),
        budget: Money::from_units(1_000),
        window: TimeWindow::ANY,
    }
}

/// Paper A's table 5: six providers and three demands of the tasks T1 T2 T4, T2 T3, and T1 T2 T3. The paper
/// gives no costs; here provider p (from 1) stands at p km on a line and does task t for 10 p + t dollars in
/// p minutes, and a kilometre costs a dollar.
fn table_5() -> Instance {
    let provider = |number: u16| Provider {
        name: format!("provider {number}"),
        site: Site::point(1_000 * i64::from(number), 0),
        offers: (1..=4)
            .map(|task| {
                let cost = Money::from_units(i64::from(10 * number + task));
                (OperationId(task - 1), Offer { cost, minutes: i64::from(number) })
            })
            .collect(),
        capacity: None,
    };
    Instance {
        supply: Supply {
            providers: (1..=6).map(provider).collect(),
            rules: rules(),
            geometry: Geometry::Euclidean,
            horizon: Horizon::SINGLE,
        },
        demands: vec![demand(10_000, &[0, 1, 3]), demand(0, &[1, 2]), demand(7_000, &[0, 1, 2])],
    }
}

/// A solution by the paper's provider numbers, from 1.
fn by_number(compositions: &[&[u32]]) -> Solution {
    let ids = |numbers: &&[u32]| numbers.iter().map(|number| Slot::single(ProviderId(number - 1))).collect();
    Solution { compositions: compositions.iter().map(|numbers| Some(ids(numbers))).collect() }
}

/// The chromosome 1 3 4 2 4 3 6 5 of table 5.
fn chromosome() -> Solution {
    by_number(&[&[1, 3, 4], &[2, 4], &[3, 6, 5]])
}

#[test]
fn the_chromosome_of_table_5_costs_what_the_hand_computes() {
    let evaluation = evaluate(&table_5(), &chromosome());
    assert!(evaluation.is_complete());
    let [first, second, third] = [0, 1, 2].map(|demand| evaluation.compositions[demand].clone().unwrap());
    // Demand 1: T1 at 1 (11), T2 at 3 (32), T4 at 4 (44); roads 1-3-4: 2 + 1 km.
    assert_eq!((first.processing, first.transport), (Money::from_units(87), Money::from_units(3)));
    // Demand 2: T2 at 2 (22), T3 at 4 (43); road 2-4: 2 km.
    assert_eq!((second.processing, second.transport), (Money::from_units(65), Money::from_units(2)));
    // Demand 3: T1 at 3 (31), T2 at 6 (62), T3 at 5 (53); roads 3-6-5: 3 + 1 km.
    assert_eq!((third.processing, third.transport), (Money::from_units(146), Money::from_units(4)));
    assert_eq!(evaluation.cost, Money::from_units(307));
    // Provider 3 works for demands 1 and 3, provider 4 for demands 1 and 2.
    let minutes: Vec<Minutes> = evaluation.minutes.values().copied().collect();
    assert_eq!(minutes, [1, 2, 6, 8, 5, 6]);
    assert_eq!(third.owed[&ProviderId(5)], Money::from_units(62));
    assert_eq!(third.total_minutes(), 14);
}

#[test]
fn delivery_adds_the_leg_to_the_demander() {
    let mut instance = table_5();
    instance.supply.rules.deliver = true;
    let evaluation = evaluate(&instance, &chromosome());
    // From 4 to 10 km, from 4 to 0 km, from 5 to 7 km.
    assert_eq!(evaluation.cost, Money::from_units(307 + 6 + 4 + 2));
}

#[test]
fn a_value_of_time_adds_minutes_of_work_and_travel() {
    let mut instance = table_5();
    instance.supply.rules.value_of_minute = Money::from_micros(100_000);
    let evaluation = evaluate(&instance, &chromosome());
    // 28 minutes of work; 9 km at 2 minutes each.
    let time_value = evaluation.compositions.iter().flatten().map(|one| one.time_value).sum::<Money>();
    assert_eq!(time_value, Money::from_micros((28 + 18) * 100_000));
    assert_eq!(evaluation.cost, Money::from_units(307) + time_value);
}

#[test]
fn provider_1_alone_is_the_optimum_of_table_5() {
    let instance = table_5();
    let oracle = Oracle::new(&instance.supply);
    let best = oracle.cheapest(&instance.demands[0], &DualPrices::zero()).unwrap();
    assert_eq!(best.slots, vec![Slot::single(ProviderId(0)); 3]);
    assert_eq!(best.priced_cost, Money::from_units(11 + 12 + 14));
    // 37 + 25 + 36: the chromosome of the paper is 209 dollars above.
    let bound =
        dual_bound(&oracle, &instance.demands, &instance.supply.capacities(), &DualPrices::zero()).unwrap();
    assert_eq!(bound, Money::from_units(98));
    let evaluation = evaluate(&instance, &chromosome());
    let least = [37, 25, 36].map(Money::from_units);
    let reduced_costs = evaluation.compositions.iter().flatten().zip(least);
    let reduced_costs =
        reduced_costs.map(|(composition, least)| reduced_cost(composition, least, &DualPrices::zero()));
    assert_eq!(reduced_costs.sum::<Money>(), Money::from_units(209));
    assert!((gap_percent(evaluation.cost, bound) - 213.265_306).abs() < 1e-6);
}

#[test]
fn a_tie_goes_to_the_lexicographically_smallest_list() {
    let mut instance = table_5();
    for provider in &mut instance.supply.providers {
        provider.site = Site::point(0, 0);
        provider.offers.values_mut().for_each(|offer| offer.cost = Money::from_units(7));
    }
    instance.supply.providers[0].offers.remove(&OperationId(1));
    let oracle = Oracle::new(&instance.supply);
    let best = oracle.cheapest(&instance.demands[0], &DualPrices::zero()).unwrap();
    assert_eq!(best.slots, [0, 1, 0].map(|id| Slot::single(ProviderId(id))));
}

#[test]
fn what_nobody_offers_cannot_be_composed_and_is_bounded_by_the_budget() {
    let mut instance = table_5();
    for provider in &mut instance.supply.providers {
        provider.offers.remove(&OperationId(3));
    }
    let oracle = Oracle::new(&instance.supply);
    assert_eq!(oracle.cheapest(&instance.demands[0], &DualPrices::zero()), None);
    let bound = scenarios::bound::demand_bound(&oracle, &instance.demands[0], &DualPrices::zero());
    assert_eq!(bound, Money::from_units(1_000));
    let unknown = demand(0, &[9_999]);
    assert_eq!(oracle.cheapest(&unknown, &DualPrices::zero()), None);
}

#[test]
fn no_orders_cost_nothing_to_the_evaluator_and_to_the_oracle() {
    let mut instance = table_5();
    instance.supply.rules.deliver = true;
    instance.demands = vec![demand(3_000, &[])];
    let solution = Solution { compositions: vec![Some(Vec::new())] };
    let evaluation = evaluate(&instance, &solution);
    assert!(evaluation.is_complete());
    let oracle = Oracle::new(&instance.supply);
    let best = oracle.cheapest(&instance.demands[0], &DualPrices::zero()).unwrap();
    assert_eq!((evaluation.cost, best.priced_cost), (Money::ZERO, Money::ZERO));
}

#[test]
fn every_violation_is_listed_with_what_was_found_and_expected() {
    let mut instance = table_5();
    instance.supply.providers[2].capacity = Some(2.into());
    instance.supply.providers[3].site = Site::Place(0);
    instance.supply.providers[4].offers.remove(&OperationId(1));
    instance.demands.push(demand(0, &[0]));
    instance.demands.push(demand(0, &[0]));
    instance.demands[3].budget = Money::from_units(30);
    let solution = by_number(&[
        &[1, 3],    // two slots for three orders
        &[5, 9],    // provider 5 does not offer T2, there is no provider 9
        &[3, 4, 3], // nobody knows where provider 4 is
        &[3],       // 31 dollars of 30
        &[3],       // 3 minutes of 2
        &[1],       // no such demand
    ]);
    let evaluation = evaluate(&instance, &solution);
    let operation = OperationId(1);
    assert_eq!(
        evaluation.violations,
        [
            Violation::DemandCount { got: 6, expected: 5 },
            Violation::OrderCount { demand: 0, got: 2, expected: 3 },
            Violation::NotOffered { demand: 1, order: 0, provider: ProviderId(4), expected: operation },
            Violation::UnknownProvider { demand: 1, order: 1, provider: ProviderId(8), expected: 6 },
            Violation::NoDistance { demand: 2, order: 0 },
            Violation::NoDistance { demand: 2, order: 1 },
            Violation::OverBudget { demand: 3, got: Money::from_units(31), expected: Money::from_units(30) },
            Violation::OverCapacity { slot: Slot::single(ProviderId(2)), got: 3, expected: 2 },
        ]
    );
    assert!(!evaluation.is_feasible());
    assert_eq!(evaluation.unserved, Vec::<usize>::new());
    assert_eq!(
        evaluation.violations[2].to_string(),
        "demand 1, order 0: provider #4 does not offer operation #1"
    );
}

#[test]
fn an_unserved_demand_is_feasible_and_costs_its_budget_in_the_penalised_cost() {
    let instance = table_5();
    let mut solution = chromosome();
    solution.compositions[1] = None;
    let evaluation = evaluate(&instance, &solution);
    assert!(evaluation.is_feasible() && !evaluation.is_complete());
    assert_eq!(evaluation.unserved, [1]);
    assert_eq!(evaluation.cost, Money::from_units(307 - 67));
    assert_eq!(evaluation.penalised_cost(&instance), Money::from_units(307 - 67 + 1_000));
    // A solution too short leaves the rest unserved, and says that it is too short.
    let short = evaluate(&instance, &by_number(&[&[1, 3, 4]]));
    assert_eq!(short.unserved, [1, 2]);
    assert_eq!(short.violations, [Violation::DemandCount { got: 1, expected: 3 }]);
}

#[test]
fn prices_are_refused_below_zero_above_the_limit_and_where_capacity_is_unlimited() {
    let capacities = [Some(10), None];
    let price = |micros| DualPrices::single(vec![Money::from_micros(micros)]);
    let validate = |prices: &DualPrices| validate_prices(prices, Horizon::SINGLE, &capacities);
    assert_eq!(validate(&price(5)), Ok(()));
    let (slot, got) = (Slot::single(ProviderId(0)), Money::from_micros(-1));
    assert_eq!(validate(&price(-1)), Err(PriceError::OutOfRange { slot, got }));
    let above = limits::CAPACITY_PRICE + Money::from_micros(1);
    let error = validate(&DualPrices::single(vec![above])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the price of a minute of provider #0 is 1,000.000001, expected 0 to 1,000"
    );
    let unlimited = DualPrices::single(vec![Money::ZERO, Money::from_units(1)]);
    let (slot, got) = (Slot::single(ProviderId(1)), Money::from_units(1));
    assert_eq!(validate(&unlimited), Err(PriceError::Unlimited { slot, got }));
    let third = DualPrices::single([0, 0, 1].map(Money::from_micros));
    let (slot, horizon) = (Slot::single(ProviderId(2)), Horizon::SINGLE);
    assert_eq!(validate(&third), Err(PriceError::UnknownSlot { slot, providers: 2, horizon }));
}

/// Two providers at opposite corners of the plane, everything else at its limit.
fn extreme() -> Instance {
    let corner = limits::COORDINATE_METRES - 1;
    let offer = Offer { cost: limits::OFFER_COST, minutes: limits::OFFER_MINUTES };
    let provider = |sign: i64, operation: u16| Provider {
        name: String::new(),
        site: Site::point(sign * corner, sign * corner),
        offers: BTreeMap::from([(OperationId(operation), offer)]),
        capacity: Some(limits::CAPACITY_MINUTES.into()),
    };
    let rules = CostRules {
        rate_per_km: limits::RATE_PER_KM,
        value_of_minute: limits::VALUE_OF_MINUTE,
        metres_per_minute: 1,
        deliver: true,
    };
    let there_and_back: Vec<u16> =
        (0..limits::ORDERS_PER_DEMAND).map(|order| u16::from(order % 2 == 1)).collect();
    let mut demand = demand(0, &there_and_back);
    demand.site = Site::point(-corner, -corner);
    demand.budget = limits::BUDGET;
    let providers = vec![provider(-1, 0), provider(1, 1)];
    Instance {
        supply: Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE },
        demands: vec![demand],
    }
}

#[test]
fn the_dearest_composition_within_the_limits_is_computed_without_overflow() {
    let instance = extreme();
    let orders = instance.demands[0].orders.len();
    let there_and_back: Vec<Slot> =
        (0..orders).map(|order| Slot::single(ProviderId::from_index(order % 2))).collect();
    let evaluation = evaluate(&instance, &Solution { compositions: vec![Some(there_and_back)] });
    // 256 legs of 3,037,000,498 m: 100 $/km is 303,700,049.8 $, their minutes at 0.1 $ the same; 256 orders of
    // a million dollars and a million minutes at 0.1 $.
    let leg = 2 * 303_700_049_800_000_i64;
    let order = 1_000_000_000_000 + 100_000_000_000;
    let cost = Money::from_micros(256 * (leg + order));
    let expected = limits::BUDGET;
    assert_eq!(evaluation.violations, [Violation::OverBudget { demand: 0, got: cost, expected }]);

    let oracle = Oracle::new(&instance.supply);
    let prices = DualPrices::single(vec![limits::CAPACITY_PRICE; 2]);
    let best = oracle.cheapest(&instance.demands[0], &prices).unwrap();
    let minutes_charge = 256 * 1_000_000 * limits::CAPACITY_PRICE.micros();
    assert_eq!(best.priced_cost, cost + Money::from_micros(minutes_charge));
}

#[test]
fn a_bound_at_absurd_prices_is_an_error_not_an_overflow() {
    let instance = extreme();
    let oracle = Oracle::new(&instance.supply);
    let dearest = DualPrices::single(vec![limits::CAPACITY_PRICE; 2]);
    let capacities = instance.supply.capacities();
    // 2 providers x 1e9 minutes x 1,000 $: 2e18 micro-units still fit.
    let bound = dual_bound(&oracle, &instance.demands, &capacities, &dearest).unwrap();
    assert_eq!(bound, limits::BUDGET - Money::from_units(2_000_000_000_000));
    let many = vec![Some(limits::CAPACITY_MINUTES); 20];
    let prices = DualPrices::single(vec![limits::CAPACITY_PRICE; 20]);
    assert_eq!(dual_bound(&oracle, &instance.demands, &many, &prices), Err(PriceError::BoundOverflow));
}

/// The instance of table 5 with this many periods from 2 on, of so many minutes.
fn on_a_calendar(periods: u32, period_minutes: Minutes) -> Instance {
    let mut instance = table_5();
    instance.supply.horizon = Horizon { first: Period(2), periods, period_minutes: Some(period_minutes) };
    instance
}

#[test]
fn a_demand_takes_of_a_period_its_orders_and_the_legs_that_begin_there() {
    // 1 + 2 + 4 minutes of work, a kilometre and two at 500 m a minute: of period 2 the first order and the leg from it.
    let slots = |periods: [u32; 3]| -> Vec<Slot> {
        [1, 2, 4]
            .into_iter()
            .zip(periods)
            .map(|(id, period)| Slot { provider: ProviderId(id - 1), period: Period(period) })
            .collect()
    };
    let judged = |most: Minutes, periods: [u32; 3]| {
        let instance = on_a_calendar(3, most);
        evaluate_composition(&instance.supply, &instance.demands[0], 0, &slots(periods))
    };
    let too_short = |period, got, expected| {
        Err(vec![Violation::PeriodTooShort { demand: 0, period: Period(period), got, expected }])
    };
    let first = judged(100, [2, 3, 3]).unwrap();
    let (one, rest) = (first.minutes[&slots([2, 3, 3])[0]], first.total_minutes());
    assert_eq!((one, rest, first.travel, first.lead_periods), (1, 7, 6, 3));
    let within: Minutes = judged(13, [2, 2, 2]).unwrap().lead_minutes();
    assert_eq!(within, 13);
    assert_eq!(judged(12, [2, 2, 2]), too_short(2, 13, 12));
    assert_eq!(
        judged(10, [2, 2, 3]).map(|found| found.cost()),
        judged(13, [2, 2, 2]).map(|found| found.cost())
    );
    let (outside, expected) = (Period(5), TimeWindow { release: Period(2), due: Period(4) });
    let violation = Violation::OutsideWindow { demand: 0, order: 2, got: outside, expected };
    assert_eq!(judged(100, [2, 3, 5]), Err(vec![violation]));
    let violation = Violation::PeriodsDecrease { demand: 0, order: 2, got: Period(2), expected: Period(3) };
    assert_eq!(judged(100, [2, 3, 2]), Err(vec![violation]));
}

#[test]
fn lead_time_is_processing_and_travel_one_after_another() {
    // 1 + 2 + 4 minutes of work, a kilometre and two at 500 m a minute; the others stay where they are.
    let instance = table_5();
    let evaluation = evaluate(&instance, &by_number(&[&[1, 2, 4], &[3, 3], &[5, 5, 5]]));
    let minutes = |position: usize| evaluation.compositions[position].as_ref().unwrap().lead_minutes();
    assert_eq!([minutes(0), minutes(1), minutes(2)], [7 + 2 + 4, 6, 15]);
    let lead_time = evaluation.lead_minutes().unwrap();
    assert_eq!((lead_time.mean, lead_time.longest), (12, 15));
    assert_eq!(lead_time.to_string(), "0:12 h on average, 0:15 h at most");
    assert_eq!(evaluate(&instance, &Solution::unserved(3)).lead_minutes(), None);
    // With the leg to the demander: 6, 3 and 2 km more.
    let mut delivered = table_5();
    delivered.supply.rules.deliver = true;
    let evaluation = evaluate(&delivered, &by_number(&[&[1, 2, 4], &[3, 3], &[5, 5, 5]]));
    assert_eq!(evaluation.lead_minutes().unwrap().longest, 7 + 6 + 12);
}
