//! Small markets for tests: random ones, and one whose numbers follow from a formula.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenarios::{
    Calendar, CostRules, Demand, DistanceMatrix, Geometry, Horizon, Instance, Minutes, Money, Offer,
    OperationId, Period, Provider, Site, Supply, TimeWindow,
};

/// The most periods of a random market.
pub(crate) const PERIODS: u32 = 4;

/// A market of up to `providers` providers, `demands` demands of up to `orders` orders and three operations;
/// with or without a calendar, on the plane or a table that may break the triangle inequality, with and without capacities, delivery,
/// value of time, offers by everybody, budgets that cover the cost.
pub(crate) fn market(
    providers: usize,
    demands: usize,
    orders: usize,
) -> impl Strategy<Value = Instance> + use<> {
    let provider = (
        (-50_i64..50, -50_i64..50),
        prop::collection::vec(prop::option::weighted(0.8, (0_i64..40, 0_i64..60)), 3),
        prop::option::weighted(0.7, prop::collection::vec(0_i64..150, 1..3)),
    );
    let calendar = (0..3_u32, 1..=PERIODS, 60_i64..600);
    let demand = ((-50_i64..50, -50_i64..50), prop::collection::vec(0_u16..3, 1..=orders), 20_i64..250);
    let rules = (0_i64..2_000_000, 0_i64..100_000, any::<bool>());
    (
        prop::collection::vec(provider, 1..=providers),
        prop::collection::vec(demand, 1..=demands),
        rules,
        prop::option::weighted(0.3, prop::collection::vec(0_i64..90_000, (providers + demands).pow(2))),
        prop::option::weighted(0.4, calendar),
    )
        .prop_map(|(providers, demands, (rate, value, deliver), metres, calendar)| {
            let horizon = calendar.map_or(Horizon::SINGLE, |(first, periods, minutes)| Horizon {
                first: Period(first),
                periods,
                period_minutes: Some(minutes),
            });
            let repeated = |mut pattern: Vec<Minutes>| {
                pattern.truncate(horizon.len());
                Calendar::new(pattern, BTreeMap::new())
            };
            let rules = CostRules {
                rate_per_km: Money::from_micros(rate),
                value_of_minute: Money::from_micros(value),
                metres_per_minute: 700,
                deliver,
            };
            let places = providers.len() + demands.len();
            let site = |place: usize, (x, y): (i64, i64)| match &metres {
                Some(_) => Site::Place(u32::try_from(place).expect("few places")),
                None => Site::point(x * 1_000, y * 1_000),
            };
            let geometry = match &metres {
                Some(metres) => {
                    let mut rows: Vec<Vec<i64>> =
                        metres.chunks(places).take(places).map(<[i64]>::to_vec).collect();
                    (0..places).for_each(|place| rows[place][place] = 0);
                    Geometry::Matrix(DistanceMatrix::new(&rows).expect("a square table"))
                }
                None => Geometry::Euclidean,
            };
            let count = providers.len();
            let providers = providers.into_iter().enumerate().map(|(index, (at, offers, capacity))| {
                let offers = (0..).map(OperationId).zip(offers);
                Provider {
                    name: format!("provider {index}"),
                    site: site(index, at),
                    offers: offers.filter_map(|(id, terms)| terms.map(|terms| (id, offer(terms)))).collect(),
                    capacity: capacity.map(repeated),
                }
            });
            let providers = providers.collect();
            let demands = demands.into_iter().enumerate().map(|(index, (at, orders, budget))| Demand {
                name: format!("demand {index}"),
                site: site(count + index, at),
                orders: orders.into_iter().map(OperationId).collect(),
                budget: Money::from_units(budget),
                window: match u32::try_from(budget).expect("positive") % 7 {
                    more @ 0..3 if horizon.len() > 1 => {
                        let release = Period(u32::try_from(index).expect("few") % 3);
                        TimeWindow { release, due: release.plus(more) }
                    }
                    _ => TimeWindow::ANY,
                },
            });
            Instance { demands: demands.collect(), supply: Supply { providers, rules, geometry, horizon } }
        })
}

/// A market of this size in which everybody offers every operation and each order asks for the next one, with
/// a capacity of `capacity_percent` of the work there is at most (absent: unlimited), shared equally.
pub(crate) fn formula_market(
    providers: i64,
    demands: i64,
    orders: i64,
    capacity_percent: Option<i64>,
) -> Instance {
    let provider = |p: i64| Provider {
        name: format!("provider {p}"),
        site: Site::point(p * 7_919 % 50_000, p * 104_729 % 50_000),
        offers: (0..orders)
            .map(|o| {
                let operation = OperationId(u16::try_from(o).expect("few operations"));
                (operation, offer((11 + (p * 31 + o * 17 + p * o * 7) % 36, 20 + (p * 13 + o * 29) % 60)))
            })
            .collect::<BTreeMap<_, _>>(),
        capacity: capacity_percent.map(|percent| (demands * orders * 50 * percent / 100 / providers).into()),
    };
    let demand = |d: i64| Demand {
        name: format!("demand {d}"),
        site: Site::point(d * 6_151 % 50_000, d * 15_485 % 50_000),
        orders: (0..orders)
            .map(|o| OperationId(u16::try_from((o * (d % 3 + 1) + d) % orders).expect("few operations")))
            .collect(),
        budget: Money::from_units(80 * orders),
        window: TimeWindow::ANY,
    };
    let rules = CostRules {
        rate_per_km: Money::from_micros(820_000),
        value_of_minute: Money::ZERO,
        metres_per_minute: 500,
        deliver: false,
    };
    let providers = (0..providers).map(provider).collect();
    let supply = Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE };
    Instance { supply, demands: (0..demands).map(demand).collect() }
}

fn offer((dollars, minutes): (i64, Minutes)) -> Offer {
    Offer { cost: Money::from_units(dollars), minutes }
}
