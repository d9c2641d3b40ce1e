//! Who an inode is, and how much room there is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{DirEntryExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::{Cluster, Disk, MOUNT, Replica, Signal, holds_within, until};
use rustix::fs::{StatVfs, statvfs};

use crate::cross::Pair;

fn numbers(root: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::from([(PathBuf::new(), fs::metadata(root).unwrap().ino())]);
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let data = fs::symlink_metadata(&path).unwrap();
            assert_eq!(entry.ino(), data.ino(), "{}", path.display());
            if data.is_dir() {
                left.push(path.clone());
            }
            found.insert(path.strip_prefix(root).unwrap().to_owned(), data.ino());
        }
    }
    found
}

#[test]
fn inode_numbers_outlive_failover_and_remount() {
    let pair = Pair::new();
    let r = &pair.r;
    fs::create_dir_all(pair.here("a/b")).unwrap();
    (0..30).for_each(|n| drop(File::create_new(pair.here(&format!("a/b/{n}"))).unwrap()));
    fs::hard_link(pair.here("a/b/1"), pair.here("a/link")).unwrap();
    symlink("a", pair.here("symlink")).unwrap();
    let before = numbers(&pair.here(""));
    assert_eq!(before[Path::new("")], 1, "the root");
    assert_eq!(before[Path::new("a/b/1")], before[Path::new("a/link")]);
    assert_eq!(numbers(&pair.there("")), before, "on the other mount");

    let leader = r.leader().to_owned();
    r.cluster[&leader].kill(Signal::KILL, BRICKD);
    fs::rename(pair.here("a/b/2"), pair.here("a/b/2")).unwrap();
    assert_eq!(numbers(&pair.here("")), before, "after a failover");
    r.cluster[&leader].start_brickd();
    r.settled();
    r.umount("client");
    r.mount("client");
    assert_eq!(numbers(&pair.here("")), before, "after another mount");
    assert_eq!(numbers(&pair.there("")), before);
}

const MIB: u64 = 1 << 20;

fn statfs(r: &Replica, host: &str) -> StatVfs {
    statvfs(r.cluster[host].path(MOUNT)).unwrap()
}

fn text(of: &StatVfs) -> String {
    format!("{} of {} blocks of {}, {} inodes", of.f_bavail, of.f_blocks, of.f_frsize, of.f_ffree)
}

/// No more is shown than the least that any disk has, and not much less; and the size is that of one of them.
fn honest(shown: &StatVfs, disks: &[StatVfs]) -> bool {
    let bytes = |of: &StatVfs, blocks: u64| blocks * of.f_frsize;
    let free = disks.iter().map(|disk| bytes(disk, disk.f_bavail)).min().unwrap_or_default();
    let inodes = disks.iter().map(|disk| disk.f_ffree).min().unwrap_or_default();
    let available = bytes(shown, shown.f_bavail);
    let size = bytes(shown, shown.f_blocks);
    available <= free
        && available > free / 3
        && shown.f_bfree >= shown.f_bavail
        && disks.iter().any(|disk| bytes(disk, disk.f_blocks) == size)
        && (shown.f_namemax, shown.f_files > 0, shown.f_ffree <= inodes) == (255, true, true)
}

/// Whichever leads: what does not fit on the smaller one does not fit.
#[test]
fn statfs_shows_the_brick_with_the_least_room() {
    let hosts = Cluster::of(&["server1", "server2", "client"]).beside_others();
    let hosts = hosts.disk("server1", Disk::Memory { bytes: 900 * MIB });
    let r = Replica::of(hosts.disk("server2", Disk::Memory { bytes: 500 * MIB }), 2);
    r.mount("client");
    r.settled();
    for _ in 0..2 {
        // A new leader hears of the others' room a little later.
        let mut told = String::new();
        let honest = holds_within(Duration::from_secs(20), || {
            let shown = statfs(&r, "client");
            let disks = ["server1", "server2"].map(|host| statvfs(r.cluster[host].path("/data")).unwrap());
            told = format!("shown {}; disks {}, {}", text(&shown), text(&disks[0]), text(&disks[1]));
            honest(&shown, &disks)
        });
        assert!(honest, "{told}");
        let leader = r.leader().to_owned();
        r.cluster[&leader].kill(Signal::KILL, BRICKD);
        r.cluster[&leader].start_brickd();
        r.settled();
    }
    let before = statfs(&r, "client").f_bavail;
    r.cluster["client"]
        .sh(&format!("dd if=/dev/zero of={MOUNT}/big bs=1M count=64 conv=fsync status=none"))
        .ok();
    until("less is free", Duration::from_secs(10), || {
        let shown = statfs(&r, "client");
        shown.f_bavail + 60 * MIB / shown.f_frsize <= before
    });
}
