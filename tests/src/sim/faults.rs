//! What goes wrong in a run, and when: drawn from the seed, or written down by a test.

use std::collections::BTreeSet;

use super::disk::{DiskFault, DiskIncident, Remains};
use super::draws::Draws;
use super::host::HostId;
use super::links::LinkQuality;

/// One thing that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub enum Fault {
    /// A host loses all but its disk, after it has carried out so many more effects: often in the middle of
    /// what one input asked for.
    Crash {
        host: HostId,
        /// Effects it still carries out.
        after_effects: u32,
    },
    /// A host that is down is started again, its disk mended.
    Restart(HostId),
    /// A host's disk fails, and the host with it, when it has done so many more steps.
    Disk {
        host: HostId,
        /// Steps it still does.
        after_steps: u32,
        fault: DiskFault,
    },
    /// A host goes down, and this befalls its disk.
    Incident { host: HostId, incident: DiskIncident },
    /// These hosts are cut off from all others.
    Cut(BTreeSet<HostId>),
    /// Nothing arrives in one direction any more.
    Silence { from: HostId, to: HostId },
    /// All cuts end, in whatever direction.
    Heal,
    /// All links change.
    Quality(LinkQuality),
    /// One direction of one link changes.
    Direction { from: HostId, to: HostId, quality: LinkQuality },
    /// Somebody sets a wall clock this much forward, or back.
    SetClock { host: HostId, by_ms: i64 },
    /// A machine stands still for a while; its monotonic clock may go on meanwhile, or not.
    Suspend { host: HostId, for_ms: u64, monotonic_counts: bool },
}

/// A sequence of faults with their times, in milliseconds since the run began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Storm {
    pub faults: Vec<(u64, Fault)>,
    /// When it is over.
    pub length_ms: u64,
}

impl Fault {
    /// Something that goes wrong with a disk, and whose. What was acknowledged is lost by one host only, `unlucky`: a
    /// network of four tolerates one that has forgotten what it signed.
    pub fn of_a_disk(draws: &mut Draws, hosts: u32, unlucky: HostId) -> (HostId, Self) {
        let after_steps = u32::try_from(draws.below(24)).unwrap_or(0);
        let any = a_host(draws, hosts);
        let disk = |host, fault| (host, Self::Disk { host, after_steps, fault });
        let befall = |incident| (unlucky, Self::Incident { host: unlucky, incident });
        match draws.below(8) {
            0 | 1 => disk(any, DiskFault::PowerFails(Remains::Nothing)),
            2 | 3 => disk(any, DiskFault::PowerFails(Remains::Everything)),
            4 => disk(any, DiskFault::Full),
            5 => disk(unlucky, DiskFault::PowerFails(Remains::Half)),
            6 => {
                befall(DiskIncident::Forgets { commits: usize::try_from(draws.between(1, 30)).unwrap_or(1) })
            }
            _ => befall(*draws.pick(&[DiskIncident::Rots, DiskIncident::IsDeleted])),
        }
    }
}

impl Storm {
    /// Nothing at all, for as long.
    pub const fn none(length_ms: u64) -> Self {
        Self { faults: Vec::new(), length_ms }
    }

    /// Bad links throughout, up to three crashes, each with a restart, and a cut or two, among `hosts` hosts.
    pub fn draw(draws: &mut Draws, hosts: u32, length_ms: u64) -> Self {
        let quality = LinkQuality {
            delay_min_ms: 1,
            delay_max_ms: *draws.pick(&[20, 100, 400, 1_500]),
            loss_percent: *draws.pick(&[0, 2, 10, 30]),
            duplicate_percent: *draws.pick(&[0, 5]),
            ..LinkQuality::GOOD
        };
        let mut storm = Self::none(length_ms);
        storm.faults.push((0, Fault::Quality(quality)));
        let crashes = draws.below(4);
        storm.add_crashes(draws, hosts, crashes, 16);
        for _ in 0..draws.below(3) {
            let side = (0..hosts).filter(|_| draws.percent(40)).map(HostId).collect();
            let at_ms = draws.below(length_ms);
            storm.faults.push((at_ms, Fault::Cut(side)));
            storm.faults.push((at_ms + draws.between(200, 10_000), Fault::Heal));
        }
        storm
    }

