//! What both profiles promise, judged by `scenarios::evaluate`: feasible at every step, the same answer for
//! the same seed, warm starts and changed problems repaired, cancelled at once.

mod algorithms;
mod instances;

use std::sync::atomic::AtomicBool;

use algorithms::{algorithms, hybrid, paper};
use ga::prices::find_prices;
use ga::{Algorithm, Objective, Problem, ProblemError, Progress, Search};
use instances::{formula_market, market};
use proptest::prelude::*;
use scenarios::settings::{PaperGaSettings, Selection};
use scenarios::{DualPrices, Evaluation, Instance, Money, ProviderId, Slot, Solution, evaluate};

static NEVER: AtomicBool = AtomicBool::new(false);

/// The problem of a whole market, at prices of a few subgradient steps.
fn priced(instance: &Instance, objective: Objective) -> Problem {
    let (supply, demands) = (&instance.supply, &instance.demands);
    let zero = DualPrices::zero();
    let found =
        find_prices(supply, demands, &supply.capacities(), &zero, 20, &NEVER).expect("a bound within range");
    Problem::whole(instance.clone()).with_prices(found.prices, objective).expect("suitable prices")
}

fn steps(search: &mut Search, count: usize) -> Vec<Progress> {
    (0..count).map(|_| search.step(&NEVER)).collect()
}

/// The incumbent is feasible, costs what the search says, and is not below the bound.
fn assert_sound(search: &Search) {
    let (solution, cost) = search.incumbent();
    let evaluation = evaluate(search.problem().instance(), solution);
    assert_eq!(evaluation.violations, vec![]);
    assert_eq!(search.problem().objective_of(&evaluation), cost);
    let progress = search.progress();
    assert_eq!(progress.cost, cost);
    assert_eq!(progress.unserved, evaluation.unserved.len());
    assert!(progress.bound.is_some_and(|bound| bound <= cost));
}

