//! A full disk is an error of the program that writes, not of the volume; a brick that cannot be written steps aside.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Cluster, Disk, MOUNT, Replica, Signal, until};

const SOON: Duration = Duration::from_secs(15);
const SMALL: Disk = Disk::Image { kind: "ext4", bytes: 768 << 20 };
const LARGE: Disk = Disk::Image { kind: "ext4", bytes: 2 << 30 };

/// The smaller of the two disks rules, wherever the leader is.
#[test]
fn a_full_volume_says_so_and_can_be_emptied() {
    let hosts = Cluster::of(&["server1", "server2", "client"]).disk("server1", LARGE).disk("server2", SMALL);
    let r = Replica::of(hosts.beside_others(), 2);
    r.mount("client");
    r.settled();
    let sh = |script: &str| r.cluster["client"].sh(&format!("cd {MOUNT} && {script}"));
    for round in 0..2 {
        sh("echo kept > kept && sync kept").ok();
        let full = sh("dd if=/dev/urandom of=big bs=1M count=2000 conv=fsync");
        assert!(
            full.code == Some(1) && full.stderr.contains("No space left on device"),
            "round {round}: {full}"
        );
        let also = sh("dd if=/dev/urandom of=second bs=1M count=64 conv=fsync");
        assert!(also.stderr.contains("No space left on device"), "round {round}: {also}");
        assert_eq!(sh("cat kept").ok(), "kept\n");
        r.healed(HEALS);
        r.trees_equal();
        sh("rm -f big second").ok();
        until("there is room again", HEALS, || {
            sh("dd if=/dev/urandom of=after bs=1M count=8 conv=fsync").success()
        });
        sh("rm after").ok();
        let leader = r.leader();
        r.cluster[leader].stop_brickd(Signal::TERM);
        r.cluster[leader].start_brickd();
        r.healed(HEALS);
    }
    r.trees_equal();
    r.umount("client");
}

/// A disk may also have room for bytes, and none for another file.
#[test]
fn a_volume_without_inodes_says_so_and_can_be_emptied() {
    let few = Disk::FewInodes { bytes: 512 << 20, inodes: 1500 };
    let hosts = Cluster::of(&["server1", "server2", "client"]).disk("server1", LARGE).disk("server2", few);
    let r = Replica::of(hosts.beside_others(), 2);
    r.mount("client");
    r.settled();
    let sh = |script: &str| r.cluster["client"].sh(&format!("cd {MOUNT} && {script}"));
    let free = |sh: &dyn Fn(&str) -> rfs_cluster::Ran| -> u64 {
        sh("stat -f -c %d .").ok().trim().parse().expect("a number of inodes")
    };
    for round in 0..2 {
        sh("echo kept > kept && sync kept && mkdir d").ok();
        let before = free(&sh);
        assert!((1000..1500).contains(&before), "round {round}: {before} inodes are said to be free");
        let full = sh("i=0; while echo $i > d/$i; do i=$((i+1)); done");
        assert!(full.stderr.contains("No space left on device"), "round {round}: {full}");
        assert!(sh("mkdir e").stderr.contains("No space left on device"), "round {round}");
        // Bricks say each second what they have.
        until("statfs says so", SOON, || free(&sh) < 20);
        sh("echo there is room for bytes >> kept && sync kept && ln kept another && mv another d/0").ok();
        r.healed(HEALS);
        r.trees_equal();
        sh("rm -r d && rm kept").ok();
        // The log takes a file now and then.
        until("there is room again", HEALS, || free(&sh) + 20 >= before);
        let leader = r.leader();
        r.cluster[leader].stop_brickd(Signal::TERM);
        r.cluster[leader].start_brickd();
        r.healed(HEALS);
    }
    r.trees_equal();
    r.umount("client");
}

/// The file system under a brick has become read-only, as ext4 makes it after an error of the disk.
#[test]
fn a_brick_on_a_read_only_disk_stays_out() {
    let hosts = Cluster::of(&["server1", "server2", "client"]).disk("server1", SMALL).disk("server2", SMALL);
    let r = Replica::of(hosts.beside_others(), 2);
    r.mount("client");
    r.settled();
    let away = r.follower();
    r.cluster[away].stop_brickd(Signal::TERM);
    r.cluster[away].sh("mount -o remount,bind,ro /data").ok();
    let mut daemon = r.cluster[away].spawn("rfs-brickd", &["rfs-brickd"]);
    until("it says so", SOON, || daemon.output().to_lowercase().contains("read-only"));
    assert!(daemon.ended().is_none_or(|code| code == 1), "{}", daemon.output());
    let write = format!("echo on > {MOUNT}/goes-on && sync {MOUNT}/goes-on");
    r.cluster["client"].sh(&write).ok();
    r.cluster[r.other(away)].tools(&["heal-status", "--check"]).exits(2);
    assert!(!r.on_brick(away, "goes-on").exists());
    drop(daemon);
    until("it is gone", SOON, || r.cluster[away].pids("rfs-brickd").is_empty());
    r.cluster[away].sh("mount -o remount,bind,rw /data").ok();
    r.cluster[away].start_brickd();
    r.healed(HEALS);
    r.brick_holds(away, "goes-on", "on\n");
}
