//! One pass over a layered graph as rows of lanes, one row per period and one lane per provider, in plain safe code.
//!
//! [`super::kernel`] compiles it once per set of vector instructions. It is exact: lanes hold whole
//! micro-units, and nothing here rounds or wraps.
//!
//! *Rows are counted from their own least value.* What a pass keeps of an order is not the cost to the end
//! but how much dearer each provider is than the cheapest one; the differences add up in 64 bits. So a
//! row's numbers do not grow with the path: with `C` the dearest offer and `M` the longest leg, an open lane
//! is at most `C + M`, whatever the number of orders, and ordinary markets fit 32-bit lanes to the
//! micro-unit. A lane at [`Lane::CLOSED`] stands for "no way on"; [`Lane::holds`] says when no open lane can be
//! mistaken for one. Every sum is of two numbers of at most `CLOSED`, and `2 * CLOSED` fits a lane.
//!
//! *Each period has a row of its own*, from the last to the first. Its values are of going on in this period or a later one; so what
//! it takes to go on from a period on is what it takes from the next one on, or less, by way of those providers whose values have
//! fallen. A row of an earlier period has a smaller least value, and a value of a later row that is `CLOSED` or more beyond it
//! is never the best: the provider with the least value is at most the longest leg away.
#![expect(clippy::inline_always, reason = "what is not inlined is compiled for the baseline's instructions")]

use crate::units::{OperationId, ProviderId};

/// Lanes come in groups of this many: 64 bytes of 32-bit lanes.
pub(super) const GROUP: usize = 16;

/// A whole number of micro-units in a lane, `0..=CLOSED`.
pub(super) trait Lane: Copy + Ord + Default + std::fmt::Debug + 'static {
    /// Nothing to pay.
    const ZERO: Self;
    /// No way on.
    const CLOSED: Self;
    /// The sum of two lanes.
    fn plus(self, other: Self) -> Self;
    /// The difference to a lane that is not larger.
    fn minus(self, other: Self) -> Self;
    /// Micro-units as a lane; what is not below `CLOSED` is `CLOSED`.
    fn of(micros: i64) -> Self;
    /// A lane as micro-units.
    fn micros(self) -> i64;

    /// Whether a graph whose offers cost at most `dearest` and whose legs cost at most `longest` is exact in
    /// these lanes: every open lane is then below `CLOSED`.
    fn holds(dearest: i64, longest: i64) -> bool {
        dearest.saturating_add(longest) < Self::CLOSED.micros()
    }
}

macro_rules! lane {
    ($number:ty, $closed:expr) => {
        impl Lane for $number {
            const ZERO: Self = 0;
            const CLOSED: Self = $closed;
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn of(micros: i64) -> Self {
                Self::try_from(micros).map_or(Self::CLOSED, |micros| micros.min(Self::CLOSED))
            }
            #[inline(always)]
            fn micros(self) -> i64 {
                i64::from(self)
            }
        }
    };
}

lane!(i32, (1 << 30) - 1);
lane!(i64, (1 << 61) - 1);

/// A group of lanes that a vector instruction can load at once, without touching two cache lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
struct Group<L>([L; GROUP]);

/// Legs between all pairs of providers, as lanes.
#[derive(Clone, Debug)]
pub(super) struct Legs<L> {
    /// Lanes of a row: the providers, rounded up to whole groups of closed ones.
    pub(super) lanes: usize,
    /// `into[to][from]`.
    into: Vec<Group<L>>,
    /// `out_of[from][to]`; empty if the same.
    out_of: Vec<Group<L>>,
}

impl<L: Lane> Legs<L> {
    /// From `legs[from][to]`, row by row.
    pub(super) fn new(providers: usize, legs: &[i64]) -> Self {
        let lanes = providers.next_multiple_of(GROUP);
        let table = |leg: &dyn Fn(usize, usize) -> i64| {
            let mut groups = Vec::with_capacity(lanes * lanes / GROUP);
            for row in 0..lanes {
                for first in (0..lanes).step_by(GROUP) {
                    let mut group = [L::CLOSED; GROUP];
                    let columns = (first..providers).take(if row < providers { GROUP } else { 0 });
                    columns.zip(&mut group).for_each(|(column, lane)| *lane = L::of(leg(row, column)));
                    groups.push(Group(group));
                }
            }
            groups
        };
        let mut pairs = (0..providers).flat_map(|from| (0..from).map(move |to| (from, to)));
        let symmetric = pairs.all(|(from, to)| legs[from * providers + to] == legs[to * providers + from]);
        let out_of = table(&|from, to| legs[from * providers + to]);
        if symmetric {
            return Self { lanes, into: out_of, out_of: Vec::new() };
        }
        Self { lanes, into: table(&|to, from| legs[from * providers + to]), out_of }
    }

