//! What the leader pushes. The kernels may believe what they have for a minute here, and nothing is opened anew: whatever
//! the other mount shows before that, it shows because it was told.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::thread;
use std::time::{Duration, Instant};

use rfs_cluster::scaled;

use super::Pair;

const BELIEVED: [&str; 2] = ["attribute-timeout=60", "entry-timeout=60"];

/// What no machine is too loaded for. Measured: `docs/measured.md`.
const MOST: Duration = Duration::from_secs(10);

/// How long changes of one kind took to be seen.
struct Latencies {
    what: &'static str,
    took: Vec<Duration>,
}

impl Latencies {
    /// `change` returns, and `seen` becomes true.
    fn measure(&mut self, change: impl FnOnce(), mut seen: impl FnMut() -> bool) {
        change();
        let begun = Instant::now();
        while !seen() {
            assert!(begun.elapsed() < MOST, "{}: not seen within {MOST:?}", self.what);
            thread::yield_now();
        }
        self.took.push(begun.elapsed());
    }
}

impl Drop for Latencies {
    fn drop(&mut self) {
        self.took.sort_unstable();
        let (median, worst) = (self.took.get(self.took.len() / 2), self.took.last());
        println!("{:<12} median {median:?}, worst {worst:?}, of {}", self.what, self.took.len());
    }
}

fn each(what: &'static str, mut round: impl FnMut(u64, &mut Latencies)) {
    let mut latencies = Latencies { what, took: Vec::new() };
    (0..scaled(30, 500)).for_each(|n| round(n, &mut latencies));
}

#[test]
fn a_change_is_shown_elsewhere_by_push() {
    let pair = Pair::with(&BELIEVED);
    data(&pair);
    attributes(&pair);
    names(&pair);
    pair.r.trees_equal();
}

fn data(pair: &Pair) {
    let path = pair.here("data");
    fs::write(&path, [0; 64]).unwrap();
    let writer = || OpenOptions::new().write(true).open(&path).unwrap();
    let there = File::open(pair.there("data")).unwrap();
    let byte = || {
        let mut byte = [0];
        there.read_exact_at(&mut byte, 7).unwrap();
        byte[0]
    };
    each("content", |n, latencies| {
        let old = byte();
        let new = (n % 255) as u8 + 1;
        assert_ne!(old, new);
        latencies.measure(|| writer().write_all_at(&[new], 7).unwrap(), || byte() == new);
    });
    let size = || fs::metadata(pair.there("data")).unwrap().len();
    each("size", |n, latencies| {
        size();
        let new = if n.is_multiple_of(2) { 100 + n } else { 50 };
        latencies.measure(|| writer().set_len(new).unwrap(), || size() == new);
    });
}

fn attributes(pair: &Pair) {
    let (here, there) = (pair.here("attributes"), pair.there("attributes"));
    File::create(&here).unwrap();
    let mode = || fs::metadata(&there).unwrap().mode() & 0o777;
    each("mode", |n, latencies| {
        mode();
        let new = 0o600 + (n as u32 % 7 + 1) * 8;
        let change = || fs::set_permissions(&here, Permissions::from_mode(new)).unwrap();
        latencies.measure(change, || mode() == new);
    });
    let owner = || fs::metadata(&there).unwrap().uid();
    each("owner", |n, latencies| {
        owner();
        let new = 1000 + n as u32;
        latencies.measure(|| std::os::unix::fs::chown(&here, Some(new), None).unwrap(), || owner() == new);
    });
}

fn names(pair: &Pair) {
    each("new name", |n, latencies| {
        let (here, there) = (pair.here(&format!("new{n}")), pair.there(&format!("new{n}")));
        assert!(!there.exists(), "and that it is not there may be remembered");
        latencies.measure(|| drop(File::create(&here).unwrap()), || there.exists());
    });
    each("removed name", |n, latencies| {
        let (here, there) = (pair.here(&format!("new{n}")), pair.there(&format!("new{n}")));
        assert!(there.exists());
        latencies.measure(|| fs::remove_file(&here).unwrap(), || !there.exists());
    });
    each("renamed over", |n, latencies| {
        let (here, there) = (pair.here("over"), pair.there("over"));
        let target = format!("target{n}");
        symlink(&target, pair.here("beside")).unwrap();
        let old = fs::read_link(&there).ok();
        assert_ne!(old, Some(target.clone().into()));
        let seen = || fs::read_link(&there).is_ok_and(|to| to.to_str() == Some(&target));
        latencies.measure(|| fs::rename(pair.here("beside"), &here).unwrap(), seen);
    });
    let listed = |name: &str| {
        fs::read_dir(pair.there("")).unwrap().any(|e| e.unwrap().file_name().to_str() == Some(name))
    };
    each("listed", |n, latencies| {
        let name = format!("listed{n}");
        assert!(!listed(&name));
        latencies.measure(|| fs::create_dir(pair.here(&name)).unwrap(), || listed(&name));
    });
}
