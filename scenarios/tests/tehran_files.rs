//! The Tehran problems in the repository: each is what the generator makes of its recorded parameters, and is
//! what its description says. `UPDATE_GOLDEN=1` writes the files anew.
#![expect(clippy::disallowed_methods, reason = "golden files are compared, and written when asked to")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use scenarios::generate::{GenerateParameters, SiteParameters, generate};
use scenarios::{Demand, Horizon, Money, OperationId, Provider, Scenario, Site};

fn path(problem: u8, capacitated: bool) -> PathBuf {
    let kind = if capacitated { "-capacitated" } else { "" };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tehran/problem-{problem}{kind}.json"))
}

fn load(problem: u8, capacitated: bool) -> Scenario {
    Scenario::from_json(&std::fs::read(path(problem, capacitated)).unwrap()).unwrap()
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

fn is_west(site: Site) -> bool {
    let Site::Point { x_m, .. } = site else { panic!("a point") };
    x_m < 0
}

#[test]
fn every_file_is_made_again_byte_for_byte_from_its_recorded_parameters() {
    for problem in 1..=4 {
        for capacitated in [false, true] {
            let path = path(problem, capacitated);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                let parameters = GenerateParameters::tehran(problem, capacitated).unwrap();
                std::fs::write(&path, generate(&parameters).unwrap().to_json()).unwrap();
            }
            let stored = std::fs::read_to_string(&path).unwrap();
            let recorded = Scenario::from_json(stored.as_bytes()).unwrap().generator.unwrap();
            assert_eq!(Some(&recorded), GenerateParameters::tehran(problem, capacitated).as_ref());
            let made = generate(&recorded).unwrap().to_json();
            assert!(made == stored, "{} is stale: run the tests with UPDATE_GOLDEN=1", path.display());
            assert!(stored.len() < 1_200_000, "{} bytes", stored.len());
        }
    }
}

#[test]
fn sizes_are_those_of_table_7() {
    let size = |problem| {
        let scenario = load(problem, false);
        let orders = scenario.instance.order_count() / scenario.instance.demands.len();
        let side = scenario.window.unwrap().width_m() / 1_000;
        (scenario.instance.supply.providers.len(), scenario.instance.demands.len(), orders, side)
    };
    assert_eq!(size(1), (30, 70, 15, 100));
    assert_eq!(size(2), (50, 90, 25, 100));
    assert_eq!(size(3), (60, 140, 20, 100));
    assert_eq!(size(4), (90, 180, 40, 200));
}

#[test]
fn all_sites_lie_in_the_window_and_problem_2_is_halved_as_in_table_6() {
    for problem in 1..=4 {
        let scenario = load(problem, false);
        let window = scenario.window.unwrap();
        assert!(scenario.instance.supply.providers.iter().all(|provider| window.contains(provider.site)));
        assert!(scenario.instance.demands.iter().all(|demand| window.contains(demand.site)));
    }
    let instance = load(2, false).instance;
    assert_eq!(instance.supply.providers.iter().filter(|provider| is_west(provider.site)).count(), 22);
    assert_eq!(instance.demands.iter().filter(|demand| is_west(demand.site)).count(), 40);
}

#[test]
fn every_operation_costs_and_takes_a_different_amount_at_each_provider() {
    for problem in 1..=4 {
        let scenario = load(problem, false);
        let providers = &scenario.instance.supply.providers;
        for operation in (0..).map(OperationId).take(scenario.operations.len()) {
            let costs: BTreeSet<Money> = providers.iter().map(|p| p.offers[&operation].cost).collect();
            let minutes: BTreeSet<i64> = providers.iter().map(|p| p.offers[&operation].minutes).collect();
            assert_eq!((costs.len(), minutes.len()), (providers.len(), providers.len()));
            assert!(
                costs.first() >= Some(&Money::from_units(11)) && costs.last() <= Some(&Money::from_units(46))
            );
        }
    }
}

#[test]
fn every_demand_orders_every_operation_once() {
    for problem in 1..=4 {
        let scenario = load(problem, false);
        for demand in &scenario.instance.demands {
            let different: BTreeSet<&OperationId> = demand.orders.iter().collect();
            assert_eq!(
                (demand.orders.len(), different.len()),
                (scenario.operations.len(), scenario.operations.len())
            );
        }
    }
}

