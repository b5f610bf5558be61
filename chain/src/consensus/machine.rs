//! The state machine of one height: algorithm 1 of arXiv 1807.04938. How messages are checked and kept is
//! in the first half, the algorithm in the second; what peers lack is in `sync`.

use std::collections::BTreeMap;

use super::certificate::{CommitCertificate, PolkaCertificate};
use super::interface::{ConsensusError, Input, Output, Step};
use super::message::{ConsensusMessage, Proposal, SignedProposal, SignedVote, Vote, VoteKind};
use super::round::RoundMessages;
use super::safety::SafetyLog;
use super::{FUTURE_ROUNDS, PAST_ROUNDS, Round, ValidatorSet};
use crate::block::BlockHash;
use crate::key::SecretKey;
use crate::record::{Height, NetworkId};

/// One height of Tendermint consensus as seen by one node, validator or not.
#[derive(Debug)]
pub struct Consensus {
    pub(super) network: NetworkId,
    pub(super) validators: ValidatorSet,
    /// Position and key, if this node may sign at this height.
    signer: Option<(u16, SecretKey)>,
    /// Whether round 0 has been started.
    pub(super) awake: bool,
    /// `step_p`.
    step: Step,
    /// `h_p`, `round_p`, `lockedRound_p`, `lockedValue_p`, `validRound_p`, `validValue_p`.
    pub(super) log: SafetyLog,
    /// What the paper's `getValue()` returns.
    candidate: Option<BlockHash>,
    pub(super) rounds: BTreeMap<Round, RoundMessages>,
    /// The latest round each validator was heard in, however far ahead.
    heard: BTreeMap<u16, Round>,
    once: OncePerRound,
    pub(super) decided: Option<CommitCertificate>,
}

/// "For the first time" of lines 34, 36 and 47.
#[derive(Clone, Copy, Debug, Default)]
struct OncePerRound {
    prevote_timeout: bool,
    polka: bool,
    precommit_timeout: bool,
}

impl Consensus {
    /// The machine of `height`, and what to do first. `log` is the last one persisted, or the default.
    ///
    /// A log of an earlier height is settled and ignored. With one of this height the machine resumes in
    /// its round, and repeats (signs again, identically) what it said there. With one of a *later* height
    /// the node has lost blocks that it voted on: it follows this height without signing.
    pub fn new(
        network: NetworkId,
        height: Height,
        validators: ValidatorSet,
        key: Option<SecretKey>,
        log: SafetyLog,
    ) -> (Self, Vec<Output>) {
        let may_sign = log.height <= height;
        let signer = key.filter(|_| may_sign).and_then(|key| {
            let index = validators.index_of(&key.public())?;
            Some((index, key))
        });
        let resuming = log.height == height && signer.is_some();
        let log = if resuming { log } else { SafetyLog::new(height) };
        let mut machine = Self {
            network,
            validators,
            signer,
            awake: false,
            step: Step::Propose,
            log,
            candidate: None,
            rounds: BTreeMap::new(),
            heard: BTreeMap::new(),
            once: OncePerRound::default(),
            decided: None,
        };
        let outputs = if resuming { machine.resume() } else { Vec::new() };
        (machine, outputs)
    }

    /// The height being decided.
    pub const fn height(&self) -> Height {
        self.log.height
    }

    /// The current round.
    pub const fn round(&self) -> Round {
        self.log.round
    }

    /// Whether anything has happened at this height; until then there is nothing to retransmit.
    pub const fn is_awake(&self) -> bool {
        self.awake
    }

    /// The decision, once there is one.
    pub const fn decided(&self) -> Option<&CommitCertificate> {
        self.decided.as_ref()
    }

