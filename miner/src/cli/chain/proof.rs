//! `miner chain prove` and `miner verify-proof`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use chain::{Genesis, NetworkId, Proven};
use clap::Args;

use super::super::OutputArguments;
use super::super::output::{Progress, print, print_json};
use super::inspect::place;
use super::{NodeArgument, refused, write_json};
use crate::chain_tools::ProofFile;
use crate::chain_tools::proof::{PROOF_FILE_BYTES, ProveError};

/// Arguments of `miner chain prove`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ProveArguments {
    #[command(flatten)]
    node: NodeArgument,
    /// The demand: its id, the first digits of it (at least 8), or its name.
    #[arg(long, value_name = "ID|NAME")]
    demand: String,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner verify-proof`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyProofArguments {
    /// A proof file, as `miner chain prove` writes it.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The id of the network the proof must be about.
    #[arg(long, value_name = "ID", conflicts_with = "genesis")]
    network: Option<String>,
    /// The genesis file of the network the proof must be about.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn prove(arguments: &ProveArguments) -> Result<ExitCode> {
    let chain = arguments.node.open()?;
    let (progress, last) = (Progress::start("verifying"), chain.store.height());
    let made = chain.prove(&arguments.demand, |done| {
        progress.now(format!("batch {} of {last}", done.ledger().head().height));
    });
    drop(progress);
    let proof = match made {
        Ok(proof) => proof,
        Err(ProveError::Chain(error)) => return Ok(refused(&error)),
        Err(error) => return Err(error.into()),
    };
    // What is handed out has been checked the way its reader will.
    let proven = proof.verify(chain.network.id()).context("the proof made does not verify")?;
    write_json(&arguments.out, &ProofFile::from(&proof))?;
    if arguments.output.json {
        print_json(&proven)?;
    } else {
        let (demand, height, out) = (proven.demand, proven.current_after, arguments.out.display());
        print(&format!(
            "proof that demand {demand} is composed, as of the state after height {height}, in {out}"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn verify_proof(arguments: &VerifyProofArguments) -> Result<ExitCode> {
    let trusted = trusted_network(arguments)?;
    let file = read_proof(&arguments.proof)?;
    let proven = match verify(file, trusted) {
        Ok(proven) => proven,
        Err(error) => {
            eprintln!("error: {} proves nothing: {error}", arguments.proof.display());
            return Ok(ExitCode::FAILURE);
        }
    };
    if arguments.output.json {
        print_json(&proven)?;
    } else {
        print(&words(&proven, trusted.is_some()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Without a trusted network the proof holds for whatever network it is about.
fn verify(file: ProofFile, trusted: Option<NetworkId>) -> Result<Proven> {
    let proof = file.into_proof()?;
    Ok(proof.verify(trusted.unwrap_or_else(|| proof.network()))?)
}

fn trusted_network(arguments: &VerifyProofArguments) -> Result<Option<NetworkId>> {
    if let Some(text) = &arguments.network {
        let id =
            text.parse().with_context(|| format!("{text:?} is no network id (64 hexadecimal digits)"))?;
        return Ok(Some(NetworkId(id)));
    }
    let Some(path) = &arguments.genesis else { return Ok(None) };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let genesis = Genesis::from_bytes(&bytes).with_context(|| format!("{} is no genesis", path.display()))?;
    Ok(Some(genesis.network_id()))
}

fn read_proof(path: &Path) -> Result<ProofFile> {
    let context = || format!("cannot read {}", path.display());
    let bytes = std::fs::metadata(path).with_context(context)?.len();
    if bytes > PROOF_FILE_BYTES {
        bail!("{} has {bytes} bytes, a proof has at most {PROOF_FILE_BYTES}", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(context)?;
    serde_json::from_str(&text).with_context(|| format!("{} is no proof file", path.display()))
}

/// What a proof that holds proves, for people.
fn words(proven: &Proven, is_trusted: bool) -> String {
    let (composition, entry) = (&proven.composition, &proven.entry);
    let (votes, validators, quorum) = proven.votes;
    let status = proven.settled_at.map_or_else(
        || "standing, not yet settled".to_owned(),
        |height| format!("settled for good at height {height}"),
    );
    let providers: Vec<String> = composition.slots.iter().copied().map(place).collect();
    let mut lines = vec![
        "The proof holds. It proves:".to_owned(),
        format!(
            "- Demand {} ({:?}, {} orders, budget {} $)",
            proven.demand,
            entry.demand.name,
            entry.demand.orders.len(),
            entry.demand.budget
        ),
        format!("  was composed in batch {} at height {}", proven.batch, proven.height),
        format!("  by miner {}", proven.miner),
        format!("  at a cost of {} $ with providers {}.", composition.cost, providers.join(" ")),
        format!("- The batch is final: {votes} of {validators} validators signed it, {quorum} are needed."),
        format!("- In the state after height {}, whose root batch {}", proven.current_after, proven.head),
        format!(
            "  of height {} says, nothing has replaced this composition; it is {status}.",
            proven.head_height
        ),
    ];
    let (name, network) = (&proven.network_name, proven.network);
    lines.push(if is_trusted {
        format!("- The network is the one you named: {name:?}, {network}.")
    } else {
        format!("All this on the network {name:?} with the id\n  {network}\nCompare the id with the one you trust.")
    });
    lines.join("\n")
}
