//! A light client in a page: a network of one workshop and one demand, its composition proved, and the proof
//! checked by somebody who knows the network's id and nothing else.
//!
//! `cargo run -p chain --example proof`
#![expect(clippy::print_stdout, reason = "a program that says what it does")]

use std::sync::Arc;

use chain::consensus::{CommitCertificate, Vote, VoteKind};
use chain::genesis::scenario_demand_records;
use chain::store::{MemoryBackend, Write};
use chain::{Batch, CompositionProof, Draft, Genesis, Ledger, Network, ProofError, SecretKey, Store};
use scenarios::generate::{GenerateParameters, SiteParameters, generate};
use scenarios::{Money, ProviderId, Slot};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A network of one validator, who mines too.
    let key = SecretKey::for_scenario(1, "validator", 0);
    let scenario = generate(&workshop())?;
    let network = Arc::new(Network::new(Genesis::of_scenario(
        &scenario,
        scenario.search.profile,
        1,
        vec![key.public()],
        1,
        1_000,
    ))?);
    let mut store = Store::open(Box::new(MemoryBackend::default()), network.id())?;

    // Its first batch brings the demand, its second composes it, its third says what the second led to.
    let fee_ppm = network.parameters().solver_fee_ppm;
    let records = scenario_demand_records(
        &scenario.instance,
        network.id(),
        1,
        fee_ppm,
        network.genesis().first_expiry_ms(),
    );
    let demand = records[0].id();
    let mut ledger = Ledger::new(Arc::clone(&network));
    let mut sealed = ledger.clone();
    let composed = (vec![], vec![(demand, vec![Slot::single(ProviderId(0))])]);
    for (records, compositions) in [(records, vec![]), composed, (vec![], vec![])] {
        let timestamp_ms = ledger.head().timestamp_ms + 1_000;
        let (prices, amendments) = (None, vec![]);
        let draft = Draft { miner: key.public(), timestamp_ms, records, prices, compositions, amendments };
        let (batch, _) = ledger.draft(draft)?.sign(&key);
        let certificate = certify(&network, &batch, &key);
        let decided = ledger.validate_decided(batch, certificate)?;
        store.write(&[Write::from(&decided)])?;
        sealed = ledger;
        ledger = decided.execute()?.ledger().clone();
    }

    // The proof is bytes. Whoever gets them needs no node, only the network's id.
    let bytes = CompositionProof::of_demand(&store, &sealed, None, demand)?.to_bytes();
    let mut proof = CompositionProof::from_bytes(&bytes)?;
    let proven = proof.verify(network.id())?;
    let (cost, height) = (proven.composition.cost, proven.current_after);
    println!(
        "demand {demand} is composed at {cost} $, as of the state after height {height}: {} bytes",
        bytes.len()
    );

    // Half the cost would be nice, but no validator signed it.
    proof.composition.cost = Money::from_micros(cost.micros() / 2);
    let refused = proof.verify(network.id()).expect_err("a forged proof is refused");
    assert!(matches!(refused, ProofError::NotIncluded(_)), "{refused}");
    println!("a forged cost is refused: {refused}");
    Ok(())
}

/// The validator's precommit, which alone is more than two thirds here.
fn certify(network: &Network, batch: &Batch, key: &SecretKey) -> CommitCertificate {
    let (height, hash) = (batch.header.height, batch.hash());
    let vote = Vote { network: network.id(), height, round: 0, kind: VoteKind::Precommit, batch: Some(hash) };
    CommitCertificate { height, round: 0, batch: hash, signatures: vec![(0, vote.sign(0, key).signature)] }
}

/// One provider of one operation and one demand for it, drawn in a square of 10 km.
fn workshop() -> GenerateParameters {
    GenerateParameters {
        name: "workshop".into(),
        paper_problem: None,
        rng_seed: 1,
        providers: 1,
        demands: 1,
        operations: 1,
        orders_per_demand: 1,
        window_km: 10,
        sites: SiteParameters::Uniform,
        cost_min: Money::from_units(5),
        cost_max: Money::from_units(40),
        minutes_min: 10,
        minutes_max: 60,
        rate_per_km: Money::from_micros(500_000),
        value_of_minute: Money::ZERO,
        deliver: false,
        capacity_ppm: None,
        calendar: None,
    }
}