/// The least penalised cost of all plans of a tiny instance, by trying them all.
fn brute_force(instance: &Instance) -> Money {
    let mut plans = vec![Solution::default()];
    for demand in &instance.demands {
        let mut choices = vec![vec![]];
        for _ in &demand.orders {
            let slots =
                (0..instance.supply.slot_count()).map(|position| instance.supply.horizon.slot(position));
            choices = slots
                .flat_map(|slot| choices.iter().map(move |list| [list.as_slice(), &[slot]].concat()))
                .collect();
        }
        let options: Vec<_> = choices.into_iter().map(Some).chain([None]).collect();
        plans = plans
            .iter()
            .flat_map(|plan| {
                options.iter().map(|option| {
                    let mut plan = plan.clone();
                    plan.compositions.push(option.clone());
                    plan
                })
            })
            .collect();
    }
    let judged = plans.iter().map(|plan| evaluate(instance, plan));
    let feasible = judged.filter(Evaluation::is_feasible);
    feasible.map(|plan| plan.penalised_cost(instance)).min().expect("serving nothing is feasible")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_search_ever_hands_out_an_infeasible_or_mispriced_solution(
        instance in market(6, 6, 4),
        rng_seed in any::<u64>(),
        whole in any::<bool>(),
    ) {
        let objective = if whole { Objective::Cost } else { Objective::PricedCost };
        for profile in algorithms() {
            let mut search = Search::new(priced(&instance, objective), profile, rng_seed, None);
            assert_sound(&search);
            for _ in 0..4 {
                let before = search.incumbent().1;
                search.step(&NEVER);
                assert_sound(&search);
                prop_assert!(search.incumbent().1 <= before);
            }
        }
    }

    #[test]
    fn a_search_adapts_to_any_other_market(
        first in market(5, 5, 3),
        second in market(5, 5, 3),
        keys in Just((0..8_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        for profile in algorithms() {
            let mut search = Search::new(priced(&first, Objective::Cost), profile, 7, None);
            steps(&mut search, 2);
            let keys = keys[..second.demands.len()].to_vec();
            search.adapt(priced(&second, Objective::Cost).with_keys(keys).unwrap());
            assert_sound(&search);
            prop_assert_eq!(search.progress().generation, 0);
            steps(&mut search, 2);
            assert_sound(&search);
        }
    }

    #[test]
    fn a_feasible_warm_start_is_never_lost(instance in market(5, 5, 3), rng_seed in any::<u64>()) {
        let mut first = Search::new(priced(&instance, Objective::Cost), hybrid(), rng_seed, None);
        steps(&mut first, 2);
        let (solution, cost) = first.incumbent();
        for profile in algorithms() {
            let mut second = Search::new(priced(&instance, Objective::Cost), profile, 1, Some(solution));
            prop_assert_eq!(second.incumbent().1, cost);
            prop_assert!(steps(&mut second, 1)[0].cost <= cost);
        }
    }

    #[test]
    fn a_broken_warm_start_is_repaired(instance in market(4, 4, 3), picks in prop::collection::vec(0_u32..6, 12)) {
        let mut pick = picks.into_iter().cycle();
        let compositions = instance.demands.iter().map(|demand| {
            Some(demand.orders.iter().filter_map(|_| pick.next()).map(|id| Slot::single(ProviderId(id))).collect())
        });
        let broken = Solution { compositions: compositions.collect() };
        for profile in algorithms() {
            let mut search = Search::new(priced(&instance, Objective::Cost), profile, 1, Some(&broken));
            assert_sound(&search);
            steps(&mut search, 1);
            assert_sound(&search);
        }
    }
}

#[test]
fn a_seed_means_the_same_search_for_ever() {
    let problem = || priced(&formula_market(8, 12, 6, Some(110)), Objective::Cost);
    let mut search = Search::new(problem(), paper(), 42, None);
    let published = steps(&mut search, 6).pop().unwrap();
    let mut search = Search::new(problem(), hybrid(), 42, None);
    let hybrid = steps(&mut search, 6).pop().unwrap();
    assert_eq!((published.cost.micros(), published.evaluations), (3_414_361_440, 78));
    assert_eq!((hybrid.cost.micros(), hybrid.evaluations), (1_671_764_160, 117));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let instance = formula_market(10, 20, 6, Some(110));
    let search_on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut search = Search::new(priced(&instance, Objective::Cost), hybrid(), 5, None);
            let mut progress = steps(&mut search, 6);
            let fewer: Vec<usize> = (0..15).collect();
            let keys = fewer.iter().map(|&position| position as u64).collect();
            search.adapt(priced(&instance.with_demands(&fewer), Objective::Cost).with_keys(keys).unwrap());
            progress.extend(steps(&mut search, 3));
            (progress, search.incumbent().0.clone())
        })
    };
    assert_eq!(search_on(1), search_on(2));
}

#[test]
fn the_hybrid_solves_tiny_markets_to_the_optimum_and_knows_it() {
    for case in 0..30 {
        let mut instance = formula_market(3, 3, 3, Some(60 + 2 * case));
        instance.supply.rules.rate_per_km = Money::from_micros(200_000 + 40_000 * case);
        let mut search = Search::new(priced(&instance, Objective::Cost), hybrid(), 1, None);
        let first = search.step(&NEVER);
        assert_sound(&search);
        let optimum = brute_force(&instance);
        assert_eq!((first.cost, first.bound), (optimum, Some(optimum)), "case {case}");
    }
}

#[test]
fn a_demand_whose_budget_is_just_its_least_cost_is_served() {
    for demands in [3, 20] {
        let mut instance = formula_market(6, demands, 3, None);
        let oracle = scenarios::Oracle::new(&instance.supply);
        let least = |demand| oracle.cheapest(demand, &DualPrices::zero()).unwrap().priced_cost;
        let budgets: Vec<Money> = instance.demands.iter().map(least).collect();
        for (demand, budget) in instance.demands.iter_mut().zip(budgets) {
            demand.budget = budget;
        }
        let mut search = Search::new(Problem::whole(instance), hybrid(), 1, None);
        steps(&mut search, 3);
        assert_sound(&search);
        assert_eq!(search.progress().unserved, 0, "of {demands}");
    }
}

