//! `miner chain inspect`: batches in a table, or one of them whole.

use std::process::ExitCode;

use anyhow::{Result, bail};
use chain::block::SignedHeader;
use chain::ledger::{BlockOutcome, Dropped};
use chain::{Amendment, Commitment, Composition, Record, SignedCommitment, Statement};
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use scenarios::{Calendar, Money, Period, Slot};

use super::super::OutputArguments;
use super::super::output::{Progress, print, print_json};
use super::{NodeArgument, refused};
use crate::chain_tools::export::ExportedItem;
use crate::chain_tools::report::{BatchDetail, InspectedRow};

/// Arguments of `miner chain inspect`.
#[derive(Debug, Args)]
pub(in crate::cli) struct InspectArguments {
    #[command(flatten)]
    node: NodeArgument,
    /// Show the batch of this height whole.
    #[arg(long, value_name = "N")]
    height: Option<u64>,
    #[command(flatten)]
    output: OutputArguments,
}

pub(super) fn run(arguments: &InspectArguments) -> Result<ExitCode> {
    let chain = arguments.node.open()?;
    let last = chain.store.height();
    if let Some(height) = arguments.height.filter(|height| !(1..=last).contains(height)) {
        bail!("there is no batch of height {height}: the chain has heights 1 to {last}");
    }
    let progress = Progress::start("verifying");
    let (mut rows, mut detail) = (Vec::new(), None);
    let walked = chain.walk(|done| {
        let height = done.ledger().head().height;
        progress.now(format!("batch {height} of {last}"));
        match arguments.height {
            None => rows.push(InspectedRow::new(done)),
            Some(wanted) if wanted == height => detail = Some(BatchDetail::new(done)),
            Some(_) => {}
        }
    });
    drop(progress);
    // What was verified is shown even if the chain stops standing further up.
    match &detail {
        Some(detail) if arguments.output.json => print_json(detail)?,
        Some(detail) => print(&whole(detail))?,
        None if arguments.height.is_some() => {}
        None if arguments.output.json => print_json(&rows)?,
        None => print(&table(&rows).to_string())?,
    }
    match walked {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => Ok(refused(&error)),
    }
}

const COLUMNS: [&str; 20] = [
    "height",
    "proposer",
    "records",
    "committed",
    "revealed",
    "blocks",
    "dropped",
    "demands",
    "anew",
    "saved $",
    "frozen",
    "cost $",
    "reduced cost $",
    "reward $",
    "bound $",
    "votes",
    "round",
    "market cost $",
    "market\nbound $",
    "gap %",
];

/// A row for each height, but one for heights in a row that only let time pass.
fn table(rows: &[InspectedRow]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(COLUMNS);
    for rows in rows.chunk_by(|one, other| !one.batch.brings_anything() && !other.batch.brings_anything()) {
        let cells = match rows {
            [first, .., last] => {
                let mut cells = std::array::from_fn(|_| String::new());
                cells[0] = format!("{}-{}", first.batch.height, last.batch.height);
                cells
            }
            _ => rows.first().map(cells).unwrap_or_default(),
        };
        table.add_row(cells.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right)));
    }
    table
}

fn cells(row: &InspectedRow) -> [String; 20] {
    let market_cost = i64::try_from(row.market.cost_micros).map(Money::from_micros).ok();
    let batch = &row.batch;
    let dropped: usize = batch.blocks.iter().map(|outcome| outcome.dropped.len()).sum();
    [
        batch.height.to_string(),
        batch.proposer.short(),
        batch.records.to_string(),
        batch.committed.to_string(),
        batch.revealed.to_string(),
        batch.blocks.len().to_string(),
        dropped.to_string(),
        batch.demands.to_string(),
        batch.amended.to_string(),
        amount(Some(batch.saving)),
        batch.frozen.to_string(),
        amount(Some(batch.cost)),
        amount(Some(batch.reduced_cost)),
        amount(Some(batch.reward)),
        batch.bounds.map_or_else(|| "-".into(), |(before, after)| format!("{before:.2} > {after:.2}")),
        row.votes.to_string(),
        row.round.to_string(),
        amount(market_cost),
        amount(row.market.bound),
        row.market.gap_percent.map_or_else(|| "-".into(), |gap| format!("{gap:.3}")),
    ]
}

fn amount(amount: Option<Money>) -> String {
    amount.map_or_else(|| "-".into(), |amount| format!("{amount:.2}"))
}

