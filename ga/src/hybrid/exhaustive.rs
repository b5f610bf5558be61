//! The proved optimum of a small problem, by branch and bound over whole compositions.
//!
//! Search by prices and local moves can miss the one way in which the last orders fit; where every way can be
//! tried in a moment, every way is. Demand by demand, compositions are tried in ascending *reduced* cost, cost +
//! price * minutes; a branch is left when the Lagrangian bound of what is chosen and still open (or, where it
//! is better, the plain sum of least costs) is no better than the incumbent.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::individual::Individual;
use crate::table::Table;

/// The most demands, compositions of one demand, and branches of a problem that is tried: some ten milliseconds,
/// as every search of a small market pays for it.
const DEMANDS_MAX: usize = 6;
const COMPOSITIONS_MAX: usize = 1_000;
const BRANCHES_MAX: u64 = 50_000;

/// A way to deal with a demand.
#[derive(Clone, Debug)]
struct Choice {
    /// `None` leaves it unserved.
    genes: Option<Vec<u32>>,
    /// What it adds to the objective.
    cost: i64,
    /// With price * minutes, whatever the objective.
    reduced: i64,
}

/// The tree of choices and where the search in it stands.
struct Tree<'t> {
    table: &'t Table,
    cancel: &'t AtomicBool,
    /// Per demand, ascending in reduced cost.
    choices: Vec<Vec<Choice>>,
    /// Sums of the least reduced costs of the demands from here on, less what all capacity is worth.
    reduced_to_go: Vec<i64>,
    /// Sums of the least costs of the demands from here on.
    cost_to_go: Vec<i64>,
    best: Individual,
    branches: u64,
}

/// The best solution there is, if the problem is so small that this can be found out and it was not cancelled.
pub(crate) fn optimum(table: &Table, cancel: &AtomicBool) -> Option<Individual> {
    if table.rows.len() > DEMANDS_MAX {
        return None;
    }
    let choices = (0..table.rows.len()).map(|demand| choices(table, demand)).collect::<Option<Vec<_>>>()?;
    let least = |key: fn(&Choice) -> i64| {
        let least = |choices: &Vec<Choice>| choices.iter().map(key).min().unwrap_or(0);
        let mut sums: Vec<i64> = choices.iter().map(least).collect();
        sums.push(0);
        (0..choices.len()).rev().for_each(|demand| sums[demand] += sums[demand + 1]);
        sums
    };
    let (reduced, cost_to_go) = (least(|choice| choice.reduced), least(|choice| choice.cost));
    let capacity = capacity_value(table);
    let reduced_to_go = reduced.into_iter().map(|sum| sum.saturating_sub(capacity)).collect();
    let best = Individual::empty(table);
    let mut tree = Tree { table, cancel, choices, reduced_to_go, cost_to_go, best, branches: 0 };
    let mut partial = Individual::empty(table);
    tree.branch(0, (0, 0), &mut partial).then_some(tree.best)
}

impl Tree<'_> {
    /// Tries every choice of `demand` and those after it, with `(cost, reduced)` the sums of those before it; false
    /// if it gave up.
    fn branch(&mut self, demand: usize, (cost, reduced): (i64, i64), partial: &mut Individual) -> bool {
        self.branches += 1;
        if self.branches > BRANCHES_MAX || self.cancel.load(Ordering::Relaxed) {
            return false;
        }
        if demand == self.choices.len() {
            if partial.standing() < self.best.standing() {
                self.best = partial.clone();
            }
            return true;
        }
        let choices = std::mem::take(&mut self.choices[demand]);
        let mut complete = true;
        for choice in &choices {
            let (cost, reduced) = (cost + choice.cost, reduced + choice.reduced);
            // At an equal cost there may still be one that serves more.
            if reduced.saturating_add(self.reduced_to_go[demand + 1]) > self.best.cost() {
                break;
            }
            if cost + self.cost_to_go[demand + 1] > self.best.cost() {
                continue;
            }
            let fits = choice
                .genes
                .as_ref()
                .is_none_or(|genes| partial.serve_at(self.table, demand, genes, choice.cost));
            complete &= !fits || self.branch(demand + 1, (cost, reduced), partial);
            partial.drop(self.table, demand);
            if !complete {
                break;
            }
        }
        self.choices[demand] = choices;
        complete
    }
}

/// All ways to deal with a demand that are feasible by themselves; `None` if they are too many.
fn choices(table: &Table, demand: usize) -> Option<Vec<Choice>> {
    let row = &table.rows[demand];
    let mut choices = vec![Choice { genes: None, cost: row.budget, reduced: row.budget }];
    if !row.servable {
        return Some(choices);
    }
    let offers: Vec<usize> =
        row.layers.iter().map(|&layer| table.layers[usize::from(layer)].providers.len()).collect();
    let count = offers.iter().try_fold(1_usize, |count, &offers| count.checked_mul(offers));
    count.filter(|&count| count <= COMPOSITIONS_MAX)?;
    let mut genes = vec![0_u32; offers.len()];
    loop {
        let cost = table.composition_cost(row, &genes);
        let charge = table.charge(row, &genes);
        let objective = if table.priced { cost + charge } else { cost };
        if cost <= row.budget && objective <= row.budget && table.first_untimely(row, &genes).is_none() {
            choices.push(Choice { genes: Some(genes.clone()), cost: objective, reduced: cost + charge });
        }
        if !advance(&mut genes, &offers) {
            break;
        }
    }
    choices.sort_by_key(|choice| choice.reduced);
    Some(choices)
}

/// The next list of genes in lexicographic order; false after the last.
fn advance(genes: &mut [u32], offers: &[usize]) -> bool {
    for (gene, &offers) in genes.iter_mut().zip(offers).rev() {
        *gene += 1;
        if (*gene as usize) < offers {
            return true;
        }
        *gene = 0;
    }
    false
}

/// What all capacity is worth at the table's prices; 0 where the objective has the minutes priced in.
fn capacity_value(table: &Table) -> i64 {
    if table.priced {
        return 0;
    }
    let values = table.prices.iter().zip(&table.capacities).filter(|&(&price, _)| price > 0);
    values.fold(0, |sum: i64, (&price, &capacity)| sum.saturating_add(price.saturating_mul(capacity)))
}
