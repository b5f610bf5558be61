//! `miner network`: init, join, show.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use chain::PublicKey;
use chain::consensus::Power;
use clap::Args;
use miner_api::{CalendarFacts, MarketFacts, NodeStatus, Voting};
use scenarios::{CostRules, Horizon, Money};
use serde::Serialize;

use super::{NodeArgument, parse_money};
use crate::cli::OutputArguments;
use crate::cli::output::{print, print_json};
use crate::client::found::{
    Founded, FoundingCalendar, FoundingMarket, FoundingPlan, JoiningPlan, found, join as write_joining,
    loopback_addresses,
};
use crate::driver::{BootstrapPeer, wall_ms};
use crate::files::load_scenario;

/// Arguments of `miner network init`.
#[derive(Debug, Args)]
pub(in crate::cli) struct InitArguments {
    /// How many nodes; as many as there are --host if absent.
    #[arg(long, value_name = "N", required_unless_present = "host")]
    nodes: Option<usize>,
    /// The directory to write; it must be new or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where each node can be reached, in order: `192.0.2.1:7400` or `[2001:db8::1]:7400`.
    #[arg(long, value_name = "ADDRESS:PORT", value_delimiter = ',', num_args = 1.., value_parser = parse_host,
          conflicts_with = "base_port")]
    host: Vec<SocketAddr>,
    /// Without --host all nodes are on this machine (127.0.0.1), on ports from here on.
    #[arg(long, value_name = "PORT", default_value_t = 7_400, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
    /// How many of the nodes vote, the first ones; all if absent.
    #[arg(long, value_name = "M")]
    validators: Option<usize>,
    /// How many votes each of the first nodes has, where they are not to have one each; the others have none.
    #[arg(long, value_name = "VOTES", value_delimiter = ',', num_args = 1.., conflicts_with = "validators",
          value_parser = clap::value_parser!(u64).range(1..))]
    powers: Option<Vec<Power>>,
    /// Nodes talk to each other only: each gets an allow-list of all keys.
    #[arg(long)]
    private: bool,
    /// Have miners commit to their blocks before they show them, so that nobody gains by copying what it sees; every node
    /// is given 100 $ to pay for its bytes. Not needed where all miners trust each other.
    #[arg(long)]
    commit_reveal: bool,
    /// Start with this scenario's offers, and its demanders' balances.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["operations", "name", "rate_per_km", "value_of_minute", "deliver", "periods"])]
    scenario: Option<PathBuf>,
    /// With --scenario: the keys of its demanders and providers follow from this number.
    #[arg(long, default_value_t = 1)]
    rng_seed: u64,
    /// Without --scenario: names of the operations.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', required_unless_present = "scenario")]
    operations: Vec<String>,
    /// Without --scenario: the network's name.
    #[arg(long, default_value = "market")]
    name: String,
    /// Without --scenario: transport, in dollars per kilometre.
    #[arg(long, value_name = "DOLLARS", default_value = "0.1", value_parser = parse_money)]
    rate_per_km: Money,
    /// Without --scenario: what each minute of processing and travel is worth to demanders, in dollars, at most 0.1.
    #[arg(long, value_name = "DOLLARS", default_value = "0", value_parser = parse_money)]
    value_of_minute: Money,
    /// Without --scenario: transport includes the leg to the demander.
    #[arg(long)]
    deliver: bool,
    /// Without --scenario: divide time into periods, of which so many can be planned, 1 to 128; if absent capacities are for ever.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=128))]
    periods: Option<u32>,
    /// With --periods: how long each lasts, in minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 1440, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    period_minutes: u32,
    /// With --periods: how long each lasts, in seconds, if not as long as its minutes: to see days go by.
    #[arg(long, value_name = "SECONDS", requires = "periods", value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    period_seconds: Option<u32>,
    /// What the treasury key owns at the start, in dollars: it gives new customers their first money.
    #[arg(long, value_name = "DOLLARS", default_value = "1000000", value_parser = parse_money)]
    grant: Money,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner network join`.
#[derive(Debug, Args)]
pub(in crate::cli) struct JoinArguments {
    /// The network's genesis.bin.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Where the new node can be reached.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_host)]
    host: SocketAddr,
    /// Nodes of the network to connect to first, and the key to expect there where it is known.
    #[arg(long, value_name = "[KEY@]ADDRESS:PORT", value_delimiter = ',', num_args = 1.., required = true)]
    bootstrap: Vec<BootstrapPeer>,
    /// In a private network: the public keys of the nodes to talk to.
    #[arg(long, value_name = "KEY", value_delimiter = ',', num_args = 1..)]
    allow: Vec<PublicKey>,
    /// The directory to write; it must be new or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// Arguments of `miner network show`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArguments {
    #[command(flatten)]
    node: NodeArgument,
    #[command(flatten)]
    output: OutputArguments,
}

/// Where a node can be reached. Names are no help: a node's identity is its key, and its address is stated
/// to all others, wherever they ask.
fn parse_host(text: &str) -> Result<SocketAddr, String> {
    let hint = "a numeric address and a port, such as 192.0.2.1:7400 or [2001:db8::1]:7400";
    text.parse().map_err(|error| format!("{error}; expected {hint}"))
}

pub(super) fn init(arguments: &InitArguments) -> Result<ExitCode> {
    let addresses = addresses(arguments)?;
    let market = match &arguments.scenario {
        Some(file) => FoundingMarket::Scenario {
            scenario: Box::new(load_scenario(file)?),
            rng_seed: arguments.rng_seed,
        },
        None => FoundingMarket::Empty {
            name: arguments.name.clone(),
            operations: operations(arguments)?,
            rules: CostRules {
                rate_per_km: arguments.rate_per_km,
                value_of_minute: arguments.value_of_minute,
                metres_per_minute: 500,
                deliver: arguments.deliver,
            },
            calendar: arguments.periods.map(|periods| FoundingCalendar {
                periods,
                period_minutes: arguments.period_minutes.into(),
                period_ms: arguments
                    .period_seconds
                    .map_or(u64::from(arguments.period_minutes) * 60, u64::from)
                    .saturating_mul(1_000),
            }),
        },
    };
    let plan = FoundingPlan {
        powers: arguments
            .powers
            .clone()
            .unwrap_or_else(|| vec![1; arguments.validators.unwrap_or(addresses.len())]),
        addresses,
        private: arguments.private,
        commit_reveal: arguments.commit_reveal,
        market,
        grant: arguments.grant,
        timestamp_ms: wall_ms(),
    };
    let founded = found(&plan, &arguments.out)?;
    if arguments.output.json {
        print_json(&founded)?;
    } else {
        print(&render_founded(&founded))?;
        if arguments.scenario.is_some() {
            eprintln!(
                "note: the keys of the scenario's demanders and providers follow from --rng-seed {}: anyone can \
                 compute them (`miner key derive`), so this is a network for tests",
                arguments.rng_seed
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn addresses(arguments: &InitArguments) -> Result<Vec<SocketAddr>> {
    let nodes = arguments.nodes.unwrap_or(arguments.host.len());
    if arguments.host.is_empty() {
        ensure!(nodes > 0, "a network has at least one node");
        return loopback_addresses(nodes, arguments.base_port)
            .with_context(|| format!("there are no {nodes} ports from {} on", arguments.base_port));
    }
    let hosts = arguments.host.len();
    ensure!(nodes == hosts, "--nodes {nodes} needs as many --host, got {hosts}");
    validate_families(&arguments.host)?;
    Ok(arguments.host.clone())
}

/// A node has one socket, of the family of its address, and reaches nobody of the other.
fn validate_families(addresses: &[SocketAddr]) -> Result<()> {
    let of_family = |is_ipv6| addresses.iter().find(|address| address.is_ipv6() == is_ipv6);
    if let (Some(ipv4), Some(ipv6)) = (of_family(false), of_family(true)) {
        bail!(
            "{ipv4} (IPv4) and {ipv6} (IPv6) cannot reach each other: give every node an address of the same family"
        );
    }
    Ok(())
}

fn operations(arguments: &InitArguments) -> Result<Vec<String>> {
    let names: BTreeSet<&String> = arguments.operations.iter().collect();
    ensure!(names.len() == arguments.operations.len(), "--operations names an operation twice");
    if arguments.operations.iter().any(|name| name.trim().is_empty()) {
        bail!("--operations has an empty name");
    }
    Ok(arguments.operations.clone())
}

fn render_founded(founded: &Founded) -> String {
    let mut lines = vec![
        format!("network   {} ({})", founded.network, founded.name),
        format!("genesis   {}", founded.genesis.display()),
        format!(
            "treasury  {} owns {} (address {})",
            founded.treasury.key_file.display(),
            founded.treasury.balance,
            founded.treasury.address
        ),
    ];
    for node in &founded.nodes {
        let vote = if node.is_validator { "votes" } else { "does not vote" };
        lines.push(format!("node {}    {} {vote}, key {}", node.number, node.address, node.key));
    }
    lines.push("start each node where it lives, the first time with --first-run:".into());
    let commands = founded
        .nodes
        .iter()
        .map(|node| format!("  miner run --config {} --first-run", node.config.display()));
    lines.extend(commands);
    lines.join("\n")
}

pub(super) fn join(arguments: &JoinArguments) -> Result<ExitCode> {
    let bootstrap = arguments.bootstrap.iter().map(|peer| peer.address);
    validate_families(&bootstrap.chain([arguments.host]).collect::<Vec<_>>())?;
    let plan = JoiningPlan {
        genesis: arguments.genesis.clone(),
        address: arguments.host,
        bootstrap_peers: arguments.bootstrap.clone(),
        allow_list: (!arguments.allow.is_empty()).then(|| arguments.allow.iter().copied().collect()),
    };
    let node = write_joining(&plan, &arguments.out)?;
    if arguments.output.json {
        print_json(&node)?;
    } else {
        let config = node.config.display();
        print(&format!(
            "node      {} does not vote, key {}\nstart it:\n  miner run --config {config}",
            node.address, node.key
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a running node knows of its network.
#[derive(Debug, Serialize)]
struct ShowReport {
    market: MarketFacts,
    node: NodeStatus,
}

pub(super) async fn show(arguments: &ShowArguments) -> Result<ExitCode> {
    let mut client = arguments.node.connect().await?;
    let report = ShowReport { market: client.market().await?, node: client.status().await? };
    if arguments.output.json {
        print_json(&report)?;
    } else {
        print(&render_show(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render_show(report: &ShowReport) -> String {
    let ShowReport { market, node } = report;
    let votes = if node.voting == Voting::Always { "votes" } else { "does not vote" };
    let mining = if node.is_mining { "mines" } else { "does not mine" };
    let mut lines = vec![
        format!("network     {} ({})", market.network, market.name),
        format!("operations  {}", market.operations.join(", ")),
        format!("providers   {}", market.providers),
        format!("demands     {} open, {} composed", node.open_demands, node.composed_demands),
        format!("validators  {}", node.validators),
        format!("head age    {} s", node.head_age_ms / 1_000),
        format!("this node   {} ({votes}, {mining})", node.node),
        format!("peers       {}", node.peers),
        format!("height      {} (batch {})", node.height, node.head),
        format!("pool        {} records", node.pool_records),
    ];
    if let Some(calendar) = market.calendar {
        lines.insert(2, format!("calendar    {}", planned(market.horizon, calendar, wall_ms())));
    }
    if matches!(node.voting, Voting::From { .. } | Voting::Forgotten) {
        lines.push(format!("vote        {}", node.voting));
    }
    lines.join("\n")
}

/// Which periods can be planned, how long they are, and how much longer the first can be.
fn planned(horizon: Horizon, calendar: CalendarFacts, now_ms: u64) -> String {
    let Horizon { first, .. } = horizon;
    let CalendarFacts { start_ms, period_ms, frozen_zone_ms } = calendar;
    let begins_ms = start_ms.saturating_add(period_ms.saturating_mul(first.0.into()));
    format!(
        "{first} to {} can be planned, each of {} s; the first for {} s more",
        horizon.last(),
        period_ms / 1_000,
        begins_ms.saturating_sub(frozen_zone_ms).saturating_sub(now_ms) / 1_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenarios::Period;

    #[test]
    fn people_read_what_can_be_planned_and_for_how_long() {
        let horizon = Horizon { first: Period(3), periods: 4, period_minutes: Some(480) };
        let calendar = CalendarFacts { start_ms: 1_000, period_ms: 60_000, frozen_zone_ms: 10_000 };
        let said = planned(horizon, calendar, 130_000);
        assert_eq!(said, "period 3 to period 6 can be planned, each of 60 s; the first for 41 s more");
        assert!(planned(horizon, calendar, 200_000).ends_with("for 0 s more"));
    }

    #[test]
    fn addresses_that_cannot_reach_each_other_are_named() {
        let hosts = |texts: [&str; 2]| texts.map(|text| parse_host(text).expect("an address"));
        assert!(validate_families(&hosts(["192.0.2.1:7400", "127.0.0.1:7400"])).is_ok());
        let mixed = validate_families(&hosts(["[2001:db8::1]:7400", "192.0.2.1:7400"])).unwrap_err();
        let told = "192.0.2.1:7400 (IPv4) and [2001:db8::1]:7400 (IPv6) cannot reach each other";
        assert!(mixed.to_string().starts_with(told), "{mixed}");
    }
}
