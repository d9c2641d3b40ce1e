//! Processes, as seen from outside of the hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// All processes of the machine: pid and parent.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Kills a process and all that came of it, other than what has gone to the background.
pub fn kill_tree(root: u32) {
    let parents = parents();
    let mut doomed = BTreeSet::from([root]);
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(p, of)| doomed.contains(of) && !doomed.contains(p))
            .map(|(p, _)| *p)
            .collect();
        if more.is_empty() {
            break;
        }
        doomed.extend(more);
    }
    for pid in doomed {
        signal(pid, Signal::KILL);
    }
}

/// Signals a process; one that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Where every thread of a process stands, as the kernel tells: for whoever looks into a hang.
pub fn stands(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |task: &fs::DirEntry, file: &str| {
        let text = fs::read_to_string(task.path().join(file)).unwrap_or_default();
        text.lines().map(str::trim).take(12).collect::<Vec<_>>().join(" < ")
    };
    let line = |task: fs::DirEntry| {
        let state = of(&task, "stat")
            .rsplit_once(')')
            .map_or(' ', |(_, rest)| rest.trim().chars().next().unwrap_or(' '));
        format!("  {} {state} {}: {}\n", of(&task, "comm"), of(&task, "syscall"), of(&task, "stack"))
    };
    tasks.map(line).collect()
}

/// What outlives a mount by a moment: a process of the mount's program, but no mount.
const GUARDIAN: &str = "rfs-guardian";

/// The PID namespace in which a process lives.
pub fn pid_namespace(pid: u32) -> Option<String> {
    Some(fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?.to_string_lossy().into_owned())
}

/// The processes of a namespace other than its first; of that command, if one is given, under whatever name it was
/// started (`mount.rfs` is `rfs-mountd`). Zombies do not count.
pub fn in_namespace(init: u32, command: Option<&str>) -> Vec<u32> {
    let Some(namespace) = pid_namespace(init) else { return Vec::new() };
    let here = |pid: u32| pid != init && pid_namespace(pid).as_deref() == Some(&namespace);
    parents()
        .into_keys()
        .filter(|&p| {
            here(p)
                && command.is_none_or(|c| name(p).is_some_and(|n| n == c || (runs(p, c) && n != GUARDIAN)))
        })
        .collect()
}

/// The command name; none for a zombie.
fn name(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    (!rest.trim_start().starts_with('Z')).then(|| head.split_once('(').map(|(_, n)| n.to_owned()))?
}

/// Whether a process runs the program of that file name.
fn runs(pid: u32, program: &str) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    exe.is_ok_and(|exe| exe.file_name().is_some_and(|name| name == program))
}
