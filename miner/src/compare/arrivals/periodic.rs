//! A centre that composes everybody who waits, once every period: simulated in virtual time, in which a
//! solve takes the CPU time that it really took on one thread.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Result, ensure};
use ga::{Algorithm, CentralPlan, Flags, solve_centrally};
use scenarios::settings::Profile;
use scenarios::{Instance, Minutes, Scenario, Slot, Solution, evaluate};

use super::stream::{Customer, Fate};
use crate::driver::search_on_threads;
use miner_node::strategy::AnnouncePolicy;

/// What a centre did.
#[derive(Debug)]
pub(super) struct PeriodicRun {
    /// One per customer.
    pub(super) fates: Vec<Fate>,
    /// Its compositions, as a solution of the scenario.
    pub(super) solution: Solution,
    pub(super) solves: usize,
    pub(super) longest_solve_micros: u64,
}

/// A centre between two solves.
struct Centre<'a> {
    scenario: &'a Scenario,
    profile: Profile,
    rng_seed: u64,
    capacities: Vec<Option<Minutes>>,
    solution: Solution,
}

/// Serves `customers` (by time of arrival) once every `period_ms`.
///
/// # Errors
/// If the search returns what the independent evaluator refuses.
pub(super) fn run(
    scenario: &Scenario,
    profile: Profile,
    customers: &[Customer],
    period_ms: u64,
    rng_seed: u64,
    observe: &dyn Fn(u64),
) -> Result<PeriodicRun> {
    let period_ms = period_ms.max(1);
    let mut centre = Centre {
        scenario,
        profile,
        rng_seed,
        capacities: scenario.instance.supply.capacities(),
        solution: Solution::unserved(scenario.instance.demands.len()),
    };
    let mut fates = vec![Fate::Left; customers.len()];
    let last_ms = customers.iter().map(|customer| customer.leaves_ms).max().unwrap_or(0);
    let (mut solves, mut longest_solve_micros) = (0, 0);
    let mut tick_ms = period_ms;
    while tick_ms <= last_ms {
        observe(tick_ms);
        let waits = |position: &usize| {
            let customer = &customers[*position];
            let is_here = customer.arrives_ms <= tick_ms && customer.leaves_ms > tick_ms;
            is_here && fates[*position] == Fate::Left
        };
        let waiting: Vec<usize> = (0..customers.len()).filter(waits).collect();
        let mut done_ms = tick_ms;
        if !waiting.is_empty() {
            let demands: Vec<usize> = waiting.iter().map(|&position| customers[position].demand).collect();
            let (found, micros) = centre.solve(&demands, solves)?;
            solves += 1;
            longest_solve_micros = longest_solve_micros.max(micros);
            done_ms = tick_ms + micros.div_ceil(1_000);
            for (&position, composition) in waiting.iter().zip(found) {
                let Some(slots) = composition else { continue };
                // Whoever left while the centre was solving takes nothing.
                if customers[position].leaves_ms > done_ms {
                    fates[position] = Fate::Served { at_ms: done_ms };
                    centre.commit(customers[position].demand, slots);
                }
            }
        }
        tick_ms = (done_ms / period_ms + 1) * period_ms;
    }
    Ok(PeriodicRun { fates, solution: centre.solution, solves, longest_solve_micros })
}

