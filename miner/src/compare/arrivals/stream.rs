//! Customers who arrive one after another and leave when they have waited too long.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Nobody waits longer than this many times the mean patience: it bounds how long an experiment lasts.
const PATIENCE_MAX: f64 = 4.0;

/// One customer. Times are milliseconds since the experiment began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Customer {
    /// The position of its demand in the scenario.
    pub(super) demand: usize,
    /// When it arrives.
    pub(super) arrives_ms: u64,
    /// When it leaves unless its demand is composed before.
    pub(super) leaves_ms: u64,
}

/// How customers come and go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Habits {
    /// Customers a second; the time between two of them is exponential.
    pub(super) arrival_rate: f64,
    /// Mean of their exponential patience, in seconds.
    pub(super) patience_seconds: f64,
}

/// What came of one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its demand was composed at this time.
    Served {
        /// Milliseconds since the experiment began.
        at_ms: u64,
    },
    /// It left before.
    Left,
    /// Neither, when the experiment ended.
    Waiting,
}

/// Every demand of a scenario once, in random order, by time of arrival. The order, the gaps and the
/// patiences are drawn apart: changing one habit leaves the others' draws as they are.
pub(super) fn customers(demands: usize, habits: Habits, rng_seed: u64) -> Vec<Customer> {
    let stream = |number| {
        let mut generator = ChaCha8Rng::seed_from_u64(rng_seed);
        generator.set_stream(number);
        generator
    };
    let (mut order_draws, mut gap_draws, mut patience_draws) = (stream(0), stream(1), stream(2));
    let mut keyed: Vec<(u64, usize)> = (0..demands).map(|demand| (order_draws.next_u64(), demand)).collect();
    keyed.sort_unstable();
    let mut now_ms = 0;
    let arrive = |(_, demand)| {
        now_ms += milliseconds(exponential(unit(&mut gap_draws)) / habits.arrival_rate);
        let patience = exponential(unit(&mut patience_draws)).min(PATIENCE_MAX) * habits.patience_seconds;
        Customer { demand, arrives_ms: now_ms, leaves_ms: now_ms + milliseconds(patience) }
    };
    keyed.into_iter().map(arrive).collect()
}

/// Uniform in `0.0..1.0`, in steps of 2^-53.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
fn unit(draws: &mut ChaCha8Rng) -> f64 {
    (draws.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The quantile of the exponential distribution of mean 1 at `share`, below 1.
fn exponential(share: f64) -> f64 {
    -(1.0 - share).ln()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
pub(super) fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1e3).round() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HABITS: Habits = Habits { arrival_rate: 2.0, patience_seconds: 10.0 };

    #[test]
    fn every_demand_arrives_once_in_order_of_time() {
        let stream = customers(40, HABITS, 1);
        let demands: BTreeSet<usize> = stream.iter().map(|customer| customer.demand).collect();
        assert_eq!(demands.len(), 40);
        assert!(stream.is_sorted_by_key(|customer| customer.arrives_ms));
    }

    #[test]
    fn gaps_and_patience_have_the_means_asked_for() {
        let stream = customers(20_000, HABITS, 3);
        let last = stream.last().unwrap().arrives_ms;
        assert!((9_700_000..10_300_000).contains(&last), "20,000 at 2 a second took {last} ms");
        let patience: u64 = stream.iter().map(|customer| customer.leaves_ms - customer.arrives_ms).sum();
        // Cut off at 4 means, an exponential's mean is 1 - exp(-4) = 0.982 of what it was.
        let mean = patience / 20_000;
        assert!((9_600..10_040).contains(&mean), "mean patience {mean} ms");
        let longest = stream.iter().map(|customer| customer.leaves_ms - customer.arrives_ms).max();
        assert_eq!(longest, Some(40_000));
    }

    #[test]
    fn a_changed_patience_changes_no_arrival() {
        let patient = customers(30, Habits { patience_seconds: 99.0, ..HABITS }, 5);
        let arrivals =
            |stream: &[Customer]| stream.iter().map(|c| (c.demand, c.arrives_ms)).collect::<Vec<_>>();
        assert_eq!(arrivals(&patient), arrivals(&customers(30, HABITS, 5)));
        assert_ne!(arrivals(&patient), arrivals(&customers(30, HABITS, 6)));
    }

    #[test]
    fn quantiles_are_those_of_the_exponential_distribution() {
        assert!(exponential(0.0).abs() < 1e-12);
        assert!((exponential(0.5) - std::f64::consts::LN_2).abs() < 1e-12);
    }
}
