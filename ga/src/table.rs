//! A problem as flat integer tables, for the inner loops: offers by operation, legs between providers,
//! demands as runs of genes. Costs are micro-units.
//!
//! A gene is the *position of an offer in a period* among the offers of its order's operation (by provider id, then by period),
//! so a gene always names a slot of a provider that offers the work. Nothing here searches.

use std::sync::Arc;

use scenarios::oracle::{Tables, Task};
use scenarios::work::Objective;
use scenarios::{Demand, Horizon, Minutes, Money, ProviderId, Slot, Solution, Supply};

use crate::problem::Problem;

/// The cost of a leg that cannot be travelled. Above every budget (so no composition that uses it is ever
/// served) and above every leg within `scenarios::limits`; a path of such legs still adds up.
pub(crate) const UNREACHABLE: i64 = 1 << 52;

/// Minutes no search can use up: the capacity of an unlimited provider.
const UNLIMITED: Minutes = i64::MAX / 4;

/// Longer than any leg, and a few thousand of them still add up.
const NO_WAY_MINUTES: Minutes = i64::MAX / 65_536;

/// One operation's offers in each period, in order of slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    /// Who offers it.
    pub(crate) providers: Vec<u32>,
    /// The slot, by its place among all.
    pub(crate) slots: Vec<u32>,
    /// Processing cost and the value of its time.
    pub(crate) costs: Vec<i64>,
    /// Minutes of the slot's capacity.
    pub(crate) minutes: Vec<Minutes>,
}

impl Layer {
    /// The gene that names this slot.
    pub(crate) fn gene_of(&self, slot: u32) -> Option<u32> {
        self.slots.binary_search(&slot).ok().and_then(|position| u32::try_from(position).ok())
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
    /// The leg from each offer of the last order to the demander in minutes, likewise; empty where periods have no end.
    pub(crate) delivery_minutes: Vec<Minutes>,
    /// The first period its orders may be done in, as a place of the horizon, and the first after the last.
    pub(crate) window: (usize, usize),
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
    /// What can be planned.
    pub(crate) horizon: Horizon,
    /// Minutes left of each slot.
    pub(crate) capacities: Vec<Minutes>,
    /// Price of a minute of each slot.
    pub(crate) prices: Vec<i64>,
    /// Minutes from each provider to each, row by row; empty where periods have no end.
    travel: Vec<Minutes>,
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
        table.prices = prices.micros(instance.supply.horizon, instance.supply.slot_count());
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
            horizon: supply.horizon,
            capacities: supply.capacities().into_iter().map(capacity).collect(),
            prices: vec![0; supply.slot_count()],
            travel: travel_minutes(supply),
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
        uses.map(|(slot, minutes)| self.prices[slot as usize] * minutes).sum()
    }

    /// Price * minutes of a demand's composition if each order is done when its provider's minutes are cheapest.
    pub(crate) fn least_charge(&self, row: &Row, genes: &[u32]) -> i64 {
        let uses = self.uses(row, genes).map(|(slot, minutes)| {
            let first = slot as usize - self.period_of(slot);
            let prices = &self.prices[first + row.window.0..first + row.window.1];
            prices.iter().min().copied().unwrap_or(0) * minutes
        });
        uses.sum()
    }

