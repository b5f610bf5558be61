//! A node whose searches fail: it tells its operator, forgets them, goes on with everything else, and tries again when
//! the market changes or some seconds have passed. One validator that mines alone, on virtual time; the solver is a
//! few lines of this file.

mod market;

use std::collections::BTreeMap;

use chain::consensus::SafetyLog;
use chain::{Record, SecretKey};
use miner_node::strategy::{AmendPolicy, AnnouncePolicy, Strategy};
use miner_node::{
    Command, Effect, Input, MiningSettings, Node, NodeEvent, Now, SubmissionId, Timer, WorkId, WorkKind,
};
use scenarios::settings::{Profile, SearchSettings};
use scenarios::work::{Failure, Goal, Incumbent, Report, Work};
use scenarios::{Money, Site, Solution, Window};

use market::{START_MS, config, memory, network};

/// How long a search takes.
const WORK_MS: u64 = 50;

/// A node that is a network of its own.
struct Solo {
    node: Node,
    records: Vec<Record>,
    now_ms: u64,
    timers: BTreeMap<Timer, u64>,
    working: BTreeMap<WorkId, (u64, Work)>,
    /// Which kind of work fails.
    failing: Option<WorkKind>,
    /// Says what the rest comes to.
    solver: fn(&Work) -> Report,
    /// What was begun, and when.
    begun: Vec<(u64, WorkKind)>,
    failed: Vec<(u64, WorkKind, Failure)>,
    /// Why demands were given up.
    given_up: Vec<String>,
    effects: Vec<Effect>,
}

fn kind_of(work: &Work) -> WorkKind {
    match work.goal {
        Goal::Compose { .. } => WorkKind::Compose,
        Goal::Amend { .. } => WorkKind::Amend,
        Goal::FindPrices => WorkKind::Prices,
    }
}

fn boom() -> Failure {
    Failure::Panicked("boom".into())
}

/// Serves everybody by the first provider, and finds no better prices.
fn solved(work: &Work) -> Report {
    if work.goal == Goal::FindPrices {
        let prices = work.problem.resources.prices.clone();
        return Report::Prices { prices, bound: Money::ZERO, cpu_micros: 0 };
    }
    let compositions = work
        .problem
        .demands
        .iter()
        .map(|_| Some(vec![scenarios::Slot::single(scenarios::ProviderId(0))]))
        .collect();
    Report::Finished(Incumbent {
        solution: Solution { compositions },
        cost: Money::ZERO,
        bound: None,
        generation: 1,
        evaluations: 1,
        cpu_micros: 0,
    })
}

impl Solo {
    /// A node on which this kind of work fails.
    fn failing(kind: WorkKind) -> Self {
        Self::of_many(kind, 3)
    }

    /// The same, with so many demands to come.
    fn of_many(kind: WorkKind, demands: usize) -> Self {
        let key = SecretKey::for_scenario(1, "host", 0);
        // Prices are searched for only where something is scarce: here, the minutes of the cheaper provider.
        let cheaper_minutes = if kind == WorkKind::Prices { 10 } else { 1_000 };
        let providers =
            [(Money::from_units(5), Some(1_000)), (Money::from_micros(4_990_000), Some(cheaper_minutes))];
        let (network, records) = network(&providers, demands, vec![key.public()], |_| {});
        let mining = MiningSettings {
            strategy: Strategy::Everything,
            profile: Profile::Hybrid,
            search: SearchSettings::default(),
            region: None,
            window: Window::around([Site::point(0, 0)]).expect("a place"),
            rng_seed: 1,
            announce: AnnouncePolicy::default(),
            amend: AmendPolicy { first_size: 3, rest_after: 4, ..AmendPolicy::default() },
            wait_for_start: false,
        };
        let memory = memory(&network, SafetyLog::new(0), Vec::new());
        let (node, effects) = Node::new(config(key, Some(mining)), memory, Now::at(START_MS));
        let mut solo = Self {
            node,
            records,
            now_ms: START_MS,
            timers: BTreeMap::new(),
            working: BTreeMap::new(),
            failing: Some(kind),
            solver: solved,
            begun: Vec::new(),
            failed: Vec::new(),
            given_up: Vec::new(),
            effects,
        };
        solo.carry_out();
        solo.handle(Input::Start { addresses: Vec::new() });
        solo
    }

