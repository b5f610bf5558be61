//! The `miner` program.
fn main() {}
