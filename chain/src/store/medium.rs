//! Where a store lies, and how it is noticed that a medium has gone back in time.
//!
//! A database can take damage for a log that ends early, and go on from an older state, or from nothing, without a
//! word. A validator that forgets its votes like that could contradict them. So commits are counted, in the database
//! and beside it: a database that remembers fewer than were counted beside it has lost something.

use std::fmt;

use super::{Backend, Changes, Lookup, Pairs, StoreError};

/// The key of the number of commits; no key of a store begins like it.
const COMMITS: &[u8] = b"~commits";

/// The bytes that lie somewhere, and the count of commits beside them.
pub type BytesAndCount = (Box<dyn Backend>, Box<dyn Counter>);

/// A place in which a store lies: a directory on a disk, or a simulated one.
pub trait Medium: fmt::Debug {
    /// The bytes that are there, or none if there are none yet, and the count beside them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what is there is damaged, [`StoreError::InUse`] or [`StoreError::Io`].
    fn open(&mut self) -> Result<BytesAndCount, StoreError>;

    /// Moves all that is there out of the way, so that the next [`Medium::open`] begins with nothing. Whole or not at
    /// all, and nothing is deleted. Returns where it is now, for people.
    ///
    /// # Errors
    /// If the medium fails.
    fn move_aside(&mut self) -> Result<String, StoreError>;

    /// Whether something was ever moved aside here.
    ///
    /// # Errors
    /// If the medium fails.
    fn has_moved_aside(&self) -> Result<bool, StoreError>;
}

/// A number that is kept beside a database.
pub trait Counter: fmt::Debug + Send {
    /// The number last written, or an earlier one; 0 if none was.
    ///
    /// # Errors
    /// If the medium fails.
    fn read(&mut self) -> Result<u64, StoreError>;

    /// Replaces the number. It need not be durable on return: one that a crash sets back only notices less.
    ///
    /// # Errors
    /// If the medium fails.
    fn write(&mut self, number: u64) -> Result<(), StoreError>;
}

/// A backend whose commits are counted, and compared with the count when it is opened.
#[derive(Debug)]
pub struct CountedBackend {
    backend: Box<dyn Backend>,
    counter: Box<dyn Counter>,
    /// Commits so far.
    commits: u64,
}

impl CountedBackend {
    /// Opens what lies there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is damaged or has forgotten commits: move it aside and start anew.
    /// [`StoreError::InUse`], or [`StoreError::Io`] if the medium fails.
    pub fn open(medium: &mut dyn Medium) -> Result<Self, StoreError> {
        let (backend, mut counter) = medium.open()?;
        let commits = count(&backend.get(COMMITS)?.unwrap_or_default());
        let expected = counter.read()?;
        if commits < expected {
            let reason = format!("it remembers {commits} commits of {expected}: what came after is lost");
            return Err(StoreError::Corrupt(reason));
        }
        Ok(Self { backend, counter, commits })
    }
}

impl Backend for CountedBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError> {
        self.backend.scan(prefix)
    }

    fn commit(&mut self, mut changes: Changes) -> Result<(), StoreError> {
        let commits = self.commits.saturating_add(1);
        changes.insert(COMMITS.to_vec(), Some(commits.to_be_bytes().to_vec()));
        self.backend.commit(changes)?;
        self.commits = commits;
        // Afterwards, so that the count is at most behind the database, never ahead of a sound one.
        self.counter.write(commits)
    }

    fn lookup(&self) -> Option<Lookup> {
        self.backend.lookup()
    }
}

/// A number of commits; nothing, or a beginning of it, is none.
fn count(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}
