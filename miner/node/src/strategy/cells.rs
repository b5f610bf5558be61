//! Splitting the open demands among miners without a coordinator.
//!
//! Every miner computes the same split from the same public facts (open demands, live miners sorted by
//! key) and takes the cell of its own rank. Miners that see different facts only overlap, and the chain
//! resolves that.

use std::collections::BTreeSet;

use chain::DemandId;
use scenarios::reference::{Area, References};
use scenarios::{ProviderId, Site, Supply, Window};
use serde::{Deserialize, Serialize};

/// How a miner picks its sub-problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Paper A's: vertical strips of equal width; only the providers of the own strip are used.
    Strips,
    /// Balanced geographic cells by recursive median cuts; all providers are used.
    Cells,
    /// The demands around the border of the first two cells: overlaps both on purpose. A roaming miner
    /// takes no rank of its own, so the others split the market as if it were not there.
    Roaming,
    /// Equal shares of the demands in order of their rarest operation; all providers are used.
    Operations,
    /// Equal shares of the demands in order of the scarcest provider they would use; all providers are used.
    ScarceProviders,
    /// Every open demand.
    Everything,
}

/// An open demand as splitting sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct CellDemand {
    pub id: DemandId,
    pub site: Site,
    /// What it is grouped by, for strategies that group ([`super::group_of`]).
    pub group: u64,
}

/// A sub-problem: some demands, and the providers that may serve them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// For people: "strip 1 of 2".
    pub label: String,
    /// The demands in it.
    pub demands: BTreeSet<DemandId>,
    /// The providers to use; `None` is all of them.
    pub providers: Option<BTreeSet<ProviderId>>,
}

/// The cell of the miner with this `rank` (from 0) among `miners` that split the market.
pub fn choose_cell(
    strategy: Strategy,
    demands: &[CellDemand],
    supply: &Supply,
    window: Window,
    rank: usize,
    miners: usize,
) -> Cell {
    let miners = miners.max(1);
    match strategy {
        Strategy::Everything => Cell {
            label: "everything".into(),
            demands: demands.iter().map(|demand| demand.id).collect(),
            providers: None,
        },
        Strategy::Strips => strip(demands, supply, window, rank, miners),
        Strategy::Cells => {
            let cells = balanced_cells(demands, miners);
            let members = demands.iter().zip(&cells).filter(|&(_, &cell)| cell == rank % miners);
            Cell {
                label: format!("cell {} of {miners}", rank % miners + 1),
                demands: members.map(|(demand, _)| demand.id).collect(),
                providers: None,
            }
        }
        Strategy::Operations => share("operations", demands, rank, miners),
        Strategy::ScarceProviders => share("scarce providers", demands, rank, miners),
        Strategy::Roaming => Cell {
            label: "border of cells 1 and 2".into(),
            demands: border(demands, &balanced_cells(demands, miners.max(2))),
            providers: None,
        },
    }
}

/// By the measure of paper A, however the miner would pick its sub-problem: the strips of genesis, and then what no strip can serve
/// by itself, are dealt out among the miners; the first of the own ones in which demands are open.
pub fn choose_area(
    open: &[(DemandId, Area)],
    supply: &Supply,
    references: &References,
    rank: usize,
    miners: usize,
) -> Cell {
    let strips = references.strips();
    let miners = miners.clamp(1, strips);
    let area_of = |index: usize| if index < strips { Area::Strip(index) } else { Area::Market };
    let own = rank % miners;
    let is_open = |area: &Area| open.iter().any(|(_, other)| other == area);
    let areas = (own..=strips).step_by(miners).map(area_of);
    let area = areas.clone().find(is_open).unwrap_or(area_of(own));
    let members = open.iter().filter(|(_, other)| *other == area);
    let providers = supply.provider_ids().zip(&supply.providers);
    let inside = providers.filter(|(_, provider)| references.is_within(area, provider.site));
    Cell {
        label: match area {
            Area::Strip(_) => format!("{area} of {strips}"),
            Area::Market => area.to_string(),
        },
        demands: members.map(|&(id, _)| id).collect(),
        providers: Some(inside.map(|(id, _)| id).collect()),
    }
}

