//! Algorithm 1 of arXiv 1807.04938 for one height. Whatever comes here has been verified by
//! [`super::Consensus`]; signatures are only kept, and made by a [`Signer`].

use std::collections::BTreeMap;

use super::certificate::{CommitCertificate, PolkaCertificate};
use super::interface::{Input, Output, Step};
use super::message::{ConsensusMessage, Proposal, SignedProposal, SignedVote, Vote, VoteKind};
use super::round::{RoundMessages, VoteTally};
use super::safety::SafetyLog;
use super::validators::{Power, Seats};
use super::{CANDIDATES, FUTURE_ROUNDS, PAST_ROUNDS, Round};
use crate::batch::BatchHash;
use crate::key::SecretKey;
use crate::record::{Height, NetworkId};

/// What a validator signs with. Not always its key: exploring all that can happen takes more signatures than
/// there is time for.
pub(super) trait Signer {
    fn sign_vote(&self, vote: Vote, validator: u16) -> SignedVote;
    fn sign_proposal(&self, proposal: Proposal, polka: Option<PolkaCertificate>) -> SignedProposal;
}

impl Signer for SecretKey {
    fn sign_vote(&self, vote: Vote, validator: u16) -> SignedVote {
        vote.sign(validator, self)
    }

    fn sign_proposal(&self, proposal: Proposal, polka: Option<PolkaCertificate>) -> SignedProposal {
        proposal.sign(self, polka)
    }
}

/// The state of one node at one height, and all that it does about what it hears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Algorithm<S> {
    network: NetworkId,
    pub(super) seats: Seats,
    /// Position and key, if this node may sign at this height.
    pub(super) signer: Option<(u16, S)>,
    /// Whether round 0 has been started.
    pub(super) awake: bool,
    /// `step_p`.
    step: Step,
    /// `h_p`, `round_p`, `lockedRound_p`, `lockedValue_p`, `validRound_p`, `validValue_p`.
    pub(super) log: SafetyLog,
    /// What the paper's `getValue()` chooses from, in the order of arrival.
    candidates: Vec<BatchHash>,
    pub(super) rounds: BTreeMap<Round, RoundMessages>,
    /// The latest round each validator was heard in, however far ahead.
    pub(super) heard: BTreeMap<u16, Round>,
    pub(super) once: OncePerRound,
    pub(super) decided: Option<CommitCertificate>,
}

/// "For the first time" of lines 34, 36 and 47.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct OncePerRound {
    prevote_timeout: bool,
    polka: bool,
    precommit_timeout: bool,
}

impl<S: Signer> Algorithm<S> {
    /// The rules for `log` are those of [`super::Consensus::new`].
    pub(super) fn new(
        network: NetworkId,
        height: Height,
        seats: Seats,
        signer: Option<(u16, S)>,
        log: SafetyLog,
    ) -> (Self, Vec<Output>) {
        let signer = signer.filter(|_| log.height <= height);
        // A log that says only that nothing was signed is no reason to be awake: who is alone awake decides nothing.
        let resuming = log.height == height && log != SafetyLog::new(height) && signer.is_some();
        let log = if resuming { log } else { SafetyLog::new(height) };
        let mut algorithm = Self {
            network,
            seats,
            signer,
            awake: false,
            step: Step::Propose,
            log,
            candidates: Vec::new(),
            rounds: BTreeMap::new(),
            heard: BTreeMap::new(),
            once: OncePerRound::default(),
            decided: None,
        };
        let outputs = if resuming { algorithm.resume() } else { Vec::new() };
        (algorithm, outputs)
    }

