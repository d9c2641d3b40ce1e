//! What a run costs on all hosts of a system: CPU, memory, bytes on the wire.

use std::collections::BTreeMap;
use std::fs;

use super::systems::System;

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
        let cpu = pids(system).into_iter().filter_map(|pid| Some((pid, cpu_of(pid, false)?))).collect();
        let wire = system.cluster().hosts().map(|h| system.cluster().wire(h.name()).sent).sum();
        Reading { cpu, wire }
    }

    /// What has passed since. A process that has come meanwhile counts from its beginning; what one used that has gone since is
    /// lost.
    pub fn until_now(&self, system: &dyn System) -> Cost {
        let now = Reading::of(system);
        let used = |(pid, cpu): (&u32, &f64)| cpu - self.cpu.get(pid).copied().unwrap_or_default();
        let memory_bytes = pids(system).into_iter().filter_map(peak).sum();
        Cost { cpu_s: now.cpu.iter().map(used).sum(), wire_bytes: now.wire - self.wire, memory_bytes }
    }
}

/// From now on, the peaks are those of what comes.
pub fn forget_peaks(system: &dyn System) {
    for pid in pids(system) {
        // One that has just ended has none.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

fn pids(system: &dyn System) -> Vec<u32> {
    system.cluster().hosts().flat_map(rfs_cluster::Host::all_pids).collect()
}

/// Bytes.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// CPU seconds of a process so far; with those of its children that it has waited for.
pub fn cpu_of(pid: u32, children: bool) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // utime, stime, cutime, cstime: proc_pid_stat(5), 14 to 17; the first here is 3.
    let ticks = fields.get(11..if children { 15 } else { 13 })?;
    let sum = ticks.iter().map(|t| t.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(sum as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_cpu_time_of_a_process_and_of_its_children() {
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let me = std::process::id();
        let (own, all) = (cpu_of(me, false).unwrap(), cpu_of(me, true).unwrap());
        assert!(Command::new("sh").args(["-c", burn]).status().unwrap().success());
        let (own, all) = (cpu_of(me, false).unwrap() - own, cpu_of(me, true).unwrap() - all);
        assert!(all > own + 0.02, "{own} {all}");
        assert_eq!(cpu_of(u32::MAX, false), None);
    }

    #[test]
    fn this_process_has_a_peak() {
        assert!(peak(std::process::id()).unwrap() > 1 << 20);
    }
}
