//! GlusterFS as Debian has it, with its own defaults, replica 2.

use rfs_cluster::{Cluster, Host, Signal, Spawned, until};

use super::{Kind, PATIENCE, Seat, System, package};

pub struct Gluster {
    /// Ended before the hosts are.
    daemons: std::cell::RefCell<Vec<(String, Spawned)>>,
    cluster: Cluster,
}

const DIR: &str = "/mnt/gluster";
const VOLUME: &str = "gv";
const SERVERS: [&str; 2] = ["server1", "server2"];

impl Gluster {
    #[track_caller]
    pub fn start() -> Gluster {
        let cluster = Cluster::of(&["server1", "server2", "client"]).bare().start();
        let gluster = Gluster { daemons: Default::default(), cluster };
        for server in SERVERS {
            gluster.start_daemon(server);
        }
        let first = &gluster.cluster["server1"];
        said(first, &["peer", "probe", "server2"]);
        until("both servers are peers", PATIENCE, || {
            SERVERS
                .iter()
                .all(|s| gluster.cluster[s].sh("gluster pool list | grep -c Connected").stdout.trim() == "2")
        });
        let bricks = ["server1:/data/brick", "server2:/data/brick"];
        said(first, &[&["volume", "create", VOLUME, "replica", "2"][..], &bricks, &["force"]].concat());
        said(first, &["volume", "start", VOLUME]);
        for seat in [Seat::Client, Seat::Brick] {
            gluster.mount(seat);
        }
        gluster
    }

    fn start_daemon(&self, server: &str) {
        let host = &self.cluster[server];
        host.sh("mkdir -p /var/lib/glusterd /var/log/glusterfs /run/gluster /data").ok();
        let daemon = host.spawn("glusterd", &["glusterd", "--no-daemon"]);
        until(&format!("glusterd answers on {server}"), PATIENCE, || {
            host.run(&["gluster", "--mode=script", "pool", "list"]).success()
        });
        self.daemons.borrow_mut().push((server.to_owned(), daemon));
    }

    #[track_caller]
    fn mount(&self, seat: Seat) {
        let host = &self.cluster[self.host(seat)];
        host.sh(&format!("mkdir -p {DIR} /var/log/glusterfs")).ok();
        let mount = || host.run(&["mount", "-t", "glusterfs", &format!("server1:/{VOLUME}"), DIR]);
        until("the volume can be mounted", PATIENCE, || {
            host.run(&["mountpoint", "-q", DIR]).success() || mount().success()
        });
    }
}

#[track_caller]
fn said(host: &Host, words: &[&str]) -> String {
    host.run_within(&[&["gluster", "--mode=script"], words].concat(), PATIENCE).ok()
}

impl System for Gluster {
    fn kind(&self) -> Kind {
        Kind::Gluster
    }

    fn version(&self) -> String {
        format!("GlusterFS {} of Debian", package("glusterfs-server"))
    }

    fn promises(&self) -> &'static str {
        "two copies. write: in the client's write-behind. close, names: in the memory of both bricks. fsync: on both disks"
    }

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn dir(&self) -> &str {
        DIR
    }

    fn remount(&self, seat: Seat) {
        self.cluster[self.host(seat)].run(&["umount", DIR]).ok();
        self.mount(seat);
    }

    fn heals(&self) -> bool {
        true
    }

    fn lose_second(&self) {
        let host = &self.cluster["server2"];
        for program in ["glusterd", "glusterfsd", "glusterfs"] {
            if !host.pids(program).is_empty() {
                host.kill(Signal::KILL, program);
            }
        }
        self.daemons.borrow_mut().retain(|(server, _)| server != "server2");
    }

    fn start_second(&self) {
        self.start_daemon("server2");
    }

    fn is_whole(&self) -> bool {
        let host = &self.cluster["server1"];
        let up =
            host.sh(&format!("gluster volume status {VOLUME} | grep -c '^Brick.* Y '")).stdout.trim() == "2";
        let info = host.run_within(&["gluster", "volume", "heal", VOLUME, "info"], PATIENCE);
        let entries: Vec<&str> = info
            .stdout
            .lines()
            .filter_map(|l| l.strip_prefix("Number of entries: "))
            .map(str::trim)
            .collect();
        up && entries == ["0", "0"]
    }
}