impl Centre<'_> {
    /// Composes these demands on what is left; what comes back is one entry per demand, and the CPU time.
    fn solve(&self, demands: &[usize], number: usize) -> Result<(Vec<Option<Vec<Slot>>>, u64)> {
        let mut instance = self.scenario.instance.with_demands(demands);
        instance.supply = instance.supply.with_capacities(&self.capacities);
        let seed = self.rng_seed.wrapping_add(number as u64);
        let (found, micros) = search_on_threads(NonZeroUsize::MIN, || self.search(&instance, seed))?;
        let found = found?;
        let evaluation = evaluate(&instance, &found);
        ensure!(
            evaluation.is_feasible(),
            "the central search returned an infeasible solution: {}",
            evaluation.violations.first().map(ToString::to_string).unwrap_or_default()
        );
        Ok((found.compositions, micros))
    }

    /// A hybrid search that finds nothing better for as long as a miner would have waited ends.
    fn search(&self, instance: &Instance, rng_seed: u64) -> Result<Solution> {
        let settings = &self.scenario.search;
        let algorithm = Algorithm::of(self.profile, settings);
        let plan = match self.profile {
            Profile::Paper => CentralPlan::of(algorithm, rng_seed, 0),
            Profile::Hybrid => CentralPlan {
                stall: Some(Duration::from_millis(AnnouncePolicy::default().stall_ms)),
                ..CentralPlan::of(algorithm, rng_seed, settings.hybrid.subgradient_steps)
            },
        };
        Ok(solve_centrally(instance, &plan, &mut |_| {}, &Flags::default())?.solution)
    }

    fn commit(&mut self, demand: usize, slots: Vec<Slot>) {
        let supply = &self.scenario.instance.supply;
        let orders = &self.scenario.instance.demands[demand].orders;
        for (&slot, operation) in slots.iter().zip(orders) {
            let offer = supply.provider(slot.provider);
            let minutes = offer.and_then(|provider| provider.offers.get(operation)).map_or(0, |o| o.minutes);
            let place = supply.horizon.position(slot);
            if let Some(Some(left)) = place.and_then(|position| self.capacities.get_mut(position)) {
                *left -= minutes;
            }
        }
        self.solution.compositions[demand] = Some(slots);
    }
}

#[cfg(test)]
mod tests {
    use scenarios::generate::{GenerateParameters, SiteParameters, generate};

    use super::*;

    fn market() -> Scenario {
        let parameters = GenerateParameters {
            name: "small".into(),
            paper_problem: None,
            providers: 3,
            demands: 3,
            operations: 2,
            orders_per_demand: 2,
            sites: SiteParameters::Uniform,
            ..GenerateParameters::tehran(1, false).unwrap()
        };
        generate(&parameters).unwrap()
    }

    #[test]
    fn whoever_is_there_at_a_tick_is_served_then_and_whoever_left_is_not() {
        let scenario = market();
        let customer = |demand, arrives_ms, leaves_ms| Customer { demand, arrives_ms, leaves_ms };
        // A tick every 10 s: the first waits until then, the second is gone by then, the third waits for the
        // next one. Solving two orders takes far less than a second of CPU time.
        let customers = [customer(0, 1_000, 60_000), customer(1, 2_000, 9_000), customer(2, 10_001, 60_000)];
        let run = run(&scenario, Profile::Paper, &customers, 10_000, 1, &|_| {}).unwrap();
        let [Fate::Served { at_ms: first }, Fate::Left, Fate::Served { at_ms: third }] = run.fates[..] else {
            panic!("{:?}", run.fates);
        };
        assert!((10_000..11_000).contains(&first) && (20_000..21_000).contains(&third), "{first} {third}");
        assert_eq!(run.solves, 2);
        let served: Vec<bool> = run.solution.compositions.iter().map(Option::is_some).collect();
        assert_eq!(served, [true, false, true]);
    }

    #[test]
    fn what_earlier_compositions_took_is_not_there_any_more() {
        let mut scenario = market();
        // Both demands ask for both operations once; one provider has time for one of them, others have none.
        let enough: Minutes = scenario.instance.supply.providers[0].offers.values().map(|o| o.minutes).sum();
        for provider in &mut scenario.instance.supply.providers {
            provider.capacity = Some(0.into());
        }
        scenario.instance.supply.providers[0].capacity = Some(enough.into());
        let customers = [0, 1].map(|demand| Customer { demand, arrives_ms: 1, leaves_ms: 60_000 });
        let run = run(&scenario, Profile::Paper, &customers, 10_000, 1, &|_| {}).unwrap();
        let served = run.fates.iter().filter(|fate| matches!(fate, Fate::Served { .. })).count();
        assert_eq!(served, 1, "{:?}", run.fates);
        assert!(evaluate(&scenario.instance, &run.solution).is_feasible());
    }
}
