//! Several blocks in one batch: items stand alone, the better one wins, and it does not matter where a block stands.

use std::collections::BTreeSet;

use chain::ledger::{BlockOutcome, MarketError, StateKey};
use chain::validate::{Assembled, Assembly, BlockError};
use chain::{
    Amendment, Batch, BatchHash, BatchReport, Block, BlockHash, Body, Fault, Hash, NetworkId, PriceUpdate,
    Rejection, SecretKey, WellFormedBlock,
};
use scenarios::parameters::Allocation;
use scenarios::{DualPrices, Money, ProviderId, Slot};

use crate::market::{Market, ProposedBatch, micros, miner, providers, resign, units};
use crate::refused::refuse;

/// The block of a miner's batch that composes these on the present head.
fn block(market: &Market, by: u64, compositions: &[(usize, Vec<Slot>)]) -> Block {
    market.batch(market.composing(by, compositions)).contents.blocks.remove(0)
}

/// The batch of these blocks, put together by somebody else, and those left out of it.
fn assembled(market: &Market, blocks: Vec<Block>) -> (Batch, BatchReport, Vec<(BlockHash, Rejection)>) {
    let key = SecretKey::for_scenario(1, "validator", 9);
    let (proposer, timestamp_ms) = (key.public(), market.next_time());
    let assembly = Assembly {
        proposer,
        timestamp_ms,
        turn: 0,
        evidence: Vec::new(),
        records: Vec::new(),
        commitments: Vec::new(),
        blocks,
    };
    let Assembled { drafted, refused } = market.ledger.assemble(assembly);
    let (batch, report) = drafted.expect("what is left of it is a batch").sign(&key);
    (batch, report, refused)
}

/// Adds the batch of these blocks.
fn accept(market: &mut Market, blocks: Vec<Block>) -> BatchReport {
    let (batch, expected, refused) = assembled(market, blocks);
    assert_eq!(refused, []);
    let (_, next, report) = market.check(batch).expect("what was assembled is valid").into_parts();
    assert_eq!(report, expected);
    market.ledger = next;
    report
}

fn rules(outcome: &BlockOutcome) -> Vec<(u32, &str)> {
    outcome.dropped.iter().map(|dropped| (dropped.item, dropped.rule.as_str())).collect()
}

#[test]
fn blocks_of_two_miners_take_effect_in_one_batch_and_each_miner_is_paid_for_its_own() {
    let mut market = Market::open();
    let one = block(&market, 0, &[(0, providers([0, 0]))]);
    let other = block(&market, 1, &[(1, providers([0, 0]))]);
    let report = accept(&mut market, vec![one.clone(), other.clone()]);
    assert_eq!((report.compositions, report.cost), (2, units(38)));
    for (outcome, (block, by)) in report.blocks.iter().zip([(&one, 0), (&other, 1)]) {
        assert_eq!((outcome.block, outcome.miner, outcome.items), (block.hash(), miner(by).public(), 1));
        assert_eq!((outcome.compositions, outcome.cost, outcome.reward), (1, units(19), micros(76_000)));
        assert_eq!(outcome.dropped, []);
    }
    let composer = |index| market.ledger.demand(market.demand(index)).unwrap().composition().unwrap().miner;
    assert_eq!([composer(0), composer(1)], [0, 1].map(|by| miner(by).public().address()));
}

