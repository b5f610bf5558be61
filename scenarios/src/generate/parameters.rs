//! What a generated scenario is made from. A scenario file records it, and the same parameters make the same
//! file byte for byte.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::findings::Findings;
use crate::limits;
use crate::units::{Minutes, Money};

/// How many providers and demands lie in the western half of the window; the others lie in the eastern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WesternHalf {
    /// Providers in the western half.
    pub providers: u32,
    /// Demands in the western half.
    pub demands: u32,
}

/// Where sites are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SiteParameters {
    /// Around the real places near Tehran, in a window centred on it.
    Tehran {
        /// Standard deviation of a site about its place on each axis, in metres.
        spread_m: u32,
        /// How many lie in the western half; absent: as they come.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        western_half: Option<WesternHalf>,
    },
    /// Anywhere in the window, all points alike.
    Uniform,
}

/// The parameters of a generated scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateParameters {
    /// The scenario's name.
    pub name: String,
    /// The problem of paper A's table 7 whose size this is, 1 to 4: its published results are recorded and,
    /// unless capacities are limited, its rules of allocation and pay apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_problem: Option<u8>,
    /// Everything drawn at random follows from this number.
    pub rng_seed: u64,
    /// Providers.
    pub providers: u32,
    /// Demands.
    pub demands: u32,
    /// Operations; every provider offers all of them.
    pub operations: u32,
    /// Orders of each demand: a random permutation of the operations, or its beginning, or several.
    pub orders_per_demand: u32,
    /// Side of the square window in kilometres.
    pub window_km: u32,
    /// Where sites are drawn.
    pub sites: SiteParameters,
    /// The smallest processing cost, in whole cents.
    pub cost_min: Money,
    /// The largest processing cost, in whole cents.
    pub cost_max: Money,
    /// The shortest processing time.
    pub minutes_min: Minutes,
    /// The longest processing time.
    pub minutes_max: Minutes,
    /// Transport per kilometre.
    pub rate_per_km: Money,
    /// What each minute of processing and travel is worth to demanders.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_of_minute: Money,
    /// Whether the leg to the demander is travelled and paid.
    pub deliver: bool,
    /// Total capacity as a share of the work that a random assignment would bring; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_ppm: Option<u64>,
    /// The periods that can be planned; absent: there is one, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarParameters>,
}

/// Days that can be planned, Saturday first. Providers work from Saturday to Wednesday, on half of Thursday, and not on Friday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarParameters {
    /// How many.
    #[schemars(range(min = 1, max = 128))]
    pub days: u32,
    /// How many days each demand may be served in, beginning with a day drawn at random; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<u32>,
}

/// Files of markets that do not value time say nothing of it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "that is how serde asks")]
fn is_zero(amount: &Money) -> bool {
    *amount == Money::ZERO
}

/// One cent in micro-units: the step of generated costs and budgets.
pub(crate) const CENT_MICROS: i64 = 10_000;

/// The largest side of a generated window: within [`limits::COORDINATE_METRES`] about (0, 0), and for real
/// places far beyond what an equirectangular plane represents well.
const WINDOW_KM: u32 = 2_000;

/// The most orders and offers a generated scenario may have: its file stays below what the loader reads.
const ENTRIES: u64 = 4_000_000;

impl GenerateParameters {
    /// Checks ranges, and that the parts fit each other.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn validate(&self) -> Result<(), Findings> {
        let mut findings = Findings::default();
        self.check(&mut findings, "");
        findings.into_result()
    }

    /// [`GenerateParameters::validate`] with `prefix` before each path.
    pub(crate) fn check(&self, findings: &mut Findings, prefix: &str) {
        crate::validate::check_name(findings, format_args!("{prefix}name"), &self.name);
        let mut within = |field: &str, got: u64, least: u64, most: u64| {
            if !(least..=most).contains(&got) {
                findings.add(format_args!("{prefix}{field}"), got, format_args!("{least} to {most}"));
            }
        };
        within("paper_problem", self.paper_problem.unwrap_or(1).into(), 1, 4);
        within("providers", self.providers.into(), 1, limits::PROVIDERS as u64);
        within("demands", self.demands.into(), 1, limits::DEMANDS as u64);
        within("operations", self.operations.into(), 1, limits::OPERATIONS as u64);
        within("orders_per_demand", self.orders_per_demand.into(), 1, limits::ORDERS_PER_DEMAND as u64);
        within("window_km", self.window_km.into(), 1, WINDOW_KM.into());
        if let SiteParameters::Tehran { spread_m, western_half } = self.sites {
            // A wider spread would mostly miss the window, and every draw that misses is repeated.
            within("sites.spread_m", spread_m.into(), 0, u64::from(self.window_km) * 1_000);
            let half = western_half.unwrap_or(WesternHalf { providers: 0, demands: 0 });
            within("sites.western_half.providers", half.providers.into(), 0, self.providers.into());
            within("sites.western_half.demands", half.demands.into(), 0, self.demands.into());
        }
        if let Some(CalendarParameters { days, window_days }) = self.calendar {
            within("calendar.days", days.into(), 1, limits::PERIODS as u64);
            within("calendar.window_days", window_days.unwrap_or(1).into(), 1, days.into());
        }
        within("capacity_ppm", self.capacity_ppm.unwrap_or(1), 1, 1_000_000_000);
        let offers = u64::from(self.providers) * u64::from(self.operations);
        let orders = u64::from(self.demands) * u64::from(self.orders_per_demand);
        within("providers x operations", offers, 1, ENTRIES);
        within("demands x orders_per_demand", orders, 1, ENTRIES);
        self.check_amounts(findings, prefix);
    }

    fn check_amounts(&self, findings: &mut Findings, prefix: &str) {
        let mut money = |field: &str, got: Money, least: Money, most: Money, step: i64| {
            if !(least..=most).contains(&got) || got.micros() % step != 0 {
                let whole = if step > 1 { ", in whole cents" } else { "" };
                findings.add(format_args!("{prefix}{field}"), got, format_args!("{least} to {most}{whole}"));
            }
        };
        money("cost_min", self.cost_min, Money::ZERO, limits::OFFER_COST, CENT_MICROS);
        money("cost_max", self.cost_max, self.cost_min, limits::OFFER_COST, CENT_MICROS);
        money("rate_per_km", self.rate_per_km, Money::ZERO, limits::RATE_PER_KM, 1);
        money("value_of_minute", self.value_of_minute, Money::ZERO, limits::VALUE_OF_MINUTE, 1);
        let mut minutes = |field: &str, got: Minutes, least: Minutes| {
            if !(least..=limits::OFFER_MINUTES).contains(&got) {
                let expected = format!("{least} to {}", limits::OFFER_MINUTES);
                findings.add(format_args!("{prefix}{field}"), got, expected);
            }
        };
        minutes("minutes_min", self.minutes_min, 0);
        minutes("minutes_max", self.minutes_max, self.minutes_min);
    }
}