#[test]
fn a_capacitated_problem_is_the_same_instance_with_capacities_of_1_2_times_the_work() {
    for problem in 1..=4 {
        let (free, capacitated) = (load(problem, false).instance, load(problem, true).instance);
        let lifted = |provider: &Provider| Provider { capacity: None, ..provider.clone() };
        let capacities: i64 = capacitated
            .supply
            .providers
            .iter()
            .map(|provider| provider.total_capacity(&Horizon::SINGLE).unwrap())
            .sum();
        assert_eq!(
            free.supply.providers,
            capacitated.supply.providers.iter().map(lifted).collect::<Vec<_>>()
        );
        assert_eq!(free.demands, capacitated.demands);
        // Every demand orders every operation once, so the work is demands x sum of mean minutes.
        let providers = &free.supply.providers;
        let sum: i64 = providers.iter().flat_map(|p| p.offers.values()).map(|offer| offer.minutes).sum();
        let work = sum * count(free.demands.len()) / count(providers.len());
        let expected = work + work / 5;
        // Means are rounded down per operation and demand, shares per provider.
        let rounding = 2 * count(free.order_count());
        assert!((expected - rounding..=expected).contains(&capacities), "{capacities} of {expected}");
    }
}

#[test]
fn budgets_are_twice_a_random_assignment_in_whole_tens() {
    let instance = load(2, false).instance;
    let tens = |demand: &Demand| demand.budget.micros() % 10_000_000 == 0;
    assert!(instance.demands.iter().all(tens));
    // A random assignment of problem 2 costs 134,142 $ in the mean, and each budget is rounded up.
    let total: Money = instance.demands.iter().map(|demand| demand.budget).sum();
    let range = Money::from_units(2 * 134_000)..Money::from_units(2 * 135_000);
    assert!(range.contains(&total), "{total}");
}

#[test]
fn published_results_are_recorded() {
    let published = load(2, false).experiment;
    assert_eq!(published.published(1).unwrap().cost, Money::from_units(121_672));
    assert_eq!(published.published(4).unwrap().cost, Money::from_units(86_609));
    assert_eq!(published.published(5), None);
}

fn small(sites: SiteParameters) -> GenerateParameters {
    let problem = GenerateParameters::tehran(1, false).unwrap();
    GenerateParameters {
        name: "small".into(),
        paper_problem: None,
        providers: 150,
        demands: 20,
        operations: 45,
        orders_per_demand: 50,
        sites,
        ..problem
    }
}

#[test]
fn a_market_of_another_size_on_uniform_sites_comes_back_from_its_file() {
    let scenario = generate(&small(SiteParameters::Uniform)).unwrap();
    assert_eq!(scenario.attribution, "");
    assert_eq!(scenario.operations[44], "operation 45");
    assert_eq!(scenario.instance.demands[0].orders.len(), 50);
    assert_eq!(Scenario::from_json(scenario.to_json().as_bytes()).unwrap(), scenario);
    let other = GenerateParameters { rng_seed: 5, ..small(SiteParameters::Uniform) };
    assert_ne!(generate(&other).unwrap().instance, scenario.instance);
}

#[test]
fn parameters_that_cannot_be_met_are_refused_with_reasons() {
    let uniform = small(SiteParameters::Uniform);
    let wrong = GenerateParameters {
        providers: 0,
        cost_max: Money::from_units(1),
        minutes_max: 2_000_000,
        paper_problem: Some(5),
        ..uniform
    };
    let expected = "\
paper_problem: got 5, expected 1 to 4
providers: got 0, expected 1 to 20000
providers x operations: got 0, expected 1 to 4000000
cost_max: got 1, expected 11 to 1,000,000, in whole cents
minutes_max: got 2000000, expected 20 to 1000000";
    assert_eq!(generate(&wrong).unwrap_err().to_string(), expected);
}

#[test]
fn a_half_that_no_place_is_near_is_refused_and_not_drawn_for_ever() {
    let western_half = Some(scenarios::generate::WesternHalf { providers: 1, demands: 1 });
    let sites = SiteParameters::Tehran { spread_m: 0, western_half };
    let parameters = GenerateParameters { window_km: 1, ..small(sites) };
    let error = generate(&parameters).unwrap_err().to_string();
    assert_eq!(error, "sites: no place is near enough to the window: enlarge window_km or spread_m");
}
