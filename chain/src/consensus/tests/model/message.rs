//! What there is to hear, by its content alone.

use super::*;
use crate::consensus::algorithm::Signer;
use crate::key::Signature;

/// A message that a correct validator has sent, or the liar might.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Message {
    /// By the proposer of the round.
    Proposal {
        round: Round,
        block: u8,
        valid_round: Option<Round>,
    },
    Vote {
        from: u16,
        round: Round,
        kind: VoteKind,
        block: Option<u8>,
    },
    Polka {
        round: Round,
        block: u8,
        voters: Vec<u16>,
    },
    Commit {
        round: Round,
        block: u8,
        voters: Vec<u16>,
    },
}

/// Stands for a key: in the model only those sign who can.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::consensus::tests) struct Unsigned;

const SIGNATURE: Signature = Signature([0; 64]);

impl Signer for Unsigned {
    fn sign_vote(&self, vote: Vote, validator: u16) -> SignedVote {
        SignedVote { vote, validator, signature: SIGNATURE }
    }

    fn sign_proposal(&self, proposal: Proposal, polka: Option<PolkaCertificate>) -> SignedProposal {
        SignedProposal { proposal, signature: SIGNATURE, polka }
    }
}

impl Message {
    /// What a validator's own message says.
    pub(super) fn of(message: &ConsensusMessage) -> Self {
        let tag = |block: BlockHash| block.0.0[0];
        match message {
            ConsensusMessage::Proposal(SignedProposal { proposal, .. }) => {
                let Proposal { round, block, valid_round, .. } = *proposal;
                Self::Proposal { round, block: tag(block), valid_round }
            }
            ConsensusMessage::Vote(SignedVote { vote, validator: from, .. }) => {
                let Vote { round, kind, block, .. } = *vote;
                Self::Vote { from: *from, round, kind, block: block.map(tag) }
            }
            ConsensusMessage::Polka(_) | ConsensusMessage::Commit(_) => {
                panic!("certificates are given on request only")
            }
        }
    }

    /// Voter, round, kind and block, if it is a vote.
    pub(super) const fn as_vote(&self) -> Option<(u16, Round, VoteKind, Option<u8>)> {
        if let Self::Vote { from, round, kind, block } = *self {
            Some((from, round, kind, block))
        } else {
            None
        }
    }

    /// As the algorithm is given it, verified.
    pub(super) fn input(&self) -> Input {
        let signatures = |voters: &[u16]| voters.iter().map(|&voter| (voter, SIGNATURE)).collect();
        let polka = |round, tag, voters: &[u16]| PolkaCertificate {
            height: HEIGHT,
            round,
            block: block(tag),
            signatures: signatures(voters),
        };
        match *self {
            Self::Proposal { round, block: tag, valid_round } => {
                let proposal =
                    Proposal { network: NETWORK, height: HEIGHT, round, block: block(tag), valid_round };
                let polka = valid_round.map(|round| polka(round, tag, &[]));
                Input::Proposal { signed: Unsigned.sign_proposal(proposal, polka), valid: tag < INVALID }
            }
            Self::Vote { from, round, kind, block: tag } => {
                let vote = Vote { network: NETWORK, height: HEIGHT, round, kind, block: tag.map(block) };
                Input::Vote(Unsigned.sign_vote(vote, from))
            }
            Self::Polka { round, block, ref voters } => Input::Polka(polka(round, block, voters)),
            Self::Commit { round, block: tag, ref voters } => {
                let signatures = signatures(voters);
                Input::Commit(CommitCertificate { height: HEIGHT, round, block: block(tag), signatures })
            }
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |block: &Option<u8>| block.map_or_else(|| "nil".to_owned(), |tag| format!("block {tag}"));
        match self {
            Self::Proposal { round, block, valid_round: None } => {
                write!(f, "proposal of block {block} in round {round}")
            }
            Self::Proposal { round, block, valid_round: Some(valid) } => {
                write!(f, "proposal of block {block} in round {round}, valid in round {valid}")
            }
            Self::Vote { from, round, kind, block } => {
                write!(f, "{kind:?} of {from} for {} in round {round}", name(block))
            }
            Self::Polka { round, block, voters } => {
                write!(f, "polka of {voters:?} for block {block} in round {round}")
            }
            Self::Commit { round, block, voters } => {
                write!(f, "commit of {voters:?} for block {block} in round {round}")
            }
        }
    }
}
