//! A comparison as text: one table like paper A's table 8, then blocks, refusals and checks.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use scenarios::Money;

use super::report::{Comparison, NetworkRun};

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

fn costs(comparison: &Comparison) -> Table {
    let bound_name = if comparison.bound.is_exact { "gap to\noptimum %" } else { "gap to\nbound %" };
    let mut table = new_table(&[
        "",
        "cost $",
        bound_name,
        "solving\nCPU s",
        "wall s",
        "improvement\ncost %",
        "improvement\ntime %",
        "split solved\nexactly $",
        "paper A\ncost $",
        "paper A\ns",
    ]);
    let gap = |cost: Money| format!("{:.2}", comparison.bound.gap_percent(cost));
    let published = |solvers: usize| {
        let found = comparison.published.iter().find(|result| result.solvers as usize == solvers);
        match found {
            Some(result) => [format!("{:.0}", result.cost), format!("{:.1}", result.seconds)],
            None => ["-".to_owned(), "-".to_owned()],
        }
    };
    let mut add = |cells: Vec<String>| {
        let cells = cells.into_iter().enumerate().map(|(column, text)| {
            let side = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(text).set_alignment(side)
        });
        table.add_row(cells);
    };
    let dash = || "-".to_owned();
    let named = |name: &str, cost: Money| {
        let mut row = vec![name.to_owned(), format!("{cost:.0}"), gap(cost)];
        row.resize(10, dash());
        row
    };
    add(named("random assignment (mean)", comparison.random));
    let central = &comparison.central;
    let [published_cost, published_seconds] = published(1);
    add(vec![
        with_unserved("centralised GA", central.unserved),
        format!("{:.0}", central.cost),
        gap(central.cost),
        format!("{:.2}", central.cpu_seconds),
        format!("{:.2}", central.wall_seconds),
        dash(),
        dash(),
        dash(),
        published_cost,
        published_seconds,
    ]);
    for network in &comparison.networks {
        let [published_cost, published_seconds] = published(network.miners);
        add(vec![
            with_unserved(&describe(network), network.unserved.len()),
            format!("{:.0}", network.cost),
            gap(network.cost),
            format!("{:.2}", network.slowest_cpu_seconds),
            format!("{:.2}", network.wall_seconds),
            format!("{:.2}", improvement(network.cost.as_f64(), central.cost.as_f64())),
            format!("{:.2}", improvement(network.slowest_cpu_seconds, central.cpu_seconds)),
            network.split_optimum.map_or_else(dash, |cost| format!("{cost:.0}")),
            published_cost,
            published_seconds,
        ]);
    }
    let name = if comparison.bound.is_exact { "exact optimum" } else { "certified bound" };
    add(named(name, comparison.bound.value));
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
    format!("{} miners{roaming}", network.miners)
}

fn notes(comparison: &Comparison) -> String {
    let mut lines = vec![
        "solving: CPU time of the one thread that searches; of a network, that of its slowest miner (paper A's\n\
         definition, adapted: cores are shared). improvement: over the centralised GA. split solved exactly: the\n\
         optimum when each strip serves its own demands with its own providers. paper A: its published figures,\n\
         on its own unpublished data."
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
        "regret $",
        "reward $",
        "of $",
        "bound $",
        "votes",
        "Merkle root",
    ]);
    for block in &network.blocks {
        let composed = |text: String| if block.demands > 0 { text } else { "-".to_owned() };
        let bound =
            block.bounds.map_or("-".to_owned(), |(before, after)| format!("{before:.0} > {after:.0}"));
        table.add_row([
            block.height.to_string(),
            block.miner_number.to_string(),
            composed(block.cell.clone()),
            block.records.to_string(),
            block.demands.to_string(),
            composed(format!("{:.2}", block.cost)),
            composed(format!("{:.2}", block.regret)),
            composed(format!("{:.2}", block.reward)),
            composed(format!("{:.2}", block.fees)),
            bound,
            block.votes.to_string(),
            block.merkle_root.short(),
        ]);
    }
    table
}

fn refusals(network: &NetworkRun) -> String {
    let repairs = network.repairs;
    let mut lines = vec![format!(
        "Refused: {} blocks. Re-anchored: {} ({} compositions fell out). Searches repaired: {}.",
        network.refusals.len(),
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
