//! A comparison as text: one table like paper A's table 8, then blocks, refusals and checks.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use scenarios::Money;

use super::report::{Comparison, NetworkRun};
use miner_node::strategy::Strategy;

/// The whole report of one comparison.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut parts = vec![heading(comparison), costs(comparison).to_string(), notes(comparison)];
    for network in &comparison.networks {
        parts.push(format!("Blocks of the network of {}", describe(network)));
        parts.push(blocks(network).to_string());
        parts.push(refusals(network));
        parts.push(checks(network));
    }
    parts.join("\n")
}

fn heading(comparison: &Comparison) -> String {
    let (providers, demands, orders) = comparison.size;
    format!(
        "\n{} - profile {} - {providers} providers, {demands} demands, {orders} orders",
        comparison.scenario,
        format!("{:?}", comparison.profile).to_lowercase()
    )
}

/// The columns of the table of costs; those that say nothing in a comparison are left out.
const COLUMNS: [&str; 13] = [
    "",
    "cost $",
    "gap to\nbound %",
    "first\ncost $",
    "first\ngap %",
    "composed\nanew",
    "solving\nCPU s",
    "wall s",
    "improvement\ncost %",
    "improvement\ntime %",
    "split solved\nexactly $",
    "paper A\ncost $",
    "paper A\ns",
];

fn costs(comparison: &Comparison) -> Table {
    let gap = |cost: Money| Some(format!("{:.2}", comparison.bound.gap_percent(cost)));
    let dollars = |cost: Money| Some(format!("{cost:.0}"));
    let published = |solvers: usize| {
        let found = comparison.published.iter().find(|result| result.solvers as usize == solvers);
        let cost = found.and_then(|result| dollars(result.cost));
        [cost, found.map(|result| format!("{:.1}", result.seconds))]
    };
    let central = &comparison.central;
    let [published_cost, published_seconds] = published(1);
    let named = |name: &str, cost: Money| {
        let mut row = vec![Some(name.to_owned()), dollars(cost), gap(cost)];
        row.resize(COLUMNS.len(), None);
        row
    };
    let mut rows = vec![named("random assignment (mean)", comparison.random)];
    rows.push(vec![
        Some(with_unserved("centralised GA", central.unserved)),
        dollars(central.cost),
        gap(central.cost),
        None,
        None,
        None,
        Some(format!("{:.2}", central.cpu_seconds)),
        Some(format!("{:.2}", central.wall_seconds)),
        None,
        None,
        None,
        published_cost,
        published_seconds,
    ]);
    for network in &comparison.networks {
        let [published_cost, published_seconds] = published(network.miners);
        let is_amended = network.amended > 0;
        rows.push(vec![
            Some(with_unserved(&describe(network), network.unserved.len())),
            dollars(network.cost),
            gap(network.cost),
            dollars(network.first_cost).filter(|_| is_amended),
            gap(network.first_cost).filter(|_| is_amended),
            is_amended.then(|| network.amended.to_string()),
            Some(format!("{:.2}", network.slowest_cpu_seconds)),
            Some(format!("{:.2}", network.wall_seconds)),
            Some(format!("{:.2}", improvement(network.cost.as_f64(), central.cost.as_f64()))),
            Some(format!("{:.2}", improvement(network.slowest_cpu_seconds, central.cpu_seconds))),
            network.split_optimum.and_then(dollars),
            published_cost,
            published_seconds,
        ]);
    }
    let name = if comparison.bound.is_exact { "exact optimum" } else { "certified bound" };
    rows.push(named(name, comparison.bound.value));
    let is_told = |column: &usize| rows.iter().any(|row| row[*column].is_some());
    let columns: Vec<usize> = (0..COLUMNS.len()).filter(is_told).collect();
    let mut table = new_table(&columns.iter().map(|&column| COLUMNS[column]).collect::<Vec<_>>());
    for row in rows {
        table.add_row(columns.iter().map(|&column| {
            let side = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(row[column].as_deref().unwrap_or("-")).set_alignment(side)
        }));
    }
    table
}

/// How much smaller `value` is than `reference`, in percent.
fn improvement(value: f64, reference: f64) -> f64 {
    if reference == 0.0 { 0.0 } else { (reference - value) / reference * 100.0 }
}

