//! `miner transfer`: money from a key's account to an address.

use std::process::ExitCode;

use anyhow::Result;
use chain::{Address, Statement};
use clap::Args;
use scenarios::Money;

use super::report::{Entry, Wait, submit_and_report};
use super::{SubmitArguments, parse_address, parse_money};

/// Arguments of `miner transfer`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TransferArguments {
    /// To whom: an address of 64 hexadecimal digits (`miner key show`).
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    to: Address,
    /// How much, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = parse_money)]
    amount: Money,
    /// Wait until the transfer is final.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    submit: SubmitArguments,
}

pub(super) async fn run(arguments: &TransferArguments) -> Result<ExitCode> {
    let mut client = arguments.submit.node.connect().await?;
    let TransferArguments { to, amount, .. } = *arguments;
    let name = Some(format!("{amount} to {}", to.short()));
    let entry = Entry { name, statement: Statement::Transfer { to, amount } };
    submit_and_report(&mut client, &arguments.submit, vec![entry], Wait::of(arguments.wait)).await
}
