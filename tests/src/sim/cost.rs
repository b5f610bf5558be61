//! What a node's work costs, in microseconds of its only CPU. Constants are rounded from `cargo bench -p mizan-tests`
//! (`benches/costs.rs`), which measures the same code; a machine of a run may be slower by a whole factor.
//!
//! Work is counted by what came of it, so that a node which refuses work is charged for the refusal alone: signatures of
//! what was accepted or refused by name, batches that were judged, messages that were made. Of what left no trace only
//! decoding is charged, and the signatures of votes.

#![expect(clippy::wildcard_enum_match_arm, reason = "what costs no more than to be looked at has one arm")]

use chain::consensus::ConsensusMessage;
use chain::{Batch, FinalBatch, Write};
use coordinator_free_pool::PoolMessage;
use miner_node::{Effect, Input, Message, Node, NodeEvent};

/// Taking an input from its queue, and looking where it belongs.
const INPUT_US: u64 = 2;
/// Decoding, in nanoseconds a byte: the bytes are encoded again to see that they are canonical.
const DECODE_NS: u64 = 2;
/// Encoding, in nanoseconds a byte.
const ENCODE_NS: u64 = 1;
/// Verifying a signature; making one costs a third.
const SIGNATURE_US: u64 = 35;
/// Judging a batch beside its signatures and compositions.
const BATCH_US: u64 = 8;
/// Judging a block that came: its signature, and what such small markets compose.
const BLOCK_US: u64 = 80;
/// Judging one composition, with its shortest path among ten providers and its leaf of the tree of state.
const COMPOSITION_US: u64 = 4;
/// Bytes of a record, a composition and a vote as they travel, roughly.
const RECORD_BYTES: u64 = 170;
const COMPOSITION_BYTES: u64 = 50;
/// A vote, a status, an announcement.
const SMALL_BYTES: u64 = 150;
/// Putting the ids of a pool in order for a comparison, in nanoseconds a record.
const RECONCILE_NS: u64 = 17;
/// Beginning or answering a comparison.
const RECONCILE_US: u64 = 12;
/// Putting a message into one peer's queue.
const QUEUE_US: u64 = 1;
/// Making something durable: one commit. Not measured: what a good disk takes.
const COMMIT_US: u64 = 400;
/// Reading a final batch from the store and encoding it again, and how much a byte of it adds, in nanoseconds.
const READ_US: u64 = 2;
const READ_NS: u64 = 3;

/// What it costs to take an input, whatever comes of it.
pub(super) fn of_input(input: &Input, node: &Node) -> u64 {
    let Input::Message { bytes, .. } = input else { return INPUT_US };
    INPUT_US + nanos(bytes.len(), DECODE_NS) + SIGNATURE_US * signatures_of_votes(bytes, node)
}

/// A vote on the height in question is verified before anything else is looked at.
fn signatures_of_votes(bytes: &[u8], node: &Node) -> u64 {
    let Ok(Message::Consensus(message)) = Message::decode(bytes) else { return 0 };
    if message.height() != node.ledger().head().height + 1 {
        return 0;
    }
    count(match &message {
        ConsensusMessage::Vote(_) => 1,
        ConsensusMessage::Proposal(signed) => {
            1 + signed.polka.as_ref().map_or(0, |polka| polka.signatures.len())
        }
        ConsensusMessage::Polka(polka) => polka.signatures.len(),
        ConsensusMessage::Commit(commit) => commit.signatures.len(),
    })
}

/// What the work cost that left these effects.
pub(super) fn of_effects(effects: &[Effect], node: &Node, peers: usize) -> u64 {
    let relayed = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Peers(records), .. } => Some(count(records.len())),
        _ => None,
    });
    // The same news go to several peers, and were verified once.
    let news = SIGNATURE_US * relayed.max().unwrap_or(0);
    let is_relayed_block =
        |effect: &Effect| matches!(effect, Effect::Send { message: Message::AnnounceBlock(_), .. });
    let blocks = if effects.iter().any(is_relayed_block) { BLOCK_US } else { 0 };
    news + blocks + effects.iter().map(|effect| of_effect(effect, node, peers)).sum::<u64>()
}

fn of_effect(effect: &Effect, node: &Node, peers: usize) -> u64 {
    match effect {
        Effect::Send { message, .. } => QUEUE_US + of_making(message, node),
        Effect::Broadcast(message) => QUEUE_US * count(peers) + of_making(message, node),
        Effect::Persist(Write::Candidate(batch)) => COMMIT_US + of_judging(batch),
        Effect::Persist(Write::PoolRecord(_)) => COMMIT_US + SIGNATURE_US,
        Effect::Persist(_) => COMMIT_US,
        Effect::Execute(decided) => of_judging(decided.batch()) + SIGNATURE_US * 3,
        Effect::Event(NodeEvent::BlockRefused { demands, .. }) => {
            BATCH_US + SIGNATURE_US + COMPOSITION_US * count(*demands)
        }
        // It was drafted, and judged by that.
        Effect::Event(NodeEvent::BlockAnnounced(outcome)) => {
            BATCH_US + SIGNATURE_US / 3 + COMPOSITION_US * u64::from(outcome.items)
        }
        Effect::Event(NodeEvent::RecordRefused { .. }) => SIGNATURE_US,
        _ => INPUT_US,
    }
}

/// What it costs to make a message: to work out what it says, to sign it if it is a vote, and to encode it.
fn of_making(message: &Message, node: &Node) -> u64 {
    match message {
        Message::Batch(batch) => bytes_of(batch) * ENCODE_NS / 1_000,
        Message::Block(block) => {
            (300 + count(block.body.composed().count()) * COMPOSITION_BYTES) * ENCODE_NS / 1_000
        }
        Message::Pool(PoolMessage::Records(records)) => {
            count(records.len()) * RECORD_BYTES * ENCODE_NS / 1_000
        }
        Message::Pool(PoolMessage::ReconcileQuery(_) | PoolMessage::ReconcileReply(_)) => {
            RECONCILE_US + nanos(node.pool().len(), RECONCILE_NS)
        }
        Message::Consensus(_) => SIGNATURE_US / 3,
        _ => INPUT_US + SMALL_BYTES * ENCODE_NS / 1_000,
    }
}

fn of_judging(batch: &Batch) -> u64 {
    let records = batch.contents.records.len();
    BATCH_US + SIGNATURE_US * (1 + count(records)) + SIGNATURE_US * count(batch.contents.blocks.len())
}

/// What it costs to execute a final batch, beside the node: what took effect with it, and what was tried.
pub(super) fn of_executing(done: &FinalBatch) -> u64 {
    let report = done.report();
    let tried = report.blocks.iter().map(|block| u64::from(block.items)).sum::<u64>();
    let left = count(report.departed.len()) + u64::from(report.records);
    BATCH_US + COMPOSITION_US * (tried + left)
}

fn bytes_of(batch: &Batch) -> u64 {
    let (records, composed) = (batch.contents.records.len(), batch.contents.composed().count());
    300 + count(records) * RECORD_BYTES + count(composed) * COMPOSITION_BYTES
}

/// What it costs to read final batches and to send them, as a message of so many bytes.
pub(super) fn of_reading(batches: usize, bytes: usize) -> u64 {
    INPUT_US + READ_US * count(batches) + nanos(bytes, READ_NS)
}

fn nanos(count_of: usize, each_ns: u64) -> u64 {
    count(count_of) * each_ns / 1_000
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
