//! Disks that fail, forget, rot and are deleted: a validator never contradicts itself, whatever its disk does.

use std::ops::Range;
use std::sync::Arc;

use chain::consensus::SafetyLog;
use chain::store::Store;
use chain::{Height, Network};
use miner_node::strategy::Strategy;
use miner_node::{NodeEvent, Opened, OpeningError, Recovered, Testimony, TestimonyError, Voting, open_store};
use mizan_tests::sim::{
    Disk, DiskFault, DiskIncident, Draws, Failure, Fault, HostId, Market, MarketKind, Remains, Report, World,
};

use crate::common::{PATIENCE_MS, hosts, keys, public, told};

/// Stories told in a test run.
const SEEDS: Range<u64> = 0..30;

const AWAY: HostId = HostId(0);
const VICTIM: HostId = HostId(3);
const REMAINS: [Remains; 3] = [Remains::Nothing, Remains::Everything, Remains::Half];

/// Four validators that mine.
fn world(rng_seed: u64) -> World {
    let keys = keys(rng_seed, 4);
    let kind = MarketKind::Capacitated { capacity_ppm: 2_000_000 };
    let market = Market::generated(kind, 6, 10, &public(&keys), rng_seed).unwrap();
    let settings = hosts(&market, &keys, &[Strategy::Cells; 4]);
    World::new(market, settings, rng_seed)
}

/// A world at a height of 2 or more, with half of its demands yet to come.
fn world_under_way(rng_seed: u64) -> World {
    let mut world = world(rng_seed);
    let records = world.market().records.clone();
    for record in records.into_iter().take(5) {
        world.submit(10, HostId(1), vec![record]);
    }
    assert!(world.run_until(PATIENCE_MS, |world| world.checkers().height() >= 2).unwrap());
    world.run_for(5_000).unwrap();
    world
}

fn submit_the_rest(world: &mut World) {
    let records = world.market().records.clone();
    for record in records.into_iter().skip(5) {
        world.submit(10, HostId(1), vec![record]);
    }
}

/// Something befalls the victim's disk, and it is started again.
fn befall(world: &mut World, incident: DiskIncident) {
    world.inflict(0, Fault::Incident { host: VICTIM, incident });
    world.inflict(10, Fault::Restart(VICTIM));
}

fn voting(world: &World, id: HostId) -> Option<Voting> {
    world.statuses().into_iter().find(|(host, _)| *host == id).map(|(_, status)| status.voting)
}

/// What a validator that may have voted is told truly: the height after the last it spoke of.
fn truth(world: &World, id: HostId) -> Testimony {
    Testimony::VoteFrom(world.last_signed(id) + 1)
}

/// Starts a host again, told this of its past.
fn restart_saying(world: &mut World, id: HostId, testimony: Testimony) {
    world.testify(id, testimony);
    world.inflict(0, Fault::Crash { host: id, after_effects: 0 });
    world.inflict(3_000, Fault::Restart(id));
    world.run_for(3_500).unwrap();
}

fn open(disk: &Disk, world: &World, testimony: Testimony) -> Result<Opened, OpeningError> {
    let network: &Arc<Network> = &world.market().network;
    let own = world.host(VICTIM).key();
    let recall = |store: &Store| Recovered::recall(store, network);
    open_store(&mut disk.clone(), network, own, testimony, recall)
}

// ---- every step in turn ----

#[test]
fn a_crash_in_any_step_of_mending_leaves_a_validator_that_does_not_vote() {
    let mut world = world_under_way(1);
    world.inflict(0, Fault::Incident { host: VICTIM, incident: DiskIncident::Rots });
    world.run_for(10).unwrap();
    for remains in REMAINS {
        let mut steps = 0;
        loop {
            let disk = world.host(VICTIM).disk().copy();
            disk.lay(steps, DiskFault::PowerFails(remains));
            let mended = open(&disk, &world, Testimony::None);
            if !disk.has_failed() {
                assert_eq!(mended.unwrap().recovered.safety, None);
                break;
            }
            assert!(mended.is_err(), "power failed in step {steps}, and nobody noticed");
            disk.mend();
            let Opened { store, recovered, .. } = open(&disk, &world, Testimony::None).unwrap();
            assert_eq!((store.height(), recovered.safety), (0, None), "{remains:?} of step {steps}");
            assert!(disk.moved_aside() >= 1);
            steps += 1;
        }
        // The old store is moved aside, the new one becomes the network's, and that commit is counted.
        assert_eq!(steps, 3);
    }
}

