//! Chains of whatever people may do, in any order: the independent program follows them.

use chain::genesis::scenario::{demander_key, provider_key};
use chain::record::{DemandStatement, OfferStatement};
use chain::schedule::Measure;
use chain::{DemandId, Draft, Genesis, Record, SecretKey, Statement};
use proptest::prelude::*;
use proptest::sample::Index;
use scenarios::parameters::Allocation;
use scenarios::{
    Calendar, DualPrices, Horizon, Money, Offer, OperationId, Period, ProviderId, Site, Slot, TimeWindow,
};

use super::export::assert_stands;
use super::growing::{Growing, Next, RNG_SEED, key};
use super::markets::{demand_records, open_market_genesis, treasurer};

/// What somebody tries to do in the next batch.
#[derive(Clone, Debug)]
enum Attempt {
    Transfer(Index, i64),
    Demand(Vec<u16>, i64, i64),
    Cancel(Index),
    Offer(Index, i64, Option<i64>),
    Withdraw(Index),
    Cheapest(usize, i64),
    Compose(Index, Vec<Index>),
    Amend(Vec<(Index, Vec<Index>)>),
    BetterPrices,
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let index = any::<Index>;
    let choice = || prop::collection::vec(any::<Index>(), 4);
    prop_oneof![
        1 => (index(), 1..90_000_000_i64).prop_map(|(to, amount)| Attempt::Transfer(to, amount)),
        1 => (prop::collection::vec(0..3_u16, 1..4), 1..90_000_000_i64, 0..3_000_000_i64)
            .prop_map(|(orders, budget, fee)| Attempt::Demand(orders, budget, fee)),
        1 => index().prop_map(Attempt::Cancel),
        1 => (index(), 0..20_i64, prop::option::of(0..90_i64)).prop_map(|(who, cost, left)| Attempt::Offer(who, cost, left)),
        1 => index().prop_map(Attempt::Withdraw),
        1 => (1..4_usize, 1..900_i64).prop_map(|(most, worst)| Attempt::Cheapest(most, worst)),
        2 => (index(), choice()).prop_map(|(demand, providers)| Attempt::Compose(demand, providers)),
        8 => prop::collection::vec((index(), choice()), 1..4).prop_map(Attempt::Amend),
        1 => Just(Attempt::BetterPrices),
    ]
}

fn genesis(
    freeze: u64,
    relax_over: u64,
    halt_after: u64,
    dedicated: bool,
    by_cost: bool,
    amender_share: u64,
) -> Genesis {
    let (mut genesis, _) = open_market_genesis();
    genesis.providers[0].provider.capacity = Some(80.into());
    // Enough for an account and two operations.
    genesis.balances.insert(key("newcomer", 3).public().address(), Money::from_units(3));
    let parameters = &mut genesis.parameters;
    // Batches come two seconds apart: what is stated is so at once, with the next batch, or some batches later.
    parameters.notice_ms = (amender_share / 3 % 3) * 3_000;
    // There is room for everybody, or for hardly anybody, who then does not keep it for long, or for little work.
    parameters.minute_deposit = Money::from_micros((amender_share % 2).cast_signed() * 10);
    parameters.limits.offers_per_operation = 3 + u32::try_from(amender_share % 5).expect("below five");
    parameters.idle_after_ms = amender_share % 7 * 2_000;
    if amender_share % 11 < 3 {
        parameters.limits.market_work = 161 + amender_share % 13 * 10;
    }
    // Anything goes, or most, or only what is near the best of what is left.
    parameters.near_best_ppm = match amender_share % 3 {
        0 => 1_000_000_000,
        1 => 300_000,
        _ => 20_000,
    };
    // Batches come two seconds apart.
    parameters.freeze_after_ms = freeze * 2_000;
    parameters.relax_over_ms = relax_over * 2_000;
    parameters.halt_after_ms = halt_after;
    parameters.amender_share_ppm = amender_share;
    parameters.min_saving_ppm = 0;
    parameters.min_reward_ppm = 1;
    parameters.limits.market_demands = 9;
    parameters.schedule.measure = if by_cost {
        Measure::Paper { reference_margin_ppm: 50_000, full_at_ppm: 400_000, block_orders_min: 10 }
    } else {
        Measure::Certified { gap_full_ppm: 100_000, gap_max_ppm: 9_000_000 }
    };
    // Some markets have a calendar, whose periods are over after a few batches.
    if !by_cost && !dedicated && amender_share % 5 < 2 {
        parameters.period_ms = 3_000 + amender_share % 7 * 1_000;
        parameters.frozen_zone_ms = amender_share % 3 * 1_500;
        genesis.calendar_start_ms = genesis.timestamp_ms + amender_share % 4 * 2_000;
        let periods = 1 + u32::try_from(amender_share / 7 % 4).expect("below four");
        let period_minutes = Some(20 + (amender_share % 60).cast_signed());
        genesis.horizon = Horizon { first: Period::ZERO, periods, period_minutes };
        parameters.limits.market_work *= u64::from(periods);
    }
    if dedicated {
        parameters.allocation = Allocation::Dedicated;
        genesis.miners = 2;
    }
    genesis
}

