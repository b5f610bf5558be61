//! Proofs of single compositions: they hold without node or store, and any change is refused.

use chain::consensus::{CommitCertificate, Vote, VoteKind};
use chain::ledger::{DemandEntry, DemandStatus, StateKey, StateProof};
use chain::proof::{self, Place, Settlement, SignedHeader};
use chain::state_tree::StateTree;
use chain::{Batch, CompositionProof, DemandId, Hash, NetworkId, ProofError, codec};
use miner::chain_tools::ProofFile;
use miner::chain_tools::proof::{ProofFileError, ProveError};
use scenarios::{ProviderId, Slot};
use serde_json::Value;

use crate::growing::{Growing, key, validators};
use crate::markets::{open_market, tehran};

/// A demand with this status.
fn demand_that_is(market: &Growing, status: &str) -> DemandId {
    let found = market.demands().find(|(_, entry)| entry.status.name() == status);
    found.unwrap_or_else(|| panic!("a demand is {status}")).0
}

fn prove(market: &Growing, demand: DemandId) -> CompositionProof {
    market.stored().prove(&demand.to_string(), |_| {}).expect("a composed demand is proved")
}

/// A proof of a settled composition, whose head is above its batch.
fn frozen_proof() -> CompositionProof {
    let market = open_market();
    prove(&market, demand_that_is(&market, "frozen"))
}

#[test]
fn a_settled_composition_is_proved_by_its_file_alone() {
    let market = open_market();
    let demand = demand_that_is(&market, "frozen");
    let proof = prove(&market, demand);
    let text = serde_json::to_string(&ProofFile::from(&proof)).unwrap();
    let read: ProofFile = serde_json::from_str(&text).unwrap();
    let read = read.into_proof().unwrap();
    assert_eq!(read, proof);
    let proven = read.verify(market.network().id()).unwrap();
    let DemandStatus::Frozen { composition, height } = &market.demand(demand).status else {
        panic!("it is settled")
    };
    assert_eq!((proven.demand, proven.entry.status.name()), (demand, "composed"));
    assert_eq!(proven.composition.slots, composition.slots);
    // As of the last state that had it, from which nothing but its settlement could follow.
    assert_eq!((proven.current_after + 1, proven.settled_at), (*height, Some(*height)));
    assert!(proven.height <= proven.current_after, "{} {}", proven.height, proven.current_after);
    assert_eq!(proven.votes, (6, 7, 5));
}

#[test]
fn a_composition_of_the_last_batch_is_proved_among_many_once_the_next_header_says_what_that_led_to() {
    let mut market = tehran();
    let demand = market.batches[3].0.contents.blocks[0].body.compositions[17].demand;
    let early = market.stored().prove(&demand.to_string(), |_| {}).unwrap_err();
    assert_eq!(early, ProveError::Proof(proof::ProveError::NotSealed { height: 5 }));
    market.seal();
    let proof = prove(&market, demand);
    assert_eq!((proof.batch.header.height, proof.head.header.height), (4, 5));
    assert_eq!(proof.inclusion.index, 17);
    assert_eq!(proof.verify(market.network().id()).unwrap().demand, demand);
    assert_eq!(CompositionProof::from_bytes(&proof.to_bytes()), Ok(proof));
}

#[test]
fn no_field_of_a_proof_can_be_changed() {
    let network = frozen_proof().network();
    let proof = serde_json::to_value(ProofFile::from(&frozen_proof())).unwrap();
    let mut places = Vec::new();
    leaves(&proof, String::new(), &mut places);
    assert!(places.len() > 50, "{} fields", places.len());
    for place in places {
        let mut tampered = proof.clone();
        change(tampered.pointer_mut(&place).unwrap());
        let Ok(read) = serde_json::from_value::<ProofFile>(tampered) else { continue };
        let Ok(proof) = read.into_proof() else { continue };
        proof.verify(network).expect_err(&place);
    }
}

#[test]
fn no_byte_of_a_proof_can_be_changed() {
    let (proof, network) = (frozen_proof().to_bytes(), frozen_proof().network());
    for place in (0..proof.len()).step_by(7) {
        let mut tampered = proof.clone();
        tampered[place] ^= 1;
        let Ok(read) = CompositionProof::from_bytes(&tampered) else { continue };
        read.verify(network).expect_err(&format!("byte {place}"));
    }
}

/// Pointers to everything in a document that is neither list nor object.
fn leaves(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(value, format!("{at}/{name}"), places));
        }
        Value::Array(elements) => {
            elements
                .iter()
                .enumerate()
                .for_each(|(index, value)| leaves(value, format!("{at}/{index}"), places));
        }
        // A neighbour that is not there: its absence is no field.
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => places.push(at),
    }
}

