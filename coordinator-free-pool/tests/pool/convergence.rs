//! Pools that exchange messages over a lossy, reordering, doubling channel end equal.

use std::collections::BTreeMap;

use chain::{Ledger, PublicKey, Record, RecordId};
use coordinator_free_pool::{Exchange, Pool, PoolMessage};
use proptest::prelude::*;

use crate::market::*;

const TICK_MS: u64 = 100;
/// By then all must be equal.
const EQUAL_BY_MS: u64 = 60_000;

struct Network {
    ledger: Ledger,
    nodes: Vec<(Pool, Exchange)>,
    keys: Vec<PublicKey>,
    queue: BTreeMap<(u64, u64), (usize, usize, PoolMessage)>,
    sent: u64,
    now_ms: u64,
    loss_percent: u64,
    /// Splitmix64: what happens follows from the case alone.
    draws: u64,
}

impl Network {
    fn new(nodes: usize, loss_percent: u64, rng_seed: u64) -> Self {
        let ledger = ledger();
        let nodes: Vec<_> = (0..nodes).map(|_| (pool(&ledger), Exchange::default())).collect();
        let keys = (0..nodes.len() as u64).map(|index| author(100 + index).public()).collect();
        Self {
            ledger,
            nodes,
            keys,
            queue: BTreeMap::new(),
            sent: 0,
            now_ms: 0,
            loss_percent,
            draws: rng_seed,
        }
    }

    fn draw(&mut self, limit: u64) -> u64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.draws;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn send(&mut self, from: usize, messages: Vec<(PublicKey, PoolMessage)>) {
        for (peer, message) in messages {
            let to = self.keys.iter().position(|key| *key == peer).expect("a known peer");
            let copies = u64::from(self.draw(100) >= self.loss_percent) + u64::from(self.draw(100) < 10);
            for _ in 0..copies {
                self.sent += 1;
                let at = self.now_ms + 1 + self.draw(300);
                self.queue.insert((at, self.sent), (from, to, message.clone()));
            }
        }
    }

    /// As a node does with what is new to it.
    fn announce(&mut self, from: usize, except: usize, ids: &[RecordId]) {
        let others: Vec<_> = (0..self.nodes.len()).filter(|&to| to != from && to != except).collect();
        let announce = |to: usize| (self.keys[to], PoolMessage::Announce(ids.to_vec()));
        let messages = others.into_iter().map(announce).collect();
        self.send(from, messages);
    }

    fn publish(&mut self, at: usize, record: Record) {
        if let Ok(id) = self.nodes[at].0.insert(record, &self.ledger) {
            self.announce(at, at, &[id]);
        }
    }

    fn deliver_until(&mut self, until_ms: u64) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until_ms) {
            self.now_ms = entry.key().0;
            let (from, to, message) = entry.remove();
            let (pool, exchange) = &mut self.nodes[to];
            let done = exchange.handle(pool, self.keys[from], message, &self.ledger, self.now_ms);
            assert_eq!(done.fault, None);
            self.send(to, done.messages);
            let ids: Vec<_> = done.accepted.iter().map(Record::id).collect();
            if !ids.is_empty() {
                self.announce(to, from, &ids);
            }
        }
        self.now_ms = until_ms;
    }

    /// Nodes tick, and each compares its pool with the next peer in turn once in five ticks.
    fn tick(&mut self) {
        self.deliver_until(self.now_ms + TICK_MS);
        let turn = self.now_ms / TICK_MS;
        for node in 0..self.nodes.len() {
            let messages = self.nodes[node].1.tick(self.now_ms).messages;
            self.send(node, messages);
            let (count, turn) = (self.nodes.len(), turn + node as u64);
            if turn.is_multiple_of(5) {
                let step = 1 + usize::try_from(turn / 5).expect("a small number") % (count - 1);
                let (pool, exchange) = &mut self.nodes[node];
                let messages = exchange.reconcile_with(pool, self.keys[(node + step) % count], self.now_ms);
                self.send(node, messages);
            }
        }
    }

    fn all_hold(&self, expected: &[RecordId]) -> bool {
        self.nodes.iter().all(|(pool, _)| pool.ids().eq(expected.iter().copied()))
    }
}

/// Records by (author, sequence, amount), each first seen by some node at some time.
fn converge(nodes: usize, published: Vec<(u64, u64, i64, usize)>, loss_percent: u64, rng_seed: u64) {
    let mut network = Network::new(nodes, loss_percent, rng_seed);
    let mut winners: BTreeMap<(u64, u64), RecordId> = BTreeMap::new();
    for (author, sequence, amount, at) in published {
        let record = transfer(&network.ledger, author, sequence, amount);
        let winner = winners.entry((author, sequence)).or_insert(record.id());
        *winner = record.id().min(*winner);
        network.publish(at % nodes, record);
        let pause = network.draw(50);
        network.deliver_until(network.now_ms + pause);
    }
    let mut expected: Vec<_> = winners.into_values().collect();
    expected.sort_unstable();
    while !network.all_hold(&expected) {
        assert!(
            network.now_ms < EQUAL_BY_MS,
            "pools differ still: {:?}",
            network.nodes.iter().map(|node| node.0.len()).collect::<Vec<_>>()
        );
        network.tick();
    }
    let pending: Vec<_> = network
        .nodes
        .iter_mut()
        .map(|(pool, _)| pool.pending(&network.ledger, soon(&network.ledger)))
        .collect();
    assert!(pending.iter().all(|other| *other == pending[0]), "equal pools build equal batches");
}

/// Eight authors, few sequence numbers: gaps, and several records for one number.
fn published() -> impl Strategy<Value = Vec<(u64, u64, i64, usize)>> {
    prop::collection::vec((1_u64..8, 0_u64..6, 1_i64..4, 0_usize..5), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn two_pools_end_equal(published in published(), loss_percent in 0_u64..60, rng_seed in any::<u64>()) {
        converge(2, published, loss_percent, rng_seed);
    }

    #[test]
    fn five_pools_end_equal(published in published(), loss_percent in 0_u64..60, rng_seed in any::<u64>()) {
        converge(5, published, loss_percent, rng_seed);
    }
}
