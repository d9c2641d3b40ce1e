//! MooseFS as Debian has it, goal 2: a master on the first server, a chunk server on each. It copies chunks when a server has
//! been missing for an hour: there is no heal to compare.

use rfs_cluster::{Cluster, until};

use super::{Kind, PATIENCE, Seat, System, package};

pub struct Moosefs(Cluster);

const DIR: &str = "/mnt/mfs";

/// Folders and files of configuration, on a host whose /etc is its own.
const MASTER: &str = "mkdir -p /data/mfs/master /etc/mfs && cp -n /usr/share/doc/moosefs-master/examples/metadata.mfs.empty \
    /data/mfs/master/metadata.mfs 2>/dev/null || printf 'MFSM NEW' > /data/mfs/master/metadata.mfs; \
    printf 'WORKING_USER = root\\nWORKING_GROUP = root\\nDATA_PATH = /data/mfs/master\\nEXPORTS_FILENAME = /data/mfs/exports\\n\
TOPOLOGY_FILENAME = /data/mfs/topology\\n' > /data/mfs/master.cfg; \
    printf '* / rw,alldirs,admin,maproot=0:0\\n* . rw\\n' > /data/mfs/exports; touch /data/mfs/topology; \
    mfsmaster -c /data/mfs/master.cfg start";

const CHUNKS: &str = "mkdir -p /data/mfs/cs /data/mfs/chunks; \
    printf 'WORKING_USER = root\\nWORKING_GROUP = root\\nDATA_PATH = /data/mfs/cs\\nHDD_CONF_FILENAME = /data/mfs/hdd\\n\
MASTER_HOST = server1\\n' > /data/mfs/chunk.cfg; \
    echo /data/mfs/chunks > /data/mfs/hdd; mfschunkserver -c /data/mfs/chunk.cfg start";

impl Moosefs {
    #[track_caller]
    pub fn start() -> Moosefs {
        let cluster = Cluster::of(&["server1", "server2", "client"]).bare().start();
        cluster["server1"].sh(MASTER).ok();
        for server in ["server1", "server2"] {
            cluster[server].sh(CHUNKS).ok();
        }
        let moosefs = Moosefs(cluster);
        for seat in [Seat::Client, Seat::Brick] {
            moosefs.mount(seat);
        }
        let client = &moosefs.0["client"];
        client.sh(&format!("mfssetgoal -r 2 {DIR}")).ok();
        until("both chunk servers take files", PATIENCE, || {
            client.sh(&format!("echo a > {DIR}/a && mfsfileinfo {DIR}/a | grep -c 'copy 2'")).stdout.trim()
                == "1"
        });
        moosefs
    }

    #[track_caller]
    fn mount(&self, seat: Seat) {
        let host = &self.0[self.host(seat)];
        host.run(&["mkdir", "-p", DIR]).ok();
        until("the volume can be mounted", PATIENCE, || {
            host.run(&["mfsmount", DIR, "-H", "server1"]).success()
        });
    }
}

impl System for Moosefs {
    fn kind(&self) -> Kind {
        Kind::Moosefs
    }

    fn version(&self) -> String {
        format!("MooseFS {} of Debian", package("moosefs-master"))
    }

    fn promises(&self) -> &'static str {
        "two copies, one server of names. write: in the client's cache. close: in the memory of both chunk servers. \
         names: in the master's memory. fsync: written to both chunk servers, which sync on their own"
    }

    fn cluster(&self) -> &Cluster {
        &self.0
    }

    fn dir(&self) -> &str {
        DIR
    }

    fn remount(&self, seat: Seat) {
        let host = &self.0[self.host(seat)];
        host.run(&["umount", DIR]).ok();
        self.mount(seat);
    }
}
