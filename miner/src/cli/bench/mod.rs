//! `miner bench`: how the oracle, the search and verification scale on this machine, as tables. Every row is
//! measured in the run that prints it; `cargo bench` measures the pieces.

mod oracle;
mod solve;
mod verify;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use scenarios::generate::{GenerateParameters, SiteParameters, generate};
use scenarios::{Kernel, Scenario};
use serde::Serialize;

use super::OutputArguments;
use super::output::{Progress, print, print_json};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// Shortest paths by number of providers and by vector instructions.
    Oracle,
    /// The search by number of orders.
    Solve,
    /// Checking a solution and its bound beside finding them.
    Verify,
}

/// Arguments of `miner bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArguments {
    /// What to measure; everything if absent.
    subjects: Vec<Subject>,
    /// Wall time of each search, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    time: f64,
    /// Threads of each search; all cores if absent. The oracle and verification are measured on one.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Only the smallest sizes, for a second in all: shows that it works, measures nothing.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// How much is measured.
struct Effort {
    quick: bool,
    time: Duration,
    pool: rayon::ThreadPool,
}

/// All tables.
#[derive(Debug, Serialize)]
struct Report {
    cores: usize,
    search_threads: usize,
    /// Vector instructions that are used unless a row says otherwise.
    kernel: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    oracle: Vec<oracle::Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    solve: Vec<solve::Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verify: Vec<verify::Row>,
}

pub(super) fn run(arguments: &BenchArguments) -> Result<ExitCode> {
    let time = Duration::try_from_secs_f64(arguments.time).ok().context("--time takes seconds, 0 or more")?;
    let threads = arguments.threads.map_or(0, NonZeroUsize::get);
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("no threads to search on")?;
    let time = if arguments.quick { Duration::from_millis(100) } else { time };
    let effort = Effort { quick: arguments.quick, time, pool };
    let measured = |subject| arguments.subjects.is_empty() || arguments.subjects.contains(&subject);
    let progress = Progress::start("measuring");
    let mut report = Report {
        cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        search_threads: effort.pool.current_num_threads(),
        kernel: Kernel::detect().to_string(),
        oracle: Vec::new(),
        solve: Vec::new(),
        verify: Vec::new(),
    };
    if measured(Subject::Oracle) {
        report.oracle = oracle::measure(&effort, &progress)?;
    }
    if measured(Subject::Solve) {
        report.solve = solve::measure(&effort, &progress)?;
    }
    if measured(Subject::Verify) {
        report.verify = verify::measure(&effort, &progress)?;
    }
    drop(progress);
    if arguments.output.json {
        print_json(&report)?;
    } else {
        print(&text(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(report: &Report) -> String {
    let Report { cores, search_threads, kernel, .. } = report;
    let mut parts = vec![format!("{cores} cores, {kernel}; searches on {search_threads} threads")];
    let tables = [
        (oracle::CAPTION, oracle::table(&report.oracle), report.oracle.is_empty()),
        (solve::CAPTION, solve::table(&report.solve), report.solve.is_empty()),
        (verify::CAPTION, verify::table(&report.verify), report.verify.is_empty()),
    ];
    for (caption, table, _) in tables.into_iter().filter(|&(_, _, is_empty)| !is_empty) {
        parts.push(format!("\n{caption}\n{table}"));
    }
    parts.join("\n")
}

/// A table with these column heads, its cells to the right.
fn new_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A market on a plane of 100 km x 100 km with capacity for 1.2 times the work.
fn market(providers: u32, demands: u32, orders: u32) -> Result<Scenario> {
    let mut parameters = GenerateParameters::tehran(1, true).context("problem 1 exists")?;
    parameters.paper_problem = None;
    parameters.sites = SiteParameters::Uniform;
    parameters.name = "bench".into();
    (parameters.providers, parameters.demands) = (providers, demands);
    (parameters.operations, parameters.orders_per_demand) = (orders, orders);
    Ok(generate(&parameters)?)
}

/// The least time that `work` takes in milliseconds: of as many runs as fit a fifth of a second, at least two.
fn least_ms<T>(effort: &Effort, mut work: impl FnMut() -> T) -> f64 {
    let enough = if effort.quick { Duration::ZERO } else { Duration::from_millis(200) };
    let (begin, mut least, mut runs) = (Instant::now(), Duration::MAX, 0);
    while runs < 2 || begin.elapsed() < enough {
        let one = Instant::now();
        std::hint::black_box(work());
        least = least.min(one.elapsed());
        runs += 1;
    }
    least.as_secs_f64() * 1e3
}

/// Three significant digits, about.
fn short(value: f64) -> String {
    match value {
        ..0.1 => format!("{value:.4}"),
        ..10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
