//! One test per rule of amendments: each batch breaks only that rule, gets that rule's error, and nothing
//! changes.

use chain::ledger::MarketError;
use chain::{Amendment, Batch, Fault, Hash, Rejection};
use scenarios::parameters::Allocation;
use scenarios::{ProviderId, Slot};

use crate::market::{
    Market, ProposedBatch, demand_statement, demander, micros, miner, offer, provider, provider_of,
    providers, resign, treasurer, units,
};
use crate::refused::refuse;

/// Alice at `[0, 1]` for 26 $, bob at `[0, 0]` for 19 $, which together leave 10 minutes of provider 0; any
/// composition is paid.
fn composed() -> Market {
    composed_with(|_| {})
}

fn composed_with(change: impl FnOnce(&mut chain::Genesis)) -> Market {
    let mut market = Market::open_with(|genesis| {
        let measure = chain::schedule::Measure::Certified { gap_full_ppm: 2_000_000, gap_max_ppm: 3_000_000 };
        genesis.parameters.schedule.measure = measure;
        change(genesis);
    });
    market.compose(&[(0, providers([0, 1])), (1, providers([0, 0]))]);
    market
}

/// A valid batch: alice to `[0, 0]`, 7 $ saved.
fn saving(market: &Market) -> Batch {
    market.batch(market.amending(0, &[&[(0, providers([0, 0]))]]))
}

/// A valid batch: alice to `[1, 1]`, carol composed at `[0, 0]`.
fn making_room(market: &Market) -> Batch {
    market.batch(market.amending(0, &[&[(0, providers([1, 1])), (2, providers([0, 0]))]]))
}

fn part_of(market: &Market, batch: &Batch, index: usize) -> usize {
    let demand = market.demand(index);
    let parts = &batch.contents.blocks[0].body.amendments[0].parts;
    parts.iter().position(|part| part.composition.demand == demand).expect("a part of the amendment")
}

/// Changes a valid batch, signs it again and expects the rejection, by the peer's fault.
fn tampered(
    valid: fn(&Market) -> Batch,
    rule: &str,
    change: impl FnOnce(&Market, &mut Batch),
    expected: impl FnOnce(&Market, &Batch) -> Rejection,
) {
    let market = composed();
    let mut batch = valid(&market);
    assert!(market.check(batch.clone()).is_ok());
    let expected = expected(&market, &batch);
    assert_eq!(expected.rule(), rule);
    change(&market, &mut batch);
    refuse(&market, resign(batch, &miner(0)), &expected, Fault::Peer);
}

/// A draft that is refused for this.
fn undrafted(market: &Market, proposed: ProposedBatch, expected: &Rejection) {
    let before = market.ledger.state_root();
    assert_eq!(&market.draft(proposed).expect_err("a refusal"), expected);
    assert_eq!(market.ledger.state_root(), before);
}

/// A batch of an earlier head, put on the present one as its miner would.
fn reanchored(market: &Market, mut batch: Batch) -> Batch {
    batch.header.height = market.ledger.head().height + 1;
    batch.header.parent = market.ledger.head().hash;
    batch.header.outcomes_root = market.ledger.head().outcomes_root;
    batch.header.state_root = market.ledger.state_root();
    batch.header.timestamp_ms = market.next_time();
    resign(batch, &miner(0))
}

#[test]
fn an_amendment_without_parts() {
    tampered(
        saving,
        "empty-amendment",
        |_, batch| batch.contents.blocks[0].body.amendments.push(Amendment { parts: Vec::new() }),
        |_, _| Rejection::EmptyAmendment { amendment: 1 },
    );
}

#[test]
fn parts_out_of_order() {
    tampered(
        making_room,
        "amendment-order",
        |_, batch| batch.contents.blocks[0].body.amendments[0].parts.reverse(),
        |_, batch| {
            let demand = batch.contents.blocks[0].body.amendments[0].parts[0].composition.demand;
            Rejection::AmendmentOrder { amendment: 0, demand }
        },
    );
}

