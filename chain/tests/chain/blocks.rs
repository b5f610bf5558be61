//! Several blocks in one batch: items stand alone, the better one wins, and it does not matter where a block stands.

use chain::ledger::{BlockOutcome, MarketError, StateKey};
use chain::validate::{Assembly, BlockError};
use chain::{
    Batch, BatchHash, BatchReport, Block, Body, Fault, Hash, NetworkId, PriceUpdate, Rejection, SecretKey,
};
use scenarios::parameters::Allocation;
use scenarios::{DualPrices, Money, ProviderId};

use crate::market::{Market, ProposedBatch, micros, miner, providers, resign, units};
use crate::refused::refuse;

/// The block of a miner's batch that composes these on the present head.
fn block(market: &Market, by: u64, compositions: &[(usize, Vec<ProviderId>)]) -> Block {
    market.batch(market.composing(by, compositions)).contents.blocks.remove(0)
}

/// The batch of these blocks, put together by somebody else, and those left out of it.
fn assembled(market: &Market, blocks: Vec<Block>) -> (Batch, BatchReport, Vec<(Block, Rejection)>) {
    let key = SecretKey::for_scenario(1, "validator", 9);
    let (proposer, timestamp_ms) = (key.public(), market.next_time());
    let assembly = Assembly { proposer, timestamp_ms, records: Vec::new(), blocks };
    let (drafted, refused) = market.ledger.assemble(assembly).expect("what is left of it is a batch");
    let (batch, report) = drafted.sign(&key);
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
        assert_eq!((outcome.compositions, outcome.cost, outcome.reward), (1, units(19), micros(400_000)));
        assert_eq!(outcome.dropped, []);
    }
    let composer = |index| market.ledger.demand(market.demand(index)).unwrap().composition().unwrap().miner;
    assert_eq!([composer(0), composer(1)], [0, 1].map(|by| miner(by).public().address()));
}

#[test]
fn the_better_of_two_compositions_of_a_demand_takes_effect_wherever_its_block_stands() {
    let mut market = Market::open();
    market.advance_to(20); // any feasible composition will do
    // 19 $ and 26 $, which is 7 $ more than it must be.
    let good = block(&market, 0, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let bad = block(&market, 1, &[(0, providers([0, 1])), (2, providers([1, 1]))]);
    let (_, forwards, _) = assembled(&market, vec![good.clone(), bad.clone()]);
    let (_, backwards, _) = assembled(&market, vec![bad.clone(), good.clone()]);
    assert_eq!(
        forwards.blocks.iter().map(rules).collect::<Vec<_>>(),
        [vec![], vec![(0, "duplicate-composition")]]
    );
    assert_eq!(backwards.blocks.iter().rev().collect::<Vec<_>>(), forwards.blocks.iter().collect::<Vec<_>>());
    let report = accept(&mut market, vec![bad, good]);
    assert_eq!((report.compositions, report.cost), (3, units(19 + 19 + 23)));
    let composed = market.ledger.demand(market.demand(0)).unwrap().composition().unwrap().miner;
    assert_eq!(composed, miner(0).public().address());
}

#[test]
fn what_a_proposer_copies_into_a_block_of_its_own_is_drawn_for_by_lot_and_paid_once() {
    let mut market = Market::open();
    let own = block(&market, 0, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let copied = block(&market, 1, &[(0, providers([0, 0])), (1, providers([0, 0]))]);
    let report = accept(&mut market, vec![copied, own]);
    assert_eq!((report.compositions, report.fees), (2, micros(800_000)));
    let dropped = report.blocks.iter().flat_map(rules).collect::<Vec<_>>();
    assert_eq!(dropped.iter().map(|(_, rule)| *rule).collect::<Vec<_>>(), ["duplicate-composition"; 2]);
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
    assert_eq!(refused, [(blocks[0].clone(), twice)]);
    market.advance_to(5);
    let error = Box::new(BlockError::NoAnchor { got: anchor, window_ms: 3_000 });
    let (_, _, refused) = assembled(&market, vec![late.clone()]);
    assert_eq!(refused, [(late.clone(), Rejection::Block { block: late.hash(), error })]);
    // With the next batch neither is remembered any longer.
    let keys = [StateKey::Anchor(anchor), StateKey::Brought(blocks[0].hash())];
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
        (|block| block.signed.header.version = 4, |_| BlockError::WrongVersion { got: 4, expected: 5 }),
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
    let expected = batch.header.outcomes_root;
    batch.header.outcomes_root = Hash::ZERO;
    let lie = Batch::sign(batch.header, batch.contents, &miner(0));
    let got = market.check(lie).unwrap_err();
    assert_eq!(got, Rejection::WrongOutcomesRoot { got: Hash::ZERO, expected });
}

#[test]
fn of_many_price_updates_one_takes_effect_and_two_are_tried() {
    let mut market = Market::open();
    let head = market.ledger.head().hash;
    let sign = |market: &Market, by: u64, head: BatchHash, price: i64| {
        let price_update = Some(PriceUpdate { prices: DualPrices(vec![micros(price)]) });
        let body = Body { price_update, ..Body::default() };
        Block::sign(market.network().id(), head, by, body, &miner(by))
    };
    // Only the first of these two in the order of the lot is better than those in force.
    let both = vec![sign(&market, 0, head, 200_000), sign(&market, 1, head, 200_000)];
    let (_, report, refused) = assembled(&market, both);
    assert_eq!((report.blocks.len(), refused.len()), (1, 1));
    assert_eq!((report.bound_before, report.bound_after), (Some(units(57)), Some(units(61))));
    let rule = refused[0].1.rule();
    assert!(["one-price-update", "bound-gain"].contains(&rule), "{rule}");
    // Of many bad ones no more than two cost their verifiers anything: a pass over a market of three is 66 steps.
    let bad = (0..9).map(|by| sign(&market, by, head, 900_000)).collect();
    let (_, report, refused) = assembled(&market, bad);
    assert_eq!((report.blocks.len(), report.work), (0, 0));
    let rules: Vec<&str> = refused.iter().map(|(_, why)| why.rule()).collect();
    assert_eq!(rules.iter().filter(|rule| **rule == "bound-gain").count(), 2, "{rules:?}");
    assert_eq!(rules.iter().filter(|rule| **rule == "one-price-update").count(), 7, "{rules:?}");
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
