//! Handing statements in, waiting for them, and saying what became of each.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use chain::{Address, RecordId, Statement};
use clap::ValueEnum;
use miner_api::{CompositionReport, DemandReport, DemandStanding, RecordStanding, Refusal};
use scenarios::Minutes;
use serde::Serialize;
use tokio::time::Instant;

use super::SubmitArguments;
use crate::cli::output::{Progress, print, print_json};
use crate::client::submit::{Shortfall, shortfall};
use crate::client::{NodeClient, SubmittedRecord};

/// Above so many records the text counts them instead of listing them; `--json` always lists.
const LISTED: usize = 20;

/// How long to wait for what was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wait {
    /// Until a final batch has brought the record.
    Final,
    /// Until the demand is composed, too.
    Composed,
}

impl Wait {
    pub(super) fn of(wait: bool) -> Option<Self> {
        wait.then_some(Self::Final)
    }
}

/// A statement to submit, and what people call it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Option<String>,
    pub(super) statement: Statement,
}

/// What became of one statement.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    submitted: SubmittedRecord,
    /// What people call it.
    name: Option<String>,
    /// Where the record stands.
    standing: RecordStanding,
    /// Where the demand stands, if that was waited for.
    demand: Option<DemandReport>,
}

/// Everything that was handed in.
#[derive(Debug, Serialize)]
struct Reports {
    author: Address,
    records: Vec<Report>,
}

