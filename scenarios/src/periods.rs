//! Time as markets plan it: periods, what a provider can do in each, and when a demand wants to be served.
//!
//! Periods have absolute numbers. A market plans those of its [`Horizon`]; one without a calendar has a single period, for ever,
//! and everything said here of periods then says nothing.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::at_most;
use crate::limits;
use crate::units::{Minutes, ProviderId};

/// A period, by its number; a market's calendar begins with period 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Period(pub u32);

impl Period {
    /// The first of all calendars.
    pub const ZERO: Self = Self(0);
    /// No period comes after it.
    pub const LAST: Self = Self(u32::MAX);

    /// So many periods later, the last there is at most.
    #[must_use]
    pub const fn plus(self, periods: u32) -> Self {
        Self(self.0.saturating_add(periods))
    }

    /// How many periods this is after another; 0 if it is not.
    pub const fn since(self, other: Self) -> u32 {
        self.0.saturating_sub(other.0)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "period {}", self.0)
    }
}

/// A provider in a period: what minutes are taken from, what a dual price is on, and what a composition names for each order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Slot {
    pub provider: ProviderId,
    pub period: Period,
}

impl Slot {
    /// A provider in the only period of a market without a calendar.
    pub const fn single(provider: ProviderId) -> Self {
        Self { provider, period: Period::ZERO }
    }
}

/// Of period 0 nothing is said: in most markets there is no other.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.period == Period::ZERO {
            return self.provider.fmt(f);
        }
        write!(f, "{} in {}", self.provider, self.period)
    }
}

/// When the orders of a demand may be done: these periods and all between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The first.
    pub release: Period,
    /// The last.
    pub due: Period,
}

impl TimeWindow {
    /// Any time will do.
    pub const ANY: Self = Self { release: Period::ZERO, due: Period::LAST };

    /// Whether a period is one of them.
    pub fn contains(self, period: Period) -> bool {
        self.release <= period && period <= self.due
    }
}

impl Default for TimeWindow {
    fn default() -> Self {
        Self::ANY
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.due) {
            (Self::ANY, _) => f.write_str("at any time"),
            (_, Period::LAST) => write!(f, "from {} on", self.release),
            (Self { release, .. }, due) if release == due => write!(f, "in {due}"),
            (Self { release, .. }, due) => write!(f, "in periods {} to {}", release.0, due.0),
        }
    }
}

/// The periods that can be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Horizon {
    /// The first of them.
    pub first: Period,
    /// How many, 1 to [`limits::PERIODS`].
    pub periods: u32,
    /// How many minutes a period has: what one demand can take of it, its travel included. `None`, in a market without a calendar, is
    /// as many as anybody wants.
    pub period_minutes: Option<Minutes>,
}

impl Horizon {
    /// Of a market without a calendar.
    pub const SINGLE: Self = Self { first: Period::ZERO, periods: 1, period_minutes: None };

    /// How many periods, as a length.
    pub const fn len(&self) -> usize {
        self.periods as usize
    }

    /// Whether there is no period, which no market has.
    pub const fn is_empty(&self) -> bool {
        self.periods == 0
    }

    /// The last period.
    pub const fn last(&self) -> Period {
        self.first.plus(self.periods.saturating_sub(1))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Period> + use<> {
        let first = self.first;
        (0..self.periods).map(move |offset| first.plus(offset))
    }

    /// Whether a period is one of them.
    pub fn contains(&self, period: Period) -> bool {
        period >= self.first && period.since(self.first) < self.periods
    }

    /// The place of a slot where the slots of all providers stand in order; `None` if its period cannot be planned.
    pub fn position(&self, slot: Slot) -> Option<usize> {
        let offset = slot.period.since(self.first) as usize;
        self.contains(slot.period).then(|| slot.provider.index() * self.len() + offset)
    }

    /// The slot at a place.
    pub fn slot(&self, position: usize) -> Slot {
        if self.periods == 1 {
            return Slot { provider: ProviderId::from_index(position), period: self.first };
        }
        let offset = u32::try_from(position % self.len().max(1)).unwrap_or(0);
        let provider = ProviderId::from_index(position / self.len().max(1));
        Slot { provider, period: self.first.plus(offset) }
    }

    /// A provider's places.
    pub const fn positions(&self, provider: ProviderId) -> std::ops::Range<usize> {
        let first = provider.index() * self.len();
        first..first + self.len()
    }

    /// What of a window can be planned, as places of the horizon: the first and how many; `None` if nothing can.
    pub fn within(&self, window: TimeWindow) -> Option<(usize, usize)> {
        let (from, to) = (window.release.max(self.first), window.due.min(self.last()));
        let count = to.since(from) as usize + 1;
        (from <= to).then(|| (from.since(self.first) as usize, count))
    }
}

impl Default for Horizon {
    fn default() -> Self {
        Self::SINGLE
    }
}

/// How many minutes a provider works in each period: a pattern that is repeated for ever, and exceptions from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Calendar {
    /// Minutes in period 0, 1, ...; then again from the beginning. One entry at least.
    #[serde(deserialize_with = "pattern")]
    pattern: Vec<Minutes>,
    /// Periods in which it works for other times.
    #[serde(deserialize_with = "exceptions")]
    exceptions: BTreeMap<Period, Minutes>,
}

