//! The genetic algorithm of paper A (figures 7-9): a chromosome of all orders of all demands, one gene per
//! order naming its provider, two-point crossover, random reset mutation, elites.
//!
//! As in the paper, fitness is the cost alone: budgets and capacities are not looked at while breeding. What
//! the search hands out is the best chromosome ever bred with its compositions over budget, and those that
//! overdraw a capacity, dropped; on the paper's own problems nothing is. Where there are several periods a gene still names a provider
//! alone, and what is handed out does each order as soon as there is time for it. Single-threaded.

use std::sync::atomic::{AtomicBool, Ordering};

use scenarios::Solution;
use scenarios::settings::{PaperGaSettings, Selection};

use crate::individual::Individual;
use crate::rng::Draws;
use crate::table::{Table, UNREACHABLE};

#[derive(Clone, Debug)]
struct Chromosome {
    genes: Vec<u32>,
    /// Cost of all compositions; a demand that cannot be served adds its budget.
    cost: i64,
}

/// The paper's algorithm between two generations.
#[derive(Clone, Debug)]
pub(crate) struct PaperGa {
    settings: PaperGaSettings,
    draws: Draws,
    /// Ascending in cost once it is complete.
    population: Vec<Chromosome>,
    /// The cheapest chromosome bred so far.
    best: Option<Chromosome>,
    /// Offers to choose from at each gene; 0 for the genes of a demand that cannot be served.
    choices: Vec<u32>,
    /// Genes of one offer.
    periods: u32,
    evaluations: u64,
}

impl PaperGa {
    pub(crate) fn new(
        table: &Table,
        settings: PaperGaSettings,
        rng_seed: u64,
        warm_start: Option<&Solution>,
    ) -> Self {
        let mut paper = Self {
            settings,
            draws: Draws::new(rng_seed, 0),
            population: Vec::new(),
            best: None,
            choices: choices(table),
            periods: table.horizon.periods,
            evaluations: 0,
        };
        if let Some(solution) = warm_start {
            paper.seed(table, solution);
        }
        paper
    }

    pub(crate) const fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// The best chromosome, made feasible.
    pub(crate) fn best(&self, table: &Table) -> Individual {
        let mut individual = Individual::empty(table);
        if let Some(best) = &self.best {
            for (demand, row) in table.rows.iter().enumerate().filter(|(_, row)| row.servable) {
                individual.serve_soonest(table, demand, &best.genes[row.genes()]);
            }
        }
        individual
    }

    /// One generation, the first after a random population; false, and the generation before stands, if it
    /// was cancelled.
    pub(crate) fn step(&mut self, table: &Table, cancel: &AtomicBool) -> bool {
        let size = self.settings.population.max(2) as usize;
        while self.population.len() < size {
            if cancel.load(Ordering::Relaxed) {
                return false;
            }
            let genes = self.random_genes();
            let chromosome = self.evaluate(table, genes);
            self.population.push(chromosome);
        }
        self.population.sort_by_key(|chromosome| chromosome.cost);
        let elites = (self.settings.elites as usize).min(size);
        let mut next: Vec<Chromosome> = self.population[..elites].to_vec();
        let weights = Weights::of(self.settings.selection, &self.population);
        while next.len() < size {
            let (mut first, mut second) = self.parents(&weights);
            if self.draws.chance(self.settings.crossover_probability) {
                self.cross(&mut first, &mut second);
            }
            for mut genes in [first, second] {
                if cancel.load(Ordering::Relaxed) {
                    return false;
                }
                if next.len() < size {
                    self.mutate(&mut genes);
                    next.push(self.evaluate(table, genes));
                }
            }
        }
        self.population = next;
        true
    }

    /// Goes on over another table: genes of demands that both have stay where their provider still offers the
    /// work, all others are drawn at random.
    pub(crate) fn adapt(&mut self, old: &Table, new: &Table, translate: impl Fn(&Solution) -> Solution) {
        (self.choices, self.periods) = (choices(new), new.horizon.periods);
        let population = std::mem::take(&mut self.population);
        self.best = None;
        for chromosome in population {
            let composition = |row: &crate::table::Row| {
                row.servable.then(|| old.composition_of(row, &chromosome.genes[row.genes()]))
            };
            let solution = Solution { compositions: old.rows.iter().map(composition).collect() };
            self.seed(new, &translate(&solution));
        }
    }