#[test]
fn a_demand_twice_in_one_set_or_in_two_or_beside_its_composition() {
    let twice = |market: &Market, _: &Batch| {
        Rejection::Market(MarketError::DuplicateComposition { demand: market.demand(0) })
    };
    let in_one = |_: &Market, batch: &mut Batch| {
        let part = batch.contents.blocks[0].body.amendments[0].parts[0].clone();
        batch.contents.blocks[0].body.amendments[0].parts.push(part);
    };
    tampered(saving, "duplicate-composition", in_one, twice);
    let in_two = |_: &Market, batch: &mut Batch| {
        let set = batch.contents.blocks[0].body.amendments[0].clone();
        batch.contents.blocks[0].body.amendments.push(set);
    };
    tampered(saving, "duplicate-composition", in_two, twice);
    let beside = |_: &Market, batch: &mut Batch| {
        let part = batch.contents.blocks[0].body.amendments[0].parts[0].composition.clone();
        batch.contents.blocks[0].body.compositions.push(part);
    };
    tampered(saving, "duplicate-composition", beside, twice);
    // A draft meets the same rule, which is the state's too.
    let market = composed();
    let mut proposed = market.amending(0, &[&[(0, providers([0, 0])), (2, providers([1, 1]))]]);
    proposed.compositions = vec![(market.demand(2), providers([1, 1]))];
    undrafted(
        &market,
        proposed,
        &Rejection::Market(MarketError::DuplicateComposition { demand: market.demand(2) }),
    );
}

#[test]
fn a_part_from_after_its_batch() {
    tampered(
        saving,
        "composition-timestamp",
        |_, batch| {
            batch.contents.blocks[0].body.amendments[0].parts[0].composition.timestamp_ms =
                batch.header.timestamp_ms + 1;
        },
        |market, batch| Rejection::CompositionTimestamp {
            demand: market.demand(0),
            got: batch.header.timestamp_ms + 1,
            expected: batch.header.timestamp_ms,
        },
    );
}

#[test]
fn more_parts_than_compositions_are_allowed() {
    tampered(
        saving,
        "composition-count",
        |_, batch| {
            let part = batch.contents.blocks[0].body.amendments[0].parts[0].clone();
            batch.contents.blocks[0].body.amendments[0].parts = vec![part; 2_001];
        },
        |_, _| Rejection::TooManyCompositions { got: 2_001, expected: 2_000 },
    );
}

#[test]
fn amendments_that_take_too_much_work_to_check() {
    // Two orders with 2 and 3 offers: 2 + 3 + 2 * 3 = 11 steps a demand, 22 of them in the batch before.
    let market = composed_with(|genesis| {
        let limits = &mut genesis.parameters.limits;
        // Two of them have to be there, and the third: there is less time than there is room.
        (limits.verification_work, limits.market_work) = (22, 33);
    });
    let three = [(0, providers([0, 0])), (1, providers([1, 1])), (2, providers([1, 1]))];
    undrafted(
        &market,
        market.amending(0, &[&three]),
        &Rejection::Market(MarketError::TooMuchWork { got: 33, expected: 22 }),
    );
}

#[test]
fn a_batch_that_only_amends_too_soon_after_its_parent() {
    let market = composed();
    let mut batch = saving(&market);
    let expected = market.ledger.head().timestamp_ms + 250;
    batch.header.timestamp_ms = expected - 1;
    batch.contents.blocks[0].body.amendments[0].parts[0].composition.timestamp_ms = expected - 1;
    let rejection = Rejection::AmendmentTooSoon { got: expected - 1, expected };
    assert_eq!(rejection.rule(), "amendment-interval");
    refuse(&market, resign(batch.clone(), &miner(0)), &rejection, Fault::Peer);
    let on_time = |mut batch: Batch, timestamp_ms: u64| {
        batch.header.timestamp_ms = timestamp_ms;
        for part in &mut batch.contents.blocks[0].body.amendments[0].parts {
            part.composition.timestamp_ms = timestamp_ms;
        }
        market.check(resign(batch, &miner(0))).map(|executed| executed.report().amendments)
    };
    assert_eq!(on_time(batch, expected), Ok(1));
    // Making room for an open demand need not wait.
    assert_eq!(on_time(making_room(&market), market.ledger.head().timestamp_ms + 1), Ok(1));
}

