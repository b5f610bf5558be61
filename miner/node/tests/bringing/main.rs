//! What a validator puts into batches, and when: a network of one validator, which need not mine, on virtual time, and miners
//! whose keys the test holds.

mod committed;
mod in_clear;
#[path = "../market/mod.rs"]
mod market;
mod solo;
