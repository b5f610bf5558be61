//! What a node answers to records that are handed in.

use chain::RecordId;
use chain::store::Write;
use coordinator_free_pool::{PoolRejection, PoolRule, Rule};
use miner_node::{Command, Effect, Input, Now, SubmissionId};

use crate::market::Market;

#[test]
fn a_submission_is_answered_record_by_record_in_order_once_the_accepted_ones_are_durable() {
    let market = Market::new();
    let (mut node, mut effects) = (market.node(), Vec::new());
    let [first, second, _] = <[_; 3]>::try_from(market.demand_records()).unwrap();
    let records = vec![first.clone(), first.clone(), second.clone()];
    let reply_to = SubmissionId(7);
    node.handle(Now::at(0), Input::Command(Command::Submit { records, reply_to }), &mut effects);

    let is_answer = |effect: &Effect| matches!(effect, Effect::Submitted { .. });
    let answer = effects.iter().position(is_answer).unwrap();
    let outcomes = vec![Ok(first.id()), Err(PoolRejection::Duplicate(first.id())), Ok(second.id())];
    assert_eq!(effects[answer], Effect::Submitted { reply_to, outcomes });
    assert_eq!(PoolRejection::Duplicate(first.id()).rule(), Rule::Pool(PoolRule::Duplicate));
    let kept = effects[..answer].iter().filter_map(|effect| {
        let Effect::Persist(Write::PoolRecord(record)) = effect else { return None };
        Some(record.id())
    });
    assert_eq!(kept.collect::<Vec<RecordId>>(), [first.id(), second.id()]);
}
