//! `miner balance`: what an address has.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use chain::Address;
use clap::Args;
use miner_api::{AccountReport, OfferedOperation};

use super::report::minutes;
use super::{NodeArgument, parse_address};
use crate::cli::OutputArguments;
use crate::cli::output::{print, print_json};
use crate::driver::read_key;

/// Arguments of `miner balance`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BalanceArguments {
    #[command(flatten)]
    node: NodeArgument,
    /// Whose: the account of this key file.
    #[arg(long, value_name = "FILE", required_unless_present = "address")]
    key: Option<PathBuf>,
    /// Whose: this address.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "key", value_parser = parse_address)]
    address: Option<Address>,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) async fn run(arguments: &BalanceArguments) -> Result<ExitCode> {
    let address = match &arguments.key {
        Some(file) => read_key(file)?.public().address(),
        None => arguments.address.context("name a --key or an --address")?,
    };
    let account = arguments.node.connect().await?.account(address).await?;
    if arguments.output.json {
        print_json(&account)?;
    } else {
        print(&render(&account))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn operation(offered: &OfferedOperation) -> String {
    format!("          {} for {} in {}", offered.operation, offered.cost, minutes(offered.minutes))
}

fn render(account: &AccountReport) -> String {
    let mut lines = vec![
        format!("address   {}", account.address),
        format!("balance   {} at height {}, {} to spend", account.balance, account.height, account.spendable),
        format!("held      {} for demands that are not settled", account.held),
        format!("sequence  {} is next", account.next_sequence),
    ];
    if let Some(offer) = &account.offer {
        let capacity =
            offer.capacity.map_or_else(|| "any number of".to_owned(), |capacity| capacity.to_string());
        let used = offer.used;
        let deposit = offer.deposit;
        lines.push(format!("provider  {}: {used} of {capacity} minutes used, deposit {deposit}", offer.name));
        lines.extend(offer.operations.iter().map(operation));
        if let Some(announced) = &offer.announced {
            let what = if announced.operations.is_empty() { "nothing any more" } else { "instead" };
            lines.push(format!("announced {what}, in {} ms at the earliest", announced.in_ms));
            lines.extend(announced.operations.iter().map(operation));
        }
    }
    for record in &account.pending {
        let waits = record.waits_for.as_ref().map_or(String::new(), |why| format!(": waits, {why}"));
        lines.push(format!(
            "pending   {} {} (sequence {}){waits}",
            record.kind, record.record, record.sequence
        ));
    }
    lines.join("\n")
}
