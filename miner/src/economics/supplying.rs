//! Robbery by what is offered: minutes that nobody can have, terms taken back, places taken from others, more than can be checked.

use anyhow::Result;
use chain::validate::Serving;
use chain::{Genesis, Record, Statement};
use scenarios::{Money, Offer, ProviderId};

use super::stage::{Role, Stage, Terms};
use super::{Ground, Outcome};

/// More accounts than any flood needs that is stopped.
pub(super) const FLOOD: u64 = 600;

fn for_nothing(ground: &Ground<'_>, minutes: i64, capacity: i64) -> Terms {
    Terms {
        site: ground.demands()[0].site,
        operations: ground.operations(),
        offer: Offer { cost: Money::ZERO, minutes },
        capacity,
        deposit: Money::ZERO,
    }
}

fn plan(ground: &Ground<'_>, stage: &Stage) -> Vec<Serving> {
    ground.plan.iter().map(|(index, way)| stage.serving(*index, way.clone())).collect()
}

/// One offer of everything for nothing, with time for so many orders, beside which the plan is composed: what its miner earns less.
fn beside_a_cheap_offer(ground: &Ground<'_>, law: fn(&mut Genesis), capacity: i64) -> Result<Outcome> {
    let mut stage = Stage::open(ground.scenario, 1, law)?;
    if ground.has_prices() {
        stage.reprice(Role::Honest, &ground.prices)?;
    }
    let before = stage.wealth(Role::Crony(0));
    let offer = stage.offer(Role::Crony(0), &for_nothing(ground, 1, capacity));
    stage.bring(vec![offer])?;
    let burned = before - stage.wealth(Role::Crony(0));
    stage.wait_for_notice()?;
    let servings = plan(ground, &stage);
    let (done, earned) = stage.compose(Role::Honest, &servings)?;
    let locked = stage
        .ledger
        .provider_id(Role::Crony(0).key().public().address())
        .map_or(Money::ZERO, |id| stage.ledger.deposit(id));
    let taken = ground.fees - earned;
    Ok(Outcome { taken, burned, locked, rule: None, done })
}

pub(super) fn one_minute(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    beside_a_cheap_offer(ground, law, 1)
}

pub(super) fn room_for_four(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    beside_a_cheap_offer(ground, law, 4)
}

/// The provider that the plan uses most withdraws once it sees the block that uses it: what its miner earns less.
pub(super) fn illness(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let mut uses: Vec<(usize, ProviderId)> = ground
        .scenario
        .instance
        .supply
        .provider_ids()
        .map(|id| {
            (ground.plan.iter().filter(|(_, way)| way.iter().any(|slot| slot.provider == id)).count(), id)
        })
        .collect();
    uses.sort();
    let Some((_, ill)) = uses.pop() else { return Ok(Outcome::default()) };
    beside_a_change(ground, law, |stage| stage.record(Role::Provider(ill), 0, Statement::OfferWithdrawal))
}

/// The first customer cancels once it sees the block that composes its demand: what its miner earns less.
pub(super) fn cancellation(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let Some(first) = ground.plan.first().map(|(index, _)| *index) else { return Ok(Outcome::default()) };
    beside_a_change(ground, law, |stage| {
        let demand = stage.demands[first];
        stage.record(Role::Customer(first), 0, Statement::DemandCancellation { demand })
    })
}

fn beside_a_change(
    ground: &Ground<'_>,
    law: fn(&mut Genesis),
    change: impl FnOnce(&Stage) -> Record,
) -> Result<Outcome> {
    let mut stage = Stage::open(ground.scenario, 0, law)?;
    if ground.has_prices() {
        stage.reprice(Role::Honest, &ground.prices)?;
    }
    let block = stage.draft(Role::Honest, plan(ground, &stage), Vec::new())?;
    let record = change(&stage);
    let (_, refused) = stage.bring_admissible(&[record])?;
    let report = stage.bring_block(block)?;
    let dropped =
        report.blocks.iter().flat_map(|block| &block.dropped).next().map(|dropped| dropped.rule.clone());
    let taken = ground.fees - (report.reward + report.price_share);
    Ok(Outcome { taken, rule: refused.or(dropped), done: report.compositions as usize, ..Outcome::default() })
}

