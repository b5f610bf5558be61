//! Whatever legal batches do: money is conserved, capacity kept, and no claim that is false takes effect.

use std::collections::BTreeSet;

use chain::codec::{decode, encode};
use chain::record::DemandStatement;
use chain::{Amendment, Batch, Body, Composition, DemandId, Record, Statement, WellFormed};
use proptest::prelude::*;
use scenarios::parameters::Allocation;
use scenarios::{Money, ProviderId, Slot};

use crate::market::{
    Market, ProposedBatch, demander, micros, miner, offer, provider_of, providers, resign, transfer,
    treasurer, units,
};

/// One thing somebody may try; what the rules refuse is left out of the batch.
#[derive(Clone, Debug)]
enum Attempt {
    Transfer(u64, i64),
    Cancel(u32),
    /// Budget, fee, and after how many seconds it expires.
    Demand(i64, i64, u64),
    Withdraw(u64),
    Offer(u64, i64, Option<i64>),
    Compose(u64, usize, [u32; 2]),
    /// Several demands, each with its providers, in one set.
    Amend(u64, Vec<(usize, [u32; 2])>),
    Reprice(i64, i64),
    Wait,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    prop_oneof![
        1 => (0..3_u64, -5..500_i64).prop_map(|(to, amount)| Attempt::Transfer(to, amount)),
        1 => (0..3_u32).prop_map(Attempt::Cancel),
        2 => (20..120_i64, 0..3_i64, 0..20_u64).prop_map(|(budget, fee, life)| Attempt::Demand(budget, fee, life)),
        1 => (0..4_u64).prop_map(Attempt::Withdraw),
        2 => (0..4_u64, 1..20_i64, prop::option::of(0..60_i64)).prop_map(|(i, c, m)| Attempt::Offer(i, c, m)),
        4 => (0..2_u64, 0..8_usize, [0..3_u32, 0..3_u32]).prop_map(|(m, d, p)| Attempt::Compose(m, d, p)),
        5 => (0..3_u64, prop::collection::vec((0..8_usize, [0..2_u32, 0..3_u32]), 1..4))
            .prop_map(|(miner, set)| Attempt::Amend(miner, set)),
        1 => (0..400_000_i64, 0..100_000_i64).prop_map(|(near, dear)| Attempt::Reprice(near, dear)),
        2 => Just(Attempt::Wait),
    ]
}

