//! From latitude and longitude to whole metres on the plane, once, when a file is read or generated.
//!
//! Equirectangular about an origin: `x = R cos(latitude of the origin) * difference of longitudes`, `y = R *
//! difference of latitudes`. Over a window of 200 km at Tehran's latitude lengths come out right to about
//! 2 %. Only additions, multiplications and divisions of IEEE doubles are used, the cosine included, so every
//! platform computes the same metre.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::Site;

/// Mean radius of the earth in metres (IUGG R1).
const EARTH_RADIUS_METRES: f64 = 6_371_008.8;
const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

/// A position on the earth, in degrees (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoPoint {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
}

impl GeoPoint {
    /// Whether both angles are within their ranges.
    pub fn is_valid(self) -> bool {
        (-90.0..=90.0).contains(&self.latitude) && (-180.0..=180.0).contains(&self.longitude)
    }
}

/// The projection about one origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    origin: GeoPoint,
    metres_per_degree_east: f64,
    metres_per_degree_north: f64,
}

impl Projection {
    /// The projection that puts `origin` at (0, 0).
    pub fn about(origin: GeoPoint) -> Self {
        let metres_per_degree_north = EARTH_RADIUS_METRES * RADIANS_PER_DEGREE;
        let metres_per_degree_east = metres_per_degree_north * cosine(origin.latitude * RADIANS_PER_DEGREE);
        Self { origin, metres_per_degree_east, metres_per_degree_north }
    }

    /// The site of a position, rounded to whole metres.
    pub fn site(&self, point: GeoPoint) -> Site {
        let x = (point.longitude - self.origin.longitude) * self.metres_per_degree_east;
        let y = (point.latitude - self.origin.latitude) * self.metres_per_degree_north;
        Site::point(whole(x), whole(y))
    }

    /// The position of a point on the plane; `None` for a place of a matrix. For display.
    #[expect(clippy::cast_precision_loss, reason = "for display")]
    pub fn geo_point(&self, site: Site) -> Option<GeoPoint> {
        let Site::Point { x_m, y_m } = site else { return None };
        Some(GeoPoint {
            latitude: self.origin.latitude + y_m as f64 / self.metres_per_degree_north,
            longitude: self.origin.longitude + x_m as f64 / self.metres_per_degree_east,
        })
    }
}

/// Rounded half away from zero; a float beyond `i64` saturates, and the loader then refuses the site.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and validation follows")]
fn whole(metres: f64) -> i64 {
    metres.round() as i64
}

/// The cosine of an angle of at most pi/2 by its Taylor series, to the last digits of a double. `f64::cos` may
/// differ between platforms.
fn cosine(radians: f64) -> f64 {
    let square = radians * radians;
    let (mut term, mut sum, mut factor) = (1.0, 1.0, 0.0);
    for _ in 0..14 {
        term *= -square / ((factor + 1.0) * (factor + 2.0));
        sum += term;
        factor += 2.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEHRAN: GeoPoint = GeoPoint { latitude: 35.69439, longitude: 51.42151 };

    #[test]
    fn the_origin_is_zero_and_a_degree_north_is_111_195_metres() {
        let projection = Projection::about(TEHRAN);
        assert_eq!(projection.site(TEHRAN), Site::point(0, 0));
        let north = GeoPoint { latitude: TEHRAN.latitude + 1.0, ..TEHRAN };
        assert_eq!(projection.site(north), Site::point(0, 111_195));
    }

    #[test]
    fn karaj_lies_west_of_tehran() {
        // 0.42996 degrees of 111,195 m * cos(35.69439 degrees) = 90,305.8 m; 0.13827 degrees of 111,195 m.
        let karaj = GeoPoint { latitude: 35.83266, longitude: 50.99155 };
        let site = Projection::about(TEHRAN).site(karaj);
        assert_eq!(site, Site::point(-38_828, 15_375));
        let back = Projection::about(TEHRAN).geo_point(site).unwrap();
        assert!((back.latitude - karaj.latitude).abs() < 1e-5);
        assert!((back.longitude - karaj.longitude).abs() < 1e-5);
    }

    #[test]
    fn the_series_is_the_cosine() {
        for degrees in 0..=90 {
            let radians = f64::from(degrees) * RADIANS_PER_DEGREE;
            assert!((cosine(radians) - radians.cos()).abs() < 1e-14, "{degrees}");
        }
    }
}
