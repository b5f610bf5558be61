//! The backend on disk: one sled tree.
//!
//! Seen in runs: sled's `flush` does not fsync, so the `db` file is synced by hand; it panics on some damage
//! instead of returning an error, so every call is guarded; and it takes other damage for a log that ends
//! early, which is why `chain::store` counts commits. sled holds an exclusive lock on its directory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chain::store::{Backend, BytesAndCount, Changes, Counter, Lookup, Medium, Pairs, StoreError};

/// How long a lock is waited for, and how often it is tried.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(10);
/// The file that holds the number of commits, as 8 bytes big-endian.
const COUNTER_FILE: &str = "commits";

/// A directory on disk, for one database.
#[derive(Clone, Debug)]
pub struct StoreDirectory(PathBuf);

/// A sled database.
#[derive(Debug)]
struct SledBackend {
    db: ::sled::Db,
    /// Opened anew for each sync: the database may replace it.
    db_file: PathBuf,
}

/// A number in a file.
#[derive(Debug)]
struct FileCounter(File);

impl StoreDirectory {
    /// This directory, which is made when it is opened.
    pub fn new(directory: &Path) -> Self {
        Self(directory.to_path_buf())
    }

    fn aside(&self, number: u32) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.0.with_file_name(format!("{name}.broken-{number}"))
    }
}

impl Medium for StoreDirectory {
    fn open(&mut self) -> Result<BytesAndCount, StoreError> {
        let db = open_database(&self.0)?;
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let counter = options.open(self.0.join(COUNTER_FILE)).map_err(|error| io_error(&error))?;
        Ok((Box::new(SledBackend { db, db_file: self.0.join("db") }), Box::new(FileCounter(counter))))
    }

    /// Renames the directory to the first free `<name>.broken-<n>`.
    fn move_aside(&mut self) -> Result<String, StoreError> {
        let mut places = (1..=u32::MAX).map(|number| self.aside(number));
        let free = places.find(|place| !place.exists());
        let rename = || {
            let place = free.ok_or(io::ErrorKind::AlreadyExists)?;
            std::fs::rename(&self.0, &place)?;
            File::open(place.parent().unwrap_or(Path::new(".")))?.sync_all()?;
            Ok::<_, io::Error>(place.display().to_string())
        };
        rename().map_err(|error| io_error(&error))
    }

    fn has_moved_aside(&self) -> Result<bool, StoreError> {
        self.aside(1).try_exists().map_err(|error| io_error(&error))
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
        guarded(|| {
            self.db.apply_batch(batch)?;
            self.db.flush()?;
            File::open(&self.db_file)?.sync_all()?;
            Ok(())
        })
    }

    /// sled applies a batch between two reads.
    fn lookup(&self) -> Option<Lookup> {
        let db = self.db.clone();
        Some(Box::new(move |key| guarded(|| Ok(db.get(key)?.map(|value| value.to_vec())))))
    }
}

impl Counter for FileCounter {
    fn read(&mut self) -> Result<u64, StoreError> {
        let mut bytes = Vec::new();
        self.0.rewind().and_then(|()| self.0.read_to_end(&mut bytes)).map_err(|error| io_error(&error))?;
        // What a crash left of its making is none yet.
        Ok(bytes.try_into().map_or(0, u64::from_be_bytes))
    }

    /// Not synced: a counter that a power failure sets back only notices less.
    fn write(&mut self, number: u64) -> Result<(), StoreError> {
        let write = self.0.rewind().and_then(|()| self.0.write_all(&number.to_be_bytes()));
        write.map_err(|error| io_error(&error))
    }
}

/// Opens the database. Threads of sled's own may hold its lock for a moment after the database has been dropped in
/// this very process, so a lock is waited for briefly before it counts as another process's.
fn open_database(directory: &Path) -> Result<::sled::Db, StoreError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match guarded(|| ::sled::Config::new().path(directory).open()) {
            // sled has no type for it.
            Err(StoreError::Io(reason)) if reason.contains("acquire lock") => {
                if Instant::now() >= deadline {
                    return Err(StoreError::InUse);
                }
                std::thread::sleep(LOCK_POLL);
            }
            opened => return opened,
        }
    }
}

/// Turns sled's errors, and the panics it answers corruption with, into ours.
fn guarded<T>(operation: impl FnOnce() -> Result<T, ::sled::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(operation)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(::sled::Error::Io(error))) => Err(io_error(&error)),
        Ok(Err(error)) => Err(StoreError::Corrupt(error.to_string())),
        Err(_) => Err(StoreError::Corrupt("the database panicked while reading itself".into())),
    }
}

fn io_error(error: &io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
