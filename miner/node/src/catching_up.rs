//! Catching up: whom to ask for final batches. Anybody can say that it is far ahead, so no word decides who is asked but
//! what came of the last request: those first who delivered, then validators, then everybody else in turn.

use std::collections::{BTreeMap, VecDeque};

use chain::validate::{DecidedBatch, FinalityError};
use chain::{Fault, Height, PublicKey};

use super::event::NodeEvent;
use super::io::Effect;
use super::message::{FINAL_BATCHES, FinalBatchMessage, Message};
use super::{Blame, Node, Now};

/// Requests to different peers that are waited for together: who is slow keeps nobody from catching up.
const TOGETHER: usize = 3;
/// A request is late after this many times the patience that it is alone for.
const LATE_AFTER: u64 = 3;
/// A peer that did not deliver rests as many times longer as it failed in a row, to this power of two.
const REST_POWER: u32 = 6;

/// Requests for final batches, and how peers have answered them. Of connected peers alone.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    peers: BTreeMap<PublicKey, Conduct>,
    turns: u64,
    /// Answers that are gone through, one batch after the other as they are executed, in the order in which they came.
    received: VecDeque<Received>,
}

/// An answer.
#[derive(Debug)]
struct Received {
    peer: PublicKey,
    /// The height from which on it was asked for.
    from: Height,
    /// How many batches it held, and how many of them moved the head on.
    count: usize,
    brought: usize,
    left: VecDeque<FinalBatchMessage>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Conduct {
    /// Counts up with each peer that comes and each request: who came first or has waited longest is asked first.
    turn: u64,
    /// Its last answer brought as much as it could.
    is_reliable: bool,
    /// In a row.
    failures: u32,
    rests_until_ms: u64,
    request: Option<Request>,
}

/// A request that has not been answered. However late the answer, it is welcome.
#[derive(Clone, Copy, Debug)]
struct Request {
    from: Height,
    asked_ms: u64,
    is_late: bool,
}

/// What an answer was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// As many batches as a message holds, or all that the peer said it has.
    Whole,
    /// Fewer.
    Partial,
    /// Nothing that another peer had not brought meanwhile: nobody's merit and nobody's fault.
    Overtaken,
    /// Nothing of use.
    Useless,
}

impl CatchingUp {
    /// Whom to ask for the batches from a height on, of those who say that they have it and whether they are validators;
    /// nobody while a request may still be answered soon.
    pub(super) fn next(
        &mut self,
        claimants: impl Iterator<Item = (PublicKey, bool)>,
        from: Height,
        now_ms: u64,
        patience_ms: u64,
    ) -> Option<PublicKey> {
        let claimants: BTreeMap<PublicKey, bool> = claimants.collect();
        for &peer in claimants.keys() {
            let turns = &mut self.turns;
            self.peers
                .entry(peer)
                .or_insert_with(|| Conduct { turn: next_turn(turns), ..Conduct::default() });
        }
        let waiting =
            self.peers.values().filter_map(|conduct| conduct.request).filter(|request| !request.is_late);
        let waiting: Vec<u64> = waiting.map(|request| now_ms.saturating_sub(request.asked_ms)).collect();
        if waiting.len() >= TOGETHER || waiting.iter().any(|&since_ms| since_ms <= patience_ms) {
            return None;
        }
        let ready = claimants.iter().filter_map(|(peer, &is_validator)| {
            let conduct = self.peers.get(peer)?;
            let is_asked = conduct.request.is_some_and(|request| !request.is_late);
            (!is_asked && conduct.rests_until_ms <= now_ms)
                .then_some(((!conduct.is_reliable, !is_validator, conduct.turn), *peer))
        });
        let (_, peer) = ready.min()?;
        let turn = next_turn(&mut self.turns);
        let conduct = self.peers.entry(peer).or_default();
        conduct.turn = turn;
        conduct.request = Some(Request { from, asked_ms: now_ms, is_late: false });
        Some(peer)
    }