#[test]
fn the_better_of_two_compositions_of_a_demand_takes_effect_wherever_its_block_stands() {
    let mut market = Market::open();
    market.advance_to(20); // any feasible composition will do
    // 19 $ and 26 $, which is 7 $ more than it must be, and stands behind what is better in its block.
    let good = block(&market, 0, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let bad = block(&market, 1, &[(0, providers([0, 1])), (2, providers([1, 1]))]);
    let (_, forwards, _) = assembled(&market, vec![good.clone(), bad.clone()]);
    let (_, backwards, _) = assembled(&market, vec![bad.clone(), good.clone()]);
    assert_eq!(
        forwards.blocks.iter().map(rules).collect::<Vec<_>>(),
        [vec![], vec![(1, "duplicate-composition")]]
    );
    assert_eq!(backwards.blocks.iter().rev().collect::<Vec<_>>(), forwards.blocks.iter().collect::<Vec<_>>());
    let report = accept(&mut market, vec![bad, good]);
    assert_eq!((report.compositions, report.cost), (3, units(19 + 19 + 23)));
    let composed = market.ledger.demand(market.demand(0)).unwrap().composition().unwrap().miner;
    assert_eq!(composed, miner(0).public().address());
}

#[test]
fn what_a_proposer_copies_into_a_block_of_its_own_is_drawn_for_by_lot_and_paid_once() {
    let market = Market::open();
    let own = block(&market, 0, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let copied = block(&market, 1, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let (_, report, refused) = assembled(&market, vec![copied, own]);
    assert_eq!((report.compositions, report.fees), (2, micros(152_000)));
    // A block that loses both draws is left out.
    let dropped = report.blocks.iter().flat_map(rules).map(|(_, rule)| rule);
    let left_out = refused.iter().flat_map(|(_, why)| [why.rule(); 2]);
    assert_eq!(dropped.chain(left_out).collect::<Vec<_>>(), ["duplicate-composition"; 2]);
    let paid: Money = report.blocks.iter().map(|outcome| outcome.reward).sum();
    assert_eq!(paid, report.reward);
}

#[test]
fn a_block_takes_effect_once_in_whichever_batch_comes_first_while_its_anchor_lasts() {
    let mut market = Market::open_with(|genesis| genesis.parameters.anchor_window_ms = 3_000);
    let blocks = [(0, 0), (1, 1)].map(|(by, demand)| block(&market, by, &[(demand, providers([0, 0]))]));
    let late = block(&market, 2, &[(2, providers([0, 0]))]);
    let anchor = market.ledger.head().hash;
    market.advance_to(3);
    accept(&mut market, vec![blocks[0].clone()]);
    assert_eq!(market.ledger.head().height, 4);
    // Brought before, still in time, and too late.
    let twice = Rejection::Block { block: blocks[0].hash(), error: Box::new(BlockError::BroughtBefore) };
    let (_, _, refused) = assembled(&market, vec![blocks[0].clone(), blocks[1].clone()]);
    assert_eq!(refused, [(blocks[0].hash(), twice)]);
    market.advance_to(5);
    let error = Box::new(BlockError::NoAnchor { got: anchor, window_ms: 3_000 });
    let (_, _, refused) = assembled(&market, vec![late.clone()]);
    assert_eq!(refused, [(late.hash(), Rejection::Block { block: late.hash(), error })]);
    // With the next batch neither is remembered any longer.
    let keys = [StateKey::Anchor(anchor), StateKey::Brought(blocks[0].hash().0)];
    let remembered = |market: &Market| keys.map(|key| market.ledger.prove_state(key).value.is_some());
    assert_eq!(remembered(&market), [true, true]);
    market.advance_to(6);
    assert_eq!(remembered(&market), [false, false]);
}

#[test]
fn a_batch_with_a_block_that_has_no_effect_is_refused() {
    let mut market = Market::open();
    let late = market.batch(market.composing(1, &[(0, providers([0, 0]))]));
    let useless = late.contents.blocks[0].clone();
    market.compose(&[(0, providers([0, 0]))]);
    let mut batch = market.batch(market.composing(0, &[(1, providers([0, 0]))]));
    batch.contents.blocks.push(useless);
    batch.header.item_count += 2;
    batch.header.contents_root = chain::merkle_root(&batch.contents.items());
    let batch = Batch::sign(batch.header, batch.contents, &miner(0));
    let (demand, address) = (market.demand(0), miner(0).public().address());
    let expected = MarketError::AlreadyComposed { demand, height: 2, miner: address };
    refuse(&market, batch, &Rejection::Market(expected), Fault::Peer);
}

#[test]
fn what_is_not_a_block_of_its_miners_is_refused() {
    type Forgery = (fn(&mut Block), fn(&Block) -> BlockError);
    let cases: [Forgery; 7] = [
        (|block| block.signed.header.version = 4, |_| BlockError::WrongVersion { got: 4, expected: 6 }),
        (
            |block| block.signed.header.network = NetworkId(Hash::ZERO),
            |block| BlockError::WrongNetwork { got: NetworkId(Hash::ZERO), expected: block.header().network },
        ),
        (
            |block| block.signed.header.miner = miner(3).public(),
            |_| BlockError::BadSignature { miner: miner(3).public() },
        ),
        (|block| block.signed.header.nonce += 1, |block| BlockError::BadSignature { miner: block.miner() }),
        (|block| block.signed.header.item_count = 7, |_| BlockError::WrongItemCount { got: 7, expected: 2 }),
        (
            |block| block.signed.header.merkle_root = Hash::ZERO,
            |block| BlockError::WrongMerkleRoot { got: Hash::ZERO, expected: block.header().merkle_root },
        ),
        (|block| block.body = Body::default(), |_| BlockError::Empty),
    ];
    for (change, expected) in cases {
        let market = Market::open();
        let key = miner(0);
        let mut batch = market.batch(market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 0]))]));
        let expected = expected(&batch.contents.blocks[0]);
        change(&mut batch.contents.blocks[0]);
        let items = batch.contents.items();
        batch.header.item_count = u32::try_from(items.len()).unwrap();
        batch.header.contents_root = chain::merkle_root(&items);
        let name = batch.contents.blocks[0].hash();
        let expected = Rejection::Block { block: name, error: Box::new(expected) };
        refuse(&market, Batch::sign(batch.header, batch.contents, &key), &expected, Fault::Peer);
    }
}

