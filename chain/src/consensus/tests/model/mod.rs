//! Everything that can happen to four validators, one of whom lies, explored by a model checker: in two
//! rounds all of it, in three (see [`DEPTH`]) all that takes few enough steps. What is explored is the
//! algorithm that nodes run, not another one written for it.
//!
//! The liar's messages are all there from the beginning, and whatever a correct validator has said stays
//! there: each may hear any of it, in any order, at any time or never; a timeout that is set passes at any
//! time or never; each may crash and restart, again and again. Signatures are abstracted: what a correct
//! validator has not said does not exist.
//!
//! What makes this small enough is that a validator of the model *forgets what it has heard* after every
//! step that shows (see [`Local`]). This adds behaviour and takes none away: any message is still there to
//! be heard again right before it matters. A step that shows then begins with all the messages it takes,
//! and what was heard for nothing never happened. `what_happens_without_forgetting_is_explored` puts that
//! to the test, and the tests of what is broken on purpose show that the properties can fail.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "the checker has threads, and its figures are to be seen"
)]

mod broken;
mod local;
mod message;
mod network;

use std::sync::Arc;

use stateright::{Checker, Model as _};

use super::simulation::Draws;
use super::*;
use broken::{Broken, Rules};
use local::{Local, Shared};
use message::Message;
pub(super) use message::Unsigned;
use network::{AGREEMENT, Exploration, LOCKED, RECOVERY, ROUND_0, ROUND_1, SIGN_ONCE, State, VALIDITY};

/// Batches from this tag up are not valid.
const INVALID: u8 = 0x80;

/// The most steps explored in three rounds, in which there is no end to it otherwise. The figures of a deeper
/// run: `MIZAN_MODEL_DEPTH=14 cargo test -p chain --release model::three -- --nocapture`.
const DEPTH: usize = 9;

fn explore(exploration: Exploration, depth: Option<usize>) -> impl Checker<Exploration> {
    let Exploration { rounds, liar, crashes, rules: Rules { powers, .. }, .. } = exploration;
    let began = std::time::Instant::now();
    let builder = exploration.checker().threads(2);
    let checker = match depth {
        Some(depth) => builder.target_max_depth(depth),
        None => builder,
    };
    let checker = checker.spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    eprintln!(
        "{rounds} rounds, powers {powers:?}, validator {liar} lies, crashes: {crashes}: {states} states, {depth} steps, {:?}",
        began.elapsed()
    );
    checker
}

fn assert_nothing_goes_wrong(checker: &impl Checker<Exploration>) {
    for property in [AGREEMENT, VALIDITY, SIGN_ONCE, LOCKED, RECOVERY] {
        if let Some(path) = checker.discovery(property) {
            panic!("not true that {property}: {:#?}", path.into_actions());
        }
    }
}

fn assert_all_goes_well_in_two_rounds(liar: u16) {
    let checker = explore(Exploration { crashes: true, ..Exploration::new(2, liar) }, None);
    assert_nothing_goes_wrong(&checker);
    for property in [ROUND_0, ROUND_1] {
        assert!(checker.discovery(property).is_some(), "{property}");
    }
}

#[test]
fn all_goes_well_in_two_rounds_if_the_first_proposer_lies() {
    assert_all_goes_well_in_two_rounds(0);
}

#[test]
fn all_goes_well_in_two_rounds_if_the_second_proposer_lies() {
    assert_all_goes_well_in_two_rounds(1);
}

#[test]
fn all_goes_well_in_two_rounds_if_one_lies_who_does_not_propose() {
    assert_all_goes_well_in_two_rounds(2);
}

#[test]
fn three_rounds_go_well_as_far_as_they_are_explored() {
    let depth = std::env::var("MIZAN_MODEL_DEPTH").ok().and_then(|depth| depth.parse().ok());
    for liar in 0..4 {
        let exploration = Exploration { crashes: true, ..Exploration::new(3, liar) };
        assert_nothing_goes_wrong(&explore(exploration, Some(depth.unwrap_or(DEPTH))));
    }
}

#[test]
fn the_liar_gets_no_invalid_batch_decided() {
    for liar in [0, 1] {
        let exploration = Exploration { batches: vec![1, INVALID], ..Exploration::new(2, liar) };
        assert_nothing_goes_wrong(&explore(exploration, None));
    }
}

