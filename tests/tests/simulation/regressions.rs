//! Stories that once ended badly, by what went wrong in them.
//!
//! A seed that fails is kept here, under the name of what it showed.

use mizan_tests::sim::{Attack, Hazard, Story};

use crate::hazards::tell;

/// Strangers all play this in stories of these seeds.
fn tell_attack(hazard: Hazard, attack: Attack, seeds: impl IntoIterator<Item = u64>) {
    for rng_seed in seeds {
        let story = Story { attack: Some(attack), ..Story::new(rng_seed, hazard) };
        if let Err(failure) = story.tell() {
            panic!("{}: {failure}", story.title());
        }
    }
}

#[test]
fn requests_for_final_batches_do_not_stop_heights() {
    tell_attack(Hazard::Flood, Attack::RequestFinal, 1..=2);
}

#[test]
fn low_heights_that_strangers_claim_are_not_answered_with_final_batches() {
    tell_attack(Hazard::Flood, Attack::LowStatus, 1..=2);
}

#[test]
fn a_hundred_invented_keys_take_no_cell_from_a_miner() {
    tell_attack(Hazard::Sybil, Attack::Sybils, 1..=2);
}

#[test]
fn a_thousand_invented_keys_take_no_cell_from_a_miner() {
    tell_attack(Hazard::Sybil, Attack::ManySybils, [1]);
}

#[test]
fn another_body_under_the_name_of_a_batch_does_not_halt_its_height() {
    tell_attack(Hazard::Sybil, Attack::CopyNames, [1]);
}

#[test]
fn records_that_nobody_can_pay_for_do_not_fill_pools() {
    tell_attack(Hazard::Sybil, Attack::EmptyRecords, 1..=2);
}

#[test]
fn who_relays_a_record_from_the_future_is_not_blamed_for_it() {
    tell_attack(Hazard::Sybil, Attack::FutureRecords, 1..=2);
}

#[test]
fn clocks_that_are_set_while_others_wait_do_not_stop_heights() {
    tell(Hazard::Clocks, [9, 11, 16, 19, 20, 37]);
}

#[test]
fn strangers_and_liars_on_bad_links_with_bad_clocks_do_not_stop_heights() {
    tell(Hazard::All, [1, 2, 5, 6]);
}
