//! How much the market holds: how often each operation is offered, and how much work a shortest path for every demand would
//! take. Both are bounded when records come, so that there is always time to check a composition and an update of prices, however
//! many cheap offers and small demands somebody publishes.
//!
//! Where an operation is offered as often as it may be, an offer with a larger deposit takes the place of one that has been
//! idle: nothing rests on it, and nothing that did was settled for `idle_after_ms`. Whoever works is never displaced.

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use scenarios::oracle::path_work;
use scenarios::{Demand, Money, OperationId, Provider, ProviderId, TimeWindow};

use super::statements::MarketStatementError;
use crate::genesis::{Genesis, Network};
use crate::ledger::state::{Moment, State};

/// What a pass over the market takes, kept up to date. No number leaves its range: there are at most 20,000 offers of an operation
/// and a million demands of 256 orders.
#[derive(Clone, Debug)]
pub(crate) struct MarketWork {
    /// Who offers each operation.
    offered: RedBlackTreeMapSync<OperationId, RedBlackTreeSetSync<ProviderId>>,
    /// How often it is ordered, in how many periods; and so are all that follow.
    ordered: RedBlackTreeMapSync<OperationId, u64>,
    /// How often the first is ordered right before the second.
    followed: RedBlackTreeMapSync<(OperationId, OperationId), u64>,
    /// The same by the second.
    preceded: RedBlackTreeMapSync<(OperationId, OperationId), u64>,
    /// The sum over all demands of what [`Self::of`] says of their orders.
    total: u64,
}

/// Whether there is room for one more offer of an operation.
pub(super) enum Room {
    Free,
    /// If this provider offers it no longer.
    InPlaceOf(ProviderId),
    Full,
}

impl MarketWork {
    /// Of genesis, where there are no demands.
    pub(in crate::ledger) fn new(genesis: &Genesis) -> Self {
        let mut work = Self {
            offered: RedBlackTreeMapSync::new_sync(),
            ordered: RedBlackTreeMapSync::new_sync(),
            followed: RedBlackTreeMapSync::new_sync(),
            preceded: RedBlackTreeMapSync::new_sync(),
            total: 0,
        };
        for (index, genesis) in genesis.providers.iter().enumerate() {
            for operation in genesis.provider.offers.keys() {
                work.offer(*operation, ProviderId::from_index(index));
            }
        }
        work
    }

    /// Steps of a pass over all demands, with all offers of each operation.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// How often an operation is offered.
    pub(super) fn offers_of(&self, operation: OperationId) -> u64 {
        let offered = self.offered.get(&operation).map_or(0, RedBlackTreeSetSync::size);
        u64::try_from(offered).unwrap_or(u64::MAX)
    }

    /// Who offers an operation, by number.
    fn offering(&self, operation: OperationId) -> impl Iterator<Item = ProviderId> {
        self.offered.get(&operation).into_iter().flat_map(|ids| ids.iter().copied())
    }

    /// Steps of a shortest path through these orders in one period.
    pub(super) fn of(&self, orders: &[OperationId]) -> u64 {
        path_work(orders.iter().map(|&operation| self.offers_of(operation)))
    }

    /// A demand is in the market from now on, of which so many periods can be planned at a time.
    pub(super) fn come(&mut self, demand: &Demand, periods: u32) {
        let (orders, times) = (&demand.orders[..], periods_of(demand.window, periods));
        self.total = self.total.saturating_add(self.of(orders).saturating_mul(times));
        self.note(orders, |count| count.saturating_add(times));
    }

    /// A demand is in the market no longer.
    pub(super) fn leave(&mut self, demand: &Demand, periods: u32) {
        let (orders, times) = (&demand.orders[..], periods_of(demand.window, periods));
        self.total = self.total.saturating_sub(self.of(orders).saturating_mul(times));
        self.note(orders, |count| count.saturating_sub(times));
    }

    /// How much longer a pass takes with one more offer of an operation.
    pub(super) fn added_by(&self, operation: OperationId) -> u64 {
        let itself =
            count(&self.ordered, operation).saturating_add(count(&self.followed, (operation, operation)));
        let beside = |pairs: &RedBlackTreeMapSync<(OperationId, OperationId), u64>| {
            let those = pairs.range((operation, OperationId(0))..=(operation, OperationId(u16::MAX)));
            those.fold(0_u64, |sum, ((_, other), times)| {
                sum.saturating_add(times.saturating_mul(self.offers_of(*other)))
            })
        };
        itself.saturating_add(beside(&self.followed)).saturating_add(beside(&self.preceded))
    }

    /// Somebody offers an operation from now on.
    pub(super) fn offer(&mut self, operation: OperationId, by: ProviderId) {
        self.total = self.total.saturating_add(self.added_by(operation));
        let mut ids = self.offered.get(&operation).cloned().unwrap_or_else(RedBlackTreeSetSync::new_sync);
        ids.insert_mut(by);
        self.offered.insert_mut(operation, ids);
    }

    /// Somebody who offered an operation does so no longer.
    pub(super) fn withdraw(&mut self, operation: OperationId, by: ProviderId) {
        let mut ids = self.offered.get(&operation).cloned().unwrap_or_else(RedBlackTreeSetSync::new_sync);
        ids.remove_mut(&by);
        self.offered.insert_mut(operation, ids);
        self.total = self.total.saturating_sub(self.added_by(operation));
    }

