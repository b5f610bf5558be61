//! The watch over a running search: what it shows once a second, the time that ends it, and interrupts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use scenarios::Money;
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
    flags: Arc<Flags>,
    finished: AtomicBool,
    seen: Mutex<Seen>,
}

/// What the phases of a search listen to.
#[derive(Debug, Default)]
struct Flags {
    stop_pricing: AtomicBool,
    stop: AtomicBool,
    interrupted: AtomicBool,
}

/// The last that is known of the search.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    bound: Option<Money>,
    search_begin: Option<Instant>,
    progress: Option<ga::Progress>,
}

impl Watch {
    /// Starts the clock: the search may take `time` in all, and finding prices this share of it.
    pub(super) fn begin(time: Option<Duration>, price_share: f64) -> Self {
        Self {
            begin: Instant::now(),
            time,
            price_time: time.map(|time| time.mul_f64(price_share)),
            flags: Arc::default(),
            finished: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// From now on SIGINT ends the search with the best found so far, and a second one the program.
    pub(super) fn listen_for_interrupts(&self) -> Result<()> {
        listen_for_interrupts(Arc::clone(&self.flags))
    }

    /// Set when no more time may be spent on prices.
    pub(super) fn price_flag(&self) -> &AtomicBool {
        &self.flags.stop_pricing
    }

    /// Set when the search must end.
    pub(super) fn search_flag(&self) -> &AtomicBool {
        &self.flags.stop
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.flags.interrupted.load(Ordering::Relaxed)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// What is left of the time, if it is limited.
    pub(super) fn remaining(&self) -> Option<Duration> {
        self.time.map(|time| time.saturating_sub(self.elapsed()))
    }

    /// The search itself begins, with this bound.
    pub(super) fn priced(&self, bound: Money) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.bound, seen.search_begin) = (Some(bound), Some(Instant::now()));
    }

    /// The search has come this far.
    pub(super) fn saw(&self, progress: &ga::Progress) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).progress = Some(*progress);
    }

    /// Shows a line once a second and sets the flags when their time has come, until the watch is finished.
    pub(super) fn tick(&self, show: impl Fn(String)) {
        let mut next_line = INTERVAL;
        while !self.finished.load(Ordering::Relaxed) {
            let now = self.elapsed();
            let limits = [(self.price_time, &self.flags.stop_pricing), (self.time, &self.flags.stop)];
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
        let Seen { bound, search_begin, progress } =
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = self.elapsed().as_secs();
        let (Some(bound), Some(begin)) = (bound, search_begin) else {
            return format!("{seconds} s, finding dual prices");
        };
        let Some(now) = progress else {
            return format!("{seconds} s, bound {bound:.0} $, first generation");
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let rate = now.evaluations as f64 / begin.elapsed().as_secs_f64().max(1e-9);
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
fn listen_for_interrupts(flags: Arc<Flags>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Registered before anything is begun, so that no interrupt falls through.
    let mut interrupts = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            while interrupts.recv().await.is_some() {
                if flags.interrupted.swap(true, Ordering::Relaxed) {
                    #[expect(clippy::exit, reason = "the second interrupt says: at once")]
                    std::process::exit(130);
                }
                flags.stop_pricing.store(true, Ordering::Relaxed);
                flags.stop.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(())
}
