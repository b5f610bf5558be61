//! The store: what is written is read again, and a stored chain is verified whole.

use std::sync::Arc;

use chain::codec::encode;
use chain::consensus::{CertificateError, SafetyLog};
use chain::store::{MemoryBackend, ReplayError, Store, StoreError, Write, replay};
use chain::validate::FinalityError;
use chain::{Hash, NetworkId, Rejection};

use crate::market::{Market, certificate, miner, providers, resign, transfer, treasurer, units};

fn three_batches() -> Market {
    let mut market = Market::open();
    let two = market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    market.accept(two.at_right_prices());
    market.advance_to(3);
    market
}

/// In the fourth, alice and bob make room for carol, and save 3 $ in doing so.
fn four_batches() -> Market {
    let mut market = Market::open_with(|genesis| genesis.parameters.min_reward_ppm = 0);
    let two = market.composing(0, &[(0, providers([0, 1])), (1, providers([0, 0]))]);
    market.accept(two.at_right_prices());
    market.advance_to(3);
    market.amend(1, &[&[(0, providers([1, 1])), (2, providers([0, 0]))]]);
    market
}

#[test]
fn a_stored_chain_with_amendments_leads_to_the_same_ledger_and_one_with_a_forged_version_to_one_without_it() {
    let mut market = four_batches();
    market.advance_to(34);
    let mut store = in_memory(&market);
    store.write(&writes(&market)).unwrap();
    let ledger = replay(&store, market.ledger.network().clone()).unwrap();
    assert_eq!(ledger.state_root(), market.ledger.state_root());
    let mut batch = market.batches[3].clone();
    let replaced = batch.contents.blocks[0].body.amendments[0].parts.iter_mut().find(|part| !part.is_first());
    replaced.expect("alice").replaces = 2;
    market.batches[3] = resign(batch, &miner(1));
    market.batches.truncate(4);
    let mut store = in_memory(&market);
    store.write(&writes(&market)).unwrap();
    let forged = replay(&store, market.ledger.network().clone()).unwrap();
    let [amended, newcomer] = [0, 2].map(|index| forged.demand(market.demand(index)).unwrap());
    assert_eq!((amended.version(), newcomer.is_open()), (1, true), "what is not so has no effect");
}

fn writes(market: &Market) -> Vec<Write> {
    let certified = |batch: &chain::Batch| certificate(market.network(), batch);
    market
        .batches
        .iter()
        .map(|batch| Write::Batch(Box::new(batch.clone()), Box::new(certified(batch))))
        .collect()
}

fn in_memory(market: &Market) -> Store {
    Store::open(Box::new(MemoryBackend::default()), market.network().id()).expect("a new store opens")
}

#[test]
fn a_chain_is_read_again_and_leads_to_the_same_ledger() {
    let market = three_batches();
    let mut store = in_memory(&market);
    store.write(&writes(&market)).unwrap();
    let store = Store::open(store.into_backend(), market.network().id()).unwrap();
    assert_eq!(store.head(), Some((3, market.batches[2].hash())));
    assert_eq!(store.height_of(market.batches[1].hash()), Ok(Some(2)));
    let (batch, found) = store.batch(2).unwrap().unwrap();
    assert_eq!((&batch, &found), (&market.batches[1], &certificate(market.network(), &batch)));
    assert_eq!(store.batch(4), Ok(None));
    let ledger = replay(&store, market.ledger.network().clone()).unwrap();
    assert_eq!(ledger.state_root(), market.ledger.state_root());
    assert_eq!(ledger.head(), market.ledger.head());
}

#[test]
fn batches_are_passed_on_as_they_would_be_encoded() {
    let market = four_batches();
    let mut store = in_memory(&market);
    store.write(&writes(&market)).unwrap();
    let contents = market.batches.iter().map(|batch| &batch.contents);
    assert!(contents.clone().any(|contents| !contents.records.is_empty()));
    assert!(contents.clone().any(|contents| contents.compositions().next().is_some()));
    assert!(contents.clone().any(|contents| contents.amendments().next().is_some()));
    assert!(contents.clone().any(|contents| contents.price_updates().next().is_some()));
    for (height, batch) in (1..).zip(&market.batches) {
        let expected = encode(&(batch, certificate(market.network(), batch)));
        assert_eq!(store.encoded(height), Ok(Some(expected)));
    }
    assert_eq!(store.encoded(0), Ok(None));
    assert_eq!(store.encoded(5), Ok(None));
}

