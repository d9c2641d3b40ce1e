//! flock and fcntl between mounts.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::{Signal, until};

use super::Pair;

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

fn range(file: &File, command: i32, kind: i32, start: i64, len: i64) -> Result<libc::flock, i32> {
    // SAFETY: all zeroes are one.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence) = (kind as i16, libc::SEEK_SET as i16);
    (lock.l_start, lock.l_len) = (start, len);
    // SAFETY: the kernel reads and writes one of these.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    if done == 0 { Ok(lock) } else { Err(std::io::Error::last_os_error().raw_os_error().unwrap()) }
}

fn try_range(file: &File, kind: i32, start: i64, len: i64) -> bool {
    match range(file, libc::F_SETLK, kind, start, len) {
        Ok(_) => true,
        Err(error) if [libc::EAGAIN, libc::EACCES].contains(&error) => false,
        Err(error) => panic!("fcntl: error {error}"),
    }
}

/// Whom F_GETLK finds in the way.
fn in_the_way(file: &File, start: i64, len: i64) -> Option<i64> {
    let found = range(file, libc::F_GETLK, libc::F_WRLCK, start, len).unwrap();
    (found.l_type != libc::F_UNLCK as i16).then_some(found.l_start)
}

fn try_flock(file: &File, operation: i32) -> bool {
    // SAFETY: an open descriptor.
    let done = unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) };
    let error = std::io::Error::last_os_error();
    assert!(done == 0 || error.raw_os_error() == Some(libc::EWOULDBLOCK), "flock: {error}");
    done == 0
}

/// The files of all locks of a test, by both mounts.
struct Files {
    ranges: [File; 2],
    whole: [File; 2],
    shared: [File; 2],
}

impl Files {
    fn of(pair: &Pair) -> Files {
        let both = |name: &str| [open(&pair.here(name)), open(&pair.there(name))];
        Files { ranges: both("ranges"), whole: both("whole"), shared: both("shared") }
    }

    fn take(&self) {
        assert!(try_range(&self.ranges[0], libc::F_WRLCK, 10, 10));
        assert!(try_range(&self.ranges[1], libc::F_RDLCK, 20, 10));
        assert!(try_flock(&self.whole[0], libc::LOCK_EX));
        assert!(try_flock(&self.shared[0], libc::LOCK_SH) && try_flock(&self.shared[1], libc::LOCK_SH));
    }

    /// Who holds what keeps the other one out, and no more than that.
    fn exclude(&self) {
        let [here, there] = &self.ranges;
        assert!(!try_range(there, libc::F_WRLCK, 19, 1) && !try_range(there, libc::F_RDLCK, 0, 0));
        assert!(!try_range(here, libc::F_WRLCK, 20, 1));
        assert_eq!((in_the_way(there, 5, 0), in_the_way(here, 20, 0)), (Some(10), Some(20)));
        assert_eq!(in_the_way(here, 40, 0), None);
        assert!(try_range(here, libc::F_RDLCK, 20, 5), "shared");
        assert!(try_range(there, libc::F_WRLCK, 0, 10), "beside it");
        assert!(!try_flock(&self.whole[1], libc::LOCK_EX) && !try_flock(&self.whole[1], libc::LOCK_SH));
    }
}

#[test]
fn locks_exclude_across_mounts_and_survive_a_failover() {
    let pair = Pair::new();
    let files = Files::of(&pair);
    files.take();
    files.exclude();
    let leader = pair.r.leader().to_owned();
    pair.r.cluster[&leader].kill(Signal::KILL, BRICKD);
    files.exclude();
    pair.r.cluster[&leader].start_brickd();
    pair.r.settled();
    files.exclude();
    assert_ne!(pair.r.leader(), leader, "somebody else leads");

    // SAFETY: an open descriptor.
    let wait = || unsafe { libc::flock(files.whole[1].as_raw_fd(), libc::LOCK_EX) };
    let whole = thread::scope(|scope| {
        let waiter = scope.spawn(wait);
        assert!(try_flock(&files.whole[0], libc::LOCK_UN));
        waiter.join().unwrap()
    });
    assert!(whole == 0 && !try_flock(&files.whole[0], libc::LOCK_EX), "handed over");
    assert!(try_range(&files.ranges[0], libc::F_UNLCK, 0, 0));
    assert!(try_range(&files.ranges[1], libc::F_WRLCK, 0, 0));
    drop(files.shared);
    until("closing is letting go", Duration::from_secs(20), || {
        try_flock(&open(&pair.there("shared")), libc::LOCK_EX)
    });
}
