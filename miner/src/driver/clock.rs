//! The one place of the node where time comes from.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use miner_node::Now;
use rustix::time::{ClockId, clock_gettime};

/// The two clocks of this machine, read anew each time. The system's time may be set while the node runs; what counts
/// from when this was made never runs backwards (and stands still while the machine is suspended).
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Now, by both.
    pub(super) fn now(&self) -> Now {
        Now { wall_ms: wall_ms(), monotonic_ms: millis(self.started.elapsed()) }
    }

    /// The instant at which the monotonic time is `at_ms`; `None` for one that no clock reaches.
    pub(super) fn instant_of(&self, at_ms: u64) -> Option<Instant> {
        self.started.checked_add(Duration::from_millis(at_ms))
    }
}

/// Milliseconds since the Unix epoch, as the system believes.
pub fn wall_ms() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// CPU time this thread has used, in microseconds.
pub fn thread_cpu_micros() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let micros = time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000);
    u64::try_from(micros).unwrap_or(0)
}
