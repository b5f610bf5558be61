//! A problem as flat integer tables, for the inner loops: offers by operation, legs between providers,
//! demands as runs of genes. Costs are micro-units.
//!
//! A gene is the *position of an offer* among the offers of its order's operation (ascending provider id),
//! so a gene always names a provider that offers the work. Nothing here searches.

use std::sync::Arc;

use scenarios::oracle::{Tables, Task};
use scenarios::work::Objective;
use scenarios::{Demand, Minutes, Money, ProviderId, Solution, Supply};

use crate::problem::Problem;

/// The cost of a leg that cannot be travelled. Above every budget (so no composition that uses it is ever
/// served) and above every leg within `scenarios::limits`; a path of such legs still adds up.
pub(crate) const UNREACHABLE: i64 = 1 << 52;

/// Minutes no search can use up: the capacity of an unlimited provider.
const UNLIMITED: Minutes = i64::MAX / 4;

/// One operation's offers, in order of provider id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    /// Who offers it.
    pub(crate) providers: Vec<u32>,
    /// Processing cost and the value of its time.
    pub(crate) costs: Vec<i64>,
    /// Minutes of the provider's capacity.
    pub(crate) minutes: Vec<Minutes>,
}

impl Layer {
    /// The gene that names this provider.
    pub(crate) fn gene_of(&self, provider: ProviderId) -> Option<u32> {
        self.providers.binary_search(&provider.0).ok().and_then(|position| u32::try_from(position).ok())
    }
}

/// One demand.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its first gene; it has one per order.
    pub(crate) first_gene: usize,
    /// The layer of each order.
    pub(crate) layers: Vec<u16>,
    /// The leg from each offer of the last order to the demander; empty where nothing is delivered.
    pub(crate) delivery: Vec<i64>,
    /// The same demand as the oracle takes it.
    pub(crate) task: Task,
    /// The most it may cost, and what leaving it unserved costs.
    pub(crate) budget: i64,
    /// It has orders, and each is offered by somebody.
    pub(crate) servable: bool,
}

impl Row {
    /// Its genes within a chromosome.
    pub(crate) fn genes(&self) -> std::ops::Range<usize> {
        self.first_gene..self.first_gene + self.layers.len()
    }
}

/// A problem, tabulated.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) layers: Vec<Layer>,
    pub(crate) rows: Vec<Row>,
    /// Genes of a whole chromosome.
    pub(crate) genes: usize,
    /// Minutes left at each provider.
    pub(crate) capacities: Vec<Minutes>,
    /// Price of a minute at each provider.
    pub(crate) prices: Vec<i64>,
    /// Whether the objective includes price * minutes.
    pub(crate) priced: bool,
    /// What cheapest compositions are found on.
    pub(crate) tables: Arc<Tables>,
}

impl Table {
    pub(crate) fn new(problem: &Problem) -> Self {
        let instance = problem.instance();
        let prices = problem.prices();
        let mut table = Self::on(problem.tables(), &instance.supply, &instance.demands);
        table.prices = instance.supply.provider_ids().map(|id| prices.of(id).micros()).collect();
        table.priced = problem.objective() == Objective::PricedCost;
        table
    }

    /// Without prices.
    pub(crate) fn of(supply: &Supply, demands: &[Demand]) -> Self {
        Self::on(Arc::new(Tables::new(supply)), supply, demands)
    }

    /// Without prices, on tables that somebody has made of this supply.
    pub(crate) fn on(tables: Arc<Tables>, supply: &Supply, demands: &[Demand]) -> Self {
        let layers = tabulate_offers(supply);
        let mut genes = 0;
        let mut rows = Vec::with_capacity(demands.len());
        for demand in demands {
            rows.push(tabulate_demand(supply, &layers, &tables, demand, genes));
            genes += demand.orders.len();
        }
        let capacity = |capacity: Option<Minutes>| capacity.map_or(UNLIMITED, |minutes| minutes.max(0));
        Self {
            layers,
            rows,
            genes,
            capacities: supply.capacities().into_iter().map(capacity).collect(),
            prices: vec![0; supply.providers.len()],
            priced: false,
            tables,
        }
    }

    /// The leg between two providers.
    #[inline]
    pub(crate) fn leg(&self, from: u32, to: u32) -> i64 {
        self.tables.leg(ProviderId(from), ProviderId(to)).min(UNREACHABLE)
    }

