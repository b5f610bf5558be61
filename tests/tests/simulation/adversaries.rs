//! Liars and nuisances: honest nodes stay right, stay together, and get their work done.

use std::collections::BTreeSet;

use chain::consensus::CommitCertificate;
use chain::{Batch, BatchHash, BlockHash, Draft, Hash, Ledger, SecretKey};
use coordinator_free_pool::{MESSAGE_IDS, PoolMessage};
use miner_node::strategy::Strategy;
use miner_node::{FinalBatchMessage, Hello, MESSAGE_BYTES, Message, NodeEvent, PROTOCOL_VERSION, Status};
use mizan_tests::sim::{
    Behaviour, Fault, Hazard, HostId, HostSettings, Lie, LinkQuality, Market, MarketKind, START_MS, Story,
    World,
};

use crate::common::{PATIENCE_MS, block_of, hosts, keys, public, told};

const PUPPET: HostId = HostId(4);

fn puppet_key() -> SecretKey {
    SecretKey::for_scenario(5, "puppet", 0)
}

/// Four validators that mine, and a puppet connected to all of them that is none.
fn world_with_puppet() -> World {
    world_of(5)
}

fn world_of(rng_seed: u64) -> World {
    let keys = keys(rng_seed, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), rng_seed).unwrap();
    let mut settings = hosts(&market, &keys, &[Strategy::Cells; 4]);
    settings.push(HostSettings::puppet(puppet_key()));
    let mut world = World::new(market, settings, rng_seed);
    connect_puppet(&mut world);
    world.run_for(500).unwrap();
    world
}

fn connect_puppet(world: &mut World) {
    for host in (0..4).map(HostId) {
        world.connect(PUPPET, host);
    }
}

/// The honest ones serve the whole market within half a minute of virtual time, whatever the puppet did: a
/// run without it takes about 6 s, and no nuisance in these tests ends before a minute by itself.
fn assert_served(world: &mut World) {
    let report = world.run_until_settled(60_000).unwrap();
    assert_eq!(report.composed, 10);
    assert!(report.at_ms < 30_000, "{report}");
}

fn dropped_by(world: &World) -> Vec<HostId> {
    let mut hosts: Vec<HostId> = world.host(PUPPET).dropped().iter().map(|(host, _)| *host).collect();
    hosts.sort_unstable();
    hosts
}

/// A batch of whoever has this key that breaks no rule, with every record that may come now and nothing composed.
fn draft_of(key: &SecretKey, ledger: &Ledger, world: &World) -> Batch {
    let soonest_ms = ledger.head().timestamp_ms + world.market().network.parameters().quiet_batch_interval_ms;
    let draft = Draft {
        miner: key.public(),
        timestamp_ms: soonest_ms.max(START_MS + world.now_ms()),
        records: ledger.admissible_records(&world.market().records, ledger.head().timestamp_ms + 1).0,
        prices: None,
        compositions: Vec::new(),
        amendments: Vec::new(),
    };
    ledger.draft(draft).unwrap().sign(key).0
}

#[test]
fn a_validator_that_votes_twice_is_named_and_harms_nobody() {
    let mut noted = 0;
    for rng_seed in 0..12 {
        eprintln!("seed {rng_seed}");
        let mut world = Story::new(rng_seed, Hazard::Calm).scene_of(Behaviour::Liar(Lie::VotesTwice));
        world.submit_all(1_000);
        world.run_until_settled(PATIENCE_MS).unwrap();
        let liar = world.host(HostId(2)).key();
        let named: BTreeSet<_> = told(&world, |event| match event {
            NodeEvent::Equivocation { validator, .. } => Some(*validator),
            _ => None,
        })
        .map(|(_, _, validator)| validator)
        .collect();
        assert_eq!(named, BTreeSet::from([liar]));
        // And it stands in the state for good, unless it said only things that nobody heard both of.
        let ledger = world.node(HostId(0)).ledger();
        let position = ledger.network().validators().index_of(&liar).unwrap();
        noted += usize::from(ledger.accused_since(position).is_some());
        let accused = (0..7).filter(|&validator| ledger.accused_since(validator).is_some());
        assert!(accused.clone().all(|validator| validator == position), "{:?}", accused.collect::<Vec<_>>());
    }
    assert!(noted > 6, "evidence came on chain in {noted} of 12 stories");
}

#[test]
fn a_peer_that_sends_garbage_is_dropped_with_the_reason() {
    let too_many =
        Message::Pool(PoolMessage::Announce(vec![chain::RecordId(Hash([7; 32])); MESSAGE_IDS + 1])).encode();
    let other_network =
        Hello { version: PROTOCOL_VERSION, network: chain::NetworkId(Hash([9; 32])), height: 0 };
    let other_version = Hello { version: 99, ..other_network.clone() };
    let mut trailing = Message::RequestFinal { from: 1 }.encode();
    trailing.push(0);
    let faults = [
        (vec![0xff; 40], "malformed bytes"),
        (vec![0; MESSAGE_BYTES + 1], "5242881 bytes"),
        (trailing, "not the canonical encoding"),
        (too_many, "at most 1024"),
        (Message::Hello(other_network).encode(), "is on network 09090909"),
        (Message::Hello(other_version).encode(), "speaks version 99"),
    ];
    for (bytes, expected) in faults {
        let mut world = world_with_puppet();
        for host in (0..4).map(HostId) {
            world.say(PUPPET, host, bytes.clone());
        }
        world.run_for(200).unwrap();
        assert_eq!(dropped_by(&world), (0..4).map(HostId).collect::<Vec<_>>(), "{expected}");
        for (_, reason) in world.host(PUPPET).dropped() {
            assert!(reason.contains(expected), "got {reason:?}, expected it to say {expected:?}");
        }
        world.submit_all(100);
        assert_served(&mut world);
    }
}

