//! What one mount shows of what happens on another one: each test is a sentence of `docs/semantics.md`.

mod fresh;
mod leases;
mod locks;
mod names;
mod open_files;
mod pushed;
mod round_trips;

use std::path::PathBuf;

use rfs_cluster::{Cluster, MOUNT, Replica};

/// Two mounts of one volume, on hosts without a brick.
pub struct Pair {
    pub r: Replica,
    here: PathBuf,
    there: PathBuf,
}

impl Pair {
    #[track_caller]
    pub fn new() -> Pair {
        Pair::with(&[])
    }

    /// Both with these options of mount(8).
    #[track_caller]
    pub fn with(options: &[&str]) -> Pair {
        let hosts = ["server1", "server2", "client", "client2"];
        let r = Replica::of(Cluster::of(&hosts).beside_others(), 2);
        r.mount_with("client", options);
        r.mount_with("client2", options);
        r.settled();
        let at = |host: &str| r.cluster[host].path(MOUNT);
        let (here, there) = (at("client"), at("client2"));
        Pair { r, here, there }
    }

    /// The path of a name on the first mount.
    pub fn here(&self, name: &str) -> PathBuf {
        self.here.join(name)
    }

    /// The same on the second one.
    pub fn there(&self, name: &str) -> PathBuf {
        self.there.join(name)
    }

    /// Both; every other round in the other order.
    pub fn in_turn(&self, round: u64, name: &str) -> (PathBuf, PathBuf) {
        let (here, there) = (self.here(name), self.there(name));
        if round.is_multiple_of(2) { (here, there) } else { (there, here) }
    }
}
