//! What `miner solve` found, judged by the evaluator, as data and as text.

use std::fmt;

use anyhow::Result;
use scenarios::bound::gap_percent;
use scenarios::settings::Profile;
use scenarios::shortage::NamedShortage;
use scenarios::unserved::explain;
use scenarios::{DualPrices, LeadPeriods, LeadTime, Money, Scenario, Solution, Unserved, evaluate};
use serde::Serialize;

/// Unserved demands listed in text.
const LISTED: usize = 10;

/// How a search ended.
pub(crate) struct End {
    /// The prices that certify the bound.
    pub(crate) prices: DualPrices,
    pub(crate) bound: Money,
    pub(crate) evaluations: u64,
    /// Wall time in all.
    pub(crate) seconds: f64,
    /// Of these, what the search took; finding prices took the rest.
    pub(crate) search_seconds: f64,
    pub(crate) stopped_by: &'static str,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    scenario: String,
    profile: Profile,
    cost: Money,
    penalised_cost: Money,
    lead_minutes: Option<LeadTime>,
    /// Where there is a calendar.
    lead_periods: Option<LeadPeriods>,
    bound: Money,
    gap_percent: f64,
    unserved: Vec<Unserved>,
    shortages: Vec<NamedShortage>,
    evaluations: u64,
    evaluations_per_second: f64,
    seconds: f64,
    stopped_by: &'static str,
}

impl Report {
    /// Judges the solution.
    pub(super) fn new(
        scenario: &Scenario,
        profile: Profile,
        solution: &Solution,
        end: &End,
        shortages: Vec<NamedShortage>,
    ) -> Result<Self> {
        let instance = &scenario.instance;
        let evaluation = evaluate(instance, solution);
        let violations = &evaluation.violations;
        anyhow::ensure!(violations.is_empty(), "the judge refuses the solution: {violations:?}");
        let penalised_cost = evaluation.penalised_cost(instance);
        let bound = end.bound;
        anyhow::ensure!(
            penalised_cost >= bound,
            "the solution costs {penalised_cost:.2} $ with budgets, below the bound of {bound:.2} $: one of the two is wrong"
        );
        #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
        let evaluations_per_second = end.evaluations as f64 / end.search_seconds.max(1e-9);
        Ok(Self {
            scenario: scenario.name.clone(),
            profile,
            cost: evaluation.cost,
            penalised_cost,
            lead_minutes: evaluation.lead_minutes(),
            lead_periods: instance.supply.horizon.period_minutes.and_then(|_| evaluation.lead_periods()),
            bound,
            gap_percent: gap_percent(penalised_cost, bound),
            unserved: explain(scenario, &evaluation),
            shortages,
            evaluations: end.evaluations,
            evaluations_per_second,
            seconds: end.seconds,
            stopped_by: end.stopped_by,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = format!("{:?}", self.profile).to_lowercase();
        writeln!(f, "scenario     {}, profile {profile}", self.scenario)?;
        writeln!(f, "cost         {:.2} $", self.cost)?;
        if !self.unserved.is_empty() {
            writeln!(f, "with budgets {:.2} $ (unserved demands at their budget)", self.penalised_cost)?;
        }
        writeln!(f, "bound        {:.2} $ (certified)", self.bound)?;
        writeln!(f, "gap          {:.3} %", self.gap_percent)?;
        if let Some(lead_time) = &self.lead_minutes {
            writeln!(f, "lead time    {lead_time}")?;
        }
        if let Some(lead_periods) = &self.lead_periods {
            writeln!(f, "done         {lead_periods}")?;
        }
        write!(
            f,
            "evaluations  {} in {:.2} s ({:.0}/s while searching), stopped by {}",
            self.evaluations, self.seconds, self.evaluations_per_second, self.stopped_by
        )?;
        for shortage in &self.shortages {
            write!(f, "\nshort        {shortage}")?;
        }
        for Unserved { demand, why } in self.unserved.iter().take(LISTED) {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            write!(f, "\nunserved     {demand}{why}")?;
        }
        match self.unserved.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\nunserved     and {more} more"),
        }
    }
}
