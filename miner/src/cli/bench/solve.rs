//! How far a search comes in a given time as the number of orders grows.

use anyhow::Result;
use comfy_table::Table;
use scenarios::bound::gap_percent;
use scenarios::{Money, evaluate};
use serde::Serialize;

use super::{Effort, market, new_table};
use crate::cli::Progress;
use crate::cli::solve::solve_for;

pub(super) const CAPTION: &str = "The search on demands of 20 orders, capacity for 1.2 times the work; a fifth of the time goes to the bound";

const ORDERS: u32 = 20;

/// One size.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    orders: u32,
    demands: u32,
    providers: u32,
    /// Wall time in all, and what finding the bound took of it.
    seconds: f64,
    bound_seconds: f64,
    evaluations: u64,
    /// With the budgets of unserved demands.
    cost: Money,
    bound: Money,
    gap_percent: f64,
    unserved: usize,
    stopped_by: &'static str,
}

pub(super) fn measure(effort: &Effort, progress: &Progress) -> Result<Vec<Row>> {
    let sizes: &[u32] = if effort.quick { &[100, 200] } else { &[1_000, 3_000, 10_000, 30_000, 100_000] };
    let providers = if effort.quick { 10 } else { 200 };
    sizes.iter().map(|&orders| row(effort, progress, providers, orders)).collect()
}

fn row(effort: &Effort, progress: &Progress, providers: u32, orders: u32) -> Result<Row> {
    progress.now(format!("solving {orders} orders"));
    let demands = orders / ORDERS;
    let scenario = market(providers, demands, ORDERS)?;
    let (solution, end) = solve_for(&scenario, effort.time, &effort.pool)?;
    let evaluation = evaluate(&scenario.instance, &solution);
    anyhow::ensure!(evaluation.is_feasible(), "the judge refuses the solution: {:?}", evaluation.violations);
    let cost = evaluation.penalised_cost(&scenario.instance);
    anyhow::ensure!(cost >= end.bound, "{cost} with budgets is below the bound of {}", end.bound);
    Ok(Row {
        orders,
        demands,
        providers,
        seconds: end.seconds,
        bound_seconds: end.seconds - end.search_seconds,
        evaluations: end.evaluations,
        cost,
        bound: end.bound,
        gap_percent: gap_percent(cost, end.bound),
        unserved: evaluation.unserved.len(),
        stopped_by: end.stopped_by,
    })
}

pub(super) fn table(rows: &[Row]) -> Table {
    let header = [
        "orders",
        "demands",
        "providers",
        "seconds",
        "bound s",
        "evaluations",
        "cost with\nbudgets $",
        "bound $",
        "gap %",
        "unserved",
        "stopped by",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.orders.to_string(),
            row.demands.to_string(),
            row.providers.to_string(),
            format!("{:.1}", row.seconds),
            format!("{:.1}", row.bound_seconds),
            row.evaluations.to_string(),
            format!("{:.0}", row.cost),
            format!("{:.0}", row.bound),
            format!("{:.3}", row.gap_percent),
            row.unserved.to_string(),
            row.stopped_by.to_owned(),
        ]
    });
    new_table(&header, cells)
}
