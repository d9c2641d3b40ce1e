//! setuid, setgid, sticky.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use rfs_cluster::until;

use super::{SOON, as_root, as_user};
use crate::cross::Pair;

/// What somebody without privileges does to a file that is not theirs; each takes both bits away.
const WRITES: [&str; 6] = [
    "echo more >> program",
    "echo new > program",
    "echo x | dd of=program conv=notrunc status=none",
    "dd if=/dev/zero of=program conv=notrunc oflag=direct bs=4096 count=1 status=none",
    "truncate -s 100 program",
    "fallocate -o 0 -l 8192 program",
];

/// By any road: pages, append, direct, another mount than the one that set the bits.
#[test]
fn writing_and_chown_take_setuid_away() {
    let pair = Pair::new();
    let mode = || fs::metadata(pair.here("program")).unwrap().mode() & 0o7777;
    let set = || {
        File::create(pair.here("program")).unwrap().set_len(10).unwrap();
        std::os::unix::fs::chown(pair.here("program"), Some(0), Some(0)).unwrap();
        fs::set_permissions(pair.here("program"), Permissions::from_mode(0o6777)).unwrap();
        assert_eq!(mode(), 0o6777);
    };
    for (host, path) in [("client", pair.here("program")), ("client2", pair.there("program"))] {
        let knows = || fs::metadata(&path).unwrap().mode() & 0o7777 == 0o6777;
        for write in WRITES {
            set();
            // By some roads it is the writer's kernel that takes the bits away: those that it has heard of.
            until("the writer's mount knows the bits", SOON, knows);
            as_user(&pair.r.cluster[host], write).ok();
            let taken = || mode() == 0o777;
            until(&format!("{write} on {host}: {:o}", mode()), Duration::from_secs(5), taken);
        }
    }
    set();
    as_root(&pair.r.cluster["client"], "echo more >> program && echo x >> program").ok();
    assert_eq!(mode(), 0o6777, "who may set them keeps them");
    as_root(&pair.r.cluster["client2"], "chown 1234:1234 program").ok();
    until("chown takes them", Duration::from_secs(5), || mode() == 0o777);
    // Without the right to execute, setgid means something else, and stays.
    fs::set_permissions(pair.here("program"), Permissions::from_mode(0o2666)).unwrap();
    as_user(&pair.r.cluster["client2"], "echo more >> program").ok();
    let there = pair.there("program");
    until("setgid stays", SOON, || fs::metadata(&there).unwrap().mode() & 0o7777 == 0o2666);
    pair.r.trees_equal();
}

#[test]
fn sticky_and_setgid_directories_do_what_they_are_for() {
    let pair = Pair::new();
    let (host, other) = (&pair.r.cluster["client"], &pair.r.cluster["client2"]);
    as_root(host, "mkdir -m 1777 sticky && touch sticky/roots && mkdir -m 2777 shared && chgrp 77 shared")
        .ok();
    as_user(other, "touch sticky/own sticky/more && mv sticky/more sticky/other && rm sticky/own").ok();
    for script in ["rm -f sticky/roots", "mv sticky/roots sticky/x", "mv sticky/other sticky/roots"] {
        assert!(!as_user(other, script).success(), "{script}");
    }
    as_root(other, "mv sticky/other sticky/roots").ok();

    as_user(other, "touch shared/file && mkdir -p shared/sub/sub && touch shared/sub/sub/file").ok();
    for (name, mode) in
        [("file", 0o100_000), ("sub", 0o042_000), ("sub/sub", 0o042_000), ("sub/sub/file", 0o100_000)]
    {
        let found = fs::metadata(pair.here(&format!("shared/{name}"))).unwrap();
        assert_eq!((found.gid(), found.mode() & 0o172_000), (77, mode), "{name}");
    }
    // Who is not in the group cannot make a file run as it.
    as_user(other, "chmod 2755 shared/file").ok();
    assert_eq!(fs::metadata(pair.there("shared/file")).unwrap().mode() & 0o7777, 0o755);
    pair.r.trees_equal();
}
