//! A few stories of each other kind of trouble than storms, and what a bad link, a busy node and a bad clock look like.
//!
//! `cargo run --release -p mizan-tests --bin sim -- --help` tells any number of them.

use mizan_tests::sim::{Fault, Hazard, HostId, LinkQuality, Story};

/// As many as a test run has patience for; each must end well.
pub(crate) fn tell(hazard: Hazard, seeds: impl IntoIterator<Item = u64>) {
    for rng_seed in seeds {
        let story = Story::new(rng_seed, hazard);
        eprintln!("{}", story.title());
        match story.tell() {
            Ok(report) => eprintln!("{report}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[test]
fn meshes_survive_links_that_differ_by_direction() {
    tell(Hazard::Links, 0..6);
}

#[test]
fn nodes_survive_many_crashes() {
    tell(Hazard::Crashes, 0..6);
}

#[test]
fn honest_validators_survive_as_many_liars_as_they_tolerate() {
    tell(Hazard::Byzantine, 0..6);
}

#[test]
fn nodes_survive_clocks_that_are_off_and_machines_that_stand_still() {
    tell(Hazard::Clocks, 0..4);
}

#[test]
fn validators_survive_disks_that_fail_and_crashes_together() {
    tell(Hazard::Disks, 0..4);
}

#[test]
fn nodes_serve_the_market_while_strangers_ask_for_more_than_anybody_can_answer() {
    tell(Hazard::Flood, 0..2);
}

#[test]
fn nodes_serve_the_market_while_strangers_invent_keys_and_names() {
    tell(Hazard::Sybil, 0..2);
}

#[test]
fn everything_at_once_ends_well() {
    tell(Hazard::All, 0..2);
}

#[test]
fn validators_of_unequal_power_agree_whoever_of_them_lies_or_is_gone() {
    for (hazard, seeds) in [(Hazard::Byzantine, 0..3), (Hazard::Storm, 3..5), (Hazard::All, 5..6)] {
        for rng_seed in seeds {
            let story = Story { has_unequal_votes: true, ..Story::new(rng_seed, hazard) };
            if let Err(failure) = story.tell() {
                panic!("{failure}");
            }
        }
    }
}

#[test]
fn sixteen_nodes_agree_as_four_do() {
    let story = Story { nodes: Some(16), ..Story::new(4, Hazard::Storm) };
    let report = story.tell().unwrap();
    assert!(report.composed > 0, "{report}");
}

#[test]
fn a_node_is_not_hung_up_on_because_nothing_of_it_arrives_for_a_moment() {
    let mut world = Story::new(1, Hazard::Calm).scene();
    world.submit_all(1_000);
    world.run_for(1_000).unwrap();
    for to in [HostId(1), HostId(2)] {
        world.inflict(0, Fault::Silence { from: HostId(0), to });
    }
    world.inflict(3_000, Fault::Heal);
    world.run_until_settled(60_000).unwrap();
}

#[test]
fn whoever_stood_still_for_a_while_is_there_again() {
    for monotonic_counts in [false, true] {
        let mut world = Story::new(2, Hazard::Calm).scene();
        world.submit_all(1_000);
        world.run_for(1_000).unwrap();
        world.inflict(0, Fault::Suspend { host: HostId(1), for_ms: 20_000, monotonic_counts });
        world.run_for(20_500).unwrap();
        world.run_until_settled(60_000).unwrap();
        let heights: Vec<u64> = world.statuses().iter().map(|(_, status)| status.height).collect();
        assert_eq!(heights, vec![heights[0]; heights.len()]);
    }
}

#[test]
fn a_narrow_link_makes_a_network_slower_and_nothing_else() {
    let mut world = Story::new(5, Hazard::Calm).scene();
    // A modem: 7 bytes a millisecond.
    let narrow = LinkQuality { bytes_per_ms: 7, ..LinkQuality::GOOD };
    for host in world.host_ids().collect::<Vec<_>>() {
        world.inflict(0, Fault::Direction { from: HostId(0), to: host, quality: narrow });
    }
    world.submit_all(1_000);
    world.run_until_settled(120_000).unwrap();
}