    /// Takes one input and says what to do about it.
    ///
    /// # Errors
    /// If a message is not a correct one of this height; what is merely late or known is ignored.
    pub fn step(&mut self, input: Input) -> Result<Vec<Output>, ConsensusError> {
        let mut outputs = Vec::new();
        if self.decided.is_some() {
            return Ok(outputs);
        }
        match input {
            Input::Candidate(block) => {
                self.candidate.get_or_insert(block);
                self.wake(&mut outputs);
            }
            Input::Proposal { signed, valid } => self.take_proposal(signed, valid, &mut outputs)?,
            Input::Vote(signed) => self.take_vote(signed, &mut outputs)?,
            Input::Polka(certificate) => self.take_polka(&certificate, &mut outputs)?,
            Input::Commit(certificate) => {
                self.check_height(certificate.height)?;
                certificate.verify(&self.validators, self.network)?;
                self.decide(certificate, &mut outputs);
            }
            Input::Timeout { round, step } => self.on_timeout(round, step, &mut outputs),
        }
        Ok(self.finish(outputs))
    }

    /// Applies all rules that hold and puts the log in front of what it covers.
    fn finish(&mut self, mut outputs: Vec<Output>) -> Vec<Output> {
        while self.awake && self.decided.is_none() && self.apply_a_rule(&mut outputs) {}
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

    // ---- Messages: checked, cheapest first, then kept ----

    const fn check_height(&self, got: Height) -> Result<(), ConsensusError> {
        let expected = self.log.height;
        if got == expected { Ok(()) } else { Err(ConsensusError::WrongHeight { got, expected }) }
    }

    fn check_network(&self, got: NetworkId) -> Result<(), ConsensusError> {
        let expected = self.network;
        if got == expected { Ok(()) } else { Err(ConsensusError::WrongNetwork { got, expected }) }
    }

    fn is_past(&self, round: Round) -> bool {
        round < self.log.round.saturating_sub(PAST_ROUNDS)
    }

    fn is_kept(&self, round: Round) -> bool {
        !self.is_past(round) && round <= self.log.round.saturating_add(FUTURE_ROUNDS)
    }

    /// Whether a message of a round beyond those kept could still tell that its author is there.
    fn is_news(&self, validator: u16, round: Round) -> bool {
        !self.is_past(round) && self.heard.get(&validator).is_none_or(|&heard| heard < round)
    }

    fn hear(&mut self, validator: u16, round: Round) {
        let heard = self.heard.entry(validator).or_insert(round);
        *heard = round.max(*heard);
    }

    fn take_vote(&mut self, signed: SignedVote, outputs: &mut Vec<Output>) -> Result<(), ConsensusError> {
        let SignedVote { vote, validator, signature } = signed;
        self.check_network(vote.network)?;
        self.check_height(vote.height)?;
        let known = self.rounds.get(&vote.round).is_some_and(|round| round.tally(vote.kind).knows(&signed));
        let kept = self.is_kept(vote.round);
        if known || !(kept || self.is_news(validator, vote.round)) {
            return Ok(());
        }
        match vote.verify(&self.validators, validator, &signature) {
            Some(Ok(())) => {}
            Some(Err(reason)) => return Err(ConsensusError::BadSignature { validator, reason }),
            None => {
                let expected = self.validators.len();
                return Err(ConsensusError::UnknownValidator { got: validator, expected });
            }
        }
        self.wake(outputs);
        self.keep_vote(signed, outputs);
        Ok(())
    }

    fn keep_vote(&mut self, signed: SignedVote, outputs: &mut Vec<Output>) {
        let Vote { round, kind, .. } = signed.vote;
        self.hear(signed.validator, round);
        if self.is_kept(round) {
            let quorum = self.validators.quorum();
            let evidence = self.rounds.entry(round).or_default().tally_mut(kind).add(signed, quorum);
            outputs.extend(evidence.map(Output::Equivocation));
        }
    }

    fn take_proposal(
        &mut self,
        signed: SignedProposal,
        valid: bool,
        outputs: &mut Vec<Output>,
    ) -> Result<(), ConsensusError> {
        let Proposal { network, height, round, block, valid_round } = signed.proposal;
        self.check_network(network)?;
        self.check_height(height)?;
        let proposer = self.validators.proposer(height, round);
        let known = self.rounds.get(&round).is_some_and(|held| held.knows_proposal(&signed));
        let kept = self.is_kept(round);
        if known || !(kept || self.is_news(proposer, round)) {
            return Ok(());
        }
        if let Some(got) = valid_round.filter(|&valid_round| valid_round >= round) {
            return Err(ConsensusError::ValidRoundNotEarlier { got, expected: round });
        }
        let proven = signed.polka.as_ref().map(|polka| (polka.height, polka.round, polka.block));
        if proven != valid_round.map(|valid_round| (height, valid_round, block)) {
            return Err(ConsensusError::PolkaMismatch { expected: valid_round });
        }
        signed
            .verify_signature(&self.validators)
            .map_err(|reason| ConsensusError::BadSignature { validator: proposer, reason })?;
        if let Some(polka) = &signed.polka {
            polka.verify(&self.validators, self.network)?;
        }
        self.wake(outputs);
        self.hear(proposer, round);
        if kept {
            let evidence = self.rounds.entry(round).or_default().add_proposal(signed, valid);
            outputs.extend(evidence.map(Output::Equivocation));
        }
        Ok(())
    }

    fn take_polka(
        &mut self,
        certificate: &PolkaCertificate,
        outputs: &mut Vec<Output>,
    ) -> Result<(), ConsensusError> {
        self.check_height(certificate.height)?;
        let round = certificate.round;
        let held = self.rounds.get(&round);
        if self.is_past(round) || held.is_some_and(|held| held.prevotes.quorum.is_some()) {
            return Ok(());
        }
        certificate.verify(&self.validators, self.network)?;
        self.wake(outputs);
        for &(validator, _) in &certificate.signatures {
            self.hear(validator, round);
        }
        if self.is_kept(round) {
            let tally = &mut self.rounds.entry(round).or_default().prevotes;
            let vote = certificate.vote(self.network);
            let evidence = tally.adopt(vote, certificate.block, &certificate.signatures);
            outputs.extend(evidence.into_iter().map(Output::Equivocation));
        }
        Ok(())
    }

    // ---- Algorithm 1 ----

    /// Lines 10 to 21, for the first time.
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
            || self.propose(outputs)
            || self.prevote_proposal(outputs)
            || self.notice_polka(outputs)
            || self.precommit_nil(outputs)
            || self.set_vote_timeouts(outputs)
    }