/// All demands that ever came, by id.
fn known(market: &Market) -> Vec<DemandId> {
    let ids = market.ledger.demands().map(|(id, _)| id).chain(market.departed.keys().copied());
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Drafts a batch from the attempt, or an empty one, and adds it if the rules allow.
fn try_batch(market: &mut Market, attempt: &Attempt) {
    let mut proposed = ProposedBatch::default();
    let record = |author, statement| market.record(author, statement);
    match attempt {
        Attempt::Transfer(to, amount) => {
            proposed.records = vec![record(&treasurer(), transfer(&miner(*to), micros(*amount)))];
        }
        Attempt::Cancel(index) => {
            let demand = market.demand(*index as usize);
            proposed.records =
                vec![record(&demander(u64::from(*index)), Statement::DemandCancellation { demand })];
        }
        Attempt::Demand(budget, fee, seconds) => {
            let expires_ms = market.next_time() + 1_000 * seconds;
            let statement = crate::market::demand_statement(units(*budget), units(*fee));
            let statement = DemandStatement { expires_ms, ..statement };
            proposed.records = vec![record(&treasurer(), Statement::Demand(statement))];
        }
        Attempt::Withdraw(index) => {
            proposed.records = vec![record(&provider_of(*index), Statement::OfferWithdrawal)];
        }
        Attempt::Offer(index, cost, capacity) => {
            let site = scenarios::Site::point(0, 1_000 * cost);
            // One operation, or both.
            let terms = &[(0, *cost, 5), (1, 2, 7)][..=usize::from(cost % 3 > 0)];
            let provider = crate::market::provider("p", site, terms, *capacity);
            proposed.records = vec![record(&provider_of(*index), offer(&provider))];
        }
        Attempt::Compose(miner, index, ids) => {
            let demands = known(market);
            proposed.miner = *miner;
            proposed.compositions = vec![(demands[index % demands.len()], providers(*ids))];
        }
        Attempt::Amend(miner, set) => {
            let demands = known(market);
            let named = set.iter().map(|(index, ids)| (demands[index % demands.len()], providers(*ids)));
            proposed.miner = *miner;
            proposed.amendments = vec![named.collect()];
        }
        Attempt::Reprice(near, dear) => {
            proposed.prices = Some(vec![micros(*near), units(0), micros(*dear + 1)]);
        }
        Attempt::Wait => {}
    }
    let records_stand = proposed.records.iter().all(|r| chain::check_record(market.network(), r).is_ok());
    if records_stand && market.draft(proposed.clone()).is_ok() {
        market.accept(proposed);
    }
}

/// Whether a batch breaks a rule, or loses an item, or claims of what it composes what its miner would have to.
fn is_true_or_dropped(market: &Market, batch: Batch) -> bool {
    let body = batch.contents.blocks[0].body.clone();
    let Ok(executed) = market.check(batch) else { return true };
    if executed.report().blocks.iter().any(|block| !block.dropped.is_empty()) {
        return true;
    }
    let serving = |composition: &Composition| (composition.demand, composition.slots.clone());
    let set = |amendment: &Amendment| {
        amendment.parts.iter().map(|part| serving(&part.composition)).collect::<Vec<_>>()
    };
    let truth = market.batch(ProposedBatch {
        prices: body.price_update.as_ref().map(|update| {
            let ids = market.ledger.supply().provider_ids();
            ids.map(|id| update.prices.of(Slot::single(id))).collect()
        }),
        compositions: body.compositions.iter().map(serving).collect(),
        amendments: body.amendments.iter().map(set).collect(),
        ..ProposedBatch::default()
    });
    let claims = |body: &Body| {
        let composed = body.composed().map(|composition| (composition.cost, composition.minutes));
        composed.collect::<Vec<_>>()
    };
    claims(&body) == claims(&truth.contents.blocks[0].body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn money_and_capacity_are_conserved_by_every_legal_batch(
        attempts in prop::collection::vec(attempt(), 1..60), freeze in 1..12_u64, dedicated in prop::bool::weighted(0.2),
    ) {
        let mut market = Market::open_with(|genesis| {
            if dedicated {
                genesis.parameters.allocation = Allocation::Dedicated;
                genesis.parameters.held_providers_max = Some(2);
            }
            genesis.parameters.freeze_after_ms = freeze * 1_000;
            genesis.parameters.relax_after_ms = 1_000;
            genesis.parameters.relax_over_ms = 2_000;
            genesis.parameters.account_min = units(2);
            genesis.parameters.offer_deposit = units(3);
            for balance in genesis.balances.values_mut() {
                *balance += units(10);
            }
        });
        let total = market.ledger.total_money();
        for attempt in &attempts {
            let before = [0, 1, 2].map(|id| market.ledger.usage(Slot::single(ProviderId(id))).total());
            let (parent, entries) = (market.ledger.clone(), market.ledger.state_entries());
            try_batch(&mut market, attempt);
            prop_assert_eq!(parent.state_entries(), entries, "a batch leaves its parent's state alone");
            prop_assert_eq!(market.ledger.total_money(), total);
            if let Some(batch) = market.batches.last() {
                let bytes = encode(batch);
                prop_assert_eq!(&decode::<Batch>(&bytes, bytes.len()).unwrap(), batch);
            }
            for (id, before) in (0..).map(ProviderId).zip(before) {
                // Nothing new beyond the capacity offered now; what stands may exceed a shrunken one.
                let used = market.ledger.usage(Slot::single(id)).total();
                let capacity = market.ledger.supply().capacity_of(Slot::single(id));
                prop_assert!(capacity.is_none_or(|capacity| used <= capacity.max(before)));
            }
            for id in market.ledger.supply().provider_ids() {
                let (locked, count) = (market.ledger.deposit(id), market.ledger.supply().provider(id).unwrap().offers.len().max(1));
                let stands = market.ledger.demands().any(|(_, entry)| {
                    entry.composition().is_some_and(|composition| composition.owed.contains_key(&id))
                });
                // Offers of genesis, and what is left of them when withdrawn, are free.
                let each = market.network().parameters().offer_deposit;
                let required = each.checked_mul(i64::try_from(count).unwrap()).unwrap();
                prop_assert!(locked == required || (stands && locked > required) || (locked == Money::ZERO && id.0 < 3));
            }
            for (_, entry) in market.ledger.demands() {
                prop_assert!(!entry.is_overdue(market.ledger.head().timestamp_ms));
                let owed = entry.composition().map_or(0, |composition| {
                    composition.owed.values().chain([&composition.transport]).map(|m| m.micros()).sum()
                });
                prop_assert!(entry.clearing.micros() >= owed);
                if let Some(standing) = entry.composition() {
                    prop_assert!(standing.price <= entry.demand.budget);
                    prop_assert!(standing.first_cost <= standing.price);
                    let surplus = entry.clearing.checked_sub(standing.cost).unwrap();
                    prop_assert!(surplus >= Money::ZERO);
                    let dues: Money = standing.dues.values().copied().sum();
                    prop_assert!(dues <= entry.solver_fee);
                }
            }
            for entry in market.departed.values() {
                prop_assert_eq!((entry.escrow, entry.clearing), (Money::ZERO, Money::ZERO));
                if let Some(settled) = entry.composition() {
                    let dues: Money = settled.dues.values().copied().sum();
                    prop_assert!(settled.price <= entry.demand.budget);
                    prop_assert!(settled.earned + dues <= entry.solver_fee);
                }
            }
            let (totals, live) = (market.ledger.demand_totals(), market.ledger.demands().count() as u64);
            let left = totals.settled + totals.cancelled + totals.expired;
            prop_assert_eq!(left, market.departed.len() as u64);
            prop_assert_eq!(totals.seen, live + left);
        }
    }

    #[test]
    fn no_demander_pays_more_than_the_price_and_the_fee(
        attempts in prop::collection::vec(attempt(), 1..40),
    ) {
        let mut market = Market::open_with(|genesis| {
            genesis.parameters.freeze_after_ms = 20_000;
            genesis.parameters.relax_after_ms = 0;
            genesis.parameters.relax_over_ms = 0;
        });
        for attempt in &attempts {
            try_batch(&mut market, attempt);
        }
        market.advance_to(70);
        for index in 0..3 {
            let live = market.ledger.demand(market.demand(index));
            let entry = live.unwrap_or_else(|| market.departed(index));
            let most = entry.composition().map_or(Money::ZERO, |standing| standing.price + entry.solver_fee);
            let had = entry.demand.budget + entry.solver_fee;
            prop_assert!(entry.is_open() || market.balance(&demander(index as u64)) >= had - most);
        }
    }

    #[test]
    fn an_amending_batch_with_any_part_of_its_body_changed_takes_whole_effect_only_if_its_claims_are_true(
        at in any::<prop::sample::Index>(), bit in 0..8_u8, makes_room in any::<bool>(),
    ) {
        let mut market = Market::open();
        market.advance_to(20);
        market.compose(&[(0, providers([0, 1])), (1, providers([0, 0]))]);
        let set = if makes_room {
            vec![(0, providers([1, 1])), (2, providers([0, 0]))]
        } else {
            vec![(0, providers([0, 0]))]
        };
        let mut batch = market.batch(market.amending(0, &[&set]));
        let mut bytes = encode(&batch.contents.blocks[0].body);
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(body) = decode::<Body>(&bytes, 10_000) {
            batch.contents.blocks[0].body = body;
            prop_assert!(is_true_or_dropped(&market, resign(batch, &miner(0))));
        }
    }

    #[test]
    fn a_batch_with_any_byte_changed_never_passes(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let market = Market::open();
        let batch = market.batch(market.composing(0, &[(0, providers([0, 0])), (1, providers([0, 0]))]));
        let mut bytes = encode(&batch);
        bytes[at.index(encode(&batch).len())] ^= 1 << bit;
        let passed = WellFormed::decode(market.network(), &bytes)
            .and_then(|batch| market.ledger.validate(batch));
        prop_assert!(passed.is_err());
    }

    #[test]
    fn a_batch_with_any_part_of_its_body_changed_takes_whole_effect_only_if_its_claims_are_true(
        at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let market = Market::open();
        let records = vec![market.record(&treasurer(), transfer(&miner(1), units(1)))];
        let compositions = vec![(market.demand(0), providers([0, 0])), (market.demand(1), providers([0, 0]))];
        let prices = Some(vec![micros(200_000)]);
        let mut batch = market.batch(ProposedBatch { miner: 0, records, prices, compositions, amendments: vec![] });
        let mut bytes = encode(&batch.contents.blocks[0].body);
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        if let Ok(body) = decode::<Body>(&bytes, 10_000) {
            batch.contents.blocks[0].body = body;
            prop_assert!(is_true_or_dropped(&market, resign(batch, &miner(0))));
        }
    }

    #[test]
    fn whatever_bytes_decode_are_canonical(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(record) = decode::<Record>(&bytes, 1_000) {
            prop_assert_eq!(encode(&record), bytes.clone());
        }
        if let Ok(batch) = decode::<Batch>(&bytes, 1_000) {
            prop_assert_eq!(encode(&batch), bytes);
        }
    }
}
