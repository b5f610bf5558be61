//! What a validator does when it meets a vote of its own that it does not remember.
//!
//! Its store has gone back in time without noticing (a restored copy, a disk that lied), its operator was wrong about
//! its past, or another node runs with its key. Whichever it is, it can no longer know what it signed, and so it votes
//! no more, now or after a restart, until its operator says from which height on it may.

use std::cmp::Ordering;

use chain::consensus::{CommitCertificate, SafetyLog, SignedVote, Vote, VoteKind};
use chain::store::Write;

use super::event::NodeEvent;
use super::io::Effect;
use super::{Node, Now};

impl Node {
    /// A certificate that was verified may have this validator's signature.
    pub(super) fn look_for_own_signature(
        &mut self,
        certificate: &CommitCertificate,
        effects: &mut Vec<Effect>,
    ) {
        let own = self.validators.index_of(&self.own);
        let is_signed = certificate.signatures.iter().any(|&(signer, _)| Some(signer) == own);
        let &CommitCertificate { height, round, batch, .. } = certificate;
        let (network, kind, batch) = (self.network.id(), VoteKind::Precommit, Some(batch));
        let vote = Vote { network, height, round, kind, batch };
        if is_signed && self.has_forgotten(vote) {
            self.vote_no_more(vote, effects);
        }
    }

    /// A peer passes on a vote, not verified yet, that may be this validator's.
    pub(super) fn look_for_own_vote(&mut self, signed: &SignedVote, now: Now, effects: &mut Vec<Effect>) {
        let &SignedVote { vote, validator, signature } = signed;
        let is_own = self.validators.index_of(&self.own) == Some(validator)
            && vote.network == self.network.id()
            && self.has_forgotten(vote);
        if is_own && matches!(vote.verify(&self.validators, validator, &signature), Some(Ok(()))) {
            self.vote_no_more(vote, effects);
            // The machine of this height has the key.
            self.begin_height(now, effects);
        }
    }

    fn has_forgotten(&self, vote: Vote) -> bool {
        self.safety.as_ref().is_some_and(|log| !accounts_for(log, vote))
    }

    fn vote_no_more(&mut self, vote: Vote, effects: &mut Vec<Effect>) {
        self.safety = None;
        effects.push(Effect::Persist(Write::ForgetSafety));
        let Vote { height, round, .. } = vote;
        effects.push(Effect::Event(NodeEvent::ForgottenVote { height, round }));
    }
}

/// Whether a vote with this validator's signature can be one that the log covers. Of rounds it has left behind a log
/// says nothing but that they are over.
fn accounts_for(log: &SafetyLog, vote: Vote) -> bool {
    let signed = match vote.kind {
        VoteKind::Prevote => log.prevote,
        VoteKind::Precommit => log.precommit,
    };
    match (vote.height, vote.round).cmp(&(log.height, log.round)) {
        Ordering::Less => true,
        Ordering::Equal => signed == Some(vote),
        Ordering::Greater => false,
    }
}

#[cfg(test)]
mod tests {
    use chain::{BatchHash, Hash, NetworkId};

    use super::*;

    fn vote(height: u64, round: u32, kind: VoteKind, batch: u8) -> Vote {
        let batch = Some(BatchHash(Hash([batch; 32])));
        Vote { network: NetworkId(Hash([1; 32])), height, round, kind, batch }
    }

    #[test]
    fn a_log_accounts_for_what_it_holds_and_for_what_is_over() {
        let prevote = vote(7, 2, VoteKind::Prevote, 9);
        let log = SafetyLog { height: 7, round: 2, prevote: Some(prevote), ..SafetyLog::default() };
        assert!(accounts_for(&log, prevote));
        assert!(accounts_for(&log, vote(7, 1, VoteKind::Precommit, 8)), "an earlier round");
        assert!(accounts_for(&log, vote(6, 5, VoteKind::Precommit, 8)), "an earlier height");
    }

    #[test]
    fn a_log_does_not_account_for_another_vote_of_its_round_or_one_of_a_later_round() {
        let prevote = vote(7, 2, VoteKind::Prevote, 9);
        let log = SafetyLog { height: 7, round: 2, prevote: Some(prevote), ..SafetyLog::default() };
        assert!(!accounts_for(&log, vote(7, 2, VoteKind::Prevote, 8)), "another batch");
        assert!(!accounts_for(&log, vote(7, 2, VoteKind::Precommit, 9)), "another kind");
        assert!(!accounts_for(&log, vote(7, 3, VoteKind::Prevote, 9)), "a later round");
        assert!(!accounts_for(&log, vote(8, 0, VoteKind::Prevote, 9)), "a later height");
        assert!(
            !accounts_for(&SafetyLog::new(0), vote(1, 0, VoteKind::Precommit, 9)),
            "a first run that was none"
        );
    }
}