/// Provider of genesis or newcomer.
fn offerer(index: Index) -> SecretKey {
    match index.index(5) {
        number @ 0..3 => provider_key(RNG_SEED, number as u64),
        number => key("newcomer", number as u64),
    }
}

fn statement(market: &Growing, attempt: &Attempt) -> Option<(SecretKey, Statement)> {
    Some(match attempt {
        Attempt::Transfer(to, amount) => {
            let to = key("miner", to.index(3) as u64).public().address();
            (treasurer(), Statement::Transfer { to, amount: Money::from_micros(*amount) })
        }
        Attempt::Demand(orders, budget, fee) => {
            let statement = DemandStatement {
                name: "another".into(),
                site: Site::point(5, *budget % 977),
                orders: orders.iter().copied().map(OperationId).collect(),
                budget: Money::from_micros(*budget),
                solver_fee: Money::from_micros(*fee),
                expires_ms: market.ledger.head().timestamp_ms + 2_000 + (*budget).cast_unsigned() % 5 * 4_000,
                window: window(market, *budget),
            };
            (treasurer(), Statement::Demand(statement))
        }
        Attempt::Cancel(index) => {
            let (demand, entry) = named(market, *index)?;
            let owners = (0..7).map(|number| demander_key(RNG_SEED, number)).chain([treasurer()]);
            let owner = owners.into_iter().find(|owner| owner.public().address() == entry)?;
            (owner, Statement::DemandCancellation { demand })
        }
        Attempt::Offer(who, cost, capacity) => {
            let offer = |minutes| Offer { cost: Money::from_units(*cost), minutes };
            // One to three operations.
            let terms = [(0, 3), (1, 0), (2, 9)]
                .into_iter()
                .take(1 + usize::try_from(cost % 3).expect("below three"));
            let offers = terms.map(|(number, minutes)| (OperationId(number), offer(minutes))).collect();
            let (name, site, capacity) = ("other".into(), Site::point(*cost * 70, -40), *capacity);
            // The least, or more.
            let deposit = market.ledger.network().parameters().offer_deposit + Money::from_micros(cost % 3);
            let offer = OfferStatement {
                name,
                site,
                offers,
                capacity: capacity.map(|minutes| calendar(market, minutes, *cost)),
                deposit,
            };
            (offerer(*who), Statement::Offer(offer))
        }
        Attempt::Withdraw(who) => (offerer(*who), Statement::OfferWithdrawal),
        Attempt::Cheapest(..) | Attempt::Compose(..) | Attempt::Amend(_) | Attempt::BetterPrices => {
            return None;
        }
    })
}

/// A demand of the market and its author.
fn named(market: &Growing, index: Index) -> Option<(DemandId, chain::Address)> {
    let demands: Vec<_> = market.ledger.demands().map(|(id, entry)| (id, entry.author)).collect();
    (!demands.is_empty()).then(|| *index.get(&demands))
}

/// The demand with some provider for each of its orders.
fn composed(market: &Growing, index: Index, choices: &[Index]) -> Option<(DemandId, Vec<Slot>)> {
    let (id, _) = named(market, index)?;
    let (count, orders) = (market.ledger.supply().providers.len(), market.demand(id).demand.orders.len());
    let horizon = market.ledger.supply().horizon;
    let choices = || choices.iter().cycle().take(orders);
    let mut periods: Vec<usize> = choices().map(|choice| choice.index(3 * horizon.len()) / 3).collect();
    // Hardly ever the other way round, which is refused.
    if !index.index(9).is_multiple_of(9) {
        periods.sort_unstable();
    }
    let slots = choices().zip(periods).map(|(choice, offset)| Slot {
        provider: ProviderId::from_index(choice.index(count)),
        period: horizon.first.plus(u32::try_from(offset).expect("a few periods")),
    });
    Some((id, slots.collect()))
}

/// Where there is a calendar, some demands want to be served soon, or not yet.
fn window(market: &Growing, number: i64) -> TimeWindow {
    let horizon = market.ledger.supply().horizon;
    let number = u32::try_from(number % 1_000).expect("small");
    if horizon.period_minutes.is_none() || number.is_multiple_of(3) {
        return TimeWindow::ANY;
    }
    let release = horizon.first.plus(number % 4);
    TimeWindow { release, due: release.plus(number / 4 % 3) }
}

