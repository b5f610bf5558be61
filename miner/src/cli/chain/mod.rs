//! `miner chain`: verify, inspect, prove and export the chain of a stopped node; and `miner verify-proof`,
//! which needs neither.

mod inspect;
mod proof;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use scenarios::Money;
use serde_json::json;

use super::OutputArguments;
use super::output::{Progress, print, print_json};
use crate::chain_tools::stored::{ChainError, Verified};
use crate::chain_tools::{ChainExport, NodeChain};

pub(super) use proof::{VerifyProofArguments, verify_proof};

/// What can be done with a chain.
#[derive(Debug, Subcommand)]
pub(super) enum ChainCommand {
    /// Verify a node's whole chain from genesis.
    Verify(VerifyArguments),
    /// Show the batches of a chain in a table, or one of them whole.
    Inspect(inspect::InspectArguments),
    /// Write a self-contained proof that a demand is composed and that the composition is current.
    Prove(proof::ProveArguments),
    /// Write the whole chain as JSON, complete enough for another program to check everything again.
    Export(ExportArguments),
}

/// Which node's chain.
#[derive(Debug, Args)]
struct NodeArgument {
    /// The directory of a stopped node (with its node.toml).
    #[arg(value_name = "DIR", required_unless_present = "config")]
    node: Option<PathBuf>,
    /// The node's configuration file, instead of its directory.
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    config: Option<PathBuf>,
}

impl NodeArgument {
    fn open(&self) -> Result<NodeChain> {
        match self.config.as_ref().or(self.node.as_ref()) {
            Some(path) => NodeChain::open(path),
            None => bail!("name a node's directory or its configuration file"),
        }
    }
}

/// Arguments of `miner chain verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    node: NodeArgument,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner chain export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    node: NodeArgument,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn run(command: &ChainCommand) -> Result<ExitCode> {
    match command {
        ChainCommand::Verify(arguments) => verify(arguments),
        ChainCommand::Inspect(arguments) => inspect::run(arguments),
        ChainCommand::Prove(arguments) => proof::prove(arguments),
        ChainCommand::Export(arguments) => export(arguments),
    }
}

fn verify(arguments: &VerifyArguments) -> Result<ExitCode> {
    let chain = arguments.node.open()?;
    let (progress, last) = (Progress::start("verifying"), chain.store.height());
    let verified =
        chain.verify(|done| progress.now(format!("batch {} of {last}", done.ledger().head().height)));
    drop(progress);
    match verified {
        Ok(verified) if arguments.output.json => print_json(&verified)?,
        Ok(verified) => print(&summary(&verified))?,
        Err(error) => return Ok(refused(&error)),
    }
    Ok(ExitCode::SUCCESS)
}

/// A chain that does not stand is an answer, not a failure of the program.
fn refused(error: &ChainError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

fn summary(verified: &Verified) -> String {
    let Verified { demands, accounts, .. } = verified;
    let money = i64::try_from(verified.money_micros).map_or(Money::ZERO, Money::from_micros);
    let lines = [
        format!("network    {} ({})", verified.network, verified.name),
        format!("batches     {}, each verified from genesis", verified.height),
        format!("head       {}", verified.head),
        format!("time       {}", verified.timestamp_ms),
        format!("state root {}", verified.state_root),
        format!("records    {}", verified.records),
        format!(
            "demands    {} open, {} composed, {} frozen, {} cancelled, {} expired",
            demands.open, demands.composed, demands.frozen, demands.cancelled, demands.expired
        ),
        format!("money      {money} $, as at genesis"),
        format!(
            "           balances {} $, escrow {} $, clearing {} $, carrier {} $, burned {} $",
            accounts.balances, accounts.escrow, accounts.clearing, accounts.carrier, accounts.burned
        ),
    ];
    lines.join("\n")
}

fn export(arguments: &ExportArguments) -> Result<ExitCode> {
    let chain = arguments.node.open()?;
    let (progress, last) = (Progress::start("exporting"), chain.store.height());
    let mut export = ChainExport::new(&chain.network);
    for found in chain.store.batches_from(1) {
        let (batch, certificate) = found?;
        progress.now(format!("batch {} of {last}", batch.header.height));
        export.push(batch, certificate);
    }
    write_json(&arguments.out, &export)?;
    drop(progress);
    let (network, file) = (chain.network.id(), &arguments.out);
    if arguments.output.json {
        print_json(&json!({ "network": network, "batches": last, "file": file }))?;
    } else {
        print(&format!("{last} batches of network {network} in {}", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(path).with_context(context)?);
    serde_json::to_writer_pretty(&mut out, value).with_context(context)?;
    writeln!(out).and_then(|()| out.flush()).with_context(context)
}
