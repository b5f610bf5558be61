//! The backend on disk: one sled tree.
//!
//! Seen in runs: sled's `flush` does not fsync, so the `db` file is synced by hand; it panics on some damage
//! instead of returning an error, so every call is guarded; and it takes other damage for a log that ends
//! early, and goes on from an older state, or from nothing, without a word. A validator that forgets its
//! votes like that could contradict them, so commits are counted, in the database and in a file beside it:
//! a database that remembers fewer than the file has lost something. sled holds an exclusive lock on its
//! directory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chain::store::{Backend, Changes, Lookup, Pairs, StoreError};

/// A sled database in a directory of its own.
#[derive(Debug)]
pub struct SledBackend {
    db: ::sled::Db,
    directory: PathBuf,
    /// Commits so far.
    commits: u64,
    /// Holds that number too, as 8 bytes big-endian; at most behind the database, never ahead of it.
    counter: File,
}

/// The key of the number of commits; no key of a store begins like it.
const COMMITS: &[u8] = b"~commits";
/// How long a lock is waited for, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(10);
/// The file that holds it too.
const COUNTER_FILE: &str = "commits";

impl SledBackend {
    /// Opens the database in `directory`, making it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is damaged, or older than it was when last written: [`move_aside`] it
    /// and start anew. [`StoreError::Io`] if it is locked by another process or the disk fails.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let db = guarded(|| open_database(directory))?;
        let remembered = guarded(|| Ok(db.get(COMMITS)?.map(|value| value.to_vec())))?;
        let commits = count(&remembered.unwrap_or_default());
        let mut counter = guarded(|| {
            let path = directory.join(COUNTER_FILE);
            Ok(File::options().read(true).write(true).create(true).truncate(false).open(path)?)
        })?;
        let mut bytes = Vec::new();
        guarded(|| Ok(counter.read_to_end(&mut bytes)?))?;
        let expected = count(&bytes);
        if commits < expected {
            let reason = format!("it remembers {commits} commits of {expected}: what came after is lost");
            return Err(StoreError::Corrupt(reason));
        }
        Ok(Self { db, directory: directory.to_path_buf(), commits, counter })
    }
}

impl Backend for SledBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| Ok(self.db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError> {
        guarded(|| {
            let pairs = self.db.scan_prefix(prefix);
            pairs.map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        })
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        let mut batch = ::sled::Batch::default();
        for (key, change) in changes {
            match change {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let commits = self.commits.saturating_add(1);
        batch.insert(COMMITS, &commits.to_be_bytes());
        guarded(|| {
            self.db.apply_batch(batch)?;
            self.db.flush()?;
            File::open(self.directory.join("db"))?.sync_all()?;
            // Not synced: a counter that a power failure sets back only sees less.
            self.counter.rewind()?;
            self.counter.write_all(&commits.to_be_bytes())?;
            Ok(())
        })?;
        self.commits = commits;
        Ok(())
    }

    /// sled applies a batch between two reads.
    fn lookup(&self) -> Option<Lookup> {
        let db = self.db.clone();
        Some(Box::new(move |key| guarded(|| Ok(db.get(key)?.map(|value| value.to_vec())))))
    }
}

/// Opens the database. Threads of sled's own may hold its lock for a moment after the database has been dropped in
/// this very process, so a lock is waited for briefly before it counts as another process's.
fn open_database(directory: &Path) -> Result<::sled::Db, ::sled::Error> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match ::sled::Config::new().path(directory).open() {
            Err(::sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && Instant::now() < deadline =>
            {
                std::thread::sleep(LOCK_POLL);
            }
            opened => return opened,
        }
    }
}

/// A number of commits; nothing, or a beginning of it, is none.
fn count(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// Turns sled's errors, and the panics it answers corruption with, into ours.
fn guarded<T>(operation: impl FnOnce() -> Result<T, ::sled::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(::sled::Error::Io(error))) => Err(StoreError::Io(error.to_string())),
        Ok(Err(error)) => Err(StoreError::Corrupt(error.to_string())),
        Err(_) => Err(StoreError::Corrupt("the database panicked while reading itself".into())),
    }
}

/// Renames a broken store's directory to the first free `<name>.broken-<n>` and returns that, so that a
/// new store can be made in its place and nothing is lost.
///
/// # Errors
/// If it cannot be renamed.
pub fn move_aside(directory: &Path) -> io::Result<PathBuf> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1_u32..).map(|number| directory.with_file_name(format!("{name}.broken-{number}")));
    let aside = free.into_iter().find(|path| !path.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
    std::fs::rename(directory, &aside)?;
    Ok(aside)
}
