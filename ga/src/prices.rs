//! Dual prices by a subgradient method: the prices whose certified bound is (nearly) the largest.
//!
//! The bound `LB(l)` of [`scenarios::bound`] is concave and piecewise linear in the prices; at any prices,
//! the minutes that all cheapest compositions together take of a slot, less its capacity, is a
//! supergradient. Steps follow it with Polyak's length towards an estimated level, which comes closer
//! whenever progress stalls (Held, Wolfe and Crowder, "Validation of subgradient optimization", 1974).
//! Every bound is taken at whole micro-unit prices, so each one is certified as it stands; only the choice of
//! the next prices uses floats, and it is the same on any number of threads.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use scenarios::bound::dual_bound;
use scenarios::oracle::Limits;
use scenarios::work::{Resources, SubProblem};
use scenarios::{
    Demand, DualPrices, Horizon, Minutes, Money, Oracle, PriceError, Slot, Supply, TimeWindow, limits,
};

use crate::paths::{PathFinder, priced_offers};
use crate::table::Table;

/// The first level aimed at lies this far above the bound, as a share of it.
const FIRST_LEVEL: f64 = 0.02;
/// Steps without a better bound after which the level is brought closer.
const PATIENCE: u32 = 6;
/// What then remains of the level's distance.
const LEVEL_FACTOR: f64 = 0.6;
/// Share of the previous direction kept in the next: damps the zigzag of plain subgradients.
const MOMENTUM: f64 = 0.5;
/// The level is never closer than this share of the bound.
const LEAST_LEVEL: f64 = 1e-7;
/// Prices for all periods as one are good enough to begin with when the level is as close as this,
const WHOLE_LEVEL: f64 = 1e-4;
/// and from there the search goes on with this one.
const FINE_LEVEL: f64 = 1e-2;

/// Prices, and the bound they certify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedBound {
    /// Of slots, in whole micro-units a minute; zero where capacity is unlimited.
    pub prices: DualPrices,
    /// `LB(prices)` of the market ([`scenarios::bound::dual_bound`]).
    pub bound: Money,
}

/// A search for prices, one step at a time.
#[derive(Clone, Debug)]
pub struct PriceSearch {
    table: Table,
    capacities: Vec<Option<Minutes>>,
    /// Where the next bound is taken, in micro-units.
    point: Vec<f64>,
    direction: Vec<f64>,
    best: Option<(Vec<i64>, i128)>,
    level: f64,
    stalled: u32,
    /// The same market with all periods as one, searched first.
    whole: Option<Box<PriceSearch>>,
}

/// What the cheapest compositions cost, and how many minutes they take of each slot.
struct Response {
    cost: i128,
    minutes: Vec<Minutes>,
}

impl PriceSearch {
    /// A search over the market of these demands, with `capacities` left for them (in order of slots;
    /// missing ones are unlimited), from `start` as far as it suits them.
    pub fn new(
        supply: &Supply,
        demands: &[Demand],
        capacities: &[Option<Minutes>],
        start: &DualPrices,
    ) -> Self {
        let table = Table::of(supply, demands);
        Self {
            whole: Self::whole(supply, demands, capacities, start),
            ..Self::over(table, supply, capacities, start)
        }
    }

    /// Of a market that nobody has priced, what a provider's minutes are worth whenever they are is a good beginning: periods are far fewer
    /// then, and no step is led astray by compositions that are as cheap on one day as on another.
    fn whole(
        supply: &Supply,
        demands: &[Demand],
        capacities: &[Option<Minutes>],
        start: &DualPrices,
    ) -> Option<Box<Self>> {
        let horizon = supply.horizon;
        if horizon.len() <= 1 || !start.is_zero() {
            return None;
        }
        let left = |id| {
            let minutes = horizon.positions(id).map(|position| capacities.get(position).copied().flatten());
            minutes.map(|minutes| Some(minutes?.max(0))).sum::<Option<Minutes>>()
        };
        let left: Vec<Option<Minutes>> = supply.provider_ids().map(left).collect();
        let mut merged = supply.clone().with_capacities(&vec![None; supply.slot_count()]);
        merged.horizon = Horizon::SINGLE;
        let demands: Vec<Demand> =
            demands.iter().map(|demand| Demand { window: TimeWindow::ANY, ..demand.clone() }).collect();
        Some(Box::new(Self::over(Table::of(&merged, &demands), &merged, &left, start)))
    }

