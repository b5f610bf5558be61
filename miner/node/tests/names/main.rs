//! Blocks and batches by name, and everything that is asked for by name, as one node sees them: each test is something that a stranger
//! or a lying validator can say, and what must not come of it. What a whole network makes of it is in the simulator's
//! tests.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of effect among many")]

#[path = "../market/mod.rs"]
mod market;
mod scene;

use chain::{Batch, BatchHash, Block, BlockHash, Body, Contents, PriceUpdate};
use miner_node::{FinalBatchMessage, Message, NodeEvent};
use scenarios::{DualPrices, Money};

use crate::scene::{LEAD_MS, Scene, invented, owner, stranger};

// ---- names ----

#[test]
fn a_false_body_costs_its_sender_the_connection_and_leaves_the_name_as_it_was() {
    let mut scene = Scene::with_demand();
    let (liar, honest) = (stranger(0), stranger(1));
    scene.connect(&liar);
    scene.connect(&honest);
    let block = scene.block(&honest, 0);
    scene.say(&honest, &Message::AnnounceBlock(block.hash()));
    scene.say_block(&liar, &Block { body: Body::default(), ..block.clone() });
    let seen = scene.look();
    assert_eq!(seen.asked_for_block(block.hash()), [honest.public()]);
    assert!(seen.dropped(&liar));
    assert_eq!(seen.refusals(), 0, "nothing is said about the block of that name");
    scene.say_block(&honest, &block);
    assert!(scene.look().relayed(&block));
}

#[test]
fn a_block_under_another_signature_than_its_miners_is_not_that_block() {
    let mut scene = Scene::with_demand();
    let (liar, miner) = (stranger(0), stranger(1));
    scene.connect(&liar);
    scene.connect(&miner);
    let (block, other) = (scene.block(&miner, 0), scene.block(&miner, 1));
    let mut forged = block.clone();
    forged.signed.signature = other.signed.signature;
    scene.say_block(&liar, &forged);
    assert!(scene.look().dropped(&liar));
    scene.say_block(&miner, &block);
    assert!(scene.look().relayed(&block));
}

#[test]
fn a_batch_under_another_body_or_signature_than_its_proposers_is_not_that_batch() {
    let mut scene = Scene::new();
    let proposer = scene.validators[1].clone();
    let (batch, other) = (scene.batch(&proposer, 0), scene.batch(&proposer, 1));
    let forgeries = [
        Batch { signature: other.signature, ..batch.clone() },
        Batch { contents: Contents::default(), ..batch.clone() },
    ];
    scene.propose(0, batch.hash());
    for (liar, forged) in [stranger(0), stranger(1)].iter().zip(&forgeries) {
        scene.connect(liar);
        scene.say_batch(liar, forged);
        let seen = scene.look();
        assert!(seen.dropped(liar));
        assert_eq!((seen.refusals(), seen.prevotes()), (0, vec![]));
    }
    scene.say_batch(&proposer, &batch);
    assert_eq!(scene.look().prevotes(), [Some(batch.hash())]);
}

#[test]
fn a_batch_that_no_validator_made_or_proposes_is_not_looked_at() {
    let mut scene = Scene::new();
    let maker = stranger(0);
    scene.connect(&maker);
    let batch = scene.batch(&maker, 0);
    scene.look();
    scene.say_batch(&maker, &batch);
    scene.say(&maker, &Message::RequestBatch(batch.hash()));
    assert!(scene.look().sent_to(&maker).is_empty(), "it is not here");
    scene.propose(0, batch.hash());
    scene.say_batch(&maker, &batch);
    assert_eq!(scene.look().prevotes(), [Some(batch.hash())]);
}

// ---- fetching ----

