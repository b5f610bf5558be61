//! Batches that play on what a name covers, on room for candidates, and on other people's work.

use chain::{Batch, Draft, Ledger, SecretKey};
use miner_node::Message;

use super::{Playing, Says, Stage};
use crate::sim::lie::{with_another_signature, without_body};

/// Batches that one node is shown for a height, each of another invented miner.
const SHOWN: u64 = 8;

/// Whoever takes the name of a batch for what it holds believes the copy, and condemns the batch.
pub(super) fn copy_names(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut says = Vec::new();
    for batch in new_batches(playing, stage) {
        let copies = [without_body(&batch), with_another_signature(&batch)];
        for &peer in stage.peers {
            let copy = playing.draws.pick(&copies).clone();
            says.push((peer, Message::Batch(Box::new(copy))));
        }
    }
    says
}

/// Batches heard of for the next height that were not heard of before.
fn new_batches(playing: &mut Playing, stage: &Stage<'_>) -> Vec<Batch> {
    let next = stage.ledger.head().height + 1;
    let batches = stage.heard.iter().filter_map(|(_, message)| match message {
        Message::Batch(batch) if batch.header.height == next => Some(batch.as_ref().clone()),
        _ => None,
    });
    batches.filter(|batch| playing.seen.insert(batch.hash())).collect()
}

pub(super) fn useless(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let next_ms = stage.ledger.head().timestamp_ms + 1;
    let (records, _) = stage.ledger.admissible_records(&stage.market.records, next_ms);
    let waits = stage.ledger.is_waiting(next_ms) || !records.is_empty();
    if !waits || !playing.seen.insert(stage.ledger.head().hash) {
        return Vec::new();
    }
    let mut says = Vec::new();
    for &peer in stage.peers {
        for number in 0..SHOWN {
            let key = SecretKey::for_scenario(u64::from(peer.0), "useless", number);
            let batch = draft(stage.ledger, &key, stage.now.wall_ms + number, |draft| {
                draft.records.clone_from(&records);
            });
            says.extend(batch.map(|batch| (peer, Message::Batch(Box::new(batch)))));
        }
    }
    says
}

/// Whatever somebody found, said again by somebody else, to everybody and so also to whoever proposes next.
pub(super) fn steal(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut says = Vec::new();
    for batch in new_batches(playing, stage) {
        if batch.contents.compositions().next().is_none() || batch.header.proposer == stage.key.public() {
            continue;
        }
        let stolen = draft(stage.ledger, stage.key, batch.header.timestamp_ms, |draft| {
            draft.records.clone_from(&batch.contents.records);
            draft.price_update = batch.contents.price_updates().next().cloned();
            let served = batch.contents.compositions();
            draft.compositions = served.map(|served| (served.demand, served.providers.clone())).collect();
        });
        let stolen = stolen.map(|batch| Message::Batch(Box::new(batch)));
        says.extend(stolen.into_iter().flat_map(|stolen| stage.to_all(&[stolen])));
    }
    says
}

/// A batch on this ledger, if it breaks no rule.
fn draft(
    ledger: &Ledger,
    key: &SecretKey,
    timestamp_ms: u64,
    fill: impl FnOnce(&mut Draft),
) -> Option<Batch> {
    let soonest_ms = ledger.head().timestamp_ms + ledger.network().parameters().quiet_batch_interval_ms;
    let mut draft = Draft {
        miner: key.public(),
        timestamp_ms,
        records: Vec::new(),
        price_update: None,
        compositions: Vec::new(),
        amendments: Vec::new(),
    };
    fill(&mut draft);
    if draft.compositions.is_empty() {
        draft.timestamp_ms = draft.timestamp_ms.max(soonest_ms);
    }
    Some(ledger.draft(draft).ok()?.sign(key).0)
}
