//! What one mount shows of a file or a name that another one changes all the time.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rfs_cluster::{Cluster, MOUNT, Replica, scaled};

const LENGTH: usize = 900;

/// Two mounts, and the paths of a file in each.
fn two_mounts(file: &str) -> (Replica, PathBuf, PathBuf) {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client", "client2"]).beside_others(), 2);
    r.mount("client");
    r.mount("client2");
    r.settled();
    let at = |host: &str| r.cluster[host].path(MOUNT).join(file);
    let (here, there) = (at("client"), at("client2"));
    (r, here, there)
}

fn time() -> Duration {
    scaled(Duration::from_secs(5), Duration::from_secs(60))
}

/// Says that it is over, when a check fails as well: nobody would wait for the others otherwise.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `change` again and again with a number that goes up, and `look` with the last number that was done before it.
fn while_changed(change: impl Fn(u64) + Sync, look: impl Fn(u64)) -> (u64, u64) {
    let (done, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut looks = 0;
    thread::scope(|scope| {
        let changer = scope.spawn(|| {
            for n in 1.. {
                change(n);
                done.store(n, Ordering::SeqCst);
                if over.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let _over = Over(&over);
        let begun = Instant::now();
        while begun.elapsed() < time() && !changer.is_finished() {
            look(done.load(Ordering::SeqCst));
            looks += 1;
        }
    });
    (done.load(Ordering::SeqCst), looks)
}

fn replace(path: &Path, n: u64) {
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{n:>LENGTH$}")).expect("write beside");
    fs::rename(&beside, path).expect("rename over");
}

/// The kernel believes names for a while, and gives up when what it has found anew is gone as well.
#[test]
fn a_name_that_is_replaced_all_the_time_is_always_there() {
    let (r, here, there) = two_mounts("name");
    replace(&here, 0);
    let counted = while_changed(
        |n| replace(&here, n),
        |done| {
            let text =
                fs::read_to_string(&there).unwrap_or_else(|e| panic!("after {done} replacements: {e}"));
            let seen: u64 = text.trim().parse().expect("a number");
            assert!(text.len() == LENGTH && seen >= done, "{} bytes, of {seen}, not {done}", text.len());
        },
    );
    println!("{} replacements, {} opens", counted.0, counted.1);
    r.trees_equal();
}

fn append(path: &Path, who: &str, n: u64) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("open to append");
    file.write_all(line(who, n).as_bytes()).expect("append");
}

fn line(who: &str, n: u64) -> String {
    format!("{who} {n} {}\n", "x".repeat((n as usize * 37) % 300))
}

/// The last line of `who`; all lines must be whole.
fn last_of(text: &str, who: &str) -> u64 {
    let mut last = 0;
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line.split(' ').collect();
        let n: u64 = words.get(1).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("a line {line:?}"));
        assert_eq!(line, self::line(words[0], n));
        last = if words[0] == who { n } else { last };
    }
    last
}

/// Each kernel adds what its own mount appends to the size that it knows, which is not the file's.
#[test]
fn a_file_to_which_two_mounts_append_is_read_whole() {
    let (r, here, there) = two_mounts("lines");
    let over = AtomicBool::new(false);
    append(&here, "a", 1);
    append(&there, "b", 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = OpenOptions::new().append(true).open(&there).expect("open to append");
            for n in 2.. {
                file.write_all(line("b", n).as_bytes()).expect("append");
                if over.load(Ordering::SeqCst) {
                    break;
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        let _over = Over(&over);
        let counted = while_changed(
            |n| append(&here, "a", n + 1),
            |done| {
                for path in [&here, &there] {
                    let text = fs::read_to_string(path).expect("read");
                    assert!(last_of(&text, "a") > done, "{}: not up to line {done}", path.display());
                }
            },
        );
        println!("{} appends, {} looks", counted.0, counted.1);
    });
    r.trees_equal();
}

/// The reader's kernel holds a size that is older than its open.
#[test]
fn what_was_appended_and_closed_elsewhere_is_shown_by_an_open() {
    let (r, here, there) = two_mounts("log");
    append(&here, "a", 1);
    let counted = while_changed(
        |n| append(&here, "a", n + 1),
        |done| {
            let text = fs::read_to_string(&there).expect("read");
            assert!(last_of(&text, "a") > done, "not up to line {done}");
        },
    );
    println!("{} appends, {} looks", counted.0, counted.1);
    r.trees_equal();
}
