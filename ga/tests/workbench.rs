//! What the workbench promises whoever gives it work: the limits, the reports by position, adaptation, and the same
//! answer as the search by hand.

mod algorithms;
mod instances;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use algorithms::{algorithms, hybrid, paper};
use ga::prices::find_prices;
use ga::{CentralPlan, Flags, Problem, Search, StopReason, StoppedBy, Workbench, run, solve_centrally};
use instances::{formula_market, market};
use proptest::prelude::*;
use scenarios::settings::HybridGaSettings;
use scenarios::work::{
    Adaptation, Algorithm, Failure, Goal, Incumbent, Objective, Report, Resources, SubProblem, Termination,
    Work,
};
use scenarios::{
    DualPrices, Instance, Money, PriceError, ProviderId, SharedSupply, Slot, Solution, evaluate,
};

static NEVER: AtomicBool = AtomicBool::new(false);

/// What an amendment searches with.
fn settings() -> HybridGaSettings {
    let Algorithm::Hybrid(settings) = hybrid() else { panic!("the hybrid profile is the hybrid") };
    settings
}

fn resources(instance: &Instance) -> Resources {
    let supply = SharedSupply::new(instance.supply.clone());
    let capacities = supply.capacities();
    Resources { supply, capacities, prices: DualPrices::zero(), allowed: None }
}

fn composing(instance: &Instance, algorithm: Algorithm) -> Work {
    Work {
        goal: Goal::Compose { algorithm, objective: Objective::Cost },
        problem: SubProblem::new(instance.demands.clone(), resources(instance)),
        termination: Termination::default(),
        rng_seed: 3,
    }
}

fn incumbent(report: Report) -> Incumbent {
    match report {
        Report::Searching(incumbent) | Report::Finished(incumbent) => incumbent,
        other @ (Report::Prices { .. } | Report::Failed { .. }) => panic!("{other:?}"),
    }
}