    /// Takes one verified input and says what to do about it.
    pub(super) fn step(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        if self.decided.is_some() {
            return outputs;
        }
        match input {
            Input::Wake => self.wake(&mut outputs),
            Input::Candidate(batch) => {
                if self.candidates.len() < CANDIDATES && !self.candidates.contains(&batch) {
                    self.candidates.push(batch);
                }
                self.wake(&mut outputs);
            }
            Input::Proposal { signed, valid } => self.take_proposal(signed, valid, &mut outputs),
            Input::Vote(signed) => self.take_vote(signed, &mut outputs),
            Input::Polka(certificate) => self.take_polka(&certificate, &mut outputs),
            Input::Commit(certificate) => self.decide(certificate, &mut outputs),
            Input::Timeout { round, step } => self.on_timeout(round, step, &mut outputs),
        }
        self.finish(outputs)
    }

    /// Applies all rules that hold and puts the log in front of what it covers.
    fn finish(&mut self, mut outputs: Vec<Output>) -> Vec<Output> {
        while self.decided.is_none() && self.apply_a_rule(&mut outputs) {}
        if outputs.iter().any(|output| matches!(output, Output::Broadcast(_))) {
            outputs.insert(0, Output::Persist(self.log.clone()));
        }
        outputs
    }

    fn resume(&mut self) -> Vec<Output> {
        self.awake = true;
        let mut outputs = Vec::new();
        let SafetyLog { round, proposal, prevote, precommit, .. } = self.log.clone();
        // A proposal whose polka a newer one has replaced since cannot be justified again, nor need it be.
        let polka_round = self.log.valid.as_ref().map(|polka| polka.round);
        if let Some(proposal) = proposal
            && (proposal.valid_round.is_none() || proposal.valid_round == polka_round)
        {
            self.send_proposal(proposal, &mut outputs);
        }
        for vote in [prevote, precommit].into_iter().flatten() {
            self.send_vote(vote, &mut outputs);
        }
        self.step = match (prevote, precommit) {
            (_, Some(_)) => Step::Precommit,
            (Some(_), None) => Step::Prevote,
            (None, None) => Step::Propose,
        };
        if self.step == Step::Propose {
            outputs.push(Output::SetTimeout { round, step: Step::Propose });
        }
        self.finish(outputs)
    }

    // ---- Messages: what is still of use, and keeping it ----

    /// Whether it is this node's turn to propose, and it has nothing to propose.
    pub(super) fn awaits_candidate(&self) -> bool {
        let is_open = self.awake && self.decided.is_none() && self.log.proposal.is_none();
        is_open && self.step == Step::Propose && self.is_proposer() && self.value().is_none()
    }

    /// Whether this vote could change anything; if not, verifying it is a waste.
    pub(super) fn wants_vote(&self, signed: &SignedVote) -> bool {
        let Vote { round, kind, .. } = signed.vote;
        let known = self.rounds.get(&round).is_some_and(|held| held.tally(kind).knows(signed));
        !known && self.wants_message(signed.validator, round)
    }

    /// Whether this proposal could change anything.
    pub(super) fn wants_proposal(&self, signed: &SignedProposal) -> bool {
        let round = signed.proposal.round;
        !self.knows_proposal(signed) && self.wants_message(self.proposer(round), round)
    }

    /// Whether this proposal would be kept.
    pub(super) fn awaits_proposal(&self, signed: &SignedProposal) -> bool {
        !self.knows_proposal(signed) && self.is_kept(signed.proposal.round)
    }

    fn knows_proposal(&self, signed: &SignedProposal) -> bool {
        self.rounds.get(&signed.proposal.round).is_some_and(|held| held.knows_proposal(signed))
    }

    /// Whether two thirds of prevotes of this round could change anything.
    pub(super) fn wants_polka(&self, round: Round) -> bool {
        let held = self.rounds.get(&round);
        !self.is_past(round) && held.is_none_or(|held| held.prevotes.quorum.is_none())
    }

    /// Beyond the rounds kept one message of each validator is enough: line 55 leads to where f + 1 are, and
    /// what is far from there is news again. Otherwise a liar could have us verify one in every round there is.
    fn wants_message(&self, validator: u16, round: Round) -> bool {
        let is_heard_far_ahead = self.heard.get(&validator).is_some_and(|&heard| heard > self.last_kept());
        self.is_kept(round) || !(self.is_past(round) || is_heard_far_ahead)
    }

