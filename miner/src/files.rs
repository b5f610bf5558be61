//! Reading the files that people name: scenarios, solutions, numbered instances. What is in them is read by
//! [`scenarios::file`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use scenarios::file::FILE_BYTES;
use scenarios::{Scenario, ScenarioError};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// It is no scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// The bytes of a file; of one larger than [`FILE_BYTES`] one more than that, which every reader refuses.
///
/// # Errors
/// If it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// Reads a scenario file.
///
/// # Errors
/// If it cannot be read, and everything that is wrong with it.
pub fn load_scenario(path: &Path) -> Result<Scenario, FileError> {
    Ok(Scenario::from_json(&read_file(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = load_scenario(Path::new("no/such/file.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read no/such/file.json: "), "{error}");
    }
}
