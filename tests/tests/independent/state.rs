//! Proofs of what the state says of a key, given to the program that shares no code with ours: what is there, what is
//! not, and what was changed.

use chain::ledger::{StateKey, StateProof};
use chain::{Address, Hash};
use serde_json::json;

use crate::markets::open_market;
use crate::python::state_proofs_that_hold;

pub(crate) fn document(root: Hash, proof: &StateProof) -> serde_json::Value {
    json!({
        "root": root,
        "key": hex::encode(&proof.key),
        "value": proof.value.as_ref().map(hex::encode),
        "siblings": proof.proof.siblings,
        "neighbour": proof.proof.neighbour.map(|pair| [pair.path, pair.value]),
    })
}

#[test]
fn what_the_state_says_of_every_key_it_has_and_of_others_is_proved_to_another_program() {
    let market = open_market();
    let root = market.ledger.state_root();
    let there = [StateKey::PriceTotals, StateKey::Carrier, StateKey::DemandTotals].into_iter();
    let there = there.chain(market.ledger.supply().provider_ids().map(StateKey::Provider));
    let there = there.chain(market.ledger.demands().map(|(id, _)| StateKey::Demand(id)));
    let gone = market.demands().map(|(id, _)| id).filter(|id| market.ledger.demand(*id).is_none());
    let absent = gone.map(StateKey::Demand);
    let absent = absent.chain((0..64).map(|byte| StateKey::Balance(Address(Hash([byte; 32])))));
    let (there, absent): (Vec<_>, Vec<_>) = (there.collect(), absent.collect());

    let proofs: Vec<StateProof> =
        there.iter().chain(&absent).map(|key| market.ledger.prove_state(*key)).collect();
    let said: Vec<bool> = proofs.iter().map(|proof| proof.value.is_some()).collect();
    assert_eq!(said, [vec![true; there.len()], vec![false; absent.len()]].concat());
    assert!(proofs.iter().all(|proof| proof.verify(root).is_ok()));
    let documents: Vec<_> = proofs.iter().map(|proof| document(root, proof)).collect();
    assert_eq!(state_proofs_that_hold(&documents), vec![true; proofs.len()]);

    // The contrary of what the state says, and the same under another root.
    let contraries = proofs.iter().map(|proof| {
        let value = if proof.value.is_some() { None } else { Some(vec![0]) };
        document(root, &StateProof { value, ..proof.clone() })
    });
    let elsewhere = proofs.iter().map(|proof| document(Hash([1; 32]), proof));
    let refused: Vec<_> = contraries.chain(elsewhere).collect();
    assert_eq!(state_proofs_that_hold(&refused), vec![false; refused.len()]);
}
