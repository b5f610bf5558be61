//! `miner offer`: publish, change, withdraw.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use chain::Statement;
use clap::Args;

use super::report::{Entry, Wait, submit_and_report};
use super::{SubmitArguments, read_text};
use crate::cli::output::print;
use crate::client::submit::deposit;
use crate::client::{NodeClient, OfferDocument};

/// Arguments of `miner offer publish` and `change`.
#[derive(Debug, Args)]
pub(in crate::cli) struct WriteArguments {
    /// The offer (JSON): name, site, `capacity_minutes`, and offers (cost, minutes) by operation.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Wait until the offer is final.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    submit: SubmitArguments,
}

/// Arguments of `miner offer withdraw`.
#[derive(Debug, Args)]
pub(in crate::cli) struct WithdrawArguments {
    /// Wait until the withdrawal is final.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    submit: SubmitArguments,
}

pub(super) async fn publish(arguments: &WriteArguments) -> Result<ExitCode> {
    let mut client = arguments.submit.node.connect().await?;
    if offers_something(&mut client, arguments).await? {
        bail!("this key offers something already: use `miner offer change` to replace it");
    }
    write(&mut client, arguments).await
}

pub(super) async fn change(arguments: &WriteArguments) -> Result<ExitCode> {
    let mut client = arguments.submit.node.connect().await?;
    if !offers_something(&mut client, arguments).await? {
        bail!("this key offers nothing on chain yet: use `miner offer publish`");
    }
    write(&mut client, arguments).await
}

pub(super) async fn withdraw(arguments: &WithdrawArguments) -> Result<ExitCode> {
    let mut client = arguments.submit.node.connect().await?;
    let entry = Entry { name: None, statement: Statement::OfferWithdrawal };
    submit_and_report(&mut client, &arguments.submit, vec![entry], Wait::of(arguments.wait)).await
}

async fn offers_something(client: &mut NodeClient, arguments: &WriteArguments) -> Result<bool> {
    let account = client.account(arguments.submit.key()?.public().address()).await?;
    Ok(account.offer.is_some_and(|offer| !offer.operations.is_empty()))
}

async fn write(client: &mut NodeClient, arguments: &WriteArguments) -> Result<ExitCode> {
    let place = || format!("in {}", arguments.file.display());
    let document = OfferDocument::from_json(&read_text(&arguments.file)?).with_context(place)?;
    let facts = client.market().await?;
    let offer = document.statement(&facts).with_context(place)?;
    let account = client.account(arguments.submit.key()?.public().address()).await?;
    if let Some(deposit) =
        deposit(&facts, &offer, account.offer.as_ref()).filter(|_| !arguments.submit.output.json)
    {
        print(&format!(
            "deposit {deposit}, locked until the offer is withdrawn and settled; {} of it stays with the place",
            facts.offer_deposit
        ))?;
    }
    let entry = Entry { name: Some(document.name), statement: Statement::Offer(offer) };
    submit_and_report(client, &arguments.submit, vec![entry], Wait::of(arguments.wait)).await
}
