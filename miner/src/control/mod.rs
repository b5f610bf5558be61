//! The local control socket: how a command on the same machine asks a running node something.
//!
//! A Unix domain socket in the node's data directory, for its owner alone. One JSON object a line, each
//! answered by one line:
//!
//! ```text
//! {"version":3,"request":{"request":"status"}}
//! {"version":3,"response":{"height":7}}
//! {"version":3,"error":{"kind":"malformed","message":"unknown variant `stauts`, expected `status`"}}
//! ```
//!
//! What can be asked, and the answers, are [`miner_api::request`]'s. Nothing here is for the network.

mod client;
mod error;
mod path;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use client::ControlClient;
pub use error::ControlError;
pub use server::{Answered, Asked, ControlServer};

/// The version of the envelope and of the requests in it. A command of another version is told so.
pub const CONTROL_VERSION: u32 = 3;
/// The longest request, in bytes, its line end not counted.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// The longest response, in bytes, its line end not counted.
pub const RESPONSE_BYTES_MAX: usize = 16 << 20;
