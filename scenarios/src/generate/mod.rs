//! Generated scenarios.

mod parameters;

pub use parameters::{GenerateParameters, SiteParameters, WesternHalf};
