//! Offers and demands as people write them: JSON with operations by name, the same fields that scenario
//! files have.

use std::collections::BTreeMap;

use chain::genesis::scenario::least_solver_fee;
use chain::record::{DemandStatement, OfferStatement};
use scenarios::file::CapacityDocument;
use scenarios::{Minutes, Money, Offer, OperationId, Period, Site, TimeWindow};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use miner_api::MarketFacts;

/// A provider's whole offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferDocument {
    /// For people, at most 64 bytes.
    pub name: String,
    /// Where the work is done.
    pub site: SiteDocument,
    /// Minutes it can work in all, or where there is a calendar in each period: one number, or a list that is repeated from period 0 on.
    /// Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_minutes: Option<CapacityDocument>,
    /// Periods, by number, in which it can work for other minutes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity_exceptions: BTreeMap<Period, Minutes>,
    /// Cost and minutes by name of operation.
    pub offers: BTreeMap<String, Offer>,
    /// What is locked for each operation; the least the network asks for if absent. Where an operation is offered as often as it
    /// may be, those with more take the places of those with less that have no work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit: Option<Money>,
}

/// What a demander wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandDocument {
    /// For people, at most 64 bytes.
    pub name: String,
    /// Where the product goes, if the market delivers.
    pub site: SiteDocument,
    /// Names of the operations, in the order in which they must be done.
    pub orders: Vec<String>,
    /// The most the demander pays for the composition.
    pub budget: Money,
    /// Paid to solvers on top; the least the network asks for if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver_fee: Option<Money>,
    /// The first period in which an order may be done, where there is a calendar; absent: the first that can be planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Period>,
    /// The last period in which an order may be done, where there is a calendar; absent: any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Period>,
}

/// A site: `x_m` and `y_m`, or `place` on a market with a distance matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SiteFields", untagged)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum SiteDocument {
    /// Metres east and north of the market's origin.
    Point {
        /// Metres east.
        x_m: i64,
        /// Metres north.
        y_m: i64,
    },
    /// A row of the distance matrix, from 0.
    Place { place: u32 },
}

/// Every field a site may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteFields {
    x_m: Option<i64>,
    y_m: Option<i64>,
    place: Option<u32>,
}

impl TryFrom<SiteFields> for SiteDocument {
    type Error = &'static str;

    fn try_from(fields: SiteFields) -> Result<Self, Self::Error> {
        match (fields.x_m, fields.y_m, fields.place) {
            (Some(x_m), Some(y_m), None) => Ok(Self::Point { x_m, y_m }),
            (None, None, Some(place)) => Ok(Self::Place { place }),
            _ => Err("a site has x_m and y_m, or place"),
        }
    }
}

impl From<SiteDocument> for Site {
    fn from(document: SiteDocument) -> Self {
        match document {
            SiteDocument::Point { x_m, y_m } => Self::Point { x_m, y_m },
            SiteDocument::Place { place } => Self::Place(place),
        }
    }
}

/// Why a document does not say what to sign.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum DocumentError {
    /// It is not what is expected.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It names an operation that the market does not have.
    #[error("the market has no operation \"{name}\"; it has {}", .known.join(", "))]
    UnknownOperation {
        name: String,
        /// The market's operations, the first twenty.
        known: Vec<String>,
    },
    /// A capacity that is repeated has no period.
    #[error("capacity_minutes is empty, expected at least one period")]
    NoPeriods,
    /// There is nothing in it.
    #[error("there is no demand in it")]
    Empty,
}

impl OfferDocument {
    /// From JSON.
    ///
    /// # Errors
    /// If it is no offer, with line and column.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        Ok(serde_json::from_str(text)?)
    }

    /// What the provider signs.
    ///
    /// # Errors
    /// If an operation is unknown to the market.
    pub fn statement(&self, facts: &MarketFacts) -> Result<OfferStatement, DocumentError> {
        let offers =
            self.offers.iter().map(|(name, &offer)| Ok::<_, DocumentError>((operation(name, facts)?, offer)));
        let capacity = self.capacity_minutes.clone();
        if capacity == Some(CapacityDocument::Repeated(Vec::new())) {
            return Err(DocumentError::NoPeriods);
        }
        Ok(OfferStatement {
            name: self.name.clone(),
            site: self.site.into(),
            offers: offers.collect::<Result<_, _>>()?,
            capacity: capacity.map(|minutes| minutes.into_calendar(self.capacity_exceptions.clone())),
            deposit: self.deposit.unwrap_or(facts.offer_deposit),
        })
    }
}

impl DemandDocument {
    /// One demand, or a list of them, from JSON.
    ///
    /// # Errors
    /// If it is neither, with line and column, or the list is empty.
    pub fn many_from_json(text: &str) -> Result<Vec<Self>, DocumentError> {
        let demands = if text.trim_start().starts_with('[') { list(text)? } else { vec![list_item(text)?] };
        if demands.is_empty() { Err(DocumentError::Empty) } else { Ok(demands) }
    }

