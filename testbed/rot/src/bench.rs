//! Two bricks with files that have settled, a mount, and what the files must hold.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::trial::HEALS;
use rfs_cluster::{BRICK, MOUNT, Replica, VOLUME, until};

/// Small files; there is a big one beside them.
const FILES: usize = 60;
/// Longer than files must be quiet before they get sums.
const SETTLES: Duration = Duration::from_secs(40);
/// What a program that reads all files prints: one line each, its size and checksum, or `EIO`.
const READ_ALL: &str = r#"
import errno, hashlib, os, sys
for name in sys.argv[1:]:
    try:
        fd = os.open(name, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        sha, size = hashlib.sha1(), 0
        while data := os.read(fd, 1 << 17):
            sha.update(data)
            size += len(data)
        os.close(fd)
        print(name, f"{size}:{sha.hexdigest()}")
    except OSError as e:
        print(name, errno.errorcode[e.errno])
"#;

/// A file that is written anew in some rounds.
pub const FRESH: &str = "fresh";
/// Writes a file, and prints its size and checksum.
const WRITE: &str = r#"
import hashlib, os, sys
name, size = sys.argv[1], int(sys.argv[2])
data = os.urandom(size)
fd = os.open(name, os.O_WRONLY | os.O_TRUNC)
os.write(fd, data)
os.fsync(fd)
os.close(fd)
print(f"{size}:{hashlib.sha1(data).hexdigest()}")
"#;

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Right,
    Refused(String),
    /// The size and checksum that it should not have.
    Wrong(String),
}

/// A volume of two bricks on hosts of their own.
pub struct Bench {
    pub replica: Replica,
    /// Size and checksum of each file.
    want: RefCell<BTreeMap<String, String>>,
}

impl Bench {
    /// Makes the volume, fills it, and waits until its files have sums.
    #[must_use]
    pub fn new() -> Self {
        let replica = Replica::two_beside_others();
        replica.mount("client");
        let fill = format!(
            "cd {MOUNT} && mkdir d && for i in $(seq {FILES}); do head -c $((i * 300)) /dev/urandom > d/$i; done && \
             head -c 1000 /dev/urandom > fresh && python3 -c 'import os; os.setxattr(\"d/7\", \"user.note\", b\"something\")' && \
             dd if=/dev/urandom of=big bs=1M count=6 status=none && sync d big"
        );
        replica.cluster["client"].sh(&fill).ok();
        replica.settled();
        let bench = Self { replica, want: RefCell::default() };
        let read = bench.read();
        bench.want.replace(read);
        // So that the bricks report how many files have no sums.
        bench.scrub();
        bench.settle();
        bench
    }

    fn names() -> Vec<String> {
        let small = (1..=FILES).map(|i| format!("d/{i}"));
        small.chain(["big", FRESH].map(str::to_owned)).collect()
    }

    /// Sizes and checksums, or names of errors, of all files as the mount gives them, past the kernel's cache.
    fn read(&self) -> BTreeMap<String, String> {
        let names = Self::names();
        let script = format!("cd {MOUNT} && python3 -c '{READ_ALL}' {}", names.join(" "));
        let out =
            self.replica.cluster["client"].run_within(&["sh", "-c", &script], Duration::from_secs(120)).ok();
        let lines = out.lines().filter_map(|line| line.split_once(' '));
        lines.map(|(name, sum)| (name.to_owned(), sum.to_owned())).collect()
    }

    /// What reading each file gives.
    #[must_use]
    pub fn check(&self) -> BTreeMap<String, Read> {
        let got = self.read();
        let judge = |(name, want): (&String, &String)| {
            let read = match got.get(name) {
                Some(sum) if sum == want => Read::Right,
                Some(error) if error.starts_with('E') => Read::Refused(error.clone()),
                other => Read::Wrong(other.cloned().unwrap_or_default()),
            };
            (name.clone(), read)
        };
        self.want.borrow().iter().map(judge).collect()
    }

    /// Writes a file anew through the mount. On return all bricks have it, and none has sums of it. Gives its size.
    ///
    /// # Errors
    /// Of the file system, when a brick is looked at.
    pub fn write_fresh(&self, dice: &mut fastrand::Rng) -> std::io::Result<u64> {
        let size = dice.u64(1..400_000);
        let script = format!("cd {MOUNT} && python3 -c '{WRITE}' {FRESH} {size}");
        let out = self.replica.cluster["client"].run_within(&["sh", "-c", &script], HEALS).ok();
        self.want.borrow_mut().insert(FRESH.to_owned(), out.trim().to_owned());
        for host in &self.replica.bricks {
            let file = self.brick(host).join(FRESH);
            let applied = || fs::metadata(&file).is_ok_and(|m| m.len() == size);
            until("the brick has the file", HEALS, applied);
        }
        Ok(size)
    }

    /// Waits until all files of both bricks have sums, and a scrub has compared them.
    pub fn settle(&self) {
        until("all files have sums", SETTLES, || {
            let said = self.replica.cluster[self.replica.leader()]
                .tools(&["--json", "volume", "scrub", VOLUME, "status"]);
            let waiting = said.stdout.matches("\"unsummed_files\":").count();
            waiting == self.replica.bricks.len()
                && said.stdout.matches("\"unsummed_files\": 0").count() == waiting
        });
        self.scrub();
    }

    /// A whole scrub of both bricks.
    pub fn scrub(&self) {
        let host = &self.replica.cluster[self.replica.leader()];
        host.tools(&["volume", "scrub", VOLUME, "start"]).ok();
        until("the scrub is done", HEALS, || {
            let said = host.tools(&["volume", "scrub", VOLUME, "status"]).stdout;
            !said.contains("runs") && said.matches("done").count() == self.replica.bricks.len()
        });
    }

    /// The daemon's whole log on a host.
    #[must_use]
    pub fn log(&self, host: &str) -> String {
        let file = self.replica.cluster[host].folder().join(format!("{BRICKD}.log"));
        String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
    }

    /// The last lines of all logs.
    #[must_use]
    pub fn log_tails(&self) -> String {
        self.replica.cluster.hosts().map(|host| host.log_tails(60)).collect()
    }

    /// The brick's directory as the test reaches it.
    #[must_use]
    pub fn brick(&self, host: &str) -> std::path::PathBuf {
        self.replica.cluster[host].path(BRICK)
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}