#[test]
fn a_first_run_that_was_cut_short_in_any_step_can_be_said_again_and_is_good_for_one_run() {
    let world = world(2);
    let nothing_signed = Some(SafetyLog::new(0));
    for remains in [Remains::Nothing, Remains::Everything] {
        // The store becomes the network's, the log is entered; each commit is counted.
        for step in 0..4 {
            let disk = Disk::default();
            disk.lay(step, DiskFault::PowerFails(remains));
            open(&disk, &world, Testimony::FirstRun).unwrap_err();
            disk.mend();
            let opened = open(&disk, &world, Testimony::FirstRun).unwrap();
            assert_eq!(opened.recovered.safety, nothing_signed, "{remains:?} of step {step}");
            assert_eq!(open(&disk, &world, Testimony::None).unwrap().recovered.safety, nothing_signed);
        }
    }
    // A store that is torn has been there before: only its operator can know that nothing was signed.
    let disk = Disk::default();
    disk.lay(2, DiskFault::PowerFails(Remains::Half));
    open(&disk, &world, Testimony::FirstRun).unwrap_err();
    disk.mend();
    let refused = open(&disk, &world, Testimony::FirstRun).unwrap_err();
    assert!(matches!(refused, OpeningError::Testimony(TestimonyError::Damaged { .. })), "{refused}");
    assert_eq!(disk.moved_aside(), 0, "what is refused changes nothing");
    assert_eq!(open(&disk, &world, Testimony::None).unwrap().recovered.safety, None);
    let refused = open(&disk, &world, Testimony::FirstRun).unwrap_err();
    assert_eq!(refused, OpeningError::Testimony(TestimonyError::HasMovedAside));
    let opened = open(&disk, &world, Testimony::VoteFrom(1)).unwrap();
    assert_eq!(opened.recovered.safety, Some(SafetyLog::new(1)));
}

#[test]
fn a_permission_that_was_cut_short_in_any_step_is_entered_or_not_and_is_used_up_when_it_is() {
    let world = world(3);
    let lost = Disk::default();
    open(&lost, &world, Testimony::None).unwrap();
    for (remains, is_entered) in [(Remains::Nothing, [false, true]), (Remains::Everything, [true, true])] {
        // The log is entered, and that commit is counted.
        for (step, is_entered) in (0..).zip(is_entered) {
            let disk = lost.copy();
            disk.lay(step, DiskFault::PowerFails(remains));
            open(&disk, &world, Testimony::VoteFrom(9)).unwrap_err();
            disk.mend();
            let again = open(&disk, &world, Testimony::VoteFrom(9)).map(|opened| opened.recovered.safety);
            let used_up = Err(OpeningError::Testimony(TestimonyError::Needless { signed: 9 }));
            let expected = if is_entered { used_up } else { Ok(Some(SafetyLog::new(9))) };
            assert_eq!(again, expected, "{remains:?} of step {step}");
            let safety = open(&disk, &world, Testimony::None).unwrap().recovered.safety;
            assert_eq!(safety, Some(SafetyLog::new(9)));
        }
    }
}

// ---- losses ----

#[test]
fn a_validator_whose_directory_was_deleted_votes_when_it_is_told_from_where_until_the_next_loss() {
    let mut world = world_under_way(4);
    befall(&mut world, DiskIncident::IsDeleted);
    world.run_for(2_000).unwrap();
    assert_eq!(voting(&world, VICTIM), Some(Voting::Forgotten));
    // It follows the chain all the same.
    let is_at_head = |world: &World| world.node(VICTIM).ledger().head().height == world.checkers().height();
    assert!(world.run_until(1_000, is_at_head).unwrap());

    // Two of four remember; they and one that has forgotten decide nothing.
    world.inflict(0, Fault::Crash { host: AWAY, after_effects: 0 });
    world.run_for(1_000).unwrap();
    let height = world.checkers().height();
    submit_the_rest(&mut world);
    world.run_for(30_000).unwrap();
    assert_eq!(world.checkers().height(), height);

    let testimony = truth(&world, VICTIM);
    restart_saying(&mut world, VICTIM, testimony);
    assert!(world.run_until(PATIENCE_MS, |world| world.checkers().height() > height).unwrap());

    // What it was told then is no permission for what is lost later.
    befall(&mut world, DiskIncident::IsDeleted);
    world.run_for(2_000).unwrap();
    assert_eq!(voting(&world, VICTIM), Some(Voting::Forgotten));
    world.calm().unwrap();
    assert_eq!(world.run_until_settled(PATIENCE_MS).unwrap().composed, 10);
}

