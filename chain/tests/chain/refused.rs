//! One test per rule of a block: it breaks only that rule, gets that rule's error, and nothing changes.

use chain::block::BLOCK_VERSION;
use chain::codec::{CodecError, encode};
use chain::key::{KeyError, PublicKey, Signature};
use chain::{Block, BlockHash, Fault, Hash, NetworkId, Rejection, WellFormed};
use scenarios::settings::Allocation;
use scenarios::{Money, OperationId, PriceError, ProviderId};

use crate::market::{
    Market, Proposed, demander, instance, micros, miner, offer, provider_of, providers, resign, transfer,
    treasurer, units,
};

/// A valid block that composes alice's and bob's demands.
fn composing_two(market: &Market) -> Block {
    market.block(market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 0]))]))
}

/// Checks that a block is refused for exactly this reason and fault, and that the ledger is as before.
fn refuse(market: &Market, block: Block, expected: &Rejection, fault: Fault) {
    let before = market.ledger.state_root();
    let got = market.check(block).map(|_| "accepted").expect_err("a refusal");
    assert_eq!((&got, got.fault()), (expected, fault));
    assert_eq!(market.ledger.state_root(), before);
}

/// Changes a valid block, signs it again and expects the rejection, by the peer's fault.
fn tampered(change: impl FnOnce(&Market, &mut Block), expected: impl FnOnce(&Market, &Block) -> Rejection) {
    let market = Market::open();
    let mut block = composing_two(&market);
    let expected = expected(&market, &block);
    change(&market, &mut block);
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn another_version() {
    tampered(
        |_, block| block.header.version = 2,
        |_, _| Rejection::WrongVersion { got: 2, expected: BLOCK_VERSION },
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
fn the_same_record_twice() {
    let market = Market::open();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut block = market.block(Proposed { records: vec![record.clone()], ..Proposed::default() });
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
        |market, _| Rejection::DuplicateComposition { demand: market.demand(0) },
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
    refuse(&market, block.clone(), &expected, Fault::Peer);

    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    block.body.records = vec![record; 2_001];
    let expected = Rejection::TooManyRecords { got: 2_001, expected: 2_000 };
    refuse(&market, block, &expected, Fault::Peer);
}

#[test]
fn an_oversized_block() {
    let market = Market::open_with(|genesis| {
        genesis.parameters.limits.block_bytes = 1_024;
        genesis.parameters.limits.record_bytes = 512;
    });
    let mut block = composing_two(&market);
    block.body.compositions[0].providers = providers([0, 0]).repeat(600);
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
    let mut block = market.block(Proposed { records: vec![record], ..Proposed::default() });
    let parent = market.ledger.head().timestamp_ms;
    block.header.timestamp_ms = parent + 99;
    let expected = Rejection::QuietBlockTooSoon { got: parent + 99, expected: parent + 100 };
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn an_empty_block_that_nothing_waits_for() {
    let market = Market::new();
    let record = market.record(&treasurer(), transfer(&miner(1), units(1)));
    let mut block = market.block(Proposed { records: vec![record], ..Proposed::default() });
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

#[test]
fn a_demand_that_is_not_on_chain() {
    let unknown = chain::RecordId(Hash([9; 32]));
    tampered(
        |_, block| block.body.compositions[0].demand = unknown,
        |_, _| Rejection::UnknownDemand { demand: unknown },
    );
}

#[test]
fn a_demand_composed_by_an_earlier_block() {
    let mut market = Market::open();
    let mut late = composing_two(&market);
    market.compose(&[(1, providers([0, 0]))]);
    late.header.height = 3;
    late.header.parent = market.ledger.head().hash;
    late.header.timestamp_ms = market.next_time();
    let (demand, miner_address) = (market.demand(1), miner(0).public().address());
    let expected = Rejection::AlreadyComposed { demand, height: 2, miner: miner_address };
    refuse(&market, resign(late, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn a_cancelled_demand() {
    let mut market = Market::open();
    let mut late = composing_two(&market);
    let demand = market.demand(0);
    let cancel = market.record(&demander(0), chain::Statement::DemandCancellation { demand });
    market.accept(Proposed { records: vec![cancel], ..Proposed::default() });
    late.header.height = 3;
    late.header.parent = market.ledger.head().hash;
    late.header.timestamp_ms = market.next_time();
    refuse(&market, resign(late, &miner(0)), &Rejection::DemandCancelled { demand, height: 2 }, Fault::Peer);
}

#[test]
fn compositions_of_the_wrong_form() {
    tampered(
        |_, block| block.body.compositions[0].providers = providers([0]),
        |market, _| Rejection::OrderCount { demand: market.demand(0), got: 1, expected: 2 },
    );
    tampered(
        |_, block| block.body.compositions[0].providers = providers([0, 3]),
        |market, _| Rejection::UnknownProvider {
            demand: market.demand(0),
            order: 1,
            got: ProviderId(3),
            expected: 3,
        },
    );
    tampered(
        |_, block| block.body.compositions[0].providers = providers([2, 0]),
        |market, _| Rejection::NotOffered {
            demand: market.demand(0),
            order: 0,
            got: ProviderId(2),
            expected: OperationId(0),
        },
    );
}

#[test]
fn a_withdrawn_offer() {
    let mut market = Market::open();
    let withdrawal = market.record(&provider_of(0), chain::Statement::OfferWithdrawal);
    market.accept(Proposed { records: vec![withdrawal], ..Proposed::default() });
    let got = market.draft(market.composing(0, &[(0, providers([1, 0]))])).unwrap_err();
    let expected = Rejection::OfferWithdrawn { demand: market.demand(0), order: 1, got: ProviderId(0) };
    assert_eq!(got, expected);
}

#[test]
fn a_budget_exceeded() {
    let mut market = Market::open();
    let mut dear = instance().supply.providers.remove(2);
    dear.offers.get_mut(&OperationId(1)).unwrap().cost = units(90);
    let record = market.record(&provider_of(2), offer(&dear));
    market.accept(Proposed { records: vec![record], ..Proposed::default() });
    let got = market.draft(market.composing(0, &[(0, providers([0, 2]))])).unwrap_err();
    // 10 + 1 + 90.
    assert_eq!(
        got,
        Rejection::OverBudget { demand: market.demand(0), got: units(101), expected: units(100) }
    );
}

#[test]
fn capacity_exceeded_in_one_block() {
    tampered(
        |market, block| {
            let mut third = block.body.compositions[0].clone();
            third.demand = market.demand(2);
            block.body.compositions.push(third);
            block.header.cost = units(57);
        },
        |market, _| Rejection::OverCapacity {
            demand: market.demand(2),
            provider: ProviderId(0),
            got: 60,
            expected: 40,
        },
    );
}

#[test]
fn capacity_exceeded_across_two_blocks() {
    let mut market = Market::open();
    market.compose(&[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let got = market.draft(market.composing(1, &[(2, providers([0, 0]))])).unwrap_err();
    let (demand, provider) = (market.demand(2), ProviderId(0));
    assert_eq!(got, Rejection::OverCapacity { demand, provider, got: 60, expected: 40 });
}

#[test]
fn in_dedicated_allocation_a_provider_held_by_another_or_one_too_many() {
    let dedicated = |held| {
        Market::open_with(|genesis| {
            genesis.parameters.allocation = Allocation::Dedicated;
            genesis.parameters.held_providers_max = held;
        })
    };
    let mut market = dedicated(None);
    market.compose(&[(0, providers([0, 0]))]);
    let got = market.draft(market.composing(1, &[(1, providers([0, 0]))])).unwrap_err();
    let held = Rejection::ProviderHeld {
        demand: market.demand(1),
        provider: ProviderId(0),
        got: miner(1).public().address(),
        expected: miner(0).public().address(),
    };
    assert_eq!(got, held);
    assert_eq!(market.ledger.providers_left(&miner(0).public()), Some(0));
    assert_eq!(market.ledger.providers_left(&miner(1).public()), Some(1));
    let offers_left =
        |index| market.ledger.open_market_for(&miner(index).public()).supply.providers[0].offers.len();
    assert_eq!([offers_left(0), offers_left(1)], [2, 0]);
    // Its holder may use it again, until the first composition freezes.
    market.compose(&[(1, providers([0, 0]))]);
    assert_eq!(market.ledger.holder(ProviderId(0)).unwrap().compositions, 2);
    market.advance_to(36);
    assert_eq!(market.ledger.holder(ProviderId(0)), None);

    // ceil(3 providers / 4 miners) is one.
    let market = dedicated(None);
    let got = market.draft(market.composing(0, &[(0, providers([0, 1]))])).unwrap_err();
    let (demand, miner) = (market.demand(0), miner(0).public().address());
    assert_eq!(got, Rejection::TooManyProvidersHeld { demand, miner, got: 2, expected: 1 });
    let market = dedicated(Some(2));
    let got = market.draft(market.composing(0, &[(0, providers([0, 1]))])).unwrap_err();
    assert_eq!(got.rule(), "reward");
}

#[test]
fn understated_claims() {
    tampered(
        |_, block| block.body.compositions[0].cost = units(18),
        |market, _| Rejection::WrongCost { demand: market.demand(0), got: units(18), expected: units(19) },
    );
    tampered(
        |_, block| block.body.compositions[1].minutes = 19,
        |market, _| Rejection::WrongMinutes { demand: market.demand(1), got: 19, expected: 20 },
    );
    tampered(
        |_, block| block.header.cost = units(37),
        |_, _| Rejection::WrongTotalCost { got: units(37), expected: units(38) },
    );
    tampered(
        |_, block| block.header.regret = micros(-1),
        |_, _| Rejection::WrongRegret { got: micros(-1), expected: Money::ZERO },
    );
}

#[test]
fn prices_that_do_not_raise_the_bound() {
    let mut market = Market::open();
    let propose = |market: &Market, prices: &[i64]| {
        let prices = Some(prices.iter().map(|&price| micros(price)).collect());
        market.draft(Proposed { prices, ..Proposed::default() }).map(|_| "accepted")
    };
    // At 1 $ a minute, all demands go to provider 1: 3 x 23 - 40 = 29 $. Raising 57 $ by 100 ppm: 57.0057 $.
    let refused = Rejection::BoundNotRaised { got: units(29), expected: micros(57_005_700) };
    assert_eq!(propose(&market, &[1_000_000]), Err(refused));
    // At 0.000285 $: 3 x (19 + 0.0057) - 40 x 0.000285 = 57.0057 $ just passes, one micro-unit less does not.
    assert_eq!(propose(&market, &[285]), Ok("accepted"));
    let refused = Rejection::BoundNotRaised { got: micros(57_005_680), expected: micros(57_005_700) };
    assert_eq!(propose(&market, &[284]), Err(refused));
    market.accept(Proposed { prices: Some(vec![micros(200_000)]), ..Proposed::default() });
    assert_eq!(propose(&market, &[200_000]).unwrap_err().rule(), "bound-gain");
}

#[test]
fn prices_out_of_range() {
    let market = Market::open();
    let refused = |prices: &[Money]| {
        market.draft(Proposed { prices: Some(prices.to_vec()), ..Proposed::default() }).unwrap_err()
    };
    let provider = ProviderId(0);
    let negative = PriceError::OutOfRange { provider, got: micros(-1) };
    assert_eq!(refused(&[micros(-1)]), negative.into());
    let oversized = PriceError::OutOfRange { provider, got: micros(1_000_000_001) };
    assert_eq!(refused(&[micros(1_000_000_001)]), oversized.into());
    let unlimited = PriceError::Unlimited { provider: ProviderId(1), got: micros(1) };
    assert_eq!(refused(&[Money::ZERO, micros(1)]), unlimited.into());
    let surplus = PriceError::Count { got: 4, expected: 3 };
    assert_eq!(refused(&[Money::ZERO, Money::ZERO, micros(1), micros(1)]), surplus.into());
}

#[test]
fn a_price_update_in_two_spellings() {
    let market = Market::open();
    let mut block = market.block(Proposed { prices: Some(vec![micros(200_000)]), ..Proposed::default() });
    block.body.price_update.as_mut().unwrap().prices.0.push(Money::ZERO);
    refuse(&market, resign(block, &miner(0)), &Rejection::TrailingZeroPrice, Fault::Peer);
}

#[test]
fn a_reward_below_the_threshold() {
    let market = Market::open();
    let mut block = market.block(market.composing(0, &[(2, providers([0, 0]))]));
    let composition = &mut block.body.compositions[0];
    (composition.providers, composition.cost, composition.minutes) = (providers([1, 1]), units(23), 25);
    (block.header.cost, block.header.regret) = (units(23), units(4));
    let expected = Rejection::RewardBelowThreshold { got: Money::ZERO, expected: micros(40_000) };
    refuse(&market, resign(block, &miner(0)), &expected, Fault::Peer);
}

#[test]
fn too_much_verification_work() {
    // Two providers for operation 0, three for operation 1: 2 + 3 + 2 x 3 = 11 steps a demand.
    let market = Market::open_with(|genesis| genesis.parameters.limits.verification_work = 66);
    let three = [(0, providers([0, 0])), (1, providers([0, 0])), (2, providers([1, 1]))];
    let mut proposed = market.composing(0, &three);
    proposed.prices = Some(vec![micros(200_000)]);
    // 3 compositions and twice the market of 3.
    let got = market.draft(proposed.clone()).unwrap_err();
    assert_eq!(got, Rejection::TooMuchWork { got: 99, expected: 66 });
    proposed.compositions.clear();
    assert_eq!(market.draft(proposed).unwrap().2.work, 66);
}
