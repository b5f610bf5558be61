//! A solver node of the Mizan network.
//!
//! [`node`] is the node itself without any input or output; [`strategy`] chooses sub-problems and decides
//! when to announce. Everything else drives them in the real world and needs the feature `driver`.

#[cfg(feature = "driver")]
pub mod chain_tools;
#[cfg(feature = "driver")]
pub mod cli;
#[cfg(feature = "driver")]
pub mod client;
#[cfg(feature = "driver")]
pub mod compare;
#[cfg(feature = "driver")]
pub mod control;
#[cfg(feature = "driver")]
pub mod driver;
pub mod node;
pub mod strategy;
#[cfg(feature = "driver")]
pub mod swarm;
#[cfg(feature = "driver")]
pub mod transport;
