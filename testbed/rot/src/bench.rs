//! Two bricks with files that have settled, a mount, and what the files must hold.

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
/// What a program that reads all files prints: one line each, its checksum or `EIO`.
const READ_ALL: &str = r#"
import errno, hashlib, os, sys
for name in sys.argv[1:]:
    try:
        fd = os.open(name, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        sha = hashlib.sha1()
        while data := os.read(fd, 1 << 17): sha.update(data)
        os.close(fd)
        print(name, sha.hexdigest())
    except OSError as e:
        print(name, errno.errorcode[e.errno])
"#;

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Right,
    Refused(String),
    /// The checksum that it should not have.
    Wrong(String),
}

/// A volume of two bricks on hosts of their own.
pub struct Bench {
    pub replica: Replica,
    /// Checksum of each file.
    want: BTreeMap<String, String>,
}

impl Bench {
    /// Makes the volume, fills it, and waits until its files have sums.
    #[must_use]
    pub fn new() -> Self {
        let replica = Replica::two_beside_others();
        replica.mount("client");
        let fill = format!(
            "cd {MOUNT} && mkdir d && for i in $(seq {FILES}); do head -c $((i * 300)) /dev/urandom > d/$i; done && \
             setfattr -n user.note -v something d/7 && dd if=/dev/urandom of=big bs=1M count=6 status=none && sync d big"
        );
        replica.cluster["client"].sh(&fill).ok();
        replica.settled();
        let mut bench = Self { replica, want: BTreeMap::new() };
        bench.want = bench.read();
        // So that the bricks report how many files have no sums.
        bench.scrub();
        bench.settle();
        bench
    }

    fn names() -> Vec<String> {
        let small = (1..=FILES).map(|i| format!("d/{i}"));
        small.chain(["big".to_owned()]).collect()
    }

    /// Checksums, or names of errors, of all files as the mount gives them, past the kernel's cache.
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
        self.want.iter().map(judge).collect()
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
