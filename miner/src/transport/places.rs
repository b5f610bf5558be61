//! Places among the connections, and who gets one.
//!
//! Keys are free and addresses are not, so strangers share by host: those of one host hold a part of the places, however
//! many keys they show. Who has a reserved key is no stranger. It needs no share, and where nothing is free a
//! stranger goes for it: the youngest of the host that holds most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chain::PublicKey;
use miner_node::Host;
use tokio::sync::Notify;

use crate::transport::locked;

/// The places that one key may hold at a time: its connection, and the one that is to replace it.
const PLACES_PER_KEY: usize = 2;

/// Who wants a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applicant {
    pub(super) host: Host,
    /// Not known of somebody who is dialled at an address alone.
    pub(super) key: Option<PublicKey>,
    /// Whether it may take a stranger's place.
    pub(super) is_reserved: bool,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All are taken, by those who may keep theirs.
    Full,
    /// The strangers of its host have their share.
    HostFull,
    /// Its key has as many as a key needs.
    KeyFull,
}

/// The places of one kind of connection.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    per_host: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    arrivals: u64,
    /// By arrival.
    holders: BTreeMap<u64, Holder>,
}

#[derive(Debug)]
struct Holder {
    applicant: Applicant,
    is_leaving: bool,
    leave: Arc<Notify>,
}

/// A place that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    arrival: u64,
    leave: Arc<Notify>,
}

impl Places {
    pub(super) fn new(limit: usize, per_host: usize) -> Arc<Self> {
        Arc::new(Self { limit, per_host, table: Mutex::default() })
    }

    /// A place, if there is one for this applicant; who has to leave for it is told.
    pub(super) fn take(self: &Arc<Self>, applicant: Applicant) -> Result<Place, NoPlace> {
        let mut table = locked(&self.table);
        let same_key = |holder: &&Holder| applicant.key.is_some() && holder.applicant.key == applicant.key;
        if table.staying().filter(same_key).count() >= PLACES_PER_KEY {
            return Err(NoPlace::KeyFull);
        }
        if !applicant.is_reserved && table.strangers_of(applicant.host) >= self.per_host {
            return Err(NoPlace::HostFull);
        }
        if table.staying().count() >= self.limit {
            let leaving = if applicant.is_reserved { table.most_dispensable() } else { None };
            let holder = leaving.and_then(|arrival| table.holders.get_mut(&arrival)).ok_or(NoPlace::Full)?;
            holder.is_leaving = true;
            holder.leave.notify_one();
        }
        let (arrival, leave) = (table.arrivals, Arc::new(Notify::new()));
        table.arrivals += 1;
        table.holders.insert(arrival, Holder { applicant, is_leaving: false, leave: leave.clone() });
        Ok(Place { places: self.clone(), arrival, leave })
    }
}

impl Table {
    fn staying(&self) -> impl Iterator<Item = &Holder> {
        self.holders.values().filter(|holder| !holder.is_leaving)
    }

    fn strangers_of(&self, host: Host) -> usize {
        self.staying().filter(|holder| !holder.applicant.is_reserved && holder.applicant.host == host).count()
    }

    /// The youngest stranger of the host that holds most places.
    fn most_dispensable(&self) -> Option<u64> {
        let staying = self.holders.iter().filter(|(_, holder)| !holder.is_leaving);
        let strangers = staying.filter(|(_, holder)| !holder.applicant.is_reserved);
        strangers
            .max_by_key(|&(&arrival, holder)| (self.strangers_of(holder.applicant.host), arrival))
            .map(|(&arrival, _)| arrival)
    }
}

impl Place {
    /// Told once the place is wanted for somebody else.
    pub(super) fn leave(&self) -> Arc<Notify> {
        self.leave.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.places.table).holders.remove(&self.arrival);
    }
}

#[cfg(test)]
mod tests {
    use chain::SecretKey;

    use super::*;

    fn host(text: &str) -> Host {
        Host::of(text.parse().unwrap())
    }

    fn stranger(host: Host) -> Applicant {
        Applicant { host, key: None, is_reserved: false }
    }

    fn reserved(host: Host) -> Applicant {
        Applicant { host, key: None, is_reserved: true }
    }

    async fn is_told_to_leave(place: &Place) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, place.leave.notified()).await.is_ok()
    }

    #[test]
    fn the_strangers_of_one_host_leave_places_to_others() {
        let places = Places::new(3, 2);
        let (busy, other) = (host("192.0.2.1"), host("192.0.2.2"));
        let first = places.take(stranger(busy)).unwrap();
        let _second = places.take(stranger(busy)).unwrap();
        assert_eq!(places.take(stranger(busy)).unwrap_err(), NoPlace::HostFull);
        let _third = places.take(stranger(other)).unwrap();
        assert_eq!(places.take(stranger(other)).unwrap_err(), NoPlace::Full);
        drop(first);
        let _again = places.take(stranger(busy)).unwrap();
    }

    #[tokio::test]
    async fn a_reserved_key_takes_the_place_of_the_youngest_stranger_of_the_fullest_host() {
        let places = Places::new(4, 2);
        let (busy, other) = (host("192.0.2.1"), host("192.0.2.2"));
        let eldest = places.take(stranger(busy)).unwrap();
        let youngest = places.take(stranger(busy)).unwrap();
        let elsewhere = places.take(stranger(other)).unwrap();
        let _at_home = places.take(reserved(busy)).unwrap();
        let _newcomer = places.take(reserved(other)).unwrap();
        assert!(is_told_to_leave(&youngest).await);
        assert!(!is_told_to_leave(&eldest).await && !is_told_to_leave(&elsewhere).await);
        let _others = [places.take(reserved(other)).unwrap(), places.take(reserved(other)).unwrap()];
        assert!(is_told_to_leave(&eldest).await && is_told_to_leave(&elsewhere).await);
        assert_eq!(places.take(reserved(other)).unwrap_err(), NoPlace::Full);
    }

    #[test]
    fn one_key_holds_the_place_it_has_and_one_to_replace_it() {
        let places = Places::new(9, 9);
        let key = Some(SecretKey::for_scenario(1, "peer", 0).public());
        let same = Applicant { host: host("192.0.2.1"), key, is_reserved: true };
        let _two = [places.take(same).unwrap(), places.take(same).unwrap()];
        assert_eq!(places.take(same).unwrap_err(), NoPlace::KeyFull);
    }
}
