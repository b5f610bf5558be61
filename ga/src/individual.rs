//! A feasible, possibly partial solution in the solver's own terms, whose cost and spare capacity are kept up
//! to date as demands are served and dropped.

use scenarios::{Minutes, Solution};

use crate::table::Table;

/// One feasible solution: every served demand is within its budget, no provider is over capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Individual {
    genes: Vec<u32>,
    served: Vec<bool>,
    /// What each demand adds to the objective; its budget while it is unserved.
    costs: Vec<i64>,
    /// Minutes left at each provider.
    spare: Vec<Minutes>,
    cost: i64,
    /// Demands that are not served.
    unserved: usize,
}

impl Individual {
    /// Serves nothing.
    pub(crate) fn empty(table: &Table) -> Self {
        let costs: Vec<i64> = table.rows.iter().map(|row| row.budget).collect();
        Self {
            genes: vec![0; table.genes],
            served: vec![false; table.rows.len()],
            cost: costs.iter().sum(),
            costs,
            spare: table.capacities.clone(),
            unserved: table.rows.len(),
        }
    }

    /// What can be kept of a solution: its compositions in order of demand, without those that are malformed,
    /// over budget, or do not fit beside those before them.
    pub(crate) fn repaired(table: &Table, solution: &Solution) -> Self {
        let mut individual = Self::empty(table);
        for (demand, composition) in solution.compositions.iter().enumerate().take(table.rows.len()) {
            let Some(providers) = composition else { continue };
            if let Some(genes) = table.genes_of(&table.rows[demand], providers) {
                individual.serve(table, demand, &genes);
            }
        }
        individual
    }

    /// In the terms of the judge.
    pub(crate) fn solution(&self, table: &Table) -> Solution {
        let composition = |(row, &served): (&crate::table::Row, &bool)| {
            served.then(|| table.composition_of(row, &self.genes[row.genes()]))
        };
        Solution { compositions: table.rows.iter().zip(&self.served).map(composition).collect() }
    }

    /// The objective: costs (priced, if the problem says so) and the budgets of unserved demands.
    pub(crate) const fn cost(&self) -> i64 {
        self.cost
    }

    /// What individuals are compared by: the objective, and at the same one how many demands are unserved. (A demand
    /// whose budget is just its cost adds the same either way, and is to be served.)
    pub(crate) const fn standing(&self) -> (i64, usize) {
        (self.cost, self.unserved)
    }

    /// What a demand adds to the objective.
    pub(crate) fn cost_of(&self, demand: usize) -> i64 {
        self.costs[demand]
    }

    /// Whether a demand is served.
    pub(crate) fn serves(&self, demand: usize) -> bool {
        self.served[demand]
    }

    /// A demand's genes; meaningless while it is unserved.
    pub(crate) fn genes_of<'i>(&'i self, table: &Table, demand: usize) -> &'i [u32] {
        &self.genes[table.rows[demand].genes()]
    }

    /// Minutes left at each provider.
    pub(crate) fn spare(&self) -> &[Minutes] {
        &self.spare
    }

    /// Positions of the demands that are unserved but could be served.
    pub(crate) fn unserved<'i>(&'i self, table: &'i Table) -> impl Iterator<Item = usize> + 'i {
        let pending = self.served.iter().zip(&table.rows).enumerate();
        pending.filter(|(_, (served, row))| !**served && row.servable).map(|(demand, _)| demand)
    }

    /// Serves an unserved demand with these genes, if that keeps its budget and every capacity and is no
    /// dearer than leaving it unserved; else changes nothing and returns false.
    pub(crate) fn serve(&mut self, table: &Table, demand: usize, genes: &[u32]) -> bool {
        let row = &table.rows[demand];
        let cost = table.composition_cost(row, genes);
        if cost > row.budget {
            return false;
        }
        let cost = if table.priced { cost + table.charge(row, genes) } else { cost };
        self.serve_at(table, demand, genes, cost)
    }

    /// [`Individual::serve`] with what it adds to the objective already known.
    pub(crate) fn serve_at(&mut self, table: &Table, demand: usize, genes: &[u32], cost: i64) -> bool {
        debug_assert!(!self.served[demand], "a served demand is dropped before it is served anew");
        let row = &table.rows[demand];
        if cost > row.budget {
            return false;
        }
        let mut fits = true;
        for (provider, minutes) in table.uses(row, genes) {
            let spare = &mut self.spare[provider as usize];
            *spare -= minutes;
            fits &= *spare >= 0;
        }
        if !fits {
            self.release(table, demand, genes);
            return false;
        }
        self.genes[row.genes()].copy_from_slice(genes);
        self.served[demand] = true;
        self.unserved -= 1;
        self.cost += cost - self.costs[demand];
        self.costs[demand] = cost;
        true
    }

    /// Leaves a demand unserved.
    pub(crate) fn drop(&mut self, table: &Table, demand: usize) {
        if !self.served[demand] {
            return;
        }
        let row = &table.rows[demand];
        for (provider, minutes) in table.uses(row, &self.genes[row.genes()]) {
            self.spare[provider as usize] += minutes;
        }
        self.served[demand] = false;
        self.unserved += 1;
        self.cost += row.budget - self.costs[demand];
        self.costs[demand] = row.budget;
    }

    fn release(&mut self, table: &Table, demand: usize, genes: &[u32]) {
        for (provider, minutes) in table.uses(&table.rows[demand], genes) {
            self.spare[provider as usize] += minutes;
        }
    }
}
