//! The store on disk: what is written is read again, damage is noticed, and mended without voting.

use std::path::Path;
use std::sync::Arc;

use chain::consensus::{CommitCertificate, SafetyLog, Vote, VoteKind};
use chain::genesis::scenario_demand_records;
use chain::store::{Backend, Changes, Medium as _, MemoryBackend, Write, replay};
use chain::{Batch, Draft, Genesis, Ledger, Network, Record, SecretKey, Store, StoreError};
use proptest::prelude::*;
use scenarios::{
    CostRules, Demand, Geometry, Horizon, Instance, Money, Offer, OperationId, Provider, Scenario, Site,
    Supply, TimeWindow,
};

use miner_node::{Opened, OpeningError, Recovered, Testimony, TestimonyError, open_store};

use super::{StoreDirectory, open, open_backend};

const RNG_SEED: u64 = 5;

/// A chain of one validator, who mines it too.
struct Chain {
    ledger: Ledger,
    writes: Vec<Write>,
}

impl Chain {
    fn network(&self) -> &Arc<Network> {
        self.ledger.network()
    }

    fn add(&mut self, records: Vec<Record>) {
        let key = validator();
        let timestamp_ms = self.ledger.head().timestamp_ms + 1_000;
        let draft = Draft {
            miner: key.public(),
            timestamp_ms,
            records,
            prices: None,
            compositions: Vec::new(),
            amendments: Vec::new(),
        };
        let (batch, _) = self.ledger.draft(draft).unwrap().sign(&key);
        let certificate = certificate(self.network(), &batch);
        let decided = self.ledger.validate_decided(batch, certificate).unwrap();
        self.writes.push(Write::from(&decided));
        self.ledger = decided.execute().unwrap().ledger().clone();
    }
}

fn validator() -> SecretKey {
    SecretKey::for_scenario(RNG_SEED, "validator", 0)
}

fn certificate(network: &Network, batch: &Batch) -> CommitCertificate {
    let (height, hash) = (batch.header.height, batch.hash());
    let vote = Vote { network: network.id(), height, round: 0, kind: VoteKind::Precommit, batch: Some(hash) };
    let signatures = vec![(0, vote.sign(0, &validator()).signature)];
    CommitCertificate { height, round: 0, batch: hash, signatures }
}

/// A batch with a demand's record, and two that wait with it.
fn three_batches() -> Chain {
    let scenario = Scenario::of_instance("on disk", instance());
    let (profile, validators) = (scenario.search.profile, vec![validator().public()]);
    let genesis = Genesis::of_scenario(&scenario, profile, 1, validators, RNG_SEED, 1_000);
    let network = Arc::new(Network::new(genesis).unwrap());
    let fee_ppm = network.parameters().solver_fee_ppm;
    let records = scenario_demand_records(
        &scenario.instance,
        network.id(),
        RNG_SEED,
        fee_ppm,
        network.genesis().first_expiry_ms(),
    );
    let mut chain = Chain { ledger: Ledger::new(network), writes: Vec::new() };
    chain.add(records);
    chain.add(Vec::new());
    chain.add(Vec::new());
    chain
}

fn instance() -> Instance {
    let rules = CostRules {
        rate_per_km: Money::ZERO,
        value_of_minute: Money::ZERO,
        metres_per_minute: 500,
        deliver: false,
    };
    let offer = Offer { cost: Money::from_units(3), minutes: 10 };
    let provider = Provider {
        name: "workshop".into(),
        site: Site::point(0, 0),
        offers: [(OperationId(0), offer)].into(),
        capacity: None,
    };
    let budget = Money::from_units(9);
    let demand = Demand {
        name: "bracket".into(),
        site: Site::point(0, 0),
        orders: vec![OperationId(0)],
        budget,
        window: TimeWindow::ANY,
    };
    let supply =
        Supply { providers: vec![provider], rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE };
    Instance { supply, demands: vec![demand] }
}

fn on_disk(directory: &Path, chain: &Chain) -> Store {
    open(directory, chain.network().id()).unwrap()
}

/// As the driver opens it.
fn start(directory: &Path, chain: &Chain, testimony: Testimony) -> Result<Opened, OpeningError> {
    let (own, network) = (validator().public(), chain.network());
    let recall = |store: &Store| Recovered::recall(store, network);
    open_store(&mut StoreDirectory::new(directory), network, own, testimony, recall)
}