#[test]
fn a_database_that_forgets_what_it_acknowledged_is_moved_aside_and_does_not_vote() {
    for commits in [1, 3, usize::MAX] {
        let mut world = world_under_way(5);
        befall(&mut world, DiskIncident::Forgets { commits });
        world.run_for(2_000).unwrap();
        assert_eq!(world.host(VICTIM).disk().moved_aside(), 1);
        assert_eq!(voting(&world, VICTIM), Some(Voting::Forgotten));
    }
}

/// Lets the chain go on with the victim's signature under each batch, then puts its disk back, or says what is not so;
/// the validator is to notice, and to vote no more, now or later.
fn notices(incident: DiskIncident, lie: impl Fn(Height) -> Testimony) {
    let mut world = world_under_way(6);
    world.inflict(0, Fault::Crash { host: AWAY, after_effects: 0 });
    world.run_for(1_000).unwrap();
    let before = world.checkers().height();
    submit_the_rest(&mut world);
    assert!(world.run_until(PATIENCE_MS, |world| world.checkers().height() >= before + 2).unwrap());
    world.run_for(10_000).unwrap();
    world.testify(VICTIM, lie(before));
    befall(&mut world, incident);
    world.run_for(3_000).unwrap();
    let noticed: Vec<(HostId, Height)> = told(&world, |event| match event {
        NodeEvent::ForgottenVote { height, .. } => Some(*height),
        _ => None,
    })
    .map(|(_, host, height)| (host, height))
    .collect();
    assert_eq!(noticed.len(), 1, "{noticed:?}");
    assert_eq!(noticed[0].0, VICTIM);
    assert!(noticed[0].1 <= world.last_signed(VICTIM));
    assert_eq!(voting(&world, VICTIM), Some(Voting::Forgotten));
    restart_saying(&mut world, VICTIM, Testimony::None);
    assert_eq!(voting(&world, VICTIM), Some(Voting::Forgotten));
    let testimony = truth(&world, VICTIM);
    restart_saying(&mut world, VICTIM, testimony);
    world.calm().unwrap();
    assert_eq!(world.run_until_settled(PATIENCE_MS).unwrap().composed, 10);
}

#[test]
fn a_validator_on_an_older_copy_of_its_disk_notices_its_own_signature() {
    notices(DiskIncident::GoesBack { commits: 40 }, |_| Testimony::None);
}

#[test]
fn a_validator_that_is_said_to_run_for_the_first_time_notices_its_own_signature() {
    notices(DiskIncident::IsDeleted, |_| Testimony::FirstRun);
}

#[test]
fn a_validator_that_is_told_to_vote_from_too_low_a_height_notices_its_own_signature() {
    notices(DiskIncident::IsDeleted, |before| Testimony::VoteFrom(before + 1));
}

// ---- random stories ----

/// Two acts of disks that fail while demands come in, and permissions after each; then calm until all is done.
fn story(rng_seed: u64) -> Result<Report, Failure> {
    const ACT_MS: u64 = 8_000;
    let mut world = world(rng_seed);
    let mut draws = Draws::new(rng_seed, 5);
    let unlucky = HostId(u32::try_from(draws.below(4)).unwrap());
    world.submit_all(2 * ACT_MS);
    for _ in 0..2 {
        for _ in 0..draws.between(2, 6) {
            let (host, fault) = Fault::of_a_disk(&mut draws, 4, unlucky);
            let at_ms = draws.below(ACT_MS);
            world.inflict(at_ms, fault);
            for _ in 0..3 {
                world.inflict(at_ms + draws.between(50, 4_000), Fault::Restart(host));
            }
        }
        world.run_for(ACT_MS)?;
        world.calm()?;
        world.let_all_vote()?;
        world.calm()?;
    }
    world.run_until_settled(PATIENCE_MS)
}

#[test]
fn validators_survive_their_disks() {
    for rng_seed in crate::seeds::seeds_or(SEEDS) {
        match story(rng_seed) {
            Ok(report) => eprintln!("{report}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

#[test]
fn the_same_seed_fails_the_same_disks() {
    assert_eq!(story(7).unwrap().trace_hash, story(7).unwrap().trace_hash);
}
