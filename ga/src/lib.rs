//! Search for cheap service compositions.
//!
//! A [`Workbench`] carries out the work that [`scenarios::work`] describes, step by step; [`run()`] works on it for
//! some time, and [`solve_centrally`] does all that a market in one place needs: prices, then the search. On the
//! bench a [`Problem`] is searched by a [`Search`] under an [`Algorithm`]: `paper`, the published genetic algorithm,
//! or `hybrid`, an island-parallel one with exact re-routing of demands; [`prices`] finds the dual prices that guide
//! it and certify how good it is. [`exact`] and [`random`] give the two ends every cost is read against.
//!
//! Nothing here judges: whether a solution is feasible and what it costs is for [`scenarios::evaluate()`].

mod central;
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
mod workbench;

pub use central::{CentralOutcome, CentralPlan, Flags, StoppedBy, solve_centrally};
pub use prices::{PriceSearch, PricedBound};
pub use problem::{Problem, ProblemError};
pub use run::{Outcome, StopReason, run};
pub use scenarios::work::{Algorithm, Objective, Termination};
pub use search::{Progress, Search};
pub use workbench::Workbench;

#[cfg(test)]
#[path = "../tests/instances/mod.rs"]
mod instances;