    fn is_past(&self, round: Round) -> bool {
        round < self.log.round.saturating_sub(PAST_ROUNDS)
    }

    fn is_kept(&self, round: Round) -> bool {
        !self.is_past(round) && round <= self.last_kept()
    }

    const fn last_kept(&self) -> Round {
        self.log.round.saturating_add(FUTURE_ROUNDS)
    }

    fn hear(&mut self, validator: u16, round: Round) {
        let heard = self.heard.entry(validator).or_insert(round);
        *heard = round.max(*heard);
    }

    fn take_vote(&mut self, signed: SignedVote, outputs: &mut Vec<Output>) {
        let Vote { round, kind, .. } = signed.vote;
        self.hear(signed.validator, round);
        if self.is_kept(round) {
            let tally = self.rounds.entry(round).or_default().tally_mut(kind);
            let evidence = tally.add(signed, &self.seats);
            outputs.extend(evidence.map(Output::Equivocation));
        }
    }

    fn take_proposal(&mut self, signed: SignedProposal, valid: bool, outputs: &mut Vec<Output>) {
        let round = signed.proposal.round;
        if valid {
            self.wake(outputs);
        }
        self.hear(self.proposer(round), round);
        if self.is_kept(round) {
            let evidence = self.rounds.entry(round).or_default().add_proposal(signed, valid);
            outputs.extend(evidence.map(Output::Equivocation));
        }
    }

    fn take_polka(&mut self, certificate: &PolkaCertificate, outputs: &mut Vec<Output>) {
        let round = certificate.round;
        for &(validator, _) in &certificate.signatures {
            self.hear(validator, round);
        }
        if self.is_kept(round) {
            let tally = &mut self.rounds.entry(round).or_default().prevotes;
            let vote = certificate.vote(self.network);
            let evidence = tally.adopt(vote, certificate.batch, &certificate.signatures);
            outputs.extend(evidence.into_iter().map(Output::Equivocation));
        }
    }

    // ---- The rules ----

    /// Lines 10 to 21, for the first time: there is something to vote on.
    fn wake(&mut self, outputs: &mut Vec<Output>) {
        if !self.awake {
            self.awake = true;
            self.start_round(0, outputs);
        }
    }

    /// Lines 11 to 13, and 20 and 21 for who has nothing to propose (yet); lines 14 to 19 are a rule.
    fn start_round(&mut self, round: Round, outputs: &mut Vec<Output>) {
        self.log.enter_round(round);
        self.step = Step::Propose;
        self.once = OncePerRound::default();
        let oldest = round.saturating_sub(PAST_ROUNDS);
        self.rounds = self.rounds.split_off(&oldest);
        if !self.is_proposer() || self.value().is_none() {
            outputs.push(Output::SetTimeout { round, step: Step::Propose });
        }
    }

    fn apply_a_rule(&mut self, outputs: &mut Vec<Output>) -> bool {
        self.decide_if_committed(outputs)
            || self.skip_to_others(outputs)
            || self.awake
                && (self.propose(outputs)
                    || self.prevote_proposal(outputs)
                    || self.notice_polka(outputs)
                    || self.precommit_nil(outputs)
                    || self.set_vote_timeouts(outputs))
    }

    fn proposer(&self, round: Round) -> u16 {
        self.seats.proposer(self.log.height, round)
    }

    fn is_proposer(&self) -> bool {
        let proposer = self.proposer(self.log.round);
        self.signer.as_ref().is_some_and(|&(index, _)| index == proposer)
    }

    /// Lines 15 to 18: what to propose, and the polka that justifies it.
    fn value(&self) -> Option<(BatchHash, Option<PolkaCertificate>)> {
        let valid = self.log.valid.as_ref().map(|polka| (polka.batch, Some(polka.clone())));
        valid.or_else(|| self.candidate().map(|batch| (batch, None)))
    }

