//! Every way the oracle finds a shortest path (each kernel this processor has, 32- and 64-bit lanes, node by node)
//! gives the answers of the plain loop, ties included.

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenarios::oracle::{Limits, PathFinder, Tables};
use scenarios::{
    Calendar, CostRules, Demand, DistanceMatrix, DualPrices, Geometry, Horizon, Kernel, Money, Offer,
    OperationId, Oracle, Period, Provider, ProviderId, Site, Slot, Supply, TimeWindow, limits,
};

/// The textbook method: order by order from the last, every slot after every slot that is not earlier; then forward along
/// the cheapest path, to the smallest slot at every tie.
fn plain(supply: &Supply, demand: &Demand, prices: &DualPrices) -> Option<(Money, Vec<Slot>)> {
    let site = |slot: Slot| supply.providers[slot.provider.index()].site;
    let node = |slot: Slot, operation: OperationId| {
        let offer = *supply.providers[slot.provider.index()].offers.get(&operation)?;
        let fits = supply.capacity_of(slot).is_none_or(|capacity| offer.minutes <= capacity);
        let cost = offer.cost + supply.processing_time_value(offer) + prices.charge(slot, offer.minutes);
        (fits && demand.window.contains(slot.period)).then_some(cost)
    };
    let slots = || (0..supply.slot_count()).map(|position| supply.horizon.slot(position));
    let mut layers: Vec<Vec<(Slot, Money)>> = Vec::new();
    for (order, &operation) in demand.orders.iter().enumerate().rev() {
        let to_go = |slot: Slot| {
            let here = node(slot, operation)?;
            if order + 1 < demand.orders.len() {
                let onward = layers.last().expect("a later order").iter();
                let onward = onward.filter(|(to, _)| to.period >= slot.period);
                let onward =
                    onward.filter_map(|&(to, value)| Some(here + supply.leg(site(slot), site(to))? + value));
                return onward.min();
            }
            if supply.rules.deliver { Some(here + supply.leg(site(slot), demand.site)?) } else { Some(here) }
        };
        layers.push(slots().filter_map(|slot| Some((slot, to_go(slot)?))).collect());
    }
    layers.reverse();
    let Some(first) = layers.first() else { return Some((Money::ZERO, Vec::new())) };
    let cost = first.iter().map(|&(_, value)| value).min()?;
    let mut path: Vec<Slot> = Vec::new();
    let mut left = cost;
    for (layer, &operation) in layers.iter().zip(&demand.orders) {
        let last = path.last().copied();
        let leg = |to| last.map_or(Some(Money::ZERO), |from| supply.leg(site(from), site(to)));
        let from = last.map_or(supply.horizon.first, |last| last.period);
        let next = layer.iter().filter(|(to, _)| to.period >= from).find_map(|&(to, value)| {
            let leg = leg(to)?;
            (leg + value == left).then_some((to, leg))
        });
        let (to, leg) = next.expect("the cheapest path goes on");
        left = left - leg - node(to, operation).expect("an offer");
        path.push(to);
    }
    Some((cost, path))
}

fn assert_all_ways_agree_with_the_plain_loop(supply: &Supply, demands: &[Demand], prices: &DualPrices) {
    // From node to node, as in markets too large for a table of legs.
    let tables = Tables::with_legs_up_to(supply, 0);
    let (offers, mut finder) = (tables.priced(prices), PathFinder::default());
    for demand in demands {
        let cost = finder.cheapest(&tables, &offers, &tables.task(demand), Limits::default());
        let path = finder.path().iter().map(|&number| supply.horizon.slot(number as usize)).collect();
        let found = cost.map(|cost| (Money::from_micros(cost), path));
        assert_eq!(found, plain(supply, demand, prices), "from node to node");
    }
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        let oracle = Oracle::new(supply).with_kernel(kernel);
        for demand in demands {
            let found = oracle.cheapest(demand, prices).map(|best| (best.priced_cost, best.slots));
            assert_eq!(found, plain(supply, demand, prices), "{kernel}");
        }
    }
}

/// Numbers of one market: few and coarse, so that many paths cost the same, or spread over the whole range.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Coarse,
    Everyday,
    Limits,
}

fn spread() -> impl Strategy<Value = Spread> {
    prop_oneof![Just(Spread::Coarse), Just(Spread::Everyday), Just(Spread::Limits)]
}

impl Spread {
    /// A draw below 2^32 as a whole number of `0..=limit`.
    fn of(self, draw: u32, coarse: i64, everyday: i64, limit: i64) -> i64 {
        let scaled =
            |most: i64| i64::try_from((i128::from(draw) * i128::from(most)) >> 32).expect("below most");
        match self {
            Self::Coarse => coarse * scaled(4),
            Self::Everyday => scaled(everyday),
            // The limit itself, nothing, or something between.
            Self::Limits => [limit, 0, scaled(limit), scaled(everyday)][draw as usize % 4],
        }
    }