fn change(value: &mut Value) {
    *value = match value {
        Value::String(text) => {
            let middle = text.len() / 2;
            let other = if &text[middle..=middle] == "0" { "1" } else { "0" };
            text.replace_range(middle..=middle, other);
            Value::String(text.clone())
        }
        Value::Number(number) => match number.as_i64() {
            Some(number) => Value::from(number + 1),
            None => Value::from(number.as_f64().expect("a number") + 1.0),
        },
        other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            panic!("{other} is not in a proof")
        }
    };
}

/// What a proof says after a change.
fn after(change: impl FnOnce(&mut CompositionProof)) -> ProofError {
    let mut proof = frozen_proof();
    let network = proof.network();
    change(&mut proof);
    proof.verify(network).expect_err("a changed proof is refused")
}

fn settlement(proof: &mut CompositionProof) -> &mut Settlement {
    proof.settlement.as_mut().expect("the proof of a settled composition")
}

/// Why a changed file holds no proof.
fn after_file(change: impl FnOnce(&mut ProofFile)) -> ProofFileError {
    let mut file = ProofFile::from(&frozen_proof());
    change(&mut file);
    file.into_proof().expect_err("a changed file is refused")
}

#[test]
fn a_file_that_says_two_things_of_one_holds_no_proof() {
    let (other, network) = (NetworkId(Hash([7; 32])), frozen_proof().network());
    let renamed = after_file(|file| file.network = other);
    assert_eq!(renamed, ProofFileError::GenesisMismatch { got: network, expected: other });
    let (demand, elsewhere) = (frozen_proof().demand(), chain::RecordId(Hash([8; 32])));
    let moved = after_file(|file| file.demand = elsewhere);
    assert_eq!(moved, ProofFileError::WrongDemand { got: demand, expected: elsewhere });
    let no_digits = after_file(|file| file.genesis = "xyz".into());
    assert!(matches!(no_digits, ProofFileError::Hex { what: "the genesis", .. }), "{no_digits}");
    let cut_off = after_file(|file| drop(file.state.split_off(8)));
    assert!(matches!(cut_off, ProofFileError::Bytes { what: "the state entry", .. }), "{cut_off}");
    let earlier = after_file(|file| file.version = 1);
    assert_eq!(earlier, ProofFileError::Format { got: "mizan composition proof".into(), version: 1 });
}

#[test]
fn each_broken_link_is_named() {
    let other = NetworkId(Hash([7; 32]));
    let network = frozen_proof().network();
    let elsewhere = frozen_proof().verify(other).unwrap_err();
    assert_eq!(elsewhere, ProofError::WrongNetwork { got: network, expected: other });
    let more_miners = after(|proof| proof.genesis.miners += 1);
    assert!(matches!(more_miners, ProofError::WrongNetwork { .. }), "{more_miners}");
    let unsigned = after(|proof| proof.batch.signature.0[0] ^= 1);
    assert!(matches!(unsigned, ProofError::Proposer { place: Place::Batch, .. }), "{unsigned}");
    let few = after(|proof| proof.head.certificate.signatures.truncate(2));
    assert_eq!(few.to_string(), "the head is not final: the certificate: 4 votes, expected at least 5");
    let absent = after(|proof| proof.composition.slots[0] = Slot::single(ProviderId(99)));
    assert!(matches!(absent, ProofError::NotIncluded(_)), "{absent}");
    let shifted = after(|proof| proof.inclusion.total += 1);
    assert!(matches!(shifted, ProofError::NotIncluded(_)), "{shifted}");
    let reversed = after(|proof| std::mem::swap(&mut proof.batch, &mut proof.head));
    assert!(matches!(reversed, ProofError::BlockNotIncluded(_)), "{reversed}");
    let other_block = after(|proof| proof.block.header.nonce += 1);
    assert!(matches!(other_block, ProofError::BlockNotIncluded(_)), "{other_block}");
    let older = after(|proof| proof.state.value.as_mut().unwrap()[0] ^= 0xff);
    assert!(matches!(older, ProofError::NotInState { place: Place::Head, .. }), "{older}");
    let another = after(|proof| proof.state.key = StateKey::PriceTotals.to_bytes());
    assert!(matches!(another, ProofError::WrongEntry { .. }), "{another}");
    let other_absence = after(|proof| settlement(proof).absence.key = StateKey::PriceTotals.to_bytes());
    assert!(matches!(other_absence, ProofError::WrongEntry { .. }), "{other_absence}");
    let still_there = after(|proof| settlement(proof).absence = proof.state.clone());
    assert_eq!(still_there, ProofError::NotSettled);
    let not_absent = after(|proof| {
        let mut lie = proof.state.clone();
        lie.value = None;
        settlement(proof).absence = lie;
    });
    assert!(matches!(not_absent, ProofError::NotInState { place: Place::Settlement, .. }), "{not_absent}");
    let later = after(|proof| settlement(proof).batch = proof.batch.clone());
    assert!(matches!(later, ProofError::SettlementElsewhere { .. }), "{later}");
}

