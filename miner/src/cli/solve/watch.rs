//! The watch over a running search: what it shows once a second, the time that ends it, and interrupts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use ga::{CentralPlan, Flags, Progress};
use scenarios::bound::gap_percent;
use tokio::signal::unix::{SignalKind, signal};

/// How often progress is shown.
const INTERVAL: Duration = Duration::from_secs(1);

/// The watch over one search.
#[derive(Debug)]
pub(super) struct Watch {
    begin: Instant,
    time: Option<Duration>,
    price_time: Option<Duration>,
    endings: Arc<Endings>,
    finished: AtomicBool,
    /// Nothing while prices are being found.
    seen: Mutex<Option<Seen>>,
}

/// What ends the search, and whether it was a person.
#[derive(Debug, Default)]
struct Endings {
    flags: Flags,
    interrupted: AtomicBool,
}

/// The last that is known of the search.
#[derive(Clone, Copy, Debug)]
struct Seen {
    search_begin: Instant,
    progress: Progress,
}

impl Watch {
    /// Starts the clock over this plan: it keeps its times also where a single step takes longer.
    pub(super) fn begin(plan: &CentralPlan) -> Self {
        Self {
            begin: Instant::now(),
            time: plan.time,
            price_time: plan.price_time(),
            endings: Arc::default(),
            finished: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// From now on SIGINT ends the search with the best found so far, and a second one the program.
    pub(super) fn listen_for_interrupts(&self) -> Result<()> {
        listen_for_interrupts(Arc::clone(&self.endings))
    }

    /// What the search listens to.
    pub(super) fn flags(&self) -> &Flags {
        &self.endings.flags
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.endings.interrupted.load(Ordering::Relaxed)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// The search has come this far; it begins when it is seen first.
    pub(super) fn saw(&self, progress: &Progress) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let search_begin = seen.as_ref().map_or_else(Instant::now, |seen| seen.search_begin);
        *seen = Some(Seen { search_begin, progress: *progress });
    }

    /// Shows a line once a second and sets the flags when their time has come, until the watch is finished.
    pub(super) fn tick(&self, show: impl Fn(String)) {
        let mut next_line = INTERVAL;
        while !self.finished.load(Ordering::Relaxed) {
            let now = self.elapsed();
            let limits = [(self.price_time, &self.flags().stop_pricing), (self.time, &self.flags().stop)];
            let mut wake = next_line;
            for (limit, flag) in limits {
                match limit {
                    Some(limit) if now >= limit => flag.store(true, Ordering::Relaxed),
                    Some(limit) => wake = wake.min(limit),
                    None => {}
                }
            }
            if now >= next_line {
                show(self.line());
                next_line += INTERVAL;
            } else {
                std::thread::park_timeout(wake.saturating_sub(now));
            }
        }
    }

    /// What ends the ticker when it is dropped, however the search ends.
    pub(super) const fn until_dropped<'w>(&'w self, ticker: &'w Thread) -> Ticking<'w> {
        Ticking { watch: self, ticker }
    }

    fn line(&self) -> String {
        let seconds = self.elapsed().as_secs();
        let Some(Seen { search_begin, progress: now }) =
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
        else {
            return format!("{seconds} s, finding dual prices");
        };
        let bound = now.bound.unwrap_or_default();
        if now.generation == 0 {
            return format!("{seconds} s, bound {bound:.0} $, first generation");
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let rate = now.evaluations as f64 / search_begin.elapsed().as_secs_f64().max(1e-9);
        let unserved =
            if now.unserved == 0 { String::new() } else { format!(", {} demands unserved", now.unserved) };
        format!(
            "{seconds} s, generation {}, cost {:.0} $, bound {bound:.0} $, gap {:.3} %, {rate:.0} \
             evaluations/s{unserved}",
            now.generation,
            now.cost,
            gap_percent(now.cost, bound)
        )
    }
}

/// As long as this lives, the ticker ticks.
#[derive(Debug)]
pub(super) struct Ticking<'w> {
    watch: &'w Watch,
    ticker: &'w Thread,
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.watch.finished.store(true, Ordering::Relaxed);
        self.ticker.unpark();
    }
}

/// SIGINT ends the search with the best found so far; a second one ends the program.
fn listen_for_interrupts(endings: Arc<Endings>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Registered before anything is begun, so that no interrupt falls through.
    let mut interrupts = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            while interrupts.recv().await.is_some() {
                if endings.interrupted.swap(true, Ordering::Relaxed) {
                    #[expect(clippy::exit, reason = "the second interrupt says: at once")]
                    std::process::exit(130);
                }
                endings.flags.stop_pricing.store(true, Ordering::Relaxed);
                endings.flags.stop.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(())
}
