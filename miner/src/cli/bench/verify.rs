//! What checking costs beside finding: the judge on a whole solution, and the certified bound recomputed from
//! the prices.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use comfy_table::Table;
use scenarios::bound::{dual_bound, gap_percent};
use scenarios::generate::{GenerateParameters, generate};
use scenarios::{Kernel, Oracle, evaluate};
use serde::Serialize;

use super::{Effort, least_ms, new_table, short};
use crate::cli::Progress;
use crate::cli::solve::solve_for;

pub(super) const CAPTION: &str = "Finding a solution and its bound (the capacitated Tehran problems) beside checking \
                                  both: costs and capacities, and the bound from given prices with all tables; one thread";

/// One problem.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    problem: u8,
    orders: usize,
    /// Wall time of finding, and what of it went to the bound.
    solve_seconds: f64,
    bound_seconds: f64,
    gap_percent: f64,
    /// Cost and feasibility of the whole solution.
    judge_ms: f64,
    /// The bound from its prices, by vector instructions.
    bound_check_ms: BTreeMap<String, f64>,
    /// Finding divided by checking, with the fastest instructions.
    ratio: f64,
}

pub(super) fn measure(effort: &Effort, progress: &Progress) -> Result<Vec<Row>> {
    let problems = if effort.quick { 1..=1 } else { 1..=4 };
    problems.map(|problem| row(effort, progress, problem)).collect()
}

fn row(effort: &Effort, progress: &Progress, problem: u8) -> Result<Row> {
    progress.now(format!("solving and checking problem {problem}"));
    let parameters = GenerateParameters::tehran(problem, true).context("problems 1 to 4 exist")?;
    let scenario = generate(&parameters)?;
    let instance = &scenario.instance;
    let (solution, end) = solve_for(&scenario, effort.time, &effort.pool)?;
    let cost = evaluate(instance, &solution).penalised_cost(instance);
    let judge_ms = least_ms(effort, || evaluate(instance, &solution));
    let capacities = instance.supply.capacities();
    let mut bound_check_ms = BTreeMap::new();
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        let check = || {
            let oracle = Oracle::new(&instance.supply).with_kernel(kernel);
            dual_bound(&oracle, &instance.demands, &capacities, &end.prices)
        };
        anyhow::ensure!(check()? == end.bound, "{kernel}: the bound is another");
        bound_check_ms.insert(kernel.to_string(), least_ms(effort, check));
    }
    let fastest = bound_check_ms.values().copied().fold(f64::INFINITY, f64::min);
    Ok(Row {
        problem,
        orders: instance.order_count(),
        solve_seconds: end.seconds,
        bound_seconds: end.seconds - end.search_seconds,
        gap_percent: gap_percent(cost, end.bound),
        judge_ms,
        bound_check_ms,
        ratio: end.seconds * 1e3 / (judge_ms + fastest),
    })
}

pub(super) fn table(rows: &[Row]) -> Table {
    let kernels = Kernel::ALL.map(|kernel| kernel.to_string());
    let heads = kernels.iter().map(|kernel| format!("bound {kernel}\nms"));
    let first =
        ["problem", "orders", "finding\ns", "of it bound\ns", "gap %", "judge\nms"].map(str::to_owned);
    let header: Vec<String> =
        first.into_iter().chain(heads).chain(["finding /\nchecking".to_owned()]).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.problem.to_string(),
            row.orders.to_string(),
            format!("{:.2}", row.solve_seconds),
            format!("{:.2}", row.bound_seconds),
            format!("{:.3}", row.gap_percent),
            short(row.judge_ms),
        ];
        let times = kernels.iter().map(|kernel| row.bound_check_ms.get(kernel));
        cells.extend(times.map(|time| time.map_or("-".to_owned(), |&time| short(time))));
        cells.push(format!("{:.0}", row.ratio));
        cells
    });
    new_table(&header, cells)
}
