//! Checks a scenario against [`crate::limits`]: every value in its range, every reference to something that
//! exists, names unique. Paths in findings are those of the scenario file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::check_settings::check_parameters;
use crate::findings::Findings;
use crate::geometry::Geometry;
use crate::instance::{CostRules, Demand, Instance, Provider};
use crate::limits;
use crate::oracle::path_work;
use crate::periods::{Period, TimeWindow};
use crate::scenario::{Scenario, Window};
use crate::units::{Money, OperationId};

impl Scenario {
    /// Checks everything that reading a file checks; of use to code that builds scenarios.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<(), Findings> {
        let mut findings = Findings::default();
        check_scenario(&mut findings, self);
        findings.into_result()
    }

    /// The edge relaxations that shortest paths for all demands take together, with all offers of each operation.
    pub fn market_work(&self) -> u64 {
        let mut counts: BTreeMap<OperationId, u64> = BTreeMap::new();
        for operation in self.instance.supply.providers.iter().flat_map(|provider| provider.offers.keys()) {
            *counts.entry(*operation).or_default() += 1;
        }
        let count = |operation: &OperationId| counts.get(operation).copied().unwrap_or(0);
        let horizon = self.instance.supply.horizon;
        let periods = |demand: &Demand| horizon.within(demand.window).map_or(0, |(_, count)| count as u64);
        let work =
            |demand: &Demand| path_work(demand.orders.iter().map(count)).saturating_mul(periods(demand));
        self.instance.demands.iter().map(work).fold(0_u64, u64::saturating_add)
    }

    /// Checks that a network of this scenario takes in all its demands at once. Who only composes it needs no such room.
    ///
    /// # Errors
    /// If its limits are too small for that.
    pub fn validate_room(&self) -> Result<(), Findings> {
        let mut findings = Findings::default();
        let (got, pass) = (self.network.limits.market_work, self.market_work());
        if pass > got {
            let expected = format_args!(
                "at least the {pass} steps that shortest paths for all demands take, and eight times as many in \
                 network.limits.verification_work"
            );
            findings.add("network.limits.market_work", got, expected);
        }
        findings.into_result()
    }
}

pub(crate) fn check_scenario(findings: &mut Findings, scenario: &Scenario) {
    check_name(findings, "name", &scenario.name);
    if let Some(generator) = &scenario.generator {
        generator.check(findings, "generator.");
    }
    if let Some(origin) = scenario.origin.filter(|origin| !origin.is_valid()) {
        let got = format!("latitude {}, longitude {}", origin.latitude, origin.longitude);
        findings.add("origin", got, "-90 to 90 and -180 to 180 degrees");
    }
    if let Some(window) = &scenario.window {
        check_window(findings, window);
    }
    check_parameters(findings, &scenario.network);
    scenario.search.check(findings);
    scenario.experiment.check(findings);
    check_count(findings, "operations", scenario.operations.len(), limits::OPERATIONS);
    check_names(findings, scenario.operations.iter().map(String::as_str), |position| {
        format!("operations[{position}]")
    });
    check_periods(findings, scenario);
    check_instance(findings, &scenario.instance, &scenario.operations);
    check_least_budgets(findings, scenario);
}

/// That the network takes each demand for large enough.
fn check_least_budgets(findings: &mut Findings, scenario: &Scenario) {
    let an_order = scenario.network.min_budget;
    for (position, demand) in scenario.instance.demands.iter().enumerate() {
        let orders = i64::try_from(demand.orders.len()).unwrap_or(i64::MAX);
        let least = an_order.checked_mul(orders).unwrap_or(limits::BUDGET);
        if (Money::from_micros(1)..least).contains(&demand.budget) {
            let expected = format_args!("at least {least}, {an_order} an order as network.min_budget says");
            findings.add(format_args!("demands[{position}].budget"), demand.budget, expected);
        }
    }
}

/// A name of 1 to [`limits::NAME_BYTES`] bytes without control characters or spaces at its ends.
pub(crate) fn check_name(findings: &mut Findings, path: impl Display, name: &str) {
    let length = 1..=limits::NAME_BYTES;
    if !length.contains(&name.len()) || name.chars().any(char::is_control) || name.trim() != name {
        let expected = format_args!("1 to {} bytes, no control characters, trimmed", limits::NAME_BYTES);
        findings.add(path, format_args!("{name:?}"), expected);
    }
}

