//! What the tests of the whole are made of. The tests themselves are in `tests/`.
//!
//! [`sim`] runs the very node core of the `miner` crate on a virtual clock, over a network that loses,
//! delays and doubles messages, with crashes, cuts and liars, and judges the outcome apart from it. Real
//! processes over QUIC are not found there.

pub mod sim;
