//! A part of the plane that a miner has chosen for itself: it composes what is open there before it takes its share of the rest.

use scenarios::{Site, Window};
use serde::{Deserialize, Serialize};

/// A part of the plane, in metres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum Region {
    /// What lies within these edges; the western and the southern one belong to it.
    Rectangle(Window),
    /// What is no farther than the radius from a point.
    Circle {
        /// Metres east.
        x_m: i64,
        /// Metres north.
        y_m: i64,
        /// At least 0.
        radius_m: i64,
    },
}

impl Region {
    /// Whether a site lies in it. A place of a distance matrix lies nowhere.
    pub fn contains(&self, site: Site) -> bool {
        let Site::Point { x_m: east_m, y_m: north_m } = site else { return false };
        match *self {
            Self::Rectangle(window) => {
                (window.west_m..window.east_m).contains(&east_m)
                    && (window.south_m..window.north_m).contains(&north_m)
            }
            Self::Circle { x_m, y_m, radius_m } => {
                let square = |from: i64, to: i64| (i128::from(from) - i128::from(to)).pow(2);
                radius_m >= 0 && square(east_m, x_m) + square(north_m, y_m) <= square(radius_m, 0)
            }
        }
    }

    /// Whether anything can lie in it.
    pub const fn is_empty(&self) -> bool {
        match self {
            Self::Rectangle(window) => window.west_m >= window.east_m || window.south_m >= window.north_m,
            Self::Circle { radius_m, .. } => *radius_m < 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_holds_what_is_as_far_as_its_radius_and_a_rectangle_two_of_its_edges() {
        let circle = Region::Circle { x_m: 10, y_m: -10, radius_m: 5 };
        let rectangle = Region::Rectangle(Window { west_m: 0, south_m: 0, east_m: 4, north_m: 3 });
        let inside = |region: Region, sites: [(i64, i64); 3]| {
            sites.map(|(x_m, y_m)| region.contains(Site::point(x_m, y_m)))
        };
        assert_eq!(inside(circle, [(13, -6), (14, -6), (10, -10)]), [true, false, true]);
        assert_eq!(inside(rectangle, [(0, 0), (4, 0), (3, 3)]), [true, false, false]);
        assert!(!circle.contains(Site::Place(0)));
    }

    #[test]
    fn what_nothing_can_lie_in_is_empty() {
        let rectangle = |east_m| Region::Rectangle(Window { west_m: 0, south_m: 0, east_m, north_m: 1 });
        let circle = |radius_m| Region::Circle { x_m: 0, y_m: 0, radius_m };
        assert_eq!(
            [rectangle(1), rectangle(0), circle(0), circle(-1)].map(|region| region.is_empty()),
            [false, true, false, true]
        );
    }
}
