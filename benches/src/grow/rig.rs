//! The volume that is measured: two bricks, and machines without one that mount it.

use std::time::Duration;

use rfs_cluster::servers::{BRICKD, MOUNTD};
use rfs_cluster::{Cluster, MOUNT, Replica, VOLUME};
use serde::de::DeserializeOwned;

use super::sample::Sample;
use crate::placement::Placement;
use crate::{inside, process};

/// Machines that mount.
pub const CLIENTS: [&str; 4] = ["client", "client2", "client3", "client4"];

/// What a mount keeps of its writes at the most: the volume option `window`, by default.
pub const WINDOW: u64 = 64 << 20;

/// How long something may take that has nothing to do with what is measured.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a part may take: the longest are a tenth of a million files, and an hour's tenth.
const LIMIT: Duration = Duration::from_secs(4 * 3600);

pub struct Rig {
    replica: Replica,
    placement: Placement,
}

impl Rig {
    /// Mounted on the first so many machines. `delay`: what each message between two machines takes more.
    #[track_caller]
    pub fn start(placement: Placement, clients: usize, delay: Option<Duration>) -> Rig {
        let hosts = [&["server1", "server2"], &CLIENTS[..clients]].concat();
        let builder = Cluster::of(&hosts).beside_others();
        let builder = delay.into_iter().fold(builder, rfs_cluster::Builder::delayed);
        let rig = Rig { replica: Replica::of(builder, 2), placement };
        inside::lend(&rig.replica.cluster);
        rig.mount(CLIENTS[0]);
        rig.replica.settled();
        rig.forget_peaks();
        rig
    }

    pub fn mount(&self, client: &str) {
        self.replica.mount(client);
        self.placement.apply(&self.replica.cluster, |host| CLIENTS.contains(&host));
    }

    /// Takes the mount away and makes it anew: nothing is cached on the client's side then. The bricks have applied everything.
    pub fn remount(&self, client: &str) {
        self.settle();
        self.replica.umount(client);
        self.mount(client);
        self.replica.settled();
    }

    /// Returns once both bricks have applied everything.
    pub fn settle(&self) {
        self.replica.caught_up(PATIENCE);
    }

    pub fn set(&self, option: &str, value: &str) {
        let set = ["volume", "set", VOLUME, option, value];
        self.replica.cluster["server1"].tools(&set).says("volume set: success");
    }

    /// Removes a folder of the mount.
    pub fn remove(&self, client: &str, dir: &str) {
        self.replica.cluster[client].run_within(&["rm", "-rf", dir], LIMIT).ok();
    }

    /// Runs a part there; see `part`.
    #[track_caller]
    pub fn part<T: DeserializeOwned>(&self, client: &str, words: &[&str]) -> T {
        inside::ask(&self.replica.cluster[client], &[&["part"], words].concat(), LIMIT)
    }

    #[track_caller]
    pub fn part_of<T: DeserializeOwned>(&self, client: &str, words: &[String]) -> T {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.part(client, &words)
    }

    /// What the daemons take, and the first machine's mount.
    pub fn sample(&self) -> Sample {
        Sample::of(&self.replica, CLIENTS[0])
    }

    /// From now on, the most that processes had in memory is that of what comes.
    pub fn forget_peaks(&self) {
        for host in self.replica.cluster.hosts() {
            let pids = [BRICKD, MOUNTD].into_iter().flat_map(|program| host.pids(program));
            pids.for_each(process::forget_peak);
        }
    }
}

/// A path of the mount.
pub fn at(name: &str) -> String {
    format!("{MOUNT}/{name}")
}
