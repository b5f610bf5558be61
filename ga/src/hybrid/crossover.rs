//! Two-point crossover of whole compositions.

use super::Context;
use super::router::Router;
use crate::individual::Individual;
use crate::rng::Draws;

/// A child with the first parent's compositions outside two points and the second's between them, as far as
/// capacity allows both; what does not fit is routed anew.
pub(crate) fn cross(
    context: Context<'_>,
    router: &mut Router,
    draws: &mut Draws,
    (first, second): (&Individual, &Individual),
) -> Individual {
    let table = context.table;
    let mut child = first.clone();
    if table.rows.is_empty() {
        return child;
    }
    let (from, to) = draws.two_below(table.rows.len() + 1);
    let mut between: Vec<usize> = (from..to).filter(|&demand| table.rows[demand].servable).collect();
    draws.shuffle(&mut between);
    for &demand in &between {
        child.drop(table, demand);
    }
    between.retain(|&demand| {
        let genes = second.genes_of(table, demand);
        !(second.serves(demand) && child.serve_at(table, demand, genes, second.cost_of(demand)))
    });
    let level = context.guides.draw(draws);
    for demand in between {
        if context.cancelled() {
            break;
        }
        router.insert(context, level, &mut child, demand);
    }
    child
}