    /// Adds a chromosome that says what the solution says, as far as it goes.
    pub(crate) fn seed(&mut self, table: &Table, solution: &Solution) {
        let mut genes = self.random_genes();
        for (row, composition) in table.rows.iter().zip(&solution.compositions) {
            let Some(slots) = composition.as_ref().filter(|_| row.servable) else { continue };
            for ((&layer, gene), &slot) in row.layers.iter().zip(&mut genes[row.genes()]).zip(slots) {
                let number = table.number_of(slot);
                if let Some(same) = number.and_then(|slot| table.layers[usize::from(layer)].gene_of(slot)) {
                    *gene = same - same % self.periods;
                }
            }
        }
        let chromosome = self.evaluate(table, genes);
        self.population.push(chromosome);
    }

    fn evaluate(&mut self, table: &Table, genes: Vec<u32>) -> Chromosome {
        let mut cost = 0_i64;
        for row in &table.rows {
            let added = if row.servable {
                let genes = &genes[row.genes()];
                table.composition_cost(row, genes)
                    + if table.priced { table.least_charge(row, genes) } else { 0 }
            } else {
                row.budget
            };
            cost = cost.saturating_add(added.min(UNREACHABLE));
        }
        self.evaluations += 1;
        let chromosome = Chromosome { genes, cost };
        if self.best.as_ref().is_none_or(|best| cost < best.cost) {
            self.best = Some(chromosome.clone());
        }
        chromosome
    }

    fn random_genes(&mut self) -> Vec<u32> {
        self.choices.iter().map(|&choices| random_gene(&mut self.draws, choices, self.periods)).collect()
    }

    fn parents(&mut self, weights: &Weights) -> (Vec<u32>, Vec<u32>) {
        let (first, second) = (weights.select(&mut self.draws), weights.select(&mut self.draws));
        (self.population[first].genes.clone(), self.population[second].genes.clone())
    }

    /// Swaps the genes between two points.
    fn cross(&mut self, first: &mut [u32], second: &mut [u32]) {
        if first.is_empty() {
            return;
        }
        let (from, to) = self.draws.two_below(first.len() + 1);
        first[from..to].swap_with_slice(&mut second[from..to]);
    }

    /// Resets genes at random: the whole part of the expected number always, one more with the probability of
    /// its fraction.
    fn mutate(&mut self, genes: &mut [u32]) {
        if genes.is_empty() {
            return;
        }
        let mut expected = self.settings.resets_per_child.clamp(0.0, 1e6);
        while expected > 0.0 {
            if expected >= 1.0 || self.draws.chance(expected) {
                let position = self.draws.below(genes.len());
                genes[position] = random_gene(&mut self.draws, self.choices[position], self.periods);
            }
            expected -= 1.0;
        }
    }
}

fn choices(table: &Table) -> Vec<u32> {
    let mut choices = Vec::with_capacity(table.genes);
    for row in &table.rows {
        choices.extend(row.layers.iter().map(|&layer| {
            let offers = if row.servable { table.layers[usize::from(layer)].providers.len() } else { 0 };
            u32::try_from(offers / table.periods().max(1)).unwrap_or(u32::MAX)
        }));
    }
    choices
}

/// The gene that names one of these offers in the first period.
fn random_gene(draws: &mut Draws, choices: u32, periods: u32) -> u32 {
    if choices == 0 { 0 } else { u32::try_from(draws.below(choices as usize)).unwrap_or(0) * periods }
}

/// How parents are selected from one generation, which is ascending in cost.
enum Weights {
    Tournament {
        size: usize,
        population: usize,
    },
    /// Running totals of `worst - cost`.
    Roulette(Vec<f64>),
}

impl Weights {
    #[expect(clippy::cast_precision_loss, reason = "weights of a lottery")]
    fn of(selection: Selection, population: &[Chromosome]) -> Self {
        match selection {
            Selection::Tournament { size } => {
                Self::Tournament { size: size.max(1) as usize, population: population.len() }
            }
            Selection::Roulette => {
                let worst = population.last().map_or(0, |chromosome| chromosome.cost);
                let mut total = 0.0;
                let running = population.iter().map(|chromosome| {
                    total += worst.saturating_sub(chromosome.cost) as f64 + 1.0;
                    total
                });
                Self::Roulette(running.collect())
            }
        }
    }

    fn select(&self, draws: &mut Draws) -> usize {
        match self {
            // The population is sorted, so the best drawn is the first.
            Self::Tournament { size, population } => {
                (0..*size).map(|_| draws.below(*population)).min().unwrap_or(0)
            }
            Self::Roulette(running) => {
                let mark = draws.unit() * running.last().copied().unwrap_or(0.0);
                running.partition_point(|&total| total <= mark).min(running.len().saturating_sub(1))
            }
        }
    }
}
