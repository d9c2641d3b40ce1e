//! What a process takes, as the kernel tells.

use std::fs;

/// CPU seconds of a process so far; with those of its children that it has waited for.
pub fn cpu(pid: u32, children: bool) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // utime, stime, cutime, cstime: proc_pid_stat(5), 14 to 17; the first here is 3.
    let ticks = fields.get(11..if children { 15 } else { 13 })?;
    let sum = ticks.iter().map(|t| t.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(sum as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Bytes that it has in memory now.
pub fn resident(pid: u32) -> Option<u64> {
    memory(pid, "VmRSS:")
}

/// The most bytes that it had in memory.
pub fn peak(pid: u32) -> Option<u64> {
    memory(pid, "VmHWM:")
}

/// From now on, its peak is that of what comes.
pub fn forget_peak(pid: u32) {
    // One that has just ended has none.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

fn memory(pid: u32, what: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(what))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_cpu_time_of_a_process_and_of_its_children() {
        let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let me = std::process::id();
        let (own, all) = (cpu(me, false).unwrap(), cpu(me, true).unwrap());
        assert!(Command::new("sh").args(["-c", burn]).status().unwrap().success());
        let (own, all) = (cpu(me, false).unwrap() - own, cpu(me, true).unwrap() - all);
        assert!(all > own + 0.02, "{own} {all}");
        assert_eq!(cpu(u32::MAX, false), None);
    }

    #[test]
    fn this_process_has_memory_and_had_as_much_once() {
        let me = std::process::id();
        let (resident, peak) = (resident(me).unwrap(), peak(me).unwrap());
        assert!(resident > 1 << 20 && peak >= resident, "{resident} {peak}");
        assert_eq!(super::resident(u32::MAX), None);
    }
}
