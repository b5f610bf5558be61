//! The form of a scenario file: what its JSON looks like, field by field. Meaning is given to it in
//! [`super::read`]; the domain types are in [`crate::scenario`] and [`crate::instance`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::generate::GenerateParameters;
use crate::parameters::Parameters;
use crate::periods::{Calendar, Period};
use crate::projection::GeoPoint;
use crate::scenario::Window;
use crate::settings::{ExperimentSettings, SearchSettings};
use crate::units::{Minutes, Money};

/// The `format` of a scenario file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) enum ScenarioFormat {
    /// The one there is.
    #[serde(rename = "mizan-scenario")]
    MizanScenario,
}

/// A market for manufacturing services and the settings of a run on it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Mizan scenario, version 1")]
pub(crate) struct ScenarioDocument {
    /// Says that this is a scenario file.
    pub format: ScenarioFormat,
    /// The version of this form.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// A short name of at most 64 bytes.
    pub name: String,
    /// What the scenario is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whose data it holds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attribution: String,
    /// How it was generated; the same parameters make the same file again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<GenerateParameters>,
    /// How transport and time are charged.
    pub market: MarketDocument,
    /// Where (0, 0) lies on the earth; needed where sites are given by latitude and longitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<GeoPoint>,
    /// The part of the plane that the scenario is about: what strips divide and maps show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The periods that can be planned; absent: there is one, for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarDocument>,
    /// What the network accepts, pays and waits for.
    #[serde(default)]
    pub network: Parameters,
    /// How searches are run.
    #[serde(default)]
    pub search: SearchSettings,
    /// How experiments are run, and what others found.
    #[serde(default)]
    pub experiment: ExperimentSettings,
    /// The kinds of work, each by a name of its own.
    pub operations: Vec<String>,
    /// Who can make things.
    pub providers: Vec<ProviderDocument>,
    /// Who wants things made.
    pub demands: Vec<DemandDocument>,
}

/// The periods that can be planned, counted from 0.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalendarDocument {
    /// How many.
    #[schemars(range(min = 1, max = 128))]
    pub periods: u32,
    /// Minutes of one period: what one demand can take of it, its travel included.
    #[schemars(range(min = 1))]
    pub period_minutes: Minutes,
    /// What people call them, such as days of the week, from period 0 on and then again from the beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// Minutes in every period, or a list of them that is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected whole minutes, or a list of whole minutes that is repeated")]
pub enum CapacityDocument {
    /// The same in every period.
    Every(Minutes),
    /// In period 0, 1, ..., and then again from the beginning.
    Repeated(Vec<Minutes>),
}

impl CapacityDocument {
    /// The calendar it says, but for exceptions.
    pub fn into_calendar(self, exceptions: BTreeMap<Period, Minutes>) -> Calendar {
        match self {
            Self::Every(minutes) => Calendar::new(vec![minutes], exceptions),
            Self::Repeated(pattern) => Calendar::new(pattern, exceptions),
        }
    }
}

/// How transport and time are charged.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarketDocument {
    /// Transport per kilometre.
    pub rate_per_km: Money,
    /// What a minute of processing or travel is worth; 0 leaves time out of the objective.
    #[serde(default)]
    pub value_of_minute: Money,
    /// Travel speed; matters only where time has a value.
    #[serde(default = "default_speed")]
    #[schemars(range(min = 1))]
    pub metres_per_minute: i64,
    /// Whether the leg from the last provider to the demander is travelled and paid.
    #[serde(default)]
    pub deliver: bool,
    /// Distances in metres from each place (row) to each place (column), zero on the diagonal. With it every
    /// site is a place of this matrix; without it sites are points and distances straight lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distances_m: Option<Vec<Vec<i64>>>,
}

/// 30 km/h.
fn default_speed() -> i64 {
    500
}

/// A site: `x_m` and `y_m`, or `latitude` and `longitude`, or `place`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SiteDocument {
    /// Metres east of the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_m: Option<i64>,
    /// Metres north of the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_m: Option<i64>,
    /// Degrees north; projected once, about the scenario's origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east; projected once, about the scenario's origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// A row of the market's distance matrix, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
}

/// What a provider asks for one order of an operation.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferDocument {
    /// Processing cost.
    pub cost: Money,
    /// Processing time, taken from the provider's capacity.
    pub minutes: Minutes,
}

/// Somebody who can make things.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderDocument {
    /// A name no other provider has, at most 64 bytes.
    pub name: String,
    /// Where the work is done.
    pub site: SiteDocument,
    /// Minutes it can work in each period, or in all if there is no calendar; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_minutes: Option<CapacityDocument>,
    /// Periods, by number, in which it can work for other minutes.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub capacity_exceptions: Table<Minutes>,
    /// The operations it can do, by name; at least one.
    pub offers: Table<OfferDocument>,
}

/// Somebody who wants things made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DemandDocument {
    /// A name no other demand has, at most 64 bytes.
    pub name: String,
    /// Where the finished product goes, if the market delivers.
    pub site: SiteDocument,
    /// The most the demander pays, more than 0.
    pub budget: Money,
    /// The first period in which an order of it may be done; absent: the first there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Period>,
    /// The last period in which an order of it may be done; absent: any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Period>,
    /// Names of the operations, in the order in which they must be done.
    pub orders: Vec<String>,
}
