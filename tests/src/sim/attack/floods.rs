//! Floods of requests: a few bytes that make others work.

use coordinator_free_pool::{Exchange, Pool, PoolLimits, PoolMessage};
use miner_node::{Message, Status};

use super::{Playing, Says, Stage};

/// Requests of one kind to each peer in a turn.
const AT_ONCE: usize = 3;
/// Blocks and batches that are asked for again and again, the newest.
const REMEMBERED: usize = 8;

pub(super) fn request_final(stage: &Stage<'_>) -> Says {
    stage.to_all(&vec![Message::RequestFinal { from: 1 }; AT_ONCE])
}

pub(super) fn low_status(stage: &Stage<'_>) -> Says {
    let Some(status) = a_status(stage) else { return Vec::new() };
    stage.to_all(&vec![Message::Status(Status { height: 0, ..status }); AT_ONCE])
}

/// What somebody has just said about the vote: an empty summary cannot be made by hand.
pub(super) fn a_status(stage: &Stage<'_>) -> Option<Status> {
    stage.heard.iter().rev().find_map(|(_, message)| match message {
        Message::Status(status) => Some(status.clone()),
        _ => None,
    })
}

/// The first round of a comparison with a pool that is empty.
pub(super) fn reconcile(stage: &Stage<'_>) -> Says {
    let empty = Pool::new(PoolLimits::default(), stage.market.network.clone());
    let rounds = Exchange::default().reconcile_with(&empty, stage.key.public(), stage.now.monotonic_ms);
    let rounds: Vec<Message> = rounds.into_iter().map(|(_, message)| Message::Pool(message)).collect();
    let flood: Vec<Message> = rounds.iter().cycle().take(rounds.len() * AT_ONCE).cloned().collect();
    stage.to_all(&flood)
}

pub(super) fn request_records(stage: &Stage<'_>) -> Says {
    let ids = stage.market.records.iter().map(chain::Record::id).collect();
    stage.to_all(&vec![Message::Pool(PoolMessage::Request(ids)); AT_ONCE])
}

pub(super) fn request_bodies(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    for (_, message) in &stage.heard {
        playing.made.extend(match message {
            Message::AnnounceBlock(block) => Some(Message::RequestBlock(*block)),
            Message::Block(block) => Some(Message::RequestBlock(block.hash())),
            Message::Batch(batch) => Some(Message::RequestBatch(batch.hash())),
            _ => None,
        });
    }
    let old = playing.made.len().saturating_sub(REMEMBERED);
    playing.made.drain(..old);
    stage.to_all(&playing.made)
}
