//! Names of blocks, and everything that is asked for by name: what strangers say about blocks that are false, withheld,
//! invented or useless. The chain goes on, nobody honest is blamed, nothing piles up.

use chain::{Block, BlockHash, Body, Hash, SecretKey};
use miner_node::strategy::Strategy;
use miner_node::{Hello, Message, PROTOCOL_VERSION};
use mizan_tests::sim::{Fault, HostId, HostSettings, LinkQuality, Market, MarketKind, World};

use crate::common::{block_of, hosts, keys, public};

/// The first of the puppets, behind four validators.
const PUPPETS: u32 = 4;

const VALIDATORS: [HostId; 4] = [HostId(0), HostId(1), HostId(2), HostId(3)];

fn puppet(number: u32) -> HostId {
    HostId(PUPPETS + number)
}

fn puppet_key(number: u32) -> SecretKey {
    SecretKey::for_scenario(11, "puppet", number.into())
}

/// Four validators that mine, and so many puppets connected to all of them that are none.
fn world_with_puppets(puppets: u32) -> World {
    let mut world = world_of(puppets, Vec::new());
    for number in 0..puppets {
        connect(&mut world, number);
    }
    world.run_for(500).unwrap();
    world
}

/// Four validators that mine, so many puppets, connected to nobody yet, and these hosts.
fn world_of(puppets: u32, others: Vec<HostSettings>) -> World {
    world_of_miners(&[Strategy::Cells; 4], puppets, others)
}

/// The same with as many miners as there are strategies.
fn world_of_miners(strategies: &[Strategy], puppets: u32, others: Vec<HostSettings>) -> World {
    let keys = keys(11, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), 11).unwrap();
    let mut settings = hosts(&market, &keys, strategies);
    settings.extend((0..puppets).map(|number| HostSettings::puppet(puppet_key(number))));
    settings.extend(others);
    World::new(market, settings, 11)
}

fn connect(world: &mut World, number: u32) {
    for host in VALIDATORS {
        world.connect(puppet(number), host);
    }
}

/// The validators serve the whole market within half a minute of virtual time; undisturbed it takes about 6 s.
fn assert_served(world: &mut World) {
    let begin_ms = world.now_ms();
    let report = world.run_until_settled(60_000).unwrap();
    assert_eq!(report.composed, 10);
    assert!(report.at_ms - begin_ms < 30_000, "{report}");
}

fn say_block(world: &mut World, number: u32, to: HostId, block: &Block) {
    world.say(puppet(number), to, Message::Block(Box::new(block.clone())).encode());
}

#[test]
fn a_false_body_under_a_name_does_not_condemn_the_block_of_that_name() {
    let mut world = world_of_miners(&[], 2, Vec::new());
    world.submit_all(100);
    world.run_for(1_000).unwrap();
    let all_are_open = |world: &World| world.node(HostId(0)).status(0).open_demands == 10;
    assert!(world.run_until(10_000, all_are_open).unwrap());
    (0..2).for_each(|number| connect(&mut world, number));
    world.run_for(500).unwrap();
    let ledger = world.node(HostId(0)).ledger().clone();
    let blocks = [0, 1].map(|number| block_of(&puppet_key(1), &ledger, &world, number).unwrap());
    // Half of the validators see one name with a false body first, the other half the other; then all see the truth.
    for host in VALIDATORS {
        let (false_here, true_here) =
            if host.0 < 2 { (&blocks[0], &blocks[1]) } else { (&blocks[1], &blocks[0]) };
        let without_body = Block { body: Body::default(), ..false_here.clone() };
        say_block(&mut world, 0, host, &without_body);
        say_block(&mut world, 1, host, true_here);
    }
    let composed = |world: &World| world.checkers().solution().compositions.iter().flatten().count();
    assert!(world.run_until(10_000, |world| composed(world) == 2).unwrap(), "{} of 2", composed(&world));
    let liar = world.host(puppet(0));
    assert_eq!(liar.dropped().len(), 4, "who sends false bodies is dropped");
    for (_, reason) in liar.dropped() {
        assert!(reason.contains("not a well-formed block"), "{reason}");
    }
    assert_eq!(world.host(puppet(1)).dropped(), [], "who sends true ones is not");
}

#[test]
fn names_that_many_strangers_invent_do_not_hold_the_market_up() {
    let mut world = world_with_puppets(16);
    // What was sent gets lost, so that it must be asked for.
    world.inflict(0, Fault::Quality(LinkQuality { loss_percent: 20, ..LinkQuality::GOOD }));
    world.submit_all(100);
    for turn in 0..300_u64 {
        if world.is_settled() {
            break;
        }
        for number in 0..16 {
            for name in 0..8_u32 {
                let name = blake3::hash(format!("{turn} {number} {name}").as_bytes());
                let block = BlockHash(Hash(*name.as_bytes()));
                world.say_to_all(puppet(number), &Message::AnnounceBlock(block));
            }
        }
        world.run_for(200).unwrap();
    }
    assert_served(&mut world);
}

#[test]
fn a_node_that_joins_late_catches_up_whatever_boasters_promise_it() {
    const BOASTERS: u32 = 16;
    let joiner = HostId(PUPPETS + BOASTERS);
    let key = SecretKey::for_scenario(11, "joiner", 0);
    let settings = HostSettings { starts_at_ms: 20_000, ..HostSettings::voter(key) };
    let mut world = world_of(BOASTERS, vec![settings]);
    world.submit_all(100);
    world.run_for(19_900).unwrap();
    let height = world.checkers().height();
    assert!(height >= 3, "there is something to catch up with, not {height} heights");
    let has_caught_up =
        |world: &World| world.host(joiner).node().is_some_and(|node| node.ledger().head().height >= height);
    let network = world.market().network.id();
    let boast = Message::Hello(Hello { version: PROTOCOL_VERSION, network, height: 1_000_000 });
    while !has_caught_up(&world) {
        assert!(world.now_ms() < 26_000, "not caught up after six seconds");
        for number in 0..BOASTERS {
            world.connect(puppet(number), joiner);
            world.say(puppet(number), joiner, boast.encode());
        }
        world.run_for(20).unwrap();
    }
}

#[test]
fn blocks_of_many_invented_miners_keep_no_work_out_and_no_batch_of_theirs_is_written_to_disk() {
    let mut world = world_with_puppets(24);
    world.submit_all(100);
    let mut flooded = 0;
    let mut written = 0;
    for _ in 0..3_000 {
        if world.is_settled() {
            break;
        }
        let ledger = world.node(HostId(0)).ledger().clone();
        if flooded <= ledger.head().height {
            flooded = ledger.head().height + 1;
            for number in 0..24 {
                let blocks = (0..4).filter_map(|place| block_of(&puppet_key(number), &ledger, &world, place));
                for block in blocks.collect::<Vec<_>>() {
                    world.say_to_all(puppet(number), &Message::Block(Box::new(block)));
                }
            }
        }
        world.run_for(30).unwrap();
        let candidates = VALIDATORS.map(|host| world.host(host).store().unwrap().candidates().unwrap().len());
        written = written.max(candidates.into_iter().max().unwrap());
    }
    assert_served(&mut world);
    assert!(flooded > 3, "the flood went on for {flooded} heights");
    // At most what it proposed or voted for in a few rounds.
    assert!(written <= 4, "{written} candidates on one disk");
}
