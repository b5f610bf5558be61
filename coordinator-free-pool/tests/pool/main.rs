//! The pool and its exchange against real ledgers.

mod admission;
mod convergence;
mod crowding;
mod exchange;
mod market;
mod order;
