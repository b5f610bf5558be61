//! What the nodes of a run said, put together: batches with their blocks, refusals, repairs and CPU time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use chain::consensus::Power;
use chain::{BlockHash, BlockOutcome, PublicKey};
use miner_api::BatchRow;

use super::central::seconds;
use super::network::ObservedEvent;
use super::report::{FinalRow, Mined, RefusalRow, Repairs};
use miner_node::{NodeEvent, WorkId};

/// Everything worth telling of a run.
#[derive(Debug)]
pub struct Journal {
    /// Validators of the network.
    all_votes: Power,
    numbers: BTreeMap<PublicKey, usize>,
    cells: BTreeMap<usize, String>,
    /// The cell each announced block was mined for.
    mined_for: BTreeMap<BlockHash, String>,
    /// Final batches, by height.
    pub batches: BTreeMap<u64, FinalRow>,
    refused: BTreeSet<BlockHash>,
    /// Refusals of blocks with compositions, in order of arrival.
    pub refusals: Vec<RefusalRow>,
    /// Refusals of blocks with nothing but amendments or prices: others' were better.
    pub refused_amendments: usize,
    /// Dropped and repaired.
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
            repairs: Repairs { dropped: 0, searches: 0 },
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
            NodeEvent::BlockAnnounced(outcome) => {
                let cell = self.cells.get(&node).cloned().unwrap_or_default();
                self.mined_for.insert(outcome.block, cell);
                None
            }
            NodeEvent::BatchFinal { batch, votes, round, .. } => self.note_final(batch, votes, round, at),
            NodeEvent::BlockRefused { block, miner, demands, rule, reason, .. } => {
                if !self.refused.insert(block) {
                    return None;
                }
                if demands == 0 {
                    self.refused_amendments += 1;
                    return None;
                }
                let miner_number = self.number(&miner);
                let line = format!("refused: a block of miner {miner_number} ({demands} demands): {reason}");
                self.refusals.push(RefusalRow { block, miner_number, demands, rule, reason });
                Some(line)
            }
            NodeEvent::BatchRefused { height, proposer, reason, .. } => {
                let proposer = self.number(&proposer);
                let line = format!("node {node} refuses batch {height} of validator {proposer}: {reason}");
                self.faults.push(line.clone());
                Some(line)
            }
            NodeEvent::BlockBrought { height, kept, dropped: dropped @ 1.., reason, .. } => {
                self.repairs.dropped += dropped;
                let reason = reason.unwrap_or_default();
                Some(format!(
                    "miner {node}: batch {height} took {kept} items of its block and dropped {dropped}: {reason}"
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
            NodeEvent::BlockBrought { .. }
            | NodeEvent::Amending { .. }
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

    /// A batch is final, as each node says; a line worth showing comes back once, if it brings anything.
    fn note_final(&mut self, batch: BatchRow, votes: Power, round: u32, at: Instant) -> Option<String> {
        if self.batches.contains_key(&batch.height) {
            return None;
        }
        if batch.demands > 0 {
            self.last_composed = Some(at);
        }
        let mined = |outcome: &BlockOutcome| Mined {
            miner_number: self.number(&outcome.miner),
            cell: self.mined_for.get(&outcome.block).cloned().unwrap_or_default(),
        };
        let mined: Vec<Mined> = batch.blocks.iter().map(mined).collect();
        let (proposer_number, all_votes) = (self.number(&batch.proposer), self.all_votes);
        let row = FinalRow { batch, proposer_number, mined, votes, all_votes, round };
        let line = row.batch.brings_anything().then(|| {
            let (height, what) = (row.batch.height, contents(&row));
            format!("final: batch {height}: {what} ({votes} of {all_votes} votes)")
        });
        self.batches.insert(row.batch.height, row);
        line
    }

    fn number(&self, miner: &PublicKey) -> usize {
        self.numbers.get(miner).copied().unwrap_or(0)
    }
}

/// What a batch brought, in words.
fn contents(row: &FinalRow) -> String {
    let BatchRow { records, demands, cost, reward, fees, .. } = &row.batch;
    let mut parts = Vec::new();
    if *records > 0 {
        parts.push(format!("{records} records"));
    }
    if !row.batch.accused.is_empty() {
        parts.push(format!("evidence against {} validators", row.batch.accused.len()));
    }
    if row.batch.committed > 0 {
        parts.push(format!("{} commitments", row.batch.committed));
    }
    if row.batch.revealed > 0 {
        parts.push(format!("{} blocks revealed", row.batch.revealed));
    }
    if let Some((before, after)) = row.batch.bounds {
        parts.push(format!("bound raised from {before:.0} to {after:.0} $"));
    }
    if row.batch.amended > 0 {
        parts.push(format!("{} demands composed anew, {:.2} $ saved", row.batch.amended, row.batch.saving));
    }
    if *demands > 0 {
        parts.push(format!("{demands} demands for {cost:.0} $, earns {reward:.2} of {fees:.2} $"));
    }
    let miners: Vec<String> = row.mined.iter().map(|mined| mined.miner_number.to_string()).collect();
    match miners.as_slice() {
        [] => {}
        [miner] => parts.push(format!("by miner {miner}")),
        _ => parts.push(format!("by miners {}", miners.join(", "))),
    }
    if parts.is_empty() { "who waited long enough leaves".to_owned() } else { parts.join(", ") }
}
