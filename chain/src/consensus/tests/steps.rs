//! The algorithm line by line: what one validator of four answers to what it is given.

use super::*;
use Step::{Precommit as PrecommitTimeout, Prevote as PrevoteTimeout, Propose as ProposeTimeout};
use VoteKind::{Precommit, Prevote};

/// The machine under test at one position, and the other validators' keys.
pub(super) struct Bench {
    keys: Vec<SecretKey>,
    pub(super) machine: Consensus,
    log: SafetyLog,
}

/// What is looked at of an output; `batch` tags, `None` for nil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Proposal(u8, Option<Round>),
    Vote(VoteKind, Option<u8>),
    Timeout(Round, Step),
    Decided(Round, u8),
    Liar(u16),
}

impl Bench {
    pub(super) fn at(position: usize) -> Self {
        let keys = keys(4);
        let key = Some(keys[position].clone());
        let (machine, outputs) =
            Consensus::new(NETWORK, HEIGHT, validators(&keys), key, SafetyLog::default());
        assert_eq!(outputs, [], "a fresh height is dormant");
        Self { keys, machine, log: SafetyLog::default() }
    }

    pub(super) fn give(&mut self, input: Input) -> Vec<Seen> {
        let outputs = self.machine.step(input).unwrap();
        self.look(&outputs)
    }

    fn look(&mut self, outputs: &[Output]) -> Vec<Seen> {
        let tag = |batch: BatchHash| batch.0.0[0];
        let mut seen = Vec::new();
        for output in outputs {
            seen.push(match output {
                Output::Persist(log) => {
                    self.log = log.clone();
                    continue;
                }
                Output::Broadcast(ConsensusMessage::Proposal(signed)) => {
                    assert_eq!(self.log.proposal, Some(signed.proposal), "durable before it is sent");
                    Seen::Proposal(tag(signed.proposal.batch), signed.proposal.valid_round)
                }
                Output::Broadcast(ConsensusMessage::Vote(signed)) => {
                    let durable = [self.log.prevote, self.log.precommit].contains(&Some(signed.vote));
                    assert!(durable, "{signed:?} is sent before it is durable");
                    Seen::Vote(signed.vote.kind, signed.vote.batch.map(tag))
                }
                Output::Broadcast(ConsensusMessage::Polka(_) | ConsensusMessage::Commit(_)) => {
                    panic!("certificates are given on request only")
                }
                Output::SetTimeout { round, step } => Seen::Timeout(*round, *step),
                Output::Decided(certificate) => {
                    certificate.verify(&self.machine.validators, NETWORK).unwrap();
                    Seen::Decided(certificate.round, tag(certificate.batch))
                }
                Output::Equivocation(evidence) => {
                    Seen::Liar(evidence.culprit(&self.machine.validators).unwrap())
                }
                Output::NotSigned(error) => panic!("a correct machine contradicts itself: {error}"),
            });
        }
        seen
    }

    pub(super) fn proposal(&self, round: Round, tag: u8, valid_round: Option<Round>) -> SignedProposal {
        let proposal = Proposal { network: NETWORK, height: HEIGHT, round, batch: batch(tag), valid_round };
        let polka = valid_round.map(|round| self.polka(round, tag, &[0, 1, 2]));
        proposal.sign(&self.keys[round as usize % 4], polka)
    }

    pub(super) fn propose(&mut self, round: Round, tag: u8, valid_round: Option<Round>) -> Vec<Seen> {
        let signed = self.proposal(round, tag, valid_round);
        self.give(Input::Proposal { signed, valid: true })
    }

    pub(super) fn vote(&self, from: u16, round: Round, kind: VoteKind, tag: Option<u8>) -> SignedVote {
        let vote = Vote { network: NETWORK, height: HEIGHT, round, kind, batch: tag.map(batch) };
        vote.sign(from, &self.keys[usize::from(from)])
    }

