//! One pass over a layered graph as rows of lanes, one lane per provider, in plain safe code.
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

/// Legs between all pairs of providers, as lanes.
#[derive(Clone, Debug)]
pub(super) struct Legs<L> {
    /// Lanes of a row: the providers, rounded up to whole groups of closed ones.
    pub(super) lanes: usize,
    /// `into[to][from]`.
    into: Vec<L>,
    /// `out_of[from][to]`; empty if the same.
    out_of: Vec<L>,
}

impl<L: Lane> Legs<L> {
    /// From `legs[from][to]`, row by row.
    pub(super) fn new(providers: usize, legs: &[i64]) -> Self {
        let lanes = providers.next_multiple_of(GROUP);
        let mut out_of = vec![L::CLOSED; lanes * lanes];
        for (row, legs) in out_of.chunks_exact_mut(lanes.max(1)).zip(legs.chunks_exact(providers.max(1))) {
            row.iter_mut().zip(legs).for_each(|(lane, &leg)| *lane = L::of(leg));
        }
        let pairs = || (0..lanes).flat_map(|from| (0..from).map(move |to| (from, to)));
        if pairs().all(|(from, to)| out_of[from * lanes + to] == out_of[to * lanes + from]) {
            return Self { lanes, into: out_of, out_of: Vec::new() };
        }
        let mut into = out_of.clone();
        pairs().for_each(|(from, to)| into.swap(from * lanes + to, to * lanes + from));
        Self { lanes, into, out_of }
    }

    #[inline(always)]
    fn into(&self, to: usize) -> &[L] {
        &self.into[to * self.lanes..(to + 1) * self.lanes]
    }

    #[inline(always)]
    fn out_of(&self, from: usize) -> &[L] {
        let table = if self.out_of.is_empty() { &self.into } else { &self.out_of };
        &table[from * self.lanes..(from + 1) * self.lanes]
    }
}

/// The numbers of one pass; kept between passes for their memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows<L> {
    /// Order by order: what each provider's offer costs, closed where there is none or it may not be used.
    pub(super) costs: Vec<L>,
    /// Order by order: how much dearer it is from each provider to the end than from the cheapest one.
    values: Vec<L>,
    /// Order by order: the cost to the end of the cheapest provider, less that of the order after.
    least: Vec<L>,
    /// Scratch: the providers worth going on to, as `relax` takes them.
    open: Vec<(usize, L)>,
}

/// What a path may use: everything but the legs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graph<'a, L> {
    /// The operation of each order.
    pub(super) orders: &'a [OperationId],
    /// A row of lanes per operation: what its offers cost.
    pub(super) offers: &'a [L],
    /// A row of lanes per operation: minutes of its offers; and the minutes that each provider has left: an offer
    /// must fit by itself.
    pub(super) fits: Option<(&'a [i32], &'a [i32])>,
    /// Orders and providers that are closed.
    pub(super) closed: &'a [(usize, ProviderId)],
    /// What the last order costs beside its offer, at each provider that offers it.
    pub(super) delivery: (&'a [ProviderId], &'a [i64]),
    /// Whether dominated providers may be pruned.
    pub(super) prune: bool,
}

/// Fills `rows.costs`.
#[inline(always)]
pub(super) fn load<L: Lane>(graph: &Graph<'_, L>, lanes: usize, rows: &mut Rows<L>) {
    rows.costs.resize(graph.orders.len() * lanes, L::CLOSED);
    for (costs, operation) in rows.costs.chunks_exact_mut(lanes).zip(graph.orders) {
        let row = operation.index() * lanes..(operation.index() + 1) * lanes;
        let offers = &graph.offers[row.clone()];
        let Some((minutes, spare)) = graph.fits else {
            costs.copy_from_slice(offers);
            continue;
        };
        for (((cost, &offer), &minutes), &spare) in costs.iter_mut().zip(offers).zip(&minutes[row]).zip(spare)
        {
            *cost = if minutes <= spare { offer } else { L::CLOSED };
        }
    }
    for &(order, provider) in graph.closed {
        rows.costs[order * lanes + provider.index()] = L::CLOSED;
    }
    let last = graph.orders.len().saturating_sub(1) * lanes;
    for (provider, &leg) in graph.delivery.0.iter().zip(graph.delivery.1) {
        let cost = &mut rows.costs[last + provider.index()];
        *cost = cost.plus(L::of(leg)).min(L::CLOSED);
    }
}