/// An equal share of the demands in order of their groups.
fn share(of: &str, demands: &[CellDemand], rank: usize, miners: usize) -> Cell {
    let own = rank % miners;
    let mut order: Vec<&CellDemand> = demands.iter().collect();
    order.sort_by_key(|demand| (demand.group, demand.id));
    let (from, to) = (order.len() * own / miners, order.len() * (own + 1) / miners);
    Cell {
        label: format!("share {} of {miners} by {of}", own + 1),
        demands: order[from..to].iter().map(|demand| demand.id).collect(),
        providers: None,
    }
}

fn strip(demands: &[CellDemand], supply: &Supply, window: Window, rank: usize, strips: usize) -> Cell {
    let own = rank % strips;
    let providers = supply.provider_ids().zip(&supply.providers);
    let inside = providers.filter(|(_, provider)| window.strip(provider.site, strips) == own);
    let members = demands.iter().filter(|demand| window.strip(demand.site, strips) == own);
    Cell {
        label: format!("strip {} of {strips}", own + 1),
        demands: members.map(|demand| demand.id).collect(),
        providers: Some(inside.map(|(id, _)| id).collect()),
    }
}

/// The cell of each demand, from 0: the demands are cut at the median of their wider direction again and
/// again until there are `count` cells, each part in proportion to the cells it is to hold.
pub fn balanced_cells(demands: &[CellDemand], count: usize) -> Vec<usize> {
    let mut cells = vec![0; demands.len()];
    let everyone: Vec<usize> = (0..demands.len()).collect();
    let mut parts = vec![(everyone, 0, count.max(1))];
    while let Some((mut members, first, count)) = parts.pop() {
        if count == 1 {
            for member in members {
                cells[member] = first;
            }
            continue;
        }
        let wide = extent(demands, &members, horizontal) >= extent(demands, &members, vertical);
        members.sort_by_key(|&member| {
            let demand = &demands[member];
            let (across, along) = (horizontal(demand.site), vertical(demand.site));
            if wide { (across, along, demand.id) } else { (along, across, demand.id) }
        });
        let left = count / 2;
        let right = members.split_off(members.len() * left / count);
        parts.push((members, first, left));
        parts.push((right, first + left, count - left));
    }
    cells
}

/// The half of cell 0 nearest to the centre of cell 1, and the half of cell 1 nearest to that of cell 0.
fn border(demands: &[CellDemand], cells: &[usize]) -> BTreeSet<DemandId> {
    let members = |cell: usize| demands.iter().zip(cells).filter(move |&(_, &c)| c == cell).map(|(d, _)| *d);
    let nearest_half = |own: usize, other: usize| {
        let (x, y) = centre(members(other));
        let mut own: Vec<CellDemand> = members(own).collect();
        own.sort_by_key(|demand| {
            let (dx, dy) = (i128::from(horizontal(demand.site) - x), i128::from(vertical(demand.site) - y));
            (dx * dx + dy * dy, demand.id)
        });
        own.truncate(own.len().div_ceil(2));
        own
    };
    nearest_half(0, 1).into_iter().chain(nearest_half(1, 0)).map(|demand| demand.id).collect()
}

fn centre(members: impl Iterator<Item = CellDemand>) -> (i64, i64) {
    let sites: Vec<Site> = members.map(|demand| demand.site).collect();
    let count = i64::try_from(sites.len().max(1)).unwrap_or(1);
    (
        sites.iter().map(|&s| horizontal(s)).sum::<i64>() / count,
        sites.iter().map(|&s| vertical(s)).sum::<i64>() / count,
    )
}

fn extent(demands: &[CellDemand], members: &[usize], along: fn(Site) -> i64) -> i64 {
    let positions = || members.iter().map(|&member| along(demands[member].site));
    positions().max().unwrap_or(0) - positions().min().unwrap_or(0)
}

/// Metres east; a place of a distance matrix has no position, so its number stands in.
fn horizontal(site: Site) -> i64 {
    match site {
        Site::Point { x_m, .. } => x_m,
        Site::Place(place) => i64::from(place),
    }
}