    /// A search over the market of a piece of work, from the prices in force.
    pub(crate) fn of(problem: &SubProblem) -> Self {
        let Resources { supply, capacities, prices, allowed } = &problem.resources;
        if allowed.is_none() {
            let table = Table::on(supply.tables(), supply, &problem.demands);
            let whole = Self::whole(supply, &problem.demands, capacities, prices);
            return Self { whole, ..Self::over(table, supply, capacities, prices) };
        }
        let mut part = Supply::clone(supply);
        for (id, provider) in supply.provider_ids().zip(&mut part.providers) {
            if !problem.resources.allows(id) {
                provider.offers.clear();
            }
        }
        Self::new(&part, &problem.demands, capacities, prices)
    }

    fn over(table: Table, supply: &Supply, capacities: &[Option<Minutes>], start: &DualPrices) -> Self {
        let slots = supply.slot_count();
        let capacities: Vec<_> = (0..slots).map(|index| capacities.get(index).copied().flatten()).collect();
        let suited = |index: usize, capacity: &Option<Minutes>| {
            let price = start.of(supply.horizon.slot(index)).clamp(Money::ZERO, limits::CAPACITY_PRICE);
            if capacity.is_some() { price.as_f64() * 1e6 } else { 0.0 }
        };
        let point = capacities.iter().enumerate().map(|(index, capacity)| suited(index, capacity)).collect();
        Self {
            table,
            capacities,
            point,
            direction: vec![0.0; slots],
            best: None,
            level: FIRST_LEVEL,
            stalled: 0,
            whole: None,
        }
    }

    /// Takes the bound at the present prices and moves on. False, and nothing changes, if it was cancelled.
    pub fn step(&mut self, cancel: &AtomicBool) -> bool {
        if self.best.is_some()
            && let Some(whole) = &mut self.whole
        {
            if !whole.step(cancel) {
                return false;
            }
            if whole.level <= WHOLE_LEVEL {
                let found = whole.best();
                self.begin_with(found);
            }
            return true;
        }
        let prices: Vec<i64> = self.point.iter().map(|&price| quantised(price)).collect();
        let Some(response) = self.respond(&prices, cancel) else { return false };
        let bound = response.cost - self.capacity_value(&prices);
        let gradient: Vec<f64> = (0..prices.len()).map(|index| self.excess(index, &response)).collect();
        self.note(prices, bound);
        self.advance(bound, &gradient);
        true
    }

    /// Goes on from prices of providers whenever they work.
    fn begin_with(&mut self, found: Option<PricedBound>) {
        let horizon = self.table.horizon;
        self.whole = None;
        self.direction.fill(0.0);
        self.level = FINE_LEVEL;
        self.stalled = 0;
        let Some(PricedBound { prices, .. }) = found else { return };
        for (index, (point, capacity)) in self.point.iter_mut().zip(&self.capacities).enumerate() {
            let Slot { provider, .. } = horizon.slot(index);
            *point = if capacity.is_some() { prices.of(Slot::single(provider)).as_f64() * 1e6 } else { 0.0 };
        }
    }

    /// The best prices so far and their bound; `None` before the first step, or if that bound leaves the
    /// range of money.
    pub fn best(&self) -> Option<PricedBound> {
        let (prices, bound) = self.best.as_ref()?;
        let bound = Money::from_micros(i64::try_from(*bound).ok()?);
        let prices = prices.iter().map(|&price| Money::from_micros(price));
        let prices = DualPrices::in_order(self.table.horizon, prices);
        Some(PricedBound { prices, bound })
    }

