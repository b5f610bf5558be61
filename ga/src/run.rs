//! Runs a search until something says stop. The only clock of the crate is read here.
#![expect(clippy::disallowed_types, reason = "the one place that reads the clock")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scenarios::settings::{HybridGaSettings, PaperGaSettings};

use crate::search::{Algorithm, Progress, Search};

/// When a search ends: at the first limit it reaches. No limit at all is a search that only cancelling (or
/// the observer) ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Termination {
    /// Generations since the search began or adapted.
    pub generations: Option<u64>,
    /// Solutions whose cost was computed.
    pub evaluations: Option<u64>,
    /// Wall time of this run.
    pub time: Option<Duration>,
    /// The incumbent is certified this close to the bound, in parts per million.
    pub target_gap_ppm: Option<u64>,
}

impl Termination {
    /// What a profile's own settings say.
    pub fn of(profile: &Algorithm) -> Self {
        match profile {
            Algorithm::Paper(settings) => Self::paper(settings),
            Algorithm::Hybrid(settings) => Self::hybrid(settings),
        }
    }

    /// After exactly the generations of the paper's algorithm.
    pub fn paper(settings: &PaperGaSettings) -> Self {
        Self { generations: Some(u64::from(settings.generations)), ..Self::default() }
    }

    /// After the generations, the time or at the gap of the hybrid's settings.
    pub fn hybrid(settings: &HybridGaSettings) -> Self {
        Self {
            generations: Some(u64::from(settings.generations)),
            evaluations: None,
            time: Duration::try_from_secs_f64(settings.seconds).ok(),
            target_gap_ppm: Some(settings.target_gap_ppm),
        }
    }

    /// The limit that this progress has reached, the clock left aside.
    fn reached(&self, progress: &Progress) -> Option<StopReason> {
        let within = |limit: Option<u64>, value: u64| limit.is_some_and(|limit| value >= limit);
        if within(self.generations, progress.generation) {
            return Some(StopReason::Generations);
        }
        if within(self.evaluations, progress.evaluations) {
            return Some(StopReason::Evaluations);
        }
        let gap = progress.gap_ppm()?;
        self.target_gap_ppm.filter(|&target| gap <= target).map(|_| StopReason::TargetGap)
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The generations are done.
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

/// How a run ended; the solution is the search's incumbent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why.
    pub reason: StopReason,
    /// Where the search stood.
    pub progress: Progress,
    /// Wall time of the run.
    pub elapsed: Duration,
}

/// Steps `search` until `termination`, `cancel` or `observer` ends it. The observer sees every generation.
/// The incumbent is ready for use whenever it ends.
pub fn run(
    search: &mut Search,
    termination: &Termination,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    cancel: &AtomicBool,
) -> Outcome {
    let begin = Instant::now();
    let mut progress = search.progress();
    let reason = loop {
        if cancel.load(Ordering::Relaxed) {
            break StopReason::Cancelled;
        }
        if let Some(reason) = termination.reached(&progress) {
            break reason;
        }
        if termination.time.is_some_and(|limit| begin.elapsed() >= limit) {
            break StopReason::Time;
        }
        progress = search.step(cancel);
        if observer(&progress).is_break() {
            break StopReason::Observer;
        }
    };
    Outcome { reason, progress, elapsed: begin.elapsed() }
}