/// Metres north.
fn vertical(site: Site) -> i64 {
    match site {
        Site::Point { y_m, .. } => y_m,
        Site::Place(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chain::{Hash, RecordId};
    use proptest::prelude::*;
    use scenarios::{CostRules, Geometry, Horizon, Money, Offer, OperationId, Provider};

    use super::{Strategy, *};

    fn demand(number: u8, x_m: i64, y_m: i64) -> CellDemand {
        CellDemand {
            id: RecordId(Hash([number; 32])),
            site: Site::point(x_m, y_m),
            group: u64::from(number % 3),
        }
    }

    fn no_supply() -> Supply {
        let rules = CostRules {
            rate_per_km: Money::from_units(1),
            value_of_minute: Money::ZERO,
            metres_per_minute: 1,
            deliver: false,
        };
        Supply { providers: Vec::new(), rules, geometry: Geometry::Euclidean, horizon: Horizon::SINGLE }
    }

    const WINDOW: Window = Window { west_m: 0, south_m: 0, east_m: 100, north_m: 100 };

    #[test]
    fn four_corners_make_four_cells() {
        let corners = [demand(1, 0, 0), demand(2, 90, 0), demand(3, 0, 80), demand(4, 90, 80)];
        let cells = balanced_cells(&corners, 4);
        assert_eq!(cells, [0, 2, 1, 3]);
    }

    #[test]
    fn a_roaming_miner_overlaps_two_cells() {
        let line: Vec<CellDemand> = (0..8).map(|n| demand(n, i64::from(n) * 10, 0)).collect();
        let cell = choose_cell(Strategy::Roaming, &line, &no_supply(), WINDOW, 0, 2);
        let expected: BTreeSet<DemandId> = line[2..6].iter().map(|demand| demand.id).collect();
        assert_eq!(cell.demands, expected);
    }

    #[test]
    fn areas_are_dealt_out_among_the_miners_there_are() {
        // Strips 1 and 2 of 3 have an offer.
        let provider = |x_m| Provider {
            name: String::new(),
            site: Site::point(x_m, 0),
            offers: BTreeMap::from([(OperationId(0), Offer { cost: Money::ZERO, minutes: 0 })]),
            capacity: None,
        };
        let supply = Supply { providers: vec![provider(10), provider(40)], ..no_supply() };
        let references = References::new(supply.clone(), WINDOW, 3);
        let open = [(1, Area::Strip(1)), (2, Area::Market), (3, Area::Strip(1))];
        let open = open.map(|(number, area)| (demand(number, 0, 0).id, area));
        let cell = |rank, miners| {
            let cell = choose_area(&open, &supply, &references, rank, miners);
            (cell.label, cell.demands.len(), cell.providers.unwrap().len())
        };
        // Strip 1, whose demands are all composed, is followed by the fourth area where there are three miners.
        assert_eq!(cell(0, 3), ("the whole market".into(), 1, 2));
        assert_eq!(cell(1, 3), ("strip 2 of 3".into(), 2, 1));
        assert_eq!(cell(2, 3), ("strip 3 of 3".into(), 0, 0));
        assert_eq!([cell(3, 3), cell(7, 9)], [cell(0, 3), cell(1, 3)]);
        // Alone, one after the other.
        assert_eq!(cell(0, 1), ("strip 2 of 3".into(), 2, 1));
    }

    proptest! {
        #[test]
        fn cells_cover_every_demand_once_and_differ_by_few(
            sites in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 0..60), count in 1_usize..9,
        ) {
            let demands: Vec<CellDemand> =
                (0_u8..).zip(&sites).map(|(number, &(x, y))| demand(number, x, y)).collect();
            let cells = balanced_cells(&demands, count);
            let sizes: Vec<usize> = (0..count).map(|cell| cells.iter().filter(|&&c| c == cell).count()).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), demands.len());
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 3, "{:?}", sizes);
        }

        #[test]
        fn the_ranks_of_a_strategy_share_out_all_demands(
            xs in prop::collection::vec(0_i64..100, 1..40), miners in 1_usize..6,
        ) {
            let demands: Vec<CellDemand> = (0_u8..).zip(&xs).map(|(number, &x)| demand(number, x, 0)).collect();
            let strategies =
                [Strategy::Strips, Strategy::Cells, Strategy::Operations, Strategy::ScarceProviders];
            for strategy in strategies {
                let cells: Vec<Cell> = (0..miners)
                    .map(|rank| choose_cell(strategy, &demands, &no_supply(), WINDOW, rank, miners))
                    .collect();
                let union: BTreeSet<DemandId> = cells.iter().flat_map(|cell| cell.demands.clone()).collect();
                prop_assert_eq!(union.len(), demands.len());
                prop_assert_eq!(cells.iter().map(|cell| cell.demands.len()).sum::<usize>(), demands.len());
            }
        }
    }
}