fn check_names<'a>(
    findings: &mut Findings,
    names: impl Iterator<Item = &'a str>,
    path: impl Fn(usize) -> String,
) {
    let mut seen = BTreeMap::new();
    for (position, name) in names.enumerate() {
        check_name(findings, path(position), name);
        if let Some(first) = seen.insert(name, position) {
            let expected = format!("a name that {} does not have", path(first));
            findings.add(path(position), format_args!("{name:?}"), expected);
        }
    }
}

pub(crate) fn check_count(findings: &mut Findings, path: impl Display, got: usize, most: usize) {
    if !(1..=most).contains(&got) {
        findings.add(path, format_args!("{got} entries"), format_args!("1 to {most}"));
    }
}

pub(crate) fn check_range<T: PartialOrd + Display>(
    findings: &mut Findings,
    path: impl Display,
    got: T,
    range: RangeInclusive<T>,
) {
    if !range.contains(&got) {
        findings.add(path, got, format_args!("{} to {}", range.start(), range.end()));
    }
}

fn check_window(findings: &mut Findings, window: &Window) {
    let plane = 1 - limits::COORDINATE_METRES..=limits::COORDINATE_METRES;
    for (path, edge) in [
        ("window.west_m", window.west_m),
        ("window.south_m", window.south_m),
        ("window.east_m", window.east_m),
        ("window.north_m", window.north_m),
    ] {
        check_range(findings, path, edge, plane.clone());
    }
    if window.east_m <= window.west_m {
        findings.add("window.east_m", window.east_m, format_args!("more than west_m, {}", window.west_m));
    }
    if window.north_m <= window.south_m {
        findings.add("window.north_m", window.north_m, format_args!("more than south_m, {}", window.south_m));
    }
}

fn check_instance(findings: &mut Findings, instance: &Instance, operations: &[String]) {
    check_rules(findings, &instance.supply.rules);
    let providers = &instance.supply.providers;
    check_count(findings, "providers", providers.len(), limits::PROVIDERS);
    check_names(findings, providers.iter().map(|provider| provider.name.as_str()), |position| {
        format!("providers[{position}].name")
    });
    for (position, provider) in providers.iter().enumerate() {
        check_provider(findings, position, provider, operations, &instance.supply.geometry);
    }
    check_count(findings, "demands", instance.demands.len(), limits::DEMANDS);
    check_names(findings, instance.demands.iter().map(|demand| demand.name.as_str()), |position| {
        format!("demands[{position}].name")
    });
    for (position, demand) in instance.demands.iter().enumerate() {
        check_demand(findings, position, demand, operations, &instance.supply.geometry);
    }
}

/// The horizon, and that nobody speaks of periods where there is no calendar.
fn check_periods(findings: &mut Findings, scenario: &Scenario) {
    let Instance { supply, demands } = &scenario.instance;
    let Some(minutes) = supply.horizon.period_minutes else {
        for (position, provider) in supply.providers.iter().enumerate() {
            if provider
                .capacity
                .as_ref()
                .is_some_and(|calendar| *calendar != calendar.minutes_in(Period::ZERO).into())
            {
                let path = format_args!("providers[{position}].capacity_minutes");
                findings.say(path, "of several periods, which takes a `calendar`");
            }
        }
        for (position, _) in demands.iter().enumerate().filter(|(_, demand)| demand.window != TimeWindow::ANY)
        {
            let path = format_args!("demands[{position}]");
            findings.say(path, "with `release` or `due`, which takes a `calendar`");
        }
        return;
    };
    check_count(findings, "calendar.periods", supply.horizon.len(), limits::PERIODS);
    check_range(findings, "calendar.period_minutes", minutes, 1..=limits::OFFER_MINUTES);
    if scenario.period_names.len() > limits::CALENDAR_ENTRIES {
        check_count(findings, "calendar.names", scenario.period_names.len(), limits::CALENDAR_ENTRIES);
    }
    for (position, name) in scenario.period_names.iter().enumerate() {
        check_name(findings, format_args!("calendar.names[{position}]"), name);
    }
}