    /// These validators vote alike; what the last vote brings about is returned, the others bring nothing.
    pub(super) fn votes(&mut self, from: &[u16], round: Round, kind: VoteKind, tag: Option<u8>) -> Vec<Seen> {
        let (last, first) = from.split_last().unwrap();
        for &index in first {
            let vote = self.vote(index, round, kind, tag);
            assert_eq!(self.give(Input::Vote(vote)), []);
        }
        self.give(Input::Vote(self.vote(*last, round, kind, tag)))
    }

    fn polka(&self, round: Round, tag: u8, from: &[u16]) -> PolkaCertificate {
        let signatures = from
            .iter()
            .map(|&index| (index, self.vote(index, round, Prevote, Some(tag)).signature))
            .collect();
        PolkaCertificate { height: HEIGHT, round, batch: batch(tag), signatures }
    }

    pub(super) fn timeout(&mut self, round: Round, step: Step) -> Vec<Seen> {
        self.give(Input::Timeout { round, step })
    }

    /// The same validator after a crash, with what it had persisted.
    fn restart(&mut self, position: usize) -> Vec<Seen> {
        let log = SafetyLog::from_bytes(&self.log.to_bytes()).unwrap();
        let key = Some(self.keys[position].clone());
        let (machine, outputs) = Consensus::new(NETWORK, HEIGHT, validators(&self.keys), key, log);
        self.machine = machine;
        self.look(&outputs)
    }

    /// Locked on batch 1 in round 0 and gone on to round 1.
    fn locked_in_round_1() -> Self {
        let mut bench = Self::at(3);
        bench.propose(0, 1, None);
        assert_eq!(bench.votes(&[0, 1], 0, Prevote, Some(1)), [Seen::Vote(Precommit, Some(1))]);
        assert_eq!(bench.timeout(0, PrecommitTimeout), [Seen::Timeout(1, ProposeTimeout)],);
        assert_eq!(bench.machine.algorithm.log.locked, Some((0, batch(1))));
        bench
    }
}

#[test]
fn lines_14_to_19_the_proposer_proposes_its_candidate_and_prevotes_it() {
    let mut bench = Bench::at(0);
    assert_eq!(
        bench.give(Input::Candidate(batch(1))),
        [Seen::Proposal(1, None), Seen::Vote(Prevote, Some(1))],
    );
    assert_eq!(bench.give(Input::Candidate(batch(2))), [], "one proposal a round");
}

#[test]
fn a_proposer_without_a_candidate_waits_for_one_until_its_timeout() {
    let mut bench = Bench::at(0);
    assert_eq!(bench.votes(&[1, 2], 0, Prevote, None), [Seen::Timeout(0, ProposeTimeout)]);
    assert_eq!(
        bench.give(Input::Candidate(batch(1))),
        [Seen::Proposal(1, None), Seen::Vote(Prevote, Some(1)), Seen::Timeout(0, PrevoteTimeout)]
    );
    let mut bench = Bench::at(0);
    bench.votes(&[1, 2], 0, Prevote, None);
    assert_eq!(
        bench.timeout(0, ProposeTimeout),
        [Seen::Vote(Prevote, None), Seen::Vote(Precommit, None)],
        "two thirds of nil"
    );
    assert_eq!(bench.give(Input::Candidate(batch(1))), [], "too late for this round");
}

#[test]
fn who_is_woken_without_a_candidate_asks_for_one_in_its_turn_alone() {
    for (position, is_its_turn) in [(0, true), (2, false)] {
        let mut bench = Bench::at(position);
        assert!(!bench.machine.awaits_candidate(), "dormant");
        assert_eq!(bench.give(Input::Wake), [Seen::Timeout(0, ProposeTimeout)]);
        assert_eq!(bench.give(Input::Wake), []);
        assert_eq!(bench.machine.awaits_candidate(), is_its_turn);
    }
    let mut bench = Bench::at(0);
    bench.give(Input::Wake);
    assert_eq!(
        bench.give(Input::Candidate(batch(1))),
        [Seen::Proposal(1, None), Seen::Vote(Prevote, Some(1))]
    );
    assert!(!bench.machine.awaits_candidate(), "it has proposed");
}

