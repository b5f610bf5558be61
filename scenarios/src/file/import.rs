//! Reads *numbered instances*, a plain exchange format of service-composition instances, as scenarios.
//!
//! A numbered instance is a JSON object that has numbers where a scenario has names:
//!
//! ```json
//! {
//!   "name": "two firms", "operations": 2, "rate_milli_per_km": 700,
//!   "providers": [
//!     {"x_m": 0, "y_m": 0, "cost_milli": [25000, 11500], "minutes": [30, 45], "capacity_minutes": 120},
//!     {"x_m": 4000, "y_m": 300, "cost_milli": [27100, null], "minutes": [20, null], "capacity_minutes": null}
//!   ],
//!   "demands": [{"x_m": 900, "y_m": -60, "orders": [1, 0]}]
//! }
//! ```
//!
//! Money is in thousandths of a dollar, positions are metres on a plane, the `i`-th entry of `cost_milli` and
//! `minutes` belongs to operation `i` (null in both: not offered), a capacity of null is unlimited. Nothing is
//! delivered and time has no value. An instance of several periods says how many (`periods`) and how long they are
//! (`period_minutes`); capacities may then be lists with an entry for each, and demands may have a `release` and a `due`, numbers
//! of the first and last period that will do. There are no budgets and no names of firms; both are made up here, and
//! [`Imported::notes`] says so.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{FILE_BYTES, ScenarioError, parse_part};
use crate::findings::Findings;
use crate::geometry::{Geometry, Site};
use crate::instance::{CostRules, Demand, Instance, Offer, Provider, Supply};
use crate::limits;
use crate::parameters::Parameters;
use crate::periods::{Calendar, Horizon, Period, TimeWindow};
use crate::scenario::{Scenario, Window};
use crate::settings::{ExperimentSettings, SearchSettings};
use crate::units::{Minutes, Money, OperationId};

/// A scenario made from a file of another format.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Imported {
    pub scenario: Scenario,
    /// What was taken, what was made up and what could not be taken, for people.
    pub notes: Vec<String>,
}

/// Budgets are rounded up to whole tens of dollars.
const BUDGET_STEP: i64 = 10 * Money::MICROS_PER_UNIT;
/// Micro-units in a thousandth of a dollar.
const MILLI: i64 = Money::MICROS_PER_UNIT / 1_000;
/// 30 km/h, as everywhere; without a value of time it costs nothing.
const METRES_PER_MINUTE: i64 = 500;

#[derive(Deserialize)]
struct NumberedInstance {
    #[serde(default)]
    name: Option<String>,
    operations: usize,
    rate_milli_per_km: i64,
    providers: Vec<NumberedProvider>,
    demands: Vec<NumberedDemand>,
    #[serde(default)]
    periods: Option<u32>,
    #[serde(default)]
    period_minutes: Option<Minutes>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Deserialize)]