#[test]
fn without_capacities_the_hybrid_finds_the_exact_optimum_at_once() {
    let instance = formula_market(9, 15, 6, None);
    let mut search = Search::new(Problem::whole(instance.clone()), hybrid(), 1, None);
    search.step(&NEVER);
    assert_eq!(search.incumbent().1, ga::exact::optimum(&instance).unwrap());
    assert_eq!(search.progress().gap_ppm(), Some(0));
}

#[test]
fn the_hybrid_ends_close_to_the_bound_where_the_published_algorithm_does_not() {
    let instance = formula_market(10, 30, 8, Some(105));
    let (supply, demands) = (&instance.supply, &instance.demands);
    let found = find_prices(supply, demands, &supply.capacities(), &DualPrices::zero(), 200, &NEVER).unwrap();
    let problem = Problem::whole(instance.clone()).with_prices(found.prices, Objective::Cost).unwrap();
    let gap = |profile| {
        let mut search = Search::new(problem.clone(), profile, 1, None);
        steps(&mut search, 20).pop().unwrap().gap_ppm().unwrap()
    };
    let (published, hybrid) = (gap(paper()), gap(hybrid()));
    assert!(hybrid < 20_000, "{hybrid} ppm");
    assert!(published > 10 * hybrid, "{published} ppm against {hybrid}");
}

#[test]
fn adapting_keeps_the_compositions_that_still_fit() {
    let instance = formula_market(8, 12, 6, Some(130));
    for profile in algorithms() {
        let mut search = Search::new(priced(&instance, Objective::Cost), profile, 3, None);
        steps(&mut search, 8);
        let old = search.incumbent().0.clone();
        let kept = [1, 4, 7, 11];
        let keys = kept.iter().map(|&position| position as u64).collect();
        let fewer = priced(&instance.with_demands(&kept), Objective::Cost).with_keys(keys).unwrap();
        search.adapt(fewer);
        assert_sound(&search);
        let survivors = kept.iter().map(|&position| old.compositions[position].clone()).collect();
        let repaired = evaluate(search.problem().instance(), &Solution { compositions: survivors });
        assert!(search.incumbent().1 <= repaired.penalised_cost(search.problem().instance()));
    }
}

#[test]
fn adapting_to_less_capacity_gives_a_feasible_population() {
    let instance = formula_market(8, 12, 6, Some(130));
    for profile in algorithms() {
        let mut search = Search::new(priced(&instance, Objective::Cost), profile, 3, None);
        steps(&mut search, 5);
        let halved: Vec<_> =
            instance.supply.capacities().iter().map(|left| left.map(|minutes| minutes / 2)).collect();
        search.adapt(Problem::whole(instance.clone()).with_capacities(&halved).unwrap());
        assert_sound(&search);
        steps(&mut search, 2);
        assert_sound(&search);
        assert!(search.progress().unserved > 0, "half the capacity does not serve all");
    }
}

#[test]
fn at_the_priced_objective_the_distance_to_the_bound_is_the_sum_of_reduced_costs() {
    let instance = formula_market(8, 12, 6, Some(110));
    let problem = priced(&instance, Objective::PricedCost);
    let mut search = Search::new(problem.clone(), hybrid(), 3, None);
    steps(&mut search, 5);
    let evaluation = evaluate(problem.instance(), search.incumbent().0);
    assert!(evaluation.is_complete());
    let oracle = scenarios::Oracle::new(&instance.supply);
    let reduced_costs =
        evaluation.compositions.iter().flatten().zip(&instance.demands).map(|(composition, demand)| {
            let least = scenarios::bound::demand_bound(&oracle, demand, problem.prices());
            scenarios::bound::reduced_cost(composition, least, problem.prices())
        });
    let progress = search.progress();
    assert_eq!(progress.cost - progress.bound.unwrap(), reduced_costs.sum::<Money>());
}

#[test]
fn only_the_providers_of_a_restricted_problem_are_used() {
    let instance = formula_market(9, 6, 4, Some(900));
    let even = |id: ProviderId| id.0.is_multiple_of(2);
    for profile in algorithms() {
        let mut search = Search::new(Problem::whole(instance.clone()).restricted_to(even), profile, 1, None);
        steps(&mut search, 3);
        assert_eq!(search.progress().unserved, 0);
        let solution = search.incumbent().0;
        assert!(solution.compositions.iter().flatten().flatten().all(|slot| even(slot.provider)));
        assert_eq!(evaluate(&instance, solution).violations, vec![]);
    }
}

