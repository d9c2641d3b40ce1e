//! Time stamps.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::Duration;

use rfs_cluster::until;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use super::as_user;
use crate::cross::Pair;

fn set(path: &Path, atime: (i64, i64), mtime: (i64, i64)) -> rustix::io::Result<()> {
    let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time(atime), last_modification: time(mtime) };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn stat(path: &Path) -> Metadata {
    fs::symlink_metadata(path).unwrap()
}

fn atime(of: &Metadata) -> (i64, i64) {
    (of.atime(), of.atime_nsec())
}

fn mtime(of: &Metadata) -> (i64, i64) {
    (of.mtime(), of.mtime_nsec())
}

fn ctime(of: &Metadata) -> (i64, i64) {
    (of.ctime(), of.ctime_nsec())
}

const SOON: Duration = Duration::from_secs(20);
const OMIT: (i64, i64) = (0, UTIME_OMIT);
const NOW: (i64, i64) = (0, UTIME_NOW);

#[test]
fn times_are_kept_to_the_nanosecond() {
    let pair = Pair::new();
    let (here, there) = (pair.here("file"), pair.there("file"));
    fs::write(&here, "text").unwrap();
    fs::create_dir(pair.here("dir")).unwrap();
    symlink("file", pair.here("link")).unwrap();
    for name in ["file", "dir", "link"] {
        for time in
            [(1, 1), (1_700_000_000, 123_456_789), (4_294_967_296, 999_999_999), (-1, 999_999_999), (-5, 1)]
        {
            let before = stat(&pair.here(name));
            set(&pair.here(name), time, (time.0 + 7, 5)).unwrap();
            let shows = |path: &Path| {
                let found = stat(path);
                let times = (atime(&found), mtime(&found)) == (time, (time.0 + 7, 5));
                times && ctime(&found) > ctime(&before)
            };
            assert!(shows(&pair.here(name)), "{name}: {time:?}");
            until("the other mount shows it", SOON, || shows(&pair.there(name)));
        }
    }
    set(&here, (5, 6), OMIT).unwrap();
    set(&there, OMIT, (7, 8)).unwrap();
    let found = stat(&there);
    assert_eq!((atime(&found), mtime(&found)), ((5, 6), (7, 8)));
    set(&here, OMIT, NOW).unwrap();
    let found = stat(&here);
    assert!(atime(&found) == (5, 6) && mtime(&found).0 > 1_700_000_000);
    for_others(&pair);
    pair.r.trees_equal();
}

/// Now, by whoever may write; another time, by the owner.
fn for_others(pair: &Pair) {
    let host = &pair.r.cluster["client"];
    host.sh("chmod 666 /mnt/rfs/file").ok();
    as_user(host, "touch file").ok();
    assert!(!as_user(host, "touch -d 2001-01-01 file").success());
}

/// Reading leaves atime alone; what changes sets the others.
#[test]
fn each_change_sets_the_times_that_it_should_and_reading_none() {
    let pair = Pair::new();
    let here = pair.here("file");
    fs::write(&here, "text").unwrap();
    fs::create_dir(pair.here("dir")).unwrap();
    let old = || {
        set(&here, (1, 0), (2, 0)).unwrap();
        set(&pair.here("dir"), (1, 0), (2, 0)).unwrap();
        (stat(&here), stat(&pair.here("dir")))
    };
    let changed = |what: &str, change: &dyn Fn(), file: (bool, bool), dir: (bool, bool)| {
        let before = old();
        change();
        for (name, before, (modified, touched)) in [("file", before.0, file), ("dir", before.1, dir)] {
            let found = |path: &Path| {
                let now = stat(path);
                (atime(&now), mtime(&now) != (2, 0), ctime(&now) > ctime(&before))
            };
            let want = ((1, 0), modified, touched);
            assert_eq!(found(&pair.here(name)), want, "{what}: {name}");
            until("the other mount shows it", SOON, || found(&pair.there(name)) == want);
        }
    };
    let (none, inode, both) = ((false, false), (false, true), (true, true));
    let inside = pair.here("dir/new");
    changed("read", &|| drop(fs::read(&here).unwrap()), none, none);
    changed("list", &|| assert_eq!(fs::read_dir(pair.here("dir")).unwrap().count(), 0), none, none);
    changed("write", &|| fs::write(&here, "new").unwrap(), both, none);
    changed("truncate", &|| File::options().write(true).open(&here).unwrap().set_len(2).unwrap(), both, none);
    changed("chmod", &|| fs::set_permissions(&here, stat(&here).permissions()).unwrap(), inode, none);
    changed("create", &|| drop(File::create_new(&inside).unwrap()), none, both);
    changed("unlink", &|| fs::remove_file(&inside).unwrap(), none, both);
    changed("link", &|| fs::hard_link(&here, &inside).unwrap(), inode, both);
    changed("rename", &|| fs::rename(&inside, pair.here("dir/b")).unwrap(), inode, both);
    changed("remove a link", &|| fs::remove_file(pair.here("dir/b")).unwrap(), inode, both);
    pair.r.trees_equal();
}
