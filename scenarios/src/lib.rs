//! The manufacturing market as integers.
//!
//! Everything else in the project trusts this crate: the [`Instance`] that is solved, the independent
//! evaluator ([`evaluate()`]) that is the only judge of cost and feasibility, exact shortest-path
//! composition under dual prices ([`Oracle`]), the certified bound and reduced cost ([`bound`]), why a demand stays
//! unserved ([`unserved`]), and the scenario files. No search happens here and no float decides anything.

mod at_most;
pub mod bound;
mod check_settings;
pub mod evaluate;
pub mod file;
pub mod findings;
pub mod generate;
pub mod geometry;
pub mod inspect;
pub mod instance;
pub mod limits;
pub mod money;
#[allow(
    clippy::disallowed_types,
    reason = "it remembers tables of what it is asked, and which vector instructions to use: no answer depends on them"
)]
pub mod oracle;
pub mod parameters;
pub mod periods;
pub mod projection;
pub mod random_assignment;
pub mod reference;
pub mod scenario;
pub mod schedule;
pub mod settings;
pub mod shortage;
pub mod units;
pub mod unserved;
mod validate;
pub mod work;

pub use at_most::at_most;
pub use evaluate::{
    CompositionEvaluation, Evaluation, LeadPeriods, LeadTime, Violation, evaluate, evaluate_composition,
};
pub use file::ScenarioError;
pub use geometry::{DistanceMatrix, Geometry, Site};
pub use instance::{CostRules, Demand, Instance, Offer, Provider, Solution, Supply};
pub use money::Money;
pub use oracle::{DualPrices, Kernel, Oracle, PriceError, PricedComposition, SharedSupply};
pub use parameters::Parameters;
pub use periods::{Calendar, Horizon, Period, Slot, TimeWindow};
pub use scenario::{Scenario, Window};
pub use schedule::Schedule;
pub use units::{Minutes, OperationId, ProviderId};
pub use unserved::{Unserved, UnservedReason, why_unserved};