/// Offers of the first demand's first operation, each with a deposit a cent above the least, as many as there may be: the budgets of those
/// whom nobody else can serve any more.
pub(super) fn pushing_out(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let operation = ground.demands()[0].orders[0];
    let honest = ground.scenario.instance.supply.providers.iter();
    let count = honest.filter(|provider| provider.offers.contains_key(&operation)).count();
    let mut stage = Stage::open(ground.scenario, count as u64, |genesis| {
        law(genesis);
        genesis.parameters.limits.offers_per_operation = u32::try_from(count).unwrap_or(u32::MAX);
    })?;
    let cent = Money::from_micros(10_000);
    let terms = Terms {
        operations: vec![operation],
        deposit: stage.parameters().offer_deposit + cent,
        ..for_nothing(ground, 1, 1)
    };
    let cronies = (0..count as u64).map(Role::Crony);
    let before: Money = cronies.clone().map(|role| stage.wealth(role)).sum();
    let records: Vec<Record> = cronies.clone().map(|role| stage.offer(role, &terms)).collect();
    let (played, rule) = stage.bring_admissible(&records)?;
    stage.wait_for_notice()?;
    let genesis = ground.scenario.instance.supply.providers.len();
    let left =
        stage.ledger.supply().providers.iter().take(genesis).any(|one| one.offers.contains_key(&operation));
    let needing = ground.demands().iter().filter(|demand| demand.orders.contains(&operation));
    let taken = if left { Money::ZERO } else { needing.map(|demand| demand.budget).sum() };
    let burned = before - cronies.map(|role| stage.wealth(role)).sum();
    Ok(Outcome { taken, burned, rule, done: played, ..Outcome::default() })
}

/// A market that a batch has time to pass over sixteen times is flooded with free offers: what nobody earns any more, if
/// prices cannot be updated or nothing be composed.
pub(super) fn free_offers(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    flooded(ground, law, |stage| {
        (0..FLOOD).map(|index| stage.offer(Role::Crony(index), &for_nothing(ground, 1, 1))).collect()
    })
}

/// The same with demands of a dollar for each order that nobody can serve.
pub(super) fn dust_demands(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    flooded(ground, law, |stage| {
        let longest =
            ground.demands().iter().max_by_key(|demand| demand.orders.len()).expect("a market with demands");
        let orders = i64::try_from(longest.orders.len()).unwrap_or(1);
        let budget = stage.parameters().min_budget.checked_mul(orders).unwrap_or(longest.budget);
        let dust = || stage.demand(longest.site, longest.orders.clone(), budget);
        (0..FLOOD * 4).map(|index| stage.record(Role::Crony(index % FLOOD), index / FLOOD, dust())).collect()
    })
}

fn flooded(
    ground: &Ground<'_>,
    law: fn(&mut Genesis),
    records: impl FnOnce(&Stage) -> Vec<Record>,
) -> Result<Outcome> {
    let pass = ground.pass_work();
    let mut stage = Stage::open(ground.scenario, FLOOD, |genesis| {
        let limits = &mut genesis.parameters.limits;
        (limits.verification_work, limits.market_work) = (pass * 16, pass * 2);
        law(genesis);
    })?;
    let all = || (0..FLOOD).map(Role::Crony);
    let before: Money = all().map(|role| stage.wealth(role)).sum();
    let (mut played, mut rule) = (0, None);
    let records = records(&stage);
    for some in records.chunks(1_000) {
        let (kept, refused) = stage.bring_admissible(some)?;
        played += kept;
        rule = rule.or(refused);
    }
    stage.wait_for_notice()?;
    let address = |role: Role| role.key().public().address();
    let locked: Money = all()
        .filter_map(|role| stage.ledger.provider_id(address(role)))
        .map(|id| stage.ledger.deposit(id))
        .chain(
            stage
                .ledger
                .demands()
                .map(|(_, entry)| entry)
                .filter(|entry| entry.demand.name == "robber's")
                .map(|entry| entry.escrow),
        )
        .sum();
    let after: Money = all().map(|role| stage.ledger.balance(address(role))).sum();
    let burned = before - after - locked;
    // What prices would gain is another question: whether there is time to find out.
    // A price update takes two passes over the market.
    let oracle = stage.ledger.supply().oracle();
    let pass: u64 = stage.ledger.demands().map(|(_, entry)| oracle.work(&entry.demand)).sum();
    let has_time = pass * 2 <= stage.parameters().limits.verification_work;
    drop(oracle);
    let servings = plan(ground, &stage);
    let (composed, _) = stage.compose(Role::Honest, &servings)?;
    let taken = if has_time && composed > 0 { Money::ZERO } else { ground.fees };
    let rule = rule.or_else(|| (!has_time).then(|| "verification-work".to_owned()));
    Ok(Outcome { taken, burned, locked, rule, done: played })
}
