//! What goes wrong in a run, and when: drawn from the seed, or written down by a test.

use std::collections::BTreeSet;

use super::disk::{DiskFault, DiskIncident};
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
    /// The cut ends.
    Heal,
    /// All links change.
    Quality(LinkQuality),
}

/// A sequence of faults with their times, in milliseconds since the run began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields name themselves")]
pub struct Storm {
    pub faults: Vec<(u64, Fault)>,
    /// When it is over.
    pub length_ms: u64,
}

impl Storm {
    /// Bad links throughout, up to three crashes, each with a restart, and a cut or two, among `hosts` hosts.
    pub fn draw(draws: &mut Draws, hosts: u32, length_ms: u64) -> Self {
        let quality = LinkQuality {
            delay_min_ms: 1,
            delay_max_ms: *draws.pick(&[20, 100, 400, 1_500]),
            loss_percent: *draws.pick(&[0, 2, 10, 30]),
            duplicate_percent: *draws.pick(&[0, 5]),
        };
        let mut faults = vec![(0, Fault::Quality(quality))];
        for _ in 0..draws.below(4) {
            let host = HostId(u32::try_from(draws.below(u64::from(hosts))).unwrap_or(0));
            let at_ms = draws.below(length_ms);
            let after_effects = u32::try_from(draws.below(16)).unwrap_or(0);
            faults.push((at_ms, Fault::Crash { host, after_effects }));
            faults.push((at_ms + draws.between(50, 6_000), Fault::Restart(host)));
        }
        for _ in 0..draws.below(3) {
            let side = (0..hosts).filter(|_| draws.percent(40)).map(HostId).collect();
            let at_ms = draws.below(length_ms);
            faults.push((at_ms, Fault::Cut(side)));
            faults.push((at_ms + draws.between(200, 10_000), Fault::Heal));
        }
        Self { faults, length_ms }
    }
}