#[test]
fn a_chain_is_read_again_from_disk_and_leads_to_the_same_ledger() {
    let chain = three_batches();
    let directory = tempfile::tempdir().unwrap();
    let mut store = on_disk(directory.path(), &chain);
    store.write(&chain.writes).unwrap();
    drop(store);
    let store = on_disk(directory.path(), &chain);
    assert_eq!(store.head(), Some((3, chain.ledger.head().hash)));
    let read: Vec<Write> = store
        .batches_from(1)
        .map(Result::unwrap)
        .map(|(batch, certificate)| Write::Batch(Box::new(batch), Box::new(certificate)))
        .collect();
    assert_eq!(read, chain.writes);
    let ledger = replay(&store, Arc::clone(chain.network())).unwrap();
    assert_eq!(ledger.state_root(), chain.ledger.state_root());
    assert_eq!(ledger.head(), chain.ledger.head());
}

#[test]
fn final_batches_are_read_on_another_thread_while_more_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let chain = three_batches();
    let mut store = open(directory.path(), chain.network().id()).unwrap();
    let reader = store.final_batches().unwrap();
    let (sender, asked) = std::sync::mpsc::channel();
    let thread =
        std::thread::spawn(move || asked.iter().map(|height| reader.encoded(height)).collect::<Vec<_>>());
    for write in &chain.writes {
        store.write(std::slice::from_ref(write)).unwrap();
        sender.send(store.height()).unwrap();
    }
    drop(sender);
    let expected: Vec<_> = (1..=3).map(|height| store.encoded(height)).collect();
    assert!(expected.iter().all(|batch| matches!(batch, Ok(Some(_)))));
    assert_eq!(thread.join().unwrap(), expected);
}

#[test]
fn a_store_that_is_open_is_in_use() {
    let chain = three_batches();
    let directory = tempfile::tempdir().unwrap();
    let _store = on_disk(directory.path(), &chain);
    assert_eq!(open(directory.path(), chain.network().id()).unwrap_err(), StoreError::InUse);
}

#[test]
fn a_damaged_store_is_moved_aside_and_its_successor_does_not_vote() {
    let chain = three_batches();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    let mut store = on_disk(&directory, &chain);
    store.write(&chain.writes).unwrap();
    drop(store);
    std::fs::remove_file(directory.join("db")).unwrap();
    let opened = start(&directory, &chain, Testimony::None).unwrap();
    assert_eq!((opened.store.height(), opened.recovered.ledger.head().height), (0, 0));
    assert_eq!(opened.recovered.safety, None);
    let aside = parent.path().join("store.broken-1");
    assert_eq!(opened.moved_aside.unwrap().to, aside.display().to_string());
    assert!(aside.is_dir());
}

fn refused(directory: &Path, chain: &Chain, testimony: Testimony) -> TestimonyError {
    match start(directory, chain, testimony).map(|opened| opened.recovered.safety) {
        Err(OpeningError::Testimony(error)) => error,
        other => panic!("{testimony:?} was not refused: {other:?}"),
    }
}

#[test]
fn a_first_run_enters_that_nothing_was_signed_and_is_refused_once_something_was() {
    let chain = three_batches();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    assert_eq!(start(&directory, &chain, Testimony::None).unwrap().recovered.safety, None);
    let mut opened = start(&directory, &chain, Testimony::FirstRun).unwrap();
    assert_eq!(opened.recovered.safety, Some(SafetyLog::new(0)));
    opened.store.write(&chain.writes).unwrap();
    opened.store.write(&[Write::Safety(Box::new(SafetyLog::new(3)))]).unwrap();
    drop(opened);
    let got = refused(&directory, &chain, Testimony::FirstRun);
    assert_eq!(got, TestimonyError::KnowsWhatItSigned { signed: 3 });
}

#[test]
fn a_first_run_is_refused_where_there_is_a_chain_or_a_store_was_moved_aside() {
    let chain = three_batches();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    on_disk(&directory, &chain).write(&chain.writes).unwrap();
    let got = refused(&directory, &chain, Testimony::FirstRun);
    assert_eq!(got, TestimonyError::HasChain { height: 3 });
    StoreDirectory::new(&directory).move_aside().unwrap();
    assert_eq!(refused(&directory, &chain, Testimony::FirstRun), TestimonyError::HasMovedAside);
}

