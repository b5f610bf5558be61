//! Votes that no honest validator casts.

use chain::consensus::{ConsensusMessage, ValidatorSet, Vote, VoteKind};
use miner_node::Message;

use super::{Says, Stage};

/// A validator that forgot its locks, and that it voted at all: whatever is proposed, it prevotes and precommits.
pub(super) fn for_all(stage: &Stage<'_>) -> Says {
    let genesis = stage.market.network.genesis();
    let Ok(validators) = ValidatorSet::new(&genesis.validators) else { return Vec::new() };
    let Some(own) = validators.index_of(&stage.key.public()) else { return Vec::new() };
    let proposals = stage.heard.iter().filter_map(|(_, message)| match message {
        Message::Consensus(ConsensusMessage::Proposal(signed)) => Some(signed.proposal),
        _ => None,
    });
    let mut votes = Vec::new();
    for proposal in proposals {
        for kind in [VoteKind::Prevote, VoteKind::Precommit] {
            let vote = Vote {
                network: stage.market.network.id(),
                height: proposal.height,
                round: proposal.round,
                kind,
                batch: Some(proposal.batch),
            };
            votes.push(Message::Consensus(ConsensusMessage::Vote(vote.sign(own, stage.key))));
        }
    }
    stage.to_all(&votes)
}
