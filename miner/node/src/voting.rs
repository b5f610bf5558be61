//! This node's part in the vote on the next height: between the consensus machine and the rest.

use chain::consensus::{
    Consensus, ConsensusError, ConsensusMessage, DoubleVote, Equivocation, Input as Vote, Output, Proposal,
    Round, SafetyLog, SignedProposal, Step, ValidatorSet,
};
use chain::store::Write;
use chain::{Height, NetworkId, SecretKey};

use super::event::NodeEvent;
use super::held_proposals::HeldProposal;
use super::io::{Effect, Timer, Voting};
use super::message::Message;
use super::{Blame, Node, Now, PublicKey};

/// Rounds after which waits grow no more: half a minute by default.
const GROWING_ROUNDS: Round = 60;

/// The machine of a height. It is given the key only if this node knows what it signed with it: a validator without a
/// safety log follows the vote like anybody else.
pub(super) fn machine_of(
    network: NetworkId,
    height: Height,
    validators: ValidatorSet,
    key: &SecretKey,
    safety: Option<&SafetyLog>,
) -> (Consensus, Vec<Output>) {
    let signer = safety.map(|_| key.clone());
    Consensus::new(network, height, validators, signer, safety.cloned().unwrap_or_default())
}

impl Node {
    pub(super) fn on_consensus(
        &mut self,
        peer: PublicKey,
        message: ConsensusMessage,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if let ConsensusMessage::Vote(signed) = &message {
            self.look_for_own_vote(signed, now, effects);
        }
        if message.height() != self.consensus.height() {
            // Of a height we have not reached, its sender's status will tell; of a past one, ours will.
            self.peers.note_height(&peer, message.height().saturating_sub(1));
            return;
        }
        match message {
            ConsensusMessage::Proposal(signed) => self.on_proposal(peer, signed, now, effects),
            ConsensusMessage::Vote(signed) => {
                self.vote_from(peer, Vote::Vote(signed), now, effects);
                let voter = self.validators.key(signed.validator);
                let voter = voter.filter(|voter| self.peers.is_connected(voter));
                if let (Some(batch), Some(voter)) = (signed.vote.batch, voter) {
                    self.batches.fetching.note_source(&batch, voter);
                }
            }
            ConsensusMessage::Polka(certificate) => {
                self.vote_from(peer, Vote::Polka(certificate), now, effects);
            }
            ConsensusMessage::Commit(certificate) => {
                self.vote_from(peer, Vote::Commit(certificate), now, effects);
            }
        }
    }

    /// A proposal counts once its batch is here and judged.
    fn on_proposal(&mut self, peer: PublicKey, signed: SignedProposal, now: Now, effects: &mut Vec<Effect>) {
        let (batch, round) = (signed.proposal.batch, signed.proposal.round);
        if self.batches.candidates.get(&batch).is_some() {
            self.vote_from(peer, Vote::Proposal { signed, valid: true }, now, effects);
            return;
        }
        let current = self.consensus.round();
        if self.batches.is_refused(&batch) || !self.consensus.awaits_proposal(&signed) {
            // Of a round far ahead the vote keeps nothing but that its proposer has got there; one of a round left behind
            // is of no use.
            self.vote_from(peer, Vote::Proposal { signed, valid: false }, now, effects);
            return;
        }
        if !self.batches.held_proposals.has_place(&signed, current) {
            return;
        }
        // Before it takes a place: anybody could put a false one in the place of the true one.
        if let Err(reason) = self.consensus.verify_proposal(&signed) {
            self.blame(peer, Blame::BROKEN, &reason, effects);
            return;
        }
        let proposer = self.validators.proposer(signed.proposal.height, round);
        self.batches.held_proposals.hold(peer, signed, current);
        if let Some(dated_ms) = self.batches.candidates.early_date_ms(&batch) {
            self.doubt_clock(&batch, dated_ms, now, effects);
            return;
        }
        self.want_from_validators(batch, [proposer], now, effects);
        self.want_batch(batch, peer, now, effects);
    }

    /// A batch has been judged: what was proposed of it can be voted on.
    pub(super) fn release_proposals(
        &mut self,
        batch: chain::BatchHash,
        valid: bool,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        for HeldProposal { from, signed } in self.batches.held_proposals.release(&batch) {
            let Proposal { height, round, .. } = signed.proposal;
            self.batches.clock.note_timely(self.validators.proposer(height, round));
            self.vote_from(from, Vote::Proposal { signed, valid }, now, effects);
        }
    }

    fn vote_from(&mut self, peer: PublicKey, input: Vote, now: Now, effects: &mut Vec<Effect>) {
        match self.consensus.step(input) {
            Ok(outputs) => {
                self.note_awake(now);
                self.carry_out(outputs, now, effects);
            }
            Err(ConsensusError::WrongHeight { .. }) => {} // it arrived late
            Err(error) => self.blame(peer, Blame::BROKEN, &error, effects),
        }
    }

