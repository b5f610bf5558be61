//! What one liar of four tries with messages that are signed properly: to keep a node busy, to begin what
//! nobody needs, to lead it out of the rounds there are.

use super::steps::{Bench, Seen};
use super::*;
use Step::{Precommit as PrecommitTimeout, Propose as ProposeTimeout};
use VoteKind::{Precommit, Prevote};

#[test]
fn one_validator_alone_does_not_begin_a_height() {
    let mut bench = Bench::at(2);
    let signed = bench.proposal(0, 9, None);
    assert_eq!(bench.give(Input::Proposal { signed, valid: false }), []);
    assert_eq!(bench.votes(&[0], 0, Prevote, Some(9)), []);
    assert_eq!(bench.votes(&[0], 7, Precommit, None), []);
    assert!(!bench.machine.is_awake(), "nobody has anything to vote on");
    // Somebody else has: one of the two is honest. What was heard asleep counts.
    assert_eq!(
        bench.votes(&[1], 0, Prevote, None),
        [Seen::Timeout(0, ProposeTimeout), Seen::Vote(Prevote, None), Seen::Timeout(0, Step::Prevote)]
    );
}

#[test]
fn of_rounds_far_ahead_one_message_of_a_validator_is_verified() {
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    assert_eq!(bench.votes(&[3], 1_000, Prevote, None), []);
    // A forged signature would be noticed by whoever looked at it.
    let mut more = bench.vote(3, 2_000, Prevote, None);
    more.signature = bench.vote(3, 2_000, Precommit, None).signature;
    assert_eq!(bench.machine.step(Input::Vote(more)), Ok(Vec::new()));
    let mut proposal = bench.proposal(2_003, 1, None);
    proposal.signature = bench.proposal(2_007, 1, None).signature;
    assert_eq!(bench.machine.step(Input::Proposal { signed: proposal, valid: true }), Ok(Vec::new()));

    // It does not hold up who follows an honest one: round 40, and from there wherever that one has gone since.
    assert_eq!(bench.votes(&[1], 40, Prevote, None), [Seen::Timeout(40, ProposeTimeout)]);
    assert_eq!(bench.votes(&[1], 500, Prevote, None), [Seen::Timeout(500, ProposeTimeout)]);
    assert_eq!(bench.votes(&[1], 5_000, Prevote, None), [Seen::Timeout(1_000, ProposeTimeout)]);
    assert_eq!(bench.votes(&[3], 6_000, Prevote, None), [Seen::Timeout(5_000, ProposeTimeout)]);
}

#[test]
fn nothing_follows_the_last_round_so_nothing_in_it_is_signed_twice() {
    // It takes two liars of four to lead anybody there.
    let mut bench = Bench::at(2);
    bench.propose(0, 1, None);
    let last = Round::MAX;
    assert_eq!(bench.votes(&[0, 1], last, Precommit, None), [Seen::Timeout(last, ProposeTimeout)]);
    assert_eq!(bench.timeout(last, ProposeTimeout), [Seen::Vote(Prevote, None)]);
    assert_eq!(bench.timeout(last, PrecommitTimeout), []);
    assert_eq!(bench.propose(last, 1, None), [], "it has prevoted nil");
}

#[test]
fn a_proposal_is_worth_waiting_for_while_it_can_be_voted_on() {
    let mut bench = Bench::at(2);
    let awaited = |bench: &Bench, round| bench.machine.awaits_proposal(&bench.proposal(round, 1, None));
    assert_eq!([0, 8, 9].map(|round| awaited(&bench, round)), [true, true, false], "eight rounds ahead");
    bench.propose(0, 1, None);
    assert!(!awaited(&bench, 0), "it is held");
    bench.timeout(0, PrecommitTimeout);
    assert_eq!([0, 9, 10].map(|round| awaited(&bench, round)), [false, true, false], "now in round 1");
}
