//! Announce what was found, or search on? (Paper A: a miner that is too greedy is overtaken.)
//!
//! Searching on for a moment `dt` gains what the reward still rises in it, and risks `hazard * dt` of the
//! whole reward: that somebody else's batch takes these demands first. So a miner announces when the
//! reward rises by less than `hazard * reward` per second, or when its search has ended or found nothing
//! better for a while.

use scenarios::Money;
use serde::{Deserialize, Serialize};

/// What a miner assumes about its rivals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnouncePolicy {
    /// Probability per second of being overtaken, before anything was observed.
    pub prior_hazard: f64,
    /// How many seconds of observation the prior is worth.
    pub prior_seconds: f64,
    /// A search whose incumbent has not become cheaper for this long has ended, in milliseconds.
    pub stall_ms: u64,
    /// Whether searches with the published algorithm run all their generations all the same, as in experiments that compare with it.
    pub published_runs_out: bool,
}

impl Default for AnnouncePolicy {
    fn default() -> Self {
        Self { prior_hazard: 0.05, prior_seconds: 20.0, stall_ms: 2_000, published_runs_out: false }
    }
}

/// How the reward of one running search developed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchTrace {
    samples: Vec<(u64, Money)>,
}

/// What to do with the incumbent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Broadcast it now.
    Announce,
    /// Let the search run.
    Continue,
}

impl SearchTrace {
    /// Notes the reward the incumbent would earn at this time.
    pub fn observe(&mut self, now_ms: u64, reward: Money) {
        self.samples.push((now_ms, reward));
        if self.samples.len() > WINDOW_SAMPLES {
            self.samples.remove(0);
        }
    }

    /// Rise of the reward over the last few observations, in money per second.
    fn slope(&self) -> Option<f64> {
        let (&(since, before), &(now, after)) = (self.samples.first()?, self.samples.last()?);
        let seconds = Seconds::between(since, now)?;
        Some((after - before).as_f64() / seconds.0)
    }
}

/// The slope is taken over this many observations.
const WINDOW_SAMPLES: usize = 8;

/// A positive span of time, for rates.
struct Seconds(f64);

impl Seconds {
    #[expect(clippy::cast_precision_loss, reason = "a rate for a heuristic")]
    fn between(since_ms: u64, now_ms: u64) -> Option<Self> {
        let elapsed = now_ms.checked_sub(since_ms)?;
        (elapsed > 0).then_some(Self(elapsed as f64 / 1e3))
    }
}

impl AnnouncePolicy {
    /// Overtakings per second: the prior, and what this miner saw since it started.
    #[expect(clippy::cast_precision_loss, reason = "a rate for a heuristic")]
    pub fn hazard(&self, overtaken: u32, mining_ms: u64) -> f64 {
        (self.prior_hazard * self.prior_seconds + f64::from(overtaken))
            / (self.prior_seconds + mining_ms as f64 / 1e3)
    }

    /// Whether to announce an incumbent that earns `reward`, of at most `full` (all its fees).
    pub fn decide(&self, trace: &SearchTrace, reward: Money, full: Money, hazard: f64) -> Decision {
        if reward >= full {
            return Decision::Announce; // nothing more to gain
        }
        match trace.slope() {
            Some(slope) if slope <= hazard * reward.as_f64() => Decision::Announce,
            Some(_) | None => Decision::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: AnnouncePolicy = AnnouncePolicy {
        prior_hazard: 0.05,
        prior_seconds: 20.0,
        stall_ms: 2_000,
        published_runs_out: false,
    };

    fn trace(rewards: &[i64]) -> SearchTrace {
        let mut trace = SearchTrace::default();
        for (second, &reward) in (0_u64..).zip(rewards) {
            trace.observe(second * 1_000, Money::from_units(reward));
        }
        trace
    }

    #[test]
    fn full_pay_is_announced_at_once() {
        let full = Money::from_units(100);
        assert_eq!(POLICY.decide(&SearchTrace::default(), full, full, 0.05), Decision::Announce);
    }

    #[test]
    fn a_reward_that_rises_faster_than_the_risk_is_worth_waiting_for() {
        // 10 a second against 0.05 * 60 = 3 a second at risk.
        let (reward, full) = (Money::from_units(60), Money::from_units(100));
        assert_eq!(POLICY.decide(&trace(&[40, 50, 60]), reward, full, 0.05), Decision::Continue);
    }

    #[test]
    fn a_reward_that_rises_slower_than_the_risk_is_announced() {
        // 1 a second against 3 a second at risk.
        let (reward, full) = (Money::from_units(60), Money::from_units(100));
        assert_eq!(POLICY.decide(&trace(&[58, 59, 60]), reward, full, 0.05), Decision::Announce);
    }

    #[test]
    fn nothing_is_decided_from_one_observation() {
        let (reward, full) = (Money::from_units(60), Money::from_units(100));
        assert_eq!(POLICY.decide(&trace(&[60]), reward, full, 0.05), Decision::Continue);
    }

    #[test]
    fn being_overtaken_raises_the_hazard_and_quiet_time_lowers_it() {
        assert!((POLICY.hazard(0, 0) - 0.05).abs() < 1e-9);
        assert!((POLICY.hazard(3, 20_000) - 0.1).abs() < 1e-9); // (1 + 3) / (20 + 20)
        assert!(POLICY.hazard(0, 60_000) < 0.05);
    }
}