    fn handle(&mut self, input: Input) {
        self.node.handle(Now::at(self.now_ms), input, &mut self.effects);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let mut decided = None;
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Execute(batch) => decided = Some(batch),
                Effect::SetTimer { timer, at_ms } => drop(self.timers.insert(timer, at_ms)),
                Effect::StartWork { id, work } => {
                    self.begun.push((self.now_ms, kind_of(&work)));
                    self.working.insert(id, (self.now_ms + WORK_MS, *work));
                }
                Effect::CancelWork(id) => drop(self.working.remove(&id)),
                Effect::Event(NodeEvent::WorkFailed { kind, reason, .. }) => {
                    self.failed.push((self.now_ms, kind, reason));
                }
                Effect::Event(NodeEvent::Unserved { reason, .. }) => self.given_up.push(reason),
                Effect::Event(NodeEvent::LocalFault { detail }) => panic!("{detail}"),
                Effect::Send { .. }
                | Effect::Broadcast(_)
                | Effect::SendFinal { .. }
                | Effect::Disconnect { .. }
                | Effect::Dial { .. }
                | Effect::Persist(_)
                | Effect::AdaptWork { .. }
                | Effect::Submitted { .. }
                | Effect::Final { .. }
                | Effect::Event(_) => {}
            }
        }
        if let Some(decided) = decided {
            self.handle(Input::Executed(Box::new(decided.execute())));
        }
    }

    fn submit(&mut self, records: std::ops::Range<usize>) {
        self.handle(Input::Command(Command::Submit {
            records: self.records[records].to_vec(),
            reply_to: SubmissionId(0),
        }));
    }

    /// Lets so much time pass.
    fn run_for(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        loop {
            let timer =
                self.timers.iter().min_by_key(|(_, at_ms)| **at_ms).map(|(&timer, &at_ms)| (at_ms, timer));
            let work = self.working.iter().min_by_key(|(_, work)| work.0).map(|(&id, work)| (work.0, id));
            let next_ms = timer.map(|timer| timer.0).into_iter().chain(work.map(|work| work.0)).min();
            let Some(next_ms) = next_ms.filter(|&next_ms| next_ms <= end_ms) else { break };
            self.now_ms = self.now_ms.max(next_ms);
            if let Some((_, id)) = work.filter(|work| work.0 == next_ms) {
                let (_, work) = self.working.remove(&id).expect("work under way");
                let fails = self.failing == Some(kind_of(&work));
                let report = if fails { Report::Failed { reason: boom() } } else { (self.solver)(&work) };
                self.handle(Input::Work { id, report });
            } else if let Some((_, timer)) = timer {
                self.timers.remove(&timer);
                self.handle(Input::Timer(timer));
            }
        }
        self.now_ms = end_ms;
    }

    fn composed(&self) -> usize {
        self.node.status(self.now_ms).composed_demands
    }

    /// When work of this kind was begun.
    fn begun(&self, kind: WorkKind) -> Vec<u64> {
        self.begun.iter().filter(|begun| begun.1 == kind).map(|begun| begun.0).collect()
    }
}

#[test]
fn composing_that_failed_is_told_and_tried_again_only_after_seconds() {
    let mut solo = Solo::failing(WorkKind::Compose);
    solo.submit(0..3);
    solo.run_for(30_000);
    assert_eq!(solo.composed(), 0);
    let begun = solo.begun(WorkKind::Compose);
    assert!((4..=6).contains(&begun.len()), "{begun:?}");
    assert!(begun.windows(2).all(|pair| pair[1] - pair[0] >= 5_000), "{begun:?}");
    assert!(solo.failed.iter().all(|failed| (failed.1, &failed.2) == (WorkKind::Compose, &boom())));
    assert!(!solo.node.status(solo.now_ms).is_quiescent, "what failed waits to be tried again");

    solo.failing = None;
    solo.run_for(10_000);
    assert_eq!(solo.composed(), 3);
    assert!(solo.node.status(solo.now_ms).is_quiescent);
}

#[test]
fn a_market_that_changes_is_composed_at_once_whatever_failed_before() {
    let mut solo = Solo::failing(WorkKind::Compose);
    solo.submit(0..2);
    while solo.failed.is_empty() {
        solo.run_for(100);
    }
    solo.failing = None;
    solo.submit(2..3);
    solo.run_for(1_500);
    assert_eq!(solo.composed(), 3);
}

