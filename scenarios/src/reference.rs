//! Paper A's reference solution, which a block must beat under schedule `paper`: the exact expectation of a random
//! assignment. Each order goes to one of those that offer its operation, all alike and independently of the others,
//! so by linearity a demand's expected cost is the sum of the mean cost of each order and the mean leg between the
//! offers of consecutive orders (and to the demander, where delivered); costs are what [`crate::evaluate()`] counts,
//! with the value of time. The sum is rational, is floored once per demand, and is of integers throughout. Nothing is
//! drawn, so there is nothing to grind.
//!
//! Who may serve a demand is a question of its [`Area`]: a strip of the window, one for each miner, as the paper's
//! miners divided their problem, or the whole market for what its own strip cannot serve.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result as Written};

use crate::geometry::Site;
use crate::instance::{Demand, Supply};
use crate::scenario::Window;
use crate::units::{Money, OperationId, ProviderId};

/// The part of a market in which a demand is composed, and with it all of its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// A strip of the window, counted from the west.
    Strip(usize),
    /// All of it: for demands whose own strip does not offer everything they order.
    Market,
}

impl Display for Area {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        match self {
            Self::Strip(strip) => write!(f, "strip {}", strip + 1),
            Self::Market => f.write_str("the whole market"),
        }
    }
}

/// The areas of a supply, and what a random assignment costs in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    supply: Supply,
    window: Window,
    strips: usize,
    /// Areas in which anything is offered.
    areas: BTreeMap<Area, Offered>,
}

/// What is offered in an area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offered {
    operations: BTreeMap<OperationId, Orders>,
    /// Different sets of those who offer an operation: most markets have few.
    sets: Vec<Vec<ProviderId>>,
}

/// Orders of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Orders {
    /// Those who offer it.
    set: usize,
    /// What all of them together ask for one order, with the value of its minutes, in micro-units.
    cost: i128,
}

impl References {
    /// Of a supply in so many strips, at least 1, of this window.
    pub fn new(supply: Supply, window: Window, strips: usize) -> Self {
        let strips = strips.max(1);
        let mut members: BTreeMap<Area, Vec<ProviderId>> = BTreeMap::new();
        for (id, provider) in supply.provider_ids().zip(&supply.providers) {
            let strip = Area::Strip(window.strip(provider.site, strips));
            for area in [strip, Area::Market] {
                members.entry(area).or_default().push(id);
            }
        }
        let areas = members.into_iter().map(|(area, members)| (area, Offered::by(&supply, &members)));
        let areas = areas.collect();
        Self { supply, window, strips, areas }
    }

    /// The strips there are.
    pub const fn strips(&self) -> usize {
        self.strips
    }

    /// Where a demand is composed: in its strip, or in the whole market if its strip does not offer everything it
    /// orders; `None` if the market does not either.
    pub fn area_of(&self, demand: &Demand) -> Option<Area> {
        let own = Area::Strip(self.window.strip(demand.site, self.strips));
        let offers_all = |area: &Area| {
            let offered = self.areas.get(area);
            offered.is_some_and(|offered| {
                demand.orders.iter().all(|order| offered.operations.contains_key(order))
            })
        };
        [own, Area::Market].into_iter().find(offers_all)
    }

    /// Whether a provider at this site serves the demands of an area.
    pub fn is_within(&self, area: Area, site: Site) -> bool {
        match area {
            Area::Strip(strip) => self.window.strip(site, self.strips) == strip,
            Area::Market => true,
        }
    }

    /// For working out what random assignments cost.
    pub const fn means(&self) -> Means<'_> {
        Means { references: self, legs: BTreeMap::new() }
    }
}

impl Offered {
    fn by(supply: &Supply, members: &[ProviderId]) -> Self {
        let mut offers: BTreeMap<OperationId, (Vec<ProviderId>, i128)> = BTreeMap::new();
        for &id in members {
            let Some(provider) = supply.provider(id) else { continue };
            for (&operation, &offer) in &provider.offers {
                let (set, cost) = offers.entry(operation).or_default();
                set.push(id);
                *cost += i128::from((offer.cost + supply.processing_time_value(offer)).micros());
            }
        }
        let (mut offered, mut numbers) = (Self::default(), BTreeMap::new());
        for (operation, (members, cost)) in offers {
            let set = *numbers.entry(members.clone()).or_insert_with(|| {
                offered.sets.push(members);
                offered.sets.len() - 1
            });
            offered.operations.insert(operation, Orders { set, cost });
        }
        offered
    }
}

