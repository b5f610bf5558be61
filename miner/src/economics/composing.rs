//! Robbery by what is composed: with friends at a price, badly and then better, on the slack.

use anyhow::Result;
use chain::Genesis;
use chain::ledger::DemandEntry;
use chain::validate::Serving;
use scenarios::{DualPrices, Money, Offer, Oracle, Slot};

use super::stage::{Role, Stage, Terms};
use super::{Ground, Outcome};

/// A provider of everything, where the first customer is, at this price for each order, with time for all of them.
fn all_rounder(ground: &Ground<'_>, ask: Money) -> Terms {
    let orders: usize = ground.demands().iter().map(|demand| demand.orders.len()).sum();
    Terms {
        site: ground.demands()[0].site,
        operations: ground.operations(),
        offer: Offer { cost: ask, minutes: 1 },
        capacity: i64::try_from(orders).unwrap_or(i64::MAX),
        deposit: Money::ZERO,
    }
}

/// Everything is composed with a crony that asks nine tenths of the smallest budget per order, after all has relaxed: what is paid
/// above what the plan costs.
pub(super) fn crony_after_waiting(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let per_order =
        |(budget, orders): (Money, usize)| budget.micros() / i64::try_from(orders).unwrap_or(1).max(1);
    let demands = ground.demands().iter();
    let ask = demands.map(|demand| per_order((demand.budget, demand.orders.len()))).min().unwrap_or(0);
    let ask = Money::from_micros(ask / 10 * 9).min(scenarios::limits::OFFER_COST);
    let everybody: Vec<usize> = (0..ground.demands().len()).collect();
    with_crony(ground, law, ask, &everybody)
}

/// The crony asks what takes most of what a composition may cost above the best (a tenth of a per cent is left for rounding): of the demands that it then serves above their
/// plan's cost, what they pay above it.
pub(super) fn crony_on_the_slack(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let slack_ppm = ground.scenario.network.near_best_ppm;
    let asks = ground.costs.iter().zip(ground.demands()).filter_map(|(cost, demand)| {
        let with_slack = (*cost)?.checked_ppm(999_000 + slack_ppm)?;
        Some(Money::from_micros(with_slack.micros() / i64::try_from(demand.orders.len()).ok()?))
    });
    let skimmed = |ask: Money| {
        let those =
            ground.costs.iter().zip(ground.demands()).enumerate().filter_map(|(index, (cost, demand))| {
                let (cost, paid) = ((*cost)?, ask.checked_mul(i64::try_from(demand.orders.len()).ok()?)?);
                (paid > cost && paid <= cost.checked_ppm(1_000_000 + slack_ppm)?)
                    .then(|| (index, (paid - cost).micros()))
            });
        those.collect::<Vec<(usize, i64)>>()
    };
    let of = |ask: Money| skimmed(ask).iter().map(|(_, gain)| gain).sum::<i64>();
    let Some(ask) = asks.max_by_key(|&ask| of(ask)) else { return Ok(Outcome::default()) };
    let chosen: Vec<usize> = skimmed(ask).into_iter().map(|(index, _)| index).collect();
    with_crony(ground, law, ask, &chosen)
}

/// These demands are composed with a crony that asks so much an order.
fn with_crony(ground: &Ground<'_>, law: fn(&mut Genesis), ask: Money, chosen: &[usize]) -> Result<Outcome> {
    let mut stage = Stage::open(ground.scenario, 1, law)?;
    if ground.has_prices() {
        stage.reprice(Role::Honest, &ground.prices)?;
    }
    let (offer, before) =
        (stage.offer(Role::Crony(0), &all_rounder(ground, ask)), stage.wealth(Role::Crony(0)));
    stage.bring(vec![offer])?;
    let burned = before - stage.wealth(Role::Crony(0));
    stage.wait_for_notice()?;
    stage.wait_until_relaxed()?;
    let Some(crony) = stage.ledger.provider_id(Role::Crony(0).key().public().address()) else {
        return Ok(Outcome::default());
    };
    let locked = stage.ledger.deposit(crony);
    let servings: Vec<Serving> = chosen
        .iter()
        .map(|&index| stage.serving(index, vec![Slot::single(crony); ground.demands()[index].orders.len()]))
        .collect();
    let (_, rule) = stage.compose_exactly(Role::Robber, &servings)?;
    let taken = chosen.iter().filter_map(|&index| {
        let paid = stage.ledger.demand(stage.demands[index])?.composition()?.cost;
        Some(paid - ground.costs[index]?)
    });
    Ok(Outcome { taken: taken.sum(), burned, locked, rule: rule.map(ToOwned::to_owned), done: chosen.len() })
}

