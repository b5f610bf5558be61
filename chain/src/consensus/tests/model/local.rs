//! One correct validator of the model, and all that it may do next.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use super::message::Unsigned;
use super::*;
use crate::consensus::algorithm::{Algorithm, OncePerRound};

/// A validator between two steps that show. It has heard nothing: what it once heard is forgotten, so that
/// it differs from another one only in what it did about it. That two validators are the same then takes no
/// more than a look at their state, their disk and what they have sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Local {
    pub(super) algorithm: Algorithm<Unsigned>,
    pub(super) disk: SafetyLog,
    /// Everything it has ever sent.
    pub(super) said: BTreeSet<Message>,
}

/// A shared [`Local`] with its hash, which is taken once.
#[derive(Clone, Debug)]
pub(super) struct Shared(u64, Arc<Local>);

/// What happens to one validator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// It hears these messages one after the other. Only the last one has an effect.
    Hears(Vec<Message>),
    /// It hears these messages, which have no effect but to set this timeout, and it passes.
    Waits(Vec<Message>, Step),
    Crashes,
}

/// A quorum of votes and the proposal they are about.
const LONGEST_HEARING: usize = 4;

impl Local {
    /// Awake with a candidate.
    pub(super) fn new(position: u16, rules: Rules) -> Self {
        let mut local = Self::waking(position, SafetyLog::default(), BTreeSet::new(), rules);
        local.give(Input::Candidate(batch(Self::candidate(position))), rules);
        local.forget();
        local
    }

    /// Neighbours want different batches, so that two rounds are enough to disagree.
    pub(super) const fn candidate(position: u16) -> u8 {
        if position.is_multiple_of(2) { 1 } else { 2 }
    }

    fn waking(position: u16, disk: SafetyLog, said: BTreeSet<Message>, rules: Rules) -> Self {
        let signer = Some((position, Unsigned));
        let (algorithm, outputs) = Algorithm::new(NETWORK, HEIGHT, rules.seats(), signer, disk.clone());
        let mut local = Self { algorithm, disk, said };
        local.carry_out(outputs);
        local
    }

    pub(super) fn position(&self) -> u16 {
        self.algorithm.signer.as_ref().map_or(0, |&(position, _)| position)
    }

    /// Returns the timeouts that are set.
    pub(super) fn give(&mut self, input: Input, rules: Rules) -> Vec<(Round, Step)> {
        let outputs = rules.broken.step(&mut self.algorithm, input);
        self.carry_out(outputs)
    }

    fn carry_out(&mut self, outputs: Vec<Output>) -> Vec<(Round, Step)> {
        let mut timeouts = Vec::new();
        for output in outputs {
            match output {
                Output::Persist(log) => self.disk = log,
                Output::Broadcast(message) => {
                    self.said.insert(Message::of(&message));
                }
                Output::NotSigned(error) => panic!("a correct validator contradicts itself: {error}"),
                Output::SetTimeout { round, step } => timeouts.push((round, step)),
                Output::Decided(_) | Output::Equivocation(_) => {}
            }
        }
        timeouts
    }

    /// Forgets what was heard, what that set timeouts for (it can be heard again right before they pass), and
    /// who signed a certificate (whoever did, it proves the same).
    pub(super) fn forget(&mut self) {
        self.algorithm.rounds.clear();
        self.algorithm.heard.clear();
        self.algorithm.once = OncePerRound::default();
        for log in [&mut self.algorithm.log, &mut self.disk] {
            if let Some(polka) = &mut log.valid {
                polka.signatures.clear();
            }
        }
        if let Some(certificate) = &mut self.algorithm.decided {
            certificate.signatures.clear();
        }
    }

    /// All that hearing some of these messages can lead to, in rounds below `rounds`. What has no effect is
    /// heard in the given order, for no order of it makes a difference; whichever has one comes last.
    pub(super) fn hear_some(&self, messages: &[Message], rounds: Round, rules: Rules) -> Vec<(Event, Self)> {
        let mut found: Vec<(Event, Self)> = Vec::new();
        let mut pending = VecDeque::from([(self.clone(), Vec::new(), 0)]);
        while let Some((listener, heard, next)) = pending.pop_front() {
            for (position, message) in messages.iter().enumerate() {
                if heard.contains(message) {
                    continue;
                }
                let mut after = listener.clone();
                let timeouts = after.give(message.input(), rules);
                let hearing = [&heard[..], std::slice::from_ref(message)].concat();
                if self.is_shown_by(&after) {
                    Self::note(Event::Hears(hearing), after, &mut found);
                    continue;
                }
                for timeout in timeouts {
                    if let Some((event, waited)) = after.wait(timeout, hearing.clone(), rounds, rules) {
                        Self::note(event, waited, &mut found);
                    }
                }
                if position >= next && hearing.len() < LONGEST_HEARING && after != listener {
                    pending.push_back((after, hearing, position + 1));
                }
            }
        }
        found
    }

    fn is_shown_by(&self, after: &Self) -> bool {
        let mut after = after.clone();
        after.forget();
        after != *self
    }

    fn note(event: Event, mut after: Self, found: &mut Vec<(Event, Self)>) {
        after.forget();
        if found.iter().all(|(_, other)| *other != after) {
            found.push((event, after));
        }
    }

    /// The passing of a timeout, unless it leads out of the rounds explored.
    fn wait(
        &self,
        (round, step): (Round, Step),
        heard: Vec<Message>,
        rounds: Round,
        rules: Rules,
    ) -> Option<(Event, Self)> {
        let is_end = step == Step::Precommit && round + 1 == rounds;
        (!is_end).then(|| {
            let mut after = self.clone();
            after.give(Input::Timeout { round, step }, rules);
            (Event::Waits(heard, step), after)
        })
    }

    /// All that can happen to it without hearing anything. The timeout of the propose step is always set in
    /// it, for a proposer leaves that step at once.
    pub(super) fn hear_nothing(&self, rounds: Round, crashes: bool, rules: Rules) -> Vec<(Event, Self)> {
        let timeout = (self.algorithm.log.round, Step::Propose);
        let mut found = Vec::new();
        let waiting = self.wait(timeout, Vec::new(), rounds, rules);
        let restart = crashes.then(|| self.restart(rules));
        for (event, after) in waiting.into_iter().chain(restart) {
            if self.is_shown_by(&after) {
                Self::note(event, after, &mut found);
            }
        }
        found
    }

    /// The same validator, from its disk.
    fn restart(&self, rules: Rules) -> (Event, Self) {
        let position = self.position();
        let disk = rules.broken.disk_after_crash(self.disk.clone());
        let mut after = Self::waking(position, disk, self.said.clone(), rules);
        after.give(Input::Candidate(batch(Self::candidate(position))), rules);
        after.forget();
        (Event::Crashes, after)
    }
}

impl Shared {
    pub(super) fn new(local: Local) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        local.hash(&mut hasher);
        Self(hasher.finish(), Arc::new(local))
    }
}

impl std::ops::Deref for Shared {
    type Target = Local;

    fn deref(&self) -> &Local {
        &self.1
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 && (Arc::ptr_eq(&self.1, &other.1) || self.1 == other.1)
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}
