//! Where generated providers and demanders are.

use super::draw::Draw;
use super::parameters::{GenerateParameters, SiteParameters};
use super::places::{Place, TEHRAN, places};
use crate::findings::Findings;
use crate::geometry::Site;
use crate::projection::{GeoPoint, Projection};
use crate::scenario::Window;

/// Draws that miss before the parameters are given up.
const ATTEMPTS: u32 = 1_000_000;

/// A drawn site and the name of the place it is near, if it is near one.
#[derive(Clone, Debug)]
pub(super) struct DrawnSite {
    pub(super) site: Site,
    pub(super) place: Option<String>,
}

/// Draws sites as the parameters say.
pub(super) struct Sites {
    window: Window,
    spread_m: u32,
    /// Places in metres, with the sums of the weights up to and including each; empty: uniform.
    places: Vec<(Place, Site)>,
    weights: Vec<u64>,
}

impl Sites {
    pub(super) fn new(parameters: &GenerateParameters) -> Self {
        let window = Window::centred(i64::from(parameters.window_km) * 1_000);
        let SiteParameters::Tehran { spread_m, .. } = parameters.sites else {
            return Self { window, spread_m: 0, places: Vec::new(), weights: Vec::new() };
        };
        let projection = Projection::about(TEHRAN);
        let located = places().into_iter().map(|place| {
            let point = GeoPoint { latitude: place.latitude, longitude: place.longitude };
            (place, projection.site(point))
        });
        let places: Vec<(Place, Site)> = located.collect();
        // Weight sqrt(population): people spread out more evenly than they live. A place whose population is
        // not known (0) is never chosen.
        let mut total = 0;
        let sums = places.iter().map(|(place, _)| {
            total += place.population.isqrt();
            total
        });
        Self { window, spread_m, weights: sums.collect(), places }
    }

    pub(super) const fn window(&self) -> Window {
        self.window
    }

    /// `count` sites, the first `west` of them (if given) in the western half and the others in the eastern,
    /// in random order.
    pub(super) fn draw(
        &self,
        draw: &mut Draw,
        count: u32,
        west: Option<u32>,
    ) -> Result<Vec<DrawnSite>, Findings> {
        let mut sites = Vec::with_capacity(count as usize);
        for position in 0..count {
            let region = match west {
                Some(west) if position < west => Window { east_m: 0, ..self.window },
                Some(_) => Window { west_m: 0, ..self.window },
                None => self.window,
            };
            sites.push(self.draw_within(draw, &region)?);
        }
        draw.shuffle(&mut sites);
        Ok(sites)
    }

    fn draw_within(&self, draw: &mut Draw, region: &Window) -> Result<DrawnSite, Findings> {
        for _ in 0..ATTEMPTS {
            let drawn = self.draw_anywhere(draw, region);
            if region.contains(drawn.site) {
                return Ok(drawn);
            }
        }
        let mut findings = Findings::default();
        findings.say("sites", "no place is near enough to the window: enlarge window_km or spread_m");
        Err(findings)
    }

    fn draw_anywhere(&self, draw: &mut Draw, region: &Window) -> DrawnSite {
        let Some(&total) = self.weights.last() else {
            let mut along = |from: i64, length: i64| from + draw.below(length.unsigned_abs()).cast_signed();
            let x_m = along(region.west_m, region.width_m());
            let y_m = along(region.south_m, region.height_m());
            return DrawnSite { site: Site::point(x_m, y_m), place: None };
        };
        let weight = draw.below(total);
        let position = self.weights.partition_point(|&sum| sum <= weight);
        let (place, centre) = &self.places[position];
        let (east, north) = (draw.spread(self.spread_m), draw.spread(self.spread_m));
        let site = match *centre {
            Site::Point { x_m, y_m } => Site::point(x_m + east, y_m + north),
            Site::Place(_) => *centre,
        };
        DrawnSite { site, place: Some(place.name.clone()) }
    }
}