#[test]
fn a_head_that_says_what_came_before_the_batch_is_refused() {
    let market = open_market();
    let header_of = |(batch, certificate): &(Batch, CommitCertificate)| SignedHeader {
        header: batch.header.clone(),
        signature: batch.signature,
        certificate: certificate.clone(),
    };
    let mut proof = prove(&market, demand_that_is(&market, "frozen"));
    let network = proof.network();
    proof.head = header_of(&market.batches[0]);
    let height = proof.batch.header.height;
    let expected = height + 1;
    assert_eq!(proof.verify(network), Err(ProofError::HeadTooEarly { got: 1, expected }));
    proof.head = header_of(&market.batches[usize::try_from(height).unwrap() - 1]);
    assert_eq!(proof.verify(network), Err(ProofError::HeadTooEarly { got: height, expected }));
}

/// What the proof is refused for, and what the state says instead.
type Replacement = (&'static str, fn(&mut DemandEntry));

/// Only validators who lie together could sign a state in which the composition is another one.
#[test]
fn a_composition_that_the_state_has_replaced_is_not_current() {
    let market = open_market();
    let proof = prove(&market, demand_that_is(&market, "frozen"));
    let value = proof.state.value().unwrap();
    let entry: DemandEntry = codec::decode(value, value.len()).unwrap();
    let replaced: [Replacement; 3] = [
        ("the demand is cancelled", |entry| entry.status = DemandStatus::Cancelled { height: 9 }),
        ("the cost is", |entry| composition(entry).cost = scenarios::Money::from_micros(1)),
        ("the list of slots is", |entry| composition(entry).slots.truncate(1)),
    ];
    for (expected, change) in replaced {
        let mut entry = entry.clone();
        change(&mut entry);
        let lie = with_state(&market, proof.clone(), &entry);
        let error = lie.verify(market.network().id()).unwrap_err();
        assert!(matches!(error, ProofError::NotCurrent { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected:?} is not in {error}");
    }
}

fn composition(entry: &mut DemandEntry) -> &mut chain::ledger::Standing {
    match &mut entry.status {
        DemandStatus::Composed(composition) => composition,
        DemandStatus::Open
        | DemandStatus::Frozen { .. }
        | DemandStatus::Cancelled { .. }
        | DemandStatus::Expired { .. } => {
            panic!("nothing is composed")
        }
    }
}

/// The proof under a head whose state is this one entry, signed by all.
fn with_state(market: &Growing, mut proof: CompositionProof, entry: &DemandEntry) -> CompositionProof {
    let (name, value) = (StateKey::Demand(proof.demand()).to_bytes(), codec::encode(entry));
    let tree = StateTree::default().with([(&name, Some(&value))]);
    let mut header = proof.head.header.clone();
    header.state_root = tree.root();
    let miner = (0..2)
        .map(|index| key("miner", index))
        .find(|key| key.public() == header.proposer)
        .expect("it is there");
    let batch = Batch::sign(header, chain::Contents::default(), &miner);
    let certificate = market.certificate(&batch);
    proof.head = SignedHeader { header: batch.header, signature: batch.signature, certificate };
    proof.state = StateProof { proof: tree.prove(&name), key: name, value: Some(value) };
    proof
}

#[test]
fn a_certificate_of_prevotes_proves_nothing() {
    let error = after(|proof| {
        let CommitCertificate { height, round, batch, .. } = proof.batch.certificate;
        let vote =
            Vote { network: proof.network(), height, round, kind: VoteKind::Prevote, batch: Some(batch) };
        let signed = (0..).zip(validators()).map(|(index, key)| (index, vote.sign(index, &key).signature));
        proof.batch.certificate.signatures = signed.collect();
    });
    assert!(matches!(error, ProofError::NotFinal { place: Place::Batch, .. }), "{error}");
}

#[test]
fn demands_are_found_by_id_prefix_or_name_and_only_composed_ones_are_proved() {
    let market = open_market();
    let (chain, frozen) = (market.stored(), demand_that_is(&market, "frozen"));
    let name = &market.demand(frozen).demand.name;
    assert_eq!(chain.prove(name, |_| {}).unwrap().demand(), frozen);
    assert_eq!(chain.prove(&frozen.to_string()[..12], |_| {}).unwrap().demand(), frozen);
    let unknown = chain.prove("no such demand", |_| {}).unwrap_err();
    assert_eq!(unknown, ProveError::Unknown("no such demand".into()));
    let demand = demand_that_is(&market, "cancelled");
    let cancelled = chain.prove(&demand.to_string(), |_| {}).unwrap_err();
    let reason = proof::ProveError::NotComposed { demand, status: "cancelled" };
    assert_eq!(cancelled, ProveError::Proof(reason));
}