/// Each demand is composed as badly as may be, avoiding one of its plan's providers, and amended under another key at once: what both
/// get above what composing well earns.
pub(super) fn badly_then_better(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let mut stage = Stage::open(ground.scenario, 0, law)?;
    if ground.has_prices() {
        stage.reprice(Role::Honest, &ground.prices)?;
    }
    let robbers = [Role::Robber, Role::Accomplice];
    let wealth = |stage: &Stage| robbers.into_iter().map(|role| stage.wealth(role)).sum::<Money>();
    let before = wealth(&stage);
    let oracle = stage.ledger.supply().oracle();
    let mut worse: Vec<(usize, Vec<Slot>)> = Vec::new();
    for (index, slots) in &ground.plan {
        let demand = &ground.demands()[*index];
        let avoiding =
            |avoided: Slot| oracle.cheapest_among(demand, &ground.prices, |slot, _| slot != avoided);
        let dearest =
            slots.iter().filter_map(|&avoided| avoiding(avoided)).max_by_key(|found| found.priced_cost);
        worse.extend(dearest.map(|found| (*index, found.slots)));
    }
    drop(oracle);
    let mut best = ground.plan.clone();
    best.retain(|(index, _)| worse.iter().any(|(other, _)| other == index));
    let servings: Vec<Serving> =
        worse.iter().map(|(index, way)| stage.serving(*index, way.clone())).collect();
    let (bad, rule) = stage.compose_exactly(Role::Robber, &servings)?;
    let sets: Vec<Vec<Serving>> =
        best.iter().map(|(index, way)| vec![stage.serving(*index, way.clone())]).collect();
    stage.amend(Role::Accomplice, &sets)?;
    let mut composed = 0_usize;
    let mut well = Money::ZERO;
    for (index, _) in &ground.plan {
        if stage.ledger.demand(stage.demands[*index]).is_some_and(|entry| !entry.is_open()) {
            composed += 1;
            well += ground.earned[*index];
        }
    }
    stage.settle()?;
    let got = wealth(&stage) - before;
    let taken = if bad.compositions == 0 { Money::ZERO } else { got - well };
    Ok(Outcome { taken, rule: rule.map(ToOwned::to_owned), done: composed, ..Outcome::default() })
}

/// Somebody whose budget is a tenth above the cheapest way's cost, with its minutes at the prices, beside somebody who allows ten times
/// that: what the first saves of the second's fee.
pub(super) fn a_tight_budget(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    let Some((index, way)) = ground.plan.first() else { return Ok(Outcome::default()) };
    let (demand, Some(cost)) = (&ground.demands()[*index], ground.costs[*index]) else {
        return Ok(Outcome::default());
    };
    let charges = way.iter().zip(&demand.orders).filter_map(|(&slot, operation)| {
        let offer = ground.scenario.instance.supply.provider(slot.provider)?.offers.get(operation)?;
        Some(ground.prices.charge(slot, offer.minutes))
    });
    let cost = cost + charges.sum();
    let mut fees = Vec::new();
    for budget in
        [cost.checked_ppm(1_100_000).unwrap_or(cost), demand.budget.max(cost.checked_mul(10).unwrap_or(cost))]
    {
        let mut stage = Stage::open(ground.scenario, 1, law)?;
        if ground.has_prices() {
            stage.reprice(Role::Honest, &ground.prices)?;
        }
        let wanted = stage.demand(demand.site, demand.orders.clone(), budget);
        let record = stage.record(Role::Crony(0), 0, wanted);
        let id = record.id();
        stage.bring(vec![record])?;
        let (report, rule) = stage.compose_exactly(Role::Robber, &[(id, way.clone())])?;
        if let Some(rule) = rule {
            return Ok(Outcome { rule: Some(rule.to_owned()), ..Outcome::default() });
        }
        fees.push(report.fees);
    }
    Ok(Outcome { taken: fees[1] - fees[0], done: 1, ..Outcome::default() })
}