#[test]
fn line_21_a_candidate_wakes_the_others_who_wait_for_the_proposal() {
    let mut bench = Bench::at(2);
    assert_eq!(bench.timeout(0, ProposeTimeout), [], "dormant");
    assert_eq!(bench.give(Input::Candidate(batch(1))), [Seen::Timeout(0, ProposeTimeout)]);
}

#[test]
fn lines_22_to_27_a_valid_proposal_is_prevoted_an_invalid_one_gets_nil() {
    let mut bench = Bench::at(2);
    let woken = Seen::Timeout(0, ProposeTimeout);
    assert_eq!(bench.propose(0, 1, None), [woken.clone(), Seen::Vote(Prevote, Some(1))]);
    let mut bench = Bench::at(2);
    assert_eq!(bench.give(Input::Candidate(batch(9))), [woken]);
    let signed = bench.proposal(0, 1, None);
    assert_eq!(bench.give(Input::Proposal { signed, valid: false }), [Seen::Vote(Prevote, None)]);
}

#[test]
fn line_23_who_is_locked_prevotes_its_batch_and_no_other() {
    let mut bench = Bench::locked_in_round_1();
    assert_eq!(bench.propose(1, 2, None), [Seen::Vote(Prevote, None)]);
    let mut bench = Bench::locked_in_round_1();
    assert_eq!(bench.propose(1, 1, None), [Seen::Vote(Prevote, Some(1))]);
}

#[test]
fn lines_28_to_33_a_polka_as_new_as_the_lock_overrides_it() {
    let mut bench = Bench::locked_in_round_1();
    assert_eq!(bench.timeout(1, PrecommitTimeout), [Seen::Timeout(2, ProposeTimeout)]);
    // Of round 1, the lock being of round 0.
    assert_eq!(bench.propose(2, 2, Some(1)), [Seen::Vote(Prevote, Some(2))]);

    // Locked on batch 2 in round 2, a polka of round 1 for batch 3 is too old.
    assert_eq!(bench.votes(&[0, 1], 2, Prevote, Some(2)), [Seen::Vote(Precommit, Some(2))]);
    bench.timeout(2, PrecommitTimeout);
    bench.timeout(3, PrecommitTimeout);
    assert_eq!(bench.propose(4, 3, Some(1)), [Seen::Vote(Prevote, None)]);
}

#[test]
fn lines_34_and_57_prevotes_without_agreement_end_in_a_precommit_for_nil() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    assert_eq!(bench.votes(&[0], 0, Prevote, Some(1)), []);
    assert_eq!(bench.votes(&[1], 0, Prevote, None), [Seen::Timeout(0, PrevoteTimeout)]);
    assert_eq!(bench.timeout(0, PrevoteTimeout), [Seen::Vote(Precommit, None)]);
    assert_eq!(bench.timeout(0, PrevoteTimeout), [], "once");
}

#[test]
fn lines_36_to_43_a_polka_locks_and_is_precommitted() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    assert_eq!(bench.votes(&[0, 1], 0, Prevote, Some(1)), [Seen::Vote(Precommit, Some(1))]);
    assert_eq!(bench.log.locked, Some((0, batch(1))));
    assert_eq!(bench.log.valid.as_ref().map(|polka| (polka.round, polka.batch)), Some((0, batch(1))));
}

#[test]
fn line_42_a_polka_after_the_precommit_is_remembered_without_a_lock() {
    let mut bench = Bench::at(1);
    bench.propose(0, 1, None);
    bench.votes(&[0], 0, Prevote, Some(1));
    bench.votes(&[3], 0, Prevote, None);
    bench.timeout(0, PrevoteTimeout);
    assert_eq!(bench.votes(&[2], 0, Prevote, Some(1)), []);
    assert_eq!(
        (bench.machine.algorithm.log.locked, bench.machine.algorithm.log.valid.is_some()),
        (None, true)
    );
    // Lines 15 and 16: as proposer of round 1 it proposes that batch, with its proof, not its candidate.
    assert_eq!(bench.give(Input::Candidate(batch(9))), []);
    assert_eq!(
        bench.timeout(0, PrecommitTimeout),
        [Seen::Proposal(1, Some(0)), Seen::Vote(Prevote, Some(1))]
    );
}

