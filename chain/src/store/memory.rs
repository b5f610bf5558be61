//! A backend that forgets when the process ends: for the simulator and for tests.

use std::collections::BTreeMap;

use super::{Backend, Changes, Lookup, Pairs, StoreError};

/// Bytes by key, in memory. A clone is a copy of the medium as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryBackend(BTreeMap<Vec<u8>, Vec<u8>>);

impl Backend for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Pairs, StoreError> {
        let from = self.0.range(prefix.to_vec()..);
        let within = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(within.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(&mut self, changes: Changes) -> Result<(), StoreError> {
        for (key, change) in changes {
            match change {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(())
    }
    fn lookup(&self) -> Option<Lookup> {
        None
    }
}
