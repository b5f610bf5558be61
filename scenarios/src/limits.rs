//! The largest values a market may hold, chosen so that no sum the evaluator or a validator forms can
//! overflow. Every loader and every record check refuses what lies outside.
//!
//! One composition: at most [`ORDERS_PER_DEMAND`] orders, each with a leg of at most 2^31.5 m at
//! [`RATE_PER_KM`] (about 3.1e14 micro-units), its travel time and processing minutes valued at
//! [`VALUE_OF_MINUTE`] (at most 3.1e9 and 1e6 minutes at 1e5: about 3.1e14), a cost of [`OFFER_COST`]
//! (1e12) and priced minutes of [`OFFER_MINUTES`] x [`CAPACITY_PRICE`] (1e15): below 256 x 1.7e15 =
//! 4.3e17, a twentieth of `i64::MAX`. Sums over a whole market are formed in `i128`.

use crate::units::{Minutes, Money};

/// Coordinates lie strictly within `-COORDINATE_METRES..COORDINATE_METRES`.
pub const COORDINATE_METRES: i64 = 1 << 30;
/// The largest entry of a distance matrix, in metres.
pub const DISTANCE_METRES: i64 = 1 << 31;
/// The largest number of places of a distance matrix (its triangle inequality is checked in cubic time).
pub const PLACES: usize = 1_024;
/// The largest number of providers.
pub const PROVIDERS: usize = 20_000;
/// The largest number of operations.
pub const OPERATIONS: usize = 4_096;
/// The largest number of demands of one instance.
pub const DEMANDS: usize = 1_000_000;
/// The largest number of orders of one demand.
pub const ORDERS_PER_DEMAND: usize = 256;
/// The largest processing cost of one order.
pub const OFFER_COST: Money = Money::from_units(1_000_000);
/// The largest processing time of one order, in minutes.
pub const OFFER_MINUTES: Minutes = 1_000_000;
/// The largest capacity of a provider, in minutes.
pub const CAPACITY_MINUTES: Minutes = 1_000_000_000;
/// The largest transport rate per kilometre.
pub const RATE_PER_KM: Money = Money::from_units(100);
/// The largest value of one minute.
pub const VALUE_OF_MINUTE: Money = Money::from_micros(100_000);
/// The largest budget of one demand.
pub const BUDGET: Money = Money::from_units(1_000_000);
/// The largest dual price of one minute.
pub const CAPACITY_PRICE: Money = Money::from_units(1_000);
/// The largest number of periods that can be planned.
pub const PERIODS: usize = 128;
/// The longest pattern of a calendar, and the most exceptions from it.
pub const CALENDAR_ENTRIES: usize = 400;
/// The latest period that anything may be said of: far beyond all calendars, and countable from.
pub const LATEST_PERIOD: u32 = 1 << 30;
/// The longest name of an operation, provider or demand, in bytes.
pub const NAME_BYTES: usize = 64;