#[test]
fn line_36_waits_for_the_proposal() {
    let mut bench = Bench::at(2);
    bench.give(Input::Candidate(batch(9)));
    bench.votes(&[0], 0, Prevote, Some(1));
    assert_eq!(bench.timeout(0, ProposeTimeout), [Seen::Vote(Prevote, None)]);
    bench.votes(&[1], 0, Prevote, Some(1));
    assert_eq!(bench.votes(&[3], 0, Prevote, Some(1)), []);
    assert_eq!(bench.propose(0, 1, None), [Seen::Vote(Precommit, Some(1))]);
}

#[test]
fn line_44_two_thirds_of_nil_prevotes_are_precommitted_as_nil() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    bench.votes(&[0, 1], 0, Prevote, None);
    assert_eq!(bench.votes(&[3], 0, Prevote, None), [Seen::Vote(Precommit, None)]);
}

#[test]
fn lines_47_and_65_precommits_without_agreement_lead_to_the_next_round() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    bench.votes(&[0], 0, Precommit, Some(1));
    bench.votes(&[1], 0, Precommit, None);
    assert_eq!(bench.votes(&[3], 0, Precommit, None), [Seen::Timeout(0, PrecommitTimeout)]);
    assert_eq!(bench.timeout(0, PrecommitTimeout), [Seen::Timeout(1, ProposeTimeout)]);
    assert_eq!(bench.timeout(0, PrecommitTimeout), [], "outdated");
}

#[test]
fn line_49_three_precommits_decide_even_in_a_past_round_and_only_once() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    bench.timeout(0, PrecommitTimeout);
    assert_eq!(bench.machine.round(), 1);
    assert_eq!(bench.votes(&[0, 1, 3], 0, Precommit, Some(1)), [Seen::Decided(0, 1)]);
    assert_eq!(bench.votes(&[0, 1, 3], 1, Precommit, Some(2)), []);
}

#[test]
fn line_55_two_of_four_at_or_beyond_a_round_lead_there() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    assert_eq!(bench.votes(&[0], 1_000_000, Prevote, None), [], "one of four may lie");
    assert_eq!(bench.votes(&[1], 40, Prevote, None), [Seen::Timeout(40, ProposeTimeout)]);
    assert!(bench.machine.algorithm.rounds.keys().all(|&round| (38..=48).contains(&round)), "bounded memory");
}

#[test]
fn a_single_validator_decides_alone() {
    let keys = keys(1);
    let (mut machine, _) =
        Consensus::new(NETWORK, HEIGHT, validators(&keys), Some(keys[0].clone()), SafetyLog::default());
    let outputs = machine.step(Input::Candidate(batch(1))).unwrap();
    let Some(Output::Decided(certificate)) = outputs.last() else { panic!("undecided: {outputs:?}") };
    assert_eq!(certificate.verify(&validators(&keys), NETWORK), Ok(()));
}

#[test]
fn who_is_no_validator_signs_nothing_and_learns_the_decision() {
    let keys = keys(4);
    let stranger = SecretKey::for_scenario(1, "stranger", 0);
    let mut bench = Bench::at(0);
    (bench.machine, _) =
        Consensus::new(NETWORK, HEIGHT, validators(&keys), Some(stranger), SafetyLog::default());
    assert_eq!(bench.give(Input::Candidate(batch(1))), [Seen::Timeout(0, ProposeTimeout)]);
    assert_eq!(bench.propose(0, 1, None), []);
    assert_eq!(bench.votes(&[0, 1, 2], 0, Precommit, Some(1)), [Seen::Decided(0, 1)]);
}

