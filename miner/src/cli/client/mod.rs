//! What people do on a running network: keys, networks, offers, demands, money. The work itself is in
//! [`crate::client`]; here are arguments and reports.

mod balance;
mod demand;
mod key;
mod network;
mod offer;
mod report;
mod transfer;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chain::{Address, SecretKey};
use clap::{Args, Subcommand};
use scenarios::Money;

use super::OutputArguments;
use crate::client::{NodeClient, SubmitOptions};
use crate::driver::read_key;

/// Keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Draw a new key and write it to a file that only its owner can read.
    New(key::NewArguments),
    /// Show a key file's public key and address; never the secret.
    Show(key::ShowArguments),
    /// Write the key of a scenario's demander or provider (test networks only: anyone can compute it).
    Derive(key::DeriveArguments),
}

/// Networks.
#[derive(Debug, Subcommand)]
pub(super) enum NetworkCommand {
    /// Write keys, a genesis and a configuration per node: everything a new network starts from.
    Init(network::InitArguments),
    /// Write a key and a configuration for one more node of a network.
    Join(network::JoinArguments),
    /// Show what a running node knows of its network.
    Show(network::ShowArguments),
}

/// Offers.
#[derive(Debug, Subcommand)]
pub(super) enum OfferCommand {
    /// Offer operations for the first time, or again after a withdrawal.
    Publish(offer::WriteArguments),
    /// Replace the whole offer; standing compositions keep their terms.
    Change(offer::WriteArguments),
    /// Offer nothing any more; standing compositions keep their terms.
    Withdraw(offer::WithdrawArguments),
}

/// Demands.
#[derive(Debug, Subcommand)]
pub(super) enum DemandCommand {
    /// Submit one demand or a list of them; budget and solver fee go into escrow.
    Submit(demand::SubmitDemandArguments),
    /// Submit every demand of the scenario a test network was made from, each under its own key.
    SubmitScenario(demand::SubmitScenarioArguments),
    /// Take a demand back while it is open.
    Cancel(demand::CancelArguments),
    /// Show where a demand stands: in the pool, open, composed by whom and how, frozen, cancelled.
    Show(demand::ShowArguments),
}

pub(super) use balance::BalanceArguments;
pub(super) use transfer::TransferArguments;

/// Runs `miner key`.
pub(super) fn key(command: &KeyCommand) -> Result<ExitCode> {
    match command {
        KeyCommand::New(arguments) => key::new(arguments),
        KeyCommand::Show(arguments) => key::show(arguments),
        KeyCommand::Derive(arguments) => key::derive(arguments),
    }
}

/// Runs `miner network`.
pub(super) fn network(command: &NetworkCommand) -> Result<ExitCode> {
    match command {
        NetworkCommand::Init(arguments) => network::init(arguments),
        NetworkCommand::Join(arguments) => network::join(arguments),
        NetworkCommand::Show(arguments) => block_on(network::show(arguments)),
    }
}

/// Runs `miner offer`.
pub(super) fn offer(command: &OfferCommand) -> Result<ExitCode> {
    match command {
        OfferCommand::Publish(arguments) => block_on(offer::publish(arguments)),
        OfferCommand::Change(arguments) => block_on(offer::change(arguments)),
        OfferCommand::Withdraw(arguments) => block_on(offer::withdraw(arguments)),
    }
}

/// Runs `miner demand`.
pub(super) fn demand(command: &DemandCommand) -> Result<ExitCode> {
    match command {
        DemandCommand::Submit(arguments) => block_on(demand::submit(arguments)),
        DemandCommand::SubmitScenario(arguments) => block_on(demand::submit_scenario(arguments)),
        DemandCommand::Cancel(arguments) => block_on(demand::cancel(arguments)),
        DemandCommand::Show(arguments) => block_on(demand::show(arguments)),
    }
}

/// Runs `miner transfer`.
pub(super) fn transfer(arguments: &TransferArguments) -> Result<ExitCode> {
    block_on(transfer::run(arguments))
}

/// Runs `miner balance`.
pub(super) fn balance(arguments: &BalanceArguments) -> Result<ExitCode> {
    block_on(balance::run(arguments))
}

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// The running node to ask.
#[derive(Clone, Debug, Args)]
struct NodeArgument {
    /// The node on this machine: its node.toml, the directory that holds it, or its data directory.
    #[arg(long, value_name = "DIR", env = "MIZAN_NODE")]
    node: PathBuf,
}

impl NodeArgument {
    async fn connect(&self) -> Result<NodeClient> {
        Ok(NodeClient::connect(&self.node).await?)
    }
}

/// How a record is signed, handed in and waited for.
#[derive(Clone, Debug, Args)]
struct SubmitArguments {
    #[command(flatten)]
    node: NodeArgument,
    /// The author's key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Give up waiting after this many seconds.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
    /// For how many seconds from now on a batch may bring the record on chain.
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..))]
    valid_for: u64,
    /// The first sequence number; the next free one if absent. Only to fill or leave a gap on purpose.
    #[arg(long, value_name = "NUMBER")]
    sequence: Option<u64>,
    #[command(flatten)]
    output: OutputArguments,
}

impl SubmitArguments {
    fn key(&self) -> Result<SecretKey> {
        read_key(&self.key)
    }

    fn options(&self) -> SubmitOptions {
        SubmitOptions {
            sequence: self.sequence,
            valid_for: Duration::from_secs(self.valid_for),
            patience: self.patience(),
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// An amount of money on the command line: dollars with at most six decimals.
pub(in crate::cli) fn parse_money(text: &str) -> Result<Money, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// An address on the command line.
fn parse_address(text: &str) -> Result<Address, String> {
    let hint = "an address has 64 hexadecimal digits (`miner key show` tells it)";
    text.parse().map_err(|error| format!("{hint}: {error}"))
}

fn read_text(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_with_what_one_is() {
        let error = parse_address("abc").unwrap_err();
        assert!(error.starts_with("an address has 64 hexadecimal digits"), "{error}");
        assert_eq!(parse_address(&"ab".repeat(32)).unwrap().to_string(), "ab".repeat(32));
    }

    #[test]
    fn money_is_read_exactly() {
        assert_eq!(parse_money("12.5"), Ok(Money::from_micros(12_500_000)));
        assert_eq!(parse_money("4000000000.000001"), Ok(Money::from_micros(4_000_000_000_000_001)));
        for wrong in ["", "1.2345678", "ten", "1e3"] {
            assert!(parse_money(wrong).unwrap_err().contains("an amount in dollars"), "{wrong}");
        }
    }
}
