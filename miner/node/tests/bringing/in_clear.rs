//! Where blocks come in clear.

use chain::{Block, BlockOutcome};
use miner_node::{BatchRow, Message};
use scenarios::Money;

use crate::solo::{GATHER_MS, Solo, miner};

/// With so many demands; provider 0 has time for `served` of them.
fn with_time_for(demands: usize, served: i64) -> Solo {
    let providers = [(Money::from_units(5), Some(10 * served)), (Money::from_micros(5_050_000), None)];
    Solo::of(&providers, demands, |_| {})
}

/// A miner's block on the head that has a provider serve one of the demands, by position.
fn block(solo: &Solo, by: u64, serving: &[(usize, u32)], later_ms: u64) -> Block {
    solo.draft(by, serving, later_ms).sign_block(&miner(by)).expect("it composes something").0
}

fn say(solo: &mut Solo, block: Block) {
    let miner = block.miner();
    solo.hear(&miner, &Message::Block(Box::new(block)));
}

fn compositions(batch: &BatchRow) -> Vec<u32> {
    batch.blocks.iter().map(|outcome| outcome.compositions).collect()
}

#[test]
fn what_many_miners_sent_while_a_batch_was_young_is_brought_by_the_next_one_together() {
    let mut solo = with_time_for(5, 9);
    let mut blocks = (0_u64..5).map(|by| block(&solo, by, &[(usize::try_from(by).unwrap(), 0)], 0));
    let (first, others) = (blocks.next().unwrap(), blocks.collect::<Vec<_>>());
    say(&mut solo, first);
    assert_eq!(solo.batches.iter().map(compositions).collect::<Vec<_>>(), [[1]], "nothing to wait for");
    // Those of the others, made on the same head, come while the blocks after that batch are gathered.
    for block in others {
        say(&mut solo, block);
    }
    solo.run_for(GATHER_MS - 1);
    assert_eq!(solo.batches.len(), 1);
    solo.run_for(1);
    assert_eq!(solo.batches.len(), 2);
    assert_eq!(compositions(&solo.batches[1]), [1; 4]);
    let miners: Vec<_> = solo.batches[1].blocks.iter().map(|outcome| outcome.miner).collect();
    assert_eq!(miners, [1, 2, 3, 4].map(|by| miner(by).public()), "as they came");
    assert_eq!(solo.refused, [""; 0]);
    assert!(!solo.node.status(solo.now_ms).is_quiescent, "no header says yet what that led to");
    solo.run_for(1_000);
    assert_eq!((solo.batches.len(), solo.batches[2].blocks.len()), (3, 0));
    assert!(solo.node.status(solo.now_ms).is_quiescent);
}

#[test]
fn of_blocks_that_want_the_same_each_item_stands_or_falls_by_itself() {
    // Provider 0 has time for three, the other is dearer.
    let mut solo = with_time_for(4, 3);
    let servings: [&[(usize, u32)]; 3] = [&[(0, 0)], &[(1, 0), (2, 0)], &[(2, 1), (3, 1)]];
    let blocks = (0..).zip(servings).map(|(by, serving)| block(&solo, by, serving, 0)).collect::<Vec<_>>();
    for block in blocks {
        say(&mut solo, block);
    }
    solo.run_for(GATHER_MS);
    let [_, batch] = &solo.batches[..] else { panic!("{} batches", solo.batches.len()) };
    let [one, other] = &batch.blocks[..] else { panic!("{:?}", batch.blocks) };
    assert_eq!((one.compositions, one.dropped.len()), (2, 0));
    // Demand 2 has the cheaper one; the other half of the block stands.
    assert_eq!((other.compositions, other.dropped.len()), (1, 1));
    assert_eq!((other.dropped[0].item, other.dropped[0].rule.as_str()), (0, "duplicate-composition"));
}

#[test]
fn a_block_of_which_nothing_is_left_is_refused_and_does_not_come_back() {
    let mut solo = with_time_for(2, 9);
    let (good, late) = (block(&solo, 0, &[(0, 0)], 0), block(&solo, 1, &[(0, 0)], 1));
    say(&mut solo, good);
    say(&mut solo, late.clone());
    assert_eq!(solo.refused, ["already-composed"]);
    solo.run_for(GATHER_MS);
    say(&mut solo, late);
    solo.run_for(GATHER_MS);
    assert_eq!((solo.batches.len(), solo.refused.len()), (1, 1), "it is remembered");
}

#[test]
fn a_block_dated_ahead_of_this_clock_waits_for_its_time() {
    let mut solo = with_time_for(1, 9);
    let late = block(&solo, 0, &[(0, 0)], 1_500);
    say(&mut solo, late);
    solo.run_for(1_499);
    assert_eq!(solo.batches.len(), 0);
    solo.run_for(1);
    assert_eq!(solo.batches.iter().map(compositions).collect::<Vec<_>>(), [[1]]);
}

#[test]
fn what_was_once_brought_is_not_brought_again() {
    let mut solo = with_time_for(2, 9);
    let block = block(&solo, 0, &[(0, 0), (1, 0)], 0);
    say(&mut solo, block.clone());
    let outcomes = |solo: &Solo| -> Vec<BlockOutcome> {
        solo.batches.iter().flat_map(|batch| batch.blocks.clone()).collect()
    };
    assert_eq!(outcomes(&solo).len(), 1);
    say(&mut solo, block);
    solo.run_for(GATHER_MS);
    assert_eq!((outcomes(&solo).len(), solo.refused.len()), (1, 0), "a batch was quicker: nobody's fault");
}
