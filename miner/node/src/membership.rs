//! Who is there: greetings, peer records, and the regular exchange of where everybody stands.

use std::net::IpAddr;

use chain::{Hash, Height};

use super::budget::{Purse, work_of_final_batches};
use super::event::NodeEvent;
use super::io::Effect;
use super::known_nodes::Learned;
use super::message::{FINAL_BATCHES, Hello, Message, PEER_RECORDS, PROTOCOL_VERSION, STATUS_BLOCKS, Status};
use super::mining::Mining;
use super::peer_record::{PEER_ADDRESSES, PeerContent, PeerRecord};
use super::{Blame, Node, Now, PublicKey, Standing};

impl Node {
    pub(super) fn on_peer_up(
        &mut self,
        peer: PublicKey,
        address: IpAddr,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if self.peers.is_connected(&peer) || !self.admit(peer, address, now, effects) {
            return;
        }
        self.dialling.on_found(&peer);
        effects.push(Effect::Event(NodeEvent::PeerUp { peer }));
        let before = effects.len();
        effects.push(Effect::Send { peer, message: Message::Hello(self.hello()) });
        if !self.may_be_greeted(peer, now) {
            return; // anti-entropy tells it the rest
        }
        let greeting = self.greeting_records(&peer, now);
        effects.push(Effect::Send { peer, message: Message::Peers(greeting) });
        self.reconcile_pool_with(peer, now, effects);
        self.charge_for_greeting(peer, effects.get(before..).unwrap_or_default(), now);
    }

    pub(super) fn on_peer_down(&mut self, peer: PublicKey, reason: String, effects: &mut Vec<Effect>) {
        if self.peers.disconnect(&peer) {
            self.forget_requests_to(&peer);
            self.exchange.forget_peer(&peer);
            effects.push(Effect::Event(NodeEvent::PeerDown { peer, reason }));
        }
    }

    fn hello(&self) -> Hello {
        let height = self.decided_height();
        Hello { version: PROTOCOL_VERSION, network: self.network.id(), height }
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
            self.show_own_blocks(peer, effects);
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
        let mut is_news = false;
        for record in records {
            let node = record.content.node;
            match self.known.learn(record, peer, self.standing_of(&node), now) {
                Ok(Learned::News) => is_news = true,
                // Its clock was set back since: told of what it once said, it goes on from there.
                Ok(Learned::Stale) if node == peer => {
                    let latest = self.known.record_of(&peer).cloned();
                    effects.extend(
                        latest.map(|latest| Effect::Send { peer, message: Message::Peers(vec![latest]) }),
                    );
                }
                Ok(Learned::Stale | Learned::NoPlace | Learned::Own) => {}
                Err(error) => {
                    self.blame(peer, Blame::BROKEN, &error, effects);
                    return;
                }
            }
        }
        if is_news {
            self.dial_known(now, effects);
        }
    }

    /// What a new peer is told of others, of itself (it may have forgotten) and of us.
    fn greeting_records(&mut self, peer: &PublicKey, now: Now) -> Vec<PeerRecord> {
        let own = self.own_peer_record(now);
        let living = self.known.living(now).into_iter().map(|known| &known.record);
        let others = living.filter(|record| record.content.node != *peer);
        let itself = self.known.record_of(peer);
        itself.into_iter().chain(others).take(PEER_RECORDS - 1).cloned().chain([own]).collect()
    }

    /// Passes on what was heard of nodes since the last time, to everybody but who told it and who it is about.
    fn relay_peer_records(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let relays = self.known.take_relays(now);
        for peer in self.peers.keys() {
            let of_others =
                relays.iter().filter(|known| known.told_by != peer && known.record.content.node != peer);
            let records: Vec<PeerRecord> = of_others.map(|known| known.record.clone()).collect();
            if !records.is_empty() {
                effects.push(Effect::Send { peer, message: Message::Peers(records) });
            }
        }
    }

    /// The standing of a key at our head.
    pub(super) fn standing_of(&self, key: &PublicKey) -> Standing {
        self.standings.of_key(key, &self.ledger)
    }

    /// The head is new: who has standing is looked up once.
    pub(super) fn renew_standings(&mut self) {
        self.standings.on_head(&self.ledger);
        let (standings, ledger) = (&self.standings, &self.ledger);
        self.known.on_head(|node| standings.of_key(node, ledger));
        self.peers.on_head(|peer| standings.of_key(peer, ledger));
    }