#[test]
fn a_demand_that_nobody_can_serve_stays_unserved_and_hurts_nobody() {
    let mut instance = formula_market(4, 3, 3, Some(900));
    for provider in &mut instance.supply.providers {
        provider.offers.remove(&scenarios::OperationId(2));
    }
    instance.demands[1].orders.retain(|operation| operation.0 != 2);
    instance.demands.push(scenarios::Demand { orders: vec![], ..instance.demands[0].clone() });
    for profile in algorithms() {
        let mut search = Search::new(Problem::whole(instance.clone()), profile, 1, None);
        steps(&mut search, 3);
        assert_sound(&search);
        let served: Vec<bool> = search.incumbent().0.compositions.iter().map(Option::is_some).collect();
        assert_eq!(served, [false, true, false, false]);
    }
}

#[test]
fn markets_without_demands_or_providers_are_searched_without_harm() {
    let mut no_demands = formula_market(4, 3, 3, Some(100));
    no_demands.demands.clear();
    let mut no_providers = formula_market(4, 3, 3, Some(100));
    no_providers.supply.providers.clear();
    for (instance, unserved) in [(no_demands, 0), (no_providers, 3)] {
        for profile in algorithms() {
            let mut search = Search::new(Problem::whole(instance.clone()), profile, 1, None);
            assert_eq!(steps(&mut search, 2)[1].unserved, unserved);
        }
    }
}

#[test]
fn a_flag_set_beforehand_stops_a_step_before_any_work() {
    let cancel = AtomicBool::new(true);
    let problem = priced(&formula_market(8, 12, 6, Some(110)), Objective::Cost);
    for profile in algorithms() {
        let mut search = Search::new(problem.clone(), profile, 1, None);
        steps(&mut search, 2);
        let before = search.progress();
        let after = search.step(&cancel);
        assert_eq!(after.generation, before.generation);
        let islands = 3;
        assert!(after.evaluations <= before.evaluations + islands);
        assert_sound(&search);
    }
}

#[test]
fn the_published_algorithm_converges_under_both_selections() {
    let instance = formula_market(10, 10, 6, None);
    let random = ga::random::random_cost(&instance, 50, 1).unwrap();
    for selection in [Selection::Tournament { size: 2 }, Selection::Roulette] {
        let settings = PaperGaSettings { generations: 60, selection, ..PaperGaSettings::default() };
        let mut search = Search::new(Problem::whole(instance.clone()), Algorithm::Paper(settings), 1, None);
        let progress = *steps(&mut search, 60).last().unwrap();
        // 100 individuals, then 99 children in each of 60 generations beside the elite.
        assert_eq!(progress.evaluations, 100 + 60 * 99);
        assert!(progress.cost.micros() < random.least.micros() * 9 / 10);
        assert!(progress.cost > ga::exact::optimum(&instance).unwrap());
    }
}

#[test]
fn problems_refuse_what_does_not_fit_them() {
    let problem = Problem::whole(formula_market(3, 2, 2, None));
    let keys = problem.clone().with_keys(vec![1]).unwrap_err();
    assert_eq!(keys, ProblemError::KeyCount { got: 1, expected: 2 });
    let twice = problem.clone().with_keys(vec![5, 5]).unwrap_err();
    assert_eq!(twice, ProblemError::DuplicateKey(5));
    let capacities = problem.clone().with_capacities(&[None]).unwrap_err();
    assert_eq!(capacities, ProblemError::CapacityCount { got: 1, expected: 3 });
    let price = DualPrices::single(vec![Money::from_units(1)]);
    let unlimited = problem.with_prices(price, Objective::Cost).unwrap_err();
    assert_eq!(
        unlimited,
        ProblemError::Prices(scenarios::PriceError::Unlimited {
            slot: Slot::single(ProviderId(0)),
            got: Money::from_units(1)
        })
    );
}
