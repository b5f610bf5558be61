//! Where output goes: data to stdout, logs and progress to stderr.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

/// Starts logging to stderr; `RUST_LOG` overrides the level.
pub(super) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},quinn=warn,rustls=warn,sled=warn")));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Writes text to stdout.
///
/// # Errors
/// If stdout is closed.
pub(crate) fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(())
}

/// Writes a report to stdout as indented JSON.
///
/// # Errors
/// If stdout is closed.
pub(crate) fn print_json(report: &impl Serialize) -> Result<()> {
    print(&serde_json::to_string_pretty(report)?)
}

/// A line on stderr that shows what is going on: one that changes on a terminal, one per message elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    /// A line that begins with `title`.
    pub(crate) fn start(title: &str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {prefix}: {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        if is_terminal {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self { bar, is_terminal }
    }

    /// What is going on right now; shown on a terminal only.
    pub(crate) fn now(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Whether the line changes in place.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// What is going on right now; off a terminal, a line of its own.
    pub(crate) fn line(&self, message: String) {
        if self.is_terminal {
            self.now(message);
        } else {
            eprintln!("{message}");
        }
    }

    /// Something worth keeping on the screen.
    pub(crate) fn note(&self, message: &str) {
        if self.is_terminal {
            self.bar.println(message);
        } else {
            eprintln!("{message}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
