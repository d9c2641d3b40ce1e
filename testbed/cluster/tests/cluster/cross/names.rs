//! Names that two mounts want at the same time, and listings of what changes.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, scaled, until};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::Pair;

const TAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/take.py");

type Make = fn(&Path) -> std::io::Result<()>;

/// Ways to make a name that fail when it is there.
const WAYS: [(&str, Make); 5] = [
    ("O_EXCL", |path| File::create_new(path).map(drop)),
    ("mkdir", |path| fs::create_dir(path)),
    ("symlink", |path| symlink("x", path)),
    ("link", |path| fs::hard_link(path.with_file_name("origin"), path)),
    ("rename", rename_no_replace),
];

/// Without replacing, of a file of its own.
fn rename_no_replace(path: &Path) -> std::io::Result<()> {
    let own = path.with_extension(format!("{:?}", thread::current().id()));
    File::create(&own)?;
    let done = renameat_with(CWD, &own, CWD, path, RenameFlags::NOREPLACE);
    if done.is_err() {
        fs::remove_file(&own)?;
    }
    Ok(done?)
}

#[test]
fn one_mount_wins_a_name() {
    let pair = Pair::new();
    File::create(pair.here("origin")).unwrap();
    let barrier = Barrier::new(2);
    for (word, make) in WAYS {
        let mut won = [0; 2];
        for n in 0..scaled(25, 1000) {
            let name = format!("{word}{n}");
            let race = |path: &Path| {
                barrier.wait();
                make(path)
            };
            let (here, there) = (pair.here(&name), pair.there(&name));
            let results = thread::scope(|scope| {
                let other = scope.spawn(|| race(&there));
                [race(&here), other.join().unwrap()]
            });
            let winners = results.iter().filter(|r| r.is_ok()).count();
            assert_eq!(winners, 1, "{name}: {results:?}");
            let exists = |e: &std::io::Error| e.kind() == ErrorKind::AlreadyExists;
            assert!(results.iter().flat_map(|r| r.as_ref().err()).all(exists), "{name}: {results:?}");
            won[usize::from(results[1].is_ok())] += 1;
        }
        println!("{word}: {won:?}");
    }
    pair.r.trees_equal();
}

/// Each record has its own length, so that one that overwrites another cannot hide.
#[test]
fn appends_of_two_mounts_never_overwrite_each_other() {
    let pair = Pair::new();
    let count = scaled(800, 20_000usize);
    let record = |who: &str, n: usize| format!("{who} {n} {}\n", "x".repeat(n * 37 % 500));
    let append = |who: &str, path: &Path| {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("open");
        for n in 0..count {
            file.write_all(record(who, n).as_bytes()).expect("append");
        }
    };
    let (here, there) = (pair.here("appended"), pair.there("appended"));
    thread::scope(|scope| {
        scope.spawn(|| append("a", &here));
        append("b", &there);
    });
    let text = fs::read_to_string(&here).unwrap();
    assert_eq!(text, fs::read_to_string(&there).unwrap());
    let mut next = BTreeMap::from([("a", 0), ("b", 0)]);
    for line in text.split_inclusive('\n') {
        let who = line.split(' ').next().unwrap_or_default();
        let n = next.get_mut(who).unwrap_or_else(|| panic!("a line {line:?}"));
        assert_eq!(line, record(who, *n));
        *n += 1;
    }
    assert!(next.values().all(|n| *n == count), "{next:?}");
    pair.r.trees_equal();
}

/// Says that it is over, when a check fails as well.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// More names than one answer of a listing holds; between them others come and go, on the other mount.
#[test]
fn a_listing_shows_each_name_that_stays_once() {
    let pair = Pair::new();
    fs::create_dir(pair.here("dir")).unwrap();
    let stays = |n: u32| format!("{n:04}-{}", "s".repeat(80));
    (0..1500).for_each(|n| drop(File::create_new(pair.here("dir").join(stays(n))).unwrap()));
    let (over, mut changes) = (AtomicBool::new(false), 0u64);
    thread::scope(|scope| {
        let changer = scope.spawn(|| {
            let mut changes = 0u64;
            while !over.load(Ordering::SeqCst) {
                let between = |n: u64| pair.there("dir").join(format!("{:04}-comes", n * 7919 % 1500));
                File::create_new(between(changes)).unwrap();
                fs::rename(between(changes), between(changes + 1)).unwrap();
                fs::remove_file(between(changes + 1)).unwrap();
                changes += 1;
            }
            changes
        });
        {
            let _over = Over(&over);
            for _ in 0..scaled(25, 300) {
                listing(&pair.here("dir"), &stays);
                listing(&pair.there("dir"), &stays);
            }
        }
        changes = changer.join().unwrap();
    });
    println!("{changes} names came and went");
    assert!(changes > 0);
    pair.r.trees_equal();
}

fn listing(dir: &Path, stays: &dyn Fn(u32) -> String) {
    let mut seen = BTreeMap::<String, u32>::new();
    for entry in fs::read_dir(dir).unwrap() {
        *seen.entry(entry.unwrap().file_name().into_string().unwrap()).or_default() += 1;
    }
    for n in 0..1500 {
        assert_eq!(seen.get(&stays(n)), Some(&1), "{}: {}", dir.display(), stays(n));
    }
}

/// As two workers take jobs: one gets each, whatever their kernels believe of the old name and of the new one.
#[test]
fn one_mount_moves_a_name() {
    let pair = Pair::new();
    let jobs = scaled(240u64, 10_000);
    fs::create_dir(pair.here("jobs")).unwrap();
    for job in 0..jobs {
        fs::write(pair.here(&format!("jobs/{job}")), job.to_string()).unwrap();
    }
    let (from, to) = (format!("{MOUNT}/jobs"), format!("{MOUNT}/taken"));
    let take =
        |(host, which)| pair.r.cluster[host].spawn("take", &["/usr/bin/python3", TAKE, &from, &to, which]);
    let mut workers = [("client", "0"), ("client2", "1")].map(take);
    let ready = || workers.iter().all(|worker| worker.output().contains("ready"));
    until("both know all names", HEALS, ready);
    fs::create_dir(pair.here("taken")).unwrap();
    let mut all = Vec::new();
    for worker in &mut workers {
        assert_eq!(worker.wait(10 * HEALS), 0, "{}", worker.output());
        let said = worker.output();
        let of = |word: &str| said.lines().filter_map(|line| line.strip_prefix(word)?.parse().ok()).collect();
        let (taken, late): (Vec<u64>, Vec<u64>) = (of("took "), of("late "));
        println!("{} were taken by one of the two, {} before it", taken.len(), late.len());
        assert_eq!((taken.len() + late.len()) as u64, jobs, "it tried them all");
        all.extend(taken);
    }
    all.sort_unstable();
    let twice: Vec<u64> = all.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
    assert_eq!(twice, [0; 0], "both were told that they had taken these");
    assert_eq!(all, (0..jobs).collect::<Vec<_>>());
    pair.r.trees_equal();
}
