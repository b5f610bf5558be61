//! This node's part in the vote on the next height: between the consensus machine and the rest.

use chain::consensus::{
    Consensus, ConsensusError, ConsensusMessage, Equivocation, Input as Vote, Output, Round, SafetyLog,
    SignedProposal, Step, ValidatorSet,
};
use chain::store::Write;
use chain::{Height, NetworkId, SecretKey};

use super::event::NodeEvent;
use super::io::{Effect, Timer, Voting};
use super::message::Message;
use super::{Blame, Node, PublicKey};

/// Proposals kept while their blocks are being fetched.
const HELD_PROPOSALS: usize = 16;

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
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        if let ConsensusMessage::Vote(signed) = &message {
            self.look_for_own_vote(signed, now_ms, effects);
        }
        if message.height() != self.consensus.height() {
            // Of a height we have not reached, its sender's status will tell; of a past one, ours will.
            self.peers.note_height(&peer, message.height().saturating_sub(1));
            return;
        }
        let input = match message {
            ConsensusMessage::Proposal(signed) => {
                self.on_proposal(peer, signed, now_ms, effects);
                return;
            }
            ConsensusMessage::Vote(signed) => Vote::Vote(signed),
            ConsensusMessage::Polka(certificate) => Vote::Polka(certificate),
            ConsensusMessage::Commit(certificate) => Vote::Commit(certificate),
        };
        self.vote_from(peer, input, now_ms, effects);
    }

    /// A proposal counts once its block is here and judged.
    fn on_proposal(
        &mut self,
        peer: PublicKey,
        signed: SignedProposal,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(reason) = signed.verify_signature(&self.validators) {
            self.blame(peer, Blame::BROKEN, &reason, effects);
            return;
        }
        let block = signed.proposal.block;
        if self.blocks.candidates.contains_key(&block) {
            self.vote_from(peer, Vote::Proposal { signed, valid: true }, now_ms, effects);
        } else if self.blocks.judged.contains(&block) {
            self.vote_from(peer, Vote::Proposal { signed, valid: false }, now_ms, effects);
        } else {
            self.hold_proposal(peer, signed);
            self.want_block(block, peer, now_ms, effects);
        }
    }

    fn hold_proposal(&mut self, peer: PublicKey, signed: SignedProposal) {
        let held = &mut self.blocks.held_proposals;
        if held.iter().all(|(_, other)| *other != signed) {
            held.push((peer, signed));
            if held.len() > HELD_PROPOSALS {
                held.remove(0);
            }
        }
    }

    /// A block has been judged: what was proposed of it can be voted on.
    pub(super) fn release_proposals(
        &mut self,
        block: chain::BlockHash,
        valid: bool,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        let held = std::mem::take(&mut self.blocks.held_proposals);
        let (ready, held) = held.into_iter().partition(|(_, signed)| signed.proposal.block == block);
        self.blocks.held_proposals = held;
        for (peer, signed) in ready {
            self.vote_from(peer, Vote::Proposal { signed, valid }, now_ms, effects);
        }
    }

    fn vote_from(&mut self, peer: PublicKey, input: Vote, now_ms: u64, effects: &mut Vec<Effect>) {
        match self.consensus.step(input) {
            Ok(outputs) => self.carry_out(outputs, now_ms, effects),
            Err(ConsensusError::WrongHeight { .. }) => {} // it arrived late
            Err(error) => self.blame(peer, Blame::BROKEN, &error, effects),
        }
    }

    /// A vote of our own making cannot be wrong.
    pub(super) fn vote(&mut self, input: Vote, now_ms: u64, effects: &mut Vec<Effect>) {
        match self.consensus.step(input) {
            Ok(outputs) => self.carry_out(outputs, now_ms, effects),
            Err(error) => {
                let detail = format!("the vote refused the node's own input: {error}; please report this");
                effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
            }
        }
    }

    pub(super) fn on_consensus_timeout(
        &mut self,
        height: Height,
        round: Round,
        step: Step,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        if height == self.consensus.height() {
            self.vote(Vote::Timeout { round, step }, now_ms, effects);
        }
    }

    pub(super) fn carry_out(&mut self, outputs: Vec<Output>, now_ms: u64, effects: &mut Vec<Effect>) {
        for output in outputs {
            match output {
                Output::Persist(log) => {
                    effects.push(Effect::Persist(Write::Safety(Box::new(log.clone()))));
                    self.safety = Some(log);
                }
                Output::Broadcast(message) => effects.push(Effect::Broadcast(Message::Consensus(message))),
                Output::SetTimeout { round, step } => {
                    let height = self.consensus.height();
                    let timer = Timer::Consensus { height, round, step };
                    effects.push(Effect::SetTimer { timer, at_ms: now_ms + self.patience_ms(round, step) });
                }
                Output::Decided(certificate) => self.on_decided(certificate, now_ms, effects),
                Output::Equivocation(equivocation) => self.report_equivocation(&equivocation, effects),
                Output::NotSigned(error) => {
                    let detail = format!("an own vote was not signed: {error}; please report this");
                    effects.push(Effect::Event(NodeEvent::LocalFault { detail }));
                }
            }
        }
    }

    /// Waits grow with the round, so that a slow network decides in the end.
    fn patience_ms(&self, round: Round, step: Step) -> u64 {
        let first = match step {
            Step::Propose => self.timing.propose_ms,
            Step::Prevote | Step::Precommit => self.timing.vote_ms,
        };
        first.saturating_add(self.timing.round_growth_ms.saturating_mul(u64::from(round)))
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
    pub(super) fn begin_height(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let (height, validators) = (self.ledger.head().height + 1, self.validators.clone());
        let (consensus, outputs) =
            machine_of(self.network.id(), height, validators, &self.key, self.safety.as_ref());
        self.consensus = consensus;
        self.carry_out(outputs, now_ms, effects);
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
