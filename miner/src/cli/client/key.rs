//! `miner key`: new, show, derive. The secret is never printed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use chain::genesis::scenario::{demander_key, provider_key};
use chain::{Address, PublicKey, SecretKey};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::cli::OutputArguments;
use crate::cli::output::{print, print_json};
use crate::client::found::draw_key;
use crate::driver::{read_key, write_key};

/// Arguments of `miner key new`.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewArguments {
    /// Where to write the key; nothing is overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner key show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArguments {
    /// The key file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner key derive`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeriveArguments {
    /// Whose key.
    #[arg(long)]
    role: Role,
    /// Its position in the scenario, from 0.
    #[arg(long)]
    index: u64,
    /// The number given to `miner network init`.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// Where to write the key; nothing is overwritten.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// A part that a scenario gives.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Demander,
    Provider,
}

/// What may be known of a key.
#[derive(Debug, Serialize)]
struct KeyReport<'a> {
    file: &'a Path,
    public_key: PublicKey,
    address: Address,
}

pub(super) fn new(arguments: &NewArguments) -> Result<ExitCode> {
    let key = draw_key()?;
    write_key(&arguments.out, &key)?;
    tell(&arguments.out, &key, arguments.output)
}

pub(super) fn show(arguments: &ShowArguments) -> Result<ExitCode> {
    tell(&arguments.file, &read_key(&arguments.file)?, arguments.output)
}

pub(super) fn derive(arguments: &DeriveArguments) -> Result<ExitCode> {
    let key = match arguments.role {
        Role::Demander => demander_key(arguments.rng_seed, arguments.index),
        Role::Provider => provider_key(arguments.rng_seed, arguments.index),
    };
    write_key(&arguments.out, &key)?;
    tell(&arguments.out, &key, arguments.output)
}

fn tell(file: &Path, key: &SecretKey, output: OutputArguments) -> Result<ExitCode> {
    let public_key = key.public();
    let report = KeyReport { file, public_key, address: public_key.address() };
    if output.json {
        print_json(&report)?;
    } else {
        print(&format!(
            "file        {}\npublic key  {}\naddress     {}",
            file.display(),
            report.public_key,
            report.address
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
