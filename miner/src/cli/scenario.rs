//! `miner scenario`: generate, validate, inspect, import.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use ga::prices::find_prices;
use scenarios::generate::{CalendarParameters, GenerateParameters, SiteParameters, generate};
use scenarios::inspect::{Concerns, Inspection};
use scenarios::{DualPrices, Money, Scenario};
use serde::Serialize;

use super::client::parse_money;
use super::output::{print, print_json};
use super::{OutputArguments, ScenarioArgument};
use crate::files::{load_scenario, read_file};

/// What to do with scenario files.
#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// Make a scenario from a seed, or make the one in FILE again from what it records.
    Generate(GenerateArguments),
    /// Check a file's form and content.
    ///
    /// Says too what stands in the way of serving every demand, as far as that shows without a search:
    /// operations that nobody offers, hopeless budgets, capacity that is too small. Such a file is valid.
    Validate(ValidateArguments),
    /// Show contents, bounds, where capacity is short, and a map.
    Inspect(InspectArguments),
    /// Make a scenario of a numbered instance, every number kept as it is.
    ///
    /// A numbered instance is a JSON object: `name`, `operations` (how many), `rate_milli_per_km` (transport),
    /// `providers` with `x_m`, `y_m` (metres), `cost_milli` and `minutes` (one entry for each operation, null
    /// where it is not offered) and `capacity_minutes` (null: unlimited), `demands` with `x_m`, `y_m` and
    /// `orders` (numbers of operations, from 0). With `periods` and `period_minutes`, capacities may be lists, an entry for each period, and
    /// demands have a `release` and a `due`. Money is in thousandths of a dollar. What is made up (names,
    /// budgets) and what is not taken (unknown fields) is said on stderr.
    Import(ImportArguments),
}

/// Arguments of `miner scenario generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// Make this scenario file again from the generator parameters it records.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tehran", "providers", "demands", "operations"])]
    again: Option<PathBuf>,
    /// One of the four problems around Tehran.
    #[arg(long, value_name = "1-4", value_parser = clap::value_parser!(u8).range(1..=4))]
    tehran: Option<u8>,
    /// With --tehran: limit capacities to 1.2 times the work.
    #[arg(long)]
    capacitated: bool,
    /// The scenario's name.
    #[arg(long)]
    name: Option<String>,
    /// Everything drawn at random follows from this number.
    #[arg(long)]
    rng_seed: Option<u64>,
    /// How many providers.
    #[arg(long)]
    providers: Option<u32>,
    /// How many demands.
    #[arg(long)]
    demands: Option<u32>,
    /// How many operations; every provider offers all of them.
    #[arg(long)]
    operations: Option<u32>,
    /// Orders of each demand.
    #[arg(long)]
    orders: Option<u32>,
    /// Side of the square window, in kilometres.
    #[arg(long)]
    window_km: Option<u32>,
    /// Where sites are drawn.
    #[arg(long)]
    sites: Option<SitesArgument>,
    /// Total capacity as a multiple of the work of a random assignment; unlimited if absent.
    #[arg(long, value_name = "FACTOR")]
    capacity: Option<f64>,
    /// Days in the calendar, the first a Saturday, of providers that work half of Thursday and not on Friday; no calendar if absent.
    #[arg(long)]
    days: Option<u32>,
    /// With --days: how many days each demand may be served in, from a day drawn at random; all if absent.
    #[arg(long, value_name = "DAYS", requires = "days")]
    window_days: Option<u32>,
    /// What each minute of processing and travel is worth to demanders, in dollars, at most 0.1; nothing if absent.
    #[arg(long, value_name = "DOLLARS", value_parser = parse_money)]
    value_of_minute: Option<Money>,
    /// Where to write the file; stdout if absent.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where sites are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SitesArgument {
    /// Around the real places near Tehran.
    Tehran,
    /// Anywhere in the window.
    Uniform,
}

/// Arguments of `miner scenario validate`.
#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    #[command(flatten)]
    scenario: ScenarioArgument,
    #[command(flatten)]
    output: OutputArguments,
}

/// What there is to say of a valid file.
#[derive(Debug, Serialize)]
struct Validation {
    name: String,
    providers: usize,
    demands: usize,
    orders: usize,
    concerns: Concerns,
}

