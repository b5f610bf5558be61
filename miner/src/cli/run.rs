//! `miner run`: one node of a network.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::driver::{self, NodeFile, RunOptions};

/// Arguments of `miner run`.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The node's configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Write every event to stdout as a line of JSON.
    #[arg(long)]
    events: bool,
    /// Stop when stdin ends.
    #[arg(long)]
    stop_with_stdin: bool,
}

pub(super) fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let file = NodeFile::load(&arguments.config)?;
    let options =
        RunOptions { events_on_stdout: arguments.events, stop_with_stdin: arguments.stop_with_stdin };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(driver::run(file, options))?;
    // A search that is still winding down, or a read of stdin, must not hold the program up.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
