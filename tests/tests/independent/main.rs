//! Chains with batches of every kind, given to a program that shares no code with ours, and to whoever
//! checks a single composition; and what both say of chains and proofs that were tampered with.

mod amended;
mod committed;
mod export;
mod forged;
mod growing;
mod inspection;
mod markets;
mod places;
mod proof;
mod python;
mod random;
mod state;
mod vectors;