    /// The slot and minutes of each order of a demand's composition.
    pub(crate) fn uses<'t>(
        &'t self,
        row: &'t Row,
        genes: &'t [u32],
    ) -> impl Iterator<Item = (u32, Minutes)> + Clone + 't {
        row.layers.iter().zip(genes).map(|(&layer, &gene)| {
            let layer = &self.layers[usize::from(layer)];
            (layer.slots[gene as usize], layer.minutes[gene as usize])
        })
    }

    /// The genes of a composition; `None` if it does not suit the demand.
    pub(crate) fn genes_of(&self, row: &Row, slots: &[Slot]) -> Option<Vec<u32>> {
        if !row.servable || slots.len() != row.layers.len() {
            return None;
        }
        let layers = row.layers.iter().map(|&layer| &self.layers[usize::from(layer)]);
        layers.zip(slots).map(|(layer, &slot)| layer.gene_of(self.number_of(slot)?)).collect()
    }

    /// The place of a slot among all, if its period can be planned.
    pub(crate) fn number_of(&self, slot: Slot) -> Option<u32> {
        self.horizon.position(slot).and_then(|position| u32::try_from(position).ok())
    }

    /// How many periods there are.
    pub(crate) fn periods(&self) -> usize {
        self.horizon.len()
    }

    /// The period of a slot, as a place of the horizon.
    pub(crate) fn period_of(&self, slot: u32) -> usize {
        if self.periods() == 1 { 0 } else { slot as usize % self.periods() }
    }

    /// Minutes of the leg after an order of a composition, which is counted where periods have an end.
    pub(crate) fn travel_after(&self, row: &Row, genes: &[u32], order: usize) -> Minutes {
        let provider = |order: usize| {
            let layer = row.layers.get(order).map(|&layer| &self.layers[usize::from(layer)]);
            layer.zip(genes.get(order)).map(|(layer, &gene)| layer.providers[gene as usize] as usize)
        };
        let Some(from) = provider(order).filter(|_| !self.travel.is_empty()) else { return 0 };
        match provider(order + 1) {
            Some(to) => self.travel[from * self.tables.providers() + to],
            None => row.delivery_minutes.get(genes[order] as usize).copied().unwrap_or(0),
        }
    }

    /// The first order of a composition that is done when it may not be: before its demand's release or after it is due, before the
    /// order that comes before it, or when its period has no time left for it and the leg after it.
    pub(crate) fn first_untimely(&self, row: &Row, genes: &[u32]) -> Option<usize> {
        if self.horizon == Horizon::SINGLE {
            return None;
        }
        let (mut before, mut taken) = (row.window.0, 0);
        for (order, (slot, minutes)) in self.uses(row, genes).enumerate() {
            let period = self.period_of(slot);
            if period > before {
                taken = 0;
            }
            taken += minutes + self.travel_after(row, genes, order);
            let is_full = self.horizon.period_minutes.is_some_and(|most| taken > most);
            if period < before || period >= row.window.1 || is_full {
                return Some(order);
            }
            before = period;
        }
        None
    }

    /// The composition that genes stand for.
    pub(crate) fn composition_of(&self, row: &Row, genes: &[u32]) -> Vec<Slot> {
        self.uses(row, genes).map(|(slot, _)| self.horizon.slot(slot as usize)).collect()
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
            for slot in supply.horizon.positions(id) {
                layer.providers.push(id.0);
                layer.slots.extend(u32::try_from(slot));
                layer.costs.push((offer.cost + supply.processing_time_value(offer)).micros());
                layer.minutes.push(offer.minutes);
            }
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
    let within = supply.horizon.within(demand.window);
    let servable = servable && within.is_some();
    let (mut delivery, mut delivery_minutes) = (Vec::new(), Vec::new());
    if let (true, true, Some(last)) = (supply.rules.deliver, servable, demand.orders.last()) {
        let sites = || layers[last.index()].providers.iter().map(|&id| supply.providers[id as usize].site);
        delivery.extend(sites().map(|site| leg_micros(supply, site, demand.site)));
        if supply.horizon.period_minutes.is_some() {
            let minutes = |site| supply.travel_minutes(site, demand.site).unwrap_or(NO_WAY_MINUTES);
            delivery_minutes.extend(sites().map(minutes));
        }
    }
    Row {
        first_gene,
        layers: demand.orders.iter().map(|operation| operation.0).collect(),
        delivery,
        delivery_minutes,
        window: within.map_or((0, 0), |(first, count)| (first, first + count)),
        task: tables.task(demand),
        budget: demand.budget.micros(),
        servable,
    }
}

/// Minutes between all pairs of providers, where periods have an end; a leg that is not there takes longer than any.
fn travel_minutes(supply: &Supply) -> Vec<Minutes> {
    if supply.horizon.period_minutes.is_none() {
        return Vec::new();
    }
    let sites = || supply.providers.iter().map(|provider| provider.site);
    let minutes = |from, to| supply.travel_minutes(from, to).unwrap_or(NO_WAY_MINUTES);
    sites().flat_map(|from| sites().map(move |to| minutes(from, to))).collect()
}

fn leg_micros(supply: &Supply, from: scenarios::Site, to: scenarios::Site) -> i64 {
    supply.leg(from, to).map_or(UNREACHABLE, Money::micros)
}