/// The least cost of a path of `rows.costs`, `None` if there is none. With `prune`, providers that are dominated
/// are not gone on to, which is right where no detour is shorter than the direct leg: `c` is dominated
/// if going on from it by way of another provider `b` is no dearer than from `c` itself.
#[inline(always)]
pub(super) fn pass<L: Lane>(legs: &Legs<L>, prune: bool, rows: &mut Rows<L>) -> Option<i64> {
    let lanes = legs.lanes;
    let orders = rows.costs.len() / lanes.max(1);
    rows.values.resize(orders * lanes, L::CLOSED);
    rows.least.resize(orders, L::ZERO);
    let mut total: i64 = 0;
    for order in (0..orders).rev() {
        let (head, tail) = rows.values[..orders * lanes].split_at_mut((order + 1) * lanes);
        let row = &mut head[order * lanes..];
        match tail.get(..lanes) {
            Some(next) => reach(legs, prune, next, row, &mut rows.open),
            None => row.fill(L::ZERO),
        }
        let least = arrive(row, &rows.costs[order * lanes..(order + 1) * lanes]);
        if least >= L::CLOSED {
            return None;
        }
        rows.least[order] = least;
        total = total.saturating_add(least.micros());
    }
    Some(total)
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
    for value in row.iter_mut() {
        *value = if *value >= L::CLOSED { L::CLOSED } else { value.minus(least) };
    }
    least
}

/// What it takes to go on from each provider to the next order, whose values are `next`.
///
/// Which providers are dominated is only decided by way of the cheapest one: that finds most of them, and the
/// rest can then be gone on to without a branch between them, many lanes at a time in registers.
#[inline(always)]
fn reach<L: Lane>(legs: &Legs<L>, prune: bool, next: &[L], row: &mut [L], open: &mut Vec<(usize, L)>) {
    match next.iter().position(|&value| value == L::ZERO) {
        Some(cheapest) if prune => row.copy_from_slice(legs.into(cheapest)),
        Some(_) | None => row.fill(L::CLOSED),
    }
    open.resize(next.len() + 1, (0, L::ZERO));
    let mut count = 0;
    let groups = next.chunks_exact(GROUP).zip(row.chunks_exact(GROUP));
    for (group, (values, by_way)) in groups.enumerate() {
        for lane in 0..GROUP {
            // Written always and kept only if undominated: without a branch between them.
            open[count] = ((group * GROUP + lane) * legs.lanes, values[lane]);
            count += usize::from(values[lane] < by_way[lane]);
        }
    }
    let open = &open[..count];
    let mut first = 0;
    while let Some(lanes) = row.get_mut(first..).filter(|lanes| !lanes.is_empty()) {
        first += if size_of::<L>() == 77 && lanes.len() >= 4 * GROUP {
            relax::<L, { 4 * GROUP }>(legs, open, lanes, first)
        } else if lanes.len() >= 2 * GROUP {
            relax::<L, { 2 * GROUP }>(legs, open, lanes, first)
        } else {
            relax::<L, GROUP>(legs, open, lanes, first)
        };
    }
}

/// Lowers the first `LANES` of `row`, which is the rest of a row from lane `first` on, to going on by way of the
/// `open` providers; each is where its row of legs begins, and what it takes from there. Returns `LANES`.
#[inline(always)]
fn relax<L: Lane, const LANES: usize>(
    legs: &Legs<L>,
    open: &[(usize, L)],
    row: &mut [L],
    first: usize,
) -> usize {
    let mut reach = [L::CLOSED; LANES];
    reach.copy_from_slice(&row[..LANES]);
    let legs = &legs.into[first..];
    for &(start, value) in open {
        let legs = &legs[start..start + LANES];
        for lane in 0..LANES {
            reach[lane] = reach[lane].min(legs[lane].plus(value));
        }
    }
    row[..LANES].copy_from_slice(&reach);
    LANES
}

/// Follows the cheapest path of the last [`pass`], which found one, forward, to the smallest provider at every
/// tie: that makes the whole list lexicographically smallest.
#[inline(always)]
pub(super) fn trace<L: Lane>(legs: &Legs<L>, rows: &Rows<L>, path: &mut Vec<u32>) {
    let lanes = legs.lanes;
    path.clear();
    let mut from: Option<(usize, L)> = None;
    for (order, values) in rows.values.chunks_exact(lanes).take(rows.costs.len() / lanes).enumerate() {
        let to = match from {
            None => values.iter().position(|&value| value == L::ZERO),
            Some((from, onward)) => position_of_sum(legs.out_of(from), values, onward),
        };
        let to = to.expect("a cheapest path has a provider in every order");
        // What is left of the value after the order's own cost is what going on takes.
        let cost = rows.costs[order * lanes + to];
        from = Some((to, values[to].plus(rows.least[order]).minus(cost)));
        path.push(u32::try_from(to).expect("lanes are as many as providers, rounded up"));
    }
}

/// The first position where the two add up to `sum`.
#[inline(always)]
fn position_of_sum<L: Lane>(legs: &[L], values: &[L], sum: L) -> Option<usize> {
    let groups = legs.chunks_exact(GROUP).zip(values.chunks_exact(GROUP)).enumerate();
    for (group, (legs, values)) in groups {
        let equal = |lane: usize| legs[lane].plus(values[lane]) == sum;
        // A group at a time: without an early exit within it, it is one comparison of vectors.
        if (0..GROUP).fold(false, |found, lane| found | equal(lane)) {
            return (0..GROUP).find(|&lane| equal(lane)).map(|lane| group * GROUP + lane);
        }
    }
    None
}
