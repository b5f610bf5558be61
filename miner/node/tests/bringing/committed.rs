//! Where miners commit to blocks before they show them.

use chain::{BatchHash, Block, Commitment, Hash, Signature, SignedCommitment};
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{Command, Input, Message, MiningSettings};
use scenarios::parameters::CommitReveal;
use scenarios::settings::{Profile, SearchSettings};
use scenarios::{Money, Site, Window};

use crate::solo::{GATHER_MS, Solo, miner};

/// How long blocks have to come.
const REVEAL_MS: u64 = 700;
const DEMANDS: usize = 6;

/// With six demands; miners 0 to 4 have money.
fn hidden() -> Solo {
    hidden_from(None)
}

/// The same, of a validator that may mine.
fn hidden_from(mining: Option<MiningSettings>) -> Solo {
    Solo::that_mines(mining, &[(Money::from_units(5), None)], DEMANDS, |genesis| {
        genesis.parameters.commit_reveal = Some(CommitReveal { reveal_ms: REVEAL_MS });
        genesis.fund_miners((0..5).map(|number| miner(number).public()));
    })
}

/// A miner's block on the head that composes one of the demands, by position, and the commitment to it.
fn sealed(solo: &Solo, by: u64, place: usize) -> (Block, SignedCommitment) {
    let sealed = solo.draft(by, &[(place, 0)], 0).seal(&miner(by));
    let (block, commitment, _) = sealed.expect("it composes something");
    (block, commitment)
}

/// Of each batch how many commitments, blocks revealed and demands composed.
fn brought(solo: &Solo) -> Vec<(u32, u32, u32)> {
    solo.batches.iter().map(|batch| (batch.committed, batch.revealed, batch.demands)).collect()
}

#[test]
fn commitments_are_gathered_and_brought_together_and_their_blocks_when_they_had_time_to_come() {
    let mut solo = hidden();
    let (one, to_one) = sealed(&solo, 0, 0);
    let (other, to_other) = sealed(&solo, 1, 1);
    solo.hear(&miner(0).public(), &Message::Commitment(to_one));
    solo.run_for(GATHER_MS / 2);
    solo.hear(&miner(1).public(), &Message::Commitment(to_other));
    solo.run_for(GATHER_MS / 2 - 1);
    assert_eq!(brought(&solo), []);
    solo.run_for(1);
    assert_eq!(brought(&solo), [(2, 0, 0)]);
    solo.hear(&miner(0).public(), &Message::Block(Box::new(one)));
    solo.run_for(REVEAL_MS - 1);
    solo.hear(&miner(1).public(), &Message::Block(Box::new(other)));
    assert_eq!(brought(&solo), [(2, 0, 0)], "the blocks may not all have come");
    solo.run_for(1);
    assert_eq!(brought(&solo), [(2, 0, 0), (0, 2, 2)]);
}

#[test]
fn a_block_that_does_not_come_in_time_is_lost_and_its_commitment_forgotten() {
    let mut solo = hidden();
    let (block, commitment) = sealed(&solo, 0, 0);
    solo.hear(&miner(0).public(), &Message::Commitment(commitment));
    solo.run_for(GATHER_MS + REVEAL_MS);
    assert_eq!(brought(&solo), [(1, 0, 0), (0, 0, 0)]);
    assert_eq!(solo.batches[1].unrevealed, [block.hash()]);
    solo.hear(&miner(0).public(), &Message::Block(Box::new(block)));
    solo.hear(&miner(0).public(), &Message::Commitment(commitment));
    solo.run_for(10 * REVEAL_MS);
    assert!(solo.batches.iter().skip(2).all(|batch| batch.committed + batch.revealed == 0));
    assert_eq!(solo.dropped, []);
}

#[test]
fn a_commitment_is_passed_on_to_four_peers_and_once() {
    let mut solo = hidden();
    let (_, commitment) = sealed(&solo, 0, 0);
    solo.hear(&miner(0).public(), &Message::Commitment(commitment));
    solo.hear(&miner(1).public(), &Message::Commitment(commitment));
    assert_eq!(solo.relayed.len(), 4);
    assert!(!solo.relayed.contains(&miner(0).public()), "its sender has it");
}

