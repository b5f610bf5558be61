//! What the nodes of a run said, put together: batches, refusals, repairs and CPU time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chain::consensus::Power;
use chain::{BatchHash, PublicKey};
use miner_api::BatchRow;

use super::central::seconds;
use super::network::ObservedEvent;
use super::report::{FinalRow, RefusalRow, Repairs};
use miner_node::{NodeEvent, WorkId};

/// Everything worth telling of a run.
#[derive(Debug)]
pub struct Journal {
    /// Validators of the network.
    all_votes: Power,
    numbers: BTreeMap<PublicKey, usize>,
    cells: BTreeMap<usize, String>,
    /// The cell each announced batch was mined for.
    mined_for: BTreeMap<BatchHash, String>,
    /// Final batches, by height.
    pub batches: BTreeMap<u64, FinalRow>,
    refused: BTreeSet<BatchHash>,
    /// Refusals of batches with compositions, in order of arrival.
    pub refusals: Vec<RefusalRow>,
    /// Refusals of batches with nothing but amendments: mostly overtaken by others, and sent again.
    pub refused_amendments: usize,
    /// Re-anchored and repaired.
    pub repairs: Repairs,
    cpu_micros: BTreeMap<(usize, WorkId), u64>,
    /// When the last batch with compositions became final.
    pub last_composed: Option<Instant>,
    /// Faults that nodes report of themselves.
    pub faults: Vec<String>,
}

impl Journal {
    /// Of a run of a network with so many votes, in which these nodes have these numbers.
    pub const fn new(all_votes: Power, numbers: BTreeMap<PublicKey, usize>) -> Self {
        Self {
            all_votes,
            numbers,
            cells: BTreeMap::new(),
            mined_for: BTreeMap::new(),
            batches: BTreeMap::new(),
            refused: BTreeSet::new(),
            refusals: Vec::new(),
            refused_amendments: 0,
            repairs: Repairs { reanchored: 0, dropped: 0, searches: 0 },
            cpu_micros: BTreeMap::new(),
            last_composed: None,
            faults: Vec::new(),
        }
    }

    /// Takes one event in; a line worth showing while it runs comes back.
    pub fn note(&mut self, said: ObservedEvent) -> Option<String> {
        let ObservedEvent { node, at, event } = said;
        match event {
            NodeEvent::CellChosen { cell, demands, .. } => {
                let line = format!("miner {node} takes {cell}: {demands} demands");
                self.cells.insert(node, cell);
                Some(line)
            }
            NodeEvent::Searching { work, cpu_micros, .. } | NodeEvent::Priced { work, cpu_micros, .. } => {
                self.cpu_micros.insert((node, work), cpu_micros);
                None
            }
            NodeEvent::BatchAnnounced(batch) => {
                let cell = self.cells.get(&node).cloned().unwrap_or_default();
                self.mined_for.insert(batch.batch, cell);
                None
            }
            NodeEvent::BatchFinal { batch, votes, round, .. } => {
                if self.batches.contains_key(&batch.height) {
                    return None;
                }
                if batch.demands > 0 {
                    self.last_composed = Some(at);
                }
                let cell = self.mined_for.get(&batch.batch).cloned().unwrap_or_default();
                let (miner_number, all_votes) = (self.number(&batch.miner), self.all_votes);
                let row = FinalRow { batch, miner_number, cell, votes, all_votes, round };
                let line = self.final_line(&row);
                self.batches.insert(row.batch.height, row);
                Some(line)
            }
            NodeEvent::BatchRefused { batch, height, miner, demands, amended, rule, reason } => {
                if !self.refused.insert(batch) {
                    return None;
                }
                if demands == 0 && amended > 0 {
                    self.refused_amendments += 1;
                    return None;
                }
                let miner_number = self.number(&miner);
                let line =
                    format!("refused: batch {height} of miner {miner_number} ({demands} demands): {reason}");
                self.refusals.push(RefusalRow { height, batch, miner_number, demands, rule, reason });
                Some(line)
            }
            NodeEvent::BatchReanchored { kept, dropped, .. } => {
                self.repairs.reanchored += 1;
                self.repairs.dropped += dropped;
                Some(format!(
                    "miner {node} re-anchors its batch: {kept} compositions stand, {dropped} fell out"
                ))
            }
            NodeEvent::Repaired { lost, left } => {
                self.repairs.searches += 1;
                Some(format!("miner {node} lost {lost} demands and searches on for {left}"))
            }
            NodeEvent::HeldBack { demands, reason } => {
                Some(format!("miner {node} holds {demands} demands back: {reason}"))
            }
            NodeEvent::Unserved { name, reason, .. } => {
                Some(format!("miner {node} cannot serve {name}: {reason}"))
            }
            NodeEvent::LocalFault { detail } => {
                let line = format!("node {node}: {detail}");
                self.faults.push(line.clone());
                Some(line)
            }
            NodeEvent::WorkFailed { kind, reason, .. } => {
                let line = format!("node {node}: a search ({kind:?}) came to nothing: {reason}");
                self.faults.push(line.clone());
                Some(line)
            }
            NodeEvent::ClockBehind { validators, by_ms } => {
                let line = format!(
                    "node {node}: {validators} validators propose batches from the future, the last by {by_ms} ms: this \
                     machine's clock is behind"
                );
                self.faults.push(line.clone());
                Some(line)
            }
            NodeEvent::ForgottenVote { height, .. } => {
                let line =
                    format!("node {node} does not remember its vote on height {height} and votes no more");
                self.faults.push(line.clone());
                Some(line)
            }
            NodeEvent::Equivocation { validator, detail } => {
                Some(format!("validator {} lied: {detail}", self.number(&validator)))
            }
            NodeEvent::Amending { .. }
            | NodeEvent::PeerUp { .. }
            | NodeEvent::PeerDown { .. }
            | NodeEvent::RecordRefused { .. } => None,
        }
    }

    /// CPU time of the miner that searched longest, in seconds.
    pub fn slowest_cpu_seconds(&self) -> f64 {
        let mut totals: BTreeMap<usize, u64> = BTreeMap::new();
        for (&(node, _), &micros) in &self.cpu_micros {
            *totals.entry(node).or_default() += micros;
        }
        seconds(totals.into_values().max().unwrap_or(0))
    }

    fn final_line(&self, row: &FinalRow) -> String {
        let FinalRow { batch, miner_number, votes, .. } = row;
        let (height, what, all_votes) = (batch.height, contents(batch), self.all_votes);
        format!("final: batch {height} of miner {miner_number}: {what} ({votes} of {all_votes} votes)")
    }

    fn number(&self, miner: &PublicKey) -> usize {
        self.numbers.get(miner).copied().unwrap_or(0)
    }
}

/// What a batch brought, in words.
fn contents(batch: &BatchRow) -> String {
    let BatchRow { records, demands, cost, reward, fees, .. } = batch;
    let mut parts = Vec::new();
    if *records > 0 {
        parts.push(format!("{records} records"));
    }
    if let Some((before, after)) = batch.bounds {
        parts.push(format!("bound raised from {before:.0} to {after:.0} $"));
    }
    if batch.amended > 0 {
        parts.push(format!("{} demands composed anew, {:.2} $ saved", batch.amended, batch.saving));
    }
    if *demands > 0 {
        parts.push(format!("{demands} demands for {cost:.0} $, earns {reward:.2} of {fees:.2} $"));
    }
    if parts.is_empty() { "nothing but time".to_owned() } else { parts.join(", ") }
}
