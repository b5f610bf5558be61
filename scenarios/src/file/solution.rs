//! Solution files: what a solver writes and the judge reads. Demands and providers are named, not numbered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ScenarioError;
use super::table::Table;
use super::{VERSION, parse, print};
use crate::findings::Findings;
use crate::instance::Solution;
use crate::periods::{Horizon, Period, Slot};
use crate::scenario::Scenario;
use crate::units::ProviderId;

/// The `format` of a solution file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
enum SolutionFormat {
    /// The one there is.
    #[serde(rename = "mizan-solution")]
    MizanSolution,
}

/// Who does what, and when: for each demand of a scenario, the provider and period of each of its orders.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Mizan solution, version 1")]
struct SolutionDocument {
    /// Says that this is a solution file.
    format: SolutionFormat,
    /// The version of this form.
    #[schemars(extend("const" = 1))]
    version: u32,
    /// The name of the scenario that is solved, for people.
    #[serde(default)]
    scenario: String,
    /// The fingerprint of the instance that is solved; absent: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// By the name of each demand, by whom its orders are done, and in which period where there are several; null leaves it
    /// unserved.
    compositions: Table<Option<Vec<SlotDocument>>>,
}

/// By whom an order is done: a name, or a name and a period.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected the name of a provider, or an object of `provider` and `period`")]
enum SlotDocument {
    /// In the only period there is.
    Provider(String),
    /// In one of several.
    Slot(ProviderInPeriod),
}

/// A provider in a period.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProviderInPeriod {
    /// Its name.
    provider: String,
    /// The period's number.
    period: Period,
}

impl Scenario {
    /// Reads the JSON of a solution of this scenario. It is not judged: [`crate::evaluate()`] does that.
    ///
    /// # Errors
    /// What is wrong with the form, or all names that this scenario does not know, demands without an entry,
    /// and a fingerprint of another instance.
    pub fn solution_from_json(&self, bytes: &[u8]) -> Result<Solution, ScenarioError> {
        let document: SolutionDocument = parse(bytes, "mizan-solution")?;
        let mut findings = Findings::default();
        if let Some(got) = document.instance.filter(|got| *got != self.instance.fingerprint()) {
            let expected = format!("{}: this solves another instance", self.instance.fingerprint());
            findings.add("instance", got, expected);
        }
        let mut solution = Solution::unserved(self.instance.demands.len());
        let demands = positions(self.instance.demands.iter().map(|demand| &demand.name));
        let providers = positions(self.instance.supply.providers.iter().map(|provider| &provider.name));
        let mut missing = vec![true; self.instance.demands.len()];
        for (demand, names) in document.compositions.0 {
            let path = format!("compositions.{demand}");
            let Some(&position) = demands.get(&demand) else {
                findings.say(path, "the scenario has no such demand");
                continue;
            };
            missing[position] = false;
            let horizon = self.instance.supply.horizon;
            let slots = names.map(|names| slots(&mut findings, &path, names, horizon, &providers));
            solution.compositions[position] = slots;
        }
        for (demand, _) in self.instance.demands.iter().zip(missing).filter(|(_, missing)| *missing) {
            findings.say(format_args!("compositions.{}", demand.name), "missing; null leaves it unserved");
        }
        findings.into_result().map_err(ScenarioError::Invalid)?;
        Ok(solution)
    }

    /// The solution file of a solution of this scenario. Panics if it names a provider that does not exist
    /// or has entries for more demands than there are.
    pub fn solution_to_json(&self, solution: &Solution) -> String {
        let is_single = self.instance.supply.horizon == Horizon::SINGLE;
        let document = |slot: &Slot| {
            let provider = self.instance.supply.providers[slot.provider.index()].name.clone();
            if is_single {
                return SlotDocument::Provider(provider);
            }
            SlotDocument::Slot(ProviderInPeriod { provider, period: slot.period })
        };
        let documents = |slots: &Vec<Slot>| slots.iter().map(document).collect::<Vec<_>>();
        let entries = solution.compositions.iter().enumerate();
        let rows = entries.map(|(position, composition)| {
            (self.instance.demands[position].name.clone(), composition.as_ref().map(documents))
        });
        print(&SolutionDocument {
            format: SolutionFormat::MizanSolution,
            version: VERSION,
            scenario: self.name.clone(),
            instance: Some(self.instance.fingerprint()),
            compositions: Table(rows.collect()),
        })
    }

    /// The JSON Schema of solution files.
    pub fn solution_json_schema() -> String {
        print(&schemars::schema_for!(SolutionDocument))
    }
}

fn positions<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<&'a String, usize> {
    names.enumerate().map(|(position, name)| (name, position)).collect()
}

fn slots(
    findings: &mut Findings,
    path: &str,
    documents: Vec<SlotDocument>,
    horizon: Horizon,
    providers: &BTreeMap<&String, usize>,
) -> Vec<Slot> {
    let mut slots = Vec::with_capacity(documents.len());
    for (order, document) in documents.into_iter().enumerate() {
        let path = format_args!("{path}[{order}]").to_string();
        let (name, period) = match document {
            SlotDocument::Provider(name) => {
                if horizon.len() > 1 {
                    findings.say(&path, "no period, expected an object of `provider` and `period`");
                }
                (name, horizon.first)
            }
            SlotDocument::Slot(ProviderInPeriod { provider, period }) => (provider, period),
        };
        match providers.get(&name) {
            Some(&position) => slots.push(Slot { provider: ProviderId::from_index(position), period }),
            None => findings.add(path, format_args!("{name:?}"), "the name of a provider of the scenario"),
        }
    }
    slots
}
