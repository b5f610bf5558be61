//! Random compositions earn nothing, under either schedule, on all Tehran files: what the margin of the paper schedule is for. The
//! figures it was chosen by are printed by `cargo run --release -p ga --example margins`.
#![expect(clippy::disallowed_methods, reason = "files of the repository are read")]
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scenarios::bound::{demand_bound, reduced_cost};
use scenarios::reference::{Area, References};
use scenarios::schedule::{Achievement, Measure, Schedule};
use scenarios::{
    CompositionEvaluation, Demand, DualPrices, Money, Oracle, ProviderId, Scenario, Slot,
    evaluate_composition,
};

/// Random blocks of each size in each strip; paper A's platform would draw one.
const DRAWS: usize = 1_000;

fn tehran() -> impl Iterator<Item = Scenario> {
    let names =
        (1..=4).flat_map(|problem| [format!("problem-{problem}"), format!("problem-{problem}-capacitated")]);
    names.map(|name| {
        let path = format!("{}/tehran/{name}.json", env!("CARGO_MANIFEST_DIR"));
        Scenario::from_json(&std::fs::read(path).unwrap()).unwrap()
    })
}

fn paper() -> (Schedule, usize) {
    let schedule = Schedule::paper();
    let Measure::Paper { block_orders_min, .. } = schedule.measure else { panic!("a measure of paper A") };
    (schedule, usize::try_from(block_orders_min).unwrap())
}

fn below(count: usize, rng: &mut ChaCha8Rng) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(count).unwrap()).unwrap()
}

/// The demands of an area, and who may serve them.
struct Part<'s> {
    scenario: &'s Scenario,
    demands: Vec<(&'s Demand, Money)>,
    within: Vec<ProviderId>,
}

impl<'s> Part<'s> {
    fn of(scenario: &'s Scenario, references: &References, area: Area) -> Self {
        let Scenario { instance, .. } = scenario;
        let mut means = references.means();
        let demands = instance.demands.iter().filter(|demand| references.area_of(demand) == Some(area));
        let demands = demands.map(|demand| (demand, means.cost(area, demand).unwrap())).collect();
        let sites = instance.supply.provider_ids().zip(&instance.supply.providers);
        let within =
            sites.filter(|(_, provider)| references.is_within(area, provider.site)).map(|(id, _)| id);
        Self { scenario, demands, within: within.collect() }
    }

    fn compose(&self, demand: &Demand, rng: &mut ChaCha8Rng) -> CompositionEvaluation {
        let one = |rng: &mut ChaCha8Rng| self.within[below(self.within.len(), rng)];
        let slots: Vec<Slot> = demand.orders.iter().map(|_| Slot::single(one(rng))).collect();
        evaluate_composition(&self.scenario.instance.supply, demand, 0, &slots).unwrap()
    }

    /// A random block of so many demands.
    fn draw(&self, demands: usize, rng: &mut ChaCha8Rng) -> Achievement {
        let mut left: Vec<usize> = (0..self.demands.len()).collect();
        let mut achievement = Achievement::default();
        for _ in 0..demands {
            let (demand, reference) = self.demands[left.swap_remove(below(left.len(), rng))];
            achievement.cost += self.compose(demand, rng).cost();
            achievement.reference += reference;
            achievement.orders += demand.orders.len() as u64;
        }
        achievement
    }
}

#[test]
fn the_best_of_a_thousand_random_blocks_earns_nothing_in_any_strip_of_any_file() {
    let (schedule, orders_min) = paper();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for scenario in tehran() {
        let orders = scenario.instance.demands[0].orders.len();
        for strips in 1..=4 {
            let supply = scenario.instance.supply.clone();
            let references = References::new(supply, scenario.extent().unwrap(), strips);
            for strip in 0..strips {
                let part = Part::of(&scenario, &references, Area::Strip(strip));
                let all = part.demands.len();
                assert!(all > 0, "each strip has demands, and offers everything");
                let least = orders_min.div_ceil(orders);
                for demands in [least, 4 * least, all].into_iter().filter(|&size| size <= all) {
                    let paid = (0..DRAWS).map(|_| schedule.reward_ppm(&part.draw(demands, &mut rng))).max();
                    assert_eq!(paid, Some(0), "{} {strips} {strip} {demands}", scenario.name);
                }
            }
        }
    }
}

#[test]
fn a_random_block_too_small_for_its_margin_is_refused_all_the_same() {
    let schedule = paper().0;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for scenario in tehran() {
        let required = scenario.network.min_reward_ppm;
        for strips in 1..=4 {
            let supply = scenario.instance.supply.clone();
            let references = References::new(supply, scenario.extent().unwrap(), strips);
            for strip in 0..strips {
                let part = Part::of(&scenario, &references, Area::Strip(strip));
                let paid = (0..DRAWS).map(|_| schedule.reward_ppm(&part.draw(1, &mut rng))).max().unwrap();
                assert!(paid < required, "{} {strips} {strip}: {paid} ppm", scenario.name);
            }
        }
    }
}

#[test]
fn the_exact_optimum_of_a_single_demand_is_accepted_in_every_strip() {
    let schedule = paper().0;
    for scenario in tehran() {
        for strips in 1..=4 {
            let supply = scenario.instance.supply.clone();
            let references = References::new(supply.clone(), scenario.extent().unwrap(), strips);
            for strip in 0..strips {
                let part = Part::of(&scenario, &references, Area::Strip(strip));
                let oracle = Oracle::new(&supply);
                for &(demand, reference) in &part.demands {
                    let within = |slot: Slot, _| part.within.contains(&slot.provider);
                    let cheapest = oracle.cheapest_among(demand, &DualPrices::zero(), within).unwrap();
                    let orders = demand.orders.len() as u64;
                    let cost = cheapest.priced_cost;
                    let achievement = Achievement { cost, reference, orders, ..Achievement::default() };
                    let (paid, required) =
                        (schedule.reward_ppm(&achievement), scenario.network.min_reward_ppm);
                    assert!(paid >= required, "{} {strips} {strip}: {paid} ppm", scenario.name);
                }
            }
        }
    }
}

#[test]
fn a_random_composition_earns_nothing_by_its_reduced_cost_either() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (schedule, free) = (Schedule::default(), DualPrices::zero());
    for scenario in tehran() {
        let oracle = Oracle::new(&scenario.instance.supply);
        for strips in 1..=4 {
            let supply = scenario.instance.supply.clone();
            let references = References::new(supply, scenario.extent().unwrap(), strips);
            for strip in 0..strips {
                let part = Part::of(&scenario, &references, Area::Strip(strip));
                for &(demand, _) in &part.demands {
                    let evaluation = part.compose(demand, &mut rng);
                    let reduced_cost = reduced_cost(&evaluation, demand_bound(&oracle, demand, &free), &free);
                    let cost = evaluation.cost();
                    let achievement = Achievement { cost, reduced_cost, ..Achievement::default() };
                    assert_eq!(schedule.reward_ppm(&achievement), 0, "{}", scenario.name);
                }
            }
        }
    }
}