impl Calendar {
    /// The same minutes in every period.
    pub fn every(minutes: Minutes) -> Self {
        Self { pattern: vec![minutes], exceptions: BTreeMap::new() }
    }

    /// These minutes in period 0, 1, ... and then again, but for the exceptions; a pattern of nothing is no work at all.
    pub fn new(mut pattern: Vec<Minutes>, exceptions: BTreeMap<Period, Minutes>) -> Self {
        if pattern.is_empty() {
            pattern.push(0);
        }
        Self { pattern, exceptions }
    }

    /// These minutes in the periods from `first` on, whatever comes after.
    pub fn starting(first: Period, minutes: &[Minutes]) -> Self {
        let count = minutes.len().max(1);
        let mut pattern = vec![0; count];
        for (offset, &minutes) in minutes.iter().enumerate() {
            pattern[(first.0 as usize + offset) % count] = minutes;
        }
        Self { pattern, exceptions: BTreeMap::new() }
    }

    /// Minutes in a period.
    pub fn minutes_in(&self, period: Period) -> Minutes {
        let repeated = || self.pattern.get(period.0 as usize % self.pattern.len().max(1)).copied();
        self.exceptions.get(&period).copied().or_else(repeated).unwrap_or(0)
    }

    /// The minutes that are repeated.
    pub fn pattern(&self) -> &[Minutes] {
        &self.pattern
    }

    /// Periods that are not as the pattern says.
    pub const fn exceptions(&self) -> &BTreeMap<Period, Minutes> {
        &self.exceptions
    }

    /// The most minutes in any of these periods.
    pub fn most_in(&self, horizon: &Horizon) -> Minutes {
        horizon.iter().map(|period| self.minutes_in(period)).max().unwrap_or(0)
    }

    /// Minutes in all of these periods.
    pub fn total_in(&self, horizon: &Horizon) -> Minutes {
        horizon.iter().map(|period| self.minutes_in(period)).fold(0, Minutes::saturating_add)
    }

    /// The most minutes in any so many periods that follow each other, all exceptions that add minutes counted.
    pub fn most_total(&self, periods: u32) -> Minutes {
        let length = self.pattern.len().max(1);
        let total = |first: usize| {
            let minutes = self.pattern.iter().cycle().skip(first).take(periods as usize);
            minutes.copied().fold(0, Minutes::saturating_add)
        };
        let repeated = (0..length).map(total).max().unwrap_or(0);
        let added = self.exceptions.iter().map(|(period, &minutes)| {
            let usual = self.pattern.get(period.0 as usize % length).copied().unwrap_or(0);
            minutes.saturating_sub(usual).max(0)
        });
        added.fold(repeated, Minutes::saturating_add)
    }

    /// Whether there are certainly no more minutes than by another calendar in any period.
    pub fn is_within(&self, other: &Self) -> bool {
        let is_less = |(own, other): (&Minutes, &Minutes)| own <= other;
        let excepted = self.exceptions.keys().chain(other.exceptions.keys());
        self.pattern.len() == other.pattern.len()
            && self.pattern.iter().zip(&other.pattern).all(is_less)
            && excepted.copied().all(|period| self.minutes_in(period) <= other.minutes_in(period))
    }

    /// Leaves out exceptions from periods before this one: they are over.
    pub fn forget_before(&mut self, period: Period) {
        self.exceptions = self.exceptions.split_off(&period);
    }