#[test]
fn a_second_vote_is_reported_once_and_not_counted() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    assert_eq!(bench.votes(&[3], 0, Prevote, Some(2)), []);
    assert_eq!(bench.votes(&[3], 0, Prevote, Some(1)), [Seen::Liar(3)]);
    assert_eq!(bench.votes(&[3], 0, Prevote, None), []);
    assert_eq!(bench.votes(&[0], 0, Prevote, Some(1)), [Seen::Timeout(0, PrevoteTimeout)]);
}

#[test]
fn a_second_proposal_is_reported_and_the_first_one_prevoted() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    assert_eq!(bench.propose(0, 2, None), [Seen::Liar(0)]);
    assert_eq!(bench.propose(0, 3, None), [], "two prove enough");
}

#[test]
fn a_polka_certificate_counts_although_a_liar_sent_us_another_vote() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    bench.votes(&[3], 0, Prevote, None);
    let polka = bench.polka(0, 1, &[0, 1, 3]);
    assert_eq!(bench.give(Input::Polka(polka)), [Seen::Liar(3), Seen::Vote(Precommit, Some(1))]);
}

#[test]
fn a_commit_certificate_decides() {
    let mut bench = Bench::at(2);
    let signatures =
        [0, 1, 3].map(|index| (index, bench.vote(index, 5, Precommit, Some(1)).signature)).to_vec();
    let certificate = CommitCertificate { height: HEIGHT, round: 5, batch: batch(1), signatures };
    assert_eq!(bench.give(Input::Commit(certificate.clone())), [Seen::Decided(5, 1)]);
    assert_eq!(bench.machine.decided(), Some(&certificate));
}

#[test]
fn after_a_crash_it_repeats_what_it_said_and_keeps_its_lock() {
    let mut bench = Bench::locked_in_round_1();
    bench.propose(1, 2, None);
    assert_eq!(bench.restart(3), [Seen::Vote(Prevote, None)]);
    assert_eq!(bench.machine.round(), 1);
    assert_eq!(bench.propose(1, 1, None), [], "it has prevoted in this round");
    bench.timeout(1, PrecommitTimeout);
    assert_eq!(bench.propose(2, 2, None), [Seen::Vote(Prevote, None)], "still locked on batch 1");
}

#[test]
fn after_a_crash_a_proposer_proposes_the_same_again() {
    let mut bench = Bench::at(0);
    bench.give(Input::Candidate(batch(1)));
    assert_eq!(bench.restart(0), [Seen::Proposal(1, None), Seen::Vote(Prevote, Some(1))]);
    assert_eq!(bench.give(Input::Candidate(batch(2))), []);
}

#[test]
fn who_is_said_to_have_signed_nothing_of_a_height_does_not_begin_it() {
    let keys = keys(4);
    let log = SafetyLog::new(HEIGHT);
    let (mut machine, outputs) =
        Consensus::new(NETWORK, HEIGHT, validators(&keys), Some(keys[0].clone()), log);
    assert_eq!((outputs, machine.is_awake()), (vec![], false));
    machine.step(Input::Candidate(batch(1))).unwrap();
    assert!(machine.is_awake());
}

#[test]
fn who_lost_batches_it_voted_beyond_follows_without_signing() {
    let keys = keys(4);
    let log = SafetyLog::new(HEIGHT + 1);
    let (mut machine, outputs) =
        Consensus::new(NETWORK, HEIGHT, validators(&keys), Some(keys[0].clone()), log);
    assert_eq!(outputs, []);
    let outputs = machine.step(Input::Candidate(batch(1))).unwrap();
    assert_eq!(outputs, [Output::SetTimeout { round: 0, step: ProposeTimeout }]);
}

