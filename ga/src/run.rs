//! Works on a [`Workbench`] until something says stop. Only here and in `central` is a clock read.
#![expect(clippy::disallowed_types, reason = "one of the two places that read the clock")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::workbench::Workbench;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The generations or steps are done.
    Generations,
    /// The evaluations are done.
    Evaluations,
    /// The time is over.
    Time,
    /// The incumbent is close enough to the bound.
    TargetGap,
    /// It was cancelled.
    Cancelled,
    /// The observer asked for it.
    Observer,
}

/// How a run ended; what it found is on the workbench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Outcome {
    pub reason: StopReason,
    /// Wall time of the run.
    pub elapsed: Duration,
}

/// Works on until the work's own limits, `time` (of this run alone), `cancel` or `observer` end it. The observer sees
/// every generation. What was found is ready for use whenever it ends.
pub fn run(
    bench: &mut Workbench,
    time: Option<Duration>,
    observer: &mut dyn FnMut(&Workbench) -> ControlFlow<()>,
    cancel: &AtomicBool,
) -> Outcome {
    let begin = Instant::now();
    let reason = loop {
        if cancel.load(Ordering::Relaxed) {
            break StopReason::Cancelled;
        }
        if let Some(reason) = bench.ended() {
            break reason;
        }
        if time.is_some_and(|limit| begin.elapsed() >= limit) {
            break StopReason::Time;
        }
        bench.step(cancel);
        if observer(bench).is_break() {
            break StopReason::Observer;
        }
    };
    Outcome { reason, elapsed: begin.elapsed() }
}
