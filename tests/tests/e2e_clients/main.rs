//! A market as its customers and providers see it: real node processes, and the command line a user would
//! type. Crashes, faults and the algorithms at work are tested elsewhere.
#![cfg(test)]

mod burst;
mod cancelling;
mod money;
mod network;
mod providers;
mod records;
