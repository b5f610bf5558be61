//! Robbery by prices: the share of their authors, cut fine, kept by the least gains, or earned by a market of one's own.

use anyhow::Result;
use chain::{Genesis, Record, Statement};
use scenarios::{DualPrices, Money, Offer, Slot};

use super::stage::{Role, Stage, Terms};
use super::{Ground, Outcome};

/// Into how many steps one is cut.
const SLICES: i64 = 50;

/// Prices that go so far towards those of the plan, in thousandths.
fn towards(ground: &Ground<'_>, thousandths: i64) -> DualPrices {
    let part = |(slot, price): (Slot, Money)| {
        let part = price.micros() / 1_000 * thousandths + price.micros() % 1_000 * thousandths / 1_000;
        (slot, Money::from_micros(part))
    };
    ground.prices.iter().map(part).collect()
}

/// What the robber gets of the authors' share if an honest author goes so far, in thousandths of the way, and it goes the rest in so many
/// steps, or as many of them as are taken. However many, they take as long.
fn share_in(ground: &Ground<'_>, law: fn(&mut Genesis), from: i64, steps: i64) -> Result<(Money, usize)> {
    let mut stage = Stage::open(ground.scenario, 0, law)?;
    stage.reprice(Role::Honest, &towards(ground, from))?;
    for _ in steps..SLICES {
        stage.pass_a_batch()?;
    }
    let mut done = 0;
    for step in 1..=steps {
        let prices = towards(ground, from + (1_000 - from) * step / steps);
        if stage.could_reprice(Role::Robber, &prices).is_ok() {
            stage.reprice(Role::Robber, &prices)?;
            done += 1;
        } else {
            stage.pass_a_batch()?;
        }
    }
    let before = stage.wealth(Role::Robber);
    let servings: Vec<_> =
        ground.plan.iter().map(|(index, way)| stage.serving(*index, way.clone())).collect();
    stage.compose(Role::Honest, &servings)?;
    Ok((stage.wealth(Role::Robber) - before, done))
}

/// The rest of the way in fifty steps instead of one: what that brings more.
fn sliced(ground: &Ground<'_>, law: fn(&mut Genesis), from: i64) -> Result<Outcome> {
    if !ground.has_prices() {
        return Ok(Outcome::default());
    }
    let (at_once, _) = share_in(ground, law, from, 1)?;
    let (sliced, done) = share_in(ground, law, from, SLICES)?;
    Ok(Outcome { taken: sliced - at_once, done, ..Outcome::default() })
}

/// Half of the way.
pub(super) fn fifty_slices(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    sliced(ground, law, 500)
}

/// The last fifth, where the least that raises the bound enough takes several steps.
pub(super) fn least_gains(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    sliced(ground, law, 800)
}

/// A provider and fifty customers of one's own, who could all do with its ten minutes: prices for these raise the bound; then the customers
/// are gone. What of the authors' share that takes.
pub(super) fn market_of_ones_own(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    if !ground.has_prices() {
        return Ok(Outcome::default());
    }
    let mut stage = Stage::open(ground.scenario, 2, law)?;
    stage.reprice(Role::Honest, &ground.prices)?;
    let demand = &ground.demands()[0];
    let operation = demand.orders[0];
    let terms = Terms {
        site: demand.site,
        operations: vec![operation],
        offer: Offer { cost: Money::ZERO, minutes: 10 },
        capacity: 10,
        deposit: Money::ZERO,
    };
    let cronies = [Role::Crony(0), Role::Crony(1)];
    let wealth = |stage: &Stage| cronies.into_iter().map(|role| stage.wealth(role)).sum::<Money>();
    let before = wealth(&stage);
    let offer = stage.offer(Role::Crony(0), &terms);
    stage.bring(vec![offer])?;
    stage.wait_for_notice()?;
    let cost = |provider: &scenarios::Provider| provider.offers.get(&operation).map(|offer| offer.cost);
    let genesis = &ground.scenario.instance.supply.providers;
    let cheapest = genesis.iter().filter_map(cost).min().unwrap_or(Money::ZERO);
    let budget = cheapest.max(stage.parameters().min_budget);
    let records: Vec<Record> = (0..50)
        .map(|index| stage.record(Role::Crony(1), index, stage.demand(demand.site, vec![operation], budget)))
        .collect();
    let ids: Vec<_> = records.iter().map(Record::id).collect();
    let (played, _) = stage.bring_admissible(&records)?;
    let mut prices = ground.prices.clone();
    let Some(id) = stage.ledger.provider_id(Role::Crony(0).key().public().address()) else {
        return Ok(Outcome::default());
    };
    prices.set(Slot::single(id), Money::from_micros(budget.micros() / 10));
    let rule = stage.could_reprice(Role::Robber, &prices).err().map(|why| why.rule().to_owned());
    if rule.is_none() {
        stage.reprice(Role::Robber, &prices)?;
    }
    let cancel = |index: usize| Statement::DemandCancellation { demand: ids[index] };
    let cancellations: Vec<Record> =
        (0..ids.len()).map(|index| stage.record(Role::Crony(1), index as u64, cancel(index))).collect();
    stage.bring_admissible(&cancellations)?;
    stage.wait_for_notice()?;
    let burned = before - wealth(&stage);
    let earlier = stage.wealth(Role::Robber);
    let servings: Vec<_> =
        ground.plan.iter().map(|(index, way)| stage.serving(*index, way.clone())).collect();
    stage.compose(Role::Honest, &servings)?;
    Ok(Outcome {
        taken: stage.wealth(Role::Robber) - earlier,
        burned,
        rule,
        done: played,
        ..Outcome::default()
    })
}
