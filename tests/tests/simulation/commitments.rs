//! Miners that commit to blocks before they show them: nobody steals, nothing that is committed to is lost with a crash, and
//! commitments that nobody can bring keep nobody awake.

use chain::{Block, Body, Commitment, Hash, SecretKey};
use miner_node::strategy::Strategy;
use miner_node::{Message, NodeEvent};
use mizan_tests::sim::{
    Attack, Behaviour, Fault, Hazard, HostId, HostSettings, Market, MarketKind, Story, World,
};
use scenarios::Money;
use scenarios::parameters::CommitReveal;

use crate::common::{PATIENCE_MS, hosts, keys, public, told};

const DEMANDS: u32 = 16;

/// So many validators that mine, and one more that does not and behaves like this.
fn world(miners: u32, last: Option<Behaviour>, rng_seed: u64) -> World {
    let keys = keys(rng_seed, miners + u32::from(last.is_some()));
    let kind = MarketKind::Capacitated { capacity_ppm: 3_000_000 };
    let market = Market::generated(kind, 8, DEMANDS, &public(&keys), rng_seed).unwrap();
    let market = market.with_commitments(CommitReveal::default(), rng_seed).unwrap();
    let strategies = vec![Strategy::Cells; usize::try_from(miners).unwrap()];
    let mut settings = hosts(&market, &keys, &strategies);
    if let (Some(behaviour), Some(host)) = (last, settings.last_mut()) {
        host.behaviour = behaviour;
    }
    World::new(market, settings, rng_seed)
}

/// What became of the blocks of one host: items that took effect, and those that did not.
fn fate_of(world: &World, host: HostId) -> (u32, usize) {
    let key = world.host(host).key();
    let mut fate = (0, 0);
    for (_, host, batch) in told(world, |event| match event {
        NodeEvent::BatchFinal { batch, .. } => Some(batch),
        _ => None,
    }) {
        if host == HostId(0) {
            for outcome in batch.blocks.iter().filter(|outcome| outcome.miner == key) {
                fate.0 += outcome.compositions;
                fate.1 += outcome.dropped.len();
            }
        }
    }
    fate
}

#[test]
fn a_validator_that_copies_all_it_sees_and_leaves_the_originals_out_of_its_batches_composes_nothing() {
    // Of forty markets one (seed 3) had something left for the thief.
    for (rng_seed, attack) in (10_u64..).zip([Attack::StealContents, Attack::Censor].repeat(4)) {
        eprintln!("seed {rng_seed}, {attack:?}");
        let mut world = world(4, Some(Behaviour::Insider(attack)), rng_seed);
        world.submit_all(100);
        let report = world.run_until_served(PATIENCE_MS).unwrap();
        assert!(report.composed > 0);
        let (composed, dropped) = fate_of(&world, HostId(4));
        assert_eq!(composed, 0, "{rng_seed}");
        assert!(dropped > 0, "the thief never brought a copy: {report}");
    }
}

#[test]
fn what_a_miner_committed_to_before_it_crashed_is_revealed_when_it_is_back() {
    let mut found = 0;
    for rng_seed in 0..6 {
        let mut world = world(4, None, rng_seed);
        let victim = HostId(1);
        let key = world.host(victim).key();
        world.run_for(1_000).unwrap();
        world.submit_all(100);
        let is_hidden = |world: &World| {
            let waiting = world.node(HostId(0)).ledger().cohorts();
            let mut hidden = waiting.flat_map(|(_, cohort)| cohort.unrevealed());
            hidden.any(|commitment| commitment.miner == key)
        };
        if !world.run_until(PATIENCE_MS, is_hidden).unwrap() {
            continue;
        }
        let height = world.node(HostId(0)).ledger().head().height;
        let names: Vec<_> = world
            .node(HostId(0))
            .ledger()
            .cohorts()
            .flat_map(|(_, cohort)| cohort.unrevealed())
            .filter(|commitment| commitment.miner == key)
            .map(|commitment| commitment.block)
            .collect();
        // It may not have heard yet that its commitment is on chain.
        world.inflict(0, Fault::Crash { host: victim, after_effects: 0 });
        world.inflict(60, Fault::Restart(victim));
        world.run_until_settled(PATIENCE_MS).unwrap();
        let effective = told(&world, |event| match event {
            NodeEvent::BatchFinal { batch, .. } if batch.height > height => Some(&batch.blocks),
            _ => None,
        });
        let effective: Vec<_> =
            effective.flat_map(|(_, _, blocks)| blocks.iter().map(|one| one.block)).collect();
        found += usize::from(names.iter().all(|name| effective.contains(name)));
    }
    assert!(found >= 4, "{found} of 6 blocks were revealed");
}

#[test]
fn commitments_that_cannot_be_brought_wake_nobody_and_are_forgotten() {
    let puppet = SecretKey::for_scenario(1, "puppet", 0);
    let keys = keys(1, 4);
    let market =
        Market::generated(MarketKind::Capacitated { capacity_ppm: 3_000_000 }, 8, 4, &public(&keys), 1);
    let market = market.unwrap().with_commitments(CommitReveal::default(), 1).unwrap();
    let mut settings = hosts(&market, &keys, &[Strategy::Cells; 4]);
    settings.push(HostSettings::puppet(puppet));
    let mut world = World::new(market, settings, 1);
    for host in (0..4).map(HostId) {
        world.connect(HostId(4), host);
    }
    world.run_for(1_000).unwrap();
    world.submit_all(100);
    world.run_until_settled(PATIENCE_MS).unwrap();
    world.run_for(10_000).unwrap(); // what is composed freezes
    let ledger = world.node(HostId(0)).ledger().clone();
    let (height, round) = (world.checkers().height(), world.checkers().last_round());
    for number in 0..40 {
        let key = SecretKey::for_scenario(1, "nobody", number);
        // On the head without money for it, or on a batch that nobody has.
        let anchor = if number % 2 == 0 { ledger.head().hash } else { chain::BatchHash(Hash([9; 32])) };
        let (replaces, prices) = (ledger.price_totals().updates, ledger.prices().clone());
        let update = chain::PriceUpdate { replaces, gain: Money::from_units(1), prices };
        let body = Body { price_update: Some(update), ..Body::default() };
        let block = Block::sign(ledger.network().id(), anchor, number, body, &key);
        world.say_to_all(HostId(4), &Message::Commitment(Commitment::to_block(&block).sign(&key)));
    }
    world.run_for(10_000).unwrap();
    assert_eq!((world.checkers().height(), world.checkers().last_round()), (height, round));
    assert!(world.statuses().iter().all(|(_, status)| status.is_quiescent));
    assert!(ledger.burned() > Money::ZERO);
}

#[test]
fn stories_with_commitments_end_well_whatever_befalls_the_network() {
    let stories = [
        (Hazard::Storm, 0..6),
        (Hazard::Links, 0..2),
        (Hazard::Crashes, 0..4),
        (Hazard::Clocks, 0..3),
        (Hazard::Disks, 0..3),
        (Hazard::Byzantine, 8..14),
        (Hazard::Sybil, 0..1),
        (Hazard::All, 0..2),
    ];
    for (hazard, seeds) in stories {
        for rng_seed in seeds {
            let story = Story { has_commitments: true, ..Story::new(rng_seed, hazard) };
            eprintln!("{}", story.title());
            if let Err(failure) = story.tell() {
                panic!("{failure}");
            }
        }
    }
}