#[test]
fn the_same_block_twice_and_an_outcome_that_is_not_so_are_refused() {
    let market = Market::open();
    let mut batch = market.batch(market.composing(0, &[(0, providers([0, 0]))]));
    let name = batch.contents.blocks[0].hash();
    let mut twice = batch.clone();
    twice.contents.blocks.push(batch.contents.blocks[0].clone());
    refuse(&market, resign(twice, &miner(0)), &Rejection::DuplicateBlock { block: name }, Fault::Peer);
    let expected = market.ledger.head().outcomes_root;
    batch.header.outcomes_root = Hash([5; 32]);
    let lie = Batch::sign(batch.header, batch.contents, &miner(0));
    let got = market.check(lie).unwrap_err();
    assert_eq!(got, Rejection::WrongOutcomesRoot { got: Hash([5; 32]), expected });
}

#[test]
fn of_many_price_updates_the_greatest_true_claim_takes_effect_and_false_ones_cost_their_bonds() {
    let rich = |genesis: &mut chain::Genesis| {
        genesis.parameters.price_bond = units(3);
        for by in 0..9 {
            genesis.balances.insert(miner(by).public().address(), units(5));
        }
    };
    let mut market = Market::open_with(rich);
    let head = market.ledger.head().hash;
    let sign = |market: &Market, by: u64, head: BatchHash, price: i64, gain: Money| {
        let prices = DualPrices::single(vec![micros(price)]);
        let price_update = Some(PriceUpdate { replaces: 0, gain, prices });
        let body = Body { price_update, ..Body::default() };
        Block::sign(market.network().id(), head, by, body, &miner(by))
    };
    // At 0.1 $ a minute the bound is 3 x 21 - 4 = 59 $, at 0.2 $ 61 $, at 0.9 $ 3 x 23 - 36 = 33 $. Who claims 30 $ is tried
    // first, and lies.
    let blocks = vec![
        sign(&market, 0, head, 100_000, units(2)),
        sign(&market, 1, head, 200_000, units(4)),
        sign(&market, 2, head, 900_000, units(30)),
        sign(&market, 3, head, 200_000, units(3)),
    ];
    let rules_of = |market: &Market, blocks: &[Block]| {
        let rule = |block: &Block| {
            let judged = WellFormedBlock::new(market.network(), block.clone()).unwrap();
            market.ledger.try_block(&judged, market.next_time()).map_or_else(|why| why.rule(), |_| "accepted")
        };
        blocks.iter().map(rule).collect::<Vec<_>>()
    };
    assert_eq!(rules_of(&market, &blocks), ["accepted", "accepted", "false-gain", "accepted"]);
    let (batch, report, refused) = assembled(&market, blocks);
    assert_eq!((report.bound_before, report.bound_after), (Some(units(57)), Some(units(61))));
    let refused: BTreeSet<&str> = refused.iter().map(|(_, why)| why.rule()).collect();
    assert_eq!(refused, ["false-gain", "one-price-update"].into());
    let (_, next, _) = market.check(batch).expect("it is valid").into_parts();
    assert_eq!(next.price_totals().authors, [(miner(1).public().address(), units(4))].into());
    assert_eq!(next.burned(), Money::ZERO, "an honest proposer brings no false claim");
    // A block of use that claims too much all the same costs its miner the bond, and nothing else.
    let mut body = block(&market, 4, &[(0, providers([0, 0]))]).body;
    let prices = DualPrices::single(vec![micros(900_000)]);
    body.price_update = Some(PriceUpdate { replaces: 0, gain: units(30), prices });
    let lie = Block::sign(market.network().id(), head, 4, body, &miner(4));
    let report = accept(&mut market, vec![lie]);
    assert_eq!((report.compositions, rules(&report.blocks[0])), (1, vec![(0, "false-gain")]));
    assert_eq!((market.balance(&miner(4)), market.ledger.burned()), (units(2), units(3)));
    // Without money for a bond nobody is tried; nor is who wants to replace other prices than those in force.
    let poor = sign(&market, 12, head, 200_000, units(4));
    assert_eq!(rules_of(&market, &[poor]), ["price-bond"]);
    market.accept(ProposedBatch::default().at_right_prices());
}

