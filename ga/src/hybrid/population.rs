//! The individuals of one island: sorted, bounded, no two of the same cost.

use crate::individual::Individual;
use crate::rng::Draws;

/// At most `size` individuals, ascending in cost.
#[derive(Clone, Debug)]
pub(crate) struct Population {
    size: usize,
    members: Vec<Individual>,
}

impl Population {
    pub(crate) const fn new(size: usize) -> Self {
        Self { size, members: Vec::new() }
    }

    pub(crate) fn members(&self) -> &[Individual] {
        &self.members
    }

    pub(crate) fn best(&self) -> Option<&Individual> {
        self.members.first()
    }

    /// Takes an individual in, and the worst one out if there are then too many. Equal costs count as the
    /// same individual: with costs in micro-units they nearly always are.
    pub(crate) fn offer(&mut self, individual: Individual) {
        match self.members.binary_search_by_key(&individual.standing(), Individual::standing) {
            Ok(_) => {}
            Err(rank) => {
                self.members.insert(rank, individual);
                self.members.truncate(self.size);
            }
        }
    }

    /// Puts other individuals in place of all.
    pub(crate) fn replace(&mut self, individuals: impl IntoIterator<Item = Individual>) {
        self.members.clear();
        individuals.into_iter().for_each(|individual| self.offer(individual));
    }

    /// The better of two drawn at random. The population is not empty.
    pub(crate) fn select(&self, draws: &mut Draws) -> &Individual {
        let rank = draws.below(self.members.len()).min(draws.below(self.members.len()));
        &self.members[rank]
    }
}
