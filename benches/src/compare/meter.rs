//! What a run costs on all hosts of a system: CPU, memory, bytes on the wire.

use std::collections::BTreeMap;

use super::systems::System;
use crate::process;

/// Counters at one moment.
#[derive(Debug, Default)]
pub struct Reading {
    /// CPU seconds of each process that is there.
    cpu: BTreeMap<u32, f64>,
    /// Bytes that hosts have sent to others.
    wire: u64,
}

/// What passed between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// CPU seconds of the system's own processes.
    pub cpu_s: f64,
    pub wire_bytes: u64,
    /// The most that each of its processes had in memory, added up.
    pub memory_bytes: u64,
}

impl Reading {
    pub fn of(system: &dyn System) -> Reading {
        let cpu = pids(system).into_iter().filter_map(|pid| Some((pid, process::cpu(pid, false)?))).collect();
        let wire = system.cluster().hosts().map(|h| system.cluster().wire(h.name()).sent).sum();
        Reading { cpu, wire }
    }

    /// What has passed since. A process that has come meanwhile counts from its beginning; what one used that has gone since is
    /// lost.
    pub fn until_now(&self, system: &dyn System) -> Cost {
        let now = Reading::of(system);
        let used = |(pid, cpu): (&u32, &f64)| cpu - self.cpu.get(pid).copied().unwrap_or_default();
        let memory_bytes = pids(system).into_iter().filter_map(process::peak).sum();
        Cost { cpu_s: now.cpu.iter().map(used).sum(), wire_bytes: now.wire - self.wire, memory_bytes }
    }
}

/// From now on, the peaks are those of what comes.
pub fn forget_peaks(system: &dyn System) {
    pids(system).into_iter().for_each(process::forget_peak);
}

fn pids(system: &dyn System) -> Vec<u32> {
    system.cluster().hosts().flat_map(rfs_cluster::Host::all_pids).collect()
}
