//! Generated scenarios: the Tehran problems of this repository, and new ones of any size.
//!
//! The same [`GenerateParameters`] make the same scenario byte for byte on every platform: draws are of our
//! own, arithmetic is integer but for the projection of places, which uses only operations that
//! IEEE 754 fixes.

mod draw;
mod names;
mod parameters;
mod places;
mod presets;
mod sites;

use std::collections::BTreeMap;

pub use parameters::{CalendarParameters, GenerateParameters, SiteParameters, WesternHalf};
pub use places::{ATTRIBUTION, TEHRAN};

use crate::findings::Findings;
use crate::geometry::Geometry;
use crate::instance::{CostRules, Demand, Instance, Offer, Provider, Supply};
use crate::limits;
use crate::oracle::Oracle;
use crate::periods::{Calendar, Horizon, Period, TimeWindow};
use crate::random_assignment::RandomAssignment;
use crate::scenario::Scenario;
use crate::units::{Minutes, Money, OperationId};
use draw::{Deck, Draw, Stream};
use names::Firm;
use parameters::CENT_MICROS;
use sites::{DrawnSite, Sites};

/// Travel speed of generated markets: 30 km/h. It matters only once somebody gives time a value.
const METRES_PER_MINUTE: i64 = 500;

/// Budgets are rounded up to whole tens of dollars.
const BUDGET_STEP: i64 = 10 * Money::MICROS_PER_UNIT;

/// Makes the scenario of these parameters.
///
/// # Errors
/// What is wrong with the parameters.
pub fn generate(parameters: &GenerateParameters) -> Result<Scenario, Findings> {
    parameters.validate()?;
    let sites = Sites::new(parameters);
    let mut names = Draw::new(parameters.rng_seed, Stream::Names);
    let providers = providers(parameters, &sites, &mut names)?;
    let demands = demands(parameters, &sites, &mut names)?;
    let rules = CostRules {
        rate_per_km: parameters.rate_per_km,
        value_of_minute: parameters.value_of_minute,
        metres_per_minute: METRES_PER_MINUTE,
        deliver: parameters.deliver,
    };
    let mut instance = Instance {
        supply: Supply { providers, rules, geometry: Geometry::Euclidean, horizon: horizon(parameters) },
        demands,
    };
    complete(&mut instance, parameters);
    let around_tehran = matches!(parameters.sites, SiteParameters::Tehran { .. });
    let mut scenario = Scenario {
        name: parameters.name.clone(),
        description: presets::description(parameters),
        attribution: if around_tehran { ATTRIBUTION.to_owned() } else { String::new() },
        generator: Some(parameters.clone()),
        origin: around_tehran.then_some(TEHRAN),
        window: Some(sites.window()),
        operations: names::operations(parameters.operations),
        period_names: if parameters.calendar.is_some() {
            WEEK.map(|(day, _)| day.to_owned()).into()
        } else {
            Vec::new()
        },
        instance,
        network: presets::network(parameters),
        search: presets::search(parameters),
        experiment: presets::experiment(parameters),
    };
    scenario.network.limits = scenario.network.limits.with_room_for(scenario.market_work());
    scenario.validate().map(|()| scenario)
}

fn western_half(parameters: &GenerateParameters) -> Option<WesternHalf> {
    match parameters.sites {
        SiteParameters::Tehran { western_half, .. } => western_half,
        SiteParameters::Uniform => None,
    }
}

/// Providers without capacities, each offering every operation. Costs of one operation differ in pairs, and so
/// do its minutes, as long as there are as many values as providers.
fn providers(
    parameters: &GenerateParameters,
    sites: &Sites,
    names: &mut Draw,
) -> Result<Vec<Provider>, Findings> {
    let mut draw = Draw::new(parameters.rng_seed, Stream::ProviderSites);
    let west = western_half(parameters).map(|half| half.providers);
    let sites = sites.draw(&mut draw, parameters.providers, west)?;
    let names = names::firms(names, &sites, Firm::Provider);
    let unoffered = |(DrawnSite { site, .. }, name): (&DrawnSite, String)| Provider {
        name,
        site: *site,
        offers: BTreeMap::new(),
        capacity: None,
    };
    let mut providers: Vec<Provider> = sites.iter().zip(names).map(unoffered).collect();
    let mut draw = Draw::new(parameters.rng_seed, Stream::Offers);
    let cents = (parameters.cost_max - parameters.cost_min).micros() / CENT_MICROS + 1;
    let minutes = parameters.minutes_max - parameters.minutes_min + 1;
    for operation in operation_ids(parameters) {
        let mut costs = Deck::new(cents.unsigned_abs());
        let mut durations = Deck::new(minutes.unsigned_abs());
        for provider in &mut providers {
            let cost = Money::from_micros(costs.next(&mut draw).cast_signed() * CENT_MICROS);
            let duration = durations.next(&mut draw).cast_signed();
            let offer =
                Offer { cost: parameters.cost_min + cost, minutes: parameters.minutes_min + duration };
            provider.offers.insert(operation, offer);
        }
    }
    Ok(providers)
}