/// One batch in lines.
fn whole(detail: &BatchDetail) -> String {
    let (row, batch, header) = (&detail.row, &detail.row.batch, &detail.batch.header.fields);
    let mut lines = vec![
        format!("height      {}", batch.height),
        format!("hash        {}", batch.batch),
        format!("parent      {}", header.parent),
        format!("time        {} ms", batch.timestamp_ms),
        format!("proposer    {}", batch.proposer),
        format!("contents    {} ({} items)", header.contents_root, header.item_count),
        format!("state root  {}", header.state_root),
        format!("cost        {} $, reduced cost {} $", batch.cost, batch.reduced_cost),
        format!("reward      {} $ ({} ppm of its fees)", batch.reward, batch.reward_ppm),
        format!("final       in round {} by {} votes", row.round, row.votes),
        format!(
            "market      {} demands ({} open), cost {} $, bound {} $",
            row.market.demands,
            row.market.open,
            amount(i64::try_from(row.market.cost_micros).map(Money::from_micros).ok()),
            amount(row.market.bound)
        ),
    ];
    if let Some((before, after)) = batch.bounds {
        lines.push(format!("new prices  bound {before} $ -> {after} $"));
    }
    for item in &detail.batch.items {
        lines.push(match &item.fields {
            ExportedItem::Record(record) => record_line(record),
            ExportedItem::Evidence(evidence) => format!(
                "evidence    validator {} voted twice at height {}, round {}",
                evidence.validator, evidence.height, evidence.round
            ),
            ExportedItem::Commitment(signed) => commitment_line(signed),
            ExportedItem::Block(signed) => block_line(signed),
            ExportedItem::PriceUpdate(update) => {
                let price = |(slot, price): (Slot, Money)| format!("#{} {price} $", place(slot));
                let prices: Vec<String> = update.prices.iter().map(price).collect();
                format!("prices      {}", prices.join(", "))
            }
            ExportedItem::Composition(composition) => composition_line(composition),
            ExportedItem::Amendment(amendment) => amendment_lines(amendment),
        });
    }
    lines.extend(detail.blocks.iter().map(effect_line));
    lines.extend(detail.blocks.iter().flat_map(dropped_lines));
    lines.extend(batch.unrevealed.iter().map(|block| format!("unrevealed  block {block}")));
    lines.join("\n")
}

fn effect_line(outcome: &BlockOutcome) -> String {
    let BlockOutcome { block, miner, items, dropped, reward, .. } = outcome;
    let (miner, kept) = (miner.address().short(), usize::try_from(*items).unwrap_or(0) - dropped.len());
    format!("effect      of block {block} of {miner}: {kept} of {items} items, earns {reward} $")
}

fn dropped_lines(outcome: &BlockOutcome) -> impl Iterator<Item = String> {
    let block = outcome.block;
    outcome.dropped.iter().map(move |Dropped { item, rule, reason }| {
        format!("dropped     item {item} of block {block}: {rule}: {reason}")
    })
}

fn block_line(signed: &SignedHeader) -> String {
    let header = &signed.header;
    let (block, miner, items) = (header.hash(), header.miner.address().short(), header.item_count);
    format!("block       {block} of {miner}, {items} items, on batch {}", header.anchor)
}

fn commitment_line(signed: &SignedCommitment) -> String {
    let Commitment { miner, block, bytes, compositions, .. } = signed.commitment;
    let miner = miner.address().short();
    format!("commitment  of {miner} to block {block}, {bytes} bytes and {compositions} compositions at most")
}

fn composition_line(composition: &Composition) -> String {
    let Composition { demand, slots, cost, minutes, .. } = composition;
    let providers: Vec<String> = slots.iter().copied().map(place).collect();
    format!("composition {demand}: {cost} $, {minutes} min, providers {}", providers.join(" "))
}

/// A provider's number, and after a point that of the period, but for the first there is.
pub(super) fn place(slot: Slot) -> String {
    let Slot { provider, period } = slot;
    if period == Period::ZERO { provider.0.to_string() } else { format!("{}.{}", provider.0, period.0) }
}

fn amendment_lines(amendment: &Amendment) -> String {
    let parts = amendment.parts.iter().map(|part| {
        let what = if part.is_first() { "first".into() } else { format!("for v{}", part.replaces) };
        format!("  {what:<9} {}", composition_line(&part.composition))
    });
    let heading = format!("amendment   of {} demands", amendment.parts.len());
    [heading].into_iter().chain(parts).collect::<Vec<_>>().join("\n")
}

fn record_line(record: &Record) -> String {
    let content = &record.content;
    let said = match &content.statement {
        Statement::Offer(offer) => {
            let capacity = match offer.capacity.as_ref().map(Calendar::pattern) {
                None => "unlimited".to_owned(),
                Some(&[minutes]) => format!("{minutes} min"),
                Some(pattern) => format!("{pattern:?} min, repeated"),
            };
            format!("{:?}, {} operations, capacity {capacity}", offer.name, offer.offers.len())
        }
        Statement::OfferWithdrawal => "everything".into(),
        Statement::Demand(demand) => format!(
            "{:?}, {} orders, budget {} $, fee {} $",
            demand.name,
            demand.orders.len(),
            demand.budget,
            demand.solver_fee
        ),
        Statement::DemandCancellation { demand } => demand.to_string(),
        Statement::Transfer { to, amount } => format!("{amount} $ to {to}"),
    };
    let (id, author) = (record.id(), record.author().short());
    format!("record      {id}: {} #{} of {author}: {said}", content.statement.kind(), content.sequence)
}
