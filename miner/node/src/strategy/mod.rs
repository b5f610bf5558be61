//! What to work on and when to speak: cells of the market, neighbourhoods worth amending and the
//! announce-or-continue decision. Pure functions of what a node knows; nothing here talks or searches.

mod announce;
mod cells;
mod groups;
mod neighbourhood;
mod region;

pub use announce::{AnnouncePolicy, Decision, SearchTrace};
pub use cells::{Cell, CellDemand, Strategy, balanced_cells, choose_area, choose_cell};
pub use groups::group_of;
pub use neighbourhood::{AmendPolicy, AmendableDemand, Explorer, Neighbourhood, NeighbourhoodKind};
pub use region::Region;
