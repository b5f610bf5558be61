//! Tests of the voting: steps of the algorithm, certificates and bytes, and a simulated network.

use super::*;
use crate::batch::BatchHash;
use crate::hash::Hash;
use crate::key::SecretKey;
use crate::record::{Height, NetworkId};

mod attack;
mod certificates;
mod hostile;
mod lockstep;
mod model;
mod simulation;
mod steps;

const NETWORK: NetworkId = NetworkId(Hash([7; 32]));
/// With four validators, the proposer of round r at this height is the validator at position r mod 4.
const HEIGHT: Height = 8;

/// Keys in order of their validators' positions.
fn keys(count: u64) -> Vec<SecretKey> {
    let mut keys: Vec<_> = (0..count).map(|index| SecretKey::for_scenario(1, "validator", index)).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// One vote each.
fn validators(keys: &[SecretKey]) -> ValidatorSet {
    weighted(keys, &vec![1; keys.len()])
}

fn weighted(keys: &[SecretKey], powers: &[Power]) -> ValidatorSet {
    let keys = keys.iter().map(SecretKey::public);
    ValidatorSet::new(&keys.zip(powers.iter().copied()).collect()).unwrap()
}

const fn batch(tag: u8) -> BatchHash {
    BatchHash(Hash([tag; 32]))
}
