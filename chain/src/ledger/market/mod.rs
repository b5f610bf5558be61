//! The market: demands, offers, what is composed of them and what that is worth.
//!
//! Compositions are checked and reserved in `staging`, amendments in `amending`; prices and rewards are in `judging`,
//! freezing and payment in `settle`, what miners search on in [`view`].

pub(crate) mod amending;
mod judging;
mod settle;
pub(crate) mod staging;
pub mod view;

pub(super) use view::WorkMeter;
pub use view::{Market, MarketDemand};
