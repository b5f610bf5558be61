//! What can be done with the chain of a stopped node: verify it from genesis, look into it, write it out
//! whole for another program, and prove a composition to somebody who has nothing but the network's id.
//!
//! Everything here reads; nothing changes a store. The command line is in [`crate::cli`].

pub mod export;
pub mod history;
mod open;
pub mod proof;
pub mod report;
pub mod stored;

pub use export::ChainExport;
pub use history::DemandHistory;
pub use open::NodeChain;
pub use proof::ProofFile;
