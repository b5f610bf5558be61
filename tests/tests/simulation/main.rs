//! Simulated networks: many random stories, each from a seed, and some told by hand.

mod adversaries;
mod common;
mod joining;
mod market;
mod seeds;