    #[inline(always)]
    fn into(&self, to: usize) -> &[Group<L>] {
        let groups = self.lanes / GROUP;
        &self.into[to * groups..(to + 1) * groups]
    }

    #[inline(always)]
    fn out_of(&self, from: usize) -> &[Group<L>] {
        let table = if self.out_of.is_empty() { &self.into } else { &self.out_of };
        let groups = self.lanes / GROUP;
        &table[from * groups..(from + 1) * groups]
    }
}

/// The numbers of one pass; kept between passes for their memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows<L> {
    /// Periods of each order.
    pub(super) periods: usize,
    /// Order by order, period by period: what each provider's offer costs, closed where there is none or it may not be used.
    pub(super) costs: Vec<L>,
    /// Order by order, period by period: how much dearer it is from each provider to the end, from this period on, than from the
    /// cheapest one.
    values: Vec<L>,
    /// Order by order, period by period: the cost to the end of the cheapest provider from this period on; [`NO_WAY`] if there is none.
    least: Vec<i64>,
    /// Scratch: what it takes to go on from each provider in a period.
    onward: Vec<L>,
    /// Scratch: the providers worth going on to, as `relax` takes them.
    open: Vec<(usize, L)>,
}

/// The least cost where there is no way to the end.
const NO_WAY: i64 = i64::MAX;

/// What a path may use: everything but the legs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graph<'a, L> {
    /// The operation of each order.
    pub(super) orders: &'a [OperationId],
    /// How many periods there are.
    pub(super) horizon: usize,
    /// The first of them that a path may use, and how many.
    pub(super) periods: (usize, usize),
    /// A row of lanes per operation and period: what its offers cost.
    pub(super) offers: &'a [L],
    /// A row of lanes per operation: minutes of its offers; and a row per period: the minutes that each provider has left. An
    /// offer must fit by itself.
    pub(super) fits: Option<(&'a [i32], &'a [i32])>,
    /// Orders and slots that are closed.
    pub(super) closed: &'a [(usize, u32)],
    /// What the last order costs beside its offer, at each provider that offers it.
    pub(super) delivery: (&'a [ProviderId], &'a [i64]),
    /// Whether dominated providers may be pruned.
    pub(super) prune: bool,
}

/// Fills `rows.costs`.
#[inline(always)]
pub(super) fn load<L: Lane>(graph: &Graph<'_, L>, lanes: usize, rows: &mut Rows<L>) {
    let (first, periods) = graph.periods;
    rows.periods = periods;
    rows.costs.resize(graph.orders.len() * periods * lanes, L::CLOSED);
    for (costs, operation) in rows.costs.chunks_exact_mut(lanes * periods).zip(graph.orders) {
        let start = (operation.index() * graph.horizon + first) * lanes;
        let offers = &graph.offers[start..start + lanes * periods];
        let Some((minutes, spare)) = graph.fits else {
            costs.copy_from_slice(offers);
            continue;
        };
        let minutes = &minutes[operation.index() * lanes..(operation.index() + 1) * lanes];
        let spare = &spare[first * lanes..(first + periods) * lanes];
        let of_period = offers.chunks_exact(lanes).zip(spare.chunks_exact(lanes));
        for (costs, (offers, spare)) in costs.chunks_exact_mut(lanes).zip(of_period) {
            for (((cost, &offer), &minutes), &spare) in costs.iter_mut().zip(offers).zip(minutes).zip(spare) {
                *cost = if minutes <= spare { offer } else { L::CLOSED };
            }
        }
    }
    for &(order, slot) in graph.closed {
        let (provider, period) = (slot as usize / graph.horizon, slot as usize % graph.horizon);
        if (first..first + periods).contains(&period) {
            rows.costs[(order * periods + period - first) * lanes + provider] = L::CLOSED;
        }
    }
    let last = graph.orders.len().saturating_sub(1) * periods * lanes;
    for costs in rows.costs[last..].chunks_exact_mut(lanes) {
        for (provider, &leg) in graph.delivery.0.iter().zip(graph.delivery.1) {
            let cost = &mut costs[provider.index()];
            *cost = cost.plus(L::of(leg)).min(L::CLOSED);
        }
    }
}