    /// Crashes, each with a restart; some at once, some after up to `effects` further effects.
    pub fn add_crashes(&mut self, draws: &mut Draws, hosts: u32, crashes: u64, effects: u64) {
        for _ in 0..crashes {
            let host = a_host(draws, hosts);
            let at_ms = draws.below(self.length_ms);
            let after_effects = u32::try_from(draws.below(effects)).unwrap_or(0);
            self.faults.push((at_ms, Fault::Crash { host, after_effects }));
            self.faults.push((at_ms + draws.between(50, 6_000), Fault::Restart(host)));
        }
    }

    /// Links that differ by direction: some slow, some lossy, some narrow, and some that fall silent for a while.
    pub fn add_lopsided_links(&mut self, draws: &mut Draws, hosts: u32) {
        for from in (0..hosts).map(HostId) {
            for to in (0..hosts).map(HostId).filter(|&to| to != from) {
                if !draws.percent(40) {
                    continue;
                }
                let delay_min_ms = *draws.pick(&[1, 20, 150]);
                let quality = LinkQuality {
                    delay_min_ms,
                    delay_max_ms: delay_min_ms * *draws.pick(&[1, 2, 10]),
                    loss_percent: *draws.pick(&[0, 0, 5, 25]),
                    duplicate_percent: *draws.pick(&[0, 3]),
                    bytes_per_ms: *draws.pick(&[12_500, 1_250, 30]),
                };
                self.faults.push((0, Fault::Direction { from, to, quality }));
            }
        }
        for _ in 0..draws.between(1, 4) {
            let (from, to) = (a_host(draws, hosts), a_host(draws, hosts));
            let at_ms = draws.below(self.length_ms);
            self.faults.push((at_ms, Fault::Silence { from, to }));
            self.faults.push((at_ms + draws.between(500, 12_000), Fault::Heal));
        }
    }

    /// Disks that fail, forget, rot and are deleted, with hosts that are started again and again, as operators would.
    pub fn add_bad_disks(&mut self, draws: &mut Draws, hosts: u32) {
        let unlucky = a_host(draws, hosts);
        for _ in 0..draws.between(3, 10) {
            let (host, fault) = Fault::of_a_disk(draws, hosts, unlucky);
            let at_ms = draws.below(self.length_ms);
            self.faults.push((at_ms, fault));
            for _ in 0..3 {
                self.faults.push((at_ms + draws.between(50, 4_000), Fault::Restart(host)));
            }
        }
    }

    /// Clocks that are set, a little or by hours, and machines that are suspended.
    pub fn add_bad_clocks(&mut self, draws: &mut Draws, hosts: u32) {
        for _ in 0..draws.between(1, 4) {
            let host = a_host(draws, hosts);
            let step_ms = *draws.pick(&[50, 800, 5_000]);
            let by_ms = if draws.percent(50) { step_ms } else { -step_ms };
            self.faults.push((draws.below(self.length_ms), Fault::SetClock { host, by_ms }));
        }
        for _ in 0..draws.between(0, 2) {
            let (host, for_ms) = (a_host(draws, hosts), *draws.pick(&[300, 3_000, 12_000]));
            let monotonic_counts = draws.percent(50);
            let at_ms = draws.below(self.length_ms);
            self.faults.push((at_ms, Fault::Suspend { host, for_ms, monotonic_counts }));
        }
    }
}

fn a_host(draws: &mut Draws, hosts: u32) -> HostId {
    HostId(u32::try_from(draws.below(u64::from(hosts))).unwrap_or(0))
}
