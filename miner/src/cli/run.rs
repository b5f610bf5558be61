//! `miner run`: one node of a network.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use miner_node::Testimony;

use crate::driver::{self, NodeFile, RunOptions};

/// Arguments of `miner run`.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// The node's configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The first time a validator is started, ever: its key has signed nothing yet, and so it may vote from the
    /// beginning. Refused on a node that has run before.
    #[arg(long, conflicts_with = "vote_from_height")]
    first_run: bool,
    /// The first time a validator is started after its store was lost or damaged, when it says that it does not vote:
    /// a height above every one that it may have voted on. The network's height plus 2 always is. Refused on a
    /// validator that votes, and used up when it is accepted.
    #[arg(long, value_name = "HEIGHT", value_parser = clap::value_parser!(u64).range(1..))]
    vote_from_height: Option<u64>,
    /// Write every event to stdout as a line of JSON.
    #[arg(long)]
    events: bool,
    /// Stop when stdin ends.
    #[arg(long)]
    stop_with_stdin: bool,
}

pub(super) fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let file = NodeFile::load(&arguments.config)?;
    let testimony = match arguments.vote_from_height {
        _ if arguments.first_run => Testimony::FirstRun,
        Some(height) => Testimony::VoteFrom(height),
        None => Testimony::None,
    };
    let options = RunOptions {
        events_on_stdout: arguments.events,
        stop_with_stdin: arguments.stop_with_stdin,
        testimony,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(driver::run(file, options))?;
    // A search that is still winding down, or a read of stdin, must not hold the program up.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