    fn note(&mut self, orders: &[OperationId], to: impl Fn(u64) -> u64) {
        for &operation in orders {
            change(&mut self.ordered, operation, &to);
        }
        for pair in orders.windows(2) {
            if let [first, second] = *pair {
                change(&mut self.followed, (first, second), &to);
                change(&mut self.preceded, (second, first), &to);
            }
        }
    }
}

/// How many periods of a window can be planned at one time at most.
fn periods_of(window: TimeWindow, periods: u32) -> u64 {
    let length = window.due.since(window.release).saturating_add(1);
    length.min(periods).into()
}

fn count<K: Ord + Copy>(counts: &RedBlackTreeMapSync<K, u64>, key: K) -> u64 {
    counts.get(&key).copied().unwrap_or(0)
}

fn change<K: Ord + Copy>(counts: &mut RedBlackTreeMapSync<K, u64>, key: K, to: impl Fn(u64) -> u64) {
    match to(count(counts, key)) {
        0 => {
            counts.remove_mut(&key);
        }
        some => counts.insert_mut(key, some),
    }
}

impl State {
    /// There is room for what a demand takes to check.
    pub(super) fn validate_work(
        &self,
        network: &Network,
        orders: &[OperationId],
        window: TimeWindow,
    ) -> Result<(), MarketStatementError> {
        let times = periods_of(window, self.providers.supply().horizon.periods);
        let added = self.work.of(orders).saturating_mul(times);
        let (got, expected) = (self.work.total().saturating_add(added), most_work(network));
        if got <= expected { Ok(()) } else { Err(MarketStatementError::TooMuchWork { got, expected }) }
    }

    /// There is room for each operation that somebody does not offer yet.
    pub(super) fn validate_room(
        &self,
        network: &Network,
        at: Moment,
        before: Option<&Provider>,
        operations: impl Iterator<Item = OperationId>,
        deposit: Money,
    ) -> Result<(), MarketStatementError> {
        let is_new =
            |operation: &OperationId| before.is_none_or(|before| !before.offers.contains_key(operation));
        for operation in operations.filter(is_new) {
            if let Room::Full = self.room_for(network, at, operation, deposit) {
                return Err(MarketStatementError::NoRoomForOffer {
                    operation,
                    got: self.work.offers_of(operation),
                    expected: network.parameters().limits.offers_per_operation,
                    deposit,
                });
            }
        }
        Ok(())
    }

    /// Whether there is room for one more offer of an operation, for which so much is locked.
    pub(super) fn room_for(
        &self,
        network: &Network,
        at: Moment,
        operation: OperationId,
        deposit: Money,
    ) -> Room {
        let offers = self.work.offers_of(operation);
        let work = self.work.total().saturating_add(self.work.added_by(operation));
        if offers < network.parameters().limits.offers_per_operation.into() && work <= most_work(network) {
            return Room::Free;
        }
        let idle_ms = network.parameters().idle_after_ms;
        let offering = self.work.offering(operation);
        let first = self.providers.first_to_give_way(offering, deposit, at.market_ms(), idle_ms);
        first.map_or(Room::Full, Room::InPlaceOf)
    }
}

/// How much work a pass over the market may take.
fn most_work(network: &Network) -> u64 {
    network.parameters().limits.market_work
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scenarios::{Period, Site};

    use super::*;

    fn empty() -> MarketWork {
        MarketWork {
            offered: RedBlackTreeMapSync::new_sync(),
            ordered: RedBlackTreeMapSync::new_sync(),
            followed: RedBlackTreeMapSync::new_sync(),
            preceded: RedBlackTreeMapSync::new_sync(),
            total: 0,
        }
    }

    fn operations(numbers: &[u16]) -> Vec<OperationId> {
        numbers.iter().copied().map(OperationId).collect()
    }

    fn demand(orders: Vec<OperationId>, more: u32) -> Demand {
        let window = TimeWindow { release: Period(7), due: Period(7 + more) };
        Demand { name: String::new(), site: Site::point(0, 0), orders, budget: Money::ZERO, window }
    }

    proptest! {
        #[test]
        fn what_is_kept_up_to_date_is_the_sum_over_all_demands(
            steps in prop::collection::vec((0_u8..4, prop::collection::vec(0_u16..3, 1..5), 0_u32..6), 0..40),
        ) {
            let mut work = empty();
            let (mut demands, mut offers): (Vec<Demand>, Vec<(OperationId, ProviderId)>) = (Vec::new(), Vec::new());
            let mut ids = (0..).map(ProviderId);
            for (step, numbers, more) in steps {
                let orders = operations(&numbers);
                match step {
                    0 => {
                        let demand = demand(orders, more);
                        work.come(&demand, 4);
                        demands.push(demand);
                    }
                    1 => {
                        if let Some(demand) = demands.pop() {
                            work.leave(&demand, 4);
                        }
                    }
                    2 => {
                        let before = work.total();
                        let added = work.added_by(orders[0]);
                        let id = ids.next().expect("enough numbers");
                        work.offer(orders[0], id);
                        offers.push((orders[0], id));
                        prop_assert_eq!(work.total(), before + added);
                    }
                    _ => {
                        if let Some((operation, id)) = offers.pop() {
                            work.withdraw(operation, id);
                        }
                    }
                }
                let of = |demand: &Demand| work.of(&demand.orders) * periods_of(demand.window, 4);
                let sum: u64 = demands.iter().map(of).sum();
                prop_assert_eq!(work.total(), sum);
            }
        }
    }
}
