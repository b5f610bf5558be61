//! What one liar of four tries with messages that are signed properly: to keep a node busy, to begin what
//! nobody needs, to lead it out of the rounds there are.

use super::steps::{Bench, Seen};
use super::*;
use Step::{Precommit as PrecommitTimeout, Propose as ProposeTimeout};
use VoteKind::{Precommit, Prevote};

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
