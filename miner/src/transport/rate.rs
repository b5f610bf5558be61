//! A limit on how often something may happen. Time is an argument.

use std::time::Instant;

/// A bucket of tokens that refills at a fixed rate; holds one second's worth.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: f64,
    tokens: f64,
    refilled: Instant,
}

impl RateLimit {
    /// A full bucket.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second, refilled: now }
    }

    /// Takes a token if there is one.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.per_second);
        self.refilled = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_cut_at_one_second_of_tokens_and_refills_with_time() {
        let start = Instant::now();
        let mut limit = RateLimit::new(2, start);
        assert_eq!([(); 3].map(|()| limit.admit(start)), [true, true, false]);
        let half_a_second_later = start + Duration::from_millis(500);
        assert_eq!([(); 2].map(|()| limit.admit(half_a_second_later)), [true, false]);
        let much_later = start + Duration::from_secs(60);
        assert_eq!([(); 3].map(|()| limit.admit(much_later)), [true, true, false]);
    }
}