/// The least cost of a path of `rows.costs`, `None` if there is none. With `prune`, providers that are dominated
/// are not gone on to, which is right where no detour is shorter than the direct leg: `c` is dominated
/// if going on from it by way of another provider `b` is no dearer than from `c` itself.
#[inline(always)]
pub(super) fn pass<L: Lane>(legs: &Legs<L>, prune: bool, rows: &mut Rows<L>) -> Option<i64> {
    let (lanes, periods) = (legs.lanes, rows.periods);
    let stride = lanes * periods;
    let orders = rows.costs.len() / stride.max(1);
    rows.values.resize(orders * stride, L::CLOSED);
    rows.least.resize(orders * periods, NO_WAY);
    rows.onward.resize(lanes, L::CLOSED);
    for order in (0..orders).rev() {
        let (head, tail) = rows.values[..orders * stride].split_at_mut((order + 1) * stride);
        let values = &mut head[order * stride..];
        let costs = &rows.costs[order * stride..(order + 1) * stride];
        let (least, next_least) = rows.least[order * periods..].split_at_mut(periods);
        let (mut after, mut next_after) = (NO_WAY, NO_WAY);
        for period in (0..periods).rev() {
            let start = period * lanes;
            let base = if tail.is_empty() { 0 } else { next_least[period] };
            let (row, later) = values[start..].split_at_mut(lanes);
            if base == NO_WAY {
                row.fill(L::CLOSED);
                least[period] = NO_WAY;
                continue;
            }
            // Of a single period the row itself is worked on: it is as fast as if there were no others.
            let onward = if periods == 1 { &mut *row } else { &mut rows.onward[..] };
            if tail.is_empty() {
                onward.fill(L::ZERO);
            } else if next_after == NO_WAY {
                reach(legs, prune, &tail[start..start + lanes], onward, &mut rows.open);
            } else {
                let (next, later) = tail[start..start + 2 * lanes].split_at(lanes);
                let next = Next { values: next, later, beyond: L::of(next_after - base) };
                reach_earlier(legs, prune, &next, onward, &mut rows.open);
            }
            next_after = base;
            let costs = &costs[start..start + lanes];
            let added = if after < NO_WAY {
                arrive_or_later(row, &rows.onward, costs, (L::of(after - base), &later[..lanes]))
            } else {
                if periods > 1 {
                    row.copy_from_slice(&rows.onward);
                }
                arrive(row, costs)
            };
            after = if added >= L::CLOSED { NO_WAY } else { base.saturating_add(added.micros()) };
            least[period] = after;
        }
        if after == NO_WAY {
            return None;
        }
    }
    rows.least.first().copied()
}

/// Adds an order's own costs to what it takes to go on, and counts the row from its least value, which is
/// returned.
#[inline(always)]
fn arrive<L: Lane>(row: &mut [L], costs: &[L]) -> L {
    let mut least = L::CLOSED;
    for (value, &cost) in row.iter_mut().zip(costs) {
        let sum = value.plus(cost).min(L::CLOSED);
        *value = sum;
        least = least.min(sum);
    }
    count_from(row, least);
    least
}

/// The same, where an order may be done later, too: what comes later is how much its row's least value is beyond, and the row.
#[inline(always)]
fn arrive_or_later<L: Lane>(row: &mut [L], onward: &[L], costs: &[L], (beyond, later): (L, &[L])) -> L {
    let mut least = L::CLOSED;
    for (((value, &onward), &cost), &later) in row.iter_mut().zip(onward).zip(costs).zip(later) {
        let sum = onward.plus(cost).min(later.plus(beyond)).min(L::CLOSED);
        *value = sum;
        least = least.min(sum);
    }
    count_from(row, least);
    least
}

#[inline(always)]
fn count_from<L: Lane>(row: &mut [L], least: L) {
    for value in row.iter_mut() {
        *value = if *value >= L::CLOSED { L::CLOSED } else { value.minus(least) };
    }
}

