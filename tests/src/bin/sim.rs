//! Tells simulated stories, as many as are asked for, on all cores: `sim --seeds 0..1000 --profile storm`.
//!
//! A line for each story that fails, with the command that repeats it; then the sum. The exit code is 1 if any failed.

use std::io::{self, Write as _};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum as _};
use mizan_tests::sim::{Attack, Failure, Hazard, Report, Story};
use rayon::prelude::*;
use serde_json::json;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(10);

/// Tells random stories of simulated networks and says which of them end badly.
#[derive(Debug, Parser)]
#[command(name = "sim")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Arguments {
    /// The seeds, first and one after the last.
    #[arg(long, value_parser = seeds, default_value = "0..100")]
    seeds: Range<u64>,
    /// Nodes of each network, all of them validators; drawn from 4 to 7 if not said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(4..=25))]
    nodes: Option<u32>,
    /// What befalls the network.
    #[arg(long, value_enum, default_value = "storm")]
    profile: Hazard,
    /// What strangers do, instead of an attack drawn from the seed; a name as failures show it, such as `CopyNames`.
    #[arg(long, value_parser = attack)]
    attack: Option<Attack>,
    /// All messages of a node wait in one queue, and it reads final batches for others itself, as with a simple driver.
    #[arg(long)]
    one_queue: bool,
    /// Validators have from one to four votes each.
    #[arg(long)]
    unequal_votes: bool,
    /// Miners commit to blocks before they show them.
    #[arg(long)]
    commitments: bool,
    /// Shows what led to each failure.
    #[arg(short, long)]
    verbose: bool,
    /// One line of JSON for each story, instead of text.
    #[arg(long)]
    json: bool,
}

fn seeds(range: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let (first, end) = range.split_once("..").ok_or("expected two numbers with two dots between them")?;
    Ok(number(first)?..number(end)?)
}

fn attack(name: &str) -> Result<Attack, String> {
    let all = Attack::OF_STRANGERS;
    let is_named = |attack: &&Attack| attack.name().eq_ignore_ascii_case(name);
    let names = || all.map(Attack::name).join(", ");
    all.iter().find(is_named).copied().ok_or_else(|| format!("expected one of {}", names()))
}

/// What has come of the stories so far.
#[derive(Debug, Default)]
struct Sum {
    told: u64,
    failed: u64,
    virtual_ms: u64,
    heights: u64,
    bytes: u64,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.attack.is_some() && arguments.profile.attacks().is_empty() {
        let reason =
            "no stranger takes part in stories of this profile: --attack is for flood, sybil and all";
        <Arguments as CommandFactory>::command().error(ErrorKind::ArgumentConflict, reason).exit();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    stop_when_interrupted(&is_over)?;
    let (begin, sum, shown) = (Instant::now(), Mutex::new(Sum::default()), Mutex::new(Instant::now()));
    let told: io::Result<()> = arguments.seeds.clone().into_par_iter().try_for_each(|rng_seed| {
        if is_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let story = Story {
            nodes: arguments.nodes,
            attack: arguments.attack,
            has_one_queue: arguments.one_queue,
            has_unequal_votes: arguments.unequal_votes,
            has_commitments: arguments.commitments,
            ..Story::new(rng_seed, arguments.profile)
        };
        let told = story.tell();
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(&told);
        arguments.show(&story, &told)?;
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.elapsed() >= PROGRESS {
            *shown = Instant::now();
            writeln!(io::stderr(), "{}", sum.line(begin.elapsed()))?;
        }
        Ok(())
    });
    told?;
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    writeln!(io::stderr(), "{}", sum.line(begin.elapsed()))?;
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// At Ctrl-C the stories that are being told are told to their end, and the sum is shown; at the second one it ends.
fn stop_when_interrupted(is_over: &Arc<AtomicBool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_over = Arc::clone(is_over);
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if is_over.swap(true, Ordering::Relaxed) {
                    std::process::abort();
                }
            }
        });
    });
    Ok(())
}

impl Arguments {
    fn show(&self, story: &Story, told: &Result<Report, Failure>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let title = story.title();
        match told {
            Ok(report) if self.json => {
                let Report { rng_seed, at_ms, height, longest_height_ms, bytes, messages, .. } = report;
                let line = json!({
                    "seed": rng_seed, "title": title, "virtual_ms": at_ms, "heights": height,
                    "longest_height_ms": longest_height_ms, "messages": messages, "bytes": bytes,
                });
                writeln!(out, "{line}")
            }
            Ok(report) if self.verbose => writeln!(out, "{title}: {report}"),
            Ok(_) => Ok(()),
            Err(failure) if self.json => {
                let Failure { rng_seed, at_ms, violation, .. } = failure;
                let violation = violation.to_string();
                let line = json!({
                    "seed": rng_seed, "title": title, "virtual_ms": at_ms, "violation": violation,
                    "repeat": self.command(story),
                });
                writeln!(out, "{line}")
            }
            Err(failure) => {
                let violation = failure.violation.to_string();
                let first = violation.lines().next().unwrap_or_default();
                writeln!(out, "{title} at {} ms: {first}\n  repeat: {}", failure.at_ms, self.command(story))?;
                if self.verbose { writeln!(out, "{failure}") } else { Ok(()) }
            }
        }
    }

    /// What tells this story again.
    fn command(&self, story: &Story) -> String {
        let rng_seed = story.rng_seed;
        let profile = self.profile.to_possible_value().map(|value| value.get_name().to_owned());
        let nodes = self.nodes.map(|nodes| format!(" --nodes {nodes}"));
        let attack = self.attack.map(|attack| format!(" --attack {}", attack.name()));
        let flags = [
            (self.one_queue, " --one-queue"),
            (self.unequal_votes, " --unequal-votes"),
            (self.commitments, " --commitments"),
        ];
        let flags: String = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
        format!(
            "cargo run --release -p mizan-tests --bin sim -- --seeds {rng_seed}..{} --profile {}{}{}{flags} -v",
            rng_seed + 1,
            profile.unwrap_or_default(),
            nodes.unwrap_or_default(),
            attack.unwrap_or_default(),
        )
    }
}

impl Sum {
    fn add(&mut self, told: &Result<Report, Failure>) {
        self.told += 1;
        match told {
            Ok(report) => {
                self.virtual_ms += report.at_ms;
                self.heights += report.height;
                self.bytes += report.bytes;
            }
            Err(failure) => {
                self.virtual_ms += failure.at_ms;
                self.failed += 1;
            }
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let Self { told, failed, virtual_ms, heights, bytes } = self;
        let per_minute = told * 60_000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let (minutes, kib) = (virtual_ms / 60_000, bytes / 1_024 / heights.max(&1));
        format!(
            "{told} stories told, {failed} ended badly; {minutes} virtual minutes, {per_minute} stories a minute, {kib} \
             KiB sent a height"
        )
    }
}
