//! From a [`Scenario`] to the form of its file.

use super::document::{
    CalendarDocument, CapacityDocument, DemandDocument, MarketDocument, OfferDocument, ProviderDocument,
    ScenarioDocument, ScenarioFormat, SiteDocument,
};
use super::table::Table;
use crate::geometry::{Geometry, Site};
use crate::instance::{Provider, Supply};
use crate::periods::{Calendar, TimeWindow};
use crate::scenario::Scenario;
use crate::units::Minutes;

/// The form of a scenario. Sites are written as metres or places, whatever they were read from.
pub(super) fn describe(scenario: &Scenario) -> ScenarioDocument {
    let Supply { providers, rules, geometry, horizon } = &scenario.instance.supply;
    let offers = |provider: &Provider| {
        let rows = provider.offers.iter().map(|(&operation, offer)| {
            let document = OfferDocument { cost: offer.cost, minutes: offer.minutes };
            (scenario.operation_name(operation), document)
        });
        Table(rows.collect())
    };
    let providers = providers.iter().map(|provider| ProviderDocument {
        name: provider.name.clone(),
        site: site_document(provider.site),
        capacity_minutes: provider.capacity.as_ref().map(capacity_document),
        capacity_exceptions: Table(provider.capacity.iter().flat_map(exceptions).collect()),
        offers: offers(provider),
    });
    let demands = scenario.instance.demands.iter().map(|demand| DemandDocument {
        name: demand.name.clone(),
        site: site_document(demand.site),
        budget: demand.budget,
        release: Some(demand.window.release).filter(|&release| release != TimeWindow::ANY.release),
        due: Some(demand.window.due).filter(|&due| due != TimeWindow::ANY.due),
        orders: demand.orders.iter().map(|&operation| scenario.operation_name(operation)).collect(),
    });
    ScenarioDocument {
        format: ScenarioFormat::MizanScenario,
        version: super::VERSION,
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        attribution: scenario.attribution.clone(),
        generator: scenario.generator.clone(),
        market: MarketDocument {
            rate_per_km: rules.rate_per_km,
            value_of_minute: rules.value_of_minute,
            metres_per_minute: rules.metres_per_minute,
            deliver: rules.deliver,
            distances_m: match geometry {
                Geometry::Euclidean => None,
                Geometry::Matrix(matrix) => Some(matrix.rows()),
            },
        },
        origin: scenario.origin,
        window: scenario.window,
        calendar: horizon.period_minutes.map(|period_minutes| CalendarDocument {
            periods: horizon.periods,
            period_minutes,
            names: scenario.period_names.clone(),
        }),
        network: scenario.network.clone(),
        search: scenario.search,
        experiment: scenario.experiment.clone(),
        operations: scenario.operations.clone(),
        providers: providers.collect(),
        demands: demands.collect(),
    }
}

fn capacity_document(calendar: &Calendar) -> CapacityDocument {
    match calendar.pattern() {
        &[minutes] => CapacityDocument::Every(minutes),
        pattern => CapacityDocument::Repeated(pattern.to_vec()),
    }
}

fn exceptions(calendar: &Calendar) -> impl Iterator<Item = (String, Minutes)> {
    calendar.exceptions().iter().map(|(period, &minutes)| (period.0.to_string(), minutes))
}

fn site_document(site: Site) -> SiteDocument {
    match site {
        Site::Point { x_m, y_m } => {
            SiteDocument { x_m: Some(x_m), y_m: Some(y_m), ..SiteDocument::default() }
        }
        Site::Place(place) => SiteDocument { place: Some(place), ..SiteDocument::default() },
    }
}
