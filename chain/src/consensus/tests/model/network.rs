//! The network of the model: what each correct validator can hear, and what must always be so.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{PoisonError, RwLock};

use stateright::{Model, Property};

use super::local::{Event, Shared};
use super::*;
use crate::consensus::tests::lockstep::Lockstep;

/// The correct validators in order of position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) correct: Vec<Shared>,
}

/// One step of one correct validator.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Action {
    index: usize,
    event: Event,
    after: Shared,
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "validator {}: {:?}", self.after.position(), self.event)
    }
}

type Outcomes = Arc<[(Event, Shared)]>;

/// What is explored.
pub(super) struct Exploration {
    pub(super) rounds: Round,
    pub(super) liar: u16,
    /// The batches that the liar speaks of.
    pub(super) batches: Vec<u8>,
    /// Whether correct validators crash and restart, as often as they like.
    pub(super) crashes: bool,
    pub(super) rules: Rules,
    /// The properties looked at; all if there are none.
    pub(super) only: Option<&'static str>,
    /// Steps taken before: many states of the network have the same one of a validator.
    pub(super) known: RwLock<HashMap<(Shared, Vec<Message>), Outcomes>>,
    /// Disks (by hash) from which the correct validators have been seen to decide.
    pub(super) recovered: RwLock<HashSet<u64>>,
}

impl Exploration {
    pub(super) fn new(rounds: Round, liar: u16) -> Self {
        let (batches, crashes, only) = (vec![1, 2], false, None);
        let rules = Rules { powers: [1; 4], broken: Broken::Nothing };
        Self {
            rounds,
            liar,
            batches,
            crashes,
            rules,
            only,
            known: RwLock::default(),
            recovered: RwLock::default(),
        }
    }

    fn votes(&self, state: &State, round: Round, kind: VoteKind) -> Vec<Message> {
        let said = state.correct.iter().flat_map(|local| &local.said);
        let is_wanted = |message: &&Message| {
            message.as_vote().is_some_and(|(_, of, other, _)| (of, other) == (round, kind))
        };
        let lies = self.batches.iter().copied().map(Some).chain([None]);
        let lies = lies.map(|batch| Message::Vote { from: self.liar, round, kind, batch });
        said.filter(is_wanted).cloned().chain(lies).collect()
    }

    fn voters(votes: &[Message], batch: u8) -> Vec<u16> {
        let votes = votes.iter().filter_map(Message::as_vote);
        let for_batch = votes.filter(|(_, _, _, voted)| *voted == Some(batch));
        let from: BTreeSet<u16> = for_batch.map(|(from, ..)| from).collect();
        from.into_iter().collect()
    }

    /// Who can be shown to have voted for a batch by certificate, if they are enough.
    fn certified(&self, state: &State, round: Round, kind: VoteKind, batch: u8) -> Option<Vec<u16>> {
        let seats = self.rules.seats();
        let voters = Self::voters(&self.votes(state, round, kind), batch);
        (seats.power_of_all(voters.iter().copied()) >= seats.quorum).then_some(voters)
    }

    fn proposals(&self, state: &State, round: Round) -> Vec<Message> {
        let proposer = self.rules.seats().proposer(HEIGHT, round);
        if proposer != self.liar {
            let said = state.correct.iter().flat_map(|local| &local.said);
            let is_of_round =
                |message: &&Message| matches!(message, Message::Proposal { round: of, .. } if *of == round);
            return said.filter(is_of_round).cloned().collect();
        }
        let mut lies = Vec::new();
        for &batch in &self.batches {
            lies.push(Message::Proposal { round, batch, valid_round: None });
            for valid_round in 0..round {
                let proven = self.certified(state, valid_round, VoteKind::Prevote, batch).is_some();
                if proven || self.rules.broken == Broken::ValidRound {
                    lies.push(Message::Proposal { round, batch, valid_round: Some(valid_round) });
                }
            }
        }
        lies
    }

