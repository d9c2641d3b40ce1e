//! rfs: two bricks, a client without one whose mount is the witness.

use rfs_cluster::{Cluster, MOUNT, Replica, Signal};

use super::{Kind, PATIENCE, Seat, System};

pub struct Rfs(Replica);

impl Rfs {
    #[track_caller]
    pub fn start() -> Rfs {
        let replica = Replica::two_beside_others();
        replica.mount("client");
        replica.mount("server1");
        replica.settled();
        Rfs(replica)
    }
}

impl System for Rfs {
    fn kind(&self) -> Kind {
        Kind::Rfs
    }

    fn version(&self) -> String {
        self.0.cluster["client"].run(&["rfs-tools", "--version"]).ok().trim().to_owned()
    }

    fn promises(&self) -> &'static str {
        "two copies. write: in the mount's window. close, names: in both logs, on the disk within 100 ms. fsync: on both disks"
    }

    fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    fn leader(&self) -> Option<String> {
        Some(self.0.leader().to_owned())
    }

    fn dir(&self) -> &str {
        MOUNT
    }

    fn remount(&self, seat: Seat) {
        let host = self.host(seat);
        self.0.umount(host);
        self.0.mount(host);
        self.0.settled();
    }

    fn settle(&self) {
        self.0.caught_up(PATIENCE);
    }

    fn heals(&self) -> bool {
        true
    }

    fn lose_second(&self) {
        self.0.cluster["server2"].stop_brickd(Signal::KILL);
    }

    fn start_second(&self) {
        self.0.cluster["server2"].start_brickd();
    }

    fn is_whole(&self) -> bool {
        self.0.cluster["server1"].tools(&["heal-status", "--check"]).success()
    }
}