#[test]
fn amendments_in_dedicated_allocation() {
    let market = composed_with(|genesis| {
        genesis.parameters.allocation = Allocation::Dedicated;
        genesis.parameters.held_providers_max = Some(3);
    });
    let proposed = market.amending(0, &[&[(0, providers([0, 0]))]]);
    undrafted(&market, proposed, &Rejection::Market(MarketError::AmendmentsOff));
    let rejection = Rejection::Market(MarketError::AmendmentsOff);
    assert_eq!((rejection.rule(), rejection.fault()), ("amendments-off", Fault::Peer));
}

#[test]
fn a_demand_that_is_not_on_chain() {
    let unknown = chain::RecordId(Hash([0xff; 32]));
    tampered(
        saving,
        "unknown-demand",
        |_, batch| batch.contents.blocks[0].body.amendments[0].parts[0].composition.demand = unknown,
        |_, _| Rejection::Market(MarketError::UnknownDemand { demand: unknown }),
    );
}

#[test]
fn a_cancelled_demand() {
    let mut market = composed();
    let late = making_room(&market);
    let demand = market.demand(2);
    let cancel = market.record(&demander(2), chain::Statement::DemandCancellation { demand });
    market.accept(ProposedBatch { records: vec![cancel], ..ProposedBatch::default() });
    let expected = Rejection::Market(MarketError::UnknownDemand { demand });
    refuse(&market, reanchored(&market, late), &expected, Fault::Peer);
}

#[test]
fn a_demand_frozen_before_or_in_this_very_batch() {
    let mut market = composed();
    let late = saving(&market);
    let expected = Rejection::Market(MarketError::UnknownDemand { demand: market.demand(0) });
    assert_eq!(expected.rule(), "unknown-demand");
    market.advance_to(33);
    refuse(&market, reanchored(&market, late.clone()), &expected, Fault::Peer);
    market.advance_to(34);
    refuse(&market, reanchored(&market, late), &expected, Fault::Peer);
}

#[test]
fn another_version_than_the_one_that_stands() {
    let stale = |index, got, expected| {
        move |market: &Market, _: &Batch| {
            Rejection::Market(MarketError::StaleAmendment { demand: market.demand(index), got, expected })
        }
    };
    let name = |index, version| {
        move |market: &Market, batch: &mut Batch| {
            let part = part_of(market, batch, index);
            batch.contents.blocks[0].body.amendments[0].parts[part].replaces = version;
        }
    };
    tampered(saving, "stale-amendment", name(0, 2), stale(0, 2, 1));
    // Composed already, or not yet.
    tampered(saving, "stale-amendment", name(0, 0), stale(0, 0, 1));
    tampered(making_room, "stale-amendment", name(2, 1), stale(2, 1, 0));
    // Somebody else was first.
    let mut market = composed();
    let late = saving(&market);
    market.amend(1, &[&[(0, providers([1, 1]))]]);
    let expected =
        Rejection::Market(MarketError::StaleAmendment { demand: market.demand(0), got: 1, expected: 2 });
    refuse(&market, reanchored(&market, late), &expected, Fault::Peer);
}

#[test]
fn an_amendment_of_open_demands_only() {
    let market = composed();
    let rejection = Rejection::Market(MarketError::NothingReplaced { amendment: 0 });
    assert_eq!(rejection.rule(), "nothing-replaced");
    undrafted(&market, market.amending(0, &[&[(2, providers([1, 1]))]]), &rejection);
    undrafted(&market, market.amending(0, &[&[]]), &rejection);
}

#[test]
fn an_amendment_that_changes_nothing() {
    let mut market = composed();
    let rejection = Rejection::Market(MarketError::NothingChanged { amendment: 0 });
    assert_eq!(rejection.rule(), "nothing-changed");
    let same = [(0, providers([0, 1])), (2, providers([1, 1]))];
    undrafted(&market, market.amending(0, &[&same]), &rejection);
    // Not even if the same providers have become cheaper since.
    let site = scenarios::Site::point(0, 0);
    let cheaper = provider("near", site, &[(0, 1, 10), (1, 9, 10)], Some(40));
    let record = market.record(&provider_of(0), offer(&cheaper));
    market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    undrafted(&market, market.amending(0, &[&same[..1]]), &rejection);
}