    /// What a validator can hear, in groups such that nothing but what is in one of them can have an effect
    /// together: no rule reads more than the proposal and the votes of one kind of one round, and that others
    /// are in later rounds.
    pub(super) fn groups(&self, state: &State, listener: &Local) -> Vec<Vec<Message>> {
        let current = listener.algorithm.log.round;
        let mut groups = Vec::new();
        for round in 0..self.rounds {
            for kind in [VoteKind::Prevote, VoteKind::Precommit] {
                let mut group =
                    if kind == VoteKind::Prevote { self.proposals(state, round) } else { Vec::new() };
                group.extend(self.votes(state, round, kind));
                for &batch in &self.batches {
                    let voters = self.certified(state, round, kind, batch);
                    group.extend(voters.map(|voters| match kind {
                        VoteKind::Prevote => Message::Polka { round, batch, voters },
                        VoteKind::Precommit => Message::Commit { round, batch, voters },
                    }));
                }
                if round == current {
                    group.extend(self.voices_beyond(state, round));
                }
                groups.push(group);
            }
        }
        groups
    }

    /// The last vote of everybody who is beyond this round.
    fn voices_beyond(&self, state: &State, round: Round) -> Vec<Message> {
        let is_beyond = |message: &&Message| message.as_vote().is_some_and(|(_, of, ..)| of > round);
        let last_vote = |local: &Shared| local.said.iter().rfind(is_beyond).cloned();
        let last = self.rounds - 1;
        let (from, kind) = (self.liar, VoteKind::Prevote);
        let lie = (last > round).then_some(Message::Vote { from, round: last, kind, batch: None });
        state.correct.iter().filter_map(last_vote).chain(lie).collect()
    }

    /// All that can happen to a validator: by what it hears of this group, and without hearing anything if
    /// that is empty.
    fn outcomes(&self, local: &Shared, group: Vec<Message>) -> Outcomes {
        let key = (local.clone(), group);
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let found = if key.1.is_empty() {
            local.hear_nothing(self.rounds, self.crashes, self.rules)
        } else {
            local.hear_some(&key.1, self.rounds, self.rules)
        };
        let found: Outcomes = found.into_iter().map(|(event, after)| (event, Shared::new(after))).collect();
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&found));
        found
    }

    /// Whether one validator can become like `after` in a few steps, whatever the others do meanwhile.
    pub(super) fn leads_to(&self, state: &State, index: usize, after: &Local) -> bool {
        let mut states = vec![state.clone()];
        for _ in 0..3 {
            let mut next = Vec::new();
            for state in &states {
                let local = &state.correct[index];
                for group in self.groups(state, local).into_iter().chain([Vec::new()]) {
                    for (_, outcome) in self.outcomes(local, group).iter() {
                        let mut state = state.clone();
                        state.correct[index] = outcome.clone();
                        next.push(state);
                    }
                }
            }
            if next.iter().any(|state| *state.correct[index] == *after) {
                return true;
            }
            states = next;
        }
        false
    }

    /// Batches that are decided, or could be by who heard all that was said, with the round.
    pub(super) fn decisions(&self, state: &State) -> BTreeSet<(Round, u8)> {
        let decided = state.correct.iter().filter_map(|local| local.algorithm.decided.as_ref());
        let mut decisions: BTreeSet<_> =
            decided.map(|certificate| (certificate.round, certificate.batch.0.0[0])).collect();
        for round in 0..self.rounds {
            let is_decided = |batch: &u8| self.certified(state, round, VoteKind::Precommit, *batch).is_some();
            decisions.extend([1, 2, INVALID].into_iter().filter(is_decided).map(|batch| (round, batch)));
        }
        decisions
    }

    fn agree(&self, state: &State) -> bool {
        let batches: BTreeSet<u8> = self.decisions(state).into_iter().map(|(_, batch)| batch).collect();
        batches.len() <= 1
    }

    fn decide_what_is_valid(&self, state: &State) -> bool {
        self.decisions(state).iter().all(|&(_, batch)| batch < INVALID)
    }

    fn sign_once(state: &State) -> bool {
        state.correct.iter().all(|local| {
            let place = |message: &Message| match message {
                Message::Proposal { round, .. } => (*round, None),
                Message::Vote { round, kind, .. } => (*round, Some(*kind)),
                Message::Polka { .. } | Message::Commit { .. } => unreachable!("said by nobody"),
            };
            let places: BTreeSet<_> = local.said.iter().map(place).collect();
            places.len() == local.said.len()
        })
    }

    /// Whoever has precommitted a batch is locked on the last one.
    fn stay_locked(state: &State) -> bool {
        state.correct.iter().all(|local| {
            let votes = local.said.iter().filter_map(Message::as_vote);
            let precommits = votes.filter(|(_, _, kind, _)| *kind == VoteKind::Precommit);
            let batches = precommits.filter_map(|(_, round, _, tag)| Some((round, batch(tag?))));
            local.algorithm.log.locked == batches.max_by_key(|(round, _)| *round)
        })
    }

    /// The worst that can happen at once: all correct validators crash, no message survives, and the liar is
    /// silent from then on. They decide all the same, with nobody but themselves.
    fn recover(&self, state: &State) -> bool {
        let disks: Vec<&SafetyLog> = state.correct.iter().map(|local| &local.disk).collect();
        let hash = {
            let mut hasher = DefaultHasher::new();
            disks.hash(&mut hasher);
            hasher.finish()
        };
        if self.recovered.read().unwrap_or_else(PoisonError::into_inner).contains(&hash) {
            return true;
        }
        let mut logs = vec![None; 4];
        for local in &state.correct {
            logs[usize::from(local.position())] = Some(local.disk.clone());
        }
        let mut network = Lockstep::resuming_at(&self.rules.seats(), &logs);
        for local in &state.correct {
            let position = local.position();
            network.give(usize::from(position), Input::Candidate(batch(Local::candidate(position))));
        }
        let (decisions, _) = network.run(self.rounds + 8);
        let recovers = decisions.iter().flatten().count() == 3;
        if recovers {
            self.recovered.write().unwrap_or_else(PoisonError::into_inner).insert(hash);
        }
        recovers
    }

    fn decided_in(state: &State, round: Round) -> bool {
        let mut decided = state.correct.iter().filter_map(|local| local.algorithm.decided.as_ref());
        decided.any(|certificate| certificate.round == round)
    }
}