#[test]
fn in_dedicated_allocation_a_block_takes_effect_whole_or_not_at_all() {
    let market = Market::open_with(|genesis| {
        genesis.parameters.allocation = Allocation::Dedicated;
        genesis.parameters.held_providers_max = Some(2);
        genesis.parameters.min_reward_ppm = 0;
    });
    // Both want provider 0; whoever does not get it gets nothing, provider 1 included.
    let one = block(&market, 0, &[(0, providers([0, 0])), (1, providers([1, 1]))]);
    let other = block(&market, 1, &[(2, providers([0, 0]))]);
    let (_, report, refused) = assembled(&market, vec![one.clone(), other.clone()]);
    assert_eq!((report.blocks.len(), refused.len()), (1, 1));
    let taken = if report.blocks[0].block == one.hash() { 2 } else { 1 };
    assert_eq!(report.compositions, taken);
    assert_eq!(refused[0].1.rule(), "provider-held");
}

// ---- blocks that wait ----

#[test]
fn a_batch_takes_the_first_blocks_that_it_has_room_for_and_the_others_wait() {
    let market = Market::open_with(|genesis| genesis.parameters.limits.compositions_per_batch = 2);
    let alone = providers([0, 0]);
    let blocks = vec![
        block(&market, 0, &[(0, alone.clone())]),
        block(&market, 1, &[(1, alone.clone()), (2, alone.clone())]),
        block(&market, 2, &[(2, alone)]),
    ];
    let (batch, _, refused) = assembled(&market, blocks.clone());
    assert_eq!(batch.contents.blocks, [blocks[0].clone(), blocks[2].clone()]);
    assert_eq!(refused, [], "there was no room for it, which is nobody's fault");
    market.check(batch).expect("what was assembled is valid");
}

#[test]
fn a_batch_is_no_larger_than_allowed_whatever_waits() {
    let bytes = 1_200;
    let market = Market::open_with(|genesis| {
        genesis.parameters.limits.batch_bytes = bytes;
        genesis.parameters.limits.record_bytes = 512;
    });
    let blocks: Vec<Block> =
        (0..3).map(|by| block(&market, by, &[(usize::try_from(by).unwrap(), providers([0, 0]))])).collect();
    let (batch, _, _) = assembled(&market, blocks);
    assert!((1..3).contains(&batch.contents.blocks.len()), "{} blocks", batch.contents.blocks.len());
    assert!(chain::codec::encode(&batch).len() <= usize::try_from(bytes).unwrap());
}

