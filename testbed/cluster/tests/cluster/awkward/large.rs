//! Many of something: names in a directory, links of a file, components of a path.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rfs_cluster::{MOUNT, full, scaled, until};
use rustix::fs::{FileType, Mode, OFlags, mkdirat, mknodat, openat};

use super::{SOON, error};
use crate::cross::Pair;

/// One request each, by several threads.
fn fill(dir: &Path, from: u32, to: u32) {
    const THREADS: u32 = 8;
    let dir = File::open(dir).unwrap();
    thread::scope(|scope| {
        for part in 0..THREADS {
            let dir = &dir;
            scope.spawn(move || {
                for n in (from..to).filter(|n| n % THREADS == part) {
                    let made = mknodat(dir, name(n), FileType::RegularFile, Mode::from(0o644), 0);
                    made.unwrap_or_else(|e| panic!("{}: {e}", name(n)));
                }
            });
        }
    });
}

fn name(n: u32) -> String {
    format!("a name as long as many are, number {n}")
}

/// 6,000 names; 200,000 in the long form.
#[test]
fn a_directory_may_have_very_many_names() {
    let pair = Pair::new();
    fs::create_dir(pair.here("many")).unwrap();
    let count = scaled(6_000, 200_000);
    let begun = Instant::now();
    fill(&pair.here("many"), 0, count);
    println!("{count} names made in {:?}", begun.elapsed());
    for path in [pair.here("many"), pair.there("many")] {
        let begun = Instant::now();
        let seen =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let seen: Vec<String> = seen.collect();
        println!("listed in {:?}", begun.elapsed());
        assert_eq!(seen.len(), count as usize);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), (0..count).map(name).collect());
    }
    assert!(pair.there("many").join(name(count - 1)).exists());
    fs::rename(pair.here("many"), pair.here("still")).unwrap();
    assert_eq!(fs::read_dir(pair.there("still")).unwrap().count(), count as usize);
    assert_eq!(error(fs::remove_dir(pair.there("still"))), libc::ENOTEMPTY);
    pair.r.trees_equal();
}

/// 400 links; in the long form all that a file may have.
#[test]
fn a_file_may_have_very_many_links() {
    const MOST: u64 = 65_000;
    let pair = Pair::new();
    fs::create_dir(pair.here("links")).unwrap();
    File::create(pair.here("file")).unwrap();
    let count = scaled(400, MOST);
    let link = |n: u64| fs::hard_link(pair.here("file"), pair.here("links").join(format!("{n}")));
    (1..count).for_each(|n| link(n).unwrap_or_else(|e| panic!("link {n}: {e}")));
    if full() {
        assert_eq!(error(link(MOST)), libc::EMLINK);
        fs::remove_file(pair.there("links/1")).unwrap();
        link(1).expect("there is room for one again");
    }
    until("the other mount counts them", Duration::from_secs(20), || {
        fs::metadata(pair.there("file")).unwrap().nlink() == count
    });
    assert_eq!(
        fs::metadata(pair.here("links/7")).unwrap().ino(),
        fs::metadata(pair.there("file")).unwrap().ino()
    );
    fs::remove_file(pair.here("file")).unwrap();
    assert_eq!(File::open(pair.there("links/7")).unwrap().metadata().unwrap().nlink(), count - 1);
    pair.r.trees_equal();
}

/// 20 directories with names of 255 bytes, one in the other: no path leads there, but openat(2) does.
#[test]
fn names_of_255_bytes_make_paths_that_only_openat_can_walk() {
    let pair = Pair::new();
    let long = "n".repeat(255);
    assert_eq!(error(File::create(pair.here(&"n".repeat(256)))), libc::ENAMETOOLONG);
    let multibyte = "ü".repeat(127) + "x";
    assert_eq!(multibyte.len(), 255);
    fs::write(pair.here(&multibyte), "255 bytes").unwrap();
    assert_eq!(fs::read_to_string(pair.there(&multibyte)).unwrap(), "255 bytes");
    assert_eq!(
        error(fs::rename(pair.here(&multibyte), pair.here(&(multibyte.clone() + "x")))),
        libc::ENAMETOOLONG
    );

    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut dir = rustix::fs::open(pair.here(""), flags, Mode::empty()).unwrap();
    for _ in 0..20 {
        mkdirat(&dir, &long, Mode::from(0o755)).unwrap();
        dir = openat(&dir, &long, flags, Mode::empty()).unwrap();
    }
    let made = openat(&dir, &long, OFlags::CREATE | OFlags::WRONLY, Mode::from(0o644)).unwrap();
    rustix::io::write(&made, b"deep").unwrap();
    drop(made);
    let mut there = rustix::fs::open(pair.there(""), flags, Mode::empty()).unwrap();
    for _ in 0..20 {
        there = openat(&there, &long, flags, Mode::empty()).unwrap();
    }
    let seen = openat(&there, &long, OFlags::RDONLY, Mode::empty()).unwrap();
    let mut bytes = [0; 10];
    assert_eq!(rustix::io::read(&seen, &mut bytes[..]).unwrap(), 4);
    let path = format!("/{}", long.clone() + &format!("/{long}").repeat(20));
    assert_eq!(error(fs::metadata(pair.there("").join(&path[1..]))), libc::ENAMETOOLONG);
    // As programs do that walk so.
    pair.r.cluster["client2"].sh(&format!("rm -r {MOUNT}/{long}")).ok();
    until("it is gone here too", SOON, || !pair.here(&long).exists());
    pair.r.trees_equal();
}
