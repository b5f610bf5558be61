//! What to work on and when to speak: cells of the market, the announce-or-continue decision, and why a
//! demand stays unserved. Pure functions of what a node knows; nothing here talks or searches.

mod announce;
mod cells;
mod unserved;

pub use announce::{AnnouncePolicy, Decision, SearchTrace};
pub use cells::{Cell, CellDemand, Strategy, balanced_cells, choose_cell};
pub use unserved::{UnservedReason, why_unserved};
