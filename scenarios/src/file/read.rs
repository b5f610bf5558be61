//! From the form of a scenario file to a [`Scenario`]: names become ids, sites become points or places. Every
//! problem is found, each with its JSON path.

use std::collections::BTreeMap;

use super::document::{
    CalendarDocument, CapacityDocument, DemandDocument, MarketDocument, ProviderDocument, ScenarioDocument,
    SiteDocument,
};
use crate::findings::Findings;
use crate::geometry::{DistanceMatrix, Geometry, Site};
use crate::instance::{CostRules, Demand, Instance, Offer, Provider, Supply};
use crate::periods::{Calendar, Horizon, Period, TimeWindow};
use crate::projection::{GeoPoint, Projection};
use crate::scenario::Scenario;
use crate::units::{Minutes, OperationId};
use crate::validate;

/// The scenario a document stands for.
pub(super) fn resolve(document: ScenarioDocument) -> Result<Scenario, Findings> {
    let mut resolver = Resolver::new(&document);
    let geometry = resolver.geometry(&document.market);
    let providers = resolver.providers(document.providers);
    let demands = resolver.demands(document.demands);
    // Without a geometry every site would be refused a second time.
    let Some(geometry) = geometry else { return Err(resolver.findings) };
    let scenario = Scenario {
        name: document.name,
        description: document.description,
        attribution: document.attribution,
        generator: document.generator,
        origin: document.origin,
        window: document.window,
        operations: document.operations,
        instance: Instance {
            supply: Supply {
                providers,
                rules: rules(&document.market),
                geometry,
                horizon: horizon(document.calendar.as_ref()),
            },
            demands,
        },
        period_names: document.calendar.map(|calendar| calendar.names).unwrap_or_default(),
        network: document.network,
        search: document.search,
        experiment: document.experiment,
    };
    validate::check_scenario(&mut resolver.findings, &scenario);
    resolver.findings.into_result().map(|()| scenario)
}

fn rules(market: &MarketDocument) -> CostRules {
    CostRules {
        rate_per_km: market.rate_per_km,
        value_of_minute: market.value_of_minute,
        metres_per_minute: market.metres_per_minute,
        deliver: market.deliver,
    }
}

fn horizon(calendar: Option<&CalendarDocument>) -> Horizon {
    calendar.map_or(Horizon::SINGLE, |&CalendarDocument { periods, period_minutes, .. }| Horizon {
        first: Period::ZERO,
        periods,
        period_minutes: Some(period_minutes),
    })
}

struct Resolver {
    operations: BTreeMap<String, OperationId>,
    projection: Option<Projection>,
    on_matrix: bool,
    findings: Findings,
}

impl Resolver {
    fn new(document: &ScenarioDocument) -> Self {
        // Numbers beyond the limit of operations are never looked at: `validate` refuses the file.
        let numbers = 0..=u16::MAX;
        let operations = document.operations.iter().cloned().zip(numbers.map(OperationId)).collect();
        Self {
            operations,
            projection: document.origin.map(Projection::about),
            on_matrix: document.market.distances_m.is_some(),
            findings: Findings::default(),
        }
    }

    fn geometry(&mut self, market: &MarketDocument) -> Option<Geometry> {
        let Some(rows) = &market.distances_m else { return Some(Geometry::Euclidean) };
        match DistanceMatrix::new(rows) {
            Ok(matrix) => Some(Geometry::Matrix(matrix)),
            Err(error) => {
                self.findings.say("market.distances_m", error);
                None
            }
        }
    }

    fn providers(&mut self, documents: Vec<ProviderDocument>) -> Vec<Provider> {
        let mut providers = Vec::with_capacity(documents.len());
        for (position, document) in documents.into_iter().enumerate() {
            let mut offers = BTreeMap::new();
            for (name, offer) in document.offers.0 {
                match self.operations.get(&name) {
                    Some(&operation) => {
                        offers.insert(operation, Offer { cost: offer.cost, minutes: offer.minutes });
                    }
                    None => self.unknown_operation(&format!("providers[{position}].offers"), &name),
                }
            }
            let site = self.site(&format!("providers[{position}].site"), document.site);
            let path = format!("providers[{position}]");
            let capacity = self.capacity(&path, document.capacity_minutes, document.capacity_exceptions.0);
            providers.push(Provider { name: document.name, site, offers, capacity });
        }
        providers
    }

