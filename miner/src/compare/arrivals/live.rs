//! The live network: customers hand their demands to running nodes when they arrive, and sign cancellations
//! when they have waited too long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use chain::genesis::scenario::demander_key;
use chain::genesis::scenario_demand_records;
use chain::ledger::DemandStatus;
use chain::{DemandId, Height, Network, Record, RecordContent, SecretKey, Statement};
use scenarios::settings::Profile;
use scenarios::{Money, Scenario, Solution};

use super::stream::{Customer, Fate};
use crate::cli::Progress;
use crate::compare::audit::{Audited, audit};
use crate::compare::journal::Journal;
use crate::compare::network::{self, NodeProcesses, Plan, is_settled};
use crate::compare::report::Audit;
use crate::compare::setup::{self, Members};
use miner_node::NodeEvent;

/// Between two looks at the nodes.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long the network may take to finish once the last customer has left or would have.
const GRACE: Duration = Duration::from_secs(60);

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(super) struct LivePlan<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) profile: Profile,
    pub(super) miners: usize,
    pub(super) directory: &'a Path,
    pub(super) rng_seed: u64,
    /// By time of arrival.
    pub(super) customers: &'a [Customer],
}

/// What came of it.
#[derive(Debug)]
pub(super) struct LiveRun {
    /// One per customer.
    pub(super) fates: Vec<Fate>,
    /// The compositions, as a solution of the scenario.
    pub(super) solution: Solution,
    /// Their cost, as the independent evaluator finds.
    pub(super) cost: Money,
    /// The same with the budgets of the demands it does not serve.
    pub(super) penalised_cost: Money,
    /// Batches with compositions.
    pub(super) batches: usize,
    /// CPU time of the miner that searched longest, seconds.
    pub(super) cpu_seconds: f64,
    pub(super) audit: Audit,
}

/// Something a customer does, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Arrive(usize),
    Leave(usize),
}

/// Runs a network on these customers.
///
/// # Errors
/// If a process cannot be run, or a node refuses a demand.
pub(super) async fn run(plan: LivePlan<'_>, progress: &Progress) -> Result<LiveRun> {
    let LivePlan { scenario, profile, miners, rng_seed, .. } = plan;
    let keys: Vec<SecretKey> =
        (0_u64..).take(miners).map(|index| SecretKey::for_scenario(rng_seed, "miner", index)).collect();
    let nodes: Vec<_> = keys.iter().map(SecretKey::public).collect();
    let members = Members { miners, validators: nodes.len(), nodes };
    let network = Arc::new(setup::network(scenario, profile, members, false, rng_seed)?);
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    progress.now("starting processes".into());
    let mut processes = NodeProcesses::start(&Plan {
        scenario,
        profile,
        network: &network,
        keys: &keys,
        miners,
        directory: plan.directory,
        rng_seed,
        strategy: None,
        program: &program,
        adjust: |_, _| {},
    })
    .await?;
    let mut live =
        Live::new(plan, &network, Journal::new(network.validators().total_power(), network::numbers(&keys)));
    let outcome = live.play(&mut processes, progress).await;
    processes.stop().await;
    outcome?;
    live.listen(&mut processes, progress);
    progress.now("verifying every chain from genesis".into());
    let stores: Vec<PathBuf> = processes.nodes.iter().map(|node| node.file.store_dir()).collect();
    let audited = audit(&stores, &network, &scenario.instance, &live.ids)?;
    let fates = live.fates(&audited)?;
    let Audited { mut audit, evaluation, solution, .. } = audited;
    audit.failures.extend(live.journal.faults.iter().cloned());
    Ok(LiveRun {
        fates,
        solution,
        cost: evaluation.cost,
        penalised_cost: evaluation.penalised_cost(&scenario.instance),
        batches: live.journal.batches.values().filter(|row| row.batch.demands > 0).count(),
        cpu_seconds: live.journal.slowest_cpu_seconds(),
        audit,
    })
}

/// A network in the middle of the experiment.
struct Live<'a> {
    plan: LivePlan<'a>,
    network: &'a Network,
    /// The scenario's demands as records, in order, and their ids.
    records: Vec<Record>,
    ids: Vec<DemandId>,
    journal: Journal,
    /// When this program first heard that a height was final.
    heard: BTreeMap<Height, Instant>,
    started: Instant,
}

impl<'a> Live<'a> {
    fn new(plan: LivePlan<'a>, network: &'a Network, journal: Journal) -> Self {
        let fee_ppm = network.parameters().solver_fee_ppm;
        let records = scenario_demand_records(
            &plan.scenario.instance,
            network.id(),
            plan.rng_seed,
            fee_ppm,
            network.genesis().first_expiry_ms(),
        );
        Self {
            ids: records.iter().map(Record::id).collect(),
            records,
            plan,
            network,
            journal,
            heard: BTreeMap::new(),
            started: Instant::now(),
        }
    }

