//! Prints what the margin of paper A's measure was chosen by, for each strip of scenario files shared out among 1 to 4 miners: how far
//! below the reference the best of 1,000 random blocks of some sizes lies, the published algorithm over ten seeds and the
//! exact optimum, in percent and in percent at a hundred orders, which is by `sqrt(orders / 100)` more.
//!
//! `cargo run --release -p ga --example margins -- scenarios/tehran/problem-?.json`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a program that reads files and prints figures"
)]

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use ga::{Workbench, run};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scenarios::reference::{Area, References};
use scenarios::work::{Algorithm, Goal, Objective, Resources, SubProblem, Termination, Work};
use scenarios::{
    Demand, DualPrices, Money, Oracle, ProviderId, Scenario, SharedSupply, Slot, Supply, evaluate_composition,
};

/// Random blocks of each size.
const DRAWS: usize = 1_000;
/// Demands of random blocks, besides all of the strip.
const SIZES: [usize; 4] = [1, 2, 4, 16];
/// Runs of the published algorithm.
const RNG_SEEDS: std::ops::Range<u64> = 1..11;

fn main() {
    for path in std::env::args().skip(1) {
        match load(&path) {
            Ok(scenario) => report(&scenario),
            Err(error) => println!("{path}: {error}"),
        }
    }
}

fn load(path: &str) -> anyhow::Result<Scenario> {
    Ok(Scenario::from_json(&std::fs::read(path)?)?)
}

/// The demands of a strip with their references, and who may serve them.
struct Part<'s> {
    supply: &'s Supply,
    demands: Vec<(&'s Demand, Money)>,
    within: Vec<ProviderId>,
}

fn report(scenario: &Scenario) {
    println!("{}: % below the reference (at a hundred orders)", scenario.name);
    println!(
        "  strip     orders{:>14}{:>14}{:>14}{:>14}{:>14}{:>16}{:>14}{:>8}",
        "1 demand", "2 demands", "4 demands", "16 demands", "all", "algorithm least", "mean", "exact"
    );
    let Some(window) = scenario.extent() else { return };
    let supply = &scenario.instance.supply;
    for strips in 1..=4 {
        let references = References::new(supply.clone(), window, strips);
        for strip in 0..strips {
            let part = Part::of(scenario, &references, Area::Strip(strip));
            part.report(scenario, &format!("{} of {strips}", strip + 1));
        }
    }
}

impl<'s> Part<'s> {
    fn of(scenario: &'s Scenario, references: &References, area: Area) -> Self {
        let (supply, mut means) = (&scenario.instance.supply, references.means());
        let own = scenario.instance.demands.iter().filter(|demand| references.area_of(demand) == Some(area));
        let demands = own.filter_map(|demand| Some((demand, means.cost(area, demand)?))).collect();
        let providers = supply.provider_ids().zip(&supply.providers);
        let within = providers.filter(|(_, provider)| references.is_within(area, provider.site));
        Self { supply, demands, within: within.map(|(id, _)| id).collect() }
    }

    fn report(&self, scenario: &Scenario, name: &str) {
        let all = self.demands.len();
        print!("  {name}{:>11}", self.orders());
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for size in SIZES.into_iter().chain([all]) {
            let draws = (0..DRAWS).map(|_| self.draw(size, &mut rng));
            let best = draws.fold((f64::MIN, 0.0), |best, one| if one.0 > best.0 { one } else { best });
            print!("{}", if size > all { format!("{:>14}", "-") } else { shown(best) });
        }
        let runs: Vec<f64> = RNG_SEEDS.map(|rng_seed| self.solve(scenario, rng_seed)).collect();
        let (least, mean) =
            (runs.iter().copied().fold(f64::MAX, f64::min), runs.iter().sum::<f64>() / runs.len() as f64);
        let orders = self.orders() as f64;
        println!("  {}{}{:>8.1}", shown((least, orders)), shown((mean, orders)), self.exact());
    }

    fn orders(&self) -> usize {
        self.demands.iter().map(|(demand, _)| demand.orders.len()).sum()
    }

    /// How far below the reference a random block of so many demands lies, and its orders.
    fn draw(&self, size: usize, rng: &mut ChaCha8Rng) -> (f64, f64) {
        let (mut orders, mut cost, mut reference) = (0, Money::ZERO, Money::ZERO);
        let mut left: Vec<usize> = (0..self.demands.len()).collect();
        for _ in 0..size.min(left.len()) {
            let (demand, mean) = self.demands[left.swap_remove(below(left.len(), rng))];
            let offers = |id: &ProviderId, order| {
                self.supply.provider(*id).is_some_and(|one| one.offers.contains_key(order))
            };
            let slots = demand.orders.iter().map(|order| {
                let those: Vec<ProviderId> =
                    self.within.iter().copied().filter(|id| offers(id, order)).collect();
                Slot::single(those[below(those.len(), rng)])
            });
            let slots: Vec<Slot> = slots.collect();
            orders += slots.len();
            cost += self.cost(demand, &slots);
            reference += mean;
        }
        (percent_below(cost, reference), orders as f64)
    }

    fn cost(&self, demand: &Demand, slots: &[Slot]) -> Money {
        let unlimited = Demand { budget: Money::from_micros(i64::MAX), ..demand.clone() };
        evaluate_composition(self.supply, &unlimited, 0, slots).expect("it is offered").cost()
    }

    fn reference(&self) -> Money {
        self.demands.iter().map(|(_, mean)| *mean).sum()
    }

    /// How far below the reference the published algorithm gets with the providers of the strip alone.
    fn solve(&self, scenario: &Scenario, rng_seed: u64) -> f64 {
        let supply = SharedSupply::new(self.supply.clone());
        let (capacities, prices) = (vec![None; supply.slot_count()], DualPrices::zero());
        let allowed = Some(self.within.iter().copied().collect());
        let algorithm = Algorithm::Paper(scenario.search.paper);
        let demands: Vec<Demand> = self.demands.iter().map(|(demand, _)| (*demand).clone()).collect();
        let bench = Workbench::start(Work {
            goal: Goal::Compose { algorithm, objective: Objective::Cost },
            problem: SubProblem::new(demands, Resources { supply, capacities, prices, allowed }),
            termination: Termination::of(&algorithm),
            rng_seed,
        });
        let mut bench = bench.expect("a scenario contradicts itself nowhere");
        run(&mut bench, None, &mut |_| ControlFlow::Continue(()), &AtomicBool::new(false));
        let search = bench.search().expect("composing is a search");
        let found = self.demands.iter().zip(&search.incumbent().0.compositions);
        let cost = found.map(|((demand, _), found)| {
            self.cost(demand, found.as_ref().expect("budgets and capacities do not bind"))
        });
        percent_below(cost.sum(), self.reference())
    }

    fn exact(&self) -> f64 {
        let (oracle, free) = (Oracle::new(self.supply), DualPrices::zero());
        let cheapest =
            |demand| oracle.cheapest_among(demand, &free, |slot, _| self.within.contains(&slot.provider));
        let costs = self.demands.iter().filter_map(|(demand, _)| Some(cheapest(demand)?.priced_cost));
        percent_below(costs.sum(), self.reference())
    }
}

fn below(count: usize, rng: &mut ChaCha8Rng) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(count).unwrap_or(u64::MAX)).unwrap_or(0)
}

fn percent_below(cost: Money, reference: Money) -> f64 {
    100.0 * (1.0 - cost.as_f64() / reference.as_f64())
}

fn shown((percent, orders): (f64, f64)) -> String {
    format!("{percent:>7.1} ({:>4.1})", percent * (orders / 100.0).sqrt())
}