    /// `getValue()`: in a proposer's first turn its first candidate, in each later turn the next one, for the
    /// one before may be a batch that others cannot get or do not accept.
    fn candidate(&self) -> Option<BatchHash> {
        let round = self.log.round;
        let turn = usize::try_from(self.seats.turns_before(self.proposer(round), round)).ok()?;
        let position = turn.checked_rem(self.candidates.len())?;
        self.candidates.get(position).copied()
    }

    /// Lines 14 to 19; also later in the step, should a candidate come only then.
    fn propose(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.step != Step::Propose || self.log.proposal.is_some() || !self.is_proposer() {
            return false;
        }
        let Some((batch, polka)) = self.value() else { return false };
        let valid_round = polka.map(|polka| polka.round);
        let (network, height, round) = (self.network, self.log.height, self.log.round);
        self.send_proposal(Proposal { network, height, round, batch, valid_round }, outputs);
        true
    }

    /// Lines 22 to 33. The quorum of line 28 came, verified, with the proposal.
    fn prevote_proposal(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.step != Step::Propose {
            return false;
        }
        let Some(held) = self.rounds.get(&self.log.round).and_then(|round| round.proposals.first()) else {
            return false;
        };
        let Proposal { batch, valid_round, .. } = held.signed.proposal;
        let unlocked = self.log.locked.is_none_or(|(locked_round, locked_batch)| {
            // Line 23, or 29 where there is a valid round.
            locked_batch == batch || valid_round.is_some_and(|valid_round| locked_round <= valid_round)
        });
        let choice = (held.valid && unlocked).then_some(batch);
        self.prevote(choice, outputs);
        true
    }

    /// Lines 36 to 43.
    fn notice_polka(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.step == Step::Propose || self.once.polka {
            return false;
        }
        let round = self.log.round;
        let Some(held) = self.rounds.get(&round) else { return false };
        let Some((batch, signatures)) = held.prevotes.quorum.clone() else { return false };
        if held.valid_proposal(batch).is_none() {
            return false;
        }
        self.once.polka = true;
        self.log.valid = Some(PolkaCertificate { height: self.log.height, round, batch, signatures });
        if self.step == Step::Prevote {
            self.log.locked = Some((round, batch));
            self.precommit(Some(batch), outputs);
        }
        true
    }

    /// Lines 44 to 46.
    fn precommit_nil(&mut self, outputs: &mut Vec<Output>) -> bool {
        let held = self.rounds.get(&self.log.round);
        let rejected =
            held.is_some_and(|held| held.prevotes.power_for(None, &self.seats) >= self.seats.quorum);
        let applies = self.step == Step::Prevote && rejected;
        if applies {
            self.precommit(None, outputs);
        }
        applies
    }

    /// Lines 34 and 35, 47 and 48.
    fn set_vote_timeouts(&mut self, outputs: &mut Vec<Output>) -> bool {
        let (round, quorum) = (self.log.round, self.seats.quorum);
        let Some(held) = self.rounds.get(&round) else { return false };
        let (prevoters, precommitters) = (self.done(&held.prevotes), self.done(&held.precommits));
        if self.step == Step::Prevote && prevoters >= quorum && !self.once.prevote_timeout {
            self.once.prevote_timeout = true;
            outputs.push(Output::SetTimeout { round, step: Step::Prevote });
            return true;
        }
        if precommitters >= quorum && !self.once.precommit_timeout {
            self.once.precommit_timeout = true;
            outputs.push(Output::SetTimeout { round, step: Step::Precommit });
            return true;
        }
        false
    }

    /// The power of those who voted in the current round or are beyond it. The latter will not vote here any more, and if
    /// they crashed they have forgotten the votes that led them on: who waited for these would wait for ever.
    fn done(&self, tally: &VoteTally) -> Power {
        let beyond = self.heard.iter().filter(|&(_, &round)| round > self.log.round);
        let elsewhere = beyond.map(|(&validator, _)| validator).filter(|at| !tally.votes.contains_key(at));
        self.seats.power_of_all(tally.votes.keys().copied().chain(elsewhere))
    }

