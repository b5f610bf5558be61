//! Where providers and demanders are, as counts on a coarse grid.

use std::fmt;

use serde::Serialize;

use crate::geometry::Site;
use crate::instance::Instance;
use crate::scenario::Window;

/// Columns of a map; a character is about half as wide as high.
const COLUMNS: usize = 36;
/// Rows of a map.
const ROWS: usize = 18;

/// Numbers of providers and demands on a grid over a window, rows from north to south.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DensityMap {
    /// What the grid covers; sites beyond it count in the nearest cell.
    pub window: Window,
    /// Providers in each cell.
    pub providers: Vec<Vec<u32>>,
    /// Demands in each cell.
    pub demands: Vec<Vec<u32>>,
}

impl DensityMap {
    /// Counts the sites of an instance.
    pub fn new(window: Window, instance: &Instance) -> Self {
        let grid = |sites: &mut dyn Iterator<Item = Site>| {
            let mut grid = vec![vec![0; COLUMNS]; ROWS];
            for site in sites {
                let Site::Point { x_m, y_m } = site else { continue };
                let column = cell(x_m, window.west_m, window.width_m(), COLUMNS);
                let row = ROWS - 1 - cell(y_m, window.south_m, window.height_m(), ROWS);
                grid[row][column] += 1;
            }
            grid
        };
        let providers = grid(&mut instance.supply.providers.iter().map(|provider| provider.site));
        let demands = grid(&mut instance.demands.iter().map(|demand| demand.site));
        Self { window, providers, demands }
    }
}

/// Which of `cells` equal parts of `from..from + length` a coordinate lies in.
fn cell(at: i64, from: i64, length: i64, cells: usize) -> usize {
    let last = i128::try_from(cells.saturating_sub(1)).unwrap_or(i128::MAX);
    let position = (i128::from(at) - i128::from(from)) * (last + 1);
    usize::try_from(position.div_euclid(i128::from(length.max(1))).clamp(0, last)).unwrap_or(0)
}

/// How a count is drawn: `.` 1, `:` 2, `+` 3 to 4, `#` 5 to 8, `@` more.
const fn mark(count: u32) -> char {
    match count {
        0 => ' ',
        1 => '.',
        2 => ':',
        3..=4 => '+',
        5..=8 => '#',
        9.. => '@',
    }
}

/// Both grids side by side in frames, and the key.
impl fmt::Display for DensityMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = format!("+{}+", "-".repeat(COLUMNS));
        writeln!(f, "{:<width$}  demands", "providers", width = COLUMNS + 2)?;
        writeln!(f, "{frame}  {frame}")?;
        for (providers, demands) in self.providers.iter().zip(&self.demands) {
            let draw = |row: &[u32]| row.iter().copied().map(mark).collect::<String>();
            writeln!(f, "|{}|  |{}|", draw(providers), draw(demands))?;
        }
        writeln!(f, "{frame}  {frame}")?;
        let kilometres = |metres: i64| (metres + 500) / 1_000;
        let (width, height) = (kilometres(self.window.width_m()), kilometres(self.window.height_m()));
        write!(f, "{width} km x {height} km, north up; sites in a cell: . 1  : 2  + 3-4  # 5-8  @ more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinate_falls_into_its_cell_and_beyond_the_edge_into_the_last() {
        assert_eq!([-1, 0, 9, 10, 99, 100].map(|at| cell(at, 0, 100, 10)), [0, 0, 0, 1, 9, 9]);
    }

    #[test]
    fn marks_grow_with_the_count() {
        assert_eq!([0, 1, 2, 3, 4, 5, 8, 9, 1_000].map(mark), [' ', '.', ':', '+', '+', '#', '#', '@', '@']);
    }
}
