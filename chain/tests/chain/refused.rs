//! One test per rule of a block by itself and of its place in the chain: it breaks only that rule, gets
//! that rule's error, and nothing changes. Rules that ask the state are in `refused_by_state`.

use chain::block::BLOCK_VERSION;
use chain::codec::{CodecError, encode};
use chain::key::{KeyError, PublicKey, Signature};
use chain::ledger::MarketError;
use chain::{Authentic, Block, BlockHash, Fault, Hash, NetworkId, Rejection, WellFormed};

use crate::market::{Market, ProposedBlock, miner, providers, resign, transfer, treasurer, units};

/// A valid block that composes alice's and bob's demands.
pub(crate) fn composing_two(market: &Market) -> Block {
    market.block(market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 0]))]))
}

/// Checks that a block is refused for exactly this reason and fault, and that the ledger is as before.
pub(crate) fn refuse(market: &Market, block: Block, expected: &Rejection, fault: Fault) {
    let before = market.ledger.state_root();
    let got = market.check(block).map(|_| "accepted").expect_err("a refusal");
    assert_eq!((&got, got.fault()), (expected, fault));
    assert_eq!(market.ledger.state_root(), before);
}

/// Changes a valid block, signs it again and expects the rejection, by the peer's fault.
pub(crate) fn tampered(
    change: impl FnOnce(&Market, &mut Block),
    expected: impl FnOnce(&Market, &Block) -> Rejection,
) {
    let market = Market::open();
    let mut block = composing_two(&market);
    let expected = expected(&market, &block);
    change(&market, &mut block);
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn another_version() {
    tampered(
        |_, block| block.header.version = 1,
        |_, _| Rejection::WrongVersion { got: 1, expected: BLOCK_VERSION },
    );
}

#[test]
fn another_network() {
    let other = NetworkId(Hash([1; 32]));
    tampered(
        |_, block| block.header.network = other,
        |market, _| Rejection::WrongNetwork { got: other, expected: market.network().id() },
    );
}

#[test]
fn a_signature_of_somebody_else() {
    let market = Market::open();
    let mut block = composing_two(&market);
    block.signature = Signature([7; 64]);
    refuse(&market, block, &Rejection::BadSignature { miner: miner(0).public() }, Fault::Peer);
}

#[test]
fn a_weak_key() {
    // The neutral element: of order one, under it anything verifies loosely.
    let mut bytes = [0; 32];
    bytes[0] = 1;
    let weak = PublicKey::from_bytes(bytes);
    let market = Market::open();
    let mut block = composing_two(&market);
    block.header.miner = weak;
    refuse(&market, block, &Rejection::MinerKey { miner: weak, error: KeyError::Weak }, Fault::Peer);
}

#[test]
fn a_wrong_item_count() {
    let market = Market::open();
    let mut block = composing_two(&market);
    block.header.item_count = 3;
    let block = Block::sign(block.header, block.body, &miner(0));
    refuse(&market, block, &Rejection::WrongItemCount { got: 3, expected: 2 }, Fault::Peer);
}

#[test]
fn a_wrong_merkle_root() {
    let market = Market::open();
    let mut block = composing_two(&market);
    let expected = block.header.merkle_root;
    block.header.merkle_root = Hash::ZERO;
    let block = Block::sign(block.header, block.body, &miner(0));
    refuse(&market, block, &Rejection::WrongMerkleRoot { got: Hash::ZERO, expected }, Fault::Peer);
}

#[test]
fn a_body_changed_after_signing() {
    let market = Market::open();
    let mut block = composing_two(&market);
    block.body.compositions[0].cost = units(18);
    let got = market.check(block).map(|_| "accepted").unwrap_err();
    assert_eq!(got.rule(), "merkle-root");
}

#[test]
fn what_is_wrong_with_a_body_under_a_name_is_nothing_about_the_block_of_that_name() {
    let market = Market::open();
    let block = composing_two(&market);
    let bodyless = Block { body: chain::Body::default(), ..block.clone() };
    assert_eq!(bodyless.hash(), block.hash());
    let expected = Rejection::WrongItemCount { got: 2, expected: 0 };
    assert_eq!(Authentic::new(bodyless), Err(expected));
    assert_eq!(Authentic::new(block.clone()).map(Authentic::into_block), Ok(block));
}

#[test]
fn a_block_of_another_network_is_what_its_header_names_and_refused_all_the_same() {
    let market = Market::open();
    let mut block = composing_two(&market);
    block.header.network = NetworkId(Hash([1; 32]));
    let block = Authentic::new(resign(block, &miner(0))).unwrap();
    assert_eq!(block.well_formed(market.network()).unwrap_err().rule(), "network");
}

#[test]
fn the_same_record_twice() {
    let market = Market::open();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut block = market.block(ProposedBlock { records: vec![record.clone()], ..ProposedBlock::default() });
    block.body.records.push(record.clone());
    let expected = Rejection::DuplicateRecord { record: record.id() };
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn a_demand_composed_twice_in_one_block() {
    tampered(
        |_, block| {
            let twice = block.body.compositions[0].clone();
            block.body.compositions.push(twice);
        },
        |market, _| Rejection::Market(MarketError::DuplicateComposition { demand: market.demand(0) }),
    );
}

#[test]
fn a_composition_from_after_its_block() {
    tampered(
        |_, block| block.body.compositions[1].timestamp_ms = block.header.timestamp_ms + 1,
        |market, block| Rejection::CompositionTimestamp {
            demand: market.demand(1),
            got: block.header.timestamp_ms + 1,
            expected: block.header.timestamp_ms,
        },
    );
}

#[test]
fn too_many_records_and_compositions() {
    let market = Market::open();
    let mut block = composing_two(&market);
    let composition = block.body.compositions[0].clone();
    block.body.compositions = vec![composition; 2_001];
    let expected = Rejection::TooManyCompositions { got: 2_001, expected: 2_000 };
    refuse(&market, resign(block.clone(), &miner(0)), &expected, Fault::Peer);

    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    block.body.records = vec![record; 2_001];
    let expected = Rejection::TooManyRecords { got: 2_001, expected: 2_000 };
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn a_draft_beyond_the_limits_of_a_block_is_refused_as_the_block_would_be() {
    let draft = |change: fn(&mut chain::genesis::Limits), proposed: &dyn Fn(&Market) -> ProposedBlock| {
        let market = Market::open_with(|genesis| change(&mut genesis.parameters.limits));
        market.draft(proposed(&market)).map(|_| "drafted")
    };
    let compositions =
        |market: &Market| market.composing(0, &[0, 1].map(|demand| (demand, providers([0, 0]))));
    let got = draft(|limits| limits.compositions_per_block = 1, &compositions);
    assert_eq!(got, Err(Rejection::TooManyCompositions { got: 2, expected: 1 }));
    let records = |market: &Market| {
        let record = |sequence| {
            let mut content = market.content(&treasurer(), transfer(&miner(1), units(1)));
            content.sequence = sequence;
            content.sign(&treasurer())
        };
        ProposedBlock { records: (0..9).map(record).collect(), ..ProposedBlock::default() }
    };
    let got = draft(|limits| limits.records_per_block = 8, &records);
    assert_eq!(got, Err(Rejection::TooManyRecords { got: 9, expected: 8 }));
    let small = |limits: &mut chain::genesis::Limits| {
        limits.block_bytes = 1_024;
        limits.record_bytes = 1_024;
    };
    let got = draft(small, &records);
    assert!(matches!(got, Err(Rejection::TooLarge { expected: 1_024, .. })), "{got:?}");
}

#[test]
fn an_oversized_block() {
    let market = Market::open_with(|genesis| {
        genesis.parameters.limits.block_bytes = 1_024;
        genesis.parameters.limits.record_bytes = 512;
    });
    let mut block = composing_two(&market);
    block.body.compositions[0].providers = providers([0, 0]).repeat(600);
    let block = resign(block, &miner(0));
    let bytes = encode(&block);
    let expected = Rejection::TooLarge { got: bytes.len(), expected: 1_024 };
    let got = WellFormed::decode(market.network(), &bytes).unwrap_err();
    assert_eq!(got, CodecError::TooLarge { got: bytes.len(), expected: 1_024 }.into());
    assert_eq!((got.rule(), got.fault()), ("block-size", Fault::Peer));
    refuse(&market, block, &expected, Fault::Peer);
}

#[test]
fn bytes_that_are_no_block() {
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
        let mut block = composing_two(&market);
        block.header.height = got;
        let expected = Rejection::WrongHeight { got, expected: 2 };
        refuse(&market, resign(block, &miner(0)), &expected, Fault::Transient);
    }
}

#[test]
fn another_parent() {
    let other = BlockHash(Hash([3; 32]));
    tampered(
        |_, block| block.header.parent = other,
        |market, _| Rejection::WrongParent { got: other, expected: market.ledger.head().hash },
    );
}

#[test]
fn a_time_not_above_the_parents() {
    let parent = Market::open().ledger.head().timestamp_ms;
    tampered(
        |_, block| {
            block.header.timestamp_ms = parent;
            block.body.compositions.iter_mut().for_each(|composition| composition.timestamp_ms = parent);
        },
        |_, _| Rejection::TimestampNotAboveParent { got: parent, expected: parent },
    );
}

#[test]
fn a_time_ahead_of_the_clock_may_pass_later() {
    let market = Market::open();
    let block = composing_two(&market);
    let now = market.next_time() - 2_001;
    let check = |now| {
        let block = WellFormed::new(market.network(), block.clone()).unwrap();
        market.ledger.validate(block, Some(now)).map(|_| "accepted")
    };
    let ahead = Rejection::TimestampAhead { got: market.next_time(), expected: market.next_time() - 1 };
    assert_eq!(ahead.fault(), Fault::Transient);
    assert_eq!(check(now), Err(ahead));
    assert_eq!(check(now + 1), Ok("accepted"));
}

#[test]
fn a_block_that_composes_nothing_too_soon() {
    let market = Market::open();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut block = market.block(ProposedBlock { records: vec![record], ..ProposedBlock::default() });
    let parent = market.ledger.head().timestamp_ms;
    block.header.timestamp_ms = parent + 99;
    let expected = Rejection::QuietBlockTooSoon { got: parent + 99, expected: parent + 100 };
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn an_empty_block_that_nothing_waits_for() {
    let market = Market::new();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut block = market.block(ProposedBlock { records: vec![record], ..ProposedBlock::default() });
    block.body.records.clear();
    refuse(&market, resign(block, &miner(0)), &Rejection::EmptyBlock, Fault::Peer);
}

#[test]
fn a_wrong_state_root() {
    tampered(
        |_, block| block.header.state_root = Hash([5; 32]),
        |_, block| Rejection::WrongStateRoot { got: Hash([5; 32]), expected: block.header.state_root },
    );
}