fn with_unserved(name: &str, unserved: usize) -> String {
    if unserved == 0 { name.to_owned() } else { format!("{name}, {unserved} UNSERVED") }
}

fn describe(network: &NetworkRun) -> String {
    let roaming = if network.roaming > 0 { " + 1 roaming" } else { "" };
    let strategy = match network.strategy {
        Some(Strategy::Cells) => ", by cells",
        Some(Strategy::Strips) => ", by strips",
        Some(Strategy::Operations) => ", by operations",
        Some(Strategy::ScarceProviders) => ", by scarce providers",
        Some(Strategy::Everything) => ", all after everything",
        Some(Strategy::Roaming) | None => "",
    };
    format!("{} miners{roaming}{strategy}", network.miners)
}

fn notes(comparison: &Comparison) -> String {
    let mut lines = vec![
        "first cost: what everything cost when the last demand had been composed: the price of splitting, which\n\
         amendments go on to win back. solving: CPU time of the threads that search; of a network, that of its slowest miner until all\n\
         is composed (paper A's definition, adapted: cores are shared); wall: until then. improvement: over the\n\
         centralised GA. split solved exactly: the optimum when each strip serves its own demands with its own\n\
         providers. paper A: its published figures, on its own unpublished data."
            .to_owned(),
    ];
    for network in &comparison.networks {
        for unserved in &network.unserved {
            lines.push(format!(
                "unserved with {}: {}: {}",
                describe(network),
                unserved.demand,
                unserved.reason
            ));
        }
    }
    lines.join("\n")
}

fn blocks(network: &NetworkRun) -> Table {
    let mut table = new_table(&[
        "height",
        "miner",
        "cell",
        "records",
        "demands",
        "cost $",
        "reduced cost $",
        "reward $",
        "of $",
        "anew",
        "saved $",
        "bound $",
        "votes",
        "Merkle root",
    ]);
    for row in &network.blocks {
        let block = &row.block;
        let composed = |text: String| if block.demands > 0 { text } else { "-".to_owned() };
        let amended = |text: String| if block.amended > 0 { text } else { "-".to_owned() };
        let bound =
            block.bounds.map_or("-".to_owned(), |(before, after)| format!("{before:.0} > {after:.0}"));
        table.add_row([
            block.height.to_string(),
            row.miner_number.to_string(),
            composed(row.cell.clone()),
            block.records.to_string(),
            block.demands.to_string(),
            composed(format!("{:.2}", block.cost)),
            composed(format!("{:.2}", block.reduced_cost)),
            composed(format!("{:.2}", block.reward)),
            composed(format!("{:.2}", block.fees)),
            amended(block.amended.to_string()),
            amended(format!("{:.2}", block.saving)),
            bound,
            row.votes.to_string(),
            block.merkle_root.short(),
        ]);
    }
    table
}

fn refusals(network: &NetworkRun) -> String {
    let repairs = network.repairs;
    let mut lines = vec![format!(
        "Refused: {} blocks, and {} of amendments alone. Re-anchored: {} ({} compositions fell out). Searches repaired: {}.",
        network.refusals.len(),
        network.refused_amendments,
        repairs.reanchored,
        repairs.dropped,
        repairs.searches
    )];
    for refusal in &network.refusals {
        lines.push(format!(
            "  block {} of miner {} for height {} ({} demands): {}: {}",
            refusal.block.0.short(),
            refusal.miner_number,
            refusal.height,
            refusal.demands,
            refusal.rule,
            refusal.reason
        ));
    }
    lines.join("\n")
}

fn checks(network: &NetworkRun) -> String {
    let audit = &network.audit;
    let head = audit.head.map_or("none".to_owned(), |head| head.0.short());
    if audit.failures.is_empty() {
        format!(
            "Checks passed: {} chains ({} blocks) verified from genesis out of each node's own store, all at head {head}; \
             every cost recomputed by the independent evaluator; money conserved.",
            audit.chains, audit.blocks
        )
    } else {
        format!("CHECKS FAILED:\n  {}", audit.failures.join("\n  "))
    }
}

fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    table
}