    /// An answer of a peer: what it was asked for, from which height on; `None` if it was not asked.
    pub(super) fn take_request(&mut self, peer: &PublicKey) -> Option<Height> {
        let request = self.peers.get_mut(peer).and_then(|conduct| conduct.request.take());
        request.map(|request| request.from)
    }

    /// Whether a peer may still answer a request.
    pub(super) fn awaits(&self, peer: &PublicKey) -> bool {
        self.peers.get(peer).is_some_and(|conduct| conduct.request.is_some())
    }

    /// Whether an answer is gone through.
    pub(super) fn is_receiving(&self) -> bool {
        !self.received.is_empty()
    }

    /// Notes what an answer was worth.
    pub(super) fn note_answer(&mut self, peer: &PublicKey, answer: Answer, now_ms: u64, patience_ms: u64) {
        let Some(conduct) = self.peers.get_mut(peer) else { return };
        match answer {
            Answer::Whole => {
                *conduct = Conduct { turn: conduct.turn, is_reliable: true, ..Conduct::default() };
            }
            Answer::Partial => {
                *conduct = Conduct { turn: conduct.turn, ..Conduct::default() };
            }
            Answer::Overtaken => {}
            Answer::Useless => conduct.fail(now_ms, patience_ms),
        }
    }

    /// The peers whose answer has become late since the last look: they are believed no longer for a while.
    pub(super) fn late(&mut self, now_ms: u64, patience_ms: u64) -> Vec<PublicKey> {
        let mut late = Vec::new();
        for (&peer, conduct) in &mut self.peers {
            let Some(request) = &mut conduct.request else { continue };
            let since_ms = now_ms.saturating_sub(request.asked_ms);
            if !request.is_late && since_ms > patience_ms.saturating_mul(LATE_AFTER) {
                request.is_late = true;
                conduct.fail(now_ms, patience_ms);
                late.push(peer);
            }
        }
        late
    }

    /// A peer is gone.
    pub(super) fn forget_peer(&mut self, peer: &PublicKey) {
        self.peers.remove(peer);
    }
}

impl Conduct {
    fn fail(&mut self, now_ms: u64, patience_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        self.is_reliable = false;
        let rest_ms = patience_ms.saturating_mul(1 << self.failures.min(REST_POWER));
        self.rests_until_ms = now_ms.saturating_add(rest_ms);
    }
}

fn next_turn(turns: &mut u64) -> u64 {
    *turns = turns.saturating_add(1);
    *turns
}