/// Where there is a calendar, minutes differ between periods, and once by exception.
fn calendar(market: &Growing, minutes: i64, number: i64) -> Calendar {
    let horizon = market.ledger.supply().horizon;
    if horizon.period_minutes.is_none() {
        return minutes.into();
    }
    let pattern = [minutes, minutes / 2, 0, minutes + number];
    let pattern = pattern[..=usize::try_from(number % 4).expect("below four")].to_vec();
    Calendar::new(pattern, [(horizon.first.plus(2), number)].into())
}

fn stands(market: &Growing, next: &Next) -> bool {
    let next = next.clone();
    let draft = Draft {
        miner: key("miner", next.miner).public(),
        timestamp_ms: market.ledger.head().timestamp_ms + 2_000,
        records: next.records,
        prices: next.prices,
        compositions: next.compositions,
        amendments: next.amendments,
    };
    market.ledger.draft(draft).is_ok()
}

/// As much of what is tried as the rules let pass, thing by thing.
fn tried(market: &Growing, miner: u64, attempts: &[Attempt]) -> Option<Next> {
    let mut next = Next { miner, ..Next::default() };
    for attempt in attempts {
        let mut more = next.clone();
        match attempt {
            Attempt::Cheapest(most, worst) => more.compositions.extend(market.cheapest(miner, *most, *worst)),
            Attempt::Compose(demand, choices) => more.compositions.extend(composed(market, *demand, choices)),
            Attempt::Amend(set) => {
                let parts = set.iter().filter_map(|(demand, choices)| composed(market, *demand, choices));
                more.amendments.push(parts.collect());
            }
            Attempt::BetterPrices => more.prices = Some(market.better_prices()),
            said @ (Attempt::Transfer(..)
            | Attempt::Demand(..)
            | Attempt::Cancel(_)
            | Attempt::Offer(..)
            | Attempt::Withdraw(_)) => {
                let Some((author, statement)) = statement(market, said) else { continue };
                let earlier = more.records.iter().filter(|record| record.content.author == author.public());
                let record: Record = market.record(&author, earlier.count() as u64, statement);
                if chain::check_record(market.network(), &record).is_err() {
                    continue;
                }
                more.records.push(record);
            }
        }
        if more.prices == Some(DualPrices::zero()) || !stands(market, &more) {
            continue;
        }
        next = more;
    }
    stands(market, &next).then_some(next)
}

/// Adds a batch of what several miners try, each without knowing of the others: the records are the first one's.
fn try_together(market: &mut Growing, tries: &[(u64, Vec<Attempt>)]) {
    let nexts: Vec<Next> =
        tries.iter().filter_map(|(miner, attempts)| tried(market, *miner, attempts)).collect();
    let records = nexts.first().map(|next| next.records.clone()).unwrap_or_default();
    let alone = nexts.into_iter().map(|next| Next { records: Vec::new(), ..next });
    let blocks =
        alone.filter(|next| stands(market, next)).flat_map(|next| market.draft(next).contents.blocks);
    let blocks = blocks.collect();
    market.add_blocks(records, blocks);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_people_do_the_independent_program_finds_the_same_state(
        batches in prop::collection::vec((0..3_u64, prop::collection::vec(attempt(), 0..5)), 1..40),
        freeze in 1..30_u64, relax_over in 0..3_u64,
        halt_after in prop::sample::select(vec![700_u64, 2_000, 30_000]), dedicated in prop::bool::weighted(0.2), by_cost: bool,
        amender_share in prop::sample::select(vec![0_u64, 99_999, 1_000_000]),
    ) {
        let mut market = Growing::from(genesis(freeze, relax_over, halt_after, dedicated, by_cost, amender_share));
        let records = demand_records(&market, &open_market_genesis().1);
        market.add_records(records);
        for (miner, attempts) in &batches {
            if let Some(next) = tried(&market, *miner, attempts) {
                market.add(next);
            }
        }
        assert_stands(&market);
    }

    #[test]
    fn whatever_several_miners_bring_at_once_the_independent_program_finds_the_same_state(
        batches in prop::collection::vec(prop::collection::vec((0..3_u64, prop::collection::vec(attempt(), 0..5)), 1..4), 1..20),
        freeze in 1..30_u64, dedicated in prop::bool::weighted(0.2), by_cost in prop::bool::weighted(0.3),
    ) {
        let mut market = Growing::from(genesis(freeze, 0, 30_000, dedicated, by_cost, 99_999));
        let records = demand_records(&market, &open_market_genesis().1);
        market.add_records(records);
        for tries in &batches {
            try_together(&mut market, tries);
        }
        assert_stands(&market);
    }
}