    /// Lines 49 to 54, for any round held.
    fn decide_if_committed(&mut self, outputs: &mut Vec<Output>) -> bool {
        let height = self.log.height;
        let committed = self.rounds.iter().find_map(|(&round, held)| {
            let (batch, signatures) = held.precommits.quorum.clone()?;
            Some(CommitCertificate { height, round, batch, signatures })
        });
        let Some(certificate) = committed else { return false };
        self.decide(certificate, outputs);
        true
    }

    fn decide(&mut self, certificate: CommitCertificate, outputs: &mut Vec<Output>) {
        self.decided = Some(certificate.clone());
        outputs.push(Output::Decided(certificate));
    }

    /// Lines 55 and 56: among those at or beyond a round who have more power than may lie there is a correct one, and what
    /// is reason enough for it to be awake is so for us.
    fn skip_to_others(&mut self, outputs: &mut Vec<Output>) -> bool {
        let mut heard: Vec<(Round, u16)> = self.heard.iter().map(|(&at, &round)| (round, at)).collect();
        heard.sort_unstable_by(|one, other| other.cmp(one));
        let mut power: Power = 0;
        let furthest = heard.into_iter().find(|&(_, validator)| {
            power = power.saturating_add(self.seats.power_of(validator));
            power > self.seats.tolerated
        });
        let Some((round, _)) = furthest else { return false };
        let behind = round > self.log.round || !self.awake;
        if behind {
            self.awake = true;
            self.start_round(round, outputs);
        }
        behind
    }

    /// Lines 57 to 67.
    fn on_timeout(&mut self, round: Round, step: Step, outputs: &mut Vec<Output>) {
        if !self.awake || round != self.log.round {
            return;
        }
        match step {
            Step::Propose if self.step == step => self.prevote(None, outputs),
            Step::Prevote if self.step == step => self.precommit(None, outputs),
            // Nothing follows the last round: beginning it again would forget what was signed in it.
            Step::Precommit => {
                if let Some(next) = round.checked_add(1) {
                    self.start_round(next, outputs);
                }
            }
            Step::Propose | Step::Prevote => {}
        }
    }

    fn prevote(&mut self, batch: Option<BatchHash>, outputs: &mut Vec<Output>) {
        self.step = Step::Prevote;
        self.send_vote(self.own_vote(VoteKind::Prevote, batch), outputs);
    }

    fn precommit(&mut self, batch: Option<BatchHash>, outputs: &mut Vec<Output>) {
        self.step = Step::Precommit;
        self.send_vote(self.own_vote(VoteKind::Precommit, batch), outputs);
    }

    const fn own_vote(&self, kind: VoteKind, batch: Option<BatchHash>) -> Vote {
        Vote { network: self.network, height: self.log.height, round: self.log.round, kind, batch }
    }

    /// Signs, if this node may, and hears itself at once.
    fn send_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) {
        let Some((index, key)) = &self.signer else { return };
        if let Err(error) = self.log.permit_vote(vote) {
            outputs.push(Output::NotSigned(error));
            return;
        }
        let signed = key.sign_vote(vote, *index);
        outputs.push(Output::Broadcast(ConsensusMessage::Vote(signed)));
        self.take_vote(signed, outputs);
    }

    fn send_proposal(&mut self, proposal: Proposal, outputs: &mut Vec<Output>) {
        let Some((index, key)) = &self.signer else { return };
        if let Err(error) = self.log.permit_proposal(proposal) {
            outputs.push(Output::NotSigned(error));
            return;
        }
        let polka = self.log.valid.clone().filter(|_| proposal.valid_round.is_some());
        let (index, signed) = (*index, key.sign_proposal(proposal, polka));
        outputs.push(Output::Broadcast(ConsensusMessage::Proposal(signed.clone())));
        self.hear(index, proposal.round);
        // Its own candidate, or a batch that two thirds found valid together with this node.
        let evidence = self.rounds.entry(proposal.round).or_default().add_proposal(signed, true);
        outputs.extend(evidence.map(Output::Equivocation));
    }
}
