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
        Some(cheapest) if prune => {
            let groups = row.chunks_exact_mut(GROUP).zip(legs.into(cheapest));
            groups.for_each(|(lanes, legs)| lanes.copy_from_slice(&legs.0));
        }
        Some(_) | None => row.fill(L::CLOSED),
    }
    open.resize(next.len() + 1, (0, L::ZERO));
    let mut count = 0;
    let groups = next.chunks_exact(GROUP).zip(row.chunks_exact(GROUP));
    for (group, (values, by_way)) in groups.enumerate() {
        for lane in 0..GROUP {
            // Written always and kept only if undominated: without a branch between them.
            open[count] = ((group * GROUP + lane) * (legs.lanes / GROUP), values[lane]);
            count += usize::from(values[lane] < by_way[lane]);
        }
    }
    let open = &open[..count];
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
