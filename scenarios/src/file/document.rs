//! The form of a scenario file: what its JSON looks like, field by field. Meaning is given to it in
//! [`super::read`]; the domain types are in [`crate::scenario`] and [`crate::instance`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::generate::GenerateParameters;
use crate::parameters::Parameters;
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
    /// Minutes it can work in all; absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_minutes: Option<Minutes>,
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
    /// Names of the operations, in the order in which they must be done.
    pub orders: Vec<String>,
}