    fn is_proposer(&self) -> bool {
        let proposer = self.validators.proposer(self.log.height, self.log.round);
        self.signer.as_ref().is_some_and(|&(index, _)| index == proposer)
    }

    /// Lines 15 to 18: what to propose, and the polka that justifies it.
    fn value(&self) -> Option<(BlockHash, Option<PolkaCertificate>)> {
        let valid = self.log.valid.as_ref().map(|polka| (polka.block, Some(polka.clone())));
        valid.or_else(|| self.candidate.map(|block| (block, None)))
    }

    /// Lines 14 to 19; also later in the step, should a candidate come only then.
    fn propose(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.step != Step::Propose || self.log.proposal.is_some() || !self.is_proposer() {
            return false;
        }
        let Some((block, polka)) = self.value() else { return false };
        let valid_round = polka.map(|polka| polka.round);
        let (network, height, round) = (self.network, self.log.height, self.log.round);
        self.send_proposal(Proposal { network, height, round, block, valid_round }, outputs);
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
        let Proposal { block, valid_round, .. } = held.signed.proposal;
        let unlocked = self.log.locked.is_none_or(|(locked_round, locked_block)| {
            // Line 23, or 29 where there is a valid round.
            locked_block == block || valid_round.is_some_and(|valid_round| locked_round <= valid_round)
        });
        let choice = (held.valid && unlocked).then_some(block);
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
        let Some((block, signatures)) = held.prevotes.quorum.clone() else { return false };
        if held.valid_proposal(block).is_none() {
            return false;
        }
        self.once.polka = true;
        self.log.valid = Some(PolkaCertificate { height: self.log.height, round, block, signatures });
        if self.step == Step::Prevote {
            self.log.locked = Some((round, block));
            self.precommit(Some(block), outputs);
        }
        true
    }