#[test]
fn names_that_many_strangers_invent_do_not_keep_an_announced_block_from_being_asked_for() {
    let mut scene = Scene::with_demand();
    for number in 0..16 {
        scene.connect(&stranger(number));
        for name in 0..16 {
            let name = u8::try_from(number).unwrap() * 16 + name;
            scene.say(&stranger(number), &Message::AnnounceBlock(BlockHash(invented(name))));
        }
    }
    let honest = stranger(99);
    scene.connect(&honest);
    let block = scene.block(&honest, 0);
    scene.look();
    scene.say(&honest, &Message::AnnounceBlock(block.hash()));
    assert_eq!(scene.look().asked_for_block(block.hash()), [honest.public()]);
}

#[test]
fn what_was_announced_before_a_batch_is_asked_for_anew_after_it_and_nobody_owes_it() {
    let mut scene = Scene::new();
    let peer = stranger(0);
    scene.connect(&peer);
    let name = BlockHash(invented(1));
    let announce = |scene: &mut Scene| {
        scene.say(&peer, &Message::AnnounceBlock(name));
        scene.look().asked_for_block(name).len()
    };
    assert_eq!([announce(&mut scene), announce(&mut scene)], [1, 0], "it is on its way");
    let batch = scene.batch(&scene.validators[1].clone(), 0);
    scene.say_batch(&scene.validators[1].clone(), &batch);
    scene.decide(batch.hash());
    assert_eq!(announce(&mut scene), 1);
}

#[test]
fn who_claims_what_is_not_so_on_this_head_is_dropped_and_who_finds_no_better_prices_is_not() {
    let mut scene = Scene::with_demand();
    let (liar, searcher) = (stranger(0), stranger(1));
    scene.connect(&liar);
    scene.connect(&searcher);
    let anchor = scene.block(&liar, 0).header().anchor;
    for nonce in 0..3 {
        let prices = DualPrices::single(vec![Money::from_micros(1)]);
        let update = PriceUpdate { replaces: 0, gain: Money::from_micros(1), prices };
        let prices = Body { price_update: Some(update), ..Body::default() };
        let block = Block::sign(scene.network.id(), anchor, nonce, prices, &searcher);
        scene.say_block(&searcher, &block);
        let mut body = scene.block(&liar, nonce).body;
        body.compositions[0].minutes += 1;
        let block = Block::sign(scene.network.id(), anchor, nonce, body, &liar);
        scene.say_block(&liar, &block);
    }
    let seen = scene.look();
    assert_eq!(seen.refusals(), 6);
    assert!(seen.dropped(&liar) && !seen.dropped(&searcher));
}

#[test]
fn a_proposed_batch_is_asked_of_others_when_its_proposer_is_gone() {
    let mut scene = Scene::new();
    let batch = scene.batch(&stranger(0), 0).hash();
    scene.propose(0, batch);
    assert_eq!(scene.look().asked_for(batch), [scene.validators[1].public()]);
    scene.disconnect(&scene.validators[1].clone());
    scene.run_for(500);
    let others = [scene.validators[2].public(), scene.validators[3].public()];
    let asked = scene.look().asked_for(batch);
    assert!(asked.iter().any(|peer| others.contains(peer)), "{asked:?}");
}

#[test]
fn a_decided_batch_is_asked_of_those_who_decided_on_it() {
    let mut scene = Scene::new();
    (0..32).for_each(|number| scene.connect(&stranger(number)));
    let batch = scene.batch(&stranger(0), 0).hash();
    scene.decide(batch);
    let voters: Vec<_> = scene.validators[1..].iter().map(chain::SecretKey::public).collect();
    let asked = scene.look().asked_for(batch);
    assert!(!asked.is_empty() && asked.iter().all(|peer| voters.contains(peer)), "{asked:?}");
}

