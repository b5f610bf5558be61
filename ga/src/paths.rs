//! Cheapest compositions over a [`Table`], as genes: `scenarios::oracle` finds them, the same for all who ask.

use rayon::prelude::*;
use scenarios::oracle::{self, Limits, PricedOffers};
use scenarios::work::Objective;
use scenarios::{DualPrices, Money};

use crate::problem::Problem;
use crate::table::{Row, Table};

/// The offers of a table at some prices per minute, by slot.
pub(crate) fn priced_offers(table: &Table, prices: &[i64]) -> PricedOffers {
    let prices = prices.iter().map(|&price| Money::from_micros(price));
    table.tables.priced(&DualPrices::in_order(table.horizon, prices))
}

/// Finds shortest paths; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathFinder {
    finder: oracle::PathFinder,
    genes: Vec<u32>,
}

impl PathFinder {
    /// The cheapest composition of a demand at these prices; its genes are then in [`PathFinder::genes`].
    /// `None`: there is none.
    pub(crate) fn cheapest(
        &mut self,
        table: &Table,
        offers: &PricedOffers,
        row: &Row,
        limits: Limits<'_>,
    ) -> Option<i64> {
        if !row.servable {
            return None;
        }
        let cost = self.finder.cheapest(&table.tables, offers, &row.task, limits)?;
        self.genes.clear();
        for (&layer, &slot) in row.layers.iter().zip(self.finder.path()) {
            self.genes.push(table.layers[usize::from(layer)].gene_of(slot)?);
        }
        Some(cost)
    }

    /// The genes of the last path found, one per order.
    pub(crate) fn genes(&self) -> &[u32] {
        &self.genes
    }
}

/// The certified bound of a problem at its own prices: the dual bound of its market, or for the priced
/// objective the sum of what each demand costs at least. `None` if it leaves the range of money.
pub(crate) fn problem_bound(table: &Table, problem: &Problem) -> Option<Money> {
    let offers = priced_offers(table, &table.prices);
    let least = table.rows.par_iter().map_init(PathFinder::default, |finder, row| {
        let best = finder.cheapest(table, &offers, row, Limits::default());
        best.map_or(row.budget, |cost| cost.min(row.budget))
    });
    let least: i128 = least.map(i128::from).collect::<Vec<_>>().into_iter().sum();
    let capacities = problem.instance().supply.capacities();
    let capacity_value = match problem.objective() {
        Objective::Cost => scenarios::bound::priced_capacity(problem.prices(), table.horizon, &capacities),
        Objective::PricedCost => 0,
    };
    i64::try_from(least - capacity_value).ok().map(Money::from_micros)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scenarios::{Minutes, Oracle};

    use super::*;
    use crate::instances::{PERIODS, formula_market, market};

    /// The cheapest path by the finder and by the shared oracle, for every demand of a table.
    fn assert_as_the_oracle(
        table: &Table,
        instance: &scenarios::Instance,
        prices: &[i64],
        spare: &[Minutes],
    ) {
        let oracle = Oracle::new(&instance.supply);
        let offers = priced_offers(table, prices);
        let prices = prices.iter().map(|&price| Money::from_micros(price));
        let prices = DualPrices::in_order(table.horizon, prices);
        let mut finder = PathFinder::default();
        for (row, demand) in table.rows.iter().zip(&instance.demands) {
            let fits = |slot, minutes| minutes <= spare[table.horizon.position(slot).unwrap()];
            let expected = oracle.cheapest_among(demand, &prices, fits);
            let limits = Limits { spare: Some(spare), closed: &[] };
            let found = finder.cheapest(table, &offers, row, limits);
            assert_eq!(found, expected.as_ref().map(|best| best.priced_cost.micros()));
            if let Some(expected) = expected {
                assert_eq!(table.composition_of(row, finder.genes()), expected.slots);
            }
        }
    }

    #[test]
    fn paths_are_the_oracles_where_everybody_offers_everything() {
        let instance = formula_market(20, 3, 4, None);
        let table = Table::of(&instance.supply, &instance.demands);
        assert_as_the_oracle(&table, &instance, &[0; 20], &[1_000; 20]);
        assert_as_the_oracle(&table, &instance, &[20_000; 20], &[50; 20]);
    }

    proptest! {
        #[test]
        fn paths_are_the_oracles(
            instance in market(9, 4, 6),
            prices in prop::collection::vec(0_i64..2_000_000, 9 * PERIODS as usize),
            spare in prop::collection::vec(0_i64..100, 9 * PERIODS as usize),
        ) {
            let slots = instance.supply.slot_count();
            let table = Table::of(&instance.supply, &instance.demands);
            assert_as_the_oracle(&table, &instance, &prices[..slots], &spare[..slots]);
        }

        #[test]
        fn closed_offers_are_avoided(instance in market(6, 2, 4)) {
            let table = Table::of(&instance.supply, &instance.demands);
            let offers = priced_offers(&table, &vec![0; instance.supply.slot_count()]);
            let mut finder = PathFinder::default();
            for row in &table.rows {
                let Some(best) = finder.cheapest(&table, &offers, row, Limits::default()) else { continue };
                let first = finder.genes()[0];
                let closed = [(0, table.layers[usize::from(row.layers[0])].slots[first as usize])];
                let limits = Limits { spare: None, closed: &closed };
                if let Some(next) = finder.cheapest(&table, &offers, row, limits) {
                    prop_assert!(next >= best && finder.genes()[0] != first);
                    prop_assert_eq!(next, table.composition_cost(row, finder.genes()));
                }
            }
        }
    }
}