#[test]
fn without_new_prices_the_market_is_composed_at_those_in_force() {
    let mut solo = Solo::failing(WorkKind::Prices);
    solo.submit(0..3);
    solo.run_for(3_000);
    assert_eq!(solo.begun(WorkKind::Prices).len(), 1);
    assert_eq!(solo.failed.len(), 1);
    assert_eq!(solo.composed(), 3);
    assert!(solo.node.ledger().prices().is_zero());
}

#[test]
fn amendments_that_fail_are_given_up_after_a_few_and_the_node_rests() {
    let mut solo = Solo::failing(WorkKind::Amend);
    solo.submit(0..3);
    solo.run_for(60_000);
    assert_eq!(solo.composed(), 3);
    let begun = solo.begun(WorkKind::Amend);
    // The policy looks in vain four times.
    assert_eq!((begun.len(), solo.failed.len()), (4, 4));
    assert!(begun.windows(2).all(|pair| pair[1] - pair[0] >= 5_000), "{begun:?}");
    assert!(solo.node.status(solo.now_ms).is_quiescent);
}

#[test]
fn a_failure_of_work_that_was_given_up_means_nothing() {
    let mut solo = Solo::failing(WorkKind::Amend);
    solo.submit(0..3);
    solo.handle(Input::Work { id: WorkId(99), report: Report::Failed { reason: boom() } });
    solo.run_for(3_000);
    assert_eq!(solo.composed(), 3);
    assert!(solo.failed.iter().all(|failed| failed.1 == WorkKind::Amend));
}

/// Gives all orders of all demands to a provider that is not there, and asks for negative prices.
fn nonsense(work: &Work) -> Report {
    match solved(work) {
        Report::Finished(incumbent) => {
            let nobody = Some(vec![scenarios::Slot::single(scenarios::ProviderId(9)); 3]);
            let compositions = vec![nobody; work.problem.demands.len() + 1];
            Report::Finished(Incumbent { solution: Solution { compositions }, ..incumbent })
        }
        Report::Prices { bound, cpu_micros, .. } => {
            let prices = scenarios::DualPrices::single(vec![Money::from_units(-1); 7]);
            Report::Prices { prices, bound, cpu_micros }
        }
        other @ (Report::Searching(_) | Report::Failed { .. }) => other,
    }
}

#[test]
fn a_solver_that_answers_nonsense_is_asked_again_only_after_seconds() {
    let mut solo = Solo::failing(WorkKind::Prices);
    (solo.failing, solo.solver) = (None, nonsense);
    solo.submit(0..3);
    solo.run_for(30_000);
    assert_eq!(solo.composed(), 0);
    let begun = solo.begun(WorkKind::Compose);
    assert!((4..=7).contains(&begun.len()), "{} searches", begun.len());
    // The first time the market might have changed meanwhile.
    assert!(begun[1..].windows(2).all(|pair| pair[1] - pair[0] >= 5_000), "{begun:?}");
    let (_, kind, reason) = &solo.failed[0];
    assert_eq!(*kind, WorkKind::Compose);
    assert!(reason.to_string().contains("nothing it found is valid"), "{reason}");
    assert!(solo.begun(WorkKind::Prices).len() <= 1);
    solo.solver = solved;
    solo.run_for(10_000);
    assert_eq!(solo.composed(), 3);
}

/// Finds no way for anybody.
fn nothing(work: &Work) -> Report {
    match solved(work) {
        Report::Finished(incumbent) => {
            let compositions = vec![None; work.problem.demands.len()];
            Report::Finished(Incumbent { solution: Solution { compositions }, ..incumbent })
        }
        other @ (Report::Prices { .. } | Report::Searching(_) | Report::Failed { .. }) => other,
    }
}

#[test]
fn of_many_demands_that_find_no_way_the_node_looks_into_the_first_few() {
    let mut solo = Solo::of_many(WorkKind::Prices, 30);
    solo.solver = nothing;
    solo.submit(0..30);
    solo.run_for(5_000);
    assert_eq!((solo.given_up.len(), solo.node.status(solo.now_ms).given_up.len()), (30, 30));
    let is_explained =
        |reason: &&String| reason.starts_with("no offer, budget or capacity stands in its way");
    assert_eq!(solo.given_up.iter().filter(is_explained).count(), 10);
}
