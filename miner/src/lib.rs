//! A solver node of the Mizan network, in the real world: [`driver`] runs [`miner_node::Node`] on QUIC, sled,
//! threads and the clock; [`storage`] is its disk; [`cli`] is the command line; [`compare`] and [`swarm`] are the laboratory.

pub mod chain_tools;
pub mod cli;
pub mod client;
pub mod compare;
pub mod control;
pub mod driver;
pub mod economics;
pub mod files;
pub mod storage;
pub mod swarm;
pub mod transport;
