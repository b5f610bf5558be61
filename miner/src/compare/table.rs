//! A comparison as text: one table like paper A's table 8, then batches, refusals and checks.

use chain::BlockOutcome;
use chain::ledger::Dropped;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use scenarios::settings::Profile;
use scenarios::{Money, Unserved};

use super::report::{CentralRun, Comparison, FinalRow, Incumbent, Mined, NetworkRun, improvement_percent};
use miner_node::strategy::Strategy;

/// Unserved demands listed of each system, and dropped items of each network.
const LISTED: usize = 10;

/// The whole report of one comparison.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut parts = vec![heading(comparison), costs(comparison).to_string(), notes(comparison)];
    for network in &comparison.networks {
        parts.push(format!("Batches of the network of {}", describe(network)));
        parts.push(batches(network).to_string());
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
const COLUMNS: [&str; 16] = [
    "",
    "cost $",
    "with\nbudgets $",
    "gap to\nbound %",
    "first\ncost $",
    "first\ngap %",
    "composed\nanew",
    "solving\nCPU s",
    "wall s",
    "centre to\nthat gap\nwall s",
    "centre to\nthat gap\nCPU s",
    "improvement\ncost %",
    "improvement\ntime %\n(paper A)",
    "split solved\nexactly $",
    "paper A\ncost $",
    "paper A\ns",
];

fn costs(comparison: &Comparison) -> Table {
    let named = |name: String, cost: Option<String>, with_budgets: Option<String>, gap: Option<String>| {
        let mut row = vec![Some(name), cost, with_budgets, gap];
        row.resize(COLUMNS.len(), None);
        row
    };
    let random = comparison.random;
    let name = with_unserved("random assignment (mean)", random.unservable);
    let cost = dollars(random.penalised_cost);
    let (cost, with_budgets) = if random.unservable == 0 { (cost, None) } else { (None, cost) };
    let mut rows = vec![named(name, cost, with_budgets, random.gap_percent.and_then(decimals))];
    rows.push(central_row(comparison));
    rows.extend(comparison.networks.iter().map(|network| network_row(comparison, network)));
    let name = if comparison.bound.is_exact { "exact optimum" } else { "certified bound" };
    let is_told = rows.iter().any(|row| row[2].is_some());
    let value = dollars(comparison.bound.value);
    let (cost, with_budgets) = if is_told { (None, value) } else { (value, None) };
    rows.push(named(name.to_owned(), cost, with_budgets, decimals(0.0)));
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

fn central_row(comparison: &Comparison) -> Vec<Option<String>> {
    let central = &comparison.central;
    let [published_cost, published_seconds] = published(comparison, 1);
    vec![
        Some(with_unserved("centralised GA", central.unserved.len())),
        dollars(central.cost),
        with_budgets(central.cost, central.penalised_cost),
        decimals(central.gap_percent),
        None,
        None,
        None,
        decimals(central.cpu_seconds),
        decimals(central.wall_seconds),
        None,
        None,
        None,
        None,
        None,
        published_cost,
        published_seconds,
    ]
}

fn network_row(comparison: &Comparison, network: &NetworkRun) -> Vec<Option<String>> {
    let [published_cost, published_seconds] = published(comparison, network.miners);
    let (is_amended, is_paper) = (network.amended > 0, comparison.profile == Profile::Paper);
    let centre = network.centre_at_first_gap;
    vec![
        Some(with_unserved(&describe(network), network.unserved.len())),
        dollars(network.cost),
        with_budgets(network.cost, network.penalised_cost),
        decimals(network.gap_percent),
        dollars(network.first_penalised_cost).filter(|_| is_amended),
        decimals(network.first_gap_percent).filter(|_| is_amended),
        is_amended.then(|| network.amended.to_string()),
        decimals(network.slowest_cpu_seconds),
        decimals(network.wall_seconds),
        centre.and_then(|centre| decimals(centre.wall_seconds)),
        centre.and_then(|centre| decimals(centre.cpu_seconds)),
        decimals(network.improvement_percent),
        decimals(time_improvement(network, &comparison.central)).filter(|_| is_paper),
        network.split_optimum.and_then(dollars),
        published_cost,
        published_seconds,
    ]
}

/// Paper A's cost and seconds with so many solvers, if it has them.
fn published(comparison: &Comparison, solvers: usize) -> [Option<String>; 2] {
    let found = comparison.published.iter().find(|result| result.solvers as usize == solvers);
    [found.and_then(|result| dollars(result.cost)), found.map(|result| format!("{:.1}", result.seconds))]
}

/// The cost with budgets, where somebody is unserved: only there is it another.
fn with_budgets(cost: Money, penalised_cost: Money) -> Option<String> {
    dollars(penalised_cost).filter(|_| cost != penalised_cost)
}

#[expect(clippy::unnecessary_wraps, reason = "a cell of a table, which may be empty")]
fn dollars(cost: Money) -> Option<String> {
    Some(format!("{cost:.0}"))
}

/// Seconds or percent.
#[expect(clippy::unnecessary_wraps, reason = "a cell of a table, which may be empty")]
fn decimals(value: f64) -> Option<String> {
    Some(format!("{value:.2}"))
}

/// Paper A's: how much less CPU time the slowest miner took for first compositions than the centre for all its
/// generations. Both end by themselves there; a hybrid centre takes all the time it is given, whatever it needs.
fn time_improvement(network: &NetworkRun, central: &CentralRun) -> f64 {
    improvement_percent(network.slowest_cpu_seconds, central.cpu_seconds)
}

/// Who was first at the gap of a network's first complete composition, in words; `None` if it composed nothing.
fn race(network: &NetworkRun) -> Option<String> {
    network.batches.iter().find(|row| row.batch.demands > 0)?;
    let NetworkRun { first_gap_percent, wall_seconds, .. } = network;
    let name = describe(network);
    let Some(Incumbent { wall_seconds: centre, cpu_seconds, .. }) = network.centre_at_first_gap else {
        return Some(format!(
            "{name}: first gap {first_gap_percent:.2} % after {wall_seconds:.2} s, which the centre never reached: the \
             network wins"
        ));
    };
    let winner = if centre < *wall_seconds { "the centre wins" } else { "the network wins" };
    Some(format!(
        "{name}: first gap {first_gap_percent:.2} % after {wall_seconds:.2} s; the centre was there after {centre:.2} s \
         ({cpu_seconds:.2} s of CPU time): {winner}"
    ))
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
        "with budgets: whoever is unserved counts with its budget, so that serving fewer is no improvement; gaps and\n\
         improvements are of that. first cost (with budgets): what everything cost when the last demand had been composed:\n\
         the price of splitting, which amendments go on to win back. solving: CPU time of the threads that search; of a\n\
         network, that of its slowest miner until all is composed (paper A's definition, adapted: cores are shared); wall:\n\
         until then. centre to that gap: what the centre took until it was first as near the bound as the network was when\n\
         all was composed; the rest of its time it spent on going further. improvement: over the centralised GA at its end.\n\
         split solved exactly: the optimum when each strip serves its own demands with its own providers. paper A: its\n\
         published figures, on its own unpublished data. random assignment keeps to no budget and no capacity; whom no plan\n\
         can serve counts with its budget there, too."
            .to_owned(),
    ];
    if comparison.profile == Profile::Paper {
        lines.push(
            "improvement time (paper A): its definition: CPU time of the slowest miner against that of the centre, each for\n\
             the same number of generations, whatever they achieve."
                .to_owned(),
        );
    }
    if comparison.random.gap_percent.is_none() {
        lines.push(
            "Capacity leaves demands unserved: random assignment, which ignores it, undercuts every plan."
                .into(),
        );
    }
    lines.extend(comparison.networks.iter().filter_map(race));
    lines.extend(unserved("the centralised GA", &comparison.central.unserved));
    lines.extend(
        comparison.networks.iter().flat_map(|network| unserved(&describe(network), &network.unserved)),
    );
    lines.join("\n")
}

fn unserved(system: &str, demands: &[Unserved]) -> Vec<String> {
    let line = |Unserved { demand, why }: &Unserved| {
        let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("unserved with {system}: {demand}{why}")
    };
    let mut lines: Vec<String> = demands.iter().take(LISTED).map(line).collect();
    let more = demands.len().saturating_sub(LISTED);
    if more > 0 {
        lines.push(format!("unserved with {system}: and {more} more"));
    }
    lines
}

/// A row for each height that brings anything, and one for each of its blocks if it has several; heights that only let time
/// pass are counted.
fn batches(network: &NetworkRun) -> Table {
    let mut table = new_table(&[
        "height",
        "miner",
        "cell",
        "records",
        "committed",
        "revealed",
        "demands",
        "dropped",
        "cost $",
        "reduced cost $",
        "reward $",
        "of $",
        "anew",
        "saved $",
        "bound $",
        "votes",
        "batch or block",
    ]);
    let mut empty = 0;
    for row in &network.batches {
        if !row.batch.brings_anything() {
            empty += 1;
            continue;
        }
        table.add_row(batch_cells(row));
        let blocks = row.batch.blocks.iter().zip(&row.mined);
        blocks.filter(|_| row.mined.len() > 1).for_each(|(outcome, mined)| {
            table.add_row(block_cells(outcome, mined));
        });
    }
    if empty > 0 {
        table.add_row([format!("{empty} more"), "nothing".to_owned()]);
    }
    table
}

fn batch_cells(row: &FinalRow) -> [String; 17] {
    let batch = &row.batch;
    let composed = |text: String| if batch.demands > 0 { text } else { "-".to_owned() };
    let amended = |text: String| if batch.amended > 0 { text } else { "-".to_owned() };
    let bound = batch.bounds.map_or("-".to_owned(), |(before, after)| format!("{before:.0} > {after:.0}"));
    let (miner, cell) = match row.mined.as_slice() {
        [] => ("-".to_owned(), "-".to_owned()),
        [mined] => (mined.miner_number.to_string(), mined.cell.clone()),
        several => (format!("{} miners", several.len()), "-".to_owned()),
    };
    let dropped: usize = batch.blocks.iter().map(|outcome| outcome.dropped.len()).sum();
    [
        batch.height.to_string(),
        miner,
        composed(cell),
        batch.records.to_string(),
        batch.committed.to_string(),
        batch.revealed.to_string(),
        batch.demands.to_string(),
        dropped.to_string(),
        composed(format!("{:.2}", batch.cost)),
        composed(format!("{:.2}", batch.reduced_cost)),
        composed(format!("{:.2}", batch.reward)),
        composed(format!("{:.2}", batch.fees)),
        amended(batch.amended.to_string()),
        amended(format!("{:.2}", batch.saving)),
        bound,
        format!("{} of {}", row.votes, row.all_votes),
        batch.batch.0.short(),
    ]
}

fn block_cells(outcome: &BlockOutcome, mined: &Mined) -> [String; 17] {
    let none = String::new;
    let composed = |text: String| if outcome.compositions > 0 { text } else { "-".to_owned() };
    [
        none(),
        mined.miner_number.to_string(),
        composed(mined.cell.clone()),
        none(),
        none(),
        none(),
        outcome.compositions.to_string(),
        outcome.dropped.len().to_string(),
        format!("{:.2}", outcome.cost),
        none(),
        format!("{:.2}", outcome.reward),
        none(),
        if outcome.replaced > 0 { outcome.replaced.to_string() } else { "-".to_owned() },
        none(),
        none(),
        none(),
        outcome.block.0.short(),
    ]
}

fn refusals(network: &NetworkRun) -> String {
    let repairs = network.repairs;
    let mut lines = vec![format!(
        "Refused: {} blocks that compose, and {} that only amend or price. Items dropped for better ones: {}. Searches \
         repaired: {}.",
        network.refusals.len(),
        network.refused_amendments,
        repairs.dropped,
        repairs.searches
    )];
    for refusal in &network.refusals {
        lines.push(format!(
            "  block {} of miner {} ({} demands): {}: {}",
            refusal.block.0.short(),
            refusal.miner_number,
            refusal.demands,
            refusal.rule,
            refusal.reason
        ));
    }
    let dropped = network.batches.iter().flat_map(|row| {
        let blocks = row.batch.blocks.iter().zip(&row.mined);
        let named = blocks.flat_map(|(outcome, mined)| outcome.dropped.iter().map(move |one| (mined, one)));
        named.map(|(mined, one)| (row.batch.height, mined.miner_number, one))
    });
    let dropped: Vec<_> = dropped.collect();
    for &(height, miner, Dropped { item, rule, reason }) in dropped.iter().take(LISTED) {
        lines.push(format!("  item {item} of miner {miner} at height {height}: {rule}: {reason}"));
    }
    if dropped.len() > LISTED {
        lines.push(format!("  and {} more items", dropped.len() - LISTED));
    }
    lines.join("\n")
}

fn checks(network: &NetworkRun) -> String {
    let audit = &network.audit;
    let head = audit.head.map_or("none".to_owned(), |head| head.0.short());
    if audit.failures.is_empty() {
        format!(
            "Checks passed: {} chains ({} batches) verified from genesis out of each node's own store, all at head {head}; \
             every cost recomputed by the independent evaluator; money conserved.",
            audit.chains, audit.batches
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
