//! Who is let in, who is listened to and who is dropped: between the connections and everything that a message may start.

use std::net::IpAddr;

use coordinator_free_pool::PoolMessage;

use super::budget::{Payer, Purse, Scale, work_of_sending};
use super::host::Host;
use super::io::Effect;
use super::message::{Message, Topic};
use super::scores::Verdict;
use super::{Blame, Node, Now, PublicKey};

impl Node {
    /// A connection stands: whether it stays. Whoever was dropped is told when to come back.
    pub(super) fn admit(
        &mut self,
        peer: PublicKey,
        address: IpAddr,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let (host, standing) = (Host::of(address), self.standing_of(&peer));
        if let Err(refused) = self.scores.admit(&peer, host, standing, now) {
            effects.push(Effect::Disconnect { peer, reason: refused.to_string() });
            return false;
        }
        self.peers.connect(peer, host, standing)
    }

    pub(super) fn on_bytes(&mut self, peer: PublicKey, bytes: &[u8], now: Now, effects: &mut Vec<Effect>) {
        let Some(payer) = self.payer(peer) else { return }; // dropped meanwhile
        let topic = Topic::of(bytes);
        let purse = if topic == Topic::Vote { Purse::Votes } else { Purse::Work };
        let is_muted = !self.budgets.may_spend(payer, purse, now);
        if is_muted && !self.may_be_awaited(&peer, topic, now) {
            return; // unread, so that it costs nothing
        }
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.blame(peer, Blame::BROKEN, &error, effects);
                return;
            }
        };
        let mut work_us = self.scale().work_of(&message, bytes.len());
        let (before, height) = (effects.len(), self.decided_height());
        let is_awaited = topic == Topic::Final && self.catching_up.awaits(&peer);
        let votes = (topic == Topic::Vote).then(|| self.consensus.summary());
        if let Some(message) = if is_muted { self.awaited_part(&peer, message) } else { Some(message) } {
            self.on_message(peer, message, now, effects);
        }
        // What it is answered is paid by whoever asked, whatever it was that asked for it.
        work_us = work_us.saturating_add(work_of_answers(peer, effects.get(before..).unwrap_or_default()));
        let is_welcome = match topic {
            Topic::Vote => votes != Some(self.consensus.summary()),
            // The rest of an answer is gone through as its batches are executed; what is false in it is blamed then.
            Topic::Final => is_awaited && (self.decided_height() > height || self.catching_up.is_receiving()),
            Topic::Block | Topic::Batch | Topic::Records | Topic::ReconcileReply | Topic::Other => false,
        };
        if !is_welcome {
            self.budgets.spend(payer, purse, work_us, now);
        }
    }

    /// Whether a peer that is muted may be sending what it was asked for: that gets through, whatever the peer has cost.
    fn may_be_awaited(&self, peer: &PublicKey, topic: Topic, now: Now) -> bool {
        match topic {
            Topic::Final => self.catching_up.awaits(peer),
            Topic::Block => self.blocks.fetching.awaits(peer),
            Topic::Batch => self.batches.fetching.awaits(peer),
            Topic::Records => self.exchange.awaits_records(peer),
            Topic::ReconcileReply => self.exchange.awaits_reply(peer, now.monotonic_ms),
            Topic::Vote | Topic::Other => false,
        }
    }

    /// What of a message was asked for, so that what comes along with it is not worked on.
    fn awaited_part(&self, peer: &PublicKey, mut message: Message) -> Option<Message> {
        if let Message::Pool(PoolMessage::Records(records)) = &mut message {
            records.retain(|record| self.exchange.awaits_record(peer, &record.id()));
        }
        if let Message::Block(block) = &message {
            return self.blocks.fetching.awaits_body(peer, &block.hash()).then_some(message);
        }
        if let Message::Batch(batch) = &message {
            return self.batches.fetching.awaits_body(peer, &batch.hash()).then_some(message);
        }
        Some(message)
    }

    /// Who pays for what a connected peer asks for.
    pub(super) fn payer(&self, key: PublicKey) -> Option<Payer> {
        let peer = self.peers.get(&key)?;
        Some(Payer { key, host: peer.host, standing: peer.standing })
    }

    /// A peer pays for being greeted, so that coming and going is no way to make this node talk.
    pub(super) fn charge_for_greeting(&mut self, peer: PublicKey, greeting: &[Effect], now: Now) {
        if let Some(payer) = self.payer(peer) {
            self.budgets.spend(payer, Purse::Work, work_of_answers(peer, greeting), now);
        }
    }

    /// Whether a peer that has just connected has anything left to be greeted for.
    pub(super) fn may_be_greeted(&self, peer: PublicKey, now: Now) -> bool {
        self.payer(peer).is_some_and(|payer| self.budgets.may_spend(payer, Purse::Work, now))
    }

    fn scale(&self) -> Scale {
        Scale {
            pool: self.pool.len(),
            market: self.market.open.saturating_add(self.market.composed),
            limits: self.network.parameters().limits,
        }
    }

    /// Notes a connected peer's fault and drops it if there were too many.
    pub(super) fn blame(
        &mut self,
        peer: PublicKey,
        blame: Blame,
        reason: &dyn ToString,
        effects: &mut Vec<Effect>,
    ) {
        let Some(Payer { host, standing, .. }) = self.payer(peer) else { return };
        if self.scores.blame(peer, host, standing, blame.0, self.moment) == Verdict::Dropped {
            self.drop_peer(peer, reason.to_string(), effects);
        }
    }

    /// Hangs up and forgets what the peer was asked for, as if it had hung up itself.
    pub(super) fn drop_peer(&mut self, peer: PublicKey, reason: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::Disconnect { peer, reason: reason.clone() });
        self.on_peer_down(peer, reason, effects);
    }

    /// Forgets what time has forgiven.
    pub(super) fn forgive(&mut self, now: Now) {
        self.scores.expire(now);
        self.budgets.expire(now);
    }
}

/// Estimated work, in microseconds, of what is sent to a peer among these effects.
fn work_of_answers(peer: PublicKey, effects: &[Effect]) -> u64 {
    let mut work_us = 0_u64;
    for effect in effects {
        if let Effect::Send { peer: to, message } = effect
            && *to == peer
        {
            work_us = work_us.saturating_add(work_of_sending(message.encoded_len()));
        }
    }
    work_us
}
