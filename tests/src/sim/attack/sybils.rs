//! Peer records of nodes that nobody runs: keys are free, and whoever listens to all of them waits for all of them.

use std::net::{Ipv4Addr, SocketAddr};

use chain::SecretKey;
use miner_node::{Message, PeerContent};

use super::{Playing, Says, Stage};

/// Peer records in one message, as many as are listened to.
const RECORDS_IN_A_MESSAGE: usize = 64;
/// Turns until they are made anew: before they expire.
const RENEW_TURNS: u64 = 400;
/// How far ahead they are dated: so far that honest nodes still take them.
const AHEAD_MS: u64 = 9_000;
/// And how far for those who judge by clocks to hold it against whoever relays them a moment later.
const FAR_AHEAD_MS: u64 = 9_990;
/// Invented nodes at addresses where nobody is.
const DEAD_NODES: u32 = 100;

pub(super) fn cell_takers(playing: &mut Playing, stage: &Stage<'_>, keys: u32) -> Says {
    hand_out(playing, stage, &Made { keys, takes_cell: true, ahead_ms: AHEAD_MS }, RENEW_TURNS)
}

/// Each record has another address, in a network that no host is in.
pub(super) fn dead_addresses(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    hand_out(playing, stage, &Made { keys: DEAD_NODES, takes_cell: false, ahead_ms: 0 }, RENEW_TURNS)
}

/// A clock that is a little behind ours takes them for records from the future.
pub(super) fn from_the_future(playing: &mut Playing, stage: &Stage<'_>) -> Says {
    hand_out(playing, stage, &Made { keys: 8, takes_cell: false, ahead_ms: FAR_AHEAD_MS }, 5)
}

/// What the records are like.
struct Made {
    keys: u32,
    takes_cell: bool,
    ahead_ms: u64,
}

fn hand_out(playing: &mut Playing, stage: &Stage<'_>, made: &Made, turns: u64) -> Says {
    if !playing.is_every(turns) && !playing.turn.is_multiple_of(50) {
        return Vec::new();
    }
    if playing.is_every(turns) {
        let records: Vec<_> = (0..made.keys).map(|number| record(stage, number, made)).collect();
        let messages = records.chunks(RECORDS_IN_A_MESSAGE).map(|records| Message::Peers(records.to_vec()));
        playing.made = messages.collect();
    }
    stage.to_all(&playing.made)
}

fn record(stage: &Stage<'_>, number: u32, made: &Made) -> miner_node::PeerRecord {
    let key = SecretKey::for_scenario(9, "sybil", number.into());
    let [_, _, high, low] = number.to_be_bytes();
    let content = PeerContent {
        network: stage.market.network.id(),
        node: key.public(),
        addresses: vec![SocketAddr::from((Ipv4Addr::new(10, 255, high, low), 4_433))],
        takes_cell: made.takes_cell,
        issued_ms: stage.now.wall_ms + made.ahead_ms,
    };
    content.sign(&key)
}
