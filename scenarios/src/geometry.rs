//! Sites and the distances between them: whole metres, rounded up so that the triangle inequality holds.

use serde::{Deserialize, Deserializer, Serialize};

use crate::at_most;
use crate::limits;

/// Where a provider or a demander is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Site {
    /// A point on the plane, in metres east and north of the market's origin.
    Point {
        /// Metres east.
        x_m: i64,
        /// Metres north.
        y_m: i64,
    },
    /// A row (and column) of the market's distance matrix.
    Place(u32),
}

impl Site {
    /// A point on the plane, in metres.
    pub const fn point(x_m: i64, y_m: i64) -> Self {
        Self::Point { x_m, y_m }
    }
}

/// How distances come about in a market.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Geometry {
    /// Straight lines between points of the plane.
    Euclidean,
    /// A table of distances between places.
    Matrix(DistanceMatrix),
}

impl Geometry {
    /// The distance in whole metres, rounded up; `None` if a site is not of this geometry (a place in a
    /// Euclidean market, a point or an unknown place in a matrix market) or beyond [`crate::limits`].
    pub fn distance(&self, from: Site, to: Site) -> Option<i64> {
        if !self.contains(from) || !self.contains(to) {
            return None;
        }
        match (self, from, to) {
            (Self::Euclidean, Site::Point { x_m: ax, y_m: ay }, Site::Point { x_m: bx, y_m: by }) => {
                Some(ceil_root(ax.abs_diff(bx), ay.abs_diff(by)))
            }
            (Self::Matrix(matrix), Site::Place(from), Site::Place(to)) => matrix.get(from, to),
            (Self::Euclidean | Self::Matrix(_), Site::Point { .. } | Site::Place(_), _) => None,
        }
    }

    /// Whether `site` belongs to this geometry and lies within [`crate::limits`].
    pub fn contains(&self, site: Site) -> bool {
        match (self, site) {
            (Self::Euclidean, Site::Point { x_m, y_m }) => [x_m, y_m]
                .iter()
                .all(|v| (1 - limits::COORDINATE_METRES..limits::COORDINATE_METRES).contains(v)),
            (Self::Matrix(matrix), Site::Place(place)) => (place as usize) < matrix.places(),
            (Self::Euclidean | Self::Matrix(_), _) => false,
        }
    }

    /// Whether no detour is shorter than the direct way. The solver prunes by dominance only where this holds.
    pub fn is_metric(&self) -> bool {
        match self {
            Self::Euclidean => true,
            Self::Matrix(matrix) => matrix.is_metric(),
        }
    }
}

/// ceil(sqrt(dx^2 + dy^2)) by exact integer root (docs/design.md section 2: both ceilings keep the triangle inequality).
fn ceil_root(dx: u64, dy: u64) -> i64 {
    // Within the plane each is below 2^31, so that the squares add up to less than 2^63.
    let (Some(dx), Some(dy)) = (dx.checked_mul(dx), dy.checked_mul(dy)) else { return i64::MAX };
    let square = dx.saturating_add(dy);
    let root = square.isqrt();
    let ceiling = if root * root < square { root + 1 } else { root };
    i64::try_from(ceiling).unwrap_or(i64::MAX)
}

/// Distances between places in metres, not necessarily symmetric, zero on the diagonal. Serialised as its
/// rows, so that what is read back has passed [`DistanceMatrix::new`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Rows", into = "Rows")]
pub struct DistanceMatrix {
    places: u32,
    metres: Vec<i64>,
    metric: bool,
}

/// Why a table of numbers is not a distance matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum MatrixError {
    /// There are more places than [`limits::PLACES`].
    #[error("{got} places, expected at most {expected}")]
    Places {
        /// Rows given.
        got: usize,
        /// The most there may be.
        expected: usize,
    },
    /// A row is shorter or longer than the number of rows.
    #[error("row {row} has {got} distances, expected {expected} (the matrix must be square)")]
    NotSquare {
        /// The row, from 0.
        row: usize,
        got: usize,
        /// The number of rows.
        expected: usize,
    },
    /// An entry is negative, too large, or a non-zero diagonal entry.
    #[error("distance from place {from} to place {to} is {got} m, expected {expected}")]
    Entry {
        /// Row.
        from: usize,
        /// Column.
        to: usize,
        got: i64,
        /// What would be right.
        expected: String,
    },
}

