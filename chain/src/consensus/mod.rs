//! Voting: one Tendermint height as a pure state machine, its messages, and the certificates it leaves.
//!
//! [`Consensus`] is algorithm 1 of "The latest gossip on BFT consensus" (arXiv 1807.04938), whose line
//! numbers the comments quote. It reads no clock and sends nothing: [`Consensus::step`] takes one
//! [`Input`] and returns [`Output`]s, to be carried out in order. Whether a batch is valid, how batches
//! travel and how long a timeout lasts are the node's business and not found here.
//!
//! Where it departs from the paper, and why nothing is lost:
//! - *A value may be absent.* A height is dormant until a candidate batch or messages of f + 1 validators
//!   for it arrive, so an idle network starts no heights and no liar alone starts one, whose rounds would
//!   pass, longer each time, with nothing to vote on; a proposer without a candidate waits for one until its
//!   propose timeout.
//! - *A proposer changes its mind.* `getValue()` returns another candidate in each of its turns, so that a
//!   batch which others cannot get or do not accept does not stop the height.
//! - *A proposal carries its proof.* Line 28 needs the prevotes of an earlier round; here they travel as a
//!   [`PolkaCertificate`] inside the proposal, and a fresh polka is passed on as one. Votes of past rounds
//!   can then be forgotten, and an equivocating validator cannot show a quorum to some and hide it from
//!   others by filling their one place for its vote with the other one.
//! - *Line 49 does not wait for the proposal.* Two thirds of precommits contain those of correct
//!   validators, who had it; the node fetches the batch of a decision it does not have.
//! - *Validators have power.* Where the paper counts validators, their powers are added: `2f + 1` is more than two
//!   thirds of all power, `f + 1` at least a third; `proposer(h, round)` gives turns in proportion (`turns`).
//! - *Line 55 counts validators at or beyond a round*, not in exactly one, so that of rounds far ahead
//!   only one number per validator is kept.
//! - *Lines 34 and 47 count who is beyond the round* among those who voted in it. The paper's messages all
//!   arrive in the end; here a crash loses those that nobody else has, and who is beyond sends no others.
//!
//! Memory: messages of [`PAST_ROUNDS`] + 1 + [`FUTURE_ROUNDS`] rounds at most. It stays live because
//! nothing older is needed (a lock is justified by its certificate, a decision by its own), and what lies
//! further ahead is asked for again, by [`VoteSummary`], after line 55 has led there.

mod algorithm;
mod certificate;
mod evidence;
mod interface;
mod machine;
mod message;
mod round;
mod safety;
mod sync;
#[cfg(test)]
mod tests;
mod turns;
mod validators;

pub use certificate::{CertificateError, CommitCertificate, PolkaCertificate};
pub use evidence::{DoubleVote, EvidenceError};
pub use interface::{ConsensusError, Input, Output, Step};
pub use machine::Consensus;
pub use message::{ConsensusMessage, Equivocation, Proposal, SignedProposal, SignedVote, Vote, VoteKind};
pub use safety::{SafetyError, SafetyLog};
pub use sync::{VoteBits, VoteSummary};
pub use validators::{POWER_TOTAL, Power, ValidatorSet, ValidatorSetError};

/// The number of an attempt to decide a height, from 0.
pub type Round = u32;

/// The largest number of validators; bounds the size of certificates.
pub const MAX_VALIDATORS: usize = 256;

/// The most bytes of one encoded [`ConsensusMessage`], [`VoteSummary`] or [`SafetyLog`]: a certificate of
/// [`MAX_VALIDATORS`] signatures of 64 bytes with an index of at most 2, and room for the rest.
pub const MESSAGE_BYTES: usize = MAX_VALIDATORS * 66 + 1_024;

/// Rounds before the current one whose votes are kept: late precommits may still complete a decision.
pub const PAST_ROUNDS: Round = 2;

/// Rounds after the current one whose messages are kept.
pub const FUTURE_ROUNDS: Round = 8;

/// Candidates a proposer chooses from; the first ones stay. As many as a node keeps for a height.
pub const CANDIDATES: usize = 64;
