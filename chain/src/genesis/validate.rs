//! The rules of a genesis, so that no later sum can overflow and no later rule be empty.

use std::collections::BTreeSet;

use scenarios::parameters::Allocation;
use scenarios::schedule::Measure;
use scenarios::{Horizon, Money, Window, limits};

use super::{GENESIS_VERSION, Genesis, ParameterError};
use crate::consensus::{ValidatorSet, ValidatorSetError};
use crate::key::Address;
use crate::validate::record::{OfferError, validate_offer_terms};

/// The most money a network may hold in all: sums of any of its accounts fit `i64`.
pub(super) const MONEY_TOTAL: Money = Money::from_micros(1 << 61);

/// Why a genesis is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum GenesisError {
    /// Written by another version of the program.
    #[error("genesis has version {got}, this program reads {expected}")]
    Version {
        got: u16,
        /// [`GENESIS_VERSION`].
        expected: u16,
    },
    /// No file may hold it.
    #[error("the genesis has {got} canonical bytes, expected at most {expected}")]
    TooLarge {
        /// Its canonical bytes.
        got: usize,
        /// [`GENESIS_BYTES`](super::GENESIS_BYTES).
        expected: usize,
    },
    /// A name is longer than [`limits::NAME_BYTES`].
    #[error("{what} has a name of {got} bytes, expected at most {expected}")]
    Name {
        what: String,
        /// Its bytes.
        got: usize,
        expected: usize,
    },
    /// A number is outside its range.
    #[error("{what} is {got}, expected {lowest} to {highest}")]
    Range { what: &'static str, got: i128, lowest: i128, highest: i128 },
    /// A provider's offer is refused.
    #[error("provider {index} ({name}): {error}")]
    Provider {
        /// Its position.
        index: usize,
        name: String,
        error: OfferError,
    },
    /// Two providers have one address.
    #[error("provider {index} has the address {address}, which an earlier one has")]
    ProviderTwice {
        /// The later one's position.
        index: usize,
        address: Address,
    },
    /// A balance is negative.
    #[error("the balance of {address} is {got}, expected at least 0")]
    NegativeBalance { address: Address, got: Money },
    /// The rules of paper A know no calendar.
    #[error(
        "a calendar, in dedicated allocation or by the measure of paper A, which know none: expected shared providers and a certified schedule"
    )]
    CalendarOfPaper,
    /// All money together is more than 2^61 micro-units.
    #[error("all balances add up to {got} micro-units, expected at most {expected}")]
    MoneyTotal {
        /// The sum in micro-units.
        got: i128,
        expected: i128,
    },
    /// The validators cannot decide anything together.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// A parameter is refused.
    #[error("the parameter {0}")]
    Parameters(#[from] ParameterError),
}

impl Genesis {
    /// Checks every rule.
    ///
    /// # Errors
    /// The first rule broken.
    pub fn validate(&self) -> Result<(), GenesisError> {
        if self.version != GENESIS_VERSION {
            return Err(GenesisError::Version { got: self.version, expected: GENESIS_VERSION });
        }
        name("the network", &self.name)?;
        self.parameters.validate()?;
        self.validate_rules()?;
        self.validate_providers()?;
        self.validate_money()?;
        range("the number of miners", self.miners, 1, u32::MAX)?;
        ValidatorSet::new(&self.validators)?;
        Ok(())
    }

    fn validate_rules(&self) -> Result<(), GenesisError> {
        let rules = &self.rules;
        range("rate_per_km (micro-units)", rules.rate_per_km.micros(), 0, limits::RATE_PER_KM.micros())?;
        let highest = limits::VALUE_OF_MINUTE.micros();
        range("value_of_minute (micro-units)", rules.value_of_minute.micros(), 0, highest)?;
        range("metres_per_minute", rules.metres_per_minute, 1, limits::DISTANCE_METRES)?;
        let operations = i128::try_from(self.operations.len()).unwrap_or(i128::MAX);
        range("the number of operations", operations, 1, bound(limits::OPERATIONS))?;
        for operation in &self.operations {
            name("an operation", operation)?;
        }
        self.validate_window()?;
        self.validate_horizon()?;
        // A distance matrix cannot be built, nor decoded, but within its limits.
        Ok(())
    }

    fn validate_horizon(&self) -> Result<(), GenesisError> {
        let Horizon { first, periods, period_minutes } = self.horizon;
        range("the first period", first.0, 0, 0)?;
        let most = if period_minutes.is_some() { bound(limits::PERIODS) } else { 1 };
        range("the number of periods that can be planned", i128::from(periods), 1, most)?;
        range("the minutes of a period", period_minutes.unwrap_or(1), 1, limits::OFFER_MINUTES)?;
        let is_certified = matches!(self.parameters.schedule.measure, Measure::Certified { .. });
        if period_minutes.is_some() && (self.parameters.allocation == Allocation::Dedicated || !is_certified)
        {
            return Err(GenesisError::CalendarOfPaper);
        }
        Ok(())
    }

    fn validate_window(&self) -> Result<(), GenesisError> {
        let Window { west_m, south_m, east_m, north_m } = self.window;
        let highest = limits::COORDINATE_METRES;
        let lowest = highest.saturating_neg().saturating_add(1);
        range("the western edge of the window", west_m, lowest, highest)?;
        range("the southern edge of the window", south_m, lowest, highest)?;
        range("the eastern edge of the window", east_m, west_m.saturating_add(1), highest)?;
        range("the northern edge of the window", north_m, south_m.saturating_add(1), highest)
    }

    fn validate_providers(&self) -> Result<(), GenesisError> {
        let count = i128::try_from(self.providers.len()).unwrap_or(i128::MAX);
        range("the number of providers", count, 0, bound(limits::PROVIDERS))?;
        let mut addresses = BTreeSet::new();
        for (index, genesis) in self.providers.iter().enumerate() {
            let provider = &genesis.provider;
            validate_offer_terms(
                self,
                &provider.name,
                provider.site,
                &provider.offers,
                provider.capacity.as_ref(),
            )
            .map_err(|error| GenesisError::Provider {
                index,
                name: provider.name.clone(),
                error,
            })?;
            if !addresses.insert(genesis.address) {
                return Err(GenesisError::ProviderTwice { index, address: genesis.address });
            }
        }
        Ok(())
    }

    fn validate_money(&self) -> Result<(), GenesisError> {
        if let Some((&address, &got)) = self.balances.iter().find(|(_, balance)| **balance < Money::ZERO) {
            return Err(GenesisError::NegativeBalance { address, got });
        }
        let got: i128 = self.balances.values().map(|balance| i128::from(balance.micros())).sum();
        let expected = i128::from(MONEY_TOTAL.micros());
        if got > expected { Err(GenesisError::MoneyTotal { got, expected }) } else { Ok(()) }
    }
}

fn bound(limit: usize) -> i128 {
    i128::try_from(limit).unwrap_or(i128::MAX)
}

fn range(
    what: &'static str,
    got: impl Into<i128>,
    lowest: impl Into<i128>,
    highest: impl Into<i128>,
) -> Result<(), GenesisError> {
    let (got, lowest, highest) = (got.into(), lowest.into(), highest.into());
    if (lowest..=highest).contains(&got) {
        Ok(())
    } else {
        Err(GenesisError::Range { what, got, lowest, highest })
    }
}

fn name(what: &str, name: &str) -> Result<(), GenesisError> {
    if name.len() > limits::NAME_BYTES {
        let (what, got) = (what.to_owned(), name.len());
        return Err(GenesisError::Name { what, got, expected: limits::NAME_BYTES });
    }
    Ok(())
}
