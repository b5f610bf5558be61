//! `miner demand`: submit, cancel, show.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use chain::genesis::scenario_demand_records;
use chain::{DemandId, Hash, Record, RecordId, Statement};
use clap::Args;
use miner_api::{DemandStanding, MarketFacts, Refusal};
use scenarios::{Money, Period};
use serde::Serialize;

use super::report::{Entry, Wait, render_demand, submit_and_report};
use super::{NodeArgument, SubmitArguments, parse_money, read_text};
use crate::cli::OutputArguments;
use crate::cli::output::{print, print_json};
use crate::client::DemandDocument;
use crate::client::documents::SiteDocument;
use crate::driver::wall_ms;
use crate::files::load_scenario;

/// Arguments of `miner demand submit`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SubmitDemandArguments {
    /// The demand, or a list of them (JSON): name, site, orders by operation, budget, `solver_fee`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["orders", "budget", "x", "y", "place", "name", "solver_fee", "release", "due"])]
    file: Option<PathBuf>,
    /// Without --file: the operations, in the order in which they must be done.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', required_unless_present = "file")]
    orders: Vec<String>,
    /// Without --file: the most to pay for the composition, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = parse_money, required_unless_present = "file")]
    budget: Option<Money>,
    /// Without --file: metres east of the market's origin.
    #[arg(long, value_name = "METRES", default_value_t = 0, allow_negative_numbers = true)]
    x: i64,
    /// Without --file: metres north of the market's origin.
    #[arg(long, value_name = "METRES", default_value_t = 0, allow_negative_numbers = true)]
    y: i64,
    /// Without --file, on a market with a distance matrix: the place, from 0.
    #[arg(long, value_name = "ROW", conflicts_with_all = ["x", "y"])]
    place: Option<u32>,
    /// Without --file: a name for people.
    #[arg(long, default_value = "unnamed")]
    name: String,
    /// Without --file: paid to solvers on top, in dollars; the least allowed if absent.
    #[arg(long, value_name = "DOLLARS", value_parser = parse_money)]
    solver_fee: Option<Money>,
    /// Without --file, on a market with a calendar: the first period, by number, in which an order may be done.
    #[arg(long, value_name = "PERIOD")]
    release: Option<u32>,
    /// Without --file, on a market with a calendar: the last period, by number, in which an order may be done.
    #[arg(long, value_name = "PERIOD")]
    due: Option<u32>,
    /// How many seconds it stays in the market unless it is composed; then it leaves and its escrow returns. A day if
    /// absent, or the longest that the market allows if that is less or it is due in some period; when that cannot be planned any more it
    /// leaves anyway.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    expires_in: Option<u64>,
    /// Wait until the demand is final on chain, or until it is composed.
    #[arg(long, value_name = "final|composed", num_args = 0..=1, default_missing_value = "final")]
    wait: Option<Wait>,
    #[command(flatten)]
    submit: SubmitArguments,
}

/// Arguments of `miner demand submit-scenario`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SubmitScenarioArguments {
    /// The scenario file that the network was made from.
    #[arg(value_name = "FILE")]
    scenario: PathBuf,
    /// The number given to `miner network init`.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    #[command(flatten)]
    node: NodeArgument,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner demand cancel`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CancelArguments {
    /// The demand's id, as printed when it was submitted.
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    demand: DemandId,
    /// Wait until the cancellation is final.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    submit: SubmitArguments,
}

/// Arguments of `miner demand show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArguments {
    /// The demand's id, as printed when it was submitted.
    #[arg(value_name = "ID", value_parser = parse_id)]
    demand: DemandId,
    #[command(flatten)]
    node: NodeArgument,
    #[command(flatten)]
    output: OutputArguments,
}

/// How long a demand stays in the market unless its author says otherwise.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Records handed in with one request, far below what one may hold: a demand has up to 256 orders.
const SCENARIO_BATCH: usize = 500;

fn parse_id(text: &str) -> Result<RecordId, String> {
    let id: Result<Hash, _> = text.parse();
    id.map(RecordId).map_err(|error| format!("an id has 64 hexadecimal digits: {error}"))
}