/// What it takes to go on from each provider to the next order from the last period on that has a way.
///
/// Which providers are dominated is only decided by way of the cheapest one: that finds most of them, and the
/// rest can then be gone on to without a branch between them, many lanes at a time in registers.
#[inline(always)]
fn reach<L: Lane>(legs: &Legs<L>, prune: bool, values: &[L], onward: &mut [L], open: &mut Vec<(usize, L)>) {
    match values.iter().position(|&value| value == L::ZERO) {
        Some(cheapest) if prune => {
            for (onward, legs) in onward.chunks_exact_mut(GROUP).zip(legs.into(cheapest)) {
                onward.copy_from_slice(&legs.0);
            }
        }
        Some(_) | None => onward.fill(L::CLOSED),
    }
    open.resize(values.len() + 1, (0, L::ZERO));
    let mut count = 0;
    let groups = values.chunks_exact(GROUP).zip(onward.chunks_exact(GROUP));
    for (group, (values, by_way)) in groups.enumerate() {
        for lane in 0..GROUP {
            // Written always and kept only if undominated: without a branch between them.
            open[count] = ((group * GROUP + lane) * (legs.lanes / GROUP), values[lane]);
            count += usize::from(values[lane] < by_way[lane]);
        }
    }
    relax_all(legs, &open[..count], onward);
}

/// The values of the next order from some period on, and from the period after.
struct Next<'a, L> {
    values: &'a [L],
    later: &'a [L],
    /// How much the later least value is beyond the other.
    beyond: L,
}

/// What it takes to go on from each provider to the next order from some period on, after `onward`, which is what it takes from the
/// period after on. Only those providers are gone on to whose values have fallen, and none that is dominated by way of the
/// cheapest one or of a later period.
#[inline(always)]
fn reach_earlier<L: Lane>(
    legs: &Legs<L>,
    prune: bool,
    next: &Next<'_, L>,
    onward: &mut [L],
    open: &mut Vec<(usize, L)>,
) {
    let &Next { values, later, beyond } = next;
    if beyond > L::ZERO {
        for onward in onward.iter_mut() {
            *onward = onward.plus(beyond).min(L::CLOSED);
        }
        // The cheapest has fallen, or it would be as cheap later.
        if let Some(cheapest) = values.iter().position(|&value| value == L::ZERO).filter(|_| prune) {
            for (onward, legs) in onward.chunks_exact_mut(GROUP).zip(legs.into(cheapest)) {
                for (onward, &leg) in onward.iter_mut().zip(&legs.0) {
                    *onward = (*onward).min(leg);
                }
            }
        }
    }
    let (bars, beyond) = if prune { (&*onward, L::ZERO) } else { (later, beyond) };
    let mut count = 0;
    open.resize(values.len() + 1, (0, L::ZERO));
    for (group, (values, bars)) in values.chunks_exact(GROUP).zip(bars.chunks_exact(GROUP)).enumerate() {
        // Without an early exit, one comparison of vectors: mostly nothing has fallen.
        let mut has_fallen = false;
        for (&value, &bar) in values.iter().zip(bars) {
            has_fallen |= value < bar.plus(beyond).min(L::CLOSED);
        }
        if !has_fallen {
            continue;
        }
        for lane in 0..GROUP {
            open[count] = ((group * GROUP + lane) * (legs.lanes / GROUP), values[lane]);
            count += usize::from(values[lane] < bars[lane].plus(beyond).min(L::CLOSED));
        }
    }
    if count > 0 {
        relax_all(legs, &open[..count], onward);
    }
}

/// Lowers a row to going on by way of the `open` providers.
#[inline(always)]
fn relax_all<L: Lane>(legs: &Legs<L>, open: &[(usize, L)], row: &mut [L]) {
    let groups = legs.lanes / GROUP;
    let mut first = 0;
    while first < groups {
        // Two at a time: of three, the compiler no longer keeps the lanes in registers (measured 7 times slower).
        first += if groups - first == 1 {
            relax::<L, 1>(legs, open, row, first)
        } else {
            relax::<L, 2>(legs, open, row, first)
        };
    }
}

/// Lowers some `GROUPS` of `row`, from group `first` on, to going on by way of the `open` providers; each is
/// where its row of legs begins, and what it takes from there. Returns `GROUPS`.
#[inline(always)]
fn relax<L: Lane, const GROUPS: usize>(
    legs: &Legs<L>,
    open: &[(usize, L)],
    row: &mut [L],
    first: usize,
) -> usize {
    let row = &mut row[first * GROUP..(first + GROUPS) * GROUP];
    let mut reach = [[L::CLOSED; GROUP]; GROUPS];
    for (reach, row) in reach.iter_mut().zip(row.chunks_exact(GROUP)) {
        reach.copy_from_slice(row);
    }
    let legs = &legs.into[first..];
    for &(start, value) in open {
        let legs = &legs[start..start + GROUPS];
        for (reach, legs) in reach.iter_mut().zip(legs) {
            for (reach, &leg) in reach.iter_mut().zip(&legs.0) {
                *reach = (*reach).min(leg.plus(value));
            }
        }
    }
    for (reach, row) in reach.iter().zip(row.chunks_exact_mut(GROUP)) {
        row.copy_from_slice(reach);
    }
    GROUPS
}