    /// Lines 44 to 46.
    fn precommit_nil(&mut self, outputs: &mut Vec<Output>) -> bool {
        let quorum = self.validators.quorum();
        let held = self.rounds.get(&self.log.round);
        let rejected = held.is_some_and(|held| held.prevotes.count(None) >= quorum);
        let applies = self.step == Step::Prevote && rejected;
        if applies {
            self.precommit(None, outputs);
        }
        applies
    }

    /// Lines 34 and 35, 47 and 48.
    fn set_vote_timeouts(&mut self, outputs: &mut Vec<Output>) -> bool {
        let (round, quorum) = (self.log.round, self.validators.quorum());
        let Some(held) = self.rounds.get(&round) else { return false };
        let (prevoters, precommitters) = (held.prevotes.voters(), held.precommits.voters());
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

    /// Lines 49 to 54, for any round held.
    fn decide_if_committed(&mut self, outputs: &mut Vec<Output>) -> bool {
        let height = self.log.height;
        let committed = self.rounds.iter().find_map(|(&round, held)| {
            let (block, signatures) = held.precommits.quorum.clone()?;
            Some(CommitCertificate { height, round, block, signatures })
        });
        let Some(certificate) = committed else { return false };
        self.decide(certificate, outputs);
        true
    }

    fn decide(&mut self, certificate: CommitCertificate, outputs: &mut Vec<Output>) {
        self.decided = Some(certificate.clone());
        outputs.push(Output::Decided(certificate));
    }

    /// Lines 55 and 56: among f + 1 validators at or beyond a round there is a correct one.
    fn skip_to_others(&mut self, outputs: &mut Vec<Output>) -> bool {
        let mut heard: Vec<Round> = self.heard.values().copied().collect();
        heard.sort_unstable_by(|one, other| other.cmp(one));
        let Some(&round) = heard.get(self.validators.faults_tolerated()) else { return false };
        let behind = round > self.log.round;
        if behind {
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
            Step::Precommit => self.start_round(round.saturating_add(1), outputs),
            Step::Propose | Step::Prevote => {}
        }
    }

    fn prevote(&mut self, block: Option<BlockHash>, outputs: &mut Vec<Output>) {
        self.step = Step::Prevote;
        self.send_vote(self.own_vote(VoteKind::Prevote, block), outputs);
    }

    fn precommit(&mut self, block: Option<BlockHash>, outputs: &mut Vec<Output>) {
        self.step = Step::Precommit;
        self.send_vote(self.own_vote(VoteKind::Precommit, block), outputs);
    }

    const fn own_vote(&self, kind: VoteKind, block: Option<BlockHash>) -> Vote {
        Vote { network: self.network, height: self.log.height, round: self.log.round, kind, block }
    }

    /// Signs, if this node may, and hears itself at once.
    fn send_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) {
        let Some((index, key)) = &self.signer else { return };
        if let Err(error) = self.log.permit_vote(vote) {
            outputs.push(Output::NotSigned(error));
            return;
        }
        let signed = vote.sign(*index, key);
        outputs.push(Output::Broadcast(ConsensusMessage::Vote(signed)));
        self.keep_vote(signed, outputs);
    }

    fn send_proposal(&mut self, proposal: Proposal, outputs: &mut Vec<Output>) {
        let Some((index, key)) = &self.signer else { return };
        if let Err(error) = self.log.permit_proposal(proposal) {
            outputs.push(Output::NotSigned(error));
            return;
        }
        let polka = self.log.valid.clone().filter(|_| proposal.valid_round.is_some());
        let (index, signed) = (*index, proposal.sign(key, polka));
        outputs.push(Output::Broadcast(ConsensusMessage::Proposal(signed.clone())));
        self.hear(index, proposal.round);
        // Its own candidate, or a block that two thirds found valid together with this node.
        let evidence = self.rounds.entry(proposal.round).or_default().add_proposal(signed, true);
        outputs.extend(evidence.map(Output::Equivocation));
    }
}