impl DistanceMatrix {
    /// From rows of metres.
    ///
    /// # Errors
    /// If there are more than [`limits::PLACES`] rows, they are not square, an entry is outside
    /// `0..=`[`limits::DISTANCE_METRES`], or a place is not at distance 0 from itself.
    pub fn new(rows: &[Vec<i64>]) -> Result<Self, MatrixError> {
        let places = rows.len();
        if places > limits::PLACES {
            return Err(MatrixError::Places { got: places, expected: limits::PLACES });
        }
        for (from, row) in rows.iter().enumerate() {
            if row.len() != places {
                return Err(MatrixError::NotSquare { row: from, got: row.len(), expected: places });
            }
            for (to, &got) in row.iter().enumerate() {
                if from == to && got != 0 {
                    return Err(MatrixError::Entry { from, to, got, expected: "0".into() });
                }
                if !(0..=limits::DISTANCE_METRES).contains(&got) {
                    let expected = format!("0 to {}", limits::DISTANCE_METRES);
                    return Err(MatrixError::Entry { from, to, got, expected });
                }
            }
        }
        let count = u32::try_from(places).unwrap_or(u32::MAX);
        let mut matrix = Self { places: count, metres: rows.concat(), metric: false };
        matrix.metric = matrix.triangle_violation().is_none();
        Ok(matrix)
    }

    /// Whether no detour is shorter than the direct way; found out once, when the matrix was made.
    pub const fn is_metric(&self) -> bool {
        self.metric
    }

    /// The distances from each place to all places.
    pub fn rows(&self) -> Vec<Vec<i64>> {
        self.metres.chunks(self.places().max(1)).map(<[i64]>::to_vec).collect()
    }

    /// The number of places.
    pub const fn places(&self) -> usize {
        self.places as usize
    }

    /// Metres from one place to another, `None` if either is unknown.
    pub fn get(&self, from: u32, to: u32) -> Option<i64> {
        if from >= self.places || to >= self.places {
            return None;
        }
        self.metres.get(from as usize * self.places() + to as usize).copied()
    }

    /// The first `(from, via, to)`, in that order, where the detour is shorter than the direct way, if there is one.
    pub fn triangle_violation(&self) -> Option<(u32, u32, u32)> {
        let places = self.places;
        for from in 0..places {
            for via in 0..places {
                let first = self.get(from, via)?;
                for to in 0..places {
                    if first + self.get(via, to)? < self.get(from, to)? {
                        return Some((from, via, to));
                    }
                }
            }
        }
        None
    }
}

/// As many rows as there may be, none longer than that.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Rows(#[serde(deserialize_with = "rows")] Vec<Row>);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Row(#[serde(deserialize_with = "row")] Vec<i64>);

fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Row>, D::Error> {
    at_most(limits::PLACES, deserializer)
}

fn row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    at_most(limits::PLACES, deserializer)
}

impl TryFrom<Rows> for DistanceMatrix {
    type Error = MatrixError;
    fn try_from(Rows(rows): Rows) -> Result<Self, MatrixError> {
        let rows: Vec<Vec<i64>> = rows.into_iter().map(|Row(row)| row).collect();
        Self::new(&rows)
    }
}