#[test]
fn a_composition_that_is_not_feasible() {
    let market = composed();
    let demand = market.demand(0);
    let got = |ids| market.draft(market.amending(0, &[&[(0, ids)]])).unwrap_err();
    assert_eq!(
        got(providers([0])),
        Rejection::Market(MarketError::OrderCount { demand, got: 1, expected: 2 })
    );
    assert_eq!(got(providers([0, 77])).rule(), "unknown-provider");
    assert_eq!(got(providers([2, 0])).rule(), "not-offered");
}

#[test]
fn more_minutes_than_are_left_when_what_is_replaced_has_given_back_its_own() {
    let market = composed();
    // Alice gives back 10 of 30 minutes, takes 20, and is at 40; carol's 10 more are too much.
    let set = [(0, providers([0, 0])), (2, providers([0, 1]))];
    let got = market.draft(market.amending(0, &[&set])).unwrap_err();
    assert!(
        matches!(
            got,
            Rejection::Market(MarketError::OverCapacity {
                slot: Slot { provider: ProviderId(0), .. },
                got: 50,
                expected: 40,
                ..
            })
        ),
        "{got}"
    );
}

#[test]
fn a_saving_that_is_too_small() {
    let market = composed_with(|genesis| genesis.parameters.min_saving_ppm = 269_231);
    // 26.923,1 % of 26 $, rounded up, is 7.000,006 $: 6 units more than is saved.
    let expected = Rejection::Market(MarketError::SavingTooSmall {
        amendment: 0,
        got: units(7),
        expected: micros(7_000_006),
    });
    assert_eq!(expected.rule(), "saving");
    undrafted(&market, market.amending(0, &[&[(0, providers([0, 0]))]]), &expected);
    let enough = composed_with(|genesis| genesis.parameters.min_saving_ppm = 269_230);
    assert!(enough.draft(enough.amending(0, &[&[(0, providers([0, 0]))]])).is_ok());
}

#[test]
fn an_amendment_that_makes_dearer_what_has_room() {
    let market = composed();
    let expected = Rejection::Market(MarketError::DearerPart {
        amendment: 0,
        demand: market.demand(1),
        got: units(23),
        expected: units(19),
    });
    assert_eq!(expected.rule(), "dearer-part");
    undrafted(&market, market.amending(0, &[&[(1, providers([1, 1]))]]), &expected);
}

#[test]
fn room_that_those_it_is_made_for_cannot_pay() {
    let mut market = composed();
    let dora = |budget| chain::Statement::Demand(demand_statement(budget, units(1)));
    let mut ids = Vec::new();
    for budget in [micros(22_999_999), units(23)] {
        let record = market.record(&treasurer(), dora(budget));
        ids.push(record.id());
        market.accept(ProposedBatch { records: vec![record], ..ProposedBatch::default() });
    }
    let room = |id| {
        let mut proposed = market.amending(0, &[&[(1, providers([1, 1]))]]);
        proposed.amendments[0].push((id, providers([0, 0])));
        proposed
    };
    // Bob goes from 19 to 23 $.
    let expected = Rejection::Market(MarketError::RoomNotPaid {
        amendment: 0,
        got: micros(3_999_999),
        expected: units(4),
    });
    assert_eq!(expected.rule(), "room");
    undrafted(&market, room(ids[0]), &expected);
    // Who could pay for it can have it elsewhere, for 23 $, too.
    let expected = Rejection::Market(MarketError::RoomNotNeeded {
        amendment: 0,
        demand: ids[1],
        got: units(-4),
        expected: micros(9_500),
    });
    assert_eq!(expected.rule(), "room-not-needed");
    undrafted(&market, room(ids[1]), &expected);
}

#[test]
fn claims_that_are_not_what_everybody_recomputes() {
    tampered(
        saving,
        "cost",
        |_, batch| batch.contents.blocks[0].body.amendments[0].parts[0].composition.cost = units(18),
        |market, _| {
            MarketError::WrongCost { demand: market.demand(0), got: units(18), expected: units(19) }.into()
        },
    );
    tampered(
        saving,
        "minutes",
        |_, batch| batch.contents.blocks[0].body.amendments[0].parts[0].composition.minutes = 19,
        |market, _| MarketError::WrongMinutes { demand: market.demand(0), got: 19, expected: 20 }.into(),
    );
}