    /// Renews our own record, forgets those that have expired, and dials nodes we know but do not see.
    pub(super) fn renew_membership(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.known.expire(now);
        self.forgive(now);
        let own = self.own_peer_record(now);
        effects.push(Effect::Broadcast(Message::Peers(vec![own])));
        self.dial_known(now, effects);
    }

    /// Tells the next peer in turn where we are, and reconciles the pool with it.
    pub(super) fn gossip(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.retry_early_batches(now, effects);
        self.retry_fetches(now, effects);
        self.retry_block_fetches(now, effects);
        self.expire_blocks(now);
        self.expire_commitments(now);
        self.retry_catching_up(now, effects);
        self.tick_pool(now, effects);
        self.relay_peer_records(now, effects);
        let Some(peer) = self.peers.next_in_rotation() else { return };
        let turn = usize::try_from(now.monotonic_ms / self.timing.gossip_ms.max(1)).unwrap_or(0);
        let blocks = self.blocks.to_announce(turn, STATUS_BLOCKS);
        let status = Status {
            height: self.ledger.head().height,
            state_root: self.state_root,
            votes: self.consensus.summary(),
            blocks,
        };
        effects.push(Effect::Send { peer, message: Message::Status(status) });
        for commitment in self.commitments.to_tell(turn) {
            effects.push(Effect::Send { peer, message: Message::Commitment(commitment) });
        }
        self.reconcile_pool_with(peer, now, effects);
    }

    /// A peer asks for final batches. Reading them is dear, so each peer is read for once at a time; one that asks again
    /// meanwhile is in a hurry, no more.
    pub(super) fn on_final_requested(&mut self, peer: PublicKey, from: Height, effects: &mut Vec<Effect>) {
        let batches = self.decided_height().saturating_add(1).saturating_sub(from);
        if batches == 0 {
            effects.push(Effect::Send { peer, message: Message::Final(Vec::new()) });
            return;
        }
        let Some(payer) = self.payer(peer) else { return };
        let Some(connected) = self.peers.get_mut(&peer).filter(|peer| !peer.is_awaiting_final) else {
            return;
        };
        connected.is_awaiting_final = true;
        let most = u64::try_from(FINAL_BATCHES).unwrap_or(u64::MAX);
        self.budgets.spend(payer, Purse::Work, work_of_final_batches(batches.min(most)), self.moment);
        effects.push(Effect::SendFinal { peer, from });
    }

    pub(super) fn on_final_sent(&mut self, peer: &PublicKey) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.is_awaiting_final = false;
        }
    }

    /// A peer says where it is: give it the votes it lacks, or tell it that we are ahead, so that it may ask; ask for what
    /// we lack.
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
            effects.push(Effect::Send { peer, message: Message::Hello(self.hello()) });
            return;
        }
        if status.height > own {
            self.catch_up(now, effects);
            return;
        }
        if status.state_root != self.state_root {
            self.note_other_state(peer, status.state_root, effects);
        }
        for &block in &status.blocks {
            self.on_block_announced(peer, block, now, effects);
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

    /// A peer claims another state at our height. Of a validator that is told, once per height; anybody else may claim
    /// anything, and would write our log.
    fn note_other_state(&mut self, peer: PublicKey, theirs: Hash, effects: &mut Vec<Effect>) {
        let (height, ours) = (self.ledger.head().height, self.state_root);
        if self.standing_of(&peer) < Standing::Validator || self.other_state_told_at == Some(height) {
            return;
        }
        self.other_state_told_at = Some(height);
        let detail = format!(
            "validator {peer} has another state at height {height} ({theirs}, ours is {ours}): one of us runs faulty \
             software or a damaged store; verify both chains"
        );
        effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
    }

    fn own_peer_record(&mut self, now: Now) -> PeerRecord {
        let takes_cell = self.mining.as_ref().is_some_and(Mining::takes_cell);
        let content = PeerContent {
            network: self.network.id(),
            node: self.own,
            addresses: self.addresses.iter().copied().take(PEER_ADDRESSES).collect(),
            takes_cell,
            issued_ms: self.known.issue(now),
        };
        content.sign(&self.key)
    }

    /// Dials known nodes that are not connected: of two nodes the one with the smaller key dials, so that a pair has one
    /// connection.
    fn dial_known(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut candidates = self.known.living(now);
        candidates.retain(|known| {
            let node = known.record.content.node;
            self.own < node && !self.peers.is_connected(&node) && !self.scores.is_refused(&node, now)
        });
        let dials = self.dialling.next(candidates, now).into_iter();
        effects.extend(dials.map(|(expected, address)| Effect::Dial { address, expected }));
    }
}