    /// What the demander signs, to expire at a time in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// If an operation is unknown to the market.
    pub fn statement(&self, facts: &MarketFacts, expires_ms: u64) -> Result<DemandStatement, DocumentError> {
        let orders = self.orders.iter().map(|name| operation(name, facts));
        let least = least_solver_fee(self.budget, facts.solver_fee_ppm);
        Ok(DemandStatement {
            name: self.name.clone(),
            site: self.site.into(),
            orders: orders.collect::<Result<_, _>>()?,
            budget: self.budget,
            solver_fee: self.solver_fee.unwrap_or(least),
            window: TimeWindow {
                release: self.release.unwrap_or(facts.horizon.first),
                due: self.due.unwrap_or(TimeWindow::ANY.due),
            },
            expires_ms,
        })
    }
}

fn list<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, DocumentError> {
    Ok(serde_json::from_str(text)?)
}

fn list_item<T: DeserializeOwned>(text: &str) -> Result<T, DocumentError> {
    Ok(serde_json::from_str(text)?)
}

fn operation(name: &str, facts: &MarketFacts) -> Result<OperationId, DocumentError> {
    let unknown = || {
        let known = facts.operations.iter().take(20).cloned().collect();
        DocumentError::UnknownOperation { name: name.to_owned(), known }
    };
    let number = facts.operations.iter().position(|operation| operation == name).ok_or_else(unknown)?;
    u16::try_from(number).ok().map(OperationId).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use chain::{Hash, NetworkId};
    use scenarios::Horizon;

    use super::*;

    fn facts() -> MarketFacts {
        MarketFacts {
            name: "test".into(),
            network: NetworkId(Hash([0; 32])),
            height: 0,
            operations: vec!["turning".into(), "milling".into()],
            providers: 0,
            solver_fee_ppm: 4_000,
            account_min: Money::from_units(1),
            min_budget: Money::from_units(1),
            offer_deposit: Money::from_units(2),
            minute_deposit: Money::ZERO,
            fee_per_byte: Money::ZERO,
            demand_lifetime_max_ms: 1_000,
            first_expiry_ms: 1_000,
            places: None,
            horizon: Horizon::SINGLE,
            calendar: None,
            records_per_author: 10,
            validators: BTreeMap::new(),
        }
    }

    #[test]
    fn an_offer_names_operations_and_dollars() {
        let text = r#"{"name":"Ada","site":{"x_m":-5,"y_m":7},"capacity_minutes":60,
                       "offers":{"milling":{"cost":12.5,"minutes":3}}}"#;
        let statement = OfferDocument::from_json(text).unwrap().statement(&facts()).unwrap();
        assert_eq!(statement.site, Site::point(-5, 7));
        assert_eq!(statement.capacity, Some(60.into()));
        let offer = Offer { cost: Money::from_micros(12_500_000), minutes: 3 };
        assert_eq!(statement.offers, BTreeMap::from([(OperationId(1), offer)]));
    }

    #[test]
    fn a_demand_pays_the_least_fee_unless_it_says_otherwise() {
        let text = r#"{"name":"shaft","site":{"x_m":0,"y_m":0},"orders":["turning","milling"],"budget":500}"#;
        let mut demand = DemandDocument::many_from_json(text).unwrap().remove(0);
        let statement = demand.statement(&facts(), 900).unwrap();
        assert_eq!(statement.orders, [OperationId(0), OperationId(1)]);
        assert_eq!(statement.solver_fee, Money::from_units(2)); // 0.4 % of 500
        assert_eq!(statement.expires_ms, 900);
        demand.solver_fee = Some(Money::from_units(9));
        assert_eq!(demand.statement(&facts(), 900).unwrap().solver_fee, Money::from_units(9));
    }

    #[test]
    fn a_list_of_demands_is_read_in_order() {
        let one = r#"{"name":"A","site":{"place":3},"orders":["turning"],"budget":1}"#;
        let text = format!("[{one},{}]", one.replace('A', "B"));
        let demands = DemandDocument::many_from_json(&text).unwrap();
        assert_eq!(demands.iter().map(|demand| demand.name.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(Site::from(demands[0].site), Site::Place(3));
        assert_eq!(DemandDocument::many_from_json("[]").unwrap_err().to_string(), "there is no demand in it");
    }

    #[test]
    fn an_unknown_operation_is_refused_with_those_there_are() {
        let text = r#"{"name":"A","site":{"x_m":0,"y_m":0},"orders":["forging"],"budget":1}"#;
        let demand = DemandDocument::many_from_json(text).unwrap().remove(0);
        let error = demand.statement(&facts(), 900).unwrap_err().to_string();
        assert_eq!(error, "the market has no operation \"forging\"; it has turning, milling");
    }

    #[test]
    fn a_site_is_a_point_or_a_place() {
        let read = |site: &str| serde_json::from_str::<SiteDocument>(site);
        assert_eq!(read(r#"{"place":4}"#).unwrap(), SiteDocument::Place { place: 4 });
        for wrong in [r#"{"x_m":1}"#, r#"{"x_m":1,"y_m":2,"place":4}"#, "{}"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.starts_with("a site has x_m and y_m, or place"), "{error}");
        }
    }

    #[test]
    fn a_misspelt_field_is_named() {
        let error = OfferDocument::from_json(r#"{"nmae":"Ada"}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `nmae`"), "{error}");
    }
}