    /// Everything it says, to be checked.
    pub fn all_minutes(&self) -> impl Iterator<Item = Minutes> {
        self.pattern.iter().chain(self.exceptions.values()).copied()
    }
}

/// The same minutes in every period.
impl From<Minutes> for Calendar {
    fn from(minutes: Minutes) -> Self {
        Self::every(minutes)
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Minutes>, D::Error> {
    let pattern: Vec<Minutes> = at_most(limits::CALENDAR_ENTRIES, deserializer)?;
    let is_empty = || serde::de::Error::invalid_length(0, &"at least one period");
    if pattern.is_empty() { Err(is_empty()) } else { Ok(pattern) }
}

fn exceptions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Period, Minutes>, D::Error> {
    let exceptions = BTreeMap::<Period, Minutes>::deserialize(deserializer)?;
    let expected = "fewer periods";
    let too_many = || serde::de::Error::invalid_length(exceptions.len(), &expected);
    if exceptions.len() > limits::CALENDAR_ENTRIES { Err(too_many()) } else { Ok(exceptions) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Horizon = Horizon { first: Period(10), periods: 7, period_minutes: Some(1_440) };

    #[test]
    fn slots_stand_provider_by_provider_in_order_of_period() {
        let slot = |provider, period| Slot { provider: ProviderId(provider), period: Period(period) };
        assert_eq!(WEEK.position(slot(0, 10)), Some(0));
        assert_eq!(WEEK.position(slot(2, 13)), Some(17));
        assert_eq!(WEEK.slot(17), slot(2, 13));
        assert_eq!((WEEK.position(slot(0, 9)), WEEK.position(slot(0, 17))), (None, None));
        assert_eq!(WEEK.positions(ProviderId(2)), 14..21);
        assert_eq!(WEEK.last(), Period(16));
        assert_eq!(Horizon::SINGLE.position(Slot::single(ProviderId(5))), Some(5));
    }

    #[test]
    fn of_a_window_the_plannable_part_counts() {
        let window = |release, due| TimeWindow { release: Period(release), due: Period(due) };
        assert_eq!(WEEK.within(TimeWindow::ANY), Some((0, 7)));
        assert_eq!(WEEK.within(window(12, 13)), Some((2, 2)));
        assert_eq!(WEEK.within(window(0, 10)), Some((0, 1)));
        assert_eq!((WEEK.within(window(0, 9)), WEEK.within(window(17, 20))), (None, None));
        assert_eq!(WEEK.within(window(13, 12)), None);
        assert_eq!(Horizon::SINGLE.within(TimeWindow::ANY), Some((0, 1)));
    }

    #[test]
    fn a_calendar_repeats_its_pattern_but_for_exceptions() {
        let calendar = Calendar::new(vec![480, 480, 0], BTreeMap::from([(Period(4), 60)]));
        let minutes: Vec<Minutes> = (0..8).map(|period| calendar.minutes_in(Period(period))).collect();
        assert_eq!(minutes, [480, 480, 0, 480, 60, 0, 480, 480]);
        assert_eq!((calendar.most_in(&WEEK), calendar.total_in(&WEEK)), (480, 5 * 480));
    }

    #[test]
    fn minutes_given_from_some_period_on_are_those_of_the_periods_from_there() {
        let calendar = Calendar::starting(Period(10), &[1, 2, 3, 4, 5, 6, 7]);
        let minutes: Vec<Minutes> = WEEK.iter().map(|period| calendar.minutes_in(period)).collect();
        assert_eq!(minutes, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_calendar_of_nothing_is_refused_and_one_without_end_too() {
        assert!(serde_json::from_str::<Calendar>(r#"{"pattern":[],"exceptions":{}}"#).is_err());
        let long = format!(r#"{{"pattern":{:?},"exceptions":{{}}}}"#, vec![0; 1_000]);
        assert!(serde_json::from_str::<Calendar>(&long).is_err());
        let json = r#"{"pattern":[480],"exceptions":{"3":0}}"#;
        let calendar: Calendar = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&calendar).unwrap(), json);
    }

    #[test]
    fn windows_are_read_as_sentences() {
        let window = |release, due| TimeWindow { release: Period(release), due: Period(due) }.to_string();
        assert_eq!(TimeWindow::ANY.to_string(), "at any time");
        assert_eq!(window(3, 3), "in period 3");
        assert_eq!(window(3, 5), "in periods 3 to 5");
        assert_eq!(window(3, u32::MAX), "from period 3 on");
    }
}
