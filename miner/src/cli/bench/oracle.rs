//! How a shortest path grows with the number of providers, on each kind of vector instructions.

use std::collections::BTreeMap;

use anyhow::Result;
use comfy_table::Table;
use scenarios::bound::dual_bound;
use scenarios::{DualPrices, Kernel, Oracle};
use serde::Serialize;

use super::{Effort, least_ms, market, new_table, short};
use crate::cli::Progress;

pub(super) const CAPTION: &str = "Least cost of one demand of 10 orders, every provider offering everything; one \
                                  thread, mean of 10 demands, best of some passes";

const DEMANDS: u32 = 10;
const ORDERS: u32 = 10;

/// One size.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    providers: u32,
    /// Arcs of the demand's layered graph.
    arcs: u64,
    /// Tabulating offers and legs, once for a supply.
    tables_ms: f64,
    /// One demand at zero prices, by vector instructions; those that this processor lacks are missing.
    demand_ms: BTreeMap<String, f64>,
}

pub(super) fn measure(effort: &Effort, progress: &Progress) -> Result<Vec<Row>> {
    let sizes: &[u32] = if effort.quick { &[50, 100] } else { &[100, 300, 1_000, 3_000, 10_000] };
    sizes.iter().map(|&providers| row(effort, progress, providers)).collect()
}

fn row(effort: &Effort, progress: &Progress, providers: u32) -> Result<Row> {
    progress.now(format!("shortest paths among {providers} providers"));
    let instance = market(providers, DEMANDS, ORDERS)?.instance;
    let (capacities, prices) = (instance.supply.capacities(), DualPrices::zero());
    let tables_ms = least_ms(effort, || Oracle::new(&instance.supply));
    let mut oracle = Oracle::new(&instance.supply);
    let mut demand_ms = BTreeMap::new();
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        oracle = oracle.with_kernel(kernel);
        let pass = || dual_bound(&oracle, &instance.demands, &capacities, &prices);
        demand_ms.insert(kernel.to_string(), least_ms(effort, pass) / f64::from(DEMANDS));
    }
    let arcs = instance.demands.first().map_or(0, |demand| oracle.work(demand));
    Ok(Row { providers, arcs, tables_ms, demand_ms })
}

pub(super) fn table(rows: &[Row]) -> Table {
    let kernels = Kernel::ALL.map(|kernel| kernel.to_string());
    let heads = kernels.iter().map(|kernel| format!("{kernel}\nms"));
    let header: Vec<String> =
        ["providers", "arcs", "tables\nms"].map(str::to_owned).into_iter().chain(heads).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cells = rows.iter().map(|row| {
        let mut cells = vec![row.providers.to_string(), row.arcs.to_string(), short(row.tables_ms)];
        let times = kernels.iter().map(|kernel| row.demand_ms.get(kernel));
        cells.extend(times.map(|time| time.map_or("-".to_owned(), |&time| short(time))));
        cells
    });
    new_table(&header, cells)
}
