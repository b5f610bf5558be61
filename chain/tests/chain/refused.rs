//! One test per rule of a batch by itself and of its place in the chain: it breaks only that rule, gets
//! that rule's error, and nothing changes. Rules that ask the state are in `refused_by_state`.

use chain::batch::BATCH_VERSION;
use chain::codec::{CodecError, encode};
use chain::key::{KeyError, PublicKey, Signature};
use chain::ledger::MarketError;
use chain::{Authentic, Batch, BatchHash, Fault, Hash, NetworkId, Rejection, WellFormed};

use crate::market::{Market, ProposedBatch, miner, providers, resign, transfer, treasurer, units};

/// A valid batch that composes alice's and bob's demands.
pub(crate) fn composing_two(market: &Market) -> Batch {
    market.batch(market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 0]))]))
}

/// Checks that a batch is refused for exactly this reason and fault, and that the ledger is as before.
pub(crate) fn refuse(market: &Market, batch: Batch, expected: &Rejection, fault: Fault) {
    let before = market.ledger.state_root();
    match market.check(batch.clone()) {
        Err(got) => assert_eq!((&got, got.fault()), (expected, fault)),
        // Something else of the block takes effect: the rule is in the outcomes.
        Ok(_) => {
            assert_eq!((market.first_dropped(batch), fault), (market.ledger.explain(expected), Fault::Peer));
        }
    }
    assert_eq!(market.ledger.state_root(), before);
}

