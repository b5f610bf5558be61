//! Two-point crossover of whole compositions.

use super::guide::Guide;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;
use crate::table::Table;

/// A child with the first parent's compositions outside two points and the second's between them, as far as
/// capacity allows both; what does not fit is routed anew.
pub(crate) fn cross(
    table: &Table,
    guides: &[Guide],
    router: &mut Router,
    draws: &mut Draws,
    (first, second): (&Individual, &Individual),
) -> Individual {
    let mut child = first.clone();
    if table.rows.is_empty() {
        return child;
    }
    let (from, to) = draws.two_below(table.rows.len() + 1);
    let mut between: Vec<usize> = (from..to).filter(|&demand| table.rows[demand].servable).collect();
    draws.shuffle(&mut between);
    between.iter().for_each(|&demand| child.drop(table, demand));
    between.retain(|&demand| {
        let genes = second.genes_of(table, demand);
        !(second.serves(demand) && child.serve_at(table, demand, genes, second.cost_of(demand)))
    });
    let level = draws.below(guides.len());
    for demand in between {
        router.insert(table, guides, level, &mut child, demand);
    }
    child
}