/// Follows the cheapest path of the last [`pass`], which found one, forward, to the smallest slot at every
/// tie: that makes the whole list lexicographically smallest. Slots are numbered as the graph's are.
#[inline(always)]
pub(super) fn trace<L: Lane>(legs: &Legs<L>, graph: &Graph<'_, L>, rows: &Rows<L>, path: &mut Vec<u32>) {
    let (lanes, (first, periods)) = (legs.lanes, graph.periods);
    path.clear();
    // Where the path is, what it takes to go on from there, and from which period.
    let (mut from, mut onward, mut period) = (None, L::ZERO, 0);
    for order in 0..graph.orders.len() {
        let values = rows.values_of(order, period, lanes);
        let to = match from {
            None => values.iter().position(|&value| value == L::ZERO),
            Some(from) => position_of_sum(legs.out_of(from), values, onward),
        };
        let to = to.expect("a cheapest path has a provider in every order");
        let value = rows.least[order * periods + period].saturating_add(values[to].micros());
        // The first period in which it is done at that cost: what is left of it after the order's own cost is what going on takes.
        loop {
            let cost = rows.costs[(order * periods + period) * lanes + to].micros();
            let base = rows.least.get((order + 1) * periods + period).copied().unwrap_or(0);
            let left = value.saturating_sub(cost).saturating_sub(base);
            if rows.rises_after(order, period, lanes, to, value)
                || (cost < L::CLOSED.micros() && onward_from(legs, rows, order, period, to) == Some(left))
            {
                onward = L::of(left);
                break;
            }
            period += 1;
        }
        from = Some(to);
        path.push(u32::try_from(to * graph.horizon + first + period).expect("slots are fewer than 2^32"));
    }
}

/// What it takes to go on from a provider that does an order in this period, counted as the values of the next order are from then
/// on; `None` if there is no way.
#[inline(always)]
fn onward_from<L: Lane>(
    legs: &Legs<L>,
    rows: &Rows<L>,
    order: usize,
    period: usize,
    from: usize,
) -> Option<i64> {
    let (lanes, periods) = (legs.lanes, rows.periods);
    match rows.least.get((order + 1) * periods + period) {
        None => Some(0),
        Some(&NO_WAY) => None,
        Some(_) => {
            let values = rows.values_of(order + 1, period, lanes).chunks_exact(GROUP);
            let mut least = L::CLOSED;
            for (legs, values) in legs.out_of(from).iter().zip(values) {
                for (&leg, &value) in legs.0.iter().zip(values) {
                    least = least.min(leg.plus(value));
                }
            }
            (least < L::CLOSED).then_some(least.micros())
        }
    }
}

impl<L: Lane> Rows<L> {
    /// Whether doing an order at a provider costs more than this if it is done after this period.
    #[inline(always)]
    fn rises_after(&self, order: usize, period: usize, lanes: usize, provider: usize, value: i64) -> bool {
        if period + 1 == self.periods {
            return true;
        }
        let later = self.least[order * self.periods + period + 1];
        let beyond = self.values_of(order, period + 1, lanes)[provider];
        beyond >= L::CLOSED || later.saturating_add(beyond.micros()) > value
    }

    /// The values of an order from a period on.
    #[inline(always)]
    fn values_of(&self, order: usize, period: usize, lanes: usize) -> &[L] {
        let start = (order * self.periods + period) * lanes;
        &self.values[start..start + lanes]
    }
}

/// The first position where the two add up to `sum`.
#[inline(always)]
fn position_of_sum<L: Lane>(legs: &[Group<L>], values: &[L], sum: L) -> Option<usize> {
    for (group, (legs, values)) in legs.iter().zip(values.chunks_exact(GROUP)).enumerate() {
        let equal = |lane: usize| legs.0[lane].plus(values[lane]) == sum;
        // A group at a time: without an early exit within it, it is one comparison of vectors.
        if (0..GROUP).fold(false, |found, lane| found | equal(lane)) {
            return (0..GROUP).find(|&lane| equal(lane)).map(|lane| group * GROUP + lane);
        }
    }
    None
}
