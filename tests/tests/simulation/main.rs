//! Simulated networks: many random stories, each from a seed, and some told by hand.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of event among many")]

mod adversaries;
mod amendments;
mod commitments;
mod common;
mod disks;
mod executing;
mod hazards;
mod joining;
mod market;
mod names;
mod regressions;
mod scaling;
mod seeds;
mod strangers;
