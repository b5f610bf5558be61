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

    /// Whether a token can be taken that leaves `part` of a full bucket (0 to 1).
    pub(super) fn has_one_above(&mut self, part: f64, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.per_second);
        self.refilled = now;
        self.tokens >= 1.0 + part * self.per_second
    }

    /// Takes a token.
    pub(super) fn take(&mut self) {
        self.tokens -= 1.0;
    }

    /// Whether it is as good as new.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.tokens + elapsed * self.per_second >= self.per_second
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
        let mut admit = |part, now| {
            let has_one = limit.has_one_above(part, now);
            if has_one {
                limit.take();
            }
            has_one
        };
        assert_eq!([(); 3].map(|()| admit(0.0, start)), [true, true, false]);
        let half_a_second_later = start + Duration::from_millis(500);
        assert_eq!([(); 2].map(|()| admit(0.0, half_a_second_later)), [true, false]);
        let much_later = start + Duration::from_secs(60);
        assert_eq!([(); 3].map(|()| admit(0.5, much_later)), [true, false, false]);
        assert_eq!([(); 2].map(|()| admit(0.0, much_later)), [true, false]);
    }
}
