//! Names of blocks, and everything that is asked for by name: what strangers and a lying validator say about blocks that
//! are false, withheld, invented, useless or out of time. The chain goes on, nobody honest is blamed, nothing piles up.

use chain::{Block, Body, SecretKey};
use miner_node::Message;
use miner_node::strategy::Strategy;
use mizan_tests::sim::{HostId, HostSettings, Market, MarketKind, World};

use crate::adversaries::draft_of;
use crate::common::{hosts, keys, public};

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
    let keys = keys(11, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), 11).unwrap();
    let mut settings = hosts(&market, &keys, &[Strategy::Cells; 4]);
    settings.extend((0..puppets).map(|number| HostSettings::puppet(puppet_key(number))));
    let mut world = World::new(market, settings, 11);
    for number in 0..puppets {
        connect(&mut world, number);
    }
    world.run_for(500).unwrap();
    world
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

/// A valid first block of a puppet's, with all records of the market.
fn first_block(world: &World, number: u32) -> Block {
    draft_of(&puppet_key(number), world.node(HostId(0)).ledger(), world, u64::from(number))
}

/// A block as another one's header names it, but for its body.
fn without_body(block: &Block) -> Block {
    Block { body: Body::default(), ..block.clone() }
}

fn say_block(world: &mut World, number: u32, to: HostId, block: &Block) {
    world.say(puppet(number), to, Message::Block(Box::new(block.clone())).encode());
}

#[test]
fn a_false_body_under_a_name_does_not_condemn_the_block_of_that_name() {
    let mut world = world_with_puppets(2);
    let (one, other) = (first_block(&world, 0), first_block(&world, 1));
    // Half of the validators see one name with a false body first, the other half the other; then all see the truth.
    for host in VALIDATORS {
        let (false_here, true_here) = if host.0 < 2 { (&one, &other) } else { (&other, &one) };
        say_block(&mut world, 0, host, &without_body(false_here));
        say_block(&mut world, 1, host, true_here);
    }
    assert!(
        world.run_until(10_000, |world| world.checkers().height() >= 1).unwrap(),
        "the first height stands still"
    );
    let liar = world.host(puppet(0));
    assert_eq!(liar.dropped().len(), 4, "who sends false bodies is dropped");
    for (_, reason) in liar.dropped() {
        assert!(reason.contains("not the block that its header names"), "{reason}");
    }
    assert_eq!(world.host(puppet(1)).dropped(), [], "who sends true ones is not");
    world.submit_all(100);
    assert_served(&mut world);
}
