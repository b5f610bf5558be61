//! The messages of one round that a node holds. Signatures have been checked before they come here.

use std::collections::{BTreeMap, BTreeSet};

use super::certificate::signatures_for;
use super::message::{Equivocation, SignedProposal, SignedVote, Vote, VoteKind};
use super::validators::{Power, Seats};
use crate::batch::BatchHash;
use crate::key::Signature;

/// A proposal and whether its batch is valid after the parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HeldProposal {
    pub(super) signed: SignedProposal,
    pub(super) valid: bool,
}

/// Everything of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RoundMessages {
    /// The first proposal seen; a second one only from a proposer who lies (see [`Self::add_proposal`]).
    pub(super) proposals: Vec<HeldProposal>,
    pub(super) prevotes: VoteTally,
    pub(super) precommits: VoteTally,
}

/// Votes of one kind: the first of each validator, and the quorum once there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct VoteTally {
    pub(super) votes: BTreeMap<u16, SignedVote>,
    /// The batch that two thirds voted for and their signatures. At most one batch per round gets there
    /// while no more than a third lie; the first one stays.
    pub(super) quorum: Option<(BatchHash, Vec<(u16, Signature)>)>,
    /// Validators whose second vote has been reported.
    reported: BTreeSet<u16>,
}

impl RoundMessages {
    pub(super) const fn tally(&self, kind: VoteKind) -> &VoteTally {
        match kind {
            VoteKind::Prevote => &self.prevotes,
            VoteKind::Precommit => &self.precommits,
        }
    }

    pub(super) const fn tally_mut(&mut self, kind: VoteKind) -> &mut VoteTally {
        match kind {
            VoteKind::Prevote => &mut self.prevotes,
            VoteKind::Precommit => &mut self.precommits,
        }
    }

    /// Whether a proposal would add nothing: it is held, or two others are and this is not the one that
    /// two thirds prevoted.
    pub(super) fn knows_proposal(&self, signed: &SignedProposal) -> bool {
        let polka_batch = self.prevotes.quorum.as_ref().map(|(batch, _)| *batch);
        self.proposals.iter().any(|held| held.signed.proposal == signed.proposal)
            || (self.proposals.len() >= 2 && polka_batch != Some(signed.proposal.batch))
            || self.proposals.len() >= 3
    }

    /// Keeps a proposal; the second one of a round proves a lie.
    pub(super) fn add_proposal(&mut self, signed: SignedProposal, valid: bool) -> Option<Equivocation> {
        let evidence = match self.proposals.as_slice() {
            [first] => {
                Some(Equivocation::Proposals(Box::new(first.signed.clone()), Box::new(signed.clone())))
            }
            _ => None,
        };
        self.proposals.push(HeldProposal { signed, valid });
        evidence
    }

    /// The valid proposal of this batch, if held.
    pub(super) fn valid_proposal(&self, batch: BatchHash) -> Option<&HeldProposal> {
        self.proposals.iter().find(|held| held.valid && held.signed.proposal.batch == batch)
    }
}

impl VoteTally {
    /// Whether a vote would add nothing: it is held, or its voter's lie has been reported.
    pub(super) fn knows(&self, signed: &SignedVote) -> bool {
        self.reported.contains(&signed.validator)
            || self.votes.get(&signed.validator).is_some_and(|held| held.vote == signed.vote)
    }

    /// Keeps a vote if it is its validator's first here; a different second one proves a lie.
    pub(super) fn add(&mut self, signed: SignedVote, seats: &Seats) -> Option<Equivocation> {
        let evidence = self.hold(signed);
        if evidence.is_none()
            && let Some(batch) = signed.vote.batch
            && self.quorum.is_none()
            && self.power_for(Some(batch), seats) >= seats.quorum
        {
            self.quorum = Some((batch, signatures_for(&self.votes, batch)));
        }
        evidence
    }

    fn hold(&mut self, signed: SignedVote) -> Option<Equivocation> {
        let held = *self.votes.entry(signed.validator).or_insert(signed);
        if held.vote != signed.vote {
            return self
                .reported
                .insert(signed.validator)
                .then(|| Equivocation::Votes(Box::new(held), Box::new(signed)));
        }
        None
    }

    /// Takes over a verified quorum: as votes where none were held, and as the quorum if there was none.
    pub(super) fn adopt(
        &mut self,
        vote: Vote,
        batch: BatchHash,
        signatures: &[(u16, Signature)],
    ) -> Vec<Equivocation> {
        let votes =
            signatures.iter().map(|&(validator, signature)| SignedVote { vote, validator, signature });
        // No quorum is formed while adding: the certificate's own signatures are kept.
        let evidence = votes.filter_map(|signed| self.hold(signed)).collect();
        self.quorum.get_or_insert_with(|| (batch, signatures.to_vec()));
        evidence
    }

    /// The power of those whose held vote is for this batch (`None`: nil).
    pub(super) fn power_for(&self, batch: Option<BatchHash>, seats: &Seats) -> Power {
        let agreeing = self.votes.values().filter(|held| held.vote.batch == batch);
        seats.power_of_all(agreeing.map(|held| held.validator))
    }
}
