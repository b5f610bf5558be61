//! What a random assignment costs on average, exactly: the yardstick that shows how much of an "improvement"
//! is search and how much is geometry.
//!
//! Each order goes to one of the providers that offer its operation, all alike and independently of the
//! others. By linearity the expected cost of a demand is the sum of the mean cost of each order and the mean
//! leg between the offers of consecutive orders. Each mean is rounded down to a micro-unit.

use std::collections::BTreeMap;

use crate::instance::{Demand, Supply};
use crate::oracle::Oracle;
use crate::units::{Minutes, Money, OperationId, ProviderId};

/// Expected costs and minutes of random assignments on one supply.
#[derive(Clone, Debug)]
pub struct RandomAssignment<'a> {
    oracle: &'a Oracle<'a>,
    /// Mean cost (with the value of its minutes) and mean minutes of an order, by operation.
    orders: BTreeMap<OperationId, (Money, Minutes)>,
    /// Sets of providers that offer an operation: most markets have few different ones.
    sets: BTreeMap<&'a [ProviderId], usize>,
    legs: BTreeMap<(usize, usize), Money>,
}

impl<'a> RandomAssignment<'a> {
    /// Prepares the means of `oracle`'s supply.
    pub fn new(oracle: &'a Oracle<'a>) -> Self {
        let supply = oracle.supply();
        let mut sums: BTreeMap<OperationId, (i128, i128, i128)> = BTreeMap::new();
        for provider in &supply.providers {
            for (operation, offer) in provider.usable_offers(&supply.horizon) {
                let (cost, minutes, count) = sums.entry(operation).or_default();
                *cost += i128::from((offer.cost + supply.processing_time_value(offer)).micros());
                *minutes += i128::from(offer.minutes);
                *count += 1;
            }
        }
        let means = sums.into_iter().map(|(operation, (cost, minutes, count))| {
            (operation, (Money::from_micros(floor_mean(cost, count)), floor_mean(minutes, count)))
        });
        Self { oracle, orders: means.collect(), sets: BTreeMap::new(), legs: BTreeMap::new() }
    }

    /// The expected cost of a demand (objective, budget ignored); `None` if an order is offered by nobody.
    pub fn cost(&mut self, demand: &Demand) -> Option<Money> {
        let mut cost = Money::ZERO;
        for operation in &demand.orders {
            cost += self.orders.get(operation)?.0;
        }
        for pair in demand.orders.windows(2) {
            cost += self.mean_leg(pair[0], pair[1]);
        }
        let Supply { providers, rules, .. } = self.oracle.supply();
        if let Some(&last) = demand.orders.last().filter(|_| rules.deliver) {
            let offering = self.oracle.offering(last);
            let legs = offering.iter().map(|from| {
                let leg = self.oracle.supply().leg(providers[from.index()].site, demand.site)?;
                Some(i128::from(leg.micros()))
            });
            cost += Money::from_micros(floor_mean(legs.sum::<Option<i128>>()?, offering.len() as i128));
        }
        Some(cost)
    }

    /// The mean minutes of an order of this operation, rounded down; `None` if nobody offers it.
    pub fn minutes(&self, operation: OperationId) -> Option<Minutes> {
        self.orders.get(&operation).map(|&(_, minutes)| minutes)
    }

    fn mean_leg(&mut self, first: OperationId, second: OperationId) -> Money {
        let (from, to) = (self.oracle.offering(first), self.oracle.offering(second));
        let key = (self.set(from), self.set(to));
        let oracle = self.oracle;
        *self.legs.entry(key).or_insert_with(|| {
            let pairs = from.iter().flat_map(|&from| to.iter().map(move |&to| (from, to)));
            let sum: i128 = pairs.map(|(from, to)| i128::from(oracle.leg(from, to).micros())).sum();
            Money::from_micros(floor_mean(sum, (from.len() * to.len()) as i128))
        })
    }

    fn set(&mut self, offering: &'a [ProviderId]) -> usize {
        let next = self.sets.len();
        *self.sets.entry(offering).or_insert(next)
    }
}

/// `floor(sum / count)`; 0 of nothing.
fn floor_mean(sum: i128, count: i128) -> i64 {
    i64::try_from(sum.div_euclid(count.max(1))).unwrap_or(i64::MAX)
}