#[test]
fn a_vote_that_contradicts_the_safety_log_is_not_signed_and_the_node_is_told() {
    let mut bench = Bench::at(2);
    let other = Vote { network: NETWORK, height: HEIGHT, round: 0, kind: Prevote, batch: Some(batch(9)) };
    bench.give(Input::Candidate(batch(1)));
    bench.machine.algorithm.log.prevote = Some(other);
    let signed = bench.proposal(0, 1, None);
    let outputs = bench.machine.step(Input::Proposal { signed, valid: true }).unwrap();
    let refused = Output::NotSigned(SafetyError::Conflict { height: HEIGHT, round: 0 });
    assert!(outputs.contains(&refused), "{outputs:?}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Broadcast(_))), "{outputs:?}");
    assert_eq!(bench.machine.algorithm.log.prevote, Some(other));
}

#[test]
fn every_malformed_message_is_refused_and_changes_nothing() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    let good = bench.vote(1, 0, Prevote, Some(1));
    let with = |change: fn(&mut SignedVote)| {
        let mut vote = good;
        change(&mut vote);
        Input::Vote(vote)
    };
    let mut refused = |input| bench.machine.step(input).unwrap_err();
    let foreign = NetworkId(Hash([8; 32]));
    assert_eq!(
        refused(with(|signed| signed.vote.network = NetworkId(Hash([8; 32])))),
        ConsensusError::WrongNetwork { got: foreign, expected: NETWORK }
    );
    assert_eq!(
        refused(with(|signed| signed.vote.height = 9)),
        ConsensusError::WrongHeight { got: 9, expected: 8 }
    );
    assert_eq!(
        refused(with(|signed| signed.validator = 4)),
        ConsensusError::UnknownValidator { got: 4, expected: 4 }
    );
    let reason = crate::key::KeyError::BadSignature;
    assert_eq!(
        refused(with(|signed| signed.vote.batch = None)),
        ConsensusError::BadSignature { validator: 1, reason }
    );
    assert!(!bench.machine.summary().prevotes.contains(1));
}

#[test]
fn every_malformed_proposal_is_refused() {
    let mut bench = Bench::at(2);
    let reason = crate::key::KeyError::BadSignature;
    let refusal =
        |bench: &mut Bench, signed| bench.machine.step(Input::Proposal { signed, valid: true }).unwrap_err();
    let mut stolen = bench.proposal(1, 1, None);
    stolen.proposal.round = 0;
    assert_eq!(refusal(&mut bench, stolen), ConsensusError::BadSignature { validator: 0, reason });
    let late = bench.proposal(1, 1, Some(1));
    assert_eq!(refusal(&mut bench, late), ConsensusError::ValidRoundNotEarlier { got: 1, expected: 1 });
    let mut unproven = bench.proposal(1, 1, Some(0));
    unproven.polka = None;
    assert_eq!(refusal(&mut bench, unproven), ConsensusError::PolkaMismatch { expected: Some(0) });
    let mut thin = bench.proposal(1, 1, Some(0));
    thin.polka.as_mut().unwrap().signatures.pop();
    let too_few = CertificateError::NoQuorum { got: 2, expected: 3 };
    assert_eq!(refusal(&mut bench, thin), ConsensusError::Certificate(too_few));
    assert!(!bench.machine.is_awake(), "nothing unproven wakes a height");
}

#[test]
fn a_peer_is_given_exactly_what_its_summary_lacks() {
    let mut ahead = Bench::at(2);
    ahead.propose(0, 1, None);
    ahead.votes(&[0], 0, Prevote, Some(1));
    let behind = Bench::at(3);
    let sent = ahead.machine.missing_from(&behind.machine.summary());
    let kinds: Vec<_> = sent
        .iter()
        .map(|message| match message {
            ConsensusMessage::Proposal(_) => "proposal".to_owned(),
            ConsensusMessage::Vote(signed) => format!("vote of {}", signed.validator),
            ConsensusMessage::Polka(_) => "polka".to_owned(),
            ConsensusMessage::Commit(_) => "commit".to_owned(),
        })
        .collect();
    assert_eq!(kinds, ["proposal", "vote of 0", "vote of 2"]);
    assert_eq!(ahead.machine.missing_from(&ahead.machine.summary()), []);
    let bytes = ahead.machine.summary().to_bytes();
    assert_eq!(bytes, [8, 0, 1, 0, 1, 0b101, 0]);
    assert_eq!(VoteSummary::from_bytes(&bytes), Ok(ahead.machine.summary()));
}