    /// Every demand's cheapest composition at these prices, or its budget where that is less.
    fn respond(&self, prices: &[i64], cancel: &AtomicBool) -> Option<Response> {
        let table = &self.table;
        let offers = priced_offers(table, prices);
        let answers = table.rows.par_iter().map_init(PathFinder::default, |finder, row| {
            if cancel.load(Ordering::Relaxed) {
                return None;
            }
            match finder.cheapest(table, &offers, row, Limits::default()).filter(|&cost| cost < row.budget) {
                Some(cost) => Some((cost, finder.genes().to_vec())),
                None => Some((row.budget, Vec::new())),
            }
        });
        let answers: Vec<(i64, Vec<u32>)> = answers.collect::<Option<_>>()?;
        let mut response = Response { cost: 0, minutes: vec![0; prices.len()] };
        for (row, (cost, genes)) in table.rows.iter().zip(&answers) {
            response.cost += i128::from(*cost);
            for (slot, minutes) in table.uses(row, genes) {
                response.minutes[slot as usize] += minutes;
            }
        }
        Some(response)
    }

    fn capacity_value(&self, prices: &[i64]) -> i128 {
        let values = prices.iter().zip(&self.capacities);
        values.map(|(&price, &capacity)| i128::from(price) * i128::from(capacity.unwrap_or(0).max(0))).sum()
    }

    /// Minutes asked of a slot beyond its capacity; 0 where it is unlimited.
    #[expect(clippy::cast_precision_loss, reason = "minutes of a market fit a double's 53 bits")]
    fn excess(&self, index: usize, response: &Response) -> f64 {
        self.capacities[index].map_or(0.0, |capacity| (response.minutes[index] - capacity.max(0)) as f64)
    }

    fn note(&mut self, prices: Vec<i64>, bound: i128) {
        if self.best.as_ref().is_none_or(|&(_, best)| bound > best) {
            self.best = Some((prices, bound));
            self.stalled = 0;
            return;
        }
        self.stalled += 1;
        if self.stalled >= PATIENCE {
            self.stalled = 0;
            self.level = (self.level * LEVEL_FACTOR).max(LEAST_LEVEL);
            // Start again from the best prices, without the direction that led astray.
            if let Some((best, _)) = &self.best {
                #[expect(clippy::cast_precision_loss, reason = "a price is below 2^53 micro-units")]
                self.point.iter_mut().zip(best).for_each(|(point, &price)| *point = price as f64);
            }
            self.direction.fill(0.0);
        }
    }

    /// A step from the present prices towards the level.
    #[expect(clippy::cast_precision_loss, reason = "step lengths need no more than 53 bits")]
    fn advance(&mut self, bound: i128, gradient: &[f64]) {
        let best = self.best.as_ref().map_or(bound, |&(_, best)| best);
        let target = best as f64 + self.level * (best as f64).abs().max(1.0);
        let mut square = 0.0;
        for ((direction, &gradient), &price) in self.direction.iter_mut().zip(gradient).zip(&self.point) {
            *direction = gradient + MOMENTUM * *direction;
            if price <= 0.0 && *direction < 0.0 {
                *direction = 0.0; // the price stays at zero
            }
            square += *direction * *direction;
        }
        if square > 0.0 {
            let length = (target - bound as f64) / square;
            let highest = limits::CAPACITY_PRICE.micros() as f64;
            for (price, &direction) in self.point.iter_mut().zip(&self.direction) {
                *price = (*price + length * direction).clamp(0.0, highest);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a price lies within the limits, far below 2^53")]
fn quantised(price: f64) -> i64 {
    price.round() as i64
}

/// The best prices found in `steps` steps from `start` (or before `cancel` is set; at least `start` itself,
/// as far as it suits the capacities, is always evaluated), their bound certified by the shared oracle.
///
/// # Errors
/// If the bound leaves the range of money.
pub fn find_prices(
    supply: &Supply,
    demands: &[Demand],
    capacities: &[Option<Minutes>],
    start: &DualPrices,
    steps: u32,
    cancel: &AtomicBool,
) -> Result<PricedBound, PriceError> {
    let mut search = PriceSearch::new(supply, demands, capacities, start);
    search.step(&AtomicBool::new(false));
    for _ in 1..steps {
        if !search.step(cancel) {
            break;
        }
    }
    let prices = search.best().ok_or(PriceError::BoundOverflow)?.prices;
    let bound = dual_bound(&Oracle::new(supply), demands, &search.capacities, &prices)?;
    Ok(PricedBound { prices, bound })
}
