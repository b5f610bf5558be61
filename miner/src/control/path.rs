//! Naming a socket whose path is longer than the system's socket addresses allow.
//!
//! An address has room for about a hundred bytes, which a deep data directory exceeds. On Linux the
//! directory is then opened and the socket named through `/proc/self/fd`, so that nothing has to be kept
//! elsewhere; on other systems the path is refused.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::control::ControlError;

/// Bytes of a socket address's path, its final zero not counted (`sun_path` in unix(7)).
const ADDRESS_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A path that fits a socket address, for as long as this lives.
#[derive(Debug)]
pub(super) struct SocketAddressPath {
    path: PathBuf,
    _directory: Option<File>,
}

impl SocketAddressPath {
    /// For the socket at `path`, whose directory exists.
    pub(super) fn of(path: &Path) -> Result<Self, ControlError> {
        let got = path.as_os_str().len();
        if got <= ADDRESS_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        match through_descriptor(path) {
            Some(opened) => {
                let (short, directory) = opened.map_err(|source| ControlError::Io {
                    action: "open the directory of",
                    path: path.to_owned(),
                    source,
                })?;
                Ok(Self { path: short, _directory: Some(directory) })
            }
            None => Err(ControlError::PathTooLong { path: path.to_owned(), got, limit: ADDRESS_BYTES_MAX }),
        }
    }

    pub(super) fn as_path(&self) -> &Path {
        &self.path
    }
}

/// The path through a descriptor of its directory, `None` where there is no such thing or it is too long too.
#[cfg(target_os = "linux")]
fn through_descriptor(path: &Path) -> Option<std::io::Result<(PathBuf, File)>> {
    use std::os::fd::AsRawFd as _;

    let (parent, name) = (path.parent()?, path.file_name()?);
    let directory = match File::open(parent) {
        Ok(directory) => directory,
        Err(error) => return Some(Err(error)),
    };
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    (short.as_os_str().len() <= ADDRESS_BYTES_MAX).then_some(Ok((short, directory)))
}

#[cfg(not(target_os = "linux"))]
fn through_descriptor(_path: &Path) -> Option<std::io::Result<(PathBuf, File)>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_path_is_taken_as_it_is() {
        let path = Path::new("/run/node/control.sock");
        assert_eq!(SocketAddressPath::of(path).unwrap().as_path(), path);
    }

    #[test]
    fn a_name_that_is_too_long_by_itself_is_refused_with_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s".repeat(120));
        let error = SocketAddressPath::of(&path).unwrap_err().to_string();
        assert!(error.contains("choose a shorter data directory"), "{error}");
    }
}
