//! A host's two clocks: how far they are from true time, how fast they run, and what a suspended machine does to them.

use miner_node::Now;

use super::market::START_MS;

/// Parts of which a drift is counted.
const MILLION: i128 = 1_000_000;

/// The clocks of one machine. True time is the world's, in microseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// True time from which `monotonic_us` is counted on.
    since_us: u64,
    /// What the monotonic clock showed then.
    monotonic_us: u64,
    /// What the wall clock shows beyond the monotonic one and [`START_MS`], in microseconds.
    lead_us: i64,
    /// How much faster than true time both run, in millionths; negative if slower.
    drift_ppm: i32,
}

impl Clock {
    /// Clocks that are this far ahead and run this much too fast.
    pub(super) const fn new(lead_ms: i64, drift_ppm: i32) -> Self {
        Self { since_us: 0, monotonic_us: 0, lead_us: lead_ms.saturating_mul(1_000), drift_ppm }
    }

    /// What both show at a true time.
    pub(super) fn now(&self, true_us: u64) -> Now {
        let monotonic_us = self.monotonic_us(true_us);
        let wall_us = monotonic_us.saturating_add_signed(self.lead_us);
        Now { wall_ms: START_MS + wall_us / 1_000, monotonic_ms: monotonic_us / 1_000 }
    }

    /// The true time at which the monotonic clock shows `at_ms`, and not sooner.
    pub(super) fn when_us(&self, at_ms: u64) -> u64 {
        let ahead_us = at_ms.saturating_mul(1_000).saturating_sub(self.monotonic_us);
        let pace = MILLION + i128::from(self.drift_ppm);
        let span_us = (i128::from(ahead_us) * MILLION + pace - 1) / pace;
        self.since_us.saturating_add(u64::try_from(span_us).unwrap_or(u64::MAX))
    }

    /// Somebody sets the wall clock this much forward, or back.
    pub(super) const fn set(&mut self, by_ms: i64) {
        self.lead_us = self.lead_us.saturating_add(by_ms.saturating_mul(1_000));
    }

    /// The machine was suspended between two true times. The wall clock is right again at once; the monotonic clock
    /// has gone on or stood still, as the system has it.
    pub(super) fn slept(&mut self, from_us: u64, until_us: u64, monotonic_counts: bool) {
        if monotonic_counts {
            return;
        }
        self.monotonic_us = self.monotonic_us(from_us);
        self.since_us = until_us;
        let slept_us = i64::try_from(until_us.saturating_sub(from_us)).unwrap_or(i64::MAX);
        self.lead_us = self.lead_us.saturating_add(slept_us);
    }

    fn monotonic_us(&self, true_us: u64) -> u64 {
        let elapsed_us = i128::from(true_us.saturating_sub(self.since_us));
        let shown_us = elapsed_us + elapsed_us * i128::from(self.drift_ppm) / MILLION;
        self.monotonic_us.saturating_add(u64::try_from(shown_us).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(clock: &Clock, true_ms: u64) -> (u64, u64) {
        let Now { wall_ms, monotonic_ms } = clock.now(true_ms * 1_000);
        (wall_ms - START_MS, monotonic_ms)
    }

    #[test]
    fn a_clock_that_drifts_gains_its_millionths_and_wakes_when_it_shows_the_time() {
        let clock = Clock::new(500, 1_000);
        assert_eq!(shows(&clock, 10_000), (10_510, 10_010));
        // 10,010 ms by this clock are 10,000 ms of true time.
        assert_eq!(clock.when_us(10_010), 10_000_000);
    }

    #[test]
    fn setting_the_clock_moves_the_wall_clock_alone() {
        let mut clock = Clock::new(0, 0);
        clock.set(-3_000);
        assert_eq!(shows(&clock, 10_000), (7_000, 10_000));
    }

    #[test]
    fn a_suspended_machine_knows_the_time_and_may_not_know_that_it_slept() {
        let mut stands = Clock::new(0, 0);
        let mut counts = stands;
        stands.slept(4_000_000, 9_000_000, false);
        counts.slept(4_000_000, 9_000_000, true);
        assert_eq!(shows(&stands, 10_000), (10_000, 5_000));
        assert_eq!(shows(&counts, 10_000), (10_000, 10_000));
        assert_eq!(stands.when_us(6_000), 11_000_000);
    }
}