    /// From the first customer to the moment when nobody waits any more.
    async fn play(&mut self, processes: &mut NodeProcesses, progress: &Progress) -> Result<()> {
        processes.converge(0).await?;
        processes.start_mining().await?;
        self.started = Instant::now();
        let mut acts = self.acts();
        let last_arrival = self.plan.customers.last().map_or(0, |customer| customer.arrives_ms);
        let deadline = acts.last().map_or(0, |&(at_ms, _)| at_ms);
        let deadline = self.started + Duration::from_millis(deadline) + GRACE;
        let (mut settled, mut next_look) = (0, self.started);
        loop {
            self.listen(processes, progress);
            while let Some(&(at_ms, act)) = acts.first() {
                if self.elapsed_ms() < at_ms {
                    break;
                }
                acts.pop_first();
                self.act(act, processes, progress).await?;
            }
            if Instant::now() >= next_look {
                next_look = Instant::now() + POLL_INTERVAL;
                let statuses = processes.statuses().await?;
                if let Some(status) = statuses.first() {
                    progress.now(format!(
                        "{} s: height {}, {} waiting, {} composed",
                        self.elapsed_ms() / 1_000,
                        status.height,
                        status.open_demands,
                        status.composed_demands
                    ));
                }
                let nobody_waits = statuses.iter().all(|status| status.open_demands == 0);
                let is_over = self.elapsed_ms() > last_arrival && nobody_waits && is_settled(&statuses);
                // Twice in a row: between two looks a batch may have been on its way.
                settled = if is_over { settled + 1 } else { 0 };
                if settled == 2 {
                    return Ok(());
                }
                ensure!(
                    Instant::now() < deadline,
                    "the network did not finish within {GRACE:?} after its last customer; it stands at {statuses:?}"
                );
            }
            let next_act = acts.first().map(|&(at_ms, _)| self.started + Duration::from_millis(at_ms));
            let wake = next_act.map_or(next_look, |at| at.min(next_look));
            tokio::time::sleep_until(wake.into()).await;
        }
    }

    /// Everything the customers will do unless they are served, by time.
    fn acts(&self) -> BTreeSet<(u64, Act)> {
        let customers = self.plan.customers.iter().enumerate();
        let acts = customers.flat_map(|(number, customer)| {
            [(customer.arrives_ms, Act::Arrive(number)), (customer.leaves_ms, Act::Leave(number))]
        });
        acts.collect()
    }

    async fn act(&self, act: Act, processes: &NodeProcesses, progress: &Progress) -> Result<()> {
        let (Act::Arrive(number) | Act::Leave(number)) = act;
        let node = &processes.nodes[number % processes.nodes.len()];
        let demand = self.plan.customers[number].demand;
        let record = match act {
            Act::Arrive(_) => self.records[demand].clone(),
            Act::Leave(_) => self.cancellation(demand),
        };
        let submitted = node.client().await?.submit(vec![record]).await?;
        match (act, submitted.refusals().next()) {
            (Act::Arrive(_), Some(refusal)) => {
                bail!("node {} refused a demand: {}", node.number, refusal.reason)
            }
            (Act::Leave(_), None) => progress.note(&format!(
                "   {} has waited too long and leaves",
                self.plan.scenario.instance.demands[demand].name
            )),
            // Its demand was composed before: the fates tell.
            (Act::Leave(_), Some(_)) | (Act::Arrive(_), None) => {}
        }
        Ok(())
    }

    /// The demander's second record.
    fn cancellation(&self, demand: usize) -> Record {
        let key = demander_key(self.plan.rng_seed, demand as u64);
        let content = RecordContent {
            network: self.network.id(),
            author: key.public(),
            sequence: 1,
            valid_until_ms: u64::MAX,
            statement: Statement::DemandCancellation { demand: self.ids[demand] },
        };
        content.sign(&key)
    }

    fn listen(&mut self, processes: &mut NodeProcesses, progress: &Progress) {
        for said in processes.drain_events() {
            if let NodeEvent::BatchFinal { batch, .. } = &said.event {
                let heard = self.heard.entry(batch.height).or_insert(said.at);
                *heard = said.at.min(*heard);
            }
            if let Some(line) = self.journal.note(said) {
                progress.note(&format!("   {line}"));
            }
        }
    }

    fn elapsed_ms(&self) -> u64 {
        milliseconds(self.started.elapsed())
    }

    /// What came of each customer, out of the chain all nodes agree on.
    fn fates(&self, audited: &Audited) -> Result<Vec<Fate>> {
        let fate = |customer: &Customer| {
            let entry = audited.history.demand(&audited.ledger, self.ids[customer.demand]);
            let Some(entry) = entry else { return Ok(Fate::Waiting) };
            let composition = match &entry.status {
                DemandStatus::Open => return Ok(Fate::Waiting),
                DemandStatus::Cancelled { .. } | DemandStatus::Expired { .. } => return Ok(Fate::Left),
                DemandStatus::Composed(composition) | DemandStatus::Frozen { composition, .. } => composition,
            };
            let height = composition.since;
            let heard = self.heard.get(&height);
            let heard = heard.with_context(|| format!("no node told that height {height} is final"))?;
            let at_ms = milliseconds(heard.saturating_duration_since(self.started));
            Ok(Fate::Served { at_ms })
        };
        self.plan.customers.iter().map(fate).collect()
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
