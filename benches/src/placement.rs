//! Which processors the machines of a cluster have.

use std::fs;

use clap::ValueEnum;
use rfs_cluster::Cluster;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;

/// On a small machine, who runs beside whom changes results by more than most improvements do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The machine where programs run has the first processor, all others share the second
    Apart,
    /// Every process may run everywhere
    Free,
}

impl Placement {
    pub fn words(self) -> &'static str {
        match self {
            Placement::Apart => "programs and their mount on CPU 0, the other machines on CPU 1",
            Placement::Free => "every process on any CPU",
        }
    }

    /// Puts every process of the machines, and this one with all that it will start, where they belong. `works` says of a
    /// machine whether programs run there.
    pub fn apply(self, cluster: &Cluster, works: impl Fn(&str) -> bool) {
        for host in cluster.hosts() {
            let set = self.set(works(host.name()));
            host.all_pids().into_iter().for_each(|pid| put(pid, &set));
        }
        put(std::process::id(), &self.set(true));
    }

    fn set(self, works: bool) -> CpuSet {
        let mut set = CpuSet::new();
        match self {
            Placement::Apart => set.set(usize::from(!works)),
            Placement::Free => {
                let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                // What this process may use was narrowed by a run before.
                (0..all.max(2)).for_each(|cpu| set.set(cpu));
            }
        }
        set
    }
}

/// All its threads; one that has just ended needs no place.
fn put(pid: u32, set: &CpuSet) {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ids = tasks.filter_map(|t| Pid::from_raw(t.file_name().to_str()?.parse().ok()?));
    for id in ids {
        let _ = sched_setaffinity(Some(id), set);
    }
}