#[test]
fn one_copy_of_a_batch_or_block_is_sent_however_often_a_peer_asks_for_it_at_once() {
    let mut scene = Scene::with_demand();
    let (greedy, validator) = (stranger(0), scene.validators[1].clone());
    scene.connect(&greedy);
    let (batch, block) = (scene.composing_batch(&validator), scene.block(&validator, 5));
    scene.say_batch(&validator, &batch);
    scene.say_block(&validator, &block);
    scene.look();
    let copies = |scene: &mut Scene| {
        for _ in 0..10 {
            scene.say(&greedy, &Message::RequestBatch(batch.hash()));
            scene.say(&greedy, &Message::RequestBlock(block.hash()));
        }
        let seen = scene.look();
        let sent = seen.sent_to(&greedy);
        let count = |wanted: fn(&Message) -> bool| sent.iter().filter(|message| wanted(message)).count();
        (
            count(|message| matches!(message, Message::Batch(_))),
            count(|message| matches!(message, Message::Block(_))),
        )
    };
    assert_eq!(copies(&mut scene), (1, 1));
    scene.run_for(1_000);
    assert_eq!(copies(&mut scene), (1, 1));
}

// ---- catching up ----

#[test]
fn boasters_do_not_come_before_a_validator_that_is_ahead() {
    let mut scene = Scene::new();
    for number in 0..16 {
        scene.connect(&stranger(number));
        scene.boast(&stranger(number), 1_000);
    }
    assert_eq!(scene.look().asked_for_final(), [stranger(0).public()], "nobody else said that it is ahead");
    let validator = scene.validators[2].clone();
    scene.boast(&validator, 5);
    assert_eq!(scene.look().asked_for_final(), [], "the first may still answer in time");
    scene.run_for(1_250);
    assert_eq!(scene.look().asked_for_final(), [validator.public()]);
}

#[test]
fn final_batches_are_taken_from_who_was_asked_for_them_alone() {
    let mut scene = Scene::new();
    let (helper, meddler) = (scene.validators[2].clone(), stranger(0));
    scene.connect(&meddler);
    let batch = scene.batch(&stranger(1), 0);
    let certificate = scene.decision(batch.hash());
    let finals = Message::Final(vec![FinalBatchMessage { batch, certificate }]);
    scene.say(&meddler, &finals);
    assert_eq!(scene.node.ledger().head().height, 0, "nobody asked the meddler");
    scene.boast(&helper, 1);
    assert_eq!(scene.look().asked_for_final(), [helper.public()]);
    scene.say(&helper, &finals);
    assert_eq!(scene.node.ledger().head().height, 1);
}

#[test]
fn who_boasts_and_delivers_nothing_is_asked_once_a_minute_in_the_end() {
    let mut scene = Scene::new();
    let boaster = stranger(0);
    scene.connect(&boaster);
    let mut boast_for = |seconds: u64| {
        let mut asked = 0;
        for _ in 0..4 * seconds {
            scene.boast(&boaster, 1_000);
            asked += scene.look().asked_for_final().len();
            scene.say(&boaster, &Message::Final(Vec::new()));
            scene.run_for(250);
        }
        asked
    };
    // It rests for 2, 4, 8, 16, 32 seconds and then for 64 each time.
    assert_eq!(boast_for(62), 5);
    assert_eq!(boast_for(640), 10);
}

// ---- proposals ----

#[test]
fn proposals_for_many_rounds_to_come_do_not_push_out_the_one_of_this_round() {
    let mut scene = Scene::new();
    let batch = scene.batch(&stranger(0), 0);
    scene.propose(0, batch.hash());
    for round in (1..200).filter(|round| round % 4 == 1) {
        (0..4).for_each(|name| scene.propose(round, BatchHash(invented(name))));
    }
    scene.say_batch(&scene.validators[1].clone(), &batch);
    assert_eq!(scene.look().prevotes(), [Some(batch.hash())]);
}

// ---- places ----

