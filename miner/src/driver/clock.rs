//! The one place of the node where time comes from.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the Unix epoch that never run backwards: the system's time when the clock was made,
/// and monotonic time since.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    epoch_ms: u64,
    started: Instant,
}

impl WallClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch_ms: millis(since_epoch), started: Instant::now() }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.epoch_ms.saturating_add(millis(self.started.elapsed()))
    }

    /// The instant at which [`WallClock::now_ms`] reaches `at_ms`; now if that is past.
    pub fn instant_of(&self, at_ms: u64) -> Instant {
        self.started + std::time::Duration::from_millis(at_ms.saturating_sub(self.epoch_ms))
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// CPU time this thread has used, in microseconds.
pub fn thread_cpu_micros() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000);
    u64::try_from(micros).unwrap_or(0)
}
