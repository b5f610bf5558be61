//! Real processes, real QUIC on loopback, real stores: what the simulator cannot show, and the command line
//! as a user meets it. Protocol faults are looked for in the simulator, not here.
//!
//! No test waits "long enough": each waits for something to be seen, within a generous limit, and where two
//! things must happen in an order, something real enforces it (a quorum that is missing, a search that never
//! ends, a process that is killed).
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail as tests do; a test that listens for one event passes over all others"
)]

mod command_line;
mod competition;
mod crashes;
mod economics;
mod hard_markets;
mod joining;
mod network;
mod readers;
mod refused_files;
mod scarcity;
mod strangers;