    fn demands(&mut self, documents: Vec<DemandDocument>) -> Vec<Demand> {
        let mut demands = Vec::with_capacity(documents.len());
        for (position, document) in documents.into_iter().enumerate() {
            let mut orders = Vec::with_capacity(document.orders.len());
            for (order, name) in document.orders.iter().enumerate() {
                if let Some(&operation) = self.operations.get(name) {
                    orders.push(operation);
                } else {
                    self.unknown_operation(&format!("demands[{position}].orders[{order}]"), name);
                    orders.push(OperationId(0));
                }
            }
            let site = self.site(&format!("demands[{position}].site"), document.site);
            let window = TimeWindow {
                release: document.release.unwrap_or(TimeWindow::ANY.release),
                due: document.due.unwrap_or(TimeWindow::ANY.due),
            };
            demands.push(Demand { name: document.name, site, orders, budget: document.budget, window });
        }
        demands
    }

    fn capacity(
        &mut self,
        path: &str,
        minutes: Option<CapacityDocument>,
        exceptions: Vec<(String, Minutes)>,
    ) -> Option<Calendar> {
        let mut by_period = BTreeMap::new();
        for (name, minutes) in exceptions {
            if let Ok(number) = name.parse() {
                by_period.insert(Period(number), minutes);
            } else {
                let path = format_args!("{path}.capacity_exceptions");
                self.findings.add(path, format_args!("{name:?}"), "the number of a period");
            }
        }
        match minutes {
            None => {
                if !by_period.is_empty() {
                    let path = format_args!("{path}.capacity_exceptions");
                    self.findings.say(
                        path,
                        "given without `capacity_minutes`, so that there is nothing to except from",
                    );
                }
                None
            }
            Some(minutes) => {
                if minutes == CapacityDocument::Repeated(Vec::new()) {
                    let path = format_args!("{path}.capacity_minutes");
                    self.findings.say(path, "empty, expected at least one period");
                }
                Some(minutes.into_calendar(by_period))
            }
        }
    }

    fn unknown_operation(&mut self, path: &str, name: &str) {
        self.findings.add(path, format_args!("{name:?}"), "a name listed in `operations`");
    }

    /// The site, or a harmless one after a finding.
    fn site(&mut self, path: &str, document: SiteDocument) -> Site {
        let harmless = if self.on_matrix { Site::Place(0) } else { Site::point(0, 0) };
        let SiteDocument { x_m, y_m, latitude, longitude, place } = document;
        match (x_m, y_m, latitude, longitude, place) {
            (Some(x_m), Some(y_m), None, None, None) if !self.on_matrix => Site::point(x_m, y_m),
            (None, None, Some(latitude), Some(longitude), None) if !self.on_matrix => {
                let point = GeoPoint { latitude, longitude };
                match self.projection {
                    Some(_) if !point.is_valid() => {
                        let got = format_args!("latitude {latitude}, longitude {longitude}");
                        self.findings.add(path, got, "-90 to 90 and -180 to 180 degrees");
                        harmless
                    }
                    Some(projection) => projection.site(point),
                    None => {
                        self.findings.say(path, "latitude and longitude need the scenario's `origin`");
                        harmless
                    }
                }
            }
            (None, None, None, None, Some(place)) if self.on_matrix => Site::Place(place),
            _ => {
                self.findings.say(
                    path,
                    if self.on_matrix {
                        "expected `place` alone, a row of `market.distances_m`"
                    } else {
                        "expected `x_m` and `y_m`, or `latitude` and `longitude`"
                    },
                );
                harmless
            }
        }
    }
}
