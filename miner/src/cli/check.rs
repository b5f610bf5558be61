//! `miner check`: judges a solution with nothing of the solver in it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, ensure};
use clap::Args;
use ga::prices::find_prices;
use scenarios::bound::gap_percent;
use scenarios::{DualPrices, Instance, LeadPeriods, LeadTime, Money, Violation, evaluate};
use serde::Serialize;

use super::output::{print, print_json};
use super::{OutputArguments, ScenarioArgument};
use crate::files::{load_scenario, read_file};

/// Arguments of `miner check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    scenario: ScenarioArgument,
    /// A solution file (JSON), as `miner solve --solution` writes it.
    solution: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// What the judge finds.
#[derive(Debug, Serialize)]
struct Verdict {
    scenario: String,
    cost: Money,
    penalised_cost: Money,
    lead_minutes: Option<LeadTime>,
    /// Where there is a calendar.
    lead_periods: Option<LeadPeriods>,
    bound: Money,
    /// Of the cost with budgets, in percent; `None` if the solution is not feasible.
    gap_percent: Option<f64>,
    unserved: Vec<String>,
    violations: Vec<String>,
}

pub(super) fn run(arguments: &CheckArguments) -> Result<ExitCode> {
    let scenario = load_scenario(&arguments.scenario.scenario)?;
    let solution = scenario.solution_from_json(&read_file(&arguments.solution)?)?;
    let instance = &scenario.instance;
    let evaluation = evaluate(instance, &solution);
    let penalised_cost = evaluation.penalised_cost(instance);
    let bound = certified_bound(instance)?;
    ensure!(
        !evaluation.is_feasible() || penalised_cost >= bound,
        "a feasible solution costs {penalised_cost:.2} $ with budgets, below the bound of {bound:.2} $: one of the two is wrong"
    );
    let verdict = Verdict {
        scenario: scenario.name.clone(),
        cost: evaluation.cost,
        penalised_cost,
        lead_minutes: evaluation.lead_minutes(),
        lead_periods: instance.supply.horizon.period_minutes.and_then(|_| evaluation.lead_periods()),
        bound,
        gap_percent: evaluation.is_feasible().then(|| gap_percent(penalised_cost, bound)),
        unserved: evaluation.unserved.iter().map(|&at| instance.demands[at].name.clone()).collect(),
        violations: evaluation.violations.iter().map(|violation| named(violation, instance)).collect(),
    };
    if arguments.output.json {
        print_json(&verdict)?;
    } else {
        print(&text(&verdict))?;
    }
    Ok(if evaluation.is_feasible() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The best bound a few hundred price steps certify; the exact optimum where no capacity is limited and
/// budgets suffice.
pub(super) fn certified_bound(instance: &Instance) -> Result<Money> {
    const STEPS: u32 = 400;
    let limited = instance.supply.providers.iter().any(|provider| provider.capacity.is_some());
    let (start, cancel) = (DualPrices::zero(), AtomicBool::new(false));
    let steps = if limited { STEPS } else { 1 };
    let capacities = instance.supply.capacities();
    Ok(find_prices(&instance.supply, &instance.demands, &capacities, &start, steps, &cancel)?.bound)
}

/// A violation with the names of the demand and the provider that it numbers: the files know names only.
fn named(violation: &Violation, instance: &Instance) -> String {
    let (demand, provider) = match violation {
        Violation::DemandCount { .. } => (None, None),
        Violation::OrderCount { demand, .. }
        | Violation::UnknownProvider { demand, .. }
        | Violation::OutsideWindow { demand, .. }
        | Violation::PeriodsDecrease { demand, .. }
        | Violation::PeriodTooShort { demand, .. }
        | Violation::NoDistance { demand, .. }
        | Violation::OverBudget { demand, .. } => (Some(*demand), None),
        Violation::NotOffered { demand, provider, .. } => (Some(*demand), Some(*provider)),
        Violation::OverCapacity { slot, .. } => (None, Some(slot.provider)),
    };
    let demand = demand.and_then(|position| instance.demands.get(position)).map(|demand| &demand.name);
    let provider = provider.and_then(|id| instance.supply.provider(id)).map(|provider| &provider.name);
    let names: Vec<&str> = demand.into_iter().chain(provider).map(String::as_str).collect();
    if names.is_empty() { violation.to_string() } else { format!("{}: {violation}", names.join(", ")) }
}

fn text(verdict: &Verdict) -> String {
    let Verdict {
        scenario,
        cost,
        penalised_cost,
        lead_minutes,
        lead_periods,
        bound,
        gap_percent,
        unserved,
        violations,
    } = verdict;
    let mut lines = vec![format!("scenario     {scenario}"), format!("cost         {cost:.2} $")];
    if penalised_cost != cost {
        lines.push(format!("with budgets {penalised_cost:.2} $ (unserved demands at their budget)"));
    }
    lines.push(format!("bound        {bound:.2} $ (certified)"));
    match gap_percent {
        Some(gap) => lines.push(format!("gap          {gap:.3} %")),
        None => {
            lines.push("gap          none: a solution that is not feasible has no cost to compare".into());
        }
    }
    lines.extend(lead_minutes.map(|lead_time| format!("lead time    {lead_time}")));
    lines.extend(lead_periods.map(|lead_periods| format!("done         {lead_periods}")));
    lines.push(format!(
        "unserved     {}",
        if unserved.is_empty() { "none".to_owned() } else { unserved.join(", ") }
    ));
    if violations.is_empty() {
        lines.push("verdict      feasible".into());
    } else {
        let plural = if violations.len() == 1 { "" } else { "s" };
        lines.push(format!("verdict      NOT feasible, {} violation{plural}:", violations.len()));
        lines.extend(violations.iter().map(|violation| format!("  {violation}")));
    }
    lines.join("\n")
}