#[test]
fn a_block_dated_after_its_batch_waits_and_without_anything_else_there_is_no_batch() {
    let market = Market::open();
    let mut block = block(&market, 0, &[(0, providers([0, 0]))]);
    block.body.compositions[0].timestamp_ms = market.next_time() + 1;
    let late = Block::sign(market.network().id(), market.ledger.head().hash, 0, block.body, &miner(0));
    let assembly = |timestamp_ms| Assembly {
        proposer: miner(1).public(),
        timestamp_ms,
        turn: 0,
        evidence: Vec::new(),
        records: Vec::new(),
        commitments: Vec::new(),
        blocks: vec![late.clone()],
    };
    let Assembled { drafted, refused } = market.ledger.assemble(assembly(market.next_time()));
    assert_eq!(refused, []);
    assert_eq!(drafted.unwrap().report().compositions, 0, "an empty batch, for demands wait for time");
    let drafted = market.ledger.assemble(assembly(market.next_time() + 1)).drafted;
    assert_eq!(drafted.unwrap().report().compositions, 1);
    assert_eq!(market.ledger.brings_from_ms(&late), market.next_time() + 1);
}

#[test]
fn a_waiting_block_is_judged_as_the_only_one_of_the_next_batch() {
    let mut market = Market::open();
    let waiting = |market: &Market, block: &Block| {
        let block = WellFormedBlock::new(market.network(), block.clone()).expect("it is well-formed");
        let glance = market.ledger.validate_waiting(block.block());
        let judged = market.ledger.try_block(&block, market.next_time());
        assert!(glance.is_ok() || judged.is_err(), "a glance never refuses what has an effect");
        (glance.map_err(|why| why.rule()), judged.map_err(|why| why.rule()))
    };
    let blocks = [
        block(&market, 0, &[(0, providers([0, 0]))]),
        block(&market, 1, &[(0, providers([0, 0])), (1, providers([0, 0]))]),
        block(&market, 2, &[(0, providers([0, 0]))]),
    ];
    let expected = market.check(market.batch(market.composing(0, &[(0, providers([0, 0]))]))).unwrap();
    let (glance, judged) = waiting(&market, &blocks[0]);
    assert_eq!((glance, &judged.unwrap()), (Ok(()), expected.report()));
    accept(&mut market, vec![blocks[0].clone()]);
    let brought = ("block-once", "block-once");
    let useless = ("already-composed", "already-composed");
    for (block, (glance, judged)) in [(&blocks[0], brought), (&blocks[2], useless)] {
        assert_eq!(waiting(&market, block), (Err(glance), Err(judged)));
    }
    // Half of it still stands.
    let (glance, judged) = waiting(&market, &blocks[1]);
    assert_eq!((glance, judged.unwrap().compositions), (Ok(()), 1));
    let elsewhere = BatchHash(Hash([7; 32]));
    let lost = Block::sign(market.network().id(), elsewhere, 0, blocks[1].body.clone(), &miner(1));
    assert_eq!(waiting(&market, &lost), (Err("anchor"), Err("anchor")));
}

#[test]
fn a_block_that_no_batch_could_bring_is_not_well_formed() {
    type Change = fn(&mut Body);
    let cases: [(Change, &str); 5] = [
        (|body| body.compositions.clear(), "empty-block"),
        (|body| body.compositions.extend(body.compositions.clone()), "duplicate-composition"),
        (|body| body.amendments.push(Amendment { parts: Vec::new() }), "empty-amendment"),
        (|body| body.compositions = vec![body.compositions[0].clone(); 3], "composition-count"),
        (|body| body.compositions[0].slots = vec![Slot::single(ProviderId(0)); 5_000], "batch-size"),
    ];
    let market = Market::open_with(|genesis| {
        genesis.parameters.limits.compositions_per_batch = 2;
        genesis.parameters.limits.batch_bytes = 4_000;
        genesis.parameters.limits.record_bytes = 1_000;
    });
    let good = block(&market, 0, &[(0, providers([0, 0]))]);
    assert!(WellFormedBlock::new(market.network(), good.clone()).is_ok());
    for (change, rule) in cases {
        let mut body = good.body.clone();
        change(&mut body);
        let bad = Block::sign(market.network().id(), good.header().anchor, 0, body, &miner(0));
        let refused = WellFormedBlock::new(market.network(), bad).unwrap_err();
        assert_eq!((refused.rule(), refused.fault()), (rule, Fault::Peer), "{refused}");
    }
}
