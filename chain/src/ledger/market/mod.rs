//! The room of the market: demands, offers, what is composed of them and what that is worth.
//!
//! What it holds is in `demands` and `providers`, the form of an entry in `entry`. What may be stated about it is in
//! `statements`, what an offer locks in `deposits`, how much the market holds in `room`. Compositions are checked and reserved in `staging`, amendments in `amending`; prices and rewards are in
//! `judging`; their rules are listed in `error`, what refusals advise in `advice`. Freezing and payment is in `settle`, what miners search on in [`view`].

mod advice;
pub(crate) mod amending;
pub(super) mod demands;
mod deposits;
mod entry;
mod error;
mod judging;
mod nearness;
pub(super) mod notices;
pub(super) mod price_authors;
pub(super) mod providers;
mod room;
pub(super) mod settle;
pub(crate) mod staging;
mod statements;
pub mod view;

pub use demands::{DemandTotals, Departed};
pub use entry::{DemandEntry, DemandStatus, Standing};
pub use error::MarketError;
pub use notices::{Change, Notice, Subject};
pub use price_authors::PriceTotals;
pub use providers::{Holder, Usage};
pub(super) use room::MarketWork;
pub use statements::MarketStatementError;
pub(super) use view::WorkMeter;
pub use view::{Market, MarketDemand};