/// Arguments of `miner scenario import`.
#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// A numbered instance (JSON).
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The scenario's name; the instance's own if absent.
    #[arg(long)]
    name: Option<String>,
    /// Where to write the scenario; stdout if absent.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `miner scenario inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    #[command(flatten)]
    scenario: ScenarioArgument,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn run(command: &ScenarioCommand) -> Result<ExitCode> {
    match command {
        ScenarioCommand::Generate(arguments) => {
            write(&generate(&parameters(arguments)?)?, arguments.out.as_deref())?;
        }
        ScenarioCommand::Validate(arguments) => validate(arguments)?,
        ScenarioCommand::Import(arguments) => import(arguments)?,
        ScenarioCommand::Inspect(arguments) => {
            let scenario = load_scenario(&arguments.scenario.scenario)?;
            let inspection = Inspection::new(&scenario, &prices(&scenario)?)?;
            if arguments.output.json {
                print_json(&inspection)?;
            } else {
                print(inspection.to_string().trim_end())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(scenario: &Scenario, path: Option<&Path>) -> Result<()> {
    let json = scenario.to_json();
    match path {
        Some(path) => std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display())),
        None => print(json.trim_end()),
    }
}

fn validate(arguments: &ValidateArguments) -> Result<()> {
    let scenario = load_scenario(&arguments.scenario.scenario)?;
    let validation = Validation {
        name: scenario.name.clone(),
        providers: scenario.instance.supply.providers.len(),
        demands: scenario.instance.demands.len(),
        orders: scenario.instance.order_count(),
        concerns: Concerns::new(&scenario),
    };
    if arguments.output.json {
        return print_json(&validation);
    }
    let Validation { name, providers, demands, orders, concerns } = validation;
    print(&format!("{name}: valid ({providers} providers, {demands} demands, {orders} orders)"))?;
    if concerns.is_empty() { Ok(()) } else { print(concerns.to_string().trim_end()) }
}

fn import(arguments: &ImportArguments) -> Result<()> {
    let bytes = read_file(&arguments.file)?;
    let imported = Scenario::import_numbered(&bytes, arguments.name.as_deref());
    let imported = imported.with_context(|| arguments.file.display().to_string())?;
    write(&imported.scenario, arguments.out.as_deref())?;
    imported.notes.iter().for_each(|note| eprintln!("{note}"));
    Ok(())
}

fn prices(scenario: &Scenario) -> Result<DualPrices> {
    let instance = &scenario.instance;
    let capacities = instance.supply.capacities();
    if capacities.iter().all(Option::is_none) {
        return Ok(DualPrices::zero());
    }
    let (start, steps) = (DualPrices::zero(), scenario.search.hybrid.subgradient_steps);
    let cancel = AtomicBool::new(false);
    Ok(find_prices(&instance.supply, &instance.demands, &capacities, &start, steps, &cancel)?.prices)
}

fn parameters(arguments: &GenerateArguments) -> Result<GenerateParameters> {
    if let Some(path) = &arguments.again {
        let scenario = load_scenario(path)?;
        return scenario
            .generator
            .with_context(|| format!("{} does not say how it was generated", path.display()));
    }
    let mut parameters = GenerateParameters::tehran(arguments.tehran.unwrap_or(1), arguments.capacitated)
        .context("problems 1 to 4 exist")?;
    if arguments.tehran.is_none() {
        parameters.paper_problem = None;
        parameters.name = "generated".into();
    } else if arguments.providers.or(arguments.demands).or(arguments.operations).is_some() {
        bail!("the sizes of the Tehran problems are fixed: leave --tehran out to choose your own");
    }
    let given = [
        (&mut parameters.providers, arguments.providers),
        (&mut parameters.demands, arguments.demands),
        (&mut parameters.operations, arguments.operations),
        (&mut parameters.orders_per_demand, arguments.orders.or(arguments.operations)),
        (&mut parameters.window_km, arguments.window_km),
    ];
    for (field, value) in given {
        *field = value.unwrap_or(*field);
    }
    if let Some(seed) = arguments.rng_seed {
        parameters.rng_seed = seed;
    }
    if let Some(name) = &arguments.name {
        parameters.name.clone_from(name);
    }
    if arguments.sites == Some(SitesArgument::Uniform) {
        parameters.sites = SiteParameters::Uniform;
    }
    if let Some(factor) = arguments.capacity {
        let ppm = 1e6 * factor;
        anyhow::ensure!((1.0..=1e12).contains(&ppm), "--capacity takes a factor above 0, such as 1.2");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        let ppm = ppm.round() as u64;
        parameters.capacity_ppm = Some(ppm);
    }
    if let Some(value) = arguments.value_of_minute {
        parameters.value_of_minute = value;
    }
    if let Some(days) = arguments.days {
        parameters.calendar = Some(CalendarParameters { days, window_days: arguments.window_days });
    }
    Ok(parameters)
}