/// Works out expected costs, and remembers the legs it has added up.
#[derive(Clone, Debug)]
pub struct Means<'a> {
    references: &'a References,
    /// All legs between two sets of an area together, in micro-units.
    legs: BTreeMap<(Area, usize, usize), i128>,
}

impl Means<'_> {
    /// What a random assignment of a demand within an area costs on average, budget and capacities ignored, floored to a
    /// micro-unit; `None` if the area does not offer everything it orders.
    pub fn cost(&mut self, area: Area, demand: &Demand) -> Option<Money> {
        let references = self.references;
        let offered = references.areas.get(&area)?;
        let orders = demand.orders.iter().map(|operation| offered.operations.get(operation));
        let orders: Vec<&Orders> = orders.collect::<Option<_>>()?;
        let members = |orders: &Orders| offered.sets.get(orders.set).map_or(&[][..], Vec::as_slice);
        let mut mean = Fractions::default();
        for order in &orders {
            mean.add(order.cost, members(order).len());
        }
        for (from, to) in orders.iter().zip(orders.iter().skip(1)) {
            let ends = (members(from), members(to));
            mean.add(self.legs((area, from.set, to.set), ends)?, ends.0.len() * ends.1.len());
        }
        if let Some(last) = orders.last().filter(|_| references.supply.rules.deliver) {
            let legs = members(last).iter().map(|&from| self.leg(from, Some(demand.site)));
            mean.add(legs.sum::<Option<i128>>()?, members(last).len());
        }
        i64::try_from(mean.floor()).ok().map(Money::from_micros)
    }

    fn legs(
        &mut self,
        key: (Area, usize, usize),
        (from, to): (&[ProviderId], &[ProviderId]),
    ) -> Option<i128> {
        if let Some(&sum) = self.legs.get(&key) {
            return Some(sum);
        }
        let sites: Vec<Option<Site>> = to.iter().map(|&id| self.site(id)).collect();
        let pairs = from.iter().flat_map(|&from| sites.iter().map(move |&to| (from, to)));
        let sum = pairs.map(|(from, to)| self.leg(from, to)).sum::<Option<i128>>()?;
        self.legs.insert(key, sum);
        Some(sum)
    }

    fn leg(&self, from: ProviderId, to: Option<Site>) -> Option<i128> {
        self.references.supply.leg(self.site(from)?, to?).map(|leg| i128::from(leg.micros()))
    }

    fn site(&self, id: ProviderId) -> Option<Site> {
        self.references.supply.provider(id).map(|provider| provider.site)
    }
}

/// A sum of fractions, none negative: numerators by their denominators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fractions(BTreeMap<i128, i128>);

impl Fractions {
    /// Adds `numerator / denominator`; nothing over nothing is nothing.
    fn add(&mut self, numerator: i128, denominator: usize) {
        let denominator = i128::try_from(denominator).unwrap_or(i128::MAX);
        if denominator > 0 {
            *self.0.entry(denominator).or_default() += numerator;
        }
    }

