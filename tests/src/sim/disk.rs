//! A simulated disk: a medium for a store that does what disks do when power fails, space runs out, or they lie.
//!
//! It outlives the lives of its host. Whatever changes it is a step, numbered from the moment a [`DiskFault`] is laid:
//! so a test can let power fail in each step of an operation in turn. What has been acknowledged survives a power
//! failure; that it does not, or that a directory is deleted, is an incident, inflicted while nothing runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chain::StoreError;
use chain::store::{Backend, BytesAndCount, Changes, Counter, Lookup, Medium, MemoryBackend, Pairs};

/// A disk. Clones are handles to the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

/// What a step comes to when power fails in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Nothing: as if it had not begun.
    Nothing,
    /// All of it, though nobody was told.
    Everything,
    /// Half of it: the store opens as damaged.
    Half,
}

/// What goes wrong in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Power fails. Nothing works until it is back.
    PowerFails(Remains),
    /// There is no space for it, nor for what follows, until somebody makes room.
    Full,
}

/// What befalls a disk while nothing runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskIncident {
    /// The database loses its last commits, although it acknowledged them; the count beside it survives.
    Forgets {
        /// How many, at most all.
        commits: usize,
    },
    /// An older copy is put in place of it all, the count included: nothing on the disk can tell.
    GoesBack {
        /// Commits since the copy was made.
        commits: usize,
    },
    /// Its bytes rot.
    Rots,
    /// Somebody deletes the directory, with all that was moved aside.
    IsDeleted,
}

/// What is on the disk, and what is to go wrong.
#[derive(Clone, Debug, Default)]
struct Platter {
    /// What was committed, in order.
    commits: Vec<Changes>,
    /// All of that together.
    content: MemoryBackend,
    counter: u64,
    is_damaged: bool,
    /// How often a store was moved aside.
    moved_aside: u32,
    /// What goes wrong, after so many steps that go well.
    laid: Option<(u32, DiskFault)>,
    /// It has gone wrong.
    failed: Option<DiskFault>,
    has_gone_back: bool,
}

impl Disk {
    /// A copy of it as it is now.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.platter().clone())))
    }

    /// Lets something go wrong after so many steps that go well.
    pub fn lay(&self, steps: u32, fault: DiskFault) {
        self.platter().laid = Some((steps, fault));
    }

    /// Power is back, and there is room; what was to go wrong will not.
    pub fn mend(&self) {
        let mut platter = self.platter();
        (platter.laid, platter.failed) = (None, None);
    }

    /// Whether something has gone wrong since it was last mended.
    pub fn has_failed(&self) -> bool {
        self.platter().failed.is_some()
    }

    /// Whether an older copy was ever put in place of what it held.
    pub fn has_gone_back(&self) -> bool {
        self.platter().has_gone_back
    }

    /// How often a store was moved aside on it.
    pub fn moved_aside(&self) -> u32 {
        self.platter().moved_aside
    }

    /// Something befalls it.
    pub fn befall(&self, incident: DiskIncident) {
        let mut platter = self.platter();
        match incident {
            DiskIncident::Forgets { commits } => platter.forget(commits),
            DiskIncident::GoesBack { commits } => {
                platter.forget(commits);
                platter.counter = platter.commits.len() as u64;
                platter.has_gone_back = true;
            }
            DiskIncident::Rots => platter.is_damaged = true,
            DiskIncident::IsDeleted => *platter = Platter::default(),
        }
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn forget(&mut self, commits: usize) {
        self.commits.truncate(self.commits.len().saturating_sub(commits));
        self.content = MemoryBackend::default();
        for changes in self.commits.clone() {
            // A medium in memory does not fail.
            let _ = self.content.commit(changes);
        }
    }

    /// Does a step, unless something goes wrong in it.
    fn step(&mut self, what: &str, step: impl FnOnce(&mut Self)) -> Result<(), StoreError> {
        self.work(what)?;
        let fault = match &mut self.laid {
            Some((0, fault)) => Some(*fault),
            Some((steps, _)) => {
                *steps -= 1;
                None
            }
            None => None,
        };
        let Some(fault) = fault else {
            step(self);
            return Ok(());
        };
        (self.laid, self.failed) = (None, Some(fault));
        match fault {
            DiskFault::PowerFails(Remains::Everything) => step(self),
            DiskFault::PowerFails(Remains::Half) => self.is_damaged = true,
            DiskFault::PowerFails(Remains::Nothing) | DiskFault::Full => {}
        }
        self.work(what)
    }

    /// Whether it works at all.
    fn work(&self, what: &str) -> Result<(), StoreError> {
        match self.failed {
            None => Ok(()),
            Some(DiskFault::PowerFails(_)) => Err(StoreError::Io(format!("{what}: the power has failed"))),
            Some(DiskFault::Full) => Err(StoreError::Io(format!("{what}: no space left"))),
        }
    }
}

impl Medium for Disk {
    fn open(&mut self) -> Result<BytesAndCount, StoreError> {
        let platter = self.platter();
        platter.work("opening the store")?;
        if platter.is_damaged {
            return Err(StoreError::Corrupt("the bytes make no sense".into()));
        }
        drop(platter);
        Ok((Box::new(self.clone()), Box::new(self.clone())))
    }

    fn move_aside(&mut self) -> Result<String, StoreError> {
        let mut platter = self.platter();
        platter.step("moving the store aside", |platter| {
            let moved_aside = platter.moved_aside + 1;
            let (laid, failed, has_gone_back) = (platter.laid, platter.failed, platter.has_gone_back);
            *platter = Platter { moved_aside, laid, failed, has_gone_back, ..Platter::default() };
        })?;
        Ok(format!("store.broken-{}", platter.moved_aside))
    }

    fn has_moved_aside(&self) -> Result<bool, StoreError> {
        let platter = self.platter();
        platter.work("looking beside the store")?;
        Ok(platter.moved_aside > 0)
    }
}

impl Backend for Disk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let platter = self.platter();
        platter.work("reading")?;
        platter.content.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError> {
        let platter = self.platter();
        platter.work("reading")?;
        platter.content.scan(prefix)
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        self.platter().step("a commit", |platter| {
            platter.commits.push(changes.clone());
            let _ = platter.content.commit(changes);
        })
    }

    fn lookup(&self) -> Option<Lookup> {
        None
    }
}

impl Counter for Disk {
    fn read(&mut self) -> Result<u64, StoreError> {
        let platter = self.platter();
        platter.work("reading the count")?;
        Ok(platter.counter)
    }

    fn write(&mut self, number: u64) -> Result<(), StoreError> {
        self.platter().step("writing the count", |platter| platter.counter = number)
    }
}