#[test]
fn forged_batches_are_refused_by_name_and_the_third_costs_the_connection() {
    let mut world = world_with_puppet();
    let ledger = world.node(HostId(0)).ledger().clone();
    // Only what a validator signed is looked at; this one has lent the puppet its key.
    let validator = keys(5, 4).swap_remove(3);
    let honest = draft_of(&validator, &ledger, &world);
    let mut wrong_root = honest.clone();
    wrong_root.header.state_root = Hash([1; 32]);
    let mut wrong_outcomes = honest.clone();
    wrong_outcomes.header.outcomes_root = Hash([2; 32]);
    let mut wrong_parent = honest.clone();
    wrong_parent.header.parent = BatchHash(Hash([3; 32]));
    for forged in [wrong_root, wrong_outcomes, wrong_parent] {
        let batch = Batch::sign(forged.header, forged.contents, &validator);
        world.say_to_all(PUPPET, &Message::Batch(Box::new(batch)));
        world.run_for(50).unwrap();
    }
    let rules: BTreeSet<&str> = told(&world, |event| match event {
        NodeEvent::BatchRefused { rule, .. } => Some(rule.as_str()),
        _ => None,
    })
    .map(|(_, _, rule)| rule)
    .collect();
    assert_eq!(rules, BTreeSet::from(["outcomes-root", "parent", "state-root"]));
    assert_eq!(dropped_by(&world).len(), 4);
    world.submit_all(100);
    assert_served(&mut world);
}

#[test]
fn a_batch_with_a_made_up_certificate_makes_nothing_final() {
    let mut world = world_with_puppet();
    let batch = draft_of(&puppet_key(), world.node(HostId(0)).ledger(), &world);
    let signature = batch.signature;
    let certificate = CommitCertificate {
        height: 1,
        round: 0,
        batch: batch.hash(),
        signatures: (0..3).map(|validator| (validator, signature)).collect(),
    };
    // It is asked for final batches, for nobody else says that there are any.
    let network = world.market().network.id();
    let boast = Message::Hello(Hello { version: PROTOCOL_VERSION, network, height: 1 });
    world.say_to_all(PUPPET, &boast);
    world.run_for(50).unwrap();
    world.say_to_all(PUPPET, &Message::Final(vec![FinalBatchMessage { batch, certificate }]));
    world.run_for(200).unwrap();
    assert_eq!(world.checkers().height(), 0);
    assert_eq!(dropped_by(&world).len(), 4);
    world.submit_all(100);
    assert_served(&mut world);
}

#[test]
fn promises_of_heights_that_do_not_exist_do_not_keep_miners_from_work() {
    let mut world = world_with_puppet();
    world.run_for(2_000).unwrap();
    world.submit_all(100);
    for _ in 0..3_000 {
        if world.is_settled() {
            break;
        }
        let Status { votes, .. } = some_status(&world);
        let boast = Status { height: 1_000, state_root: Hash([0; 32]), votes, blocks: Vec::new() };
        connect_puppet(&mut world);
        world.say_to_all(PUPPET, &Message::Status(boast));
        world.run_for(20).unwrap();
    }
    assert_served(&mut world);
}

/// When all is served, while so many blocks that do not exist are announced to everybody every 60 ms. What was sent gets
/// lost, so that it must be asked for.
fn served_at_ms(rng_seed: u64, announced: u64) -> u64 {
    let mut world = world_of(rng_seed);
    world.inflict(0, Fault::Quality(LinkQuality { loss_percent: 20, ..LinkQuality::GOOD }));
    world.submit_all(100);
    for turn in 0..2_000_u64 {
        if world.is_settled() {
            break;
        }
        for number in 0..announced {
            let name = blake3::hash(&[turn.to_le_bytes(), number.to_le_bytes()].concat());
            world.say_to_all(PUPPET, &Message::AnnounceBlock(BlockHash(Hash(*name.as_bytes()))));
        }
        world.run_for(60).unwrap();
    }
    let report = world.run_until_settled(60_000).unwrap();
    assert_eq!(report.composed, 10);
    report.at_ms
}

#[test]
fn names_of_blocks_that_do_not_exist_do_not_keep_blocks_from_being_fetched() {
    let all_ms = |announced| (0..8).map(|rng_seed| served_at_ms(rng_seed, announced)).sum::<u64>();
    let (undisturbed_ms, disturbed_ms) = (all_ms(0), all_ms(64));
    assert!(2 * disturbed_ms < 3 * undisturbed_ms, "{disturbed_ms} ms, undisturbed {undisturbed_ms} ms");
}

#[test]
fn a_miner_that_shows_each_node_other_blocks_does_not_keep_them_from_agreeing() {
    let mut world = world_with_puppet();
    world.submit_all(100);
    let mut seen = [u64::MAX; 4];
    for _ in 0..3_000 {
        if world.is_settled() {
            break;
        }
        for host in (0..4).map(HostId) {
            let (ledger, place) = (world.node(host).ledger().clone(), host.0 as usize);
            if seen[place] == ledger.head().height {
                continue;
            }
            seen[place] = ledger.head().height;
            for number in 0..6 {
                let Some(block) = block_of(&puppet_key(), &ledger, &world, place + 4 * number) else { break };
                world.say(PUPPET, host, Message::Block(Box::new(block)).encode());
            }
        }
        world.run_for(30).unwrap();
    }
    assert_served(&mut world);
}

/// What some node last told the puppet about the vote.
fn some_status(world: &World) -> Status {
    let status = world.host(PUPPET).heard().iter().rev().find_map(|(_, message)| match message {
        Message::Status(status) => Some(status.clone()),
        _ => None,
    });
    status.expect("nodes tell their status every quarter of a second")
}