/// Demands without budgets, their orders drawn from a deck of all operations.
fn demands(
    parameters: &GenerateParameters,
    sites: &Sites,
    names: &mut Draw,
) -> Result<Vec<Demand>, Findings> {
    let mut draw = Draw::new(parameters.rng_seed, Stream::DemandSites);
    let west = western_half(parameters).map(|half| half.demands);
    let sites = sites.draw(&mut draw, parameters.demands, west)?;
    let names = names::firms(names, &sites, Firm::Demander);
    let mut draw = Draw::new(parameters.rng_seed, Stream::Orders);
    let demand = |(drawn, name): (&DrawnSite, String)| {
        let mut orders: Vec<OperationId> = Vec::new();
        while orders.len() < parameters.orders_per_demand as usize {
            let mut round: Vec<OperationId> = operation_ids(parameters).collect();
            draw.shuffle(&mut round);
            orders.append(&mut round);
        }
        orders.truncate(parameters.orders_per_demand as usize);
        Demand { name, site: drawn.site, orders, budget: Money::ZERO, window: TimeWindow::ANY }
    };
    Ok(sites.iter().zip(names).map(demand).collect())
}

fn operation_ids(parameters: &GenerateParameters) -> impl Iterator<Item = OperationId> + use<> {
    (0..=u16::MAX).map(OperationId).take(parameters.operations as usize)
}

/// Sets budgets and capacities, which follow from what a random assignment would cost and use.
fn complete(instance: &mut Instance, parameters: &GenerateParameters) {
    let supply = instance.supply.clone();
    let oracle = Oracle::new(&supply);
    let mut random = RandomAssignment::new(&oracle);
    let mut work: i64 = 0;
    for demand in &mut instance.demands {
        let expected = random.cost(demand).unwrap_or(Money::ZERO).micros();
        let steps = (2 * expected + BUDGET_STEP - 1) / BUDGET_STEP;
        demand.budget = Money::from_micros(steps * BUDGET_STEP).min(limits::BUDGET);
        work += demand.orders.iter().filter_map(|&operation| random.minutes(operation)).sum::<Minutes>();
    }
    if let Some(share) = parameters.capacity_ppm {
        let total = i128::from(work) * i128::from(share) / 1_000_000;
        let mut draw = Draw::new(parameters.rng_seed, Stream::Capacities);
        // Shares of half to one and a half of the mean.
        let shares: Vec<i128> =
            instance.supply.providers.iter().map(|_| 500 + i128::from(draw.below(1_001))).collect();
        let sum: i128 = shares.iter().sum();
        for (provider, share) in instance.supply.providers.iter_mut().zip(shares) {
            let capacity = i64::try_from(total * share / sum).unwrap_or(i64::MAX);
            provider.capacity =
                Some(calendar(capacity.min(limits::CAPACITY_MINUTES), instance.supply.horizon));
        }
    }
    if let Some(CalendarParameters { days, window_days: Some(window) }) = parameters.calendar {
        let mut draw = Draw::new(parameters.rng_seed, Stream::Windows);
        for demand in &mut instance.demands {
            let last = u64::from(days.saturating_sub(window));
            let release = Period(u32::try_from(draw.below(last + 1)).unwrap_or(0));
            demand.window = TimeWindow { release, due: release.plus(window.saturating_sub(1)) };
        }
    }
}

/// Days of the week, and how many half days are worked in them.
const WEEK: [(&str, i64); 7] = [
    ("Saturday", 2),
    ("Sunday", 2),
    ("Monday", 2),
    ("Tuesday", 2),
    ("Wednesday", 2),
    ("Thursday", 1),
    ("Friday", 0),
];

/// Minutes of a day.
const DAY_MINUTES: Minutes = 24 * 60;

fn horizon(parameters: &GenerateParameters) -> Horizon {
    parameters.calendar.map_or(Horizon::SINGLE, |calendar| Horizon {
        first: Period::ZERO,
        periods: calendar.days,
        period_minutes: Some(DAY_MINUTES),
    })
}

/// Weeks that have nearly these minutes in all.
fn calendar(total: Minutes, horizon: Horizon) -> Calendar {
    if horizon == Horizon::SINGLE {
        return total.into();
    }
    let all: i64 = WEEK.iter().cycle().take(horizon.len()).map(|(_, halves)| halves).sum();
    let pattern = WEEK.iter().map(|(_, halves)| total * halves / all.max(1));
    Calendar::new(pattern.collect(), BTreeMap::new())
}
