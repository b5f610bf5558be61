//! Local search: take a few demands out, route each anew through what is left, keep it unless it is too dear.

use super::Context;
use super::guide::Guide;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;
use crate::table::Table;

/// One in this many moves takes demands out at random; the others take out those that compete for a slot.
const RANDOM_MOVES: usize = 4;

/// A composition taken out, to be put back if the move does not pay.
#[derive(Clone, Debug)]
struct Removed {
    demand: usize,
    served: bool,
    cost: i64,
    genes: Vec<u32>,
}

/// Moves of the local search; keeps its buffers between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalSearch {
    removed: Vec<Removed>,
    removal: Vec<usize>,
}

impl LocalSearch {
    /// One move on a complete or partial individual. A dearer one is kept with probability exp(-increase /
    /// temperature), the temperature in micro-units (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983); at 0 never.
    pub(crate) fn improve(
        &mut self,
        context: Context<'_>,
        router: &mut Router,
        draws: &mut Draws,
        individual: &mut Individual,
        temperature: f64,
    ) {
        let table = context.table;
        if table.rows.is_empty() {
            return;
        }
        let count = 1 + draws.below((context.settings.removed_max as usize).clamp(1, table.rows.len()));
        let level = context.guides.draw(draws);
        self.choose(table, context.guides.at(level), draws, individual, count);
        let before = individual.standing();
        self.take_out(table, individual);
        if draws.chance(0.5) {
            draws.shuffle(&mut self.removal);
        }
        for &demand in &self.removal {
            router.insert(context, level, individual, demand);
        }
        let (cost, unserved) = before;
        if individual.standing() > (cost.saturating_add(tolerated_increase(temperature, draws)), unserved) {
            self.put_back(table, individual);
        }
    }

    /// Chooses up to `count` demands, the one that stands to gain first.
    fn choose(
        &mut self,
        table: &Table,
        guide: &Guide,
        draws: &mut Draws,
        individual: &Individual,
        count: usize,
    ) {
        self.removal.clear();
        let first = Self::dearest_of_two(table, guide, draws, individual);
        self.removal.push(first);
        let rival = (draws.below(RANDOM_MOVES) > 0)
            .then(|| contested_slot(table, guide, draws, individual, first))
            .flatten();
        let demands = table.rows.len();
        let Some(slot) = rival else {
            for _ in 1..count {
                let demand = draws.below(demands);
                if table.rows[demand].servable && !self.removal.contains(&demand) {
                    self.removal.push(demand);
                }
            }
            return;
        };
        let start = draws.below(demands);
        for demand in (start..demands).chain(0..start) {
            if self.removal.len() >= count {
                break;
            }
            let mut uses = table.uses(&table.rows[demand], individual.genes_of(table, demand));
            if individual.serves(demand) && demand != first && uses.any(|(user, _)| user == slot) {
                self.removal.push(demand);
            }
        }
    }

    /// Of two demands drawn at random, the one further above its shortest path.
    fn dearest_of_two(table: &Table, guide: &Guide, draws: &mut Draws, individual: &Individual) -> usize {
        let (one, other) = (draws.below(table.rows.len()), draws.below(table.rows.len()));
        let loss = |demand: usize| {
            if table.rows[demand].servable {
                individual.cost_of(demand) - guide.ideal(demand).cost
            } else {
                i64::MIN
            }
        };
        if loss(other) > loss(one) { other } else { one }
    }

    fn take_out(&mut self, table: &Table, individual: &mut Individual) {
        self.removed.clear();
        for &demand in &self.removal {
            let genes = individual.genes_of(table, demand).to_vec();
            let (served, cost) = (individual.serves(demand), individual.cost_of(demand));
            self.removed.push(Removed { demand, served, cost, genes });
            individual.drop(table, demand);
        }
    }

    fn put_back(&self, table: &Table, individual: &mut Individual) {
        self.removed.iter().for_each(|removed| individual.drop(table, removed.demand));
        for removed in self.removed.iter().filter(|removed| removed.served) {
            let fits = individual.serve_at(table, removed.demand, &removed.genes, removed.cost);
            debug_assert!(fits, "what was taken out fits back in");
        }
    }
}

/// The most that the cost may rise in a move, in micro-units: above any limit x with probability exp(-x / temperature).
#[expect(clippy::cast_possible_truncation, reason = "whole micro-units are wanted, and the cast saturates")]
fn tolerated_increase(temperature: f64, draws: &mut Draws) -> i64 {
    (-temperature * (1.0 - draws.unit()).ln()) as i64
}

/// A slot that the demand's shortest path wants but that has too little left for it, drawn at random; else
/// one of those it uses now.
fn contested_slot(
    table: &Table,
    guide: &Guide,
    draws: &mut Draws,
    individual: &Individual,
    demand: usize,
) -> Option<u32> {
    let row = &table.rows[demand];
    let ideal = guide.ideal(demand);
    if ideal.genes.is_empty() {
        return None;
    }
    let start = draws.below(ideal.genes.len());
    let wanted = table.uses(row, &ideal.genes).cycle().skip(start).take(ideal.genes.len());
    let mut full = wanted.filter(|&(slot, minutes)| individual.spare()[slot as usize] < minutes);
    let mut uses = table.uses(row, individual.genes_of(table, demand));
    full.next().or_else(|| uses.nth(start)).map(|(slot, _)| slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearer_a_move_the_more_seldom_it_is_tolerated() {
        let mut draws = Draws::new(3, 0);
        let limits: Vec<i64> = (0..20_000).map(|_| tolerated_increase(1_000.0, &mut draws)).collect();
        for (increase, expected) in
            [(1_000, 20_000.0 * (-1.0_f64).exp()), (3_000, 20_000.0 * (-3.0_f64).exp())]
        {
            let tolerated = limits.iter().filter(|&&limit| limit >= increase).count();
            // Three standard deviations of a count are at most 205 here.
            assert!((f64::from(u32::try_from(tolerated).unwrap()) - expected).abs() < 205.0, "{tolerated}");
        }
        assert_eq!(tolerated_increase(0.0, &mut draws), 0);
    }
}
