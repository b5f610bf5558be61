//! The deterministic simulator: a hand-written discrete-event loop over the node core.
//!
//! A page of nouns: a [`World`] is a virtual clock, a queue of events and some [`Host`]s; a host is a machine
//! that runs a node (or a puppet, whose messages a test writes), with a disk that outlives it; [`Links`] say
//! what becomes of a message; a [`Market`] is what the network is about; the [`Checkers`] watch everything
//! that is said and written and know nothing of the system but its formats.
//!
//! Everything follows from one seed: no clock, no thread's pace, no hash map's order. Two runs of one seed
//! leave the same trace, of which [`World::trace_hash`] is the hash.
//!
//! A run has two phases. In the safety phase faults happen and only the checkers' invariants must hold; in
//! the liveness phase, from [`World::calm`] on, links are good, everybody is up, and the market must be
//! served: [`World::run_until_settled`].

mod checkers;
mod connections;
mod disk;
mod draws;
mod effects;
mod faults;
mod host;
mod links;
mod market;
mod trace;
mod work;
mod world;

pub use checkers::{Checkers, Violation};
pub use disk::{Disk, DiskFault, DiskIncident, Remains};
pub use draws::Draws;
pub use faults::{Fault, Storm};
pub use host::{Behaviour, Host, HostId, HostSettings};
pub use links::{LinkQuality, Links};
pub use market::{Market, MarketKind, START_MS, demand, instance_of, provider};
pub use trace::Trace;
pub use world::{Failure, ObservedEvent, Report, World};
