//! After the run: every node's chain verified from genesis out of its own store, every cost recomputed by
//! the independent evaluator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chain::store::replay_with;
use chain::{DemandId, Ledger, Network};
use scenarios::{Evaluation, Instance, Money, Solution, evaluate};

use super::report::Audit;
use crate::chain_tools::DemandHistory;
use crate::storage;

/// What the chains say, and whether they may.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Audited {
    pub audit: Audit,
    /// The evaluator's verdict on them.
    pub evaluation: Evaluation,
    /// The compositions as a solution of the scenario.
    pub solution: Solution,
    /// The state at the head, as the first store that verifies has it.
    pub ledger: Ledger,
    /// The demands that left the market before.
    pub history: DemandHistory,
}

/// Verifies the stores of all nodes against each other and against the scenario. `demands` names the
/// scenario's demands by their records, in order.
///
/// # Errors
/// If a store cannot be read at all; what is read and does not hold is a finding, not an error.
pub fn audit(
    stores: &[std::path::PathBuf],
    network: &Arc<Network>,
    instance: &Instance,
    demands: &[DemandId],
) -> Result<Audited> {
    let (mut audit, ledger, history, first) = replay_all(stores, network);
    let solution = solution_of(&ledger, &history, demands);
    let evaluation = evaluate(instance, &solution);
    audit.failures.extend(evaluation.violations.iter().map(|violation| format!("on chain: {violation}")));
    let claimed = history.demands(&ledger);
    let claimed: Money = claimed.filter_map(|(_, entry)| Some(entry.composition()?.cost)).sum();
    if claimed != evaluation.cost {
        let (got, expected) = (claimed, evaluation.cost);
        audit.failures.push(format!("the chain says its compositions cost {got}, the evaluator {expected}"));
    }
    let unserved = demands.iter().zip(&instance.demands).filter(|(id, _)| !first.served.contains(id));
    audit.first_penalised_cost = first.cost + unserved.map(|(_, demand)| demand.budget).sum::<Money>();
    Ok(Audited { audit, evaluation, solution, ledger, history })
}

/// The state of compositions when the last demand had been composed for the first time.
#[derive(Debug, Default)]
struct First {
    cost: Money,
    served: BTreeSet<DemandId>,
}

/// Verifies the stores of all nodes from genesis and against each other, whatever is on their chains; the
/// state they agree on.
pub fn audit_chains(stores: &[std::path::PathBuf], network: &Arc<Network>) -> (Audit, Ledger) {
    let (audit, ledger, ..) = replay_all(stores, network);
    (audit, ledger)
}

fn replay_all(
    stores: &[std::path::PathBuf],
    network: &Arc<Network>,
) -> (Audit, Ledger, DemandHistory, First) {
    let (mut audit, mut first) = (Audit::default(), First::default());
    let mut reference: Option<(Ledger, DemandHistory)> = None;
    for directory in stores {
        match verify(directory, network, &mut audit) {
            Ok((ledger, history, found)) => {
                first = found;
                audit.chains += 1;
                if let Some((reference, _)) = &reference {
                    compare_heads(directory, &ledger, reference, &mut audit);
                } else {
                    audit.head = Some(ledger.head().hash);
                    reference = Some((ledger, history));
                }
            }
            Err(error) => audit.failures.push(format!("{}: {error:#}", directory.display())),
        }
    }
    let nothing = || (Ledger::new(Arc::clone(network)), DemandHistory::default());
    let (ledger, history) = reference.unwrap_or_else(nothing);
    let expected = Ledger::new(Arc::clone(network)).total_money();
    let got = ledger.total_money();
    if got != expected {
        audit
            .failures
            .push(format!("money is not conserved: {got} micro-units at the head, {expected} at genesis"));
    }
    (audit, ledger, history, first)
}

fn verify(
    directory: &Path,
    network: &Arc<Network>,
    audit: &mut Audit,
) -> Result<(Ledger, DemandHistory, First)> {
    let store = storage::open(directory, network.id())?;
    let (mut batches, mut cost, mut first) = (0, Money::ZERO, First::default());
    let mut history = DemandHistory::default();
    let ledger = replay_with(&store, Arc::clone(network), |done| {
        history.note(&done.report().departed);
        batches += 1;
        cost += done.report().cost;
        if done.report().compositions > 0 {
            let demands = history.demands(done.ledger());
            let composed = demands.filter(|(_, entry)| entry.composition().is_some());
            first = First { cost, served: composed.map(|(id, _)| id).collect() };
        }
    })
    .context("the chain does not verify from genesis")?;
    audit.batches += batches;
    Ok((ledger, history, first))
}

fn compare_heads(directory: &Path, ledger: &Ledger, reference: &Ledger, audit: &mut Audit) {
    let (got, expected) = (ledger.head(), reference.head());
    if got.hash != expected.hash {
        audit.failures.push(format!(
            "{}: head {} at height {}, others have {} at height {}",
            directory.display(),
            got.hash,
            got.height,
            expected.hash,
            expected.height
        ));
    }
    let (got, expected) = (ledger.state_root(), reference.state_root());
    if got != expected {
        audit.failures.push(format!("{}: state root {got}, others have {expected}", directory.display()));
    }
}

/// The chain's compositions as a solution of the scenario they came from.
fn solution_of(ledger: &Ledger, history: &DemandHistory, demands: &[DemandId]) -> Solution {
    let positions: BTreeMap<DemandId, usize> =
        demands.iter().enumerate().map(|(position, &id)| (id, position)).collect();
    let mut solution = Solution::unserved(demands.len());
    for (id, entry) in history.demands(ledger) {
        if let (Some(&position), Some(composition)) = (positions.get(&id), entry.composition()) {
            solution.compositions[position] = Some(composition.slots.clone());
        }
    }
    solution
}