pub(super) async fn submit(arguments: &SubmitDemandArguments) -> Result<ExitCode> {
    let mut client = arguments.submit.node.connect().await?;
    let facts = client.market().await?;
    let mut entries = Vec::new();
    for document in documents(arguments)? {
        let expires_ms = expiry(arguments.expires_in, document.due.is_some(), &facts)?;
        let statement = document
            .statement(&facts, expires_ms)
            .with_context(|| format!("demand \"{}\" cannot be submitted", document.name))?;
        entries.push(Entry { name: Some(document.name), statement: Statement::Demand(statement) });
    }
    submit_and_report(&mut client, &arguments.submit, entries, arguments.wait).await
}

/// When a demand submitted now expires. One that is due leaves in any case when its last period cannot be planned any more.
fn expiry(expires_in: Option<u64>, is_due: bool, facts: &MarketFacts) -> Result<u64> {
    let longest = facts.demand_lifetime_max_ms;
    // The clock of whoever dates its batch may be behind this one.
    let unasked = if is_due { longest - (longest / 10).min(60_000) } else { DAY_MS.min(longest) };
    let lifetime = expires_in.map_or(unasked, |seconds| seconds.saturating_mul(1_000));
    if lifetime > longest {
        bail!(
            "this market lets a demand stay open for at most {} seconds: name no more with --expires-in",
            longest / 1_000
        );
    }
    Ok(now_ms().saturating_add(lifetime))
}

fn now_ms() -> u64 {
    wall_ms()
}

fn documents(arguments: &SubmitDemandArguments) -> Result<Vec<DemandDocument>> {
    if let Some(file) = &arguments.file {
        let place = || format!("in {}", file.display());
        return DemandDocument::many_from_json(&read_text(file)?).with_context(place);
    }
    let SubmitDemandArguments { x, y, place, budget, solver_fee, release, due, .. } = *arguments;
    let site = place.map_or(SiteDocument::Point { x_m: x, y_m: y }, |place| SiteDocument::Place { place });
    Ok(vec![DemandDocument {
        name: arguments.name.clone(),
        site,
        orders: arguments.orders.clone(),
        budget: budget.context("name a --budget")?,
        solver_fee,
        release: release.map(Period),
        due: due.map(Period),
    }])
}

/// What was handed in of a scenario.
#[derive(Debug, Serialize)]
struct ScenarioReport {
    demands: Vec<DemandId>,
    refused: Vec<Refusal>,
}

pub(super) async fn submit_scenario(arguments: &SubmitScenarioArguments) -> Result<ExitCode> {
    let scenario = load_scenario(&arguments.scenario)?;
    let mut client = arguments.node.connect().await?;
    let facts = client.market().await?;
    let (seed, fee_ppm) = (arguments.rng_seed, facts.solver_fee_ppm);
    // The same records whoever submits them and when, as long as the network is young enough.
    let expires_ms = Some(facts.first_expiry_ms).filter(|&first| first > now_ms());
    let expires_ms = expires_ms.unwrap_or_else(|| now_ms().saturating_add(facts.demand_lifetime_max_ms));
    let records = scenario_demand_records(&scenario.instance, facts.network, seed, fee_ppm, expires_ms);
    let demands = records.iter().map(Record::id).collect();
    let mut report = ScenarioReport { demands, refused: Vec::new() };
    for batch in records.chunks(SCENARIO_BATCH) {
        report.refused.extend(client.submit(batch.to_vec()).await?.refusals().cloned());
    }
    if arguments.output.json {
        print_json(&report)?;
    } else {
        let (all, refused) = (report.demands.len(), report.refused.len());
        print(&format!("{} demands in the pool, {refused} refused", all - refused))?;
        if let Some(refusal) = report.refused.first() {
            print(&format!("  the first ({}): {}", refusal.rule, refusal.reason))?;
        }
    }
    Ok(if report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn cancel(arguments: &CancelArguments) -> Result<ExitCode> {
    let mut client = arguments.submit.node.connect().await?;
    let statement = Statement::DemandCancellation { demand: arguments.demand };
    let entry = Entry { name: Some(format!("of {}", arguments.demand)), statement };
    submit_and_report(&mut client, &arguments.submit, vec![entry], Wait::of(arguments.wait)).await
}

pub(super) async fn show(arguments: &ShowArguments) -> Result<ExitCode> {
    let mut client = arguments.node.connect().await?;
    let reports = client.demands(&[arguments.demand]).await?;
    let report = reports.first().context("the node gave no answer")?;
    if arguments.output.json {
        print_json(report)?;
    } else {
        print(&render_demand(report, now_ms()))?;
    }
    let is_known = !matches!(report.standing, DemandStanding::Unknown);
    Ok(if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
