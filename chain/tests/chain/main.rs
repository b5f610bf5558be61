//! The chain from outside: a market of three providers and three demanders whose every figure can be
//! checked by hand ([`market`]), and what batches do to it.

mod accepted;
mod amended;
mod amended_refused;
mod blocks;
mod calendar;
mod cohorts;
mod evidence;
mod expiry;
mod extremes;
mod genesis;
mod golden;
mod market;
mod paid_state;
mod paper;
mod properties;
mod records_refused;
mod refused;
mod refused_by_state;
mod robbery;
mod room;
mod settlement;
mod stall;
mod stored;
mod tehran;
mod together;
mod waits;
