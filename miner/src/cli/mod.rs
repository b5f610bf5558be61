//! The command line: what each subcommand is called, what it takes, and where its work is done.
//!
//! Data goes to stdout, logs and progress to stderr. Every command ends with 0 when what it was asked for
//! holds, 1 when it does not (an infeasible solution, a failed check), 2 on wrong usage.

mod bench;
mod chain;
mod check;
mod client;
mod output;
mod run;
mod scenario;
mod solve;

pub(crate) use output::{Progress, print, print_json};
pub(crate) use solve::{ProfileArgument, solve_for};

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::compare::{self, CompareArguments};
use crate::economics::{self, EconomicsArguments};
use crate::swarm::{self, SwarmArguments};

/// A coordinator-free market: miners compose manufacturing services and are paid for what they can prove.
#[derive(Debug, Parser)]
#[command(name = "miner", version, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// More log output on stderr (-v info, -vv debug, -vvv trace); `RUST_LOG` overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the centralised GA and N miners (real processes) on scenarios, and print one table.
    Compare(CompareArguments),
    /// Keep a network of N miners (real processes) running on this machine, and watch it.
    Swarm(SwarmArguments),
    /// Compose a scenario centrally, with live progress.
    Solve(solve::SolveArguments),
    /// Judge a solution independently of any solver: cost, violations, gap.
    Check(check::CheckArguments),
    /// Measure how oracle, search and verification scale on this machine.
    Bench(bench::BenchArguments),
    /// Play people who gain by what the rules do not say, on a scenario's market.
    Economics(EconomicsArguments),
    /// Generate, import, validate or inspect scenario files.
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Run one node of a network.
    Run(run::RunArguments),
    /// Make, show or derive keys.
    #[command(subcommand)]
    Key(client::KeyCommand),
    /// Found a network, join one, or show one.
    #[command(subcommand)]
    Network(client::NetworkCommand),
    /// Publish, change or withdraw a provider's offer.
    #[command(subcommand)]
    Offer(client::OfferCommand),
    /// Submit, cancel or show demands.
    #[command(subcommand)]
    Demand(client::DemandCommand),
    /// Give money to an address.
    Transfer(client::TransferArguments),
    /// Show what an address has.
    Balance(client::BalanceArguments),
    /// Verify, inspect, prove or export the chain of a stopped node.
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Check a proof file: no node and no store are needed.
    VerifyProof(chain::VerifyProofArguments),
}

/// Options that every command with a report takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArguments {
    /// Print the report as JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// A scenario file on the command line.
#[derive(Clone, Debug, Args)]
pub struct ScenarioArgument {
    /// A scenario file (JSON).
    #[arg(value_name = "FILE")]
    pub scenario: PathBuf,
}

/// The whole program: reads the command line, does what it says, reports errors on stderr.
pub fn main() -> ExitCode {
    let line = CommandLine::parse();
    output::start_logging(line.verbose);
    let outcome = match line.command {
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Swarm(arguments) => swarm::run(&arguments),
        Command::Solve(arguments) => solve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Economics(arguments) => economics::run(&arguments),
        Command::Scenario(command) => scenario::run(&command),
        Command::Run(arguments) => run::run(&arguments),
        Command::Key(command) => client::key(&command),
        Command::Network(command) => client::network(&command),
        Command::Offer(command) => client::offer(&command),
        Command::Demand(command) => client::demand(&command),
        Command::Transfer(arguments) => client::transfer(&arguments),
        Command::Balance(arguments) => client::balance(&arguments),
        Command::Chain(command) => chain::run(&command),
        Command::VerifyProof(arguments) => chain::verify_proof(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {}", explain(&error));
        ExitCode::from(2)
    })
}

/// An error and its causes on one line; a cause that the error tells already is not told twice.
fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