/// Changes a valid batch, signs it again and expects the rejection, by the peer's fault.
pub(crate) fn tampered(
    change: impl FnOnce(&Market, &mut Batch),
    expected: impl FnOnce(&Market, &Batch) -> Rejection,
) {
    let market = Market::open();
    let mut batch = composing_two(&market);
    let expected = expected(&market, &batch);
    change(&market, &mut batch);
    refuse(&market, resign(batch, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn another_version() {
    tampered(
        |_, batch| batch.header.version = 1,
        |_, _| Rejection::WrongVersion { got: 1, expected: BATCH_VERSION },
    );
}

#[test]
fn another_network() {
    let other = NetworkId(Hash([1; 32]));
    tampered(
        |_, batch| batch.header.network = other,
        |market, _| Rejection::WrongNetwork { got: other, expected: market.network().id() },
    );
}

#[test]
fn a_signature_of_somebody_else() {
    let market = Market::open();
    let mut batch = composing_two(&market);
    batch.signature = Signature([7; 64]);
    refuse(&market, batch, &Rejection::BadSignature { proposer: miner(0).public() }, Fault::Peer);
}

#[test]
fn a_weak_key() {
    // The neutral element: of order one, under it anything verifies loosely.
    let mut bytes = [0; 32];
    bytes[0] = 1;
    let weak = PublicKey::from_bytes(bytes);
    let market = Market::open();
    let mut batch = composing_two(&market);
    batch.header.proposer = weak;
    refuse(&market, batch, &Rejection::ProposerKey { proposer: weak, error: KeyError::Weak }, Fault::Peer);
}

#[test]
fn a_wrong_item_count() {
    let market = Market::open();
    let mut batch = composing_two(&market);
    batch.header.item_count = 9;
    let batch = Batch::sign(batch.header, batch.contents, &miner(0));
    refuse(&market, batch, &Rejection::WrongItemCount { got: 9, expected: 3 }, Fault::Peer);
}

#[test]
fn a_wrong_merkle_root() {
    let market = Market::open();
    let mut batch = composing_two(&market);
    let expected = batch.header.contents_root;
    batch.header.contents_root = Hash::ZERO;
    let batch = Batch::sign(batch.header, batch.contents, &miner(0));
    refuse(&market, batch, &Rejection::WrongContentsRoot { got: Hash::ZERO, expected }, Fault::Peer);
}

#[test]
fn a_body_changed_after_signing() {
    let market = Market::open();
    let mut batch = composing_two(&market);
    batch.contents.blocks[0].body.compositions[0].cost = units(18);
    let got = market.check(batch).map(|_| "accepted").unwrap_err();
    assert_eq!(got.rule(), "contents-root");
}

#[test]
fn what_is_wrong_with_a_body_under_a_name_is_nothing_about_the_batch_of_that_name() {
    let market = Market::open();
    let batch = composing_two(&market);
    let bodyless = Batch { contents: chain::Contents::default(), ..batch.clone() };
    assert_eq!(bodyless.hash(), batch.hash());
    let expected = Rejection::WrongItemCount { got: 3, expected: 0 };
    assert_eq!(Authentic::new(bodyless), Err(expected));
    assert_eq!(Authentic::new(batch.clone()).map(Authentic::into_batch), Ok(batch));
}

#[test]
fn a_batch_of_another_network_is_what_its_header_names_and_refused_all_the_same() {
    let market = Market::open();
    let mut batch = composing_two(&market);
    batch.header.network = NetworkId(Hash([1; 32]));
    let batch = Authentic::new(resign(batch, &miner(0))).unwrap();
    assert_eq!(batch.well_formed(market.network()).unwrap_err().rule(), "network");
}

#[test]
fn the_same_record_twice() {
    let market = Market::open();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut batch = market.batch(ProposedBatch { records: vec![record.clone()], ..ProposedBatch::default() });
    batch.contents.records.push(record.clone());
    let expected = Rejection::DuplicateRecord { record: record.id() };
    refuse(&market, resign(batch, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn a_demand_composed_twice_in_one_batch() {
    tampered(
        |_, batch| {
            let twice = batch.contents.blocks[0].body.compositions[0].clone();
            batch.contents.blocks[0].body.compositions.push(twice);
        },
        |market, _| Rejection::Market(MarketError::DuplicateComposition { demand: market.demand(0) }),
    );
}

#[test]
fn a_composition_from_after_its_batch() {
    tampered(
        |_, batch| batch.contents.blocks[0].body.compositions[1].timestamp_ms = batch.header.timestamp_ms + 1,
        |market, batch| Rejection::CompositionTimestamp {
            demand: market.demand(1),
            got: batch.header.timestamp_ms + 1,
            expected: batch.header.timestamp_ms,
        },
    );
}

#[test]
fn too_many_records_and_compositions() {
    let market = Market::open();
    let mut batch = composing_two(&market);
    let composition = batch.contents.blocks[0].body.compositions[0].clone();
    batch.contents.blocks[0].body.compositions = vec![composition; 2_001];
    let expected = Rejection::TooManyCompositions { got: 2_001, expected: 2_000 };
    refuse(&market, resign(batch.clone(), &miner(0)), &expected, Fault::Peer);

    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    batch.contents.records = vec![record; 2_001];
    let expected = Rejection::TooManyRecords { got: 2_001, expected: 2_000 };
    refuse(&market, resign(batch, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn a_draft_beyond_the_limits_of_a_batch_is_refused_as_the_batch_would_be() {
    let draft = |change: fn(&mut chain::genesis::Limits), proposed: &dyn Fn(&Market) -> ProposedBatch| {
        let market = Market::open_with(|genesis| change(&mut genesis.parameters.limits));
        market.draft(proposed(&market)).map(|_| "drafted")
    };
    let compositions =
        |market: &Market| market.composing(0, &[0, 1].map(|demand| (demand, providers([0, 0]))));
    let got = draft(|limits| limits.compositions_per_batch = 1, &compositions);
    assert_eq!(got, Err(Rejection::TooManyCompositions { got: 2, expected: 1 }));
    let records = |market: &Market| {
        let record = |sequence| {
            let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
            content.sequence = sequence;
            content.sign(&treasurer())
        };
        ProposedBatch { records: (0..9).map(record).collect(), ..ProposedBatch::default() }
    };
    let got = draft(|limits| limits.records_per_batch = 8, &records);
    assert_eq!(got, Err(Rejection::TooManyRecords { got: 9, expected: 8 }));
    let small = |limits: &mut chain::genesis::Limits| {
        limits.batch_bytes = 1_024;
        limits.record_bytes = 1_024;
    };
    let got = draft(small, &records);
    assert!(matches!(got, Err(Rejection::TooLarge { expected: 1_024, .. })), "{got:?}");
}

#[test]
fn an_oversized_batch() {
    let market = Market::open_with(|genesis| {
        genesis.parameters.limits.batch_bytes = 1_024;
        genesis.parameters.limits.record_bytes = 512;
    });
    let mut batch = composing_two(&market);
    batch.contents.blocks[0].body.compositions[0].slots = providers([0, 0]).repeat(600);
    let batch = resign(batch, &miner(0));
    let bytes = encode(&batch);
    let expected = Rejection::TooLarge { got: bytes.len(), expected: 1_024 };
    let got = WellFormed::decode(market.network(), &bytes).unwrap_err();
    assert_eq!(got, CodecError::TooLarge { got: bytes.len(), expected: 1_024 }.into());
    assert_eq!((got.rule(), got.fault()), ("batch-size", Fault::Peer));
    refuse(&market, batch, &expected, Fault::Peer);
}

#[test]
fn bytes_that_are_no_batch() {
    let market = Market::open();
    let bytes = encode(&composing_two(&market));
    assert!(WellFormed::decode(market.network(), &bytes).is_ok());
    let decode = |bytes: &[u8]| WellFormed::decode(market.network(), bytes).unwrap_err();
    let longer = [bytes.as_slice(), &[0]].concat();
    let trailing = CodecError::NotCanonical { got: longer.len(), expected: bytes.len() };
    assert_eq!(decode(&longer), Rejection::Codec(trailing));
    for length in 0..bytes.len() {
        let got = decode(&bytes[..length]);
        assert_eq!((got.rule(), got.fault()), ("encoding", Fault::Peer), "{length} bytes");
    }
    // The version, 1, spelled with a superfluous byte.
    let overlong = [&[0x81, 0x00], &bytes[1..]].concat();
    assert_eq!(decode(&overlong).rule(), "encoding");
}

#[test]
fn a_later_or_earlier_height() {
    let market = Market::open();
    for got in [0, 1, 3] {
        let mut batch = composing_two(&market);
        batch.header.height = got;
        let expected = Rejection::WrongHeight { got, expected: 2 };
        refuse(&market, resign(batch, &miner(0)), &expected, Fault::Transient);
    }
}

#[test]
fn another_parent() {
    let other = BatchHash(Hash([3; 32]));
    tampered(
        |_, batch| batch.header.parent = other,
        |market, _| Rejection::WrongParent { got: other, expected: market.ledger.head().hash },
    );
}

#[test]
fn a_time_not_above_the_parents() {
    let parent = Market::open().ledger.head().timestamp_ms;
    tampered(
        |_, batch| {
            batch.header.timestamp_ms = parent;
            batch.contents.blocks[0]
                .body
                .compositions
                .iter_mut()
                .for_each(|composition| composition.timestamp_ms = parent);
        },
        |_, _| Rejection::TimestampNotAboveParent { got: parent, expected: parent },
    );
}

#[test]
fn a_time_ahead_of_the_clock_may_pass_later_and_one_far_behind_it_does_not() {
    let market = Market::open();
    let batch = composing_two(&market);
    let now = market.next_time() - 2_001;
    let check = |now| market.ledger.validate_clock(&batch.header, now, 500).map(|()| "accepted");
    let ahead = Rejection::TimestampAhead { got: market.next_time(), expected: market.next_time() - 1 };
    assert_eq!(ahead.fault(), Fault::Transient);
    assert_eq!(check(now), Err(ahead));
    assert_eq!(check(now + 1), Ok("accepted"));
    // And what comes later than that and half a second is not believed to have been made then.
    let late = market.next_time() + 2_501;
    let behind = Rejection::TimestampBehind { got: market.next_time(), expected: market.next_time() + 1 };
    assert_eq!((check(late - 1), behind.fault()), (Ok("accepted"), Fault::Transient));
    assert_eq!(check(late), Err(behind));
}

#[test]
fn a_batch_that_composes_nothing_too_soon() {
    let market = Market::open();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut batch = market.batch(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    let parent = market.ledger.head().timestamp_ms;
    batch.header.timestamp_ms = parent + 99;
    let expected = Rejection::QuietBatchTooSoon { got: parent + 99, expected: parent + 100 };
    refuse(&market, resign(batch, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn an_empty_batch_that_nothing_waits_for() {
    let market = Market::new();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut batch = market.batch(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    batch.contents.records.clear();
    refuse(&market, resign(batch, &miner(0)), &Rejection::EmptyBatch, Fault::Peer);
}

#[test]
fn a_wrong_state_root() {
    tampered(
        |_, batch| batch.header.state_root = Hash([5; 32]),
        |_, batch| Rejection::WrongStateRoot { got: Hash([5; 32]), expected: batch.header.state_root },
    );
}
