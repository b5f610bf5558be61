//! Blocks and batches that play on what a name covers, on room for blocks, and on other people's work.

use chain::{Block, Body, Commitment, Hash, SecretKey};
use miner_node::Message;

use super::{Playing, Says, Stage};
use crate::sim::lie::{another_signature, forged_block, without_body};

/// Blocks that one node is shown of each that is heard of, each of another invented miner.
const SHOWN: u64 = 8;

/// Whoever takes the name of a batch or block for what it holds believes the copy, and condemns the original.
pub(super) fn copy_names(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut copies = Vec::new();
    for (_, message) in &stage.heard {
        match message {
            Message::Batch(batch) if playing.seen.insert(batch.hash().0) => {
                copies.push([without_body(batch), another_signature(batch)]);
            }
            Message::Block(block) if playing.seen.insert(block.hash().0) => {
                copies.push([0, 1].map(|kind| Message::Block(Box::new(forged_block(block, kind)))));
            }
            _ => {}
        }
    }
    let mut says = Vec::new();
    for copies in copies {
        for &peer in stage.peers {
            says.push((peer, playing.draws.pick(&copies).clone()));
        }
    }
    says
}

/// Blocks heard of that were not heard of before.
fn new_blocks(playing: &mut Playing, stage: &Stage<'_>) -> Vec<Block> {
    let blocks = stage.heard.iter().filter_map(|(_, message)| match message {
        Message::Block(block) => Some(block.as_ref().clone()),
        _ => None,
    });
    blocks.filter(|block| playing.seen.insert(block.hash().0)).collect()
}

/// The same on the newest head, by somebody else.
fn by_another(stage: &Stage<'_>, body: Body, nonce: u64, key: &SecretKey) -> Block {
    Block::sign(stage.market.network.id(), stage.ledger.head().hash, nonce, body, key)
}

/// A part of what somebody found, shown to each node as the work of others whom nobody knows.
pub(super) fn crowd(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut says = Vec::new();
    for block in new_blocks(playing, stage) {
        let Some(first) = block.body.compositions.first() else { continue };
        for &peer in stage.peers {
            for number in 0..SHOWN {
                let key = SecretKey::for_scenario(u64::from(peer.0), "crowd", number);
                let body = Body { compositions: vec![first.clone()], ..Body::default() };
                let block = by_another(stage, body, playing.turn, &key);
                playing.seen.insert(block.hash().0);
                says.push((peer, Message::Block(Box::new(block))));
            }
        }
    }
    says
}

/// Blocks that claim what is not so: each costs whoever judges it a shortest path.
pub(super) fn false_claims(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let mut says = Vec::new();
    for block in new_blocks(playing, stage) {
        let mut compositions = block.body.compositions.clone();
        for composition in &mut compositions {
            composition.minutes += 1;
        }
        if compositions.is_empty() {
            continue;
        }
        let key = SecretKey::for_scenario(playing.draws.below(u64::MAX), "liar", 0);
        let body = Body { compositions, ..Body::default() };
        let block = by_another(stage, body, playing.turn, &key);
        playing.seen.insert(block.hash().0);
        says.extend(stage.to_all(&[Message::Block(Box::new(block))]));
    }
    says
}

/// Whatever somebody found, said again by somebody else, to everybody and so also to whoever proposes next. Where miners
/// commit to blocks the thief does, and reveals the copy as soon as it may.
pub(super) fn steal(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let is_hidden = stage.ledger.network().parameters().commit_reveal.is_some();
    let mut says = Vec::new();
    playing.copies.retain(|copy| {
        let may_reveal = stage.ledger.validate_reveal(copy).is_ok();
        if may_reveal {
            says.extend(stage.to_all(&[Message::Block(Box::new(copy.clone()))]));
        }
        !may_reveal
    });
    for block in new_blocks(playing, stage) {
        if block.body.compositions.is_empty() || block.miner() == stage.key.public() {
            continue;
        }
        let nonce = playing.draws.below(u64::MAX);
        let stolen = by_another(stage, block.body, nonce, stage.key);
        playing.seen.insert(stolen.hash().0);
        if is_hidden {
            let commitment = Commitment::to_block(&stolen).sign(stage.key);
            says.extend(stage.to_all(&[Message::Commitment(commitment)]));
            playing.copies.push(stolen);
            continue;
        }
        says.extend(stage.to_all(&[Message::Block(Box::new(stolen))]));
    }
    says
}

/// Anything that nobody has.
pub(super) fn nothing(playing: &mut Playing) -> Hash {
    let number = playing.draws.below(u64::MAX);
    Hash(*blake3::hash(&number.to_le_bytes()).as_bytes())
}
