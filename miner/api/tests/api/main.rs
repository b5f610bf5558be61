//! What readers are told, on a market small enough to be checked by hand.
#![cfg(test)]

mod history;
mod market;
mod requests;
mod submission;
mod views;
