//! The deterministic simulator: a hand-written discrete-event loop over the node core.
//!
//! A page of nouns. A [`World`] is a virtual clock, a queue of events and some [`Host`]s. A host is a machine: a disk that
//! outlives its node, two clocks that are its own, one CPU, and a [`Behaviour`]: it runs the node core, honestly or as a
//! liar ([`Lie`]) or with an [`Attack`] beside, or no node at all (a stranger that attacks, or a puppet whose messages a
//! test writes). [`Links`] say what becomes of a message, by [`LinkQuality`] of each direction; what waits to be sent and
//! what a receiver has room for is as in the transport. An input costs virtual time by what is done for it (`cost`), and
//! waits in the driver's queue while the CPU is busy (`desk`). A [`Fault`] goes wrong once, a [`Storm`] is many of them.
//! A [`Market`] is what the network is about. The [`Checkers`] watch everything that is said and written and know
//! nothing of the system but its formats. A [`Story`] is a whole run drawn from a seed: a [`Theme`] of market, and the
//! [`Hazard`] it is told under.
//!
//! Everything follows from one seed: no clock, no thread's pace, no hash map's order. Two runs of one seed
//! leave the same trace, of which [`World::trace_hash`] is the hash.
//!
//! A run has two phases. In the safety phase faults happen and only the checkers' invariants must hold; in
//! the liveness phase, from [`World::calm`] on, links are good, everybody is up, and the market must be
//! served, whatever attackers do: [`World::run_until_settled`], [`World::run_until_served`].

mod attack;
mod checkers;
mod clock;
mod connections;
mod cost;
mod desk;
mod disk;
mod draws;
mod effects;
mod faults;
mod host;
mod lie;
mod limits;
mod links;
mod machines;
mod market;
mod pipes;
mod report;
mod story;
mod trace;
mod transfer;
mod work;
mod world;

pub use attack::Attack;
pub use checkers::{Checkers, Violation};
pub use disk::{Disk, DiskFault, DiskIncident, Remains};
pub use draws::Draws;
pub use faults::{Fault, Storm};
pub use host::{Behaviour, Host, HostId, HostSettings};
pub use lie::Lie;
pub use links::{LinkQuality, Links};
pub use market::{Market, MarketKind, START_MS, demand, instance_of, provider};
pub use report::{Failure, ObservedEvent, Report};
pub use story::{Hazard, Story, Theme, a_miner};
pub use trace::Trace;
pub use world::World;
