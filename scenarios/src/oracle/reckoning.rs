//! Legs of straight lines estimated in floating point, from below and from above, so that the exact integer leg
//! is only computed where the estimate leaves a doubt. No answer depends on an estimate: what it says for
//! certain is true, and what it does not say is computed.

use crate::geometry::{Geometry, Site};
use crate::instance::Supply;
use crate::units::ProviderId;

/// Relative slack of the estimates, far above the rounding of a few operations on doubles (about 1e-15).
const SLACK: f64 = 1e-9;

/// Where providers are, and what a metre costs.
#[derive(Clone, Debug)]
pub(super) struct Reckoning {
    /// Metres; not a number for a site that is no point.
    sites: Vec<(f64, f64)>,
    /// Micro-units a metre, rounding left aside.
    per_metre: f64,
    /// Micro-units that the ceilings of one leg can add.
    rounding: f64,
}

impl Reckoning {
    /// `None` where distances are not those of straight lines.
    #[expect(clippy::cast_precision_loss, reason = "estimates with slack")]
    pub(super) fn new(supply: &Supply) -> Option<Self> {
        if supply.geometry != Geometry::Euclidean {
            return None;
        }
        let position = |site: Site| match site {
            Site::Point { x_m, y_m } if supply.geometry.contains(site) => (x_m as f64, y_m as f64),
            Site::Point { .. } | Site::Place(_) => (f64::NAN, f64::NAN),
        };
        let rules = &supply.rules;
        let of_time = rules.value_of_minute.micros() as f64;
        let per_metre =
            rules.rate_per_km.micros() as f64 / 1_000.0 + of_time / rules.metres_per_minute.max(1) as f64;
        Some(Self {
            sites: supply.providers.iter().map(|provider| position(provider.site)).collect(),
            per_metre,
            // A metre, a micro-unit and a minute.
            rounding: per_metre + 1.0 + of_time,
        })
    }

    /// Square of the distance in metres; not a number if there is none.
    fn square(&self, from: ProviderId, to: ProviderId) -> f64 {
        let ((ax, ay), (bx, by)) = (self.sites[from.index()], self.sites[to.index()]);
        let (dx, dy) = (ax - bx, ay - by);
        dx * dx + dy * dy
    }

    /// Whether the leg certainly costs at least this much. A leg is never cheaper than its metres.
    #[expect(clippy::cast_precision_loss, reason = "estimates with slack")]
    pub(super) fn costs_at_least(&self, from: ProviderId, to: ProviderId, micros: i64) -> bool {
        let micros = micros as f64;
        self.square(from, to) * self.per_metre * self.per_metre >= micros * micros * (1.0 + SLACK)
    }

    /// The offers, by position, that a cheapest path may use, all others being open: not those that are certainly
    /// dearer than some other offer and the way there and back.
    #[expect(clippy::cast_precision_loss, reason = "estimates with slack")]
    pub(super) fn undominated(&self, offers: &[(ProviderId, i64)]) -> Vec<u32> {
        let mut ranked: Vec<usize> = (0..offers.len()).collect();
        ranked.sort_by_key(|&position| offers[position].1);
        let mut kept: Vec<u32> = Vec::new();
        // As found, cheapest first: where, and the cost.
        let mut found: Vec<(f64, f64, f64)> = Vec::new();
        for position in ranked {
            let (provider, cost) = offers[position];
            let ((x, y), cost) = (self.sites[provider.index()], cost as f64);
            let dominates = |&(other_x, other_y, other_cost): &(f64, f64, f64)| {
                let spare = (cost - other_cost) * (0.5 - SLACK) - self.rounding;
                let (dx, dy) = (x - other_x, y - other_y);
                spare > 0.0
                    && (dx * dx + dy * dy) * self.per_metre * self.per_metre * (1.0 + SLACK) < spare * spare
            };
            if !found.iter().any(dominates) {
                found.push((x, y, cost));
                kept.extend(u32::try_from(position));
            }
        }
        kept.sort_unstable();
        kept
    }
}
