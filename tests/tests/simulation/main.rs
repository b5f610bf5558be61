//! Simulated networks: many random stories, each from a seed, and a few told by hand.

mod common;
mod seeds;