    fn offer(self, cost: u32, minutes: u32) -> Offer {
        let micros = self.of(cost, 1_000_000, 40_000_000, limits::OFFER_COST.micros());
        let minutes = self.of(minutes, 10, 90, limits::OFFER_MINUTES);
        Offer { cost: Money::from_micros(micros), minutes }
    }

    fn site(self, x: u32, y: u32) -> Site {
        let furthest = limits::COORDINATE_METRES - 1;
        let metres = |draw: u32| {
            let side = if draw.is_multiple_of(2) { 1 } else { -1 };
            side * self.of(draw, 1_000, 25_000, furthest)
        };
        Site::point(metres(x), metres(y))
    }
}

type Draws = Vec<u32>;

/// A market of up to 40 providers (three groups of lanes) and four operations, with the prices of its minutes.
fn market() -> impl Strategy<Value = (Supply, Vec<Demand>, DualPrices)> {
    let firms = prop::collection::vec(prop::collection::vec(any::<u32>(), 14), 1..=40);
    let orders = prop::collection::vec(prop::collection::vec(0..4_u16, 0..8), 1..4);
    let rules = prop::collection::vec(any::<u32>(), 4);
    let horizon = prop_oneof![Just((0, 1)), (0..3_u32, 1..6_u32)];
    let fill = prop_oneof![Just(100_u32), Just(70), Just(20), Just(4)];
    (spread(), firms, orders, rules, fill, any::<bool>(), horizon).prop_map(
        |(spread, firms, orders, rules, fill, matrix, (first, periods))| {
            let horizon = Horizon { first: Period(first), periods, period_minutes: None };
            let count = firms.len() + orders.len();
            let geometry = if matrix { table(&firms, count.min(30)) } else { Geometry::Euclidean };
            let site = |index: usize, draws: &[u32]| match geometry {
                Geometry::Matrix(_) => Site::Place(draws[0] % u32::try_from(count.min(30)).expect("few")),
                Geometry::Euclidean => {
                    let at = spread.site(draws[0], draws[1]);
                    // One in many is no point of the plane: nothing goes to it or from it.
                    if index % 37 == 36 { Site::Place(0) } else { at }
                }
            };
            let providers = firms.iter().enumerate().map(|(index, draws)| Provider {
                name: String::new(),
                site: site(index, draws),
                offers: (0..4_u16)
                    .filter(|&operation| draws[usize::from(operation) + 2] % 100 < fill)
                    .map(|operation| {
                        let at = usize::from(operation);
                        (OperationId(operation), spread.offer(draws[at + 6], draws[at + 10]))
                    })
                    .collect(),
                capacity: (draws[0] % 4 > 0).then(|| {
                    let minutes = |draw: &u32| spread.of(*draw, 20, 120, limits::CAPACITY_MINUTES);
                    Calendar::new(draws[6..8].iter().map(minutes).collect(), BTreeMap::new())
                }),
            });
            // Some slots have no price, so that going on later is sometimes as cheap.
            let price = |draw: u32| match draw % 3 {
                0 => 0,
                _ => spread.of(draw, 100_000, 300_000, limits::CAPACITY_PRICE.micros()),
            };
            let slots = firms.iter().flat_map(|draws| draws.iter().cycle().skip(5).take(periods as usize));
            let prices = DualPrices::in_order(horizon, slots.map(|&draw| Money::from_micros(price(draw))));
            let demands = orders.into_iter().zip(&firms).enumerate().map(|(index, (orders, draws))| Demand {
                name: String::new(),
                site: site(index, &draws[2..]),
                orders: orders.into_iter().map(OperationId).collect(),
                budget: Money::ZERO,
                window: match draws[3] % 3 {
                    0 => {
                        TimeWindow { release: Period(draws[4] % 4), due: Period(draws[4] % 4 + draws[5] % 3) }
                    }
                    _ => TimeWindow::ANY,
                },
            });
            let demands = demands.collect();
            let supply = Supply {
                providers: providers.collect(),
                rules: cost_rules(spread, &rules),
                geometry,
                horizon,
            };
            (supply, demands, prices)
        },
    )
}

fn cost_rules(spread: Spread, draws: &[u32]) -> CostRules {
    CostRules {
        rate_per_km: Money::from_micros(spread.of(draws[0], 500_000, 900_000, limits::RATE_PER_KM.micros())),
        value_of_minute: Money::from_micros(spread.of(draws[1], 0, 5_000, limits::VALUE_OF_MINUTE.micros())),
        metres_per_minute: 1 + i64::from(draws[2] % 1_000),
        deliver: draws[3].is_multiple_of(2),
    }
}

