//! The contract with solvers as bytes: what a program in another language reads and writes.

use std::collections::BTreeMap;

use scenarios::settings::{Profile, SearchSettings};
use scenarios::work::{
    Adaptation, Algorithm, Failure, Goal, Incumbent, Objective, Report, Resources, SubProblem, Termination,
    Work,
};
use scenarios::{
    CostRules, Demand, DualPrices, Geometry, Horizon, Money, Offer, OperationId, PriceError, Provider,
    ProviderId, SharedSupply, Site, Slot, Solution, Supply, TimeWindow,
};
use serde_json::{Value, json};

fn resources() -> Resources {
    let provider = Provider {
        name: "turner".into(),
        site: Site::point(0, 0),
        offers: BTreeMap::from([(OperationId(0), Offer { cost: Money::from_units(3), minutes: 20 })]),
        capacity: Some(240.into()),
    };
    let rules = CostRules {
        rate_per_km: Money::from_units(1),
        value_of_minute: Money::ZERO,
        metres_per_minute: 500,
        deliver: false,
    };
    let supply =
        Supply { providers: vec![provider], rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE };
    Resources {
        supply: SharedSupply::new(supply),
        capacities: vec![Some(200)],
        prices: DualPrices::single(vec![Money::from_micros(5)]),
        allowed: Some([ProviderId(0)].into()),
    }
}

fn work() -> Work {
    let demand = Demand {
        name: "shaft".into(),
        site: Site::point(1_000, 0),
        orders: vec![OperationId(0)],
        budget: Money::from_units(100),
        window: TimeWindow::ANY,
    };
    let algorithm = Algorithm::of(Profile::Hybrid, &SearchSettings::default());
    Work {
        goal: Goal::Compose { algorithm, objective: Objective::PricedCost },
        problem: SubProblem::new(vec![demand], resources()),
        termination: Termination::of(&algorithm),
        rng_seed: 7,
    }
}

#[test]
fn work_reads_back_as_it_was_written() {
    let work = work();
    for goal in [work.goal, Goal::FindPrices, Goal::Amend { settings: SearchSettings::default().hybrid }] {
        let work = Work { goal, ..work.clone() };
        let json = serde_json::to_string(&work).unwrap();
        assert_eq!(serde_json::from_str::<Work>(&json).unwrap(), work);
    }
}

#[test]
fn work_is_plain_numbers_by_position() {
    let json = serde_json::to_value(work()).unwrap();
    assert_eq!(json["goal"]["compose"]["objective"], "priced_cost");
    assert_eq!(json["goal"]["compose"]["algorithm"]["hybrid"]["islands"], 4);
    assert_eq!(json["problem"]["resources"]["capacities"], json!([200]));
    assert_eq!(json["problem"]["resources"]["allowed"], json!([0]));
    assert_eq!(json["problem"]["demands"][0]["orders"], json!([0]));
    assert_eq!(json["problem"]["incumbent"], json!({ "compositions": [null] }));
    let termination =
        json!({ "generations": 4_000, "evaluations": null, "time_ms": 10_000, "target_gap_ppm": 500 });
    assert_eq!(json["termination"], termination);
    let adaptation =
        serde_json::to_value(Adaptation { left: [2, 0].into(), resources: resources() }).unwrap();
    assert_eq!(adaptation["left"], json!([0, 2]));
}

#[test]
fn what_is_misspelt_is_refused() {
    let mut json = serde_json::to_value(work()).unwrap();
    json["termination"]["time"] = Value::from(3);
    assert!(serde_json::from_value::<Work>(json).unwrap_err().to_string().contains("time"));
}

#[test]
fn reports_say_how_it_went_by_name() {
    let incumbent = Incumbent {
        solution: Solution { compositions: vec![Some(vec![Slot::single(ProviderId(0))])] },
        cost: Money::from_units(3),
        bound: None,
        generation: 1,
        evaluations: 9,
        cpu_micros: 0,
    };
    let json = serde_json::to_value(Report::Finished(incumbent.clone()).with_cpu_micros(12)).unwrap();
    assert_eq!(json["finished"]["solution"], json!({ "compositions": [[{ "provider": 0, "period": 0 }]] }));
    assert_eq!(json["finished"]["cpu_micros"], 12);
    let slot = Slot::single(ProviderId(0));
    for reason in [
        Failure::Panicked("index out of bounds".into()),
        Failure::NoThreads("too many".into()),
        Failure::CannotAdapt,
        Failure::Prices(PriceError::OutOfRange { slot, got: Money::from_units(-1) }),
    ] {
        let report = Report::Failed { reason };
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
    assert_eq!(
        serde_json::to_value(Report::Failed { reason: Failure::CannotAdapt }).unwrap(),
        json!({ "failed": { "reason": "cannot_adapt" } })
    );
}

#[test]
fn work_with_a_capacity_too_few_is_refused_with_got_and_expected() {
    let mut work = work();
    assert_eq!(work.validate(), Ok(()));
    work.problem.resources.capacities.clear();
    assert_eq!(work.validate(), Err(Failure::CapacityCount { got: 0, expected: 1 }));
}