fn steps(bench: &mut Workbench, count: usize) -> Incumbent {
    (0..count).for_each(|_| bench.step(&NEVER));
    incumbent(bench.report().expect("composing reports on its way"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn work_on_a_bench_gives_the_answer_of_the_search_by_hand(instance in market(6, 3, 5)) {
        for algorithm in algorithms() {
            let mut by_hand = Search::new(Problem::whole(instance.clone()), algorithm, 3, None);
            let generation = (0..4).map(|_| by_hand.step(&NEVER)).last().map(|progress| progress.generation);
            let found = steps(&mut Workbench::start(composing(&instance, algorithm)).unwrap(), 4);
            let (solution, cost) = by_hand.incumbent();
            prop_assert_eq!((&found.solution, found.cost), (solution, cost));
            prop_assert_eq!(Some(found.generation), generation);
        }
    }
}

#[test]
fn providers_that_are_not_allowed_are_used_neither_by_searches_nor_for_prices() {
    let instance = formula_market(9, 6, 4, Some(900));
    let mut work = composing(&instance, hybrid());
    work.problem.resources.allowed = Some((0..9).step_by(2).map(ProviderId).collect());
    let found = steps(&mut Workbench::start(work.clone()).unwrap(), 3);
    assert!(
        found.solution.compositions.iter().flatten().flatten().all(|slot| slot.provider.0.is_multiple_of(2))
    );

    let bound = |work: Work| {
        let mut bench = Workbench::start(Work { goal: Goal::FindPrices, ..work }).unwrap();
        bench.step(&NEVER);
        bench.prices().unwrap().bound
    };
    let restricted = bound(work.clone());
    work.problem.resources.allowed = None;
    assert!(restricted > bound(work), "fewer providers cannot make everything as cheap");
}

#[test]
fn an_adapted_search_names_demands_by_their_first_positions_however_often_it_adapts() {
    let instance = formula_market(8, 12, 6, Some(130));
    for algorithm in algorithms() {
        let mut bench = Workbench::start(composing(&instance, algorithm)).unwrap();
        let before = steps(&mut bench, 8);
        for left in [vec![1, 4, 7, 11], vec![4, 11]] {
            let left: BTreeSet<usize> = left.into_iter().collect();
            bench.adapt(&Adaptation { left: left.clone(), resources: resources(&instance) }).unwrap();
            let after = steps(&mut bench, 0);
            assert_eq!(after.solution.compositions.len(), 12);
            let composed = after.solution.compositions.iter().enumerate();
            let composed: BTreeSet<usize> =
                composed.filter(|(_, composition)| composition.is_some()).map(|(at, _)| at).collect();
            assert_eq!(composed, left, "everything that is left was composed and still fits");
            // Each of them is what its own demand asks for, not its neighbour's.
            let evaluation = evaluate(&instance, &after.solution);
            assert_eq!(evaluation.violations, vec![]);
            let budget = |&at: &usize| instance.demands[at].budget;
            let gone: Money = evaluation.unserved.iter().filter(|at| !left.contains(at)).map(budget).sum();
            assert_eq!(evaluation.penalised_cost(&instance) - gone, after.cost);
            assert_eq!(after.generation, 0);
        }
        assert!(before.solution.compositions.iter().filter(|composition| composition.is_some()).count() > 4);
    }
}

#[test]
fn work_that_contradicts_itself_is_refused_by_name() {
    let instance = formula_market(3, 2, 2, None);
    let refused = |change: &dyn Fn(&mut Work)| {
        let mut work = composing(&instance, hybrid());
        change(&mut work);
        Workbench::start(work).unwrap_err()
    };
    assert_eq!(
        refused(&|work| work.problem.resources.capacities.truncate(1)),
        Failure::CapacityCount { got: 1, expected: 3 }
    );
    assert_eq!(
        refused(&|work| work.problem.incumbent = Solution::unserved(5)),
        Failure::IncumbentCount { got: 5, expected: 2 }
    );
    let (slot, got) = (Slot::single(ProviderId(0)), Money::from_units(1));
    assert_eq!(
        refused(&|work| work.problem.resources.prices = DualPrices::single(vec![got])),
        Failure::Prices(PriceError::Unlimited { slot, got })
    );
}

#[test]
fn an_adaptation_that_cannot_be_is_refused_and_the_search_stands_as_it_was() {
    let instance = formula_market(4, 3, 2, Some(100));
    let mut bench = Workbench::start(composing(&instance, hybrid())).unwrap();
    let before = steps(&mut bench, 2);
    let unknown = Adaptation { left: [1, 3].into(), resources: resources(&instance) };
    assert_eq!(bench.adapt(&unknown), Err(Failure::UnknownDemand { got: 3, expected: 3 }));
    assert_eq!(steps(&mut bench, 0), before);

    let known = Adaptation { left: [1].into(), resources: resources(&instance) };
    for goal in [Goal::FindPrices, Goal::Amend { settings: settings() }] {
        let mut bench = Workbench::start(Work { goal, ..composing(&instance, hybrid()) }).unwrap();
        assert_eq!(bench.adapt(&known), Err(Failure::CannotAdapt));
    }
}

#[test]
fn an_amendment_begins_with_what_stands_and_speaks_only_at_its_end() {
    let instance = formula_market(8, 12, 6, Some(130));
    let found = steps(&mut Workbench::start(composing(&instance, hybrid())).unwrap(), 4);
    let mut work = composing(&instance, hybrid());
    work.goal = Goal::Amend { settings: settings() };
    work.problem.incumbent = found.solution.clone();
    work.termination.generations = Some(2);
    let mut bench = Workbench::start(work).unwrap();
    assert_eq!(incumbent(bench.conclude()).solution, found.solution);
    assert_eq!(bench.report(), None);
    assert_eq!(
        run(&mut bench, None, &mut |_| ControlFlow::Continue(()), &NEVER).reason,
        StopReason::Generations
    );
    assert!(incumbent(bench.conclude()).cost <= found.cost);
}

#[test]
fn prices_on_a_bench_are_those_of_the_price_method() {
    let instance = formula_market(8, 12, 6, Some(110));
    let (supply, demands) = (&instance.supply, &instance.demands);
    let expected =
        find_prices(supply, demands, &supply.capacities(), &DualPrices::zero(), 50, &NEVER).unwrap();
    let mut work = composing(&instance, hybrid());
    (work.goal, work.termination.generations) = (Goal::FindPrices, Some(50));
    let mut bench = Workbench::start(work).unwrap();
    assert_eq!(bench.conclude(), Report::Failed { reason: Failure::Prices(PriceError::BoundOverflow) });
    run(&mut bench, None, &mut |_| ControlFlow::Continue(()), &NEVER);
    let (prices, bound) = (expected.prices, expected.bound);
    assert_eq!(bench.conclude(), Report::Prices { prices, bound, cpu_micros: 0 });
}

#[test]
fn a_run_ends_at_the_first_limit_it_reaches() {
    let instance = formula_market(8, 12, 6, None);
    let end = |termination: Termination, time: Option<Duration>, cancel: bool| {
        let mut bench = Workbench::start(Work { termination, ..composing(&instance, hybrid()) }).unwrap();
        run(&mut bench, time, &mut |_| ControlFlow::Continue(()), &AtomicBool::new(cancel)).reason
    };
    let none = Termination::default();
    assert_eq!(end(Termination { generations: Some(3), ..none }, None, false), StopReason::Generations);
    assert_eq!(end(Termination { evaluations: Some(10), ..none }, None, false), StopReason::Evaluations);
    assert_eq!(end(Termination { target_gap_ppm: Some(0), ..none }, None, false), StopReason::TargetGap);
    assert_eq!(end(none, Some(Duration::ZERO), false), StopReason::Time);
    assert_eq!(end(none, None, true), StopReason::Cancelled);
    let work = Work { termination: Termination::of(&paper()), ..composing(&instance, paper()) };
    let mut bench = Workbench::start(work).unwrap();
    let outcome = run(&mut bench, None, &mut |_| ControlFlow::Continue(()), &NEVER);
    assert_eq!((outcome.reason, bench.search().unwrap().progress().generation), (StopReason::Generations, 6));
    let mut seen = 0;
    let mut observer = |_: &Workbench| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut bench = Workbench::start(composing(&instance, paper())).unwrap();
    assert_eq!(run(&mut bench, None, &mut observer, &NEVER).reason, StopReason::Observer);
    assert_eq!(seen, 2);
}

#[test]
fn a_market_is_solved_centrally_to_its_bound_or_to_the_limit_given() {
    let free = formula_market(9, 15, 6, None);
    let plan = CentralPlan { termination: Termination::default(), ..CentralPlan::of(hybrid(), 1, 1) };
    let outcome = solve_centrally(&free, &plan, &mut |_| {}, &Flags::default()).unwrap();
    assert_eq!(outcome.stopped_by, StoppedBy::Optimum);
    assert_eq!(outcome.bound, Some(outcome.progress.cost));
    assert_eq!(ga::exact::optimum(&free), outcome.bound);

    let scarce = formula_market(10, 30, 8, Some(105));
    let stopped = |plan: CentralPlan, flags: Flags| {
        let outcome = solve_centrally(&scarce, &plan, &mut |_| {}, &flags).unwrap();
        assert!(evaluate(&scarce, &outcome.solution).is_feasible());
        outcome.stopped_by
    };
    let open = CentralPlan { termination: Termination::default(), ..CentralPlan::of(hybrid(), 1, 30) };
    let generations = Termination { generations: Some(2), ..Termination::default() };
    let limited = CentralPlan { termination: generations, ..open.clone() };
    assert_eq!(stopped(limited, Flags::default()), StoppedBy::Limit(StopReason::Generations));
    let stalled = CentralPlan { stall: Some(Duration::ZERO), ..open.clone() };
    assert_eq!(stopped(stalled, Flags::default()), StoppedBy::Stall);
    let hurried = CentralPlan { time: Some(Duration::ZERO), ..open.clone() };
    assert_eq!(stopped(hurried, Flags::default()), StoppedBy::Limit(StopReason::Time));
    let cancelled = Flags { stop: AtomicBool::new(true), ..Flags::default() };
    assert_eq!(stopped(open, cancelled), StoppedBy::Limit(StopReason::Cancelled));
}

#[test]
fn a_central_search_begins_with_its_warm_start_and_shows_every_generation() {
    let instance = formula_market(10, 30, 8, Some(105));
    let generations = |count| Termination { generations: Some(count), ..Termination::default() };
    let cold = CentralPlan { termination: generations(4), ..CentralPlan::of(hybrid(), 1, 30) };
    let found = solve_centrally(&instance, &cold, &mut |_| {}, &Flags::default()).unwrap();
    let mut seen = Vec::new();
    let mut observer = |search: &Search| {
        let progress = search.progress();
        seen.push((progress.generation, progress.cost));
    };
    let warm_start = Some(found.solution.clone());
    let warm = CentralPlan { termination: generations(2), warm_start, ..cold };
    solve_centrally(&instance, &warm, &mut observer, &Flags::default()).unwrap();
    assert_eq!(seen.iter().map(|seen| seen.0).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(seen[0].1, found.progress.cost);
}