fn check_period(findings: &mut Findings, path: impl Display, period: Period) {
    check_range(findings, path, period.0, 0..=limits::LATEST_PERIOD);
}

fn check_rules(findings: &mut Findings, rules: &CostRules) {
    check_range(findings, "market.rate_per_km", rules.rate_per_km, Money::ZERO..=limits::RATE_PER_KM);
    let value = Money::ZERO..=limits::VALUE_OF_MINUTE;
    check_range(findings, "market.value_of_minute", rules.value_of_minute, value);
    let speed = 1..=limits::DISTANCE_METRES;
    check_range(findings, "market.metres_per_minute", rules.metres_per_minute, speed);
}

fn check_provider(
    findings: &mut Findings,
    position: usize,
    provider: &Provider,
    operations: &[String],
    geometry: &Geometry,
) {
    if !geometry.contains(provider.site) {
        refuse_site(findings, format_args!("providers[{position}].site"), geometry);
    }
    if let Some(calendar) = &provider.capacity {
        let path = format_args!("providers[{position}].capacity_minutes");
        let most = limits::CALENDAR_ENTRIES;
        check_count(findings, path, calendar.pattern().len(), most);
        if calendar.exceptions().len() > most {
            let got = format_args!("{} entries", calendar.exceptions().len());
            findings.add(
                format_args!("providers[{position}].capacity_exceptions"),
                got,
                format_args!("at most {most}"),
            );
        }
        let wrong = calendar.all_minutes().find(|minutes| !(0..=limits::CAPACITY_MINUTES).contains(minutes));
        if let Some(got) = wrong {
            check_range(findings, path, got, 0..=limits::CAPACITY_MINUTES);
        }
        if let Some((&latest, _)) = calendar.exceptions().last_key_value() {
            let path = format_args!("providers[{position}].capacity_exceptions");
            check_period(findings, path, latest);
        }
    }
    if provider.offers.is_empty() {
        findings.say(format_args!("providers[{position}].offers"), "expected at least one operation");
    }
    for (operation, offer) in &provider.offers {
        let Some(name) = operations.get(operation.index()) else {
            let expected = format!("one of {} operations", operations.len());
            findings.add(format_args!("providers[{position}].offers"), operation, expected);
            continue;
        };
        let path = format_args!("providers[{position}].offers.{name}");
        check_range(findings, format_args!("{path}.cost"), offer.cost, Money::ZERO..=limits::OFFER_COST);
        check_range(findings, format_args!("{path}.minutes"), offer.minutes, 0..=limits::OFFER_MINUTES);
    }
}

fn check_demand(
    findings: &mut Findings,
    position: usize,
    demand: &Demand,
    operations: &[String],
    geometry: &Geometry,
) {
    if !geometry.contains(demand.site) {
        refuse_site(findings, format_args!("demands[{position}].site"), geometry);
    }
    if demand.budget <= Money::ZERO || demand.budget > limits::BUDGET {
        let expected = format_args!("more than 0, at most {}", limits::BUDGET);
        findings.add(format_args!("demands[{position}].budget"), demand.budget, expected);
    }
    let TimeWindow { release, due } = demand.window;
    check_period(findings, format_args!("demands[{position}].release"), release);
    if due != Period::LAST {
        check_period(findings, format_args!("demands[{position}].due"), due);
    }
    if due < release {
        let expected = format_args!("{} or later, its release", release.0);
        findings.add(format_args!("demands[{position}].due"), due.0, expected);
    }
    let orders = demand.orders.len();
    check_count(findings, format_args!("demands[{position}].orders"), orders, limits::ORDERS_PER_DEMAND);
    for (order, operation) in demand.orders.iter().enumerate() {
        if operation.index() >= operations.len() {
            let expected = format!("one of {} operations", operations.len());
            findings.add(format_args!("demands[{position}].orders[{order}]"), operation, expected);
        }
    }
}

fn refuse_site(findings: &mut Findings, path: impl Display, geometry: &Geometry) {
    match geometry {
        Geometry::Euclidean => findings.say(
            path,
            format_args!(
                "expected a point less than {} m from the origin on each axis",
                limits::COORDINATE_METRES
            ),
        ),
        Geometry::Matrix(matrix) => {
            findings.say(path, format_args!("expected a place below {}", matrix.places()));
        }
    }
}
