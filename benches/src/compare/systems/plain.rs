//! A directory, without anything in between.

use rfs_cluster::Cluster;

use super::{Kind, Seat, System};

pub struct Plain(Cluster);

const DIR: &str = "/data/plain";

impl Plain {
    #[track_caller]
    pub fn start() -> Plain {
        let cluster = Cluster::of(&["client", "server1"]).bare().start();
        for host in cluster.hosts() {
            host.run(&["mkdir", "-p", DIR]).ok();
        }
        Plain(cluster)
    }
}

impl System for Plain {
    fn kind(&self) -> Kind {
        Kind::Plain
    }

    fn version(&self) -> String {
        let kind = self.0["client"].sh("stat -f -c %T /data").ok();
        format!("a directory on {}", kind.trim())
    }

    fn promises(&self) -> &'static str {
        "one copy. write, close: in memory. fsync: on the disk"
    }

    fn cluster(&self) -> &Cluster {
        &self.0
    }

    fn dir(&self) -> &str {
        DIR
    }

    /// There is no mount; what the machine caches is the bricks' cache, too, which the others keep.
    fn remount(&self, _: Seat) {}
}
