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
        batch: u8,
        valid_round: Option<Round>,
    },
    Vote {
        from: u16,
        round: Round,
        kind: VoteKind,
        batch: Option<u8>,
    },
    Polka {
        round: Round,
        batch: u8,
        voters: Vec<u16>,
    },
    Commit {
        round: Round,
        batch: u8,
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
        let tag = |batch: BatchHash| batch.0.0[0];
        match message {
            ConsensusMessage::Proposal(SignedProposal { proposal, .. }) => {
                let Proposal { round, batch, valid_round, .. } = *proposal;
                Self::Proposal { round, batch: tag(batch), valid_round }
            }
            ConsensusMessage::Vote(SignedVote { vote, validator: from, .. }) => {
                let Vote { round, kind, batch, .. } = *vote;
                Self::Vote { from: *from, round, kind, batch: batch.map(tag) }
            }
            ConsensusMessage::Polka(_) | ConsensusMessage::Commit(_) => {
                panic!("certificates are given on request only")
            }
        }
    }

    /// Voter, round, kind and batch, if it is a vote.
    pub(super) const fn as_vote(&self) -> Option<(u16, Round, VoteKind, Option<u8>)> {
        if let Self::Vote { from, round, kind, batch } = *self {
            Some((from, round, kind, batch))
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
            batch: batch(tag),
            signatures: signatures(voters),
        };
        match *self {
            Self::Proposal { round, batch: tag, valid_round } => {
                let proposal =
                    Proposal { network: NETWORK, height: HEIGHT, round, batch: batch(tag), valid_round };
                let polka = valid_round.map(|round| polka(round, tag, &[]));
                Input::Proposal { signed: Unsigned.sign_proposal(proposal, polka), valid: tag < INVALID }
            }
            Self::Vote { from, round, kind, batch: tag } => {
                let vote = Vote { network: NETWORK, height: HEIGHT, round, kind, batch: tag.map(batch) };
                Input::Vote(Unsigned.sign_vote(vote, from))
            }
            Self::Polka { round, batch, ref voters } => Input::Polka(polka(round, batch, voters)),
            Self::Commit { round, batch: tag, ref voters } => {
                let signatures = signatures(voters);
                Input::Commit(CommitCertificate { height: HEIGHT, round, batch: batch(tag), signatures })
            }
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |batch: &Option<u8>| batch.map_or_else(|| "nil".to_owned(), |tag| format!("batch {tag}"));
        match self {
            Self::Proposal { round, batch, valid_round: None } => {
                write!(f, "proposal of batch {batch} in round {round}")
            }
            Self::Proposal { round, batch, valid_round: Some(valid) } => {
                write!(f, "proposal of batch {batch} in round {round}, valid in round {valid}")
            }
            Self::Vote { from, round, kind, batch } => {
                write!(f, "{kind:?} of {from} for {} in round {round}", name(batch))
            }
            Self::Polka { round, batch, voters } => {
                write!(f, "polka of {voters:?} for batch {batch} in round {round}")
            }
            Self::Commit { round, batch, voters } => {
                write!(f, "commit of {voters:?} for batch {batch} in round {round}")
            }
        }
    }
}
