//! What does not exist: names of blocks and records, heights, accounts, money.

use chain::{BlockHash, Record, RecordContent, RecordId, SecretKey, Statement};
use coordinator_free_pool::PoolMessage;
use miner_node::{Message, Status};
use scenarios::Money;

use super::blocks::nothing;
use super::floods::a_status;
use super::{Playing, Says, Stage};

/// Turns between two announcements: names are given up after some seconds and must be followed by new ones.
const ANNOUNCE_TURNS: u64 = 3;
/// Names in one announcement of records.
const RECORD_NAMES: u64 = 256;
/// Names of blocks announced at a time, more than a node asks for.
const BLOCK_NAMES: u64 = 64;
/// Turns between two boasts.
const BOAST_TURNS: u64 = 5;
/// Records sent at a time, and in all.
const RECORDS: u64 = 16;
const RECORDS_IN_ALL: u64 = 2_000;
/// Records of one invented account.
const OF_AN_ACCOUNT: u64 = 64;

pub(super) fn blocks(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    if !playing.is_every(ANNOUNCE_TURNS) {
        return Vec::new();
    }
    let names = (0..BLOCK_NAMES).map(|_| Message::AnnounceBlock(BlockHash(nothing(playing))));
    let names: Vec<Message> = names.collect();
    stage.to_all(&names)
}

pub(super) fn records(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    if !playing.is_every(ANNOUNCE_TURNS) {
        return Vec::new();
    }
    let ids = (0..RECORD_NAMES).map(|_| RecordId(nothing(playing))).collect();
    stage.to_all(&[Message::Pool(PoolMessage::Announce(ids))])
}

pub(super) fn boast(stage: &Stage<'_>) -> Says {
    let Some(status) = a_status(stage) else { return Vec::new() };
    let is_time = (stage.now.monotonic_ms / super::TURN_MS).is_multiple_of(BOAST_TURNS);
    let height = stage.ledger.head().height + 1_000;
    if is_time { stage.to_all(&[Message::Status(Status { height, ..status })]) } else { Vec::new() }
}

/// Half of them leave a gap before their sequence number; the others give away money that their author has not.
pub(super) fn empty_records(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    let first = (playing.turn - 1) * RECORDS;
    if first >= RECORDS_IN_ALL {
        return Vec::new();
    }
    let records = (first..first + RECORDS).map(|number| {
        let author = SecretKey::for_scenario(playing.draws.below(4), "nobody", number / OF_AN_ACCOUNT);
        let sequence = if number % 2 == 0 { 1 + number % OF_AN_ACCOUNT } else { 0 };
        empty_record(stage, &author, sequence, 1 + number)
    });
    let records = records.collect();
    stage.to_all(&[Message::Pool(PoolMessage::Records(records))])
}

fn empty_record(stage: &Stage<'_>, author: &SecretKey, sequence: u64, micros: u64) -> Record {
    let content = RecordContent {
        network: stage.market.network.id(),
        author: author.public(),
        sequence,
        valid_until_ms: u64::MAX,
        statement: Statement::Transfer {
            to: stage.key.public().address(),
            amount: Money::from_micros(i64::try_from(micros).unwrap_or(1)),
        },
    };
    content.sign(author)
}
