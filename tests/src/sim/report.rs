//! How a run ended: its figures, or what must not have happened and what led to it.

use std::fmt;

use miner_node::NodeEvent;

use super::checkers::Violation;
use super::host::HostId;

/// What a node told people.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct ObservedEvent {
    /// When, in milliseconds since the run began.
    pub at_ms: u64,
    pub host: HostId,
    pub event: NodeEvent,
}

/// How a run ended, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Report {
    pub rng_seed: u64,
    /// Virtual time at its end.
    pub at_ms: u64,
    /// Height of the head.
    pub height: u64,
    /// The highest round that decided a batch.
    pub last_round: u32,
    /// The longest virtual time between two heights.
    pub longest_height_ms: u64,
    /// Messages sent.
    pub messages: u64,
    /// And their bytes.
    pub bytes: u64,
    /// Messages for which a full queue had no room.
    pub overflowed: u64,
    /// The share of time in which the busiest node was busy, of a hundred.
    pub busiest_percent: u64,
    pub composed: usize,
    /// Hash of everything that happened.
    pub trace_hash: [u8; 32],
}

/// A violation, and what led to it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {rng_seed}, at {at_ms} ms: {violation}\n{trace}seed {rng_seed}, at {at_ms} ms: {violation}")]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Failure {
    /// Runs the same story again.
    pub rng_seed: u64,
    pub at_ms: u64,
    pub violation: Box<Violation>,
    /// The last things told before it.
    pub trace: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rng_seed, at_ms, height, last_round, longest_height_ms, messages, composed, .. } = self;
        let kib_per_height = self.bytes / 1_024 / height.max(&1);
        write!(
            f,
            "seed {rng_seed}: {composed} composed in {height} heights and {at_ms} ms (the longest {longest_height_ms} \
             ms, rounds to {last_round}), {messages} messages, {kib_per_height} KiB a height, the busiest node {} %",
            self.busiest_percent
        )
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
