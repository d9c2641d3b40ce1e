//! This program once more, inside of a host: what it measures there it prints as JSON.

use std::path::Path;
use std::time::Duration;

use rfs_cluster::cluster::PROGRAMS;
use rfs_cluster::{Cluster, Host};
use serde::de::DeserializeOwned;

const NAME: &str = "rfs-benches";

/// Gives it to the hosts, before anything else: a run takes hours, and somebody may build another one meanwhile.
#[track_caller]
pub fn lend(cluster: &Cluster) {
    // Not by its path: at that there may be another one by now.
    cluster.lend(Path::new("/proc/self/exe"), NAME);
}

/// Runs it with these words on its command line, where it was lent. Panics, with all that was said, when it fails or takes longer
/// than that.
#[track_caller]
pub fn ask<T: DeserializeOwned>(host: &Host, words: &[&str], within: Duration) -> T {
    let program = format!("{PROGRAMS}/{NAME}");
    let ran = host.run_within(&[&[program.as_str()], words].concat(), within);
    assert!(ran.success(), "{ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"))
}