#[test]
fn valid_blocks_of_invented_miners_leave_places_for_validators_and_known_miners() {
    let mut scene = Scene::with_demand();
    let mut relayed = 0;
    for number in 0..32 {
        scene.connect(&stranger(number));
        for later_ms in 0..4 {
            let block = scene.block(&stranger(number), later_ms);
            scene.say_block(&stranger(number), &block);
            relayed += usize::from(scene.look().relayed(&block));
        }
    }
    assert_eq!(relayed, 16, "the strangers' places");
    let (sender, validator) = (stranger(31), scene.validators[3].clone());
    for miner in [validator, owner()] {
        let block = scene.block(&miner, 0);
        scene.say_block(&sender, &block);
        let seen = scene.look();
        assert!(seen.relayed(&block));
        assert_eq!(seen.written(), []);
    }
}

#[test]
fn one_peer_fills_a_quarter_of_the_strangers_places_whoever_mined_what_it_sends() {
    let mut scene = Scene::with_demand();
    let (sender, other) = (stranger(98), stranger(99));
    scene.connect(&sender);
    scene.connect(&other);
    let blocks: Vec<Block> = (0..32).map(|number| scene.block(&stranger(number), 0)).collect();
    for block in &blocks {
        scene.say_block(&sender, block);
    }
    let seen = scene.look();
    assert_eq!(blocks.iter().filter(|block| seen.relayed(block)).count(), 4);
    // What it brought in vain is not asked of it again, and comes in from somebody else.
    let block = &blocks[20];
    scene.say(&sender, &Message::AnnounceBlock(block.hash()));
    assert_eq!(scene.look().asked_for_block(block.hash()), []);
    scene.say(&other, &Message::AnnounceBlock(block.hash()));
    assert_eq!(scene.look().asked_for_block(block.hash()), [other.public()]);
    scene.say_block(&other, block);
    assert!(scene.look().relayed(block));
}

#[test]
fn a_block_on_a_batch_that_has_not_come_waits_for_it_and_is_dropped_if_it_never_comes() {
    let ahead = Scene::with_demand();
    let mut scene = Scene::new();
    let miner = stranger(0);
    scene.connect(&miner);
    let (block, never) = (ahead.block(&miner, 0), {
        let block = ahead.block(&miner, 1);
        let elsewhere = BatchHash(invented(1));
        Block::sign(scene.network.id(), elsewhere, 0, block.body, &miner)
    });
    scene.say_block(&miner, &block);
    scene.say_block(&miner, &never);
    assert!(!scene.look().relayed(&block), "it cannot be judged yet");
    let first = scene.batch(&scene.validators[1].clone(), 0);
    scene.say_batch(&scene.validators[1].clone(), &first);
    scene.decide(first.hash());
    let seen = scene.look();
    assert!(seen.relayed(&block) && !seen.relayed(&never));
    assert_eq!(seen.refusals(), 0);
    // The other's anchor does not come: it is forgotten, and asked for again if somebody still has it.
    scene.say(&miner, &Message::AnnounceBlock(never.hash()));
    assert_eq!(scene.look().asked_for_block(never.hash()), []);
    scene.run_for(5_250);
    scene.say(&miner, &Message::AnnounceBlock(never.hash()));
    assert_eq!(scene.look().asked_for_block(never.hash()), [miner.public()]);
}

#[test]
fn a_batch_is_on_disk_before_this_node_votes_for_it_and_there_again_after_a_restart() {
    let mut scene = Scene::new();
    let batch = scene.batch(&scene.validators[1].clone(), 0);
    scene.say_batch(&scene.validators[1].clone(), &batch);
    assert_eq!(scene.look().written(), []);
    scene.propose(0, batch.hash());
    let asker = scene.validators[2].clone();
    let effects = scene.look().0;
    let place = |wanted: &dyn Fn(&miner_node::Effect) -> bool| effects.iter().position(wanted).unwrap();
    let written = place(
        &|effect| matches!(effect, miner_node::Effect::Persist(chain::Write::Candidate(written)) if **written == batch),
    );
    let logged = place(&|effect| matches!(effect, miner_node::Effect::Persist(chain::Write::Safety(_))));
    let voted = place(&|effect| matches!(effect, miner_node::Effect::Broadcast(Message::Consensus(_))));
    assert!(written < logged && logged < voted, "{written} {logged} {voted}");

    // An hour is taken back from its clock, by which the batch would be from the future.
    scene.restart(&effects, 3_600_000);
    scene.connect(&asker);
    scene.say(&asker, &Message::RequestBatch(batch.hash()));
    assert!(scene.look().sent_to(&asker).contains(&&Message::Batch(Box::new(batch))));
}