impl From<DistanceMatrix> for Rows {
    fn from(matrix: DistanceMatrix) -> Self {
        Self(matrix.rows().into_iter().map(Row).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::{Error, SeqDeserializer};

    use super::*;

    #[test]
    fn a_matrix_is_refused_at_its_first_place_too_many_whatever_follows() {
        let mut read = 0;
        let rows = std::iter::repeat_n(Vec::<i64>::new(), 2_000).inspect(|_| read += 1);
        let refused =
            DistanceMatrix::deserialize(SeqDeserializer::<_, Error>::new(rows)).expect_err("too many");
        assert_eq!(refused.to_string(), "invalid length 1025, expected a sequence of at most 1024");
        assert_eq!(read, 1_025);
    }

    #[test]
    fn distance_is_rounded_up_to_whole_metres() {
        let origin = Site::point(0, 0);
        assert_eq!(Geometry::Euclidean.distance(origin, Site::point(3, 4)), Some(5));
        assert_eq!(Geometry::Euclidean.distance(origin, Site::point(1, 1)), Some(2));
        assert_eq!(Geometry::Euclidean.distance(origin, origin), Some(0));
    }

    #[test]
    fn distance_is_exact_across_the_whole_plane() {
        let far = limits::COORDINATE_METRES - 1;
        let distance = Geometry::Euclidean.distance(Site::point(-far, -far), Site::point(far, far));
        // 2^31 - 2 on each axis: sqrt(2) * 2147483646 = 3037000497.2...
        assert_eq!(distance, Some(3_037_000_498));
    }

    #[test]
    fn a_site_of_another_geometry_has_no_distance() {
        let matrix = Geometry::Matrix(DistanceMatrix::new(&[vec![0, 7], vec![9, 0]]).unwrap());
        assert_eq!(matrix.distance(Site::Place(0), Site::Place(1)), Some(7));
        assert_eq!(matrix.distance(Site::Place(1), Site::Place(0)), Some(9));
        assert_eq!(matrix.distance(Site::Place(0), Site::Place(2)), None);
        assert_eq!(matrix.distance(Site::Place(0), Site::point(0, 0)), None);
        assert_eq!(Geometry::Euclidean.distance(Site::Place(0), Site::point(0, 0)), None);
    }

    #[test]
    fn a_site_beyond_the_plane_has_no_distance() {
        let beyond = Site::point(limits::COORDINATE_METRES, 0);
        assert_eq!(Geometry::Euclidean.distance(Site::point(0, 0), beyond), None);
        assert_eq!(Geometry::Euclidean.distance(Site::point(i64::MIN, 0), Site::point(i64::MAX, 0)), None);
    }

    #[test]
    fn a_shorter_detour_is_found() {
        let matrix = DistanceMatrix::new(&[vec![0, 1, 5], vec![1, 0, 1], vec![5, 1, 0]]).unwrap();
        assert_eq!(matrix.triangle_violation(), Some((0, 1, 2)));
        assert!(!matrix.is_metric());
        let mended = DistanceMatrix::new(&[vec![0, 1, 2], vec![1, 0, 1], vec![2, 1, 0]]).unwrap();
        assert_eq!(mended.triangle_violation(), None);
        assert!(mended.is_metric());
    }

    #[test]
    fn a_matrix_is_serialised_as_rows_and_checked_when_read() {
        let matrix = DistanceMatrix::new(&[vec![0, 7], vec![9, 0]]).unwrap();
        let text = serde_json::to_string(&matrix).unwrap();
        assert_eq!(text, "[[0,7],[9,0]]");
        assert_eq!(serde_json::from_str::<DistanceMatrix>(&text).unwrap(), matrix);
        assert!(serde_json::from_str::<DistanceMatrix>("[[0,7],[9]]").is_err());
        assert!(serde_json::from_str::<DistanceMatrix>("[[0,-7],[9,0]]").is_err());
    }

    #[test]
    fn a_matrix_with_a_ragged_row_or_a_bad_entry_is_refused() {
        let ragged = DistanceMatrix::new(&[vec![0, 1], vec![1]]).unwrap_err();
        assert_eq!(ragged, MatrixError::NotSquare { row: 1, got: 1, expected: 2 });
        let diagonal = DistanceMatrix::new(&[vec![3]]).unwrap_err().to_string();
        assert_eq!(diagonal, "distance from place 0 to place 0 is 3 m, expected 0");
    }
}
