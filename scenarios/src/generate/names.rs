//! Names of generated operations, providers and demanders.

use std::collections::BTreeMap;

use super::draw::Draw;
use super::sites::DrawnSite;

/// Kinds of manufacturing work, in the order in which they are taken.
const OPERATIONS: [&str; 40] = [
    "turning",
    "milling",
    "drilling",
    "grinding",
    "welding",
    "casting",
    "forging",
    "bending",
    "stamping",
    "assembly",
    "painting",
    "laser cutting",
    "hardening",
    "polishing",
    "sawing",
    "boring",
    "plating",
    "injection moulding",
    "testing",
    "packing",
    "threading",
    "broaching",
    "honing",
    "lapping",
    "riveting",
    "brazing",
    "soldering",
    "annealing",
    "tempering",
    "anodising",
    "galvanising",
    "powder coating",
    "deep drawing",
    "extrusion",
    "rolling",
    "sintering",
    "engraving",
    "water-jet cutting",
    "spark erosion",
    "balancing",
];

const PROVIDER_TRADES: [&str; 12] = [
    "Machining",
    "Metalworks",
    "Precision",
    "Tools",
    "Fabrication",
    "Engineering",
    "Workshops",
    "Forge",
    "Industries",
    "Components",
    "Foundry",
    "Mechanics",
];

const DEMANDER_TRADES: [&str; 16] = [
    "Pumps",
    "Tractors",
    "Bicycles",
    "Elevators",
    "Turbines",
    "Textiles",
    "Furniture",
    "Valves",
    "Gearboxes",
    "Motors",
    "Instruments",
    "Appliances",
    "Conveyors",
    "Wagons",
    "Compressors",
    "Cables",
];

/// Which list a firm's trade is taken from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Firm {
    Provider,
    Demander,
}

/// The first `count` operations; those beyond the list are numbered.
pub(super) fn operations(count: u32) -> Vec<String> {
    let named = OPERATIONS.iter().map(|&name| name.to_owned());
    let numbered = (OPERATIONS.len() + 1..).map(|number| format!("operation {number}"));
    named.chain(numbered).take(count as usize).collect()
}

/// A name for the firm at each site: its place, a trade, and a number from the second of that name on.
pub(super) fn firms(draw: &mut Draw, sites: &[DrawnSite], firm: Firm) -> Vec<String> {
    let trades = match firm {
        Firm::Provider => PROVIDER_TRADES.as_slice(),
        Firm::Demander => DEMANDER_TRADES.as_slice(),
    };
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let name = |site: &DrawnSite| {
        let trade = trades[draw.index(trades.len())];
        let name = site.place.as_ref().map_or(trade.to_owned(), |place| format!("{place} {trade}"));
        let count = taken.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count == 1 { name } else { format!("{name} {count}") }
    };
    sites.iter().map(name).collect()
}
