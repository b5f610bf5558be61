//! Who is there: greetings, peer records, and the regular exchange of where everybody stands.

use super::event::NodeEvent;
use super::io::Effect;
use super::message::{Hello, Message, PEER_RECORDS, PROTOCOL_VERSION, STATUS_CANDIDATES, Status};
use super::mining::Mining;
use super::peers::{PEER_ADDRESSES, PeerContent, PeerRecord};
use super::{Blame, Node, Now, PublicKey};

impl Node {
    pub(super) fn on_peer_up(&mut self, peer: PublicKey, now: Now, effects: &mut Vec<Effect>) {
        if !self.peers.connect(peer) {
            return;
        }
        let hello = Hello {
            version: PROTOCOL_VERSION,
            network: self.network.id(),
            height: self.ledger.head().height,
        };
        effects.push(Effect::Send { peer, message: Message::Hello(hello) });
        let mut records: Vec<PeerRecord> = self.peers.records().take(PEER_RECORDS - 1).cloned().collect();
        records.push(self.own_peer_record(now));
        effects.push(Effect::Send { peer, message: Message::Peers(records) });
        self.reconcile_pool_with(peer, now, effects);
        effects.push(Effect::Event(NodeEvent::PeerUp { peer }));
    }

    pub(super) fn on_peer_down(&mut self, peer: PublicKey, reason: String, effects: &mut Vec<Effect>) {
        if self.peers.disconnect(&peer) {
            self.forget_requests_to(&peer);
            self.exchange.forget_peer(&peer);
            effects.push(Effect::Event(NodeEvent::PeerDown { peer, reason }));
        }
    }

    pub(super) fn on_hello(&mut self, peer: PublicKey, hello: &Hello, now: Now, effects: &mut Vec<Effect>) {
        if hello.version != PROTOCOL_VERSION {
            let reason = format!("speaks version {} of the protocol, we {PROTOCOL_VERSION}", hello.version);
            self.drop_peer(peer, reason, effects);
        } else if hello.network != self.network.id() {
            let reason = format!("is on network {}, we on {}", hello.network, self.network.id());
            self.drop_peer(peer, reason, effects);
        } else {
            self.peers.note_height(&peer, hello.height);
            self.catch_up(now, effects);
        }
    }

    pub(super) fn on_peer_records(
        &mut self,
        peer: PublicKey,
        records: Vec<PeerRecord>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let mut news = Vec::new();
        for record in records {
            match self.peers.learn(record.clone(), now.wall_ms) {
                Ok(true) => news.push(record),
                Ok(false) => {}
                Err(error) => {
                    self.blame(peer, Blame::NUISANCE, &error, effects);
                    return;
                }
            }
        }
        if !news.is_empty() {
            let others = self.peers.keys().filter(|&other| other != peer);
            effects.extend(others.map(|peer| Effect::Send { peer, message: Message::Peers(news.clone()) }));
            self.dial_known(effects);
        }
    }

    /// Renews our own record, forgets those that have expired, and dials nodes we know but do not see.
    pub(super) fn renew_membership(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.peers.expire(now.wall_ms);
        let own = self.own_peer_record(now);
        effects.push(Effect::Broadcast(Message::Peers(vec![own])));
        self.dial_known(effects);
    }

    /// Tells the next peer in turn where we are, and reconciles the pool with it.
    pub(super) fn gossip(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.retry_early_blocks(now, effects);
        self.retry_fetches(now, effects);
        self.retry_catching_up(now, effects);
        self.tick_pool(now, effects);
        let Some(peer) = self.peers.next_in_rotation() else { return };
        let turn = usize::try_from(now.monotonic_ms / self.timing.gossip_ms.max(1)).unwrap_or(0);
        let candidates = self.blocks.candidates.to_announce(turn, STATUS_CANDIDATES);
        let status = Status {
            height: self.ledger.head().height,
            state_root: self.state_root,
            votes: self.consensus.summary(),
            candidates,
        };
        effects.push(Effect::Send { peer, message: Message::Status(status) });
        self.reconcile_pool_with(peer, now, effects);
    }

    /// A peer says where it is: give it what it lacks, ask for what we lack.
    pub(super) fn on_status(
        &mut self,
        peer: PublicKey,
        status: &Status,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.peers.note_height(&peer, status.height);
        let own = self.ledger.head().height;
        if status.height < own {
            effects.push(Effect::SendFinal { peer, from: status.height + 1 });
            return;
        }
        if status.height > own {
            self.catch_up(now, effects);
            return;
        }
        let root = self.state_root;
        if status.state_root != root {
            let (height, theirs) = (status.height, status.state_root);
            let detail = format!(
                "peer {peer} has another state at height {height} ({theirs}, ours is {root}): one of us runs \
                 faulty software or a damaged store; verify both chains"
            );
            effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
        }
        for &block in &status.candidates {
            self.on_block_announced(peer, own + 1, block, now, effects);
        }
        if status.votes.height == self.consensus.height() {
            let missing = self.consensus.missing_from(&status.votes);
            effects.extend(
                missing
                    .into_iter()
                    .map(|message| Effect::Send { peer, message: Message::Consensus(message) }),
            );
        }
    }

    fn own_peer_record(&self, now: Now) -> PeerRecord {
        let takes_cell = self.mining.as_ref().is_some_and(Mining::takes_cell);
        let content = PeerContent {
            network: self.network.id(),
            node: self.own,
            addresses: self.addresses.iter().copied().take(PEER_ADDRESSES).collect(),
            takes_cell,
            issued_ms: now.wall_ms,
        };
        content.sign(&self.key)
    }

    fn dial_known(&self, effects: &mut Vec<Effect>) {
        effects.extend(self.peers.to_dial().map(|(expected, address)| Effect::Dial { address, expected }));
    }
}
