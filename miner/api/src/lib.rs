//! What can be asked of a running node, and the answers: the readers' door.
//!
//! A [`Snapshot`] is everything a node knows at one moment, a [`History`] what its chain has left behind; the
//! [`views`] are pure functions of the two. [`request`] has what a client may ask, with the type of each answer.
//! Nothing here reads a clock or a socket, and nothing here can change or hold up a node: drivers publish snapshots
//! and run the history on a thread of its own, and what a view makes of them is no business of the node's.

pub mod history;
pub mod request;
pub mod snapshot;
pub mod views;

pub use history::{History, HistoryError, MinerTotals, Totals};
pub use miner_node::{BatchRow, NodeStatus, ValidatorsSeen, Voting};
pub use request::{Ask, Request, RequestError, Submitted};
pub use snapshot::Snapshot;
pub use views::{
    AccountReport, AnnouncedOffer, CalendarFacts, CompositionReport, DemandReport, DemandStanding, Earnings,
    MarketFacts, MarketStatus, OfferReport, OfferedOperation, OrderReport, PendingRecord, RecordStanding,
    Refusal, ScarceProvider, UnservedDemand, WantedReport,
};
