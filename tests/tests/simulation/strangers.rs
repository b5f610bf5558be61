//! What keys that cost nothing can do to a network: take cells, name nodes that are not there, ask for work. Honest
//! nodes go on, at their pace, and hang up on nobody who passes on what strangers said.

use std::collections::BTreeSet;

use chain::SecretKey;
use miner_node::strategy::Strategy;
use miner_node::{Message, NodeEvent, NodeStatus, PeerContent, PeerRecord, Status};
use mizan_tests::sim::{
    HostId, HostSettings, Market, MarketKind, START_MS, World, a_miner, demand, instance_of, provider,
};
use scenarios::Parameters;
use scenarios::settings::Profile;

use crate::common::{PATIENCE_MS, hosts, keys, public, told};

const PUPPET: HostId = HostId(4);
/// Peer records of one message.
const RECORDS: u64 = 64;

fn invented(number: u64) -> SecretKey {
    SecretKey::for_scenario(6, "invented", number)
}

/// Four validators of which three mine, the clock of each so far ahead, and a puppet that is none.
fn world_with_puppet(clock_leads_ms: [i64; 4]) -> World {
    let keys = keys(6, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), 6).unwrap();
    let mut settings = hosts(&market, &keys, &[Strategy::Cells; 3]);
    for (host, lead_ms) in settings.iter_mut().zip(clock_leads_ms) {
        host.clock_lead_ms = lead_ms;
    }
    settings.push(HostSettings::puppet(SecretKey::for_scenario(6, "puppet", 0)));
    let mut world = World::new(market, settings, 6);
    connect_puppet(&mut world);
    world.run_for(1_000).unwrap();
    world
}

fn connect_puppet(world: &mut World) {
    for host in (0..4).map(HostId) {
        world.connect(PUPPET, host);
    }
}

/// A statement of a node that does not exist: it mines, and listens where nobody does.
fn statement(world: &World, key: &SecretKey, issued_ms: u64) -> PeerRecord {
    let content = PeerContent {
        network: world.market().network.id(),
        node: key.public(),
        addresses: vec!["10.9.9.9:9".parse().unwrap()],
        takes_cell: true,
        issued_ms,
    };
    content.sign(key)
}

/// Milliseconds from handing in until every demand is composed, while `harass` is done every second.
fn composed_after_ms(world: &mut World, mut harass: impl FnMut(&mut World)) -> u64 {
    let begin_ms = world.now_ms();
    world.submit_all(100);
    let is_done = |world: &World| world.checkers().solution().compositions.iter().all(Option::is_some);
    while !is_done(world) && world.now_ms() < begin_ms + PATIENCE_MS {
        harass(world);
        world.run_until(1_000, is_done).unwrap();
    }
    world.now_ms() - begin_ms
}

/// The same, while a thousand miners are invented every second.
fn composed_while_miners_are_invented(world: &mut World) -> u64 {
    composed_after_ms(world, |world| {
        connect_puppet(world);
        let issued_ms = START_MS + world.now_ms();
        for first in (0..1_000).step_by(64) {
            let records =
                (first..first + RECORDS).map(|number| statement(world, &invented(number), issued_ms));
            let records: Vec<PeerRecord> = records.collect();
            world.say_to_all(PUPPET, &Message::Peers(records));
        }
    })
}

// ---- cells ----

#[test]
fn a_thousand_invented_miners_leave_composing_as_fast_as_it_was() {
    // Whether the last demand is found a composition that its floor accepts at once, or after it has relaxed, is chance.
    let (mut undisturbed_ms, mut disturbed_ms) = (0, 0);
    for clock_lead_ms in 0..4 {
        undisturbed_ms += composed_after_ms(&mut world_with_puppet([clock_lead_ms; 4]), |_| {});
        disturbed_ms += composed_while_miners_are_invented(&mut world_with_puppet([clock_lead_ms; 4]));
    }
    eprintln!("undisturbed {undisturbed_ms} ms, disturbed {disturbed_ms} ms");
    assert!(disturbed_ms <= 2 * undisturbed_ms, "{disturbed_ms} ms, undisturbed {undisturbed_ms} ms");
}