#[test]
fn what_nobody_can_pay_for_and_blocks_that_nobody_committed_to_take_no_place_and_wake_nobody() {
    let mut solo = hidden();
    let (block, mut commitment) = sealed(&solo, 0, 0);
    commitment.commitment.miner = miner(6).public();
    let poor = commitment.commitment.sign(&miner(6));
    solo.hear(&miner(6).public(), &Message::Commitment(poor));
    solo.hear(&miner(0).public(), &Message::Block(Box::new(block)));
    let height = solo.node.ledger().head().height;
    solo.run_for(5 * REVEAL_MS);
    assert_eq!(
        (solo.node.ledger().head().height, &solo.relayed[..], &solo.dropped[..]),
        (height, &[][..], &[][..])
    );
}

#[test]
fn who_passes_on_what_is_no_commitment_is_dropped() {
    let mut solo = hidden();
    let (_, good) = sealed(&solo, 0, 0);
    let unsigned = SignedCommitment { signature: Signature([7; 64]), ..good };
    let sizeless = Commitment { bytes: 0, ..good.commitment }.sign(&miner(0));
    for (by, bad) in [(1, unsigned), (2, sizeless)] {
        solo.hear(&miner(by).public(), &Message::Commitment(bad));
        assert_eq!(solo.dropped.last(), Some(&miner(by).public()));
    }
    solo.hear(&miner(3).public(), &Message::Commitment(good));
    solo.run_for(GATHER_MS);
    assert_eq!(brought(&solo), [(1, 0, 0)]);
}

#[test]
fn of_a_miner_one_commitment_comes_with_a_batch_and_the_next_with_the_next() {
    let mut solo = hidden();
    for place in 0..3 {
        let (_, commitment) = sealed(&solo, 0, place);
        solo.hear(&miner(0).public(), &Message::Commitment(commitment));
    }
    solo.run_for(REVEAL_MS);
    assert_eq!(
        solo.batches.iter().map(|batch| batch.committed).filter(|&count| count > 0).collect::<Vec<_>>(),
        [1; 3]
    );
}

#[test]
fn old_commitments_of_a_miner_that_somebody_kept_do_not_take_its_places() {
    let mut solo = hidden();
    let (_, good) = sealed(&solo, 0, 0);
    for number in 1..20 {
        let anchor = BatchHash(Hash([number; 32]));
        let old = Commitment { anchor, ..good.commitment }.sign(&miner(0));
        solo.hear(&miner(7).public(), &Message::Commitment(old));
    }
    assert_eq!(
        (solo.relayed.len(), solo.dropped.len()),
        (0, 0),
        "nobody else need hear of them, nor is it a lie"
    );
    solo.hear(&miner(0).public(), &Message::Commitment(good));
    solo.run_for(GATHER_MS);
    assert_eq!(brought(&solo), [(1, 0, 0)]);
}

#[test]
fn who_only_names_a_demand_in_a_block_does_not_keep_miners_from_it() {
    let settings = MiningSettings {
        strategy: Strategy::Everything,
        profile: Profile::Hybrid,
        search: SearchSettings::default(),
        region: None,
        window: Window::around([Site::point(0, 0)]).expect("a place"),
        rng_seed: 1,
        announce: AnnouncePolicy::default(),
        amend: AmendPolicy::default(),
        wait_for_start: true,
    };
    let mut solo = hidden_from(Some(settings));
    let (good, to_good) = sealed(&solo, 0, 0);
    let (real, _) = sealed(&solo, 1, 1);
    let (anchor, mut body) = (real.header().anchor, real.body);
    body.compositions[0].minutes += 1; // a false claim: it will be dropped
    let useless = Block::sign(solo.node.ledger().network().id(), anchor, 1, body, &miner(1));
    let to_useless = Commitment::to_block(&useless).sign(&miner(1));
    for (by, block, commitment) in [(0, good, to_good), (1, useless, to_useless)] {
        solo.hear(&miner(by).public(), &Message::Commitment(commitment));
        solo.run_for(GATHER_MS);
        solo.hear(&miner(by).public(), &Message::Block(Box::new(block)));
    }
    solo.handle(Input::Command(Command::StartMining));
    assert_eq!(brought(&solo), [(1, 0, 0), (1, 1, 0)], "neither block has taken effect");
    assert_eq!(solo.begun, [DEMANDS - 1], "what the good block composes is taken");
}