struct NumberedProvider {
    x_m: i64,
    y_m: i64,
    cost_milli: Vec<Option<i64>>,
    minutes: Vec<Option<Minutes>>,
    #[serde(default)]
    capacity_minutes: Option<NumberedCapacity>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Minutes in all, or in each period.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected whole minutes, or a list of whole minutes, one for each period")]
enum NumberedCapacity {
    All(Minutes),
    Periods(Vec<Minutes>),
}

#[derive(Deserialize)]
struct NumberedDemand {
    x_m: i64,
    y_m: i64,
    orders: Vec<usize>,
    #[serde(default)]
    release: Option<Period>,
    #[serde(default)]
    due: Option<Period>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Fields that mean nothing here.
type Unknown = BTreeMap<String, serde_json::Value>;

impl Scenario {
    /// Makes a scenario of a numbered instance ([`crate::file`] says what that is). Every number is kept as
    /// it is. `name` replaces the instance's own.
    ///
    /// # Errors
    /// If it is not such an instance, and everything in it that a scenario cannot hold.
    pub fn import_numbered(bytes: &[u8], name: Option<&str>) -> Result<Imported, ScenarioError> {
        let got = bytes.len() as u64;
        if got > FILE_BYTES {
            return Err(ScenarioError::TooLarge { got, expected: FILE_BYTES });
        }
        let numbered: NumberedInstance = parse_part(bytes)?;
        let mut notes = notes(&numbered);
        let mut findings = Findings::default();
        let name = name.map(str::to_owned).or_else(|| numbered.name.clone());
        let mut scenario = Scenario {
            name: name.unwrap_or_else(|| "imported".into()),
            description: "Imported from a numbered instance; names of firms and budgets are made up.".into(),
            attribution: String::new(),
            generator: None,
            origin: None,
            window: None,
            operations: numbered_names("operation", numbered.operations.min(limits::OPERATIONS + 1)),
            period_names: Vec::new(),
            instance: instance(&mut findings, &numbered),
            network: Parameters::default(),
            search: SearchSettings::default(),
            experiment: ExperimentSettings::default(),
        };
        notes.push(set_budgets(&mut scenario.instance));
        scenario.network.limits = scenario.network.limits.with_room_for(scenario.market_work());
        crate::validate::check_scenario(&mut findings, &scenario);
        findings.into_result().map_err(ScenarioError::Invalid)?;
        Ok(Imported { scenario, notes })
    }
}

fn instance(findings: &mut Findings, numbered: &NumberedInstance) -> Instance {
    let provider_names = numbered_names("provider", numbered.providers.len());
    let providers = numbered.providers.iter().zip(provider_names).enumerate();
    let providers = providers
        .map(|(position, (provider, name))| Provider {
            name,
            site: Site::point(provider.x_m, provider.y_m),
            offers: offers(findings, &format!("providers[{position}]"), provider, numbered.operations),
            capacity: capacity(findings, position, provider, numbered.periods),
        })
        .collect();
    let demand_names = numbered_names("demand", numbered.demands.len());
    let demands = numbered.demands.iter().zip(demand_names);
    let demands = demands
        .map(|(demand, name)| Demand {
            name,
            site: Site::point(demand.x_m, demand.y_m),
            // An operation too large to be numbered does not exist, which validation finds.
            orders: demand.orders.iter().map(|&order| operation(order)).collect(),
            budget: Money::ZERO,
            window: TimeWindow {
                release: demand.release.unwrap_or(TimeWindow::ANY.release),
                due: demand.due.unwrap_or(TimeWindow::ANY.due),
            },
        })
        .collect();
    let rate_per_km = milli(findings, "rate_milli_per_km", numbered.rate_milli_per_km);
    let rules = CostRules {
        rate_per_km,
        value_of_minute: Money::ZERO,
        metres_per_minute: METRES_PER_MINUTE,
        deliver: false,
    };
    let horizon = horizon(findings, numbered);
    Instance { supply: Supply { providers, rules, geometry: Geometry::Euclidean, horizon }, demands }
}

fn horizon(findings: &mut Findings, numbered: &NumberedInstance) -> Horizon {
    match (numbered.periods, numbered.period_minutes) {
        (None, None) => Horizon::SINGLE,
        (Some(periods), Some(minutes)) => {
            Horizon { first: Period::ZERO, periods, period_minutes: Some(minutes) }
        }
        (Some(_), None) => {
            findings.say("period_minutes", "missing, but there are `periods`");
            Horizon::SINGLE
        }
        (None, Some(_)) => {
            findings.say("periods", "missing, but there are `period_minutes`");
            Horizon::SINGLE
        }
    }
}

fn capacity(
    findings: &mut Findings,
    position: usize,
    provider: &NumberedProvider,
    periods: Option<u32>,
) -> Option<Calendar> {
    match provider.capacity_minutes.as_ref()? {
        &NumberedCapacity::All(minutes) => Some(minutes.into()),
        NumberedCapacity::Periods(minutes) => {
            let expected = periods.unwrap_or(1);
            if u32::try_from(minutes.len()) != Ok(expected) {
                let path = format_args!("providers[{position}].capacity_minutes");
                let got = format_args!("{} entries", minutes.len());
                findings.add(path, got, format_args!("{expected}, one for each period"));
            }
            Some(Calendar::new(minutes.clone(), BTreeMap::new()))
        }
    }
}

fn offers(
    findings: &mut Findings,
    path: &str,
    provider: &NumberedProvider,
    operations: usize,
) -> BTreeMap<OperationId, Offer> {
    let lengths = [("cost_milli", provider.cost_milli.len()), ("minutes", provider.minutes.len())];
    for (field, got) in lengths.into_iter().filter(|&(_, got)| got != operations) {
        let expected = format_args!("{operations}, one for each operation");
        findings.add(format_args!("{path}.{field}"), format_args!("{got} entries"), expected);
    }
    let mut offers = BTreeMap::new();
    for (number, (&cost, &minutes)) in provider.cost_milli.iter().zip(&provider.minutes).enumerate() {
        match (cost, minutes) {
            (Some(cost), Some(minutes)) => {
                let cost = milli(findings, &format!("{path}.cost_milli[{number}]"), cost);
                offers.insert(operation(number), Offer { cost, minutes });
            }
            (None, None) => {}
            (Some(_), None) => {
                findings.say(format_args!("{path}.minutes[{number}]"), "null, but it has a cost");
            }
            (None, Some(_)) => {
                findings.say(format_args!("{path}.cost_milli[{number}]"), "null, but it has minutes");
            }
        }
    }
    offers
}

fn operation(number: usize) -> OperationId {
    OperationId(u16::try_from(number).unwrap_or(u16::MAX))
}

/// Thousandths of a dollar; zero after a finding, so that nothing else is found wrong with it.
fn milli(findings: &mut Findings, path: &str, thousandths: i64) -> Money {
    let Some(micros) = thousandths.checked_mul(MILLI) else {
        findings.add(path, thousandths, "an amount in thousandths of a dollar that fits 64 bits");
        return Money::ZERO;
    };
    Money::from_micros(micros)
}

/// `provider 1`, `provider 2`, ... with leading zeros where there are more than nine.
fn numbered_names(what: &str, count: usize) -> Vec<String> {
    let width = count.to_string().len();
    (1..=count).map(|number| format!("{what} {number:0width$}")).collect()
}

/// Gives every demand a budget that forbids none of its compositions: its dearest offers and the longest way
/// there could be between any two providers. Says so.
fn set_budgets(instance: &mut Instance) -> String {
    let mut dearest: BTreeMap<OperationId, i64> = BTreeMap::new();
    for (&operation, offer) in instance.supply.providers.iter().flat_map(|provider| &provider.offers) {
        let most = dearest.entry(operation).or_default();
        *most = (*most).max(offer.cost.micros());
    }
    let leg = longest_leg(&instance.supply);
    let mut limited = 0_usize;
    for demand in &mut instance.demands {
        let processing = demand.orders.iter().filter_map(|operation| dearest.get(operation));
        let legs = i128::from(leg) * (demand.orders.len().saturating_sub(1) as i128);
        let most = processing.map(|&cost| i128::from(cost)).sum::<i128>() + legs;
        let step = i128::from(BUDGET_STEP);
        let budget = i64::try_from((most + step - 1).div_euclid(step) * step).unwrap_or(i64::MAX);
        limited += usize::from(budget > limits::BUDGET.micros());
        demand.budget = Money::from_micros(budget.max(BUDGET_STEP)).min(limits::BUDGET);
    }
    if limited == 0 {
        return "made up: budgets, each so large that it forbids no composition".into();
    }
    format!(
        "made up: budgets; {limited} are the largest there can be, {} $, and may forbid some compositions",
        limits::BUDGET
    )
}

/// Transport across the smallest window around all providers, corner to corner; zero where that is not known.
fn longest_leg(supply: &Supply) -> i64 {
    let window = Window::around(supply.providers.iter().map(|provider| provider.site));
    let corners = window.and_then(|window| {
        let (from, to) =
            (Site::point(window.west_m, window.south_m), Site::point(window.east_m - 1, window.north_m - 1));
        supply.geometry.distance(from, to)
    });
    let micros = i128::from(supply.rules.rate_per_km.micros()) * i128::from(corners.unwrap_or(0));
    i64::try_from((micros + 999) / 1_000).unwrap_or(i64::MAX)
}

fn notes(numbered: &NumberedInstance) -> Vec<String> {
    let NumberedInstance { operations, providers, demands, .. } = numbered;
    let orders: usize = demands.iter().map(|demand| demand.orders.len()).sum();
    let unlimited = providers.iter().filter(|provider| provider.capacity_minutes.is_none()).count();
    let mut notes = vec![
        format!(
            "taken: {} providers ({unlimited} with unlimited capacity), {} demands, {orders} orders of \
             {operations} operations, every number as it is",
            providers.len(),
            demands.len()
        ),
        "kept finer: transport is rounded up to millionths of a dollar here, so a leg may cost up to 0.001 $ \
         less than where it is rounded up to thousandths"
            .into(),
        "made up: names of operations, providers and demands".into(),
    ];
    let unknown: BTreeSet<&str> = (numbered.unknown.keys().map(String::as_str))
        .chain(providers.iter().flat_map(|provider| provider.unknown.keys()).map(String::as_str))
        .chain(demands.iter().flat_map(|demand| demand.unknown.keys()).map(String::as_str))
        .collect();
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.into_iter().collect();
        notes.push(format!("not taken: unknown fields {}", names.join(", ")));
    }
    notes
}