    /// A vote of our own making cannot be wrong.
    pub(super) fn vote(&mut self, input: Vote, now: Now, effects: &mut Vec<Effect>) {
        match self.consensus.step(input) {
            Ok(outputs) => {
                self.note_awake(now);
                self.carry_out(outputs, now, effects);
            }
            Err(error) => {
                let detail = format!("the vote refused the node's own input: {error}; please report this");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            }
        }
    }

    fn note_awake(&mut self, now: Now) {
        if self.consensus.is_awake() {
            self.awake_since_ms.get_or_insert(now.monotonic_ms);
        }
    }

    /// For how long this node has voted on this height.
    pub(super) fn awake_ms(&self, now: Now) -> u64 {
        self.awake_since_ms.map_or(0, |since_ms| now.since_ms(since_ms))
    }

    pub(super) fn on_consensus_timeout(
        &mut self,
        height: Height,
        round: Round,
        step: Step,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        if height == self.consensus.height() {
            self.vote(Vote::Timeout { round, step }, now, effects);
        }
    }

    pub(super) fn carry_out(&mut self, outputs: Vec<Output>, now: Now, effects: &mut Vec<Effect>) {
        for output in outputs {
            match output {
                Output::Persist(log) => {
                    // Whoever voted for a batch is asked for it: it is on disk before the vote is.
                    let batches = self.batches.candidates.make_durable(&log).into_iter();
                    effects.extend(batches.map(|batch| Effect::Persist(Write::Candidate(Box::new(batch)))));
                    effects.push(Effect::Persist(Write::Safety(Box::new(log.clone()))));
                    self.safety = Some(log);
                }
                Output::Broadcast(message) => effects.push(Effect::Broadcast(Message::Consensus(message))),
                Output::SetTimeout { round, step } => {
                    let height = self.consensus.height();
                    let timer = Timer::Consensus { height, round, step };
                    effects.push(Effect::SetTimer { timer, at_ms: now.in_ms(self.patience_ms(round, step)) });
                }
                Output::Decided(certificate) => self.on_decided(certificate, now, effects),
                Output::Equivocation(equivocation) => {
                    self.note_evidence(&equivocation);
                    self.report_equivocation(&equivocation, effects);
                }
                Output::NotSigned(error) => {
                    let detail = format!("an own vote was not signed: {error}; please report this");
                    effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                }
            }
        }
        if self.consensus.awaits_candidate() {
            self.bring(now, effects);
        }
    }

    /// Waits grow with the round, so that a slow network decides in the end, but not for ever: rounds also pass where
    /// nobody has a batch that the others accept, and the next good one is not to wait for minutes.
    fn patience_ms(&self, round: Round, step: Step) -> u64 {
        let first = match step {
            Step::Propose => self.timing.propose_ms,
            Step::Prevote | Step::Precommit => self.timing.vote_ms,
        };
        first.saturating_add(self.timing.round_growth_ms.saturating_mul(u64::from(round.min(GROWING_ROUNDS))))
    }

    /// Keeps what a batch may bring, the first against each validator.
    fn note_evidence(&mut self, equivocation: &Equivocation) {
        let Some(evidence) = DoubleVote::of(equivocation) else { return };
        let is_known = self.evidence.iter().any(|known| known.validator == evidence.validator);
        if !is_known && self.ledger.validate_evidence(&evidence).is_ok() {
            self.evidence.push(evidence);
        }
    }

    fn report_equivocation(&self, equivocation: &Equivocation, effects: &mut Vec<Effect>) {
        let culprit = equivocation.culprit(&self.validators).and_then(|index| self.validators.key(index));
        if let Some(validator) = culprit {
            let detail = match equivocation {
                Equivocation::Votes(first, second) => format!("{:?} and {:?}", first.vote, second.vote),
                Equivocation::Proposals(first, second) => {
                    format!("{:?} and {:?}", first.proposal, second.proposal)
                }
            };
            effects.push(Effect::Event(NodeEvent::Equivocation { validator, detail }));
        }
    }

    /// The vote on the height after the head begins, asleep until something happens.
    pub(super) fn begin_height(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let (height, validators) = (self.ledger.head().height + 1, self.validators.clone());
        let (consensus, outputs) =
            machine_of(self.network.id(), height, validators, &self.key, self.safety.as_ref());
        self.consensus = consensus;
        self.awake_since_ms = None;
        self.note_awake(now);
        self.carry_out(outputs, now, effects);
    }

    /// Whether this node votes on the next height.
    pub(super) fn voting(&self) -> Voting {
        let next = self.ledger.head().height + 1;
        match &self.safety {
            _ if self.validators.index_of(&self.own).is_none() => Voting::NoValidator,
            None => Voting::Forgotten,
            Some(log) if log.height > next => Voting::From { height: log.height },
            Some(_) => Voting::Always,
        }
    }
}