/// The robber is the first to update prices, to as many times the plan's as still raise the bound, and composes with a crony that asks what its
/// orders cost elsewhere at these; others put prices right and amend. What is paid in the end above what the demands cost with their minutes at
/// good prices.
pub(super) fn crony_at_own_prices(ground: &Ground<'_>, law: fn(&mut Genesis)) -> Result<Outcome> {
    if !ground.has_prices() {
        return Ok(Outcome::default());
    }
    let mut stage = Stage::open(ground.scenario, 1, law)?;
    let times = |tenths: i64| {
        let dearer = |(slot, price): (Slot, Money)| (slot, Money::from_micros(price.micros() / 10 * tenths));
        ground.prices.iter().map(dearer).collect::<DualPrices>()
    };
    let accepted =
        (10..=50).rev().map(times).find(|prices| stage.could_reprice(Role::Robber, prices).is_ok());
    let Some(prices) = accepted else { return Ok(Outcome::default()) };
    let oracle = Oracle::new(&ground.scenario.instance.supply);
    let cheapest = |index: usize, prices: &DualPrices| {
        oracle.cheapest(&ground.demands()[index], prices).map(|found| found.priced_cost)
    };
    let everybody: Vec<(usize, i64, Money, Money)> = (0..ground.demands().len())
        .filter_map(|index| {
            let orders = i64::try_from(ground.demands()[index].orders.len()).ok()?;
            Some((index, orders, cheapest(index, &prices)?, cheapest(index, &ground.prices)?))
        })
        .collect();
    let gained = |ask: Money| {
        let those = everybody.iter().filter_map(move |&(index, orders, most, fair)| {
            let paid = ask.checked_mul(orders)?;
            (paid <= most && paid > fair).then(|| (index, paid - fair))
        });
        those.collect::<Vec<(usize, Money)>>()
    };
    let asks =
        everybody.iter().map(|&(_, orders, most, _)| Money::from_micros(most.micros() / orders.max(1)));
    let Some(ask) = asks.max_by_key(|&ask| gained(ask).into_iter().map(|(_, more)| more).sum::<Money>())
    else {
        return Ok(Outcome::default());
    };
    stage.reprice(Role::Robber, &prices)?;
    let offer = stage.offer(Role::Crony(0), &all_rounder(ground, ask));
    stage.bring(vec![offer])?;
    stage.wait_for_notice()?;
    let Some(crony) = stage.ledger.provider_id(Role::Crony(0).key().public().address()) else {
        return Ok(Outcome::default());
    };
    let chosen = gained(ask);
    let servings: Vec<Serving> = chosen
        .iter()
        .map(|&(index, _)| {
            stage.serving(index, vec![Slot::single(crony); ground.demands()[index].orders.len()])
        })
        .collect();
    let (report, rule) = stage.compose_exactly(Role::Robber, &servings)?;
    // Others put the prices right, and amend what that shows to be dear, as miners do until compositions freeze.
    if stage.could_reprice(Role::Honest, &ground.prices).is_ok() {
        stage.reprice(Role::Honest, &ground.prices)?;
    }
    let is_chosen = |index: &usize| chosen.iter().any(|(other, _)| other == index);
    let better = ground.plan.iter().filter(|(index, _)| is_chosen(index));
    let sets: Vec<Vec<Serving>> =
        better.map(|(index, way)| vec![stage.serving(*index, way.clone())]).collect();
    stage.amend(Role::Honest, &sets)?;
    let is_cronys = |index: &usize| {
        let entry = stage.ledger.demand(stage.demands[*index]);
        entry.and_then(DemandEntry::composition).is_some_and(|standing| standing.owed.contains_key(&crony))
    };
    let taken = chosen.iter().filter(|(index, _)| is_cronys(index)).map(|(_, more)| *more).sum();
    let done = report.compositions as usize;
    Ok(Outcome {
        taken,
        locked: stage.ledger.deposit(crony),
        rule: rule.map(ToOwned::to_owned),
        done,
        ..Outcome::default()
    })
}
