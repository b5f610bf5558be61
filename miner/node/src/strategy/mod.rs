//! What to work on and when to speak: cells of the market, neighbourhoods worth amending, the
//! announce-or-continue decision, and why a demand stays unserved. Pure functions of what a node knows; nothing here talks or searches.

mod announce;
mod cells;
mod groups;
mod neighbourhood;
mod unserved;

pub use announce::{AnnouncePolicy, Decision, SearchTrace};
pub use cells::{Cell, CellDemand, Strategy, balanced_cells, choose_cell};
pub use groups::group_of;
pub use neighbourhood::{AmendPolicy, AmendableDemand, Explorer, Neighbourhood, NeighbourhoodKind};
pub use unserved::{UnservedReason, why_unserved};
