//! The real places around which sites are drawn (`data/tehran_places.csv`).

use serde::Deserialize;

use crate::projection::GeoPoint;

/// Tehran, the centre of every window on real places.
pub const TEHRAN: GeoPoint = GeoPoint { latitude: 35.69439, longitude: 51.42151 };

/// Who made the list of places, as every file made from it says.
pub const ATTRIBUTION: &str = "Places near Tehran: GeoNames geographical database (geonames.org), CC BY 4.0. \
    Names and positions of firms, offers and demands are made up.";

/// A place on the earth.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Place {
    pub(super) name: String,
    #[serde(rename = "lat")]
    pub(super) latitude: f64,
    #[serde(rename = "lon")]
    pub(super) longitude: f64,
    /// Inhabitants, 0 if not known.
    pub(super) population: u64,
}

/// All places of the list.
pub(super) fn places() -> Vec<Place> {
    let mut reader = csv::Reader::from_reader(include_bytes!("../../data/tehran_places.csv").as_slice());
    let places: Result<Vec<Place>, csv::Error> = reader.deserialize().collect();
    places.expect("the list is part of the program, and a test reads it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_tehran_and_267_other_places() {
        let places = places();
        assert_eq!(places.len(), 268);
        let tehran = places.iter().find(|place| place.name == "Tehran").unwrap();
        assert_eq!(tehran.population, 7_153_309);
        assert_eq!(GeoPoint { latitude: tehran.latitude, longitude: tehran.longitude }, TEHRAN);
    }
}