    /// The greatest integer that is not above the sum, exactly. Denominators are below 2^36, but their least common multiple may
    /// fit no integer there is, so what they leave over whole numbers is added digit by digit, to base 2^64,
    /// until it is clear whether that reaches the next whole number. If digits enough to tell any other sum from it leave
    /// that open, it reaches it exactly.
    fn floor(&self) -> i128 {
        const DIGIT: u32 = 64;
        let whole: i128 =
            self.0.iter().map(|(denominator, numerator)| numerator.div_euclid(*denominator)).sum();
        let rests =
            self.0.iter().map(|(&denominator, numerator)| (denominator, numerator.rem_euclid(denominator)));
        let mut rests: Vec<(i128, i128)> = rests.filter(|&(_, rest)| rest > 0).collect();
        let count = i128::try_from(rests.len()).unwrap_or(i128::MAX);
        let bits = |number: i128| i128::BITS - number.leading_zeros();
        let digits =
            (rests.iter().map(|&(denominator, _)| bits(denominator)).sum::<u32>() + bits(count)) / DIGIT + 1;
        let mut next_digits = || -> i128 {
            let digits = rests.iter_mut().map(|(denominator, rest)| {
                let scaled = *rest << DIGIT;
                *rest = scaled % *denominator;
                scaled / *denominator
            });
            digits.sum()
        };
        let first = next_digits();
        let below = whole + (first >> DIGIT);
        // What is missing to the next whole number, in units of the last digit; what is still to come is less than `count`.
        let mut missing = (1 << DIGIT) - (first & ((1 << DIGIT) - 1));
        for _ in 0..digits {
            if missing >= count {
                return below;
            }
            if missing <= 0 {
                return below + 1;
            }
            missing = (missing << DIGIT) - next_digits();
        }
        if missing >= count { below } else { below + 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::evaluate_composition;
    use crate::geometry::Geometry;
    use crate::instance::{CostRules, Offer, Provider};
    use crate::periods::{Horizon, Slot, TimeWindow};
    use crate::units::Minutes;

    /// At `(x_m, 0)`, with offers of operations at costs in dollars and minutes.
    fn provider(x_m: i64, offers: &[(u16, i64, Minutes)]) -> Provider {
        let offers = offers.iter().map(|&(operation, cost, minutes)| {
            (OperationId(operation), Offer { cost: Money::from_units(cost), minutes })
        });
        let site = Site::point(x_m, 0);
        Provider { name: String::new(), site, offers: offers.collect(), capacity: None }
    }

    fn demand(x_m: i64, orders: &[u16]) -> Demand {
        let orders = orders.iter().copied().map(OperationId).collect();
        Demand {
            name: String::new(),
            site: Site::point(x_m, 0),
            orders,
            budget: Money::from_units(1),
            window: TimeWindow::ANY,
        }
    }

    fn supply(providers: Vec<Provider>, value_of_minute: i64, deliver: bool) -> Supply {
        let rules = CostRules {
            rate_per_km: Money::from_units(1),
            value_of_minute: Money::from_micros(value_of_minute),
            metres_per_minute: 500,
            deliver,
        };
        Supply { providers, rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE }
    }

    /// Of ten kilometres about (0, 0).
    const WINDOW: Window = Window::centred(10_000);

    fn cost(supply: &Supply, demand: &Demand) -> Option<Money> {
        References::new(supply.clone(), WINDOW, 1).means().cost(Area::Market, demand)
    }

    #[test]
    fn the_reference_is_the_mean_ask_of_each_order_and_the_mean_leg_between_two() {
        let providers = vec![provider(0, &[(0, 10, 7), (1, 4, 9)]), provider(3_000, &[(0, 13, 8)])];
        // (10 + 13) / 2 + 4; from 0 or 3 km away to 0: 1.5 $.
        assert_eq!(
            cost(&supply(providers.clone(), 0, false), &demand(0, &[0, 1])),
            Some(Money::from_micros(17_000_000))
        );
        // Delivered 1 km to the west of it.
        assert_eq!(
            cost(&supply(providers.clone(), 0, true), &demand(-1_000, &[0, 1])),
            Some(Money::from_micros(18_000_000))
        );
        // 7.5 and 9 minutes of work, 3 of travel on average, at 0.01 $ each.
        assert_eq!(
            cost(&supply(providers.clone(), 10_000, false), &demand(0, &[0, 1])),
            Some(Money::from_micros(17_195_000))
        );
        assert_eq!(cost(&supply(providers, 0, false), &demand(0, &[0, 2])), None, "nobody offers the second");
    }

    #[test]
    fn a_reference_is_floored_once_and_not_order_by_order() {
        let thirds = [0, 0, 1].map(|micros| Provider {
            offers: BTreeMap::from([(
                OperationId(0),
                Offer { cost: Money::from_micros(micros), minutes: 0 },
            )]),
            ..provider(0, &[])
        });
        let supply = supply(thirds.to_vec(), 0, false);
        let of = |orders: usize| cost(&supply, &demand(0, &vec![0; orders])).unwrap().micros();
        assert_eq!([of(1), of(2), of(3), of(4), of(6)], [0, 0, 1, 1, 2]);
    }

    #[test]
    fn a_demand_belongs_to_its_strip_unless_that_lacks_what_it_orders() {
        let providers =
            vec![provider(-1, &[(0, 1, 1), (1, 1, 1)]), provider(0, &[(0, 3, 1)]), provider(9, &[(0, 5, 1)])];
        let references = References::new(supply(providers, 0, false), WINDOW, 2);
        let area = |x_m, orders: &[u16]| references.area_of(&demand(x_m, orders));
        assert_eq!([area(-4_000, &[0, 1]), area(-1, &[0])], [Some(Area::Strip(0)), Some(Area::Strip(0))]);
        assert_eq!([area(0, &[0]), area(9_999, &[0])], [Some(Area::Strip(1)), Some(Area::Strip(1))]);
        assert_eq!([area(0, &[0, 1]), area(0, &[2])], [Some(Area::Market), None]);
        let mut means = references.means();
        let mut of = |area, x_m, orders: &[u16]| means.cost(area, &demand(x_m, orders)).map(Money::micros);
        assert_eq!(of(Area::Strip(1), 0, &[0]), Some(4_000_000));
        assert_eq!(of(Area::Market, 0, &[0]), Some(3_000_000));
        assert_eq!([of(Area::Strip(1), 0, &[1]), of(Area::Strip(7), 0, &[0])], [None, None]);
        assert!(references.is_within(Area::Strip(1), Site::point(0, 0)));
        assert!(!references.is_within(Area::Strip(1), Site::point(-1, 0)));
        assert!(references.is_within(Area::Market, Site::point(-1, 0)));
    }

    #[test]
    fn strips_without_offers_are_no_areas() {
        let references = References::new(supply(vec![provider(4_000, &[(0, 1, 1)])], 0, false), WINDOW, 3);
        assert_eq!(references.area_of(&demand(-4_000, &[0])), Some(Area::Market));
        assert_eq!(references.area_of(&demand(4_000, &[0])), Some(Area::Strip(2)));
    }

    #[test]
    fn sums_of_fractions_that_just_reach_a_whole_number_reach_it() {
        let floor = |terms: &[(i128, usize)]| {
            let mut sum = Fractions::default();
            for &(numerator, denominator) in terms {
                sum.add(numerator, denominator);
            }
            sum.floor()
        };
        assert_eq!(floor(&[]), 0);
        assert_eq!(floor(&[(7, 2), (0, 0)]), 3);
        assert_eq!([floor(&[(1, 2), (1, 3), (1, 6)]), floor(&[(1, 2), (1, 3), (1, 7)])], [1, 0]);
        assert_eq!(floor(&[(5, 2), (7, 3), (7, 6)]), 6);
        // Primes whose product fits no integer here: 1 - 1 / p each, in all 7 less a hair, and with it.
        let primes = [1_000_003, 1_000_033, 1_000_037, 1_000_039, 1_000_081, 1_000_099, 1_000_117, 1_000_121];
        let mut terms: Vec<(i128, usize)> =
            primes.iter().map(|&prime| (prime - 1, usize::try_from(prime).unwrap())).collect();
        assert_eq!(floor(&terms), 7);
        terms.extend(primes.iter().map(|&prime| (1, usize::try_from(prime).unwrap())));
        assert_eq!(floor(&terms), 8);
        terms[3].0 -= 1;
        assert_eq!(floor(&terms), 7);
    }

    /// The costs of all ways to serve a demand.
    fn all_costs(supply: &Supply, demand: &Demand) -> Vec<i128> {
        let mut ways: Vec<Vec<ProviderId>> = vec![Vec::new()];
        for operation in &demand.orders {
            let offering: Vec<ProviderId> = supply
                .provider_ids()
                .filter(|id| supply.providers[id.index()].offers.contains_key(operation))
                .collect();
            ways =
                ways.iter().flat_map(|way| offering.iter().map(|&id| [&way[..], &[id]].concat())).collect();
        }
        let cost = |way: &Vec<ProviderId>| {
            let way: Vec<Slot> = way.iter().copied().map(Slot::single).collect();
            i128::from(evaluate_composition(supply, demand, 0, &way).unwrap().cost().micros())
        };
        ways.iter().map(cost).collect()
    }

    proptest! {
        #[test]
        fn the_reference_is_the_mean_over_all_assignments(
            sites in prop::collection::vec((-5_000_i64..5_000, -5_000_i64..5_000), 1..5),
            asks in prop::collection::vec(prop::option::of((0_i64..1_000, 0_i64..90)), 12),
            orders in prop::collection::vec(0_u16..3, 0..5),
            value_of_minute in prop_oneof![Just(0), 0_i64..9_999],
            deliver: bool,
        ) {
            let providers = sites.iter().zip(asks.chunks(3)).map(|(&(x_m, y_m), asks)| {
                let offers = (0..).zip(asks).filter_map(|(operation, ask)| {
                    let (cost, minutes) = (*ask)?;
                    Some((OperationId(operation), Offer { cost: Money::from_micros(cost), minutes }))
                });
                Provider { site: Site::point(x_m, y_m), offers: offers.collect(), ..provider(0, &[]) }
            });
            let supply = supply(providers.collect(), value_of_minute, deliver);
            let demand = Demand { budget: Money::from_units(1_000_000), ..demand(77, &orders) };
            let costs = all_costs(&supply, &demand);
            let mean = (!costs.is_empty()).then(|| costs.iter().sum::<i128>().div_euclid(costs.len() as i128));
            let got = cost(&supply, &demand).map(|cost| i128::from(cost.micros()));
            prop_assert_eq!(got, mean);
        }
    }
}
