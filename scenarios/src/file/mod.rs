//! Scenario and solution files: versioned JSON that people can read and write. Their bytes are arguments here;
//! nothing in this crate opens a file.
//!
//! Bytes are read in three steps: the header (`format`, `version`), the form (every field known
//! and of the right type), the meaning (cross references and limits, all
//! problems listed). No bytes make it panic.
//!
//! [`Scenario::import_numbered`] also reads *numbered instances*, a plain exchange format: a JSON object of
//! `name`, `operations` (how many), `rate_milli_per_km`, `providers` (`x_m`, `y_m`, `cost_milli` and `minutes`
//! with one entry for each operation, null where it is not offered, `capacity_minutes`, null where unlimited)
//! and `demands` (`x_m`, `y_m`, `orders` as numbers of operations from 0), money in thousandths of a dollar.

mod document;
mod error;
mod import;
mod layout;
mod read;
mod solution;
mod table;
mod write;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use document::CapacityDocument;
pub use error::ScenarioError;
pub use import::Imported;

use crate::scenario::Scenario;
use document::ScenarioDocument;

/// The version of scenario and solution files that is written and read.
pub const VERSION: u32 = 1;

/// Larger files are not read.
pub const FILE_BYTES: u64 = 256 << 20;

impl Scenario {
    /// Reads the JSON of a scenario file.
    ///
    /// # Errors
    /// What is wrong, with JSON paths; where the form is right, everything that is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ScenarioError> {
        let document: ScenarioDocument = parse(bytes, "mizan-scenario")?;
        read::resolve(document).map_err(ScenarioError::Invalid)
    }

    /// The scenario file, laid out for people. Reading it gives the same scenario, and the same scenario
    /// always gives the same bytes.
    pub fn to_json(&self) -> String {
        print(&write::describe(self))
    }

    /// The JSON Schema of scenario files.
    pub fn json_schema() -> String {
        print(&schemars::schema_for!(ScenarioDocument))
    }
}

/// What tells a file of ours from others, whatever else stands in it.
#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    format: serde_json::Value,
    #[serde(default)]
    version: serde_json::Value,
}

/// Reads a document of this format, after its header.
fn parse<T: DeserializeOwned>(bytes: &[u8], format: &'static str) -> Result<T, ScenarioError> {
    let got = bytes.len() as u64;
    if got > FILE_BYTES {
        return Err(ScenarioError::TooLarge { got, expected: FILE_BYTES });
    }
    let header: Header = parse_part(bytes)?;
    if header.format != format {
        return Err(ScenarioError::Format { got: header.format.to_string(), expected: format });
    }
    if header.version != VERSION {
        return Err(ScenarioError::Version { got: header.version.to_string(), expected: VERSION });
    }
    parse_part(bytes)
}

fn parse_part<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ScenarioError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| ScenarioError::Json {
        path: error.path().to_string(),
        message: error.into_inner().to_string(),
    })?;
    let whole =
        |error: serde_json::Error| ScenarioError::Json { path: ".".into(), message: error.to_string() };
    deserializer.end().map_err(whole)?;
    Ok(value)
}

fn print(document: &impl Serialize) -> String {
    let compact = serde_json::to_string(document).expect("documents hold nothing that JSON cannot");
    layout::lay_out(&compact)
}
