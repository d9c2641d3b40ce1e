//! The network loses packets in silence while a program writes and another reads.

use std::time::Duration;

use rfs_cluster::trial::most_ms::SILENT;
use rfs_cluster::{Replica, full, scaled};

fn hold() -> Duration {
    Duration::from_secs(scaled(4, 7))
}

#[test]
fn a_silent_network() {
    let r = Replica::two();
    r.mount("client");
    r.settled();
    cut_off(&r, "leader", r.leader());
    cut_off(&r, "follower", r.follower());
    parted(&r);
    one_way(&r, "leader to follower", r.leader(), r.follower());
    if full() {
        one_way(&r, "follower to leader", r.follower(), r.leader());
    }
    r.trees_equal();
    r.umount("client");
}

/// One side goes on with its own client, the other waits: nobody on it gets an old answer or a write that is lost later.
#[test]
fn a_partition_with_clients_on_both_sides() {
    let hosts = rfs_cluster::Cluster::of(&["server1", "server2", "server3", "client", "client2"]);
    let r = Replica::of(hosts, 2);
    r.mount("client");
    r.mount("client2");
    r.settled();
    let (kept, lost) = (r.leader(), r.follower());
    let away: Vec<&str> = [r.other(lost), "server3", "client"].to_vec();
    let lonely = [lost, "client2"];
    let what = "partition with clients on both sides";
    let written = r.survives(what, SILENT, hold(), &[kept], || {
        for a in &away {
            lonely.iter().for_each(|b| r.cluster.part(a, b));
        }
        let other = &r.cluster["client2"];
        let file = format!("{}/fork", rfs_cluster::MOUNT);
        let write = other.run_within(&["sh", "-c", &format!("echo lonely > {file}; sync {file}")], hold());
        assert!(!write.success(), "the lonely side accepted a write: {write}");
    });
    for a in &away {
        lonely.iter().for_each(|b| r.cluster.heal(a, b));
    }
    r.recovers(&written);
    r.mount_holds("client2", &written.file, &written.text);
    r.trees_equal();
}

fn cut_off(r: &Replica, role: &str, victim: &str) {
    let what = format!("silent cut of the {role}");
    let written = r.survives(&what, SILENT, hold(), &[r.other(victim)], || r.cluster.cut(victim));
    r.cluster.uncut(victim);
    r.recovers(&written);
}

fn parted(r: &Replica) {
    let what = "partition between the servers";
    let written = r.survives(what, SILENT, hold(), &[], || r.cluster.part("server1", "server2"));
    r.cluster.heal("server1", "server2");
    r.recovers(&written);
}

fn one_way(r: &Replica, what: &str, from: &str, to: &str) {
    let what = format!("one way loss from {what}");
    let written = r.survives(&what, SILENT, hold(), &[], || r.cluster[from].lose_to(&r.cluster[to]));
    r.cluster[from].find_again(&r.cluster[to]);
    r.recovers(&written);
}