/// A table of distances that need be neither symmetric nor metric.
fn table(firms: &[Draws], places: usize) -> Geometry {
    let rows = (0..places).map(|from| {
        let distance = |to: usize| {
            let draw = firms[from % firms.len()][to % 14] ^ firms[to % firms.len()][from % 14];
            if from == to { 0 } else { i64::from(draw % 30_000) }
        };
        (0..places).map(distance).collect()
    });
    let rows: Vec<Vec<i64>> = rows.collect();
    Geometry::Matrix(DistanceMatrix::new(&rows).expect("a square of distances"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_way_gives_the_answers_of_the_plain_loop((supply, demands, prices) in market()) {
        assert_all_ways_agree_with_the_plain_loop(&supply, &demands, &prices);
        assert_all_ways_agree_with_the_plain_loop(&supply, &demands, &DualPrices::zero());
    }

    #[test]
    fn with_closed_offers_every_way_gives_the_answers_of_a_market_without_them(
        (supply, demands, prices) in market(), spare in prop::collection::vec(0_i64..100, 200),
    ) {
        let spare = &spare[..supply.slot_count()];
        let whole = supply.capacities();
        let less = whole.iter().zip(spare).map(|(&whole, &spare)| Some(whole.map_or(spare, |whole| whole.min(spare))));
        let without = supply.clone().with_capacities(&less.collect::<Vec<_>>());
        let limits = Limits { spare: Some(spare), closed: &[] };
        for (kernel, legs) in Kernel::ALL.into_iter().flat_map(|kernel| [(kernel, 0), (kernel, 1_000)]) {
            let tables = Tables::with_legs_up_to(&supply, legs);
            let (offers, mut finder) = (tables.priced(&prices), PathFinder::new(kernel));
            for demand in &demands {
                let cost = finder.cheapest(&tables, &offers, &tables.task(demand), limits);
                let path = finder.path().iter().map(|&number| supply.horizon.slot(number as usize)).collect();
                let found = cost.map(|cost| (Money::from_micros(cost), path));
                prop_assert_eq!(found, plain(&without, demand, &prices));
            }
        }
    }
}

/// Everybody offers both operations at the same cost, from one place.
fn alike(providers: usize, cost: Money) -> Supply {
    let offer = Offer { cost, minutes: 1 };
    let provider = Provider {
        name: String::new(),
        site: Site::point(0, 0),
        offers: (0..2).map(|operation| (OperationId(operation), offer)).collect(),
        capacity: None,
    };
    let rules = CostRules {
        rate_per_km: Money::from_units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 1,
        deliver: false,
    };
    Supply {
        providers: vec![provider; providers],
        rules,
        geometry: Geometry::Euclidean,
        horizon: Horizon::SINGLE,
    }
}

fn demand(orders: usize) -> Demand {
    Demand {
        name: String::new(),
        site: Site::point(0, 0),
        orders: (0..orders).map(|order| OperationId((order % 2).try_into().expect("0 or 1"))).collect(),
        budget: Money::ZERO,
        window: TimeWindow::ANY,
    }
}

#[test]
fn where_everything_costs_the_same_the_first_provider_does_it_all() {
    for kernel in Kernel::ALL {
        let supply = alike(33, Money::from_units(2));
        let best = Oracle::new(&supply).with_kernel(kernel).cheapest(&demand(5), &DualPrices::zero());
        let best = best.expect("everybody offers it");
        let first = vec![Slot::single(ProviderId(0)); 5];
        assert_eq!((best.priced_cost, best.slots), (Money::from_units(10), first));
    }
}

#[test]
fn the_longest_path_at_the_largest_costs_is_exact() {
    for kernel in Kernel::ALL {
        let supply = alike(3, limits::OFFER_COST);
        let longest = demand(limits::ORDERS_PER_DEMAND);
        let prices = DualPrices::single(vec![limits::CAPACITY_PRICE; 3]);
        let best = Oracle::new(&supply).with_kernel(kernel).cheapest(&longest, &prices);
        // 256 orders of 1,000,000 $ and a minute at 1,000 $.
        assert_eq!(best.expect("everybody offers it").priced_cost, Money::from_units(256 * 1_001_000));
    }
}

#[test]
fn a_market_too_large_for_a_table_of_legs_is_solved_from_node_to_node() {
    let mut supply = alike(1_100, Money::from_units(3));
    for (index, provider) in (0_i64..).zip(&mut supply.providers) {
        provider.site = Site::point(index * 7_919 % 50_000, index * 104_729 % 50_000);
        for (operation, offer) in &mut provider.offers {
            offer.cost = Money::from_units(10 + (index * 31 + i64::from(operation.0) * 17) % 37);
        }
    }
    assert_all_ways_agree_with_the_plain_loop(&supply, &[demand(4)], &DualPrices::zero());
}
