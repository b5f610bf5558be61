//! A network without delay or loss, in which time passes only when nobody has anything left to hear: what
//! correct validators decide when the network is good and the others are silent.

use std::collections::VecDeque;

use super::model::Unsigned;
use super::*;
use crate::consensus::algorithm::Algorithm;
use crate::consensus::validators::Seats;

pub(super) struct Lockstep {
    /// `None` for who is silent.
    algorithms: Vec<Option<Algorithm<Unsigned>>>,
    messages: VecDeque<(usize, ConsensusMessage)>,
    /// In the order in which they were set.
    timeouts: VecDeque<(usize, Round, Step)>,
}

/// What node `at` thinks of a batch: batches from 0x80 up please only the validator whose number they end in.
fn accepts(at: usize, batch: BatchHash) -> bool {
    let tag = usize::from(batch.0.0[0]);
    tag < 0x80 || tag == 0x80 + at
}

impl Lockstep {
    /// Validators of one vote each who wake up with these logs; where there is none, one is silent.
    pub(super) fn resuming(logs: &[Option<SafetyLog>]) -> Self {
        Self::resuming_at(&Seats::new(vec![1; logs.len()]), logs)
    }

    /// The same at these seats.
    pub(super) fn resuming_at(seats: &Seats, logs: &[Option<SafetyLog>]) -> Self {
        let algorithms = vec![None; logs.len()];
        let mut network = Self { algorithms, messages: VecDeque::new(), timeouts: VecDeque::new() };
        for (position, log) in (0..).zip(logs) {
            let Some(log) = log.clone() else { continue };
            let signer = Some((position, Unsigned));
            let (algorithm, outputs) = Algorithm::new(NETWORK, HEIGHT, seats.clone(), signer, log);
            network.algorithms[usize::from(position)] = Some(algorithm);
            network.carry_out(usize::from(position), outputs);
        }
        network
    }

    pub(super) fn give(&mut self, node: usize, input: Input) {
        if let Some(algorithm) = &mut self.algorithms[node] {
            let outputs = algorithm.step(input);
            self.carry_out(node, outputs);
        }
    }

    fn carry_out(&mut self, node: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Broadcast(message) => {
                    let others = (0..self.algorithms.len()).filter(|&other| other != node);
                    self.messages.extend(others.map(|other| (other, message.clone())));
                }
                Output::SetTimeout { round, step } => self.timeouts.push_back((node, round, step)),
                Output::Persist(_) | Output::Decided(_) => {}
                Output::Equivocation(_) | Output::NotSigned(_) => panic!("nobody lies here: {output:?}"),
            }
        }
    }

    /// Until all have decided: the batch of each, and the last round anybody was in, below `limit`.
    pub(super) fn run(&mut self, limit: Round) -> (Vec<Option<u8>>, Round) {
        loop {
            while let Some((to, message)) = self.messages.pop_front() {
                let input = match message {
                    ConsensusMessage::Proposal(signed) => {
                        let valid = accepts(to, signed.proposal.batch);
                        Input::Proposal { signed, valid }
                    }
                    ConsensusMessage::Vote(signed) => Input::Vote(signed),
                    ConsensusMessage::Polka(certificate) => Input::Polka(certificate),
                    ConsensusMessage::Commit(certificate) => Input::Commit(certificate),
                };
                self.give(to, input);
            }
            let round = self.algorithms.iter().flatten().map(|algorithm| algorithm.log.round).max().unwrap();
            let undecided = self.algorithms.iter().flatten().any(|algorithm| algorithm.decided.is_none());
            let timeout = self.timeouts.pop_front().filter(|_| undecided && round < limit);
            let Some((node, at, step)) = timeout else {
                let decisions = self
                    .algorithms
                    .iter()
                    .map(|algorithm| Some(algorithm.as_ref()?.decided.as_ref()?.batch.0.0[0]));
                return (decisions.collect(), round);
            };
            self.give(node, Input::Timeout { round: at, step });
        }
    }
}

#[test]
fn a_batch_that_only_its_proposer_accepts_gives_way_to_the_next_candidate() {
    // Validator 3 is silent; each of the others has a batch of its own first that pleases nobody else.
    let fresh = Some(SafetyLog::new(HEIGHT - 1));
    let mut network = Lockstep::resuming(&[fresh.clone(), fresh.clone(), fresh, None]);
    for node in 0..3 {
        network.give(node, Input::Candidate(batch(0x80 + u8::try_from(node).unwrap())));
        network.give(node, Input::Candidate(batch(1)));
    }
    // Rounds 0 to 3 are everybody's first turn; the next one in line proposes the good batch in round 4.
    let decision = Some(1);
    assert_eq!(network.run(40), (vec![decision, decision, decision, None], 4));
}

#[test]
fn a_good_candidate_is_proposed_before_as_many_turns_as_there_are_candidates() {
    let fresh = Some(SafetyLog::new(HEIGHT - 1));
    let mut network = Lockstep::resuming(&[fresh.clone(), fresh.clone(), fresh, None]);
    for node in 0..3 {
        for bad in 0xa0..0xa9 {
            network.give(node, Input::Candidate(batch(bad)));
        }
        network.give(node, Input::Candidate(batch(1)));
    }
    // Nine turns of four rounds each are lost, and in the tenth round 36 is the first.
    let (decisions, round) = network.run(60);
    assert_eq!((decisions[0], round), (Some(1), 36));
}

/// What a validator remembers who said nil in both votes of a round, or has only prevoted there.
fn log_of_nil(round: Round, precommitted: bool) -> SafetyLog {
    let vote = |kind| Vote { network: NETWORK, height: HEIGHT, round, kind, batch: None };
    SafetyLog {
        round,
        prevote: Some(vote(VoteKind::Prevote)),
        precommit: precommitted.then(|| vote(VoteKind::Precommit)),
        ..SafetyLog::new(HEIGHT)
    }
}

#[test]
fn who_is_left_behind_by_a_crash_that_forgot_all_votes_catches_up_without_the_liar() {
    // The liar's votes led validator 0 to round 1 and reached nobody else. It crashed and forgot them; what it
    // said itself in round 0 was lost on the way, and the liar is silent from now on.
    for precommitted in [false, true] {
        let behind = Some(log_of_nil(0, precommitted));
        let ahead = Some(log_of_nil(1, false));
        let mut network = Lockstep::resuming(&[ahead, behind.clone(), behind, None]);
        for node in 0..3 {
            network.give(node, Input::Candidate(batch(1)));
        }
        let decision = Some(1);
        assert_eq!(network.run(40), (vec![decision, decision, decision, None], 2), "{precommitted}");
    }
}