impl Node {
    /// Asks a peer that says it is ahead for the batches we lack.
    pub(super) fn catch_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.catching_up.is_receiving() {
            return;
        }
        let (height, validators) = (self.decided_height(), &self.validators);
        let claimants = self.peers.ahead_of(height);
        let claimants = claimants.map(|peer| (peer, validators.index_of(&peer).is_some()));
        let patience_ms = self.timing.fetch_ms;
        if let Some(peer) = self.catching_up.next(claimants, height + 1, now.monotonic_ms, patience_ms) {
            effects.push(Effect::Send { peer, message: Message::RequestFinal { from: height + 1 } });
        }
    }

    /// Gives up waiting for who is late, and asks somebody else.
    pub(super) fn retry_catching_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for peer in self.catching_up.late(now.monotonic_ms, self.timing.fetch_ms) {
            self.disbelieve(peer, effects);
        }
        self.catch_up(now, effects);
    }

    pub(super) fn on_final_batches(
        &mut self,
        peer: PublicKey,
        batches: Vec<FinalBatchMessage>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        // What nobody asked for costs nothing.
        let Some(from) = self.catching_up.take_request(&peer) else { return };
        let (count, left) = (batches.len(), batches.into());
        self.catching_up.received.push_back(Received { peer, from, count, brought: 0, left });
        self.take_received(now, effects);
    }

    /// Goes through the answers that came, until a batch has to be executed.
    pub(super) fn take_received(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while !self.executing.is_under_way()
            && let Some(mut received) = self.catching_up.received.pop_front()
        {
            if let Some(decided) = self.next_received(&mut received, effects) {
                self.begin_execution(decided, effects);
                received.brought = received.brought.saturating_add(1);
                self.catching_up.received.push_front(received);
                return;
            }
            self.end_answer(&received, now, effects);
        }
        self.catch_up(now, effects);
    }

    /// The next batch of an answer, if it is right.
    fn next_received(&mut self, received: &mut Received, effects: &mut Vec<Effect>) -> Option<DecidedBatch> {
        let next = self.ledger.head().height.saturating_add(1);
        // Another peer may have brought it meanwhile.
        while received.left.front().is_some_and(|message| message.batch.header.height < next) {
            received.left.pop_front();
        }
        let FinalBatchMessage { batch, certificate } = received.left.pop_front()?;
        if batch.header.height > next {
            return None;
        }
        match self.ledger.validate_decided(batch, certificate) {
            Ok(decided) => Some(decided),
            Err(reason) => {
                self.on_false_final(received.peer, next, &reason, effects);
                None
            }
        }
    }

    /// Nothing more of an answer is of use.
    fn end_answer(&mut self, received: &Received, now: Now, effects: &mut Vec<Effect>) {
        let &Received { peer, from, count, brought, .. } = received;
        let (head, claimed) = (self.ledger.head().height, self.peers.claimed_height(&peer));
        let answer = if brought > 0 && (count == FINAL_BATCHES || head >= claimed) {
            Answer::Whole
        } else if brought > 0 {
            Answer::Partial
        } else if head >= from {
            Answer::Overtaken
        } else {
            Answer::Useless
        };
        self.catching_up.note_answer(&peer, answer, now.monotonic_ms, self.timing.fetch_ms);
        if answer == Answer::Useless {
            self.disbelieve(peer, effects);
        }
    }

    /// What is called final does not verify.
    fn on_false_final(
        &mut self,
        peer: PublicKey,
        height: Height,
        reason: &FinalityError,
        effects: &mut Vec<Effect>,
    ) {
        if matches!(reason, FinalityError::Invalid(rejection) if rejection.fault() == Fault::Local) {
            let detail = format!("the final batch of height {height} cannot be judged: {reason}");
            effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            return;
        }
        self.peers.forget_height(&peer);
        self.blame(peer, Blame::BROKEN, reason, effects);
    }

    /// A peer said that it is ahead, and did not deliver.
    fn disbelieve(&mut self, peer: PublicKey, effects: &mut Vec<Effect>) {
        self.peers.forget_height(&peer);
        let reason = "it promised final batches again and again and did not deliver them";
        self.blame(peer, Blame::NUISANCE, &reason, effects);
    }
}

#[cfg(test)]
mod tests {
    use chain::SecretKey;

    use super::*;

    const PATIENCE_MS: u64 = 1_000;

    /// Peers in order of key, so that the tests can tell who would be first by name.
    fn peers() -> [PublicKey; 4] {
        let mut peers = [0, 1, 2, 3].map(|number| SecretKey::for_scenario(1, "peer", number).public());
        peers.sort_unstable();
        peers
    }

    fn next(catching_up: &mut CatchingUp, claimants: &[PublicKey], now_ms: u64) -> Option<PublicKey> {
        let validator = peers()[3];
        let claimants = claimants.iter().map(|&peer| (peer, peer == validator));
        catching_up.next(claimants, 1, now_ms, PATIENCE_MS)
    }

