//! A scenario: an instance plus the network, search and experiment settings around it. What a scenario file
//! holds, as the rest of the project sees it; the file's own form is in [`crate::file`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generate::GenerateParameters;
use crate::geometry::Site;
use crate::instance::Instance;
use crate::parameters::Parameters;
use crate::periods::Period;
use crate::projection::GeoPoint;
use crate::settings::{ExperimentSettings, SearchSettings};
use crate::units::OperationId;

/// The part of the plane that a scenario is about, in metres; western and southern edges belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Western edge.
    pub west_m: i64,
    /// Southern edge.
    pub south_m: i64,
    /// Eastern edge, east of the western one.
    pub east_m: i64,
    /// Northern edge, north of the southern one.
    pub north_m: i64,
}

impl Window {
    /// A square of this side about (0, 0), in metres.
    pub const fn centred(side_m: i64) -> Self {
        let half = side_m / 2;
        Self { west_m: -half, south_m: -half, east_m: side_m - half, north_m: side_m - half }
    }

    /// West to east, in metres.
    pub const fn width_m(&self) -> i64 {
        self.east_m - self.west_m
    }

    /// South to north, in metres.
    pub const fn height_m(&self) -> i64 {
        self.north_m - self.south_m
    }

    /// Whether a site is a point in it.
    pub fn contains(&self, site: Site) -> bool {
        match site {
            Site::Point { x_m, y_m } => {
                (self.west_m..self.east_m).contains(&x_m) && (self.south_m..self.north_m).contains(&y_m)
            }
            Site::Place(_) => false,
        }
    }

    /// Which of `strips` north-south strips of equal width a site lies in, counted from the west; sites
    /// beyond an edge belong to the strip at that edge, places of a matrix to the first. `strips` is at least 1.
    pub fn strip(&self, site: Site, strips: usize) -> usize {
        let Site::Point { x_m, .. } = site else { return 0 };
        let count = i128::try_from(strips.max(1)).unwrap_or(i128::MAX);
        let east = i128::from(x_m) - i128::from(self.west_m);
        let strip = (east * count).div_euclid(i128::from(self.width_m().max(1)));
        usize::try_from(strip.clamp(0, count - 1)).unwrap_or(0)
    }

    /// The smallest window that holds all points among `sites`; `None` if there are none.
    pub fn around(sites: impl IntoIterator<Item = Site>) -> Option<Self> {
        let mut window: Option<Self> = None;
        for site in sites {
            let Site::Point { x_m, y_m } = site else { continue };
            let point = Self { west_m: x_m, south_m: y_m, east_m: x_m + 1, north_m: y_m + 1 };
            window = Some(window.map_or(point, |all| Self {
                west_m: all.west_m.min(point.west_m),
                south_m: all.south_m.min(point.south_m),
                east_m: all.east_m.max(point.east_m),
                north_m: all.north_m.max(point.north_m),
            }));
        }
        window
    }
}

/// An instance and everything a run on it needs to know.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Scenario {
    /// A short name, such as `tehran-problem-2`.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Whose data it holds.
    pub attribution: String,
    /// How it was generated, if it was: [`crate::generate::generate`] makes it again from this.
    pub generator: Option<GenerateParameters>,
    /// Where (0, 0) lies on the earth, if it lies there.
    pub origin: Option<GeoPoint>,
    /// The part of the plane it is about; `None` for a market on a distance matrix or of scattered sites.
    pub window: Option<Window>,
    /// Names of the operations; an [`OperationId`] is a position here.
    pub operations: Vec<String>,
    /// What people call the periods, from period 0 on and then again from the beginning; empty: nothing but numbers.
    pub period_names: Vec<String>,
    pub instance: Instance,
    /// What the network accepts and pays.
    pub network: Parameters,
    /// How searches are run.
    pub search: SearchSettings,
    /// How experiments are run, and what others found.
    pub experiment: ExperimentSettings,
}

impl Scenario {
    /// An instance with everything else by default; an operation's name is its number.
    pub fn of_instance(name: &str, instance: Instance) -> Self {
        let offered = instance.supply.providers.iter().flat_map(|provider| provider.offers.keys());
        let ordered = instance.demands.iter().flat_map(|demand| &demand.orders);
        let operations = offered.chain(ordered).map(|operation| operation.index() + 1).max().unwrap_or(1);
        Self {
            name: name.to_owned(),
            description: String::new(),
            attribution: String::new(),
            generator: None,
            origin: None,
            window: None,
            operations: (0..operations).map(|number| format!("operation {number}")).collect(),
            period_names: Vec::new(),
            instance,
            network: Parameters::default(),
            search: SearchSettings::default(),
            experiment: ExperimentSettings::default(),
        }
    }

    /// The name of an operation, or its number if it has none.
    pub fn operation_name(&self, operation: OperationId) -> String {
        self.operations.get(operation.index()).cloned().unwrap_or_else(|| operation.to_string())
    }

    /// What people call a period, such as `period 9 (Monday)`.
    pub fn period_name(&self, period: Period) -> String {
        let count = self.period_names.len();
        let name = (count > 0).then(|| &self.period_names[period.0 as usize % count]);
        name.map_or_else(|| period.to_string(), |name| format!("{period} ({name})"))
    }

    /// The window, or else the smallest one that holds all sites; `None` if no site is a point.
    pub fn extent(&self) -> Option<Window> {
        let providers = self.instance.supply.providers.iter().map(|provider| provider.site);
        let demands = self.instance.demands.iter().map(|demand| demand.site);
        self.window.or_else(|| Window::around(providers.chain(demands)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_counted_from_the_west_and_take_in_what_lies_beyond() {
        let window = Window::centred(100);
        let strip = |x_m| window.strip(Site::point(x_m, 0), 4);
        assert_eq!([-50, -26, -25, -1, 0, 24, 25, 49].map(strip), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!([i64::MIN, -51, 50, i64::MAX].map(strip), [0, 0, 3, 3]);
        assert_eq!(window.strip(Site::Place(7), 4), 0);
    }

    #[test]
    fn a_window_holds_its_western_and_southern_edges_only() {
        let window = Window::centred(10);
        assert!(window.contains(Site::point(-5, -5)));
        assert!(!window.contains(Site::point(5, 0)));
        assert!(!window.contains(Site::point(0, 5)));
        assert_eq!((window.width_m(), window.height_m()), (10, 10));
    }

    #[test]
    fn the_window_around_sites_is_the_smallest() {
        let sites = [Site::point(3, -1), Site::Place(4), Site::point(-2, 7)];
        let expected = Window { west_m: -2, south_m: -1, east_m: 4, north_m: 8 };
        assert_eq!(Window::around(sites), Some(expected));
        assert_eq!(Window::around([Site::Place(0)]), None);
    }
}
