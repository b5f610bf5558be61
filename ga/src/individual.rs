//! A feasible, possibly partial solution in the solver's own terms, whose cost and spare capacity are kept up
//! to date as demands are served and dropped.

use std::collections::BTreeMap;

use scenarios::{Minutes, Solution};

use crate::table::{Row, Table};

/// One feasible solution: every served demand is within its budget and its window, no slot is over capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Individual {
    genes: Vec<u32>,
    served: Vec<bool>,
    /// What each demand adds to the objective; its budget while it is unserved.
    costs: Vec<i64>,
    /// Minutes left of each slot.
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
            let Some(slots) = composition else { continue };
            if let Some(genes) = table.genes_of(&table.rows[demand], slots) {
                individual.serve(table, demand, &genes);
            }
        }
        individual
    }

    /// In the terms of the judge.
    pub(crate) fn solution(&self, table: &Table) -> Solution {
        let composition = |(row, &served): (&Row, &bool)| {
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

    /// Minutes left of each slot.
    pub(crate) fn spare(&self) -> &[Minutes] {
        &self.spare
    }

    /// Positions of the demands that are unserved but could be served.
    pub(crate) fn unserved<'i>(&'i self, table: &'i Table) -> impl Iterator<Item = usize> + 'i {
        let pending = self.served.iter().zip(&table.rows).enumerate();
        pending.filter(|(_, (served, row))| !**served && row.servable).map(|(demand, _)| demand)
    }

    /// Serves an unserved demand with these genes, if that keeps its budget, its window and every capacity and is no
    /// dearer than leaving it unserved; else changes nothing and returns false.
    pub(crate) fn serve(&mut self, table: &Table, demand: usize, genes: &[u32]) -> bool {
        let row = &table.rows[demand];
        let cost = table.composition_cost(row, genes);
        if cost > row.budget || table.first_untimely(row, genes).is_some() {
            return false;
        }
        let cost = if table.priced { cost + table.charge(row, genes) } else { cost };
        self.serve_at(table, demand, genes, cost)
    }

    /// [`Individual::serve`] by the providers that these genes name, each order as soon as there is time for it; whatever period the
    /// genes say.
    pub(crate) fn serve_soonest(&mut self, table: &Table, demand: usize, genes: &[u32]) -> bool {
        let row = &table.rows[demand];
        match table.periods() {
            1 => self.serve(table, demand, genes),
            _ => self.soonest(table, row, genes).is_some_and(|genes| self.serve(table, demand, &genes)),
        }
    }

    /// These genes with the soonest periods that have time; `None` if the window is over before all orders are done.
    fn soonest(&self, table: &Table, row: &Row, genes: &[u32]) -> Option<Vec<u32>> {
        let most = table.horizon.period_minutes.unwrap_or(Minutes::MAX);
        let mut taken: BTreeMap<usize, Minutes> = BTreeMap::new();
        let (mut period, mut within) = (row.window.0, 0);
        let mut placed = Vec::with_capacity(genes.len());
        for (order, (slot, minutes)) in table.uses(row, genes).enumerate() {
            let (gene, now) = (genes[order] as usize, table.period_of(slot));
            let first = slot as usize - now;
            let with_travel = minutes + table.travel_after(row, genes, order);
            loop {
                let slot = first + period;
                let left = self.spare.get(slot)? - taken.get(&slot).copied().unwrap_or(0);
                if minutes <= left && within + with_travel <= most {
                    break;
                }
                (period, within) = (period + 1, 0);
                if period >= row.window.1 {
                    return None;
                }
            }
            *taken.entry(first + period).or_default() += minutes;
            within += with_travel;
            placed.push(u32::try_from(gene - now + period).ok()?);
        }
        Some(placed)
    }

    /// [`Individual::serve`] of a timely composition, with what it adds to the objective already known.
    pub(crate) fn serve_at(&mut self, table: &Table, demand: usize, genes: &[u32], cost: i64) -> bool {
        debug_assert!(!self.served[demand], "a served demand is dropped before it is served anew");
        let row = &table.rows[demand];
        if cost > row.budget {
            return false;
        }
        let mut fits = true;
        for (slot, minutes) in table.uses(row, genes) {
            let spare = &mut self.spare[slot as usize];
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
        for (slot, minutes) in table.uses(row, &self.genes[row.genes()]) {
            self.spare[slot as usize] += minutes;
        }
        self.served[demand] = false;
        self.unserved += 1;
        self.cost += row.budget - self.costs[demand];
        self.costs[demand] = row.budget;
    }

    fn release(&mut self, table: &Table, demand: usize, genes: &[u32]) {
        for (slot, minutes) in table.uses(&table.rows[demand], genes) {
            self.spare[slot as usize] += minutes;
        }
    }
}