    #[test]
    fn a_validator_is_asked_before_strangers_and_who_delivered_before_a_validator() {
        let [_, stranger, boaster, validator] = peers();
        let mut catching_up = CatchingUp::default();
        let all = [stranger, boaster, validator];
        assert_eq!(next(&mut catching_up, &all, 0), Some(validator));
        assert_eq!(next(&mut catching_up, &all, 1_000), None, "it may still answer in time");
        assert_eq!(next(&mut catching_up, &all, 1_001), Some(stranger), "beside the slow one");
        assert_eq!(catching_up.take_request(&stranger), Some(1));
        catching_up.note_answer(&stranger, Answer::Whole, 1_100, PATIENCE_MS);
        assert_eq!(next(&mut catching_up, &all, 1_101), Some(stranger));
    }

    #[test]
    fn boasters_that_come_again_under_new_names_do_not_come_before_who_waits() {
        let [boaster, newer, newest, honest] = peers();
        let mut catching_up = CatchingUp::default();
        let strangers = |catching_up: &mut CatchingUp, claimants: &[PublicKey], now_ms| {
            catching_up.next(claimants.iter().map(|&peer| (peer, false)), 1, now_ms, PATIENCE_MS)
        };
        assert_eq!(strangers(&mut catching_up, &[boaster, honest], 0), Some(boaster));
        catching_up.forget_peer(&boaster);
        assert_eq!(strangers(&mut catching_up, &[newer, newest, honest], 10), Some(honest));
    }

    #[test]
    fn who_does_not_deliver_rests_longer_each_time_and_others_are_asked() {
        let [first, second, ..] = peers();
        let mut catching_up = CatchingUp::default();
        assert_eq!(next(&mut catching_up, &[first], 0), Some(first));
        assert_eq!(catching_up.late(3_000, PATIENCE_MS), []);
        assert_eq!(catching_up.late(3_001, PATIENCE_MS), [first]);
        assert_eq!(catching_up.late(3_002, PATIENCE_MS), [], "told once");
        // It rests for 2 s.
        assert_eq!(next(&mut catching_up, &[first], 5_000), None);
        assert_eq!(next(&mut catching_up, &[first], 5_001), Some(first));
        assert_eq!(catching_up.late(8_002, PATIENCE_MS), [first]);
        // Then for 4 s.
        assert_eq!(next(&mut catching_up, &[first, second], 8_003), Some(second));
        assert_eq!(catching_up.take_request(&first), Some(1), "a late answer is welcome");
        catching_up.note_answer(&first, Answer::Whole, 8_004, PATIENCE_MS);
        assert_eq!(catching_up.take_request(&first), None, "one that was not asked for is not");
    }

    #[test]
    fn who_answers_once_others_have_delivered_wins_and_loses_nothing_by_it() {
        let liar = peers()[1];
        let mut catching_up = CatchingUp::default();
        for (asked_ms, rest_ms) in [(0, 2_000), (10_000, 4_000)] {
            assert_eq!(next(&mut catching_up, &[liar], asked_ms), Some(liar));
            catching_up.take_request(&liar);
            catching_up.note_answer(&liar, Answer::Useless, asked_ms, PATIENCE_MS);
            assert_eq!(next(&mut catching_up, &[liar], asked_ms + rest_ms - 1), None, "a rest twice as long");
            assert_eq!(next(&mut catching_up, &[liar], asked_ms + rest_ms), Some(liar));
            catching_up.take_request(&liar);
            catching_up.note_answer(&liar, Answer::Overtaken, asked_ms + rest_ms, PATIENCE_MS);
        }
    }

    #[test]
    fn useless_answers_count_as_none() {
        let [boaster, other, ..] = peers();
        let mut catching_up = CatchingUp::default();
        assert_eq!(next(&mut catching_up, &[boaster, other], 0), Some(boaster));
        catching_up.take_request(&boaster);
        catching_up.note_answer(&boaster, Answer::Useless, 10, PATIENCE_MS);
        assert_eq!(next(&mut catching_up, &[boaster, other], 10), Some(other));
        catching_up.take_request(&other);
        catching_up.note_answer(&other, Answer::Useless, 20, PATIENCE_MS);
        assert_eq!(next(&mut catching_up, &[boaster, other], 20), None, "both rest");
    }
}
