//! Proposals whose batch is not here yet or cannot be judged yet. A proposer may sign proposals for all of its future
//! rounds, and two for each: every round has places of its own, so that none of them costs an honest one its place.

use std::collections::BTreeMap;

use chain::consensus::{FUTURE_ROUNDS, PAST_ROUNDS, Round, SignedProposal};
use chain::{BatchHash, PublicKey};

/// Proposals of one round: a correct proposer signs one, and two prove that it lied.
const OF_A_ROUND: usize = 2;

/// A proposal and the peer that sent it first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeldProposal {
    pub(super) from: PublicKey,
    pub(super) signed: SignedProposal,
}

/// Proposals by round: of the rounds that the vote keeps, [`OF_A_ROUND`] each.
#[derive(Debug, Default)]
pub(super) struct HeldProposals {
    rounds: BTreeMap<Round, Vec<HeldProposal>>,
}

impl HeldProposals {
    /// Whether this proposal would be kept: it is of a round that the vote keeps while it is in round `current`, is not
    /// here yet, and its round has a place.
    pub(super) fn has_place(&self, signed: &SignedProposal, current: Round) -> bool {
        let round = signed.proposal.round;
        let held = self.rounds.get(&round).map(Vec::as_slice).unwrap_or_default();
        !is_past(round, current)
            && !is_beyond(round, current)
            && held.len() < OF_A_ROUND
            && held.iter().all(|other| other.signed.proposal != signed.proposal)
    }

    /// Keeps a verified proposal that has a place.
    pub(super) fn hold(&mut self, from: PublicKey, signed: SignedProposal, current: Round) {
        self.rounds.retain(|&round, _| !is_past(round, current));
        if self.has_place(&signed, current) {
            self.rounds.entry(signed.proposal.round).or_default().push(HeldProposal { from, signed });
        }
    }

    /// Whether a proposal of this batch is held.
    pub(super) fn names(&self, batch: &BatchHash) -> bool {
        self.of(batch).next().is_some()
    }

    /// The batches that are proposed.
    pub(super) fn batches(&self) -> impl Iterator<Item = BatchHash> {
        self.rounds.values().flatten().map(|held| held.signed.proposal.batch)
    }

    /// The proposals of a batch.
    pub(super) fn of(&self, batch: &BatchHash) -> impl Iterator<Item = &HeldProposal> {
        self.rounds.values().flatten().filter(move |held| held.signed.proposal.batch == *batch)
    }

    /// Takes out the proposals of a batch.
    pub(super) fn release(&mut self, batch: &BatchHash) -> Vec<HeldProposal> {
        let of_batch = |held: &mut HeldProposal| held.signed.proposal.batch == *batch;
        self.rounds.values_mut().flat_map(|held| held.extract_if(.., of_batch)).collect()
    }
}

/// Whether the vote has forgotten this round.
fn is_past(round: Round, current: Round) -> bool {
    round < current.saturating_sub(PAST_ROUNDS)
}

/// Whether the vote keeps no proposal of this round yet, only that its proposer has got there.
fn is_beyond(round: Round, current: Round) -> bool {
    round > current.saturating_add(FUTURE_ROUNDS)
}

#[cfg(test)]
mod tests {
    use chain::consensus::Proposal;
    use chain::{Hash, NetworkId, SecretKey};

    use super::*;

    fn key() -> SecretKey {
        SecretKey::for_scenario(1, "proposer", 0)
    }

    fn proposal(round: Round, name: u8) -> SignedProposal {
        let (network, batch) = (NetworkId(Hash([7; 32])), BatchHash(Hash([name; 32])));
        Proposal { network, height: 1, round, batch, valid_round: None }.sign(&key(), None)
    }

    fn hold(held: &mut HeldProposals, round: Round, name: u8) {
        held.hold(key().public(), proposal(round, name), 10);
    }

    #[test]
    fn proposals_for_all_future_rounds_leave_every_round_its_places() {
        let mut held = HeldProposals::default();
        for name in 0..20 {
            (11..=40).filter(|round| round % 4 == 3).for_each(|round| hold(&mut held, round, name));
        }
        // Two of rounds 11 and 15; round 19 and those after it are not kept yet.
        assert_eq!(held.rounds.values().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        hold(&mut held, 10, 99);
        hold(&mut held, 12, 98);
        assert!(held.names(&BatchHash(Hash([99; 32]))));
        assert!(held.names(&BatchHash(Hash([98; 32]))));
    }

    #[test]
    fn past_rounds_are_forgotten_and_a_released_batch_has_no_proposal_any_more() {
        let mut held = HeldProposals::default();
        hold(&mut held, 8, 1);
        hold(&mut held, 9, 2);
        hold(&mut held, 10, 2);
        held.hold(key().public(), proposal(11, 3), 11);
        assert!(!held.names(&BatchHash(Hash([1; 32]))), "round 8 is three behind 11");
        let released = held.release(&BatchHash(Hash([2; 32])));
        assert_eq!(released.iter().map(|held| held.signed.proposal.round).collect::<Vec<_>>(), [9, 10]);
        assert!(!held.names(&BatchHash(Hash([2; 32]))));
        assert!(held.names(&BatchHash(Hash([3; 32]))));
    }
}
