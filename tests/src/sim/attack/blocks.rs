//! Blocks that play on what a name covers, on room for candidates, and on other people's work.

use chain::{Block, Draft, Ledger, SecretKey};
use miner_node::Message;

use super::{Playing, Says, Stage};
use crate::sim::lie::{with_another_signature, without_body};

/// Blocks that one node is shown for a height, each of another invented miner.
const SHOWN: u64 = 8;

/// Whoever takes the name of a block for what it holds believes the copy, and condemns the block.
pub(super) fn copy_names(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut says = Vec::new();
    for block in new_blocks(playing, stage) {
        let copies = [without_body(&block), with_another_signature(&block)];
        for &peer in stage.peers {
            let copy = playing.draws.pick(&copies).clone();
            says.push((peer, Message::Block(Box::new(copy))));
        }
    }
    says
}

/// Blocks heard of for the next height that were not heard of before.
fn new_blocks(playing: &mut Playing, stage: &Stage<'_>) -> Vec<Block> {
    let next = stage.ledger.head().height + 1;
    let blocks = stage.heard.iter().filter_map(|(_, message)| match message {
        Message::Block(block) if block.header.height == next => Some(block.as_ref().clone()),
        _ => None,
    });
    blocks.filter(|block| playing.seen.insert(block.hash())).collect()
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
            let block = draft(stage.ledger, &key, stage.now.wall_ms + number, |draft| {
                draft.records.clone_from(&records);
            });
            says.extend(block.map(|block| (peer, Message::Block(Box::new(block)))));
        }
    }
    says
}

/// Whatever somebody found, said again by somebody else, to everybody and so also to whoever proposes next.
pub(super) fn steal(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut says = Vec::new();
    for block in new_blocks(playing, stage) {
        if block.body.compositions.is_empty() || block.header.miner == stage.key.public() {
            continue;
        }
        let stolen = draft(stage.ledger, stage.key, block.header.timestamp_ms, |draft| {
            draft.records.clone_from(&block.body.records);
            draft.price_update.clone_from(&block.body.price_update);
            let served = block.body.compositions.iter();
            draft.compositions = served.map(|served| (served.demand, served.providers.clone())).collect();
        });
        let stolen = stolen.map(|block| Message::Block(Box::new(block)));
        says.extend(stolen.into_iter().flat_map(|stolen| stage.to_all(&[stolen])));
    }
    says
}

/// A block on this ledger, if it breaks no rule.
fn draft(
    ledger: &Ledger,
    key: &SecretKey,
    timestamp_ms: u64,
    fill: impl FnOnce(&mut Draft),
) -> Option<Block> {
    let soonest_ms = ledger.head().timestamp_ms + ledger.network().parameters().quiet_block_interval_ms;
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
    let (header, body, _) = ledger.draft(draft).ok()?;
    Some(Block::sign(header, body, key))
}