/// Signs, hands in, waits as told, and prints what became of each statement. The exit code says whether all
/// of them are where they were waited for to be.
pub(super) async fn submit_and_report(
    client: &mut NodeClient,
    arguments: &SubmitArguments,
    entries: Vec<Entry>,
    wait: Option<Wait>,
) -> Result<ExitCode> {
    let key = arguments.key()?;
    let author = key.public().address();
    let deadline = Instant::now() + arguments.patience();
    let progress = Progress::start("submitting");
    progress.now(format!("{} records", entries.len()));
    let statements: Vec<Statement> = entries.iter().map(|entry| entry.statement.clone()).collect();
    let submitted = client.submit_statements(&key, statements, arguments.options()).await?;
    let mut records: Vec<Report> = entries
        .iter()
        .zip(submitted)
        .map(|(entry, submitted)| Report::new(entry.name.clone(), submitted))
        .collect();
    if let Some(wait) = wait {
        follow(client, &mut records, wait, deadline, &progress).await?;
        explain_shortfalls(client, author, &entries, &mut records).await?;
    }
    drop(progress);
    let all_well = records.iter().all(|report| report.is_well(wait));
    let reports = Reports { author, records };
    if arguments.output.json {
        print_json(&reports)?;
    } else {
        print(&render(&reports, wait, &arguments.key))?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    fn new(name: Option<String>, submitted: SubmittedRecord) -> Self {
        let standing = match &submitted.refused {
            Some(refusal) => RecordStanding::Refused(refusal.clone()),
            None => RecordStanding::Pending { waits_for: None },
        };
        Self { submitted, name, standing, demand: None }
    }

    fn refusal(&self) -> Option<&Refusal> {
        match &self.standing {
            RecordStanding::Refused(refusal) => Some(refusal),
            RecordStanding::Pending { .. } | RecordStanding::Final { .. } | RecordStanding::Unknown => None,
        }
    }

    /// Whether it is where it was waited for to be.
    fn is_well(&self, wait: Option<Wait>) -> bool {
        let is_final = matches!(self.standing, RecordStanding::Final { .. });
        match wait {
            None => self.refusal().is_none(),
            Some(Wait::Final) => is_final,
            Some(Wait::Composed) => is_final && self.composition().is_some(),
        }
    }

    fn composition(&self) -> Option<&CompositionReport> {
        match &self.demand.as_ref()?.standing {
            DemandStanding::Composed(composition) | DemandStanding::Frozen { composition, .. } => {
                Some(composition)
            }
            DemandStanding::InPool { .. }
            | DemandStanding::Open { .. }
            | DemandStanding::Cancelled { .. }
            | DemandStanding::Expired { .. }
            | DemandStanding::Refused(_)
            | DemandStanding::Unknown => None,
        }
    }
}

async fn follow(
    client: &mut NodeClient,
    records: &mut [Report],
    wait: Wait,
    deadline: Instant,
    progress: &Progress,
) -> Result<()> {
    let in_pool = |report: &&Report| report.refusal().is_none();
    let ids: Vec<RecordId> = records.iter().filter(in_pool).map(|report| report.submitted.record).collect();
    let total = ids.len();
    let tell = |done| progress.now(format!("{done} of {total} final"));
    let mut standings = client.track_records(&ids, deadline, tell).await?.into_iter();
    for report in records.iter_mut().filter(|report| report.refusal().is_none()) {
        report.standing = standings.next().unwrap_or(RecordStanding::Unknown);
    }
    if wait == Wait::Composed {
        let on_chain = |report: &&Report| matches!(report.standing, RecordStanding::Final { .. });
        let ids: Vec<RecordId> =
            records.iter().filter(on_chain).map(|report| report.submitted.record).collect();
        let total = ids.len();
        let tell = |done| progress.now(format!("{done} of {total} composed"));
        let mut demands = client.track_demands(&ids, deadline, tell).await?;
        for report in records.iter_mut() {
            report.demand = demands.remove(&report.submitted.record);
        }
    }
    Ok(())
}

/// A record may be dropped for want of money only after it was accepted: say then, too, what is missing.
async fn explain_shortfalls(
    client: &mut NodeClient,
    author: Address,
    entries: &[Entry],
    records: &mut [Report],
) -> Result<()> {
    let lacks_money = |report: &Report| report.refusal().is_some_and(|refusal| refusal.rule.is_about_money());
    if records.iter().any(|report| lacks_money(report) && report.submitted.shortfall.is_none()) {
        let (facts, account) = (client.market().await?, client.account(author).await?);
        for (entry, report) in entries.iter().zip(records).filter(|(_, report)| lacks_money(report)) {
            report.submitted.shortfall =
                report.submitted.shortfall.or_else(|| shortfall(&entry.statement, &facts, &account));
        }
    }
    Ok(())
}

fn render(reports: &Reports, wait: Option<Wait>, key: &Path) -> String {
    let records = &reports.records;
    if records.len() > LISTED {
        return summary(records, wait);
    }
    let mut lines: Vec<String> = records.iter().map(render_record).collect();
    let missing = records.iter().find_map(|report| report.submitted.shortfall);
    lines.extend(missing.map(|shortfall| render_shortfall(shortfall, reports.author, key)));
    lines.join("\n")
}

fn render_record(report: &Report) -> String {
    let name = report.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
    let SubmittedRecord { record, kind, sequence, .. } = &report.submitted;
    let what = format!("{kind}{name}");
    let tail = format!("\n  record  {record}");
    match &report.standing {
        RecordStanding::Pending { waits_for: None } => format!("{what}: in the pool{tail}"),
        RecordStanding::Pending { waits_for: Some(reason) } => {
            format!("{what}: in the pool (sequence {sequence}), waits: {reason}{tail}")
        }
        RecordStanding::Final { height, batch } => {
            let line = format!("{what}: final at height {height}{tail}\n  batch   {batch}");
            let demand = report.demand.as_ref();
            demand.map_or(line.clone(), |demand| {
                format!("{line}\n  {}", render_standing(&demand.standing).replace('\n', "\n  "))
            })
        }
        RecordStanding::Refused(refusal) => {
            format!("{what}: refused ({}): {}", refusal.rule, refusal.reason)
        }
        RecordStanding::Unknown => format!("{what}: the node knows nothing of it any more{tail}"),
    }
}

fn render_shortfall(shortfall: Shortfall, author: Address, key: &Path) -> String {
    let Shortfall { needed, kept, balance, missing } = shortfall;
    let plain = missing.to_string().replace(',', "");
    format!(
        "{} needs {needed}, of which {kept} stays in its account, and has {balance}. Have {missing} transferred to it by somebody who owns money:\n  miner \
         transfer --key OWNER.key --to {author} --amount {plain} --wait\nand submit again.",
        key.display()
    )
}

fn summary(records: &[Report], wait: Option<Wait>) -> String {
    let count = |is: &dyn Fn(&Report) -> bool| records.iter().filter(|report| is(report)).count();
    let is_final = |report: &Report| matches!(report.standing, RecordStanding::Final { .. });
    let mut lines = vec![format!("{} records handed in (--json lists them)", records.len())];
    if wait.is_some() {
        lines.push(format!("  {} final", count(&is_final)));
    }
    if wait == Some(Wait::Composed) {
        lines.push(format!("  {} composed", count(&|report| report.composition().is_some())));
    }
    let refused = count(&|report| report.refusal().is_some());
    lines.push(format!("  {refused} refused"));
    let first = records.iter().find_map(Report::refusal);
    lines.extend(first.map(|refusal| format!("  the first ({}): {}", refusal.rule, refusal.reason)));
    lines.join("\n")
}

/// A demand and where it stands at a time in milliseconds since the Unix epoch, as text.
pub(super) fn render_demand(report: &DemandReport, now_ms: u64) -> String {
    let mut lines = vec![format!("demand    {}", report.demand)];
    if let Some(wanted) = &report.wanted {
        lines.push(format!("name      {}", wanted.name));
        lines.push(format!("author    {}", wanted.author));
        lines.push(format!("orders    {}", wanted.orders.join(", ")));
        lines.push(format!("budget    {} + solver fee {}", wanted.budget, wanted.solver_fee));
        if matches!(report.standing, DemandStanding::InPool { .. } | DemandStanding::Open { .. }) {
            lines.push(format!("expires   {}", render_expiry(wanted.expires_ms, now_ms)));
        }
    }
    lines.push(format!("standing  {}", render_standing(&report.standing).replace('\n', "\n          ")));
    lines.join("\n")
}

/// "in 23 h 59 min", "in 8 s", "with the next batch".
fn render_expiry(expires_ms: u64, now_ms: u64) -> String {
    let seconds = expires_ms.saturating_sub(now_ms).div_ceil(1_000);
    match (seconds / 3_600, seconds / 60 % 60) {
        _ if seconds == 0 => "with the next batch".into(),
        (0, 0) => format!("in {seconds} s"),
        (0, minutes) => format!("in {minutes} min"),
        (hours, minutes) => format!("in {hours} h {minutes} min"),
    }
}

fn render_standing(standing: &DemandStanding) -> String {
    match standing {
        DemandStanding::InPool { waits_for: None } => "in the pool: no batch has brought it yet".into(),
        DemandStanding::InPool { waits_for: Some(reason) } => format!("in the pool, waits: {reason}"),
        DemandStanding::Open { since, unserved, cancelled_in_ms } => {
            let taken_back =
                |ms: &u64| format!("taken back, in {ms} ms at the earliest, unless it is composed by then");
            let hopeless = |reason: &String| format!("nobody can compose it as things stand: {reason}");
            let more = cancelled_in_ms.iter().map(taken_back).chain(unserved.iter().map(hopeless));
            [format!("open since height {since}")].into_iter().chain(more).collect::<Vec<_>>().join("; ")
        }
        DemandStanding::Composed(composition) => render_composition(composition),
        DemandStanding::Frozen { height, composition } => {
            format!("settled at height {height}\n{}", render_composition(composition))
        }
        DemandStanding::Cancelled { height } => format!("cancelled at height {height}"),
        DemandStanding::Expired { height } => format!("expired at height {height}, and its escrow returned"),
        DemandStanding::Refused(refusal) => format!("refused ({}): {}", refusal.rule, refusal.reason),
        DemandStanding::Unknown => "this node knows no such demand".into(),
    }
}

fn render_composition(composition: &CompositionReport) -> String {
    let CompositionReport { height, batch, miner, cost, transport, reduced_cost, .. } = composition;
    let mut lines = vec![
        format!("composed at height {height}, batch {batch}"),
        format!("cost {cost}, of which transport {transport}; reduced cost {reduced_cost}; found by {miner}"),
    ];
    let steps = composition.steps.iter();
    lines.extend(steps.map(|step| {
        let when = step.period.map_or_else(String::new, |period| format!(" in {period}"));
        format!("{} at {} ({}){when}", step.operation, step.name, step.provider)
    }));
    lines.join("\n")
}

/// "1 minute", "5 minutes".
pub(super) fn minutes(count: Minutes) -> String {
    if count == 1 { "1 minute".into() } else { format!("{count} minutes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_told_by_how_long_it_is_until_then() {
        let minute = 60_000;
        assert_eq!(render_expiry(24 * 60 * minute, 1), "in 24 h 0 min");
        assert_eq!(render_expiry(90 * minute, 30 * minute), "in 1 h 0 min");
        assert_eq!(render_expiry(59 * minute, 1), "in 59 min");
        assert_eq!(render_expiry(7_001, 0), "in 8 s");
        assert_eq!(render_expiry(7_000, 7_000), "with the next batch");
    }
}
