//! `miner scenario`: generate, validate, inspect.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use ga::prices::find_prices;
use scenarios::generate::{GenerateParameters, SiteParameters, generate};
use scenarios::inspect::Inspection;
use scenarios::{CapacityPrices, Scenario};

use super::output::{print, print_json};
use super::{OutputArguments, ScenarioArgument};

/// What to do with scenario files.
#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// Make a scenario from a seed, or make the one in FILE again from what it records.
    Generate(GenerateArguments),
    /// Check a file's form and content.
    Validate(ScenarioArgument),
    /// Show contents, bounds, where capacity is short, and a map.
    Inspect(InspectArguments),
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
    /// Where to write the file; stdout if absent.
    #[arg(long, value_name = "FILE")]
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
            let scenario = generate(&parameters(arguments)?)?;
            let json = scenario.to_json();
            match &arguments.out {
                Some(path) => {
                    std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
                }
                None => print(json.trim_end())?,
            }
        }
        ScenarioCommand::Validate(argument) => {
            let scenario = Scenario::load(&argument.scenario)?;
            let (providers, demands) =
                (scenario.instance.supply.providers.len(), scenario.instance.demands.len());
            let orders = scenario.instance.order_count();
            print(&format!(
                "{}: valid ({providers} providers, {demands} demands, {orders} orders)",
                scenario.name
            ))?;
        }
        ScenarioCommand::Inspect(arguments) => {
            let scenario = Scenario::load(&arguments.scenario.scenario)?;
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

fn prices(scenario: &Scenario) -> Result<CapacityPrices> {
    let instance = &scenario.instance;
    let capacities = instance.supply.capacities();
    if capacities.iter().all(Option::is_none) {
        return Ok(CapacityPrices::zero());
    }
    let (start, steps) = (CapacityPrices::zero(), scenario.search.hybrid.subgradient_steps);
    let cancel = AtomicBool::new(false);
    Ok(find_prices(&instance.supply, &instance.demands, &capacities, &start, steps, &cancel)?.prices)
}

fn parameters(arguments: &GenerateArguments) -> Result<GenerateParameters> {
    if let Some(path) = &arguments.again {
        let scenario = Scenario::load(path)?;
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
    Ok(parameters)
}
