//! Inspection of scenarios: numbers that can be checked by hand, and the text a user sees.

use scenarios::inspect::Inspection;
use scenarios::{DualPrices, Money, Oracle, Scenario};

fn inspect(json: &[u8]) -> Inspection {
    let scenario = Scenario::from_json(json).expect("a valid file");
    Inspection::new(&scenario, &DualPrices::zero()).expect("zero prices suit every market")
}

#[test]
fn a_small_scenario_is_inspected_as_the_hand_does() {
    let inspection = inspect(include_bytes!("small.json"));
    assert_eq!((inspection.providers, inspection.limited_providers), (2, 1));
    assert_eq!((inspection.demands, inspection.orders), (1, 2));
    // Turning takes 55 or 70 minutes and milling 30; only the first provider, of 240 minutes, mills.
    let [turning, milling] = inspection.operations.as_slice() else { panic!("two operations") };
    assert_eq!(
        (turning.orders, turning.offers, turning.balance.work, turning.balance.capacity),
        (1, 2, 62, None)
    );
    assert_eq!((milling.offers, milling.balance.work, milling.balance.capacity), (1, 30, Some(240)));
    assert_eq!((inspection.balance.work, inspection.balance.capacity), (92, None));
    assert_eq!(inspection.exact_optimum(), None);
    // Both orders at Karaj: 23.41 + 14 $, 85 minutes at 0.01 $, and delivery over
    // ceil(sqrt(68,828^2 + 10,375^2)) = 69,606 m at 0.5 $/km and 140 minutes at 0.01 $.
    let expected = Money::from_micros(23_410_000 + 14_000_000 + 850_000 + 34_803_000 + 1_400_000);
    assert_eq!(inspection.unlimited_optimum, Some(expected));
    assert_eq!(inspection.bound, expected);
}

#[test]
fn what_cannot_be_served_is_named() {
    let text = include_str!("small.json").replace("\"milling\": {\"cost\": 14, \"minutes\": 30},", "");
    let inspection = inspect(text.as_bytes());
    assert_eq!(inspection.concerns.unservable, ["Pardis Pumps"]);
    assert_eq!((inspection.random_cost, inspection.unlimited_optimum), (None, None));
    assert_eq!(inspection.bound, Money::from_units(120));
    assert!(inspection.to_string().contains("nobody offers an order of Pardis Pumps\n"), "{inspection}");
    let text = include_str!("small.json").replace("\"budget\": 120", "\"budget\": 50");
    let inspection = inspect(text.as_bytes());
    let [hopeless] = inspection.concerns.beyond_budget.as_slice() else { panic!("one demand") };
    assert_eq!((hopeless.demand.as_str(), hopeless.budget), ("Pardis Pumps", Money::from_units(50)));
    // 23.41 + 14 + 0.85 + 34.803 + 1.4 $, as above.
    assert_eq!(hopeless.cheapest, Money::from_micros(74_463_000));
    let line = "the budget is below the cheapest composition of Pardis Pumps (50.00 $, at least 74.46 $)\n";
    assert!(inspection.to_string().contains(line), "{inspection}");
    assert_eq!(inspection.bound, Money::from_units(50));
}

#[test]
fn tehran_problem_2_shows_its_optimum_and_every_site_on_the_map() {
    let json = include_bytes!("../tehran/problem-2.json");
    let inspection = inspect(json);
    let scenario = Scenario::from_json(json).unwrap();
    let oracle = Oracle::new(&scenario.instance.supply);
    let cheapest = |demand| oracle.cheapest(demand, &DualPrices::zero()).unwrap().priced_cost;
    let optimum: Money = scenario.instance.demands.iter().map(cheapest).sum();
    assert_eq!(inspection.exact_optimum(), Some(optimum));
    assert_eq!(inspection.bound, optimum);
    assert_eq!(format!("{:.0} {:.0}", optimum, inspection.random_cost.unwrap()), "39,900 134,142");
    let map = inspection.map.as_ref().unwrap();
    assert_eq!(map.providers.iter().flatten().sum::<u32>(), 50);
    assert_eq!(map.demands.iter().flatten().sum::<u32>(), 90);
    let text = inspection.to_string();
    assert!(text.contains("optimum           39,9"), "{text}");
    assert!(serde_json::to_string(&inspection).unwrap().contains("\"limited_providers\":0"));
}

#[test]
fn the_capacitated_problem_has_a_fifth_more_capacity_than_work() {
    let inspection = inspect(include_bytes!("../tehran/problem-2-capacitated.json"));
    assert_eq!(inspection.limited_providers, 50);
    let text = inspection.to_string();
    let all = text.lines().find(|line| line.starts_with("all ")).unwrap();
    assert!(all.ends_with("1.20"), "{all}");
}
