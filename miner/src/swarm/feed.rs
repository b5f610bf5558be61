//! What the nodes of a swarm said, as far as it is worth showing: the last lines, the last votes, and each
//! miner's cell. Only the last of everything is kept: a swarm may run for long.

use std::collections::{BTreeMap, VecDeque};

use chain::consensus::Power;
use chain::{PublicKey, RecordId};

use crate::compare::journal::Journal;
use crate::compare::network::ObservedEvent;
use miner_node::NodeEvent;

/// Lines of each kind that are kept.
const LINES: usize = 6;
/// Heights of which the journal keeps the batches: no node's news are older while it keeps up.
const HEIGHTS: usize = 1_000;
/// Refused records that are remembered, so that each is told of once, whoever refuses it.
const REFUSED: usize = 1_000;

/// What to show of what was said.
#[derive(Debug)]
pub(super) struct Feed {
    journal: Journal,
    /// Batches below this height have been told of and forgotten.
    floor: u64,
    cells: BTreeMap<usize, String>,
    refused: VecDeque<RecordId>,
    /// Final batches, oldest first.
    pub(super) batches: VecDeque<String>,
    /// Refused blocks and records, oldest first.
    pub(super) refusals: VecDeque<String>,
    /// Votes and round of the last batch.
    pub(super) last_votes: Option<(Power, u32)>,
}

impl Feed {
    /// Of a network with so many votes, whose nodes have these numbers.
    pub(super) const fn new(all_votes: Power, numbers: BTreeMap<PublicKey, usize>) -> Self {
        Self {
            journal: Journal::new(all_votes, numbers),
            floor: 0,
            cells: BTreeMap::new(),
            refused: VecDeque::new(),
            batches: VecDeque::new(),
            refusals: VecDeque::new(),
            last_votes: None,
        }
    }

    /// The cell a miner last took, or the neighbourhood it last searched for an amendment.
    pub(super) fn cell(&self, node: usize) -> &str {
        self.cells.get(&node).map_or("", String::as_str)
    }

    /// Takes in one event; a line worth showing comes back.
    pub(super) fn note(&mut self, said: ObservedEvent) -> Option<String> {
        if let NodeEvent::RecordRefused { record, reason, .. } = &said.event {
            let line = self.record_refused(*record, reason)?;
            keep_last(&mut self.refusals, line.clone());
            return Some(line);
        }
        if let NodeEvent::CellChosen { cell, .. } = &said.event {
            self.cells.insert(said.node, cell.clone());
        }
        if let NodeEvent::Amending { kind, demands, .. } = &said.event {
            self.cells.insert(said.node, format!("amends {demands} {}", kind.name()));
        }
        if let NodeEvent::BatchFinal { batch, votes, round, .. } = &said.event {
            if batch.height < self.floor {
                return None;
            }
            self.last_votes = Some((*votes, *round));
        }
        let is_final = matches!(said.event, NodeEvent::BatchFinal { .. });
        let is_refused =
            matches!(said.event, NodeEvent::BlockRefused { .. } | NodeEvent::BatchRefused { .. });
        let line = self.journal.note(said)?;
        if is_final {
            keep_last(&mut self.batches, line.clone());
        } else if is_refused {
            keep_last(&mut self.refusals, line.clone());
        }
        while self.journal.batches.len() > HEIGHTS {
            self.floor = self.journal.batches.pop_first().map_or(self.floor, |(height, _)| height + 1);
        }
        Some(line)
    }

    fn record_refused(&mut self, record: Option<RecordId>, reason: &str) -> Option<String> {
        let Some(record) = record else { return Some(format!("refused: a record: {reason}")) };
        if self.refused.contains(&record) {
            return None;
        }
        self.refused.push_back(record);
        if self.refused.len() > REFUSED {
            self.refused.pop_front();
        }
        Some(format!("refused: record {}: {reason}", record.0.short()))
    }
}

fn keep_last(lines: &mut VecDeque<String>, line: String) {
    lines.push_back(line);
    if lines.len() > LINES {
        lines.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use chain::{Hash, RecordRule};
    use coordinator_free_pool::Rule;

    use super::*;

    fn refused(node: usize, record: u8) -> ObservedEvent {
        let event = NodeEvent::RecordRefused {
            record: Some(RecordId(Hash([record; 32]))),
            rule: Rule::Record(RecordRule::Expired),
            reason: "too late".into(),
        };
        ObservedEvent { node, at: Instant::now(), event }
    }

    #[test]
    fn a_record_that_every_node_refuses_is_told_of_once() {
        let mut feed = Feed::new(4, BTreeMap::new());
        assert_eq!(feed.note(refused(1, 0xab)).unwrap(), "refused: record abababab: too late");
        assert_eq!(feed.note(refused(2, 0xab)), None);
        assert_eq!(feed.refusals.len(), 1);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut feed = Feed::new(4, BTreeMap::new());
        for record in 0..20 {
            feed.note(refused(1, record));
        }
        assert_eq!(feed.refusals.len(), LINES);
        assert_eq!(feed.refusals.back().unwrap(), "refused: record 13131313: too late");
    }
}