pub(super) const AGREEMENT: &str = "no two batches are decided";
pub(super) const VALIDITY: &str = "what is decided is valid";
pub(super) const SIGN_ONCE: &str = "nobody correct signs twice in one place";
pub(super) const LOCKED: &str = "no lock is forgotten";
pub(super) const RECOVERY: &str = "all correct ones can crash and decide without the liar";
pub(super) const ROUND_0: &str = "round 0 can decide";
pub(super) const ROUND_1: &str = "round 1 can decide";

impl Model for Exploration {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let correct = (0..4).filter(|&position| position != self.liar);
        let correct = correct.map(|position| Shared::new(Local::new(position, self.rules))).collect();
        vec![State { correct }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Who has decided does no more: what others do then they can also do while it only stands still.
        if state.correct.iter().any(|local| local.algorithm.decided.is_some()) {
            return;
        }
        for (index, local) in state.correct.iter().enumerate() {
            for group in self.groups(state, local).into_iter().chain([Vec::new()]) {
                let outcomes = self.outcomes(local, group);
                actions.extend(outcomes.iter().cloned().map(|(event, after)| Action { index, event, after }));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        next.correct[action.index] = action.after;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(AGREEMENT, Self::agree),
            Property::always(VALIDITY, Self::decide_what_is_valid),
            Property::always(SIGN_ONCE, |_, state| Self::sign_once(state)),
            Property::always(LOCKED, |_, state| Self::stay_locked(state)),
            Property::always(RECOVERY, Self::recover),
            Property::sometimes(ROUND_0, |_, state| Self::decided_in(state, 0)),
            Property::sometimes(ROUND_1, |_, state| Self::decided_in(state, 1)),
        ];
        properties.retain(|property| self.only.is_none_or(|only| property.name == only));
        properties
    }
}