#[test]
fn newcomers_compose_beside_others_and_have_cells_of_their_own_once_a_composition_of_theirs_stands() {
    let providers = vec![provider("near", 0, 10, 30, None), provider("far", 9_000, 11, 30, None)];
    // Of the pairs that both are after, each wins some: who is first is chance.
    let demands: Vec<_> = (0..24).map(|n| demand(&format!("d{n}"), n * 1_000, 100)).collect();
    let validators = keys(7, 4);
    let instance = instance_of(providers, demands);
    let market =
        Market::new(instance, &Parameters::default(), Profile::Hybrid, &public(&validators), 7).unwrap();
    let mut settings = hosts(&market, &validators, &[]);
    for number in 0..2 {
        let key = SecretKey::for_scenario(7, "newcomer", number);
        settings.push(HostSettings::miner(key, a_miner(&market, Strategy::Cells, number * 1_000)));
    }
    let records = market.records.clone();
    let mut world = World::new(market, settings, 7);
    world.run_for(2_000).unwrap();
    for (place, pair) in (0..).zip(records.chunks(2)) {
        world.submit(place * 2_000, HostId(0), pair.to_vec());
    }
    world.run_until_settled(PATIENCE_MS).unwrap();
    let cells: Vec<(HostId, String)> = told(&world, |event| match event {
        NodeEvent::CellChosen { cell, .. } => Some(cell.clone()),
        _ => None,
    })
    .map(|(_, host, cell)| (host, cell))
    .collect();
    let first = |host: HostId| cells.iter().find(|(other, _)| *other == host).map(|(_, cell)| cell.as_str());
    assert_eq!((first(HostId(4)), first(HostId(5))), (Some("cell 1 of 1"), Some("cell 1 of 1")));
    // Both are in everybody's split in the end, and each has its own half.
    let halves: BTreeSet<(HostId, &str)> = cells
        .iter()
        .filter(|(_, cell)| cell.ends_with("of 2"))
        .map(|(host, cell)| (*host, cell.as_str()))
        .collect();
    assert!(halves.iter().any(|(host, _)| *host == HostId(4)), "{cells:?}");
    assert!(halves.iter().any(|(host, _)| *host == HostId(5)), "{cells:?}");
}

// ---- work on request ----

#[test]
fn a_peer_that_is_behind_is_told_so_and_sent_batches_when_it_asks_for_them() {
    let mut world = world_with_puppet([0; 4]);
    world.submit_all(100);
    world.run_until_settled(PATIENCE_MS).unwrap();
    let height = world.checkers().height();
    let status = world.host(PUPPET).heard().iter().rev().find_map(|(_, message)| match message {
        Message::Status(status) => Some(status.clone()),
        _ => None,
    });
    let behind = Message::Status(Status { height: 0, ..status.expect("nodes tell where they are") });
    let heard = world.host(PUPPET).heard().len();
    for _ in 0..100 {
        world.say_to_all(PUPPET, &behind);
    }
    world.run_for(200).unwrap();
    let count = |world: &World, wanted: fn(&Message) -> bool| {
        world.host(PUPPET).heard().iter().skip(heard).filter(|(_, message)| wanted(message)).count()
    };
    assert_eq!(count(&world, |message| matches!(message, Message::Final(_))), 0);
    let tells = world.host(PUPPET).heard().iter().skip(heard).filter(|(_, message)| match message {
        Message::Hello(hello) => hello.height == height,
        _ => false,
    });
    assert_eq!(tells.count(), 400);
    world.say_to_all(PUPPET, &Message::RequestFinal { from: 1 });
    world.run_for(200).unwrap();
    assert_eq!(count(&world, |message| matches!(message, Message::Final(_))), 4);
}

// ---- statements and clocks ----

#[test]
fn nobody_is_blamed_for_passing_on_what_strangers_dated_ahead() {
    // The first host's clock is a little ahead: it may take for near what is far ahead to others.
    let mut world = world_with_puppet([300, 0, 0, 0]);
    for turn in 0..20 {
        connect_puppet(&mut world);
        let issued_ms = START_MS + world.now_ms() + 10_200 + turn;
        let records: Vec<PeerRecord> =
            (0..RECORDS).map(|number| statement(&world, &invented(number), issued_ms)).collect();
        world.say(PUPPET, HostId(0), Message::Peers(records).encode());
        world.run_for(250).unwrap();
    }
    world.submit_all(100);
    let report = world.run_until_settled(PATIENCE_MS).unwrap();
    assert_eq!(report.composed, 10);
    assert_eq!(world.host(PUPPET).dropped(), []);
}

#[test]
fn a_node_whose_clock_is_an_hour_ahead_or_behind_lives_with_all_others() {
    let hour_ms = 3_600_000;
    for leads_ms in [[0, 0, 0, hour_ms], [hour_ms, hour_ms, hour_ms, 0]] {
        let mut world = world_with_puppet(leads_ms);
        world.submit_all(100);
        // Peer records come every other second, and count for twelve.
        world.run_for(60_000).unwrap();
        let composed = world.checkers().solution().compositions.iter().flatten().count();
        assert_eq!(composed, 10, "{leads_ms:?}");
        let statuses = world.statuses();
        assert!(statuses.iter().all(|(_, status)| status.peers == 4), "{statuses:?}");
        let head = statuses[0].1.head;
        let is_at_head = |status: &NodeStatus| (status.head, status.open_demands) == (head, 0);
        assert!(statuses.iter().all(|(_, status)| is_at_head(status)), "{statuses:?}");
    }
}
