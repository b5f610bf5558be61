//! What a search works on: an instance with the capacity that is left, prices, and names for its demands
//! that survive when the problem changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use scenarios::oracle::{Tables, validate_prices};
use scenarios::work::{Objective, Resources};
use scenarios::{
    CompositionEvaluation, Demand, DualPrices, Evaluation, Instance, Minutes, Money, PriceError, ProviderId,
    Solution, Supply,
};

/// What a search works on.
#[derive(Clone, Debug)]
pub struct Problem {
    instance: Instance,
    keys: Vec<u64>,
    prices: DualPrices,
    objective: Objective,
    /// Tables of these very offers, if somebody has made them already.
    tables: Option<Arc<Tables>>,
}

/// Why a problem is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemError {
    /// One key per demand is needed.
    #[error("{got} keys for {expected} demands")]
    KeyCount {
        /// Keys given.
        got: usize,
        /// Demands of the instance.
        expected: usize,
    },
    /// Two demands have the same key.
    #[error("two demands have the key {0}, expected a different key for each")]
    DuplicateKey(u64),
    /// One capacity per slot is needed.
    #[error("{got} capacities for {expected} slots")]
    CapacityCount {
        /// Capacities given.
        got: usize,
        /// Slots of the instance.
        expected: usize,
    },
    /// The prices do not suit the capacities.
    #[error(transparent)]
    Prices(#[from] PriceError),
}

impl Problem {
    /// The whole of an instance at its own capacities: no prices, each demand's key its position.
    pub fn whole(instance: Instance) -> Self {
        let keys = (0..instance.demands.len() as u64).collect();
        Self { instance, keys, prices: DualPrices::zero(), objective: Objective::Cost, tables: None }
    }

    /// The demands at these positions, which are their keys, on what may be used to serve them; both must have been
    /// found to fit each other.
    pub(crate) fn at_positions(
        demands: &[Demand],
        positions: &[usize],
        resources: &Resources,
        objective: Objective,
    ) -> Self {
        let supply = Supply::clone(&resources.supply).with_capacities(&resources.capacities);
        let demands = positions.iter().map(|&position| demands[position].clone()).collect();
        let whole = Self {
            instance: Instance { supply, demands },
            keys: positions.iter().map(|&position| position as u64).collect(),
            prices: resources.prices.clone(),
            objective,
            tables: None,
        };
        if resources.allowed.is_some() {
            return whole.restricted_to(|provider| resources.allows(provider));
        }
        Self { tables: Some(resources.supply.tables()), ..whole }
    }

    /// The same problem with these capacities left, in order of slots.
    ///
    /// # Errors
    /// If their number is not that of the slots, or the prices do not suit them.
    pub fn with_capacities(mut self, capacities: &[Option<Minutes>]) -> Result<Self, ProblemError> {
        let supply = &mut self.instance.supply;
        let (got, expected) = (capacities.len(), supply.slot_count());
        if got != expected {
            return Err(ProblemError::CapacityCount { got, expected });
        }
        validate_prices(&self.prices, supply.horizon, capacities)?;
        *supply = supply.clone().with_capacities(capacities);
        Ok(self)
    }

    /// The same problem searched under these dual prices: they guide every search, and count in the
    /// objective if `objective` says so.
    ///
    /// # Errors
    /// If the prices do not suit the capacities.
    pub fn with_prices(mut self, prices: DualPrices, objective: Objective) -> Result<Self, ProblemError> {
        validate_prices(&prices, self.instance.supply.horizon, &self.instance.supply.capacities())?;
        self.prices = prices;
        self.objective = objective;
        Ok(self)
    }

    /// The same problem with these keys for its demands: what [`crate::Search::adapt`] knows them by.
    ///
    /// # Errors
    /// If there is not exactly one key per demand, all different.
    pub fn with_keys(mut self, keys: Vec<u64>) -> Result<Self, ProblemError> {
        let expected = self.instance.demands.len();
        if keys.len() != expected {
            return Err(ProblemError::KeyCount { got: keys.len(), expected });
        }
        let mut seen = BTreeSet::new();
        if let Some(&twice) = keys.iter().find(|&&key| !seen.insert(key)) {
            return Err(ProblemError::DuplicateKey(twice));
        }
        self.keys = keys;
        Ok(self)
    }

    /// The same problem with the offers of those providers alone that `usable` admits (a strip of the map, or
    /// dedicated allocation). Ids stay as they are; the others neither offer anything nor have a price.
    #[must_use]
    pub fn restricted_to(mut self, usable: impl Fn(ProviderId) -> bool) -> Self {
        self.tables = None;
        for (index, provider) in self.instance.supply.providers.iter_mut().enumerate() {
            if usable(ProviderId::from_index(index)) {
                continue;
            }
            provider.offers.clear();
        }
        self.prices.retain(|slot| usable(slot.provider));
        self
    }

    /// The instance: its providers' capacities are what is left, so [`scenarios::evaluate()`] judges a
    /// solution of this problem as it stands.
    pub const fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The key of each demand.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The dual prices it is searched under.
    pub const fn prices(&self) -> &DualPrices {
        &self.prices
    }

    /// What is minimised.
    pub const fn objective(&self) -> Objective {
        self.objective
    }

    /// What cheapest compositions are found on.
    pub(crate) fn tables(&self) -> Arc<Tables> {
        self.tables.clone().unwrap_or_else(|| Arc::new(Tables::new(&self.instance.supply)))
    }

    /// The objective of an evaluated solution of this problem: its cost (priced if so asked), plus the budget
    /// of every demand it does not serve.
    pub fn objective_of(&self, evaluation: &Evaluation) -> Money {
        let served = evaluation.compositions.iter().flatten().map(|composition| self.charged(composition));
        let unserved = evaluation.unserved.iter().map(|&position| self.instance.demands[position].budget);
        served.sum::<Money>() + unserved.sum::<Money>()
    }

    fn charged(&self, composition: &CompositionEvaluation) -> Money {
        let charge = |(&slot, &minutes)| self.prices.charge(slot, minutes);
        match self.objective {
            Objective::Cost => composition.cost(),
            Objective::PricedCost => composition.cost() + composition.minutes.iter().map(charge).sum(),
        }
    }

    /// A solution of `old` in terms of this problem: compositions of the demands that both have (by key), as
    /// they are; the rest unserved.
    pub(crate) fn translate(&self, old: &Self, solution: &Solution) -> Solution {
        let positions: BTreeMap<u64, usize> =
            old.keys.iter().enumerate().map(|(position, &key)| (key, position)).collect();
        let composition = |key| solution.compositions.get(*positions.get(key)?)?.clone();
        Solution { compositions: self.keys.iter().map(composition).collect() }
    }
}
