//! Why a scenario or solution file is refused.

use crate::findings::Findings;

/// Why a scenario or solution file is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum ScenarioError {
    /// The file is too large.
    #[error("the file has more than {expected} bytes")]
    TooLarge {
        /// Its size, or how much of it was read.
        got: u64,
        /// The most that is read.
        expected: u64,
    },
    /// It is not JSON, or a field is unknown, missing, doubled or of the wrong type.
    #[error("{path}: {message}")]
    Json {
        /// Where: a path such as `providers[3].site.x_m`, `.` for the whole.
        path: String,
        /// What was found and expected, with line and column.
        message: String,
    },
    /// It is another kind of file.
    #[error("format: got {got}, expected {expected:?}")]
    Format {
        /// Its `format`, as JSON.
        got: String,
        expected: &'static str,
    },
    /// It is of a version that this program does not read.
    #[error("version: got {got}, expected {expected}")]
    Version {
        /// Its `version`, as JSON.
        got: String,
        expected: u32,
    },
    /// Values or references in it are wrong.
    #[error("{0}")]
    Invalid(Findings),
}