// ---- too late and too early ----

#[test]
fn of_blocks_that_waited_in_vain_few_strangers_are_told_of_and_all_others() {
    let mut scene = Scene::with_demand();
    for number in 0..8 {
        scene.connect(&stranger(number));
        let block = scene.block(&stranger(number), 0);
        scene.say_block(&stranger(number), &block);
    }
    for miner in [owner(), scene.validators[2].clone()] {
        let block = scene.block(&miner, 0);
        scene.say_block(&stranger(0), &block);
    }
    let batch = scene.composing_batch(&scene.validators[1].clone());
    scene.say_batch(&scene.validators[1].clone(), &batch);
    assert_eq!(scene.look().refusals(), 0);
    scene.decide(batch.hash());
    let seen = scene.look();
    assert_eq!(seen.refusals(), 4 + 2);
    for event in seen.told() {
        if let NodeEvent::BlockRefused { rule, .. } = event {
            assert_eq!(rule, "already-composed");
        }
    }
    // What is refused is not asked for again, nor judged.
    let late = scene.block_of_the_past(&stranger(0), &batch);
    scene.say_block(&stranger(0), &late);
    assert_eq!(scene.look().refusals(), 1);
    scene.say_block(&stranger(0), &late);
    scene.say(&stranger(1), &Message::AnnounceBlock(late.hash()));
    let seen = scene.look();
    assert_eq!((seen.refusals(), seen.asked_for_block(late.hash())), (0, vec![]));
}

#[test]
fn batches_from_the_future_do_not_keep_out_one_that_is_proposed() {
    let mut scene = Scene::new();
    let validator = scene.validators[2].clone();
    for number in 0..16 {
        let batch = scene.batch(&validator, LEAD_MS + 60_000 + number);
        scene.say_batch(&validator, &batch);
    }
    let batch = scene.batch(&stranger(0), LEAD_MS + 300);
    scene.propose(0, batch.hash());
    scene.say_batch(&scene.validators[1].clone(), &batch);
    scene.run_for(250);
    assert_eq!(scene.look().prevotes(), []);
    scene.run_for(500);
    assert_eq!(scene.look().prevotes(), [Some(batch.hash())]);
}

#[test]
fn a_decided_batch_is_on_time_whatever_our_clock_says() {
    let mut scene = Scene::new();
    let batch = scene.batch(&scene.validators[1].clone(), LEAD_MS + 3_600_000);
    scene.say_batch(&scene.validators[1].clone(), &batch);
    scene.decide(batch.hash());
    assert_eq!(scene.node.ledger().head().height, 1);
}

#[test]
fn the_operator_is_told_once_when_more_validators_than_may_lie_propose_from_the_future() {
    let mut scene = Scene::new();
    let behind = |scene: &mut Scene| {
        let seen = scene.look();
        let told = seen.told().into_iter().filter(|event| matches!(event, NodeEvent::ClockBehind { .. }));
        told.cloned().collect::<Vec<_>>()
    };
    for (round, later_ms) in [(0, 20_000), (4, 21_000), (1, 22_000), (2, 23_000)] {
        let batch = scene.batch(&stranger(0), later_ms);
        scene.propose(round, batch.hash());
        scene.say_batch(&scene.validators[1].clone(), &batch);
        let told = behind(&mut scene);
        // Rounds 0 and 4 are the same validator's.
        let expected = NodeEvent::ClockBehind { validators: 2, by_ms: 22_000 };
        assert_eq!(told, if round == 1 { vec![expected] } else { Vec::new() }, "round {round}");
    }
}