#[test]
fn a_permission_to_vote_is_used_up_and_must_be_above_what_the_chain_shows_as_signed() {
    let chain = three_batches();
    let directory = tempfile::tempdir().unwrap();
    on_disk(directory.path(), &chain).write(&chain.writes).unwrap();
    let got = refused(directory.path(), &chain, Testimony::VoteFrom(2));
    assert_eq!(got, TestimonyError::SignedLater { got: 2, signed: 2 });
    let opened = start(directory.path(), &chain, Testimony::VoteFrom(4)).unwrap();
    assert_eq!(opened.recovered.safety, Some(SafetyLog::new(4)));
    drop(opened);
    let got = refused(directory.path(), &chain, Testimony::VoteFrom(9));
    assert_eq!(got, TestimonyError::Needless { signed: 4 });
    assert_eq!(
        start(directory.path(), &chain, Testimony::None).unwrap().recovered.safety,
        Some(SafetyLog::new(4))
    );
}

#[test]
fn who_is_no_validator_needs_no_permission_to_vote() {
    let chain = three_batches();
    let directory = tempfile::tempdir().unwrap();
    let (own, network) = (SecretKey::for_scenario(RNG_SEED, "somebody", 0).public(), chain.network());
    let recall = |store: &Store| Recovered::recall(store, network);
    let mut medium = StoreDirectory::new(directory.path());
    let got = open_store(&mut medium, network, own, Testimony::VoteFrom(9), recall).map(drop);
    assert_eq!(got, Err(OpeningError::Testimony(TestimonyError::NoValidator)));
}

#[test]
fn a_damaged_database_is_an_error_and_can_be_moved_aside() {
    let chain = three_batches();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    let mut store = on_disk(&directory, &chain);
    store.write(&chain.writes).unwrap();
    drop(store);
    for file in ["db", "conf"] {
        let path = directory.join(file);
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::write(&path, vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    }
    for entry in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("snap") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let got = open_backend(&directory).unwrap_err();
    assert!(matches!(got, StoreError::Corrupt(_)), "{got}");
    let mut medium = StoreDirectory::new(&directory);
    assert!(!medium.has_moved_aside().unwrap());
    let aside = medium.move_aside().unwrap();
    assert_eq!(Path::new(&aside), parent.path().join("store.broken-1"));
    assert!(medium.has_moved_aside().unwrap());
    assert_eq!(on_disk(&directory, &chain).head(), None);
}

/// A way to damage the file of a database, given its length.
type Damage = fn(&Path, u64);

#[test]
fn a_database_that_has_silently_forgotten_commits_is_damaged() {
    let chain = three_batches();
    let parent = tempfile::tempdir().unwrap();
    let ways: [(&str, Damage); 4] = [
        ("gone", |file, _| std::fs::remove_file(file).unwrap()),
        ("empty", |file, _| std::fs::write(file, b"").unwrap()),
        ("zeros", |file, length| std::fs::write(file, vec![0; usize::try_from(length).unwrap()]).unwrap()),
        ("cut off", |file, length| {
            std::fs::File::options().write(true).open(file).unwrap().set_len(length / 2).unwrap();
        }),
    ];
    for (name, damage) in ways {
        let directory = parent.path().join(name);
        let mut store = on_disk(&directory, &chain);
        for write in chain.writes.clone() {
            store.write(&[write]).unwrap();
        }
        drop(store);
        let file = directory.join("db");
        damage(&file, std::fs::metadata(&file).unwrap().len());
        let got = open_backend(&directory).map(drop);
        assert!(
            matches!(&got, Err(StoreError::Corrupt(reason)) if reason.contains("of 4")),
            "{name}: {got:?}"
        );
    }
}

#[test]
fn a_database_that_is_ahead_of_its_counter_is_sound() {
    let chain = three_batches();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    let mut store = on_disk(&directory, &chain);
    store.write(&chain.writes).unwrap();
    drop(store);
    // As a crash leaves it between the commit and the count of it, or while the counter was made.
    for counted in [&1_u64.to_be_bytes()[..], &[]] {
        std::fs::write(directory.join("commits"), counted).unwrap();
        assert_eq!(on_disk(&directory, &chain).height(), 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn memory_and_disk_answer_alike(
        batches in prop::collection::vec(
            prop::collection::btree_map(
                prop::collection::vec(0_u8..4, 1..4),
                prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
                1..8,
            ),
            1..6,
        ),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut memory = MemoryBackend::default();
        let mut disk = open_backend(directory.path()).unwrap();
        for changes in &batches {
            let changes: Changes = changes.clone();
            memory.commit(changes.clone()).unwrap();
            disk.commit(changes).unwrap();
        }
        drop(disk);
        let disk = open_backend(directory.path()).unwrap();
        for first in 0_u8..4 {
            prop_assert_eq!(memory.scan(&[first]).unwrap(), disk.scan(&[first]).unwrap());
            prop_assert_eq!(memory.get(&[first]).unwrap(), disk.get(&[first]).unwrap());
        }
    }
}