#[test]
fn pool_votes_candidates_and_names_survive_and_a_final_batch_clears_what_it_settles() {
    let market = three_batches();
    let mut store = in_memory(&market);
    let record = market.batches[2].contents.records[0].clone();
    let other = market.record(&treasurer(), transfer(&miner(1), units(3)));
    let log = SafetyLog::new(3);
    store
        .write(&[
            Write::PoolRecord(Box::new(record)),
            Write::PoolRecord(Box::new(other.clone())),
            Write::Safety(Box::new(log.clone())),
            Write::Meta("peers".into(), b"one, two".to_vec()),
            Write::Candidate(Box::new(market.batches[1].clone())),
            Write::Candidate(Box::new(market.batches[2].clone())),
        ])
        .unwrap();
    assert_eq!(store.candidates().unwrap(), market.batches[1..]);
    assert_eq!(store.pool_records().unwrap().len(), 2);
    store.write(&writes(&market)[..2]).unwrap();
    let store = Store::open(store.into_backend(), market.network().id()).unwrap();
    assert_eq!(store.candidates().unwrap(), market.batches[2..]);
    assert_eq!(store.safety_log(), Ok(Some(log)));
    assert_eq!(store.meta("peers"), Ok(Some(b"one, two".to_vec())));
    let mut store = store;
    store.write(&writes(&market)[2..]).unwrap();
    assert_eq!(store.candidates(), Ok(Vec::new()));
    assert_eq!(store.pool_records(), Ok(vec![other.clone()]));
    store.write(&[Write::ForgetPoolRecord(other.id()), Write::ForgetSafety]).unwrap();
    assert_eq!(store.pool_records(), Ok(Vec::new()));
    assert_eq!(store.safety_log(), Ok(None));
}

#[test]
fn batches_are_stored_in_order_under_their_own_certificate_or_not_at_all() {
    let market = three_batches();
    let mut store = in_memory(&market);
    let all = writes(&market);
    assert_eq!(store.write(&all[1..]), Err(StoreError::NotNext { got: 2, expected: 1 }));
    let foreign = certificate(market.network(), &market.batches[1]);
    let mixed = Write::Batch(Box::new(market.batches[0].clone()), Box::new(foreign));
    let (got, expected) = (market.batches[1].hash(), market.batches[0].hash());
    assert_eq!(store.write(&[mixed]), Err(StoreError::WrongCertificate { got, expected }));
    // The first batch is right, the third is not next: neither is stored.
    assert!(store.write(&[all[0].clone(), all[2].clone()]).is_err());
    assert_eq!((store.head(), store.batch(1)), (None, Ok(None)));
}

#[test]
fn a_store_belongs_to_one_network() {
    let market = Market::new();
    let store = in_memory(&market);
    let other = NetworkId(Hash([1; 32]));
    let got = Store::open(store.into_backend(), other).unwrap_err();
    assert_eq!(got, StoreError::WrongNetwork { got: market.network().id(), expected: other });
}

#[test]
fn replay_refuses_a_batch_that_breaks_a_rule_and_one_without_a_quorum() {
    let market = three_batches();
    let mut batch = market.batches[0].clone();
    batch.header.state_root = Hash::ZERO;
    let batch = resign(batch, &miner(0));
    let mut store = in_memory(&market);
    let votes = Box::new(certificate(market.network(), &batch));
    store.write(&[Write::Batch(Box::new(batch), votes)]).unwrap();
    let expected = Market::open().batches[0].header.state_root;
    let error = Rejection::WrongStateRoot { got: Hash::ZERO, expected };
    let network: Arc<_> = market.ledger.network().clone();
    assert_eq!(
        replay(&store, network.clone()).unwrap_err(),
        ReplayError::NotFinal { height: 1, error: error.into() }
    );

    let mut store = in_memory(&market);
    let mut votes = certificate(market.network(), &market.batches[0]);
    votes.signatures.truncate(2);
    store.write(&[Write::Batch(Box::new(market.batches[0].clone()), Box::new(votes))]).unwrap();
    let error = CertificateError::NoQuorum { got: 2, expected: 3 }.into();
    assert_eq!(replay(&store, network).unwrap_err(), ReplayError::NotFinal { height: 1, error });
}

#[test]
fn what_somebody_calls_final_is_judged_by_its_votes_before_its_rules() {
    let market = three_batches();
    let ledger = Market::new().ledger;
    let (first, second) = (&market.batches[0], &market.batches[1]);
    let foreign = certificate(market.network(), second);
    let (got, expected) = (second.header.height, first.header.height);
    let error = ledger.validate_decided(first.clone(), foreign).unwrap_err();
    assert_eq!(error, FinalityError::WrongHeight { got, expected });
    let mut forged = first.clone();
    forged.header.state_root = Hash::ZERO;
    let forged = resign(forged, &miner(0));
    let mut votes = certificate(market.network(), &forged);
    let error = ledger.validate_decided(forged.clone(), votes.clone()).unwrap_err();
    assert!(matches!(error, FinalityError::Invalid(Rejection::WrongStateRoot { .. })), "{error}");
    votes.signatures.truncate(2);
    let error = ledger.validate_decided(forged, votes).unwrap_err();
    assert_eq!(error, CertificateError::NoQuorum { got: 2, expected: 3 }.into());
    let decided = ledger.validate_decided(first.clone(), certificate(market.network(), first)).unwrap();
    let done = decided.execute().unwrap();
    assert_eq!((done.batch(), done.ledger().head().height), (first, 1));
}

#[test]
fn an_empty_write_changes_nothing() {
    let market = Market::new();
    let mut store = in_memory(&market);
    store.write(&[]).unwrap();
    assert_eq!(store.height(), 0);
    assert_eq!(replay(&store, market.ledger.network().clone()).unwrap().head().height, 0);
}
