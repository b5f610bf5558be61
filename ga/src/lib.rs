//! Search for cheap service compositions.
//!
//! A [`Problem`] is searched by a [`Search`] under a [`Algorithm`]: `paper`, the published genetic algorithm,
//! or `hybrid`, an island-parallel one with exact re-routing of demands. [`run()`] steps it until a
//! [`Termination`]; [`prices`] finds the dual prices that guide it and certify how good it is.
//! [`exact`] and [`random`] give the two ends every cost is read against.
//!
//! Nothing here judges: whether a solution is feasible and what it costs is for [`scenarios::evaluate()`].

pub mod exact;
mod hybrid;
mod individual;
mod paper;
mod paths;
pub mod prices;
mod problem;
pub mod random;
mod rng;
mod run;
mod search;
mod table;

pub use prices::{PriceSearch, PricedBound};
pub use problem::{Objective, Problem, ProblemError};
pub use run::{Outcome, StopReason, Termination, run};
pub use search::{Algorithm, Progress, Search};

#[cfg(test)]
#[path = "../tests/instances/mod.rs"]
mod instances;
