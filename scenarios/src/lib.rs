//! The manufacturing market as integers.
//!
//! Everything else in the project trusts this crate: the [`Instance`] that is solved, the independent
//! evaluator ([`evaluate()`]) that is the only judge of cost and feasibility, exact shortest-path
//! composition under capacity prices ([`Oracle`]), the certified bound and regret ([`bound`]), and the
//! scenario files. No search happens here and no float decides anything.

pub mod bound;
pub mod evaluate;
pub mod geometry;
pub mod instance;
pub mod limits;
pub mod money;
pub mod oracle;
pub mod settings;
pub mod units;

pub use evaluate::{CompositionEvaluation, Evaluation, Violation, evaluate, evaluate_composition};
pub use geometry::{DistanceMatrix, Geometry, Site};
pub use instance::{CostRules, Demand, Instance, Offer, Provider, Solution, Supply};
pub use money::Money;
pub use oracle::{CapacityPrices, Oracle, PriceError, PricedComposition};
pub use units::{Minutes, OperationId, ProviderId};