#[test]
fn all_goes_well_in_two_rounds_if_less_than_a_third_of_unequal_power_lies() {
    for liar in [1, 2] {
        let rules = Rules { powers: [3, 2, 1, 1], broken: Broken::Nothing };
        let exploration = Exploration { rules, crashes: true, ..Exploration::new(2, liar) };
        assert_nothing_goes_wrong(&explore(exploration, None));
    }
}

#[test]
fn if_one_with_more_than_a_third_of_the_power_lies_two_batches_are_decided() {
    let rules = Rules { powers: [2, 3, 1, 1], broken: Broken::Nothing };
    let exploration = Exploration { rules, only: Some(AGREEMENT), ..Exploration::new(2, 1) };
    assert!(explore(exploration, None).discovery(AGREEMENT).is_some());
}

/// The end of a short way to where `property` does not hold.
fn counterexample(broken: Broken, liar: u16, crashes: bool, property: &'static str) -> State {
    let rules = Rules { broken, powers: [1; 4] };
    let exploration = Exploration { rules, crashes, only: Some(property), ..Exploration::new(2, liar) };
    let path = explore(exploration, None).discovery(property);
    let path = path.unwrap_or_else(|| panic!("without {broken:?} it is still true that {property}"));
    eprintln!("without {broken:?} it is not true that {property}: {:#?}", path.clone().into_actions());
    path.last_state().clone()
}

#[test]
fn without_locks_two_batches_are_decided() {
    let end = counterexample(Broken::Locks, 2, false, AGREEMENT);
    let decisions = Exploration::new(2, 2).decisions(&end);
    assert!(decisions.iter().any(|&(_, batch)| batch == 1), "{decisions:?}");
    assert!(decisions.contains(&(1, 2)), "batch 2 is proposed in round 1 only: {decisions:?}");
}

#[test]
fn with_a_quorum_of_two_of_four_two_batches_are_decided() {
    counterexample(Broken::Quorum, 2, false, AGREEMENT);
}

#[test]
fn without_proof_of_the_valid_round_two_batches_are_decided() {
    counterexample(Broken::ValidRound, 1, false, AGREEMENT);
}

#[test]
fn without_what_was_signed_on_the_disk_somebody_signs_twice() {
    counterexample(Broken::SignedOnDisk, 2, true, SIGN_ONCE);
}

#[test]
fn without_the_lock_on_the_disk_two_batches_are_decided() {
    counterexample(Broken::LockOnDisk, 2, true, AGREEMENT);
}

#[test]
fn what_happens_without_forgetting_is_explored() {
    let mut shown = 0;
    for rng_seed in 0..300 {
        let exploration = Exploration::new(2, u16::try_from(rng_seed % 3).unwrap());
        let mut draws = Draws(rng_seed);
        let mut state = exploration.init_states().swap_remove(0);
        // The same validators, who remember all that they have heard, and the timeouts they have set.
        let mut remembering: Vec<_> =
            state.correct.iter().map(|local| (Local::clone(local), vec![(0, Step::Propose)])).collect();
        for _ in 0..80 {
            let index = usize::try_from(draws.below(3)).unwrap();
            let (local, timeouts) = &mut remembering[index];
            let heard = exploration.groups(&state, local).concat();
            let choice = usize::try_from(draws.below(heard.len() as u64 + 3)).unwrap();
            let input = match (heard.get(choice), timeouts.pop()) {
                (Some(message), timeout) => {
                    timeouts.extend(timeout);
                    message.input()
                }
                (None, Some((round, step))) if round == 0 || step != Step::Precommit => {
                    Input::Timeout { round, step }
                }
                (None, _) => continue,
            };
            timeouts.extend(local.give(input, exploration.rules));
            let mut after = local.clone();
            after.forget();
            if after != *state.correct[index] {
                assert!(
                    exploration.leads_to(&state, index, &after),
                    "rng_seed {rng_seed}: {:?} to {after:?} is not explored",
                    state.correct[index]
                );
                state.correct[index] = Shared::new(after);
                shown += 1;
            }
        }
    }
    assert!(shown > 1_000, "{shown} steps that show are enough to compare");
}