    /// The leg from the last provider to the demander; 0 where nothing is delivered.
    #[inline]
    pub(crate) fn delivery(row: &Row, gene: u32) -> i64 {
        row.delivery.get(gene as usize).copied().unwrap_or(0)
    }

    /// Cost of a demand's composition, without prices.
    pub(crate) fn composition_cost(&self, row: &Row, genes: &[u32]) -> i64 {
        let mut cost = 0;
        let mut previous = None;
        for (&layer, &gene) in row.layers.iter().zip(genes) {
            let layer = &self.layers[usize::from(layer)];
            let provider = layer.providers[gene as usize];
            cost += layer.costs[gene as usize] + previous.map_or(0, |from| self.leg(from, provider));
            previous = Some(provider);
        }
        cost + genes.last().map_or(0, |&gene| Self::delivery(row, gene))
    }

    /// Price * minutes of a demand's composition.
    pub(crate) fn charge(&self, row: &Row, genes: &[u32]) -> i64 {
        let uses = self.uses(row, genes);
        uses.map(|(provider, minutes)| self.prices[provider as usize] * minutes).sum()
    }

    /// The provider and minutes of each order of a demand's composition.
    pub(crate) fn uses<'t>(
        &'t self,
        row: &'t Row,
        genes: &'t [u32],
    ) -> impl Iterator<Item = (u32, Minutes)> + Clone + 't {
        row.layers.iter().zip(genes).map(|(&layer, &gene)| {
            let layer = &self.layers[usize::from(layer)];
            (layer.providers[gene as usize], layer.minutes[gene as usize])
        })
    }

    /// The genes of a composition; `None` if it does not suit the demand.
    pub(crate) fn genes_of(&self, row: &Row, providers: &[ProviderId]) -> Option<Vec<u32>> {
        if !row.servable || providers.len() != row.layers.len() {
            return None;
        }
        let layers = row.layers.iter().map(|&layer| &self.layers[usize::from(layer)]);
        layers.zip(providers).map(|(layer, &provider)| layer.gene_of(provider)).collect()
    }

    /// The composition that genes stand for.
    pub(crate) fn composition_of(&self, row: &Row, genes: &[u32]) -> Vec<ProviderId> {
        self.uses(row, genes).map(|(provider, _)| ProviderId(provider)).collect()
    }

    /// The solution in which nothing is served.
    pub(crate) fn nothing_served(&self) -> (Solution, Money) {
        let cost = self.rows.iter().map(|row| row.budget).sum();
        (Solution::unserved(self.rows.len()), Money::from_micros(cost))
    }
}

fn tabulate_offers(supply: &Supply) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (id, provider) in supply.provider_ids().zip(&supply.providers) {
        for (operation, &offer) in &provider.offers {
            if layers.len() <= operation.index() {
                layers.resize(operation.index() + 1, Layer::default());
            }
            let layer = &mut layers[operation.index()];
            layer.providers.push(id.0);
            layer.costs.push((offer.cost + supply.processing_time_value(offer)).micros());
            layer.minutes.push(offer.minutes);
        }
    }
    layers
}

fn tabulate_demand(
    supply: &Supply,
    layers: &[Layer],
    tables: &Tables,
    demand: &Demand,
    first_gene: usize,
) -> Row {
    let offered = |operation: &scenarios::OperationId| {
        layers.get(operation.index()).is_some_and(|layer| !layer.providers.is_empty())
    };
    let servable = !demand.orders.is_empty() && demand.orders.iter().all(offered);
    let mut delivery = Vec::new();
    if let (true, true, Some(last)) = (supply.rules.deliver, servable, demand.orders.last()) {
        let sites = layers[last.index()].providers.iter().map(|&id| supply.providers[id as usize].site);
        delivery.extend(sites.map(|site| leg_micros(supply, site, demand.site)));
    }
    Row {
        first_gene,
        layers: demand.orders.iter().map(|operation| operation.0).collect(),
        delivery,
        task: tables.task(demand),
        budget: demand.budget.micros(),
        servable,
    }
}

fn leg_micros(supply: &Supply, from: scenarios::Site, to: scenarios::Site) -> i64 {
    supply.leg(from, to).map_or(UNREACHABLE, Money::micros)
}