#[test]
fn a_batch_that_is_dated_long_before_it_is_proposed_gets_no_vote_but_is_believed_once_two_thirds_do() {
    let stale_ms = LEAD_MS + 10_000;
    for (idle_ms, is_believed) in [(stale_ms, true), (stale_ms + 1, false)] {
        let mut scene = Scene::new();
        // Nothing happens in this network until somebody has something to bring.
        let batch = scene.batch(&scene.validators[1].clone(), 1);
        scene.run_for(idle_ms + 1);
        scene.look();
        let proposer = scene.validators[1].clone();
        if !is_believed {
            scene.say_batch(&proposer, &batch);
            assert_eq!(scene.look().refusals(), 0, "nobody proposes it yet");
        }
        scene.propose(0, batch.hash());
        scene.say_batch(&proposer, &batch);
        let seen = scene.look();
        assert_eq!(seen.prevotes().contains(&Some(batch.hash())), is_believed, "after {idle_ms} ms");
        let told: Vec<_> = seen
            .told()
            .into_iter()
            .filter_map(|event| match event {
                NodeEvent::BatchRefused { rule, .. } => Some(rule.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(told, if is_believed { vec![] } else { vec!["clock"] });
        // Nobody is blamed for it, and what the others decide on is final.
        scene.decide(batch.hash());
        scene.say_batch(&proposer, &batch);
        assert_eq!(scene.node.ledger().head().height, 1);
    }
}

// ---- while a batch is executed ----

#[test]
fn who_has_only_heard_of_the_decision_is_served_while_we_execute() {
    let mut scene = Scene::new();
    scene.is_slow = true;
    let (proposer, asker) = (scene.validators[1].clone(), scene.validators[2].clone());
    let batch = scene.batch(&proposer, 0);
    scene.say_batch(&proposer, &batch);
    scene.decide(batch.hash());
    scene.look();
    assert_eq!(scene.node.ledger().head().height, 0, "it is not executed yet");
    scene.say(&asker, &Message::RequestBatch(batch.hash()));
    assert_eq!(scene.look().sent_to(&asker), [&Message::Batch(Box::new(batch))]);
    scene.say(&asker, &Message::RequestFinal { from: 1 });
    let seen = scene.look();
    let is_served = |effect: &miner_node::Effect| matches!(effect, miner_node::Effect::SendFinal { peer, from: 1 } if *peer == asker.public());
    assert!(seen.0.iter().any(is_served));
    scene.execute();
    assert_eq!(scene.node.ledger().head().height, 1);
}

#[test]
fn a_block_of_what_the_batch_that_we_execute_brings_is_nobodys_fault_and_judged_on_the_next_head() {
    let mut ahead = Scene::with_demand();
    let mut scene = Scene::new();
    scene.is_slow = true;
    let proposer = scene.validators[1].clone();
    let batch = scene.batch(&proposer, 0);
    scene.say_batch(&proposer, &batch);
    scene.decide(batch.hash());
    // Anchored on the head that we have, and valid where the batch is executed.
    let (valid, miner) = (ahead.block(&owner(), 0), owner());
    let block = Block::sign(valid.header().network, batch.header.parent, 5, valid.body.clone(), &miner);
    ahead.say_block(&proposer, &block);
    assert_eq!(ahead.look().refusals(), 0);
    scene.look();
    for nonce in 5..9 {
        let block =
            Block::sign(valid.header().network, batch.header.parent, nonce, valid.body.clone(), &miner);
        scene.say_block(&proposer, &block);
    }
    let seen = scene.look();
    assert_eq!((seen.refusals(), seen.dropped(&proposer)), (0, false));
    scene.execute();
    assert!(scene.look().relayed(&block), "now it is known to be good");
}
